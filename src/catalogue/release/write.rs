//! Making the files of a release: a snapshot from products, or the difference of two catalogues.

use super::worn::copy_worn;
use super::{descriptor_columns, seal, seen};
use crate::catalogue::history::{self, Counts};
use crate::catalogue::images::Sha;
use crate::catalogue::product::{ModelStamp, Product, ShopPicture};
use crate::catalogue::records::PRODUCT_COLUMNS;
use crate::catalogue::rows::{Shown, check_embeddings, insert_content, write_product};
use crate::catalogue::store::{Catalogue, same_model, sql_fault};
use crate::fault::{Fault, Kind, Result};
use crate::seam::Region;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use std::collections::HashMap;
use std::path::Path;

/// A product with its pictures, as a release has it.
#[derive(Clone, Debug)]
pub struct ReleaseProduct {
    /// Order in the shop's feed.
    pub position: i64,
    pub product: Product,
    pub pictures: Vec<ReleasePicture>,
}

/// One picture of it.
#[derive(Clone, Debug)]
pub struct ReleasePicture {
    /// 0 is the main picture.
    pub position: i64,
    /// The link as the feed says it.
    pub link: String,
    pub sha256: Sha,
    pub picture: ShopPicture,
}

/// Makes the snapshot `path` from the pages that `next` gives until one is empty. A product without pictures is left out.
pub fn write_snapshot(
    path: &Path,
    stamp: &ModelStamp,
    source: &str,
    mut next: impl FnMut() -> Result<Vec<ReleaseProduct>>,
) -> Result<()> {
    let fail = |error| sql_fault(path, "write", error);
    let mut catalogue = new_file(path)?;
    let transaction = catalogue.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
    let generation = history::begin(&transaction, source).map_err(fail)?;
    let mut contents: HashMap<(Sha, Option<Region>), i64> = HashMap::new();
    loop {
        let page = next()?;
        if page.is_empty() {
            break;
        }
        for product in page {
            write_one(&transaction, generation, stamp, product, &mut contents, path)?;
        }
    }
    transaction
        .execute(
            "insert into model values (1, ?, ?, ?)",
            params![stamp.name, stamp.descriptor_hash, stamp.embedding as i64],
        )
        .map_err(fail)?;
    history::complete(&transaction, generation, Counts::default()).map_err(fail)?;
    transaction.commit().map_err(fail)?;
    seal(catalogue)
}

fn write_one(
    transaction: &Transaction,
    generation: i64,
    stamp: &ModelStamp,
    product: ReleaseProduct,
    contents: &mut HashMap<(Sha, Option<Region>), i64>,
    path: &Path,
) -> Result<()> {
    let fail = |error| sql_fault(path, "write", error);
    let region = product.product.region();
    let mut shown = Vec::with_capacity(product.pictures.len());
    for picture in product.pictures {
        let content = match contents.get(&(picture.sha256, region)) {
            Some(content) => *content,
            None => {
                check_embeddings(&picture.picture.detection, stamp.embedding, Path::new(&picture.link))?;
                let content = insert_content(transaction, &picture.sha256, region, &picture.picture).map_err(fail)?;
                contents.insert((picture.sha256, region), content);
                content
            }
        };
        shown.push(Shown { position: picture.position, link: picture.link, content });
    }
    if shown.is_empty() {
        return Ok(());
    }
    write_product(transaction, generation, product.position, &product.product, &shown).map_err(fail)
}

/// Makes `path` what has to change in the catalogue `old` so that it becomes `new`; without `old` it is a snapshot of `new`.
/// False, and no file, where another model embedded the old one.
pub fn write_difference(old: Option<&Path>, new: &Path, path: &Path, source: &str) -> Result<bool> {
    // Opening brings both to this vetrina's schema.
    let stamp = Catalogue::open(new)?.stamp()?;
    let stamp = stamp
        .ok_or_else(|| Fault::new(Kind::Catalogue, format!("the catalogue {} has no products yet", new.display())))?;
    if let Some(old) = old {
        let before = Catalogue::open(old)?.stamp()?;
        if !before.is_some_and(|before| same_model(&before, &stamp)) {
            return Ok(false);
        }
    }
    let fail = |error| sql_fault(path, "write", error);
    let mut catalogue = new_file(path)?;
    attach(&catalogue.connection, new, "new").map_err(|error| sql_fault(new, "open", error))?;
    if let Some(old) = old {
        attach(&catalogue.connection, old, "old").map_err(|error| sql_fault(old, "open", error))?;
    }
    let transaction = catalogue.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
    let generation = history::begin(&transaction, source).map_err(fail)?;
    difference(&transaction, generation, old.is_some()).map_err(fail)?;
    history::complete(&transaction, generation, Counts::default()).map_err(fail)?;
    transaction.commit().map_err(fail)?;
    seal(catalogue)?;
    Ok(true)
}

