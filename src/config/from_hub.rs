//! What a hub's release sets on a mirror: the model that it runs, and a few keys of its configuration. Both stand in the catalogue, and
//! change with it.

use super::Config;
use crate::catalogue::{Catalogue, ReleaseMark};
use crate::fault::{Fault, Kind, Result};
use crate::sync::model_folder::model_folder;
use std::path::Path;
use toml::Table;

/// The keys that a hub may set: what the shop shows and when. None of the machine's, of the page's, of outlets or of privacy; all take
/// effect while the mirror runs.
pub const KEYS_FROM_HUB: [&str; 10] = [
    "shop.name",
    "shop.language",
    "shop.locale",
    "screen.blank_from",
    "screen.blank_until",
    "screen.blank_after_seconds",
    "catalogue.matches",
    "catalogue.garments",
    "catalogue.out_of_stock",
    "catalogue.false_accept",
];

impl Config {
    /// The release that the catalogue is, as of when the configuration was read; `None`: it follows no hub.
    pub fn release(&self) -> Option<&ReleaseMark> {
        self.release.as_ref()
    }

    /// The configuration in `folder` whose text is `own`, with what the catalogue's release brings. The file's own keys win.
    pub(super) fn with_release(mut self, own: &str, folder: &Path) -> Self {
        self.anchor(folder);
        // A catalogue that cannot be read is a fault of whoever searches it.
        let open = || Catalogue::open(&self.catalogue.file).ok()?.release().ok()?;
        let Some(mark) = self.sync.source.is_some().then(open).flatten() else { return self };
        let mut config = match merged(own, &mark.configuration) {
            Ok(mut config) => {
                config.anchor(folder);
                config
            }
            Err(fault) => {
                log::warn!("what release {} sets is not used: {fault}", mark.number);
                self
            }
        };
        let model = mark.model_folder.as_deref().map(|name| model_folder(&config.catalogue.file, name));
        if let Some(model) = model.filter(|model| model.exists()) {
            config.model.folder = Some(model);
        }
        config.release = Some(mark);
        config
    }
}

/// Whether a hub may publish `text` as keys of its mirrors' configuration.
///
/// # Errors
/// [`Kind::Usage`]: a key that a hub may not set, or a value that the key cannot have.
pub fn check_from_hub(text: &str) -> Result<()> {
    allowed(text)?;
    Config::parse(text).map(drop)
}

/// The tables of `text`, with no key but [`KEYS_FROM_HUB`].
fn allowed(text: &str) -> Result<Table> {
    let tables = parse(text)?;
    for (table, keys) in &tables {
        let named = keys.as_table().into_iter().flat_map(Table::keys).map(|key| format!("{table}.{key}"));
        let refused = |key: &String| !KEYS_FROM_HUB.contains(&key.as_str());
        if let Some(key) = named.chain(keys.as_table().is_none().then(|| table.clone())).find(refused) {
            return Err(Fault::new(Kind::Usage, format!("{key} is no key that a hub may set"))
                .cure(format!("set it on the mirror; a hub may set {}", KEYS_FROM_HUB.join(", "))));
        }
    }
    Ok(tables)
}

/// `own` with the keys of `from_hub` that it does not have.
fn merged(own: &str, from_hub: &str) -> Result<Config> {
    let mut all = parse(own)?;
    for (table, keys) in allowed(from_hub)? {
        let place = all.entry(table).or_insert_with(|| Table::new().into());
        let (Some(place), Some(keys)) = (place.as_table_mut(), keys.as_table()) else { continue };
        for (key, value) in keys {
            place.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    Config::parse(&all.to_string())
}

fn parse(text: &str) -> Result<Table> {
    text.parse().map_err(|error: toml::de::Error| Fault::new(Kind::Usage, error.message().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_sets_what_the_mirror_does_not_say_itself_and_nothing_else() {
        let own = "[shop]\nname = \"Own\"\n[camera]\nsource = \"test://bars\"\n";
        let hub = "[shop]\nname = \"Chain\"\nlanguage = \"de\"\n[catalogue]\nmatches = 7\n";
        let config = merged(own, hub).unwrap();
        assert_eq!((config.shop.name.as_str(), config.catalogue.matches.get()), ("Own", 7));
        assert_eq!(config.shop.language.0[0].tag(), "de");
        assert_eq!(merged(own, "").unwrap(), Config::parse(own).unwrap());
        for (wrong, words) in [
            ("[camera]\nsource = \"rtsp://else\"\n", "camera.source is no key that a hub may set"),
            ("[web]\nlisten = \"0.0.0.0:80\"\n", "web.listen"),
            ("[sync]\nkey = \"RW\"\n", "sync.key"),
            ("camera = 3\n", "camera"),
            ("[catalogue]\nmatches = 999\n", "catalogue.matches"),
            ("[screen]\nblank_from = \"21:00\"\n", "blank_until"),
            ("[catalogue\n", ""),
        ] {
            let fault = check_from_hub(wrong).unwrap_err();
            assert!(fault.kind() == Kind::Usage && fault.to_string().contains(words), "{wrong}: {fault}");
        }
        check_from_hub(hub).unwrap();
        assert!(KEYS_FROM_HUB.iter().all(|key| {
            let known = toml::Table::try_from(Config::default()).unwrap();
            let (table, key) = key.split_once('.').unwrap();
            known[table].as_table().unwrap().contains_key(key) || ["locale", "blank_from", "blank_until"].contains(&key)
        }));
    }
}
