//! What the shopper sees, state by state: golden pictures in both orientations, and properties of the layout.
//!
//! `UPDATE_GOLDEN=1 cargo test --test screens` draws tests/golden anew. The goldens are a third of the panel's size on a side. A
//! test that fails leaves the actual picture and the difference under target/screens. `SCREENS=folder` keeps full-size pictures.

#[path = "screens/scenes.rs"]
mod scenes;

use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use proptest::prelude::*;
use scenes::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use vetrina::display::canvas::Canvas;
use vetrina::display::draw::Painter;
use vetrina::display::layout::{Body, Layout, SMALLEST, Says, layout};
use vetrina::display::scene::{Card, Garment, GarmentMatches, Scene, SizeMark, StatusLine};
use vetrina::display::text::Fonts;
use vetrina::display::{qr, theme};
use vetrina::frame::Picture;
use vetrina::geometry::{Panel, Rect, Size};

const PORTRAIT: Size = Size::new(1080, 1920);
const LANDSCAPE: Size = Size::new(1920, 1080);
/// A golden's pixel is the mean of so many on a side.
const SHRINK: usize = 3;
/// Channels may differ by this much before a pixel counts as different, and so many pixels in a thousand may.
const TOLERANCE: u8 = 12;
const PER_MILLE: usize = 3;

// ---- the states ----

#[test]
fn attract() {
    golden("attract", &scene(Vec::new(), Vec::new()));
}

#[test]
fn no_camera_yet() {
    golden("waking", &Scene { camera: None, ..scene(Vec::new(), Vec::new()) });
}

#[test]
fn camera_away() {
    let warning = Some("The camera is away: looking for it again every 2 seconds".to_owned());
    let status = StatusLine { warning, ..StatusLine::default() };
    golden("away", &Scene { camera: None, status, ..scene(Vec::new(), Vec::new()) });
}

#[test]
fn a_recording_is_announced_whoever_is_there() {
    let scene = Scene { recording: true, ..scene(vec![shirt(10)], vec![shirt_look()]) };
    for size in [PORTRAIT, LANDSCAPE] {
        let places = layout(&scene, size, fonts());
        assert!(places.notice.is_some_and(|notice| notice.says == Says::Recording) && places.slots.is_empty());
        let told = drawn(&scene, size).to_picture();
        let promised = drawn(&Scene { recording: false, garments: Vec::new(), ..scene.clone() }, size).to_picture();
        let warning = |picture: &Picture| picture.rgb().chunks(3).filter(|rgb| rgb[0] > 200 && rgb[2] < 110).count();
        assert!(warning(&told) > 100 && warning(&promised) == 0, "the privacy line is a warning now");
    }
}

#[test]
fn gathering() {
    golden("gathering", &scene(vec![shirt(6), trousers(3)], Vec::new()));
}

#[test]
fn two_looks() {
    golden("looks", &scene(vec![shirt(10), trousers(10)], vec![shirt_look(), trousers_look()]));
}

#[test]
fn one_look() {
    golden("one-look", &scene(vec![shirt(10)], vec![shirt_look()]));
}

#[test]
fn variants_sale_stock_and_place() {
    golden("variants", &scene(vec![shirt(10), trousers(10)], vec![sale_look(), sold_out_look()]));
    golden("variant", &scene(vec![shirt(10)], vec![sale_look()]));
}

#[test]
fn an_upright_camera() {
    golden("upright", &upright(scene(vec![shirt(10), trousers(10)], vec![shirt_look(), trousers_look()])));
}

#[test]
fn nothing_like_it_and_one_still_gathering() {
    let nothing = GarmentMatches { cards: Vec::new(), ..shirt_look() };
    golden("nothing", &scene(vec![shirt(10), trousers(7)], vec![nothing]));
}

#[test]
fn a_crowd_with_long_titles_and_no_pictures() {
    golden("crowd", &crowd());
}

// ---- golden pictures ----

