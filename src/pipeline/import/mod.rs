//! The import of a shop's feed, for the command, the page and the demo alike: finds the pictures, embeds those that are new on
//! several threads, and puts everything into the catalogue or nothing.
//!
//! [`shop_picture`] is the part that needs the network: a picture to its descriptors and its thumbnail. [`fetch`] gets pictures from
//! their web addresses, [`picture_archive`] from an archive that was sent.

pub mod fetch;
pub mod picture_archive;
pub mod shop_picture;

use super::matcher::{calibrate, stamp};
use super::recognizer::Recognizer;
use super::workers::frame_workers;
use crate::catalogue::{
    Catalogue, Feed, FetchFrom, ImageFolder, ImportOptions, ImportReport, ModelStamp, PendingPicture, Plan,
    ShopPicture, UnfinishedImport,
};
use crate::fault::{Fault, Kind, Result};
use crate::machine::{folder_of, is_read_only};
use crate::network::Manifest;
use crate::seam::Region;
use fetch::{AT_A_TIME, MOST_FETCHED, PictureFetcher};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// How long an import waits while somebody else writes: hours of embedding are not to end for an update of prices.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is imported, and where to.
#[derive(Clone, Debug)]
pub struct ImportRequest {
    pub feed: PathBuf,
    /// The folder that the feed's picture paths start from; [`ImportOptions::more_images`] are further ones, and [`pictures_folder`] is
    /// always one.
    pub images: PathBuf,
    /// The catalogue's file; made where there is none.
    pub catalogue: PathBuf,
    pub options: ImportOptions,
    /// Say what would change, and change nothing.
    pub dry_run: bool,
}

/// The long parts of an import, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportStep {
    /// Pictures are fetched from their web addresses, if that was asked for.
    Fetch,
    /// Pictures are read and hashed.
    Read,
    /// Pictures that are new are embedded; where none is, this step does not come.
    Recognize,
}

/// How far an import is. Each step begins with `done` 0 and ends with `done` == `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportProgress {
    pub step: ImportStep,
    /// Pictures.
    pub done: usize,
    pub of: usize,
}

/// Imports with the model in the folder `model`, on the CPU. `observe` hears how far it is.
///
/// # Errors
/// [`Kind::Input`]: the feed or, with `strict`, a part of it cannot be used. The catalogue stays as it was after any error.
pub fn import(request: &ImportRequest, model: &Path, observe: impl FnMut(ImportProgress)) -> Result<ImportReport> {
    let manifest = Manifest::load(model)?;
    let (report, mut made) = import_whole(request, &stamp(&manifest), |_| embedders(model), observe)?;
    if !request.dry_run
        && let Err(fault) = calibrate(&mut made, &manifest)
    {
        // The import stands; whoever searches the catalogue then computes it.
        log::warn!("how clearly a product must stand out was not kept: {fault}");
    }
    Ok(report)
}

/// As [`import`], with the embedders from the caller: `workers` makes them for a number of pictures, one per thread; it is not
/// called where nothing needs embedding.
pub fn import_with<W>(
    request: &ImportRequest,
    stamp: &ModelStamp,
    workers: impl FnOnce(usize) -> Result<Vec<W>>,
    observe: impl FnMut(ImportProgress),
) -> Result<ImportReport>
where
    W: FnMut(&[u8], &Path, Option<Region>) -> Result<ShopPicture> + Send,
{
    import_whole(request, stamp, workers, observe).map(|(report, _)| report)
}

