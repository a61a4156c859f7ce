//! Reading an index from the tables: variants and their groups, rows, descriptors.

use super::check::decode_embedding;
use super::product::{ContentId, ProductSummary};
use super::store::Catalogue;
use crate::fault::{Fault, Kind, Result};
use crate::seam::{EmbeddingHead, Region};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// The column that holds the embeddings of a head.
pub(super) fn column(head: EmbeddingHead) -> &'static str {
    match head {
        EmbeddingHead::Match => "match_embedding",
        EmbeddingHead::Aggregation => "aggregation_embedding",
    }
}

/// What one search result is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grouping {
    /// All sizes and colours of a garment: the rows of one `item_group_id`.
    #[default]
    Style,
    /// Each row of the feed.
    Variant,
}

/// One row of the feed, as the index knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    pub product: ProductSummary,
    /// Its first picture.
    pub main: Option<ContentId>,
}

/// All variants, those of a group together, groups in the feed's order.
#[derive(Clone, Debug)]
pub(super) struct Variants {
    pub by: Grouping,
    pub all: Vec<Variant>,
    /// Of each group its variants.
    pub groups: Vec<Range<u32>>,
    /// Of each group the region that its texts say.
    pub regions: Vec<Option<Region>>,
    /// By id.
    numbers: HashMap<String, u32>,
}

impl Variants {
    /// The place of the variant `id` in [`Variants::all`].
    pub fn number(&self, id: &str) -> Option<u32> {
        self.numbers.get(id).copied()
    }

    /// The group of a variant.
    pub fn group_of(&self, variant: u32) -> u32 {
        self.groups.partition_point(|group| group.end <= variant) as u32
    }
}

#[cfg(test)]
impl Variants {
    /// `count` products of one variant each, all of one region.
    pub fn plain(count: usize, region: Region) -> Self {
        let variant = Variant { product: ProductSummary::default(), main: None };
        Variants {
            by: Grouping::Style,
            all: vec![variant; count],
            groups: (0..count as u32).map(|number| number..number + 1).collect(),
            regions: vec![Some(region); count],
            numbers: HashMap::new(),
        }
    }
}

/// A row of the gallery to be.
pub(super) struct IndexRow {
    pub group: u32,
    pub variant: u32,
    pub content: ContentId,
    pub class: i64,
    /// As in `descriptor`.
    pub region: String,
    /// How much of the row is worn views: 0 for a picture alone, 1 for worn views alone; `content` is then the picture that is shown for
    /// them.
    pub worn: f32,
}

/// What the rows of one group have in common.
#[derive(PartialEq, Eq, Hash)]
enum GroupKey {
    Group(String),
    Single(String),
}

pub(super) fn read_variants(catalogue: &Catalogue, by: Grouping) -> rusqlite::Result<Variants> {
    let query =
        "select id, title, brand, price, color, size, availability, product_type, link, item_group_id, sale_price,
                 sale_price_effective_date, quantity, location, region
                 from product order by position, id";
    let mut statement = catalogue.connection.prepare(query)?;
    let mut rows = statement.query([])?;
    let mut ordinals: HashMap<GroupKey, u32> = HashMap::new();
    let mut read: Vec<(u32, Variant)> = Vec::new();
    let mut regions: Vec<Option<Region>> = Vec::new();
    while let Some(row) = rows.next()? {
        let product = summary(row)?;
        let key = match &product.item_group_id {
            Some(group) if by == Grouping::Style => GroupKey::Group(group.clone()),
            _ => GroupKey::Single(product.id.clone()),
        };
        let next = ordinals.len() as u32;
        let group = *ordinals.entry(key).or_insert(next);
        let region = row.get::<_, Option<String>>(14)?.and_then(|name| Region::named(&name));
        if group == next {
            regions.push(region);
        } else {
            regions[group as usize] = regions[group as usize].or(region);
        }
        read.push((group, Variant { product, main: None }));
    }
    // Stable: variants stay in the feed's order.
    read.sort_by_key(|(group, _)| *group);
    let mut groups: Vec<Range<u32>> = vec![0..0; regions.len()];
    for (number, (group, _)) in (0u32..).zip(&read) {
        let range = &mut groups[*group as usize];
        if range.end == 0 {
            range.start = number;
        }
        range.end = number + 1;
    }
    let numbers = read.iter().zip(0u32..).map(|((_, variant), number)| (variant.product.id.clone(), number)).collect();
    Ok(Variants { by, all: read.into_iter().map(|(_, variant)| variant).collect(), groups, regions, numbers })
}

