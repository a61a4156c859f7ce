//! An unknown time zone is reported, since the screen's hours depend on it.

#![allow(clippy::unwrap_used)]

mod mirror;

use mirror::{Mirror, Shop};
use std::process::Command;

const SAID: &str = "the time zone TZ=Mars/Olympus is unknown on this machine: UTC is used";

#[test]
fn the_mirror_and_doctor_report_an_unknown_time_zone() {
    let shop = Shop::empty();
    let config = shop.config_for("test://bars", "");
    let mut mirror = Mirror::start_with(&shop, &config, &[("TZ", "Mars/Olympus")]);
    mirror.wait_for_log(SAID);
    drop(mirror);
    let doctor = |zone: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vetrina"));
        command.args(["doctor", "--config", &shop.path("vetrina.toml")]).env("TZ", zone);
        let lines = String::from_utf8(command.output().unwrap().stdout).unwrap();
        lines.lines().find(|line| line.starts_with("time ")).unwrap().to_owned()
    };
    assert!(doctor("Mars/Olympus").contains(SAID), "{}", doctor("Mars/Olympus"));
    for known in ["EAST-2", "UTC0", ""] {
        assert!(doctor(known).contains(" ok "), "{}", doctor(known));
    }
}