fn golden(state: &str, scene: &Scene) {
    let mut wrong = Vec::new();
    for (orientation, size) in [("portrait", PORTRAIT), ("landscape", LANDSCAPE)] {
        let canvas = drawn(scene, size);
        let name = format!("{state}-{orientation}");
        if let Some(folder) = std::env::var_os("SCREENS") {
            write(&Path::new(&folder).join(format!("{name}.png")), &canvas.encode_png().expect("encodes"));
        }
        wrong.extend(compare(&name, &shrink(&canvas)).err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn drawn(scene: &Scene, size: Size) -> Canvas {
    let mut canvas = Canvas::new(size);
    Painter::new().expect("the shipped fonts").draw(scene, &mut canvas);
    canvas
}

/// The mean of every block of SHRINK x SHRINK pixels.
fn shrink(canvas: &Canvas) -> image::RgbImage {
    let full = canvas.to_picture();
    image::RgbImage::from_fn((full.size().width / SHRINK) as u32, (full.size().height / SHRINK) as u32, |x, y| {
        let mut sums = [0usize; 3];
        for row in 0..SHRINK {
            let start = 3 * SHRINK * x as usize;
            let block = &full.row(SHRINK * y as usize + row)[start..start + 3 * SHRINK];
            block.iter().enumerate().for_each(|(i, value)| sums[i % 3] += usize::from(*value));
        }
        image::Rgb(sums.map(|sum| (sum / (SHRINK * SHRINK)) as u8))
    })
}

fn compare(name: &str, actual: &image::RgbImage) -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("tests/golden").join(format!("{name}.png"));
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        write(&path, &png(actual));
        return Ok(());
    }
    let again = "UPDATE_GOLDEN=1 cargo test --test screens draws it anew";
    let golden = image::open(&path).map_err(|error| format!("{}: {error}; {again}", path.display()))?.into_rgb8();
    let differs = |a: &image::Rgb<u8>, b: &image::Rgb<u8>| a.0.iter().zip(b.0).any(|(a, b)| a.abs_diff(b) > TOLERANCE);
    let different = golden.pixels().zip(actual.pixels()).filter(|(a, b)| differs(a, b)).count();
    if golden.dimensions() == actual.dimensions() && 1000 * different <= PER_MILLE * actual.pixels().len() {
        return Ok(());
    }
    let difference = image::RgbImage::from_fn(actual.width(), actual.height(), |x, y| {
        let same = golden.get_pixel_checked(x, y).is_some_and(|pixel| !differs(pixel, actual.get_pixel(x, y)));
        if same { image::Rgb(actual.get_pixel(x, y).0.map(|v| v / 3)) } else { image::Rgb([255, 0, 80]) }
    });
    let folder: PathBuf =
        std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from).join("screens");
    write(&folder.join(format!("{name}.png")), &png(actual));
    write(&folder.join(format!("{name}-difference.png")), &png(&difference));
    Err(format!(
        "{name}: {different} pixels differ; see {name}.png and {name}-difference.png in {}; {again}",
        folder.display()
    ))
}

fn png(picture: &image::RgbImage) -> Vec<u8> {
    use image::codecs::png::{CompressionType, FilterType, PngEncoder};
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Best, FilterType::Adaptive);
    picture.write_with_encoder(encoder).expect("encodes");
    bytes
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder");
    fs::write(path, bytes).expect("written");
}

// ---- what must hold of every scene ----

fn fonts() -> &'static Fonts {
    static FONTS: OnceLock<Fonts> = OnceLock::new();
    FONTS.get_or_init(|| Fonts::new().expect("the shipped fonts"))
}

#[test]
fn the_code_on_the_card_is_the_links_code() {
    let scene = scene(vec![shirt(10), trousers(10)], vec![shirt_look(), trousers_look()]);
    for size in [PORTRAIT, LANDSCAPE, Size::new(720, 1280), Size::new(540, 960), Size::new(1440, 2560)] {
        let (places, canvas) = (layout(&scene, size, fonts()), drawn(&scene, size));
        let mut codes = 0;
        for slot in &places.slots {
            let Body::Cards { matched, cards } = &slot.body else { panic!("every garment has cards") };
            let Some(place) = cards[0].qr else { continue };
            let link = scene.matches[*matched].cards[0].link.as_deref().expect("a link");
            let expected = qr::encode(link).expect("short enough");
            let module = place.width() / expected.len() as f32;
            assert!(module.fract() == 0.0 && module >= qr::MODULE as f32, "{module} pixels a module");
            for (y, row) in expected.iter().enumerate() {
                for (x, dark) in row.iter().enumerate() {
                    for (dx, dy) in [(0.0, 0.0), (0.5, 0.5), (0.99, 0.99)] {
                        let at = |start: f32, i: usize, d: f32| (start + (i as f32 + d) * module) as usize;
                        let pixel = canvas.pixel(at(place.x1, x, dx), at(place.y1, y, dy));
                        // The tile's corners are rounded, within the quiet zone.
                        let right = if *dark { pixel == theme::INK } else { pixel.r() > 200 };
                        assert!(right, "module {x},{y}: {pixel:?}");
                    }
                }
            }
            codes += 1;
        }
        assert_eq!(codes, places.slots.len(), "{size:?}");
    }
}

