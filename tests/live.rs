//! The appliance as a service manager runs it: `vetrina run` on clips instead of a camera, with the screen in a PNG
//! file.

#![allow(clippy::unwrap_used)]

mod mirror;

use mirror::http::{address, get};
use mirror::{Mirror, Shop, repository};
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[test]
fn a_clip_becomes_pixels_and_sigterm_ends_it_cleanly() {
    let shop = Shop::with_products(3);
    let mut mirror = Mirror::start(&shop, &shop.config("1.mjpg?loop", ""));
    mirror.wait_for_log("running");
    mirror.wait_for_log("1.mjpg?loop: ");
    mirror.wait_until("the screen shows somebody", || shop.screen().is_some_and(|screen| !plain(&screen)));
    mirror.signal("TERM");
    assert_eq!(mirror.wait_for_end(), Some(0), "{}", mirror.log());
    let log = mirror.log();
    assert!(log.contains("stopped") && !log.contains("left behind") && !log.contains("error"), "{log}");
}

/// Whether most of the screen is plain background: it shows no camera picture.
fn plain(screen: &image::RgbImage) -> bool {
    let ground = screen.get_pixel(0, 0);
    2 * screen.pixels().filter(|pixel| *pixel == ground).count() > screen.pixels().len()
}

#[test]
fn a_hangup_reloads_the_catalogue_and_refuses_a_bad_configuration() {
    let shop = Shop::with_products(2);
    let config = shop.config("1.mjpg?loop", "");
    let mut mirror = Mirror::start(&shop, &config);
    mirror.wait_for_log("2 products");
    mirror.wait_for_log("running");
    shop.import("other.db", 3);
    shop.write("vetrina.toml", &config.replace("shop.db", "other.db"));
    mirror.signal("HUP");
    mirror.wait_for_log("3 products");
    mirror.wait_for_log("reloaded");
    shop.write("vetrina.toml", "[camera]\nwidth = 0\n");
    mirror.signal("HUP");
    mirror.wait_for_log("line 2, camera.width: 0 must lie from 1 to 7680");
    assert!(mirror.log().contains("refused") && mirror.is_running());
    mirror.signal("INT");
    assert_eq!(mirror.wait_for_end(), Some(0), "{}", mirror.log());
}

#[test]
fn an_import_by_another_process_reaches_the_running_mirror() {
    let shop = Shop::with_products(2);
    let mut mirror = Mirror::start(&shop, &shop.config("2.mjpg?loop", ""));
    mirror.wait_for_log("2 products");
    mirror.wait_for_log("running");
    shop.import("shop.db", 4);
    mirror.wait_for_log("4 products");
    mirror.signal("TERM");
    assert_eq!(mirror.wait_for_end(), Some(0));
}

#[test]
fn a_replaced_catalogue_file_reaches_the_running_mirror() {
    let shop = Shop::with_products(2);
    shop.import("other.db", 5);
    let mut mirror = Mirror::start(&shop, &shop.config("2.mjpg?loop", ""));
    mirror.wait_for_log("2 products");
    mirror.wait_for_log("running");
    // The old file's write-ahead log must not be applied to the new file.
    shop.import("shop.db", 4);
    mirror.wait_for_log("4 products");
    // An invalid file first: the mirror keeps searching the old one until a valid one arrives.
    shop.write("torn.db", "no catalogue");
    fs::rename(shop.path("torn.db"), shop.path("shop.db")).unwrap();
    mirror.wait_for_log("reload refused");
    fs::rename(shop.path("other.db"), shop.path("shop.db")).unwrap();
    mirror.wait_for_log("5 products");
    mirror.signal("TERM");
    assert_eq!(mirror.wait_for_end(), Some(0));
    let listed = Command::new(env!("CARGO_BIN_EXE_vetrina"))
        .args(["catalogue", "check", "--db", &shop.path("shop.db")])
        .output()
        .unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
}

#[test]
fn after_several_hangups_the_last_configuration_applies() {
    let shop = Shop::with_products(2);
    let config = |clip: &str| shop.config_with_web(clip, "listen = \"127.0.0.1:0\"\n");
    let mut mirror = Mirror::start(&shop, &config("1.mjpg?loop"));
    let at = address(&mut mirror);
    mirror.wait_for_log("info: camera");
    for round in 0..20 {
        shop.write("vetrina.toml", &config(if round % 2 == 0 { "3.mjpg?loop" } else { "1.mjpg?loop" }));
        mirror.signal("HUP");
    }
    shop.write("vetrina.toml", &config("2.mjpg?loop"));
    mirror.signal("HUP");
    // The status names the current camera, not the previous one.
    mirror.wait_until("the last configuration counts", || {
        get(&at, "/status.json").json()["camera"].as_str().unwrap().ends_with("2.mjpg?loop: 540x960")
    });
    mirror.signal("TERM");
    assert_eq!(mirror.wait_for_end(), Some(0), "{}", mirror.log());
}

