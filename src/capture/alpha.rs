//! Transparency: pictures are composited on white, as shops show them. Colours hidden by transparency have no meaning.

/// Composites straight (not premultiplied) RGBA on white. Returns RGB, 8 bits per channel.
pub fn on_white(rgba: &[u8]) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(rgba.len() / 4 * 3);
    for pixel in rgba.chunks_exact(4) {
        let alpha = u32::from(pixel[3]);
        let ground = 255 * (255 - alpha) + 127;
        rgb.extend(pixel[..3].iter().map(|channel| ((u32::from(*channel) * alpha + ground) / 255) as u8));
    }
    rgb
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opaque_is_unchanged_transparent_is_white_and_half_is_blended() {
        assert_eq!(
            on_white(&[7, 0, 255, 255, 255, 0, 255, 0, 0, 100, 255, 128]),
            [7, 0, 255, 255, 255, 255, 127, 177, 255]
        );
    }
}
