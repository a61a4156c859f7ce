//! Still pictures with boxes against shop photos: how often a worn garment is detected, and how its product ranks.

use super::cached_recognizer::{CachedRecognizer, ShopDetections, StillDetections};
use super::claims::{ClaimCounts, Claims};
use super::clips::RunEvent;
use super::metrics::{Rank, Share, Tally};
use super::pairs::{GalleryRow, QueryRow};
use super::record::FrameDetection;
use super::reference_gallery::{ReferenceGallery, ReferenceView};
use crate::catalogue::Product;
use crate::fault::{Fault, Kind, Result};
use crate::network::Manifest;
use crate::seam::{EmbeddingHead, Region};
use std::collections::{BTreeMap, BTreeSet};

/// The shop photos as two galleries.
#[derive(Clone, Debug)]
pub struct PhotoGallery {
    /// By the published rule: the largest box is the product; search among all products.
    pub plain: ReferenceGallery,
    /// The largest box of the product's region; search within the region.
    pub regions: ReferenceGallery,
    /// Number of each garment in both galleries.
    pub garments: BTreeMap<String, usize>,
    pub photos: usize,
    /// Photos in which nothing was found: the whole photo stands for the garment.
    pub substitutes: usize,
    /// Photos of a detail that are left out within regions.
    pub details: usize,
}

/// One photo of a garment.
struct Photo {
    region: Option<Region>,
    largest: FrameDetection,
    of_region: FrameDetection,
    detail: bool,
}

/// One query with its ranks, one per [`Way`].
#[derive(Clone, Debug)]
pub struct QueryResult<'q> {
    pub query: &'q QueryRow,
    pub detections: StillDetections,
    pub ranks: Vec<Rank>,
}

/// One way to search: which box, which gallery, which head.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// The given box, otherwise the detected box.
    pub given: bool,
    /// Search only products of the garment's region.
    pub regions: bool,
    pub head: EmbeddingHead,
}

impl Way {
    pub fn all() -> Vec<Way> {
        let mut ways = Vec::new();
        for given in [true, false] {
            for head in [EmbeddingHead::Aggregation, EmbeddingHead::Match] {
                ways.extend([false, true].map(|regions| Way { given, regions, head }));
            }
        }
        ways
    }

    /// Boxes, head, products, as table cells.
    pub fn names(self) -> Vec<String> {
        let boxes = if self.given { "given" } else { "detected" };
        let head = match self.head {
            EmbeddingHead::Aggregation => "aggregation",
            EmbeddingHead::Match => "match",
        };
        let products = if self.regions { "of the region" } else { "all" };
        [boxes, head, products].map(str::to_owned).to_vec()
    }
}

/// Results of a whole run.
#[derive(Clone, Debug)]
pub struct StillsResults<'q> {
    pub gallery: PhotoGallery,
    pub queries: Vec<QueryResult<'q>>,
    /// Garments that the shop does not have.
    pub strangers: Vec<StillDetections>,
    /// Ids of the queries left out.
    pub left_out: Vec<String>,
}

/// Recognizes every photo and query, and ranks each query's garment in every way. One step per photo and query.
///
/// # Errors
/// [`Kind::Input`]: a query's garment has no photo, or a file cannot be used. A clip without ffmpeg is left out
/// instead.
pub fn run<'q>(
    queries: &'q [QueryRow],
    photos: &[GalleryRow],
    recognizer: &mut CachedRecognizer,
    mut observe: impl FnMut(RunEvent),
) -> Result<StillsResults<'q>> {
    require_photos(queries, photos)?;
    let gallery = recognize_photos(photos, recognizer, &mut observe)?;
    let (mut results, mut strangers, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    for query in queries {
        match recognizer.still(query) {
            Ok(detections) if query.garment.is_empty() => strangers.push(detections),
            Ok(detections) => results.push(rank(query, detections, &gallery, recognizer.manifest())),
            // A clip without ffmpeg: evaluate the other queries.
            Err(fault) if fault.kind() == Kind::Unavailable => {
                observe(RunEvent::LeftOut(&format!("the query {} is left out: {fault}", query.id)));
                left_out.push(query.id.clone());
            }
            Err(fault) => return Err(fault),
        }
        observe(RunEvent::Step);
    }
    if results.is_empty() && strangers.is_empty() {
        return Err(Fault::new(Kind::Unavailable, "no query could be evaluated").cure("install ffmpeg"));
    }
    Ok(StillsResults { gallery, queries: results, strangers, left_out })
}

/// Every query's garment has a photo: said before any picture is computed, which takes minutes.
fn require_photos(queries: &[QueryRow], photos: &[GalleryRow]) -> Result<()> {
    let known: BTreeSet<&str> = photos.iter().map(|photo| photo.garment.as_str()).collect();
    let is_missing = |query: &&QueryRow| !query.garment.is_empty() && !known.contains(query.garment.as_str());
    match queries.iter().find(is_missing) {
        None => Ok(()),
        Some(query) => {
            let text = format!("the query {} is the garment {}, which the gallery lacks", query.id, query.garment);
            Err(Fault::new(Kind::Input, text).cure("add a photo of it to the gallery"))
        }
    }
}