fn difference(transaction: &Transaction, generation: i64, has_old: bool) -> rusqlite::Result<()> {
    let columns = format!("{PRODUCT_COLUMNS}, position, region");
    let seen_columns = descriptor_columns(transaction)?;
    transaction.execute_batch("create temp table changed (id text primary key not null) without rowid;")?;
    if has_old {
        let row = |name: &str| {
            let columns = ["source", "sha256"].into_iter().chain(seen_columns.iter().map(String::as_str));
            columns.map(|column| format!("{name}.{column}")).collect::<Vec<_>>().join(", ")
        };
        let same = format!("({}) is ({})", row("n"), row("o"));
        let (new, old) = (seen("new", &seen_columns), seen("old", &seen_columns));
        transaction.execute_batch(&format!(
            "insert or ignore into changed
               select id from (select {columns} from new.product except select {columns} from old.product);
             insert or ignore into changed
               select n.product_id from ({new}) as n left join ({old}) as o
               on o.product_id = n.product_id and o.position = n.position
               where o.product_id is null or not {same};
             insert or ignore into changed
               select o.product_id from ({old}) as o left join ({new}) as n
               on o.product_id = n.product_id and o.position = n.position
               where n.product_id is null and o.product_id in (select id from new.product);
             create table removed (id text primary key not null) strict, without rowid;
             insert into removed select id from old.product where id not in (select id from new.product);"
        ))?;
    } else {
        transaction.execute_batch("insert into changed select id from new.product")?;
    }
    let of = |name: &str| seen_columns.iter().map(|column| format!("{name}.{column}")).collect::<Vec<_>>().join(", ");
    let (known, same_descriptor) = match has_old {
        false => ("false", "false".to_owned()),
        true => (
            "exists (select 1 from old.content as before where before.sha256 = content.sha256)",
            format!(
                "exists (select 1 from old.content as before join old.descriptor as one on one.content_id = before.id
                   where before.sha256 = content.sha256 and one.region = descriptor.region and ({}) is ({}))",
                of("one"),
                of("descriptor")
            ),
        ),
    };
    let seen_list = seen_columns.join(", ");
    transaction.execute_batch(&format!(
        "insert into main.model select * from new.model;
         insert into main.product_version ({columns}, since)
           select {columns}, {generation} from new.product where id in (select id from changed);
         insert into main.content (sha256, thumbnail)
           select content.sha256, case when {known} then x'' else content.thumbnail end
           from new.content as content where content.id in
             (select content_id from new.picture where product_id in (select id from changed));
         insert into main.descriptor (content_id, region, {seen_list})
           select mine.id, descriptor.region, {seen_list}
           from main.content as mine join new.content as content on content.sha256 = mine.sha256
           join new.descriptor as descriptor on descriptor.content_id = content.id
           where not {same_descriptor} and descriptor.region in
             (select coalesce(product.region, '') from new.picture as shown join new.product as product
              on product.id = shown.product_id where shown.content_id = content.id);
         insert into main.picture_version
           select shown.product_id, {generation}, shown.position, shown.source, mine.id
           from new.picture as shown join new.content as content on content.id = shown.content_id
           join main.content as mine on mine.sha256 = content.sha256
           where shown.product_id in (select id from changed);
         drop table changed;"
    ))?;
    copy_worn(transaction, "new", if has_old { "uid not in (select uid from old.enrolment)" } else { "true" })
}

/// Opens another catalogue's file beside the one of `connection`.
pub(super) fn attach(connection: &Connection, path: &Path, name: &str) -> rusqlite::Result<()> {
    let path = path.to_string_lossy();
    connection.execute(&format!("attach database ? as {name}"), [path.as_ref()]).map(drop)
}

/// An empty catalogue that is written without a journal: it is complete before anybody is given it, and thrown away if that fails.
fn new_file(path: &Path) -> Result<Catalogue> {
    Catalogue::delete(path)?;
    let catalogue = Catalogue::create_or_open(path)?;
    let settings = "pragma main.journal_mode = off; pragma main.synchronous = off";
    catalogue.connection.execute_batch(settings).map_err(|error| sql_fault(path, "set up", error))?;
    Ok(catalogue)
}
