//! From an aggregated embedding to products: the catalogue's index, and the pictures of the products that are shown.

use super::settings::PipelineSettings;
use crate::capture::decode_picture;
use crate::catalogue::{
    Calibration, Catalogue, ContentId, Enrolment, Index, ModelStamp, ProductSummary, Stock, Variant, WornProduct,
    margin,
};
use crate::fault::Result;
use crate::frame::Picture;
use crate::network::Manifest;
use crate::seam::{EmbeddingHead, Region};
use serde::Serialize;
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

/// What may be said of a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Too unlike to be shown: the product is not in the catalogue, or was not recognized.
    None,
    /// Like it; it may be another one.
    Similar,
    /// It stands out from the next product as at most [`PipelineSettings::false_accept`] percent of the garments do that this shop
    /// does not sell.
    ///
    /// [`PipelineSettings::false_accept`]: super::settings::PipelineSettings
    Likely,
}

impl Verdict {
    /// As JSON and tables write it.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::None => "none",
            Verdict::Similar => "similar",
            Verdict::Likely => "likely",
        }
    }
}

/// One product of the catalogue that a garment was matched with.
#[derive(Clone, Debug)]
pub struct Match {
    /// The variant that the best picture shows: it says which colour was recognized.
    pub product: ProductSummary,
    /// All variants of the product, in the feed's order.
    pub variants: Vec<Variant>,
    /// Higher is better; the rank is by this.
    pub logit: f32,
    /// The published match score, 0 to 1.
    pub score: f32,
    pub verdict: Verdict,
    /// The best picture of the product, once [`Matcher::load_picture`] has loaded it and where there is one.
    pub picture: Option<Arc<Picture>>,
    /// Likewise the first picture of each other colour.
    pub other_colors: Vec<Arc<Picture>>,
    /// Which of the catalogue's pictures that is.
    content: ContentId,
}

#[cfg(test)]
impl Match {
    /// A match for tests, without pictures.
    pub fn of(product: ProductSummary, logit: f32, verdict: Verdict) -> Self {
        let score = crate::catalogue::Hit { product: 0, row: 0, logit }.score();
        let (variants, picture, other_colors, content) = (Vec::new(), None, Vec::new(), ContentId(0));
        Match { product, variants, logit, score, verdict, picture, other_colors, content }
    }
}

/// Other colours that a card shows.
const MOST_COLORS: usize = 6;

/// Decoded product pictures that are kept.
const KEPT_PICTURES: usize = 64;

/// A catalogue ready to be searched.
pub struct Matcher {
    catalogue: Catalogue,
    model: ModelStamp,
    version: CatalogueVersion,
    /// Device and inode of the file that was loaded.
    loaded: Option<(u64, u64)>,
    index: Index,
    /// Of each class of the model.
    regions: Vec<Option<Region>>,
    /// Below this logit nothing counts as found; from the manifest, where it was calibrated.
    threshold: Option<f32>,
    calibration: Calibration,
    /// The share of garments from elsewhere that may be called likely.
    false_accept: f32,
    pictures: HashMap<ContentId, Option<Arc<Picture>>>,
}

/// Device, inode, bytes, and the time of its last write, seconds and nanoseconds.
type FileStamp = (u64, u64, u64, i64, i64);

/// What a matcher knows of its catalogue's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CatalogueVersion {
    /// SQLite's count of changes by others; of the file that it has open.
    data: Option<i64>,
    /// Which file the path names, for another one may be put in its place, and when it was written.
    file: Option<FileStamp>,
}

impl CatalogueVersion {
    fn of(catalogue: &Catalogue) -> Self {
        let file = std::fs::metadata(catalogue.path()).ok();
        let stamp = |file: std::fs::Metadata| (file.dev(), file.ino(), file.len(), file.mtime(), file.mtime_nsec());
        CatalogueVersion { data: catalogue.data_version().ok(), file: file.map(stamp) }
    }

    fn file_id(self) -> Option<(u64, u64)> {
        self.file.map(|file| (file.0, file.1))
    }

