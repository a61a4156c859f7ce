//! Any bytes as a picture file, and as one frame of a motion-JPEG stream: a picture or a fault, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(length) = vetrina::capture::jpeg_length(bytes) {
        assert!(length <= bytes.len());
    }
    if let Ok(picture) = vetrina::capture::decode_picture(bytes, "fuzz") {
        let size = picture.size();
        assert!(size.width > 0 && size.height > 0);
    }
});
