//! Reads the bar code of a label (EAN-13, EAN-8, UPC-A) from a picture, also where a bar is no wider than a pixel: along a line through
//! the bars the code is drawn as a camera would see it, out of focus as it may be, and the digits are those whose drawing is nearest.

use crate::frame::Picture;
use std::ops::Range;

/// Rows and columns of a picture that are read: evenly spread.
const LINES: usize = 48;
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
/// Widths of an edge from sharp to far out of focus, pixels.
const EDGES: [f32; 4] = [1.4, 2.4, 3.4, 4.6];
/// The outer bars begin so far inside the bright margins' ends, pixels.
const INSIDE: [f32; 9] = [-0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5];
/// Widths of a module that are read, pixels.
const MODULE: Range<f32> = 0.6..8.0;
/// Pixels of a margin that its blurred ends take away.
const BLURRED: f32 = 4.0;
/// Neighbouring pixels of a margin differ by less, and ink differs from paper by more. Grey levels.
const FLAT: f32 = 6.0;
const LEAST_INK: f32 = 12.0;
/// Geometries that are read in full: those whose guard bars fit best.
const TRIED: usize = 4;
/// Mean squared difference at the guard bars beyond which nothing is read; of codes that were read the largest was 0.15.
const MOST_GUARD_ERROR: f32 = 0.16;
/// Changes between dark and light that a code shows at least, however blurred: 6 of codes that were read.
const LEAST_CHANGES: usize = 6;
/// Share of a line's variance that the drawing may leave.
const MOST_LEFT: f32 = 0.1;

/// The number of a bar code in the picture, upright or turned by a quarter, also mirrored. Two lines must agree on it.
pub fn read(picture: &Picture) -> Option<String> {
    let (width, height) = (picture.size().width, picture.size().height);
    let level = |x: usize, y: usize| {
        let pixel = &picture.row(y)[3 * x..3 * x + 3];
        (f32::from(pixel[0]) + 2.0 * f32::from(pixel[1]) + f32::from(pixel[2])) / 4.0
    };
    let spread = |side: usize| (0..side).step_by((side / LINES).max(1));
    let rows = spread(height).map(|y| (0..width).map(|x| level(x, y)).collect::<Vec<f32>>());
    let columns = spread(width).map(|x| (0..height).map(|y| level(x, y)).collect::<Vec<f32>>());
    let mut seen: Vec<String> = Vec::new();
    for line in rows.chain(columns) {
        let Some(number) = number(&line) else { continue };
        if seen.contains(&number) {
            return Some(number);
        }
        seen.push(number);
    }
    None
}

/// The number along a line of grey levels.
fn number(line: &[f32]) -> Option<String> {
    let margins = margins(line);
    let back: Vec<f32> = line.iter().rev().copied().collect();
    let reversed = |range: &Range<usize>| line.len() - range.end..line.len() - range.start;
    for (at, left) in margins.iter().enumerate() {
        for (between, right) in margins[at + 1..].iter().enumerate() {
            let inner = &margins[at + 1..at + 1 + between];
            for symbol in [Symbol { half: 6 }, Symbol { half: 4 }] {
                if !symbol.may_lie_between(left, right, inner) {
                    continue;
                }
                let found = symbol.between(line, left, right);
                let found = found.or_else(|| symbol.between(&back, &reversed(right), &reversed(left)));
                if found.is_some() {
                    return found;
                }
            }
        }
    }
    None
}

/// Stretches of a line without edges: paper, among others.
fn margins(line: &[f32]) -> Vec<Range<usize>> {
    let (mut found, mut start) = (Vec::new(), 0);
    let is_edge = |at: &usize| ((line[at + 2] + line[at + 1] - line[*at] - line[at - 1]) / 4.0).abs() > FLAT;
    let edges = (2..line.len().saturating_sub(2)).filter(is_edge);
    for end in edges.chain([line.len()]) {
        if end >= start + 3 {
            found.push(start..end);
        }
        start = end + 2;
    }
    found
}

fn mean(levels: &[f32]) -> f32 {
    levels.iter().sum::<f32>() / levels.len() as f32
}

