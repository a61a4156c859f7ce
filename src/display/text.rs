//! Text: measuring, ellipsis, wrapping and drawing. Shaping, bidirectional text and the choice of fonts are cosmic-text's; what was
//! shaped and rasterised once is kept.

use super::canvas::Canvas;
use super::font_files::{self, FontSettings};
use super::theme::{Style, Weight};
use crate::fault::{Fault, Kind, Result};
use crate::language::Language;
use cosmic_text::{Attrs, Buffer, Family, FontSystem, LayoutGlyph, Metrics, Shaping, SwashCache, SwashContent, Wrap};
use embedded_graphics::pixelcolor::Rgb888;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Height of Inter's capitals, as a share of its size: lines are centred on capitals, as the eye does.
pub const CAPITAL: f32 = 0.727;
/// With more of them kept, all are forgotten: a catalogue in many scripts must not fill the memory.
const MOST_KEPT: usize = 2048;

/// Shares of a width that are tried where the last line would be a letter or two.
const NARROWER: [f32; 4] = [0.9, 0.8, 0.7, 0.6];

/// The fonts, and what was set in them. Shared: measuring and drawing take turns.
pub struct Fonts(Mutex<Typesetter>);

struct Typesetter {
    system: FontSystem,
    family: &'static str,
    swash: SwashCache,
    kept: HashMap<u64, (String, Arc<SetLine>)>,
    wrapped: HashMap<u64, (String, Arc<[String]>)>,
}

/// One line of text, shaped.
struct SetLine {
    width: f32,
    glyphs: Vec<LayoutGlyph>,
    /// The same as pixels, once they are wanted.
    mask: Mutex<Option<Arc<LineMask>>>,
}

/// A line's coverage, and where it lies from the pen on the base line.
struct LineMask {
    coverage: Vec<u8>,
    width: usize,
    left: i32,
    top: i32,
}

/// One line to draw, from `x`; it is `height` high from `y`, and capitals are centred in it.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    pub text: &'a str,
    pub style: Style,
    pub colour: Rgb888,
    pub x: f32,
    pub y: f32,
    pub height: f32,
}

impl Fonts {
    /// The shipped fonts alone.
    pub fn new() -> Result<Self> {
        Fonts::open(&FontSettings::default())
    }

    /// The shipped fonts, and those in `settings`.
    pub fn open(settings: &FontSettings) -> Result<Self> {
        let (system, family) = font_files::open(settings)?;
        let (kept, wrapped) = (HashMap::new(), HashMap::new());
        Ok(Fonts(Mutex::new(Typesetter { system, family, swash: SwashCache::new(), kept, wrapped })))
    }

    fn typesetter(&self) -> MutexGuard<'_, Typesetter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The letters of `text` that no font has, each once: they are drawn as boxes.
    pub fn missing(&self, text: &str) -> Vec<char> {
        let style = Style { weight: Weight::Regular, size: 32.0, tracking: 0.0 };
        let mut missing = Vec::new();
        for letter in letters(text).filter(|letter| !letter.is_whitespace()) {
            let mut bytes = [0; 4];
            let set = self.typesetter().line(letter.encode_utf8(&mut bytes), style);
            if set.glyphs.iter().any(|glyph| glyph.glyph_id == 0) && !missing.contains(&letter) {
                missing.push(letter);
            }
        }
        missing
    }

    /// Checks that every letter of a language's texts has a font.
    ///
    /// # Errors
    /// [`Kind::Unavailable`]: some have none; the first ones.
    pub fn require(&self, language: Language) -> Result<()> {
        let missing: String = self.missing(language.texts()).into_iter().take(8).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let text = format!(
            "no font has these letters of the language {}: {missing}; the screen leaves it out",
            language.tag()
        );
        Err(Fault::new(Kind::Unavailable, text)
            .cure("install fonts (Debian: fonts-noto-core, fonts-noto-cjk) or set screen.fonts"))
    }

    /// Width of one line of `text`, in pixels.
    pub fn width(&self, text: &str, style: Style) -> f32 {
        self.typesetter().line(&cleaned(text), style).width
    }

    /// `text` if it fits `width`, else as much of it as fits together with an ellipsis. Empty where not even that fits.
    pub fn ellipsize(&self, text: &str, style: Style, width: f32) -> String {
        let text = cleaned(text);
        let lines =
            self.kept_lines(&text, style, width, 0, |typesetter| vec![typesetter.ellipsize(&text, style, width)]);
        lines.first().cloned().unwrap_or_default()
    }

