//! A mirror follows a hub's releases: what it takes over, what it refuses, and that whatever goes wrong it keeps what it has.
//!
//! Signing wants the hub's code: cargo test --release --features hub --test sync

#![cfg(feature = "hub")]
#![allow(clippy::unwrap_used)]

mod cutting_server;
mod shop;

use cutting_server::CuttingServer;
use shop::{FEED, Shop, stamp};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use vetrina::catalogue::{Addressed, Catalogue, ProductUpdate, write_difference};
use vetrina::fault::{Fault, Kind};
use vetrina::hub::publish::{PublishReport, ReleaseFolder};
use vetrina::hub::sign::ReleaseKey;
use vetrina::sync::manifest::{ModelFile, SignedManifest, model_folder_name};
use vetrina::sync::model_folder::model_folder;
use vetrina::sync::source::{ReleaseSource, hash_of};
use vetrina::sync::{Follower, PollOutcome, ReleaseManifest, ReleaseObject, SyncSettings};

/// A hub's folder and its key, and the shop that it publishes.
struct Chain {
    shop: Shop,
    key: ReleaseKey,
}

impl Chain {
    fn new() -> Self {
        let shop = Shop::new();
        let key = ReleaseKey::make(&shop.folder.path().join("secret.key")).unwrap();
        shop.import(FEED).unwrap();
        Chain { shop, key }
    }

    /// With its first release, which the mirror has.
    fn followed() -> (Self, Follower) {
        let chain = Chain::new();
        chain.publish();
        let mut follower = chain.follower();
        updated(follower.poll());
        (chain, follower)
    }

    fn root(&self) -> PathBuf {
        self.shop.folder.path().join("releases")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root().join("berlin").join(name)
    }

    fn publish(&self) -> PublishReport {
        self.publish_as("berlin")
    }

    fn publish_as(&self, shop: &str) -> PublishReport {
        let publication = ReleaseFolder::open(&self.root()).unwrap().begin(shop).unwrap();
        write_difference(None, &self.shop.db(), &publication.catalogue(), "test").unwrap();
        publication.finish(&self.key, 0).unwrap()
    }

    fn price(&self, id: &str, price: &str) {
        let update = ProductUpdate { price: Some(Some(price.into())), ..ProductUpdate::default() };
        self.shop.open().update(&[Addressed { id: id.into(), update }]).unwrap();
    }

    fn settings(&self, catalogue: &Path) -> SyncSettings {
        SyncSettings {
            source: format!("file://{}/berlin", self.root().display()),
            key: self.key.public().unwrap(),
            poll: Duration::from_secs(30),
            catalogue: catalogue.to_owned(),
            model: stamp("one"),
        }
    }

    fn mirror(&self) -> PathBuf {
        self.shop.folder.path().join("mirror/shop.db")
    }

    fn follower(&self) -> Follower {
        Follower::new(self.settings(&self.mirror())).unwrap()
    }

    fn mirror_state(&self) -> String {
        Catalogue::open(&self.mirror()).unwrap().state().unwrap()
    }

    fn manifest(&self) -> ReleaseManifest {
        let signed: SignedManifest = serde_json::from_slice(&fs::read(self.file("release.json")).unwrap()).unwrap();
        serde_json::from_str(&signed.manifest).unwrap()
    }

    /// Puts a manifest of one's own, signed by the hub's key, into the place of the newest.
    fn put(&self, manifest: &ReleaseManifest) {
        fs::write(self.file("release.json"), self.key.sign(manifest).unwrap()).unwrap();
    }
}

fn refused(result: vetrina::fault::Result<PollOutcome>) -> Fault {
    let fault = result.unwrap_err();
    assert_eq!(fault.kind(), Kind::Catalogue, "{fault}");
    fault
}

