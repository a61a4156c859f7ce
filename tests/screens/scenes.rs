//! The scenes of the golden pictures, with a camera picture drawn here.

use std::sync::{Arc, OnceLock};
use vetrina::display::scene::{Card, Garment, GarmentMatches, Scene, SizeMark, StatusLine, StockMark, columns};
use vetrina::frame::Picture;
use vetrina::geometry::{Rect, Size};
use vetrina::language::{Language, Words};

pub fn scene(garments: Vec<Garment>, matches: Vec<GarmentMatches>) -> Scene {
    let status =
        StatusLine { text: "compact on cpu, 72 products".into(), frames_per_second: Some(17.4), warning: None };
    Scene {
        shop: "Sartoria Lucente".into(),
        camera: Some(camera()),
        garments,
        max_garments: 3,
        matches,
        status,
        ..Scene::default()
    }
}

pub fn shirt(gathered: usize) -> Garment {
    Garment { bounds: Rect::new(510.0, 205.0, 770.0, 450.0), label: "long sleeved shirt".into(), gathered, wanted: 10 }
}

pub fn trousers(gathered: usize) -> Garment {
    Garment { bounds: Rect::new(555.0, 430.0, 725.0, 700.0), label: "trousers".into(), gathered, wanted: 10 }
}

pub fn shirt_look() -> GarmentMatches {
    let cards = vec![
        card("Relaxed linen shirt with a band collar", "Officina Nord", "79.90 EUR", [70, 110, 150], 0.91),
        card("Striped cotton shirt", "Lido", "49.00 EUR", [150, 90, 80], 0.48),
        card("Oxford shirt, slim, garment washed", "Officina Nord", "59.00 EUR", [120, 130, 120], 0.22),
    ];
    GarmentMatches { garment: 0, cards }
}

pub fn trousers_look() -> GarmentMatches {
    let cards = vec![
        card("Pleated wool trousers", "Casa Verde", "129.00 EUR", [60, 60, 70], 0.64),
        card("Chino", "Lido", "64.50 EUR", [170, 145, 105], 0.31),
    ];
    GarmentMatches { garment: 1, cards }
}

pub fn card(title: &str, brand: &str, price: &str, colour: [u8; 3], sure: f32) -> Card {
    let link = format!("https://lucente.example/p/{}", title.len() * 977);
    let text = |text: &str| Some(text.to_owned());
    Card {
        title: title.into(),
        brand: text(brand),
        price: text(price),
        link: Some(link),
        picture: Some(product(colour)),
        likely: sure >= 0.5,
        ..Card::default()
    }
}

fn sizes(all: &str, sold_out: &str) -> Vec<SizeMark> {
    let mark = |size: &str| SizeMark { text: size.into(), sold_out: sold_out.split(' ').any(|other| other == size) };
    all.split(' ').map(mark).collect()
}

/// In a sale, in other colours, with a place on the floor.
pub fn sale_look() -> GarmentMatches {
    let mut look = shirt_look();
    let first = &mut look.cards[0];
    first.price = Some("59,90\u{a0}€".into());
    first.price_before = Some("79,90\u{a0}€".into());
    first.sizes = sizes("XS S M L XL", "XS L");
    first.other_colors = vec![product([150, 90, 80]), product([60, 60, 70]), product([170, 145, 105])];
    first.location = Some("Wall 3, second rail".into());
    look.cards[1].price_before = Some("69.00 EUR".into());
    look.cards[1].location = Some("Table by the window".into());
    look
}

/// Nothing left in this colour.
pub fn sold_out_look() -> GarmentMatches {
    let mut look = trousers_look();
    let first = &mut look.cards[0];
    first.sizes = sizes("44 46 48 50", "44 46 48 50");
    first.stock = Some(StockMark::OtherColors);
    first.other_colors = vec![product([170, 145, 105])];
    first.location = Some("Island 2".into());
    look
}

