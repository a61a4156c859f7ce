//! The page for staff: products are enrolled, one by the label that is held before the camera, and answers are judged.

use super::*;
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use vetrina::catalogue::Catalogue;

/// The bars of 4006381333931, a digit for each module: 1 is ink.
const LABEL: &str = "10100011010100111010111101111010001001011001101010100001010000101000010111010010000101100110101";
/// Frames of the clip in which nobody is there yet.
const EMPTY: usize = 24;

/// The clip 3, with a label held before the camera until the person comes.
fn write_clip_with_label(shop: &Shop) {
    let clip = fs::read(repository("demo/clips/3.mjpg")).unwrap();
    let begins: Vec<usize> = (0..clip.len() - 2).filter(|at| clip[*at..].starts_with(&[0xff, 0xd8, 0xff])).collect();
    let mut shown = Vec::new();
    for begin in &begins[..EMPTY] {
        let mut frame = image::load_from_memory(&clip[*begin..]).unwrap().into_rgb8();
        draw_label(&mut frame);
        JpegEncoder::new_with_quality(&mut shown, 85).encode_image(&frame).unwrap();
    }
    shown.extend(&clip[begins[EMPTY]..]);
    fs::write(shop.path("label.mjpg"), shown).unwrap();
}

/// Three pixels a module, in the middle of the frame.
fn draw_label(frame: &mut RgbImage) {
    let (left, top) = (frame.width() / 2 - 180, frame.height() / 2 - 60);
    for (x, y) in (0..360_u32).flat_map(|x| (0..120).map(move |y| (x, y))) {
        let module = (x / 3).checked_sub(12).and_then(|at| LABEL.as_bytes().get(at as usize));
        let is_ink = module == Some(&b'1') && (10..100).contains(&y);
        frame.put_pixel(left + x, top + y, image::Rgb(if is_ink { [40; 3] } else { [215; 3] }));
    }
}

