//! A catalogue in a read-only folder can be read; changes are refused with a clear message.

#![allow(clippy::unwrap_used)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use vetrina::catalogue::{Catalogue, Feed, ImageFolder, ImportOptions, ModelStamp, ShopPicture, parse_feed};
use vetrina::geometry::Rect;
use vetrina::seam::Detection;

/// User "nobody": file permissions apply to it even if the tests run as root.
const NOBODY: u32 = 65534;

struct Folder {
    folder: tempfile::TempDir,
    program: PathBuf,
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

impl Folder {
    /// A folder named `name` with a catalogue of one product, and a copy of the program that "nobody" can run.
    fn new(name: &str) -> (Self, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        chmod(folder.path(), 0o755);
        let program = folder.path().join("vetrina");
        fs::copy(env!("CARGO_BIN_EXE_vetrina"), &program).unwrap();
        let shop = folder.path().join(name);
        fs::create_dir(&shop).unwrap();
        fs::write(shop.join("a.jpg"), "a").unwrap();
        let db = shop.join("shop.db");
        drop(import(&db, "id,title,image_link\n1,Scarf,a.jpg\n"));
        (Folder { folder, program }, db)
    }

    fn run(&self, arguments: &[&str], db: &Path) -> (bool, String) {
        let mut command = Command::new(&self.program);
        command.current_dir(self.folder.path()).args(arguments).arg("--db").arg(db);
        if fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
            command.uid(NOBODY).gid(NOBODY);
        }
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.success(), text)
    }
}

fn import(db: &Path, feed: &str) -> Catalogue {
    let feed: Feed = parse_feed(feed.as_bytes()).unwrap();
    let found = ImageFolder::open(db.parent().unwrap()).unwrap().find_all(&feed.links(), |_| {});
    let stamp = ModelStamp { name: "compact".into(), descriptor_hash: "one".into(), embedding: 2 };
    let mut catalogue = Catalogue::create_or_open(db).unwrap();
    let mut plan = catalogue.plan(&feed, &found, &stamp, ImportOptions::default()).unwrap();
    let mut jpeg = Vec::new();
    let picture = image::RgbImage::new(8, 8);
    picture.write_to(&mut std::io::Cursor::new(&mut jpeg), image::ImageFormat::Jpeg).unwrap();
    for index in 0..plan.pending().len() {
        let detection = Detection {
            bounds: Rect::new(1.0, 2.0, 6.0, 7.0),
            class: 0,
            score: 0.75,
            match_embedding: Arc::from([1.0, 0.5]),
            aggregation_embedding: Arc::from([1.0, 0.25]),
        };
        plan.supply(index, Ok(ShopPicture { detection, detail: false, thumbnail_jpeg: jpeg.clone() })).unwrap();
    }
    plan.finish().unwrap();
    catalogue
}

#[test]
fn it_is_read_and_a_change_is_refused() {
    // The name contains characters that are special in SQLite's URIs.
    let (folder, db) = Folder::new("to sell? 50%25 #1");
    chmod(db.parent().unwrap(), 0o555);
    let (read, text) = folder.run(&["catalogue", "list"], &db);
    assert!(read && text.contains("Scarf"), "{text}");
    let relative = db.strip_prefix(folder.folder.path()).unwrap();
    let (read, text) = folder.run(&["catalogue", "check"], relative);
    assert!(read && text.contains("sound"), "{text}");
    let (changed, text) = folder.run(&["catalogue", "remove", "1"], &db);
    assert!(!changed && text.contains("it cannot be written"), "{text}");
    assert!(text.contains("give this user access to the file and its folder"), "{text}");
    chmod(db.parent().unwrap(), 0o755);
}

#[test]
fn changes_that_are_only_in_the_journal_are_not_ignored() {
    let (folder, db) = Folder::new("shop");
    let open = import(&db, "id,title,image_link\n1,Scarf,a.jpg\n2,Glove,a.jpg\n");
    // As after a power cut: the journal exists, the shared memory file does not.
    let cut = folder.folder.path().join("cut");
    fs::create_dir(&cut).unwrap();
    for name in ["shop.db", "shop.db-wal"] {
        fs::copy(db.with_file_name(name), cut.join(name)).unwrap();
    }
    drop(open);
    chmod(&cut, 0o555);
    let (read, text) = folder.run(&["catalogue", "list"], &cut.join("shop.db"));
    assert!(!read && text.contains("its newest changes are in") && text.contains("catalogue check --db"), "{text}");
    chmod(&cut, 0o755);
    assert_eq!(Catalogue::open(&cut.join("shop.db")).unwrap().list().unwrap().len(), 2);
}

/// A disk that is mounted for reading only, unmounted at the end.
struct ReadOnlyDisk<'p>(&'p Path);

impl<'p> ReadOnlyDisk<'p> {
    /// The folder, mounted over itself. `None` where this user may not.
    fn mount(at: &'p Path) -> Option<Self> {
        let mount = |options: &str| Command::new("mount").args(["-o", options]).args([at, at]).output();
        let works = |options| mount(options).is_ok_and(|made| made.status.success());
        works("bind").then_some(())?;
        let disk = ReadOnlyDisk(at);
        works("remount,ro,bind").then_some(disk)
    }
}

impl Drop for ReadOnlyDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).output();
    }
}

#[test]
fn a_read_only_disk_is_named() {
    let (folder, db) = Folder::new("shop");
    let shop = db.parent().unwrap();
    fs::write(shop.join("feed.csv"), "id,title,image_link\n1,Cape,a.jpg\n").unwrap();
    fs::write(shop.join("vetrina.toml"), "[catalogue]\nfile = \"shop.db\"\n").unwrap();
    let Some(_disk) = ReadOnlyDisk::mount(shop) else { return eprintln!("skipped: no disk can be mounted") };
    let (read, text) = folder.run(&["catalogue", "list"], &db);
    assert!(read && text.contains("Scarf"), "{text}");
    let [feed, images] = [shop.join("feed.csv"), shop.to_owned()].map(|path| path.display().to_string());
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/compact").display().to_string();
    let import = ["catalogue", "import", &feed, "--images", &images, "--model", &model];
    for (what, path) in
        [(&import[..], db.clone()), (&import, shop.join("new.db")), (&["catalogue", "remove", "1"], db.clone())]
    {
        let (changed, text) = folder.run(what, &path);
        assert!(!changed && text.contains("read-only") && text.contains("mount it for writing"), "{what:?}: {text}");
    }
    let config = shop.join("vetrina.toml").display().to_string();
    let output = Command::new(&folder.program).args(["doctor", "--config", &config]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().any(|line| line.starts_with("disk") && line.contains("read-only")), "{text}");
}
