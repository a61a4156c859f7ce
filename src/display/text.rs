//! Text: the shipped fonts, measuring, ellipsis, wrapping, and a cache of rasterised glyphs.
//!
//! The fonts are Inter, unmodified, under the SIL Open Font License (fonts/OFL.txt). A character that they lack is a drawn box.

use super::canvas::Canvas;
use super::theme::{Style, Weight};
use crate::fault::{Fault, Kind, Result};
use embedded_graphics::pixelcolor::Rgb888;
use fontdue::{Font, FontSettings};
use std::collections::HashMap;

/// Height of Inter's capitals, as a share of its size: lines are centred on capitals, as the eye does.
const CAPITAL: f32 = 0.727;
/// With more rasterised glyphs the cache is cleared: a catalogue in many scripts must not fill the memory.
const MOST_GLYPHS: usize = 4096;

/// The two weights; immutable, so that the layout can measure with them.
pub struct Fonts {
    regular: Font,
    semi_bold: Font,
}

impl Fonts {
    /// Reads the shipped fonts.
    pub fn new() -> Result<Self> {
        let regular = read(include_bytes!("fonts/Inter-Regular.ttf"))?;
        let semi_bold = read(include_bytes!("fonts/Inter-SemiBold.ttf"))?;
        Ok(Fonts { regular, semi_bold })
    }

    fn font(&self, weight: Weight) -> &Font {
        match weight {
            Weight::Regular => &self.regular,
            Weight::SemiBold => &self.semi_bold,
        }
    }

    /// Whether the fonts have `letter`.
    pub fn has(&self, letter: char) -> bool {
        self.regular.lookup_glyph_index(letter) != 0
    }

    fn advance(&self, letter: char, style: Style) -> f32 {
        let font = self.font(style.weight);
        let width = match font.lookup_glyph_index(letter) {
            0 => missing_width(style.size),
            glyph => font.metrics_indexed(glyph, style.size).advance_width,
        };
        width + style.tracking
    }

    /// Width of one line of `text`, in pixels.
    pub fn width(&self, text: &str, style: Style) -> f32 {
        letters(text).map(|letter| self.advance(letter, style)).sum()
    }

    /// `text` if it fits `width`, else as much of it as fits together with an ellipsis. Empty where not even that fits.
    pub fn ellipsize(&self, text: &str, style: Style, width: f32) -> String {
        let text: String = letters(text.trim()).collect();
        if self.width(&text, style) <= width {
            return text;
        }
        let room = width - self.advance('…', style);
        if room < 0.0 {
            return String::new();
        }
        let mut used = 0.0;
        let kept: String = text
            .chars()
            .take_while(|letter| {
                used += self.advance(*letter, style);
                used <= room
            })
            .collect();
        kept.trim_end_matches([' ', ',', '-', '.']).to_owned() + "…"
    }

    /// `text` in at most `lines` lines of `width`, broken between words; a word wider than a line is cut, and so is the last line.
    pub fn wrap(&self, text: &str, style: Style, width: f32, lines: usize) -> Vec<String> {
        let text: String = letters(text).collect();
        let mut words = text.split_whitespace().peekable();
        let mut wrapped = Vec::new();
        while wrapped.len() < lines {
            let Some(first) = words.next() else { break };
            let mut line = first.to_owned();
            let last = wrapped.len() + 1 == lines;
            while let Some(word) = words.peek() {
                let longer = format!("{line} {word}");
                if !last && self.width(&longer, style) > width {
                    break;
                }
                line = longer;
                words.next();
            }
            wrapped.push(self.ellipsize(&line, style, width));
        }
        wrapped
    }
}

fn read(bytes: &[u8]) -> Result<Font> {
    Font::from_bytes(bytes, FontSettings::default())
        .map_err(|error| Fault::new(Kind::Internal, "cannot read a shipped font").cause(error))
}

/// What is drawn of a text: white space is a space, and what has no shape (controls, joiners, marks of direction) is left out.
fn letters(text: &str) -> impl Iterator<Item = char> + '_ {
    let shapeless = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
    };
    text.chars()
        .map(|letter| if letter.is_whitespace() { ' ' } else { letter })
        .filter(move |letter| !shapeless(*letter))
}

