//! The documentation matches the program: configuration keys and defaults, routes, commands and flags, paths and links,
//! the content of the package.
//!
//! `UPDATE_DOCS=1 cargo test --release --test docs` rewrites docs/cli.md.

#![allow(clippy::unwrap_used)]

use clap::{Arg, ArgAction, Command};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use vetrina::config::Config;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// First and second cells of the rows of a Markdown table under `heading`.
fn rows(text: &str, heading: &str) -> Vec<(String, String)> {
    let below = text.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| !line.starts_with("## "));
    let cells =
        below.filter(|line| line.starts_with('|')).map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    cells.skip(2).map(|cells| (cells[1].to_owned(), cells[2].to_owned())).collect()
}

fn bare(cell: &str) -> String {
    cell.trim_matches('`').to_owned()
}

// ---- configuration.md ----

/// Keys of a configuration table, as the parser lists them.
fn known(table: &str) -> BTreeSet<String> {
    let text = if table.is_empty() { "zzz = 1\n".to_owned() } else { format!("[{table}]\nzzz = 1\n") };
    let fault = Config::parse(&text).unwrap_err().to_string();
    let expected = fault.split_once("expected").unwrap_or_else(|| panic!("{fault}")).1;
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_key_of_the_configuration_is_documented_with_its_default() {
    let page = read("docs/configuration.md");
    let defaults: toml::Table = Config::default().to_toml().unwrap().parse().unwrap();
    for table in known("") {
        let heading = format!("## `[{table}]`");
        let documented: BTreeMap<String, String> =
            rows(&page, &heading).into_iter().map(|(key, default)| (bare(&key), default)).collect();
        assert_eq!(documented.keys().cloned().collect::<BTreeSet<_>>(), known(&table), "[{table}]");
        for (key, default) in documented {
            let value = defaults.get(&table).and_then(|values| values.get(&key));
            let expected = value.map_or("unset".to_owned(), |value| format!("`{value}`"));
            assert_eq!(default, expected, "{table}.{key}");
        }
    }
    let tables: BTreeSet<String> =
        page.lines().filter_map(|line| Some(line.strip_prefix("## `[")?.strip_suffix("]`")?.to_owned())).collect();
    assert_eq!(tables, known(""));
}

// ---- http-api.md ----

const METHODS: [&str; 3] = ["GET /", "POST /", "PATCH /"];

#[test]
fn the_openapi_file_has_the_routes_of_programs() {
    let page: serde_json::Value = serde_json::from_str(&read("docs/openapi.json")).unwrap();
    let mut described = BTreeSet::new();
    for (path, methods) in page["paths"].as_object().unwrap() {
        described.extend(methods.as_object().unwrap().keys().map(|method| format!("{} {path}", method.to_uppercase())));
    }
    let table = read("docs/http-api.md");
    let routes =
        table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(route, _)| route.to_owned()));
    assert_eq!(described, routes.filter(|route| route.contains(" /api/")).collect());
    let fields = page["components"]["schemas"]["ProductUpdate"]["properties"].as_object().unwrap();
    for field in fields.keys() {
        let update = format!("{{\"{field}\": null}}");
        serde_json::from_str::<vetrina::catalogue::ProductUpdate>(&update).unwrap();
    }
    assert_eq!(fields.len(), 6);
}

#[test]
fn every_route_is_documented() {
    let page = read("docs/http-api.md");
    let table = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(route, _)| route));
    let documented: BTreeSet<String> =
        table.filter(|route| METHODS.iter().any(|method| route.starts_with(method))).map(str::to_owned).collect();
    let source = ["mod", "api", "staff", "match_picture"].map(|file| read(&format!("src/web/{file}.rs"))).concat();
    assert_eq!(documented, routes(&source));
}

/// The routes that code names: `GET /healthz`.
fn routes(source: &str) -> BTreeSet<String> {
    let route = |rest: &str| {
        let path = rest.split('"').nth(1).unwrap();
        let method = rest.split_once(',').unwrap().1.trim().split('(').next().unwrap();
        format!("{} {path}", method.to_uppercase())
    };
    let routes: BTreeSet<String> = source.split(".route(").skip(1).map(route).collect();
    assert!(routes.len() >= 12, "{routes:?}");
    routes
}

