//! Reads the bar code of a label (EAN-13, EAN-8, UPC-A) from a picture, also where a bar is no wider than a pixel: along a line through
//! the bars the code is drawn as a camera would see it, out of focus as it may be, and the digits are those whose drawing is nearest.

mod drawing;
mod fit;
mod possible_code;
mod symbol;

use crate::frame::Picture;
use possible_code::PossibleCode;
use std::collections::BTreeMap;
use std::ops::Range;
use symbol::Symbol;

/// About so many rows and columns of a picture are read, fewer than twice: evenly spread.
const LINES: usize = 48;
/// Widths of a module that are read, pixels.
const MODULE: Range<f32> = 0.6..8.0;
/// Pixels of a margin that its blurred ends take away.
const BLURRED: f32 = 4.0;
/// Neighbouring pixels of a margin differ by less, grey levels.
const FLAT: f32 = 6.0;
/// Places of a line where a code may be that are looked at closely: those with the widest margins. A picture of stripes has hundreds.
const MOST_POSSIBLE: usize = 12;

/// The number of a bar code in the picture, upright or turned by a quarter, also mirrored: the one that most lines show, two at least
/// and twice as many as show any other. Grass and cloth show a number here and there.
pub fn read(picture: &Picture) -> Option<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for number in lines(picture).filter_map(|line| number(&line)) {
        *seen.entry(number).or_default() += 1;
    }
    let (number, most) = seen.iter().max_by_key(|(_, lines)| **lines)?;
    let is_clear = seen.iter().all(|(other, lines)| other == number || 2 * lines <= *most);
    (*most >= 2 && is_clear).then(|| number.clone())
}

/// The number along a line: a small code may be seen in a larger one, though not as clearly.
fn number(line: &[f32]) -> Option<String> {
    let read = possible_codes(line).into_iter().flat_map(|code| [code.number(), code.mirrored().number()]);
    read.flatten().min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, number)| number)
}

/// Rows, then columns of a picture, in grey levels.
fn lines(picture: &Picture) -> impl Iterator<Item = Vec<f32>> {
    let (width, height) = (picture.size().width, picture.size().height);
    let level = |x: usize, y: usize| {
        let pixel = &picture.row(y)[3 * x..3 * x + 3];
        (f32::from(pixel[0]) + 2.0 * f32::from(pixel[1]) + f32::from(pixel[2])) / 4.0
    };
    let spread = |side: usize| (0..side).step_by((side / LINES).max(1));
    let rows = spread(height).map(move |y| (0..width).map(|x| level(x, y)).collect());
    rows.chain(spread(width).map(move |x| (0..height).map(|y| level(x, y)).collect()))
}

/// Where along a line a code may be.
fn possible_codes(line: &[f32]) -> Vec<PossibleCode> {
    let (margins, mut found) = (margins(line), Vec::new());
    for (at, left) in margins.iter().enumerate() {
        for (between, right) in margins[at + 1..].iter().enumerate() {
            let inner = &margins[at + 1..at + 1 + between];
            for symbol in [Symbol { half: 6 }, Symbol { half: 4 }] {
                if may_lie_between(symbol, [left, right], inner) {
                    found.extend(PossibleCode::between(symbol, line, left, right));
                }
            }
        }
    }
    found.sort_by(|a, b| b.margin.total_cmp(&a.margin));
    found.truncate(MOST_POSSIBLE);
    found
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

/// Whether margins are wide enough for what lies between them, which has no space like a margin.
fn may_lie_between(symbol: Symbol, [left, right]: [&Range<usize>; 2], inner: &[Range<usize>]) -> bool {
    let module = (right.start as f32 - left.end as f32) / symbol.modules();
    let modules = |range: &Range<usize>| range.len() as f32 / module;
    MODULE.contains(&module)
        && [left, right].iter().all(|range| modules(range) + BLURRED / module >= 5.0)
        && inner.iter().all(|range| modules(range) < 10.0)
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
    fn the_number_that_most_lines_show_is_read() {
        let [short, long] = [modules("9638", "AAAA", "5074"), modules("006381", "ABAABB", "333931")];
        let [short, long] = [short, long].map(|code| label(&code, 1.5, 0.0, 0.6));
        // So many rows through the bars of the one above those of the other.
        let read = |above: usize, below: usize| {
            let rows = |label: &Picture, count: usize| {
                (70..70 + count).flat_map(|y| label.row(y).to_vec()).collect::<Vec<u8>>()
            };
            let rgb = [rows(&short, above), rows(&long, below)].concat();
            read(&Picture::new(Size::new(300, above + below), rgb))
        };
        assert_eq!(read(10, 40).as_deref(), Some("4006381333931"));
        assert_eq!(read(40, 10).as_deref(), Some("96385074"));
        assert_eq!(read(24, 26), None, "which of two is held before the mirror is not guessed");
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

    /// Of a picture's lines: places that are looked at closely, and geometries whose digits are read in one direction.
    fn work(picture: &Picture) -> [usize; 2] {
        let found: Vec<PossibleCode> = lines(picture).flat_map(|line| possible_codes(&line)).collect();
        [found.len(), found.iter().map(|code| code.geometries().len()).sum()]
    }

    #[test]
    fn what_a_picture_without_a_code_costs_is_bounded() {
        let size = Size::new(1280, 96);
        let shown = |level: &dyn Fn(usize, usize) -> f32| {
            let pixel = |at: usize| [level(at % size.width, at / size.width) as u8; 3];
            Picture::new(size, (0..size.width * size.height).flat_map(pixel).collect())
        };
        // A fence, waves as on cloth, and twigs: full of what lies between bright places.
        let mut twigs = vec![60.0];
        let mut random = 1_u32;
        while twigs.len() < size.width {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let next = 260.0 - twigs[twigs.len() - 1];
            twigs.extend(vec![next; 4 + (random >> 29) as usize]);
        }
        let fence = shown(&|x, _| if x / 8 % 2 == 0 { 200.0 } else { 60.0 });
        let waves = shown(&|x, y| 130.0 + 70.0 * ((x as f32 + 0.3 * y as f32) * 0.7).sin());
        let twigs = shown(&|x, _| twigs[x]);
        for (name, picture) in [("fence", fence), ("waves", waves), ("twigs", twigs)] {
            let [places, read] = work(&picture);
            assert!(places <= 600 && read <= 1500, "{name}: {places} {read}");
        }
    }
}
