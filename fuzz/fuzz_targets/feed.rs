//! Any bytes as a feed: rows and problems or a fault, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = vetrina::catalogue::parse_feed(bytes);
});
