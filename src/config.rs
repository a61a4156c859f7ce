//! The appliance's configuration: one TOML file, read into validated settings.
//!
//! All defaults are here: [`Config::default`] equals an empty file. An unknown key, or a value of the wrong type or out
//! of range, is an error that names key and line. Paths in the file are relative to the file.

mod from_hub;
mod outlets;
mod parse;
mod plan;
mod theme;
mod values;

pub use outlets::{MqttSection, PrivacySection, StatsSection, WebhookSection};
pub use values::{Angle, Count, Decimal, Languages, PanelName, PixelChoice, ScreenMode, Secret, TimeOfDay};

pub use self::from_hub::check_from_hub;
use self::theme::ShopTheme;
use crate::capture::camera::CameraSettings;
use crate::catalogue::{ModelStamp, ReleaseMark};
use crate::display::draw::Look;
use crate::display::kms::KmsSettings;
use crate::display::open::{PanelKind, PanelSettings};
use crate::display::viewing::USUAL_DISTANCE;
use crate::fault::{Fault, Kind, Result};
use crate::geometry::Size;
use crate::language::{Language, Words};
use crate::live::LiveSettings;
use crate::live::policy::blank::{BlankSettings, Hours};
use crate::live::policy::throttle::HeatSettings;
use crate::network::backend::ENGINES;
use crate::network::{Backend, EngineSettings, Precision};
use crate::pipeline::settings::{OutOfStock, PipelineSettings, PriceLocale};
use crate::pipeline::shop_plan::ShopPlan;
use crate::sync::SyncSettings;
use crate::web::WebSettings;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Default path of the configuration.
pub const DEFAULT_PATH: &str = "/etc/vetrina.toml";

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub shop: ShopSection,
    pub camera: CameraSection,
    pub screen: ScreenSection,
    pub model: ModelSection,
    pub catalogue: CatalogueSection,
    pub web: WebSection,
    pub watchdog: WatchdogSection,
    pub heat: HeatSection,
    pub stats: StatsSection,
    pub webhook: WebhookSection,
    pub mqtt: MqttSection,
    pub privacy: PrivacySection,
    pub sync: SyncSection,
    /// Content of the file `screen.theme`.
    #[serde(skip)]
    theme: ShopTheme,
    /// Content of the file `catalogue.plan`.
    #[serde(skip)]
    plan: Option<Arc<ShopPlan>>,
    /// The release that the catalogue is, where it follows a hub's.
    #[serde(skip)]
    release: Option<ReleaseMark>,
}

/// The shop, as the screen names it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShopSection {
    pub name: String,
    /// The screen's language, or several that take turns.
    pub language: Languages,
    /// Locale for prices, `"de_DE"`. `None`: as written in the feed.
    pub locale: Option<PriceLocale>,
}

/// The source of frames.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct CameraSection {
    /// `v4l2:///dev/video0`, `csi://0`, `rtsp://...`, `file:///a/clip.mjpg?loop`, `test://bars`.
    pub source: String,
    /// Width in pixels to request from the camera. If it delivers another size, that is used and logged.
    pub width: Count<1, 7680>,
    pub height: Count<1, 7680>,
    /// Frames per second to request from the camera.
    pub rate: Count<1, 240>,
    pub format: PixelChoice,
    /// Clockwise rotation of the picture in degrees, for a camera mounted on its side.
    pub rotate: Angle,
    /// Whether the camera already mirrors its picture. It is then flipped back before anything else.
    pub mirrored: bool,
}