/// "trousers" as a heading: "Trousers".
pub fn capital(text: &str) -> String {
    let mut letters = text.trim().chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn missing_width(size: f32) -> f32 {
    size * 0.62
}

/// A rasterised glyph: coverage, and where it lies from the pen on the baseline.
struct Glyph {
    mask: Vec<u8>,
    width: usize,
    left: i32,
    top: i32,
}

/// Draws text, and keeps every glyph it has rasterised.
#[derive(Default)]
pub struct Glyphs {
    kept: HashMap<(Weight, char, u32), Glyph>,
}

impl Glyphs {
    /// Draws one line of text: the pen starts at `x`, the line is `height` high from `y`, and capitals are centred in it.
    pub fn draw(&mut self, fonts: &Fonts, canvas: &mut Canvas, line: Line<'_>) {
        let Line { text, style, colour, x, y, height } = line;
        let baseline = (y + (height + CAPITAL * style.size) / 2.0).round() as i32;
        let mut pen = x;
        for letter in letters(text) {
            let glyph = self.glyph(fonts, letter, style);
            canvas.blend_mask(pen.round() as i32 + glyph.left, baseline - glyph.top, glyph.width, &glyph.mask, colour);
            pen += fonts.advance(letter, style);
        }
    }

    fn glyph(&mut self, fonts: &Fonts, letter: char, style: Style) -> &Glyph {
        if self.kept.len() >= MOST_GLYPHS {
            self.kept.clear();
        }
        let key = (style.weight, letter, style.size.to_bits());
        self.kept.entry(key).or_insert_with(|| rasterise(fonts.font(style.weight), letter, style.size))
    }
}

/// One line to draw; see [`Glyphs::draw`].
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    pub text: &'a str,
    pub style: Style,
    pub colour: Rgb888,
    pub x: f32,
    pub y: f32,
    pub height: f32,
}

fn rasterise(font: &Font, letter: char, size: f32) -> Glyph {
    let index = font.lookup_glyph_index(letter);
    if index == 0 {
        return missing(size);
    }
    let (metrics, mask) = font.rasterize_indexed(index, size);
    Glyph { mask, width: metrics.width, left: metrics.xmin, top: metrics.ymin + metrics.height as i32 }
}

/// An empty box as high as a capital.
fn missing(size: f32) -> Glyph {
    let (width, height) = ((missing_width(size) * 0.8).ceil() as usize, (CAPITAL * size).ceil() as usize);
    let line = (size / 14.0).ceil() as usize;
    let at = |i: usize| {
        let (x, y) = (i % width, i / width);
        let edge = x < line || y < line || x + line >= width || y + line >= height;
        if edge { 150 } else { 0 }
    };
    Glyph { mask: (0..width * height).map(at).collect(), width, left: (size * 0.06) as i32, top: height as i32 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::theme;
    use crate::geometry::Size;
    use proptest::prelude::*;

    fn fonts() -> Fonts {
        Fonts::new().expect("the shipped fonts")
    }

    #[test]
    fn the_fonts_have_the_letters_of_european_shops() {
        let fonts = fonts();
        for letter in "AZaz09äöüßéèêçñåøæłśżőűčřğışțǎ€£¥$%…–—’“”«»×·ΑΩαωАЯая".chars()
        {
            assert!(fonts.has(letter), "{letter}");
        }
        assert!(!fonts.has('服'));
    }

    #[test]
    fn what_fits_is_kept_and_what_does_not_ends_in_an_ellipsis() {
        let fonts = fonts();
        assert_eq!(fonts.ellipsize("Linen shirt", theme::TITLE, 1000.0), "Linen shirt");
        let cut = fonts.ellipsize("Linen shirt with a very long name", theme::TITLE, 200.0);
        assert!(cut.starts_with("Linen") && cut.ends_with('…'), "{cut}");
        assert_eq!(fonts.ellipsize("Linen shirt", theme::TITLE, 3.0), "");
        assert_eq!(fonts.wrap("one two", theme::TITLE, 1000.0, 2), ["one two"]);
        assert_eq!(fonts.wrap("Shirt Trousers", theme::TITLE, 150.0, 2), ["Shirt", "Trousers"]);
        assert!(fonts.wrap(" \n ", theme::TITLE, 150.0, 2).is_empty());
    }

    #[test]
    fn letters_without_a_shape_do_not_count_and_missing_ones_are_boxes() {
        let fonts = fonts();
        assert_eq!(fonts.width("a\u{200b}\u{7}b", theme::BODY), fonts.width("ab", theme::BODY));
        let mut canvas = Canvas::new(Size::new(60, 40));
        let line = Line { text: "服", style: theme::BODY, colour: theme::IVORY, x: 4.0, y: 0.0, height: 40.0 };
        Glyphs::default().draw(&fonts, &mut canvas, line);
        assert!(canvas.pixels().iter().any(|pixel| *pixel != 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn any_text_fits_where_it_is_put(text in ".{0,80}", width in 0f32..900.0, lines in 0usize..4) {
            let fonts = fonts_once();
            let wrapped = fonts.wrap(&text, theme::TITLE, width, lines);
            prop_assert!(wrapped.len() <= lines);
            for line in wrapped {
                prop_assert!(fonts.width(&line, theme::TITLE) <= width + 0.01, "{line:?}");
            }
        }
    }

    fn fonts_once() -> &'static Fonts {
        static FONTS: std::sync::OnceLock<Fonts> = std::sync::OnceLock::new();
        FONTS.get_or_init(fonts)
    }
}
