//! Local cameras through Video4Linux (the crate `linuxvideo`).
//!
//! A buffer is copied and requeued immediately, so that the driver always has free buffers while a picture is decoded.
//! Every wait is a poll with a time-out. Frames that the driver marks as damaged or that fail to decode are dropped and
//! counted.

use super::jpeg::decode_jpeg;
use super::location::{CameraSettings, PixelFormat};
use super::{PATIENCE, Source, Step, yuv};
use crate::fault::{Fault, Kind, Result};
use crate::frame::{Frame, FrameMeta, Picture};
use crate::geometry::Size;
use linuxvideo::format::{PixFormat, PixelFormat as FourCc};
use linuxvideo::stream::ReadStream;
use linuxvideo::{BufType, Device, Fract};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// With more pixels, 30 raw frames a second exceed the bandwidth of USB 2.
const RAW_LIMIT: usize = 640 * 480;

impl PixelFormat {
    /// The driver's name for it.
    pub fn fourcc(self) -> [u8; 4] {
        match self {
            PixelFormat::Mjpg => *b"MJPG",
            PixelFormat::Yuyv => *b"YUYV",
            PixelFormat::Nv12 => *b"NV12",
        }
    }

    fn from_fourcc(code: [u8; 4]) -> Option<Self> {
        match &code {
            // Some drivers use this code for the same format.
            b"JPEG" => Some(PixelFormat::Mjpg),
            _ => [PixelFormat::Mjpg, PixelFormat::Yuyv, PixelFormat::Nv12].into_iter().find(|one| one.fourcc() == code),
        }
    }
}

/// An open camera.
pub struct V4l2 {
    path: PathBuf,
    stream: ReadStream,
    format: PixelFormat,
    size: Size,
    stride: usize,
    given: u64,
    corrupt: u64,
    spent: Duration,
}

impl V4l2 {
    /// Opens the camera and starts it. Logs the requested and the actual format.
    pub fn open(path: &Path, settings: &CameraSettings) -> Result<Self> {
        let path = &present(path);
        let fail = |verb: &str, error| device_fault(verb, path, error);
        let device = Device::open(path).map_err(|error| fail("open", error))?;
        if !device.supported_buf_types().contains(linuxvideo::BufTypes::VIDEO_CAPTURE) {
            let text = format!("{} is not a video capture device", path.display());
            return Err(Fault::new(Kind::Unavailable, text).cure("`vetrina cameras` lists the capture devices"));
        }
        let asked = choose(path, &offered(&device), settings)?;
        let (width, height) = (settings.size.width as u32, settings.size.height as u32);
        let wanted = PixFormat::new(width, height, FourCc::from_fourcc(asked.fourcc()));
        let device = device.video_capture(wanted).map_err(|error| fail("set the format of", error))?;
        let got = device.format();
        let (size, stride) = (Size::new(got.width() as usize, got.height() as usize), got.bytes_per_line() as usize);
        let Some(format) = PixelFormat::from_fourcc(got.pixel_format().as_fourcc()) else {
            return Err(no_format(path, &[got.pixel_format().to_string()]));
        };
        // Some cameras do not report their rate.
        let rate = device.set_frame_interval(Fract::new(1, settings.rate)).ok().filter(|rate| rate.numerator() > 0);
        let rate = rate.map_or("its own rate".into(), |rate| {
            format!("{:.1} frames/s", f64::from(rate.denominator()) / f64::from(rate.numerator()))
        });
        log::info!(
            "camera {}: asked for {width}x{height} {asked:?} at {} frames/s, got {}x{} {format:?} at {rate}",
            path.display(),
            settings.rate,
            size.width,
            size.height,
        );
        let stream = device.into_stream().map_err(|error| fail("start", error))?;
        let stride = if stride == 0 { least_stride(format, size) } else { stride };
        Ok(V4l2 { path: path.clone(), stream, format, size, stride, given: 0, corrupt: 0, spent: Duration::ZERO })
    }

    /// The bytes of the next buffer; `None` if the driver marks them as damaged.
    fn dequeue(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.stream.dequeue(|view| Ok((!view.is_error() && !view.is_empty()).then(|| view.to_vec())))
    }

    fn decode(&self, bytes: &[u8]) -> Option<Picture> {
        match self.format {
            PixelFormat::Mjpg => decode_jpeg(bytes, "a camera frame").ok(),
            PixelFormat::Yuyv => yuv::yuyv(bytes, self.size, self.stride),
            PixelFormat::Nv12 => yuv::nv12(bytes, self.size, self.stride),
        }
    }
}

