//! Checks the layout in ARCHITECTURE.md: which module may use which, which library may be named where, how long files
//! may be.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const FOUNDATION: [&str; 12] = [
    "audit",
    "clock",
    "fault",
    "frame",
    "geometry",
    "drop_oldest",
    "language",
    "machine",
    "metrics",
    "shutdown",
    "tail",
    "tensor",
];

/// Modules that each module may use, besides itself and the foundation.
const MAY_USE: [(&str, &[&str]); 14] = [
    ("capture", &[]),
    ("network", &["seam"]),
    ("seam", &[]),
    ("catalogue", &["seam"]),
    ("display", &["seam"]),
    ("evaluation", &["capture", "network", "seam", "catalogue", "pipeline"]),
    ("pipeline", &["capture", "network", "seam", "catalogue", "display"]),
    ("sync", &["seam", "catalogue"]),
    ("hub", &["network", "seam", "catalogue", "pipeline", "sync"]),
    ("live", &["capture", "network", "seam", "catalogue", "display", "pipeline", "sync"]),
    ("events", &["seam", "live"]),
    ("web", &["seam", "catalogue", "pipeline", "live", "events", "sync"]),
    ("config", &["capture", "network", "catalogue", "display", "pipeline", "live", "events", "web", "sync"]),
    (
        "cli",
        &[
            "capture",
            "network",
            "seam",
            "catalogue",
            "display",
            "evaluation",
            "pipeline",
            "live",
            "events",
            "config",
            "web",
            "sync",
            "hub",
        ],
    ),
];

/// Words that only some files may contain, with the path prefixes of these files.
const ONLY_IN: [(&str, &[&str]); 27] = [
    ("rusqlite", &["src/catalogue/", "src/events/counts.rs"]),
    ("ureq", &["src/events/webhook.rs", "src/pipeline/import/fetch.rs", "src/sync/", "src/hub/store.rs"]),
    ("rumqttc", &["src/events/mqtt.rs"]),
    ("tract_onnx", &["src/network/"]),
    ("libloading", &["src/network/tensorrt/native/"]),
    ("unsafe", &["src/network/tensorrt/native/"]),
    ("clap::", &["src/cli/"]),
    ("toml::", &["src/network/manifest.rs", "src/config"]),
    ("println!", &["src/cli/"]),
    ("drm::", &["src/display/kms.rs"]),
    ("minifb", &["src/display/window.rs"]),
    ("cosmic_text", &["src/display/"]),
    ("fluent_bundle", &["src/language.rs"]),
    ("evdev", &["src/live/input.rs"]),
    (
        "thread::",
        &[
            "src/pipeline/",
            "src/live/",
            "src/web/",
            "src/events/",
            "src/catalogue/gallery.rs",
            "src/catalogue/images.rs",
            "src/hub/",
            "src/cli/run.rs",
        ],
    ),
    // The configuration parses an address; it opens no socket. An import fetches pictures if asked to.
    ("std::net", &["src/web/", "src/config.rs", "src/pipeline/import/fetch.rs", "src/hub/", "src/cli/hub.rs"]),
    ("signal_hook", &["src/shutdown.rs"]),
    ("tokio::", &["src/web/", "src/hub/"]),
    ("tokio_postgres", &["src/hub/"]),
    ("axum::", &["src/web/", "src/hub/serve"]),
    ("hmac::", &["src/hub/aws_signature.rs"]),
    ("minisign", &["src/sync/manifest.rs", "src/sync/follower.rs", "src/hub/sign.rs"]),
    ("hyper", &["src/web/connections.rs"]),
    ("tokio_io_timeout", &["src/web/connections.rs"]),
    ("futures_util", &["src/web/", "src/hub/serve/"]),
    ("linuxvideo", &["src/capture/v4l2.rs"]),
    ("rustix::", &["src/capture/", "src/display/kms.rs", "src/machine.rs"]),
];

/// Modules below or beside the pipeline may use only the plain data of `seam`.
const SEES_PLAIN_DATA: [&str; 8] = ["capture", "network", "catalogue", "display", "live", "sync", "web", "config"];
const PLAIN_DATA: [&str; 12] = [
    "Detection",
    "Detections",
    "Embedding",
    "EmbeddingHead",
    "FeatureMap",
    "MapLayout",
    "Region",
    "RoiGrid",
    "ScoreHead",
    "TrackId",
    "region",
    "settings",
];

