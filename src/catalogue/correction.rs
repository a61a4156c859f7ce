//! Judgements of the mirror's answers by staff: ids and numbers, with the hour.

use super::product::ModelStamp;
use super::records::no_product;
use super::store::Catalogue;
use super::worn::{Enrolment, WornProduct, has_product};
use crate::clock::UtcTime;
use crate::fault::{Fault, Kind, Result};
use crate::seam::Region;
use rusqlite::{Row, Transaction, params};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Seconds.
const DAY: i64 = 86_400;

/// A judgement of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "judgement", content = "meant")]
pub enum Judgement {
    /// It was this very product.
    Right,
    /// It was the product of this id.
    Other(String),
    /// The shop does not sell it.
    NotOurs,
}

/// An answer as it is stored with its judgement.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedAnswer {
    pub region: Option<Region>,
    /// The product that was shown first.
    pub shown: String,
    pub logit: f32,
    /// Its logit less that of the next product; `None` where there was no other.
    pub margin: Option<f32>,
    /// Its verdict on the screen: "likely", "similar", "none".
    pub verdict: &'static str,
    pub descriptor_hash: String,
}

/// A judgement that the catalogue keeps, by which it is taken back.
#[derive(Clone, Debug)]
pub struct KeptJudgement {
    /// In the catalogue.
    pub row: i64,
    pub answer: JudgedAnswer,
    /// What was seen of it, where that became a worn view.
    pub enrolment: Option<Enrolment>,
}

/// A stored judgement, as it is sent to a hub.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CorrectionRecord {
    /// Names it among this mirror's: a hash of what is stored, so that sent twice it is one.
    pub uid: String,
    /// Its row in this catalogue.
    #[serde(skip)]
    pub row: i64,
    /// UTC: "2026-11-27T18".
    pub hour: String,
    pub region: Option<Region>,
    /// The product that was shown first.
    pub shown: String,
    pub logit: f64,
    pub margin: Option<f64>,
    /// "none", "similar", "likely".
    pub verdict: String,
    #[serde(flatten)]
    pub judgement: Judgement,
    /// Of the model.
    pub descriptor_hash: String,
}

/// How often the mirror was right, as confirmed, in one week and one region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfirmedWeek {
    /// The week's Monday, UTC: "2026-11-23".
    pub week: String,
    /// "upper", "lower", "dress", or "unknown".
    pub region: String,
    pub right: usize,
    pub other: usize,
    pub not_ours: usize,
    /// Of the answers that were called likely: how many were right, of how many.
    pub likely_right: usize,
    pub likely: usize,
}

impl ConfirmedWeek {
    /// Whether any of its days is among the last `days`, the present one counted.
    fn is_within(&self, days: u32, now: UtcTime) -> bool {
        let monday: Option<UtcTime> = format!("{}T00:00:00Z", self.week).parse().ok();
        monday.is_some_and(|monday| monday.second() + 7 * DAY > now.second() - i64::from(days) * DAY)
    }

    /// Number of judged answers.
    pub fn answers(&self) -> usize {
        self.right + self.other + self.not_ours
    }

    /// The share of judged answers that were right, 0 to 1; 0 where there are none.
    pub fn precision(&self) -> f64 {
        self.right as f64 / self.answers().max(1) as f64
    }
}

/// With the number of answers and the precision, which its readers need not compute again.
impl Serialize for ConfirmedWeek {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("ConfirmedWeek", 9)?;
        fields.serialize_field("week", &self.week)?;
        fields.serialize_field("region", &self.region)?;
        fields.serialize_field("answers", &self.answers())?;
        fields.serialize_field("right", &self.right)?;
        fields.serialize_field("other", &self.other)?;
        fields.serialize_field("not_ours", &self.not_ours)?;
        fields.serialize_field("precision", &self.precision())?;
        fields.serialize_field("likely_right", &self.likely_right)?;
        fields.serialize_field("likely", &self.likely)?;
        fields.end()
    }
}

/// The weeks as comma-separated values, one line each, with a head.
pub fn weeks_csv(weeks: &[ConfirmedWeek]) -> String {
    let head = "week,region,answers,right,other,not_ours,precision,likely,likely_right\n".to_owned();
    weeks.iter().fold(head, |text, one| {
        let ConfirmedWeek { week, region, right, other, not_ours, likely_right, likely } = one;
        let (answers, precision) = (one.answers(), one.precision());
        format!("{text}{week},{region},{answers},{right},{other},{not_ours},{precision:.3},{likely},{likely_right}\n")
    })
}

