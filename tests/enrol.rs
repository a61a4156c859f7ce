//! Worn views, on real SQLite files and through the real binary: they are found, they stay, they can be undone and carried to another
//! mirror, and no picture of them is kept.

#![allow(clippy::unwrap_used)]

#[path = "enrol/killed_judgements.rs"]
mod killed_judgements;
mod kills;
mod mirror;
#[path = "enrol/running_mirror.rs"]
mod running_mirror;
mod shop;

use mirror::http::{address, get_with, post};
use mirror::{Mirror, repository};
use rusqlite::Connection;
use serde_json::{Value, json};
use shop::{CLASSES, FEED, LENGTH, Shop, import, lenient, stamp};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use vetrina::audit::{AuditAction, AuditLog};
use vetrina::catalogue::correction::{JudgedAnswer, Judgement};
use vetrina::catalogue::{Calibration, Catalogue, Index, WornProduct, WornView};
use vetrina::fault::Kind;
use vetrina::pipeline::enrol::{EnrolTarget, WornAt, scan};
use vetrina::seam::{EmbeddingHead, Region};

/// A worn view with these first values of its embeddings.
fn view(at: f32) -> WornView {
    WornView {
        class: 0,
        score: 0.9,
        sharpness: 0.8,
        match_embedding: Arc::from([at, 0.5, -0.5, 0.0]),
        aggregation_embedding: Arc::from([-at, 1.0, 0.0, 0.25]),
    }
}

fn worn(id: &str, places: &[f32]) -> WornProduct {
    WornProduct { id: id.into(), views: places.iter().map(|at| view(*at)).collect() }
}

fn index(catalogue: &Catalogue) -> Index {
    Index::load(catalogue, EmbeddingHead::Match, &[-1.0; LENGTH], 0.5).unwrap()
}

/// The first product for a query at this place, and its logit.
fn first(index: &Index, at: f32) -> (String, f32) {
    let hit = index.search(&[at, 0.5, -0.5, 0.0], 1)[0];
    (index.shown(hit.row).id.clone(), hit.logit)
}

#[test]
fn worn_views_move_their_products_pictures_and_are_a_row_of_their_own() {
    let shop = Shop::new();
    shop.import(FEED).unwrap();
    let mut catalogue = shop.open();
    assert_eq!(first(&index(&catalogue), 10.0).0, "3", "e.jpg is 4: the nearest");
    let kept = catalogue.enrol("clip", &stamp("one"), &[worn("2", &[10.0, 20.0])]).unwrap();
    assert_eq!((kept.number, kept.products["2"], kept.uid.len()), (1, 2, 32));
    // d.jpg is 3 and moves half of the way to the mean of the views, which is a row of its own.
    let index = index(&catalogue);
    assert_eq!(index.gallery().rows(), 6 + 1);
    assert_eq!(first(&index, 15.0), ("2".into(), 0.5));
    assert_eq!(first(&index, 9.0), ("2".into(), 0.5));
    let row = |at: f32| index.search(&[at, 0.5, -0.5, 0.0], 1)[0].row;
    assert_eq!((index.is_worn(row(15.0)), index.is_worn(row(9.0))), (true, false));
    // What is shown of it is the shop's picture, and other products are found as before.
    assert!(catalogue.picture_thumbnail(index.content(row(15.0))).unwrap().is_some());
    assert_eq!(first(&index, 2.0), ("1".into(), 0.5));
    assert_eq!(first(&index, 6.6).0, "2", "2.4 away, and e.jpg 2.6");
    let offset = index.with_worn_offset(-7.0);
    assert_eq!(first(&offset, 15.0), ("2".into(), -6.5));
    assert_eq!(first(&offset, 9.0), ("2".into(), -3.0), "half worn, half of it");
    assert_eq!(first(&offset, 6.6).0, "3");
    let counts = catalogue.check(Some(&stamp("one"))).unwrap();
    assert_eq!((counts.problems, counts.worn.used, counts.worn.products), (vec![], 2, 1));
}