impl Source for V4l2 {
    fn next(&mut self) -> Result<Option<Frame>> {
        loop {
            if let Step::Frame(frame) = self.step()? {
                return Ok(Some(frame));
            }
        }
    }

    fn step(&mut self) -> Result<Step> {
        let ready = wait_readable(&self.stream, PATIENCE);
        if !ready.map_err(|error| device_fault("wait for", &self.path, error))? {
            return Ok(Step::NotYet);
        }
        let bytes = self.dequeue().map_err(|error| device_fault("read from", &self.path, error))?;
        let start = Instant::now();
        let Some(picture) = bytes.and_then(|bytes| self.decode(&bytes)) else {
            self.corrupt += 1;
            return Ok(Step::NotYet);
        };
        self.spent = start.elapsed();
        let meta = FrameMeta { source: 0, sequence: self.given, captured: Duration::ZERO };
        self.given += 1;
        Ok(Step::Frame(Frame { meta, picture: Arc::new(picture) }))
    }

    fn spent(&self) -> Duration {
        self.spent
    }

    fn corrupt(&self) -> u64 {
        self.corrupt
    }
}

/// Waits until the file is readable or in error. False on time-out.
pub(super) fn wait_readable(file: &impl std::os::fd::AsFd, patience: Duration) -> io::Result<bool> {
    let timeout = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: patience.subsec_nanos().into() };
    let mut files = [PollFd::new(file, PollFlags::IN)];
    match poll(&mut files, Some(&timeout)) {
        Ok(count) => Ok(count > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The path itself. If a `/dev/videoN` does not exist and only one camera is present, that one: a camera may get
/// another number when it is plugged in again.
fn present(path: &Path) -> PathBuf {
    let numbered = path.to_string_lossy().starts_with("/dev/video");
    if numbered && !path.exists() {
        let cameras = list();
        if let [only] = &cameras[..] {
            log::warn!("{} does not exist: using {}, the only camera present", path.display(), only.path.display());
            return only.path.clone();
        }
    }
    path.into()
}

/// The pixel formats that the camera offers.
fn offered(device: &Device) -> Vec<[u8; 4]> {
    device.formats(BufType::VIDEO_CAPTURE).filter_map(|format| Some(format.ok()?.pixel_format().as_fourcc())).collect()
}

/// The format to request: the configured one, or the first suitable for the size. A camera that lists no formats is
/// asked anyway.
fn choose(path: &Path, offered: &[[u8; 4]], settings: &CameraSettings) -> Result<PixelFormat> {
    use PixelFormat::{Mjpg, Nv12, Yuyv};
    let large = settings.size.width * settings.size.height > RAW_LIMIT;
    let suited = if large { [Mjpg, Nv12, Yuyv] } else { [Yuyv, Nv12, Mjpg] };
    let wanted: Vec<PixelFormat> = settings.format.into_iter().chain(suited).collect();
    if offered.is_empty() {
        return Ok(wanted[0]);
    }
    let known: Vec<PixelFormat> = offered.iter().filter_map(|code| PixelFormat::from_fourcc(*code)).collect();
    let names: Vec<String> = offered.iter().map(|code| String::from_utf8_lossy(code).into_owned()).collect();
    wanted.into_iter().find(|format| known.contains(format)).ok_or_else(|| no_format(path, &names))
}

fn no_format(path: &Path, offered: &[String]) -> Fault {
    let text = format!("{} offers {}, but none of MJPG, YUYV and NV12", path.display(), offered.join(", "));
    Fault::new(Kind::Unavailable, text).cure("use another camera, or `csi://0` for one on the board's own connector")
}

fn least_stride(format: PixelFormat, size: Size) -> usize {
    if format == PixelFormat::Yuyv { 2 * size.width } else { size.width }
}

fn device_fault(verb: &str, path: &Path, error: io::Error) -> Fault {
    let cure = match error.kind() {
        io::ErrorKind::NotFound => "plug the camera in, or see `vetrina cameras`",
        io::ErrorKind::PermissionDenied => "add this user to the group video",
        io::ErrorKind::ResourceBusy => "close the other program that uses the camera",
        _ => "see `vetrina cameras`; plug the camera in again",
    };
    Fault::new(Kind::Unavailable, format!("cannot {verb} the camera {}", path.display())).cause(error).cure(cure)
}

/// A camera that is plugged in.
#[derive(Clone, Debug)]
pub struct CameraInfo {
    pub path: PathBuf,
    /// Names under `/dev/v4l/by-id` and `by-path`: they do not depend on the order in which cameras are plugged in.
    pub stable: Vec<PathBuf>,
    pub name: String,
    pub bus: String,
    /// Pixel format and the largest size in it.
    pub formats: Vec<(String, Option<Size>)>,
}

/// Lists the video capture devices by number.
pub fn list() -> Vec<CameraInfo> {
    let Ok(entries) = std::fs::read_dir("/dev") else { return Vec::new() };
    let number = |path: &Path| path.file_name()?.to_str()?.strip_prefix("video")?.parse::<u32>().ok();
    let mut nodes: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            Some((number(&path)?, path))
        })
        .collect();
    nodes.sort();
    nodes.into_iter().filter_map(|(_, path)| info(&path)).collect()
}

