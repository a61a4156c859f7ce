//! A feed into the catalogue: all or nothing.
//!
//! Three phases, so that the caller, who owns network and decoder, may use as many threads as it likes: the caller looks for
//! the feed's pictures ([`ImageFolder::find`](super::images::ImageFolder::find)); [`Catalogue::plan`] takes the write lock and
//! knows from their hashes which need the network; the caller embeds each of
//! [`Plan::pending`] in any order and hands it to [`Plan::supply`]; [`Plan::finish`] writes the products and commits.
//! A plan that is dropped before that, by an error or by a crash, leaves the old catalogue. Readers see the old one
//! until the commit.

mod changes;

use super::feed::{ColumnMap, Feed, Problem, Row};
use super::history::{self, Counts};
use super::images::{Found, PictureFile, Sha, collisions, read_picture};
use super::product::{ModelStamp, Product, ShopPicture};
use super::records::{PRODUCT_COLUMNS, product_from};
use super::report::{ImportReport, SkippedPicture};
use super::rows::{Shown, check_embeddings, insert_content, region_key, write_product};
use super::settings::{COLUMN_MAP, write_setting};
use super::store::{Catalogue, read_stamp, same_model, sql_fault};
use crate::fault::{Fault, Kind, Result};
use crate::seam::Region;
use rusqlite::{Transaction, TransactionBehavior, params};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// A larger share of the products is not removed unless that is allowed.
pub const MAX_REMOVALS: f64 = 0.1;

/// How to import.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// Refuse the feed where any row, picture or column of it cannot be used.
    pub strict: bool,
    /// The largest share of the catalogue's products that the import may remove, 0 to 1: a feed that was cut short removes more.
    pub max_removals: f64,
    /// What made the new generation, for people: "import of feed.csv".
    pub source: String,
    /// The column map to keep for the next import; `None` keeps what was kept.
    pub column_map: Option<ColumnMap>,
}

impl Default for ImportOptions {
    fn default() -> Self {
        ImportOptions { strict: false, max_removals: MAX_REMOVALS, source: "import".into(), column_map: None }
    }
}

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

/// An import under way; holds the catalogue's write lock.
pub struct Plan<'c> {
    transaction: Transaction<'c>,
    path: PathBuf,
    options: ImportOptions,
    stamp: ModelStamp,
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
    /// [`Kind::Busy`] where another process writes; [`Kind::Input`] where no row can be used, or, with `strict`, where any
    /// row, picture or column cannot.
    pub fn plan(
        &mut self,
        feed: &Feed,
        found: &HashMap<String, Found>,
        stamp: &ModelStamp,
        options: ImportOptions,
    ) -> Result<Plan<'_>> {
        let path = self.path.clone();
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| sql_fault(&path, "change", error))?;
        let mut plan = Plan {
            transaction,
            path,
            options,
            stamp: stamp.clone(),
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
        plan.load().map_err(|error| sql_fault(&plan.path, "read", error))?;
        for row in &feed.rows {
            plan.add_row(row, found);
        }
        plan.report.pictures_reused =
            plan.seen.iter().filter(|wanted| matches!(plan.contents[*wanted], Content::Known(_))).count();
        plan.require_usable()?;
        Ok(plan)
    }
}

