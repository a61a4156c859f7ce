//! The catalogue on real SQLite files: transactions are atomic, nothing is computed twice, and each bad file gives one
//! clear message.

#![allow(clippy::unwrap_used)]

#[path = "catalogue/damage.rs"]
mod damage;
mod shop;

use rusqlite::Connection;
use shop::{CLASSES, FEED, LENGTH, Shop, embed, import, jpeg, lenient, stamp, strict};
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use vetrina::catalogue::{
    Addressed, Catalogue, ColumnMap, Currency, Feed, FileVersion, ImportOptions, Index, ShopPicture, feed, images,
};
use vetrina::fault::{Kind, Result};
use vetrina::seam::{EmbeddingHead, Region};

#[test]
fn an_import_can_be_listed_shown_searched_and_checked() {
    let shop = Shop::new();
    let report = shop.import(FEED).unwrap();
    assert_eq!((report.products, report.added, report.pictures_embedded, report.pictures_reused), (3, 3, 5, 0));
    let catalogue = shop.open();
    let pictures: Vec<usize> = catalogue.list().unwrap().into_iter().map(|(_, pictures)| pictures).collect();
    assert_eq!(pictures, [3, 1, 2]);
    let detail = catalogue.get("1").unwrap().unwrap();
    assert_eq!(detail.product.brand.as_deref(), Some("Acme"));
    assert_eq!(detail.pictures[2].source, "c.jpg");
    assert_eq!((detail.pictures[0].class, detail.pictures[0].bounds), (3, [1.0, 2.0, 30.5, 40.0]));
    assert_eq!(catalogue.get("9").unwrap(), None);
    assert_eq!(catalogue.thumbnail("2").unwrap(), Some(jpeg()));
    let check = catalogue.check(Some(&stamp("one"))).unwrap();
    assert_eq!(check.problems, Vec::<String>::new());
    assert_eq!((check.products, check.pictures, check.descriptors), (3, 6, 5));
    let mode: String =
        Connection::open(shop.db()).unwrap().query_row("pragma journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}

#[test]
fn a_picture_of_two_garments_is_embedded_for_each_region_and_searched_within_it() {
    let shop = Shop::new();
    let text = "id,title,image_link,product_type\n1,Denim jacket,a.jpg,\n2,Nova,a.jpg,Women > Trousers\n\
                3,Cap,b.jpg,\n4,Bag,c.jpg,\n";
    let report = shop.import(text).unwrap();
    assert_eq!((report.products, report.pictures_embedded), (4, 4));
    let catalogue = shop.open();
    let class = |id: &str| catalogue.get(id).unwrap().unwrap().pictures[0].class;
    assert_eq!(["1", "2", "3", "4"].map(class), [0, 1, 3, 3]);
    assert!(catalogue.check(None).unwrap().is_sound());
    let index = Index::load(&catalogue, EmbeddingHead::Match, &[-1.0; LENGTH], 0.0).unwrap();
    // The texts of 3 and 4 name no garment: with this model, their class 3 is a lower garment.
    let index = index.with_regions(&[None, None, None, Some(Region::Lower)]);
    assert_eq!(index.region(0), Some(Region::Upper));
    let found = |region| index.search_in(&[0.0, 0.5, -0.5, 0.0], region, 9).into_iter().map(|hit| hit.product);
    assert_eq!(found(Some(Region::Upper)).collect::<Vec<_>>(), [0]);
    assert_eq!(found(Some(Region::Dress)).collect::<Vec<_>>(), [0]);
    assert_eq!(found(Some(Region::Lower)).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(found(None).collect::<Vec<_>>(), [0, 1, 2, 3]);
    // Another title selects another garment of the picture; the one that is no longer shown is deleted.
    let report = shop.import(&text.replace("Denim jacket", "Denim shorts")).unwrap();
    assert_eq!((report.updated, report.pictures_embedded, report.pictures_reused), (1, 0, 3));
    let report = shop.import(text).unwrap();
    assert_eq!((report.updated, report.pictures_embedded), (1, 0), "the generation before had it");
}

#[test]
fn a_catalogue_of_the_first_schema_is_brought_up_and_searched() {
    let shop = Shop::new();
    let old = Connection::open(shop.db()).unwrap();
    old.execute_batch(include_str!("../src/catalogue/schema.sql")).unwrap();
    let thumbnail: String = jpeg().iter().map(|byte| format!("{byte:02x}")).collect();
    old.execute_batch(
        &"insert into model values (1, 'compact', 'one', 4);
         insert into product (id, position, title, image_link) values ('1', 0, 'Denim jacket', 'a.jpg');
         insert into content values (7, zeroblob(32), x'ff');
         insert into descriptor values (7, 0, 0.5, 0, 0, 9, 9, zeroblob(16), zeroblob(16));
         insert into picture values ('1', 0, 'a.jpg', 7);
         insert into refusal values (zeroblob(32), 'no garment');
         pragma application_id = 0x56545241; pragma user_version = 1;"
            .replace("x'ff'", &format!("x'{thumbnail}'")),
    )
    .unwrap();
    drop(old);
    let catalogue = Catalogue::open(&shop.db()).unwrap();
    let index = Index::load(&catalogue, EmbeddingHead::Match, &[-1.0; LENGTH], 0.0).unwrap().with_regions(&CLASSES);
    assert_eq!((index.len(), index.gallery().rows(), index.region(0)), (1, 1, Some(Region::Upper)));
    assert_eq!(catalogue.get("1").unwrap().unwrap().pictures[0].score, 0.5);
    drop(catalogue);
    // The next import examines the picture for the jacket.
    let report = shop.import("id,title,image_link\n1,Denim jacket,a.jpg\n").unwrap();
    assert_eq!((report.updated, report.pictures_embedded), (1, 1));
    assert!(shop.open().check(None).unwrap().is_sound());
}

#[test]
fn a_product_counts_by_its_best_picture() {
    let shop = Shop::new();
    shop.import(FEED).unwrap();
    let catalogue = shop.open();
    // v = -1 everywhere: the nearest picture wins. c.jpg is 2, a.jpg is 0, d.jpg is 3, e.jpg is 4.
    let index = Index::load(&catalogue, EmbeddingHead::Match, &[-1.0; LENGTH], 0.5).unwrap();
    assert_eq!((index.len(), index.gallery().rows()), (3, 6));
    let hits = index.search(&[2.0, 0.5, -0.5, 0.0], 3);
    let ids: Vec<&str> = hits.iter().map(|hit| index.product(hit.product).id.as_str()).collect();
    assert_eq!(ids, ["1", "2", "3"]);
    assert_eq!(hits.iter().map(|hit| hit.logit).collect::<Vec<_>>(), [0.5, -0.5, -3.5]);
    assert_eq!(catalogue.picture_thumbnail(index.content(hits[0].row)).unwrap(), Some(jpeg()));
    // Equal by a.jpg, which 1 and 3 share: the feed's order decides.
    let hits = index.search(&[0.0, 0.5, -0.5, 0.0], 2);
    assert_eq!(hits.iter().map(|hit| index.product(hit.product).id.as_str()).collect::<Vec<_>>(), ["1", "3"]);
    let other = Index::load(&catalogue, EmbeddingHead::Aggregation, &[-1.0; LENGTH], 0.0).unwrap();
    assert_eq!(other.product(other.search(&[-3.0, 1.0, 0.0, 0.25], 1)[0].product).id, "2");
    let wrong = Index::load(&catalogue, EmbeddingHead::Match, &[1.0; 7], 0.0).unwrap_err();
    assert_eq!(wrong.kind(), Kind::Catalogue);
}

#[test]
fn a_picture_of_a_detail_is_searched_only_where_there_is_no_other() {
    let shop = Shop::new();
    shop.picture("detail-b.jpg", "b");
    shop.picture("detail-e.jpg", "e");
    shop.import("id,title,image_link,additional_image_link\n1,Scarf,detail-b.jpg,c.jpg\n2,Hat,detail-e.jpg,\n")
        .unwrap();
    let catalogue = shop.open();
    let index = Index::load(&catalogue, EmbeddingHead::Match, &[-1.0; LENGTH], 0.0).unwrap();
    assert_eq!(index.gallery().rows(), 2);
    // b.jpg is 1, c.jpg is 2, e.jpg is 4.
    let logits = |at: f32| index.search(&[at, 0.5, -0.5, 0.0], 2).iter().map(|hit| hit.logit).collect::<Vec<_>>();
    assert_eq!(logits(1.0), [-1.0, -9.0], "the scarf by its other picture, the hat by its only one");
    let report = catalogue.check(Some(&stamp("one"))).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.details, ["detail-b.jpg", "detail-e.jpg"]);
}

#[test]
fn a_second_import_computes_nothing_even_of_renamed_or_refused_pictures() {
    let shop = Shop::new();
    shop.picture("f.jpg", "none here");
    let text = format!("{FEED}4,Hat,f.jpg,,,\n5,Belt,d.jpg,f.jpg,,\n");
    let first = shop.import(&text).unwrap();
    assert_eq!((first.added, first.pictures_embedded), (4, 5));
    assert_eq!(first.skipped_rows.len(), 1);
    assert_eq!(first.skipped_pictures.len(), 1);
    fs::rename(shop.images().join("d.jpg"), shop.images().join("moved.jpg")).unwrap();
    let text = text.replace("d.jpg", "moved.jpg");
    let mut catalogue = shop.open();
    let feed = feed::parse(text.as_bytes()).unwrap();
    let plan = catalogue.plan(&feed, &shop.find(&feed), &stamp("one"), lenient()).unwrap();
    assert!(plan.pending().is_empty());
    let second = plan.finish().unwrap();
    assert_eq!((second.unchanged, second.updated, second.added, second.removed), (2, 2, 0, 0));
    assert_eq!((second.pictures_embedded, second.pictures_reused), (0, 5));
    assert_eq!((second.skipped_rows, second.skipped_pictures.len()), (first.skipped_rows, 1));
    let third = shop.import(&text).unwrap();
    assert_eq!((third.unchanged, third.updated), (4, 0));
}

#[test]
fn the_feed_is_the_catalogue() {
    let shop = Shop::new();
    shop.import(FEED).unwrap();
    let report = shop.import("id,title,image_link\n3,Cape,e.jpg\n7,Bag,f.jpg\n1,Scarf,a.jpg\n").unwrap();
    assert_eq!((report.added, report.updated, report.removed, report.unchanged), (1, 2, 1, 0));
    assert_eq!((report.pictures_embedded, report.pictures_reused), (1, 2));
    assert_eq!(shop.ids(), ["3", "7", "1"]);
    // b, c and d are shown by the generation before.
    assert_eq!(shop.open().check(None).unwrap().descriptors, 6);
}

#[test]
fn bad_rows_are_skipped_with_line_and_reason_or_refuse_all_when_strict() {
    let shop = Shop::new();
    shop.import(FEED).unwrap();
    shop.picture("f.jpg", "none");
    let text = "id,title,image_link,additional_image_link\n\
                1,Scarf,a.jpg,missing.jpg\n\
                2,,b.jpg,\n\
                3,Cape,../shop.db,\n\
                4,Hat,https://shop.example/h.jpg,\n\
                1,Twice,b.jpg,\n\
                6,Nothing,f.jpg,\n\
                7,Web,https://shop.example/pictures/c.jpg?w=1,\n";
    let refusal = import(&mut shop.open(), text, &shop.images(), &stamp("one"), strict()).unwrap_err();
    assert_eq!(refusal.kind(), Kind::Input);
    assert!(refusal.to_string().contains("line 3: it has no title (and 4 more)"), "{refusal}");
    assert_eq!(shop.ids(), ["1", "2", "3"]);
    let report = shop.import(text).unwrap();
    let reasons: HashMap<u64, String> = report.skipped_rows.iter().map(|p| (p.line, p.reason.clone())).collect();
    assert_eq!(reasons.len(), 5, "{reasons:?}");
    assert!(reasons[&4].contains("is not under"), "{}", reasons[&4]);
    assert!(reasons[&5].contains("is not in the picture folder: put "));
    assert!(reasons[&6].contains("further up"));
    assert!(reasons[&7].contains("no garment"));
    assert!(report.skipped_pictures[0].reason.contains("missing.jpg"));
    assert_eq!(shop.ids(), ["1", "7"]);
    let unknown = "id,title,image_link,prize\n1,Scarf,a.jpg,3\n";
    assert!(shop.import(unknown).unwrap().warnings[0].contains("did you mean \"price\""));
    assert!(import(&mut shop.open(), unknown, &shop.images(), &stamp("one"), strict()).is_err());
    // Known from the import above to show no garment: refused without looking again.
    let feed = feed::parse(b"id,title,image_link\n1,A,a.jpg\n2,B,f.jpg\n").unwrap();
    shop.import("id,title,image_link\n1,A,a.jpg\n2,B,f.jpg\n").unwrap();
    assert!(shop.open().plan(&feed, &shop.find(&feed), &stamp("one"), strict()).is_err());
}

#[test]
fn an_import_that_fails_half_way_leaves_the_old_catalogue() {
    let shop = Shop::new();
    shop.import(FEED).unwrap();
    let before = shop.open().list().unwrap();
    shop.picture("f.jpg", "broken");
    shop.picture("g.jpg", "g");
    let text = "id,title,image_link\n8,New,g.jpg\n9,Broken,f.jpg\n";
    assert_eq!(shop.import(text).unwrap_err().kind(), Kind::Internal);
    assert_eq!(shop.open().list().unwrap(), before);
    // Dropped before the end, as by a crash.
    let mut catalogue = shop.open();
    let feed = feed::parse(text.as_bytes()).unwrap();
    let mut plan = catalogue.plan(&feed, &shop.find(&feed), &stamp("two"), lenient()).unwrap();
    plan.supply(0, embed(b"g", Path::new("g.jpg"), None)).unwrap();
    assert_eq!(shop.ids(), ["1", "2", "3"], "a reader sees the old one meanwhile");
    drop(plan);
    assert_eq!(catalogue.stamp().unwrap(), Some(stamp("one")));
    assert!(catalogue.check(Some(&stamp("one"))).unwrap().is_sound());
    // A feed of which nothing is left changes nothing.
    for text in ["id,title,image_link\n", "id,title,image_link\n1,A,none.jpg\n"] {
        assert_eq!(shop.import(text).unwrap_err().kind(), Kind::Input);
    }
    assert_eq!(shop.open().list().unwrap(), before);
}

#[test]
fn a_plan_is_finished_only_with_all_its_pictures() {
    let shop = Shop::new();
    let mut catalogue = shop.open();
    let feed = feed::parse(FEED.as_bytes()).unwrap();
    let plan = catalogue.plan(&feed, &shop.find(&feed), &stamp("one"), lenient()).unwrap();
    assert_eq!(plan.finish().unwrap_err().kind(), Kind::Internal);
    let mut plan = catalogue.plan(&feed, &shop.find(&feed), &stamp("one"), lenient()).unwrap();
    let mut wrong = embed(b"a", Path::new("a.jpg"), None).unwrap();
    wrong.detection.match_embedding = Arc::from([1.0, f32::NAN, 0.0, 0.0]);
    assert_eq!(plan.supply(0, Ok(wrong)).unwrap_err().kind(), Kind::Model);
    let picture = plan.pending()[0].clone();
    fs::write(&picture.path, "other").unwrap();
    assert_eq!(picture.read().unwrap_err().kind(), Kind::Input);
}

/// Begins to import FEED, embeds its first `count` pictures, and is interrupted.
fn interrupted(shop: &Shop, hash: &str, count: usize) -> (usize, usize) {
    let mut catalogue = shop.open();
    let feed = feed::parse(FEED.as_bytes()).unwrap();
    let mut plan = catalogue.plan(&feed, &shop.find(&feed), &stamp(hash), lenient()).unwrap();
    let pending = plan.pending().to_vec();
    for (index, picture) in pending.iter().take(count).enumerate() {
        let bytes = picture.read().unwrap();
        plan.supply(index, embed(&bytes, &picture.path, picture.region)).unwrap();
    }
    (pending.len(), plan.preview().pictures_reused)
}

#[test]
fn an_interrupted_import_goes_on_where_it_was() {
    let shop = Shop::new();
    let unfinished = shop.folder.path().join("shop.db-import");
    shop.picture("b.jpg", "none");
    assert_eq!(interrupted(&shop, "one", 3), (5, 0));
    assert!(unfinished.exists() && shop.ids().is_empty(), "the catalogue is as it was");
    // Two of the three showed a garment; the third is not looked at again.
    assert_eq!(interrupted(&shop, "one", 0), (2, 2));
    let report = shop.import(FEED).unwrap();
    assert_eq!((report.pictures_embedded, report.pictures_reused, report.skipped_pictures.len()), (2, 2, 1));
    assert!(!unfinished.exists(), "it is done");
    assert!(shop.open().check(Some(&stamp("one"))).unwrap().is_sound());
    assert_eq!(shop.import(FEED).unwrap().unchanged, 3);
    // A refusal at the very end, when the pictures are in the catalogue already: the products stand, and nothing is embedded again.
    let text = "id,title,image_link\n1,Scarf,g.jpg\n";
    shop.picture("g.jpg", "g");
    let refused = import(&mut shop.open(), text, &shop.images(), &stamp("one"), ImportOptions::default());
    assert!(refused.unwrap_err().to_string().contains("would remove 2 of 3"));
    assert_eq!(shop.ids(), ["1", "2", "3"]);
    assert!(shop.open().check(Some(&stamp("one"))).unwrap().is_sound() && unfinished.exists());
    assert_eq!(shop.import(text).unwrap().pictures_embedded, 0);
    shop.open().undo(None).unwrap();
    // What another model embedded is of no use.
    assert_eq!(interrupted(&shop, "two", 3), (5, 0));
    assert_eq!(interrupted(&shop, "three", 1), (5, 0));
    assert_eq!(shop.import(FEED).unwrap().unchanged, 3);
    assert!(!unfinished.exists(), "and is deleted");
}

#[test]
fn only_one_import_embeds_at_a_time_and_its_file_is_looked_at() {
    let shop = Shop::new();
    let unfinished = shop.folder.path().join("shop.db-import");
    let feed = feed::parse(FEED.as_bytes()).unwrap();
    let (mut first, mut second) = (shop.open(), shop.open());
    let mut plan = first.plan(&feed, &shop.find(&feed), &stamp("one"), lenient()).unwrap();
    plan.supply(0, embed(b"a", Path::new("a.jpg"), None)).unwrap();
    let fault = second.plan(&feed, &shop.find(&feed), &stamp("one"), lenient()).map(|_| ()).unwrap_err();
    assert!(fault.kind() == Kind::Busy && fault.to_string().contains("another import"), "{fault}");
    drop(plan);
    second.plan(&feed, &shop.find(&feed), &stamp("one"), lenient()).map(|_| ()).unwrap();
    // A damaged one is begun anew; what is not ours is left.
    fs::write(&unfinished, "no database, and longer than a header would be".repeat(9)).unwrap();
    assert_eq!(shop.import(FEED).unwrap().pictures_embedded, 5);
    drop(Connection::open(&unfinished).unwrap().execute_batch("create table other (x)"));
    shop.picture("f.jpg", "f");
    let fault = shop.import("id,title,image_link\n1,A,f.jpg\n").unwrap_err();
    assert!(fault.kind() == Kind::Storage && fault.to_string().contains("move it away"), "{fault}");
    assert!(unfinished.exists());
}

#[test]
fn the_catalogue_may_change_while_an_import_embeds() {
    let shop = Shop::new();
    shop.import(FEED).unwrap();
    shop.picture("f.jpg", "f");
    let text = FEED.replace("d.jpg", "f.jpg");
    let feed = feed::parse(text.as_bytes()).unwrap();
    let mut catalogue = shop.open();
    let mut plan = catalogue.plan(&feed, &shop.find(&feed), &stamp("one"), lenient()).unwrap();
    plan.supply(0, embed(b"f", Path::new("f.jpg"), None)).unwrap();
    let price = |price: &str| Addressed {
        id: "1".into(),
        update: serde_json::from_str(&format!(r#"{{"price": "{price}"}}"#)).unwrap(),
    };
    assert_eq!(shop.open().update(&[price("1 EUR")]).unwrap(), ["1"]);
    shop.open().remove("3").unwrap();
    let report = plan.finish().unwrap();
    // Against the catalogue as it was at the end: 1 has another price, 2 another picture, and 3 was taken out.
    assert_eq!((report.updated, report.added, report.removed, report.unchanged), (2, 1, 0, 0));
    assert_eq!(shop.open().get("1").unwrap().unwrap().product.price.as_deref(), Some("19.90 EUR"));
    assert!(catalogue.check(Some(&stamp("one"))).unwrap().is_sound());
    // A picture that was known when the plan was made, and is taken out before its end.
    let feed = feed::parse(b"id,title,image_link\n2,Glove,d.jpg\n").unwrap();
    let plan = catalogue.plan(&feed, &shop.find(&feed), &stamp("one"), lenient()).unwrap();
    assert!(plan.pending().is_empty());
    for title in 0..6 {
        shop.import(&format!("id,title,image_link\n1,Scarf {title},a.jpg\n")).unwrap();
    }
    let fault = plan.finish().unwrap_err();
    assert!(fault.kind() == Kind::Busy && fault.to_string().contains("import again"), "{fault}");
    assert_eq!(shop.ids(), ["1"]);
}

#[test]
fn another_model_is_refused_and_an_import_under_it_embeds_anew() {
    let shop = Shop::new();
    shop.import(FEED).unwrap();
    let mut catalogue = shop.open();
    catalogue.require_model(&stamp("one")).unwrap();
    let fault = catalogue.require_model(&stamp("two")).unwrap_err();
    assert_eq!(fault.kind(), Kind::Catalogue);
    let command = format!("vetrina catalogue import FEED --images DIR --db {} --model DIR", shop.db().display());
    assert!(fault.to_string().contains(&command), "{fault}");
    assert!(!catalogue.check(Some(&stamp("two"))).unwrap().is_sound());
    let report = import(&mut catalogue, FEED, &shop.images(), &stamp("two"), strict()).unwrap();
    assert_eq!((report.updated, report.pictures_embedded, report.pictures_reused), (3, 5, 0));
    catalogue.require_model(&stamp("two")).unwrap();
    assert!(catalogue.check(Some(&stamp("two"))).unwrap().is_sound());
}

#[test]
fn a_removed_product_is_not_found_and_its_pictures_are_not_embedded_again() {
    let shop = Shop::new();
    shop.import(FEED).unwrap();
    let mut catalogue = shop.open();
    catalogue.remove("1").unwrap();
    assert_eq!(catalogue.remove("1").unwrap_err().kind(), Kind::Usage);
    let check = catalogue.check(None).unwrap();
    // Its pictures stay for the way back.
    assert_eq!((check.products, check.descriptors, check.is_sound()), (2, 5, true));
    let index = Index::load(&catalogue, EmbeddingHead::Match, &[-1.0; LENGTH], 0.0).unwrap();
    assert_eq!(index.product(0).id, "2");
    let report = shop.import(FEED).unwrap();
    assert_eq!((report.added, report.pictures_embedded), (1, 0));
}

#[test]
fn an_export_is_a_feed_that_changes_nothing() {
    let shop = Shop::new();
    shop.import(FEED).unwrap();
    let mut bytes = Vec::new();
    shop.open().export(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.starts_with("id,title,link,image_link,additional_image_link,"));
    let products = |text: &str| -> Vec<_> {
        feed::parse(text.as_bytes()).unwrap().rows.into_iter().map(|row| row.product).collect()
    };
    assert_eq!(products(&text), products(FEED));
    let report = shop.import(&text).unwrap();
    assert_eq!((report.unchanged, report.products, report.pictures_embedded), (3, 3, 0));
}

#[test]
fn a_catalogue_in_use_is_busy_but_can_be_read() {
    let shop = Shop::new();
    shop.import(FEED).unwrap();
    let other = Connection::open(shop.db()).unwrap();
    other.execute_batch("begin immediate").unwrap();
    let fault = shop.import(FEED).unwrap_err();
    assert_eq!(fault.kind(), Kind::Busy);
    assert!(fault.to_string().contains("another process is using it"), "{fault}");
    assert_eq!(shop.open().remove("1").unwrap_err().kind(), Kind::Busy);
    assert_eq!(shop.ids(), ["1", "2", "3"]);
    other.execute_batch("rollback; pragma locking_mode = exclusive; begin exclusive; create table t (x)").unwrap();
    drop(other);
    let other = Connection::open(shop.db()).unwrap();
    other.execute_batch("pragma journal_mode = delete; begin exclusive").unwrap();
    assert_eq!(Catalogue::open(&shop.db()).unwrap_err().kind(), Kind::Busy);
}

#[test]
fn a_running_reader_notices_a_new_import() {
    let shop = Shop::new();
    shop.import(FEED).unwrap();
    let version = || FileVersion::of(&shop.db()).unwrap();
    let before = version();
    assert_eq!(version(), before);
    shop.import("id,title,image_link\n1,Scarf,a.jpg\n").unwrap();
    assert_ne!(version(), before);
}

#[test]
fn feeds_in_files_are_read_or_named() {
    let shop = Shop::new();
    let path = shop.folder.path().join("feed.tsv");
    let utf16: Vec<u8> = std::iter::once(0xfeff)
        .chain("id\ttitle\timage link\n1\tRobe d’été\ta.jpg\n".encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    fs::write(&path, utf16).unwrap();
    assert_eq!(Feed::read(&path, &ColumnMap::default()).unwrap().rows[0].product.title, "Robe d’été");
    fs::write(&path, b"id,title,image_link\n1,\0,a.jpg\n").unwrap();
    let fault = Feed::read(&path, &ColumnMap::default()).unwrap_err().to_string();
    assert!(fault.contains("feed.tsv") && fault.contains("zero bytes") && fault.contains("UTF-8"), "{fault}");
    let missing = Feed::read(&shop.folder.path().join("none.csv"), &ColumnMap::default()).unwrap_err();
    assert!(missing.kind() == Kind::Input && missing.to_string().contains("none.csv"), "{missing}");
    assert_eq!(images::ImageFolder::open(&path).unwrap_err().kind(), Kind::Input);
}

#[test]
fn an_in_memory_catalogue_is_one_too() {
    let shop = Shop::new();
    let mut catalogue = Catalogue::in_memory().unwrap();
    assert!(Index::load(&catalogue, EmbeddingHead::Match, &[1.0], 0.0).unwrap().is_empty());
    import(&mut catalogue, FEED, &shop.images(), &stamp("one"), strict()).unwrap();
    assert_eq!(catalogue.list().unwrap().len(), 3);
}

/// Worker threads, none where nothing is to be embedded, all or nothing; every step is said from its beginning to its end.
#[test]
fn an_import_runs_on_several_threads() {
    use vetrina::pipeline::import::{ImportRequest, ImportStep, import_with};
    let shop = Shop::new();
    let path = shop.folder.path().join("feed.csv");
    fs::write(&path, FEED).unwrap();
    let request = ImportRequest {
        feed: path.clone(),
        images: shop.images(),
        catalogue: shop.folder.path().join("shop.db"),
        options: lenient(),
        dry_run: false,
    };
    let mut steps = Vec::new();
    let workers = |pending: usize| Ok(vec![embed; pending.min(3)]);
    let report = import_with(&request, &stamp("one"), workers, |progress| steps.push(progress)).unwrap();
    assert_eq!((report.products, report.pictures_embedded), (3, 5));
    let of = |step| steps.iter().filter(|one| one.step == step).map(|one| (one.done, one.of)).collect::<Vec<_>>();
    assert_eq!(of(ImportStep::Recognize), (0..=5).map(|done| (done, 5)).collect::<Vec<_>>());
    assert!(!of(ImportStep::Read).is_empty() && of(ImportStep::Read).iter().all(|(done, of)| done <= of));
    type Worker = fn(&[u8], &Path, Option<Region>) -> Result<ShopPicture>;
    let again = import_with(&request, &stamp("one"), |_| -> Result<Vec<Worker>> { panic!("no work") }, |_| ());
    assert_eq!(again.unwrap().unchanged, 3);
    shop.picture("f.jpg", "broken");
    fs::write(&path, format!("{FEED}4,Hat,f.jpg,,,\n")).unwrap();
    let fault = import_with(&request, &stamp("one"), |_| Ok(vec![embed; 2]), |_| ()).unwrap_err();
    assert_eq!(fault.kind(), Kind::Internal);
    assert_eq!(Catalogue::open(&request.catalogue).unwrap().list().unwrap().len(), 3);
}

#[test]
fn a_currency_is_given_once_and_counts_for_updates_too() {
    use vetrina::pipeline::import::{ImportRequest, import_with};
    let shop = Shop::new();
    let path = shop.folder.path().join("feed.csv");
    fs::write(&path, "id,title,image_link,price,sale_price\n1,Scarf,a.jpg,29.90,19.9000\n2,Glove,b.jpg,5 GBP,\n")
        .unwrap();
    let import = |currency: Option<&str>| {
        let currency = currency.map(|code| Currency::parse(code).unwrap());
        let request = ImportRequest {
            feed: path.clone(),
            images: shop.images(),
            catalogue: shop.db(),
            options: ImportOptions { currency, ..ImportOptions::default() },
            dry_run: false,
        };
        import_with(&request, &stamp("one"), |_| Ok(vec![embed]), |_| ()).unwrap()
    };
    let product = |id: &str| shop.open().get(id).unwrap().unwrap().product;
    import(Some("EUR"));
    let scarf = product("1");
    assert_eq!((scarf.price.as_deref(), scarf.sale_price.as_deref()), (Some("29.90 EUR"), Some("19.90 EUR")));
    assert_eq!(product("2").price.as_deref(), Some("5 GBP"));
    assert_eq!(import(None).unchanged, 2, "it was kept");
    let update = serde_json::from_str(r#"{"price": "24.90"}"#).unwrap();
    shop.open().update(&[Addressed { id: "1".into(), update }]).unwrap();
    assert_eq!(product("1").price.as_deref(), Some("24.90 EUR"));
    import(Some(""));
    assert_eq!(product("1").price.as_deref(), Some("29.90"));
    assert_eq!(import(None).unchanged, 2, "it was forgotten");
}

#[test]
fn a_refused_first_import_leaves_no_file_and_a_dry_run_none_either() {
    use vetrina::pipeline::import::{ImportRequest, import_with};
    let shop = Shop::new();
    let path = shop.folder.path().join("feed.csv");
    let request = |dry_run| ImportRequest {
        feed: path.clone(),
        images: shop.images(),
        catalogue: shop.db(),
        options: ImportOptions::default(),
        dry_run,
    };
    let run = |dry_run| import_with(&request(dry_run), &stamp("one"), |_| Ok(vec![embed]), |_| ());
    fs::write(&path, "id,title,image_link\n1,A,none.jpg\n").unwrap();
    run(false).unwrap_err();
    fs::write(&path, FEED).unwrap();
    let report = run(true).unwrap();
    assert_eq!((report.added, report.pictures_pending), (3, 5));
    let left: Vec<_> = fs::read_dir(shop.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    // A map is given once.
    fs::write(&path, FEED.replace("title", "Name")).unwrap();
    let map = ColumnMap::parse("title=Name").unwrap();
    let options = ImportOptions { column_map: Some(map), ..ImportOptions::default() };
    let mapped = ImportRequest { options, ..request(false) };
    import_with(&mapped, &stamp("one"), |_| Ok(vec![embed]), |_| ()).unwrap();
    assert_eq!(run(false).unwrap().unchanged, 3);
    let sources: Vec<String> = shop.open().history().unwrap().into_iter().map(|one| one.source).collect();
    assert_eq!(sources, ["import of feed.csv", "import of feed.csv"]);
}
