//! A test picture instead of a camera: colour bars with a moving light line.

use super::replay::Pace;
use super::{Source, Step};
use crate::clock::Clock;
use crate::fault::Result;
use crate::frame::{Frame, FrameMeta, Picture};
use crate::geometry::Size;
use crate::shutdown::Token;
use std::sync::Arc;
use std::time::Duration;

/// The bars from left to right: 75 % white, yellow, cyan, green, magenta, red, blue, black.
const BARS: [[u8; 3]; 8] =
    [[191, 191, 191], [191, 191, 0], [0, 191, 191], [0, 191, 0], [191, 0, 191], [191, 0, 0], [0, 0, 191], [16, 16, 16]];

/// Frames in which the line crosses the picture.
const CROSSING: u64 = 90;

pub struct Pattern {
    size: Size,
    rate: u32,
    pace: Pace,
    given: u64,
}

impl Pattern {
    /// A picture of `size` in pixels, `rate` times a second by `clock`, until `token` is cancelled.
    pub fn new(size: Size, rate: u32, clock: Arc<dyn Clock>, token: Token) -> Self {
        Pattern { size, rate, pace: Pace::new(rate, clock, token), given: 0 }
    }

    fn draw(&self) -> Picture {
        let Size { width, height } = self.size;
        let line = (self.given % CROSSING) as usize * width / CROSSING as usize;
        let thick = (width / 100).max(1);
        let colour = |x: usize| if (line..line + thick).contains(&x) { [255; 3] } else { BARS[x * BARS.len() / width] };
        let row: Vec<u8> = (0..width).flat_map(colour).collect();
        Picture::new(self.size, row.repeat(height))
    }
}

impl Source for Pattern {
    fn next(&mut self) -> Result<Option<Frame>> {
        loop {
            if let Step::Frame(frame) = self.step()? {
                return Ok(Some(frame));
            }
        }
    }

    fn step(&mut self) -> Result<Step> {
        if !self.pace.wait() {
            return Ok(Step::NotYet);
        }
        let captured = Duration::from_secs(self.given) / self.rate;
        let frame =
            Frame { meta: FrameMeta { source: 0, sequence: self.given, captured }, picture: Arc::new(self.draw()) };
        self.given += 1;
        Ok(Step::Frame(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;

    #[test]
    fn the_line_moves() {
        let clock = Arc::new(SimulatedClock::default());
        let mut source = Pattern::new(Size::new(80, 3), 30, clock.clone(), Token::new());
        let pictures: Vec<_> = (0..31).map(|_| source.next().unwrap().unwrap().picture).collect();
        assert_eq!(&pictures[0].rgb()[..6], [255, 255, 255, 191, 191, 191]);
        assert_ne!(pictures[0], pictures[30]);
        assert_eq!(clock.now(), Duration::from_secs(1));
    }
}
