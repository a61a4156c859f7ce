//! `vetrina stats`: the counts by hour, as the running mirror keeps them; and how often it was right, as staff confirmed.

use super::catalogue::worn::confirmed;
use super::table::{Table, json, print};
use crate::catalogue::Catalogue;
use crate::catalogue::correction::{ConfirmedWeek, weeks_csv};
use crate::clock::UtcTime;
use crate::config::{Config, DEFAULT_PATH};
use crate::events::counts::{CountReport, CountStore, HourCounts, ProductCounts};
use crate::fault::{Fault, Kind, Result};
use clap::{Args, ValueEnum, value_parser};
use serde::Serialize;
use std::path::PathBuf;

/// Print how many people came, how long they stayed, and what was shown to them, by hour or product; and how often it was right, as
/// staff confirmed, by week and part of the body
#[derive(Args, Clone, Debug)]
pub struct StatsArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = DEFAULT_PATH)]
    pub config: PathBuf,
    /// The last N days
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = value_parser!(u32).range(1..=3660))]
    pub days: u32,
    /// One line for each product in place of each hour
    #[arg(long)]
    pub products: bool,
    /// One line for each week and part of the body, as staff confirmed, in place of each hour
    #[arg(long, conflicts_with = "products")]
    pub weeks: bool,
    /// A table for people, comma-separated values, or JSON with hours and products
    #[arg(long, value_enum, default_value_t = StatsOutput::Table)]
    pub format: StatsOutput,
}

/// How counts are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StatsOutput {
    Table,
    Csv,
    Json,
}

/// Everything, as JSON.
#[derive(Serialize)]
struct StatsReport {
    #[serde(flatten)]
    counts: CountReport,
    confirmed: Vec<ConfirmedWeek>,
}

pub fn run(args: &StatsArgs) -> Result<()> {
    let config = Config::load(&args.config)?;
    let Some(settings) = config.counts() else {
        return Err(Fault::new(Kind::Usage, "nothing is counted: stats.days is 0").cure("set it, and start the mirror"));
    };
    let store = CountStore::open_existing(&settings.file)?;
    let counts = store.map_or(Ok(CountReport::default()), |store| store.read(UtcTime::now(), args.days))?;
    let weeks = confirmed_weeks(&config, args.days)?;
    match args.format {
        StatsOutput::Json => print(&json(&StatsReport { counts, confirmed: weeks })?),
        StatsOutput::Csv if args.weeks => print(weeks_csv(&weeks).trim_end()),
        StatsOutput::Csv if args.products => print(counts.products_csv().trim_end()),
        StatsOutput::Csv => print(counts.hours_csv().trim_end()),
        StatsOutput::Table if args.weeks && weeks.is_empty() => {
            print(&format!("nothing was judged in the last {} days", args.days))
        }
        StatsOutput::Table if args.weeks => print(&confirmed(&weeks)),
        StatsOutput::Table => {
            match counts.hours.is_empty() {
                true => print(&format!("nothing in the last {} days", args.days))?,
                false if args.products => print(&products(&counts))?,
                false => print(&hours(&counts))?,
            }
            if weeks.is_empty() { Ok(()) } else { print(&format!("\nas staff confirmed:\n{}", confirmed(&weeks))) }
        }
    }
}

/// What staff said of the answers of the last days; nothing where there is no catalogue yet.
fn confirmed_weeks(config: &Config, days: u32) -> Result<Vec<ConfirmedWeek>> {
    if !config.catalogue.file.exists() {
        return Ok(Vec::new());
    }
    Catalogue::open(&config.catalogue.file)?.confirmed_within(days, UtcTime::now())
}

fn hours(counts: &CountReport) -> String {
    let header = ["hour", ">people", ">seconds each", ">matched", ">not in catalogue", ">shown", ">calls"];
    let mut table = Table::new(&header);
    let mut all = HourCounts::default();
    for hour in &counts.hours {
        table.row(cells(&hour.hour.local(), hour));
        all.people += hour.people;
        all.dwell_seconds += hour.dwell_seconds;
        all.matched += hour.matched;
        all.refused += hour.refused;
        all.shown += hour.shown;
        all.staff_calls += hour.staff_calls;
    }
    table.row(cells("in all", &all));
    table.render()
}

fn cells(name: &str, counts: &HourCounts) -> [String; 7] {
    let HourCounts { people, dwell_seconds, matched, refused, shown, staff_calls, .. } = counts;
    // Who left in an hour may have come in the one before: it is nearly the mean.
    let each = if *people > 0 { format!("{:.0}", dwell_seconds / *people as f64) } else { String::new() };
    let [people, matched, refused, shown, calls] =
        [people, matched, refused, shown, staff_calls].map(ToString::to_string);
    [name.to_owned(), people, each, matched, refused, shown, calls]
}

fn products(counts: &CountReport) -> String {
    let mut table = Table::new(&["product", ">shown", ">matched"]);
    for ProductCounts { product, shown, matched } in &counts.products {
        table.row([product.clone(), shown.to_string(), matched.to_string()]);
    }
    table.render()
}
