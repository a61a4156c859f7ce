//! The appliance's configuration: one TOML file, read into settings that are known to be sound.
//!
//! Every default stands here, once: [`Config::default`] is what an empty file says. A key that is not known, a value out of its
//! range or of the wrong kind is an error that names key and line. Paths in the file are relative to the file.

mod outlets;
mod parse;
mod theme;
mod values;

pub use outlets::{MqttSection, PrivacySection, StatsSection, WebhookSection};
pub use values::{Angle, Count, Decimal, Languages, PanelName, PixelChoice, ScreenMode, Secret, TimeOfDay};

use self::theme::ShopTheme;
use crate::capture::camera::CameraSettings;
use crate::catalogue::ModelStamp;
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
use crate::sync::SyncSettings;
use crate::web::WebSettings;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Where the appliance looks for its configuration.
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
    /// What stands in the file `screen.theme`.
    #[serde(skip)]
    theme: ShopTheme,
}

/// What the screen says of the shop.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShopSection {
    pub name: String,
    /// The screen's language, or several that take turns.
    pub language: Languages,
    /// How prices are written, `"de_DE"`; `None`: as the feed writes them.
    pub locale: Option<PriceLocale>,
}

/// Where frames come from.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct CameraSection {
    /// `v4l2:///dev/video0`, `csi://0`, `rtsp://...`, `file:///a/clip.mjpg?loop`, `test://bars`.
    pub source: String,
    /// Asked of the camera; what it gives instead is taken, and logged. Pixels.
    pub width: Count<1, 7680>,
    pub height: Count<1, 7680>,
    /// Frames per second, asked likewise.
    pub rate: Count<1, 240>,
    pub format: PixelChoice,
    /// Degrees clockwise that the picture is turned by, for a camera that is mounted on its side.
    pub rotate: Angle,
    /// The camera's own picture is a mirror image already: it is turned round before anything else.
    pub mirrored: bool,
}

/// Where it is shown.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScreenSection {
    pub panel: PanelName,
    /// Which card the panel `kms` uses, `/dev/dri/cardN`; `None`: the first that has a screen plugged in.
    pub card: Option<PathBuf>,
    /// Size that the panel `kms` sets, `"1920x1080"`, as the screen has it before it is turned; `None`, or where the screen has no
    /// such mode: the size that the screen prefers.
    pub mode: Option<ScreenMode>,
    /// Degrees clockwise that the panel `kms` turns what is drawn by, for a screen that hangs on its side.
    pub rotate: Angle,
    /// Of what is drawn, pixels. The panel `kms` takes the size of the screen's mode.
    pub width: Count<160, 7680>,
    pub height: Count<160, 7680>,
    /// Pictures per second at most.
    pub rate: Count<1, 120>,
    /// Where the panel `png` keeps the newest screen as `screen.png`.
    pub folder: PathBuf,
    /// The panel's diagonal in inches; `None`: as the screen itself says, else 32.
    pub diagonal: Option<Decimal<40, 1200>>,
    /// From the shopper's eyes to the panel, metres: text and codes are so large that they can be read from there.
    pub distance: Decimal<4, 60>,
    /// A theme file, or `"large-text"`; `None`: the shipped design.
    pub theme: Option<PathBuf>,
    /// A folder with fonts for the scripts that the shipped ones lack.
    pub fonts: PathBuf,
    /// What the device does and what is wrong is shown on the screen too.
    pub operator: bool,
    /// Keys or a touch screen, `/dev/input/by-id/...`; `None`: none is read.
    pub input: Option<PathBuf>,
    /// Local time from which and until which the screen is dark, `"21:00"` and `"08:00"`; a person wakes it all the same.
    pub blank_from: Option<TimeOfDay>,
    pub blank_until: Option<TimeOfDay>,
    /// Dark after nobody was seen for this long, until a person is; 0: never.
    pub blank_after_seconds: Count<0, 86400>,
}

/// The network.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelSection {
    /// `None`: the shipped one.
    pub folder: Option<PathBuf>,
    /// Garments that a frame is recognized with.
    pub garments: Count<1, 100>,
    /// Frames that are recognized side by side; 0 is one for each core, at most four.
    pub workers: Count<0, 64>,
    /// What runs the network: `"cpu"`, `"tensorrt"` or `"auto"`, which is TensorRT where there is one.
    pub backend: Backend,
    /// Of TensorRT's engines: `"fp32"`, `"fp16"`, `"int8"`; `None`: fp16 where the model has it, else fp32.
    pub precision: Option<Precision>,
    /// Where TensorRT's engines are kept.
    pub engines: PathBuf,
}

/// The products.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct CatalogueSection {
    pub file: PathBuf,
    /// The shop's pictures and feeds: what the page may import from here; `None`: it imports nothing.
    pub images: Option<PathBuf>,
    /// Products named for a garment.
    pub matches: Count<1, 50>,
    /// Garments that get an answer at one time.
    pub garments: Count<1, 10>,
    /// The largest part of the products that an import from the page may remove, percent.
    pub max_removals: Count<0, 100>,
    /// What is done with products that are out of stock in every variant.
    pub out_of_stock: OutOfStock,
    /// The most garments that the shop does not sell and that are called likely, percent.
    pub false_accept: Count<1, 50>,
}

