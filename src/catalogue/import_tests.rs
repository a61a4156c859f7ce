//! A disk that fills up, which SQLite can be told to imitate. The other tests of imports are in tests/catalogue.rs.

use super::*;
use crate::catalogue::feed;
use crate::catalogue::images::ImageFolder;
use crate::geometry::Rect;
use crate::seam::Detection;
use std::sync::Arc;

fn picture(thumbnail_bytes: usize) -> ShopPicture {
    let detection = Detection {
        bounds: Rect::new(0.0, 0.0, 1.0, 1.0),
        class: 0,
        score: 0.5,
        match_embedding: Arc::from([1.0, 2.0]),
        aggregation_embedding: Arc::from([3.0, 4.0]),
    };
    ShopPicture { detection, detail: false, thumbnail_jpeg: vec![7; thumbnail_bytes] }
}

#[test]
fn a_full_disk_is_a_storage_fault_and_leaves_the_old_catalogue() {
    let folder = tempfile::tempdir().unwrap();
    let stamp = ModelStamp { name: "m".into(), descriptor_hash: "h".into(), embedding: 2 };
    let images = ImageFolder::open(folder.path()).unwrap();
    let mut catalogue = Catalogue::create_or_open(&folder.path().join("shop.db")).unwrap();
    let mut import = |text: &str, thumbnail_bytes: usize| {
        std::fs::write(folder.path().join("a.jpg"), text).unwrap();
        let feed = feed::parse(text.as_bytes()).unwrap();
        let mut plan = catalogue.plan(
            &feed,
            &images.find_all(&feed.links(), |_| {}),
            &stamp,
            ImportOptions { max_removals: 1.0, ..ImportOptions::default() },
        )?;
        plan.supply(0, Ok(picture(thumbnail_bytes)))?;
        plan.finish()?;
        let pages = catalogue.pragma_i64("page_count")?;
        catalogue.connection.pragma_update(None, "max_page_count", pages + 10).unwrap();
        Ok::<_, Fault>(catalogue.list().unwrap())
    };
    let first = import("id,title,image_link\n1,Dress,a.jpg\n", 1000).unwrap();
    let fault = import("id,title,image_link\n2,Skirt,a.jpg\n", 1_000_000).unwrap_err();
    assert_eq!(fault.kind(), Kind::Storage);
    assert!(fault.to_string().contains("the disk is full"), "{fault}");
    assert_eq!(catalogue.list().unwrap(), first);
    assert!(catalogue.stamp().unwrap().is_some());
}
