//! The search index: a gallery loaded from the catalogue, with what a screen says of each product.

use super::check::decode_embedding;
use super::gallery::{Gallery, Hit};
use super::product::{ContentId, ProductSummary};
use super::store::Catalogue;
use crate::fault::{Fault, Kind, Result};
use crate::seam::region::may_be;
use crate::seam::{EmbeddingHead, Region};
use std::collections::HashMap;

/// The column that holds the embeddings of a head.
fn column(head: EmbeddingHead) -> &'static str {
    match head {
        EmbeddingHead::Match => "match_embedding",
        EmbeddingHead::Aggregation => "aggregation_embedding",
    }
}

/// All products of a catalogue, searchable by one head. Lives in memory; later changes of the file do not reach it.
#[derive(Clone, Debug)]
pub struct Index {
    gallery: Gallery,
    products: Vec<ProductSummary>,
    contents: Vec<ContentId>,
    /// What each product's texts say, then what [`Index::with_regions`] adds.
    regions: Vec<Option<Region>>,
    /// The class of the garment in each product's main picture.
    classes: Vec<Option<usize>>,
    /// For each region of a garment the products that it may be, by ordinal.
    seen_by: [Vec<bool>; 3],
}

impl Index {
    /// Loads the descriptors of `head`. `weight` and `bias` are v and d of the same head (docs/seam.md §6).
    /// The caller has checked the model with [`Catalogue::require_model`].
    ///
    /// # Errors
    /// [`Kind::Catalogue`] where a descriptor has another length than `weight` or holds a value that is not finite.
    pub fn load(catalogue: &Catalogue, head: EmbeddingHead, weight: &[f32], bias: f32) -> Result<Self> {
        if weight.is_empty() || !weight.iter().all(|v| v.is_finite()) || !bias.is_finite() {
            return Err(Fault::new(Kind::Model, "the match head's weights are not finite numbers")
                .cure("export the model anew"));
        }
        // One snapshot, even while an import commits.
        let transaction =
            catalogue.connection.unchecked_transaction().map_err(|error| catalogue.fault("read", error))?;
        let (products, regions) = read_products(catalogue).map_err(|error| catalogue.fault("read", error))?;
        let rows = read_rows(catalogue, head, weight.len(), &products)?;
        drop(transaction);
        let gallery = Gallery::new(weight, bias, rows.matrix, rows.products);
        let index = Index {
            gallery,
            products,
            contents: rows.contents,
            regions,
            classes: rows.classes,
            seen_by: Default::default(),
        };
        Ok(index.with_regions(&[]))
    }

    /// Gives each product whose texts do not say its region that of the class in its main picture. `of_class`: the model's
    /// regions, class by class.
    pub fn with_regions(mut self, of_class: &[Option<Region>]) -> Self {
        for (region, class) in self.regions.iter_mut().zip(&self.classes) {
            *region = region.or_else(|| class.and_then(|class| of_class.get(class).copied().flatten()));
        }
        self.seen_by =
            Region::ALL.map(|query| self.regions.iter().map(|region| may_be(Some(query), *region)).collect());
        self
    }

    /// As [`Index::search`], among the products alone that a garment of `region` may be.
    pub fn search_in(&self, street: &[f32], region: Option<Region>, k: usize) -> Vec<Hit> {
        let among = region.map_or(&[][..], |region| &self.seen_by[region as usize]);
        self.gallery.search_among(street, k, among)
    }

    /// The region of the product with this ordinal, as far as it is known.
    pub fn region(&self, ordinal: usize) -> Option<Region> {
        self.regions[ordinal]
    }

    /// The k best products for a street embedding of the same head, best first: see [`Gallery::search`].
    pub fn search(&self, street: &[f32], k: usize) -> Vec<Hit> {
        self.gallery.search(street, k)
    }

    /// What to show of the product with this ordinal.
    pub fn product(&self, ordinal: usize) -> &ProductSummary {
        &self.products[ordinal]
    }

    /// All products by ordinal, in the feed's order.
    pub fn products(&self) -> &[ProductSummary] {
        &self.products
    }