/// The display.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScreenSection {
    pub panel: PanelName,
    /// DRM device of the panel `kms`, `/dev/dri/cardN`. `None`: the first with a connected screen.
    pub card: Option<PathBuf>,
    /// Video mode that the panel `kms` sets, `"1920x1080"`, before rotation. `None`, or if the screen lacks the mode:
    /// the screen's preferred mode.
    pub mode: Option<ScreenMode>,
    /// Clockwise rotation of the output in degrees on the panel `kms`, for a screen mounted on its side.
    pub rotate: Angle,
    /// Width of the drawn picture in pixels. The panel `kms` uses the video mode instead.
    pub width: Count<160, 7680>,
    pub height: Count<160, 7680>,
    /// Maximum number of frames drawn per second.
    pub rate: Count<1, 120>,
    /// Folder where the panel `png` writes `screen.png`.
    pub folder: PathBuf,
    /// The panel's diagonal in inches; `None`: as the screen itself says, else 32.
    pub diagonal: Option<Decimal<40, 1200>>,
    /// Distance from the shopper's eyes to the panel in metres: determines the size of texts and codes.
    pub distance: Decimal<4, 60>,
    /// A theme file, or `"large-text"`; `None`: the shipped design.
    pub theme: Option<PathBuf>,
    /// Folder of fonts for scripts that the shipped fonts lack.
    pub fonts: PathBuf,
    /// Whether the screen also shows the device's state and faults.
    pub operator: bool,
    /// Whether the mirror says aloud what it found, by speech-dispatcher.
    pub audio: bool,
    /// Keys or a touch screen, `/dev/input/by-id/...`; `None`: none is read.
    pub input: Option<PathBuf>,
    /// Local time from which and until which the screen is dark, `"21:00"` and `"08:00"`. A person still wakes it.
    pub blank_from: Option<TimeOfDay>,
    pub blank_until: Option<TimeOfDay>,
    /// Seconds without a person after which the screen turns dark, until one appears; 0: never.
    pub blank_after_seconds: Count<0, 86400>,
}

/// The network.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelSection {
    /// Model folder. `None`: the shipped model.
    pub folder: Option<PathBuf>,
    /// Maximum number of garments recognized per frame.
    pub garments: Count<1, 100>,
    /// Frames recognized in parallel; 0: one per core, at most four.
    pub workers: Count<0, 64>,
    /// Backend of the network: `"cpu"`, `"tensorrt"` or `"auto"` (TensorRT if available).
    pub backend: Backend,
    /// Precision of TensorRT engines: `"fp32"`, `"fp16"`, `"int8"`. `None`: fp16 if the model has it, otherwise fp32.
    pub precision: Option<Precision>,
    /// Folder of the TensorRT engine cache.
    pub engines: PathBuf,
}

/// The catalogue and the search in it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct CatalogueSection {
    pub file: PathBuf,
    /// Folder of the shop's pictures and feeds, from which the page may import. `None`: no import from the page.
    pub images: Option<PathBuf>,
    /// A plan of the shop with its shelves. `None`: where a product hangs is said in words alone.
    pub plan: Option<PathBuf>,
    /// Products shown per garment.
    pub matches: Count<1, 50>,
    /// Garments shown at the same time.
    pub garments: Count<1, 10>,
    /// Maximum share of the products that an import from the page may remove, percent.
    pub max_removals: Count<0, 100>,
    /// Treatment of products of which every variant is out of stock.
    pub out_of_stock: OutOfStock,
    /// Maximum share of garments not sold here that may be called "likely", percent.
    pub false_accept: Count<1, 50>,
}

/// The page for the mirror's operator.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebSection {
    pub enabled: bool,
    /// Address and port. Other than 127.0.0.1 and ::1 only with a password.
    pub listen: SocketAddr,
    /// Password of the user `vetrina`; at least eight characters.
    pub password: Option<Secret>,
    /// Password of the user `staff`, who may see the page, enrol and correct, but not change the shop's data.
    pub staff_password: Option<Secret>,
    /// Token for programs that change prices and stock over HTTP; at least eight characters.
    pub token: Option<Secret>,
}

/// Detection of stalled stages.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct WatchdogSection {
    /// Seconds without progress after which a stage is restarted, once; the next time the program ends with an error.
    pub stall_seconds: Count<1, 600>,
}

/// Throttling when the board is hot.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeatSection {
    /// Temperature in degrees Celsius from which fewer frames are recognized. `None`: slightly below the board's own
    /// throttling temperature.
    pub limit: Option<Count<30, 120>>,
    /// Where the kernel reports temperature and current.
    pub sysfs: PathBuf,
}

/// The hub that publishes the catalogue.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SyncSection {
    /// The shop's folder of releases, `"https://hub.example/releases/berlin"`; `None`: the catalogue is imported here.
    pub source: Option<String>,
    /// The hub's public key; its releases must be signed with it.
    pub key: Option<String>,
    /// The mean time between two polls.
    pub poll_seconds: Count<1, 86400>,
    /// Staff may ask the hub which other shops sell what a shopper wears: the garment's embedding is sent to it.
    pub other_shops: bool,
}

impl Default for ShopSection {
    fn default() -> Self {
        ShopSection {
            name: PipelineSettings::default().shop_name,
            language: Languages(vec![Language::default()]),
            locale: None,
        }
    }
}

