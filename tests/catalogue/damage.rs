//! Files that are no catalogue, are damaged, or come from a newer program.

use super::*;

#[test]
fn a_file_that_is_no_catalogue_is_refused_and_left_as_it_was() {
    let shop = Shop::new();
    let path = shop.folder.path().join("other.db");
    let foreign = Connection::open(&path).unwrap();
    foreign.execute_batch("create table t (x); insert into t values (1)").unwrap();
    drop(foreign);
    let sqlite = fs::read(&path).unwrap();
    for (bytes, says) in [
        (sqlite, "another program's"),
        (b"id,title,image_link\n".to_vec(), "no SQLite file"),
        (b"SQLite format 3\0cut".to_vec(), "cut short"),
    ] {
        fs::write(&path, &bytes).unwrap();
        for result in [Catalogue::open(&path), Catalogue::create_or_open(&path)] {
            let fault = result.unwrap_err();
            assert_eq!(fault.kind(), Kind::Catalogue);
            assert!(fault.to_string().contains(says), "{fault}");
        }
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
    fs::write(&path, b"").unwrap();
    assert_eq!(Catalogue::open(&path).unwrap_err().kind(), Kind::Catalogue);
    let missing = Catalogue::open(&shop.folder.path().join("missing.db")).unwrap_err();
    assert!(missing.kind() == Kind::Catalogue && missing.to_string().contains("vetrina catalogue import"), "{missing}");
    assert!(!shop.folder.path().join("missing.db").exists());
    assert_eq!(Catalogue::open(&shop.images()).unwrap_err().kind(), Kind::Catalogue);
}

#[test]
fn a_truncated_or_damaged_catalogue_is_named_as_such() {
    let shop = Shop::new();
    shop.import(FEED).unwrap();
    let whole = fs::read(shop.db()).unwrap();
    for length in [150, 4096, whole.len() / 2, whole.len() - 4096] {
        fs::write(shop.db(), &whole[..length]).unwrap();
        let fault = Catalogue::open(&shop.db()).unwrap_err();
        assert_eq!(fault.kind(), Kind::Catalogue, "{length}: {fault}");
        assert!(fault.to_string().contains("damaged"), "{length}: {fault}");
        assert_eq!(fs::read(shop.db()).unwrap(), &whole[..length]);
    }
    let mut damaged = whole.clone();
    for byte in &mut damaged[8192..] {
        *byte ^= 0x5a;
    }
    fs::write(shop.db(), &damaged).unwrap();
    match Catalogue::open(&shop.db()).and_then(|catalogue| catalogue.check(None)) {
        Ok(report) => assert!(!report.is_sound()),
        Err(fault) => assert_eq!(fault.kind(), Kind::Catalogue, "{fault}"),
    }
}

#[test]
fn check_finds_a_descriptor_or_thumbnail_that_does_not_fit() {
    let shop = Shop::new();
    shop.import(FEED).unwrap();
    let raw = Connection::open(shop.db()).unwrap();
    raw.execute_batch(
        "update descriptor set match_embedding = x'00' where content_id = 1;
         update descriptor set aggregation_embedding = x'0000807f0000807f0000807f0000807f' where content_id = 2;
         update content set thumbnail = x'ffd8ff' where id = 3;",
    )
    .unwrap();
    let problems = shop.open().check(None).unwrap().problems;
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[0].contains("match embedding has 1 bytes, not 16"));
    assert!(problems[1].contains("not a number"));
    assert!(problems[2].contains("thumbnail"));
}

#[test]
fn a_newer_schema_is_refused() {
    let shop = Shop::new();
    shop.import(FEED).unwrap();
    Connection::open(shop.db()).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let fault = Catalogue::open(&shop.db()).unwrap_err();
    assert_eq!(fault.kind(), Kind::Catalogue);
    assert!(fault.to_string().contains("schema 99") && fault.to_string().contains("update vetrina"), "{fault}");
}
