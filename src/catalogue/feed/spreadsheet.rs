//! Spreadsheets (XLSX, and what else `calamine` reads): the sheet that names most known columns. Rows above their names are titles. A
//! cell that was merged over several rows stands in each of them.

use super::field::key;
use super::input;
use super::table::{FEWEST_KNOWN, FeedRecord, FeedTable, MOST_TITLE_ROWS};
use crate::fault::Result;
use calamine::{Data, Dimensions, Range, Reader, Sheets, open_workbook_auto_from_rs};
use std::cmp::Reverse;
use std::io::{Cursor, Read, Seek};

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
    for (name, sheet) in book.worksheets() {
        let table = read_sheet(&sheet, &merged_cells(&mut book, &name), &is_known);
        let known = known_names(&table.columns, &is_known);
        if !table.columns.is_empty() && best.as_ref().is_none_or(|(most, _)| known > *most) {
            best = Some((known, table));
        }
    }
    best.map(|(_, table)| table).ok_or_else(|| input("its sheets are empty").cure(SAVE_AS))
}

/// What was merged in a sheet; nothing where the file does not say it, or says it wrongly.
fn merged_cells<R: Read + Seek>(book: &mut Sheets<R>, sheet: &str) -> Vec<Dimensions> {
    match book {
        Sheets::Xlsx(book) => book.merge_cells_by_sheet_name(sheet).unwrap_or_default(),
        Sheets::Xls(book) => book.merge_cells_by_sheet_name(sheet).unwrap_or_default(),
        _ => Vec::new(),
    }
}

fn known_names(names: &[String], is_known: impl Fn(&str) -> bool) -> usize {
    names.iter().filter(|name| is_known(&key(name))).count()
}

fn read_sheet(sheet: &Range<Data>, merged: &[Dimensions], is_known: impl Fn(&str) -> bool) -> FeedTable {
    let first = sheet.start().map_or(0, |(row, _)| u64::from(row)) + 1;
    let mut rows: Vec<Vec<String>> = sheet.rows().map(|row| row.iter().map(cell).collect()).collect();
    fill_down(&mut rows, sheet.start().unwrap_or_default(), merged);
    let is_empty = |row: &[String]| row.iter().all(|cell| cell.trim().is_empty());
    let mut rows = (first..).zip(rows).filter(|(_, row)| !is_empty(row)).peekable();
    let mut above = Vec::new();
    while above.len() < MOST_TITLE_ROWS && rows.peek().is_some() {
        above.extend(rows.next());
    }
    let Some(header) = header(&above, is_known) else { return FeedTable::default() };
    let columns = above[header].1.iter().map(|name| name.trim().to_owned()).collect();
    let records = above.into_iter().skip(header + 1).chain(rows).map(|(line, cells)| {
        let values = cells.into_iter().enumerate().filter(|(_, cell)| !cell.trim().is_empty());
        FeedRecord { line, values: values.collect(), problem: None }
    });
    FeedTable { columns, records: records.collect() }
}

/// The row with the column names: most of them known; where none has enough, the first with most cells.
fn header(rows: &[(u64, Vec<String>)], is_known: impl Fn(&str) -> bool) -> Option<usize> {
    let value = |(place, (_, cells)): &(usize, &(u64, Vec<String>))| {
        let known = Some(known_names(cells, &is_known)).filter(|known| *known >= FEWEST_KNOWN);
        let filled = cells.iter().filter(|cell| !cell.trim().is_empty()).count();
        (known, if known.is_some() { 0 } else { filled }, Reverse(*place))
    };
    rows.iter().enumerate().max_by_key(value).map(|(place, _)| place)
}

/// Writes a cell that was merged over several rows into each of them. `start`: row and column of the first cell.
fn fill_down(rows: &mut [Vec<String>], start: (u32, u32), merged: &[Dimensions]) {
    let place =
        |(row, column): (u32, u32)| Some((row.checked_sub(start.0)? as usize, column.checked_sub(start.1)? as usize));
    for cells in merged.iter().filter(|cells| cells.start.0 < cells.end.0) {
        let (Some((top, column)), Some((bottom, _))) = (place(cells.start), place(cells.end)) else { continue };
        let Some(value) = rows.get(top).and_then(|row| row.get(column)).cloned() else { continue };
        for row in rows.iter_mut().take(bottom + 1).skip(top + 1) {
            if let Some(cell) = row.get_mut(column) {
                cell.clone_from(&value);
            }
        }
    }
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
