//! Output to stdout: text and plain tables.

use crate::fault::{Fault, Kind, Result};
use std::io::{self, Write};

/// Writes `text` and a line break. A closed pipe (`| head`) is not an error.
pub fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    done(writeln!(out, "{text}").and_then(|()| out.flush()))
}

/// The result of a write to stdout. A closed pipe is not an error.
pub fn done(result: io::Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Fault::new(Kind::Storage, "cannot write the output").cause(error))
        }
        _ => Ok(()),
    }
}

/// Formats `value` as indented JSON.
pub fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string_pretty(value)
        .map_err(|error| Fault::new(Kind::Internal, "cannot write the result as JSON").cause(error))
}

/// Text in columns, aligned with spaces, under a header.
#[derive(Clone, Debug)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    right: Vec<bool>,
    widest: usize,
}

impl Table {
    /// A header that starts with `>` aligns its column to the right: `">price"`.
    pub fn new(header: &[&str]) -> Self {
        Table {
            header: header.iter().map(|name| name.trim_start_matches('>').to_owned()).collect(),
            rows: Vec::new(),
            right: header.iter().map(|name| name.starts_with('>')).collect(),
            widest: 40,
        }
    }

    /// Truncates longer cells with an ellipsis; 40 columns by default.
    pub fn widest(mut self, columns: usize) -> Self {
        self.widest = columns.max(2);
        self
    }

    /// Adds a row. Missing cells are empty. Control characters become spaces, since they could control a terminal.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl AsRef<str>>) {
        let mut row: Vec<String> = cells.into_iter().map(|cell| fit(cell.as_ref(), self.widest)).collect();
        row.resize(self.header.len(), String::new());
        self.rows.push(row);
    }

    /// The table, without a final line break.
    pub fn render(&self) -> String {
        let lines: Vec<&Vec<String>> = std::iter::once(&self.header).chain(&self.rows).collect();
        let widths: Vec<usize> = (0..self.header.len())
            .map(|column| lines.iter().map(|cells| width(&cells[column])).max().unwrap_or(0))
            .collect();
        let line = |cells: &&Vec<String>| {
            let cells = cells.iter().zip(&widths).zip(&self.right).map(|((cell, &column), &right)| {
                let space = " ".repeat(column - width(cell));
                if right { format!("{space}{cell}") } else { format!("{cell}{space}") }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        lines.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// Width of `text` in terminal columns: two for East Asian wide characters and emoji, otherwise one.
fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

fn char_width(c: char) -> usize {
    match u32::from(c) {
        0x0300..=0x036f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xff00..=0xff60 | 0x1f300..=0x1faff => {
            2
        }
        _ => 1,
    }
}

fn fit(cell: &str, widest: usize) -> String {
    let cell: String = cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if width(&cell) <= widest {
        return cell;
    }
    let mut cut = String::new();
    let mut used = 1;
    for c in cell.chars() {
        used += char_width(c);
        if used > widest {
            break;
        }
        cut.push(c);
    }
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_aligned_and_truncated() {
        let mut table = Table::new(&["id", ">price", "title"]).widest(8);
        table.row(["1", "19.90", "Dress"]);
        table.row(["200", "5", "A very long title"]);
        table.row(["漢字", "1\u{1b}[0m"]);
        assert_eq!(table.render(), "id    price  title\n1     19.90  Dress\n200       5  A very …\n漢字  1 [0m");
    }
}