impl Default for CameraSection {
    fn default() -> Self {
        CameraSection {
            source: "v4l2:///dev/video0".into(),
            width: Count(1280),
            height: Count(720),
            rate: Count(30),
            format: PixelChoice::Auto,
            rotate: Angle::None,
            mirrored: false,
        }
    }
}

impl Default for ScreenSection {
    fn default() -> Self {
        ScreenSection {
            panel: PanelName::Window,
            card: None,
            mode: None,
            rotate: Angle::None,
            width: Count(1080),
            height: Count(1920),
            rate: Count(30),
            folder: "/run/vetrina".into(),
            diagonal: None,
            distance: Decimal(USUAL_DISTANCE),
            theme: None,
            fonts: "/usr/share/fonts".into(),
            operator: false,
            audio: false,
            input: None,
            blank_from: None,
            blank_until: None,
            blank_after_seconds: Count(0),
        }
    }
}

impl Default for ModelSection {
    fn default() -> Self {
        ModelSection {
            folder: None,
            garments: Count(8),
            workers: Count(0),
            backend: Backend::Auto,
            precision: None,
            engines: ENGINES.into(),
        }
    }
}

impl Default for CatalogueSection {
    fn default() -> Self {
        let pipeline = PipelineSettings::default();
        CatalogueSection {
            file: "/var/lib/vetrina/catalogue.db".into(),
            images: None,
            plan: None,
            matches: Count(pipeline.matches_per_garment as u32),
            garments: Count(pipeline.max_garments as u32),
            max_removals: Count(10),
            out_of_stock: pipeline.out_of_stock,
            false_accept: Count(pipeline.false_accept),
        }
    }
}

impl Default for WebSection {
    fn default() -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 8080));
        WebSection { enabled: true, listen, password: None, staff_password: None, token: None }
    }
}

impl Default for WatchdogSection {
    fn default() -> Self {
        WatchdogSection { stall_seconds: Count(15) }
    }
}

impl Default for HeatSection {
    fn default() -> Self {
        HeatSection { limit: None, sysfs: "/sys".into() }
    }
}

impl Default for SyncSection {
    fn default() -> Self {
        SyncSection { source: None, key: None, poll_seconds: Count(30), other_shops: false }
    }
}