impl Catalogue {
    /// Stores a judgement of an answer.
    ///
    /// # Errors
    /// [`crate::fault::Kind::Usage`] if the catalogue does not have the product that was meant.
    pub fn correct(&mut self, answer: &JudgedAnswer, judgement: &Judgement) -> Result<KeptJudgement> {
        let row = self.change(|transaction, fail| store(transaction, fail, answer, judgement))?;
        Ok(KeptJudgement { row, answer: answer.clone(), enrolment: None })
    }

    /// [`Self::correct`], and what was seen becomes a worn view: both or neither.
    ///
    /// # Errors
    /// Also those of [`Self::enrol`].
    pub fn correct_and_enrol(
        &mut self,
        answer: &JudgedAnswer,
        judgement: &Judgement,
        camera: &str,
        model: &ModelStamp,
        worn: WornProduct,
    ) -> Result<KeptJudgement> {
        let mut row = 0;
        let enrolment = self.enrol_and(camera, model, &[worn], |transaction, fail| {
            row = store(transaction, fail, answer, judgement)?;
            Ok(())
        })?;
        Ok(KeptJudgement { row, answer: answer.clone(), enrolment: Some(enrolment) })
    }

    /// Forgets a judgement, and the worn view that it made, if that is still there: both or neither.
    ///
    /// # Errors
    /// [`crate::fault::Kind::Usage`] where the catalogue does not have the judgement: another one is in its place.
    pub fn take_back(&mut self, kept: &KeptJudgement) -> Result<()> {
        self.change(|transaction, fail| {
            // Another catalogue may have another judgement in this row.
            let KeptJudgement { row, answer, enrolment } = kept;
            let query = "delete from correction where id = ? and shown_id = ? and logit = ? and descriptor_hash = ?";
            let values = params![row, answer.shown, f64::from(answer.logit), answer.descriptor_hash];
            if transaction.execute(query, values).map_err(fail)? == 0 {
                return Err(Fault::new(Kind::Usage, "the catalogue does not have this judgement any more"));
            }
            if let Some(enrolment) = enrolment {
                transaction.execute("delete from enrolment where uid = ?", [&enrolment.uid]).map_err(fail)?;
            }
            Ok(())
        })
    }

    /// At most `most` judgements after row `row`, in the order in which they were said.
    pub fn corrections_after(&self, row: i64, most: usize) -> Result<Vec<CorrectionRecord>> {
        let read = || {
            let query =
                "select id, hour, region, shown_id, logit, margin, verdict, judgement, meant_id, descriptor_hash
                         from correction where id > ? order by id limit ?";
            let mut statement = self.connection.prepare(query)?;
            let records = statement.query_map(params![row, most as i64], correction_record)?;
            records.collect::<rusqlite::Result<_>>()
        };
        read().map_err(|error: rusqlite::Error| self.fault("read", error))
    }

    /// How clearly wrong first products stood out from the next ones, by region, as staff confirmed: those that this model showed for
    /// another product of the shop, or for none of it.
    pub(super) fn confirmed_strangers(&self, descriptor_hash: &str) -> Result<[Vec<f32>; Region::ALL.len()]> {
        let read = || {
            let query = "select region, margin from correction
                         where judgement <> 'right' and margin is not null and region is not null and descriptor_hash = ?";
            let mut margins: [Vec<f32>; Region::ALL.len()] = Default::default();
            let mut statement = self.connection.prepare(query)?;
            let mut rows = statement.query([descriptor_hash])?;
            while let Some(row) = rows.next()? {
                if let Some(region) = Region::named(row.get_ref(0)?.as_str()?) {
                    margins[region as usize].push(row.get::<_, f64>(1)? as f32);
                }
            }
            Ok(margins)
        };
        read().map_err(|error: rusqlite::Error| self.fault("read", error))
    }

