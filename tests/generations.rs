//! Import generations: the guard against truncated feeds, preview, history and undo; variants of one product; prices
//! and stock between imports.

#![allow(clippy::unwrap_used)]

mod shop;

use rusqlite::Connection;
use shop::{FEED, LENGTH, Shop, import, lenient, stamp};
use vetrina::catalogue::{
    Addressed, Catalogue, Change, ColumnMap, Grouping, ImportOptions, Index, ProductUpdate, ReleaseFile, ReleaseMark,
    Stock, feed, write_difference,
};
use vetrina::evaluation::random::SeededRng;
use vetrina::fault::Kind;
use vetrina::seam::EmbeddingHead;

fn export(shop: &Shop) -> String {
    let mut bytes = Vec::new();
    shop.open().export(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn load(catalogue: &Catalogue) -> Index {
    Index::load(catalogue, EmbeddingHead::Match, &[-1.0; LENGTH], 0.5).unwrap()
}

/// Embedding of a picture whose name begins with this letter.
fn like(letter: u8) -> [f32; LENGTH] {
    [f32::from(letter - b'a'), 0.5, -0.5, 0.0]
}

/// Twenty products that share six pictures.
fn twenty(range: std::ops::Range<usize>) -> String {
    let row =
        |number: usize| format!("p{number:02},Product {number},{}.jpg\n", ['a', 'b', 'c', 'd', 'e', 'f'][number % 6]);
    format!("id,title,image_link\n{}", range.map(row).collect::<String>())
}

#[test]
fn a_truncated_feed_removes_nothing() {
    let shop = Shop::new();
    let guarded = |text: &str| import(&mut shop.open(), text, &shop.images(), &stamp("one"), ImportOptions::default());
    guarded(&twenty(0..20)).unwrap();
    let before = export(&shop);
    let fault = guarded(&twenty(0..17)).unwrap_err();
    assert_eq!(fault.kind(), Kind::Input);
    let text = fault.to_string();
    assert!(text.contains("remove 3 of 20 products (p17, p18, p19); nothing was changed"), "{text}");
    assert!(text.contains("--allow-removals"), "{text}");
    let fault = guarded(&twenty(0..3)).unwrap_err().to_string();
    assert!(fault.contains("17 of 20 products (p03, p04, p05, p06, p07 and 12 more)"), "{fault}");
    assert_eq!(export(&shop), before);
    assert_eq!(guarded(&twenty(0..18)).unwrap().removed, 2, "a tenth may go");
    let options = ImportOptions { max_removals: 0.2, ..ImportOptions::default() };
    let report = import(&mut shop.open(), &twenty(0..15), &shop.images(), &stamp("one"), options).unwrap();
    assert_eq!(report.removed, 3);
}

#[test]
fn pictures_that_show_no_garment_do_not_slip_past_the_guard() {
    let shop = Shop::new();
    let guarded = |text: &str| import(&mut shop.open(), text, &shop.images(), &stamp("one"), ImportOptions::default());
    guarded(&twenty(0..20)).unwrap();
    let before = export(&shop);
    shop.picture("b.jpg", "none");
    let fault = guarded(&twenty(0..20)).unwrap_err();
    assert!(fault.to_string().contains("would remove 4 of 20"), "{fault}");
    assert_eq!(export(&shop), before);
}

#[test]
fn a_preview_lists_the_changes_and_changes_nothing() {
    let shop = Shop::new();
    shop.import(FEED).unwrap();
    let before = export(&shop);
    let text = "id,title,image_link,additional_image_link,price,brand\n\
                1,Scarf,a.jpg,\"b.jpg,c.jpg\",9.90 EUR,Acme\n7,Bag,f.jpg,,,\n3,\"Cape, blue\",e.jpg,a.jpg,,Acme\n";
    let mut catalogue = shop.open();
    let feed = feed::parse(text.as_bytes()).unwrap();
    let plan = catalogue.plan(&feed, &shop.find(&feed), &stamp("one"), lenient()).unwrap();
    let report = plan.preview();
    assert_eq!((report.products, report.added, report.updated, report.unchanged, report.removed), (3, 1, 1, 1, 1));
    assert_eq!(report.pictures_pending, 1);
    let expected = [
        Change::Updated { id: "1".into(), fields: vec!["price"] },
        Change::Added { id: "7".into(), title: "Bag".into() },
        Change::Removed { id: "2".into(), title: "Glove".into() },
    ];
    assert_eq!(report.changes, expected);
    assert_eq!(export(&shop), before);
    assert_eq!(shop.open().history().unwrap().len(), 1);
    let done = shop.import(text).unwrap();
    assert_eq!(done.changes, expected, "it does what was said");
}

#[test]
fn the_last_five_generations_can_be_brought_back() {
    let shop = Shop::new();
    let mut exports = Vec::new();
    for round in 0..7 {
        // Another order, another title, another product each time.
        let mut lines: Vec<String> = (0..6)
            .map(|n| format!("p{n},Title {},{}.jpg", n * (round + 1), ['a', 'b', 'c', 'd', 'e', 'f'][n]))
            .collect();
        lines.rotate_left(round % 3);
        lines.remove(round % 6);
        let text = format!("id,title,image_link\n{}\n", lines.join("\n"));
        let report = shop.import(&text).unwrap();
        assert_eq!(report.pictures_embedded, if round == 0 { 5 } else { usize::from(round == 1) }, "{round}");
        exports.push(export(&shop));
    }
    let numbers = |shop: &Shop| shop.open().history().unwrap().iter().map(|one| one.number).collect::<Vec<_>>();
    assert_eq!(numbers(&shop), [7, 6, 5, 4, 3]);
    for number in [3i64, 6, 4] {
        if !numbers(&shop).contains(&number) {
            continue;
        }
        let mut catalogue = shop.open();
        let made = catalogue.undo(Some(number)).unwrap();
        assert_eq!(made.source, format!("undo: as of generation {number}"));
        assert_eq!(export(&shop), exports[number as usize - 1], "{number}");
        assert!(catalogue.check(Some(&stamp("one"))).unwrap().is_sound());
        assert_eq!(load(&catalogue).len(), 5);
    }
    let held = export(&shop);
    shop.open().undo(None).unwrap();
    shop.open().undo(None).unwrap();
    assert_eq!(export(&shop), held, "an undo can be undone");
    let fault = shop.open().undo(Some(2)).unwrap_err();
    assert!(fault.kind() == Kind::Usage && fault.to_string().contains("choose one of"), "{fault}");
    let fresh = Shop::new();
    assert!(fresh.open().undo(None).unwrap_err().to_string().contains("no earlier generation"));
    fresh.import(FEED).unwrap();
    assert!(fresh.open().undo(None).unwrap_err().to_string().contains("first import"));
}

#[test]
fn an_undo_writes_no_product_and_the_next_change_builds_on_it() {
    let shop = Shop::new();
    let with_price = |price: &str| {
        let row = |number: usize| format!("p{number:02},Product {number},{}.jpg,{price}\n", ['a', 'b'][number % 2]);
        format!("id,title,image_link,price\n{}", (0..10).map(row).collect::<String>())
    };
    shop.import(&with_price("1 EUR")).unwrap();
    shop.import(&with_price("2 EUR")).unwrap();
    let rows = || -> i64 {
        let query = "select (select count(*) from product_version) + (select count(*) from picture_version)";
        Connection::open(shop.db()).unwrap().query_row(query, [], |row| row.get(0)).unwrap()
    };
    let before = rows();
    let made = shop.open().undo(None).unwrap();
    assert_eq!((made.products, made.counts.updated, made.counts.added, made.counts.removed), (10, 10, 0, 0));
    assert_eq!(rows(), before);
    let prices = |shop: &Shop| {
        let products = shop.open().list().unwrap();
        products.into_iter().map(|(product, _)| product.price.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(prices(&shop), vec!["1 EUR"; 10]);
    // A price between imports, a removal, an import: each builds on what was brought back, and each can be taken back.
    shop.open().update(&[addressed("p03", r#"{"price": "3 EUR"}"#)]).unwrap();
    assert_eq!((prices(&shop)[3].as_str(), prices(&shop)[4].as_str()), ("3 EUR", "1 EUR"));
    assert_eq!(load(&shop.open()).len(), 10);
    shop.open().remove("p09").unwrap();
    assert_eq!((prices(&shop).len(), prices(&shop)[3].as_str()), (9, "3 EUR"));
    let text = with_price("1 EUR").replace("p01,Product 1,b.jpg,1 EUR", "p01,Product 1,b.jpg,4 EUR");
    let report = shop.import(&text).unwrap();
    assert_eq!((report.added, report.updated, report.unchanged), (1, 2, 7), "p09; p01 and p03");
    assert!(shop.open().check(Some(&stamp("one"))).unwrap().is_sound());
    let made = shop.open().undo(Some(2)).unwrap();
    assert_eq!((made.counts.updated, prices(&shop)), (10, vec!["2 EUR".to_owned(); 10]));
    let history = shop.open().history().unwrap();
    assert_eq!(history.iter().map(|one| one.products).collect::<Vec<_>>(), [10, 10, 9, 10, 10]);
    for (back, count) in [(2, 9), (4, 10)] {
        let number = shop.open().history().unwrap()[back].number;
        shop.open().undo(Some(number)).unwrap();
        assert_eq!((prices(&shop).len(), prices(&shop)[0].as_str()), (count, "1 EUR"), "generation {number}");
    }
    assert!(shop.open().check(Some(&stamp("one"))).unwrap().is_sound());
}

#[test]
fn every_kept_generation_is_what_it_was_after_any_changes() {
    let shop = Shop::new();
    let mut random = SeededRng::new(7, "generations");
    let mut below = |bound: u64| random.below(bound) as usize;
    // Number and export of each kept generation, the newest last.
    let mut kept: Vec<(i64, String)> = Vec::new();
    let mut undone = 0;
    for step in 0..80 {
        match below(5) {
            0 | 1 if kept.len() > 1 => {
                let back = below(kept.len() as u64 - 1);
                shop.open().undo(Some(kept[back].0)).unwrap();
                assert_eq!(export(&shop), kept[back].1, "step {step}");
                undone += 1;
            }
            2 if !kept.is_empty() => {
                let id = shop.open().list().unwrap()[0].0.id.clone();
                // The last product stays: a catalogue without any is another case.
                if shop.open().list().unwrap().len() > 1 {
                    shop.open().remove(&id).unwrap();
                }
            }
            _ => {
                let mut text = "id,title,image_link,price\n".to_owned();
                for number in (0..9).filter(|number| *number == 8 || below(4) > 0).collect::<Vec<_>>() {
                    text += &format!("p{number},Product,{}.jpg,{} EUR\n", ['a', 'b', 'c'][number % 3], below(3) + 1);
                }
                shop.import(&text).unwrap();
            }
        }
        let history = shop.open().history().unwrap();
        if kept.last().is_none_or(|last| last.0 != history[0].number) {
            kept.push((history[0].number, export(&shop)));
        }
        kept.drain(..kept.len().saturating_sub(5));
        assert_eq!(
            history.iter().rev().map(|one| one.number).collect::<Vec<_>>(),
            kept.iter().map(|one| one.0).collect::<Vec<_>>()
        );
        assert_eq!(history[0].products, shop.open().list().unwrap().len(), "step {step}");
        assert!(shop.open().check(Some(&stamp("one"))).unwrap().is_sound(), "step {step}");
    }
    assert!(undone > 15, "{undone}");
}

#[test]
fn a_release_of_an_undone_catalogue_and_onto_one_is_what_is_searched() {
    let [hub, mirror] = [Shop::new(), Shop::new()];
    let prices = |price: &str| format!("id,title,image_link,price\n1,A,a.jpg,{price}\n2,B,b.jpg,{price}\n");
    let file = hub.folder.path().join("release.db");
    let publish = |old: Option<&std::path::Path>| {
        write_difference(old, &hub.db(), &file, "test").unwrap();
        let state = hub.open().state().unwrap();
        let made = "2026-11-01T00:00:00Z".into();
        ReleaseMark { shop: "one".into(), number: 1, state, made, model_folder: None, configuration: String::new() }
    };
    hub.import(&prices("1 EUR")).unwrap();
    hub.import(&prices("2 EUR")).unwrap();
    hub.open().undo(None).unwrap();
    let mark = publish(None);
    mirror.open().apply_release(&file, ReleaseFile::Snapshot, &mark).unwrap();
    assert_eq!(export(&mirror), export(&hub));
    assert!(export(&mirror).contains("1 EUR"));
    // A delta is applied to what the mirror has brought back.
    let old = hub.folder.path().join("old.db");
    Connection::open(hub.db()).unwrap().execute("vacuum into ?", [old.display().to_string()]).unwrap();
    mirror.import(&prices("7 EUR")).unwrap();
    mirror.open().undo(None).unwrap();
    hub.import(&prices("1 EUR").replace("2,B", "2,Bag")).unwrap();
    let mark = publish(Some(&old));
    let counts = mirror.open().apply_release(&file, ReleaseFile::Delta, &mark).unwrap();
    assert_eq!((counts.added, counts.updated, counts.removed), (0, 1, 0));
    assert_eq!(export(&mirror), export(&hub));
    assert!(mirror.open().check(Some(&stamp("one"))).unwrap().is_sound());
}

#[test]
fn pictures_of_no_kept_generation_are_deleted() {
    let shop = Shop::new();
    shop.import("id,title,image_link\n1,A,a.jpg\n2,B,b.jpg\n").unwrap();
    let descriptors = || shop.open().check(None).unwrap().descriptors;
    shop.open().remove("2").unwrap();
    for round in 0..3 {
        shop.import(&format!("id,title,image_link\n1,A{round},a.jpg\n")).unwrap();
        assert_eq!(descriptors(), 2, "{round}");
    }
    shop.import("id,title,image_link\n1,A,a.jpg\n").unwrap();
    assert_eq!(descriptors(), 1);
}

#[test]
fn a_removal_can_be_undone_and_counts_are_kept() {
    let shop = Shop::new();
    shop.import(FEED).unwrap();
    let before = export(&shop);
    shop.open().remove("1").unwrap();
    let made = shop.open().undo(None).unwrap();
    assert_eq!((made.products, made.counts.added, made.counts.updated, made.counts.removed), (3, 1, 0, 0));
    assert_eq!(export(&shop), before);
    let history = shop.open().history().unwrap();
    let sources: Vec<&str> = history.iter().map(|one| one.source.as_str()).collect();
    assert_eq!(sources, ["undo: as of generation 1", "removal of 1", "import"]);
}

#[test]
fn another_model_ends_the_history() {
    let shop = Shop::new();
    shop.import(FEED).unwrap();
    shop.import(&FEED.replace("Scarf", "Shawl")).unwrap();
    import(&mut shop.open(), FEED, &shop.images(), &stamp("two"), lenient()).unwrap();
    let catalogue = shop.open();
    assert_eq!(catalogue.history().unwrap().len(), 1);
    assert!(catalogue.check(Some(&stamp("two"))).unwrap().is_sound());
}

#[test]
fn a_catalogue_of_the_second_schema_is_migrated_with_all_its_products() {
    let shop = Shop::new();
    let old = Connection::open(shop.db()).unwrap();
    for step in [include_str!("../src/catalogue/schema.sql"), include_str!("../src/catalogue/schema-2.sql")] {
        old.execute_batch(step).unwrap();
    }
    old.execute_batch(
        "insert into model values (1, 'compact', 'one', 4);
         insert into product (id, position, title, image_link, price, item_group_id, region)
           values ('2', 1, 'Denim jacket', 'a.jpg', '5 EUR', 'g', 'upper'), ('1', 0, 'Bag', 'a.jpg', null, null, null);
         insert into content values (7, zeroblob(32), x'ff');
         insert into descriptor values (7, '', 0, 0.5, 0, 0, 9, 9, zeroblob(16), zeroblob(16)),
           (7, 'upper', 1, 0.5, 0, 0, 9, 9, zeroblob(16), zeroblob(16));
         insert into picture values ('1', 0, 'a.jpg', 7), ('2', 0, 'a.jpg', 7);
         pragma application_id = 0x56545241; pragma user_version = 2;",
    )
    .unwrap();
    drop(old);
    let catalogue = Catalogue::open(&shop.db()).unwrap();
    let text = "id,title,link,image_link,additional_image_link,availability,price,brand,color,size,product_type,item_group_id,\
                sale_price,sale_price_effective_date,quantity,location,gtin\n\
                1,Bag,,a.jpg,,,,,,,,,,,,,\n2,Denim jacket,,a.jpg,,,5 EUR,,,,,g,,,,,\n";
    assert_eq!(export(&shop), text);
    let index = load(&catalogue);
    assert_eq!((index.len(), index.gallery().rows()), (2, 2));
    assert_eq!(catalogue.history().unwrap()[0].source, "a vetrina that kept no history");
    assert_eq!(catalogue.get("2").unwrap().unwrap().pictures[0].class, 1);
    // The next import knows the picture and can be undone.
    shop.import("id,title,image_link\n1,Bag,b.jpg\n").unwrap();
    shop.open().undo(None).unwrap();
    assert_eq!(export(&shop), text);
}

const VARIANTS: &str = "id,title,image_link,color,size,item_group_id,price,quantity\n\
                        t-r-s,Tee,a.jpg,red,S,tee,9 EUR,3\n\
                        c,Cap,f.jpg,,,,5 EUR,\n\
                        t-r-m,Tee,a.jpg,red,M,tee,9 EUR,0\n\
                        t-b-s,Tee,c.jpg,blue,S,tee,9 EUR,1\n";

#[test]
fn variants_are_one_product_that_says_which_colour_was_found() {
    let shop = Shop::new();
    shop.import(VARIANTS).unwrap();
    let catalogue = shop.open();
    let index = load(&catalogue);
    // a.jpg in both sizes is one row.
    assert_eq!((index.len(), index.gallery().rows(), index.products().len()), (2, 3, 4));
    let ids = |ordinal: usize| index.variants(ordinal).iter().map(|one| one.product.id.as_str()).collect::<Vec<_>>();
    assert_eq!((ids(0), ids(1)), (vec!["t-r-s", "t-r-m", "t-b-s"], vec!["c"]));
    assert_eq!([index.ordinal("t-b-s"), index.ordinal("c"), index.ordinal("x")], [Some(0), Some(1), None]);
    for (letter, id, color) in [(b'a', "t-r-s", Some("red")), (b'c', "t-b-s", Some("blue")), (b'f', "c", None)] {
        let hits = index.search(&like(letter), 5);
        assert_eq!(hits.len(), 2, "the group is found once");
        let shown = index.shown(hits[0].row);
        assert_eq!((shown.id.as_str(), shown.color.as_deref()), (id, color));
    }
    let variants = Index::load_by(&catalogue, EmbeddingHead::Match, &[-1.0; LENGTH], 0.5, Grouping::Variant).unwrap();
    assert_eq!((variants.len(), variants.gallery().rows()), (4, 4));
    let found = variants.search(&like(b'c'), 1)[0].product;
    assert_eq!(variants.product(found).id, "t-b-s");
}

#[test]
fn what_is_out_of_stock_can_be_hidden() {
    let shop = Shop::new();
    shop.import(&VARIANTS.replace("c,Cap,f.jpg,,,,5 EUR,", "c,Cap,f.jpg,,,,5 EUR,0")).unwrap();
    let index = load(&shop.open());
    let found = |index: &Index| index.search(&like(b'f'), 9).iter().map(|hit| hit.product).collect::<Vec<_>>();
    assert_eq!(found(&index), [1, 0]);
    assert_eq!(found(&index.without_out_of_stock()), [0]);
}

fn update(json: &str) -> ProductUpdate {
    serde_json::from_str(json).unwrap()
}

fn addressed(id: &str, json: &str) -> Addressed {
    Addressed { id: id.into(), update: update(json) }
}

#[test]
fn prices_and_stock_change_between_imports_and_are_seen_without_a_new_index() {
    let shop = Shop::new();
    shop.import(VARIANTS).unwrap();
    let reader = shop.open();
    let mut index = load(&reader);
    let mut catalogue = shop.open();
    let changed = catalogue
        .update(&[
            addressed("c", r#"{"price": "4 EUR", "location": "Wall <b>3</b>", "quantity": 7}"#),
            addressed("tee", r#"{"sale_price": "6 EUR", "quantity": {"s": 0}}"#),
        ])
        .unwrap();
    assert_eq!(changed, ["c", "t-r-s", "t-r-m", "t-b-s"]);
    assert!(index.refresh(&reader).unwrap());
    let cap = index.product(1);
    assert_eq!((cap.price.as_deref(), cap.location.as_deref()), (Some("4 EUR"), Some("Wall 3")));
    assert!(index.variants(0).iter().all(|one| one.product.stock() == Stock::Out), "M had none before");
    assert_eq!(index.variants(0)[0].product.sale_price.as_deref(), Some("6 EUR"));
    assert_eq!(index.shown(index.search(&like(b'c'), 1)[0].row).id, "t-b-s");
    // Null clears; nothing said stays.
    catalogue.update(&[addressed("tee", r#"{"sale_price": null}"#)]).unwrap();
    assert!(index.refresh(&reader).unwrap());
    let tee = index.product(0);
    assert_eq!((tee.sale_price.as_deref(), tee.price.as_deref()), (None, Some("9 EUR")));
    // An import makes a new generation: the index is reloaded, and the feed's values apply again.
    shop.import(VARIANTS).unwrap();
    assert!(!index.refresh(&reader).unwrap());
    assert_eq!(load(&reader).product(1).price.as_deref(), Some("5 EUR"));
}

#[test]
fn an_update_is_atomic() {
    let shop = Shop::new();
    shop.import(VARIANTS).unwrap();
    let before = export(&shop);
    let mut catalogue = shop.open();
    for (second, kind, says) in [
        (addressed("nobody", r#"{"price": "1 EUR"}"#), Kind::Usage, "no product \"nobody\""),
        (addressed("tee", r#"{"quantity": {"XXL": 1}}"#), Kind::Input, "no size \"XXL\""),
        (addressed("c", &format!(r#"{{"location": "{}"}}"#, "x".repeat(2000))), Kind::Input, "longer than"),
    ] {
        let fault = catalogue.update(&[addressed("c", r#"{"price": "1 EUR"}"#), second]).unwrap_err();
        assert!(fault.kind() == kind && fault.to_string().contains(says), "{fault}");
    }
    assert_eq!(export(&shop), before);
    assert!(serde_json::from_str::<ProductUpdate>(r#"{"prize": "1"}"#).is_err());
    assert!(serde_json::from_str::<ProductUpdate>(r#"{"quantity": -1}"#).is_err());
}

#[test]
fn an_update_with_a_value_that_is_none_is_refused_by_name() {
    let shop = Shop::new();
    shop.import(VARIANTS).unwrap();
    let before = export(&shop);
    let mut catalogue = shop.open();
    for (field, value) in [
        ("price", "gratis"),
        ("price", "-1 EUR"),
        ("sale_price", "on request"),
        ("sale_price", "4 USD"),
        ("availability", "maybe"),
        ("sale_price_effective_date", "yesterday"),
    ] {
        let bad = addressed("c", &serde_json::json!({ field: value }).to_string());
        let fault = catalogue.update(&[addressed("tee", r#"{"price": "1 EUR"}"#), bad]).unwrap_err();
        let text = fault.to_string();
        assert_eq!(fault.kind(), Kind::Input, "{text}");
        assert!([r#"product "c""#, field, value, "give"].iter().all(|part| text.contains(part)), "{text}");
    }
    assert_eq!(export(&shop), before);
    let right = r#"{"price": "49,90 EUR", "sale_price": "EUR 39.90", "availability": "In Stock",
                    "sale_price_effective_date": "2026-06-01/2026-06-30"}"#;
    let clear = r#"{"price": "", "sale_price": null, "availability": null, "sale_price_effective_date": ""}"#;
    for fine in [right, clear] {
        assert_eq!(catalogue.update(&[addressed("c", fine)]).unwrap(), ["c"]);
    }
    // In plain words, without the names of the program's types.
    for (wrong, says) in
        [(r#""5 EUR""#, "an object"), (r#"{"quantity": -1}"#, "one for each size"), (r#"{"price": 5}"#, "are texts")]
    {
        let said = serde_json::from_str::<ProductUpdate>(wrong).unwrap_err().to_string();
        assert!(said.contains(says) && !said.contains("enum") && !said.contains("struct"), "{said}");
    }
}

#[test]
fn values_of_a_feed_that_are_none_are_left_empty_and_said() {
    let shop = Shop::new();
    let text = "id,title,image_link,price,availability\n1,Cap,a.jpg,gratis,in stock\n2,Tee,c.jpg,5 EUR,maybe\n";
    let report = shop.import(text).unwrap();
    assert_eq!((report.products, report.warnings.len()), (2, 2), "{:?}", report.warnings);
    assert!(
        report.warnings[0].contains("line 2") && report.warnings[0].contains("\"gratis\""),
        "{:?}",
        report.warnings
    );
    assert!(report.warnings[1].contains("line 3") && report.warnings[1].contains("\"maybe\""), "{:?}", report.warnings);
    let product = |id: &str| shop.open().get(id).unwrap().unwrap().product;
    assert_eq!((product("1").price, product("1").availability.as_deref()), (None, Some("in stock")));
    assert_eq!((product("2").price.as_deref(), product("2").availability), (Some("5 EUR"), None));
    let strict = ImportOptions { strict: true, ..lenient() };
    let fault = shop::import(&mut shop.open(), text, &shop.images(), &stamp("one"), strict).unwrap_err();
    assert!(fault.kind() == Kind::Input && fault.to_string().contains("gratis"), "{fault}");
}

#[test]
fn several_paths_in_image_link_are_several_pictures_unless_one_is_called_so() {
    let shop = Shop::new();
    let text = "id,title,image_link,additional_image_link\n1,Cap,\"a.jpg, c.jpg\",f.jpg\n";
    let sources = || {
        let pictures = shop.open().get("1").unwrap().unwrap().pictures;
        pictures.into_iter().map(|picture| picture.source).collect::<Vec<_>>()
    };
    let report = shop.import(text).unwrap();
    assert!(report.skipped_rows.is_empty() && report.skipped_pictures.is_empty(), "{report:?}");
    assert_eq!(sources(), ["a.jpg", "c.jpg", "f.jpg"]);
    std::fs::copy(shop.images().join("b.jpg"), shop.images().join("a.jpg, c.jpg")).unwrap();
    shop.import(text).unwrap();
    assert_eq!(sources(), ["a.jpg, c.jpg", "f.jpg"]);
}

#[test]
fn sizes_in_one_field_have_their_own_pieces() {
    let shop = Shop::new();
    shop.import("id,title,image_link,size\n1,Tee,a.jpg,S/M/L\n").unwrap();
    let mut catalogue = shop.open();
    catalogue.update(&[addressed("1", r#"{"quantity": {"S": 1, "M": 0}}"#)]).unwrap();
    catalogue.update(&[addressed("1", r#"{"quantity": {"m": 5}}"#)]).unwrap();
    let product = &catalogue.list().unwrap()[0].0;
    assert_eq!(product.quantity.as_deref(), Some("M=5, S=1"));
}

#[test]
fn a_column_map_is_kept_until_another_is_given() {
    let shop = Shop::new();
    let map = ColumnMap::parse("id=SKU,title=Name,image_link=Foto").unwrap();
    let feed = feed::parse_with(b"SKU,Name,Foto\n1,A,a.jpg\n", &map).unwrap();
    let mut catalogue = shop.open();
    assert!(catalogue.column_map().unwrap().is_empty());
    let options = ImportOptions { column_map: Some(map.clone()), ..lenient() };
    let mut plan = catalogue.plan(&feed, &shop.find(&feed), &stamp("one"), options).unwrap();
    let bytes = plan.pending()[0].read().unwrap();
    plan.supply(0, shop::embed(&bytes, "a.jpg".as_ref(), None)).unwrap();
    plan.finish().unwrap();
    assert_eq!(catalogue.column_map().unwrap(), map.clone().kept());
    shop.import(FEED).unwrap();
    assert_eq!(shop.open().column_map().unwrap(), map.kept());
}
