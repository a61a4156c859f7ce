//! The theme file: a shop's own colours, logo, typeface and texts. TOML, every key optional; docs/screen.md lists them.

use crate::display::font_files::FontSettings;
use crate::display::text::Fonts;
use crate::display::theme::{Colors, Theme};
use crate::fault::{Fault, Kind, Result, plain_words};
use crate::frame::Picture;
use crate::language::{Language, Words};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The themes that are part of the program, by the names that stand in the configuration.
const SHIPPED: [(&str, &str); 1] = [("large-text", include_str!("../../themes/large-text.toml"))];
/// The longest side of a logo or a plan, pixels.
const LARGEST_PICTURE: u32 = 4096;

/// A theme as it was read, with the texts that it replaces.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShopTheme {
    pub theme: Theme,
    texts: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ThemeFile {
    colors: BTreeMap<String, String>,
    logo: Option<PathBuf>,
    typeface: Option<TypefaceFiles>,
    larger_text: Option<u32>,
    texts: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TypefaceFiles {
    regular: PathBuf,
    semi_bold: PathBuf,
}

/// Whether this name is that of a theme that is part of the program, and not a file's.
pub fn is_shipped(name: &Path) -> bool {
    SHIPPED.iter().any(|(shipped, _)| name == Path::new(shipped))
}

impl ShopTheme {
    /// Reads the theme of this name or file. Colours that are too faint are logged.
    ///
    /// # Errors
    /// [`Kind::Usage`], naming file and key.
    pub fn load(name: &Path) -> Result<Self> {
        let shipped = SHIPPED.iter().find(|(shipped, _)| name == Path::new(shipped));
        let text = match shipped {
            Some((_, text)) => (*text).to_owned(),
            None => std::fs::read_to_string(name).map_err(|error| {
                Fault::io(Kind::Usage, "read the theme", name, error)
                    .cure("name a theme file or \"large-text\" under [screen]")
            })?,
        };
        let fail =
            |cause: Fault| Fault::new(Kind::Usage, format!("cannot use the theme {}", name.display())).cause(cause);
        let theme = ShopTheme::parse(&text, name.parent().unwrap_or(Path::new(""))).map_err(fail)?;
        for faint in theme.theme.colors.faint() {
            log::warn!("theme {}: hard to read: {faint}, less than 7 : 1", name.display());
        }
        Ok(theme)
    }

    /// `folder`: what the paths in it are relative to.
    fn parse(text: &str, folder: &Path) -> Result<Self> {
        let file: ThemeFile = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            Fault::new(Kind::Usage, format!("line {line}: {}", plain_words(error.message())))
        })?;
        let larger_text = file.larger_text.unwrap_or(0);
        if larger_text > 50 {
            return Err(Fault::new(Kind::Usage, format!("larger_text: {larger_text} must lie from 0 to 50 percent")));
        }
        let typeface = file.typeface.map(|files| [folder.join(files.regular), folder.join(files.semi_bold)]);
        if typeface.is_some() {
            Fonts::open(&FontSettings { typeface: typeface.clone(), ..FontSettings::default() })?;
        }
        let colors = colors(&file.colors)?;
        let logo = file.logo.map(|path| picture("logo", &folder.join(path), colors.ground)).transpose()?;
        let theme = Theme { colors, logo, typeface, larger_text };
        let theme = ShopTheme { theme, texts: file.texts };
        // Now, so that a wrong text is an error of the file.
        for tag in theme.texts.keys() {
            let language =
                Language::parse(tag).map_err(|why| Fault::new(Kind::Usage, format!("texts.{tag}: {why}")))?;
            theme.words(language)?;
        }
        Ok(theme)
    }

    /// The texts of a language, with the shop's own in place of some.
    pub fn words(&self, language: Language) -> Result<Words> {
        let Some(texts) = self.texts.get(language.tag()) else { return Ok(Words::of(language)) };
        // Fluent continues a text on lines that are indented.
        let message = |(name, text): (&String, &String)| format!("{name} = {}\n", text.trim().replace('\n', "\n    "));
        Words::of(language).replacing(&texts.iter().map(message).collect::<String>())
    }
}

