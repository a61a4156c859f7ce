//! The search index: a gallery loaded from the catalogue, with what a screen says of each product.
//!
//! Rows of the feed with one `item_group_id` are one product with variants: it is found once, by its best picture, and the row
//! says which variant that shows.

use super::gallery::{Gallery, Hit};
use super::index_rows::{Grouping, Variant, Variants, read_matrix, read_rows, read_variants};
use super::product::{ContentId, ProductSummary};
use super::stock::Stock;
use super::store::Catalogue;
use super::worn_rows::{MergedRows, with_worn_views};
use crate::fault::{Fault, Kind, Result};
use crate::seam::region::may_be;
use crate::seam::{EmbeddingHead, Region};
use std::ops::Range;

/// All products of a catalogue, searchable by one head. Lives in memory; later changes of the file do not reach it.
#[derive(Clone, Debug)]
pub struct Index {
    gallery: Gallery,
    variants: Variants,
    /// Of each row of the gallery, the variant: the first that shows the picture.
    row_variants: Vec<u32>,
    contents: Vec<ContentId>,
    /// How much of each row is worn views, 0 to 1.
    worn: Vec<f32>,
    /// What each product's texts say, then what [`Index::with_regions`] adds.
    regions: Vec<Option<Region>>,
    /// The class of the garment in each product's main picture.
    classes: Vec<Option<usize>>,
    /// For each region of a garment the products that it may be, by ordinal.
    seen_by: [Vec<bool>; 3],
    /// The products that are found where the garment's region is not known; empty for all.
    offered: Vec<bool>,
    hide_out_of_stock: bool,
    /// Number and time.
    generation: Option<(i64, String)>,
    /// As [`Catalogue::worn_version`] says it.
    worn_version: (i64, i64, String),
}

impl Index {
    /// Loads the descriptors of `head`. `weight` and `bias` are v and d of the same head (docs/seam.md §6).
    /// The caller has checked the model with [`Catalogue::require_model`].
    ///
    /// # Errors
    /// [`Kind::Catalogue`] where a descriptor has another length than `weight` or holds a value that is not finite.
    pub fn load(catalogue: &Catalogue, head: EmbeddingHead, weight: &[f32], bias: f32) -> Result<Self> {
        Self::load_by(catalogue, head, weight, bias, Grouping::Style)
    }

    /// As [`Index::load`], by products or by variants.
    pub fn load_by(
        catalogue: &Catalogue,
        head: EmbeddingHead,
        weight: &[f32],
        bias: f32,
        by: Grouping,
    ) -> Result<Self> {
        if weight.is_empty() || !weight.iter().all(|v| v.is_finite()) || !bias.is_finite() {
            return Err(Fault::new(Kind::Model, "the match head's weights are not finite numbers")
                .cure("export the model anew"));
        }
        let fail = |error| catalogue.fault("read", error);
        // One snapshot, even while an import commits.
        let transaction = catalogue.connection.unchecked_transaction().map_err(fail)?;
        let generation = catalogue.generation_mark()?;
        let mut variants = read_variants(catalogue, by).map_err(fail)?;
        let rows = read_rows(catalogue, &variants).map_err(fail)?;
        let matrix = read_matrix(catalogue, head, weight.len(), &rows, &variants)?;
        let worn_version = catalogue.worn_version().map_err(fail)?;
        let pictures = MergedRows { rows, matrix };
        let MergedRows { rows, matrix } = with_worn_views(catalogue, head, weight.len(), &variants, pictures)?;
        drop(transaction);
        let mut classes = vec![None; variants.groups.len()];
        for row in rows.iter().filter(|row| row.worn < 1.0) {
            let class = usize::try_from(row.class).unwrap_or(usize::MAX);
            classes[row.group as usize].get_or_insert(class);
            variants.all[row.variant as usize].main.get_or_insert(row.content);
        }
        let index = Index {
            gallery: Gallery::new(weight, bias, matrix, rows.iter().map(|row| row.group).collect()),
            regions: variants.regions.clone(),
            variants,
            row_variants: rows.iter().map(|row| row.variant).collect(),
            contents: rows.iter().map(|row| row.content).collect(),
            worn: rows.iter().map(|row| row.worn).collect(),
            classes,
            seen_by: Default::default(),
            offered: Vec::new(),
            hide_out_of_stock: false,
            generation,
            worn_version,
        };
        Ok(index.with_regions(&[]))
    }

    /// A product whose texts do not tell its region gets the region of the class in its main picture. `of_class`: the region of each
    /// class of the model.
    pub fn with_regions(mut self, of_class: &[Option<Region>]) -> Self {
        for (region, class) in self.regions.iter_mut().zip(&self.classes) {
            *region = region.or_else(|| class.and_then(|class| of_class.get(class).copied().flatten()));
        }
        self.filter();
        self
    }

    /// Finds no product that is out of stock in all its variants.
    pub fn without_out_of_stock(mut self) -> Self {
        self.hide_out_of_stock = true;
        self.filter();
        self
    }