/// A digit of a code and its set: A and B (0, 1) in the left half, C (2) in the right one.
type Digit = (usize, usize);

/// The bars of a digit, in modules from its begin.
fn bars((digit, set): Digit) -> [[f32; 2]; 2] {
    let mut widths = WIDTHS[digit].map(f32::from);
    if set == 1 {
        widths.reverse();
    }
    let [a, b, c, d] = widths;
    if set == 2 { [[0.0, a], [a + b, a + b + c]] } else { [[a, a + b], [a + b + c, a + b + c + d]] }
}

/// A kind of code: so many digits on each side of the middle bars.
#[derive(Clone, Copy)]
struct Symbol {
    half: usize,
}

impl Symbol {
    fn modules(self) -> f32 {
        (14 * self.half + 11) as f32
    }

    /// Where the guard bars begin, each a module wide.
    fn guards(self) -> [f32; 6] {
        let middle = (7 * self.half + 3) as f32;
        [0.0, 2.0, middle + 1.0, middle + 3.0, 2.0 * middle + 2.0, 2.0 * middle + 4.0]
    }

    /// Where a digit begins, in modules.
    fn begin(self, at: usize) -> f32 {
        (3 + 7 * at + if at < self.half { 0 } else { 5 }) as f32
    }

    /// The sets that a digit may be of.
    fn sets(self, at: usize) -> Range<usize> {
        match (at < self.half, self.half) {
            (false, _) => 2..3,
            (true, 6) => 0..2,
            (true, _) => 0..1,
        }
    }

    /// Whether margins are wide enough for what lies between them, which has no space like a margin.
    fn may_lie_between(self, left: &Range<usize>, right: &Range<usize>, inner: &[Range<usize>]) -> bool {
        let module = (right.start as f32 - left.end as f32) / self.modules();
        let modules = |range: &Range<usize>| range.len() as f32 / module;
        MODULE.contains(&module)
            && [left, right].iter().all(|range| modules(range) + BLURRED / module >= 5.0)
            && inner.iter().all(|range| modules(range) < 10.0)
    }

    /// The number between two margins, read from left to right.
    fn between(self, line: &[f32], left: &Range<usize>, right: &Range<usize>) -> Option<String> {
        let (darkness, first) = darkness(line, left, right)?;
        let [from, to] = [left.end, right.start].map(|at| at as f32 - first as f32);
        let mut tried = Vec::new();
        for [a, b] in INSIDE.iter().flat_map(|a| INSIDE.map(|b| [from + a, to - b])) {
            for edge in EDGES {
                let geometry = Geometry { start: a, module: (b - a) / self.modules(), edge };
                tried.push((self.guard_error(&darkness, geometry), geometry));
            }
        }
        tried.retain(|(error, _)| *error < MOST_GUARD_ERROR);
        tried.sort_by(|a, b| a.0.total_cmp(&b.0));
        let read = tried.into_iter().take(TRIED).map(|(_, geometry)| self.read(&darkness, geometry));
        let (left_over, digits) = read.min_by(|a, b| a.0.total_cmp(&b.0))?;
        let number = self.number(&digits)?;
        (left_over < MOST_LEFT && is_checked(&number)).then_some(number)
    }

    /// Mean squared difference where the guard bars are.
    fn guard_error(self, darkness: &[f32], geometry: Geometry) -> f32 {
        let guards = self.guards();
        let (mut sum, mut count) = (0.0, 0);
        for [a, b] in [[guards[0], guards[1]], [guards[2] - 1.0, guards[3] + 1.0], [guards[4], guards[5]]] {
            for x in geometry.pixels([a, b + 1.0], 0.0, darkness.len()) {
                let drawn: f32 = guards.iter().map(|bar| geometry.shade([*bar, bar + 1.0], x)).sum();
                sum += (darkness[x] - drawn).powi(2);
                count += 1;
            }
        }
        sum / count.max(1) as f32
    }