impl Plan<'_> {
    /// The pictures that need the network, each content once.
    pub fn pending(&self) -> &[PendingPicture] {
        &self.pending
    }

    /// Hands over what came of `pending()[index]`. A [`Kind::Input`] fault (no garment, not a picture) is a reason to skip
    /// the picture; any other fault ends the import.
    pub fn supply(&mut self, index: usize, result: Result<ShopPicture>) -> Result<()> {
        let picture = &self.pending[index];
        let content = match result {
            Ok(shop_picture) => {
                check_embeddings(&shop_picture.detection, self.stamp.embedding, &picture.path)?;
                let id = insert_content(&self.transaction, &picture.sha256, picture.region, &shop_picture)
                    .map_err(|error| sql_fault(&self.path, "change", error))?;
                self.report.pictures_embedded += 1;
                Content::Known(id)
            }
            Err(fault) if fault.kind() == Kind::Input => {
                if self.options.strict {
                    let text = format!("the feed's line {}: a picture cannot be used", picture.line);
                    return Err(Fault::new(Kind::Input, text).cause(fault));
                }
                Content::Refused(fault.to_string())
            }
            Err(fault) => return Err(fault),
        };
        self.contents.insert((picture.sha256, picture.region), content);
        Ok(())
    }

    /// Writes the products and commits. Every pending picture must have been supplied.
    ///
    /// # Errors
    /// [`Kind::Input`] where no product is left, or too many would be removed.
    pub fn finish(mut self) -> Result<ImportReport> {
        let kept = self.kept()?;
        self.write(kept).map_err(|error| sql_fault(&self.path, "change", error))?;
        let path = self.path;
        self.transaction.commit().map_err(|error| sql_fault(&path, "change", error))?;
        Ok(self.report)
    }

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

    /// Reads what is there; forgets all descriptors where another model made them.
    fn load(&mut self) -> rusqlite::Result<()> {
        let query = format!("select {PRODUCT_COLUMNS}, position, region from product_version where until is null");
        let mut statement = self.transaction.prepare(&query)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let region = row.get::<_, Option<String>>(17)?.and_then(|name| Region::named(&name));
            let before = Before { product: product_from(row)?, position: row.get(16)?, region, pictures: Vec::new() };
            self.before.insert(before.product.id.clone(), before);
        }
        drop(rows);
        drop(statement);
        let same = read_stamp(&self.transaction)?.is_some_and(|found| same_model(&found, &self.stamp));
        if !same {
            history::forget(&self.transaction)?;
            let query = "delete from picture_version; delete from content; delete from refusal;";
            return self.transaction.execute_batch(query);
        }
        self.load_contents()
    }

    fn load_contents(&mut self) -> rusqlite::Result<()> {
        let mut statement = self.transaction.prepare("select product_id, position, source, content_id from picture")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if let Some(before) = self.before.get_mut(row.get_ref(0)?.as_str()?) {
                let [position, content] = [row.get(1)?, row.get(3)?];
                before.pictures.push(Shown { position, link: row.get(2)?, content });
            }
        }
        self.before.values_mut().for_each(|before| before.pictures.sort_by_key(|shown| shown.position));
        let query = "select sha256, region, id from content join descriptor on content_id = id";
        let mut statement = self.transaction.prepare(query)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            self.contents.insert(wanted(row)?, Content::Known(row.get(2)?));
        }
        let mut statement = self.transaction.prepare("select sha256, region, reason from refusal")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            self.contents.insert(wanted(row)?, Content::Refused(row.get(2)?));
        }
        Ok(())
    }

    fn add_row(&mut self, row: &Row, found: &HashMap<String, Found>) {
        let mut pictures: Vec<(usize, String, Sha)> = Vec::new();
        let mut skipped = Vec::new();
        let region = row.product.region();
        for (position, link) in row.product.image_links().enumerate() {
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
                    id: row.product.id.clone(),
                    link: link.to_owned(),
                    reason,
                }),
            }
        }
        if pictures.is_empty() {
            self.report.skipped_rows.push(no_picture(row.line, &row.product, skipped));
        } else {
            self.report.skipped_pictures.extend(skipped);
            self.products.push(PlannedProduct { line: row.line, product: row.product.clone(), region, pictures });
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
        if self.products.is_empty() {
            return Err(self.nothing_usable());
        }
        // Before hours of embedding, not after.
        self.require_kept(&self.products.iter().map(|planned| planned.product.id.as_str()).collect())
    }

    /// All that a strict import does not forgive.
    fn complaints(&self) -> Vec<String> {
        let mut complaints = self.report.warnings.clone();
        let mut add = |line: u64, reason: &str| complaints.push(format!("line {line}: {reason}"));
        self.report.skipped_rows.iter().for_each(|problem| add(problem.line, &problem.reason));
        self.report.skipped_pictures.iter().for_each(|picture| add(picture.line, &picture.reason));
        for planned in &self.products {
            for (_, _, sha) in &planned.pictures {
                if let Content::Refused(reason) = &self.contents[&(*sha, planned.region)] {
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
            match &self.contents[&(*sha, planned.region)] {
                Content::Known(id) => {
                    usable.push(Shown { position: *position as i64, link: link.clone(), content: *id });
                }
                Content::Refused(reason) => skipped.push(SkippedPicture {
                    line: planned.line,
                    id: planned.product.id.clone(),
                    link: link.clone(),
                    reason: reason.clone(),
                }),
                Content::Pending => {
                    return Err(Fault::new(Kind::Internal, format!("the picture {link} was never embedded")));
                }
            }
        }
        Ok((usable, skipped))
    }

    fn write(&mut self, kept: Vec<(Product, Vec<Shown>)>) -> rusqlite::Result<()> {
        self.report.products = kept.len();
        let generation = history::begin(&self.transaction, &self.options.source)?;
        for (position, (product, pictures)) in kept.into_iter().enumerate() {
            let position = position as i64;
            let before = self.before.remove(&product.id);
            let same = self.count(before.as_ref(), &product, &pictures);
            if !same || before.is_none_or(|before| before.position != position) {
                write_product(&self.transaction, generation, position, &product, &pictures)?;
            }
        }
        for id in self.before.keys() {
            history::end_version(&self.transaction, id, generation)?;
        }
        self.count_removed();
        self.write_refusals()?;
        self.transaction.execute(
            "insert into model values (1, ?1, ?2, ?3) on conflict (id) do update
             set name = ?1, descriptor_hash = ?2, embedding = ?3",
            params![self.stamp.name, self.stamp.descriptor_hash, self.stamp.embedding as i64],
        )?;
        if let Some(map) = &self.options.column_map {
            write_setting(&self.transaction, COLUMN_MAP, &map.to_string())?;
        }
        let (added, updated, removed) = (self.report.added, self.report.updated, self.report.removed);
        history::complete(&self.transaction, generation, Counts { added, updated, removed })
    }

    /// Keeps the refusals of this feed's pictures only.
    fn write_refusals(&self) -> rusqlite::Result<()> {
        self.transaction.execute("delete from refusal", [])?;
        for (sha, region) in &self.seen {
            if let Some(Content::Refused(reason)) = self.contents.get(&(*sha, *region)) {
                let query = "insert into refusal values (?, ?, ?)";
                self.transaction.prepare_cached(query)?.execute(params![sha, region_key(*region), reason])?;
            }
        }
        Ok(())
    }
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