fn colors(given: &BTreeMap<String, String>) -> Result<Colors> {
    let mut colors = Colors::default();
    for (name, value) in given {
        let Colors { ground, edge, text, text_soft, accent, card, .. } = &mut colors;
        let place = match name.as_str() {
            "ground" => ground,
            "edge" => edge,
            "text" => text,
            "text_soft" => text_soft,
            "accent" => accent,
            "card" => card,
            "card_text" => &mut colors.card_text,
            "card_text_soft" => &mut colors.card_text_soft,
            "card_accent" => &mut colors.card_accent,
            "card_empty" => &mut colors.card_empty,
            "paper" => &mut colors.paper,
            "warning" => &mut colors.warning,
            _ => {
                return Err(Fault::new(Kind::Usage, format!("colors.{name}: there is no such color"))
                    .cure("see docs/screen.md"));
            }
        };
        *place = color(value).ok_or_else(|| {
            Fault::new(Kind::Usage, format!("colors.{name}: {value:?} is no color such as \"#0e0d0c\""))
        })?;
    }
    Ok(colors)
}

fn color(text: &str) -> Option<Rgb888> {
    let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
    let value = u32::from_str_radix(digits, 16).ok()?;
    let [_, red, green, blue] = value.to_be_bytes();
    Some(Rgb888::new(red, green, blue))
}

/// The picture at `path`, which the file names under `key`, on the ground that it will stand on.
pub fn picture(key: &str, path: &Path, ground: Rgb888) -> Result<Arc<Picture>> {
    let fail = || Fault::new(Kind::Usage, format!("{key}: cannot read {}", path.display())).cure("use a PNG or a JPEG");
    let mut reader = image::ImageReader::open(path)
        .and_then(|reader| reader.with_guessed_format())
        .map_err(|error| fail().cause(error))?;
    let mut limits = image::Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(LARGEST_PICTURE), Some(LARGEST_PICTURE));
    reader.limits(limits);
    let picture = reader.decode().map_err(|error| fail().cause(error))?.into_rgba8();
    let ground = [ground.r(), ground.g(), ground.b()];
    let over = |pixel: &image::Rgba<u8>| {
        let [red, green, blue, alpha] = pixel.0.map(u32::from);
        let mixed = [red, green, blue]
            .into_iter()
            .zip(ground)
            .map(move |(value, below)| ((value * alpha + u32::from(below) * (255 - alpha) + 127) / 255) as u8);
        mixed.collect::<Vec<u8>>()
    };
    let rgb: Vec<u8> = picture.pixels().flat_map(over).collect();
    let size = crate::geometry::Size::new(picture.width() as usize, picture.height() as usize);
    Ok(Arc::new(Picture::new(size, rgb)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_themes_can_be_used_and_read() {
        for (name, _) in SHIPPED {
            let theme = ShopTheme::load(Path::new(name)).unwrap();
            assert_eq!(theme.theme.colors.faint(), Vec::<String>::new(), "{name}");
        }
        assert_eq!(ShopTheme::load(Path::new("large-text")).unwrap().theme.larger_text, 25);
    }

    #[test]
    fn a_shop_has_its_own_colors_texts_and_typeface() {
        let fonts = concat!(env!("CARGO_MANIFEST_DIR"), "/src/display/fonts");
        let text = format!(
            "typeface = {{ regular = \"{fonts}/Inter-Regular.ttf\", semi_bold = \"{fonts}/Inter-SemiBold.ttf\" }}\n\
             [colors]\naccent = \"#00ff7f\"\n[texts.it]\nwelcome = \"\"\"Ciao!\nEntra\"\"\"\n"
        );
        let theme = ShopTheme::parse(&text, Path::new("")).unwrap();
        assert_eq!(theme.theme.colors.accent, Rgb888::new(0, 255, 127));
        assert_eq!(theme.words(Language::It).unwrap().say("welcome"), "Ciao!\nEntra");
        assert_eq!(theme.words(Language::De).unwrap(), Words::of(Language::De));
        assert!(theme.theme.typeface.is_some());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            ("colour = 1\n", "line 1"),
            ("[colors]\naccent = \"gold\"\n", "colors.accent: \"gold\""),
            ("[colors]\nshiny = \"#ffffff\"\n", "colors.shiny"),
            ("[texts.xx]\nwelcome = \"a\"\n", "texts.xx"),
            ("[texts.en]\nwelcom = \"a\"\n", "\"welcom\""),
            ("logo = \"none.png\"\n", "logo: cannot read /none/none.png"),
            ("typeface = { regular = \"a.ttf\", semi_bold = \"b.ttf\" }\n", "/none/a.ttf"),
            ("larger_text = 90\n", "larger_text: 90"),
        ];
        for (text, why) in cases {
            let fault = ShopTheme::parse(text, Path::new("/none")).unwrap_err().to_string();
            assert!(fault.contains(why), "{text:?}: {fault}");
        }
        let fault = ShopTheme::load(Path::new("/none/theme.toml")).unwrap_err().to_string();
        assert!(fault.contains("/none/theme.toml"), "{fault}");
    }
}