#[test]
fn the_picture_is_mirrored_and_the_boxes_with_it() {
    // One bright garment on the camera's left: its pixels must be found under its box, on the panel's right.
    let mut rgb = Picture::filled(Size::new(640, 480), [0, 0, 0]).rgb().to_vec();
    for (y, x) in (100..300).flat_map(|y| (160..240).map(move |x| (y, x))) {
        rgb[3 * (640 * y + x)..][..3].copy_from_slice(&[255, 0, 255]);
    }
    let garment =
        Garment { bounds: Rect::new(160.0, 100.0, 240.0, 300.0), label: String::new(), gathered: 0, wanted: 10 };
    let picture = Some(Arc::new(Picture::new(Size::new(640, 480), rgb)));
    let scene = Scene { camera: picture, ..scene(vec![garment], Vec::new()) };
    for size in [PORTRAIT, LANDSCAPE] {
        let (places, canvas) = (layout(&scene, size, fonts()), drawn(&scene, size));
        let bounds = places.boxes[0].bounds;
        let stage = places.mirror.expect("a camera").target();
        assert!(bounds.centre().0 > stage.centre().0);
        let magenta = |x: f32, y: f32| canvas.pixel(x as usize, y as usize) == Rgb888::new(255, 0, 255);
        let (x, y) = bounds.centre();
        let inside = [(bounds.x1 + 8.0, y), (bounds.x2 - 8.0, y), (x, bounds.y1 + 8.0), (x, bounds.y2 - 8.0)];
        let outside = [(bounds.x1 - 4.0, y), (bounds.x2 + 4.0, y), (x, bounds.y1 - 4.0), (x, bounds.y2 + 4.0)];
        assert!(inside.iter().all(|(x, y)| magenta(*x, *y)), "{bounds:?}");
        assert!(!outside.iter().any(|(x, y)| magenta(*x, *y)), "{bounds:?}");
    }
}

#[test]
fn only_garments_that_the_mirror_matches_get_a_place() {
    for (max_garments, slots) in [(1, 1), (2, 2)] {
        let garments = vec![shirt(10), trousers(3), trousers(1)];
        let scene = Scene { max_garments, ..scene(garments, vec![shirt_look()]) };
        let places = layout(&scene, PORTRAIT, fonts());
        assert_eq!(places.slots.len(), slots, "at most {max_garments}");
    }
}

#[test]
fn strange_scenes_are_drawn() {
    let odd = |bounds| Garment { bounds, label: "\u{7}".into(), gathered: 99, wanted: 0 };
    let garments = vec![
        odd(Rect::new(f32::NAN, 0.0, 1.0, 1.0)),
        odd(Rect::new(9e9, 9e9, -9e9, 0.0)),
        odd(Rect::new(-9e9, -9e9, 9e9, 9e9)),
    ];
    let matches = vec![
        GarmentMatches { garment: 77, ..shirt_look() },
        GarmentMatches { garment: 2, ..trousers_look() },
        GarmentMatches { garment: 2, ..shirt_look() },
    ];
    let mut scene = scene(garments, matches);
    scene.matches[1].cards[0].picture = Some(Arc::new(Picture::filled(Size::new(0, 7), [0; 3])));
    scene.status.frames_per_second = Some(f32::INFINITY);
    for size in [PORTRAIT, Size::new(0, 0), Size::new(1, 1), Size::new(40, 900), Size::new(900, 40), SMALLEST] {
        drawn(&scene, size);
        drawn(&Scene { garments: Vec::new(), ..scene.clone() }, size);
        drawn(&Scene { camera: Some(Arc::new(Picture::filled(Size::new(1, 0), [0; 3]))), ..scene.clone() }, size);
        drawn(&Scene { camera: Some(Arc::new(Picture::filled(Size::new(1, 1), [9; 3]))), ..scene.clone() }, size);
    }
}

