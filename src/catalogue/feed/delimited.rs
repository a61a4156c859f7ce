//! Text tables: CSV (comma, semicolon or bar) and TSV, by the `csv` crate.
//!
//! A quotation mark that is not closed swallows the lines after it, and products with them. Such a feed is refused: see
//! [`swallowed`].

use super::field::key;
use super::input;
use super::table::{FEWEST_KNOWN, FeedRecord, FeedTable, Lines, MOST_TITLE_ROWS};
use crate::fault::{Fault, Result};
use std::io::Read;

/// A line after the end of the text. Where the text ends within quotation marks, the last field swallows it.
const SENTINEL: &str = "\u{1}end\u{1}";

/// How the fields of a table are written.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Dialect {
    separator: u8,
    quoting: bool,
}

/// Reads a table. `is_known` tells a column's name; the separator is the one that makes most names known.
///
/// # Errors
/// [`Kind::Input`](crate::fault::Kind::Input) where it is empty, or a quotation mark is not closed where it should be.
pub fn read(text: &str, is_known: impl Fn(&str) -> bool) -> Result<FeedTable> {
    let (text_start, told) = separator_line(text);
    let (header, separator) = header(&text[text_start..], told, is_known);
    let text_start = text_start + header;
    let quoted = Dialect { separator, quoting: true };
    if separator != b'\t' {
        return read_with(text, text_start, quoted).map(|(table, _)| table);
    }
    // Inch marks are text in a TSV. Only where that leaves short rows, and quotation marks mend them, are they quotation marks.
    let (plain, ragged) = read_with(text, text_start, Dialect { quoting: false, ..quoted })?;
    if !text.contains('"') {
        return Ok(plain);
    }
    match read_with(text, text_start, quoted) {
        Ok((table, 0)) if ragged > 0 => Ok(table),
        _ => Ok(unquoted(plain)),
    }
}

/// A spreadsheet's first line `sep=;`: where the table begins, and its separator.
fn separator_line(text: &str) -> (usize, Option<u8>) {
    let end = text.find(['\r', '\n']).unwrap_or(text.len());
    let line = text[..end].trim_matches('"');
    match line.strip_prefix("sep=").or_else(|| line.strip_prefix("SEP=")).map(str::as_bytes) {
        Some(&[separator]) => (end, Some(separator)),
        _ => (0, None),
    }
}

/// Where the line with the column names begins, and the separator. That makes most known names; of equals it is the most frequent, then
/// the comma. The first line has the names unless one of the next has more known ones, and the first hardly any: then it is a title.
fn header(text: &str, told: Option<u8>, is_known: impl Fn(&str) -> bool) -> (usize, u8) {
    let is_comment = |line: &str| line.is_empty() || line.trim_start_matches(['"', ' ']).starts_with('#');
    let mut start = 0;
    let lines = text.split(['\n', '\r']).map(|line| {
        let begin = start;
        start += line.len() + 1;
        (begin, line)
    });
    let separators = [b'|', b';', b'\t', b','];
    let value = |line: &str, separator: u8| {
        let names = line.split(char::from(separator)).map(|name| key(name.trim().trim_matches('"')));
        let (mut known, mut all) = (0, 0);
        for name in names {
            all += 1;
            known += usize::from(is_known(&name));
        }
        (known, all)
    };
    let best = |line: &str| {
        let separators = separators.into_iter().filter(|separator| told.is_none_or(|told| told == *separator));
        // max_by_key takes the last of equals.
        let found = separators.max_by_key(|separator| value(line, *separator)).or(told).unwrap_or(b',');
        (value(line, found).0, found)
    };
    let mut chosen: Option<(usize, usize, u8)> = None;
    for (begin, line) in lines.filter(|(_, line)| !is_comment(line)).take(MOST_TITLE_ROWS) {
        let (known, separator) = best(line);
        if chosen.is_none_or(|(_, most, _)| known > most && known >= FEWEST_KNOWN) {
            chosen = Some((begin, known, separator));
        }
        if known >= FEWEST_KNOWN {
            break;
        }
    }
    chosen.map_or((0, told.unwrap_or(b',')), |(begin, _, separator)| (begin, separator))
}

/// The table, and how many of its records have more or fewer fields than there are columns.
fn read_with(text: &str, start: usize, style: Dialect) -> Result<(FeedTable, usize)> {
    let lines = Lines::of(text);
    let body = &text[start..];
    let sentinel = format!("\n{SENTINEL}\n");
    let mut reader = builder(style).from_reader(body.as_bytes().chain(sentinel.as_bytes()));
    let mut fields = csv::StringRecord::new();
    let mut table = FeedTable::default();
    let (mut counted, mut ragged) = (0, 0);
    while reader.read_record(&mut fields).map_err(|error| input("it is not a table").cause(error))? {
        let (from, to) = extent(body, &fields, reader.position().byte());
        let place = LineSpan { first: lines.line(start + from), last: lines.line(start + to.max(from + 1) - 1) };
        if fields.len() == 1 && fields.get(0) == Some(SENTINEL) {
            break;
        }
        if fields.iter().any(|field| field.contains(SENTINEL)) {
            return Err(not_closed(
                LineSpan { last: lines.line(text.trim_end().len()), ..place },
                "it is open at the end of the file",
            ));
        }
        if fields.iter().all(|field| field.trim().is_empty()) {
            continue;
        }
        // Meta's template explains the columns in a line above their names.
        if counted == 0 && fields.get(0).is_some_and(|field| field.trim_start().starts_with('#')) {
            continue;
        }
        if counted == 0 {
            table.columns = fields.iter().map(|name| name.trim().to_owned()).collect();
            counted = fields.len();
            continue;
        }
        if style.quoting && place.first < place.last {
            refuse_swallowed(&body[from..to], &table.columns, style, place)?;
        }
        ragged += usize::from(fields.len() != counted);
        table.records.push(record(place.first, &fields, counted));
    }
    if counted == 0 {
        return Err(input("it is empty").cure("the first line names the columns: id, title, image_link, ..."));
    }
    Ok((table, ragged))
}

