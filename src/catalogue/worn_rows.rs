//! Worn views in the rows of an index: the pictures of a product that was worn are moved towards its worn views, and the mean of these
//! is a row of its own behind them ([`super::worn_shift`]).

use super::check::decode_embedding;
use super::index_rows::{IndexRow, Variants, column};
use super::product::ContentId;
use super::store::{Catalogue, read_stamp};
use super::worn_shift::{MOVED, mean, move_towards};
use crate::fault::{Fault, Kind, Result};
use crate::seam::EmbeddingHead;
use rusqlite::params;
use std::collections::BTreeMap;

/// Rows of an index and their embeddings, by group and variant.
pub(super) struct MergedRows {
    pub rows: Vec<IndexRow>,
    pub matrix: Vec<f32>,
}

/// What was seen of one variant on people.
struct WornVariant {
    class: i64,
    views: Vec<Vec<f32>>,
    /// The pictures of the shop that show it; those of another size may show it, too.
    contents: Vec<ContentId>,
}

/// Takes in the worn views that the catalogue's model made.
///
/// # Errors
/// [`Kind::Catalogue`] where a view's descriptor cannot be used.
pub(super) fn with_worn_views(
    catalogue: &Catalogue,
    head: EmbeddingHead,
    length: usize,
    variants: &Variants,
    mut pictures: MergedRows,
) -> Result<MergedRows> {
    let mut worn = read_views(catalogue, head, length, variants)?;
    if worn.is_empty() {
        return Ok(pictures);
    }
    read_contents(catalogue, variants, &mut worn).map_err(|error| catalogue.fault("read", error))?;
    move_pictures(&mut pictures, &worn, length, variants);
    Ok(with_means(pictures, &worn, length, variants))
}

/// By variant.
fn read_views(
    catalogue: &Catalogue,
    head: EmbeddingHead,
    length: usize,
    variants: &Variants,
) -> Result<BTreeMap<u32, WornVariant>> {
    let fail = |error| catalogue.fault("read", error);
    let mut worn: BTreeMap<u32, WornVariant> = BTreeMap::new();
    let Some(stamp) = read_stamp(&catalogue.connection).map_err(fail)? else { return Ok(worn) };
    let query = format!(
        "select product_id, class, {} from worn_view join enrolment on number = enrolment
         where descriptor_hash = ? and embedding = ? order by enrolment, product_id, position",
        column(head)
    );
    let mut statement = catalogue.connection.prepare(&query).map_err(fail)?;
    let mut cursor = statement.query(params![stamp.descriptor_hash, stamp.embedding as i64]).map_err(fail)?;
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
        let class = row.get(1).map_err(fail)?;
        let new = || WornVariant { class, views: Vec::new(), contents: Vec::new() };
        worn.entry(variant).or_insert_with(new).views.push(embedding);
    }
    Ok(worn)
}

fn read_contents(
    catalogue: &Catalogue,
    variants: &Variants,
    worn: &mut BTreeMap<u32, WornVariant>,
) -> rusqlite::Result<()> {
    let mut statement =
        catalogue.connection.prepare("select content_id from picture where product_id = ? order by position")?;
    for (variant, worn) in worn {
        let rows =
            statement.query_map([&variants.all[*variant as usize].product.id], |row| row.get(0).map(ContentId))?;
        worn.contents = rows.collect::<rusqlite::Result<Vec<ContentId>>>()?;
    }
    Ok(())
}

fn move_pictures(pictures: &mut MergedRows, worn: &BTreeMap<u32, WornVariant>, length: usize, variants: &Variants) {
    for (row, values) in pictures.rows.iter_mut().zip(pictures.matrix.chunks_exact_mut(length)) {
        let group = &variants.groups[row.group as usize];
        let shows = worn.range(group.clone()).filter(|(_, worn)| worn.contents.contains(&row.content));
        let views = shows.flat_map(|(_, worn)| worn.views.iter().map(Vec::as_slice));
        if let Some(mean) = mean(views) {
            move_towards(values, &mean);
            row.worn = MOVED;
        }
    }
}

/// Puts the mean of each variant's worn views behind its own pictures.
fn with_means(
    pictures: MergedRows,
    worn: &BTreeMap<u32, WornVariant>,
    length: usize,
    variants: &Variants,
) -> MergedRows {
    let mut rows: Vec<(IndexRow, Vec<f32>)> =
        pictures.rows.into_iter().zip(pictures.matrix.chunks_exact(length).map(<[f32]>::to_vec)).collect();
    for (variant, worn) in worn {
        // It is shown with a picture of the shop.
        let (Some(mean), Some(&content)) = (mean(worn.views.iter().map(Vec::as_slice)), worn.contents.first()) else {
            continue;
        };
        let (group, variant, class) = (variants.group_of(*variant), *variant, worn.class);
        rows.push((IndexRow { group, variant, content, class, region: String::new(), worn: 1.0 }, mean));
    }
    // Stable, and variants of a group stand together: by variant is by group, too.
    rows.sort_by_key(|(row, _)| row.variant);
    let (rows, values): (Vec<IndexRow>, Vec<Vec<f32>>) = rows.into_iter().unzip();
    MergedRows { rows, matrix: values.concat() }
}