impl Config {
    /// The configuration as TOML with every default filled in. Passwords are hidden.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self)
            .map_err(|error| Fault::new(Kind::Internal, "cannot write the configuration as TOML").cause(error))
    }

    /// Makes relative paths relative to `folder`.
    fn anchor(&mut self, folder: &Path) {
        let paths = [&mut self.screen.folder, &mut self.catalogue.file, &mut self.heat.sysfs, &mut self.model.engines];
        let paths = paths
            .into_iter()
            .chain(&mut self.model.folder)
            .chain(&mut self.catalogue.images)
            .chain(&mut self.catalogue.plan);
        let theme = self.screen.theme.as_mut().filter(|theme| !theme::is_shipped(theme));
        let paths = paths.chain([&mut self.screen.fonts]).chain(theme);
        for path in paths {
            *path = folder.join(&*path);
        }
        self.anchor_outlets(folder);
    }

    /// Settings requested from the camera.
    pub fn camera(&self) -> CameraSettings {
        let camera = &self.camera;
        CameraSettings {
            source: camera.source.clone(),
            size: Size::new(camera.width.get(), camera.height.get()),
            rate: camera.rate.0,
            format: camera.format.pixel_format(),
            turn: camera.rotate.turn(),
            mirrored: camera.mirrored,
            mask: self.privacy.mask.clone(),
        }
    }

    /// Settings of the display panel.
    pub fn panel(&self) -> PanelSettings {
        let screen = &self.screen;
        let kind = match screen.panel {
            PanelName::Kms => PanelKind::Kms(KmsSettings {
                card: screen.card.clone(),
                mode: screen.mode.map(ScreenMode::size),
                turn: screen.rotate.turn(),
            }),
            PanelName::Window => PanelKind::Window,
            PanelName::Png => PanelKind::Png(screen.folder.clone()),
            PanelName::None => PanelKind::None,
        };
        PanelSettings { kind, size: Size::new(screen.width.get(), screen.height.get()) }
    }

    /// How the screen looks.
    pub fn look(&self) -> Look {
        let screen = &self.screen;
        Look {
            theme: self.theme.theme.clone(),
            fonts: Some(screen.fonts.clone()),
            diagonal: screen.diagonal.map(|inches| inches.0),
            distance: screen.distance.0,
            language: self.shop.language.0.first().map(|language| language.tag().to_owned()).unwrap_or_default(),
        }
    }

    /// The texts of the screen's languages, in their order.
    pub fn languages(&self) -> Vec<Words> {
        // The theme's texts were looked at when it was read.
        let words = |language: &Language| self.theme.words(*language).unwrap_or_else(|_| Words::of(*language));
        self.shop.language.0.iter().map(words).collect()
    }

    /// Settings of the dark screen.
    fn blank(&self) -> BlankSettings {
        let screen = &self.screen;
        let hours = screen.blank_from.zip(screen.blank_until);
        let idle = Duration::from_secs(screen.blank_after_seconds.0.into());
        BlankSettings {
            hours: hours.map(|(from, until)| Hours { from: from.minute(), until: until.minute() }),
            idle: Some(idle).filter(|idle| !idle.is_zero()),
        }
    }

    /// Settings of the page; `None` if it is disabled. `model` is the model folder in use, `path` the file that this was read from.
    pub fn web(&self, model: &Path, path: &Path) -> Option<WebSettings> {
        let reveal = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.reveal().to_owned());
        let (password, token) = (reveal(&self.web.password), reveal(&self.web.token));
        let images = self.catalogue.images.clone();
        self.web.enabled.then_some(WebSettings {
            listen: self.web.listen,
            password,
            staff_password: reveal(&self.web.staff_password),
            token,
            live_view: self.live_view(),
            staff_crops: self.privacy.staff_crops,
            other_shops: self.sync.other_shops,
            counts: self.counts(),
            audit: self.audit_log(),
            images,
            model: model.into(),
            config: path.into(),
            max_removals: self.catalogue.max_removals.0,
        })
    }

    /// Settings for following a hub; `None` if the catalogue is imported here. `model` is the model folder in use.
    pub fn sync(&self, model: ModelStamp) -> Option<SyncSettings> {
        let (source, key) = self.sync.source.clone().zip(self.sync.key.clone())?;
        let poll = Duration::from_secs(self.sync.poll_seconds.0.into());
        Some(SyncSettings { source, key, poll, catalogue: self.catalogue.file.clone(), model })
    }

    /// Backend settings of the network.
    pub fn engines(&self) -> EngineSettings {
        let ModelSection { backend, precision, .. } = self.model;
        EngineSettings { backend, precision, engines: self.model.engines.clone() }
    }

    /// Settings of the live pipeline. `model` is the model folder if none is configured.
    pub fn live(&self, model: &Path) -> LiveSettings {
        LiveSettings {
            camera: self.camera(),
            panel: self.panel(),
            rate: self.screen.rate.0,
            look: Arc::new(self.look()),
            input: self.screen.input.clone(),
            theme_file: self.screen.theme.clone().filter(|theme| !theme::is_shipped(theme)),
            model: self.model.folder.clone().unwrap_or_else(|| model.into()),
            max_detections: self.model.garments.get(),
            workers: self.model.workers.get(),
            engines: self.engines(),
            catalogue: self.catalogue.file.clone(),
            pipeline: PipelineSettings {
                shop_name: self.shop.name.clone(),
                languages: self.languages(),
                operator: self.screen.operator,
                screen_kept: self.screen.panel == PanelName::Png,
                input: self.screen.input.is_some(),
                audio: self.screen.audio,
                matches_per_garment: self.catalogue.matches.get(),
                max_garments: self.catalogue.garments.get(),
                locale: self.shop.locale,
                out_of_stock: self.catalogue.out_of_stock,
                plan: self.plan.clone(),
                false_accept: self.catalogue.false_accept.0,
            },
            staff_crops: self.privacy.staff_crops,
            stall: Duration::from_secs(self.watchdog.stall_seconds.0.into()),
            blank: self.blank(),
            heat: HeatSettings { limit: self.heat.limit.map(|limit| limit.0), sysfs: self.heat.sysfs.clone() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many garments are matched and shown, and how many matches each has, is said in one place.
    #[test]
    fn a_mirror_without_settings_shows_as_much_as_the_demo() {
        let (mirror, demo) = (Config::default().live(Path::new("")).pipeline, PipelineSettings::default());
        let counts = |settings: &PipelineSettings| (settings.max_garments, settings.matches_per_garment);
        assert_eq!((counts(&mirror), mirror.false_accept), (counts(&demo), demo.false_accept));
    }
}
