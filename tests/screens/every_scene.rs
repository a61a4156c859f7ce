//! What holds for every scene: strange ones, random ones, and one drawn after another.

use super::*;
use proptest::prelude::*;
use vetrina::display::scene::{EnrolGarment, EnrolNotice, EnrolStep, PlanSpot};
use vetrina::seam::Region;

#[test]
fn what_is_kept_of_the_last_drawing_never_shows_on_another_screen() {
    let close = scene(vec![shirt(10), trousers(10)], vec![sale_look(), sold_out_look()]);
    let mut dearer = close.clone();
    dearer.matches[0].cards[0].price = Some("61,90\u{a0}€".into());
    let mut moved = close.clone();
    moved.garments[0].bounds = moved.garments[0].bounds.shifted(-90.0, 20.0);
    moved.view = Some(20.0..600.0);
    // Boxes that end where the camera picture ends.
    let mut edge = close.clone();
    edge.garments[0].bounds = Rect::new(-9.0, -9.0, 1300.0, 730.0);
    let states = [
        close.clone(),
        moved,
        dearer,
        Scene { featured: Some(1), ..close.clone() },
        Scene { chosen: 1, ..close.clone() },
        Scene { staff_called: true, ..close.clone() },
        Scene { screen_kept: true, ..close.clone() },
        Scene { operator: true, ..close.clone() },
        Scene { garments: Vec::new(), ..close.clone() },
        upright(close.clone()),
        in_language(Language::De, close.clone()),
        Scene { status: StatusLine { warning: Some("heat".into()), ..StatusLine::default() }, ..close.clone() },
        edge,
        scene(vec![shirt(4)], Vec::new()),
        scene(vec![shirt(5)], Vec::new()),
    ];
    let mut used = Painter::with(look()).expect("the fonts");
    for size in [PORTRAIT, LANDSCAPE] {
        let mut canvas = Canvas::new(size);
        for (number, state) in states.iter().enumerate() {
            let mut fresh = Canvas::new(size);
            Painter::with(look()).expect("the fonts").draw(state, &mut fresh);
            for time in ["first", "second"] {
                used.draw(state, &mut canvas);
                let differ = canvas.pixels().iter().zip(fresh.pixels()).filter(|(a, b)| a != b).count();
                assert_eq!(differ, 0, "{size:?}, state {number}, drawn the {time} time");
            }
            // Another screen between the two.
            used.draw(&close, &mut canvas);
        }
    }
}

#[test]
fn labels_stand_beside_garments_never_over_them() {
    let close = scene(vec![shirt(10), trousers(10)], vec![sale_look(), sold_out_look()]);
    for scene in [two_people(), ten(), crowd(), layers(), close] {
        for size in [PORTRAIT, LANDSCAPE] {
            let places = layout(&scene, size);
            let mirror = places.mirror.expect("a camera");
            for seen in &places.boxes {
                let Some(label) = &seen.label else { continue };
                // A number without words may stand on its own garment, and on what that is worn under.
                let alone = label.text.area() == 0.0 && label.says != LabelText::Looking;
                let own = |worn: &Rect<Panel>| worn.intersection(&seen.bounds) > 0.9 * seen.bounds.area();
                let worn = scene.garments.iter().map(|garment| mirror.to_panel(garment.bounds));
                for worn in worn.filter(|worn| !(alone && own(worn))) {
                    assert!(label.frame.intersection(&worn) <= 1.0, "{size:?}: {label:?} lies over {worn:?}");
                }
            }
        }
    }
    let places = layout(&two_people(), PORTRAIT);
    let says: Vec<&LabelText> = places.boxes.iter().filter_map(|seen| Some(&seen.label.as_ref()?.says)).collect();
    assert!(says.contains(&&LabelText::NotSold), "what is boxed and not sold says so: {says:?}");
}