    /// The digits of a geometry that was found roughly, and the share of the variance that their drawing leaves.
    fn read(self, darkness: &[f32], geometry: Geometry) -> (f32, Vec<Digit>) {
        let (mut geometry, mut digits) = (geometry, self.digits(darkness, geometry));
        for _ in 0..2 {
            geometry = self.refined(darkness, geometry, &digits);
            digits = self.digits(darkness, geometry);
        }
        (self.left_over(darkness, geometry, &digits), digits)
    }

    /// The digits whose drawing is nearest: each in turn beside the others, until none changes.
    fn digits(self, darkness: &[f32], geometry: Geometry) -> Vec<Digit> {
        let mut drawing = Drawing::new(geometry, darkness.len());
        self.guards().iter().for_each(|bar| drawing.add([*bar, bar + 1.0], 1.0));
        // A digit that is not known yet is grey.
        let whole = |at: usize| [self.begin(at), self.begin(at) + 7.0];
        (0..2 * self.half).for_each(|at| drawing.add(whole(at), 0.5));
        let mut chosen: Vec<Option<Digit>> = vec![None; 2 * self.half];
        for _ in 0..4 {
            let before = chosen.clone();
            let ink = drawing.ink(darkness);
            for (at, digit) in chosen.iter_mut().enumerate() {
                match *digit {
                    None => drawing.add(whole(at), -0.5),
                    Some(digit) => drawing.add_digit(self.begin(at), digit, -1.0),
                }
                let possible = self.sets(at).flat_map(|set| (0..10).map(move |digit| (digit, set)));
                let errors = possible.map(|digit| (drawing.error_with(darkness, ink, self.begin(at), digit), digit));
                *digit = errors.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, digit)| digit);
                digit.iter().for_each(|digit| drawing.add_digit(self.begin(at), *digit, 1.0));
            }
            if chosen == before {
                break;
            }
        }
        chosen.into_iter().flatten().collect()
    }

    /// The geometry that suits these digits best, near another one.
    fn refined(self, darkness: &[f32], from: Geometry, digits: &[Digit]) -> Geometry {
        let error = |geometry: Geometry| self.left_over(darkness, geometry, digits);
        let mut best = (error(from), from);
        for step in [0.5, 0.5, 0.25, 0.25, 0.12, 0.12] {
            let Geometry { start, module, edge } = best.1;
            let wider = step / self.modules();
            let near = [
                Geometry { start: start - step, module: module + wider, edge },
                Geometry { start: start + step, module: module - wider, edge },
                Geometry { start, module: module + wider, edge },
                Geometry { start, module: module - wider, edge },
                Geometry { start, module, edge: edge + 2.0 * step },
                Geometry { start, module, edge: (edge - 2.0 * step).max(1.0) },
            ];
            for geometry in near {
                let error = error(geometry);
                if error < best.0 {
                    best = (error, geometry);
                }
            }
        }
        best.1
    }

    /// The share of the variance that the drawing of these digits leaves, 0 to 1.
    fn left_over(self, darkness: &[f32], geometry: Geometry, digits: &[Digit]) -> f32 {
        let mut drawing = Drawing::new(geometry, darkness.len());
        self.guards().iter().for_each(|bar| drawing.add([*bar, bar + 1.0], 1.0));
        digits.iter().enumerate().for_each(|(at, digit)| drawing.add_digit(self.begin(at), *digit, 1.0));
        let (ink, mean) = (drawing.ink(darkness), mean(darkness));
        let variance: f32 = darkness.iter().map(|seen| (seen - mean).powi(2)).sum();
        let error: f32 = drawing.levels.iter().zip(darkness).map(|(drawn, seen)| (seen - ink * drawn).powi(2)).sum();
        error / variance
    }

    /// The digits as text, with the one that the sets of an EAN-13 stand for; `None`: for none.
    fn number(self, digits: &[Digit]) -> Option<String> {
        let text: String = digits.iter().map(|(digit, _)| digit.to_string()).collect();
        if self.half == 4 {
            return Some(text);
        }
        let sets = digits[..self.half].iter().fold(0, |bits, (_, set)| bits << 1 | u8::from(*set == 1));
        FRONT.iter().position(|front| *front == sets).map(|front| format!("{front}{text}"))
    }
}

