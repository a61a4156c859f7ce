//! A screen without a desktop, through the kernel's mode setting (the crate `drm`).
//!
//! Double-buffered: the canvas is copied into the hidden buffer, and the buffers are exchanged between two refreshes. A screen that
//! is unplugged is looked for once a second; it may return with another size.

use super::canvas::Canvas;
use super::panel::DisplayPanel;
use super::turn::copy_turned;
use crate::fault::{Fault, Kind, Result};
use crate::frame::Turn;
use crate::geometry::Size;
use drm::buffer::{Buffer as _, DrmFourcc};
use drm::control::dumbbuffer::{DumbBuffer, DumbMapping};
use drm::control::{Device as ControlDevice, Mode, ModeFlags, ModeTypeFlags, PageFlipFlags};
use drm::control::{ResourceHandles, connector, crtc, framebuffer};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often the presence of the screen is checked.
const LOOK: Duration = Duration::from_secs(1);
/// A page flip completes within this time, even at 10 Hz.
const FLIP: Duration = Duration::from_millis(500);

/// Which screen, and how it is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsSettings {
    /// The card, `/dev/dri/cardN`; `None`: the first that has a screen plugged in.
    pub card: Option<PathBuf>,
    /// The mode's size in pixels, before rotation; `None`, or if there is no such mode: the screen's preferred one.
    pub mode: Option<Size>,
    /// Clockwise rotation of what is drawn.
    pub turn: Turn,
}

/// The first screen of the first card that has one.
pub struct KmsPanel {
    settings: KmsSettings,
    screen: Option<KmsScreen>,
    fault: Option<Fault>,
    looked: Instant,
    /// The canvas size until a screen determines it.
    size: Size,
}

impl KmsPanel {
    /// `size`: of what is drawn until a screen is plugged in.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] where no card can be opened, [`Kind::Busy`] where another program holds the screen. If no
    /// screen is plugged in, it waits for one.
    pub fn open(settings: &KmsSettings, size: Size) -> Result<Self> {
        let screen = find(settings)?;
        let mut panel =
            KmsPanel { settings: settings.clone(), screen: None, fault: None, looked: Instant::now(), size };
        match screen {
            Some(screen) => panel.take(screen),
            None => panel.fault = Some(away()),
        }
        Ok(panel)
    }

    fn take(&mut self, screen: KmsScreen) {
        self.size = self.settings.turn.size(screen.size());
        self.screen = Some(screen);
        self.fault = None;
    }

    /// Once a second: checks whether the screen is still there, or has returned.
    fn look(&mut self) {
        if self.looked.elapsed() < LOOK {
            return;
        }
        self.looked = Instant::now();
        match &self.screen {
            Some(screen) if screen.is_connected() => {}
            Some(_) => self.lose(away()),
            None => match find(&self.settings) {
                Ok(Some(screen)) => self.take(screen),
                Ok(None) => self.fault = Some(away()),
                Err(fault) => self.fault = Some(fault),
            },
        }
    }

    fn lose(&mut self, fault: Fault) {
        log::warn!("{fault}");
        self.screen = None;
        self.fault = Some(fault);
    }
}

impl DisplayPanel for KmsPanel {
    fn size(&self) -> Size {
        self.size
    }

    fn present(&mut self, canvas: &Canvas) -> Result<()> {
        canvas.expect_size(self.size)?;
        let turn = self.settings.turn;
        if let Some(screen) = &mut self.screen
            && let Err(error) = screen.show(canvas, turn)
        {
            let fault = card_fault("draw on", &screen.path, error);
            self.lose(fault);
        }
        self.look();
        Ok(())
    }

    fn is_seen(&self) -> bool {
        self.screen.is_some()
    }

    fn diagonal(&self) -> Option<f32> {
        self.screen.as_ref().and_then(|screen| screen.diagonal)
    }

    fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }
}

/// A card of the system.
struct DrmCard(File);

