//! Where a product hangs: in words, and on the plan of the shop.

use super::*;
use vetrina::display::scene::PlanSpot;

/// A room with two walls of shelves and a table, from above.
fn plan() -> Arc<Picture> {
    let paint = |x: i32, y: i32| {
        let within = |x1, y1, x2, y2| (x1..x2).contains(&x) && (y1..y2).contains(&y);
        let wall = !within(6, 6, 354, 194) && !within(160, 194, 220, 200);
        let shelf = within(20, 14, 340, 38) || within(14, 60, 38, 180) || within(140, 90, 240, 130);
        match () {
            _ if wall => [90, 84, 78],
            _ if shelf => [205, 198, 188],
            _ => [252, 251, 249],
        }
    };
    let pixels = (0..200).flat_map(|y| (0..360).flat_map(move |x| paint(x, y)));
    Arc::new(Picture::new(Size::new(360, 200), pixels.collect()))
}

fn planned(at: (u32, u32)) -> Scene {
    let mut look = sale_look();
    look.cards[0].spot = Some(PlanSpot { plan: plan(), at });
    scene(vec![shirt(10)], vec![look])
}

fn hero(scene: &Scene, size: Size) -> CardPlace {
    match layout(scene, size).hero.expect("a card").body {
        Body::Product(card) => *card,
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_a_link_the_next_step_is_the_rail() {
    let mut look = sale_look();
    look.cards[0].link = None;
    golden("no-link", &scene(vec![shirt(10)], vec![look]));
}

#[test]
fn a_shelf_on_the_plan_is_marked_and_the_next_step_is_to_go_there() {
    golden("plan", &planned((270, 26)));
    for size in [PORTRAIT, LANDSCAPE] {
        let place = hero(&planned((270, 26)), size);
        let at = place.plan.expect("a plan");
        assert!(place.does == Action::Find && place.code.is_none(), "the way goes before the code");
        assert!(at.height() > 0.3 * place.picture.height() && at.y1 > place.picture.y2, "{place:?}");
    }
}

/// A plan of a long passage: below the picture it would be a stripe.
#[test]
fn where_a_plan_has_no_room_the_next_step_is_the_code() {
    let mut look = sale_look();
    let plan = Arc::new(Picture::filled(Size::new(1000, 40), [255; 3]));
    look.cards[0].spot = Some(PlanSpot { plan, at: (500, 20) });
    for size in [PORTRAIT, LANDSCAPE] {
        let place = hero(&scene(vec![shirt(10)], vec![look.clone()]), size);
        assert!(place.plan.is_none() && place.code.is_some() && place.does == Action::Scan, "{place:?}");
    }
}

/// The mark lies where the shelf is, and nowhere else: two drawings differ around both shelves alone.
#[test]
fn the_mark_is_at_the_shelf() {
    for size in [PORTRAIT, LANDSCAPE] {
        let (one, two) = ((270, 26), (26, 150));
        let at = hero(&planned(one), size).plan.expect("a plan");
        let scale = (at.width() / 360.0).min(at.height() / 200.0);
        let on_panel = |(x, y): (u32, u32)| {
            let (cx, cy) = at.centre();
            (cx + scale * (x as f32 - 180.0), cy + scale * (y as f32 - 100.0))
        };
        let [first, second] = [one, two].map(|spot| drawn(&planned(spot), size));
        let differing = |x: usize, y: usize| first.pixel(x, y) != second.pixel(x, y);
        let mut far = 0;
        for y in 0..size.height {
            for x in (0..size.width).filter(|x| differing(*x, y)) {
                let distance = |(cx, cy): (f32, f32)| (x as f32 - cx).hypot(y as f32 - cy);
                far += usize::from(distance(on_panel(one)).min(distance(on_panel(two))) > 25.0);
            }
        }
        assert_eq!(far, 0, "{size:?}");
        let [(x, y), other] = [one, two].map(on_panel);
        assert!(differing(x as usize, y as usize) && differing(other.0 as usize, other.1 as usize), "{size:?}");
    }
}