#[test]
fn every_number_on_a_card_is_on_the_picture() {
    let close = scene(vec![shirt(10), trousers(10)], vec![sale_look(), sold_out_look()]);
    for scene in [two_people(), ten(), layers(), close] {
        for size in [PORTRAIT, LANDSCAPE] {
            for seen in layout(&scene, size).boxes {
                assert!(seen.number.is_none() || seen.label.is_some(), "{size:?}: number {:?} is missing", seen.number);
            }
        }
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

pub fn assert_tidy(places: &Layout, size: Size) -> Result<(), TestCaseError> {
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
        prop_assert!(within(seen.bounds) && seen.label.as_ref().is_none_or(|label| within(label.frame)));
    }
    if let Some(Hero { body: Body::Product(card), .. }) = &places.hero {
        let frame = card.frame;
        let holds = |p: &Rect<Panel>| p.x1 >= frame.x1 && p.y1 >= frame.y1 && p.x2 <= frame.x2 && p.y2 <= frame.y2;
        prop_assert!(card.parts().iter().filter(|part| part.area() > 0.0).all(holds));
        let largest = places.tiles.iter().map(|tile| tile.frame.area()).fold(0.0, f32::max);
        prop_assert!(frame.area() > largest || size.width.min(size.height) < 700, "the card is the largest");
    }
    Ok(())
}

fn any_card() -> impl Strategy<Value = Card> {
    let text = || prop::option::of(".{0,60}");
    let words = (".{0,120}", text(), text(), prop::option::of("[a-z/:.]{0,320}"), any::<bool>(), any::<bool>());
    let stock = prop::option::of(prop::sample::select(vec![StockMark::Few, StockMark::OtherColors]));
    let details = (text(), text(), stock, prop::collection::vec((".{0,12}", any::<bool>()), 0..9), 0usize..9);
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
                spot: (colors > 5).then(|| PlanSpot { plan: swatch(), at: (2, 1) }),
                location,
                stock,
                link,
                picture,
                likely,
            }
        },
    )
}

fn any_enrolment() -> impl Strategy<Value = EnrolNotice> {
    let region = prop::option::of(prop::sample::select(Region::ALL.to_vec()));
    let garment = (".{0,90}", region).prop_map(|(title, region)| EnrolGarment { title, region });
    let step = prop::sample::select(vec![EnrolStep::Consent, EnrolStep::StepBack, EnrolStep::Turn]);
    let parts = (step, prop::collection::vec(garment, 0..4), any::<bool>());
    parts.prop_map(|(step, garments, may_change)| EnrolNotice { step, garments, count: 3, wanted: 16, may_change })
}

fn any_scene() -> impl Strategy<Value = Scene> {
    let garment = (-100f32..1400.0, -100f32..800.0, 0f32..900.0, 0f32..700.0, "[a-z ]{0,50}", 0usize..12).prop_map(
        |(x, y, w, h, label, gathered)| Garment { bounds: Rect::new(x, y, x + w, y + h), label, gathered, wanted: 10 },
    );
    let look = (0usize..21, prop::collection::vec(any_card(), 0..6))
        .prop_map(|(garment, cards)| GarmentMatches { garment, cards });
    let parts = (
        ".{0,60}",
        any::<bool>(),
        prop::collection::vec(garment, 0..21),
        prop::collection::vec(look, 0..5),
        prop::option::of(".{0,90}"),
        prop::bool::weighted(0.1),
        prop::option::weighted(0.2, any_enrolment()),
    );
    parts.prop_map(|(shop, away, garments, matches, warning, recording, enrol)| {
        let camera = (!away || !garments.is_empty()).then(camera);
        let turned = garments.len() % 2 == 1;
        let status = StatusLine { text: "compact on cpu".into(), frames_per_second: Some(9.0), warning };
        let words = Words::of(Language::ALL[garments.len() % Language::ALL.len()]);
        let max_garments = 1 + matches.len();
        let featured = Some(garments.len() / 2);
        let scene = Scene {
            shop,
            words,
            camera,
            max_garments,
            matches,
            view: columns(&garments).filter(|_| max_garments > 2),
            garments,
            featured,
            recording,
            enrol,
            status,
            ..Scene::default()
        };
        if turned && scene.camera.is_some() { upright(scene) } else { scene }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn nothing_overlaps_and_nothing_leaves_the_panel(scene in any_scene(), which in 0usize..6, w in 480usize..2600, h in 480usize..2600) {
        let size = [PORTRAIT, LANDSCAPE, SMALLEST, Size::new(w, h), Size::new(480, h), Size::new(w, 480)][which];
        assert_tidy(&layout(&scene, size), size)?;
    }
}
