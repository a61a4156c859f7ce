//! Plays recordings like a camera: at a steady rate, optionally looped. Also rotates and mirrors the frames of any
//! source.

use super::{RECORDED_RATE, Source, Step};
use crate::clock::Clock;
use crate::fault::Result;
use crate::frame::{Frame, Turn};
use crate::shutdown::Token;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Paces frames at `rate` per second, without drift. After a delay it restarts the schedule instead of catching up.
pub struct Pace {
    clock: Arc<dyn Clock>,
    token: Token,
    rate: u32,
    began: Duration,
    frames: u32,
}

impl Pace {
    /// `rate` frames per second by `clock`, until `token` is cancelled.
    pub fn new(rate: u32, clock: Arc<dyn Clock>, token: Token) -> Self {
        let began = clock.now();
        Pace { clock, token, rate: rate.max(1), began, frames: 0 }
    }

    /// Waits until the next frame is due. False if cancelled.
    pub fn wait(&mut self) -> bool {
        let due = self.began + Duration::from_secs(self.frames.into()) / self.rate;
        if self.clock.wait_until(&self.token, due) {
            return false;
        }
        self.frames += 1;
        let late = self.clock.now().saturating_sub(due);
        if late > Duration::from_secs(1) / self.rate || self.frames == u32::MAX {
            (self.began, self.frames) = (self.clock.now(), 1);
        }
        true
    }
}

/// A recording, played like a camera.
pub struct Replay {
    path: PathBuf,
    source: Box<dyn Source>,
    looped: bool,
    pace: Option<Pace>,
    given: u64,
    /// Damaged frames in earlier passes over the recording.
    corrupt: u64,
    said: bool,
    spent: Duration,
}

impl Replay {
    /// Plays the clip at `path`, from its begin again where it is `looped`; `rate` in frames per second, by default the clip's own.
    pub fn open(path: &Path, looped: bool, rate: Option<u32>, clock: Arc<dyn Clock>, token: Token) -> Result<Self> {
        let source = super::open_path(path, Some(RECORDED_RATE))?;
        let pace = rate.map(|rate| Pace::new(rate, clock, token));
        Ok(Replay { path: path.into(), source, looped, pace, given: 0, corrupt: 0, said: false, spent: Duration::ZERO })
    }

    /// The next frame, without waiting; starts over at the end if looped.
    fn following(&mut self) -> Result<Option<Frame>> {
        if let Some(frame) = self.source.next()? {
            return Ok(Some(frame));
        }
        if let Some(words) = self.source.damage().filter(|_| !self.said) {
            self.said = true;
            log::warn!("{}: {words}", self.path.display());
        }
        if !self.looped {
            return Ok(None);
        }
        self.corrupt += self.source.corrupt();
        self.source = super::open_path(&self.path, Some(RECORDED_RATE))?;
        self.source.next()
    }
}

impl Source for Replay {
    fn next(&mut self) -> Result<Option<Frame>> {
        loop {
            match self.step()? {
                Step::Frame(frame) => return Ok(Some(frame)),
                Step::NotYet => {}
                Step::End => return Ok(None),
            }
        }
    }

    fn step(&mut self) -> Result<Step> {
        if self.pace.as_mut().is_some_and(|pace| !pace.wait()) {
            return Ok(Step::NotYet);
        }
        let start = Instant::now();
        let Some(mut frame) = self.following()? else { return Ok(Step::End) };
        self.spent = start.elapsed();
        frame.meta.sequence = self.given;
        self.given += 1;
        Ok(Step::Frame(frame))
    }

    fn spent(&self) -> Duration {
        self.spent
    }

    fn corrupt(&self) -> u64 {
        self.corrupt + self.source.corrupt()
    }
}

/// Another source's frames, rotated and mirrored.
pub struct Upright {
    source: Box<dyn Source>,
    turn: Turn,
    mirrored: bool,
    turning: Duration,
}

