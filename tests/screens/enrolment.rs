//! What the screen says while staff enrol what somebody wears, and what a touch does then.

use super::every_scene::assert_tidy;
use super::*;
use vetrina::display::scene::{EnrolGarment, EnrolNotice, EnrolStep};
use vetrina::seam::Region;

/// Two products that are enrolled together.
fn worn() -> Vec<EnrolGarment> {
    let garment = |title: &str, region| EnrolGarment { title: title.into(), region: Some(region) };
    vec![garment("Straight jeans, denim", Region::Lower), garment("Linen camp-collar shirt", Region::Upper)]
}

#[test]
fn an_enrolment_says_which_product_is_meant_and_how_far_it_is() {
    let enrol = |step, count| {
        let notice = EnrolNotice { step, garments: worn(), count, wanted: 16, may_change: step != EnrolStep::Turn };
        Scene { enrol: Some(notice), ..scene(vec![shirt(10)], vec![shirt_look()]) }
    };
    golden("enrol", &enrol(EnrolStep::Turn, 7));
    golden("enrol-asked", &enrol(EnrolStep::Consent, 0));
    for size in [PORTRAIT, LANDSCAPE] {
        let asked = layout(&enrol(EnrolStep::Consent, 0), size).notice.unwrap();
        assert!(asked.says == Says::Enrol(EnrolStep::Consent) && asked.lead.height() > 0.0);
        assert!(layout(&enrol(EnrolStep::StepBack, 3), size).hero.is_none());
    }
    let mut untouchable = enrol(EnrolStep::Consent, 0);
    untouchable.enrol.as_mut().unwrap().may_change = false;
    let asked = Says::Enrol(EnrolStep::Consent).texts(&untouchable).join(" ");
    assert!(!asked.contains(&Words::default().say("enrol-change")), "nothing can be tapped there: {asked}");
    for language in Language::ALL {
        let words = Words::of(language);
        let texts = |step, count| {
            let scene = Scene { words: words.clone(), ..enrol(step, count) };
            Says::Enrol(step).texts(&scene).join(" ")
        };
        let turn = texts(EnrolStep::Turn, 7);
        assert!(["7", "16"].iter().all(|part| turn.contains(part)), "{language:?}: {turn}");
        let change = words.say("enrol-change");
        assert!(texts(EnrolStep::Consent, 0).ends_with(&change) && !turn.contains(&change), "{language:?}");
        assert_ne!(texts(EnrolStep::StepBack, 3), texts(EnrolStep::StepBack, 2), "{language:?}");
    }
}

#[test]
fn a_touch_finds_the_garment_that_is_enrolled() {
    let notice = EnrolNotice { step: EnrolStep::Consent, garments: worn(), count: 0, wanted: 16, may_change: true };
    let empty = Scene { enrol: Some(notice), ..scene(Vec::new(), Vec::new()) };
    for language in Language::ALL {
        let asked = Scene { words: Words::of(language), ..empty.clone() };
        for size in [PORTRAIT, LANDSCAPE, Size::new(720, 1280), SMALLEST] {
            let places = layout(&asked, size);
            let (notice, painter) = (places.notice.as_ref().unwrap(), painter());
            assert_eq!(notice.garments.len(), 2);
            for (number, (row, garment)) in notice.garments.iter().zip(worn()).enumerate() {
                for place in [row.region, row.title] {
                    let (x, y) = place.centre();
                    assert_eq!(places.touched(x, y), Some(Touched::Enrolled(number)), "{language:?} {size:?}");
                }
                let needs = painter.ruler(size).width(&asked.words.say(garment.region_text()), theme::LEAD);
                assert!(row.region.width() >= needs, "{language:?} {size:?}: the words are not cut");
            }
            let (x, y) = notice.headline.centre();
            assert_eq!(places.touched(x, y), None);
            assert_tidy(&places, size).unwrap();
        }
    }
}
