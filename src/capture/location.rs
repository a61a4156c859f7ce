//! Parses a source's URI; defines the settings requested from a camera.

use super::RECORDED_RATE;
use super::mask::MaskRegion;
use crate::fault::{Fault, Kind, Result};
use crate::frame::Turn;
use crate::geometry::Size;
use std::path::PathBuf;

/// Pixel formats that are accepted from a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelFormat {
    Mjpg,
    Yuyv,
    Nv12,
}

/// The settings requested from a camera. The camera may choose others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraSettings {
    /// URI: see [`Location`].
    pub source: String,
    pub size: Size,
    /// Frames per second.
    pub rate: u32,
    /// `None`: chosen by size.
    pub format: Option<PixelFormat>,
    /// Applied to every frame, mirroring first.
    pub turn: Turn,
    pub mirrored: bool,
    /// Black in every frame, once it is upright.
    pub mask: Vec<MaskRegion>,
}

/// A parsed source URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// `file:///clip.mjpg?loop&rate=15` or a path: a picture, a folder of pictures or a clip.
    File {
        path: PathBuf,
        /// Starts over after the last frame.
        looped: bool,
        /// Frames per second; `None`: as fast as they are consumed.
        rate: Option<u32>,
    },
    /// `v4l2:///dev/video0`, or a bare `/dev/video0`: a camera that the kernel knows.
    V4l2(PathBuf),
    /// `csi://0`: a camera on the board's own connector.
    Csi(u32),
    /// `rtsp://...`: a network camera.
    Rtsp,
    /// `test://bars`: moving colour bars.
    Test,
}

/// The URI without the user name and password of a network camera: safe to show.
pub fn shown(uri: &str) -> String {
    match uri.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            format!("{scheme}://{}{path}", host.rsplit('@').next().unwrap_or(host))
        }
        None => uri.to_owned(),
    }
}

impl Location {
    /// # Errors
    /// [`Kind::Usage`]: an unknown scheme or option.
    pub fn parse(uri: &str) -> Result<Self> {
        match uri.split_once("://") {
            None if uri.starts_with("/dev/") => Ok(Location::V4l2(uri.into())),
            None if has_options(uri) => {
                Err(Fault::new(Kind::Usage, format!("cannot open {uri:?}: a path alone has no options"))
                    .cure(format!("write file://{uri}")))
            }
            None if !uri.is_empty() => Ok(Location::file(uri)),
            Some(("v4l2", path)) if path.starts_with('/') => Ok(Location::V4l2(path.into())),
            Some(("csi", number)) if number.parse::<u8>().is_ok() => Ok(Location::Csi(number.parse().unwrap_or(0))),
            Some(("rtsp" | "rtsps", rest)) if !rest.is_empty() => Ok(Location::Rtsp),
            Some(("file", rest)) => file_with_options(uri, rest),
            Some(("test", "bars")) => Ok(Location::Test),
            _ => Err(Fault::new(Kind::Usage, format!("cannot open {:?}: unknown URI scheme", shown(uri)))
                .cure("use v4l2:///dev/video0, csi://0, rtsp://..., file:///a/clip.mjpg?loop or test://bars")),
        }
    }

    fn file(path: &str) -> Self {
        Location::File { path: path.into(), looped: false, rate: Some(RECORDED_RATE) }
    }
}

/// Whether a path ends in options that only `file://` has; other question marks belong to names.
fn has_options(path: &str) -> bool {
    path.rsplit_once('?')
        .is_some_and(|(_, end)| end == "loop" || ["loop&", "loop=", "rate="].iter().any(|o| end.starts_with(o)))
}

fn file_with_options(uri: &str, rest: &str) -> Result<Location> {
    let (path, options) = rest.split_once('?').unwrap_or((rest, ""));
    let (mut looped, mut rate) = (false, Some(RECORDED_RATE));
    for option in options.split('&').filter(|option| !option.is_empty()) {
        match option.split_once('=').unwrap_or((option, "")) {
            ("loop", "" | "1") => looped = true,
            ("rate", "max") => rate = None,
            ("rate", number) if number.parse().is_ok_and(|rate: u32| (1..=240).contains(&rate)) => {
                rate = number.parse().ok();
            }
            _ => {
                let text = format!("cannot open {uri:?}: unknown option {option:?}");
                return Err(Fault::new(Kind::Usage, text).cure("options are loop, rate=1 to rate=240, rate=max"));
            }
        }
    }
    Ok(Location::File { path: path.into(), looped, rate })
}

/// Whether a source is a network camera.
pub fn is_network(source: &str) -> bool {
    matches!(Location::parse(source), Ok(Location::Rtsp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_parsed() {
        let file = |path: &str, looped, rate| Location::File { path: path.into(), looped, rate };
        assert_eq!(Location::parse("a b?.mjpg").unwrap(), file("a b?.mjpg", false, Some(15)));
        assert_eq!(Location::parse("file:///a.mjpg").unwrap(), file("/a.mjpg", false, Some(15)));
        assert_eq!(Location::parse("file://a.mjpg?loop&rate=30").unwrap(), file("a.mjpg", true, Some(30)));
        assert_eq!(Location::parse("file://a.mjpg?rate=max").unwrap(), file("a.mjpg", false, None));
        assert_eq!(Location::parse("test://bars").unwrap(), Location::Test);
        let camera = Location::V4l2("/dev/video0".into());
        assert_eq!(Location::parse("v4l2:///dev/video0").unwrap(), camera);
        assert_eq!(Location::parse("/dev/video0").unwrap(), camera);
        assert_eq!(Location::parse("csi://1").unwrap(), Location::Csi(1));
        assert_eq!(Location::parse("rtsp://camera/1").unwrap(), Location::Rtsp);
        assert!(is_network("rtsps://camera/1") && !is_network("v4l2:///dev/video0") && !is_network("rtsp://"));
        for wrong in [
            "",
            "ftp://x",
            "test://stripes",
            "v4l2://video0",
            "csi://x",
            "rtsp://",
            "file://a?fast",
            "a.mjpg?loop",
            "a.mjpg?rate=5&loop",
            "file://a?rate=0",
            "file://a?rate=x",
        ] {
            assert_eq!(Location::parse(wrong).unwrap_err().kind(), Kind::Usage, "{wrong}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(shown("rtsp://user:p@ss@10.0.0.2:554/live?a=b@c"), "rtsp://10.0.0.2:554/live?a=b@c");
        assert_eq!(shown("v4l2:///dev/video0"), "v4l2:///dev/video0");
        assert_eq!(shown("clips/a@b.mjpg"), "clips/a@b.mjpg");
    }
}