#[test]
fn every_route_of_the_hub_is_documented() {
    let page = read("docs/chain.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let firsts: Vec<&str> = rows.filter_map(|row| row.split(" | ").next()).collect();
    let documented: BTreeSet<String> = firsts
        .iter()
        .flat_map(|first| first.split('`').filter(|words| METHODS.iter().any(|method| words.starts_with(method))))
        .map(|route| route.split('?').next().unwrap().to_owned())
        .collect();
    let files = ["serve", "serve/changes", "serve/fleet", "serve/search", "serve/worn"];
    let source: String = files.iter().map(|file| read(&format!("src/hub/{file}.rs"))).collect();
    assert_eq!(documented, routes(&source));
}

// ---- cli.md ----

const CLI_HEAD: &str = "\
# Commands

Generated from the program's own definitions (`UPDATE_DOCS=1 cargo test --release --test docs`); `vetrina COMMAND --help` prints
the same. Man pages (`man vetrina`, `man vetrina-run`) and completions for bash, zsh and fish are in the package; `vetrina manual`
writes them.

Every error is one line that says what, where and the cure. Exit codes never change meaning:

| code | meaning |
|---|---|
| 0 | done |
| 1 | a defect of vetrina itself |
| 2 | flags, arguments, configuration |
| 3 | a picture, clip or feed that cannot be used |
| 4 | a model folder that is missing, damaged or does not fit its manifest |
| 5 | a catalogue that is missing, damaged or was embedded by another model |
| 6 | in use by another process |
| 7 | the disk is full, read-only or not ours to write |
| 8 | a program or device that is needed is not here |

`VETRINA_LOG=info` (or `debug`) logs more. Results go to stdout, everything else to stderr.
";

#[test]
fn every_command_and_flag_is_documented() {
    let mut command = vetrina::cli::command();
    command.build();
    let mut text = CLI_HEAD.to_owned();
    for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
        describe(command, &mut text);
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(root().join("docs/cli.md"), &text).unwrap();
    }
    assert!(text == read("docs/cli.md"), "docs/cli.md is out of date: UPDATE_DOCS=1 cargo test --release --test docs");
}

fn describe(command: &Command, text: &mut String) {
    let name = command.get_bin_name().unwrap().to_owned();
    assert!(!command.is_hide_set(), "{name} is hidden");
    let about = command.get_about().unwrap_or_else(|| panic!("{name} has no help"));
    *text += &format!("\n{} `{name}`\n\n{about}.\n", if name.matches(' ').count() > 1 { "###" } else { "##" });
    let arguments: Vec<&Arg> = command.get_arguments().filter(|arg| !is_everywhere(arg)).collect();
    if !arguments.is_empty() {
        *text += "\n| argument | default | meaning |\n|---|---|---|\n";
        for arg in arguments {
            assert!(!arg.is_hide_set(), "{name}: {} is hidden", arg.get_id());
            let help = arg.get_help().unwrap_or_else(|| panic!("{name}: {} has no help", arg.get_id()));
            let (default, help) = default_and_help(arg, &help.to_string());
            *text += &format!("| `{}` | {default} | {} |\n", shown(arg), cell(&help));
        }
    }
    for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
        describe(command, text);
    }
}

fn is_everywhere(arg: &Arg) -> bool {
    matches!(arg.get_id().as_str(), "help" | "version")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// A default that is not a value of the argument is at the end of its help.
fn default_and_help(arg: &Arg, help: &str) -> (String, String) {
    match help.split_once(" [default: ") {
        Some((help, default)) => (default.trim_end_matches(']').to_owned(), help.to_owned()),
        None => (default_of(arg), help.to_owned()),
    }
}

fn default_of(arg: &Arg) -> String {
    let takes = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    let values: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    match (takes, values.is_empty()) {
        (true, false) => format!("`{}`", values.join(" ")),
        (true, true) if arg.is_required_set() => "required".to_owned(),
        _ => String::new(),
    }
}

fn shown(arg: &Arg) -> String {
    let takes = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    let value = arg.get_value_names().map_or(arg.get_id().as_str().to_uppercase(), |names| names.join(" "));
    let choices: Vec<_> = arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    let value = if choices.is_empty() || !takes { value } else { choices.join("/") };
    match (arg.get_short(), arg.get_long()) {
        (_, None) => value,
        (short, Some(long)) => {
            let short = short.map_or(String::new(), |short| format!("-{short}, "));
            format!("{short}--{long}{}", if takes { format!(" {value}") } else { String::new() })
        }
    }
}

// ---- paths and links ----

fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md"), root().join("ARCHITECTURE.md")];
    for folder in ["docs", "docs/decisions", "docs/experiments"] {
        let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        pages.extend(entries.filter(|path| path.extension().is_some_and(|ending| ending == "md")));
    }
    for page in ["demo", "firmware", "fuzz", "scripts", "models/compact"] {
        pages.push(root().join(page).join("README.md"));
    }
    pages
}

/// The anchor of a heading, as GitHub generates it.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn links_have_targets() {
    assert_eq!(wrong_links(&pages()), Vec::<String>::new());
}

/// Links of Markdown pages to missing files or headings.
fn wrong_links(pages: &[PathBuf]) -> Vec<String> {
    let mut wrong = Vec::new();
    for page in pages {
        let text = fs::read_to_string(page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !link.contains("://") && !leads_somewhere(page, link) {
                wrong.push(format!("{}: {link}", page.display()));
            }
        }
    }
    wrong
}