    /// What cannot be had now, from before.
    fn or(self, before: Self) -> Self {
        CatalogueVersion { data: self.data.or(before.data), file: self.file.or(before.file) }
    }
}

/// The stamp that a catalogue embedded by this model bears.
pub fn stamp(manifest: &Manifest) -> ModelStamp {
    ModelStamp {
        name: manifest.name.clone(),
        descriptor_hash: manifest.descriptor_hash.clone(),
        embedding: manifest.matching.embedding,
    }
}

/// The index of the aggregator's head.
fn load_index(catalogue: &Catalogue, manifest: &Manifest) -> Result<Index> {
    let settings = &manifest.aggregation;
    let index = Index::load(catalogue, EmbeddingHead::Aggregation, &settings.weight, settings.bias)?;
    Ok(index.with_regions(&manifest.class_regions()).with_worn_offset(settings.worn_offset))
}

/// Calibrates a catalogue that this model embedded, and keeps that in it: see [`Calibration`].
pub fn calibrate(catalogue: &mut Catalogue, manifest: &Manifest) -> Result<()> {
    catalogue.require_model(&stamp(manifest))?;
    let index = load_index(catalogue, manifest)?;
    catalogue.calibrate(&index).map(drop)
}

impl Matcher {
    /// Loads the index of the aggregator's head into memory.
    ///
    /// # Errors
    /// [`crate::fault::Kind::Catalogue`] where another model embedded the catalogue.
    pub fn load(catalogue: Catalogue, manifest: &Manifest) -> Result<Self> {
        // Before all is read: what changes meanwhile is a change.
        let version = CatalogueVersion::of(&catalogue);
        catalogue.require_model(&stamp(manifest))?;
        let regions = manifest.class_regions();
        let index = load_index(&catalogue, manifest)?;
        let calibration = catalogue.calibration(&index)?;
        let threshold = manifest.open_set.as_ref().map(|open_set| open_set.logit);
        Ok(Matcher {
            catalogue,
            model: stamp(manifest),
            loaded: version.file_id(),
            version,
            index,
            regions,
            threshold,
            calibration,
            false_accept: share(PipelineSettings::default().false_accept),
            pictures: HashMap::new(),
        })
    }

    /// Calls at most `percent` of the garments that this shop does not sell likely.
    pub fn with_false_accept(self, percent: u32) -> Self {
        Matcher { false_accept: share(percent), ..self }
    }

    /// The region of each class of the model.
    pub fn regions(&self) -> &[Option<Region>] {
        &self.regions
    }

    /// The model that embedded the catalogue.
    pub fn model(&self) -> &ModelStamp {
        &self.model
    }

    /// Keeps what was seen of worn products. The index is to be loaded anew.
    pub fn enrol(&mut self, camera: &str, products: &[WornProduct]) -> Result<Enrolment> {
        let model = self.model.clone();
        self.catalogue.enrol(camera, &model, products)
    }

    /// Products in the catalogue, each size and colour counted as the feed does.
    pub fn products(&self) -> usize {
        self.index.products().len()
    }

    /// Whether another process has changed or replaced the catalogue's file since it was loaded, or since the last time: it is to
    /// be loaded anew. Locked or gone for the moment is no change: what is in memory serves on.
    pub fn catalogue_has_changed(&mut self) -> bool {
        let now = CatalogueVersion::of(&self.catalogue).or(self.version);
        std::mem::replace(&mut self.version, now) != now
    }

    /// The `k` best products for an aggregated embedding, best first.
    pub fn search(&self, query: &[f32], k: usize) -> Vec<Match> {
        self.search_among(query, None, k)
    }

    /// As [`Matcher::search`], among the products alone that a garment of this class may be: no trousers for a jacket.
    pub fn search_for(&self, query: &[f32], class: usize, k: usize) -> Vec<Match> {
        let region = self.regions.get(class).copied().flatten();
        self.search_among(query, region, k)
    }