/// How dark each pixel is between two margins and a little into them: 0 is paper, about 1 ink. And which pixel is the first.
fn darkness(line: &[f32], left: &Range<usize>, right: &Range<usize>) -> Option<(Vec<f32>, usize)> {
    let paper = [
        mean(&line[left.end.saturating_sub(5).max(left.start)..left.end]),
        mean(&line[right.start..(right.start + 5).min(right.end)]),
    ];
    let length = (right.start - left.end) as f32;
    let first = left.end.saturating_sub(8);
    // Light may fall from one side.
    let dark = |x: usize| {
        let share = ((x as f32 - left.end as f32) / length).clamp(0.0, 1.0);
        paper[0] + share * (paper[1] - paper[0]) - line[x]
    };
    let levels: Vec<f32> = (first..(right.start + 8).min(line.len())).map(dark).collect();
    // About half of the modules are ink.
    let ink = 2.0 * levels.iter().sum::<f32>() / length;
    let is_dark = |level: f32| level > ink / 2.0;
    let changes = levels.windows(2).filter(|pair| is_dark(pair[0]) != is_dark(pair[1])).count();
    let is_code = ink > LEAST_INK && changes >= LEAST_CHANGES;
    is_code.then(|| (levels.iter().map(|level| level / ink).collect(), first))
}

/// Where the first bar begins, how wide a module is and how wide an edge, pixels.
#[derive(Clone, Copy)]
struct Geometry {
    start: f32,
    module: f32,
    edge: f32,
}

impl Geometry {
    /// How dark a bar between these modules makes a pixel, 0 to 1.
    fn shade(&self, [from, to]: [f32; 2], pixel: usize) -> f32 {
        let beyond = |module: f32| {
            let x = pixel as f32 + 0.5 - self.start - module * self.module;
            let t = (x / self.edge + 0.5).clamp(0.0, 1.0);
            t * t * (3.0 - 2.0 * t)
        };
        beyond(from) - beyond(to)
    }

    /// The pixels between these modules and so many more, of a line of this length.
    fn pixels(&self, [from, to]: [f32; 2], more: f32, length: usize) -> Range<usize> {
        let pixel = |x: f32| (self.start + x).clamp(0.0, length as f32) as usize;
        pixel(from * self.module - more)..pixel(to * self.module + more + 1.0)
    }
}

/// A line as a camera would see it: 0 is paper, 1 ink.
struct Drawing {
    geometry: Geometry,
    levels: Vec<f32>,
}

impl Drawing {
    fn new(geometry: Geometry, length: usize) -> Self {
        Drawing { geometry, levels: vec![0.0; length] }
    }

    /// Draws a bar between these modules, so dark.
    fn add(&mut self, bar: [f32; 2], dark: f32) {
        for x in self.geometry.pixels(bar, self.geometry.edge, self.levels.len()) {
            self.levels[x] += dark * self.geometry.shade(bar, x);
        }
    }

    fn add_digit(&mut self, begin: f32, digit: Digit, dark: f32) {
        bars(digit).into_iter().for_each(|[from, to]| self.add([begin + from, begin + to], dark));
    }

    /// How dark ink is in what was seen.
    fn ink(&self, darkness: &[f32]) -> f32 {
        let (dot, norm) =
            self.levels.iter().zip(darkness).fold((0.0, 1e-6), |(dot, norm), (a, b)| (dot + a * b, norm + a * a));
        dot / norm
    }

    /// Squared difference around a digit if it were this one.
    fn error_with(&self, darkness: &[f32], ink: f32, begin: f32, digit: Digit) -> f32 {
        let bars = bars(digit).map(|[from, to]| [begin + from, begin + to]);
        let pixels = self.geometry.pixels([begin, begin + 7.0], self.geometry.edge, darkness.len());
        let error = |x: usize| {
            let own: f32 = bars.iter().map(|bar| self.geometry.shade(*bar, x)).sum();
            (darkness[x] - ink * (self.levels[x] + own)).powi(2)
        };
        pixels.map(error).sum()
    }
}

