//! `vetrina catalogue check`: is the file sound, and do its descriptors fit the model?

use super::product::ModelStamp;
use super::store::{Catalogue, same_model};
use super::worn_counts::WornCounts;
use crate::fault::Result;
use serde::Serialize;

/// Enough to see what is wrong; a badly damaged file would list thousands.
const MOST_PROBLEMS: usize = 50;

/// What a check found. No problems: the catalogue is sound.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CheckReport {
    pub products: usize,
    /// Pictures of products; one that two products show counts twice.
    pub pictures: usize,
    /// Different pictures, each with its descriptors; those that only an earlier generation shows are counted.
    pub descriptors: usize,
    /// Close-ups of a part of a product. They are not searched if the product has another picture.
    pub details: Vec<String>,
    pub model: Option<ModelStamp>,
    pub worn: WornCounts,
    /// One line each, at most 50.
    pub problems: Vec<String>,
}

impl CheckReport {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    fn add(&mut self, problem: impl Into<String>) {
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(problem.into());
        }
    }
}

impl Catalogue {
    /// Checks the file's structure, its references, each descriptor's length and values, each thumbnail, and, where
    /// `expected` is given, the model stamp. A part that cannot be read is a problem of the report, not a fault.
    pub fn check(&self, expected: Option<&ModelStamp>) -> Result<CheckReport> {
        let mut report = CheckReport { model: self.stamp()?, ..CheckReport::default() };
        let steps: [fn(&Catalogue, &mut CheckReport) -> rusqlite::Result<()>; 7] = [
            check_structure,
            check_references,
            count_rows,
            name_details,
            check_descriptors,
            check_worn_views,
            check_thumbnails,
        ];
        for step in steps {
            if let Err(error) = step(self, &mut report) {
                report.add(format!("cannot be read: {error}"));
            }
        }
        if let (Some(found), Some(expected)) = (&report.model, expected)
            && !same_model(found, expected)
        {
            let problem = format!("embedded by model {}, not by {}", found.name, expected.name);
            report.add(problem);
        }
        if report.model.is_none() && report.products > 0 {
            report.add("there are products but no model stamp");
        }
        Ok(report)
    }
}

fn check_structure(catalogue: &Catalogue, report: &mut CheckReport) -> rusqlite::Result<()> {
    let mut statement = catalogue.connection.prepare("pragma integrity_check(20)")?;
    for line in statement.query_map([], |row| row.get::<_, String>(0))? {
        let line = line?;
        if line != "ok" {
            report.add(format!("damaged: {line}"));
        }
    }
    Ok(())
}

fn check_references(catalogue: &Catalogue, report: &mut CheckReport) -> rusqlite::Result<()> {
    let mut statement = catalogue.connection.prepare("pragma foreign_key_check")?;
    for line in statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(2)?)))? {
        let (table, parent) = line?;
        report.add(format!("a row of {table} refers to a row of {parent} that is not there"));
    }
    let orphans = [
        (
            "select id from product_version as product where not exists (
               select 1 from picture_version where product_id = id and picture_version.since = product.since
             )",
            "product",
            "no picture",
        ),
        (
            "select content_id from picture_version as shown join product_version as product
             on product.id = product_id and product.since = shown.since where not exists (
               select 1 from descriptor where descriptor.content_id = shown.content_id
               and descriptor.region = coalesce(product.region, '')
             )",
            "picture",
            "no descriptor",
        ),
    ];
    for (query, what, lacks) in orphans {
        let mut statement = catalogue.connection.prepare(query)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let id: rusqlite::types::Value = row.get(0)?;
            report.add(format!("{what} {id:?} has {lacks}"));
        }
    }
    Ok(())
}

fn count_rows(catalogue: &Catalogue, report: &mut CheckReport) -> rusqlite::Result<()> {
    let count = |table: &str| {
        let query = format!("select count(*) from {table}");
        catalogue.connection.query_row(&query, [], |row| row.get::<_, i64>(0)).map(|n| usize::try_from(n).unwrap_or(0))
    };
    report.products = count("product")?;
    report.pictures = count("picture")?;
    report.descriptors = count("descriptor")?;
    Ok(())
}

fn name_details(catalogue: &Catalogue, report: &mut CheckReport) -> rusqlite::Result<()> {
    let query = "select distinct source from picture join product on product.id = product_id
                 join descriptor on descriptor.content_id = picture.content_id
                 and descriptor.region = coalesce(product.region, '') where detail = 1 order by source";
    let mut statement = catalogue.connection.prepare(query)?;
    report.details = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    Ok(())
}

fn check_descriptors(catalogue: &Catalogue, report: &mut CheckReport) -> rusqlite::Result<()> {
    let expected = report.model.as_ref().map_or(0, |stamp| 4 * stamp.embedding);
    let query = "select content_id, match_embedding, aggregation_embedding, score from descriptor";
    let mut statement = catalogue.connection.prepare(query)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let content: i64 = row.get(0)?;
        for (column, head) in [(1, "match"), (2, "aggregation")] {
            let blob = row.get_ref(column)?.as_blob()?;
            if blob.len() != expected {
                report.add(format!("picture {content}: its {head} embedding has {} bytes, not {expected}", blob.len()));
            } else if !decode_embedding(blob).all(f32::is_finite) {
                report.add(format!("picture {content}: its {head} embedding holds a value that is not a number"));
            }
        }
        if !(0.0..=1.0).contains(&row.get::<_, f64>(3)?) {
            report.add(format!("picture {content}: its score is not between 0 and 1"));
        }
    }
    Ok(())
}

fn check_worn_views(catalogue: &Catalogue, report: &mut CheckReport) -> rusqlite::Result<()> {
    report.worn = super::worn_counts::count(&catalogue.connection)?;
    let query = "select product_id, number, embedding, match_embedding, aggregation_embedding
                 from worn_view join enrolment on number = enrolment";
    let mut statement = catalogue.connection.prepare(query)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let bytes = 4 * row.get::<_, i64>(2)?;
        for column in [3, 4] {
            let blob = row.get_ref(column)?.as_blob()?;
            if blob.len() as i64 != bytes || !decode_embedding(blob).all(f32::is_finite) {
                let (id, number): (String, i64) = (row.get(0)?, row.get(1)?);
                report.add(format!("enrolment {number}: a worn view of {id:?} cannot be used; undo it with `vetrina enrol --undo {number}`"));
            }
        }
    }
    Ok(())
}

fn check_thumbnails(catalogue: &Catalogue, report: &mut CheckReport) -> rusqlite::Result<()> {
    let mut statement = catalogue.connection.prepare("select id, thumbnail from content")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let content: i64 = row.get(0)?;
        let jpeg = row.get_ref(1)?.as_blob()?;
        if let Err(error) = image::load_from_memory_with_format(jpeg, image::ImageFormat::Jpeg) {
            report.add(format!("picture {content}: its thumbnail cannot be shown: {error}"));
        }
    }
    Ok(())
}

/// The floats of an embedding blob.
pub(super) fn decode_embedding(blob: &[u8]) -> impl Iterator<Item = f32> {
    blob.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes))
}