fn recognize_photos(
    photos: &[GalleryRow],
    recognizer: &mut CachedRecognizer,
    observe: &mut impl FnMut(RunEvent),
) -> Result<PhotoGallery> {
    let class_regions = recognizer.manifest().class_regions();
    let mut views: BTreeMap<&str, Vec<Photo>> = BTreeMap::new();
    let mut substitutes = 0;
    for photo in photos {
        let said = said_region(photo);
        let seen = recognizer.shop_picture(&photo.file, said)?;
        substitutes += usize::from(seen.largest.substitute);
        let of_class = class_regions.get(seen.of_region.detection.class).copied().flatten();
        let region = said.or(of_class);
        let ShopDetections { largest, of_region, detail } = seen;
        views.entry(&photo.garment).or_default().push(Photo { region, largest, of_region, detail });
        observe(RunEvent::Step);
    }
    let heads = (recognizer.manifest().match_score(), recognizer.manifest().aggregation_score());
    let mut gallery = PhotoGallery {
        plain: ReferenceGallery::new(heads.0.clone(), heads.1.clone()),
        regions: ReferenceGallery::new(heads.0, heads.1),
        garments: BTreeMap::new(),
        photos: photos.len(),
        substitutes,
        details: 0,
    };
    for (garment, mut views) in views {
        // The first photo decides where no text does, as at an import.
        let region = views.first().and_then(|photo| photo.region);
        gallery.plain.add(None, views.iter().map(|photo| ReferenceView::of(&photo.largest.detection)).collect());
        // As a catalogue's index has it: details stand back.
        let details = views.iter().filter(|photo| photo.detail).count();
        if details < views.len() {
            gallery.details += details;
            views.retain(|photo| !photo.detail);
        }
        let seen = views.iter().map(|photo| ReferenceView::of(&photo.of_region.detection)).collect();
        let number = gallery.regions.add(region, seen);
        gallery.garments.insert(garment.to_owned(), number);
    }
    Ok(gallery)
}

/// The region from the shop's product type, as in an import.
fn said_region(photo: &GalleryRow) -> Option<Region> {
    Product { product_type: photo.category.clone(), ..Product::default() }.region()
}

fn rank<'q>(
    query: &'q QueryRow,
    detections: StillDetections,
    gallery: &PhotoGallery,
    manifest: &Manifest,
) -> QueryResult<'q> {
    let class_regions = manifest.class_regions();
    let own = gallery.garments[&query.garment];
    let rank = |way: &Way| {
        let detection = if way.given { Some(&detections.given) } else { detections.found.as_ref() }?;
        let gallery = if way.regions { &gallery.regions } else { &gallery.plain };
        let region = class_regions.get(detection.class).copied().flatten().filter(|_| way.regions);
        gallery.rank(&gallery.logits(way.head, detection.embedding(way.head)), own, region)
    };
    let ranks = Way::all().iter().map(rank).collect();
    QueryResult { query, detections, ranks }
}

impl StillsResults<'_> {
    /// Ranks of every way.
    pub fn tallies(&self) -> Vec<(Way, Tally)> {
        let ways = Way::all().into_iter().enumerate();
        ways.map(|(place, way)| {
            let mut tally = Tally::default();
            self.queries.iter().for_each(|result| tally.add(&[result.ranks[place]]));
            (way, tally)
        })
        .collect()
    }

    /// What a mirror would call likely, in given boxes or in those that are found.
    pub fn claims(&self, manifest: &Manifest, given: bool, false_accept: f32) -> ClaimCounts {
        let gallery = &self.gallery.regions;
        let claims = Claims::new(gallery, manifest.open_set.as_ref().map(|open_set| open_set.logit));
        let regions = manifest.class_regions();
        let mut counts = ClaimCounts::default();
        let known =
            self.queries.iter().map(|result| (&result.detections, Some(self.gallery.garments[&result.query.garment])));
        for (detections, own) in known.chain(self.strangers.iter().map(|detections| (detections, None))) {
            let seen = if given { Some(&detections.given) } else { detections.found.as_ref() };
            if let Some(seen) = seen {
                let region = regions.get(seen.class).copied().flatten();
                claims.count(&mut counts, &seen.aggregation_embedding, region, own, false_accept);
            }
        }
        counts
    }

    /// Share of queries detected with at least this score.
    pub fn detected(&self, score: f32) -> Share {
        let found = |result: &&QueryResult| result.detections.found.as_ref().is_some_and(|found| found.score >= score);
        Share::new(self.queries.iter().filter(found).count() as f64, self.queries.len())
    }

    /// Share of queries whose class has the region given in the table, among those that have one.
    pub fn region_right(&self, class_regions: &[Option<Region>], given: bool) -> Share {
        let told = self.queries.iter().filter_map(|result| {
            let detections = &result.detections;
            let detection = if given { Some(&detections.given) } else { detections.found.as_ref() }?;
            Some(class_regions.get(detection.class).copied().flatten() == Some(result.query.region?))
        });
        let told: Vec<bool> = told.collect();
        Share::new(told.iter().filter(|right| **right).count() as f64, told.len())
    }
}
