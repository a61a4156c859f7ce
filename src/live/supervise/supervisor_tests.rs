//! The running pipeline when the engine is swapped, a stage restarts, or the camera changes: a garment never gets
//! another's products.

use super::*;
use crate::capture::camera::CameraSettings;
use crate::catalogue::ImportOptions;
use crate::display::open::{PanelKind, PanelSettings};
use crate::geometry::Size;
use crate::live::policy::blank::BlankSettings;
use crate::live::policy::throttle::HeatSettings;
use crate::network::EngineSettings;
use crate::pipeline::import::{ImportRequest, import};
use crate::pipeline::settings::PipelineSettings;
use crate::seam::TrackId;
use std::path::{Path, PathBuf};

const PATIENCE: Duration = Duration::from_secs(300);
/// What the persons in the demo's clips wear, from `demo/truth.json`.
const WORN: [[&str; 2]; 3] = [["V143", "V101"], ["V146", "V127"], ["V151", "V131"]];

fn repository(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Writes a catalogue with the garments worn in the clips.
fn write_catalogue(folder: &Path) {
    let feed = std::fs::read_to_string(repository("demo/feed.csv")).unwrap();
    let is_worn = |row: &str| WORN.iter().flatten().any(|id| row.starts_with(id));
    let rows: Vec<&str> =
        feed.lines().enumerate().filter(|(line, row)| *line == 0 || is_worn(row)).map(|(_, row)| row).collect();
    std::fs::write(folder.join("feed.csv"), rows.join("\n")).unwrap();
    let request = ImportRequest {
        dry_run: false,
        feed: folder.join("feed.csv"),
        images: repository("demo"),
        catalogue: folder.join("shop.db"),
        options: ImportOptions::default(),
    };
    import(&request, &repository("models/compact"), |_| ()).unwrap();
}

fn settings(folder: &Path, clip: usize) -> LiveSettings {
    let source = format!("file://{}?loop", repository(&format!("demo/clips/{}.mjpg", clip + 1)).display());
    let size = Size::new(540, 960);
    let (turn, mirrored) = (crate::frame::Turn::None, false);
    LiveSettings {
        look: Arc::default(),
        theme_file: None,
        input: None,
        camera: CameraSettings { source, size, rate: 15, format: None, turn, mirrored, mask: Vec::new() },
        panel: PanelSettings { kind: PanelKind::None, size },
        rate: 15,
        model: repository("models/compact"),
        max_detections: 6,
        workers: 2,
        engines: EngineSettings::cpu(),
        catalogue: folder.join("shop.db"),
        pipeline: PipelineSettings::default(),
        staff_crops: false,
        stall: PATIENCE,
        blank: BlankSettings::default(),
        heat: HeatSettings { limit: None, sysfs: folder.join("sys") },
    }
}

/// For each current track, the best product on the screen and the time of its match.
fn shown(links: &Links) -> Vec<(TrackId, Option<String>, Duration)> {
    // Read the tracks first: matches of a track come after it.
    let (tracks, matches) = (links.tracked_now(), links.status.newest_matches.get());
    let garments = tracks.iter().flat_map(|tracks| &tracks.garments);
    let shown = garments.filter_map(|garment| {
        let found = matches.get(&garment.track)?;
        Some((garment.track, found.accepted().first().map(|best| best.product.id.clone()), found.since))
    });
    shown.collect()
}

/// Runs the mirror until the condition holds.
fn until(live: &mut Live, what: &str, mut so: impl FnMut(&Links) -> bool) {
    let (links, deadline) = (live.links(), Instant::now() + PATIENCE);
    while !so(&links) {
        assert!(Instant::now() < deadline, "timed out waiting until {what}: {:?}", shown(&links));
        assert!(live.round().unwrap(), "it ended before {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs until a garment has a product worn in the clip. Anything shown meanwhile must have been found after `since`,
/// for tracks of a generation above `after`.
fn until_recognized(live: &mut Live, clip: usize, after: u32, since: Duration) {
    until(live, &format!("the shopper of clip {} is recognized", clip + 1), |links| {
        let shown = shown(links);
        let new = || shown.iter().filter(|(track, ..)| track.generation > after);
        for (track, product, found) in new() {
            assert!(*found >= since, "{track} has the answer {product:?} of an earlier shopper");
        }
        new().any(|(_, product, _)| product.as_ref().is_some_and(|id| WORN[clip].contains(&id.as_str())))
    });
}

fn generation(live: &Live) -> u32 {
    live.links.status.newest_tracks.get().unwrap().generation
}

/// The generation of a frame that was captured from now on.
fn next_generation(live: &mut Live) -> u32 {
    let now = live.links.clock.now();
    until(live, "a frame is tracked", |links| {
        links.status.newest_tracks.get().is_some_and(|tracks| tracks.meta.captured >= now)
    });
    generation(live)
}

/// Numbers of garments begin at 0 again: only the generation tells a new one from an old one of the same number.
#[test]
fn every_new_recognition_has_a_generation_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    write_catalogue(folder.path());
    let mut bars = settings(folder.path(), 0);
    bars.camera.source = "test://bars".into();
    let same = bars.clone();
    let mut live = Live::start(bars, Arc::new(move || Ok(same.clone()))).unwrap();
    let first = next_generation(&mut live);
    live.restart(Stage::Recognize, Fault::new(Kind::Internal, "a test's")).unwrap();
    let restarted = next_generation(&mut live);
    assert!(restarted > first, "after a restart: {restarted} follows {first}");
    let (built, building) = channel();
    built.send(Ok(Recognizer::load(&repository("models/compact")).unwrap())).unwrap();
    live.building = Some(building);
    assert!(live.round().unwrap() && live.building.is_none(), "the engines take over");
    let swapped = next_generation(&mut live);
    assert!(swapped > restarted, "on other engines: {swapped} follows {restarted}");
    live.stop();
}

/// Another shopper appears.
fn look_at(live: &mut Live, folder: &Path, clip: usize) {
    let settings = settings(folder, clip);
    let reloads = live.links.status.reloads.get();
    live.reload(Arc::new(move || Ok(settings.clone())));
    until(live, "it is reloaded", |links| links.status.reloads.get() > reloads);
}

#[test]
fn no_shopper_gets_the_products_of_an_earlier_one() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_catalogue(folder);
    let same = settings(folder, 0);
    let mut live = Live::start(same.clone(), Arc::new(move || Ok(same.clone()))).unwrap();
    until_recognized(&mut live, 0, 0, Duration::ZERO);
    assert!(live.links.status.camera.get().contains("1.mjpg?loop: 540x960"), "{}", live.links.status.camera.get());

    // The engines are built: another recognizer takes over, and another shopper appears.
    let first = generation(&live);
    let (built, building) = channel();
    built.send(Ok(Recognizer::load(&repository("models/compact")).unwrap())).unwrap();
    look_at(&mut live, folder, 1);
    let swapped = live.links.clock.now();
    live.building = Some(building);
    until_recognized(&mut live, 1, first, swapped);
    assert!(live.building.is_none() && generation(&live) > first);
    assert!(live.links.status.camera.get().contains("2.mjpg?loop: 540x960"), "{}", live.links.status.camera.get());
    let kept = live.links.status.newest_matches.get();
    assert!(kept.keys().all(|track| track.generation == generation(&live)), "of an ended generation: {kept:?}");

    // The stage fails and is restarted, and a third shopper appears.
    let second = generation(&live);
    look_at(&mut live, folder, 2);
    let restarted = live.links.clock.now();
    live.restart(Stage::Recognize, Fault::new(Kind::Internal, "a test's")).unwrap();
    until_recognized(&mut live, 2, second, restarted);
    assert!(generation(&live) > second && live.links.status.restarts.get() == 1);
    live.stop();
}