fn updated(result: vetrina::fault::Result<PollOutcome>) -> (u64, [usize; 3], bool) {
    match result.unwrap() {
        PollOutcome::Updated { release, added, updated, removed, whole, .. } => {
            (release, [added, updated, removed], whole)
        }
        current => panic!("{current:?}"),
    }
}

fn prices(path: &Path) -> Vec<(String, Option<String>)> {
    let products = Catalogue::open(path).unwrap().list().unwrap();
    products.into_iter().map(|(product, _)| (product.id, product.price)).collect()
}

#[test]
fn a_mirror_takes_the_whole_catalogue_first_and_then_what_has_changed() {
    let chain = Chain::new();
    assert!(chain.publish().is_new);
    assert!(!chain.publish().is_new, "nothing has changed");
    let mut follower = chain.follower();
    assert_eq!(updated(follower.poll()), (1, [3, 0, 0], true));
    assert_eq!(chain.mirror_state(), chain.shop.open().state().unwrap());
    assert_eq!(follower.poll().unwrap(), PollOutcome::Current { release: 1 });

    chain.price("2", "7 EUR");
    let report = chain.publish();
    assert_eq!((report.release, report.delta_bytes.len()), (2, 1));
    assert_eq!(updated(follower.poll()), (2, [0, 1, 0], false));
    assert_eq!(prices(&chain.mirror())[1], ("2".into(), Some("7 EUR".into())));

    // A product goes, one comes with a picture that is new, and a picture changes.
    chain.shop.picture("a.jpg", "f2");
    chain.shop.import("id,title,image_link\n1,Scarf,a.jpg\n3,\"Cape, blue\",e.jpg\n4,Hat,f.jpg\n").unwrap();
    chain.publish();
    assert_eq!(updated(follower.poll()), (3, [1, 2, 1], false));
    assert_eq!(chain.mirror_state(), chain.shop.open().state().unwrap());

    // Another mirror that was away comes from the first release in one step; the old release can be brought back.
    let mut catalogue = Catalogue::open(&chain.mirror()).unwrap();
    assert_eq!(catalogue.history().unwrap().len(), 3);
    assert_eq!(catalogue.history().unwrap()[0].source, "release 3 of berlin");
    catalogue.undo(None).unwrap();
    assert_eq!(prices(&chain.mirror()).len(), 3);
    assert_eq!(follower.poll().unwrap(), PollOutcome::Current { release: 3 });
}

#[test]
fn a_mirror_that_was_away_comes_from_any_of_the_last_releases_and_from_older_ones_by_the_whole() {
    let (chain, mut follower) = Chain::followed();
    for (price, release) in [("1 EUR", 2), ("2 EUR", 3), ("3 EUR", 4)] {
        chain.price("1", price);
        assert_eq!(chain.publish().release, release);
    }
    assert_eq!(updated(follower.poll()), (4, [0, 1, 0], false), "from release 1");
    for release in 5..=8 {
        chain.price("1", &format!("{release} EUR"));
        chain.publish();
    }
    assert_eq!(updated(follower.poll()), (8, [0, 1, 0], true), "release 4 is too old for a delta");
    assert_eq!(chain.mirror_state(), chain.shop.open().state().unwrap());
}

#[test]
fn what_was_changed_at_the_mirror_is_a_doubt_and_the_whole_catalogue_cures_it() {
    let (chain, mut follower) = Chain::followed();
    let update = ProductUpdate { price: Some(Some("99 EUR".into())), ..ProductUpdate::default() };
    Catalogue::open(&chain.mirror()).unwrap().update(&[Addressed { id: "3".into(), update }]).unwrap();
    chain.price("1", "1 EUR");
    chain.publish();
    let (release, _, whole) = updated(follower.poll());
    assert_eq!((release, whole), (2, true));
    assert_eq!(chain.mirror_state(), chain.shop.open().state().unwrap());
}

