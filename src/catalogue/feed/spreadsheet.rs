//! Spreadsheets (XLSX, and what else `calamine` reads): the sheet that names most known columns. Rows above their names are titles. A
//! cell that was merged over several rows stands in each of them.

use super::field::key;
use super::input;
use super::table::{FEWEST_KNOWN, FeedRecord, FeedTable, MOST_TITLE_ROWS};
use crate::fault::{Fault, Result};
use calamine::{Cell, Data, DataRef, Dimensions, Reader, Sheets, open_workbook_auto_from_rs};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Seek};
use zip::ZipArchive;

const SAVE_AS: &str = "save it as XLSX, or as CSV in UTF-8; unpack an archive that has the feed in it";

/// What every ZIP archive, and so every XLSX file, begins with.
pub const MAGIC: &[u8] = b"PK\x03\x04";
/// What an XLS file begins with.
pub const OLD_MAGIC: &[u8] = b"\xd0\xcf\x11\xe0";

/// Unpacked, a workbook has so many bytes at most, and so many its texts: some kilobytes can unpack to any size.
const MOST_UNPACKED: u64 = 1 << 29;

/// A row of a sheet: its number in the file, from 1, and its cells with text, by column.
struct FilledRow {
    line: u64,
    cells: BTreeMap<usize, String>,
}

/// Reads a workbook.
///
/// # Errors
/// [`Kind::Input`](crate::fault::Kind::Input) where it is damaged, too large, or no workbook.
pub fn read(bytes: &[u8], is_known: impl Fn(&str) -> bool) -> Result<FeedTable> {
    if bytes.starts_with(MAGIC) {
        check_size(bytes)?;
    }
    let mut book = open_workbook_auto_from_rs(Cursor::new(bytes)).map_err(unreadable)?;
    let mut best: Option<(usize, FeedTable)> = None;
    for name in book.sheet_names() {
        let Some(rows) = sheet_rows(&mut book, &name)? else { continue };
        let table = read_sheet(rows, &merged_cells(&mut book, &name), &is_known)?;
        let known = known_names(&table.columns, &is_known);
        if !table.columns.is_empty() && best.as_ref().is_none_or(|(most, _)| known > *most) {
            best = Some((known, table));
        }
    }
    best.map(|(_, table)| table).ok_or_else(|| input("its sheets are empty").cure(SAVE_AS))
}

/// Unpacks all files of the archive and counts their bytes: what the archive says of their sizes may be wrong.
fn check_size(bytes: &[u8]) -> Result<()> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(unreadable)?;
    // Some hundred bytes of it say a cell a hundred million times, and its reader makes them all.
    if archive.index_for_name("content.xml").is_some() {
        return Err(input("it is a spreadsheet of OpenDocument (ODS)").cure(SAVE_AS));
    }
    let mut unpacked = 0;
    for number in 0..archive.len() {
        let file = archive.by_index(number).map_err(unreadable)?;
        let mut file = file.take(MOST_UNPACKED + 1 - unpacked);
        let room = file.limit();
        // What is damaged is said by the reader of the workbook, and counts as far as it was unpacked.
        let _ = io::copy(&mut file, &mut io::sink());
        unpacked += room - file.limit();
        if unpacked > MOST_UNPACKED {
            return Err(too_large());
        }
    }
    Ok(())
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> Fault {
    input("it is an archive, but not a spreadsheet that can be read").cause(error).cure(SAVE_AS)
}

fn too_large() -> Fault {
    input("unpacked it is larger than 512 MiB").cure("save it as CSV in UTF-8, or split it into several catalogues")
}

/// The rows of a sheet in its order; `None` for one that cannot be read, such as a sheet with a chart.
fn sheet_rows<R: Read + Seek>(book: &mut Sheets<R>, name: &str) -> Result<Option<Vec<FilledRow>>> {
    let mut rows = RowsOfSheet::default();
    // A range holds every cell between the first and the last: one cell in the last row would make it as large as a sheet can be.
    match book {
        Sheets::Xlsx(book) => {
            let Ok(mut cells) = book.worksheet_cells_reader(name) else { return Ok(None) };
            rows.add_all(name, || cells.next_cell())?;
        }
        Sheets::Xlsb(book) => {
            let Ok(mut cells) = book.worksheet_cells_reader(name) else { return Ok(None) };
            rows.add_all(name, || cells.next_cell())?;
        }
        _ => {
            let Ok(range) = book.worksheet_range(name) else { return Ok(None) };
            let (top, left) = range.start().unwrap_or_default();
            for (row, column, data) in range.used_cells() {
                rows.add((top + row as u32, left + column as u32), data)?;
            }
        }
    }
    Ok(Some(rows.rows.into_values().collect()))
}

/// What a reader of cells gives.
type Next<'c, E> = std::result::Result<Option<Cell<DataRef<'c>>>, E>;

/// The rows of a sheet by their numbers, and how many bytes they have.
#[derive(Default)]
struct RowsOfSheet {
    rows: BTreeMap<u32, FilledRow>,
    bytes: u64,
}

