//! From an aggregated embedding to products: the catalogue's index, and the pictures of the products that are shown.

use super::settings::PipelineSettings;
use crate::capture::decode_picture;
use crate::catalogue::{
    Calibration, Catalogue, ContentId, Enrolment, FileVersion, Index, ModelStamp, ProductSummary, Stock, Variant,
    WornProduct, margin,
};
use crate::fault::{Fault, Kind, Result};
use crate::frame::Picture;
use crate::network::Manifest;
use crate::seam::{EmbeddingHead, Region};
use serde::Serialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
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
    /// The best picture of the product, once [`Matcher::load_pictures`] has loaded it and where there is one.
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

/// A catalogue ready to be searched. Its file is open only while it is read or written: then another one can be put in its place.
pub struct Matcher {
    catalogue: PathBuf,
    model: ModelStamp,
    /// The file as it was when it was loaded.
    loaded: FileVersion,
    /// The file as it was last seen; `None` where a later change might not be told from that.
    seen: Option<FileVersion>,
    index: Index,
    /// Of each class of the model.
    regions: Vec<Option<Region>>,
    /// Below this logit nothing counts as found; from the manifest, where it was calibrated.
    threshold: Option<f32>,
    calibration: Calibration,
    /// The share of garments from elsewhere that may be called likely.
    false_accept: f32,
    pictures: HashMap<ContentId, Option<Arc<Picture>>>,
    /// The file could not be opened for the last pictures.
    is_unreadable: bool,
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

/// Calibrates a catalogue that this model has embedded, and keeps that in it: see [`Calibration`].
pub fn calibrate(catalogue: &mut Catalogue, manifest: &Manifest) -> Result<()> {
    catalogue.require_model(&stamp(manifest))?;
    let index = load_index(catalogue, manifest)?;
    catalogue.calibrate(&index).map(drop)
}

impl Matcher {
    /// Loads the index of the aggregator's head into memory.
    ///
    /// # Errors
    /// [`crate::fault::Kind::Catalogue`] where there is no catalogue at this path, or another model embedded it.
    pub fn load(catalogue: &Path, manifest: &Manifest) -> Result<Self> {
        let open = Catalogue::open(catalogue)?;
        // Before all is read: what changes meanwhile is a change.
        let loaded = FileVersion::of(catalogue)?;
        open.require_model(&stamp(manifest))?;
        let regions = manifest.class_regions();
        let index = load_index(&open, manifest)?;
        let calibration = open.calibration(&index)?;
        let threshold = manifest.open_set.as_ref().map(|open_set| open_set.logit);
        Ok(Matcher {
            catalogue: catalogue.into(),
            model: stamp(manifest),
            loaded,
            seen: settled(loaded),
            index,
            regions,
            threshold,
            calibration,
            false_accept: share(PipelineSettings::default().false_accept),
            pictures: HashMap::new(),
            is_unreadable: false,
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
    pub fn enrol(&self, camera: &str, products: &[WornProduct]) -> Result<Enrolment> {
        self.open()?.enrol(camera, &self.model, products)
    }

    /// Products in the catalogue, each size and colour counted as the feed does.
    pub fn products(&self) -> usize {
        self.index.products().len()
    }

    /// Whether somebody has changed or replaced the catalogue's file since it was loaded, or since the last time: it is to be loaded
    /// anew.
    ///
    /// # Errors
    /// [`Kind::Catalogue`] while there is no file: that is no change, what is in memory serves on.
    pub fn catalogue_has_changed(&mut self) -> Result<bool> {
        let now = FileVersion::of(&self.catalogue).map_err(|fault| {
            fault
                .cure(format!("put the catalogue back; until then {} products are searched in memory", self.products()))
        })?;
        let changed = self.seen != Some(now);
        self.seen = settled(now);
        Ok(changed)
    }

    /// The file that was loaded.
    ///
    /// # Errors
    /// [`Kind::Busy`] where another one has been put in its place.
    fn open(&self) -> Result<Catalogue> {
        let catalogue = Catalogue::open(&self.catalogue)?;
        if !FileVersion::of(&self.catalogue)?.is_same_file(self.loaded) {
            let text = format!("{} was replaced and is not loaded yet", self.catalogue.display());
            return Err(Fault::new(Kind::Busy, text).cure("try again in some seconds"));
        }
        Ok(catalogue)
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
        let stands_out = margin(found.iter().map(|hit| hit.logit))
            .is_some_and(|margin| self.calibration.is_likely(region, margin, self.false_accept));
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
        if !FileVersion::of(&self.catalogue)?.is_same_file(self.loaded) {
            return Ok(false);
        }
        let catalogue = Catalogue::open(&self.catalogue)?;
        self.calibration = catalogue.recalibrated(self.calibration.clone())?;
        self.index.refresh(&catalogue)
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

    /// Loads the products' pictures for matches that are to be shown. One that cannot be loaded is a match without a picture, and a line
    /// in the log.
    pub fn load_pictures(&mut self, matches: &mut [Match]) {
        let contents: Vec<ContentId> =
            matches.iter().flat_map(|found| [vec![found.content], other_colors(found)].concat()).collect();
        if contents.iter().any(|content| !self.pictures.contains_key(content)) {
            match self.open() {
                Ok(catalogue) => {
                    self.is_unreadable = false;
                    contents.iter().for_each(|content| self.keep_picture(&catalogue, *content));
                }
                // Said once: this may be tried several times a second.
                Err(fault) if !std::mem::replace(&mut self.is_unreadable, true) => log_it(fault),
                Err(_) => {}
            }
        }
        let picture = |content: ContentId| self.pictures.get(&content).cloned().flatten();
        for found in matches {
            found.picture = picture(found.content);
            found.other_colors = other_colors(found).into_iter().filter_map(picture).collect();
        }
        if self.pictures.len() >= KEPT_PICTURES {
            // Those that are on no screen; a mirror runs for weeks.
            self.pictures.retain(|_, kept| kept.as_ref().is_some_and(|kept| Arc::strong_count(kept) > 1));
        }
    }

    fn keep_picture(&mut self, catalogue: &Catalogue, content: ContentId) {
        if self.pictures.contains_key(&content) {
            return;
        }
        let picture = match catalogue.picture_thumbnail(content) {
            Ok(Some(jpeg)) => decode_picture(&jpeg, "a product's thumbnail").map(Arc::new).map_err(log_it).ok(),
            Ok(None) => None,
            Err(fault) => {
                log_it(fault);
                None
            }
        };
        self.pictures.insert(content, picture);
    }
}

/// A version that a later change will differ from.
fn settled(version: FileVersion) -> Option<FileVersion> {
    Some(version).filter(|version| version.is_settled())
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

fn log_it(fault: Fault) {
    log::warn!("{fault}");
}
