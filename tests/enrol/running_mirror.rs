//! Staff enrol before the running mirror, from its page.

use super::*;

/// vetrina:correct horse
pub const PASSWORD: &str = "Authorization: Basic dmV0cmluYTpjb3JyZWN0IGhvcnNl\r\n";

#[test]
fn staff_enrol_before_the_running_mirror_and_say_whether_it_was_right() {
    let shop = mirror::Shop::with_products(72);
    let web = "listen = \"127.0.0.1:0\"\npassword = \"correct horse\"\n";
    let config = shop.config_with_web("1.mjpg?loop", web);
    let mut mirror = Mirror::start(&shop, &config);
    let at = address(&mut mirror);
    mirror.wait_for_log("running");
    let from_page = format!("{PASSWORD}x-vetrina: 1\r\n");
    let state = || get_with(&at, "/staff/enrol.json", PASSWORD).json();
    let send = |path: &str, body: Value| post(&at, path, &from_page, &body.to_string());
    assert!(get_with(&at, "/staff", PASSWORD).text().contains("staff.js"));
    assert_eq!(get_with(&at, "/staff/enrol.json", "").status, 401);
    assert_eq!(post(&at, "/staff/enrol", PASSWORD, r#"{"products":["V143"]}"#).status, 403, "another site's form");
    let found = get_with(&at, "/staff/products.json?q=jeans%20denim", PASSWORD).json();
    assert!(
        found["products"].as_array().unwrap().iter().any(|one| one["id"] == "V143" && one["worn_views"] == 0),
        "{found}"
    );
    assert_eq!(send("/staff/enrol", json!({ "products": ["V9999"] })).status, 404);
    assert_eq!(send("/staff/enrol", json!({ "products": [] })).status, 404);
    assert_eq!(send("/staff/enrol", json!({ "product": "V143" })).status, 400);
    assert_eq!(send("/staff/enrol", json!({ "products": ["V143", "V143"] })).status, 404);

    // Where it is worn, in place of what the catalogue says.
    let placed =
        |regions: Value| send("/staff/enrol", json!({ "products": ["V143", "V101"], "regions": regions })).status;
    assert_eq!((placed(json!({ "V143": "upper" })), placed(json!({ "V143": "foot" }))), (404, 400));
    assert_eq!(placed(json!({ "V143": "upper", "V101": "lower" })), 200);
    mirror.wait_until("it asks", || state()["phase"] == "asking");
    assert_eq!(
        (&state()["garments"][0]["region"], &state()["garments"][1]["region"]),
        (&json!("upper"), &json!("lower"))
    );
    assert_eq!(send("/staff/cancel", json!({})).status, 200);
    mirror.wait_until("it is cancelled", || state()["phase"] == "failed");

    // Nobody says yes, and it is cancelled.
    assert_eq!(send("/staff/enrol", json!({ "products": ["V143", "V101"] })).status, 200);
    mirror.wait_until("it asks", || state()["phase"] == "asking");
    assert!(state()["consent"].as_str().unwrap().contains("No picture is kept"));
    assert_eq!(send("/staff/enrol", json!({ "products": ["V101"] })).status, 409, "one at a time");
    assert_eq!(send("/staff/cancel", json!({})).status, 200);
    mirror.wait_until("it is cancelled", || state()["phase"] == "failed");
    assert!(state()["words"].as_str().unwrap().contains("nothing was kept"));

    // A yes.
    assert_eq!(send("/staff/enrol", json!({ "products": ["V143", "V101"] })).status, 200);
    mirror.wait_until("it asks", || state()["phase"] == "asking");
    assert_eq!(send("/staff/agree", json!({})).status, 200);
    mirror.wait_until("views are taken", || state()["phase"] == "watching");
    mirror.wait_until("it is over", || ["done", "failed"].iter().any(|phase| state()["phase"] == *phase));
    let done = state();
    assert_eq!((&done["phase"], &done["number"]), (&json!("done"), &json!(1)), "{done}");
    assert!(
        done["garments"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["region"] == "lower" && one["good"].as_u64() > Some(1)),
        "{done}"
    );
    mirror.wait_for_log("enrolment 1: ");
    let views = |id: &str| {
        let found = get_with(&at, &format!("/staff/products.json?q={id}"), PASSWORD).json();
        found["products"][0]["worn_views"].as_u64().unwrap()
    };
    assert!(views("V143") + views("V101") >= 2);

    // The answers of the catalogue with worn views; one is confirmed and kept.
    let answers = || get_with(&at, "/staff/answers.json", PASSWORD).json()["answers"].as_array().unwrap().clone();
    mirror
        .wait_until("there are answers", || answers().iter().any(|one| one["id"] == "V101" && one["judged"] == false));
    let before = views("V101");
    let answer = answers().into_iter().find(|one| one["id"] == "V101" && one["judged"] == false).unwrap();
    let number = answer["number"].as_u64().unwrap();
    assert_eq!(send("/staff/judge", json!({ "number": number, "judgement": "perhaps" })).status, 400);
    assert_eq!(send("/staff/judge", json!({ "number": number, "judgement": "other", "meant": "V9999" })).status, 404);
    let judged = send("/staff/judge", json!({ "number": number, "judgement": "right", "keep": true }));
    assert_eq!(judged.status, 200, "{}", judged.text());
    assert_eq!(send("/staff/judge", json!({ "number": number, "judgement": "right" })).status, 404, "once");
    assert_eq!(views("V101"), before + 1);
    // It was a mistake: the judgement goes with its worn view, and can be given again.
    let judged_ones = || {
        let catalogue = Catalogue::open(Path::new(&shop.path("shop.db"))).unwrap();
        catalogue.confirmed_weeks().unwrap().iter().map(|week| week.answers()).sum::<usize>()
    };
    let take_back = || send("/staff/take-back", json!({ "number": number })).status;
    assert_eq!(post(&at, "/staff/take-back", PASSWORD, &json!({ "number": number }).to_string()).status, 403);
    assert_eq!((judged_ones(), take_back()), (1, 200));
    assert_eq!((judged_ones(), views("V101"), take_back()), (0, before, 404));
    assert_eq!(send("/staff/judge", json!({ "number": number, "judgement": "right", "keep": true })).status, 200);
    assert_eq!(views("V101"), before + 1);
    let weeks = ok(vetrina(&["catalogue", "corrections", "--json", "--db", &shop.path("shop.db")]).output().unwrap());
    let weeks: Value = serde_json::from_str(&weeks).unwrap();
    assert_eq!((&weeks[0]["region"], &weeks[0]["right"]), (&json!("upper"), &json!(1)), "{weeks}");
    assert_eq!((&weeks[0]["answers"], &weeks[0]["precision"]), (&json!(1), &json!(1.0)), "{weeks}");
    let stats = |more: &[&str]| {
        let mut command = vetrina(&["stats", "--config", &shop.path("vetrina.toml")]);
        ok(command.args(more).output().unwrap())
    };
    let table = stats(&[]);
    assert!(table.contains("precision") && stats(&["--weeks"]).starts_with("week"), "{table}");
    assert!(table.contains("as staff confirmed:\nweek") && table.contains("upper"), "{table}");
    let of_json: Value = serde_json::from_str(&stats(&["--format", "json", "--days", "1"])).unwrap();
    assert_eq!(of_json["confirmed"], weeks);
    let csv = stats(&["--format", "csv", "--weeks"]);
    let line = format!("{},upper,1,1,0,0,1.000,", weeks[0]["week"].as_str().unwrap());
    assert!(csv.starts_with("week,region,answers,right,") && csv.lines().nth(1).unwrap().starts_with(&line), "{csv}");
    assert_eq!(get_with(&at, "/api/stats?format=csv&by=week", PASSWORD).text(), csv);
    assert_eq!(get_with(&at, "/api/stats", PASSWORD).json()["confirmed"], weeks);
    // Nobody asked for pictures of the answers.
    assert!(answers().iter().all(|one| one["has_crop"] == false), "{:?}", answers());
    assert_eq!(get_with(&at, &format!("/staff/crop.jpg?number={number}"), PASSWORD).status, 404);

    assert_eq!(send("/staff/undo", json!({ "number": 1 })).status, 200);
    assert_eq!((views("V143"), views("V101")), (0, 1));
    let log = AuditLog::new(shop.path("audit.jsonl").into()).read().unwrap();
    let noted: Vec<(AuditAction, &str)> = log
        .entries
        .iter()
        .filter(|entry| entry.who == "owner" && entry.action != AuditAction::Login)
        .map(|entry| (entry.action, entry.detail.as_str()))
        .collect();
    let (asked, agreed) = ((AuditAction::Enrol, "asked: V143, V101"), (AuditAction::Enrol, "agreed"));
    let judged = (AuditAction::Correct, "V101 was shown: right, kept as enrolment 2");
    let taken_back = (AuditAction::TakeBack, "V101 was shown, enrolment 2 undone");
    let again = (AuditAction::Correct, "V101 was shown: right, kept as enrolment 3");
    assert_eq!(noted[..7], [asked, asked, asked, agreed, judged, taken_back, again]);
    assert!(noted.len() == 8 && noted[7].1.starts_with("enrolment 1 undone: "), "{noted:?}");
    assert_eq!(send("/staff/undo", json!({ "number": 1 })).status, 404);
    assert_eq!(get_with(&at, "/staff/scan.json", PASSWORD).json()["product"], Value::Null);

    // It is killed while views are taken, and when they are written: the next start has all that was there, and no half of it.
    mirror.signal("TERM");
    mirror.wait_for_end();
    for (moment, passed) in [("views are taken", &["watching"][..]), ("they are written", &["storing", "done"])] {
        let before = enrolments(&shop);
        let mut mirror = Mirror::start(&shop, &config);
        let at = address(&mut mirror);
        mirror.wait_for_log("running");
        let phase = || get_with(&at, "/staff/enrol.json", PASSWORD).json()["phase"].clone();
        let send = |path: &str, body: Value| assert_eq!(post(&at, path, &from_page, &body.to_string()).status, 200);
        send("/staff/enrol", json!({ "products": ["V143", "V101"] }));
        mirror.wait_until("it asks", || phase() == "asking");
        send("/staff/agree", json!({}));
        mirror.wait_until(moment, || passed.iter().any(|word| phase() == *word));
        mirror.signal("KILL");
        mirror.wait_for_end();
        let after = enrolments(&shop);
        let new = &after[before.len()..];
        assert!(after.starts_with(&before) && new.len() < passed.len(), "{before:?} {after:?}");
        assert!(new.iter().all(|(_, views)| *views >= 2), "{after:?}");
    }
    let strange: Vec<String> = fs::read_dir(shop.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| {
            !["shop.db", "counts.db", "audit.jsonl", "feed.csv", "vetrina.toml", "log", "screen"]
                .iter()
                .any(|own| name.starts_with(own))
        })
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
}