    /// The ordinal of the product `id`.
    pub fn ordinal(&self, id: &str) -> Option<usize> {
        self.products.iter().position(|product| product.id == id)
    }

    /// The picture behind a row, for [`Catalogue::picture_thumbnail`].
    pub fn content(&self, row: usize) -> ContentId {
        self.contents[row]
    }

    pub fn gallery(&self) -> &Gallery {
        &self.gallery
    }

    /// Products, which may have several pictures each.
    pub fn len(&self) -> usize {
        self.products.len()
    }

    pub fn is_empty(&self) -> bool {
        self.products.is_empty()
    }
}

fn read_products(catalogue: &Catalogue) -> rusqlite::Result<(Vec<ProductSummary>, Vec<Option<Region>>)> {
    let query = "select id, title, brand, price, color, size, availability, product_type, link, region
                 from product order by position, id";
    let mut statement = catalogue.connection.prepare(query)?;
    let rows = statement.query_map([], |row| {
        let region: Option<String> = row.get(9)?;
        let product = ProductSummary {
            id: row.get(0)?,
            title: row.get(1)?,
            brand: row.get(2)?,
            price: row.get(3)?,
            color: row.get(4)?,
            size: row.get(5)?,
            availability: row.get(6)?,
            product_type: row.get(7)?,
            link: row.get(8)?,
        };
        Ok((product, region.and_then(|name| Region::named(&name))))
    })?;
    rows.collect()
}

#[derive(Default)]
struct Rows {
    matrix: Vec<f32>,
    products: Vec<u32>,
    contents: Vec<ContentId>,
    /// One a product.
    classes: Vec<Option<usize>>,
}

/// Rows in order of ordinal, then position.
fn read_rows(catalogue: &Catalogue, head: EmbeddingHead, length: usize, products: &[ProductSummary]) -> Result<Rows> {
    let fail = |error| catalogue.fault("read", error);
    let ordinals: HashMap<&str, u32> =
        products.iter().zip(0u32..).map(|(product, n)| (product.id.as_str(), n)).collect();
    let query = format!(
        "select product_id, picture.content_id, {}, class from product join picture on product_id = product.id
         join descriptor on descriptor.content_id = picture.content_id
         and descriptor.region = coalesce(product.region, '')
         order by product.position, product.id, picture.position",
        column(head)
    );
    let count: i64 =
        catalogue.connection.query_row("select count(*) from picture", [], |row| row.get(0)).map_err(fail)?;
    let mut rows = Rows { classes: vec![None; products.len()], ..Rows::default() };
    rows.matrix.reserve_exact(usize::try_from(count).unwrap_or(0) * length);
    let mut statement = catalogue.connection.prepare(&query).map_err(fail)?;
    let mut cursor = statement.query([]).map_err(fail)?;
    while let Some(row) = cursor.next().map_err(fail)? {
        let id = row.get_ref(0).and_then(|id| Ok(id.as_str()?)).map_err(fail)?;
        let blob = row.get_ref(2).and_then(|blob| Ok(blob.as_blob()?)).map_err(fail)?;
        let first = rows.matrix.len();
        rows.matrix.extend(decode_embedding(blob));
        if blob.len() != 4 * length || !rows.matrix[first..].iter().all(|value| value.is_finite()) {
            return Err(unusable(catalogue, id));
        }
        let Some(&ordinal) = ordinals.get(id) else { return Err(unusable(catalogue, id)) };
        rows.products.push(ordinal);
        let class: i64 = row.get(3).map_err(fail)?;
        rows.classes[ordinal as usize].get_or_insert(usize::try_from(class).unwrap_or(usize::MAX));
        rows.contents.push(ContentId(row.get(1).map_err(fail)?));
    }
    Ok(rows)
}

fn unusable(catalogue: &Catalogue, id: &str) -> Fault {
    let text = format!("the catalogue {}: a descriptor of product {id:?} cannot be used", catalogue.path().display());
    Fault::new(Kind::Catalogue, text).cure(format!("run `{}`", super::store::import_command(catalogue.path())))
}