    /// Adds `offset` to the logits of worn views, which count less or more than a picture of the shop. A row that is worn views in part
    /// gets that part of it.
    pub fn with_worn_offset(mut self, offset: f32) -> Self {
        let offsets: Vec<f32> = self.worn.iter().map(|worn| worn * offset).collect();
        self.gallery = self.gallery.with_row_offsets(&offsets);
        self
    }

    fn filter(&mut self) {
        let offered = |group: &Range<u32>| {
            let mut variants = self.variants.all[group.start as usize..group.end as usize].iter();
            !self.hide_out_of_stock || variants.any(|variant| variant.product.stock() != Stock::Out)
        };
        let offered: Vec<bool> = self.variants.groups.iter().map(offered).collect();
        let may = |query| {
            self.regions.iter().zip(&offered).map(|(region, offered)| *offered && may_be(query, *region)).collect()
        };
        self.seen_by = Region::ALL.map(|region| may(Some(region)));
        self.offered = if self.hide_out_of_stock { offered } else { Vec::new() };
    }

    /// Reads prices and stock again, if the catalogue still has the generation and the worn views that were loaded. False if not.
    pub fn refresh(&mut self, catalogue: &Catalogue) -> Result<bool> {
        let fail = |error| catalogue.fault("read", error);
        let transaction = catalogue.connection.unchecked_transaction().map_err(fail)?;
        if catalogue.generation_mark()? != self.generation
            || catalogue.worn_version().map_err(fail)? != self.worn_version
        {
            return Ok(false);
        }
        let mut fresh = read_variants(catalogue, self.variants.by).map_err(fail)?;
        drop(transaction);
        if fresh.groups != self.variants.groups {
            return Ok(false);
        }
        for (fresh, old) in fresh.all.iter_mut().zip(&self.variants.all) {
            fresh.main = old.main;
        }
        self.variants = fresh;
        self.filter();
        Ok(true)
    }

    /// As [`Index::search`], among the products alone that a garment of `region` may be.
    pub fn search_in(&self, street: &[f32], region: Option<Region>, k: usize) -> Vec<Hit> {
        let among = region.map_or(self.offered.as_slice(), |region| &self.seen_by[region as usize]);
        self.gallery.search_among(street, k, among)
    }

    /// The region of the product with this ordinal, as far as it is known.
    pub fn region(&self, ordinal: usize) -> Option<Region> {
        self.regions[ordinal]
    }

    /// The k best products for a street embedding of the same head, best first: see [`Gallery::search`].
    pub fn search(&self, street: &[f32], k: usize) -> Vec<Hit> {
        self.search_in(street, None, k)
    }

    /// The variants of the product with this ordinal, in the feed's order; at least one.
    pub fn variants(&self, ordinal: usize) -> &[Variant] {
        let group = &self.variants.groups[ordinal];
        &self.variants.all[group.start as usize..group.end as usize]
    }

    /// The first variant of the product with this ordinal.
    pub fn product(&self, ordinal: usize) -> &ProductSummary {
        &self.variants(ordinal)[0].product
    }

    /// What the picture of a row shows: the variant that was recognized.
    pub fn shown(&self, row: usize) -> &ProductSummary {
        &self.variants.all[self.row_variants[row] as usize].product
    }

    /// All variants: those of a product stand together, products are in the feed's order.
    pub fn products(&self) -> impl ExactSizeIterator<Item = &ProductSummary> {
        self.variants.all.iter().map(|variant| &variant.product)
    }

    /// The ordinal of the product that has the variant `id`.
    pub fn ordinal(&self, id: &str) -> Option<usize> {
        let variant = self.variants.all.iter().position(|variant| variant.product.id == id)? as u32;
        Some(self.variants.groups.partition_point(|group| group.end <= variant))
    }

    /// Whether a row consists of worn views only.
    pub fn is_worn(&self, row: usize) -> bool {
        self.worn[row] >= 1.0
    }

    /// The picture of a row; for worn views the one that their product is shown with. For [`Catalogue::picture_thumbnail`].
    pub fn content(&self, row: usize) -> ContentId {
        self.contents[row]
    }

    /// The rows with their descriptors.
    pub fn gallery(&self) -> &Gallery {
        &self.gallery
    }

    /// Products, which may have several variants and pictures each.
    pub fn len(&self) -> usize {
        self.variants.groups.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
impl Index {
    /// Products of one variant and one region, for tests of what needs no file.
    pub(super) fn of_gallery(gallery: Gallery, region: Region) -> Self {
        let rows = gallery.rows();
        let count = (0..rows).map(|row| gallery.product(row) + 1).max().unwrap_or(0);
        let variants = Variants::plain(count, region);
        let index = Index {
            regions: variants.regions.clone(),
            row_variants: (0..rows).map(|row| gallery.product(row) as u32).collect(),
            gallery,
            variants,
            contents: vec![ContentId(0); rows],
            worn: vec![0.0; rows],
            classes: vec![None; count],
            seen_by: Default::default(),
            offered: Vec::new(),
            hide_out_of_stock: false,
            generation: None,
            worn_version: (0, 0, String::new()),
        };
        index.with_regions(&[])
    }
}
