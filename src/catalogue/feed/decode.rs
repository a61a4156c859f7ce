//! A feed's bytes to text.

use super::input;
use crate::fault::Result;
use encoding_rs::{Encoding, UTF_8};
use std::borrow::Cow;

const SAVE_AS: &str = "save the feed in UTF-8";

/// UTF-8, UTF-16 by its byte order mark, or what an XML declaration names; without the mark.
pub fn decode(bytes: &[u8]) -> Result<Cow<'_, str>> {
    let (encoding, skip) = Encoding::for_bom(bytes).or_else(|| declared(bytes)).unwrap_or((UTF_8, 0));
    let body = &bytes[skip..];
    let text = if encoding == UTF_8 {
        Cow::Borrowed(std::str::from_utf8(body).map_err(|error| {
            let before = &body[..error.valid_up_to()];
            let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
            let byte = 1 + before.iter().rev().take_while(|&&byte| byte != b'\n').count();
            input(format!("line {line}, byte {byte} is not UTF-8 text")).cure(SAVE_AS)
        })?)
    } else {
        encoding
            .decode_without_bom_handling_and_without_replacement(body)
            .ok_or_else(|| input(format!("it is damaged {} text", encoding.name())).cure(SAVE_AS))?
    };
    if text.contains('\0') {
        return Err(input("it contains zero bytes: UTF-16 without its byte order mark, or no text").cure(SAVE_AS));
    }
    Ok(text)
}

/// The encoding of `<?xml version="1.0" encoding="ISO-8859-1"?>`.
fn declared(bytes: &[u8]) -> Option<(&'static Encoding, usize)> {
    let head = std::str::from_utf8(bytes.get(..bytes.len().min(120))?.split(|byte| *byte == b'>').next()?).ok()?;
    let (_, name) = head.trim_start().strip_prefix("<?xml")?.split_once("encoding=")?;
    let name = name.trim_start_matches(['"', '\'']).split(['"', '\'']).next()?;
    Some((Encoding::for_label(name.as_bytes())?, 0))
}
