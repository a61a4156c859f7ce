//! `vetrina catalogue history` and `undo`, and what a dry run says.

use super::mirror::CatalogueMirror;
use super::{DbArgs, UndoArgs};
use crate::audit::AuditAction;
use crate::catalogue::{Catalogue, Change, ImportReport};
use crate::cli::table::{Table, json, print};
use crate::fault::{Result, counted};

pub fn history(args: &DbArgs) -> Result<()> {
    let generations = Catalogue::open(&args.db)?.history()?;
    if args.json {
        return print(&json(&generations)?);
    }
    let mut table = Table::new(&[">generation", "made (UTC)", ">products", ">added", ">updated", ">removed", "by"]);
    for generation in generations {
        let counts =
            [generation.products, generation.counts.added, generation.counts.updated, generation.counts.removed];
        let [products, added, updated, removed] = counts.map(|count| count.to_string());
        let made = generation.made.replace('T', " ").trim_end_matches('Z').to_owned();
        table.row([generation.number.to_string(), made, products, added, updated, removed, generation.source]);
    }
    print(&table.render())
}

pub fn undo(args: &UndoArgs) -> Result<()> {
    let made = Catalogue::open(&args.db.db)?.undo(args.to)?;
    CatalogueMirror::of(&args.db.db).note(AuditAction::Undo, &made.source);
    if args.db.json {
        return print(&json(&made)?);
    }
    let counts = made.counts;
    print(&format!(
        "{}: {} ({} added, {} updated, {} removed); {}",
        args.db.db.display(),
        counted(made.products, "product"),
        counts.added,
        counts.updated,
        counts.removed,
        made.source
    ))
}

/// The changes, one a line, and their counts.
pub fn preview_text(report: &ImportReport) -> String {
    let mut lines: Vec<String> = report.changes.iter().map(change_text).collect();
    let all = report.added + report.updated + report.removed;
    if all > lines.len() {
        lines.push(format!("and {}", counted(all - lines.len(), "more change")));
    }
    lines.push(format!(
        "would be {} ({} added, {} updated, {} unchanged, {} removed), {} to embed; nothing was changed",
        counted(report.products, "product"),
        report.added,
        report.updated,
        report.unchanged,
        report.removed,
        counted(report.pictures_pending, "picture")
    ));
    lines.join("\n")
}

fn change_text(change: &Change) -> String {
    match change {
        Change::Added { id, title } => format!("+ {id}  {title}"),
        Change::Updated { id, fields } => format!("~ {id}  {}", fields.join(", ")),
        Change::Removed { id, title } => format!("- {id}  {title}"),
    }
}
