//! From a [`scene::Scene`] to pixels on a panel. Nothing here sees a tensor or a database.
//!
//! In reading order: the [`scene`] (what is shown), the [`theme`] (colours, type scale, distances), [`viewing`] (how large that is
//! to the eye), [`font_files`] and [`text`] (measuring, wrapping), [`mirror`] (camera pixels to panel pixels), the [`layout`] (where everything goes, without drawing anything),
//! the [`canvas`] (pixels in memory), [`draw`] (layout to canvas), and the panels that show a canvas.
//!
//! ```no_run
//! use vetrina::display::{canvas::Canvas, draw::Painter, panel::DisplayPanel, png::PngPanel, scene::Scene};
//! use vetrina::geometry::Size;
//! # fn show(scene: &Scene) -> vetrina::fault::Result<()> {
//! let mut panel = PngPanel::create("screens".as_ref(), Size::new(1080, 1920))?;
//! let mut canvas = Canvas::new(panel.size());
//! Painter::new()?.draw(scene, &mut canvas);
//! panel.present(&canvas)
//! # }
//! ```

pub mod canvas;
pub mod draw;
pub mod font_files;
pub mod kms;
pub mod layout;
pub mod mirror;
pub mod open;
pub mod panel;
mod pixel;
pub mod png;
pub mod qr;
mod scaling;
pub mod scene;
pub mod shapes;
pub mod text;
pub mod theme;
mod turn;
pub mod viewing;
pub mod window;
