//! Any text as a model's manifest: a manifest within its limits or a fault, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = vetrina::network::Manifest::parse(text);
});
