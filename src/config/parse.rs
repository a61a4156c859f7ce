//! Parses a [`Config`] from text. Errors name line and key.

use super::theme::ShopTheme;
use super::{Config, plan};
use crate::capture::camera::Location;
use crate::fault::{Fault, Kind, Result, plain_words};
use crate::sync::manifest::public_key;
use crate::sync::source::ReleaseSource;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

impl Config {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// [`Kind::Usage`], naming file, line and key.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let cure = match error.kind() {
                std::io::ErrorKind::InvalidData => "save it as UTF-8",
                _ => "name it with --config; an empty file stands for the defaults",
            };
            Fault::io(Kind::Usage, "read the configuration", path, error).cure(cure)
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let own = Config::parse(&text).map_err(|fault| {
            Fault::new(Kind::Usage, format!("cannot use the configuration {}", path.display())).cause(fault)
        })?;
        let mut config = own.with_release(&text, folder);
        if let Some(theme) = &config.screen.theme {
            config.theme = ShopTheme::load(theme)?;
        }
        if let Some(plan) = &config.catalogue.plan {
            config.plan = Some(Arc::new(plan::load(plan, config.theme.theme.colors.card)?));
        }
        Ok(config)
    }

    /// Parses and checks the text of a configuration.
    ///
    /// # Errors
    /// [`Kind::Usage`]: `line 3, camera.width: 0 must lie from 1 to 7680`.
    pub fn parse(text: &str) -> Result<Self> {
        let config: Config = toml::from_str(text).map_err(|error| {
            let place = error.span().map(|span| KeyPosition::of(text, &span));
            // The message may span several lines that list the expected values.
            fault(place, &plain_words(error.message()))
        })?;
        match config.wrong() {
            None => Ok(config),
            Some((key, why)) => Err(fault(KeyPosition::of_key(text, key), &why)),
        }
    }

    /// The first error that involves more than one value: key and reason.
    fn wrong(&self) -> Option<(&'static str, String)> {
        if let Err(fault) = Location::parse(&self.camera.source) {
            return Some(("camera.source", fault.to_string()));
        }
        if self.catalogue.file.as_os_str().is_empty() {
            return Some(("catalogue.file", "the catalogue's path is empty".into()));
        }
        match (self.screen.blank_from, self.screen.blank_until) {
            (Some(_), None) => return Some(("screen.blank_from", "set screen.blank_until too".into())),
            (None, Some(_)) => return Some(("screen.blank_until", "set screen.blank_from too".into())),
            (from, until) if from.is_some() && from == until => {
                return Some(("screen.blank_until", "the screen would be dark never or for ever".into()));
            }
            _ => {}
        }
        if let Some(source) = &self.sync.source {
            if let Err(fault) = ReleaseSource::parse(source) {
                return Some(("sync.source", fault.to_string()));
            }
            match self.sync.key.as_deref().map(public_key) {
                None => return Some(("sync.source", "set sync.key to the hub's public key too".into())),
                Some(Err(fault)) => return Some(("sync.key", fault.to_string())),
                Some(Ok(_)) => {}
            }
        }
        if self.sync.other_shops && self.sync.source.is_none() {
            return Some(("sync.other_shops", "set sync.source and sync.key too: it is the hub that is asked".into()));
        }
        let beyond = self.web.enabled && !self.web.listen.ip().is_loopback();
        if beyond && self.web.password.is_none() {
            let why = format!("{} can be reached from other machines: set web.password too", self.web.listen);
            return Some(("web.listen", why));
        }
        self.wrong_outlets()
    }
}

fn fault(place: Option<KeyPosition>, why: &str) -> Fault {
    let text = match place {
        Some(KeyPosition { line, key: Some(key) }) => format!("line {line}, {key}: {why}"),
        Some(KeyPosition { line, key: None }) => format!("line {line}: {why}"),
        None => why.to_owned(),
    };
    Fault::new(Kind::Usage, text)
}