#[test]
fn worn_views_stay_with_the_product_whatever_the_feed_does() {
    let shop = Shop::new();
    shop.import(FEED).unwrap();
    let mut catalogue = shop.open();
    let mut loaded = index(&catalogue);
    assert!(loaded.refresh(&catalogue).unwrap());
    catalogue.enrol("clip", &stamp("one"), &[worn("2", &[10.0]), worn("3", &[30.0])]).unwrap();
    assert!(!loaded.refresh(&catalogue).unwrap(), "a mirror loads its index anew");
    shop.import(&FEED.replace("Glove", "Mitten")).unwrap();
    assert_eq!(first(&index(&catalogue), 10.0).0, "2");
    // The feed has lost product 2, and then has it again.
    let without: String = FEED.lines().filter(|line| !line.starts_with("2,")).map(|line| format!("{line}\n")).collect();
    shop.import(&without).unwrap();
    assert_eq!(first(&index(&catalogue), 10.0).0, "3");
    let worn = catalogue.check(None).unwrap().worn;
    assert_eq!((worn.used, worn.without_product), (1, 1));
    shop.import(FEED).unwrap();
    assert_eq!(first(&index(&catalogue), 10.0).0, "2");
    // Another model: kept, not used, and said.
    import(&mut shop.open(), FEED, &shop.images(), &stamp("two"), lenient()).unwrap();
    let other = catalogue.check(Some(&stamp("two"))).unwrap();
    assert_eq!((other.worn.used, other.worn.other_model, other.problems), (0, 2, vec![]));
    assert_eq!(index(&catalogue).gallery().rows(), 6);
    assert_eq!(catalogue.worn_views().unwrap().len(), 0);
    import(&mut shop.open(), FEED, &shop.images(), &stamp("one"), lenient()).unwrap();
    assert_eq!(first(&index(&catalogue), 10.0).0, "2");
}

#[test]
fn what_cannot_be_enrolled_is_refused_and_changes_nothing() {
    let shop = Shop::new();
    shop.import(FEED).unwrap();
    let mut catalogue = shop.open();
    let refused = |catalogue: &mut Catalogue, model: &str, products: &[WornProduct]| {
        let fault = catalogue.enrol("clip", &stamp(model), products).unwrap_err();
        assert!(catalogue.enrolments().unwrap().is_empty());
        fault
    };
    assert_eq!(refused(&mut catalogue, "one", &[worn("2", &[1.0]), worn("9", &[1.0])]).kind(), Kind::Usage);
    assert_eq!(refused(&mut catalogue, "two", &[worn("2", &[1.0])]).kind(), Kind::Catalogue);
    let nothing = refused(&mut catalogue, "one", &[worn("2", &[])]);
    assert!(nothing.kind() == Kind::Input && nothing.to_string().contains("no good view"), "{nothing}");
    assert_eq!(catalogue.undo_enrolment(None).unwrap_err().kind(), Kind::Usage);
    catalogue.enrol("clip", &stamp("one"), &[worn("2", &[1.0])]).unwrap();
    let second = catalogue.enrol("clip", &stamp("one"), &[worn("1", &[7.0; 12])]).unwrap();
    assert_eq!(second.products["1"], 8, "no more than eight");
    assert_eq!(catalogue.undo_enrolment(Some(1)).unwrap().products["2"], 1);
    assert_eq!(catalogue.undo_enrolment(None).unwrap().number, 2);
    assert_eq!(index(&catalogue).gallery().rows(), 6);
    let third = catalogue.enrol("clip", &stamp("one"), &[worn("1", &[7.0])]).unwrap();
    assert_eq!(third.number, 3, "no number is used twice");
}

