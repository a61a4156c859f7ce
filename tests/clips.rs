//! Clips made by other programs, decoded through ffmpeg. Skipped with a message if ffmpeg is not installed.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use vetrina::capture;
use vetrina::geometry::Size;

/// A folder for clips; `None`, with a message, if ffmpeg is not installed.
fn folder() -> Option<tempfile::TempDir> {
    if Command::new("ffmpeg").arg("-version").output().is_err() {
        eprintln!("skipped: ffmpeg is not installed");
        return None;
    }
    Some(tempfile::tempdir().unwrap())
}

/// Makes a clip of 12 frames of one colour. Returns false, with a message, if this ffmpeg lacks the encoder.
fn make(path: &Path, colour: &str, arguments: &[&str]) -> bool {
    let source = format!("color=c={colour}:size=64x48:rate=12:duration=1,format=rgba");
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-f", "lavfi", "-i", &source]).args(arguments).arg(path);
    let made = command.output().unwrap();
    if !made.status.success() {
        eprintln!("skipped {}: {}", path.display(), String::from_utf8_lossy(&made.stderr).trim());
    }
    made.status.success()
}

struct Played {
    frames: usize,
    size: Size,
    /// Of the centre of the last frame.
    colour: [u8; 3],
    corrupt: u64,
    damage: Option<String>,
}

fn play(path: &Path) -> Result<Played, String> {
    let mut source = capture::open_every_frame(path.to_str().unwrap()).map_err(|fault| fault.to_string())?;
    let (mut frames, mut last) = (0, None);
    while let Some(frame) = source.next().map_err(|fault| fault.to_string())? {
        frames += 1;
        last = Some(frame.picture);
    }
    let last = last.ok_or("no frame")?;
    let at = 3 * (last.size().width / 2);
    let colour = last.row(last.size().height / 2)[at..at + 3].try_into().unwrap();
    Ok(Played { frames, size: last.size(), colour, corrupt: source.corrupt(), damage: source.damage() })
}

fn near(a: [u8; 3], b: [u8; 3]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= 8)
}

#[test]
fn ten_bit_grey_and_transparent_clips_become_8_bit_rgb() {
    let Some(folder) = folder() else { return };
    let teal = [0x20, 0x80, 0x90];
    let clips: [(&str, &str, [u8; 3], &[&str]); 6] = [
        (
            "main10.mp4",
            "0x208090",
            teal,
            &["-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-x265-params", "log-level=none"],
        ),
        ("high10.mkv", "0x208090", teal, &["-c:v", "libx264", "-pix_fmt", "yuv420p10le"]),
        ("twelve.mkv", "0x208090", teal, &["-c:v", "ffv1", "-pix_fmt", "yuv444p12le"]),
        ("grey.mkv", "0x808080", [0x80; 3], &["-c:v", "ffv1", "-pix_fmt", "gray16le"]),
        // The transparent part hides green.
        (
            "hidden.mov",
            "0x00ff00@0",
            [255; 3],
            &["-c:v", "prores_ks", "-profile:v", "4444", "-pix_fmt", "yuva444p10le"],
        ),
        ("half.mov", "0x000000@0.5", [127; 3], &["-c:v", "png", "-pix_fmt", "rgba"]),
    ];
    let mut played = 0;
    for (name, colour, expected, arguments) in clips {
        let path = folder.path().join(name);
        if !make(&path, colour, arguments) {
            continue;
        }
        let clip = play(&path).unwrap();
        assert_eq!((clip.frames, clip.size, clip.damage), (12, Size::new(64, 48), None), "{name}");
        assert!(near(clip.colour, expected), "{name}: {:?}", clip.colour);
        played += 1;
    }
    assert!(played > 0, "this ffmpeg can make none of these clips");
}

#[test]
fn an_avi_file_of_another_codec_is_decoded_by_ffmpeg_whatever_its_bytes() {
    let Some(folder) = folder() else { return };
    let path = folder.path().join("xvid.avi");
    if !make(&path, "0x208090", &["-c:v", "mpeg4", "-vtag", "xvid"]) {
        return;
    }
    let mut bytes = std::fs::read(&path).unwrap();
    let junk = bytes.windows(4).position(|window| window == b"JUNK").unwrap();
    bytes[junk + 40..junk + 44].copy_from_slice(&[0xff, 0xd8, 0xff, 0xe0]);
    std::fs::write(&path, bytes).unwrap();
    let clip = play(&path).unwrap();
    assert_eq!((clip.frames, clip.damage), (12, None));
}

/// A clip of intra-coded frames, with the offset of each packet.
fn intra(folder: &Path) -> Option<(PathBuf, Vec<usize>)> {
    let path = folder.join("intra.nut");
    if !make(&path, "0x208090", &["-c:v", "png", "-pix_fmt", "rgb24"]) {
        return None;
    }
    let bytes = std::fs::read(&path).unwrap();
    let starts = bytes.windows(8).enumerate().filter(|(_, window)| *window == b"\x89PNG\r\n\x1a\n");
    let starts: Vec<usize> = starts.map(|(at, _)| at).collect();
    assert_eq!(starts.len(), 12);
    Some((path, starts))
}

#[test]
fn a_damaged_frame_is_skipped_counted_and_reported() {
    let Some(folder) = folder() else { return };
    let Some((path, starts)) = intra(folder.path()) else { return };
    let mut bytes = std::fs::read(&path).unwrap();
    for at in [starts[3], starts[7]] {
        bytes[at..at + 4].fill(0);
    }
    std::fs::write(&path, &bytes).unwrap();
    let clip = play(&path).unwrap();
    assert_eq!((clip.frames, clip.corrupt), (10, 2));
    let damage = clip.damage.unwrap();
    assert!(damage.starts_with("2 damaged frames were skipped; ffmpeg says: "), "{damage}");
    assert!(near(clip.colour, [0x20, 0x80, 0x90]));
}

#[test]
fn a_truncated_clip_gives_its_complete_frames() {
    let Some(folder) = folder() else { return };
    let Some((path, starts)) = intra(folder.path()) else { return };
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..starts[6] + 9]).unwrap();
    let clip = play(&path).unwrap();
    assert!((6..=7).contains(&clip.frames), "{}", clip.frames);
    // Truncated before the first frame.
    std::fs::write(&path, &bytes[..200]).unwrap();
    let refused = play(&path).err().unwrap();
    assert!(refused.contains("is neither a picture nor a clip: ffmpeg finds"), "{refused}");
}