/// The page for the mirror's owner.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebSection {
    pub enabled: bool,
    /// Beyond this machine (an address that is not 127.0.0.1 or ::1) only with a password.
    pub listen: SocketAddr,
    /// Asked for with the user name `vetrina`; at least eight characters.
    pub password: Option<Secret>,
    /// Asked for with the user name `staff`: to see, and to do what staff does with shoppers, but not to change the shop.
    pub staff_password: Option<Secret>,
    /// With it programs may change prices and stock over HTTP; at least eight characters.
    pub token: Option<Secret>,
}

/// When it is taken to be stuck.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct WatchdogSection {
    /// A stage that makes no progress for this long is restarted, once; then the program ends with an error.
    pub stall_seconds: Count<1, 600>,
}

/// When it works less, so that it keeps working.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeatSection {
    /// Degrees Celsius from which fewer frames are recognized; `None`: a little below where the board says it slows down itself.
    pub limit: Option<Count<30, 120>>,
    /// Where the system tells of heat and current.
    pub sysfs: PathBuf,
}

/// The hub that the catalogue comes from.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SyncSection {
    /// The shop's folder of releases, `"https://hub.example/releases/berlin"`; `None`: the catalogue is imported here.
    pub source: Option<String>,
    /// The hub's public key, by which its releases are signed.
    pub key: Option<String>,
    /// The mean time between two polls.
    pub poll_seconds: Count<1, 86400>,
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
        SyncSection { source: None, key: None, poll_seconds: Count(30) }
    }
}

impl Config {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// [`Kind::Usage`], naming file, line and key.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Fault::io(Kind::Usage, "read the configuration", path, error)
                .cure("name it with --config; an empty file stands for the defaults")
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut config = Config::parse(&text).map_err(|fault| {
            Fault::new(Kind::Usage, format!("cannot use the configuration {}", path.display())).cause(fault)
        })?;
        config.anchor(folder);
        if let Some(theme) = &config.screen.theme {
            config.theme = ShopTheme::load(theme)?;
        }
        Ok(config)
    }

    /// The configuration as a file, every default filled in; passwords are hidden.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self)
            .map_err(|error| Fault::new(Kind::Internal, "cannot write the configuration as TOML").cause(error))
    }

    /// Makes the paths independent of where the program was started.
    fn anchor(&mut self, folder: &Path) {
        let paths = [&mut self.screen.folder, &mut self.catalogue.file, &mut self.heat.sysfs, &mut self.model.engines];
        let paths = paths.into_iter().chain(&mut self.model.folder).chain(&mut self.catalogue.images);
        let theme = self.screen.theme.as_mut().filter(|theme| !theme::is_shipped(theme));
        let paths = paths.chain([&mut self.screen.fonts]).chain(theme);
        for path in paths {
            *path = folder.join(&*path);
        }
        self.anchor_outlets(folder);
    }

    /// What the camera is asked for.
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

    /// What the screen is.
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

    /// When the screen is dark.
    fn blank(&self) -> BlankSettings {
        let screen = &self.screen;
        let hours = screen.blank_from.zip(screen.blank_until);
        let idle = Duration::from_secs(screen.blank_after_seconds.0.into());
        BlankSettings {
            hours: hours.map(|(from, until)| Hours { from: from.minute(), until: until.minute() }),
            idle: Some(idle).filter(|idle| !idle.is_zero()),
        }
    }

    /// The page's settings; `None` where it is switched off. `model` is the folder in use.
    pub fn web(&self, model: &Path) -> Option<WebSettings> {
        let reveal = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.reveal().to_owned());
        let (password, token) = (reveal(&self.web.password), reveal(&self.web.token));
        let images = self.catalogue.images.clone();
        self.web.enabled.then_some(WebSettings {
            listen: self.web.listen,
            password,
            staff_password: reveal(&self.web.staff_password),
            token,
            live_view: self.live_view(),
            counts: self.counts(),
            audit: self.audit_log(),
            images,
            model: model.into(),
            max_removals: self.catalogue.max_removals.0,
        })
    }

    /// The releases that are followed; `None` where the catalogue is imported here. `model` is the one in use.
    pub fn sync(&self, model: ModelStamp) -> Option<SyncSettings> {
        let (source, key) = self.sync.source.clone().zip(self.sync.key.clone())?;
        let poll = Duration::from_secs(self.sync.poll_seconds.0.into());
        Some(SyncSettings { source, key, poll, catalogue: self.catalogue.file.clone(), model })
    }

    /// What the network is to run on.
    pub fn engines(&self) -> EngineSettings {
        let ModelSection { backend, precision, .. } = self.model;
        EngineSettings { backend, precision, engines: self.model.engines.clone() }
    }

    /// Everything that the live pipeline needs. `model` is the folder to use where none is configured.
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
                matches_per_garment: self.catalogue.matches.get(),
                max_garments: self.catalogue.garments.get(),
                locale: self.shop.locale,
                out_of_stock: self.catalogue.out_of_stock,
                false_accept: self.catalogue.false_accept.0,
            },
            stall: Duration::from_secs(self.watchdog.stall_seconds.0.into()),
            blank: self.blank(),
            heat: HeatSettings { limit: self.heat.limit.map(|limit| limit.0), sysfs: self.heat.sysfs.clone() },
        }
    }
}
