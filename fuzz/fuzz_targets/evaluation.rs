//! Any bytes as an annotation file, and as a cached record.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vetrina::evaluation::annotations;
use vetrina::evaluation::record::DetectionRecord;

fuzz_target!(|bytes: &[u8]| {
    let _ = annotations::parse(bytes);
    if let Some(record) = DetectionRecord::decode(bytes) {
        assert!(DetectionRecord::decode(&record.encode()).is_some());
    }
});
