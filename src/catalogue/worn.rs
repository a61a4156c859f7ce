//! Worn views: what the network saw of a product on a person before the mirror. They change how the product is searched for.
//!
//! Writing, listing, counting, undoing. How they come into the index: `worn_rows` and [`super::worn_shift`]; into a file for the shop's other mirrors:
//! [`super::worn_file`].

use super::check::decode_embedding;
use super::product::ModelStamp;
use super::records::no_product;
use super::store::{Catalogue, read_stamp, same_model};
use crate::fault::{Fault, Kind, Result};
use crate::seam::Embedding;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::Serialize;
use std::collections::BTreeMap;

/// Views of one product that one enrolment keeps at most.
pub const MOST_VIEWS: usize = 8;

/// One moment of a worn product, as numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct WornView {
    /// Index into the model's class names.
    pub class: usize,
    /// Softmax probability of `class`, 0 to 1.
    pub score: f32,
    /// Beside the sharpest of the same enrolment, 0 to 1.
    pub sharpness: f32,
    pub match_embedding: Embedding,
    pub aggregation_embedding: Embedding,
}

/// A product with the views that are to be kept of it, the best choice of any number first.
#[derive(Clone, Debug, PartialEq)]
pub struct WornProduct {
    /// The id of a row of the feed.
    pub id: String,
    pub views: Vec<WornView>,
}

/// An enrolment that the catalogue keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Enrolment {
    /// Counted from 1, never used twice.
    pub number: i64,
    /// The same on every mirror of the shop.
    pub uid: String,
    /// UTC, RFC 3339.
    pub made: String,
    pub camera: String,
    /// Views of each product.
    pub products: BTreeMap<String, usize>,
    #[serde(skip)]
    pub model: ModelStamp,
}

impl Enrolment {
    /// "8 views of V101, 3 views of V143"
    pub fn views_text(&self) -> String {
        let products: Vec<String> = self.products.iter().map(|(id, views)| format!("{views} views of {id}")).collect();
        products.join(", ")
    }
}

/// What an enrolment is known by on every mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolmentOrigin {
    pub uid: String,
    pub made: String,
    pub camera: String,
    pub model: ModelStamp,
}

impl Catalogue {
    /// Stores views of worn products: all of them or none.
    ///
    /// # Errors
    /// [`Kind::Usage`] where the catalogue has no such product; [`Kind::Catalogue`] where another model embedded it;
    /// [`Kind::Input`] where there is nothing to keep; [`Kind::Busy`] while an import writes.
    pub fn enrol(&mut self, camera: &str, model: &ModelStamp, products: &[WornProduct]) -> Result<Enrolment> {
        self.enrol_and(camera, model, products, |_, _| Ok(()))
    }

    /// [`Self::enrol`] and `more`, in one transaction.
    pub(super) fn enrol_and(
        &mut self,
        camera: &str,
        model: &ModelStamp,
        products: &[WornProduct],
        more: impl FnOnce(&Transaction, &dyn Fn(rusqlite::Error) -> Fault) -> Result<()>,
    ) -> Result<Enrolment> {
        self.require_model(model)?;
        if products.iter().all(|product| product.views.is_empty()) {
            return Err(Fault::new(Kind::Input, "no good view of the product was seen")
                .cure("stand before the camera so that the whole garment is in the picture, in good light"));
        }
        let number = self.change(|transaction, fail| {
            more(transaction, fail)?;
            for product in products {
                if !has_product(transaction, &product.id).map_err(fail)? {
                    return Err(no_product(transaction, &product.id));
                }
            }
            let origin = new_origin(transaction, camera, model).map_err(fail)?;
            insert(transaction, &origin, products)
                .map_err(fail)?
                .ok_or_else(|| Fault::new(Kind::Internal, "an enrolment's uid was drawn twice"))
        })?;
        self.enrolment(number)
    }

    /// All enrolments, the newest first.
    pub fn enrolments(&self) -> Result<Vec<Enrolment>> {
        read_enrolments(&self.connection).map_err(|error| self.fault("read", error))
    }

    fn enrolment(&self, number: i64) -> Result<Enrolment> {
        let found = self.enrolments()?.into_iter().find(|enrolment| enrolment.number == number);
        found.ok_or_else(|| no_enrolment(Some(number)))
    }

    /// Forgets an enrolment, by default the newest, with all its views.
    ///
    /// # Errors
    /// [`Kind::Usage`] where there is none.
    pub fn undo_enrolment(&mut self, number: Option<i64>) -> Result<Enrolment> {
        self.change(|transaction, fail| {
            let kept = read_enrolments(transaction).map_err(fail)?;
            let undone = kept.into_iter().find(|one| number.is_none_or(|number| number == one.number));
            let undone = undone.ok_or_else(|| no_enrolment(number))?;
            transaction.execute("delete from enrolment where number = ?", [undone.number]).map_err(fail)?;
            Ok(undone)
        })
    }

    /// Worn views of each product by the catalogue's model; products without one are absent.
    pub fn worn_views(&self) -> Result<BTreeMap<String, usize>> {
        let read = || {
            let Some(stamp) = read_stamp(&self.connection)? else { return Ok(BTreeMap::new()) };
            let query = "select product_id, count(*) from worn_view join enrolment on number = enrolment
                         where descriptor_hash = ? and embedding = ? group by product_id";
            let mut statement = self.connection.prepare(query)?;
            let rows = statement.query_map(params![stamp.descriptor_hash, stamp.embedding as i64], |row| {
                Ok((row.get(0)?, row.get::<_, i64>(1)? as usize))
            })?;
            rows.collect::<rusqlite::Result<BTreeMap<String, usize>>>()
        };
        read().map_err(|error| self.fault("read", error))
    }