#[test]
fn staff_enrol_what_they_wear_and_it_wins_on_the_next_person() {
    let Some(browser) = Browser::start() else {
        eprintln!("skipped: there is no chromedriver with a Chromium on this machine");
        return;
    };
    let shop = Shop::empty();
    // A picture of the skirt V151 that is of no use: it shows another skirt. V131 has a number on its label.
    let feed =
        fs::read_to_string(repository("demo/feed.csv")).unwrap().replace("pictures/V151.jpg", "pictures/V153.jpg");
    let label = |line: &str| {
        if line.starts_with("id,") {
            "gtin"
        } else if line.starts_with("V131,") {
            "4006381333931"
        } else {
            ""
        }
    };
    shop.import_feed("shop.db", &feed.lines().map(|line| format!("{line},{}\n", label(line))).collect::<String>());
    write_clip_with_label(&shop);
    let web = "[web]\nlisten = \"127.0.0.1:0\"\npassword = \"correct horse\"\n[privacy]\nstaff_crops = true\n";
    let clip = format!("file://{}?loop", shop.path("label.mjpg"));
    let config = shop.config_for(&clip, "").replace("[web]\nenabled = false\n", web);
    let mut mirror = Mirror::start(&shop, &config);
    let at = mirror::http::address(&mut mirror);
    mirror.wait_for_log("running");
    browser.be_a_phone(390, 1600);
    browser.open(&format!("http://vetrina:correct%20horse@{at}/staff"));
    let click = |id: &str| browser.script(&format!("document.getElementById('{id}').click()"));
    let search = |words: &str| {
        browser.script(&format!(
            "((field) => {{ field.value = '{words}'; field.dispatchEvent(new Event('input')); }})(document.getElementById('words'))"
        ));
    };
    // What was searched for before is answered late: it does not take the newer answer's place.
    browser.script(
        "(() => { const real = fetch; window.fetch = async (path, ...more) => { const answer = await real(path, ...more); \
         if (String(path).includes('V102')) { await new Promise((done) => setTimeout(done, 3000)); window.late = true; } return answer; }; })()",
    );
    search("V102");
    search("V151");
    let first = "document.querySelector('#products button')?.closest('tr').cells[0].textContent";
    mirror.wait_until("the product is found", || browser.script(first) == "V151");
    mirror.wait_until("the late answer is there", || browser.script("window.late === true") == true);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(browser.script(first), "V151");
    browser.script("document.querySelector('#products button').click()");
    mirror.wait_until("it is chosen", || browser.text("chosen").contains("V151"));
    // A hand scanner types the number of the label, and Enter.
    search("4006381333931");
    browser.script("document.getElementById('search').requestSubmit()");
    mirror.wait_until("it is chosen, too", || browser.text("chosen").contains("V131"));
    // It is taken off the list; the camera reads the same label when it is held before it.
    browser.script("document.querySelector('#products button').click()");
    mirror.wait_until("it is not chosen", || !browser.text("chosen").contains("V131"));
    mirror.wait_until("its label is read", || {
        browser.script("((scan) => { if (!scan.disabled) scan.click(); })(document.getElementById('scan'))");
        browser.text("chosen").contains("V131")
    });
    // Where each is worn can be changed; two in one place are refused.
    let place = |row: usize, part: &str| {
        browser.script(&format!(
            "((field) => {{ field.value = '{part}'; field.dispatchEvent(new Event('change')); }})(document.querySelectorAll('#chosen select')[{row}])"
        ));
    };
    place(0, "upper");
    click("start");
    mirror.wait_until("it is refused", || browser.text("told").contains("same part of the body"));
    place(0, "lower");
    click("start");
    mirror.wait_until("it asks", || browser.script("document.getElementById('asking').hidden") == false);
    assert!(browser.text("consent").contains("No picture is kept"), "{}", browser.text("consent"));
    click("agree");
    mirror.wait_until("it counts down", || browser.text("phase").contains("Step back"));
    mirror.wait_until("it watches", || browser.text("phase").contains("urn round"));
    assert!(browser.text("garments").contains(" good frames"), "{}", browser.text("garments"));
    browser.screenshot("staff-enrol.png");
    mirror.wait_until("it is over", || browser.text("outcome").contains("enrolment 1: "));
    assert!(browser.text("outcome").contains("views of V151"), "{}", browser.text("outcome"));
    // Another person in the same clothes comes.
    let other = format!("file://{}?loop", repository("tests/worn/another-person.mjpg").display());
    shop.write("vetrina.toml", &config.replace(&clip, &other));
    mirror.signal("HUP");
    let row = "Array.from(document.querySelectorAll('#answers tr')).map((row) => row.innerText).join()";
    mirror.wait_until("it wins", || browser.script(row).as_str().unwrap_or_default().contains("V151"));
    // A picture of each garment, which goes when its answer is judged.
    let seen = "((rows) => rows.length > 0 && rows.every((row) => row.querySelector('img')?.naturalWidth > 20 \
                && row.querySelector('img').offsetWidth > 20))(Array.from(document.querySelectorAll('#answers tr')))";
    mirror.wait_until("the garments are seen", || browser.script(seen) == true);
    browser.screenshot("staff-crops.png");
    // "It was what I chose above" where nothing is chosen: what is said to that is seen, although the page is scrolled down.
    let wrong = "document.querySelectorAll('#answers tr button')[1]";
    browser.be_a_phone(390, 700);
    browser.script(&format!("{wrong}.scrollIntoView({{ block: 'end' }})"));
    browser.script(&format!("{wrong}.click()"));
    mirror.wait_until("it asks for one product", || browser.text("told").contains("Choose the one product"));
    let place =
        "((told) => [window.scrollY, told.top, told.bottom])(document.getElementById('told').getBoundingClientRect())";
    let [scrolled, top, bottom] = [0, 1, 2].map(|at| browser.script(place)[at].as_f64().unwrap());
    assert!(scrolled > 100.0 && top >= 0.0 && bottom <= 700.0, "scrolled by {scrolled}, told at {top} to {bottom}");
    browser.screenshot("staff-told.png");
    browser.be_a_phone(390, 1600);
    // One is confirmed and kept, which was a mistake: that is taken back, and it can be judged again.
    click("keep");
    let kept = || {
        let catalogue = Catalogue::open(shop.path("shop.db").as_ref()).unwrap();
        let judged: usize = catalogue.confirmed_weeks().unwrap().iter().map(|week| week.answers()).sum();
        [judged, catalogue.enrolments().unwrap().len()]
    };
    browser.script("document.querySelector('#answers button').click()");
    mirror.wait_until("it is thanked for", || browser.text("answers").contains("thank you"));
    assert_eq!(kept(), [1, 2]);
    let judged =
        "Array.from(document.querySelectorAll('#answers tr')).filter((row) => row.innerText.includes('thank you'))";
    assert_eq!(browser.script(&format!("{judged}.every((row) => !row.querySelector('img'))")), true);
    browser.screenshot("staff-judged.png");
    browser.script(&format!("{judged}[0].querySelector('button').click()"));
    mirror.wait_until("it is taken back", || !browser.text("answers").contains("thank you"));
    assert_eq!(kept(), [0, 1]);
    browser.script("document.querySelector('#answers button').click()");
    mirror.wait_until("it is thanked for again", || browser.text("answers").contains("thank you"));
    assert_eq!(kept(), [1, 2]);
    assert_eq!(browser.script("document.getElementById('told').hidden"), true, "{}", browser.text("told"));
    assert_eq!(browser.script("document.documentElement.scrollWidth"), 390, "it sticks out at the side");
    browser.screenshot("staff.png");
    click("undo");
    mirror.wait_until("it is undone", || browser.text("told").contains("undone"));
    // What was judged is on the page with the counts.
    browser.open(&format!("http://vetrina:correct%20horse@{at}/stats"));
    mirror.wait_until("the week is there", || browser.text("confirmed").contains("1.00"));
    assert!(["upper garment", "lower garment", "dress"].iter().any(|one| browser.text("confirmed").contains(one)));
    assert!(browser.offers("confirmed") && !browser.offers("unconfirmed"));
    assert_eq!(browser.script("document.documentElement.scrollWidth"), 390, "it sticks out at the side");
    browser.screenshot("stats-confirmed.png");
}