impl Upright {
    /// Turns each frame of `source`, then mirrors it.
    pub fn new(source: Box<dyn Source>, turn: Turn, mirrored: bool) -> Self {
        Upright { source, turn, mirrored, turning: Duration::ZERO }
    }

    fn upright(&mut self, frame: Frame) -> Frame {
        let start = Instant::now();
        let picture = Arc::new(frame.picture.turned(self.turn, self.mirrored));
        self.turning = start.elapsed();
        Frame { meta: frame.meta, picture }
    }
}

impl Source for Upright {
    fn next(&mut self) -> Result<Option<Frame>> {
        let frame = self.source.next()?;
        Ok(frame.map(|frame| self.upright(frame)))
    }

    fn step(&mut self) -> Result<Step> {
        Ok(match self.source.step()? {
            Step::Frame(frame) => Step::Frame(self.upright(frame)),
            other => other,
        })
    }

    fn spent(&self) -> Duration {
        self.source.spent() + self.turning
    }

    fn corrupt(&self) -> u64 {
        self.source.corrupt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;
    use crate::geometry::Size;

    /// A folder of two pictures, of 8x4 pixels.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for shade in [10u8, 200] {
            let picture = image::RgbImage::from_pixel(8, 4, image::Rgb([shade; 3]));
            picture.save(folder.path().join(format!("{shade}.png"))).unwrap();
        }
        folder
    }

    fn shades(source: &mut dyn Source, most: usize) -> Vec<u8> {
        let mut shades = Vec::new();
        while let Some(frame) = (shades.len() < most).then(|| source.next().unwrap()).flatten() {
            assert_eq!(frame.meta.sequence, shades.len() as u64);
            shades.push(frame.picture.rgb()[0]);
        }
        shades
    }

    #[test]
    fn a_recording_keeps_its_rate_and_loops_if_asked() {
        let (folder, clock, token) = (folder(), Arc::new(SimulatedClock::default()), Token::new());
        let open = |looped| Replay::open(folder.path(), looped, Some(4), clock.clone(), token.clone()).unwrap();
        assert_eq!(shades(&mut open(false), 9), [10, 200]);
        let began = clock.now();
        assert_eq!(shades(&mut open(true), 5), [10, 200, 10, 200, 10]);
        assert_eq!(clock.now() - began, Duration::from_secs(1));
        let mut late = open(true);
        assert_eq!(shades(&mut late, 1), [10]);
        clock.advance(Duration::from_secs(60));
        let (began, mut next) = (clock.now(), || late.next().unwrap());
        (0..3).for_each(|_| drop(next()));
        assert_eq!(clock.now() - began, Duration::from_millis(500));
    }

    #[test]
    fn damaged_frames_are_counted_over_all_loops() {
        let (folder, clock, token) = (folder(), Arc::new(SimulatedClock::default()), Token::new());
        std::fs::write(folder.path().join("100.png"), b"damaged").unwrap();
        let mut source = Replay::open(folder.path(), true, None, clock, token).unwrap();
        assert_eq!(shades(&mut source, 6), [10, 200, 10, 200, 10, 200]);
        assert_eq!(source.corrupt(), 3);
    }

    #[test]
    fn frames_are_rotated_and_cancelling_ends_the_wait() {
        let (folder, clock, token) = (folder(), Arc::new(SimulatedClock::default()), Token::new());
        let replay = Replay::open(folder.path(), true, Some(4), clock, token.clone()).unwrap();
        let mut source = Upright::new(Box::new(replay), Turn::Quarter, true);
        assert_eq!(source.spent(), Duration::ZERO);
        assert_eq!(source.next().unwrap().unwrap().picture.size(), Size::new(4, 8));
        assert!(source.spent() > source.turning && source.turning > Duration::ZERO);
        token.cancel();
        assert!(matches!(source.step().unwrap(), Step::NotYet));
    }
}
