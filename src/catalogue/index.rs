//! The search index: a gallery loaded from the catalogue, with what a screen says of each product.

use super::check::decode_embedding;
use super::gallery::{Gallery, Hit};
use super::product::{ContentId, ProductSummary};
use super::store::Catalogue;
use crate::fault::{Fault, Kind, Result};
use std::collections::HashMap;

/// Which of a picture's two embeddings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// By the single-image head: for one frame.
    Match,
    /// By the aggregator's head: for the query of several frames.
    Aggregation,
}

impl Head {
    fn column(self) -> &'static str {
        match self {
            Head::Match => "match_embedding",
            Head::Aggregation => "aggregation_embedding",
        }
    }
}

/// All products of a catalogue, searchable by one head. Lives in memory; later changes of the file do not reach it.
#[derive(Clone, Debug)]
pub struct Index {
    gallery: Gallery,
    products: Vec<ProductSummary>,
    contents: Vec<ContentId>,
}

impl Index {
    /// Loads the descriptors of `head`. `weight` and `bias` are v and d of the same head (seam-spec section 6).
    /// The caller has checked the model with [`Catalogue::require_model`].
    ///
    /// # Errors
    /// [`Kind::Catalogue`] where a descriptor has another length than `weight` or holds a value that is not finite.
    pub fn load(catalogue: &Catalogue, head: Head, weight: &[f32], bias: f32) -> Result<Self> {
        if weight.is_empty() || !weight.iter().all(|v| v.is_finite()) || !bias.is_finite() {
            return Err(Fault::new(Kind::Model, "the match head's weights are not finite numbers")
                .cure("export the model anew"));
        }
        // One snapshot, even while an import commits.
        let transaction =
            catalogue.connection.unchecked_transaction().map_err(|error| catalogue.fault("read", error))?;
        let products = read_products(catalogue).map_err(|error| catalogue.fault("read", error))?;
        let rows = read_rows(catalogue, head, weight.len(), &products)?;
        drop(transaction);
        let gallery = Gallery::new(weight, bias, rows.matrix, rows.products);
        Ok(Index { gallery, products, contents: rows.contents })
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

fn read_products(catalogue: &Catalogue) -> rusqlite::Result<Vec<ProductSummary>> {
    let query = "select id, title, brand, price, color, size, availability, product_type, link
                 from product order by position, id";
    let mut statement = catalogue.connection.prepare(query)?;
    let rows = statement.query_map([], |row| {
        Ok(ProductSummary {
            id: row.get(0)?,
            title: row.get(1)?,
            brand: row.get(2)?,
            price: row.get(3)?,
            color: row.get(4)?,
            size: row.get(5)?,
            availability: row.get(6)?,
            product_type: row.get(7)?,
            link: row.get(8)?,
        })
    })?;
    rows.collect()
}

#[derive(Default)]
struct Rows {
    matrix: Vec<f32>,
    products: Vec<u32>,
    contents: Vec<ContentId>,
}

/// Rows in order of ordinal, then position.
fn read_rows(catalogue: &Catalogue, head: Head, length: usize, products: &[ProductSummary]) -> Result<Rows> {
    let fail = |error| catalogue.fault("read", error);
    let ordinals: HashMap<&str, u32> =
        products.iter().zip(0u32..).map(|(product, n)| (product.id.as_str(), n)).collect();
    let query = format!(
        "select product_id, picture.content_id, {} from product join picture on product_id = product.id
         join descriptor on descriptor.content_id = picture.content_id
         order by product.position, product.id, picture.position",
        head.column()
    );
    let count: i64 =
        catalogue.connection.query_row("select count(*) from picture", [], |row| row.get(0)).map_err(fail)?;
    let mut rows = Rows::default();
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
        rows.contents.push(ContentId(row.get(1).map_err(fail)?));
    }
    Ok(rows)
}

fn unusable(catalogue: &Catalogue, id: &str) -> Fault {
    let text = format!("the catalogue {}: a descriptor of product {id:?} cannot be used", catalogue.path().display());
    Fault::new(Kind::Catalogue, text).cure(format!("run `{}`", super::store::import_command(catalogue.path())))
}
