//! Pictures that are sent to `POST /api/match`: whatever comes is a picture with pixels, few enough, or a refusal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vetrina::pipeline::garment_answers::decode_sent_picture;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(picture) = decode_sent_picture(bytes) {
        let size = picture.size();
        assert!(size.width > 0 && size.height > 0 && size.width * size.height <= 16_000_000);
    }
});