/// Twenty garments, names and titles that do not end, links too long for a code, letters no font has.
pub fn crowd() -> Scene {
    let garments = (0..20).map(|i| {
        let (x, y) = (230.0 + 37.0 * i as f32, 120.0 + 90.0 * (i % 5) as f32);
        let label = if i % 3 == 0 { "vest dress with a remarkably long name".into() } else { format!("garment {i}") };
        Garment { bounds: Rect::new(x, y, x + 150.0, y + 190.0), label, gathered: i % 11, wanted: 10 }
    });
    let long = |i: usize| Card {
        title: format!(
            "{i} The unabridged extra-long double-breasted Donaudampfschifffahrtsgesellschaftskapitänsmantel 服 in midnight blue"
        ),
        brand: Some("The Incredibly Verbose Brand Company of Milano, Paris and Wanne-Eickel".into()),
        price: Some("1,234,567.89 EUR instead of 2,345,678.90 EUR".into()),
        link: Some("https://lucente.example/".to_owned() + &"p".repeat(if i == 0 { 40 } else { 400 })),
        picture: None,
        likely: true,
        price_before: Some("2,345,678.90 EUR".into()),
        sizes: (0..40).map(|n| SizeMark { text: format!("size {n}"), sold_out: n % 2 == 0 }).collect(),
        location: Some("The third rail from the left behind the second pillar of the first floor".into()),
        spot: None,
        stock: Some(StockMark::Few),
        other_colors: Vec::new(),
    };
    let look = |garment| GarmentMatches { garment, cards: (0..5).map(long).collect() };
    let status = StatusLine {
        warning: Some("Something is wrong, and it takes many words to say what. ".repeat(6)),
        ..StatusLine::default()
    };
    Scene {
        shop: "A shop whose name is longer than its opening hours and its street together".into(),
        status,
        ..scene(garments.collect(), vec![look(0), look(1), look(2)])
    }
}

/// Two people side by side, each in a shirt and trousers; one of the four is not sold here.
pub fn two_people() -> Scene {
    let at = |garment: Garment, x: f32| Garment { bounds: garment.bounds.shifted(x, 0.0), ..garment };
    let garments = vec![shirt(10), trousers(10), at(shirt(10), 290.0), at(trousers(4), 290.0)];
    let cards = vec![card("Merino cardigan", "Lido", "119.00 EUR", [120, 40, 60], 0.9)];
    let matches =
        vec![shirt_look(), GarmentMatches { garment: 1, cards: Vec::new() }, GarmentMatches { garment: 2, cards }];
    Scene { max_garments: 4, featured: Some(2), view: columns(&garments), ..scene(garments, matches) }
}

/// Close to an upright camera, in a coat over a shirt and trousers: beside them is no room for a label.
pub fn layers() -> Scene {
    let at = |garment: Garment, bounds| Garment { bounds, ..garment };
    let garments = vec![
        at(shirt(10), Rect::new(445.0, 180.0, 835.0, 560.0)),
        at(shirt(10), Rect::new(560.0, 190.0, 700.0, 430.0)),
        at(trousers(10), Rect::new(450.0, 420.0, 830.0, 700.0)),
    ];
    let look = |garment, look: GarmentMatches| GarmentMatches { garment, ..look };
    let matches = vec![look(0, shirt_look()), look(1, sale_look()), look(2, trousers_look())];
    upright(scene(garments, matches))
}

/// So many garments as a mirror shows at most, all of them found.
pub fn ten() -> Scene {
    let garments = (0..12).map(|i| {
        let (x, y) = (200.0 + 150.0 * (i % 6) as f32, 160.0 + 260.0 * (i / 6) as f32);
        Garment { bounds: Rect::new(x, y, x + 110.0, y + 200.0), label: "top".into(), gathered: 10, wanted: 10 }
    });
    let look = |garment: usize| {
        let shade = 40 + 14 * garment as u8;
        let cards = vec![card(&format!("Crew neck no. {garment}"), "Lido", "29.00 EUR", [shade, 90, 200 - shade], 0.4)];
        GarmentMatches { garment, cards }
    };
    Scene { max_garments: 10, ..scene(garments.collect(), (0..10).map(look).collect()) }
}

