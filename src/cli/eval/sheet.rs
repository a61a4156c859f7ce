//! The pictures behind the figures: what was worn, what it is, and what the network took it for.

use crate::cli::captions::Captions;
use crate::display::canvas::Canvas;
use crate::display::draw::fitted;
use crate::display::theme;
use crate::fault::{Fault, Kind, Result};
use crate::frame::Picture;
use crate::geometry::{Camera, Rect, Size};

/// Pixels of one picture's place, and of the words below it.
const CELL: (usize, usize) = (170, 210);
const WORDS: f32 = 26.0;
const GAP: usize = 10;
/// Products beside a query and its own.
const SHOWN: usize = 5;

/// A picture with its caption.
pub struct Cell {
    pub picture: Picture,
    pub words: String,
    /// Set off: the right product.
    pub right: bool,
}

/// A query: what is worn, the right product, and the products before all others.
pub type SheetRow = Vec<Cell>;

/// The numbers of the products before all others.
pub fn best(logits: &[f32]) -> impl Iterator<Item = usize> {
    let mut best: Vec<usize> = (0..logits.len()).collect();
    best.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    best.into_iter().take(SHOWN)
}

/// The part of a picture in a box, cut to whole pixels; at least one.
pub fn cut(picture: &Picture, bounds: Rect<Camera>) -> Picture {
    let Size { width, height } = picture.size();
    let inside = bounds.clip(width as f32, height as f32);
    let (x, y) = ((inside.x1 as usize).min(width - 1), (inside.y1 as usize).min(height - 1));
    let size = Size::new((inside.x2 as usize).saturating_sub(x).max(1), (inside.y2 as usize).saturating_sub(y).max(1));
    picture.part(x, y, size)
}

/// The rows below one another, a picture each cell, shrunk to its place.
///
/// # Errors
/// [`Kind::Input`] for an empty picture.
pub fn draw(rows: &[SheetRow]) -> Result<Canvas> {
    let (width, height) = (CELL.0 + GAP, CELL.1 + WORDS as usize + GAP);
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0).max(1);
    let mut canvas = Canvas::new(Size::new(GAP + columns * width, GAP + rows.len().max(1) * height));
    canvas.fill(theme::GROUND);
    let mut captions = Captions::new(theme::STATUS)?;
    for (row, cells) in rows.iter().enumerate() {
        for (column, cell) in cells.iter().enumerate() {
            let (x, y) = (GAP + column * width, GAP + row * height);
            if cell.picture.size().width * cell.picture.size().height == 0 {
                return Err(Fault::new(Kind::Input, "an empty picture"));
            }
            let small = fitted(&cell.picture, Size::new(CELL.0, CELL.1));
            canvas.copy((x + (CELL.0 - small.size().width) / 2) as i32, y as i32, &small);
            let colour = if cell.right { theme::BRASS } else { theme::MUTED };
            let below = (x as f32, (y + CELL.1) as f32);
            captions.line(&mut canvas, &cell.words, below, (CELL.0 as f32, WORDS), colour);
        }
    }
    Ok(canvas)
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_graphics::pixelcolor::Rgb888;

    #[test]
    fn a_picture_stands_whole_in_its_place() {
        let cell = |size, colour| Cell { picture: Picture::filled(size, colour), words: "a".into(), right: true };
        let rows = vec![vec![], vec![cell(Size::new(400, 100), [9; 3]), cell(Size::new(10, 90), [200, 0, 0])]];
        let canvas = draw(&rows).unwrap();
        let (x, y) = (GAP + CELL.0 + GAP + CELL.0 / 2, GAP + CELL.1 + WORDS as usize + GAP + 5);
        assert_eq!(canvas.pixel(x, y), Rgb888::new(200, 0, 0));
        assert_eq!(canvas.pixel(GAP + 2, y), Rgb888::new(9, 9, 9));
        assert_eq!(canvas.pixel(GAP + 2, y + CELL.0 / 4), theme::GROUND, "a wide picture is not stretched");
        assert!(draw(&[vec![cell(Size::new(0, 0), [0; 3])]]).is_err());
    }

    #[test]
    fn the_best_come_first_and_a_cut_is_never_empty() {
        let logits = [0.5, f32::NEG_INFINITY, 3.0, -1.0, 2.0, 0.0, 1.0];
        assert_eq!(best(&logits).collect::<Vec<_>>(), [2, 4, 6, 0, 5]);
        let picture = Picture::filled(Size::new(30, 20), [1; 3]);
        let size = |x1, y1, x2, y2| cut(&picture, Rect::new(x1, y1, x2, y2)).size();
        assert_eq!(size(3.2, 4.9, 13.0, 50.0), Size::new(10, 16));
        assert_eq!(size(29.9, 20.0, 40.0, 60.0), Size::new(1, 1));
    }
}
