//! A feed into the catalogue: all or nothing.
//!
//! Three phases, so that the caller, who owns network and decoder, may use as many threads as it likes: the caller looks for
//! the feed's pictures ([`ImageFolder::find`](super::images::ImageFolder::find)); [`Catalogue::plan`] knows from their hashes
//! which need the network; the caller embeds each of [`Plan::pending`] in any order and hands it to [`Plan::supply`], which keeps
//! it beside the catalogue (`unfinished`); [`Plan::finish`] puts the pictures into the catalogue in short transactions (`take_in`), and
//! then the products, against what the catalogue is then, in one. Until then the catalogue is not locked: prices and stock may change. A plan that is dropped before, by an error or by a crash,
//! leaves the catalogue as it was, and the next one finds what was embedded.

mod changes;
mod options;
mod take_in;
mod unfinished;

pub use options::{FetchFrom, ImportOptions, MAX_REMOVALS};
pub use unfinished::UnfinishedImport;

use super::feed::{Feed, Problem, Row};
use super::history::{self, Counts};
use super::images::{Found, PictureFile, Sha, collisions, read_picture};
use super::product::{ModelStamp, Product, ShopPicture};
use super::records::{KNOWN_CONTENTS, PRODUCT_COLUMNS, product_from};
use super::report::{ImportReport, SkippedPicture};
use super::rows::{Shown, check_embeddings, region_key, write_product};
use super::settings::{COLUMN_MAP, CURRENCY, write_setting};
use super::store::{Catalogue, read_stamp, same_model, sql_fault, write_stamp};
use crate::fault::{Fault, Kind, Result};
use crate::seam::Region;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// A picture that the network has not seen.
#[derive(Clone, Debug)]
pub struct PendingPicture {
    pub path: PathBuf,
    /// The product is a garment of this region, as its texts say; `None`: it is the largest garment.
    pub region: Option<Region>,
    sha256: Sha,
    line: u64,
}

impl PendingPicture {
    /// The file's bytes.
    ///
    /// # Errors
    /// [`Kind::Input`] where it cannot be read any more or has changed since the plan was made.
    pub fn read(&self) -> Result<Vec<u8>> {
        let (bytes, sha) = read_picture(&self.path).map_err(|reason| Fault::new(Kind::Input, reason))?;
        if sha == self.sha256 {
            Ok(bytes)
        } else {
            Err(Fault::new(Kind::Input, format!("{} changed during the import", self.path.display())))
        }
    }
}

/// What is known of a picture's content under this model.
enum Content {
    /// The row of `content`.
    Known(i64),
    /// It is embedded, and kept in the [`UnfinishedImport`].
    Embedded,
    /// The network found no garment: why.
    Refused(String),
    Pending,
}

/// A picture's content and the region that is looked for in it.
type ContentKey = (Sha, Option<Region>);

struct PlannedProduct {
    line: u64,
    product: Product,
    region: Option<Region>,
    /// Position, link, hash.
    pictures: Vec<(usize, String, Sha)>,
}

/// A product as the catalogue has it before the import.
struct Before {
    product: Product,
    position: i64,
    region: Option<Region>,
    /// None where another model embedded them.
    pictures: Vec<Shown>,
}

impl Before {
    /// Whether the product and the pictures that show it are still these.
    fn is(&self, product: &Product, pictures: &[Shown]) -> bool {
        self.product == *product && self.region == product.region() && self.pictures == pictures
    }
}

/// An import under way.
pub struct Plan<'c> {
    catalogue: &'c mut Catalogue,
    /// None while nothing was embedded.
    unfinished: Option<UnfinishedImport>,
    planned: PlannedFeed,
}

/// A feed and what the catalogue has of it.
struct PlannedFeed {
    options: ImportOptions,
    stamp: ModelStamp,
    /// Whether the catalogue's descriptors are by this model.
    same_model: bool,
    before: HashMap<String, Before>,
    contents: HashMap<ContentKey, Content>,
    seen: HashSet<ContentKey>,
    products: Vec<PlannedProduct>,
    pending: Vec<PendingPicture>,
    report: ImportReport,
}

