//! What the shopper sees, state by state: golden pictures in both orientations, and properties of the layout.
//!
//! `UPDATE_GOLDEN=1 cargo test --test screens` draws tests/golden anew. The goldens are a third of the panel's size on a side. A
//! test that fails leaves the actual picture and the difference under target/screens. `SCREENS=folder` keeps full-size pictures.

#[path = "screens/enrolment.rs"]
mod enrolment;
#[path = "screens/every_scene.rs"]
mod every_scene;
#[path = "screens/place.rs"]
mod place;
#[path = "screens/scenes.rs"]
mod scenes;

use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use scenes::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use vetrina::display::canvas::Canvas;
use vetrina::display::draw::{Look, Painter};
use vetrina::display::layout::{
    Action, Body, CardPlace, Hero, LabelText, Layout, SMALLEST, Says, TileOf, Touched, tile_product,
};
use vetrina::display::qr;
use vetrina::display::scene::{Card, Garment, GarmentMatches, Scene, SizeMark, StatusLine, StockMark, columns};
use vetrina::display::theme::{self, Theme};
use vetrina::display::viewing::READABLE;
use vetrina::frame::Picture;
use vetrina::geometry::{Panel, Rect, Size};
use vetrina::language::{Language, Words};

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
    golden("recording", &scene);
    for size in [PORTRAIT, LANDSCAPE] {
        let places = layout(&scene, size);
        assert!(places.notice.is_some_and(|notice| notice.says == Says::Recording) && places.hero.is_none());
        let told = drawn(&scene, size).to_picture();
        let promised = drawn(&Scene { recording: false, garments: Vec::new(), ..scene.clone() }, size).to_picture();
        let warning = |picture: &Picture| picture.rgb().chunks(3).filter(|rgb| rgb[0] > 230 && rgb[2] < 150).count();
        assert!(warning(&told) > 100 && warning(&promised) == 0, "the privacy line is a warning now");
    }
}

