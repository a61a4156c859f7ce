//! Any bytes as a JPEG whose Huffman tables may be missing: the repair only inserts tables and changes nothing else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vetrina::capture::{decode_jpeg, jpeg_length, with_tables};

fuzz_target!(|bytes: &[u8]| {
    let repaired = with_tables(bytes);
    let added = repaired.len() - bytes.len();
    assert!(added == 0 && *repaired == *bytes || repaired.starts_with(&bytes[..2]) && repaired.ends_with(&bytes[2..]));
    assert_eq!(jpeg_length(&repaired), jpeg_length(bytes).map(|length| length + added));
    if let Ok(picture) = decode_jpeg(bytes, "fuzz") {
        assert!(picture.size().width > 0 && picture.size().height > 0);
        assert_eq!(decode_jpeg(&repaired, "fuzz").ok().as_ref(), Some(&picture));
    }
});