fn assert_tidy(places: &Layout, size: Size) -> Result<(), TestCaseError> {
    let parts = places.parts();
    let inside = |part: &Rect<Panel>| {
        part.x1 >= 0.0 && part.y1 >= 0.0 && part.x2 <= size.width as f32 && part.y2 <= size.height as f32
    };
    for (i, part) in parts.iter().enumerate() {
        prop_assert!(inside(part), "{part:?} leaves the panel");
        for other in &parts[i + 1..] {
            let apart = part.x2 <= other.x1 || other.x2 <= part.x1 || part.y2 <= other.y1 || other.y2 <= part.y1;
            prop_assert!(apart, "{part:?} overlaps {other:?}");
        }
    }
    let stage = places.mirror.as_ref().map(|mirror| mirror.target());
    for seen in &places.boxes {
        let stage = stage.expect("boxes need a camera");
        prop_assert!(inside(&seen.bounds));
        let within = |part: Rect<Panel>| {
            part.x1 >= stage.x1 && part.y1 >= stage.y1 && part.x2 <= stage.x2 && part.y2 <= stage.y2
        };
        prop_assert!(within(seen.bounds) && seen.label.is_none_or(within));
    }
    for slot in &places.slots {
        if let Body::Cards { cards, .. } = &slot.body {
            let area = |index: usize| cards.get(index).map_or(0.0, |place| place.frame.area());
            prop_assert!(area(0) > area(1) && area(0) > area(2), "the first match is the largest");
            for place in cards {
                let frame = place.frame;
                prop_assert!(
                    place
                        .parts()
                        .iter()
                        .all(|p| p.x1 >= frame.x1 && p.y1 >= frame.y1 && p.x2 <= frame.x2 && p.y2 <= frame.y2)
                );
            }
        }
    }
    Ok(())
}

fn any_card() -> impl Strategy<Value = Card> {
    let text = || prop::option::of(".{0,60}");
    let words = (".{0,120}", text(), text(), prop::option::of("[a-z/:.]{0,320}"), any::<bool>(), any::<bool>());
    let details = (text(), text(), text(), prop::collection::vec((".{0,12}", any::<bool>()), 0..9), 0usize..9);
    (words, details).prop_map(
        |((title, brand, price, link, picture, likely), (before, location, stock, sizes, colors))| {
            let swatch = || Arc::new(Picture::filled(Size::new(3, 4), [8; 3]));
            let sizes = sizes.into_iter().map(|(text, sold_out)| SizeMark { text, sold_out }).collect();
            let other_colors = (0..colors).map(|_| swatch()).collect();
            let picture = picture.then(swatch);
            Card {
                title,
                brand,
                price,
                price_before: before,
                sizes,
                other_colors,
                location,
                stock,
                link,
                picture,
                likely,
            }
        },
    )
}

fn any_scene() -> impl Strategy<Value = Scene> {
    let garment = (-100f32..1400.0, -100f32..800.0, 0f32..900.0, 0f32..700.0, "[a-z ]{0,50}", 0usize..12).prop_map(
        |(x, y, w, h, label, gathered)| Garment { bounds: Rect::new(x, y, x + w, y + h), label, gathered, wanted: 10 },
    );
    let look = (0usize..21, ".{0,40}", prop::collection::vec(any_card(), 0..6))
        .prop_map(|(garment, label, cards)| GarmentMatches { garment, label, cards });
    let parts = (
        ".{0,60}",
        any::<bool>(),
        prop::collection::vec(garment, 0..21),
        prop::collection::vec(look, 0..5),
        prop::option::of(".{0,90}"),
        prop::bool::weighted(0.1),
    );
    parts.prop_map(|(shop, away, garments, matches, warning, recording)| {
        let camera = (!away || !garments.is_empty()).then(camera);
        let turned = garments.len() % 2 == 1;
        let status = StatusLine { text: "compact on cpu".into(), frames_per_second: Some(9.0), warning };
        let scene = Scene { shop, camera, garments, max_garments: 3, matches, recording, status };
        if turned && scene.camera.is_some() { upright(scene) } else { scene }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn nothing_overlaps_and_nothing_leaves_the_panel(scene in any_scene(), which in 0usize..6, w in 480usize..2600, h in 480usize..2600) {
        let size = [PORTRAIT, LANDSCAPE, SMALLEST, Size::new(w, h), Size::new(480, h), Size::new(w, 480)][which];
        assert_tidy(&layout(&scene, size, fonts()), size)?;
    }
}