/// Staff who confirm two answers at once, or a clip that is enrolled again: in one second, and the numbers are the same.
#[test]
fn the_same_views_twice_in_a_second_are_two_enrolments() {
    let shop = Shop::new();
    shop.import(FEED).unwrap();
    let mut catalogue = shop.open();
    let kept: Vec<_> = (0..5).map(|_| catalogue.enrol("clip", &stamp("one"), &[worn("2", &[1.0])]).unwrap()).collect();
    let uids: BTreeSet<&String> = kept.iter().map(|one| &one.uid).collect();
    assert_eq!(uids.len(), 5);
    assert!(kept.iter().all(|one| one.uid.len() == 32 && one.uid.bytes().all(|byte| byte.is_ascii_hexdigit())));
    // Another mirror takes in all of them, once.
    let mut file = Vec::new();
    catalogue.export_worn(&mut file).unwrap();
    let other = Shop::new();
    other.import(FEED).unwrap();
    let mut there = other.open();
    assert_eq!(there.import_worn(file.as_slice()).unwrap().enrolments, 5);
    assert_eq!(there.import_worn(file.as_slice()).unwrap().known, 5);
}

#[test]
fn a_catalogue_of_the_third_schema_gets_worn_views() {
    let shop = Shop::new();
    let old = Connection::open(shop.db()).unwrap();
    for step in ["schema.sql", "schema-2.sql", "schema-3.sql"] {
        old.execute_batch(&fs::read_to_string(repository("src/catalogue").join(step)).unwrap()).unwrap();
    }
    old.execute_batch(
        "insert into model values (1, 'compact', 'one', 4);
         insert into generation (made, source, products, added, updated, removed) values ('2026-01-01T00:00:00Z', 'import', 1, 1, 0, 0);
         insert into product_version (id, since, position, title, image_link) values ('1', 1, 0, 'Scarf', 'a.jpg');
         insert into content values (7, zeroblob(32), x'ff');
         insert into descriptor values (7, '', 3, 0.5, 0, 0, 9, 9, zeroblob(16), zeroblob(16));
         insert into picture_version values ('1', 1, 0, 'a.jpg', 7);
         pragma application_id = 0x56545241; pragma user_version = 3;",
    )
    .unwrap();
    drop(old);
    let mut catalogue = Catalogue::open(&shop.db()).unwrap();
    assert_eq!((catalogue.list().unwrap().len(), catalogue.enrolments().unwrap().len()), (1, 0));
    catalogue.enrol("clip", &stamp("one"), &[worn("1", &[9.0])]).unwrap();
    assert_eq!(index(&catalogue).with_regions(&CLASSES).gallery().rows(), 2);
}

