//! Curves of shares, drawn with the display's canvas and letters.

use crate::display::canvas::Canvas;
use crate::display::text::{Fonts, Line};
use crate::display::theme::{self, Style};
use crate::evaluation::{Share, Tally};
use crate::fault::Result;
use crate::geometry::Size;
use embedded_graphics::pixelcolor::Rgb888;

/// Pixels of one chart, its margins included.
const WIDTH: usize = 1100;
const HEIGHT: usize = 620;
const LEFT: f32 = 80.0;
const TOP: f32 = 80.0;
const BOTTOM: f32 = 70.0;
/// The legend's.
const RIGHT: f32 = 360.0;
const LINE: f32 = 3.0;
/// How strongly an interval is drawn.
const BAND: f32 = 0.1;

const COLOURS: [Rgb888; 8] = [
    theme::BRASS,
    Rgb888::new(0x6f, 0xb7, 0xe9),
    Rgb888::new(0xe8, 0x7a, 0x6c),
    Rgb888::new(0x8c, 0xcf, 0x8a),
    Rgb888::new(0xc3, 0x98, 0xe0),
    Rgb888::new(0xe9, 0xdf, 0x7a),
    Rgb888::new(0x7a, 0xd9, 0xd0),
    Rgb888::new(0xb0, 0xb0, 0xb0),
];

/// Shares over something, with their intervals.
#[derive(Clone, Debug)]
pub struct Curve {
    pub name: String,
    /// Ascending.
    pub points: Vec<(f32, Share)>,
}

/// One chart: shares from 0 to 1 upwards.
#[derive(Clone, Debug)]
pub struct Chart {
    pub title: String,
    /// What goes to the right.
    pub across: String,
    pub curves: Vec<Curve>,
}

impl Curve {
    /// The share of queries found within the first k, for k up to `most`.
    pub fn of_ranks(name: String, tally: &Tally, most: usize) -> Self {
        Curve { name, points: (1..=most).map(|k| (k as f32, tally.top(k))).collect() }
    }
}

/// The charts below one another.
pub fn draw(charts: &[Chart]) -> Result<Canvas> {
    let mut canvas = Canvas::new(Size::new(WIDTH, HEIGHT * charts.len().max(1)));
    canvas.fill(theme::GROUND);
    let mut pen = ChartPen { fonts: Fonts::new()? };
    for (place, chart) in charts.iter().enumerate() {
        PlotArea::of(chart, (place * HEIGHT) as f32).draw(chart, &mut canvas, &mut pen);
    }
    Ok(canvas)
}

struct ChartPen {
    fonts: Fonts,
}

impl ChartPen {
    fn write(&mut self, canvas: &mut Canvas, text: &str, style: Style, colour: Rgb888, (x, y): (f32, f32)) {
        let line = Line { text, style, colour, x, y, height: style.line() };
        self.fonts.draw(canvas, line);
    }
}

/// Where values lie on the canvas.
struct PlotArea {
    top: f32,
    first: f32,
    last: f32,
}

impl PlotArea {
    fn of(chart: &Chart, top: f32) -> Self {
        let across = chart.curves.iter().flat_map(|curve| curve.points.iter().map(|point| point.0));
        let (first, last) = across.fold((f32::MAX, f32::MIN), |(low, high), x| (low.min(x), high.max(x)));
        if first < last { PlotArea { top, first, last } } else { PlotArea { top, first: 0.0, last: 1.0 } }
    }

    fn x(&self, value: f32) -> f32 {
        LEFT + (value - self.first) / (self.last - self.first) * (WIDTH as f32 - LEFT - RIGHT)
    }

    fn y(&self, share: f64) -> f32 {
        self.top + HEIGHT as f32 - BOTTOM - share as f32 * (HEIGHT as f32 - TOP - BOTTOM)
    }

    fn draw(&self, chart: &Chart, canvas: &mut Canvas, pen: &mut ChartPen) {
        pen.write(canvas, &chart.title, theme::HEADING, theme::IVORY, (LEFT, self.top + 24.0));
        self.grid(chart, canvas, pen);
        for (curve, colour) in chart.curves.iter().zip(COLOURS.iter().cycle()) {
            self.band(curve, canvas, *colour);
        }
        for (place, (curve, colour)) in chart.curves.iter().zip(COLOURS.iter().cycle()).enumerate() {
            self.curve(curve, canvas, *colour);
            let (x, y) = (WIDTH as f32 - RIGHT + 30.0, self.top + TOP + 36.0 * place as f32);
            line(canvas, (x, y + 13.0), (x + 26.0, y + 13.0), LINE, *colour);
            pen.write(canvas, &curve.name, theme::STATUS, theme::IVORY, (x + 38.0, y));
        }
    }