/// As [`import_with`]; with the catalogue, which is still open.
fn import_whole<W>(
    request: &ImportRequest,
    stamp: &ModelStamp,
    workers: impl FnOnce(usize) -> Result<Vec<W>>,
    mut observe: impl FnMut(ImportProgress),
) -> Result<(ImportReport, Catalogue)>
where
    W: FnMut(&[u8], &Path, Option<Region>) -> Result<ShopPicture> + Send,
{
    // What was not there before a refused import is not there after it.
    let is_new = !request.catalogue.exists();
    let imported = import_into(request, is_new, stamp, workers, &mut observe);
    if let Err(fault) = &imported
        && is_new
    {
        // A disk that nothing can be deleted from has hindered the import too, and that is the fault to say.
        let _ = Catalogue::delete(&request.catalogue);
        if fault.kind() == Kind::Input {
            let _ = UnfinishedImport::delete(&request.catalogue);
        }
    }
    imported.map_err(|fault| match UnfinishedImport::left_at(&request.catalogue) {
        Some(left) if fault.kind() == Kind::Storage && !is_read_only(folder_of(&left)) => fault.cure(format!(
            "free some space on that disk and import again: what is embedded is kept in {}, which can be deleted otherwise",
            left.display()
        )),
        _ => fault,
    })
}

fn import_into<W>(
    request: &ImportRequest,
    is_new: bool,
    stamp: &ModelStamp,
    workers: impl FnOnce(usize) -> Result<Vec<W>>,
    observe: &mut impl FnMut(ImportProgress),
) -> Result<(ImportReport, Catalogue)>
where
    W: FnMut(&[u8], &Path, Option<Region>) -> Result<ShopPicture> + Send,
{
    let in_memory = is_new && request.dry_run;
    let catalogue = if in_memory { Catalogue::in_memory() } else { Catalogue::create_or_open(&request.catalogue) }?;
    let mut catalogue = catalogue.with_patience(PATIENCE)?;
    let map = request.options.column_map.clone().map_or_else(|| catalogue.column_map(), Ok)?;
    let mut feed = Feed::read(&request.feed, &map)?;
    feed.complete_prices(&request.options.currency.clone().map_or_else(|| catalogue.currency(), Ok)?);
    let folder = image_folder(request)?;
    let failed = match request.options.fetch {
        Some(from) => fetch_all(&feed, &folder, &fetched_folder(&request.catalogue), from, observe)?,
        _ => HashMap::new(),
    };
    let links = feed.links();
    let progress = |done| observe(ImportProgress { step: ImportStep::Read, done, of: links.len() });
    let mut found = folder.find_all(&links, progress);
    drop(links);
    for (link, reason) in failed {
        if let Some(not_found @ Err(_)) = found.get_mut(&link) {
            *not_found = Err(reason);
        } else {
            feed.notes.push(format!("{reason}; the picture that is here was taken"));
        }
    }
    let name = request.feed.file_name().map_or("standard input".into(), |name| name.to_string_lossy());
    let options = ImportOptions { source: format!("import of {name}"), ..request.options.clone() };
    let mut plan = catalogue.plan(&feed, &found, stamp, options)?;
    // Not the plan's own: they are no reason for a strict import to refuse a feed.
    let hints = feed.hints();
    let complete = |mut report: ImportReport| {
        report.warnings.extend(hints);
        report.letters = feed.letters();
        report
    };
    if request.dry_run {
        return Ok((complete(plan.preview()), catalogue));
    }
    plan.require_kept()?;
    let pending = plan.pending().to_vec();
    if !pending.is_empty() {
        embed_all(&mut plan, &pending, workers(pending.len())?, observe)?;
    }
    let report = plan.finish()?;
    catalogue.checkpoint();
    Ok((complete(report), catalogue))
}

/// Where pictures are kept that were sent to the page or fetched: beside the catalogue.
pub fn pictures_folder(catalogue: &Path) -> PathBuf {
    let mut name = catalogue.as_os_str().to_owned();
    name.push("-pictures");
    name.into()
}

fn fetched_folder(catalogue: &Path) -> PathBuf {
    pictures_folder(catalogue).join("fetched")
}

fn image_folder(request: &ImportRequest) -> Result<ImageFolder> {
    let own = pictures_folder(&request.catalogue);
    let mut folder = ImageFolder::open(&request.images)?.with_fetched(fetched_folder(&request.catalogue));
    for more in request.options.more_images.iter().chain(Some(&own).filter(|own| own.is_dir())) {
        folder = folder.and(more)?;
    }
    Ok(folder)
}

