//! `vetrina hub`: the chain's products in PostgreSQL, and each shop's signed catalogue. In builds with the feature `hub`.

#[cfg(feature = "hub")]
mod commands;

use super::backend::BackendArgs;
use super::removals::RemovalArgs;
use crate::fault::Result;
use clap::{ArgGroup, Args, Subcommand};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// The variable that holds the database's address, where `--database` does not say it.
pub const DATABASE_VARIABLE: &str = "VETRINA_DATABASE";

/// Run a chain: products of all shops in PostgreSQL, a signed catalogue for each shop (builds with the feature hub)
#[derive(Args, Clone, Debug)]
pub struct HubArgs {
    #[command(subcommand)]
    pub command: HubCommand,
}

#[derive(Subcommand, Clone, Debug)]
pub enum HubCommand {
    /// Make the key that signs releases, or print the public part of one
    Key(KeyArgs),
    /// Make the hub's tables, or bring them up to date, and name the model that pictures are embedded by
    Init(InitArgs),
    /// Import the feed of one shop or of several; new pictures wait for a worker
    Import(HubImportArgs),
    /// Embed the pictures that wait, until none is left; any number of workers on any machines
    Work(WorkArgs),
    /// Publish a shop's catalogue as a new release, with what has changed since the last ones
    Publish(PublishArgs),
    /// Change the price of a product in a shop until its next feed; publish it then
    Price(PriceArgs),
    /// Say what stands in the hub: shops, releases, mirrors
    Status(HubStatusArgs),
    /// Serve releases, heartbeats, search and the fleet's page over HTTP
    Serve(ServeArgs),
    /// Print a one-time code by which a mirror of a shop joins, with `vetrina sync join`
    Enrol(HubEnrolArgs),
    /// Take a mirror's key from it
    Revoke(RevokeArgs),
    /// Give the newest release of a shop to more or fewer mirrors, or stop it
    RollOut(RollOutArgs),
    /// The tokens of operators who ask `hub serve` over HTTP
    Token(TokenArgs),
    /// Fill a database with made-up products and measure it
    Bench(HubBenchArgs),
}

#[derive(Args, Clone, Debug)]
pub struct DatabaseArgs {
    /// Address of the database, postgres://user@host/name [default: the variable VETRINA_DATABASE]
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
}

#[derive(Args, Clone, Debug)]
pub struct KeyArgs {
    /// File of the secret key; made where there is none
    pub file: PathBuf,
}

#[derive(Args, Clone, Debug)]
pub struct InitArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Model folder, the one that the mirrors run [default: the shipped one]
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Also make the indexes for an approximate search (HNSW)
    #[arg(long)]
    pub hnsw: bool,
}

#[derive(Args, Clone, Debug)]
pub struct HubImportArgs {
    /// The feed, in any of the formats of `vetrina catalogue import`
    pub feed: PathBuf,
    /// Folder that the feed's image_link paths start from
    #[arg(long, value_name = "DIR")]
    pub images: PathBuf,
    /// A shop that sells exactly what the feed has; may be given several times
    #[arg(long, value_name = "NAME", required = true)]
    pub shop: Vec<String>,
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Which columns are which, where their names do not say it: id=SKU,title=Name,image_link=Photo
    #[arg(long, value_name = "FIELD=COLUMN,...")]
    pub map: Option<String>,
    /// Currency of prices that have none, such as EUR
    #[arg(long, value_name = "CODE")]
    pub currency: Option<String>,
    #[command(flatten)]
    pub removals: RemovalArgs,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Clone, Debug)]
pub struct WorkArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Model folder [default: the shipped one]
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    #[command(flatten)]
    pub backend: BackendArgs,
    /// Go on when the queue is empty, and ask again every five seconds
    #[arg(long)]
    pub forever: bool,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Clone, Debug)]
