//! An import onto a disk that becomes full: a small one in memory.

#![allow(clippy::unwrap_used)]

mod shop;

use std::path::Path;
use std::process::Command;
use vetrina::catalogue::{Catalogue, ImportOptions};
use vetrina::fault::Kind;
use vetrina::pipeline::import::{ImportRequest, import_with};

/// A disk of its own, given back at the end.
struct SmallDisk<'p>(&'p Path);

impl<'p> SmallDisk<'p> {
    /// `None` where this user may not mount one.
    fn mount(at: &'p Path) -> Option<Self> {
        let made = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1M", "tmpfs"]).arg(at).output();
        made.is_ok_and(|made| made.status.success()).then_some(SmallDisk(at))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).output();
    }
}

#[test]
fn a_full_disk_leaves_the_old_catalogue_and_says_what_else_is_left() {
    let shop = shop::Shop::new();
    let disk = tempfile::tempdir().unwrap();
    let Some(_mounted) = SmallDisk::mount(disk.path()) else {
        eprintln!("skipped: no small disk can be mounted");
        return;
    };
    let catalogue = disk.path().join("shop.db");
    let import = |text: &str, thumbnail: usize| {
        let feed = shop.folder.path().join("feed.csv");
        std::fs::write(&feed, text).unwrap();
        let request = ImportRequest {
            feed,
            images: shop.images(),
            catalogue: catalogue.clone(),
            options: ImportOptions { max_removals: 1.0, ..ImportOptions::default() },
            dry_run: false,
        };
        let embed = move |bytes: &[u8], path: &Path, region| {
            let mut picture = shop::embed(bytes, path, region)?;
            picture.thumbnail_jpeg.resize(thumbnail, 0);
            Ok(picture)
        };
        import_with(&request, &shop::stamp("one"), |_| Ok(vec![embed]), |_| {})
    };
    import("id,title,image_link\n1,Scarf,a.jpg\n", 1000).unwrap();
    let more = "id,title,image_link\n1,Scarf,a.jpg\n2,Cape,b.jpg\n3,Coat,c.jpg\n4,Tee,d.jpg\n";
    let fault = import(more, 400_000).unwrap_err();
    assert_eq!(fault.kind(), Kind::Storage, "{fault}");
    let left = disk.path().join("shop.db-import");
    assert!(fault.to_string().contains("full") && fault.to_string().contains(&left.display().to_string()), "{fault}");
    let ids = || -> Vec<String> {
        Catalogue::open(&catalogue).unwrap().list().unwrap().into_iter().map(|(product, _)| product.id).collect()
    };
    assert_eq!(ids(), ["1"]);
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(disk.path().join(format!("shop.db-import{end}")));
    }
    import(more, 1000).unwrap();
    assert_eq!(ids(), ["1", "2", "3", "4"]);
    let files = std::fs::read_dir(disk.path()).unwrap().map(|file| file.unwrap().file_name()).collect::<Vec<_>>();
    assert_eq!(files, ["shop.db"]);
}