#[test]
fn an_unwritable_log_does_not_stop_the_mirror() {
    let shop = Shop::with_products(2);
    let config = shop.config("1.mjpg?loop", "");
    let mut mirror = Mirror::start_after(&shop, &config, "exec 2> /dev/full", &[]);
    mirror.wait_until("the screen shows somebody", || shop.screen().is_some_and(|screen| !plain(&screen)));
    // Causes a log message.
    shop.write("vetrina.toml", "[camera]\nwidth = 0\n");
    mirror.signal("HUP");
    fs::remove_file(shop.path("screen/screen.png")).unwrap();
    mirror.wait_until("the screen is drawn on", || shop.screen().is_some_and(|screen| !plain(&screen)));
    mirror.signal("TERM");
    assert_eq!(mirror.wait_for_end(), Some(0));
}

#[test]
fn a_missing_camera_is_waited_for() {
    let shop = Shop::with_products(2);
    let clip = shop.path("camera.mjpg");
    let mut mirror = Mirror::start(&shop, &shop.config_for(&format!("file://{clip}?loop"), ""));
    mirror.wait_for_log("the camera is away");
    mirror.wait_for_log("running");
    mirror.wait_until("the screen says so", || shop.screen().is_some_and(|screen| plain(&screen)));
    fs::copy(repository("demo/clips/1.mjpg"), &clip).unwrap();
    mirror.wait_for_log("info: camera file://");
    mirror.wait_until("the picture is back", || shop.screen().is_some_and(|screen| !plain(&screen)));
    mirror.signal("TERM");
    assert_eq!(mirror.wait_for_end(), Some(0));
}

#[test]
fn the_end_of_a_recording_ends_the_mirror() {
    let shop = Shop::with_products(2);
    let mut mirror = Mirror::start(&shop, &shop.config("3.mjpg?rate=240", ""));
    assert_eq!(mirror.wait_for_end(), Some(0), "{}", mirror.log());
}

#[test]
fn a_stuck_stage_is_named_and_restarted_once_and_then_ends_the_mirror() {
    let shop = Shop::with_products(2);
    // Opening a pipe without a writer blocks for ever.
    let pipe = shop.path("stuck.mjpg");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let more = "[watchdog]\nstall_seconds = 3\n";
    let mut mirror = Mirror::start(&shop, &shop.config_for(&format!("file://{pipe}"), more));
    assert_eq!(mirror.wait_for_end(), Some(1), "{}", mirror.log());
    let log = mirror.log();
    assert!(log.contains("the stage capture is stuck: no progress for 3s; the stage capture is restarted"), "{log}");
    assert!(log.contains("the stage capture failed again after a restart"), "{log}");
}

#[test]
fn the_service_manager_gets_status_and_watchdog_messages() {
    let shop = Shop::with_products(2);
    let path = shop.path("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    let environment = [("NOTIFY_SOCKET", path.as_str()), ("WATCHDOG_USEC", "500000")];
    let mut mirror = Mirror::start_with(&shop, &shop.config("1.mjpg?loop", ""), &environment);
    let expect = |wanted: &str| {
        let mut bytes = [0; 256];
        loop {
            let length = manager.recv(&mut bytes).unwrap();
            let message = String::from_utf8_lossy(&bytes[..length]).into_owned();
            if message.starts_with(wanted) {
                return message;
            }
        }
    };
    expect("READY=1");
    assert!(expect("STATUS=").contains("2 products"));
    expect("WATCHDOG=1");
    expect("WATCHDOG=1");
    mirror.signal("TERM");
    expect("STOPPING=1");
    assert_eq!(mirror.wait_for_end(), Some(0));
}

#[test]
fn startup_failures_end_with_their_exit_codes() {
    let shop = Shop::with_products(2);
    let end = |config: &str, code: i32, words: &str| {
        let mut mirror = Mirror::start(&shop, config);
        assert_eq!(mirror.wait_for_end(), Some(code), "{}", mirror.log());
        assert!(mirror.log().contains(words), "{}", mirror.log());
    };
    end("[camera]\ncolour = 1\n", 2, "line 2, camera.colour");
    end(&shop.config("1.mjpg", "").replace("shop.db", "none.db"), 5, "none.db");
    end(&shop.config("1.mjpg", "[model]\nfolder = \"nowhere\"\n"), 4, "nowhere");
    if !cfg!(feature = "tensorrt") {
        // A backend that is named explicitly is never replaced.
        end(&shop.config("1.mjpg", "[model]\nbackend = \"tensorrt\"\n"), 8, "--features tensorrt");
    }
}

#[test]
fn a_configuration_is_checked_and_printed_with_its_defaults() {
    let shop = Shop::empty();
    let check = |text: &str| {
        shop.write("check.toml", text);
        let path = shop.path("check.toml");
        Command::new(env!("CARGO_BIN_EXE_vetrina")).args(["check-config", &path]).output().unwrap()
    };
    let output = check("[shop]\nname = \"Bottega\"\n[web]\npassword = \"a long secret\"\n");
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("name = \"Bottega\"") && text.contains("rate = 30"), "{text}");
    assert!(!text.contains("a long secret"), "{text}");
    let output = check("\n[camera]\nwidht = 640\n");
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("check.toml") && error.contains("line 3, camera.widht"), "{error}");
}

