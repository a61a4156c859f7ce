//! Any bytes as a motion-JPEG clip, plain or in an AVI file: frame numbers increase, and every missing frame is
//! counted.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut source = vetrina::capture::motion_jpeg(bytes.to_vec(), "fuzz");
    let mut frames = 0;
    while let Ok(Some(frame)) = source.next() {
        assert_eq!(frame.meta.sequence, frames + source.corrupt());
        frames += 1;
    }
    assert_eq!(source.damage().is_some(), source.corrupt() > 0);
});
