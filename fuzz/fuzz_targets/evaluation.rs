//! An annotation file and a kept record, as bytes from anywhere.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vetrina::evaluation::{Record, annotations};

fuzz_target!(|bytes: &[u8]| {
    let _ = annotations::parse(bytes);
    if let Some(record) = Record::decode(bytes) {
        assert!(Record::decode(&record.encode()).is_some());
    }
});