/// Whether the last digit is the check digit of the others.
fn is_checked(number: &str) -> bool {
    let weighted = number.bytes().rev().zip([1, 3].into_iter().cycle());
    weighted.map(|(digit, weight)| u32::from(digit - b'0') * weight).sum::<u32>() % 10 == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;

    /// Sets A and C as the standard prints them; B is C read backwards.
    const A: &str = "0001101 0011001 0010011 0111101 0100011 0110001 0101111 0111011 0110111 0001011";
    const C: &str = "1110010 1100110 1101100 1000010 1011100 1001110 1010000 1000100 1001000 1110100";

    fn of(set: &str, digit: char) -> String {
        set.split(' ').nth(digit.to_digit(10).unwrap() as usize).unwrap().to_owned()
    }

    /// The modules of a code; `sets`: of its left digits.
    fn modules(left: &str, sets: &str, right: &str) -> String {
        let coded = |(digit, set): (char, char)| match set {
            'A' => of(A, digit),
            _ => of(C, digit).chars().rev().collect(),
        };
        let left: String = left.chars().zip(sets.chars()).map(coded).collect();
        let right: String = right.chars().map(|digit| of(C, digit)).collect();
        format!("101{left}01010{right}101")
    }

    /// A label in a hand: so many pixels a module, turned by so many degrees, out of focus.
    fn label(modules: &str, module: f32, degrees: f32, blur: f32) -> Picture {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let half = modules.len() as f32 / 2.0;
        let level = |x: f32, y: f32| {
            let (x, y) = (x - 151.3, y - 99.6);
            let (x, y) = ((x * cos + y * sin) / module + half, (y * cos - x * sin) / module);
            let is_bar = x >= 0.0 && y.abs() < 35.0 && modules.as_bytes().get(x as usize) == Some(&b'1');
            let is_paper = (-11.0..modules.len() as f32 + 9.0).contains(&x) && y.abs() < 45.0;
            if is_bar {
                45.0
            } else if is_paper {
                215.0
            } else {
                110.0
            }
        };
        // A pixel sees all of its area.
        let steps = || (0..5).map(|step| step as f32 / 5.0 + 0.1);
        let sharp = image::GrayImage::from_fn(300, 200, |x, y| {
            let seen = steps().flat_map(|a| steps().map(move |b| (a, b)));
            let sum: f32 = seen.map(|(a, b)| level(x as f32 + a, y as f32 + b)).sum();
            image::Luma([(sum / 25.0) as u8])
        });
        let seen = image::imageops::blur(&sharp, blur);
        Picture::new(Size::new(300, 200), seen.pixels().flat_map(|pixel| [pixel[0]; 3]).collect())
    }

    #[test]
    fn labels_are_read_also_small_turned_and_out_of_focus() {
        let long = modules("006381", "ABAABB", "333931");
        let american = modules("012345", "AAAAAA", "678905");
        let short = modules("9638", "AAAA", "5074");
        for (code, number) in [(&long, "4006381333931"), (&american, "0012345678905"), (&short, "96385074")] {
            for (module, degrees, blur) in [(1.04, 0.0, 0.6), (1.04, 7.0, 1.0), (1.5, -12.0, 1.5), (1.5, 95.0, 0.6)] {
                let picture = label(code, module, degrees, blur);
                assert_eq!(read(&picture).as_deref(), Some(number), "{module} {degrees} {blur}");
            }
            let mirrored = label(code, 1.3, 184.0, 0.8).turned(crate::frame::Turn::None, true);
            assert_eq!(read(&mirrored).as_deref(), Some(number));
        }
    }

    #[test]
    fn what_is_no_code_is_not_read() {
        // The check digit is wrong; stripes; nothing.
        assert_eq!(read(&label(&modules("006381", "ABAABB", "333932"), 1.5, 0.0, 0.6)), None);
        assert_eq!(read(&label(&"10".repeat(47), 1.5, 0.0, 0.6)), None);
        for side in [1, 3, 40] {
            assert_eq!(read(&Picture::filled(Size::new(side, side), [200; 3])), None);
        }
    }
}