/// Whether the screen is black.
fn black(screen: &image::RgbImage) -> bool {
    screen.pixels().all(|pixel| pixel.0 == [0; 3])
}

#[test]
fn an_idle_screen_goes_dark_and_a_person_wakes_it() {
    let shop = Shop::with_products(2);
    let idle = |config: String| config.replace("panel = ", "blank_after_seconds = 1\npanel = ");
    let environment = [("NOTIFY_SOCKET", shop.path("notify")), ("WATCHDOG_USEC", "500000".to_owned())];
    let manager = UnixDatagram::bind(shop.path("notify")).unwrap();
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let mut mirror = Mirror::start_with(&shop, &idle(shop.config_for("test://bars", "")), &environment);
    mirror.wait_for_log("the screen is dark");
    mirror.wait_until("it is black", || shop.screen().is_some_and(|screen| black(&screen)));
    // A dark screen feeds the watchdog too.
    manager.set_nonblocking(true).unwrap();
    let mut bytes = [0; 256];
    while manager.recv(&mut bytes).is_ok() {}
    manager.set_nonblocking(false).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut said = String::new();
    while said != "WATCHDOG=1" {
        let length = manager.recv(&mut bytes).unwrap();
        said = String::from_utf8_lossy(&bytes[..length]).into_owned();
    }
    assert!(shop.screen().is_some_and(|screen| black(&screen)));
    shop.write("vetrina.toml", &idle(shop.config("1.mjpg?loop", "")));
    mirror.signal("HUP");
    mirror.wait_for_log("the screen is lit");
    mirror.wait_until("somebody is on it", || shop.screen().is_some_and(|screen| !black(&screen) && !plain(&screen)));
    mirror.signal("TERM");
    assert_eq!(mirror.wait_for_end(), Some(0), "{}", mirror.log());
}

