//! Products one by one: list, show, export, thumbnails.

use super::product::{ContentId, PictureDetail, Product, ProductDetail, split_links};
use super::store::Catalogue;
use crate::fault::{Fault, Kind, Result};
use rusqlite::{Connection, OptionalExtension, Row};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;

/// All columns of `product` but its position, in the order of [`product_from`] and [`EXPORT_COLUMNS`].
pub(super) const PRODUCT_COLUMNS: &str =
    "id, title, link, image_link, additional_image_link, availability, price, brand,
    color, size, product_type, item_group_id, sale_price, sale_price_effective_date, quantity, location, gtin";

/// The header of an export: Google Merchant's names.
pub const EXPORT_COLUMNS: [&str; 17] = [
    "id",
    "title",
    "link",
    "image_link",
    "additional_image_link",
    "availability",
    "price",
    "brand",
    "color",
    "size",
    "product_type",
    "item_group_id",
    "sale_price",
    "sale_price_effective_date",
    "quantity",
    "location",
    "gtin",
];

/// Reads the [`PRODUCT_COLUMNS`], which stand first in the row.
pub(super) fn product_from(row: &Row) -> rusqlite::Result<Product> {
    let additional: Option<String> = row.get(4)?;
    Ok(Product {
        id: row.get(0)?,
        title: row.get(1)?,
        link: row.get(2)?,
        image_link: row.get(3)?,
        additional_image_links: additional.as_deref().map(split_links).unwrap_or_default(),
        availability: row.get(5)?,
        price: row.get(6)?,
        brand: row.get(7)?,
        color: row.get(8)?,
        size: row.get(9)?,
        product_type: row.get(10)?,
        item_group_id: row.get(11)?,
        sale_price: row.get(12)?,
        sale_price_effective_date: row.get(13)?,
        quantity: row.get(14)?,
        location: row.get(15)?,
        gtin: row.get(16)?,
    })
}

impl Product {
    /// The values of [`EXPORT_COLUMNS`].
    pub fn fields(&self) -> [String; 17] {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        [
            self.id.clone(),
            self.title.clone(),
            text(&self.link),
            self.image_link.clone(),
            self.additional_image_links.join(","),
            text(&self.availability),
            text(&self.price),
            text(&self.brand),
            text(&self.color),
            text(&self.size),
            text(&self.product_type),
            text(&self.item_group_id),
            text(&self.sale_price),
            text(&self.sale_price_effective_date),
            text(&self.quantity),
            text(&self.location),
            text(&self.gtin),
        ]
    }
}

