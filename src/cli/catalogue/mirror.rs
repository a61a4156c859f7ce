//! The mirror that a catalogue belongs to, for commands that change it: its audit log, and the fonts of its screen.

use crate::audit::{AuditAction, AuditLog, AuditNote};
use crate::config::{Config, DEFAULT_PATH};
use crate::display::text::Fonts;
use crate::fault::{Result, and_more};
use std::path::Path;

/// Letters that a warning names.
const MOST_LETTERS: usize = 20;

/// What is known of the mirror.
pub struct CatalogueMirror {
    /// The installed one's where that shows this catalogue, else the defaults.
    config: Config,
    /// `None`: no mirror has shown this catalogue.
    audit: Option<AuditLog>,
}

impl CatalogueMirror {
    /// The mirror of the catalogue at `db`: the one of the installed configuration, or whichever has left its audit log beside it.
    pub fn of(db: &Path) -> Self {
        let is_this = |config: &Config| same_file(&config.catalogue.file, db);
        if let Some(config) = Config::load(Path::new(DEFAULT_PATH)).ok().filter(is_this) {
            return CatalogueMirror { audit: Some(config.audit_log()), config };
        }
        let log = db.with_file_name("audit.jsonl");
        CatalogueMirror { config: Config::default(), audit: log.is_file().then(|| AuditLog::new(log)) }
    }

    /// The mirror of the configuration at `path`.
    ///
    /// # Errors
    /// The configuration cannot be read, or has a mistake.
    pub fn configured(path: &Path) -> Result<Self> {
        let config = Config::load(path)?;
        Ok(CatalogueMirror { audit: Some(config.audit_log()), config })
    }

    /// Writes into its audit log what was done on the command line.
    pub fn note(&self, action: AuditAction, detail: &str) {
        if let Some(log) = &self.audit {
            log.note(AuditNote { who: "command line", from: None, action, detail });
        }
    }

    /// Says which of these letters its screen has no font for; or why that is not known.
    pub fn letters_warning(&self, letters: &str) -> Option<String> {
        self.missing_letters(letters).unwrap_or_else(|fault| Some(fault.to_string()))
    }

    fn missing_letters(&self, letters: &str) -> Result<Option<String>> {
        // The folder of fonts takes a moment to read, and most shops do without.
        let beyond: String = Fonts::new()?.missing(letters).into_iter().collect();
        if beyond.is_empty() {
            return Ok(None);
        }
        let missing = Fonts::open(&self.config.look().font_settings())?.missing(&beyond);
        if missing.is_empty() {
            return Ok(None);
        }
        let named: String = missing.iter().take(MOST_LETTERS).collect();
        let more = and_more(missing.len().saturating_sub(MOST_LETTERS));
        Ok(Some(format!(
            "no font has these letters of the feed, which the screen draws as boxes: {named}{more}; install fonts in {} \
             (Debian: fonts-noto-core, fonts-noto-cjk), or set screen.fonts",
            self.config.screen.fonts.display()
        )))
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real(a) == real(b)
}