    /// `text` in at most `lines` lines of `width`, broken between words; a word wider than a line is broken too, and the last line
    /// is cut, after a word if it holds several.
    pub fn wrap(&self, text: &str, style: Style, width: f32, lines: usize) -> Arc<[String]> {
        let text = cleaned(text);
        if text.is_empty() || lines == 0 {
            return Arc::new([]);
        }
        self.kept_lines(&text, style, width, lines, |typesetter| typesetter.wrap(&text, style, width, lines))
    }

    /// Draws one line of text.
    pub fn draw(&self, canvas: &mut Canvas, line: Line<'_>) {
        let Line { style, colour, x, y, height, .. } = line;
        let mask = self.typesetter().mask(&cleaned(line.text), style);
        let baseline = (y + (height + CAPITAL * style.size) / 2.0).round() as i32;
        canvas.blend_mask(x.round() as i32 + mask.left, baseline - mask.top, mask.width, &mask.coverage, colour);
    }

    fn kept_lines(
        &self,
        text: &str,
        style: Style,
        width: f32,
        lines: usize,
        set: impl FnOnce(&mut Typesetter) -> Vec<String>,
    ) -> Arc<[String]> {
        let mut typesetter = self.typesetter();
        let key = key(text, style, (width.to_bits(), lines));
        match typesetter.wrapped.get(&key) {
            Some((same, lines)) if same == text => lines.clone(),
            _ => {
                let lines: Arc<[String]> = set(&mut typesetter).into();
                make_room(&mut typesetter.wrapped);
                typesetter.wrapped.insert(key, (text.to_owned(), lines.clone()));
                lines
            }
        }
    }
}

impl Typesetter {
    fn line(&mut self, text: &str, style: Style) -> Arc<SetLine> {
        let key = key(text, style, ());
        match self.kept.get(&key) {
            Some((same, line)) if same == text => line.clone(),
            _ => {
                let line = Arc::new(self.shape(text, style));
                make_room(&mut self.kept);
                self.kept.insert(key, (text.to_owned(), line.clone()));
                line
            }
        }
    }

    fn shape(&mut self, text: &str, style: Style) -> SetLine {
        let buffer = self.buffer(text, style, None);
        let (mut width, mut glyphs) = (0.0, Vec::new());
        if let Some(run) = buffer.layout_runs().next() {
            let left = run.glyphs.iter().map(|glyph| glyph.x).fold(f32::INFINITY, f32::min);
            width = run.line_w;
            glyphs = run.glyphs.iter().map(|glyph| LayoutGlyph { x: glyph.x - left, ..glyph.clone() }).collect();
        }
        SetLine { width, glyphs, mask: Mutex::new(None) }
    }

    fn buffer(&mut self, text: &str, style: Style, width: Option<f32>) -> Buffer {
        let mut buffer = Buffer::new(&mut self.system, Metrics::new(style.size, style.line()));
        let mut attributes = Attrs::new().family(Family::Name(self.family)).weight(style.weight.of_font());
        // Letters that are joined in writing stay joined.
        if style.tracking != 0.0 && !text.chars().any(|letter| ('\u{590}'..'\u{1000}').contains(&letter)) {
            attributes = attributes.letter_spacing(style.tracking / style.size);
        }
        // Without a width too: `Wrap::None` drops a number at the start of a text from the right (cosmic-text 0.19).
        buffer.set_wrap(Wrap::WordOrGlyph);
        buffer.set_size(width, None);
        buffer.set_text(text, &attributes, Shaping::Advanced, None);
        buffer.shape_until_scroll(&mut self.system, false);
        buffer
    }

    fn wrap(&mut self, text: &str, style: Style, width: f32, most: usize) -> Vec<String> {
        if self.line(text, style).width <= width {
            return vec![text.to_owned()];
        }
        let (mut starts, right_to_left) = self.line_starts(text, style, width);
        if leaves_letters_alone(text, &starts) {
            // Narrower lines, as many, share the letters better.
            let narrower = NARROWER.map(|share| self.line_starts(text, style, share * width).0);
            let better = |other: &Vec<usize>| other.len() == starts.len() && !leaves_letters_alone(text, other);
            starts = narrower.into_iter().find(better).unwrap_or(starts);
        }
        starts.truncate(most);
        let ends = starts.iter().skip(1).copied().chain([text.len()]);
        let lines: Vec<&str> = starts.iter().zip(ends).map(|(start, end)| text[*start..end].trim()).collect();
        // A line keeps the direction of its paragraph, whatever letter it begins with.
        let mark = if right_to_left { "\u{200f}" } else { "" };
        lines.iter().map(|line| self.ellipsize(&format!("{mark}{line}"), style, width)).collect()
    }

