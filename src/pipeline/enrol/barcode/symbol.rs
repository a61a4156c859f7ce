//! Kinds of bar code: where their bars and digits are, in modules (the width of the narrowest bar), and which numbers they stand for.

use std::ops::Range;

/// Modules of a digit's four parts; in the left half the first is a space.
const WIDTHS: [[u8; 4]; 10] = [
    [3, 2, 1, 1],
    [2, 2, 2, 1],
    [2, 1, 2, 2],
    [1, 4, 1, 1],
    [1, 1, 3, 2],
    [1, 2, 3, 1],
    [1, 1, 1, 4],
    [1, 3, 1, 2],
    [1, 2, 1, 3],
    [3, 1, 1, 2],
];
/// By the digit in front of an EAN-13's halves: which left digits are of set B, the first in the highest bit.
const FRONT: [u8; 10] =
    [0b000000, 0b001011, 0b001101, 0b001110, 0b010011, 0b011001, 0b011100, 0b010101, 0b010110, 0b011010];

/// A digit of a code and its set: A and B (0, 1) in the left half, C (2) in the right one.
pub(super) type Digit = (usize, usize);

/// The bars of a digit, in modules from its begin.
pub(super) fn bars((digit, set): Digit) -> [[f32; 2]; 2] {
    let mut widths = WIDTHS[digit].map(f32::from);
    if set == 1 {
        widths.reverse();
    }
    let [a, b, c, d] = widths;
    if set == 2 { [[0.0, a], [a + b, a + b + c]] } else { [[a, a + b], [a + b + c, a + b + c + d]] }
}

/// A kind of code: so many digits on each side of the middle bars.
#[derive(Clone, Copy)]
pub(super) struct Symbol {
    pub(super) half: usize,
}

impl Symbol {
    pub(super) fn modules(self) -> f32 {
        (14 * self.half + 11) as f32
    }

    /// Where the guard bars begin, each a module wide.
    pub(super) fn guards(self) -> [f32; 6] {
        let middle = (7 * self.half + 3) as f32;
        [0.0, 2.0, middle + 1.0, middle + 3.0, 2.0 * middle + 2.0, 2.0 * middle + 4.0]
    }

    /// Where a digit begins, in modules.
    pub(super) fn begin(self, at: usize) -> f32 {
        (3 + 7 * at + if at < self.half { 0 } else { 5 }) as f32
    }

    /// The sets that a digit may be of.
    pub(super) fn sets(self, at: usize) -> Range<usize> {
        match (at < self.half, self.half) {
            (false, _) => 2..3,
            (true, 6) => 0..2,
            (true, _) => 0..1,
        }
    }

    /// Number of changes between dark and light.
    pub(super) fn edges(self) -> usize {
        2 * (4 * self.half + 6)
    }

    /// The modules of the guard bars: left, middle, right, with the spaces that the middle ones stand between.
    pub(super) fn guarded(self) -> [[f32; 2]; 3] {
        let [left, _, middle, _, right, _] = self.guards();
        [[left, left + 3.0], [middle - 1.0, middle + 4.0], [right, right + 3.0]]
    }

    /// The digits as text, with the one that the sets of an EAN-13 stand for; `None`: for none.
    pub(super) fn number(self, digits: &[Digit]) -> Option<String> {
        let text: String = digits.iter().map(|(digit, _)| digit.to_string()).collect();
        if self.half == 4 {
            return Some(text);
        }
        let sets = digits[..self.half].iter().fold(0, |bits, (_, set)| bits << 1 | u8::from(*set == 1));
        FRONT.iter().position(|front| *front == sets).map(|front| format!("{front}{text}"))
    }
}

/// Whether the last digit is the check digit of the others.
pub(super) fn is_checked(number: &str) -> bool {
    let weighted = number.bytes().rev().zip([1, 3].into_iter().cycle());
    weighted.map(|(digit, weight)| u32::from(digit - b'0') * weight).sum::<u32>() % 10 == 0
}
