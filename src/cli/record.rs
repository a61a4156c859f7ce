//! `vetrina record`: stores some seconds of the camera as motion-JPEG. The only code that writes camera frames to a
//! disk; the screen says so while it runs.

use super::table::print;
use crate::audit::{AuditAction, AuditNote};
use crate::capture::camera::{self, shown};
use crate::capture::{Source, Step};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, DEFAULT_PATH};
use crate::display::canvas::Canvas;
use crate::display::draw::Painter;
use crate::display::open::open;
use crate::display::panel::DisplayPanel;
use crate::display::scene::{Scene, StatusLine};
use crate::fault::{Fault, Kind, Result};
use crate::frame::Picture;
use crate::language::Words;
use crate::shutdown::{Request, Signals, Token};
use clap::{Args, value_parser};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Close to the camera's own quality.
const QUALITY: u8 = 92;
/// Interval between screen updates; the camera's pictures have priority.
const SCREEN: Duration = Duration::from_millis(200);
/// A camera without a frame for this long counts as away.
const SILENCE: Duration = Duration::from_secs(8);

/// Store some seconds of the camera as a clip (motion-JPEG); the screen announces it meanwhile
#[derive(Args, Clone, Debug)]
pub struct RecordArgs {
    /// File to create, `.mjpg`; an existing one is not overwritten
    pub output: PathBuf,
    /// Configuration file, for camera and screen
    #[arg(long, value_name = "FILE", default_value = DEFAULT_PATH)]
    pub config: PathBuf,
    /// Seconds to record
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = value_parser!(u64).range(1..=600))]
    pub seconds: u64,
}

pub fn run(args: &RecordArgs) -> Result<()> {
    let config = Config::load(&args.config)?;
    if args.output.exists() {
        let text = format!("{} already exists", args.output.display());
        return Err(Fault::new(Kind::Usage, text).cure("name another file"));
    }
    let detail = format!("{} s into {}", args.seconds, args.output.display());
    let note = AuditNote { who: "command line", from: None, action: AuditAction::Record, detail: &detail };
    // No recording that nobody could find out about.
    config.audit_log().append(note)?;
    let mut signals = Signals::take_over()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let mut announcement = Announcement::open(&config)?;
    announcement.show(None, args.seconds)?;
    let mut source = camera::open(&config.camera(), &clock, &Token::new())?;
    let recorded = Recording { path: &args.output, wanted: Duration::from_secs(args.seconds) }.run(
        source.as_mut(),
        clock.as_ref(),
        &mut signals,
        &mut announcement,
    )?;
    let (count, seconds) = recorded;
    let rate = (count as f64 / seconds.max(0.001)).round().max(1.0);
    print(&format!(
        "{}: {count} pictures of {} in {seconds:.1} s, {rate} per second",
        args.output.display(),
        shown(&config.camera.source)
    ))
}

struct Recording<'a> {
    path: &'a Path,
    wanted: Duration,
}

impl Recording<'_> {
    /// Writes every picture as it arrives. Returns the number of pictures, and the seconds from the first to the last.
    fn run(
        &self,
        source: &mut dyn Source,
        clock: &dyn Clock,
        signals: &mut Signals,
        announcement: &mut Announcement,
    ) -> Result<(u64, f64)> {
        let (mut file, mut count) = (None, 0);
        let (mut begun, mut last, mut drawn) = (clock.now(), clock.now(), clock.now());
        while signals.wait(Duration::ZERO) != Some(Request::Stop) {
            let step = source.step()?;
            let now = clock.now();
            match step {
                Step::Frame(frame) => {
                    if count == 0 {
                        begun = now;
                    }
                    write_picture(self.path, &mut file, &frame.picture)?;
                    (count, last) = (count + 1, now);
                    if now.saturating_sub(drawn) >= SCREEN {
                        announcement.show(Some(frame.picture), self.wanted.saturating_sub(now - begun).as_secs())?;
                        drawn = now;
                    }
                }
                Step::NotYet if now.saturating_sub(last) < SILENCE => {}
                Step::NotYet if count == 0 => return Err(camera::silent()),
                Step::NotYet | Step::End => break,
            }
            if count > 0 && now.saturating_sub(begun) >= self.wanted {
                break;
            }
        }
        if let Some(mut file) = file {
            file.flush().map_err(|error| Fault::io(Kind::Storage, "write", self.path, error))?;
        }
        Ok((count, last.saturating_sub(begun).as_secs_f64()))
    }
}

/// The file is created with the first picture, readable only by its owner.
fn write_picture(path: &Path, file: &mut Option<BufWriter<File>>, picture: &Picture) -> Result<()> {
    let fail = |error| Fault::io(Kind::Storage, "write", path, error);
    let jpeg = picture.jpeg(QUALITY).ok_or_else(|| Fault::new(Kind::Input, "the camera's picture is empty"))?;
    if file.is_none() {
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(fail)?;
        *file = Some(BufWriter::new(made));
    }
    file.as_mut().map_or(Ok(()), |file| file.write_all(&jpeg)).map_err(fail)
}

/// The screen during the recording.
struct Announcement {
    panel: Box<dyn DisplayPanel>,
    painter: Painter,
    canvas: Canvas,
    shop: String,
    words: Words,
}

impl Announcement {
    fn open(config: &Config) -> Result<Self> {
        let panel = open(&config.panel())?;
        let canvas = Canvas::new(panel.size());
        let (painter, words) = (Painter::with(config.look())?, config.languages().swap_remove(0));
        Ok(Announcement { panel, painter, canvas, shop: config.shop.name.clone(), words })
    }

    fn show(&mut self, camera: Option<Arc<Picture>>, left: u64) -> Result<()> {
        let scene = Scene {
            shop: self.shop.clone(),
            words: self.words.clone(),
            camera,
            recording: true,
            operator: true,
            status: StatusLine { text: format!("recording, {left} s left"), ..StatusLine::default() },
            ..Scene::default()
        };
        self.painter.draw(&scene, &mut self.canvas);
        self.panel.present(&self.canvas)
    }
}