    fn search_among(&self, query: &[f32], region: Option<Region>, k: usize) -> Vec<Match> {
        // The next product too, from which the first one stands out.
        let found = self.index.search_in(query, region, k.max(2));
        let stands_out =
            margin(&found).is_some_and(|margin| self.calibration.is_likely(region, margin, self.false_accept));
        found
            .into_iter()
            .take(k)
            .enumerate()
            .map(|(place, hit)| Match {
                product: self.index.shown(hit.row).clone(),
                logit: hit.logit,
                score: hit.score(),
                // It can be one product only.
                verdict: self.verdict(hit.logit, place == 0 && stands_out),
                variants: self.index.variants(hit.product).to_vec(),
                picture: None,
                other_colors: Vec::new(),
                content: self.index.content(hit.row),
            })
            .collect()
    }

    fn verdict(&self, logit: f32, stands_out: bool) -> Verdict {
        match stands_out {
            _ if self.threshold.is_some_and(|threshold| logit < threshold) => Verdict::None,
            true => Verdict::Likely,
            false => Verdict::Similar,
        }
    }

    /// Finds no product that is out of stock in all its variants.
    pub fn without_out_of_stock(self) -> Self {
        Matcher { index: self.index.without_out_of_stock(), ..self }
    }

    /// Takes over changed prices, stock and judgements of staff, if nothing else of the catalogue has changed. False where it must be loaded anew.
    pub fn refresh(&mut self) -> Result<bool> {
        let named = CatalogueVersion::of(&self.catalogue).file_id();
        if named.is_some_and(|named| self.loaded.is_some_and(|loaded| loaded != named)) {
            return Ok(false);
        }
        self.calibration = self.catalogue.recalibrated(self.calibration.clone())?;
        self.index.refresh(&self.catalogue)
    }

    /// Says of a match what is known now; true where that is something else. For matches of this catalogue, after
    /// [`Matcher::refresh`].
    pub fn renew(&self, found: &mut Match) -> bool {
        let Some(ordinal) = self.index.ordinal(&found.product.id) else { return false };
        let variants = self.index.variants(ordinal);
        if variants == found.variants.as_slice() {
            return false;
        }
        found.variants = variants.to_vec();
        if let Some(variant) = variants.iter().find(|variant| variant.product.id == found.product.id) {
            found.product = variant.product.clone();
        }
        true
    }

    /// Loads the product's picture for a match that is to be shown.
    pub fn load_picture(&mut self, found: &mut Match) {
        found.picture = self.picture(found.content);
        found.other_colors = other_colors(found).into_iter().filter_map(|content| self.picture(content)).collect();
    }

    /// A thumbnail that cannot be loaded is a match without a picture, and a line in the log.
    fn picture(&mut self, content: ContentId) -> Option<Arc<Picture>> {
        if let Some(known) = self.pictures.get(&content) {
            return known.clone();
        }
        let picture = match self.catalogue.picture_thumbnail(content) {
            Ok(Some(jpeg)) => decode_picture(&jpeg, "a product's thumbnail").map(Arc::new).map_err(log_it).ok(),
            Ok(None) => None,
            Err(fault) => {
                log_it(fault);
                None
            }
        };
        if self.pictures.len() >= KEPT_PICTURES {
            // Those that are on no screen; a mirror runs for weeks.
            self.pictures.retain(|_, kept| kept.as_ref().is_some_and(|kept| Arc::strong_count(kept) > 1));
        }
        self.pictures.insert(content, picture.clone());
        picture
    }
}

/// The first picture of each colour but the one that was recognized, unless it is sold out.
fn other_colors(found: &Match) -> Vec<ContentId> {
    let mut seen = vec![found.product.color.as_deref()];
    let mut contents = Vec::new();
    for variant in found.variants.iter().filter(|variant| variant.product.stock() != Stock::Out) {
        let color = variant.product.color.as_deref();
        if !seen.contains(&color) {
            seen.push(color);
            contents.extend(variant.main.filter(|main| *main != found.content));
        }
    }
    contents.truncate(MOST_COLORS);
    contents
}

fn share(percent: u32) -> f32 {
    percent as f32 / 100.0
}

fn log_it(fault: crate::fault::Fault) {
    log::warn!("{fault}");
}
