//! What an import changes: counted, listed, previewed, and refused where it would remove too much.

use super::{Before, Content, Plan, PlannedFeed, PlannedProduct};
use crate::catalogue::product::Product;
use crate::catalogue::records::EXPORT_COLUMNS;
use crate::catalogue::report::{Change, ImportReport, MOST_CHANGES};
use crate::catalogue::rows::Shown;
use crate::fault::{Fault, Kind, Result, and_more};
use std::collections::HashSet;

/// Products that a fault names.
const NAMED: usize = 5;
/// Stands for a content that has no row yet.
const NEW_CONTENT: i64 = -1;

impl Plan<'_> {
    /// Refuses an import that would remove too many products before hours of embedding, not after.
    ///
    /// # Errors
    /// [`Kind::Input`], as [`Plan::finish`] would say it.
    pub fn require_kept(&self) -> Result<()> {
        self.planned.require_planned_kept()
    }

    /// What [`Plan::finish`] would change, if every pending picture showed a garment. Nothing is written.
    pub fn preview(self) -> ImportReport {
        self.planned.preview()
    }
}

impl PlannedFeed {
    fn require_planned_kept(&self) -> Result<()> {
        self.require_kept(&self.products.iter().map(|planned| planned.product.id.as_str()).collect())
    }

    fn preview(mut self) -> ImportReport {
        self.report.refusal = self.require_planned_kept().err().map(|fault| fault.to_string());
        self.report.pictures_pending = self.pending.len();
        let products = std::mem::take(&mut self.products);
        let shown = |planned: PlannedProduct| {
            let content = |sha, region| match self.contents[&(sha, region)] {
                Content::Known(id) => Some(id),
                Content::Refused(_) => None,
                Content::Embedded | Content::Pending => Some(NEW_CONTENT),
            };
            let shown = planned.pictures.iter().filter_map(|(position, link, sha)| {
                let content = content(*sha, planned.region)?;
                Some(Shown { position: *position as i64, link: link.clone(), content })
            });
            let shown: Vec<Shown> = shown.collect();
            (planned.product, shown)
        };
        let kept: Vec<_> = products.into_iter().map(shown).filter(|(_, pictures)| !pictures.is_empty()).collect();
        self.report.products = kept.len();
        for (product, pictures) in &kept {
            let before = self.before.remove(&product.id);
            self.count(before.as_ref(), product, pictures);
        }
        self.count_removed();
        self.report
    }

    /// Refuses to remove more products than is allowed: the feed was probably cut short.
    pub(super) fn require_kept(&self, kept: &HashSet<&str>) -> Result<()> {
        let mut removed: Vec<&Before> =
            self.before.values().filter(|before| !kept.contains(before.product.id.as_str())).collect();
        if removed.len() as f64 <= self.options.max_removals * self.before.len() as f64 {
            return Ok(());
        }
        removed.sort_by_key(|before| before.position);
        let named: Vec<&str> = removed.iter().take(NAMED).map(|before| before.product.id.as_str()).collect();
        let more = and_more(removed.len() - named.len());
        let text = format!(
            "the import would remove {} of {} products ({}{more}); nothing was changed",
            removed.len(),
            self.before.len(),
            named.join(", ")
        );
        Err(Fault::new(Kind::Input, text)
            .cure("if the shop no longer sells them, allow it (--allow-removals, or the box on the page)"))
    }

    /// Counts a product that stays or comes; true where it and its pictures are what they were.
    pub(super) fn count(&mut self, before: Option<&Before>, product: &Product, pictures: &[Shown]) -> bool {
        let change = match before {
            Some(before) if before.is(product, pictures) => {
                self.report.unchanged += 1;
                return true;
            }
            Some(before) => {
                self.report.updated += 1;
                Change::Updated { id: product.id.clone(), fields: changed_fields(before, product, pictures) }
            }
            None => {
                self.report.added += 1;
                Change::Added { id: product.id.clone(), title: product.title.clone() }
            }
        };
        self.list(change);
        false
    }

    /// Counts the products that nothing has taken out of `before`: the feed no longer has them.
    pub(super) fn count_removed(&mut self) {
        let mut removed: Vec<Before> = std::mem::take(&mut self.before).into_values().collect();
        removed.sort_by_key(|before| before.position);
        self.report.removed = removed.len();
        for before in removed {
            self.list(Change::Removed { id: before.product.id, title: before.product.title });
        }
    }

    fn list(&mut self, change: Change) {
        if self.report.changes.len() < MOST_CHANGES {
            self.report.changes.push(change);
        }
    }
}

/// The columns in which a product differs from before.
fn changed_fields(before: &Before, product: &Product, pictures: &[Shown]) -> Vec<&'static str> {
    let fields = before.product.fields().into_iter().zip(product.fields());
    let mut changed: Vec<&'static str> =
        fields.zip(EXPORT_COLUMNS).filter(|((before, now), _)| before != now).map(|(_, name)| name).collect();
    if before.pictures != pictures {
        changed.push("pictures");
    }
    changed
}
