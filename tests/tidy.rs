//! The house keeps its shape: who may use whom, what may be named where, how long a file may be.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

const FOUNDATION: [&str; 10] =
    ["clock", "fault", "frame", "geometry", "drop_oldest", "machine", "metrics", "shutdown", "tail", "tensor"];

/// Which modules of ours each module may name, beyond itself and the foundation. Stages see of `seam` only its plain data.
const MAY_USE: [(&str, &[&str]); 11] = [
    ("capture", &[]),
    ("network", &["seam"]),
    ("seam", &[]),
    ("catalogue", &["seam"]),
    ("display", &[]),
    ("evaluation", &["seam"]),
    ("pipeline", &["capture", "network", "seam", "catalogue", "display"]),
    ("live", &["capture", "network", "seam", "catalogue", "display", "pipeline"]),
    ("web", &["catalogue", "pipeline", "live"]),
    ("config", &["capture", "network", "display", "pipeline", "live", "web"]),
    ("cli", &["capture", "network", "seam", "catalogue", "display", "evaluation", "pipeline", "live", "config", "web"]),
];

/// What only some files may name: the words, and the beginnings of the paths that may.
const ONLY_IN: [(&str, &[&str]); 17] = [
    ("rusqlite", &["src/catalogue/"]),
    ("tract_onnx", &["src/network/"]),
    ("libloading", &[UNSAFE_FILE.0]),
    ("unsafe", &[UNSAFE_FILE.0]),
    ("clap::", &["src/cli/"]),
    ("toml::", &["src/network/manifest.rs", "src/config"]),
    ("println!", &["src/cli/"]),
    ("drm::", &["src/display/kms.rs"]),
    ("minifb", &["src/display/window.rs"]),
    ("thread::", &["src/pipeline/", "src/live/", "src/web/", "src/cli/catalogue.rs", "src/catalogue/gallery.rs"]),
    // The configuration names an address; it opens nothing.
    ("std::net", &["src/web/", "src/config.rs"]),
    ("signal_hook", &["src/shutdown.rs"]),
    ("tokio::", &["src/web/"]),
    ("axum::", &["src/web/"]),
    ("futures_util", &["src/web/"]),
    ("linuxvideo", &["src/capture/v4l2.rs"]),
    ("rustix::", &["src/capture/", "src/display/kms.rs", "src/machine.rs"]),
];

const LONGEST_FILE: usize = 500;
/// All that is `unsafe` stands in one file, which may be longer.
const UNSAFE_FILE: (&str, usize) = ("src/network/tensorrt/native.rs", 850);

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

/// The code without comments and without what only tests see.
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
fn files_say_what_they_hold_and_stay_short() {
    let mut wrong = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        let longest = if source.path == UNSAFE_FILE.0 { UNSAFE_FILE.1 } else { LONGEST_FILE };
        if lines > longest {
            wrong.push(format!("{} has {lines} lines", source.path));
        }
        if !source.text.starts_with("//!") {
            wrong.push(format!("{} does not begin by saying what belongs in it", source.path));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn main_stays_thin() {
    let main = fs::read_to_string(root().join("src/main.rs")).unwrap();
    assert!(main.lines().count() < 60);
}