#[test]
fn no_byte_of_a_manifest_can_be_changed() {
    let chain = Chain::new();
    chain.publish();
    let good = fs::read(chain.file("release.json")).unwrap();
    let mut follower = chain.follower();
    let mut refusals = 0;
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x01;
        fs::write(chain.file("release.json"), &bad).unwrap();
        match follower.poll() {
            Err(fault) => {
                assert_eq!(fault.kind(), Kind::Catalogue, "byte {at}: {fault}");
                refusals += 1;
            }
            // The untrusted comment of the signature and the space around the two texts say nothing.
            Ok(_) => {
                let state = chain.mirror_state();
                assert_eq!(state, chain.shop.open().state().unwrap(), "byte {at}");
                Catalogue::delete(&chain.mirror()).unwrap();
            }
        }
    }
    assert!(refusals > good.len() * 9 / 10, "{refusals} of {}", good.len());
    for length in 0..good.len() - 1 {
        fs::write(chain.file("release.json"), &good[..length]).unwrap();
        refused(follower.poll());
    }
}

#[test]
fn old_foreign_and_mixed_releases_are_refused() {
    let chain = Chain::new();
    chain.publish();
    let first = fs::read(chain.file("release.json")).unwrap();
    chain.price("1", "1 EUR");
    chain.publish();
    let mut follower = chain.follower();
    updated(follower.poll());
    let state = chain.mirror_state();

    // Rolled back.
    fs::write(chain.file("release.json"), &first).unwrap();
    assert!(refused(follower.poll()).to_string().contains("release 2 is here already"));
    // A number used twice.
    let mut twice = chain.manifest();
    twice.mark.number = 2;
    chain.put(&twice);
    assert!(refused(follower.poll()).to_string().contains("another release 2"));
    // Another shop's.
    chain.publish_as("hamburg");
    fs::copy(chain.root().join("hamburg/release.json"), chain.file("release.json")).unwrap();
    assert!(refused(follower.poll()).to_string().contains("hamburg"));
    // Another key's.
    let other = ReleaseKey::make(&chain.shop.folder.path().join("other.key")).unwrap();
    let mut manifest = twice.clone();
    manifest.mark.number = 3;
    fs::write(chain.file("release.json"), other.sign(&manifest).unwrap()).unwrap();
    assert!(refused(follower.poll()).to_string().contains("not signed"));
    // Another model's, another format's.
    let mut foreign = manifest.clone();
    foreign.model.descriptor_hash = "two".into();
    chain.put(&foreign);
    assert!(refused(follower.poll()).to_string().contains("model"));
    let mut newer = manifest.clone();
    newer.format = 2;
    chain.put(&newer);
    assert!(refused(follower.poll()).to_string().contains("update vetrina"));
    // One release's manifest with another one's catalogue: the state does not fit.
    let mut mixed = manifest.clone();
    mixed.mark.state = "0".repeat(64);
    chain.put(&mixed);
    assert!(refused(follower.poll()).to_string().contains("not what its manifest says"));
    // A name that leads out of the folder.
    let mut path = manifest.clone();
    path.snapshot.sha256 = "../../secret.key".into();
    chain.put(&path);
    refused(follower.poll());
    assert!(follower.status().is_refused && follower.status().fault.is_some());
    assert_eq!(chain.mirror_state(), state, "after all this");
}