impl AsFd for DrmCard {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl drm::Device for DrmCard {}
impl ControlDevice for DrmCard {}

/// A screen that shows our buffers.
struct KmsScreen {
    path: PathBuf,
    card: DrmCard,
    connector: connector::Handle,
    crtc: crtc::Handle,
    mode: Mode,
    /// As the screen says, inches.
    diagonal: Option<f32>,
    buffers: [ScanoutBuffer; 2],
    /// The visible one.
    front: usize,
}

/// The first screen that is plugged in, at the configured card or at any. `None`: there are connectors and nothing is plugged in.
fn find(settings: &KmsSettings) -> Result<Option<KmsScreen>> {
    let card = settings.card.as_deref();
    let cards = card.map_or_else(cards, |card| vec![card.to_owned()]);
    let (mut away, mut first) = (false, None);
    for path in &cards {
        match KmsScreen::open(path, settings.mode) {
            Ok(OpenedCard::KmsScreen(screen)) => return Ok(Some(*screen)),
            Ok(OpenedCard::NothingPluggedIn) => away = true,
            Ok(OpenedCard::NoConnector) => {}
            Err(fault) => drop(first.get_or_insert(fault)),
        }
    }
    match first {
        Some(fault) => Err(fault),
        None if away => Ok(None),
        None => Err(no_card(card)),
    }
}

/// What there is at a card.
enum OpenedCard {
    KmsScreen(Box<KmsScreen>),
    NothingPluggedIn,
    /// A compute-only card, or mode setting is off.
    NoConnector,
}

/// The cards, by number.
fn cards() -> Vec<PathBuf> {
    let number = |path: &Path| path.file_name()?.to_str()?.strip_prefix("card")?.parse::<u32>().ok();
    let entries = std::fs::read_dir("/dev/dri").into_iter().flatten();
    let cards = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut cards: Vec<(u32, PathBuf)> = cards.filter_map(|path| Some((number(&path)?, path))).collect();
    cards.sort();
    cards.into_iter().map(|(_, path)| path).collect()
}

impl KmsScreen {
    fn open(path: &Path, wanted: Option<Size>) -> Result<OpenedCard> {
        let fail = |verb: &str, error: io::Error| card_fault(verb, path, error);
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(|error| fail("open", error))?;
        let card = DrmCard(file);
        // Compute-only cards refuse this request.
        let Some(resources) = card.resource_handles().ok().filter(|resources| !resources.connectors().is_empty())
        else {
            return Ok(OpenedCard::NoConnector);
        };
        let Some((info, crtc)) = plugged_in(&card, &resources) else { return Ok(OpenedCard::NothingPluggedIn) };
        let offers: Vec<Offer> = info.modes().iter().map(Offer::of).collect();
        let Some(index) = best(&offers, wanted) else { return Ok(OpenedCard::NothingPluggedIn) };
        let mode = info.modes()[index];
        let buffer = || ScanoutBuffer::new(&card, mode).map_err(|error| fail("get memory of", error));
        let buffers = [buffer()?, buffer()?];
        card.set_crtc(crtc, Some(buffers[0].frame), (0, 0), &[info.handle()], Some(mode))
            .map_err(|error| fail("set the mode of", error))?;
        let Size { width, height } = offers[index].size;
        log::info!("screen {}, {info}: {width}x{height} at {} Hz", path.display(), mode.vrefresh());
        if let Some(wanted) = wanted.filter(|wanted| *wanted != offers[index].size) {
            log::warn!("the screen has no mode {}x{}; it has {}", wanted.width, wanted.height, sizes(&offers));
        }
        let connector = info.handle();
        Ok(OpenedCard::KmsScreen(Box::new(KmsScreen {
            path: path.into(),
            card,
            connector,
            crtc,
            mode,
            diagonal: info.size().and_then(|millimetres| diagonal(millimetres, offers[index].size)),
            buffers,
            front: 0,
        })))
    }

    fn size(&self) -> Size {
        let (width, height) = self.mode.size();
        Size::new(width.into(), height.into())
    }

    /// The last known state; a new probe would delay the picture.
    fn is_connected(&self) -> bool {
        let info = self.card.get_connector(self.connector, false);
        info.is_ok_and(|info| info.state() != connector::State::Disconnected)
    }

    /// Copies the canvas into the hidden buffer and exchanges the buffers.
    fn show(&mut self, canvas: &Canvas, turn: Turn) -> io::Result<()> {
        let (back, size) = (1 - self.front, self.size());
        let buffer = &mut self.buffers[back];
        copy_turned(canvas, turn, size, buffer.memory.pitch() as usize, &mut buffer.pixels);
        self.card.page_flip(self.crtc, buffer.frame, PageFlipFlags::EVENT, None)?;
        self.front = back;
        self.wait_for_flip()
    }