    /// Where each line of `width` begins in the text, and whether it runs from right to left.
    fn line_starts(&mut self, text: &str, style: Style, width: f32) -> (Vec<usize>, bool) {
        let buffer = self.buffer(text, style, Some(width.max(1.0)));
        let mut starts: Vec<usize> =
            buffer.layout_runs().filter_map(|run| run.glyphs.iter().map(|glyph| glyph.start).min()).collect();
        starts.sort_unstable();
        (starts, buffer.layout_runs().last().is_some_and(|run| run.rtl))
    }

    fn ellipsize(&mut self, text: &str, style: Style, width: f32) -> String {
        if self.shape(text, style).width <= width {
            return text.to_owned();
        }
        let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let cut = |end: usize| text[..end].trim_end_matches([' ', ',', '-', '.']).to_owned() + "…";
        let longest = ends.partition_point(|end| self.shape(&cut(*end), style).width <= width);
        let Some(end) = longest.checked_sub(1).map(|last| ends[last]) else { return String::new() };
        // Half a word says less than none, and may say something else.
        let in_word = !text[end..].starts_with(' ') && !text[..end].ends_with(' ');
        let words = text[..end].trim_end().rfind(' ').filter(|_| in_word);
        cut(words.unwrap_or(end))
    }

    fn mask(&mut self, text: &str, style: Style) -> Arc<LineMask> {
        let line = self.line(text, style);
        let mut mask = line.mask.lock().unwrap_or_else(PoisonError::into_inner);
        mask.get_or_insert_with(|| Arc::new(self.rasterise(&line.glyphs))).clone()
    }

    fn rasterise(&mut self, glyphs: &[LayoutGlyph]) -> LineMask {
        let mut images = Vec::new();
        for glyph in glyphs {
            let at = glyph.physical((0.0, 0.0), 1.0);
            if let Some(image) = self.swash.get_image_uncached(&mut self.system, at.cache_key) {
                images.push((at.x + image.placement.left, at.y - image.placement.top, image));
            }
        }
        let edge = |of: fn(&(i32, i32, cosmic_text::SwashImage)) -> i32| images.iter().map(of);
        let left = edge(|(x, ..)| *x).min().unwrap_or(0);
        let top = edge(|(_, y, _)| *y).min().unwrap_or(0);
        let right = edge(|(x, _, image)| x + image.placement.width as i32).max().unwrap_or(0);
        let bottom = edge(|(_, y, image)| y + image.placement.height as i32).max().unwrap_or(0);
        let (width, height) = ((right - left).max(0) as usize, (bottom - top).max(0) as usize);
        let mut coverage = vec![0u8; width * height];
        for (x, y, image) in images {
            let columns = image.placement.width as usize;
            // Of a coloured glyph, its opacity: the screen's text has one colour.
            let (bytes, at) = match image.content {
                SwashContent::Mask => (1, 0),
                SwashContent::Color | SwashContent::SubpixelMask => (4, 3),
            };
            for (row, from) in image.data.chunks_exact((columns * bytes).max(1)).enumerate() {
                let start = ((y - top) as usize + row) * width + (x - left) as usize;
                for (out, pixel) in coverage[start..start + columns].iter_mut().zip(from.chunks_exact(bytes)) {
                    *out = out.saturating_add(pixel[at]);
                }
            }
        }
        LineMask { coverage, width, left, top: -top }
    }
}

/// Whether the last line is a letter or two that were broken off a word, or off a text without words, as in Japanese.
fn leaves_letters_alone(text: &str, starts: &[usize]) -> bool {
    let Some(last) = starts.last().filter(|_| starts.len() > 1) else { return false };
    !text[..*last].ends_with(' ') && text[*last..].trim_end().chars().count() <= 2
}

fn key(text: &str, style: Style, more: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    (text, style.weight, style.size.to_bits(), style.tracking.to_bits(), more).hash(&mut hasher);
    hasher.finish()
}

fn make_room<T>(kept: &mut HashMap<u64, T>) {
    if kept.len() >= MOST_KEPT {
        kept.clear();
    }
}

fn cleaned(text: &str) -> String {
    letters(text.trim()).collect()
}