/// Type names defined more than once, with the reason.
const SAME_NAME: [(&str, &str); 1] = [("TensorRt", "the binding, and its replacement in a build without the feature")];

const LONGEST_FILE: usize = 500;

struct Source {
    path: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    walk(&root().join("src"), &mut files);
    assert!(files.len() > 20, "the source tree is somewhere else");
    files
}

fn walk(folder: &Path, files: &mut Vec<Source>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
            files.push(Source { path: name, text: fs::read_to_string(&path).unwrap() });
        }
    }
}

/// The code without comments and tests.
fn code(source: &Source) -> String {
    if source.path.ends_with("_tests.rs") {
        return String::new();
    }
    let text = source.text.split("#[cfg(test)]\nmod tests").next().unwrap_or("");
    text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

fn module(path: &str) -> &str {
    let inside = path.strip_prefix("src/").unwrap();
    inside.split('/').next().unwrap().trim_end_matches(".rs")
}

#[test]
fn layers_use_only_what_lies_below_them() {
    let all: Vec<&str> = MAY_USE.iter().map(|(name, _)| *name).chain(FOUNDATION).collect();
    let mut wrong = Vec::new();
    for source in sources() {
        let me = module(&source.path);
        if matches!(me, "lib" | "main") {
            continue;
        }
        let allowed = MAY_USE.iter().find(|(name, _)| *name == me).map(|(_, allowed)| *allowed);
        assert!(
            allowed.is_some() || FOUNDATION.contains(&me),
            "{}: tests/tidy.rs does not know this module",
            source.path
        );
        let code = code(&source);
        for other in &all {
            let named = code.contains(&format!("crate::{other}"));
            let below = *other == me || FOUNDATION.contains(other) || allowed.unwrap_or(&[]).contains(other);
            if named && !below {
                wrong.push(format!("{} names crate::{other}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The paths used in `code` after `prefix`: `a::b` from `use prefix::a::b;`, `a` and `c::d` from `use prefix::{a,
/// c::d};`.
fn paths(code: &str, prefix: &str) -> Vec<String> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (start, _) in code.match_indices(prefix) {
        if code[..start].chars().next_back().is_some_and(|before| word(before) || before == ':') {
            continue;
        }
        expand(&code[start + prefix.len()..], "", &mut found);
    }
    found
}

/// Adds the paths at the start of `text` and returns the rest.
fn expand<'t>(text: &'t str, before: &str, found: &mut Vec<String>) -> &'t str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        while let Some(next) = Some(rest.trim_start()).filter(|next| !next.starts_with('}') && !next.is_empty()) {
            rest = expand(next, before, found);
            rest = rest[rest.find([',', '}']).unwrap_or(rest.len())..].trim_start_matches(',');
        }
        return rest.trim_start().strip_prefix('}').unwrap_or("");
    }
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    let path = if before.is_empty() { text[..end].to_owned() } else { format!("{before}::{}", &text[..end]) };
    match text[end..].strip_prefix("::") {
        Some(rest) if !path.is_empty() => expand(rest, &path, found),
        _ => {
            found.push(path);
            &text[end..]
        }
    }
}

#[test]
fn paths_are_read_with_their_braces() {
    let code = "use crate::a::{self, b::{c, d as e}, F};\nlet x = crate::g::h();\nuse notcrate::i;";
    let found = paths(code, "crate::");
    assert_eq!(found, ["a::self", "a::b::c", "a::b::d", "a::F", "g::h"]);
}

#[test]
fn what_is_below_the_pipeline_sees_plain_data_only() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| SEES_PLAIN_DATA.contains(&module(&source.path))) {
        for path in paths(&code(source), "crate::seam::") {
            if !PLAIN_DATA.contains(&path.split("::").next().unwrap()) {
                wrong.push(format!("{} names crate::seam::{path}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The module of a file: "catalogue::import" for `src/catalogue/import.rs`.
fn module_path(path: &str) -> String {
    let inside = path.strip_prefix("src/").unwrap().trim_end_matches(".rs").trim_end_matches("/mod");
    inside.replace('/', "::")
}

/// The files used by each file, except its parent modules: a parent may use its children and be used by them.
/// Re-exports (`pub use`) do not count as use.
fn uses() -> BTreeMap<String, BTreeSet<String>> {
    let sources = sources();
    let all: BTreeSet<String> = sources.iter().map(|source| module_path(&source.path)).collect();
    let mut uses = BTreeMap::new();
    for source in &sources {
        let me = module_path(&source.path);
        let code: String = code(source)
            .lines()
            .filter(|line| !line.trim_start().starts_with("pub use"))
            .collect::<Vec<_>>()
            .join("\n");
        let parent = me.rsplit_once("::").map_or("", |(parent, _)| parent).to_owned();
        let inside = |base: &str, path: String| if base.is_empty() { path } else { format!("{base}::{path}") };
        let named = paths(&code, "crate::").into_iter();
        let named = named.chain(paths(&code, "super::").into_iter().map(|path| inside(&parent, path)));
        let named = named.chain(paths(&code, "self::").into_iter().map(|path| inside(&me, path)));
        let files = named.filter_map(|path| {
            let mut path = path.as_str();
            while !all.contains(path) {
                path = path.rsplit_once("::")?.0;
            }
            Some(path.to_owned())
        });
        let above = |file: &String| me == *file || me.starts_with(&format!("{file}::"));
        uses.insert(me.clone(), files.filter(|file| !above(file)).collect());
    }
    uses
}

#[test]
fn no_files_import_one_another_in_a_circle() {
    let uses = uses();
    let reached = |from: &String| {
        let mut reached: BTreeSet<&String> = BTreeSet::new();
        let mut next: Vec<&String> = uses[from].iter().collect();
        while let Some(file) = next.pop() {
            if reached.insert(file) {
                next.extend(&uses[file]);
            }
        }
        reached
    };
    let circles: Vec<&String> = uses.keys().filter(|file| reached(file).contains(*file)).collect();
    assert!(circles.is_empty(), "these files lie on circles of imports: {circles:#?}");
}

/// Files of the live pipeline that may read the status: to assemble it, to show it on the screen, and to send it to the
/// service manager.
const READS_STATUS: [&str; 3] = ["src/live/status.rs", "src/live/stages/render.rs", "src/live/supervise/supervisor.rs"];

#[test]
fn nothing_in_the_live_pipeline_acts_on_its_status() {
    let mut wrong = Vec::new();
    for source in sources().into_iter().filter(|source| source.path.starts_with("src/live/")) {
        let code = code(&source);
        let reads = code.match_indices("status.").any(|(start, _)| {
            let field = code[start + "status.".len()..].trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
            field.starts_with(".get()")
        });
        if reads && !READS_STATUS.contains(&source.path.as_str()) {
            wrong.push(source.path);
        }
    }
    assert!(sources().iter().any(|source| source.path == READS_STATUS[0]), "the status is somewhere else");
    assert!(wrong.is_empty(), "use live::control for what is acted on: {wrong:#?}");
}

#[test]
fn a_type_name_means_one_thing() {
    let mut defined: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources() {
        let code = code(&source);
        let definitions = code.lines().filter_map(|line| {
            // Only unindented definitions: types inside traits, functions and macros are local.
            let line = line.strip_prefix("pub ").or_else(|| line.strip_prefix("pub(super) ")).unwrap_or(line);
            let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
            let kinds = ["struct ", "enum ", "trait ", "type ", "union "];
            let name = kinds.iter().find_map(|kind| line.strip_prefix(kind))?;
            Some(name.split(|c: char| !(c.is_alphanumeric() || c == '_')).next()?.to_owned())
        });
        definitions.for_each(|name| defined.entry(name).or_default().push(source.path.clone()));
    }
    assert!(defined.len() > 200, "the definitions are written in another way");
    defined.retain(|name, places| places.len() > 1 && !SAME_NAME.iter().any(|(allowed, _)| allowed == name));
    assert!(defined.is_empty(), "these names are defined more than once: {defined:#?}");
}

#[test]
fn each_library_stays_in_its_place() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (word, places) in ONLY_IN {
            let here = code(&source).contains(word);
            if here && !places.iter().any(|place| source.path.starts_with(place)) {
                wrong.push(format!("{} names {word}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn files_describe_their_content_and_stay_short() {
    let mut wrong = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > LONGEST_FILE {
            wrong.push(format!("{} has {lines} lines", source.path));
        }
        if !source.text.starts_with("//!") {
            wrong.push(format!("{} does not begin with a description of its content", source.path));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn main_stays_thin() {
    let main = fs::read_to_string(root().join("src/main.rs")).unwrap();
    assert!(main.lines().count() < 60);
}