    /// Those of [`Catalogue::confirmed_weeks`] that have one of the last `days`, the present one counted.
    pub fn confirmed_within(&self, days: u32, now: UtcTime) -> Result<Vec<ConfirmedWeek>> {
        let mut weeks = self.confirmed_weeks()?;
        weeks.retain(|week| week.is_within(days, now));
        Ok(weeks)
    }

    /// How often the mirror was right, as confirmed: by week, the newest first, and region.
    pub fn confirmed_weeks(&self) -> Result<Vec<ConfirmedWeek>> {
        let read = || {
            let query = "select date(substr(hour, 1, 10), '-6 days', 'weekday 1'), coalesce(region, 'unknown'),
                         judgement, verdict from correction";
            let mut weeks: BTreeMap<(String, String), ConfirmedWeek> = BTreeMap::new();
            let mut statement = self.connection.prepare(query)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let (week, region): (String, String) = (row.get(0)?, row.get(1)?);
                let entry = weeks.entry((week.clone(), region.clone())).or_insert_with(|| ConfirmedWeek {
                    week,
                    region,
                    right: 0,
                    other: 0,
                    not_ours: 0,
                    likely_right: 0,
                    likely: 0,
                });
                let judgement = row.get_ref(2)?.as_str()?;
                match judgement {
                    "right" => entry.right += 1,
                    "other" => entry.other += 1,
                    _ => entry.not_ours += 1,
                }
                if row.get_ref(3)?.as_str()? == "likely" {
                    entry.likely += 1;
                    entry.likely_right += usize::from(judgement == "right");
                }
            }
            let mut weeks: Vec<ConfirmedWeek> = weeks.into_values().collect();
            weeks.sort_by(|a, b| b.week.cmp(&a.week).then(a.region.cmp(&b.region)));
            Ok(weeks)
        };
        read().map_err(|error: rusqlite::Error| self.fault("read", error))
    }
}

/// The row of the judgement.
fn store(
    transaction: &Transaction,
    fail: &dyn Fn(rusqlite::Error) -> Fault,
    answer: &JudgedAnswer,
    judgement: &Judgement,
) -> Result<i64> {
    let (word, meant) = match judgement {
        Judgement::Right => ("right", None),
        Judgement::Other(id) => ("other", Some(id)),
        Judgement::NotOurs => ("not_ours", None),
    };
    if let Some(id) = meant
        && !has_product(transaction, id).map_err(fail)?
    {
        return Err(no_product(transaction, id));
    }
    let query = "insert into correction
                 (hour, region, shown_id, logit, margin, verdict, judgement, meant_id, descriptor_hash)
                 values (strftime('%Y-%m-%dT%H', 'now'), ?, ?, ?, ?, ?, ?, ?, ?)";
    let values = params![
        answer.region.map(Region::name),
        answer.shown,
        f64::from(answer.logit),
        answer.margin.map(f64::from),
        answer.verdict,
        word,
        meant,
        answer.descriptor_hash
    ];
    transaction.execute(query, values).map_err(fail)?;
    Ok(transaction.last_insert_rowid())
}

fn correction_record(row: &Row) -> rusqlite::Result<CorrectionRecord> {
    let judgement: String = row.get(7)?;
    let (number, logit, margin): (i64, f64, Option<f64>) = (row.get(0)?, row.get(4)?, row.get(5)?);
    let texts: [Option<String>; 7] =
        [row.get(1)?, row.get(2)?, row.get(3)?, row.get(6)?, Some(judgement.clone()), row.get(8)?, row.get(9)?];
    let bits = (number, logit.to_bits(), margin.map(f64::to_bits));
    let uid = Sha256::digest(format!("{bits:?} {texts:?}")).iter().map(|byte| format!("{byte:02x}")).collect();
    let [hour, region, shown, verdict, _, meant, descriptor_hash] = texts;
    Ok(CorrectionRecord {
        uid,
        row: number,
        hour: hour.unwrap_or_default(),
        region: region.as_deref().and_then(Region::named),
        shown: shown.unwrap_or_default(),
        logit,
        margin,
        verdict: verdict.unwrap_or_default(),
        judgement: match (judgement.as_str(), meant) {
            ("right", _) => Judgement::Right,
            (_, Some(id)) => Judgement::Other(id),
            _ => Judgement::NotOurs,
        },
        descriptor_hash: descriptor_hash.unwrap_or_default(),
    })
}
