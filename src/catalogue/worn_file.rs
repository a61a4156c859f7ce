//! Worn views in a file, for the other mirrors of a shop: one JSON object a line, an enrolment each.

use super::product::ModelStamp;
use super::store::Catalogue;
use super::worn::{self, EnrolmentOrigin, MOST_VIEWS, WornProduct, WornView};
use crate::fault::{Fault, Kind, Result, plain_words};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::{self, BufRead, Read};

/// A line is no longer: eight views of eight garments have about 700 kB.
const LONGEST_LINE: u64 = 4 << 20;

/// A line of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnrolmentLine {
    uid: String,
    made: String,
    camera: String,
    model: String,
    descriptor_hash: String,
    products: Vec<ProductLine>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProductLine {
    id: String,
    views: Vec<ViewLine>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ViewLine {
    class: usize,
    score: f32,
    sharpness: f32,
    #[serde(rename = "match")]
    matching: Vec<f32>,
    aggregation: Vec<f32>,
}

/// What an import of worn views did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WornImportReport {
    /// Enrolments that are new here, and their views.
    pub enrolments: usize,
    pub views: usize,
    /// Enrolments that were here before.
    pub known: usize,
    /// Products that the feed of this mirror does not have: their views are kept and wait.
    pub without_product: BTreeSet<String>,
}

impl Catalogue {
    /// Writes all enrolments by the catalogue's model, the oldest first; how many.
    ///
    /// # Errors
    /// [`Kind::Storage`], with the I/O error as its cause, where `writer` refuses.
    pub fn export_worn(&self, mut writer: impl io::Write) -> Result<usize> {
        let fail = |error| Fault::new(Kind::Storage, "cannot write the worn views").cause(error);
        let count = self.each_worn_line(|_| true, |line| writeln!(writer, "{line}").map_err(fail))?;
        writer.flush().map_err(fail)?;
        Ok(count)
    }

    /// Gives the line of each enrolment by the catalogue's model whose uid is `wanted` to `take`, the oldest first, until that fails; how
    /// many. One is in memory at a time: all of a mirror's may be gigabytes.
    ///
    /// # Errors
    /// That of `take`.
    pub fn each_worn_line(
        &self,
        wanted: impl Fn(&str) -> bool,
        mut take: impl FnMut(&str) -> Result<()>,
    ) -> Result<usize> {
        let stamp = self.stamp()?;
        let mut enrolments = self.enrolments()?;
        enrolments.retain(|one| worn::is_used(&one.model, stamp.as_ref()) && wanted(&one.uid));
        for enrolment in enrolments.iter().rev() {
            let products =
                worn::read_products(&self.connection, enrolment.number).map_err(|error| self.fault("read", error))?;
            let line = EnrolmentLine {
                uid: enrolment.uid.clone(),
                made: enrolment.made.clone(),
                camera: enrolment.camera.clone(),
                model: enrolment.model.name.clone(),
                descriptor_hash: enrolment.model.descriptor_hash.clone(),
                products: products.into_iter().map(product_line).collect(),
            };
            let line = serde_json::to_string(&line)
                .map_err(|error| Fault::new(Kind::Internal, "cannot write a worn view").cause(error))?;
            take(&line)?;
        }
        Ok(enrolments.len())
    }

    /// Adds the enrolments of a file, all of them or none. What is here already stays as it is.
    ///
    /// # Errors
    /// [`Kind::Input`], with the line, where the file is not one of worn views; [`Kind::Catalogue`] where another model made them.
    pub fn import_worn(&mut self, reader: impl BufRead) -> Result<WornImportReport> {
        let stamp = self.stamp()?.ok_or_else(|| {
            Fault::new(Kind::Catalogue, format!("{} has no product yet", self.path.display()))
                .cure(format!("run `{}` first", super::store::import_command(&self.path)))
        })?;
        self.change(|transaction, fail| {
            let mut report = WornImportReport::default();
            let mut reader = reader;
            for number in 1.. {
                let mut text = String::new();
                let read = reader.by_ref().take(LONGEST_LINE).read_line(&mut text);
                let read = read.map_err(|error| bad_line(number, "it cannot be read").cause(error))?;
                if read == 0 {
                    break;
                }
                if text.trim().is_empty() {
                    continue;
                }
                let line: EnrolmentLine = serde_json::from_str(&text).map_err(|error| {
                    bad_line(number, "it is no line of worn views").cause(plain_words(&error.to_string()))
                })?;
                let (origin, products) = checked(line, &stamp, number)?;
                for product in &products {
                    if !worn::has_product(transaction, &product.id).map_err(fail)? {
                        report.without_product.insert(product.id.clone());
                    }
                }
                if worn::insert(transaction, &origin, &products).map_err(fail)?.is_some() {
                    report.enrolments += 1;
                    report.views += products.iter().map(|product| product.views.len()).sum::<usize>();
                } else {
                    report.known += 1;
                }
            }
            Ok(report)
        })
    }
}

fn product_line(product: WornProduct) -> ProductLine {
    let view = |view: WornView| ViewLine {
        class: view.class,
        score: view.score,
        sharpness: view.sharpness,
        matching: view.match_embedding.to_vec(),
        aggregation: view.aggregation_embedding.to_vec(),
    };
    ProductLine { id: product.id, views: product.views.into_iter().map(view).collect() }
}

fn checked(line: EnrolmentLine, stamp: &ModelStamp, number: usize) -> Result<(EnrolmentOrigin, Vec<WornProduct>)> {
    if line.descriptor_hash != stamp.descriptor_hash {
        let text = format!(
            "line {number}: the worn views were made by model {} ({:.12}), this catalogue by {} ({:.12})",
            line.model, line.descriptor_hash, stamp.name, stamp.descriptor_hash
        );
        return Err(
            Fault::new(Kind::Catalogue, text).cure("give both mirrors the same model, and wear the products again")
        );
    }
    let usable = |values: &[f32]| values.len() == stamp.embedding && values.iter().all(|value| value.is_finite());
    let is_share = |value: f32| (0.0..=1.0).contains(&value);
    if line.uid.len() != 32 || !line.uid.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(bad_line(number, "its uid is not 32 hexadecimal digits"));
    }
    let mut seen = BTreeSet::new();
    for product in &line.products {
        let right = |view: &ViewLine| {
            usable(&view.matching) && usable(&view.aggregation) && is_share(view.score) && is_share(view.sharpness)
        };
        let whole = !product.id.is_empty() && product.views.len() <= MOST_VIEWS && seen.insert(product.id.clone());
        if !whole || !product.views.iter().all(right) {
            return Err(bad_line(number, &format!("a view of product {:?} cannot be used", product.id)));
        }
    }
    let model = ModelStamp { name: line.model, ..stamp.clone() };
    let origin = EnrolmentOrigin { uid: line.uid, made: line.made, camera: line.camera, model };
    let view = |view: ViewLine| WornView {
        class: view.class,
        score: view.score,
        sharpness: view.sharpness,
        match_embedding: view.matching.into(),
        aggregation_embedding: view.aggregation.into(),
    };
    let product =
        |product: ProductLine| WornProduct { id: product.id, views: product.views.into_iter().map(view).collect() };
    Ok((origin, line.products.into_iter().map(product).collect()))
}

fn bad_line(number: usize, what: &str) -> Fault {
    Fault::new(Kind::Input, format!("line {number} of the worn views: {what}"))
        .cure("export them again with `vetrina catalogue worn export`")
}