impl Catalogue {
    /// Begins the import of `feed` for the model `stamp`. `found` says for each of [`Feed::links`] what is there.
    ///
    /// # Errors
    /// [`Kind::Busy`] while another import is under way; [`Kind::Input`] where no row can be used, or, with `strict`, where any
    /// row, picture or column cannot.
    pub fn plan(
        &mut self,
        feed: &Feed,
        found: &HashMap<String, Found>,
        stamp: &ModelStamp,
        options: ImportOptions,
    ) -> Result<Plan<'_>> {
        let unfinished = UnfinishedImport::open_existing(self.file(), stamp)?;
        let mut planned = PlannedFeed {
            options,
            stamp: stamp.clone(),
            same_model: false,
            before: HashMap::new(),
            contents: HashMap::new(),
            seen: HashSet::new(),
            products: Vec::new(),
            pending: Vec::new(),
            report: ImportReport {
                skipped_rows: feed.problems.clone(),
                warnings: feed.warnings().into_iter().chain(collisions(found)).collect(),
                ..ImportReport::default()
            },
        };
        if let Some(unfinished) = &unfinished {
            planned.contents = unfinished.contents()?;
        }
        let fail = |error| sql_fault(&self.path, "read", error);
        let snapshot = self.connection.unchecked_transaction().map_err(fail)?;
        planned.load(&snapshot).map_err(fail)?;
        drop(snapshot);
        for row in &feed.rows {
            planned.add_row(row, found);
        }
        let is_there =
            |wanted: &&ContentKey| matches!(planned.contents[*wanted], Content::Known(_) | Content::Embedded);
        planned.report.pictures_reused = planned.seen.iter().filter(is_there).count();
        planned.require_usable()?;
        Ok(Plan { catalogue: self, unfinished, planned })
    }
}

impl Plan<'_> {
    /// The pictures that need the network, each content once.
    pub fn pending(&self) -> &[PendingPicture] {
        &self.planned.pending
    }

    /// Hands over what came of `pending()[index]`. A [`Kind::Input`] fault (no garment, not a picture) is a reason to skip
    /// the picture; any other fault ends the import.
    ///
    /// # Errors
    /// [`Kind::Busy`] while another import is under way.
    pub fn supply(&mut self, index: usize, result: Result<ShopPicture>) -> Result<()> {
        let picture = &self.planned.pending[index];
        let unfinished = match &mut self.unfinished {
            Some(unfinished) => unfinished,
            none => none.insert(UnfinishedImport::open(self.catalogue.file(), &self.planned.stamp)?),
        };
        let content = match result {
            Ok(shop_picture) => {
                check_embeddings(&shop_picture.detection, self.planned.stamp.embedding, &picture.path)?;
                unfinished.keep(&picture.sha256, picture.region, Ok(&shop_picture))?;
                self.planned.report.pictures_embedded += 1;
                Content::Embedded
            }
            Err(fault) if fault.kind() == Kind::Input => {
                let reason = fault.to_string();
                unfinished.keep(&picture.sha256, picture.region, Err(&reason))?;
                if self.planned.options.strict {
                    let text = format!("the feed's line {}: a picture cannot be used", picture.line);
                    return Err(Fault::new(Kind::Input, text).cause(fault));
                }
                Content::Refused(reason)
            }
            Err(fault) => return Err(fault),
        };
        self.planned.contents.insert((picture.sha256, picture.region), content);
        Ok(())
    }

    /// Writes everything and commits. Every pending picture must have been supplied.
    ///
    /// # Errors
    /// [`Kind::Input`] where no product is left, or too many would be removed; [`Kind::Busy`] where somebody else writes for too
    /// long, or has taken out a picture that was there when the plan was made.
    pub fn finish(self) -> Result<ImportReport> {
        let Plan { catalogue, unfinished, mut planned } = self;
        catalogue.require_in_place()?;
        let path = catalogue.path.clone();
        let fail = |error| sql_fault(&path, "change", error);
        if let Some(unfinished) = &unfinished {
            planned.take_in_beforehand(&mut catalogue.connection, unfinished, &path)?;
            planned.contents.extend(unfinished.contents()?);
        }
        let transaction =
            catalogue.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
        // Prices and stock, or the whole generation, may have changed since the plan was made.
        planned.load(&transaction).map_err(fail)?;
        if !planned.same_model {
            forget_model(&transaction).map_err(fail)?;
        }
        if let Some(unfinished) = &unfinished {
            planned.take_in_rest(&transaction, unfinished, &path)?;
        }
        let kept = planned.kept()?;
        planned.write(&transaction, kept).map_err(fail)?;
        transaction.commit().map_err(fail)?;
        unfinished.map_or(Ok(()), UnfinishedImport::done)?;
        Ok(planned.report)
    }
}