/// Fetches the pictures that are in no folder; gives for each that could not be the reason.
fn fetch_all(
    feed: &Feed,
    folder: &ImageFolder,
    into: &Path,
    from: FetchFrom,
    observe: &mut impl FnMut(ImportProgress),
) -> Result<HashMap<String, String>> {
    let missing: Vec<&str> = feed.links().into_iter().filter(|link| folder.is_missing(link)).collect();
    let (asked, beyond) = missing.split_at(missing.len().min(MOST_FETCHED));
    let too_many =
        |link: &&str| (link.to_string(), format!("{link} is not fetched: one import fetches {MOST_FETCHED}"));
    let mut failed: HashMap<String, String> = beyond.iter().map(too_many).collect();
    if asked.is_empty() {
        return Ok(failed);
    }
    let fetcher = PictureFetcher::new(into, from)?;
    let workers = vec![|index: usize| fetcher.fetch(asked[index]); AT_A_TIME];
    side_by_side(ImportStep::Fetch, asked.len(), workers, observe, |index, done| {
        if let Err(reason) = done {
            failed.insert(asked[index].to_owned(), reason);
        }
        Ok(())
    })?;
    Ok(failed)
}

/// The stamp that the model in the folder `model` gives a catalogue.
pub fn model_stamp(model: &Path) -> Result<ModelStamp> {
    Manifest::load(model).map(|manifest| stamp(&manifest))
}

/// Turns a picture of the shop into its descriptors.
type Embedder = Box<dyn FnMut(&[u8], &Path, Option<Region>) -> Result<ShopPicture> + Send>;

/// Embedders of one model, one per thread.
fn embedders(model: &Path) -> Result<Vec<Embedder>> {
    let workers = frame_workers(Recognizer::load(model)?);
    let embedder = |mut worker: Recognizer| -> Embedder {
        Box::new(move |bytes, path, region| shop_picture::shop_picture(&mut worker, bytes, path, region))
    };
    Ok(workers.into_iter().map(embedder).collect())
}

/// Embeds the pending pictures and hands the results to the plan.
fn embed_all<W>(
    plan: &mut Plan,
    pending: &[PendingPicture],
    workers: Vec<W>,
    observe: &mut impl FnMut(ImportProgress),
) -> Result<()>
where
    W: FnMut(&[u8], &Path, Option<Region>) -> Result<ShopPicture> + Send,
{
    if workers.is_empty() {
        return Err(Fault::new(Kind::Internal, "an import needs at least one worker"));
    }
    let embedder = |mut worker: W| {
        move |index: usize| {
            let picture: &PendingPicture = &pending[index];
            picture.read().and_then(|bytes| worker(&bytes, &picture.path, picture.region))
        }
    };
    let workers = workers.into_iter().map(embedder).collect();
    side_by_side(ImportStep::Recognize, pending.len(), workers, observe, |index, result| plan.supply(index, result))
}

/// Gives the numbers below `count` to the workers, one per thread, and their results to `take` in the order they come. The first
/// fault of `take` ends it.
fn side_by_side<T: Send>(
    step: ImportStep,
    count: usize,
    workers: Vec<impl FnMut(usize) -> T + Send>,
    observe: &mut impl FnMut(ImportProgress),
    mut take: impl FnMut(usize, T) -> Result<()>,
) -> Result<()> {
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    observe(ImportProgress { step, done: 0, of: count });
    std::thread::scope(|scope| {
        let (results, received) = sync_channel(2 * workers.len());
        for mut worker in workers {
            let results = results.clone();
            let (next, stop) = (&next, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count || results.send((index, worker(index))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(results);
        for (done, (index, result)) in (1..).zip(received) {
            if let Err(fault) = take(index, result) {
                stop.store(true, Ordering::Relaxed);
                return Err(fault);
            }
            observe(ImportProgress { step, done, of: count });
        }
        Ok(())
    })
}
