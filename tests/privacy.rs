//! What a running mirror writes and connects to: only the files of its catalogue, counts and logs, and its own address; what
//! its page shows, and to whom; and what its network can output at all.

#![allow(clippy::unwrap_used)]

mod mirror;

use mirror::http::{address, get, get_with, post};
use mirror::{Mirror, Shop, repository};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Number of inspections of the open files while frames are processed.
const LOOKS: usize = 40;

/// Regular files that the process has open for writing.
fn written(pid: u32) -> BTreeSet<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().filter_map(Result::ok);
    let written = entries.filter_map(|entry| {
        let target = fs::read_link(entry.path()).ok()?;
        let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", entry.file_name().to_string_lossy())).ok()?;
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?.trim();
        let writes = u32::from_str_radix(flags, 8).ok()? & 0o3 != 0;
        let name = target.to_string_lossy().into_owned();
        (writes && name.starts_with('/') && !name.starts_with("/dev/")).then_some(name)
    });
    written.collect()
}

/// Local addresses of the process's network sockets, as the kernel writes them.
fn sockets(pid: u32) -> BTreeSet<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().filter_map(Result::ok);
    let inode = |target: &Path| Some(target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned());
    let inodes: BTreeSet<String> = entries.filter_map(|entry| inode(&fs::read_link(entry.path()).ok()?)).collect();
    let tables = ["tcp", "tcp6", "udp", "udp6", "raw", "raw6"].map(|name| format!("/proc/{pid}/net/{name}"));
    let lines: Vec<String> = tables.iter().flat_map(fs::read_to_string).collect();
    let lines = lines.iter().flat_map(|text| text.lines().skip(1));
    lines
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            inodes.contains(*fields.get(9)?).then(|| fields[1].to_owned())
        })
        .collect()
}

fn names(folder: &str) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn no_frame_is_written_and_no_connection_is_made() {
    let shop = Shop::with_products(2);
    let config = shop.config_with_web("1.mjpg?loop", "listen = \"127.0.0.1:0\"\n").replace("\"png\"", "\"none\"");
    let mut mirror = Mirror::start(&shop, &config);
    mirror.wait_for_log("running");
    let (mut files, mut addresses, mut looks) = (BTreeSet::new(), BTreeSet::new(), 0);
    let pid = mirror.pid();
    mirror.wait_until("it was looked at often enough", || {
        files.extend(written(pid));
        addresses.extend(sockets(pid));
        looks += 1;
        looks == LOOKS
    });
    let names_of_own = ["shop.db", "shop.db-wal", "shop.db-shm", "counts.db", "counts.db-wal", "counts.db-shm", "log"];
    let own = names_of_own.map(|name| shop.path(name));
    let strange: Vec<&String> = files.iter().filter(|file| !own.contains(file)).collect();
    // The catalogue is not kept open; the counts are.
    assert!(strange.is_empty() && files.contains(&shop.path("counts.db")), "{files:?}");
    // 127.0.0.1 as the kernel writes it.
    assert!(addresses.len() == 1 && addresses.iter().all(|address| address.starts_with("0100007F:")), "{addresses:?}");
    mirror.signal("TERM");
    assert_eq!(mirror.wait_for_end(), Some(0));
    let left: BTreeSet<String> = names(&shop.path("."));
    let expected = [&names_of_own[..], &["audit.jsonl", "feed.csv", "vetrina.toml"]].concat();
    assert!(left.iter().all(|name| expected.contains(&name.as_str())), "{left:?}");
}

