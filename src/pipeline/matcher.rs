//! From an aggregated embedding to products: the catalogue's index, and the pictures of the products that are shown.

use crate::capture::decode_picture;
use crate::catalogue::{Catalogue, ContentId, Hit, Index, ModelStamp, ProductSummary, Stock, Variant};
use crate::fault::Result;
use crate::frame::Picture;
use crate::network::Manifest;
use crate::seam::{EmbeddingHead, Region};
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

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
    /// The best picture of the product, once [`Matcher::load_picture`] has loaded it and where there is one.
    pub picture: Option<Arc<Picture>>,
    /// Likewise the first picture of each other colour.
    pub other_colors: Vec<Arc<Picture>>,
    /// Which of the catalogue's pictures that is.
    content: ContentId,
}

/// Other colours that a card shows.
const MOST_COLORS: usize = 6;

/// Decoded product pictures that are kept.
const KEPT_PICTURES: usize = 64;

/// A catalogue ready to be searched.
pub struct Matcher {
    catalogue: Catalogue,
    version: CatalogueVersion,
    /// Device and inode of the file that was loaded.
    loaded: Option<(u64, u64)>,
    index: Index,
    /// Of each class of the model.
    regions: Vec<Option<Region>>,
    /// Below this logit nothing counts as found; from the manifest, where it was calibrated.
    threshold: Option<f32>,
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

    /// Device and inode of the file.
    fn inode(&self) -> Option<(u64, u64)> {
        self.file.map(|(device, inode, ..)| (device, inode))
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

impl Matcher {
    /// Loads the index of the aggregator's head into memory.
    ///
    /// # Errors
    /// [`crate::fault::Kind::Catalogue`] where another model embedded the catalogue.
    pub fn load(catalogue: Catalogue, manifest: &Manifest) -> Result<Self> {
        // Before all is read: what changes meanwhile is a change.
        let version = CatalogueVersion::of(&catalogue);
        catalogue.require_model(&stamp(manifest))?;
        let settings = &manifest.aggregation;
        let regions = manifest.class_regions();
        let index = Index::load(&catalogue, EmbeddingHead::Aggregation, &settings.weight, settings.bias)?
            .with_regions(&regions);
        let threshold = manifest.open_set.as_ref().map(|open_set| open_set.logit);
        let loaded = version.inode();
        Ok(Matcher { catalogue, version, loaded, index, regions, threshold, pictures: HashMap::new() })
    }

    /// Products in the catalogue.
    pub fn products(&self) -> usize {
        self.index.len()
    }

    /// Whether another process has changed or replaced the catalogue's file since it was loaded, or since the last time: it is to
    /// be loaded anew. Locked or gone for the moment is no change: what is in memory serves on.
    pub fn catalogue_has_changed(&mut self) -> bool {
        let now = CatalogueVersion::of(&self.catalogue).or(self.version);
        std::mem::replace(&mut self.version, now) != now
    }

    /// The `k` best products for an aggregated embedding, best first.
    pub fn search(&self, query: &[f32], k: usize) -> Vec<Match> {
        self.matches(self.index.search(query, k))
    }

    /// As [`Matcher::search`], among the products alone that a garment of this class may be: no trousers for a jacket.
    pub fn search_for(&self, query: &[f32], class: usize, k: usize) -> Vec<Match> {
        let region = self.regions.get(class).copied().flatten();
        self.matches(self.index.search_in(query, region, k))
    }

    fn matches(&self, found: Vec<Hit>) -> Vec<Match> {
        found
            .into_iter()
            .map(|hit| Match {
                product: self.index.shown(hit.row).clone(),
                logit: hit.logit,
                score: hit.score(),
                variants: self.index.variants(hit.product).to_vec(),
                picture: None,
                other_colors: Vec::new(),
                content: self.index.content(hit.row),
            })
            .collect()
    }

    /// Whether a match is good enough to be shown as one.
    pub fn accepts(&self, found: &Match) -> bool {
        self.threshold.is_none_or(|threshold| found.logit >= threshold)
    }

    /// Finds no product that is out of stock in all its variants.
    pub fn without_out_of_stock(self) -> Self {
        Matcher { index: self.index.without_out_of_stock(), ..self }
    }

    /// Takes over changed prices and stock, if nothing else of the catalogue has changed. False where it must be loaded anew.
    pub fn refresh(&mut self) -> Result<bool> {
        // Another file in its place is another catalogue; the one that is open does not know it.
        if self.version.inode() != self.loaded {
            return Ok(false);
        }
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

fn log_it(fault: crate::fault::Fault) {
    log::warn!("{fault}");
}
