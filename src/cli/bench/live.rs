//! `vetrina bench --live`: measures the age of what a shopper sees, with all threads of the mirror working on a clip
//! that is played like a camera; and whether memory stays constant.

use super::BenchArgs;
use crate::capture::camera::CameraSettings;
use crate::cli::demo::import_demo;
use crate::cli::places;
use crate::cli::progress::Progress;
use crate::cli::table::{Table, json, print};
use crate::config::Config;
use crate::display::open::{PanelKind, PanelSettings};
use crate::fault::{Fault, Kind, Result};
use crate::live::{Links, Live, LiveSettings, Phase};
use crate::machine::resident_memory;
use crate::metrics::StageTimes;
use crate::shutdown::{Request, Signals};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// From a frame's capture (taken from the camera's buffer, not yet decoded) to its pixels, boxes and matches.
const LATENCIES: [&str; 3] = ["capture to panel", "capture to boxes", "capture to match"];
/// Time before the measurement: fills caches and the first windows.
const WARM_UP: Duration = Duration::from_secs(5);

/// Temporary folder for the catalogue, deleted on drop.
struct Scratch(PathBuf);

impl Scratch {
    fn create() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("vetrina-bench-{}", std::process::id()));
        std::fs::create_dir(&path).map_err(|error| Fault::io(Kind::Storage, "create the folder", &path, error))?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Counters and memory at one moment.
struct CounterSnapshot {
    at: Duration,
    counters: BTreeMap<&'static str, u64>,
    resident: Option<u64>,
}

impl CounterSnapshot {
    fn now(links: &Links) -> Self {
        CounterSnapshot { at: links.clock.now(), counters: links.report().counters, resident: resident_memory() }
    }
}

/// Observes the running mirror and stops it when the time is over.
struct LatencyMeter<'a> {
    links: Arc<Links>,
    progress: &'a Progress,
    lasts: Duration,
    running_since: Option<Duration>,
    begin: Option<CounterSnapshot>,
    measured: Option<Measured>,
}

/// Differences between two moments.
struct Measured {
    times: StageTimes,
    begin: CounterSnapshot,
    end: CounterSnapshot,
}

impl LatencyMeter<'_> {
    /// Takes a measurement. Returns whether it is over.
    fn look(&mut self) -> bool {
        let now = self.links.clock.now();
        if self.running_since.is_none() && self.links.control.phase() == Phase::Running {
            self.running_since = Some(now);
        }
        match (self.running_since, &self.begin) {
            (Some(since), None) if now.saturating_sub(since) >= WARM_UP => {
                self.links.status.stages.keep(&LATENCIES);
                self.begin = Some(CounterSnapshot::now(&self.links));
                false
            }
            (_, Some(begin)) => {
                let seconds = now.saturating_sub(begin.at).min(self.lasts).as_secs();
                (self.progress.done()..seconds).for_each(|_| self.progress.step());
                now.saturating_sub(begin.at) >= self.lasts
            }
            _ => false,
        }
    }

    fn stop(&mut self) {
        let times = self.links.status.stages.take_kept();
        let end = CounterSnapshot::now(&self.links);
        self.measured = self.begin.take().map(|begin| Measured { times, begin, end });
    }
}

pub fn run(args: &BenchArgs) -> Result<()> {
    let scratch = Scratch::create()?;
    let settings = settings(args, &scratch.0)?;
    let (camera, panel) = (settings.camera.source.clone(), settings.panel.size);
    let mut signals = Signals::take_over()?;
    let again = settings.clone();
    let live = Live::start(settings, Arc::new(move || Ok(again.clone())))?;
    let progress = Progress::new(args.seconds.into(), "seconds measured");
    let mut watch = LatencyMeter {
        links: live.links(),
        progress: &progress,
        lasts: Duration::from_secs(args.seconds.into()),
        running_since: None,
        begin: None,
        measured: None,
    };
    live.run(|patience| {
        let request = signals.wait(patience).or_else(|| watch.look().then_some(Request::Stop));
        if request == Some(Request::Stop) {
            watch.stop();
        }
        request
    })?;
    progress.finish();
    let Some(measured) = watch.measured else {
        return Err(Fault::new(Kind::Usage, "stopped before the measurement began").cure("let it run for longer"));
    };
    report(args, &format!("{camera} on {}x{}", panel.width, panel.height), &measured)
}

/// The appliance's defaults, with the clip as camera, the demo shop as catalogue, and a screen that is drawn but not
/// shown.
fn settings(args: &BenchArgs, scratch: &Path) -> Result<LiveSettings> {
    let demo = places::shipped("demo")?;
    let model = places::model(&args.model)?;
    let catalogue = scratch.join("catalogue.db");
    eprintln!("importing the demo shop's feed");
    import_demo(&demo, &catalogue, &model)?;
    let clip = args.clip.clone().unwrap_or_else(|| demo.join("clips/1.mjpg"));
    let settings = Config::default().live(&model);
    let source = format!("file://{}?loop&rate={}", clip.display(), args.rate);
    Ok(LiveSettings {
        camera: CameraSettings { source, ..settings.camera },
        panel: PanelSettings { kind: PanelKind::Memory, ..settings.panel },
        catalogue,
        engines: args.backend.settings(),
        ..settings
    })
}

fn report(args: &BenchArgs, what: &str, measured: &Measured) -> Result<()> {
    let Measured { times, begin, end } = measured;
    let seconds = end.at.saturating_sub(begin.at).as_secs_f64();
    let rate = |name: &str| {
        let at = |moment: &CounterSnapshot| moment.counters.get(name).copied().unwrap_or_default();
        (at(end) - at(begin)) as f64 / seconds
    };
    let rates = ["frames", "frames_recognised", "screens_presented", "answers"].map(|name| (name, rate(name)));
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    let mb = |moment: &CounterSnapshot| moment.resident.map(|bytes| bytes as f64 / (1 << 20) as f64);
    let latencies = times.summaries();
    if args.json {
        let latencies: serde_json::Map<_, _> = latencies
            .iter()
            .map(|stage| {
                let value = json!({ "p50_ms": ms(stage.median), "p95_ms": ms(stage.p95), "p99_ms": ms(stage.p99),
                                    "count": stage.count });
                (stage.stage.to_owned(), value)
            })
            .collect();
        let rates: BTreeMap<_, _> = rates.into_iter().collect();
        return print(&json(&json!({
            "camera": what, "seconds": seconds, "latencies": latencies, "per_second": rates,
            "resident_mb_at_start": mb(begin), "resident_mb_at_end": mb(end),
        }))?);
    }
    let mut table = Table::new(&["latency", ">p50 ms", ">p95 ms", ">p99 ms", ">times"]);
    for stage in &latencies {
        let [p50, p95, p99] = [stage.median, stage.p95, stage.p99].map(|duration| format!("{:.1}", ms(duration)));
        table.row([stage.stage.to_owned(), p50, p95, p99, stage.count.to_string()]);
    }
    let [frames, recognized, screens, answers] = rates.map(|(_, rate)| rate);
    let memory = |moment| mb(moment).map_or("unknown".into(), |mb| format!("{mb:.1} MB"));
    print(&format!(
        "{what}, {seconds:.0} s\n{}\na second: {frames:.1} frames, {recognized:.1} recognized, {screens:.1} screens, \
         {answers:.1} answers; resident memory {} at the start, {} at the end",
        table.render(),
        memory(begin),
        memory(end),
    ))
}
