//! A feed's bytes to text. A byte order mark or an XML declaration says the encoding, or the bytes show it.

use super::input;
use crate::fault::Result;
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8};
use std::borrow::Cow;

/// How much is looked at to guess an encoding, bytes.
const LOOKED_AT: usize = 1 << 20;
/// Of so many letters of a text one at most is a control character.
const LETTERS_OF_ONE_CONTROL: usize = 100;
const SAVE_AS: &str = "save the feed in UTF-8";

/// How a feed's text was encoded.
#[derive(Clone, Copy, Debug)]
pub struct TextEncoding {
    /// As the Encoding Standard names it, such as `windows-1252`.
    pub name: &'static str,
    /// Some bytes are no text in this encoding: U+FFFD stands for them.
    pub is_damaged: bool,
}

/// The text without a byte order mark. It may be UTF-8, UTF-16 by its mark, what an XML declaration names, or else what the bytes are most
/// likely to be.
pub fn decode(bytes: &[u8]) -> Result<(Cow<'_, str>, TextEncoding)> {
    let (marked, skip) = Encoding::for_bom(bytes).unwrap_or((UTF_8, 0));
    let body = &bytes[skip..];
    // A mark or a declaration of UTF-8 is often wrong. A mark that is right counts more than a declaration, which may be that of the file
    // before somebody saved it in UTF-8.
    let is_marked_utf8 = skip > 0 && marked == UTF_8 && std::str::from_utf8(body).is_ok();
    let declared = || declared(body).filter(|_| !is_marked_utf8);
    let said = Some(marked).filter(|encoding| *encoding != UTF_8).or_else(declared);
    let encoding = said.unwrap_or_else(|| likely(body));
    let (text, is_damaged) = encoding.decode_without_bom_handling(body);
    if text.contains('\0') {
        return Err(input("it contains zero bytes: UTF-16 without its byte order mark, or no text").cure(SAVE_AS));
    }
    if encoding != UTF_8 && said.is_none() && !is_text(&text) {
        return Err(input("it is no text in an encoding that is known").cure(SAVE_AS));
    }
    Ok((text, TextEncoding { name: encoding.name(), is_damaged }))
}

/// The encoding of `<?xml version="1.0" encoding="ISO-8859-1"?>`, unless it says UTF-8, or UTF-16 in letters of a byte each.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = std::str::from_utf8(bytes.get(..bytes.len().min(120))?.split(|byte| *byte == b'>').next()?).ok()?;
    let (_, name) = head.trim_start().strip_prefix("<?xml")?.split_once("encoding=")?;
    let name = name.trim_start_matches(['"', '\'']).split(['"', '\'']).next()?;
    Encoding::for_label(name.as_bytes()).filter(|encoding| *encoding != UTF_8 && encoding.is_ascii_compatible())
}

/// UTF-8 where at least as many of its letters are right as are wrong: other encodings make hardly any by chance.
fn likely(bytes: &[u8]) -> &'static Encoding {
    let Err(first) = std::str::from_utf8(bytes) else { return UTF_8 };
    let (mut right, mut wrong) = (0, 0);
    for chunk in bytes.utf8_chunks() {
        right += chunk.valid().chars().filter(|letter| !letter.is_ascii()).count();
        wrong += usize::from(!chunk.invalid().is_empty());
    }
    if right >= wrong {
        return UTF_8;
    }
    // Bytes before are ASCII, mostly, and say nothing.
    let begin = first.valid_up_to();
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(&bytes[begin..bytes.len().min(begin + LOOKED_AT)], begin + LOOKED_AT >= bytes.len());
    detector.guess(None, Utf8Detection::Deny)
}

fn is_text(text: &str) -> bool {
    let controls = text.chars().filter(|letter| letter.is_control() && !letter.is_ascii_whitespace()).count();
    controls * LETTERS_OF_ONE_CONTROL <= text.chars().count()
}
