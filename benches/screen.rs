//! Drawing a screen: the whole of it at 1080p, while its cards stay and while they change each time; where it goes; and its text alone,
//! once everything is cached.
//!
//! `cargo bench --bench screen`

#![allow(clippy::unwrap_used)]

#[path = "../tests/screens/scenes.rs"]
#[allow(dead_code)]
mod scenes;

use criterion::Criterion;
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use scenes::{in_language, sale_look, scene, shirt, sold_out_look, trousers};
use std::hint::black_box;
use vetrina::display::canvas::Canvas;
use vetrina::display::draw::{Look, Painter};
use vetrina::display::scene::Scene;
use vetrina::display::text::Line;
use vetrina::display::theme;
use vetrina::geometry::Size;
use vetrina::language::Language;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let fonts = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fonts");
    let mut painter = Painter::with(Look { fonts: Some(fonts.into()), ..Look::default() }).unwrap();
    let seen = scene(vec![shirt(10), trousers(10)], vec![sale_look(), sold_out_look()]);
    for (name, size) in [("portrait", Size::new(1080, 1920)), ("landscape", Size::new(1920, 1080))] {
        let mut canvas = Canvas::new(size);
        for language in [Language::En, Language::Ja, Language::Ar] {
            let scene = in_language(language, seen.clone());
            let name = format!("draw 1080p, {name}, {}", language.tag());
            criterion.bench_function(&name, |bencher| bencher.iter(|| painter.draw(&scene, &mut canvas)));
        }
        let nobody = Scene { garments: Vec::new(), ..seen.clone() };
        criterion.bench_function(&format!("draw 1080p, {name}, nobody there"), |bencher| {
            bencher.iter(|| painter.draw(&nobody, &mut canvas));
        });
        let mut turn = 0;
        criterion.bench_function(&format!("draw 1080p, {name}, the cards change"), |bencher| {
            bencher.iter(|| {
                turn = 1 - turn;
                painter.draw(&Scene { featured: Some(turn), ..seen.clone() }, &mut canvas);
            });
        });
        criterion.bench_function(&format!("layout, {name}"), |bencher| {
            bencher.iter(|| black_box(painter.layout(&seen, size)));
        });
    }
    // As many lines as a screen with a product has, and more.
    let lines: Vec<String> = (0..24).map(|line| format!("Relaxed linen shirt, band collar {line}")).collect();
    let mut canvas = Canvas::new(Size::new(1080, 1920));
    let style = theme::DETAIL.at(1.0);
    criterion.bench_function("text, 24 lines of a screen, cached", |bencher| {
        bencher.iter(|| {
            for (place, text) in lines.iter().enumerate() {
                let y = 60.0 * place as f32;
                let fitted = painter.fonts().ellipsize(text, style, 900.0);
                painter
                    .fonts()
                    .draw(&mut canvas, Line { text: &fitted, style, colour: Rgb888::WHITE, x: 40.0, y, height: 60.0 });
            }
        });
    });
    criterion.final_summary();
}
