//! Worn views as rows of an index: each stands behind the pictures of the variant that was worn.

use super::check::decode_embedding;
use super::index_rows::{IndexRow, Variants};
use super::product::ContentId;
use super::store::{Catalogue, read_stamp};
use crate::fault::{Fault, Kind, Result};
use crate::seam::EmbeddingHead;
use rusqlite::params;

/// Rows of pictures and of worn views, and their embeddings, by group and variant.
pub(super) struct MergedRows {
    pub rows: Vec<IndexRow>,
    pub matrix: Vec<f32>,
}

struct WornRow {
    variant: u32,
    class: i64,
    embedding: Vec<f32>,
}

/// Puts the worn views that the catalogue's model made behind the pictures of their products.
///
/// # Errors
/// [`Kind::Catalogue`] where a view's descriptor cannot be used.
pub(super) fn with_worn_views(
    catalogue: &Catalogue,
    head: EmbeddingHead,
    length: usize,
    variants: &Variants,
    pictures: MergedRows,
) -> Result<MergedRows> {
    let worn = read(catalogue, head, length, variants)?;
    if worn.is_empty() {
        return Ok(pictures);
    }
    Ok(merge(pictures, worn, length, variants))
}

fn read(catalogue: &Catalogue, head: EmbeddingHead, length: usize, variants: &Variants) -> Result<Vec<WornRow>> {
    let fail = |error| catalogue.fault("read", error);
    let Some(stamp) = read_stamp(&catalogue.connection).map_err(fail)? else { return Ok(Vec::new()) };
    let column = super::index_rows::column(head);
    let query = format!(
        "select product_id, class, {column} from worn_view join enrolment on number = enrolment
         where descriptor_hash = ? and embedding = ? order by enrolment, product_id, position"
    );
    let mut statement = catalogue.connection.prepare(&query).map_err(fail)?;
    let mut cursor = statement.query(params![stamp.descriptor_hash, stamp.embedding as i64]).map_err(fail)?;
    let mut rows = Vec::new();
    while let Some(row) = cursor.next().map_err(fail)? {
        let id = row.get_ref(0).and_then(|id| Ok(id.as_str()?)).map_err(fail)?;
        let Some(variant) = variants.number(id) else { continue };
        let blob = row.get_ref(2).and_then(|blob| Ok(blob.as_blob()?)).map_err(fail)?;
        let embedding: Vec<f32> = decode_embedding(blob).collect();
        if blob.len() != 4 * length || !embedding.iter().all(|value| value.is_finite()) {
            let path = catalogue.path().display();
            let text = format!("the catalogue {path}: a worn view of product {id:?} cannot be used");
            return Err(Fault::new(Kind::Catalogue, text).cure(
                "find its enrolment with `vetrina catalogue worn list` and undo it with `vetrina enrol --undo N`",
            ));
        }
        rows.push(WornRow { variant, class: row.get(1).map_err(fail)?, embedding });
    }
    rows.sort_by_key(|row| row.variant);
    Ok(rows)
}

fn merge(pictures: MergedRows, worn: Vec<WornRow>, length: usize, variants: &Variants) -> MergedRows {
    let mut rows: Vec<IndexRow> = Vec::with_capacity(pictures.rows.len() + worn.len());
    let mut matrix = Vec::with_capacity(pictures.matrix.len() + worn.len() * length);
    let mut worn = worn.into_iter().peekable();
    let mut pictures_left = pictures.rows.into_iter().zip(pictures.matrix.chunks_exact(length)).peekable();
    // Variants of a group stand together, so that by variant is by group, too.
    loop {
        let next = pictures_left.peek().map(|(row, _)| row.variant);
        match (next, worn.peek().map(|row| row.variant)) {
            (Some(picture), Some(view)) if view < picture => take_worn(&mut worn, &mut rows, &mut matrix, variants),
            (None, Some(_)) => take_worn(&mut worn, &mut rows, &mut matrix, variants),
            (None, None) => break,
            _ => {
                if let Some((row, values)) = pictures_left.next() {
                    rows.push(row);
                    matrix.extend_from_slice(values);
                }
            }
        }
    }
    MergedRows { rows, matrix }
}

fn take_worn(
    worn: &mut impl Iterator<Item = WornRow>,
    rows: &mut Vec<IndexRow>,
    matrix: &mut Vec<f32>,
    variants: &Variants,
) {
    let Some(view) = worn.next() else { return };
    let group = variants.group_of(view.variant);
    // What is shown of the product is a picture of the shop: the variant's own, or the one that it shares with others of its group.
    let of_variant = rows.iter().rev().find(|row| row.variant == view.variant && !row.worn);
    let shown = of_variant.or_else(|| rows.iter().rev().find(|row| row.group == group && !row.worn));
    let Some(content) = shown.map(|row| row.content) else { return };
    rows.push(IndexRow::worn(group, view.variant, content, view.class));
    matrix.extend(view.embedding);
}

impl IndexRow {
    fn worn(group: u32, variant: u32, content: ContentId, class: i64) -> Self {
        IndexRow { group, variant, content, class, region: String::new(), worn: true }
    }
}