#[test]
fn damaged_files_are_refused_and_a_damaged_delta_is_made_good_by_the_whole() {
    let (chain, mut follower) = Chain::followed();
    chain.price("1", "1 EUR");
    chain.publish();
    let manifest = chain.manifest();
    let path = |name: &str| chain.root().join("objects").join(format!("{name}.zst"));
    let delta = path(&manifest.deltas[0].object.sha256);
    let good = fs::read(&delta).unwrap();
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 0x10;
    fs::write(&delta, &bad).unwrap();
    let snapshot = path(&manifest.snapshot.sha256);
    let whole = fs::read(&snapshot).unwrap();
    fs::write(&snapshot, &whole[..whole.len() - 1]).unwrap();
    let fault = follower.poll().unwrap_err();
    assert_eq!(fault.kind(), Kind::Unavailable, "{fault}");
    assert_eq!(prices(&chain.mirror())[0].1, Some("19.90 EUR".into()));
    fs::write(&snapshot, &whole).unwrap();
    assert_eq!(updated(follower.poll()), (2, [0, 1, 0], true));
    let left: Vec<_> = fs::read_dir(format!("{}.sync", chain.mirror().display())).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_download_goes_on_where_it_was_cut_off_at_any_byte() {
    let chain = Chain::new();
    chain.publish();
    let object = chain.manifest().snapshot;
    let whole = fs::read(chain.root().join(object.path().unwrap())).unwrap();
    let server = CuttingServer::start(chain.root());
    let source = server.address("berlin");
    let mut ranges = 0;
    for at in (0..whole.len()).step_by(whole.len() / 97 + 1).chain([0, 1, whole.len() - 1]) {
        let mut follower =
            Follower::new(SyncSettings { source: source.clone(), ..chain.settings(&chain.mirror()) }).unwrap();
        server.cut("objects/", at);
        let cut = follower.poll().unwrap_err();
        assert_eq!(cut.kind(), Kind::Unavailable, "cut at {at}: {cut}");
        assert!(Catalogue::open(&chain.mirror()).unwrap().list().unwrap().is_empty(), "half of it is there");
        server.cut_nothing();
        assert_eq!(updated(follower.poll()), (1, [3, 0, 0], true), "cut at {at}");
        ranges += usize::from(server.last_range() == Some(at as u64));
        Catalogue::delete(&chain.mirror()).unwrap();
    }
    assert!(ranges > 90, "{ranges} downloads went on");
    // A server that knows no ranges, and one that sends something else from there on.
    for lies in [false, true] {
        let mut follower =
            Follower::new(SyncSettings { source: source.clone(), ..chain.settings(&chain.mirror()) }).unwrap();
        server.cut("objects/", whole.len() / 2);
        follower.poll().unwrap_err();
        server.cut_nothing();
        server.behave(lies);
        if lies {
            refused(follower.poll());
            server.honest();
        }
        assert_eq!(updated(follower.poll()).0, 1);
        server.honest();
        Catalogue::delete(&chain.mirror()).unwrap();
    }
}

/// Calls `cut` with all places of a file of so many bytes, in a few parts at once: it waits for the network.
fn at_every_byte(bytes: u64, cut: impl Fn(Range<u64>) + Sync) {
    thread::scope(|scope| {
        for part in 0..8 {
            let cut = &cut;
            scope.spawn(move || cut(bytes * part / 8..bytes * (part + 1) / 8));
        }
    });
}

/// Downloads an object as a mirror does, cut off after every one of its bytes: each download goes on where the one before ended.
fn download_cut_at_every_byte(chain: &Chain, object: &ReleaseObject) {
    let path = object.path().unwrap();
    let whole = fs::read(chain.root().join(&path)).unwrap();
    at_every_byte(object.bytes, |places| {
        let server = CuttingServer::start(chain.root());
        let source = ReleaseSource::parse(&server.address("berlin")).unwrap();
        let part = chain.shop.folder.path().join(format!("{}.part", places.start));
        // So much has come before.
        fs::write(&part, &whole[..places.start as usize]).unwrap();
        for at in places.clone() {
            server.cut(&path, at as usize);
            let cut = source.download(object, &part).unwrap_err();
            assert_eq!(cut.kind(), Kind::Unavailable, "{path} cut at {at}: {cut}");
            assert_eq!(fs::metadata(&part).unwrap().len(), at, "{path} cut at {at}");
            let asked = at.saturating_sub(u64::from(at > places.start));
            assert_eq!(server.last_range(), Some(asked).filter(|from| *from > 0), "{path} cut at {at}");
        }
        server.cut_nothing();
        source.download(object, &part).unwrap();
        assert_eq!(server.last_range(), Some(places.end - 1));
        assert!(fs::read(&part).unwrap() == whole);
    });
}

#[test]
fn a_download_of_manifest_catalogue_or_delta_that_is_cut_off_at_any_byte_is_none_and_goes_on_there() {
    let chain = Chain::new();
    chain.publish();
    chain.price("1", "1 EUR");
    chain.publish();
    let began = Instant::now();
    let bytes = fs::metadata(chain.file("release.json")).unwrap().len();
    at_every_byte(bytes, |places| {
        let server = CuttingServer::start(chain.root());
        let source = ReleaseSource::parse(&server.address("berlin")).unwrap();
        for at in places {
            server.cut("berlin/release.json", at as usize);
            // It is asked for anew.
            let cut = source.manifest(None).err().map(|fault| fault.kind());
            assert_eq!(cut, Some(Kind::Unavailable), "the manifest cut at {at}");
        }
    });
    // A model's files come as the others do.
    let (catalogue, delta) = (chain.manifest().snapshot, chain.manifest().deltas.remove(0).object);
    download_cut_at_every_byte(&chain, &catalogue);
    download_cut_at_every_byte(&chain, &delta);
    eprintln!("{bytes}, {} and {} cuts in {:?}", catalogue.bytes, delta.bytes, began.elapsed());
    assert!(bytes.min(catalogue.bytes).min(delta.bytes) > 500);
}

#[test]
fn an_unchanged_manifest_is_not_sent_again_and_a_server_that_is_away_is_no_harm() {
    let chain = Chain::new();
    chain.publish();
    let server = CuttingServer::start(chain.root());
    let source = server.address("berlin");
    let mut follower = Follower::new(SyncSettings { source, ..chain.settings(&chain.mirror()) }).unwrap();
    updated(follower.poll());
    assert_eq!(follower.poll().unwrap(), PollOutcome::Current { release: 1 });
    assert_eq!(server.not_modified(), 1);
    server.refuse(true);
    assert_eq!(follower.poll().unwrap_err().kind(), Kind::Unavailable);
    let status = follower.status();
    assert!(!status.is_refused && status.fault.is_some() && status.contact.is_some());
    assert_eq!(status.release.as_ref().map(|mark| mark.number), Some(1));
    server.refuse(false);
    chain.price("1", "1 EUR");
    chain.publish();
    assert_eq!(updated(follower.poll()), (2, [0, 1, 0], false));
}

#[test]
fn clocks_that_are_wrong_by_a_year_change_nothing_but_the_age_that_is_said() {
    let chain = Chain::new();
    chain.publish();
    let mut follower = chain.follower();
    let year = 365 * 24 * 3600;
    let now = jiff::Timestamp::now();
    for (number, offset) in [(2, year), (3, -year)] {
        let mut manifest = chain.manifest();
        manifest.mark.number = number;
        manifest.mark.made = jiff::Timestamp::from_second(now.as_second() + offset).unwrap().to_string();
        manifest.deltas.clear();
        chain.put(&manifest);
        updated(follower.poll());
        let age = follower.status().age_seconds().unwrap();
        assert!(if offset > 0 { age == 0 } else { age.abs_diff(year as u64) < 100 }, "{age}");
    }
}

#[test]
fn a_model_that_is_damaged_cut_off_or_misnamed_leaves_model_and_catalogue_as_they_were() {
    let (chain, mut follower) = Chain::followed();
    let state = chain.mirror_state();
    let packed = zstd::encode_all(&b"a graph"[..], 3).unwrap();
    let file = chain.root().join("packed");
    fs::write(&file, &packed).unwrap();
    let object = ReleaseObject { sha256: hash_of(&file).unwrap(), bytes: packed.len() as u64, unpacked_bytes: 7 };
    let place = chain.root().join(object.path().unwrap());
    let brings = |name: &str, model: Option<&str>| {
        let mut manifest = chain.manifest();
        manifest.model_files = vec![ModelFile { name: name.into(), object: object.clone() }];
        let named = model_folder_name(&manifest.model_files);
        manifest.mark.model_folder = model.map(str::to_owned).or(named);
        manifest.mark.number = 2;
        manifest
    };
    let unchanged = |follower: &Follower| {
        assert_eq!(chain.mirror_state(), state);
        let mark = Catalogue::open(&chain.mirror()).unwrap().release().unwrap().unwrap();
        assert_eq!((mark.number, mark.model_folder), (1, None), "{:?}", follower.status());
    };
    // Names that lead elsewhere, and a folder that is not the files'.
    for (name, model) in [("../graph", None), (".graph", None), ("a/b", None), ("graph", Some("../../model"))] {
        chain.put(&brings(name, model));
        refused(follower.poll());
        unchanged(&follower);
    }
    let good = brings("graph", None);
    chain.put(&good);
    assert_eq!(follower.poll().unwrap_err().kind(), Kind::Unavailable, "it is not there");
    unchanged(&follower);
    let mut bad = packed.clone();
    bad[packed.len() / 2] ^= 0x10;
    fs::write(&place, &bad).unwrap();
    refused(follower.poll());
    unchanged(&follower);
    fs::write(&place, &packed).unwrap();
    // The model is here, and the catalogue is not what its manifest says: neither changes.
    let mut mixed = good.clone();
    mixed.mark.state = "0".repeat(64);
    chain.put(&mixed);
    refused(follower.poll());
    unchanged(&follower);
    chain.put(&good);
    assert_eq!(updated(follower.poll()).0, 2);
    let name = good.mark.model_folder.unwrap();
    assert_eq!(fs::read(model_folder(&chain.mirror(), &name).join("graph")).unwrap(), b"a graph");
    let mark = Catalogue::open(&chain.mirror()).unwrap().release().unwrap().unwrap();
    assert_eq!(mark.model_folder, Some(name));
}

/// A small disk that is full before the catalogue is complete; `None` where this user may not mount one.
fn small_disk(at: &Path, kilobytes: usize) -> Option<()> {
    fs::create_dir_all(at).unwrap();
    let size = format!("size={kilobytes}k");
    let mounted = std::process::Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
    mounted.ok().filter(|output| output.status.success()).map(drop)
}

#[test]
fn a_full_disk_leaves_the_old_catalogue() {
    let chain = Chain::new();
    chain.publish();
    let disk = chain.shop.folder.path().join("disk");
    if small_disk(&disk, 700).is_none() {
        eprintln!("skipped: no disk can be mounted here");
        return;
    }
    let catalogue = disk.join("shop.db");
    let mut follower = Follower::new(chain.settings(&catalogue)).unwrap();
    updated(follower.poll());
    let before = Catalogue::open(&catalogue).unwrap().state().unwrap();
    // Many products more, so that one of the steps finds no room whatever its size.
    let rows: String = (10..2000).map(|id| format!("{id},Scarf of a long name {id},a.jpg\n")).collect();
    chain.shop.import(&format!("id,title,image_link\n1,Scarf,a.jpg\n2,Glove,d.jpg\n3,Cape,e.jpg\n{rows}")).unwrap();
    chain.publish();
    let full = follower.poll();
    let after = Catalogue::open(&catalogue).and_then(|catalogue| catalogue.state());
    let left = fs::read_dir(disk.join("shop.db.sync")).map(Iterator::count);
    let unmounted = std::process::Command::new("umount").arg(&disk).status().unwrap();
    assert!(unmounted.success());
    assert_eq!(full.unwrap_err().kind(), Kind::Storage);
    assert_eq!(after.unwrap(), before);
    assert_eq!(left.unwrap_or(0), 0, "what was downloaded takes no room");
}
