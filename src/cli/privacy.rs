//! `vetrina privacy`: what this mirror keeps and sends, from its real configuration; a sign to print; a draft for the data
//! protection impact assessment.

mod assessment;
mod facts;
mod sign;
mod texts;

use super::table::{Table, json, print};
use crate::config::{Config, DEFAULT_PATH};
use crate::fault::{Fault, Kind, Result};
use clap::Args;
use facts::PrivacyFacts;
use std::path::{Path, PathBuf};

/// Say what this mirror keeps, where and for how long, and what it sends; write a sign and a draft assessment
#[derive(Args, Clone, Debug)]
pub struct PrivacyArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = DEFAULT_PATH)]
    pub config: PathBuf,
    /// Write the sign for the mirror: HTML, one page a language, to print from a browser
    #[arg(long, value_name = "FILE")]
    pub sign: Option<PathBuf>,
    /// Languages of the sign, in this order: en, it, de, fr, es, ja, ar
    #[arg(long, value_name = "CODES", value_delimiter = ',', default_value = "en,it,de,fr,es,ja,ar")]
    pub languages: Vec<String>,
    /// Write a draft for the data protection impact assessment (Markdown)
    #[arg(long, value_name = "FILE")]
    pub assessment: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &PrivacyArgs) -> Result<()> {
    let config = Config::load(&args.config)?;
    let facts = PrivacyFacts::of(&config);
    if let Some(path) = &args.sign {
        let texts = texts::named(&args.languages)?;
        write(path, &sign::html(&facts, &texts))?;
        let missing = [("privacy.contact", facts.contact.is_none()), ("privacy.notice", facts.notice.is_none())];
        for (key, _) in missing.iter().filter(|(_, missing)| *missing) {
            log::warn!("the sign is not complete: set {key}");
        }
    }
    if let Some(path) = &args.assessment {
        write(path, &assessment::markdown(&facts))?;
    }
    if args.json {
        return print(&json(&facts)?);
    }
    let mut kept = Table::new(&["kept", "where", "how long"]).widest(250);
    facts.kept.iter().for_each(|one| kept.row([&one.what, &one.place, &one.how_long]));
    let mut seen = Table::new(&["goes out", "to", "because of"]).widest(250);
    facts.sent.iter().for_each(|one| seen.row([&one.what, &one.to, &one.because]));
    let sent = if facts.sent.is_empty() { "Nothing goes out.".to_owned() } else { seen.render() };
    print(&format!("{}\n\n{sent}\n\n{}", kept.render(), facts.never))
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(|error| Fault::io(Kind::Storage, "write", path, error))?;
    print(&format!("{} is written", path.display()))
}
