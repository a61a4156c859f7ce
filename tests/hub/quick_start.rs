//! The quick start of docs/chain.md, by the commands that stand there, and all that it promises: mirrors of two shops, a price that
//! changes on the right screens, and a worn view of one mirror that wins at another.

use super::*;

/// The user `vetrina` of the mirrors' pages.
const PASSWORD: &str = "Authorization: Basic dmV0cmluYTpjb3JyZWN0IGhvcnNl\r\n";
/// A skirt that both shops sell. The picture that they have of it shows another one.
const SKIRT: &str = "V151";
/// Frames of the demo's third clip in which somebody wears it.
const WORN: std::ops::Range<usize> = 46..58;

/// A mirror that has joined the hub, and runs.
struct Joined {
    folder: Shop,
    mirror: Mirror,
    at: String,
}

impl Joined {
    fn start(hub: &Hub, served: &Served, name: &str, shop: &str, camera: &str) -> Self {
        let (folder, config) = follower(hub, &format!("{}/releases/{shop}", served.url()));
        let code = done(&["hub", "enrol", shop, name, "--database", &hub.database]);
        let join = ["sync", "join", &served.url(), &code, "--config", &folder.path("vetrina.toml")];
        assert!(done(&join).contains(name));
        refused(&join, 8, "the code is none, was used");
        let config = config.replace("test://bars", camera).replace("[web]\n", "[web]\npassword = \"correct horse\"\n");
        let mut mirror = Mirror::start(&folder, &config);
        let at = http::address(&mut mirror);
        Joined { folder, mirror, at }
    }

    fn db(&self) -> String {
        self.folder.path("shop.db")
    }

    fn get(&self, path: &str) -> Value {
        http::get_with(&self.at, path, PASSWORD).json()
    }

    fn wait_for_release(&mut self, number: u64, products: u64) {
        let status = || http::get_with(&self.at, "/status.json", PASSWORD).json();
        self.mirror.wait_until(&format!("it shows release {number}"), || {
            let now = status();
            (now["sync"]["release"].as_u64(), now["products"].as_u64()) == (Some(number), Some(products))
        });
    }

    /// As its page finds it.
    fn price(&self) -> Value {
        self.get(&format!("/catalogue.json?q={SKIRT}"))["products"][0]["price"].clone()
    }

    /// Whether the skirt is the first of the matches for a garment of the clip.
    fn finds_the_skirt(&self, clip: &str) -> bool {
        let found: Value = serde_json::from_str(&done(&["match", clip, "--json", "--catalogue", &self.db()])).unwrap();
        let garments = found["garments"].as_array().unwrap();
        assert!(!garments.is_empty(), "{found}");
        garments.iter().any(|garment| garment["matches"][0]["id"] == SKIRT)
    }

    fn worn_views(&self) -> Option<usize> {
        Catalogue::open(self.db().as_ref()).unwrap().worn_views().unwrap().get(SKIRT).copied()
    }
}

