//! What staff write — enrolments, corrections, their undo, worn views of another mirror — in a process that is killed at random moments
//! of it: the catalogue has every write that was reported, at most one that was not, and no half of any.
//!
//! The seed is printed. `VETRINA_KILLS` sets the number of kills, `VETRINA_SEED` the seed.

#![allow(clippy::unwrap_used)]

mod kills;
mod shop;

use rusqlite::Connection;
use shop::{FEED, LENGTH, Shop, stamp};
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use vetrina::catalogue::correction::{JudgedAnswer, Judgement};
use vetrina::catalogue::{Catalogue, WornProduct, WornView};
use vetrina::evaluation::random::SeededRng;
use vetrina::seam::Region;

const KILLS: u64 = 60;
const SEED: u64 = 20_261_128;
const SIGKILL: i32 = 9;
const WRITES: usize = 12;
/// The catalogue that the killed process writes to.
const WRITER: &str = "VETRINA_KILLED_WRITER";

fn worn(id: &str, views: usize) -> WornProduct {
    let view = |at: usize| WornView {
        class: 0,
        score: 0.9,
        sharpness: 0.8,
        match_embedding: Arc::from([at as f32; LENGTH]),
        aggregation_embedding: Arc::from([-(at as f32); LENGTH]),
    };
    WornProduct { id: id.into(), views: (0..views).map(view).collect() }
}

/// Two enrolments as another mirror exports them.
fn lines(at: usize) -> String {
    let line = |number: usize| {
        let view =
            r#"{"class":0,"score":0.5,"sharpness":1.0,"match":[1.0,2.0,3.0,4.0],"aggregation":[1.0,2.0,3.0,4.0]}"#;
        format!(
            r#"{{"uid":"{number:032x}","made":"2026-01-01T00:00:00Z","camera":"c","model":"compact","descriptor_hash":"one","products":[{{"id":"3","views":[{view},{view}]}}]}}"#
        )
    };
    [2 * at, 2 * at + 1].map(|number| line(number) + "\n").concat()
}

/// The write of this number: what staff's page and the commands call.
fn write(catalogue: &mut Catalogue, at: usize) {
    let answer = JudgedAnswer {
        region: Some(Region::Upper),
        shown: "1".into(),
        logit: 2.5,
        margin: Some(0.5),
        verdict: "likely",
        descriptor_hash: "one".into(),
    };
    match at % 6 {
        0 => {
            drop(catalogue.enrol(&format!("clip {at}"), &stamp("one"), &[worn("1", at % 8 + 1), worn("2", 8)]).unwrap())
        }
        1 => drop(catalogue.correct(&answer, &Judgement::Right).unwrap()),
        2 => drop(catalogue.import_worn(lines(at).as_bytes()).unwrap()),
        3 => drop(catalogue.correct(&answer, &Judgement::Other("2".into())).unwrap()),
        4 => drop(catalogue.undo_enrolment(None).unwrap()),
        _ => drop(catalogue.correct(&answer, &Judgement::NotOurs).unwrap()),
    }
}

/// What is in the catalogue: each enrolment's number and views, how often each judgement was given, the views that count.
type State = (BTreeMap<i64, usize>, [usize; 3], BTreeMap<String, usize>);

fn state(catalogue: &Catalogue) -> State {
    let enrolments = catalogue.enrolments().unwrap();
    let weeks = catalogue.confirmed_weeks().unwrap();
    let judged =
        weeks.iter().fold([0; 3], |sum, week| [sum[0] + week.right, sum[1] + week.other, sum[2] + week.not_ours]);
    let enrolled = enrolments.iter().map(|one| (one.number, one.products.values().sum())).collect();
    (enrolled, judged, catalogue.worn_views().unwrap())
}

/// Not a test of its own: the process that is killed. It says each write that is done.
#[test]
fn writer() {
    let Some(path) = env::var_os(WRITER) else { return };
    let mut catalogue = Catalogue::open(Path::new(&path)).unwrap();
    for at in 0..WRITES {
        write(&mut catalogue, at);
        println!("\nwritten {at}");
    }
}

fn start(path: &Path) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "writer", "--nocapture"]).env(WRITER, path);
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// The number of writes that it reported.
fn reported(child: &mut Child) -> usize {
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    said.lines().filter(|line| line.starts_with("written ")).count()
}

/// A shop without writes, in one file.
fn fresh(shop: &Shop) -> PathBuf {
    shop.import(FEED).unwrap();
    let file = shop.folder.path().join("fresh.db");
    Connection::open(shop.db()).unwrap().execute("vacuum into ?", [file.display().to_string()]).unwrap();
    file
}

#[test]
fn a_kill_at_any_moment_keeps_every_reported_write_and_no_half_of_one() {
    let (kills, seed) = kills::and_seed(KILLS, SEED);
    let mut random = SeededRng::new(seed, "kills");
    let began = Instant::now();
    let shop = Shop::new();
    let fresh = fresh(&shop);
    let path = shop.folder.path().join("killed.db");
    let renew = || {
        ["", "-wal", "-shm"].iter().for_each(|end| drop(fs::remove_file(format!("{}{end}", path.display()))));
        fs::copy(&fresh, &path).unwrap();
    };
    renew();
    let mut catalogue = Catalogue::open(&path).unwrap();
    let mut states = vec![state(&catalogue)];
    for at in 0..WRITES {
        write(&mut catalogue, at);
        states.push(state(&catalogue));
        assert_ne!(states[at], states[at + 1], "every write is seen");
    }
    drop(catalogue);
    renew();
    let whole = Instant::now();
    let mut child = start(&path);
    assert!(reported(&mut child) == WRITES && child.wait().unwrap().success());
    let mut takes = whole.elapsed();
    let (mut moments, mut unreported, mut late) = (BTreeSet::new(), 0, 0);
    for round in 0..kills {
        renew();
        let started = Instant::now();
        let mut child = start(&path);
        sleep(Duration::from_micros(random.below(takes.as_micros() as u64)));
        child.kill().unwrap();
        let done = reported(&mut child);
        if child.wait().unwrap().signal() != Some(SIGKILL) {
            // The machine is faster now: the next ones come earlier.
            takes = takes.min(started.elapsed()) * 9 / 10;
            late += 1;
        }
        let mut catalogue = Catalogue::open(&path).unwrap();
        let said = format!("round {round} of seed {seed}, after {done} writes");
        assert!(catalogue.check(None).unwrap().is_sound(), "{said}");
        let found = state(&catalogue);
        let is_next = states.get(done + 1) == Some(&found);
        assert!(is_next || states[done] == found, "{said}: {found:?} is neither {:?} nor the next", states[done]);
        unreported += u64::from(is_next);
        moments.insert(done);
        // Work goes on where it ended.
        let next = done + usize::from(is_next);
        if next < WRITES {
            write(&mut catalogue, next);
            assert_eq!(state(&catalogue), states[next + 1], "{said}");
        }
    }
    let took = began.elapsed();
    println!(
        "seed {seed}: {kills} kills after {moments:?} writes, {unreported} with one more, {late} too late, in {took:?}"
    );
    assert!(moments.len() >= 8 && 4 * late < kills, "too few moments were hit: {moments:?}, {late} too late");
}