#[test]
fn a_screen_that_is_kept_as_a_file_does_not_say_that_nothing_is_recorded() {
    let scene = Scene { screen_kept: true, ..scene(vec![shirt(10)], vec![shirt_look()]) };
    golden("screen-kept", &scene);
    for language in Language::ALL {
        let scene = Scene { words: Words::of(language), ..scene.clone() };
        let promise = scene.words.say("privacy");
        assert!(scene.words.say(scene.privacy_text()) != promise, "{language:?}");
        assert_eq!(Scene { screen_kept: false, ..scene.clone() }.privacy_text(), "privacy");
        assert_eq!(Scene { recording: true, ..scene }.privacy_text(), "privacy-recording");
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
    let second = scene(vec![shirt(10), trousers(10)], vec![sale_look(), sold_out_look()]);
    golden("variant", &Scene { featured: Some(1), ..second });
}

#[test]
fn sold_out_and_not_sure() {
    let mut sold_out = sold_out_look();
    for card in &mut sold_out.cards {
        (card.likely, card.stock) = (false, Some(StockMark::SoldOut));
    }
    let seen = scene(vec![shirt(10), trousers(10)], vec![shirt_look(), sold_out]);
    golden("also-like", &seen);
    golden("sold-out", &Scene { featured: Some(1), ..seen });
}

#[test]
fn an_upright_camera() {
    golden("upright", &upright(scene(vec![shirt(10), trousers(10)], vec![shirt_look(), trousers_look()])));
}

#[test]
fn nothing_like_it_and_one_still_gathering() {
    let nothing = GarmentMatches { cards: Vec::new(), ..shirt_look() };
    golden("nothing", &scene(vec![shirt(10)], vec![nothing.clone()]));
    let places = layout(&scene(vec![shirt(10), trousers(7)], vec![nothing]), PORTRAIT);
    let hero = places.hero.expect("somebody is there");
    assert!(matches!(hero.body, Body::Gathering(_)), "what is still looked at may be sold here");
}

#[test]
fn two_people_and_one_garment_that_is_not_sold_here() {
    golden("two-people", &two_people());
}

#[test]
fn nobody_is_cut_while_all_fit() {
    let scene = two_people();
    for size in [PORTRAIT, LANDSCAPE] {
        let seen = layout(&scene, size).mirror.expect("a camera").seen();
        for garment in &scene.garments {
            assert!(
                garment.bounds.x1 >= seen.x1 - 0.01 && garment.bounds.x2 <= seen.x2 + 0.01,
                "{size:?}: {garment:?} leaves {seen:?}"
            );
        }
    }
}

#[test]
fn where_people_do_not_fit_the_featured_garment_is_seen() {
    let mut scene = two_people();
    scene.garments[0].bounds = scene.garments[0].bounds.shifted(-400.0, 0.0);
    scene.view = columns(&scene.garments);
    for featured in [0, 2] {
        let scene = Scene { featured: Some(featured), ..scene.clone() };
        let (seen, worn) =
            (layout(&scene, LANDSCAPE).mirror.expect("a camera").seen(), scene.garments[featured].bounds);
        assert!(seen.x1 <= worn.x1 && worn.x2 <= seen.x2, "{worn:?} leaves {seen:?}");
    }
}

#[test]
fn a_coat_over_a_shirt_and_trousers() {
    golden("layers", &layers());
}

#[test]
fn as_many_garments_as_a_mirror_shows() {
    golden("ten", &ten());
}

#[test]
fn a_crowd_with_long_titles_and_no_pictures() {
    golden("crowd", &crowd());
}

#[test]
fn the_operator_sees_what_the_device_does_and_shoppers_do_not() {
    let warning = Some("camera: the cable is loose".to_owned());
    let mut scene = scene(vec![shirt(10)], vec![shirt_look()]);
    scene.status.warning = warning;
    let shopper = drawn(&scene, PORTRAIT);
    let operator = drawn(&Scene { operator: true, ..scene.clone() }, PORTRAIT);
    scene.status = StatusLine::default();
    let well = drawn(&scene, PORTRAIT);
    let differ = |a: &Canvas, b: &Canvas| a.pixels().iter().zip(b.pixels()).filter(|(a, b)| a != b).count();
    assert!((40..600).contains(&differ(&shopper, &well)), "a dot says that something is wrong");
    assert!(differ(&operator, &well) > 20_000);
    golden("operator", &Scene { operator: true, staff_called: true, ..two_people() });
}

#[test]
fn arabic_japanese_and_german() {
    let scene = scene(vec![shirt(10), trousers(10)], vec![sale_look(), sold_out_look()]);
    for (language, name) in [(Language::Ar, "arabic"), (Language::Ja, "japanese"), (Language::De, "german")] {
        golden(name, &in_language(language, scene.clone()));
    }
    let welcome = Scene { garments: Vec::new(), ..in_language(Language::Ar, scene.clone()) };
    golden("arabic-attract", &welcome);
    golden("arabic-upright", &upright(in_language(Language::Ar, scene)));
}

#[test]
fn the_tests_have_fonts_for_every_language() {
    for language in Language::ALL {
        assert_eq!(painter().fonts().missing(language.texts()), [], "tests/fonts/README.md: {language:?}");
    }
}

#[test]
fn a_shop_has_its_own_look() {
    let mut theme = Theme { larger_text: 25, ..Theme::default() };
    theme.colors.ground = Rgb888::new(0x10, 0x1c, 0x2e);
    theme.colors.accent = Rgb888::new(0xff, 0xd5, 0x4a);
    let logo = |x: usize| if x.is_multiple_of(3) { [0xff, 0xd5, 0x4a] } else { [0x10, 0x1c, 0x2e] };
    let rgb = (0..40 * 120).flat_map(|i| logo(i % 120 / 8)).collect();
    theme.logo = Some(Arc::new(Picture::new(Size::new(120, 40), rgb)));
    let scene = scene(vec![shirt(10), trousers(10)], vec![shirt_look(), sold_out_look()]);
    let mut painter = Painter::with(Look { theme, ..look() }).expect("the fonts");
    golden_by("large-text", &scene, &mut painter);
}

// ---- golden pictures ----

fn golden(state: &str, scene: &Scene) {
    golden_by(state, scene, &mut painter());
}

fn golden_by(state: &str, scene: &Scene, painter: &mut Painter) {
    let mut wrong = Vec::new();
    for (orientation, size) in [("portrait", PORTRAIT), ("landscape", LANDSCAPE)] {
        let mut canvas = Canvas::new(size);
        painter.draw(scene, &mut canvas);
        let name = format!("{state}-{orientation}");
        if let Some(folder) = std::env::var_os("SCREENS") {
            write(&Path::new(&folder).join(format!("{name}.png")), &canvas.encode_png().expect("encodes"));
        }
        wrong.extend(compare(&name, &shrink(&canvas)).err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The shipped look, with the tests' fonts for Arabic and Japanese: those of the machine may be others.
fn look() -> Look {
    let fonts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fonts");
    Look { fonts: Some(fonts), ..Look::default() }
}

fn drawn(scene: &Scene, size: Size) -> Canvas {
    let mut canvas = Canvas::new(size);
    painter().draw(scene, &mut canvas);
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

/// One for all tests: reading the fonts takes longer than drawing.
fn painter() -> MutexGuard<'static, Painter> {
    static PAINTER: OnceLock<Mutex<Painter>> = OnceLock::new();
    let painter = PAINTER.get_or_init(|| Mutex::new(Painter::with(look()).expect("the fonts")));
    painter.lock().unwrap_or_else(PoisonError::into_inner)
}

fn layout(scene: &Scene, size: Size) -> Layout {
    painter().layout(scene, size)
}

fn card_of(places: &Layout) -> &CardPlace {
    match &places.hero.as_ref().expect("somebody is there").body {
        Body::Product(card) => card,
        other => panic!("{other:?} is no card"),
    }
}

#[test]
fn the_code_on_the_card_is_the_links_code() {
    let scene = scene(vec![shirt(10), trousers(10)], vec![shirt_look(), trousers_look()]);
    for size in [PORTRAIT, LANDSCAPE, Size::new(720, 1280), Size::new(1440, 2560)] {
        let (places, canvas) = (layout(&scene, size), drawn(&scene, size));
        let card = card_of(&places);
        let place = card.code.expect("a code");
        let link = scene.matches[0].cards[card.card].link.as_deref().expect("a link");
        let expected = qr::encode(link).expect("short enough");
        let module = place.width() / expected.len() as f32;
        assert!(module.fract() == 0.0 && module >= qr::MODULE as f32, "{module} pixels a module");
        for (y, row) in expected.iter().enumerate() {
            for (x, dark) in row.iter().enumerate() {
                for (dx, dy) in [(0.0, 0.0), (0.5, 0.5), (0.99, 0.99)] {
                    let at = |start: f32, i: usize, d: f32| (start + (i as f32 + d) * module) as usize;
                    let pixel = canvas.pixel(at(place.x1, x, dx), at(place.y1, y, dy));
                    // The tile's corners are rounded, within the quiet zone.
                    let right = if *dark { pixel == theme::Colors::default().card_text } else { pixel.r() > 200 };
                    assert!(right, "module {x},{y}: {pixel:?}");
                }
            }
        }
    }
}

#[test]
fn text_that_matters_and_codes_can_be_read_from_two_metres() {
    let scene = scene(vec![shirt(10), trousers(10)], vec![sale_look(), sold_out_look()]);
    for diagonal in [27.0, 32.0, 43.0, 55.0] {
        let painter = Painter::with(Look { diagonal: Some(diagonal), ..look() }).expect("the fonts");
        for size in [PORTRAIT, LANDSCAPE, Size::new(2160, 3840), Size::new(3840, 2160)] {
            let viewing = painter.look().viewing(size, None);
            let places = painter.layout(&scene, size);
            for style in theme::MATTERS {
                // The height of the capitals of Inter.
                let seen = viewing.arc_minutes(0.727 * style.at(places.text).size);
                assert!(seen >= READABLE - 0.25, "{diagonal} inches, {size:?}, {style:?}: {seen} minutes of arc");
            }
            let code = card_of(&places).code.expect("a code");
            // The phone is half a metre before the eyes.
            let millimetres = code.width() * viewing.pixel;
            assert!(millimetres >= 150.0 || diagonal < 32.0, "{diagonal} inches, {size:?}: a code of {millimetres} mm");
        }
    }
}

#[test]
fn the_screen_always_says_the_next_step() {
    let seen = |card: Card| Scene {
        matches: vec![GarmentMatches { garment: 0, cards: vec![card] }],
        ..scene(vec![shirt(10)], Vec::new())
    };
    let linked = shirt_look().cards.remove(0);
    let placed = Card { link: None, location: Some("Wall 3".into()), ..linked.clone() };
    let neither = Card { link: None, ..linked.clone() };
    for size in [PORTRAIT, LANDSCAPE] {
        for (card, action) in [(&linked, Action::Scan), (&placed, Action::Find), (&neither, Action::Ask)] {
            let places = layout(&seen(card.clone()), size);
            let place = card_of(&places);
            assert_eq!(place.does, action);
            assert!(place.action.area() > 0.0, "{action:?}");
            assert_eq!(place.code.is_some(), action == Action::Scan, "one thing to do");
        }
        let called = Scene { staff_called: true, ..seen(linked.clone()) };
        assert_eq!(card_of(&layout(&called, size)).does, Action::Called);
    }
}

#[test]
fn where_it_hangs_is_said_in_full() {
    let scene = scene(vec![shirt(10), trousers(10)], vec![sale_look(), sold_out_look()]);
    let of = |scene: &Scene, painter: &Painter, what: &str| {
        for size in [PORTRAIT, LANDSCAPE] {
            let places = painter.layout(scene, size);
            let card = card_of(&places);
            let text = scene.matches[0].cards[card.card].location.as_deref().expect("a place");
            let place = card.location.unwrap_or_else(|| panic!("{what}, {size:?}: no place"));
            let style = theme::SURE.at(places.text);
            let lines = painter.fonts().wrap(text, style, place.width(), 9).len() as f32;
            assert!(lines * style.line() <= place.height() + 1.0, "{what}, {size:?}: {text} is cut");
        }
    };
    for language in [Language::En, Language::De, Language::Ja, Language::Ar] {
        of(&in_language(language, scene.clone()), &painter(), language.tag());
    }
    let theme = Theme { larger_text: 25, ..Theme::default() };
    of(&scene, &Painter::with(Look { theme, ..look() }).expect("the fonts"), "large text");
    of(&crowd(), &painter(), "a long place");
}

#[test]
fn what_a_code_is_for_is_said_in_whole_words_where_text_is_large() {
    let theme = Theme { larger_text: 35, ..Theme::default() };
    let painter = Painter::with(Look { theme, ..look() }).expect("the fonts");
    let scene = scene(vec![shirt(10), trousers(10)], vec![sale_look(), shirt_look()]);
    for language in Language::ALL {
        let scene = in_language(language, scene.clone());
        let says = scene.words.say(Action::Scan.text());
        for size in [PORTRAIT, LANDSCAPE] {
            let places = painter.layout(&scene, size);
            let card = card_of(&places);
            assert_eq!(card.does, Action::Scan, "{language:?}, {size:?}");
            let (style, width) = (theme::SURE.at(places.text), card.action.width());
            let lines = painter.fonts().wrap(&says, style, width, 9);
            assert!(
                lines.len() as f32 * style.line() <= card.action.height() + 1.0,
                "{language:?}, {size:?}: {lines:?}"
            );
            let is_split = |word: &&str| painter.fonts().width(word, style) > width;
            let latin = |word: &&str| word.chars().all(|letter| letter < '\u{2e80}');
            assert_eq!(says.split(' ').filter(latin).find(is_split), None, "{language:?}, {size:?}");
        }
    }
}

#[test]
fn a_high_tile_has_the_whole_title() {
    let long = "Oversized wool blend coat with a belt";
    let mut other = shirt_look();
    long.clone_into(&mut other.cards[0].title);
    let seen =
        upright(scene(vec![shirt(10), trousers(10)], vec![shirt_look(), GarmentMatches { garment: 1, ..other }]));
    let places = layout(&seen, PORTRAIT);
    let tile = places.tiles.first().expect("the other garment");
    let title = tile.title.expect("words");
    let lines = painter().fonts().wrap(long, theme::TILE.at(places.text), title.width(), 9).len();
    let room = (title.height() / theme::TILE.at(places.text).line()).round() as usize;
    assert!(lines > 2 && room >= lines, "{lines} lines, room for {room}");
}

#[test]
fn a_camera_mounted_upright_shows_the_head() {
    let scene = upright(scene(vec![shirt(10)], vec![shirt_look()]));
    for size in [PORTRAIT, LANDSCAPE] {
        let seen = layout(&scene, size).mirror.expect("a camera").seen();
        // The drawn head begins at an eighth of the height.
        assert!(seen.y1 < 0.06 * 720.0, "{size:?}: {seen:?}");
    }
}

#[test]
fn the_title_on_a_tile_takes_two_lines_before_it_is_cut() {
    let scene = scene(vec![shirt(10), trousers(10)], vec![sale_look(), sold_out_look()]);
    for size in [PORTRAIT, LANDSCAPE] {
        let places = layout(&scene, size);
        let title = places.tiles[0].title.expect("a title");
        let painter = painter();
        let lines = painter.fonts().wrap("Pleated wool trousers", theme::TILE.at(places.text), title.width(), 9).len();
        let room = title.height() / theme::TILE.at(places.text).line();
        assert!(room + 0.1 >= lines as f32, "{size:?}: {lines} lines, room for {room}");
    }
}

#[test]
fn words_on_tiles_are_not_broken() {
    for language in [Language::De, Language::En] {
        let scene = in_language(language, scene(vec![shirt(10), trousers(10)], vec![sale_look(), sold_out_look()]));
        for (size, scene) in
            [PORTRAIT, LANDSCAPE].into_iter().flat_map(|size| [(size, scene.clone()), (size, upright(scene.clone()))])
        {
            let places = layout(&scene, size);
            for tile in &places.tiles {
                let card =
                    tile_product(&scene, tile.shows, places.hero.as_ref().map(|hero| hero.section)).expect("a product");
                let title = tile.title.expect("a title");
                let style = theme::TILE.at(places.text);
                let widest = card.title.split(' ').map(|word| painter().fonts().width(word, style)).fold(0.0, f32::max);
                assert!(
                    widest <= title.width(),
                    "{size:?}: {} is {widest} wide, there are {}",
                    card.title,
                    title.width()
                );
            }
        }
    }
}

#[test]
fn as_many_garments_have_a_place_as_the_mirror_matches() {
    for wanted in 1..=10 {
        let scene = Scene { max_garments: wanted, ..ten() };
        for size in [PORTRAIT, LANDSCAPE] {
            for scene in [scene.clone(), upright(scene.clone())] {
                let places = layout(&scene, size);
                let tiles = places.tiles.iter().filter(|tile| matches!(tile.shows, TileOf::Garment(_))).count();
                assert_eq!(1 + tiles, wanted, "{size:?}");
            }
        }
    }
    let scene = Scene { max_garments: 2, ..scene(vec![shirt(10), trousers(3), trousers(1)], vec![shirt_look()]) };
    let places = layout(&scene, PORTRAIT);
    assert_eq!(places.boxes.len(), 2, "a garment without a place has no box either");
}

#[test]
fn an_upright_picture_on_an_upright_panel_leaves_no_dead_bands() {
    let scene = upright(scene(vec![shirt(10), trousers(10)], vec![shirt_look(), trousers_look()]));
    let places = layout(&scene, PORTRAIT);
    let stage = places.mirror.expect("a camera").target();
    assert!(stage.width() < 1080.0 && !places.tiles.is_empty());
    for tile in &places.tiles {
        assert!(tile.frame.x1 >= stage.x2 && tile.frame.y2 <= stage.y2, "the band holds the tiles");
    }
    let shown: f32 = places.tiles.iter().map(|tile| tile.frame.height()).sum();
    assert!(shown > 0.9 * stage.height(), "and they fill it");
}

#[test]
fn sizes_without_room_are_counted() {
    let mut look = shirt_look();
    look.cards[0].sizes = (30..70).map(|size| SizeMark { text: size.to_string(), sold_out: false }).collect();
    let places = layout(&scene(vec![shirt(10)], vec![look]), PORTRAIT);
    let card = card_of(&places);
    let (_, more) = card.more_sizes.expect("a count");
    assert_eq!(card.sizes.len() + more, 40);
    assert!(!card.sizes.is_empty());
}

#[test]
fn a_touch_finds_the_garment() {
    let places = layout(&two_people(), PORTRAIT);
    for tile in &places.tiles {
        let TileOf::Garment(section) = tile.shows else { continue };
        let (x, y) = tile.frame.centre();
        assert_eq!(places.touched(x, y), Some(Touched::Garment(section.garment)));
    }
    assert_eq!(places.touched(-1.0, 0.0), None);
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
        let (places, canvas) = (layout(&scene, size), drawn(&scene, size));
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