/// Runs the commands of the quick start as they stand in docs/chain.md, in the hub's folder, on its database.
fn quick_start(hub: &Hub) {
    let text = fs::read_to_string(repository("docs/chain.md")).unwrap();
    let (_, section) = text.split_once("## Quick start").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let commands: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    let (example, commands) = ("postgres://hub@localhost/hub", commands.join("\n"));
    assert!(commands.contains(example), "{commands}");
    let programs = std::path::Path::new(env!("CARGO_BIN_EXE_vetrina")).parent().unwrap().display().to_string();
    let output = Command::new("sh")
        .args(["-ec", &commands.replace(example, &hub.database)])
        .current_dir(hub.shop.path(""))
        .env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A feed of the demo's products in which the skirt has another one's picture, and links begin in the folder of pictures.
fn feed(hub: &Hub, name: &str, from: usize, count: usize) -> String {
    let path = hub.feed(name, from, count);
    let text = fs::read_to_string(&path).unwrap().replace("pictures/", "");
    hub.shop.write(name, &text.replace("V151.jpg", "V156.jpg"));
    path
}

/// Keeps every report of a mirror that comes from now on: there is one after each of its polls.
fn keep_reports(hub: &Hub) {
    hub.postgres.sql(
        "hub",
        "create table report (mirror text, release bigint, at timestamptz default clock_timestamp());
         create function keep() returns trigger language plpgsql as $$ begin
           insert into report values (new.name, (new.heartbeat::json ->> 'release')::bigint); return new;
         end $$;
         create trigger keep after update of heartbeat on mirror for each row execute function keep()",
    );
}

/// The polls of a mirror that ended after Berlin's release 2 was made, and did not bring it.
fn polls_without(hub: &Hub, mirror: &str) -> i64 {
    hub.count(&format!(
        "report, release where release.shop = 'berlin' and release.number = 2 and at > made
         and report.release = 1 and mirror = '{mirror}'"
    ))
}

/// Part of the demo's third clip, as a camera that shows it again and again.
fn somebody_in_the_skirt(hub: &Hub) -> String {
    let clip = fs::read(repository("demo/clips/3.mjpg")).unwrap();
    let begins: Vec<usize> = (0..clip.len()).filter(|at| clip[*at..].starts_with(&[0xff, 0xd8, 0xff])).collect();
    let path = hub.shop.path("worn.mjpg");
    fs::write(&path, &clip[begins[WORN.start]..begins[WORN.end]]).unwrap();
    path
}

#[test]
fn the_quick_start_gives_mirrors_of_two_shops_that_follow_a_price_and_learn_from_each_other() {
    let Some(hub) = Hub::empty() else { return };
    let berlin = feed(&hub, "berlin.csv", 50, 4);
    std::os::unix::fs::symlink(repository("demo/pictures"), hub.shop.path("pictures")).unwrap();
    quick_start(&hub);
    assert_eq!((hub.count("offer"), hub.count("job"), hub.count("release")), (4, 0, 1));
    let pictures = hub.shop.path("pictures");
    for (shop, from, count) in [("hamburg", 49, 3), ("leipzig", 52, 2)] {
        let feed = feed(&hub, &format!("{shop}.csv"), from, count);
        done(&["hub", "import", &feed, "--images", &pictures, "--shop", shop, "--database", &hub.database]);
    }
    assert_eq!(hub.count("job"), 1, "pictures that several shops show are embedded once");
    refused(&strs(&hub.publish_command("hamburg")), 2, "are not embedded yet");
    assert_eq!(hub.work()["embedded"], 1);
    let publish = || ["berlin", "hamburg", "leipzig"].map(|shop| hub.publish(shop)["is_new"].as_bool().unwrap());
    assert_eq!(publish(), [false, true, true]);

    let served = Served::start(&hub, &[]);
    let clip = somebody_in_the_skirt(&hub);
    let camera = format!("file://{clip}?loop");
    let start = |name, shop, camera| Joined::start(&hub, &served, name, shop, camera);
    let mut b1 = start("b1", "berlin", "test://bars");
    let mut b2 = start("b2", "berlin", "test://bars");
    let mut h1 = start("h1", "hamburg", &camera);
    for (mirror, products) in [(&mut b1, 4), (&mut b2, 4), (&mut h1, 3)] {
        mirror.wait_for_release(1, products);
        mirror.mirror.wait_until("it runs", || {
            http::get_with(&mirror.at, "/status.json", PASSWORD).json()["phase"] == "running"
        });
    }
    // The catalogue is the one that an import at the mirror makes, descriptors and all.
    let own = hub.shop.path("own.db");
    done(&["catalogue", "import", &berlin, "--images", &pictures, "--db", &own]);
    let state = |db: &str| Catalogue::open(db.as_ref()).unwrap().state().unwrap();
    assert_eq!(state(&b1.db()), state(&own));

    // The skirt is sold in both shops; its price changes in one.
    keep_reports(&hub);
    let old_price = h1.price();
    let reloads = |mirror: &Joined| mirror.mirror.log().matches("reloaded").count();
    let before = [&b1, &b2].map(reloads);
    let changed = Instant::now();
    done(&["hub", "price", "berlin", SKIRT, "12.50 EUR", "--database", &hub.database]);
    assert_eq!(hub.publish("berlin")["delta_bytes"].as_array().unwrap().len(), 1);
    for (mirror, before) in [&mut b1, &mut b2].into_iter().zip(before) {
        mirror.wait_for_release(2, 4);
        let log = mirror.mirror.log_path();
        mirror
            .mirror
            .wait_until("it searches it", || fs::read_to_string(&log).unwrap().matches("reloaded").count() > before);
        assert_eq!(mirror.price(), "12.50 EUR");
    }
    let took = changed.elapsed();
    eprintln!("the price was changed, published and on both mirrors in {took:?}; mean poll 2 s");
    assert!(took < Duration::from_secs(60), "{took:?}");
    let fleet = || {
        let fleet = json(&["hub", "status", "--database", &hub.database]);
        let mirrors = fleet["mirrors"].as_array().unwrap();
        mirrors.iter().filter_map(|mirror| mirror["release"].as_i64()).collect::<Vec<_>>()
    };
    b1.mirror.wait_until("the fleet is seen", || fleet() == [2, 2, 1]);
    // One that had begun before may end after it; the next one brings it.
    assert!(["b1", "b2"].iter().all(|mirror| polls_without(&hub, mirror) <= 1), "within two polls");
    assert_eq!((h1.price(), h1.get("/status.json")["sync"]["release"].as_u64()), (old_price.clone(), Some(1)));
    assert_ne!(old_price, "12.50 EUR");
    let metrics = http::get_with(&b1.at, "/metrics", PASSWORD).text();
    assert_eq!(http::metric(&metrics, "vetrina_catalogue_release"), Some(2.0), "{metrics}");
    assert!(http::metric(&metrics, "vetrina_catalogue_age_seconds").unwrap() < 120.0);

    // One mirror's staff enrol the skirt on another person.
    assert_eq!([&b2, &h1].map(|mirror| mirror.finds_the_skirt(&clip)), [false; 2], "its picture shows another one");
    let other = repository("tests/worn/another-person.mjpg").display().to_string();
    done(&["enrol", SKIRT, "--from", &other, "--yes", "--catalogue", &b1.db()]);
    let views = b1.worn_views();
    assert!(views > Some(1), "{views:?}");
    b1.mirror.wait_until("the hub has it", || hub.count("worn") == 1);
    assert_eq!(publish(), [true, true, false], "Leipzig does not sell it");
    for (mirror, release, products) in [(&mut b1, 3, 4), (&mut b2, 3, 4), (&mut h1, 2, 3)] {
        mirror.wait_for_release(release, products);
        assert_eq!(mirror.worn_views(), views, "once, also where it is from");
    }
    assert_eq!([&b2, &h1].map(|mirror| mirror.finds_the_skirt(&clip)), [true; 2]);
    let answers = || http::get_with(&h1.at, "/staff/answers.json", PASSWORD).json()["answers"].clone();
    h1.mirror.wait_until("it answers with the skirt", || {
        answers().as_array().unwrap().iter().any(|answer| answer["id"] == SKIRT)
    });
    assert_eq!(publish(), [false; 3]);

    // Nothing of it needs the hub.
    drop(served);
    let status = || http::get_with(&b2.at, "/status.json", PASSWORD).json();
    b2.mirror.wait_until("it says that the hub is away", || !status()["sync"]["fault"].is_null());
    let now = status();
    assert_eq!((now["status"].as_str(), now["products"].as_u64()), (Some("running"), Some(4)));
    assert!(now["sync"]["age_seconds"].is_u64(), "{now}");
}