/// Position of a key in the text.
#[derive(Debug, PartialEq, Eq)]
struct KeyPosition {
    /// Counted from 1.
    line: usize,
    /// The key with its table: `camera.width`.
    key: Option<String>,
}

impl KeyPosition {
    fn of(text: &str, span: &Range<usize>) -> Self {
        let start = span.start.min(text.len());
        let line = text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count();
        let mut table = None;
        let mut key = None;
        for line in text.lines().take(line + 1) {
            key = key_of(line);
            table = table_of(line).or(table);
        }
        let key = key.map(|key| table.map_or(key.to_owned(), |table| format!("{table}.{key}")));
        KeyPosition { line: line + 1, key }
    }

    /// Line where `key` is set, or of its table's heading if the key is not set. `None` if neither exists.
    fn of_key(text: &str, key: &str) -> Option<Self> {
        let mut table = "";
        for (index, line) in text.lines().enumerate() {
            table = table_of(line).unwrap_or(table);
            let here = key_of(line).is_some_and(|name| format!("{table}.{name}") == key || name == key);
            if here {
                return Some(KeyPosition { line: index + 1, key: Some(key.to_owned()) });
            }
        }
        None
    }
}

fn table_of(line: &str) -> Option<&str> {
    line.trim().strip_prefix('[')?.split(']').next().map(str::trim)
}