fn info(path: &Path) -> Option<CameraInfo> {
    let device = Device::open(path).ok()?;
    if !device.supported_buf_types().contains(linuxvideo::BufTypes::VIDEO_CAPTURE) {
        return None;
    }
    let capabilities = device.capabilities().ok()?;
    let formats = device.formats(BufType::VIDEO_CAPTURE).filter_map(|format| {
        let code = format.ok()?.pixel_format();
        Some((code.to_string(), largest(&device, code)))
    });
    Some(CameraInfo {
        stable: stable_names(path),
        name: capabilities.card().into(),
        bus: capabilities.bus_info().into(),
        formats: formats.collect(),
        path: path.into(),
    })
}

fn largest(device: &Device, code: FourCc) -> Option<Size> {
    use linuxvideo::format::FrameSizes;
    match device.frame_sizes(code).ok()? {
        FrameSizes::Discrete(sizes) => sizes
            .into_iter()
            .map(|size| Size::new(size.width() as usize, size.height() as usize))
            .max_by_key(|size| size.width * size.height),
        FrameSizes::Stepwise(sizes) | FrameSizes::Continuous(sizes) => {
            Some(Size::new(sizes.max_width() as usize, sizes.max_height() as usize))
        }
    }
}

fn stable_names(path: &Path) -> Vec<PathBuf> {
    let links = ["/dev/v4l/by-id", "/dev/v4l/by-path"].into_iter().filter_map(|folder| std::fs::read_dir(folder).ok());
    let links = links.flatten().filter_map(|entry| Some(entry.ok()?.path()));
    links.filter(|link| std::fs::canonicalize(link).is_ok_and(|target| target == path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Turn;

    fn settings(width: usize, format: Option<PixelFormat>) -> CameraSettings {
        let size = Size::new(width, width * 3 / 4);
        CameraSettings {
            source: String::new(),
            size,
            rate: 30,
            format,
            turn: Turn::None,
            mirrored: false,
            mask: vec![],
        }
    }

    #[test]
    fn the_format_depends_on_size_and_offer() {
        let choose = |offered: &[&[u8; 4]], width, format| {
            let offered: Vec<[u8; 4]> = offered.iter().map(|code| **code).collect();
            choose(Path::new("/dev/video9"), &offered, &settings(width, format))
        };
        assert_eq!(choose(&[b"YUYV", b"MJPG"], 1280, None).unwrap(), PixelFormat::Mjpg);
        assert_eq!(choose(&[b"YUYV", b"MJPG"], 640, None).unwrap(), PixelFormat::Yuyv);
        assert_eq!(choose(&[b"YUYV", b"MJPG"], 1280, Some(PixelFormat::Yuyv)).unwrap(), PixelFormat::Yuyv);
        assert_eq!(choose(&[b"YUYV", b"MJPG"], 640, Some(PixelFormat::Nv12)).unwrap(), PixelFormat::Yuyv);
        assert_eq!(choose(&[b"JPEG"], 640, None).unwrap(), PixelFormat::Mjpg);
        assert_eq!(choose(&[], 640, None).unwrap(), PixelFormat::Yuyv);
        let fault = choose(&[b"RG10"], 640, None).unwrap_err().to_string();
        assert!(fault.contains("/dev/video9 offers RG10"), "{fault}");
    }

    #[test]
    fn a_missing_camera_is_a_fault_with_a_cure() {
        let fault = V4l2::open(Path::new("/dev/v4l/by-id/none"), &settings(640, None)).err().unwrap();
        assert_eq!(fault.kind(), Kind::Unavailable);
        assert!(fault.to_string().contains("plug the camera in"), "{fault}");
    }
}