    /// Changes whenever worn views were added or undone.
    pub(super) fn worn_version(&self) -> rusqlite::Result<(i64, i64, String)> {
        let query = "select coalesce(max(number), 0), count(*), coalesce(max(uid), '') from enrolment";
        self.connection.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
    }
}

/// Writes an enrolment; its number, `None` where the catalogue has it already.
pub(super) fn insert(
    transaction: &Transaction,
    origin: &EnrolmentOrigin,
    products: &[WornProduct],
) -> rusqlite::Result<Option<i64>> {
    let known =
        transaction.query_row("select 1 from enrolment where uid = ?", [&origin.uid], |_| Ok(())).optional()?.is_some();
    if known {
        return Ok(None);
    }
    let model = &origin.model;
    transaction.execute(
        "insert into enrolment (uid, made, camera, model_name, descriptor_hash, embedding) values (?, ?, ?, ?, ?, ?)",
        params![origin.uid, origin.made, origin.camera, model.name, model.descriptor_hash, model.embedding as i64],
    )?;
    let number = transaction.last_insert_rowid();
    let mut insert = transaction.prepare_cached("insert into worn_view values (?, ?, ?, ?, ?, ?, ?, ?)")?;
    for product in products {
        for (position, view) in product.views.iter().take(MOST_VIEWS).enumerate() {
            insert.execute(params![
                number,
                product.id,
                position as i64,
                view.class as i64,
                f64::from(view.score.clamp(0.0, 1.0)),
                f64::from(view.sharpness.clamp(0.0, 1.0)),
                blob(&view.match_embedding),
                blob(&view.aggregation_embedding),
            ])?;
        }
    }
    Ok(Some(number))
}

/// The products of an enrolment with their views, in the order of ids.
pub(super) fn read_products(connection: &Connection, number: i64) -> rusqlite::Result<Vec<WornProduct>> {
    let query = "select product_id, class, score, sharpness, match_embedding, aggregation_embedding from worn_view
                 where enrolment = ? order by product_id, position";
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query([number])?;
    let mut products: Vec<WornProduct> = Vec::new();
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        let embedding = |column: usize| -> rusqlite::Result<Embedding> {
            Ok(decode_embedding(row.get_ref(column)?.as_blob()?).collect::<Vec<f32>>().into())
        };
        let view = WornView {
            class: row.get::<_, i64>(1)? as usize,
            score: row.get::<_, f64>(2)? as f32,
            sharpness: row.get::<_, f64>(3)? as f32,
            match_embedding: embedding(4)?,
            aggregation_embedding: embedding(5)?,
        };
        match products.last_mut().filter(|last| last.id == id) {
            Some(product) => product.views.push(view),
            None => products.push(WornProduct { id, views: vec![view] }),
        }
    }
    Ok(products)
}

pub(super) fn read_enrolments(connection: &Connection) -> rusqlite::Result<Vec<Enrolment>> {
    let query = "select number, uid, made, camera, model_name, descriptor_hash, embedding from enrolment
                 order by number desc";
    let mut statement = connection.prepare(query)?;
    let rows = statement.query_map([], |row| {
        let embedding = row.get::<_, i64>(6)? as usize;
        Ok(Enrolment {
            number: row.get(0)?,
            uid: row.get(1)?,
            made: row.get(2)?,
            camera: row.get(3)?,
            products: BTreeMap::new(),
            model: ModelStamp { name: row.get(4)?, descriptor_hash: row.get(5)?, embedding },
        })
    })?;
    let mut enrolments = rows.collect::<rusqlite::Result<Vec<Enrolment>>>()?;
    let mut statement = connection.prepare("select enrolment, product_id from worn_view")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let number: i64 = row.get(0)?;
        if let Some(enrolment) = enrolments.iter_mut().find(|one| one.number == number) {
            *enrolment.products.entry(row.get(1)?).or_default() += 1;
        }
    }
    Ok(enrolments)
}

/// Whether the feed has a row of this id now.
pub(super) fn has_product(connection: &Connection, id: &str) -> rusqlite::Result<bool> {
    let query = "select 1 from product where id = ?";
    connection.prepare_cached(query)?.query_row([id], |_| Ok(())).optional().map(|found| found.is_some())
}

/// Whether views by this model are searched in a catalogue of that one.
pub(super) fn is_used(model: &ModelStamp, catalogue: Option<&ModelStamp>) -> bool {
    catalogue.is_some_and(|stamp| same_model(stamp, model))
}

fn no_enrolment(number: Option<i64>) -> Fault {
    let text = match number {
        Some(number) => format!("there is no enrolment {number}"),
        None => "there is no enrolment to undo".to_owned(),
    };
    Fault::new(Kind::Usage, text).cure("see `vetrina catalogue worn list`")
}

/// A new enrolment, made now. Its uid is drawn: what was seen, and when to the second, may be the same twice.
fn new_origin(connection: &Connection, camera: &str, model: &ModelStamp) -> rusqlite::Result<EnrolmentOrigin> {
    let query = "select lower(hex(randomblob(16))), strftime('%Y-%m-%dT%H:%M:%SZ', 'now')";
    let (uid, made) = connection.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(EnrolmentOrigin { uid, made, camera: camera.into(), model: model.clone() })
}

fn blob(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
