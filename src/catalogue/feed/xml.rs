//! RSS and Atom: each `item` or `entry` is a record, its child elements are the columns. Google's have the prefix `g:`, whatever the
//! document calls it; those of other namespaces keep theirs.

use super::input;
use super::table::{FeedRecord, FeedTable, Lines};
use crate::fault::{Fault, Result};
use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

/// Elements that are one product each.
const RECORDS: [&str; 3] = ["item", "entry", "product"];

/// What all namespaces of Google Merchant begin with.
const GOOGLE: &str = "http://base.google.com/";

/// An element within a record.
struct ChildElement {
    /// Name with prefix: `g:id` says more than `id`.
    name: String,
    text: String,
}

/// Reads the products of a document.
///
/// # Errors
/// [`Kind::Input`](crate::fault::Kind::Input) where it is not well-formed: a document that was cut short, say.
pub fn read(text: &str) -> Result<FeedTable> {
    let lines = Lines::of(text);
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut state = State::default();
    loop {
        let begin = reader.buffer_position() as usize;
        match reader.read_event().map_err(|error| broken(&lines, reader.error_position(), error))? {
            Event::Start(start) => state.open(&start, lines.line(begin)),
            Event::End(_) => state.close(),
            Event::Text(text) => state.add(&text.xml_content(Default::default())),
            Event::CData(text) => state.add(&text.into_inner()),
            Event::GeneralRef(reference) => state.add(&resolved(&reference)),
            Event::Eof if state.open.is_empty() && state.table.records.is_empty() => {
                return Err(input("it is XML without an <item> or <entry>").cure("export the feed for Google Merchant"));
            }
            Event::Eof if state.open.is_empty() => return Ok(state.table),
            Event::Eof => {
                let text = format!("its element <{}> is open at the end of the file", state.open.join("><"));
                return Err(input(text).cure("the feed was cut short: fetch or export it again"));
            }
            _ => {}
        }
    }
}

fn broken(lines: &Lines, byte: u64, error: quick_xml::Error) -> Fault {
    let line = lines.line(byte as usize);
    input(format!("line {line} is not well-formed XML")).cause(error).cure("fetch or export the feed again")
}

/// The reader's place in the document.
#[derive(Default)]
struct State {
    /// The names of the elements that are open.
    open: Vec<String>,
    /// The record that is open and the depth of its element.
    record: Option<(FeedRecord, usize)>,
    /// The record's child that is open.
    child: Option<ChildElement>,
    /// The prefix of Google's elements, with its colon, where it is not `g:`.
    google: Option<String>,
    table: FeedTable,
}

impl State {
    fn open(&mut self, start: &BytesStart, line: u64) {
        let name = start.name().into_inner().to_owned();
        let local = start.local_name().into_inner().to_ascii_lowercase();
        self.open.push(name.clone());
        self.note_prefix(start);
        let Some((_, depth)) = &self.record else {
            if RECORDS.contains(&local.as_str()) {
                self.record = Some((FeedRecord { line, ..FeedRecord::default() }, self.open.len()));
            }
            return;
        };
        if self.open.len() == depth + 1 {
            // Atom's <link href="..."/>.
            let href = start.attributes().flatten().find(|attribute| attribute.key.into_inner() == "href");
            let text =
                href.and_then(|href| href.normalized_value(Default::default()).ok().map(|value| value.into_owned()));
            let googles = self.google.as_deref().and_then(|prefix| name.strip_prefix(prefix));
            let name = googles.map_or_else(|| name.clone(), |local| format!("g:{local}"));
            self.child = Some(ChildElement { name, text: text.unwrap_or_default() });
        }
    }

    /// `xmlns:google="http://base.google.com/ns/1.0"`.
    fn note_prefix(&mut self, start: &BytesStart) {
        for attribute in start.attributes().flatten() {
            let prefix = attribute.key.into_inner().strip_prefix("xmlns:").filter(|prefix| *prefix != "g");
            let is_googles = |value: &str| value.starts_with(GOOGLE) && !value.contains("cns");
            if let Some(prefix) = prefix
                && attribute.normalized_value(Default::default()).is_ok_and(|value| is_googles(&value))
            {
                self.google = Some(format!("{prefix}:"));
            }
        }
    }

    fn add(&mut self, text: &str) {
        // Text of elements further in is of another kind: a price within <g:shipping>.
        let direct = self.record.as_ref().is_some_and(|(_, depth)| self.open.len() == depth + 1);
        if let Some(child) = self.child.as_mut().filter(|_| direct) {
            child.text.push_str(text);
        }
    }

    fn close(&mut self) {
        let depth = self.open.len();
        self.open.pop();
        let Some((record, at)) = &mut self.record else { return };
        if depth == *at + 1 {
            if let Some(child) = self.child.take().filter(|child| !child.text.trim().is_empty()) {
                let column = self.table.column(&child.name);
                record.values.push((column, child.text));
            }
        } else if depth == *at {
            let record = std::mem::take(record);
            self.record = None;
            self.table.records.push(record);
        }
    }
}

/// `&amp;` and its like are resolved; an entity that XML does not know, such as `&nbsp;`, is left for the clean-up of texts.
fn resolved(reference: &BytesRef) -> String {
    if let Ok(Some(letter)) = reference.resolve_char_ref() {
        return letter.to_string();
    }
    let name = reference.xml_content(Default::default());
    quick_xml::escape::resolve_predefined_entity(&name).map_or_else(|| format!("&{name};"), str::to_owned)
}