fn summary(row: &rusqlite::Row) -> rusqlite::Result<ProductSummary> {
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
        item_group_id: row.get(9)?,
        sale_price: row.get(10)?,
        sale_price_effective_date: row.get(11)?,
        quantity: row.get(12)?,
        location: row.get(13)?,
    })
}

/// The rows by group, variant and position of the picture. A picture that several variants show, as sizes do, is one row. A close-up
/// is left out if the variant has another picture.
pub(super) fn read_rows(catalogue: &Catalogue, variants: &Variants) -> rusqlite::Result<Vec<IndexRow>> {
    let query = "select product.id, shown.content_id, descriptor.region, class, shown.position, detail
                 from product
                 join picture_version as shown on shown.product_id = product.id and shown.since = product.since
                 join descriptor on descriptor.content_id = shown.content_id
                 and descriptor.region = coalesce(product.region, '')";
    let mut statement = catalogue.connection.prepare(query)?;
    let mut cursor = statement.query([])?;
    let mut rows: Vec<(i64, bool, IndexRow)> = Vec::new();
    let mut whole: HashSet<u32> = HashSet::new();
    while let Some(row) = cursor.next()? {
        let Some(&variant) = variants.numbers.get(row.get_ref(0)?.as_str()?) else { continue };
        let group = variants.group_of(variant);
        let content = ContentId(row.get(1)?);
        let read = IndexRow { group, variant, content, region: row.get(2)?, class: row.get(3)?, worn: 0.0 };
        let detail: bool = row.get(5)?;
        if !detail {
            whole.insert(variant);
        }
        rows.push((row.get(4)?, detail, read));
    }
    rows.retain(|(_, detail, row)| !detail || !whole.contains(&row.variant));
    rows.sort_by_key(|(position, _, row)| (row.variant, *position));
    let mut seen: HashSet<(u32, ContentId)> = HashSet::with_capacity(rows.len());
    let mut kept: Vec<IndexRow> = Vec::with_capacity(rows.len());
    kept.extend(rows.into_iter().map(|(_, _, row)| row).filter(|row| seen.insert((row.group, row.content))));
    Ok(kept)
}

/// The embeddings of the rows, in the order of the rows; the table is read once from beginning to end.
pub(super) fn read_matrix(
    catalogue: &Catalogue,
    head: EmbeddingHead,
    length: usize,
    rows: &[IndexRow],
    variants: &Variants,
) -> Result<Vec<f32>> {
    let fail = |error| catalogue.fault("read", error);
    let mut places: HashMap<(i64, &str), Vec<usize>> = HashMap::with_capacity(rows.len());
    for (place, row) in rows.iter().enumerate() {
        places.entry((row.content.0, row.region.as_str())).or_default().push(place);
    }
    let mut matrix = vec![f32::NAN; rows.len() * length];
    let query = format!("select content_id, region, {} from descriptor", column(head));
    let mut statement = catalogue.connection.prepare(&query).map_err(fail)?;
    let mut cursor = statement.query([]).map_err(fail)?;
    while let Some(row) = cursor.next().map_err(fail)? {
        let content: i64 = row.get(0).map_err(fail)?;
        let region = row.get_ref(1).and_then(|region| Ok(region.as_str()?)).map_err(fail)?;
        let Some(places) = places.get(&(content, region)) else { continue };
        let blob = row.get_ref(2).and_then(|blob| Ok(blob.as_blob()?)).map_err(fail)?;
        if blob.len() != 4 * length {
            continue;
        }
        for place in places {
            let slot = &mut matrix[place * length..(place + 1) * length];
            slot.iter_mut().zip(decode_embedding(blob)).for_each(|(slot, value)| *slot = value);
        }
    }
    // Values without a usable descriptor are still NaN.
    match matrix.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(unusable(catalogue, &variants.all[rows[at / length].variant as usize].product.id)),
        None => Ok(matrix),
    }
}

fn unusable(catalogue: &Catalogue, id: &str) -> Fault {
    let text = format!("the catalogue {}: a descriptor of product {id:?} cannot be used", catalogue.path().display());
    Fault::new(Kind::Catalogue, text).cure(format!("run `{}`", super::store::import_command(catalogue.path())))
}