#[test]
fn only_the_record_command_writes_pictures_and_the_screen_says_so() {
    let shop = Shop::empty();
    shop.write("vetrina.toml", &shop.config("1.mjpg?loop&rate=10", ""));
    let record = || {
        Command::new(env!("CARGO_BIN_EXE_vetrina"))
            .args(["record", &shop.path("clip.mjpg"), "--seconds", "2", "--config", &shop.path("vetrina.toml")])
            .output()
            .unwrap()
    };
    let output = record();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let left = BTreeSet::from(["audit.jsonl", "clip.mjpg", "screen", "vetrina.toml"].map(String::from));
    assert_eq!(names(&shop.path(".")), left);
    assert!(vetrina(&shop, &["audit"]).contains("recorded the camera"));
    let mut clip = vetrina::capture::open(&shop.path("clip.mjpg")).unwrap();
    let first = clip.next().unwrap().unwrap().picture;
    let mut demo = vetrina::capture::open(&mirror::repository("demo/clips/1.mjpg").display().to_string()).unwrap();
    assert_eq!(first.size(), demo.next().unwrap().unwrap().picture.size());
    assert!(clip.next().unwrap().is_some(), "the clip has only one picture");
    // Instead of "Nothing is recorded" there is a warning, in a colour used nowhere else here.
    let screen = shop.screen().unwrap();
    let near = |pixel: &&image::Rgb<u8>| pixel.0.iter().zip([0xff, 0xcb, 0x8f]).all(|(a, b)| a.abs_diff(b) <= 10);
    assert!(screen.pixels().filter(near).count() > 10, "the screen does not announce the recording");
    let before = fs::read(shop.path("clip.mjpg")).unwrap();
    assert_eq!(record().status.code(), Some(2), "an existing file was overwritten");
    assert_eq!(fs::read(shop.path("clip.mjpg")).unwrap(), before);
}