fn builder(style: Dialect) -> csv::ReaderBuilder {
    let mut builder = csv::ReaderBuilder::new();
    builder.has_headers(false).flexible(true).delimiter(style.separator).quoting(style.quoting);
    builder
}

/// Where a record begins and ends, without the blank lines before and the line break after it.
fn extent(text: &str, fields: &csv::StringRecord, end: u64) -> (usize, usize) {
    let bytes = text.as_bytes();
    let begin = fields.position().map_or(0, |position| position.byte() as usize).min(bytes.len());
    let end = (end as usize).clamp(begin, bytes.len());
    let is_break = |byte: &&u8| matches!(byte, b'\n' | b'\r');
    let blank = bytes[begin..end].iter().take_while(is_break).count();
    let breaks = bytes[begin + blank..end].iter().rev().take_while(is_break).count();
    (begin + blank, end - breaks)
}

/// Missing fields at the end are empty; surplus ones are ignored if they are empty.
fn record(line: u64, fields: &csv::StringRecord, columns: usize) -> FeedRecord {
    let surplus = fields.iter().skip(columns).any(|field| !field.trim().is_empty());
    let problem = surplus.then(|| format!("it has {} fields, the first line {columns}", fields.len()));
    let values = fields.iter().take(columns).enumerate().filter(|(_, field)| !field.trim().is_empty());
    FeedRecord { line, problem, values: values.map(|(column, field)| (column, field.to_owned())).collect() }
}

/// Takes the quotation marks from values that stand wholly within them, as spreadsheets write a text with a mark in it.
fn unquoted(mut table: FeedTable) -> FeedTable {
    for record in &mut table.records {
        for (_, value) in &mut record.values {
            let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            if let Some(inner) = inner.filter(|inner| !inner.replace("\"\"", "").contains('"')) {
                *value = inner.replace("\"\"", "\"");
            }
        }
    }
    table.columns.iter_mut().for_each(|name| *name = name.trim_matches('"').to_owned());
    table
}

/// First and last line of a record.
#[derive(Clone, Copy)]
struct LineSpan {
    first: u64,
    last: u64,
}

fn not_closed(place: LineSpan, how: &str) -> Fault {
    let lines = if place.first == place.last {
        format!("line {}", place.first)
    } else {
        format!("lines {} to {}", place.first, place.last)
    };
    input(format!("{lines}: a quotation mark is not closed: {how}"))
        .cure("close it, or double it (\"\") where it is part of the text; nothing was imported")
}

/// Refuses a record of several lines if one of them is a row of its own, or if a quotation mark that opens a field closed it.
fn refuse_swallowed(raw: &str, columns: &[String], style: Dialect, place: LineSpan) -> Result<()> {
    let lines: Vec<&str> = raw.split(['\n', '\r']).collect();
    let inner = lines.iter().skip(1).filter(|line| !line.is_empty());
    if let Some(row) = inner.clone().find(|line| is_row(line, columns, style)) {
        let row: String = row.chars().take(60).collect();
        return Err(not_closed(place, &format!("it swallows the row {row:?}")));
    }
    if lines.last().is_some_and(|line| closes_where_one_opens(line, style.separator)) {
        return Err(not_closed(place, "the next one closes it where another field begins"));
    }
    Ok(())
}

/// Whether a line is a row by itself: as many fields as there are columns, and a link to a picture where one belongs.
fn is_row(line: &str, columns: &[String], style: Dialect) -> bool {
    // A text of many lines is long: most of them need no reader.
    let separators = line.bytes().filter(|byte| *byte == style.separator).count();
    if columns.len() < 3 || separators + 1 < columns.len() || line.matches('"').count() % 2 == 1 {
        return false;
    }
    let mut fields = csv::StringRecord::new();
    let read = builder(style).from_reader(line.as_bytes()).read_record(&mut fields);
    let whole = read.is_ok_and(|some| some) && fields.len() == columns.len();
    whole && columns.iter().zip(&fields).any(|(name, field)| key(name).contains("image") && is_link(field))
}

fn is_link(field: &str) -> bool {
    let path = field.trim().split(['?', '#']).next().unwrap_or_default();
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
    path.contains("://")
        || matches!(ending.to_ascii_lowercase().as_str(), "jpg" | "jpeg" | "png" | "webp" | "gif" | "avif")
}

/// Whether the line's only odd quotation mark stands where a field begins and text follows it.
fn closes_where_one_opens(line: &str, separator: u8) -> bool {
    let Some(at) = line.find('"').filter(|_| line.matches('"').count() % 2 == 1) else { return false };
    let before = at.checked_sub(1).map(|before| line.as_bytes()[before]);
    let after = line.as_bytes().get(at + 1);
    before == Some(separator) && after.is_some_and(|after| *after != separator && *after != b'"')
}