fn leads_somewhere(page: &Path, link: &str) -> bool {
    let (path, section) = link.split_once('#').unwrap_or((link, ""));
    let target = if path.is_empty() { page.to_owned() } else { page.parent().unwrap().join(path) };
    if section.is_empty() || !target.exists() {
        return target.exists();
    }
    let text = fs::read_to_string(&target).unwrap();
    text.lines().any(|line| line.starts_with('#') && anchor(line) == section)
}

/// Prefixes of paths in this repository.
const ROOMS: [&str; 9] = ["src/", "tests/", "scripts/", "docs/", "models/", "demo/", "firmware/", "fuzz/", "benches/"];

#[test]
fn paths_in_the_documentation_exist() {
    let mut wrong = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for name in text.split('`').skip(1).step_by(2).filter(|name| ROOMS.iter().any(|room| name.starts_with(room))) {
            let path = name.split(' ').next().unwrap().trim_end_matches("...");
            let made = ["models/mine", "models/gpu"].contains(&path);
            if !made && !path.contains(['*', '{', '<']) && !root().join(path).exists() {
                wrong.push(format!("{}: {name}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Comments in the code cite sections of docs/seam.md, the scripts' comments as "section N".
#[test]
fn cited_sections_of_the_arithmetic_exist() {
    let page = read("docs/seam.md");
    let mut files = Vec::new();
    files_under(&root().join("src"), "rs", &mut files);
    files_under(&root().join("scripts/seamnet"), "py", &mut files);
    let mut cited = BTreeSet::new();
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("seam-spec"), "{} cites a document outside this repository", path.display());
        let numbers = text.split('§').skip(1).chain(text.split("(section ").skip(1));
        cited.extend(numbers.map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>()));
    }
    assert!(cited.len() > 5, "{cited:?}");
    let missing: Vec<_> =
        cited.iter().filter(|number| !page.lines().any(|line| line.starts_with(&format!("## {number}. ")))).collect();
    assert!(missing.is_empty(), "docs/seam.md has no section {missing:?}");
}

#[test]
fn the_readme_stays_short() {
    let words = read("README.md").split_whitespace().count();
    assert!(words < 900, "README.md has {words} words");
}

// ---- the package ----

/// The package contains the pages named in messages and in the unit, pages that these link to, man pages and
/// completions.
#[test]
fn the_package_contains_what_messages_and_pages_name() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path();
    let made =
        Process::new(root().join("firmware/build")).arg("--tree").arg(tree).arg(env!("CARGO_BIN_EXE_vetrina")).output();
    let made = made.unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let share = tree.join("usr/share");
    let doc = share.join("doc/vetrina");
    for name in named_by_messages() {
        assert!(doc.join(&name).exists(), "a message names {name}");
    }
    let unit = fs::read_to_string(tree.join("usr/lib/systemd/system/vetrina.service")).unwrap();
    let paths = unit.split(|c: char| c.is_whitespace() || c == ':').filter(|word| word.contains("/usr/share/doc/"));
    let paths: Vec<&str> = paths.map(|path| path.trim_start_matches("//").trim_end_matches('.')).collect();
    assert!(paths.len() >= 2, "{paths:?}");
    for path in paths {
        assert!(tree.join(path.trim_start_matches('/')).exists(), "the unit names {path}");
    }
    let mut pages = Vec::new();
    files_under(&doc, "md", &mut pages);
    assert!(pages.len() > 20, "{pages:?}");
    assert_eq!(wrong_links(&pages), Vec::<String>::new());
    for page in ["vetrina.1.gz", "vetrina-run.1.gz", "vetrina-catalogue-import.1.gz"] {
        assert!(share.join("man/man1").join(page).exists(), "{page}");
    }
    for file in [
        "bash-completion/completions/vetrina",
        "zsh/vendor-completions/_vetrina",
        "fish/vendor_completions.d/vetrina.fish",
    ] {
        assert!(fs::read_to_string(share.join(file)).unwrap().contains("check-config"), "{file}");
    }
}

/// Pages named in the program's messages.
fn named_by_messages() -> BTreeSet<String> {
    let mut sources = Vec::new();
    files_under(&root().join("src"), "rs", &mut sources);
    let mut named = BTreeSet::new();
    for path in sources {
        let code = code_of(&fs::read_to_string(path).unwrap());
        let words = code.split(|c: char| c.is_whitespace() || "\"'(),;:`".contains(c));
        named.extend(
            words
                .filter(|word| word.ends_with(".md"))
                .map(|word| word.trim_start_matches("/usr/share/doc/vetrina/").to_owned()),
        );
    }
    assert!(named.contains("docs/tensorrt.md"), "{named:?}");
    named
}

fn files_under(folder: &Path, ending: &str, files: &mut Vec<PathBuf>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files_under(&path, ending, files);
        } else if path.extension().is_some_and(|found| found == ending) {
            files.push(path);
        }
    }
}

/// The lines that are not comments.
fn code_of(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}