    fn wait_for_flip(&self) -> io::Result<()> {
        let timeout = Timespec { tv_sec: 0, tv_nsec: FLIP.subsec_nanos().into() };
        let mut files = [PollFd::new(&self.card, PollFlags::IN)];
        match poll(&mut files, Some(&timeout)) {
            Ok(0) => Err(io::Error::new(io::ErrorKind::TimedOut, "it does not change over")),
            Ok(_) => self.card.receive_events().map(|events| events.for_each(drop)),
            Err(rustix::io::Errno::INTR) => self.wait_for_flip(),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for KmsScreen {
    fn drop(&mut self) {
        for buffer in &self.buffers {
            // The card may have been removed.
            let _ = self.card.destroy_framebuffer(buffer.frame);
            let _ = self.card.destroy_dumb_buffer(buffer.memory);
        }
    }
}

/// A picture in the card's memory.
struct ScanoutBuffer {
    memory: DumbBuffer,
    frame: framebuffer::Handle,
    /// Its bytes. They stay mapped: mapping 8 MB for every picture costs more than the copy.
    pixels: DumbMapping<'static>,
}

impl ScanoutBuffer {
    fn new(card: &DrmCard, mode: Mode) -> io::Result<Self> {
        let (width, height) = mode.size();
        let memory = card.create_dumb_buffer((width.into(), height.into()), DrmFourcc::Xrgb8888, 32)?;
        let frame = card.add_framebuffer(&memory, 24, 32)?;
        // The mapping borrows the buffer's description, which is leaked: 32 bytes each time a screen is plugged in.
        let pixels = card.map_dumb_buffer(Box::leak(Box::new(memory)))?;
        Ok(ScanoutBuffer { memory, frame, pixels })
    }
}

/// The diagonal in inches of a screen that says it has this width and height, millimetres. Televisions and projectors say nonsense:
/// a shape that is not the mode's, or a size that no screen has, is none.
fn diagonal((width, height): (u32, u32), mode: Size) -> Option<f32> {
    let (width, height) = (width as f32, height as f32);
    let inches = width.hypot(height) / 25.4;
    let shape = (width / height) / (mode.width as f32 / mode.height as f32);
    ((4.0..=120.0).contains(&inches) && (0.85..1.18).contains(&shape)).then_some(inches)
}

/// The first connector with a screen, and what can drive it.
fn plugged_in(card: &DrmCard, resources: &ResourceHandles) -> Option<(connector::Info, crtc::Handle)> {
    resources.connectors().iter().find_map(|handle| {
        let info = card.get_connector(*handle, true).ok()?;
        if info.state() != connector::State::Connected || info.modes().is_empty() {
            return None;
        }
        let encoders = info.encoders().iter().filter_map(|encoder| card.get_encoder(*encoder).ok());
        let crtc = encoders.flat_map(|encoder| resources.filter_crtcs(encoder.possible_crtcs())).next()?;
        Some((info, crtc))
    })
}

/// The properties of a mode that decide the choice.
#[derive(Clone, Copy, Debug)]
struct Offer {
    preferred: bool,
    interlaced: bool,
    size: Size,
    rate: u32,
}

impl Offer {
    fn of(mode: &Mode) -> Self {
        let (width, height) = mode.size();
        Offer {
            preferred: mode.mode_type().contains(ModeTypeFlags::PREFERRED),
            interlaced: mode.flags().contains(ModeFlags::INTERLACE),
            size: Size::new(width.into(), height.into()),
            rate: mode.vrefresh(),
        }
    }
}

/// The mode of the wanted size, else the screen's preferred one, else the largest, else the fastest; the first listed of equals.
fn best(offers: &[Offer], wanted: Option<Size>) -> Option<usize> {
    let pixels = |size: Size| size.width * size.height;
    let worth = |offer: &Offer| {
        (wanted == Some(offer.size), offer.preferred, !offer.interlaced, pixels(offer.size), offer.rate)
    };
    (0..offers.len()).rev().max_by_key(|index| worth(&offers[*index]))
}

/// The sizes that a screen offers, each once, in its order.
fn sizes(offers: &[Offer]) -> String {
    let mut sizes: Vec<Size> = Vec::new();
    for offer in offers {
        if !sizes.contains(&offer.size) {
            sizes.push(offer.size);
        }
    }
    sizes.iter().map(|size| format!("{}x{}", size.width, size.height)).collect::<Vec<_>>().join(", ")
}

fn away() -> Fault {
    Fault::new(Kind::Unavailable, "no screen is plugged in").cure("plug it in and switch it on")
}

fn no_card(card: Option<&Path>) -> Fault {
    let place = card.map_or("/dev/dri".into(), |card| card.display().to_string());
    Fault::new(Kind::Unavailable, format!("cannot find a screen: {place} has no card that drives one"))
        .cure("switch mode setting on (on a Jetson: `modprobe nvidia_drm modeset=1`), or set another `panel`")
}

fn card_fault(verb: &str, path: &Path, error: io::Error) -> Fault {
    let (kind, cure) = match error.kind() {
        // Opening a card grants mode setting, unless another process is its master.
        io::ErrorKind::PermissionDenied if verb != "open" => {
            (Kind::Busy, "another program shows something: end the desktop (`systemctl isolate multi-user.target`)")
        }
        io::ErrorKind::ResourceBusy => (Kind::Busy, "end the other program that uses the screen"),
        io::ErrorKind::PermissionDenied => (Kind::Unavailable, "add this user to the group video"),
        io::ErrorKind::NotFound => (Kind::Unavailable, "see `ls /dev/dri`, or leave `card` out"),
        _ => (Kind::Unavailable, "see that the screen is plugged in, and what `journalctl -k` says"),
    };
    Fault::new(kind, format!("cannot {verb} the screen at {}", path.display())).cause(error).cure(cure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(preferred: bool, interlaced: bool, (width, height): (usize, usize), rate: u32) -> Offer {
        Offer { preferred, interlaced, size: Size::new(width, height), rate }
    }

    #[test]
    fn the_mode_is_the_preferred_one_else_the_largest_else_the_fastest() {
        let small = offer(false, false, (640, 480), 75);
        let full = offer(false, false, (1920, 1080), 60);
        assert_eq!(best(&[small, offer(true, false, (1280, 720), 50), full], None), Some(1));
        assert_eq!(best(&[small, full, offer(false, false, (1920, 1080), 30)], None), Some(1));
        let flickers = offer(false, true, (1920, 1080), 60);
        assert_eq!(best(&[flickers, small], None), Some(1), "interlaced pictures flicker");
        assert_eq!(best(&[full, full], None), Some(0), "the screen lists its best first");
        assert_eq!(best(&[], None), None);
    }

    #[test]
    fn a_screen_says_how_large_it_is_or_nonsense() {
        let full = Size::new(1920, 1080);
        assert!(diagonal((708, 398), full).is_some_and(|inches| (inches - 32.0).abs() < 0.1));
        assert_eq!(diagonal((0, 0), full), None);
        assert_eq!(diagonal((16, 9), full), None, "a shape, not a size");
        assert_eq!(diagonal((1600, 1600), full), None);
    }

    #[test]
    fn a_wanted_size_goes_before_the_preferred_one_where_the_screen_has_it() {
        let offers = [
            offer(true, false, (3840, 2160), 30),
            offer(false, true, (1920, 1080), 60),
            offer(false, false, (1920, 1080), 50),
            offer(false, false, (1920, 1080), 60),
            offer(false, false, (3840, 2160), 24),
        ];
        assert_eq!(best(&offers, Some(Size::new(1920, 1080))), Some(3));
        assert_eq!(best(&offers, Some(Size::new(1280, 720))), Some(0), "without it, what the screen prefers");
        assert_eq!(sizes(&offers), "3840x2160, 1920x1080");
    }

    #[test]
    fn who_is_in_the_way_is_told_from_the_error() {
        let fault = |verb, code| card_fault(verb, Path::new("/dev/dri/card0"), io::Error::from_raw_os_error(code));
        let denied = fault("open", 13);
        assert!(denied.kind() == Kind::Unavailable && denied.to_string().contains("group video"), "{denied}");
        let master = fault("set the mode of", 13);
        assert!(master.kind() == Kind::Busy && master.to_string().contains("end the desktop"), "{master}");
        assert_eq!(fault("draw on", 16).kind(), Kind::Busy);
    }

    #[test]
    fn without_a_card_the_fault_says_what_to_do() {
        let settings = |card: &str| KmsSettings { card: Some(card.into()), mode: None, turn: Turn::None };
        let open = |card| KmsPanel::open(&settings(card), Size::new(1920, 1080)).err().unwrap();
        let missing = open("/dev/dri/card99");
        assert!(missing.kind() == Kind::Unavailable && missing.to_string().contains("ls /dev/dri"), "{missing}");
        let no_card = open("/dev/null");
        assert!(no_card.to_string().contains("modeset"), "{no_card}");
    }
}