    fn grid(&self, chart: &Chart, canvas: &mut Canvas, pen: &mut ChartPen) {
        for tenth in (0..=10).step_by(2) {
            let y = self.y(f64::from(tenth) / 10.0);
            canvas.blend_row(y.round() as i32, LEFT as i32..(WIDTH as f32 - RIGHT) as i32, theme::EDGE, 256);
            pen.write(
                canvas,
                &format!("{:.1}", f64::from(tenth) / 10.0),
                theme::STATUS,
                theme::MUTED,
                (LEFT - 44.0, y - 12.0),
            );
        }
        let step = ((self.last - self.first) / 10.0).ceil().max(1.0) as usize;
        let below = self.y(0.0) + 8.0;
        for value in (self.first as usize..=self.last as usize).step_by(step) {
            pen.write(canvas, &value.to_string(), theme::STATUS, theme::MUTED, (self.x(value as f32) - 6.0, below));
        }
        pen.write(canvas, &chart.across, theme::STATUS, theme::IVORY, (self.x(self.last) + 20.0, below));
    }

    /// The intervals of a curve, column by column.
    fn band(&self, curve: &Curve, canvas: &mut Canvas, colour: Rgb888) {
        for pair in curve.points.windows(2) {
            let [(from, a), (to, b)] = pair else { continue };
            let (left, right) = (self.x(*from), self.x(*to));
            for x in left.round() as i32..right.round() as i32 {
                let at = f64::from((x as f32 - left) / (right - left));
                let (low, high) = (a.low + (b.low - a.low) * at, a.high + (b.high - a.high) * at);
                for y in self.y(high).round() as i32..self.y(low).round() as i32 {
                    canvas.blend(x, y, colour, BAND);
                }
            }
        }
    }

    fn curve(&self, curve: &Curve, canvas: &mut Canvas, colour: Rgb888) {
        for pair in curve.points.windows(2) {
            let [(from, a), (to, b)] = pair else { continue };
            line(canvas, (self.x(*from), self.y(a.share)), (self.x(*to), self.y(b.share)), LINE, colour);
        }
    }
}

/// A straight line with round ends, smoothed.
fn line(canvas: &mut Canvas, from: (f32, f32), to: (f32, f32), width: f32, colour: Rgb888) {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let square = dx * dx + dy * dy;
    let rows = (from.1.min(to.1) - width) as i32..=(from.1.max(to.1) + width) as i32;
    for y in rows {
        for x in (from.0.min(to.0) - width) as i32..=(from.0.max(to.0) + width) as i32 {
            let (px, py) = (x as f32 + 0.5 - from.0, y as f32 + 0.5 - from.1);
            let along = if square > 0.0 { ((px * dx + py * dy) / square).clamp(0.0, 1.0) } else { 0.0 };
            let distance = (px - along * dx).hypot(py - along * dy);
            let cover = (width / 2.0 + 0.5 - distance).clamp(0.0, 1.0);
            if cover > 0.0 {
                canvas.blend(x, y, colour, cover);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_drawn_where_its_shares_are() {
        let point = |x: f32, share: f64| (x, Share { share, low: share - 0.1, high: share + 0.1, of: 9 });
        let curve = Curve { name: "one".into(), points: vec![point(1.0, 0.5), point(10.0, 0.5)] };
        let chart = Chart { title: "t".into(), across: "k".into(), curves: vec![curve] };
        let canvas = draw(&[chart.clone(), chart.clone()]).unwrap();
        assert_eq!(canvas.size(), Size::new(WIDTH, 2 * HEIGHT));
        for (place, frame) in [PlotArea::of(&chart, 0.0), PlotArea::of(&chart, HEIGHT as f32)].iter().enumerate() {
            let (x, y) = (frame.x(5.0) as usize, frame.y(0.5) as usize);
            assert_eq!(canvas.pixel(x, y), theme::BRASS, "chart {place}");
            assert_ne!(canvas.pixel(x, y + 12), theme::GROUND);
            assert_eq!(canvas.pixel(x, frame.y(0.75) as usize), theme::GROUND);
        }
        assert!(draw(&[]).is_ok() && draw(&[Chart { curves: Vec::new(), ..chart }]).is_ok());
    }
}
