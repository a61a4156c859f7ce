//! QR codes for links. How large one is follows from the link's length alone, so that the layout can know it without encoding.

use qrcodegen::{QrCode, QrCodeEcc, QrSegment, Version};

/// Light modules around a code, on each side (ISO/IEC 18004).
pub const QUIET: usize = 4;
/// The smallest module that phones read reliably from an arm's length, in panel pixels.
pub const MODULE: usize = 4;
/// Bytes that versions 1 to 10 hold at error correction level L; longer links get no code.
const CAPACITY: [usize; 10] = [17, 32, 53, 78, 106, 134, 154, 192, 230, 271];

/// Modules on a side for `link`, quiet zone included; `None` where the link is empty or too long to be shown well.
pub fn modules(link: &str) -> Option<usize> {
    if link.trim().is_empty() {
        return None;
    }
    let version = 1 + CAPACITY.iter().position(|capacity| link.trim().len() <= *capacity)?;
    Some(17 + 4 * version + 2 * QUIET)
}

/// The code as rows of modules, `true` for dark, quiet zone included: a square of [`modules`] on a side.
pub fn encode(link: &str) -> Option<Vec<Vec<bool>>> {
    let side = modules(link)?;
    let version = Version::new(u8::try_from((side - 2 * QUIET - 17) / 4).ok()?);
    let segments = [QrSegment::make_bytes(link.trim().as_bytes())];
    // Boosted: the strongest correction that this version still has room for.
    let code = QrCode::encode_segments_advanced(&segments, QrCodeEcc::Low, version, version, None, true).ok()?;
    let at = |i: usize| i as i32 - QUIET as i32;
    Some((0..side).map(|y| (0..side).map(|x| code.get_module(at(x), at(y))).collect()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_that_has_a_size_has_a_code_of_that_size() {
        for length in 1..=300 {
            let link = "x".repeat(length);
            let code = encode(&link);
            assert_eq!(code.as_ref().map(Vec::len), modules(&link), "{length} bytes");
            assert_eq!(code.is_some(), length <= 271);
        }
        assert_eq!(modules("  "), None);
    }

    #[test]
    fn the_quiet_zone_is_light() {
        let code = encode("https://vetrina.example/p/17").expect("short enough");
        let side = code.len();
        for (y, row) in code.iter().enumerate() {
            for (x, dark) in row.iter().enumerate() {
                let outside = [x, y].iter().any(|i| *i < QUIET || *i >= side - QUIET);
                assert!(!outside || !dark, "{x},{y}");
            }
        }
        assert!(code[QUIET][QUIET], "a finder pattern begins at the corner");
    }
}