impl RowsOfSheet {
    fn add_all<'c, E>(&mut self, sheet: &str, mut next: impl FnMut() -> Next<'c, E>) -> Result<()>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let broken = |error| input(format!("its sheet {sheet:?} is damaged")).cause(error).cure(SAVE_AS);
        while let Some(cell) = next().map_err(broken)? {
            self.add(cell.get_position(), &Data::from(cell.get_value().clone()))?;
        }
        Ok(())
    }

    fn add(&mut self, (row, column): (u32, u32), data: &Data) -> Result<()> {
        let text = cell(data);
        if text.trim().is_empty() {
            return Ok(());
        }
        self.bytes += text.len() as u64;
        if self.bytes > MOST_UNPACKED {
            return Err(too_large());
        }
        let new = || FilledRow { line: u64::from(row) + 1, cells: BTreeMap::new() };
        self.rows.entry(row).or_insert_with(new).cells.insert(column as usize, text);
        Ok(())
    }
}

/// What was merged in a sheet; nothing where the file does not say it, or says it wrongly.
fn merged_cells<R: Read + Seek>(book: &mut Sheets<R>, sheet: &str) -> Vec<Dimensions> {
    match book {
        Sheets::Xlsx(book) => book.merge_cells_by_sheet_name(sheet).unwrap_or_default(),
        Sheets::Xls(book) => book.merge_cells_by_sheet_name(sheet).unwrap_or_default(),
        _ => Vec::new(),
    }
}

fn known_names<'n>(names: impl IntoIterator<Item = &'n String>, is_known: impl Fn(&str) -> bool) -> usize {
    names.into_iter().filter(|name| is_known(&key(name))).count()
}

fn read_sheet(mut rows: Vec<FilledRow>, merged: &[Dimensions], is_known: impl Fn(&str) -> bool) -> Result<FeedTable> {
    fill_down(&mut rows, merged)?;
    let above = &rows[..rows.len().min(MOST_TITLE_ROWS)];
    let Some(header) = header(above, is_known) else { return Ok(FeedTable::default()) };
    let width = rows[header..].iter().filter_map(|row| row.cells.keys().last()).max().map_or(0, |last| last + 1);
    let name = |column| rows[header].cells.get(&column).map_or("", |name| name.trim()).to_owned();
    let columns = (0..width).map(name).collect();
    let records = rows.into_iter().skip(header + 1);
    let records =
        records.map(|row| FeedRecord { line: row.line, values: row.cells.into_iter().collect(), problem: None });
    Ok(FeedTable::new(columns, records.collect()))
}

/// The row with the column names: most of them known; where none has enough, the first with most cells.
fn header(rows: &[FilledRow], is_known: impl Fn(&str) -> bool) -> Option<usize> {
    let value = |(place, row): &(usize, &FilledRow)| {
        let known = Some(known_names(row.cells.values(), &is_known)).filter(|known| *known >= FEWEST_KNOWN);
        (known, if known.is_some() { 0 } else { row.cells.len() }, Reverse(*place))
    };
    rows.iter().enumerate().max_by_key(value).map(|(place, _)| place)
}

/// Writes a cell that was merged over several rows into each of them that has other cells.
fn fill_down(rows: &mut [FilledRow], merged: &[Dimensions]) -> Result<()> {
    let mut bytes = 0;
    for cells in merged.iter().filter(|cells| cells.start.0 < cells.end.0) {
        let [top, bottom] = [cells.start.0, cells.end.0].map(|row| u64::from(row) + 1);
        let first = rows.partition_point(|row| row.line < top);
        let end = rows.partition_point(|row| row.line <= bottom);
        let Some((head, below)) = rows[first..end.max(first)].split_first_mut().filter(|(head, _)| head.line == top)
        else {
            continue;
        };
        let column = cells.start.1 as usize;
        let Some(value) = head.cells.get(&column) else { continue };
        bytes += (below.len() * value.len().max(32)) as u64;
        if bytes > MOST_UNPACKED {
            return Err(too_large());
        }
        for row in below {
            row.cells.insert(column, value.clone());
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_many_cells_share_are_counted_for_each() {
        let mut rows = RowsOfSheet { bytes: MOST_UNPACKED - 3, ..RowsOfSheet::default() };
        let mut add = |column| rows.add((0, column), &Data::String("ab".into()));
        assert!(add(0).is_ok());
        assert!(add(1).unwrap_err().to_string().contains("512 MiB"));
    }

    #[test]
    fn a_merged_cell_is_written_into_rows_but_not_without_end() {
        let row = |line: u64, cells: &[(usize, &str)]| {
            let cells = cells.iter().map(|(column, text)| (*column, (*text).to_owned()));
            FilledRow { line, cells: cells.collect() }
        };
        let long = "x".repeat(1 << 20);
        let mut rows: Vec<FilledRow> = (1..600).map(|line| row(line, &[(1, "a")])).collect();
        rows[0].cells.insert(0, long);
        let cells = |end| Dimensions { start: (0, 0), end: (end, 0) };
        assert!(fill_down(&mut rows, &[cells(2)]).is_ok());
        assert_eq!([rows[2].cells.len(), rows[3].cells.len()], [2, 1]);
        assert!(fill_down(&mut rows, &[cells(u32::MAX)]).unwrap_err().to_string().contains("512 MiB"));
    }
}