pub struct PublishArgs {
    /// The shop
    #[arg(long, value_name = "NAME")]
    pub shop: String,
    /// File of the secret key
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Folder of all shops' releases, which a web server serves
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// Copy the release to this store too: s3://BUCKET/PREFIX, or an https:// or http:// folder that takes PUT
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Publish this catalogue file: without a database
    #[arg(long, value_name = "FILE", conflicts_with = "database")]
    pub catalogue: Option<PathBuf>,
    /// Bring this model folder to the mirrors, with this release and the next ones
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Set these keys of the mirrors' configuration, with this release and the next ones
    #[arg(long, value_name = "FILE")]
    pub configuration: Option<PathBuf>,
    /// Publish although pictures of the shop still wait for a worker: products without any other are left out
    #[arg(long)]
    pub incomplete: bool,
    /// The share of the shop's mirrors that get it at first, percent; `hub serve` gives it to more while these stay well
    #[arg(long, value_name = "PERCENT", default_value_t = 100, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub share: u8,
    /// The release has a number above this one: for a folder that was lost, the last that mirrors have
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub after: u64,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Clone, Debug)]
pub struct PriceArgs {
    /// The shop
    pub shop: String,
    /// The product's id
    pub product: String,
    /// The price as feeds write it: "19.90 EUR"
    pub price: String,
    #[command(flatten)]
    pub database: DatabaseArgs,
}

#[derive(Args, Clone, Debug)]
pub struct HubStatusArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Folder of releases, that of `hub publish --to`
    #[arg(long, value_name = "DIR")]
    pub releases: PathBuf,
    /// Address and port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    pub listen: SocketAddr,
    /// Model folder, for the search and the pictures that operators search by [default: the shipped one]
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Seconds that the first mirrors of a release must be well before more get it
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub soak_seconds: u32,
    /// Search approximately, by the indexes of `vetrina hub init --hnsw`, instead of exactly
    #[arg(long)]
    pub hnsw: bool,
    /// Address of a reverse proxy before it: the last address of its X-Forwarded-For is taken for who asks; may be given several times
    #[arg(long, value_name = "IP")]
    pub proxy: Vec<IpAddr>,
}

#[derive(Args, Clone, Debug)]
pub struct HubEnrolArgs {
    /// The shop
    pub shop: String,
    /// The mirror's name
    pub mirror: String,
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Hours that the code can be used
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u16).range(1..=720))]
    pub hours: u16,
}

#[derive(Args, Clone, Debug)]
pub struct RevokeArgs {
    /// The mirror's name
    pub mirror: String,
    #[command(flatten)]
    pub database: DatabaseArgs,
}

#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("change").required(true).args(["share", "stop"]))]
pub struct RollOutArgs {
    /// The shop
    pub shop: String,
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// To so many percent of the shop's mirrors from now on, also where it was stopped; those that have it keep it
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub share: Option<u8>,
    /// To no more mirrors, for this reason
    #[arg(long, value_name = "REASON")]
    pub stop: Option<String>,
}

#[derive(Args, Clone, Debug)]
pub struct TokenArgs {
    #[command(subcommand)]
    pub command: TokenCommand,
}

#[derive(Subcommand, Clone, Debug)]
pub enum TokenCommand {
    /// Print a new token, which is kept nowhere
    Add(TokenAddArgs),
    /// List names, roles and last uses
    List(TokenListArgs),
    /// Remove a token: it opens nothing from then on
    Remove(TokenRemoveArgs),
}

#[derive(Args, Clone, Debug)]
pub struct TokenAddArgs {
    /// Whose it is: the audit log names it
    pub name: String,
    /// A reader sees the fleet and searches; a publisher changes prices too; an admin enrols and revokes mirrors and steers roll-outs too
    #[arg(value_parser = ["reader", "publisher", "admin"])]
    pub role: String,
    #[command(flatten)]
    pub database: DatabaseArgs,
}

#[derive(Args, Clone, Debug)]
pub struct TokenListArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Clone, Debug)]
pub struct TokenRemoveArgs {
    /// The token's name
    pub name: String,
    #[command(flatten)]
    pub database: DatabaseArgs,
}

#[derive(Args, Clone, Debug)]
pub struct HubBenchArgs {
    /// An empty database: it is filled
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Products, one picture each; a database that an earlier run filled with as many is measured again
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub products: usize,
    /// So many of them are sold by the shop that is published
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub shop_products: usize,
    /// Folder for releases; deleted afterwards
    #[arg(long, value_name = "DIR")]
    pub folder: PathBuf,
    /// Also make the indexes for an approximate search (HNSW), and measure it beside the exact one
    #[arg(long)]
    pub hnsw: bool,
}

#[cfg(feature = "hub")]
pub fn run(args: &HubArgs) -> Result<()> {
    commands::run(&args.command)
}

#[cfg(not(feature = "hub"))]
pub fn run(_: &HubArgs) -> Result<()> {
    use crate::fault::{Fault, Kind};
    Err(Fault::new(Kind::Unavailable, "this vetrina was built without the hub")
        .cure("build it with `cargo build --release --features hub`"))
}