fn key_of(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    let key = key.trim();
    (!key.is_empty() && !key.starts_with(['#', '['])).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Angle, Count, PanelName};
    use crate::display::canvas::Canvas;
    use crate::display::draw::Painter;
    use crate::display::scene::{Scene, StatusLine};
    use crate::frame::Picture;
    use crate::geometry::Size;
    use crate::pipeline::presenter::Presenter;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn a_screen_that_is_kept_as_a_file_says_so_from_the_configuration_to_the_pixels() {
        let mut painter = Painter::new().unwrap();
        let mut pixels = |scene: &Scene| {
            let mut canvas = Canvas::new(Size::new(540, 960));
            painter.draw(scene, &mut canvas);
            canvas.pixels().to_vec()
        };
        for (panel, kept) in [("png", true), ("window", false), ("kms", false), ("none", false)] {
            let config = Config::parse(&format!("[screen]\npanel = \"{panel}\"\n")).unwrap();
            let settings = config.live(Path::new("model")).pipeline;
            let camera = Some(Arc::new(Picture::filled(Size::new(64, 48), [90; 3])));
            let scene = Presenter::default().scene(Duration::ZERO, &settings, camera, &[], StatusLine::default());
            let says = |screen_kept| Scene { screen_kept, ..scene.clone() };
            assert_eq!(scene.privacy_text(), if kept { "privacy-screen-kept" } else { "privacy" }, "{panel}");
            assert!(pixels(&scene) == pixels(&says(kept)) && pixels(&scene) != pixels(&says(!kept)), "{panel}");
        }
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        assert_eq!(Config::parse("").unwrap(), Config::default());
        let text = "# nothing\n\n[camera]\nrotate = 90\n[screen]\npanel = \"none\"\n";
        let config = Config::parse(text).unwrap();
        assert_eq!((config.camera.rotate, config.screen.panel), (Angle::Quarter, PanelName::None));
        assert_eq!(config.camera.width, Count(1280));
    }

    #[test]
    fn a_mode_is_a_size() {
        let config = Config::parse("[screen]\nmode = \"1920x1080\"\n").unwrap();
        assert_eq!(config.screen.mode.map(|mode| mode.size()), Some(Size::new(1920, 1080)));
        assert!(toml::to_string(&config).unwrap().contains("mode = \"1920x1080\""));
    }

    #[test]
    fn errors_name_line_and_key() {
        let cases = [
            ("[camera]\n\ncolour = 3\n", "line 3", "unknown key `colour`"),
            ("[kamera]\nwidth = 3\n", "line 1", "kamera"),
            ("[camera]\nwidth = 0\n", "line 2, camera.width", "0 must lie from 1 to 7680"),
            ("[camera]\nwidth = -1\n", "line 2, camera.width", "-1 must lie"),
            ("[camera]\nwidth = \"wide\"\n", "line 2, camera.width", "wide"),
            ("[camera]\nformat = \"RGB\"\n", "line 2, camera.format", "RGB"),
            ("[camera]\nrotate = 45\n", "line 2, camera.rotate", "0, 90, 180 or 270"),
            ("camera.source = \"ftp://x\"\n", "line 1, camera.source", "ftp"),
            ("[screen]\npanel = \"tv\"\n", "line 2, screen.panel", "tv"),
            ("[screen]\nmode = \"4K\"\n", "line 2, screen.mode", "1920x1080"),
            ("[screen]\nmode = \"1920x9999\"\n", "line 2, screen.mode", "1920x1080"),
            ("[screen]\nblank_from = \"24:00\"\n", "line 2, screen.blank_from", "21:00"),
            ("[screen]\nblank_from = \"21:00\"\n", "line 2, screen.blank_from", "blank_until too"),
            ("[screen]\nblank_from = \"8:00\"\nblank_until = \"08:00\"\n", "line 3, screen.blank_until", "for ever"),
            ("[heat]\nlimit = 3\n", "line 2, heat.limit", "must lie from 30"),
            ("[model]\nbackend = \"gpu\"\n", "line 2, model.backend", "tensorrt"),
            ("[model]\nprecision = \"fp8\"\n", "line 2, model.precision", "int8"),
            ("[screen]\nrotate = 1\n", "line 2, screen.rotate", "0, 90, 180 or 270"),
            ("[web]\nlisten = \"0.0.0.0:80\"\n", "line 2, web.listen", "web.password"),
            ("[web]\nlisten = \"here\"\n", "line 2, web.listen", "give for example \"127.0.0.1:8080\""),
            ("[web]\nenabled = 3\n", "line 2, web.enabled", "this is the integer 3; give true or false"),
            ("[shop]\nname = true\n", "line 2, shop.name", "this is the boolean true; give a text in quotation marks"),
            ("camera = 3\n", "line 1, camera", "give a table with keys of its own"),
            ("camera.source = \"a.mjpg?loop\"\n", "line 1, camera.source", "file://a.mjpg?loop"),
            ("[web]\npassword = \"short\"\n", "line 2, web.password", "at least 8"),
            ("[watchdog]\nstall_seconds = 0\n", "line 2, watchdog.stall_seconds", "must lie from 1"),
            ("[sync]\nsource = \"ftp://hub/berlin\"\n", "line 2, sync.source", "https://"),
            ("[sync]\nsource = \"https://hub/berlin\"\n", "line 2, sync.source", "sync.key"),
            ("[sync]\nother_shops = true\n", "line 2, sync.other_shops", "sync.source"),
            ("[sync]\nsource = \"https://hub/berlin\"\nkey = \"RW\"\n", "line 3, sync.key", "minisign"),
            ("[camera]\nwidth 3\n", "line 2", ""),
            ("[camera]\nrate = 1\nrate = 2\n", "line 3", "rate"),
        ];
        for (text, place, why) in cases {
            let fault = Config::parse(text).unwrap_err();
            assert_eq!(fault.kind(), Kind::Usage);
            let fault = fault.to_string();
            assert!(fault.contains(place) && fault.contains(why), "{text:?}: {fault}");
        }
    }

    #[test]
    fn a_password_opens_the_page_to_others_and_is_never_printed() {
        let config = Config::parse("[web]\nlisten = \"0.0.0.0:80\"\npassword = \"correct horse\"\n").unwrap();
        assert!(!format!("{config:?}").contains("horse"));
        assert!(!toml::to_string(&config).unwrap().contains("horse"));
        assert!(Config::parse("[web]\nenabled = false\nlisten = \"0.0.0.0:80\"\n").is_ok());
    }
}
