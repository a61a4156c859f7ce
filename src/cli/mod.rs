//! The command line: one file per command; the only place that prints to stdout.

pub mod audit;
pub mod backend;
pub mod bench;
pub mod cameras;
pub mod captions;
pub mod catalogue;
pub mod check_config;
pub mod demo;
pub mod doctor;
pub mod engine;
pub mod enrol;
pub mod eval;
pub mod hub;
pub mod inspect;
pub mod logging;
pub mod manual;
pub mod match_command;
pub mod places;
pub mod privacy;
pub mod progress;
pub mod record;
pub mod removals;
pub mod run;
pub mod stats;
pub mod sync;
pub mod table;

use crate::fault::{Kind, Result};
use crate::tail::Tail;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use log::LevelFilter;
use progress::ProgressFormat;
use std::process::ExitCode;
use std::sync::Arc;

/// The program inside an in-store smart mirror: it recognizes what a person wears and shows the matching products.
#[derive(Parser, Debug)]
#[command(name = "vetrina", version, propagate_version = true, max_term_width = 100, after_help = AFTER_HELP)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Environment:
  VETRINA_LOG    error, warn, info or debug: what is logged on stderr
  VETRINA_SHARE  folder with models/compact and demo, if they are not beside the program

Documentation: /usr/share/doc/vetrina/README.md, or README.md of the source tree";

#[derive(Subcommand, Debug)]
enum Command {
    Demo(demo::DemoArgs),
    Match(match_command::MatchArgs),
    Catalogue(catalogue::CatalogueArgs),
    Enrol(enrol::EnrolArgs),
    Inspect(inspect::InspectArgs),
    Bench(bench::BenchArgs),
    Run(run::RunArgs),
    Record(record::RecordArgs),
    Cameras(cameras::CamerasArgs),
    Doctor(doctor::DoctorArgs),
    CheckConfig(check_config::CheckConfigArgs),
    Eval(eval::EvalArgs),
    Engine(engine::EngineCommandArgs),
    Stats(stats::StatsArgs),
    Audit(audit::AuditArgs),
    Privacy(privacy::PrivacyArgs),
    Sync(sync::SyncArgs),
    Hub(hub::HubArgs),
    Manual(manual::ManualArgs),
}

/// All commands with their arguments, for man pages, completions and docs/cli.md.
pub fn command() -> clap::Command {
    CommandLine::command()
}

impl Command {
    /// Whether a program reads the output as JSON, so that a fault must be JSON too.
    fn speaks_json(&self) -> bool {
        use catalogue::CatalogueCommand::Import;
        use engine::EngineCommand::Build;
        let format = match self {
            Command::Catalogue(catalogue::CatalogueArgs { command: Import(args) }) => args.progress,
            Command::Engine(engine::EngineCommandArgs { command: Build(args) }) => args.progress,
            _ => ProgressFormat::Bar,
        };
        format == ProgressFormat::Json
    }
}

/// Parses the command line and runs the command. Prints a fault as one line and returns its exit code.
pub fn main() -> ExitCode {
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        // Help and version, which were asked for.
        Err(error) if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            error.exit()
        }
        Err(error) => {
            eprintln!("vetrina: {}", one_line(&error.render().to_string(), &help_of(std::env::args().skip(1))));
            return ExitCode::from(Kind::Usage.exit_code());
        }
    };
    let tail =
        logging::start(if matches!(line.command, Command::Run(_)) { LevelFilter::Info } else { LevelFilter::Warn });
    match run(&line.command, tail) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            if !line.command.speaks_json() {
                eprintln!("vetrina: {fault}");
            }
            ExitCode::from(fault.kind().exit_code())
        }
    }
}

/// How to ask for the help of the command that begins with these arguments.
fn help_of(arguments: impl Iterator<Item = String>) -> String {
    let (mut command, mut words) = (CommandLine::command(), vec!["vetrina".to_owned()]);
    for argument in arguments {
        let Some(inner) = command.find_subcommand(&argument).cloned() else { break };
        command = inner;
        words.push(argument);
    }
    words.push("--help".to_owned());
    words.join(" ")
}

/// An error of clap, which has several lines, as one: what is wrong, a tip, where the usage is.
fn one_line(text: &str, help: &str) -> String {
    let mut parts = Vec::new();
    for paragraph in text.split("\n\n") {
        let line = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
        let is_wanted = !["Usage: ", "For more information"].iter().any(|start| line.starts_with(start));
        if is_wanted && !line.is_empty() {
            let line = line.strip_prefix("error: ").unwrap_or(&line);
            parts.push(line.strip_prefix("tip: ").unwrap_or(line).to_owned());
        }
    }
    parts.push(format!("see `{help}`"));
    parts.join("; ")
}

fn run(command: &Command, tail: Arc<Tail>) -> Result<()> {
    match command {
        Command::Demo(args) => demo::run(args),
        Command::Match(args) => match_command::run(args),
        Command::Catalogue(args) => catalogue::run(args),
        Command::Enrol(args) => enrol::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Run(args) => run::run(args, tail),
        Command::Record(args) => record::run(args),
        Command::Cameras(args) => cameras::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::CheckConfig(args) => check_config::run(args),
        Command::Eval(args) => eval::run(args),
        Command::Engine(args) => engine::run(args),
        Command::Stats(args) => stats::run(args),
        Command::Audit(args) => audit::run(args),
        Command::Privacy(args) => privacy::run(args),
        Command::Sync(args) => sync::run(args),
        Command::Hub(args) => hub::run(args),
        Command::Manual(args) => manual::run(args),
    }
}