/// What is drawn of a text: white space is a space, and what has no shape (controls, most joiners and marks) is left out. Marks of
/// direction and the joiners that choose a letter's form stay.
fn letters(text: &str) -> impl Iterator<Item = char> + '_ {
    let shapeless = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{ad}' | '\u{200b}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
    };
    text.chars()
        .map(|letter| if letter.is_whitespace() { ' ' } else { letter })
        .filter(move |letter| !shapeless(*letter))
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
        let european = "AZaz09äöüßéèêçñåøæłśżőűčřğışțǎ€£¥$%…–—’“”«»×·ΑΩαωАЯая";
        assert_eq!(fonts.missing(european), []);
        assert_eq!(fonts.missing("服 ok 服"), ['服'], "each once");
    }

    #[test]
    fn what_fits_is_kept_and_what_does_not_ends_in_an_ellipsis() {
        let fonts = fonts();
        let style = Style { size: 29.0, ..theme::TITLE };
        assert_eq!(fonts.ellipsize("Linen shirt", style, 1000.0), "Linen shirt");
        let cut = fonts.ellipsize("Linen shirt with a very long name", style, 200.0);
        assert!(cut.starts_with("Linen") && cut.ends_with('…'), "{cut}");
        let room = fonts.width("Linen shirt with a ve…", style);
        assert_eq!(fonts.ellipsize("Linen shirt with a very long name", style, room), "Linen shirt with a…");
        let room = fonts.width("Linen shirt with a …", style);
        assert_eq!(fonts.ellipsize("Linen shirt with a very long name", style, room), "Linen shirt with a…");
        assert_eq!(fonts.ellipsize("Linen shirt", style, 3.0), "");
        assert_eq!(*fonts.wrap("one two", style, 1000.0, 2), ["one two"]);
        assert_eq!(*fonts.wrap("Shirt Trousers", style, 150.0, 2), ["Shirt", "Trousers"]);
        assert!(fonts.wrap(" \n ", style, 150.0, 2).is_empty());
    }

    #[test]
    fn letters_without_a_shape_do_not_count_and_missing_ones_are_boxes() {
        let fonts = fonts();
        assert_eq!(fonts.width("a\u{200b}\u{7}b", theme::DETAIL), fonts.width("ab", theme::DETAIL));
        let mut canvas = Canvas::new(Size::new(60, 40));
        let line =
            Line {
                text: "服", style: theme::DETAIL, colour: Rgb888::new(255, 255, 255), x: 4.0, y: 0.0, height: 40.0
            };
        fonts.draw(&mut canvas, line);
        assert!(canvas.pixels().iter().any(|pixel| *pixel != 0));
    }

    #[test]
    fn arabic_is_joined_and_runs_from_right_to_left() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fonts");
        let settings = FontSettings { folder: Some(folder.into()), ..FontSettings::default() };
        let fonts = Fonts::open(&settings).expect("the tests' fonts");
        assert_eq!(fonts.missing("أنت ترتدي هذا 着ているのは"), []);
        let style = theme::DETAIL;
        let alone: f32 = ["ب", "ي", "ت"].iter().map(|letter| fonts.width(letter, style)).sum();
        assert!(fonts.width("بيت", style) < 0.95 * alone, "joined forms are narrower");
        let lines = fonts.wrap("أنت ترتدي هذا القميص الأزرق الطويل", style, 300.0, 3);
        assert!(lines.len() > 1 && lines.iter().all(|line| line.starts_with('\u{200f}')), "{lines:?}");
        let japanese = fonts.wrap("着ているのはこちらです", style, fonts.width("着ているのはこちらで", style), 2);
        assert_eq!(japanese.len(), 2);
        assert!(japanese[1].chars().count() > 2, "no letter stands alone: {japanese:?}");
        let set = fonts.typesetter().line("ابت", style);
        let price = fonts.width("٢٩٩ د.إ.", style);
        assert!(price > fonts.width("٢٩٩", style) + fonts.width("د.إ.", style), "a number at the start is there");
        let first = set.glyphs.iter().min_by_key(|glyph| glyph.start).expect("glyphs");
        assert!(set.glyphs.iter().all(|glyph| glyph.x <= first.x), "the first letter stands at the right");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn any_text_fits_where_it_is_put(text in ".{0,80}", width in 0f32..900.0, lines in 0usize..4) {
            let fonts = fonts_once();
            let wrapped = fonts.wrap(&text, theme::TITLE, width, lines);
            prop_assert!(wrapped.len() <= lines);
            for line in wrapped.iter() {
                prop_assert!(fonts.width(line, theme::TITLE) <= width + 0.01, "{line:?}");
            }
        }
    }

    fn fonts_once() -> &'static Fonts {
        static FONTS: std::sync::OnceLock<Fonts> = std::sync::OnceLock::new();
        FONTS.get_or_init(fonts)
    }
}