impl Catalogue {
    /// All products in the feed's order, each with the number of its pictures.
    pub fn list(&self) -> Result<Vec<(Product, usize)>> {
        let query = format!(
            "select {PRODUCT_COLUMNS}, (select count(*) from picture_version as shown where shown.product_id = product.id and shown.since = product.since)
             from product order by position, id"
        );
        let read = || {
            let mut statement = self.connection.prepare(&query)?;
            let rows = statement.query_map([], |row| {
                let pictures: i64 = row.get(17)?;
                Ok((product_from(row)?, usize::try_from(pictures).unwrap_or(0)))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|error| self.fault("read", error))
    }

    /// The title of each product, by its `item_group_id`, or its id where it has none: that of the first variant.
    pub fn titles(&self) -> Result<HashMap<String, String>> {
        let read = || {
            let query = "select coalesce(item_group_id, id), title from product order by position desc, id desc";
            let mut statement = self.connection.prepare(query)?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<HashMap<String, String>>>()
        };
        read().map_err(|error| self.fault("read", error))
    }

    /// The product `id` with its pictures; `None` where there is no such product.
    pub fn get(&self, id: &str) -> Result<Option<ProductDetail>> {
        let read = || {
            let query = format!("select {PRODUCT_COLUMNS} from product where id = ?");
            let product = self.connection.query_row(&query, [id], product_from).optional()?;
            product
                .map(|product| Ok(ProductDetail { product, pictures: pictures_of(&self.connection, id)? }))
                .transpose()
        };
        read().map_err(|error| self.fault("read", error))
    }

    /// The product `id` with its pictures.
    ///
    /// # Errors
    /// Also [`Kind::Usage`] where there is no such product.
    pub fn require(&self, id: &str) -> Result<ProductDetail> {
        self.get(id)?.ok_or_else(|| no_product(&self.connection, id))
    }

    /// The product of this id, or the one whose label has this number; `None` where there is none.
    ///
    /// # Errors
    /// [`Kind::Usage`] where several products have the number.
    pub fn named(&self, name: &str) -> Result<Option<ProductDetail>> {
        if let Some(detail) = self.get(name)? {
            return Ok(Some(detail));
        }
        let coded: Vec<Product> = self.with_code(name)?;
        match &coded[..] {
            [] => Ok(None),
            [one] => self.get(&one.id),
            [one, other, ..] => {
                let text = format!("{} and {} have the number {name:?}", one.id, other.id);
                Err(Fault::new(Kind::Usage, text).cure("say which by its id"))
            }
        }
    }

    fn with_code(&self, code: &str) -> Result<Vec<Product>> {
        let read = || {
            let query = format!("select {PRODUCT_COLUMNS} from product where gtin is not null order by position, id");
            let mut statement = self.connection.prepare(&query)?;
            let rows = statement.query_map([], product_from)?;
            rows.filter(|row| row.as_ref().map_or(true, |one| one.has_code(code))).collect::<rusqlite::Result<_>>()
        };
        read().map_err(|error| self.fault("read", error))
    }

    /// The JPEG thumbnail of a product's first picture; `None` where there is no such product.
    pub fn thumbnail(&self, id: &str) -> Result<Option<Vec<u8>>> {
        let query = "select thumbnail from picture join content on content.id = content_id
                     where product_id = ? order by position limit 1";
        self.connection
            .prepare_cached(query)
            .and_then(|mut statement| statement.query_row([id], |row| row.get(0)).optional())
            .map_err(|error| self.fault("read", error))
    }

    /// The JPEG thumbnail of one picture, such as the one that matched; `None` where it is gone.
    pub fn picture_thumbnail(&self, content: ContentId) -> Result<Option<Vec<u8>>> {
        self.connection
            .prepare_cached("select thumbnail from content where id = ?")
            .and_then(|mut statement| statement.query_row([content.0], |row| row.get(0)).optional())
            .map_err(|error| self.fault("read", error))
    }

    /// Writes the catalogue as a feed (CSV, UTF-8): importing it again changes nothing.
    ///
    /// # Errors
    /// [`Kind::Storage`], with the I/O error as its cause, where `writer` refuses.
    pub fn export(&self, writer: impl io::Write) -> Result<()> {
        let products = self.list()?;
        let mut csv = csv::Writer::from_writer(writer);
        let mut write = || -> io::Result<()> {
            csv.write_record(EXPORT_COLUMNS)?;
            for (product, _) in &products {
                csv.write_record(product.fields())?;
            }
            csv.flush()
        };
        write().map_err(|error| Fault::new(Kind::Storage, "cannot write the export").cause(error))
    }
}

fn pictures_of(connection: &Connection, id: &str) -> rusqlite::Result<Vec<PictureDetail>> {
    let query = "select picture.position, source, sha256, class, score, x1, y1, x2, y2, length(thumbnail)
                 from picture join content on content.id = picture.content_id join product on product.id = product_id
                 join descriptor on descriptor.content_id = content.id
                 and descriptor.region = coalesce(product.region, '')
                 where product_id = ? order by picture.position";
    let mut statement = connection.prepare(query)?;
    let rows = statement.query_map([id], |row| {
        let number = |column: usize| row.get::<_, i64>(column).map(|value| usize::try_from(value).unwrap_or(0));
        let real = |column: usize| row.get::<_, f64>(column).map(|value| value as f32);
        Ok(PictureDetail {
            position: number(0)?,
            source: row.get(1)?,
            sha256: hex(&row.get::<_, Vec<u8>>(2)?),
            class: number(3)?,
            score: real(4)?,
            bounds: [real(5)?, real(6)?, real(7)?, real(8)?],
            thumbnail_bytes: number(9)?,
        })
    })?;
    rows.collect()
}

pub(super) fn no_product(connection: &Connection, id: &str) -> Fault {
    let catalogue = connection.path().unwrap_or_default();
    Fault::new(Kind::Usage, format!("the catalogue {catalogue} has no product {id:?}"))
        .cure("see `vetrina catalogue list`")
}

/// Bytes in hexadecimal, lower case.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Deletes contents (and with them descriptors) that no kept generation shows, and descriptors of regions that none asks for.
///
/// The subqueries are answered by indexes. Without them SQLite would read every row, and thumbnails and embeddings with it: gigabytes for
/// a change of one price.
pub(super) fn drop_unused_contents(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(UNUSED_CONTENTS).and_then(|()| connection.execute_batch(UNUSED_DESCRIPTORS))
}

const UNUSED_CONTENTS: &str = "
    delete from content where id in (
      select id from content where not exists (select 1 from picture_version where content_id = content.id))";
const UNUSED_DESCRIPTORS: &str = "
    delete from descriptor where rowid in (
      select rowid from descriptor where not exists (
        select 1 from picture_version as shown join product_version as product
        on product.id = shown.product_id and product.since = shown.since
        where shown.content_id = descriptor.content_id and coalesce(product.region, '') = descriptor.region))";
/// Hash, region and row of each picture's content that has a descriptor. The order of the join keeps it within the indexes.
pub(super) const KNOWN_CONTENTS: &str =
    "select sha256, region, id from content cross join descriptor on content_id = id";

#[cfg(test)]
mod tests {
    use super::*;

    /// What SQLite does for a query, a line each.
    fn steps(query: &str) -> Vec<String> {
        let catalogue = Catalogue::in_memory().unwrap();
        let mut statement = catalogue.connection.prepare(&format!("explain query plan {query}")).unwrap();
        let steps = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
        steps.collect::<rusqlite::Result<_>>().unwrap()
    }

    #[test]
    fn thumbnails_and_embeddings_are_not_read_to_find_pictures() {
        for query in [UNUSED_CONTENTS, UNUSED_DESCRIPTORS, KNOWN_CONTENTS] {
            let steps = steps(query);
            let whole: Vec<&String> = steps.iter().filter(|step| step.starts_with("SCAN")).collect();
            assert!(!whole.is_empty(), "{steps:#?}");
            assert!(whole.iter().all(|step| step.contains("COVERING INDEX")), "{steps:#?}");
        }
        let by_row = |step: &String| step.contains("content USING INTEGER PRIMARY KEY");
        assert!(!steps(KNOWN_CONTENTS).iter().any(by_row), "each content would be read for its hash");
    }
}