/// Runs a command with the shop's configuration.
fn vetrina(shop: &Shop, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_vetrina"))
        .args(arguments)
        .args(["--config", &shop.path("vetrina.toml")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Every system call by which a program reaches another machine, over the whole life of a mirror with everything as it is by default.
#[test]
fn by_default_no_other_machine_is_called() {
    let shop = Shop::with_products(2);
    let trace = shop.path("trace");
    let calls = "trace=connect,sendto,sendmsg,sendmmsg,bind";
    if !Command::new("strace").args(["-o", &trace, "-e", calls, "true"]).status().is_ok_and(|status| status.success()) {
        return eprintln!("skipped: strace is not here, or may not trace (apt-get install strace)");
    }
    shop.write("vetrina.toml", &shop.config_with_web("1.mjpg?loop", "listen = \"127.0.0.1:0\"\n"));
    let log = fs::File::create(shop.path("log")).unwrap();
    let mut traced = Command::new("strace")
        .args(["-f", "-qq", "-o", &trace, "-e", calls, env!("CARGO_BIN_EXE_vetrina"), "run", "--config"])
        .arg(shop.path("vetrina.toml"))
        .stderr(log)
        .spawn()
        .unwrap();
    let started = std::time::Instant::now();
    let counted = shop.path("counts.db-wal");
    // Until somebody was there and was counted: all that could call somebody has had a reason to.
    while fs::metadata(&counted).map_or(0, |file| file.len()) < 20_000 && started.elapsed().as_secs() < 90 {
        assert!(traced.try_wait().unwrap().is_none(), "{}", fs::read_to_string(shop.path("log")).unwrap());
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    // Strace hands the signal on to nobody: its child is the mirror.
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", traced.id())).unwrap();
    assert!(Command::new("kill").arg(children.trim()).status().unwrap().success());
    traced.wait().unwrap();
    assert!(!vetrina(&shop, &["stats", "--format", "json"]).contains("\"hours\": []"), "nobody came");
    let text = fs::read_to_string(&trace).unwrap();
    let internet: Vec<&str> = text.lines().filter(|line| line.contains("AF_INET")).collect();
    let binds = |line: &&&str| line.contains("bind(") && line.contains("127.0.0.1");
    assert_eq!(internet.iter().filter(binds).count(), 1, "its own page: {text}");
    assert_eq!(internet.len(), 1, "{internet:#?}");
}

/// Every file that an enrolment opens to write, every byte that it writes, and whether it calls anybody.
#[test]
fn an_enrolment_writes_numbers_into_the_catalogue_and_nothing_else() {
    let shop = Shop::with_products(72);
    let trace = shop.path("trace");
    let calls = "trace=open,openat,openat2,creat,rename,renameat2,link,linkat,write,pwrite64,writev,connect,sendto,sendmsg,bind";
    if !Command::new("strace").args(["-o", &trace, "-e", calls, "true"]).status().is_ok_and(|status| status.success()) {
        return eprintln!("skipped: strace is not here, or may not trace (apt-get install strace)");
    }
    let before = names(&shop.path("."));
    let output = Command::new("strace")
        .args(["-f", "-qq", "-s", "100000", "-o", &trace, "-e", calls, env!("CARGO_BIN_EXE_vetrina")])
        .args(["enrol", "V151", "--outfit", "V131", "--yes", "--catalogue", &shop.path("shop.db"), "--from"])
        .arg(repository("tests/worn/another-person.mjpg"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = fs::read_to_string(&trace).unwrap();
    let own = ["shop.db", "shop.db-wal", "shop.db-shm"].map(|name| format!("{:?}", shop.path(name)));
    let call = |line: &str| line.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let opened: Vec<&str> = text
        .lines()
        .filter(|line| call(line).starts_with("open") || call(line).starts_with("creat("))
        .filter(|line| ["O_WRONLY", "O_RDWR", "O_CREAT", "creat("].iter().any(|word| line.contains(word)))
        .filter(|line| !line.contains("= -1 ") && !line.contains("\"/dev/null\""))
        .collect();
    let strange: Vec<&&str> = opened.iter().filter(|line| !own.iter().any(|name| line.contains(name))).collect();
    assert!(strange.is_empty() && !opened.is_empty(), "{strange:#?}");
    let moved: Vec<&str> =
        text.lines().filter(|line| call(line).starts_with("rename") || call(line).starts_with("link")).collect();
    assert!(moved.is_empty(), "a file changes its name: {moved:?}");
    // The begin of a JPEG or a PNG, as strace writes bytes.
    assert!(
        text.contains("pwrite64(") && !text.contains("\\377\\330\\377") && !text.contains("\\211PNG"),
        "a picture is written"
    );
    assert!(!text.contains("AF_INET"), "it calls somebody");
    let mut after = names(&shop.path("."));
    after.retain(|name| !name.starts_with("shop.db-"));
    assert_eq!(after, before);
}

/// Places inside the blocks of a coarse picture where it is not smooth.
fn details(bytes: &[u8]) -> usize {
    let picture = image::load_from_memory(bytes).unwrap().into_rgb8();
    let side = picture.width().max(picture.height()).div_ceil(16);
    let is_inside = |x: &u32| (side / 4..3 * side / 4).contains(&(x % side));
    let differs = |x: u32, y: u32| {
        let [here, next] = [x, x + 1].map(|x| picture.get_pixel(x, y).0);
        here.iter().zip(next).any(|(a, b)| a.abs_diff(b) > 24)
    };
    let rows = 0..picture.height();
    rows.map(|y| (0..picture.width() - 1).filter(|x| is_inside(x) && differs(*x, y)).count()).sum()
}

/// What staff sees of the last garments comes from memory, coarse unless the live picture is not, and is written into no file.
#[test]
fn crops_for_staff_are_shown_from_memory_and_written_nowhere() {
    let shop = Shop::with_products(72);
    let trace = shop.path("trace");
    let calls = "trace=open,openat,openat2,creat,write,pwrite64,writev,pwritev";
    if !Command::new("strace").args(["-o", &trace, "-e", calls, "true"]).status().is_ok_and(|status| status.success()) {
        return eprintln!("skipped: strace is not here, or may not trace (apt-get install strace)");
    }
    // Detached, so that the mirror is the child; with the file or socket of each descriptor.
    let traced = format!("exec strace -D -f -qq -y -s 100000 -o {trace} -e {calls} \"$0\" \"$@\"");
    let mut seen = Vec::new();
    for more in ["", "live_view = \"full\"\n"] {
        let config = shop.config_with_web("1.mjpg?loop", "listen = \"127.0.0.1:0\"\n").replace("\"png\"", "\"none\"");
        let config = format!("{config}[privacy]\nstaff_crops = true\n{more}");
        let mut mirror = Mirror::start_after(&shop, &config, &traced, &[]);
        let at = address(&mut mirror);
        let newest = || get(&at, "/staff/answers.json").json()["answers"][0].clone();
        mirror.wait_until("there is an answer with a crop", || newest()["has_crop"] == true);
        let crop = get(&at, &format!("/staff/crop.jpg?number={}", newest()["number"]));
        assert!(crop.status == 200 && crop.head.contains("cache-control: no-store"), "{}", crop.head);
        let size = image::load_from_memory(&crop.body).unwrap();
        assert!((20..=240).contains(&size.width().max(size.height())), "{}x{}", size.width(), size.height());
        seen.push(details(&crop.body));
        assert_eq!(get(&at, "/staff/crop.jpg?number=99999").status, 404);
        mirror.wait_until("the log has the look", || {
            vetrina(&shop, &["audit"]).contains("pictures of the last garments")
        });
        mirror.signal("TERM");
        assert_eq!(mirror.wait_for_end(), Some(0));
        let text = fs::read_to_string(&trace).unwrap();
        let writes: Vec<&str> = text.lines().filter(|line| line.contains("write")).collect();
        let jpeg = |line: &&&str| line.contains("\\377\\330\\377");
        // The page's answers are on sockets, everything else on files.
        assert!(
            writes.iter().filter(jpeg).all(|line| line.contains("<socket:") || line.contains("<TCP")),
            "a picture is written"
        );
        assert!(writes.iter().any(|line| line.contains("counts.db-wal>")), "no file is traced");
        let own = ["shop.db", "counts.db", "audit.jsonl"].map(|name| format!("\"{}", shop.path(name)));
        let opened = text.lines().filter(|line| line.contains(" open") && !line.contains("= -1 "));
        let written = opened.filter(|line| ["O_WRONLY", "O_RDWR", "O_CREAT"].iter().any(|word| line.contains(word)));
        let strange: Vec<&str> = written
            .filter(|line| !line.contains("\"/dev/null\"") && !own.iter().any(|name| line.contains(name.as_str())))
            .collect();
        assert!(strange.is_empty(), "{strange:#?}");
    }
    let [blurred, full] = seen[..] else { panic!("{seen:?}") };
    assert!(full > 100 && blurred * 20 < full, "{seen:?}");
    assert!(vetrina(&shop, &["audit"]).contains("live view full, staff crops"));
    let said = vetrina(&shop, &["privacy"]);
    assert!(said.contains("privacy.staff_crops") && said.contains("small pictures of the garments"), "{said}");
}

#[test]
fn the_live_picture_is_coarse_unless_it_is_said_otherwise() {
    let shop = Shop::with_products(2);
    let mut seen = Vec::new();
    for view in ["", "[privacy]\nlive_view = \"full\"\nmask = [[0, 0, 1, 1]]\n", "[privacy]\nlive_view = \"full\"\n"] {
        let config = shop.config_with_web("1.mjpg?loop", "listen = \"127.0.0.1:0\"\n") + view;
        let mut mirror = Mirror::start(&shop, &config);
        let at = address(&mut mirror);
        mirror.wait_until("there is a picture", || get(&at, "/frame.jpg").status == 200);
        seen.push(details(&get(&at, "/frame.jpg").body));
    }
    let [blurred, masked, full] = seen[..] else { panic!("{seen:?}") };
    assert!(masked == 0 && full > 100 && blurred * 20 < full, "{seen:?}");
    let off = shop.config_with_web("1.mjpg?loop", "listen = \"127.0.0.1:0\"\n") + "[privacy]\nlive_view = \"off\"\n";
    let mut mirror = Mirror::start(&shop, &off);
    let at = address(&mut mirror);
    assert_eq!((get(&at, "/frame.jpg").status, get(&at, "/live.mjpg").status), (403, 403));
    let audit = vetrina(&shop, &["audit"]);
    assert_eq!(audit.matches("looked at the live picture").count(), 3, "{audit}");
    assert_eq!(audit.matches("mirror started").count(), 4, "{audit}");
}

#[test]
fn staff_sees_and_the_owner_changes_and_both_are_in_the_log() {
    let shop = Shop::with_products(3);
    // A second generation, so that there is one to go back to.
    shop.import("shop.db", 2);
    let web = "listen = \"127.0.0.1:0\"\npassword = \"correct horse\"\nstaff_password = \"battery staple\"\n";
    let mut mirror = Mirror::start(&shop, &shop.config_with_web("1.mjpg?loop", web));
    let at = address(&mut mirror);
    // vetrina:correct horse, staff:battery staple, staff:correct horse
    let owner = "Authorization: Basic dmV0cmluYTpjb3JyZWN0IGhvcnNl\r\n";
    let staff = "Authorization: Basic c3RhZmY6YmF0dGVyeSBzdGFwbGU=\r\n";
    let wrong = "Authorization: Basic c3RhZmY6Y29ycmVjdCBob3JzZQ==\r\n";
    let status = |path: &str, who: &str| get_with(&at, path, who).status;
    assert_eq!([owner, staff, wrong].map(|who| status("/", who)), [200, 200, 401]);
    assert_eq!([owner, staff, wrong].map(|who| status("/api/stats", who)), [200, 200, 401]);
    assert_eq!([owner, staff, wrong].map(|who| status("/audit.json", who)), [200, 403, 401]);
    let undo = |who: &str| post(&at, "/api/undo", &format!("{who}x-vetrina: 1\r\n"), "").status;
    assert_eq!((undo(staff), undo(wrong)), (403, 401));
    assert_eq!(undo(owner), 200);
    // What was not done is not logged: there is no such generation, it is no JSON, nobody was asked.
    let asks = |path: &str, body: &str| post(&at, path, &format!("{owner}x-vetrina: 1\r\n"), body).status;
    assert_eq!((asks("/api/undo", r#"{"to": 99}"#), asks("/api/undo", "{"), asks("/staff/agree", "")), (404, 400, 409));
    mirror.wait_until("all of it is logged", || {
        let log = get_with(&at, "/audit.json", owner).json();
        let entries = log["entries"].as_array().unwrap();
        let lines: BTreeSet<(&str, &str)> =
            entries.iter().map(|one| (one["who"].as_str().unwrap(), one["action"].as_str().unwrap())).collect();
        let expected = [
            ("mirror", "start"),
            ("owner", "login"),
            ("staff", "login"),
            ("unknown", "login_refused"),
            ("owner", "undo"),
        ];
        assert!(log["broken"].as_array().unwrap().is_empty() && entries.len() <= expected.len(), "{log}");
        expected.iter().all(|line| lines.contains(line))
    });
}

/// A field of a protocol buffer's message: its number, and its bytes where it has some.
fn fields(mut bytes: &[u8]) -> Vec<(u64, &[u8])> {
    let mut found = Vec::new();
    let number = |bytes: &mut &[u8]| {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return value;
            }
        }
    };
    while !bytes.is_empty() {
        let key = number(&mut bytes);
        let length = match key & 7 {
            0 => {
                number(&mut bytes);
                0
            }
            1 => 8,
            5 => 4,
            _ => number(&mut bytes) as usize,
        };
        found.push((key >> 3, &bytes[..length]));
        bytes = &bytes[length..];
    }
    found
}

/// The names of a graph's outputs.
fn outputs(onnx: &[u8]) -> Vec<String> {
    // ModelProto.graph, GraphProto.output, ValueInfoProto.name
    let inside =
        |bytes, wanted| fields(bytes).into_iter().filter(move |(number, _)| *number == wanted).map(|one| one.1);
    let graph = inside(onnx, 7).next().unwrap();
    let names = inside(graph, 12).map(|output| inside(output, 1).next().unwrap());
    names.map(|name| String::from_utf8(name.to_vec()).unwrap()).collect()
}

/// Nobody's sex, age, feelings or face come out of the network: it has no output for them, and no class.
#[test]
fn the_network_knows_garments_and_nothing_of_people() {
    let parts =
        ["sleeved", "shirt", "outwear", "vest", "sling", "shorts", "trousers", "skirt", "dress", "short", "long"];
    // How surely there is something, where it is, which class, what it looks like; and the aggregator's weights.
    let told = ["p", "objectness", "deltas", "class_logits", "box_deltas"];
    let told = [&told[..], &["match_embedding", "aggregation_embedding", "query", "attention"]].concat();
    let mut graphs = 0;
    for model in fs::read_dir(repository("models")).unwrap().map(|entry| entry.unwrap().path()) {
        let text = fs::read_to_string(model.join("model.toml")).unwrap();
        let manifest: toml::Table = text.parse().unwrap();
        for class in manifest["classes"].as_array().unwrap() {
            let class = class.as_str().unwrap();
            assert!(class.split('_').all(|word| parts.contains(&word)), "{class} is no garment");
        }
        for file in fs::read_dir(&model).unwrap().map(|entry| entry.unwrap().path()) {
            if file.extension().is_none_or(|ending| ending != "onnx") {
                continue;
            }
            graphs += 1;
            let names = outputs(&fs::read(&file).unwrap());
            assert!(!names.is_empty(), "{}", file.display());
            for name in names {
                let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
                assert!(told.contains(&bare), "{}: what is {name}?", file.display());
            }
        }
    }
    assert!(graphs >= 4);
}