impl PlannedFeed {
    /// The products that have a picture, with those.
    fn kept(&mut self) -> Result<Vec<(Product, Vec<Shown>)>> {
        let products = std::mem::take(&mut self.products);
        let mut kept = Vec::with_capacity(products.len());
        for planned in products {
            let (pictures, skipped) = self.usable_pictures(&planned)?;
            if pictures.is_empty() {
                self.report.skipped_rows.push(no_picture(planned.line, &planned.product, skipped));
            } else {
                self.report.skipped_pictures.extend(skipped);
                kept.push((planned.product, pictures));
            }
        }
        if kept.is_empty() {
            return Err(self.nothing_usable());
        }
        self.require_kept(&kept.iter().map(|(product, _)| product.id.as_str()).collect())?;
        self.report.skipped_rows.sort_by_key(|problem| problem.line);
        self.report.skipped_pictures.sort_by_key(|picture| picture.line);
        Ok(kept)
    }

    /// Reads what is in the catalogue. What another model made of its pictures does not count.
    fn load(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.before.clear();
        self.contents.retain(|_, content| !matches!(content, Content::Known(_)));
        let query = format!("select {PRODUCT_COLUMNS}, position, region from product");
        let mut statement = connection.prepare(&query)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let region = row.get::<_, Option<String>>(18)?.and_then(|name| Region::named(&name));
            let before = Before { product: product_from(row)?, position: row.get(17)?, region, pictures: Vec::new() };
            self.before.insert(before.product.id.clone(), before);
        }
        self.same_model = read_stamp(connection)?.is_some_and(|found| same_model(&found, &self.stamp));
        if self.same_model { self.load_contents(connection) } else { Ok(()) }
    }

    fn load_contents(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut statement = connection.prepare("select product_id, position, source, content_id from picture")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if let Some(before) = self.before.get_mut(row.get_ref(0)?.as_str()?) {
                let [position, content] = [row.get(1)?, row.get(3)?];
                before.pictures.push(Shown { position, link: row.get(2)?, content });
            }
        }
        self.before.values_mut().for_each(|before| before.pictures.sort_by_key(|shown| shown.position));
        let mut statement = connection.prepare(KNOWN_CONTENTS)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            self.contents.insert(wanted(row)?, Content::Known(row.get(2)?));
        }
        let mut statement = connection.prepare("select sha256, region, reason from refusal")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let reason = row.get(2)?;
            self.contents.entry(wanted(row)?).or_insert(Content::Refused(reason));
        }
        Ok(())
    }

    fn add_row(&mut self, row: &Row, found: &HashMap<String, Found>) {
        let mut pictures: Vec<(usize, String, Sha)> = Vec::new();
        let mut skipped = Vec::new();
        let product = row.product_with(found);
        let region = product.region();
        for (position, link) in product.image_links().enumerate() {
            let found = found.get(link).cloned().unwrap_or_else(|| Err(format!("{link} was not looked for")));
            match found {
                // The same picture twice says nothing new.
                Ok(file) if pictures.iter().any(|(_, _, other)| *other == file.sha256) => {}
                Ok(PictureFile { path, sha256, .. }) => {
                    pictures.push((position, link.to_owned(), sha256));
                    self.seen.insert((sha256, region));
                    self.contents.entry((sha256, region)).or_insert_with(|| {
                        self.pending.push(PendingPicture { path, region, sha256, line: row.line });
                        Content::Pending
                    });
                }
                Err(reason) => skipped.push(SkippedPicture {
                    line: row.line,
                    id: product.id.clone(),
                    link: link.to_owned(),
                    reason,
                }),
            }
        }
        if pictures.is_empty() {
            self.report.skipped_rows.push(no_picture(row.line, &product, skipped));
        } else {
            self.report.skipped_pictures.extend(skipped);
            self.products.push(PlannedProduct { line: row.line, product, region, pictures });
        }
    }

    /// Refuses a feed without any product, and with `strict` one with any fault.
    fn require_usable(&self) -> Result<()> {
        let mut complaints = if self.options.strict { self.complaints() } else { Vec::new() }.into_iter();
        if let Some(first) = complaints.next() {
            let more = if complaints.len() == 0 { String::new() } else { format!(" (and {} more)", complaints.len()) };
            return Err(Fault::new(Kind::Input, format!("the feed was refused: {first}{more}"))
                .cure("correct it, or import without --strict to skip what cannot be used"));
        }
        if self.products.is_empty() { Err(self.nothing_usable()) } else { Ok(()) }
    }

    /// All that a strict import does not forgive.
    fn complaints(&self) -> Vec<String> {
        let mut complaints = self.report.warnings.clone();
        let mut add = |line: u64, reason: &str| complaints.push(format!("line {line}: {reason}"));
        self.report.skipped_rows.iter().for_each(|problem| add(problem.line, &problem.reason));
        self.report.skipped_pictures.iter().for_each(|picture| add(picture.line, &picture.reason));
        for planned in &self.products {
            for (_, _, sha) in &planned.pictures {
                if let Some(Content::Refused(reason)) = self.contents.get(&(*sha, planned.region)) {
                    add(planned.line, reason);
                }
            }
        }
        complaints
    }

    fn nothing_usable(&self) -> Fault {
        let text = "no row of the feed can be used, so the catalogue stays as it was";
        match self.report.skipped_rows.iter().min_by_key(|problem| problem.line) {
            Some(problem) => {
                Fault::new(Kind::Input, format!("{text}; the first: line {}: {}", problem.line, problem.reason))
            }
            None => Fault::new(Kind::Input, text).cure("the feed needs at least one product under its first line"),
        }
    }

    /// The pictures of a product that have descriptors, as rows of `picture`; and those that the network refused.
    fn usable_pictures(&self, planned: &PlannedProduct) -> Result<(Vec<Shown>, Vec<SkippedPicture>)> {
        let mut usable = Vec::new();
        let mut skipped = Vec::new();
        for (position, link, sha) in &planned.pictures {
            match self.contents.get(&(*sha, planned.region)) {
                Some(Content::Known(id)) => {
                    usable.push(Shown { position: *position as i64, link: link.clone(), content: *id });
                }
                Some(Content::Refused(reason)) => skipped.push(SkippedPicture {
                    line: planned.line,
                    id: planned.product.id.clone(),
                    link: link.clone(),
                    reason: reason.clone(),
                }),
                Some(Content::Pending) => {
                    return Err(Fault::new(Kind::Internal, format!("the picture {link} was never embedded")));
                }
                Some(Content::Embedded) | None => {
                    let text = format!("the picture {link} was taken out of the catalogue during the import");
                    return Err(Fault::new(Kind::Busy, text).cure("import again: what was embedded is kept"));
                }
            }
        }
        Ok((usable, skipped))
    }

    fn write(&mut self, transaction: &Transaction, kept: Vec<(Product, Vec<Shown>)>) -> rusqlite::Result<()> {
        self.report.products = kept.len();
        let generation = history::begin(transaction, &self.options.source)?;
        for (position, (product, pictures)) in kept.into_iter().enumerate() {
            let position = position as i64;
            let before = self.before.remove(&product.id);
            let same = self.count(before.as_ref(), &product, &pictures);
            if !same || before.is_none_or(|before| before.position != position) {
                write_product(transaction, generation, position, &product, &pictures)?;
            }
        }
        for id in self.before.keys() {
            history::end_version(transaction, id, generation)?;
        }
        self.count_removed();
        self.write_refusals(transaction)?;
        write_stamp(transaction, &self.stamp)?;
        if let Some(map) = &self.options.column_map {
            write_setting(transaction, COLUMN_MAP, &map.to_string())?;
        }
        if let Some(currency) = &self.options.currency {
            write_setting(transaction, CURRENCY, currency.code())?;
        }
        let (added, updated, removed) = (self.report.added, self.report.updated, self.report.removed);
        history::complete(transaction, generation, Counts { added, updated, removed })
    }

    /// Keeps the refusals of this feed's pictures only.
    fn write_refusals(&self, transaction: &Transaction) -> rusqlite::Result<()> {
        transaction.execute("delete from refusal", [])?;
        for (sha, region) in &self.seen {
            if let Some(Content::Refused(reason)) = self.contents.get(&(*sha, *region)) {
                let query = "insert into refusal values (?, ?, ?)";
                transaction.prepare_cached(query)?.execute(params![sha, region_key(*region), reason])?;
            }
        }
        Ok(())
    }
}

/// Takes out all that another model made of the pictures.
fn forget_model(transaction: &Transaction) -> rusqlite::Result<()> {
    history::forget(transaction)?;
    transaction.execute_batch("delete from picture_version; delete from content; delete from refusal;")
}

/// Hash and region in the first two columns.
fn wanted(row: &rusqlite::Row) -> rusqlite::Result<ContentKey> {
    Ok((row.get(0)?, Region::named(row.get_ref(1)?.as_str()?)))
}

/// The problem of a row without any usable picture.
fn no_picture(line: u64, product: &Product, skipped: Vec<SkippedPicture>) -> Problem {
    let reasons: Vec<String> = skipped.into_iter().map(|picture| picture.reason).collect();
    Problem { line, id: Some(product.id.clone()), reason: reasons.join("; ") }
}

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;