/// `HH:MM` in UTC, this many minutes from now.
fn utc(minutes: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64 / 60;
    let minute = (now + minutes).rem_euclid(24 * 60);
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

#[test]
fn the_screen_of_a_closed_shop_is_dark_by_local_time() {
    let shop = Shop::with_products(2);
    // Closed for two hours around now, in a time zone two hours ahead of UTC.
    let hours = format!("blank_from = \"{}\"\nblank_until = \"{}\"\npanel = ", utc(60), utc(180));
    let config = shop.config_for("test://bars", "").replace("panel = ", &hours);
    let mut mirror = Mirror::start_with(&shop, &config, &[("TZ", "EAST-2")]);
    mirror.wait_for_log("the screen is dark");
    mirror.wait_until("it is black", || shop.screen().is_some_and(|screen| black(&screen)));
    drop(mirror);
    let mut mirror = Mirror::start_with(&shop, &config, &[("TZ", "UTC0")]);
    mirror.wait_for_log("running");
    mirror.wait_until("the camera is shown", || shop.screen().is_some_and(|screen| !black(&screen)));
    assert!(!mirror.log().contains("dark"), "{}", mirror.log());
}

#[test]
fn a_hot_board_recognizes_less_and_reports_it_until_it_is_cool() {
    let shop = Shop::with_products(2);
    let zone = shop.path("sys/class/thermal/thermal_zone0");
    fs::create_dir_all(&zone).unwrap();
    let write = |name: &str, text: &str| fs::write(format!("{zone}/{name}"), text).unwrap();
    write("type", "cpu-thermal\n");
    write("temp", "97000\n");
    write("trip_point_0_type", "passive\n");
    write("trip_point_0_temp", "99000\n");
    let mut mirror = Mirror::start(&shop, &shop.config("1.mjpg?loop", ""));
    mirror.wait_for_log("cpu-thermal has 97 °C, the limit is 94 °C; recognition runs 1/2 of the time");
    write("temp", "60000\n");
    mirror.wait_for_log("the board has recovered");
    mirror.signal("TERM");
    assert_eq!(mirror.wait_for_end(), Some(0), "{}", mirror.log());
}

#[test]
fn a_board_short_of_power_recognizes_less_and_the_doctor_finds_the_throttle() {
    let shop = Shop::with_products(2);
    let write = |folder: &str, name: &str, text: &str| {
        fs::create_dir_all(shop.path(folder)).unwrap();
        fs::write(shop.path(&format!("{folder}/{name}")), text).unwrap();
    };
    write("sys/class/hwmon/hwmon3", "name", "soctherm_oc\n");
    write("sys/class/hwmon/hwmon3", "oc3_event_cnt", "27\n");
    let config = shop.config("1.mjpg?loop", "");
    let mut mirror = Mirror::start(&shop, &config);
    mirror.wait_for_log("running");
    let mut events = 27;
    let log = shop.path("log");
    mirror.wait_until("it reports too little power", || {
        // Increases at each poll: the first reading may come before or after the first event.
        events += 1;
        write("sys/class/hwmon/hwmon3", "oc3_event_cnt", &format!("{events}\n"));
        let words = "power: the board has drawn too much current; recognition runs 1/2 of the time";
        fs::read_to_string(&log).unwrap().contains(words)
    });
    mirror.signal("TERM");
    assert_eq!(mirror.wait_for_end(), Some(0), "{}", mirror.log());
    let doctor = || {
        let path = shop.path("vetrina.toml");
        let output = Command::new(env!("CARGO_BIN_EXE_vetrina")).args(["doctor", "--config", &path]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, table) = doctor();
    assert!(code == Some(0) && table.contains(&format!("{events} over-currents since boot")), "{table}");
    write("sys/class/thermal/cooling_device1", "type", "cpu-throttle-alert\n");
    write("sys/class/thermal/cooling_device1", "cur_state", "1\n");
    let (code, table) = doctor();
    assert!(code == Some(8) && table.contains("cpu-throttle-alert slows the board down"), "{table}");
}

/// Replaces ffmpeg: sends a bright picture ten times per second and writes its process id.
/// Fails unless it is asked for 8 bits per channel, which it must be for cameras with 10 bits.
const CAMERA_PROGRAM: &str = "#!/bin/sh
case \"$*\" in *'format=rgb24|rgba'*) ;; *) exit 1 ;; esac
echo $$ > \"$(dirname \"$0\")/pid\"
while printf 'P7\\nWIDTH 64\\nHEIGHT 48\\nDEPTH 3\\nMAXVAL 255\\nTUPLTYPE RGB\\nENDHDR\\n' && head -c 9216 /dev/zero | tr '\\0' '\\310'; do sleep 0.1; done
";

#[test]
fn the_program_that_reads_a_network_camera_is_restarted_and_ended() {
    let shop = Shop::with_products(2);
    let path = shop.program("ffmpeg", CAMERA_PROGRAM);
    let config = shop.config_for("rtsp://user:secret@camera/1", "");
    let mut mirror = Mirror::start_with(&shop, &config, &[("PATH", path.as_str())]);
    mirror.wait_for_log("info: camera rtsp://camera/1: 64x48");
    mirror.wait_for_log("running");
    let pid = || fs::read_to_string(shop.path("bin/pid")).unwrap().trim().to_owned();
    assert!(Command::new("sh").args(["-c", &format!("kill -KILL {}", pid())]).status().unwrap().success());
    mirror.wait_for_log("the camera is away: ffmpeg sends no more frames");
    let log = shop.path("log");
    mirror.wait_until("the camera is back", || {
        fs::read_to_string(&log).unwrap().matches("info: camera rtsp://camera/1").count() == 2
    });
    mirror.signal("TERM");
    assert_eq!(mirror.wait_for_end(), Some(0), "{}", mirror.log());
    assert!(!fs::exists(format!("/proc/{}", pid())).unwrap(), "the program is left behind");
    assert!(!mirror.log().contains("secret"), "{}", mirror.log());
}

#[test]
fn the_doctor_finds_what_works_and_what_does_not() {
    let shop = Shop::with_products(2);
    let ask = |config: &str| {
        shop.write("doctor.toml", config);
        let path = shop.path("doctor.toml");
        Command::new(env!("CARGO_BIN_EXE_vetrina")).args(["doctor", "--config", &path]).output().unwrap()
    };
    let output = ask(&shop.config_for("test://bars", ""));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{table}");
    for words in ["1280x720", "compact", "2 products", "MB free", "all is well"] {
        assert!(table.contains(words), "no {words:?} in {table}");
    }
    let output = ask(&shop.config_for("v4l2:///dev/v4l/by-id/none", "").replace("shop.db", "none.db"));
    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(8), "{table}");
    assert!(table.matches("FAULT").count() == 2 && table.contains("plug the camera in"), "{table}");
}
