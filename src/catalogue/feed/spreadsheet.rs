//! Spreadsheets (XLSX, and what else `calamine` reads): the first sheet whose first row names known columns.

use super::field::key;
use super::input;
use super::table::{FeedRecord, FeedTable};
use crate::fault::Result;
use calamine::{Data, Range, Reader, open_workbook_auto_from_rs};
use std::io::Cursor;

const SAVE_AS: &str = "save it as XLSX, or as CSV in UTF-8";

/// What every ZIP archive, and so every XLSX file, begins with.
pub const MAGIC: &[u8] = b"PK\x03\x04";
/// What an XLS file begins with.
pub const OLD_MAGIC: &[u8] = b"\xd0\xcf\x11\xe0";

/// Reads a workbook.
///
/// # Errors
/// [`Kind::Input`](crate::fault::Kind::Input) where it is damaged, or no workbook.
pub fn read(bytes: &[u8], is_known: impl Fn(&str) -> bool) -> Result<FeedTable> {
    let broken = |error| input("it is an archive, but not a spreadsheet that can be read").cause(error).cure(SAVE_AS);
    let mut book = open_workbook_auto_from_rs(Cursor::new(bytes)).map_err(broken)?;
    let mut best: Option<(usize, FeedTable)> = None;
    for (_, sheet) in book.worksheets() {
        let table = read_sheet(&sheet);
        let known = table.columns.iter().filter(|name| is_known(&key(name))).count();
        if !table.columns.is_empty() && best.as_ref().is_none_or(|(most, _)| known > *most) {
            best = Some((known, table));
        }
    }
    best.map(|(_, table)| table).ok_or_else(|| input("its sheets are empty").cure(SAVE_AS))
}

fn read_sheet(sheet: &Range<Data>) -> FeedTable {
    let first = sheet.start().map_or(0, |(row, _)| u64::from(row)) + 1;
    let mut table = FeedTable::default();
    for (line, row) in (first..).zip(sheet.rows()) {
        let cells: Vec<String> = row.iter().map(cell).collect();
        if cells.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        if table.columns.is_empty() {
            table.columns = cells.iter().map(|name| name.trim().to_owned()).collect();
            continue;
        }
        let values = cells.into_iter().enumerate().filter(|(_, cell)| !cell.trim().is_empty());
        table.records.push(FeedRecord { line, values: values.collect(), problem: None });
    }
    table
}

/// Numbers as a person would write them: the id 1002 is not 1002.0. Formats of cells are not known, so a price has no currency.
fn cell(data: &Data) -> String {
    match data {
        Data::Float(value) if value.fract() == 0.0 && value.abs() < 1e15 => format!("{value:.0}"),
        Data::DateTime(time) if time.is_datetime() => {
            let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
            format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
        }
        Data::Error(_) => String::new(),
        other => other.to_string(),
    }
}
