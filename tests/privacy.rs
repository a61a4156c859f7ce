//! What a running mirror writes and connects to: only its catalogue's files, its log, and its own address.

#![allow(clippy::unwrap_used)]

mod mirror;

use mirror::{Mirror, Shop};
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
    let own = ["shop.db", "shop.db-wal", "shop.db-shm", "log"].map(|name| shop.path(name));
    let strange: Vec<&String> = files.iter().filter(|file| !own.contains(file)).collect();
    assert!(strange.is_empty() && files.contains(&own[0]), "{files:?}");
    // 127.0.0.1 as the kernel writes it.
    assert!(addresses.len() == 1 && addresses.iter().all(|address| address.starts_with("0100007F:")), "{addresses:?}");
    mirror.signal("TERM");
    assert_eq!(mirror.wait_for_end(), Some(0));
    let left: BTreeSet<String> = names(&shop.path("."));
    let expected = ["feed.csv", "log", "shop.db", "shop.db-shm", "shop.db-wal", "vetrina.toml"];
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
    assert_eq!(names(&shop.path(".")), BTreeSet::from(["clip.mjpg", "screen", "vetrina.toml"].map(String::from)));
    let mut clip = vetrina::capture::open(&shop.path("clip.mjpg")).unwrap();
    let first = clip.next().unwrap().unwrap().picture;
    let mut demo = vetrina::capture::open(&mirror::repository("demo/clips/1.mjpg").display().to_string()).unwrap();
    assert_eq!(first.size(), demo.next().unwrap().unwrap().picture.size());
    assert!(clip.next().unwrap().is_some(), "the clip has only one picture");
    // Instead of "Nothing is recorded" there is a warning, in a colour used nowhere else here.
    let screen = shop.screen().unwrap();
    let warning = |pixel: &&image::Rgb<u8>| pixel.0[0] > 200 && pixel.0[2] < 110;
    assert!(screen.pixels().filter(warning).count() > 20, "the screen does not announce the recording");
    let before = fs::read(shop.path("clip.mjpg")).unwrap();
    assert_eq!(record().status.code(), Some(2), "an existing file was overwritten");
    assert_eq!(fs::read(shop.path("clip.mjpg")).unwrap(), before);
}