#[test]
fn worn_views_go_to_another_mirror_of_the_shop_and_only_whole() {
    let (here, there) = (Shop::new(), Shop::new());
    [&here, &there].iter().for_each(|shop| drop(shop.import(FEED).unwrap()));
    let mut catalogue = here.open();
    catalogue.enrol("v4l2:///dev/video0", &stamp("one"), &[worn("2", &[10.1, 1.0 / 3.0]), worn("3", &[5.0])]).unwrap();
    catalogue.enrol("clip", &stamp("one"), &[worn("2", &[11.0])]).unwrap();
    let mut file = Vec::new();
    assert_eq!(catalogue.export_worn(&mut file).unwrap(), 2);
    let text = String::from_utf8(file.clone()).unwrap();
    let mut other = there.open();
    let report = other.import_worn(file.as_slice()).unwrap();
    assert_eq!((report.enrolments, report.views, report.known), (2, 4, 0));
    let mut again = Vec::new();
    other.export_worn(&mut again).unwrap();
    assert_eq!(again, file, "to the last bit");
    let report = other.import_worn(file.as_slice()).unwrap();
    assert_eq!((report.enrolments, report.known), (0, 2));
    other.undo_enrolment(None).unwrap();
    other.undo_enrolment(None).unwrap();
    // A second line that is bad takes the first one with it.
    let lines: Vec<&str> = text.lines().collect();
    for (bad, words) in [
        (lines[1].replace("\"one\"", "\"two\""), "made by model"),
        (lines[1].replace("11.0", "1e40"), "line 2"),
        (lines[1].replace("\"sharpness\":0.8", "\"sharpness\":8"), "line 2"),
        (lines[1].replace("\"uid\"", "\"uuid\""), "line 2"),
        (lines[1][..40].to_owned(), "line 2"),
        ("PK\u{3}\u{4}".to_owned(), "line 2"),
    ] {
        let fault = other.import_worn(format!("{}\n{bad}\n", lines[0]).as_bytes()).unwrap_err();
        assert!(fault.to_string().contains(words), "{fault}");
        assert!(other.enrolments().unwrap().is_empty(), "{bad:.60}");
    }
    // A feed that has no product 3 keeps its views for later.
    there.import(&FEED.lines().take(3).map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    let report = other.import_worn(file.as_slice()).unwrap();
    assert_eq!(report.without_product.iter().collect::<Vec<_>>(), ["3"]);
}

#[test]
fn what_staff_said_of_answers_is_counted_by_week_and_region() {
    let shop = Shop::new();
    shop.import(FEED).unwrap();
    let mut catalogue = shop.open();
    let answer = |verdict, region| JudgedAnswer {
        region,
        shown: "1".into(),
        logit: 2.5,
        margin: Some(0.5),
        verdict,
        descriptor_hash: "one".into(),
    };
    let upper = Some(Region::Upper);
    catalogue.correct(&answer("likely", upper), &Judgement::Right).unwrap();
    catalogue.correct(&answer("likely", upper), &Judgement::Other("2".into())).unwrap();
    catalogue.correct(&answer("similar", upper), &Judgement::NotOurs).unwrap();
    catalogue.correct(&answer("similar", None), &Judgement::Right).unwrap();
    let fault = catalogue.correct(&answer("similar", None), &Judgement::Other("99".into())).unwrap_err();
    assert_eq!(fault.kind(), Kind::Usage);
    let weeks = catalogue.confirmed_weeks().unwrap();
    assert_eq!(weeks.iter().map(|week| week.region.as_str()).collect::<Vec<_>>(), ["unknown", "upper"]);
    let upper = &weeks[1];
    assert_eq!((upper.answers(), upper.right, upper.other, upper.not_ours), (3, 1, 1, 1));
    assert_eq!((upper.likely_right, upper.likely), (1, 2));
    let raw = Connection::open(shop.db()).unwrap();
    let (hour, days): (String, i64) = raw
        .query_row(
            "select hour, cast(julianday(substr(hour, 1, 10)) - julianday(?) as integer) from correction limit 1",
            [&upper.week],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!(hour.len(), 13, "no nearer time than the hour: {hour}");
    assert!((0..7).contains(&days), "the week of {hour} begins on {}", upper.week);
    let monday: i64 = raw
        .query_row("select strftime('%w', ?)", [&upper.week], |row| Ok(row.get::<_, String>(0)?.parse().unwrap()))
        .unwrap();
    assert_eq!(monday, 1);
    // A judgement whose worn view cannot be kept is not kept either.
    let kept = |catalogue: &Catalogue| (catalogue.corrections_after(0, 100).unwrap(), catalogue.enrolments().unwrap());
    let (before, views) = kept(&catalogue);
    let keep = |catalogue: &mut Catalogue, product: &str| {
        let seen = answer("likely", Some(Region::Upper));
        catalogue.correct_and_enrol(&seen, &Judgement::Right, "confirmed", &stamp("one"), worn(product, &[1.0]))
    };
    assert_eq!(keep(&mut catalogue, "99").unwrap_err().kind(), Kind::Usage);
    let said = keep(&mut catalogue, "1").unwrap();
    let (after, more) = kept(&catalogue);
    assert_eq!((after.len(), more.len()), (before.len() + 1, views.len() + 1));
    // It was pressed by mistake: both go. Nothing else does, where another judgement has the row or it is gone already.
    let mut another = said.clone();
    another.answer.shown = "2".into();
    assert_eq!(catalogue.take_back(&another).unwrap_err().kind(), Kind::Usage);
    assert_eq!(kept(&catalogue), (after, more));
    catalogue.take_back(&said).unwrap();
    assert_eq!(kept(&catalogue), (before.clone(), views.clone()));
    assert_eq!(catalogue.take_back(&said).unwrap_err().kind(), Kind::Usage);
    let said = keep(&mut catalogue, "1").unwrap();
    catalogue.undo_enrolment(None).unwrap();
    catalogue.take_back(&said).unwrap();
    assert_eq!(kept(&catalogue), (before, views), "its worn view was undone before");
}

#[test]
fn wrong_answers_make_the_mirror_claim_less_once_and_only_those_of_its_model() {
    let shop = Shop::new();
    shop.import(FEED).unwrap();
    let mut catalogue = shop.open();
    let index = index(&catalogue).with_regions(&CLASSES);
    let before = catalogue.calibrate(&index).unwrap();
    let answer = |margin, region, model: &str| JudgedAnswer {
        region,
        shown: "1".into(),
        logit: 2.5,
        margin,
        verdict: "likely",
        descriptor_hash: model.into(),
    };
    let upper = Some(Region::Upper);
    catalogue.correct(&answer(Some(900.0), upper, "one"), &Judgement::Other("2".into())).unwrap();
    catalogue.correct(&answer(Some(800.0), upper, "one"), &Judgement::NotOurs).unwrap();
    for (margin, region, model, said) in [
        (Some(9.0), upper, "one", Judgement::Right),
        (Some(9.0), upper, "two", Judgement::NotOurs),
        (None, upper, "one", Judgement::NotOurs),
        (Some(9.0), None, "one", Judgement::NotOurs),
    ] {
        catalogue.correct(&answer(margin, region, model), &said).unwrap();
    }
    let more = |calibration: &Calibration| calibration.strangers(Region::Upper) - before.strangers(Region::Upper);
    let after = catalogue.recalibrated(before.clone()).unwrap();
    assert_eq!(more(&after), 2);
    let share = 2.0 / (after.strangers(Region::Upper) as f32 + 1.0);
    assert_eq!(after.p_value(upper, 850.0, 1.0), Some(share), "one of both stood out more clearly");
    // Loaded again, and computed again: they are counted once.
    assert_eq!(catalogue.calibration(&index).unwrap(), after);
    assert_eq!(catalogue.recalibrated(after.clone()).unwrap(), after);
    assert_eq!(catalogue.calibrate(&index).unwrap(), after);
    assert_eq!(catalogue.calibration(&index).unwrap(), after);
}

// ---- the real binary ----

fn vetrina(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vetrina"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn ok(output: Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// What is said of `id` where it is the first product of a garment of a clip: its score, 0 to 1, and the verdict.
fn first_match(db: &str, clip: &Path, id: &str) -> Option<(f64, String)> {
    let found = ok(vetrina(&["match", "--json", "--catalogue", db]).arg(clip).output().unwrap());
    let found: Value = serde_json::from_str(&found).unwrap();
    let first = found["garments"].as_array().unwrap().iter().map(|garment| &garment["matches"][0]);
    let of_product = first.filter(|found| found["id"] == id);
    let said =
        of_product.map(|found| (found["score"].as_f64().unwrap(), found["verdict"].as_str().unwrap().to_owned()));
    said.max_by(|a, b| a.0.total_cmp(&b.0))
}

/// The demo shop with a picture of the skirt V151 that is of no use: it shows another skirt.
fn shop_with_a_useless_picture() -> mirror::Shop {
    let shop = mirror::Shop::empty();
    let feed = fs::read_to_string(repository("demo/feed.csv")).unwrap();
    assert!(feed.contains("pictures/V151.jpg"));
    shop.import_feed("shop.db", &feed.replace("pictures/V151.jpg", "pictures/V153.jpg"));
    shop
}

#[test]
fn an_outfit_is_enrolled_from_a_clip_and_found_on_another_person_and_undone() {
    let shop = shop_with_a_useless_picture();
    let db = shop.path("shop.db");
    let (clip, other) = (repository("demo/clips/3.mjpg"), repository("tests/worn/another-person.mjpg"));
    let enrol = |more: &[&str]| {
        let mut command = vetrina(&["enrol", "V151", "--outfit", "V131", "--catalogue", &db, "--from"]);
        command.arg(&clip).args(more);
        command
    };
    // Nobody agreed.
    let mut asked = enrol(&[]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    asked.stdin.take().unwrap().write_all(b"no\n").unwrap();
    let refused = asked.wait_with_output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("No picture is kept"), "{}", text(&refused.stderr));
    assert!(!ok(vetrina(&["catalogue", "worn", "list", "--db", &db]).output().unwrap()).contains("V151"));
    let before = ["V151", "V131"].map(|id| first_match(&db, &other, id));
    assert_eq!(before[0], None, "its picture shows another skirt");
    let files = |folder: &str| fs::read_dir(folder).unwrap().count();
    let (root, in_root) = (shop.path(""), files(&shop.path("")));
    let output = enrol(&["--yes", "--json"]).output().unwrap();
    let (said, kept) = (text(&output.stderr), ok(output));
    assert!(said.contains("good frames"), "{said}");
    let kept: Value = serde_json::from_str(&kept).unwrap();
    let views = |id: &str| kept["kept"]["products"][id].as_u64().unwrap();
    assert!((3..=8).contains(&views("V151")) && (3..=8).contains(&views("V131")), "{kept}");
    // SQLite's own two files may stand beside the catalogue; nothing else does.
    assert!(files(&root) <= in_root + 2);
    let after = ["V151", "V131"].map(|id| first_match(&db, &other, id).unwrap());
    assert!(after[0].0 > 0.3 && after[0].1 != "none", "it wins on another person: {after:?}");
    assert!(ok(vetrina(&["catalogue", "list", "--db", &db]).output().unwrap()).contains("worn views"));
    let checked = ok(vetrina(&["catalogue", "check", "--db", &db, "--model"])
        .arg(repository("models/compact"))
        .output()
        .unwrap());
    assert!(
        checked.contains("of 2 products") && checked.contains("wear next") && checked.ends_with("sound\n"),
        "{checked}"
    );
    // Two garments of one part of the body cannot be told apart.
    let both =
        vetrina(&["enrol", "V101", "--outfit", "V102", "--yes", "--catalogue", &db, "--from"]).arg(&clip).output();
    let both = both.unwrap();
    assert!(
        both.status.code() == Some(2) && text(&both.stderr).contains("one after the other"),
        "{}",
        text(&both.stderr)
    );
    // The catalogue is the mirror's, where its configuration is named.
    let config = format!("{db}.toml");
    fs::write(&config, format!("[catalogue]\nfile = {db:?}\n")).unwrap();
    ok(vetrina(&["enrol", "--undo", "--config", &config]).output().unwrap());
    assert_eq!(["V151", "V131"].map(|id| first_match(&db, &other, id)), before);
}

/// Clip 2 shows the cardigan V127. Enrolled as the striped tee V101 it is kept, with a doubt; as itself without one.
#[test]
fn an_enrolment_that_looks_like_another_product_is_doubted() {
    let shop = mirror::Shop::empty();
    shop.import_feed("shop.db", &fs::read_to_string(repository("demo/feed.csv")).unwrap());
    let db = shop.path("shop.db");
    fs::write(shop.path("audit.jsonl"), "").unwrap();
    let said = |id: &str| {
        let mut command = vetrina(&["enrol", id, "--yes", "--catalogue", &db, "--from"]);
        let output = command.arg(repository("demo/clips/2.mjpg")).output().unwrap();
        assert!(output.status.success());
        let said = text(&output.stderr);
        ok(vetrina(&["enrol", "--undo", "--catalogue", &db]).output().unwrap());
        said
    };
    let right = said("V127");
    assert!(!right.contains("warning"), "{right}");
    let wrong = said("V101");
    assert!(wrong.contains("look more like other products than like V101") && wrong.contains("--undo"), "{wrong}");
    // The mirror's audit log has all of it.
    let noted = audited(&shop.path("audit.jsonl"));
    let actions: Vec<AuditAction> = noted.iter().map(|(action, _)| *action).collect();
    assert_eq!(actions, [AuditAction::Enrol, AuditAction::UndoEnrol].repeat(2), "{noted:?}");
    assert!(noted[1].1.contains("enrolment 1 undone") && noted[1].1.contains("views of V127"), "{noted:?}");
}

/// Lines of worn views for the shop of [`FEED`].
fn many_lines(count: usize) -> String {
    let view = r#"{"class":0,"score":0.5,"sharpness":1.0,"match":[1.0,2.0,3.0,4.0],"aggregation":[1.0,2.0,3.0,4.0]}"#;
    let views = [view; 8].join(",");
    let line = |number: usize| {
        format!(
            r#"{{"uid":"{number:032x}","made":"2026-01-01T00:00:00Z","camera":"c","model":"compact","descriptor_hash":"one","products":[{{"id":"2","views":[{views}]}}]}}"#
        )
    };
    (0..count).map(|number| line(number) + "\n").collect()
}

/// What the audit log has of the command line.
fn audited(path: &str) -> Vec<(AuditAction, String)> {
    let reading = AuditLog::new(path.into()).read().unwrap();
    assert_eq!(reading.broken, [0; 0]);
    let of_commands = reading.entries.into_iter().filter(|entry| entry.who == "command line");
    of_commands.map(|entry| (entry.action, entry.detail)).collect()
}

#[test]
fn an_import_of_worn_views_is_in_the_audit_log() {
    let shop = Shop::new();
    shop.import(FEED).unwrap();
    let path = |name: &str| shop.db().with_file_name(name).display().to_string();
    fs::write(path("audit.jsonl"), "").unwrap();
    fs::write(path("worn.jsonl"), many_lines(2)).unwrap();
    ok(vetrina(&["catalogue", "worn", "import", &path("worn.jsonl"), "--db", &path("shop.db")]).output().unwrap());
    let noted = audited(&path("audit.jsonl"));
    assert!(matches!(&noted[..], [(AuditAction::Enrol, said)] if said.starts_with("2 enrolments of ")), "{noted:?}");
}

fn forget(shop: &Shop) {
    Connection::open(shop.db()).unwrap().execute_batch("pragma foreign_keys = on; delete from enrolment;").unwrap();
}

#[test]
fn a_killed_import_of_worn_views_leaves_none_of_them_or_all() {
    let shop = Shop::new();
    shop.import(FEED).unwrap();
    let file = shop.folder.path().join("worn.jsonl");
    fs::write(&file, many_lines(1500)).unwrap();
    let db = shop.db().display().to_string();
    let start =
        || vetrina(&["catalogue", "worn", "import", "--db", &db]).arg(&file).stdout(Stdio::null()).spawn().unwrap();
    let began = std::time::Instant::now();
    assert!(start().wait().unwrap().success());
    let takes = began.elapsed();
    forget(&shop);
    let (mut none, mut all) = (0, 0);
    for round in 0..12u32 {
        let mut child = start();
        std::thread::sleep(takes * (round + 1) / 13);
        child.kill().unwrap();
        let status = child.wait().unwrap();
        let catalogue = shop.open();
        assert!(catalogue.check(None).unwrap().is_sound(), "round {round}");
        match catalogue.enrolments().unwrap().len() {
            0 => none += u32::from(status.signal() == Some(9)),
            1500 => {
                all += 1;
                drop(catalogue);
                forget(&shop);
            }
            some => panic!("round {round}: {some} of 1500 enrolments"),
        }
    }
    println!("{none} left none, {all} all");
    assert!(none >= 3, "no import was hit");
}

#[test]
fn a_killed_enrolment_leaves_nothing_of_it_or_all_and_what_was_there() {
    let shop = mirror::Shop::with_products(72);
    let db = shop.path("shop.db");
    let clip = repository("tests/worn/another-person.mjpg");
    let start = || {
        let mut command = vetrina(&["enrol", "V151", "--outfit", "V131", "--yes", "--catalogue", &db, "--from"]);
        command.arg(&clip).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let kept = || Catalogue::open(Path::new(&db)).unwrap().enrolments().unwrap();
    let began = std::time::Instant::now();
    assert!(start().wait().unwrap().success());
    let (mut takes, first) = (began.elapsed(), kept().remove(0));
    assert_eq!(first.products.len(), 2);
    let (mut none, mut all) = (0, 0);
    for share in [20, 50, 75, 85, 90, 94, 97, 100] {
        let mut child = start();
        std::thread::sleep(takes * share / 100);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(Catalogue::open(Path::new(&db)).unwrap().check(None).unwrap().is_sound(), "at {share} %");
        match &kept()[..] {
            [only] => {
                assert_eq!((only.number, &only.products), (first.number, &first.products), "at {share} %");
                none += 1;
            }
            [one, other] => {
                assert_eq!((&one.products, &other.products), (&first.products, &first.products), "at {share} %");
                all += 1;
                // It was faster than the first one: kill earlier.
                takes = takes * 4 / 5;
                ok(vetrina(&["enrol", "--undo", &other.number.max(one.number).to_string(), "--catalogue", &db])
                    .output()
                    .unwrap());
            }
            others => panic!("at {share} %: {others:?}"),
        }
    }
    println!("{none} left nothing, {all} all");
    assert!(none >= 2, "no enrolment was hit");
    assert!(start().wait().unwrap().success());
}

const LABELLED: &str = "id,title,image_link,gtin\nV101,Breton stripe tee,pictures/V101.jpg,4006381333931\n\
                        V102,Breton stripe tee,pictures/V102.jpg,0012345678905\nV103,Tee,pictures/V103.jpg,0012345678905\n";

#[test]
fn a_product_is_found_by_the_number_of_its_label() {
    let shop = mirror::Shop::empty();
    shop.import_feed("shop.db", LABELLED);
    let db = shop.path("shop.db");
    let catalogue = Catalogue::open(Path::new(&db)).unwrap();
    let found = |name: &str| {
        let targets = EnrolTarget::find(&catalogue, &[name.to_owned()], &CLASSES, &WornAt::default());
        targets.map(|targets| targets[0].id.clone()).map_err(|fault| fault.to_string())
    };
    for name in ["V101", "4006381333931", "04006381333931", "4 006381 333931"] {
        assert_eq!(found(name), Ok("V101".into()), "{name}");
    }
    let several = found("12345678905").unwrap_err();
    assert!(several.contains("V102 and V103 have the number") && several.contains("say which by its id"), "{several}");
    assert!(found("4006381333932").unwrap_err().contains("no product \"4006381333932\""));
    // A QR code that holds it, alone or in a GS1 address.
    for code in ["4006381333931", "https://id.gs1.org/01/04006381333931"] {
        assert_eq!(scan::product(&catalogue, code).unwrap().unwrap().id, "V101", "{code}");
    }
    drop(catalogue);
    // It is shown, and an export has it: importing that changes nothing.
    let shown = ok(vetrina(&["catalogue", "show", "V101", "--json", "--db", &db]).output().unwrap());
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["gtin"], "4006381333931", "{shown}");
    let exported = ok(vetrina(&["catalogue", "export", "--db", &db]).output().unwrap());
    assert!(exported.lines().nth(1).unwrap().ends_with(",4006381333931"), "{exported}");
    // The command finds it, and asks whoever wears it.
    let asked = |name: &str| {
        let mut command = vetrina(&["enrol", name, "--catalogue", &db, "--from"]);
        text(&command.arg(repository("demo/clips/2.mjpg")).stdin(Stdio::null()).output().unwrap().stderr)
    };
    assert!(asked("4006381333931").contains("must agree") && asked("4006381333932").contains("has no product"));
}

/// The numbers of a shop's enrolments, each with its views.
fn enrolments(shop: &mirror::Shop) -> Vec<(i64, usize)> {
    let catalogue = Catalogue::open(Path::new(&shop.path("shop.db"))).unwrap();
    assert!(catalogue.check(None).unwrap().is_sound());
    let mut all: Vec<(i64, usize)> =
        catalogue.enrolments().unwrap().iter().map(|one| (one.number, one.products.values().sum())).collect();
    all.sort_unstable();
    all
}