/// The scene of a shop in another language, its products' texts in that language too.
pub fn in_language(language: Language, mut scene: Scene) -> Scene {
    let texts = match language {
        Language::Ar => [
            ["قميص كتان واسع بياقة قصيرة", "أوفيتشينا", "٢٩٩ د.إ.", "الجدار ٣، الرف الثاني"],
            ["بنطال صوف بثنيات", "كازا فيردي", "٤٨٩ د.إ.", "الجزيرة ٢"],
            ["قميص قطن مقلم", "ليدو", "١٨٩ د.إ.", "قرب النافذة"],
        ],
        Language::Ja => [
            ["バンドカラーのリネンシャツ、ゆったり", "北工房", "￥12,900", "壁３、二段目のラック"],
            ["タック入りウールパンツ", "緑の家", "￥18,500", "中央台２"],
            ["ストライプの綿シャツ", "リド", "￥6,900", "窓際のテーブル"],
        ],
        Language::De => [
            ["Lässiges Leinenhemd mit Stehkragen", "Nordwerkstatt", "79,90 €", "Wand 3, zweite Stange"],
            ["Schurwollhose mit Bundfalten", "Grünhaus", "129,00 €", "Insel 2"],
            ["Gestreiftes Baumwollhemd", "Lido", "49,00 €", "Tisch am Fenster"],
        ],
        _ => return scene,
    };
    for (place, matched) in scene.matches.iter_mut().enumerate() {
        for (rank, card) in matched.cards.iter_mut().enumerate() {
            let [title, brand, price, location] = texts[(place + 2 * rank) % 3].map(str::to_owned);
            let price_before = card.price_before.as_ref().map(|_| price.clone());
            *card = Card {
                title,
                brand: Some(brand),
                price: Some(price),
                price_before,
                location: Some(location),
                ..card.clone()
            };
        }
    }
    Scene { words: Words::of(language), ..scene }
}

/// A figure before a wall, drawn with plain shapes.
pub fn camera() -> Arc<Picture> {
    static CAMERA: OnceLock<Arc<Picture>> = OnceLock::new();
    let paint = |x: f32, y: f32| {
        let ellipse = |cx: f32, cy: f32, rx: f32, ry: f32| ((x - cx) / rx).powi(2) + ((y - cy) / ry).powi(2) <= 1.0;
        let within = |x1, y1, x2, y2| (x1..x2).contains(&x) && (y1..y2).contains(&y);
        match () {
            _ if ellipse(640.0, 150.0, 46.0, 60.0) => [196.0, 154.0, 128.0],
            _ if within(560.0, 212.0, 720.0, 440.0)
                || ellipse(545.0, 320.0, 30.0, 115.0)
                || ellipse(735.0, 320.0, 30.0, 115.0) =>
            {
                [92.0, 122.0, 152.0]
            }
            _ if within(566.0, 440.0, 634.0, 700.0) || within(646.0, 440.0, 714.0, 700.0) => [52.0, 50.0, 58.0],
            _ if y > 640.0 => [120.0, 104.0, 90.0],
            // The camera's left, the mirror's right: a window.
            _ if within(250.0, 60.0, 420.0, 420.0) => [222.0, 228.0, 232.0],
            _ => [176.0 - x / 20.0, 170.0 - x / 20.0, 160.0 - x / 20.0],
        }
    };
    let pixels = (0..720).flat_map(|y| (0..1280).flat_map(move |x| paint(x as f32, y as f32).map(|v| v as u8)));
    CAMERA.get_or_init(|| Arc::new(Picture::new(Size::new(1280, 720), pixels.collect()))).clone()
}

/// A shirt, more or less, on a white ground.
pub fn product(colour: [u8; 3]) -> Arc<Picture> {
    let white = [250, 250, 250];
    let paint = |x: i32, y: i32| {
        let body = (70..170).contains(&x) && (50..270).contains(&y);
        let sleeves = (30..210).contains(&x) && (50..130).contains(&y) && (y - 50) * 2 + 20 > (x - 120).abs() - 60;
        let neck = (x - 120).pow(2) + (y - 46).pow(2) < 24 * 24;
        if (body || sleeves) && !neck { colour } else { white }
    };
    let pixels = (0..320).flat_map(|y| (0..240).flat_map(move |x| paint(x, y)));
    Arc::new(Picture::new(Size::new(240, 320), pixels.collect()))
}

/// The same scene as an upright camera sees it: the middle 405 columns of the picture.
pub fn upright(mut scene: Scene) -> Scene {
    const LEFT: usize = 437;
    const WIDTH: usize = 405;
    let wide = camera();
    let rgb = (0..720).flat_map(|y| wide.row(y)[3 * LEFT..3 * (LEFT + WIDTH)].to_vec()).collect();
    scene.camera = Some(Arc::new(Picture::new(Size::new(WIDTH, 720), rgb)));
    for garment in &mut scene.garments {
        garment.bounds.x1 -= LEFT as f32;
        garment.bounds.x2 -= LEFT as f32;
    }
    scene
}
