//! Small feeds of every format with the peculiarities of real exports, from `tests/feeds`.

#![allow(clippy::unwrap_used)]

#[path = "feeds/encodings.rs"]
mod encodings;
#[path = "feeds/others.rs"]
mod others;
#[path = "feeds/shops.rs"]
mod shops;

use std::fs;
use std::path::{Path, PathBuf};
use vetrina::catalogue::feed::{ColumnMap, Feed, parse};
use vetrina::catalogue::{Currency, ImageFolder, Product, Stock, feed};
use vetrina::fault::Kind;
use vetrina::seam::Region;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/feeds").join(name)
}

fn read(name: &str) -> Feed {
    Feed::read(&path(name), &ColumnMap::default()).unwrap()
}

fn product(feed: &Feed, id: &str) -> Product {
    let found = feed.rows.iter().find(|row| row.product.id == id);
    found.unwrap_or_else(|| panic!("there is no {id} in {feed:#?}")).product.clone()
}

/// Ids of the rows, and line and reason of the problems.
fn outcome(feed: &Feed) -> (Vec<&str>, Vec<(u64, &str)>) {
    let ids = feed.rows.iter().map(|row| row.product.id.as_str()).collect();
    (ids, feed.problems.iter().map(|problem| (problem.line, problem.reason.as_str())).collect())
}

fn refusal(name: &str) -> String {
    let fault = Feed::read(&path(name), &ColumnMap::default()).unwrap_err();
    assert_eq!(fault.kind(), Kind::Input, "{fault}");
    fault.to_string()
}

#[test]
fn rss_is_read() {
    let feed = read("google.xml");
    assert_eq!(outcome(&feed), (vec!["T1", "T2"], vec![(30, "it has no title")]));
    assert_eq!(feed.rows[0].line, 7);
    let tee = product(&feed, "T1");
    assert_eq!(tee.title, "H&M tee – café");
    assert_eq!(tee.image_link, "https://cdn.shop.example/p/1001/front.jpg?v=3");
    assert_eq!(
        tee.additional_image_links,
        ["https://cdn.shop.example/w_200,h_300/back.jpg", "https://cdn.shop.example/side.jpg"]
    );
    assert_eq!(tee.price.as_deref(), Some("49.90 EUR"), "not the price of its shipping");
    assert_eq!(tee.link.as_deref(), Some("https://shop.example/p?id=1&x=2"));
    assert_eq!((tee.color.as_deref(), tee.size.as_deref()), (Some("red"), Some("M")));
    assert_eq!(tee.item_group_id.as_deref(), Some("G1"));
    assert_eq!(product(&feed, "T2").title, "Only the feed's title here – B&C");
}

#[test]
fn atom_is_read() {
    let feed = read("atom.xml");
    let tee = product(&feed, "T1");
    assert_eq!((tee.title.as_str(), tee.image_link.as_str()), ("Striped tee", "one.jpg"));
    assert_eq!(tee.link.as_deref(), Some("https://shop.example/p?id=1&x=2"));
    assert!(feed.unknown_columns.is_empty(), "{:?}", feed.unknown_columns);
}

#[test]
fn truncated_or_damaged_xml_is_refused() {
    let text = fs::read_to_string(path("google.xml")).unwrap();
    let cut = &text[..text.find("<g:color>").unwrap()];
    let fault = parse(cut.as_bytes()).unwrap_err();
    assert!(fault.kind() == Kind::Input && fault.to_string().contains("<item> is open at the end"), "{fault}");
    let fault = parse(text.replace("</g:color>", "</g:colour>").as_bytes()).unwrap_err();
    assert!(fault.to_string().contains("line 17 is not well-formed"), "{fault}");
    let latin = text.replace("UTF-8", "ISO-8859-1").replace("&apos;", "é");
    let bytes: Vec<u8> = latin.chars().map(|letter| letter as u8).collect();
    assert!(product(&parse(&bytes).unwrap(), "T2").title.starts_with("Only the feedés"));
}

#[test]
fn inch_marks_in_a_tsv_are_text_and_quoted_fields_are_unquoted() {
    let feed = read("inch.tsv");
    let titles: Vec<&str> = feed.rows.iter().map(|row| row.product.title.as_str()).collect();
    assert_eq!(titles, ["32\" Slim Jean", "\"Slim\" Jean", "\"38 waist Jean", "13\" laptop sleeve", "Tee"]);
    assert!(feed.problems.is_empty());
    let feed = read("excel.tsv");
    assert_eq!(outcome(&feed), (vec!["1", "2"], vec![]));
    assert_eq!((feed.rows[1].line, feed.rows[1].product.title.as_str()), (4, "a \"b\""));
}

#[test]
fn a_spreadsheets_separator_line_is_understood() {
    let feed = read("semicolon.csv");
    assert_eq!(feed.rows[0].line, 3);
    let shirt = product(&feed, "1");
    assert_eq!((shirt.title.as_str(), shirt.price.as_deref()), ("Gestreiftes Shirt, weiß", Some("1.299,00 EUR")));
}

#[test]
fn missing_fields_at_the_end_are_empty_and_surplus_empty_ones_ignored() {
    let feed = read("ragged.csv");
    assert_eq!(outcome(&feed), (vec!["1", "2", "3", "4"], vec![(7, "it has 11 fields, the first line 9")]));
    assert_eq!(product(&feed, "2").price.as_deref(), Some("19.90 EUR"));
    assert_eq!(product(&feed, "3").price, None);
    assert!(feed.unknown_columns.is_empty());
}

#[test]
fn line_numbers_are_correct_for_every_line_ending() {
    let feed = read("cr.csv");
    assert_eq!(outcome(&feed), (vec!["1", "2"], vec![(5, "it has no title")]));
    assert_eq!(feed.rows[1].line, 3);
}

#[test]
fn a_quotation_mark_that_is_not_closed_is_an_error_with_its_lines() {
    let text = refusal("open-quote.csv");
    assert!(text.contains("lines 2 to 5: a quotation mark is not closed"), "{text}");
    let text = refusal("swallowed.csv");
    assert!(text.contains("lines 2 to 4") && text.contains("2,Two,V102.jpg,plain"), "{text}");
    let text = refusal("swallowed-one.csv");
    assert!(text.contains("lines 2 to 3") && text.contains("not closed"), "{text}");
    let closed_by_the_next =
        "id,title,image_link,description\n1,Tee,V101.jpg,\"Great\n2,Two,V102.jpg,\"fine\n3,C,c.jpg,x\n";
    let fault = parse(closed_by_the_next.as_bytes()).unwrap_err().to_string();
    assert!(fault.contains("lines 2 to 3: a quotation mark is not closed"), "{fault}");
}

#[test]
fn a_long_quoted_text_of_several_lines_is_accepted() {
    assert_eq!(outcome(&read("long-text.csv")), (vec!["1", "2"], vec![]));
}

#[test]
fn shopifys_variants_are_products_of_one_group() {
    let feed = read("shopify.csv");
    assert_eq!(outcome(&feed), (vec!["TEE-S-R", "TEE-M-R", "TEE-S-B", "cap"], vec![]));
    assert_eq!(feed.warnings(), ["1 product is a draft, archived or not published, and was left out"]);
    let lines: Vec<u64> = feed.rows.iter().map(|row| row.line).collect();
    assert_eq!(lines, [2, 4, 5, 7]);
    let tee = product(&feed, "TEE-M-R");
    assert_eq!((tee.title.as_str(), tee.brand.as_deref()), ("Striped Tee", Some("Acme & Co")));
    assert_eq!(tee.item_group_id.as_deref(), Some("striped-tee"));
    assert_eq!((tee.size.as_deref(), tee.color.as_deref()), (Some("M"), Some("Rot")));
    assert_eq!(tee.availability.as_deref(), Some("out_of_stock"));
    assert_eq!(tee.price.as_deref(), Some("29.90"));
    assert_eq!(tee.image_link, "https://cdn.shopify.com/s/files/1/01/tee-red.jpg?v=1");
    assert!(tee.additional_image_links.is_empty(), "pictures that no variant claims are the first variant's");
    assert_eq!(product(&feed, "TEE-S-R").additional_image_links.len(), 2);
    assert_eq!(product(&feed, "TEE-S-B").availability.as_deref(), Some("in_stock"), "it is sold on order");
    let cap = product(&feed, "cap");
    assert_eq!((cap.size, cap.availability), (None, None));
}

#[test]
fn shopifys_json_is_the_same_as_its_csv() {
    let mut feed = read("shopify.json");
    feed.complete_prices(&Currency::parse("EUR").unwrap());
    assert_eq!(outcome(&feed), (vec!["TEE-S-R", "TEE-M-R", "striped-tee-S-Blau", "cap"], vec![]));
    assert_eq!(feed.warnings(), ["1 product is a draft, archived or not published, and was left out"]);
    let lines: Vec<u64> = feed.rows.iter().map(|row| row.line).collect();
    assert_eq!(lines, [2, 2, 2, 12]);
    let [small, middle, blue] = ["TEE-S-R", "TEE-M-R", "striped-tee-S-Blau"].map(|id| product(&feed, id));
    assert_eq!((small.title.as_str(), small.brand.as_deref()), ("Striped Tee", Some("Acme & Co")));
    assert_eq!((small.size.as_deref(), small.color.as_deref()), (Some("S"), Some("Rot")));
    assert_eq!((small.price.as_deref(), small.sale_price.as_deref()), (Some("29.90 EUR"), Some("19.90 EUR")));
    assert_eq!(small.product_type.as_deref(), Some("Tops"));
    assert_eq!(small.additional_image_links, ["https://cdn.shopify.com/s/files/1/01/tee%2Cback.jpg?v=1"]);
    assert_eq!(middle.item_group_id.as_deref(), Some("striped-tee"));
    assert_eq!(middle.image_link, "https://cdn.shopify.com/s/files/1/01/tee-red.jpg?v=1");
    assert_eq!((middle.availability.as_deref(), middle.sale_price), (Some("out_of_stock"), None));
    assert!(blue.image_link.contains("tee-blue.jpg"), "the product's picture that names the variant");
    assert_eq!((blue.color.as_deref(), blue.availability.as_deref()), (Some("Blau"), Some("in_stock")));
    let cap = product(&feed, "cap");
    assert_eq!((cap.size, cap.image_link.as_str()), (None, "https://cdn.shopify.com/s/files/1/01/cap.jpg?v=1"));
}

/// A shop gives 250 products at a time: its answers one after the other are a feed.
#[test]
fn several_pages_of_json_are_one_feed() {
    let text = fs::read_to_string(path("shopify.json")).unwrap();
    let second = text.replace("striped-tee", "polo").replace("TEE-", "POLO-").replace("\"cap\"", "\"hat\"");
    let feed = parse(format!("{text}{second}{{\"products\":[]}}").as_bytes()).unwrap();
    let ids = ["TEE-S-R", "TEE-M-R", "striped-tee-S-Blau", "cap", "POLO-S-R", "POLO-M-R", "polo-S-Blau", "hat"];
    assert_eq!(outcome(&feed), (ids.to_vec(), vec![]));
}

#[test]
fn woocommerces_variations_are_products_of_one_group() {
    let feed = read("woocommerce.csv");
    assert_eq!(outcome(&feed), (vec!["HOOD-R-S", "103", "BELT"], vec![]));
    assert_eq!(feed.warnings(), ["1 product is a draft, archived or not published, and was left out"]);
    let red = product(&feed, "HOOD-R-S");
    assert_eq!((red.title.as_str(), red.item_group_id.as_deref()), ("Hoodie & more", Some("HOOD")));
    assert_eq!((red.color.as_deref(), red.size.as_deref()), (Some("Red"), Some("S")));
    assert_eq!(red.product_type.as_deref(), Some("Clothing > Hoodies"));
    assert_eq!(red.image_link, "https://shop.example/wp-content/uploads/2026/01/hood-red.jpg");
    assert_eq!(red.additional_image_links, ["https://shop.example/wp-content/uploads/2026/01/hood-back.jpg"]);
    let blue = product(&feed, "103");
    assert!(blue.image_link.ends_with("hood-blue.jpg") && blue.additional_image_links.is_empty());
    assert_eq!(blue.availability.as_deref(), Some("out_of_stock"));
    let belt = product(&feed, "BELT");
    assert_eq!((belt.size.as_deref(), belt.item_group_id), (Some("85/95"), None));
}

#[test]
fn the_number_of_the_label_is_kept_from_every_kind_of_feed() {
    let sample = |name: &str, from: &str, to: &str| {
        let text = fs::read_to_string(path(name)).unwrap();
        assert!(text.contains(from), "{name}");
        parse(text.replacen(from, to, 1).as_bytes()).unwrap()
    };
    let gtin = |feed: &Feed, id: &str| product(feed, id).gtin;
    let feed = sample("shopify.csv", "deny,manual,9.00,,true,true,,", "deny,manual,9.00,,true,true,4006381333931,");
    assert_eq!((gtin(&feed, "cap").as_deref(), gtin(&feed, "TEE-M-R")), (Some("4006381333931"), None));
    let feed = sample("shopify.json", "\"sku\":\"TEE-S-R\"", "\"sku\":\"TEE-S-R\",\"barcode\":\"4006381333931\"");
    assert_eq!((gtin(&feed, "TEE-S-R").as_deref(), gtin(&feed, "TEE-M-R")), (Some("4006381333931"), None));
    let feed = sample("woocommerce.csv", "HOOD-R-S,,", "HOOD-R-S,4006381333931,");
    assert_eq!((gtin(&feed, "HOOD-R-S").as_deref(), gtin(&feed, "BELT")), (Some("4006381333931"), None));
    let feed = sample("google.xml", "<g:color>", "<g:gtin>4006381333931</g:gtin><g:color>");
    assert!(feed.rows.iter().any(|row| row.product.gtin.as_deref() == Some("4006381333931")));
    let feed = sample(
        "products.jsonl",
        "\"image_link\": \"one.jpg\"",
        "\"image_link\": \"one.jpg\", \"gtin\": [\"1\", 4006381333931]",
    );
    assert_eq!(gtin(&feed, "T1").as_deref(), Some("1,4006381333931"));
    for column in ["gtin", "Barcode", "EAN", "EAN13", "UPC", "ISBN"] {
        let feed = parse(format!("id,title,image_link,{column}\n1,Tee,a.jpg,4006381333931\n").as_bytes()).unwrap();
        assert_eq!(gtin(&feed, "1").as_deref(), Some("4006381333931"), "{column}");
        assert!(feed.unknown_columns.is_empty(), "{column}");
    }
}

#[test]
fn json_is_read_as_an_array_in_an_object_or_line_by_line() {
    let feed = read("products.json");
    assert_eq!(outcome(&feed), (vec!["T1", "2"], vec![(12, "it has no title")]));
    assert_eq!(feed.rows[1].line, 10);
    let tee = product(&feed, "T1");
    assert_eq!(tee.price.as_deref(), Some("19.90 EUR"));
    assert_eq!(tee.additional_image_links, ["https://c.example/w_200,h_300/two.jpg", "three.jpg"]);
    assert_eq!((tee.item_group_id.as_deref(), tee.size.as_deref()), (Some("G1"), Some("S/M")));
    let feed = read("products.jsonl");
    assert_eq!(outcome(&feed), (vec!["T1", "2"], vec![(4, "it has no title")]));
    assert_eq!(product(&feed, "2").price.as_deref(), Some("5"));
    let array = parse(br#"[{"id": 1, "title": "A", "image_link": "a.jpg"}]"#).unwrap();
    assert_eq!(array.rows.len(), 1);
    let text = fs::read_to_string(path("products.json")).unwrap();
    let fault = parse(&text.as_bytes()[..200]).unwrap_err();
    assert!(fault.kind() == Kind::Input && fault.to_string().contains("line 6 is not JSON"), "{fault}");
    let fault = parse(b"[1]").unwrap_err().to_string();
    assert!(fault.contains("line 1: a product is a JSON object, not a number"), "{fault}");
}

#[test]
fn a_spreadsheet_is_read_by_its_rows() {
    let feed = read("products.xlsx");
    assert_eq!(outcome(&feed), (vec!["1002", "1004"], vec![(5, "it has no title")]));
    let dress = product(&feed, "1002");
    assert_eq!((dress.title.as_str(), dress.size.as_deref()), ("Kleid – rot", Some("38")));
    assert_eq!(product(&feed, "1004").price.as_deref(), Some("19.9"));
    let bytes = fs::read(path("products.xlsx")).unwrap();
    let fault = parse(&bytes[..bytes.len() / 2]).unwrap_err();
    assert!(fault.kind() == Kind::Input && fault.to_string().contains("XLSX"), "{fault}");
}

#[test]
fn columns_of_any_export_are_mapped() {
    let map = "id=SKU,title=Name,image_link=Foto,additional_image_link=Foto 2,price=Preis";
    let feed = Feed::read(&path("mapped.csv"), &ColumnMap::parse(map).unwrap()).unwrap();
    assert_eq!(outcome(&feed), (vec!["A1", "A2"], vec![]));
    let dress = product(&feed, "A1");
    assert_eq!((dress.title.as_str(), dress.price.as_deref()), ("Kleid", Some("39,00 EUR")));
    assert_eq!(dress.additional_image_links, ["kleid-2.jpg"]);
    assert_eq!(feed.unknown_columns.len(), 1, "{:?}", feed.unknown_columns);
    let fault = refusal("mapped.csv");
    assert!(
        fault.contains(
            "--map \"id=SKU,title=Name,image_link=Foto,additional_image_link=Foto 2,price=Preis,location=Shelf\""
        ),
        "{fault}"
    );
    let wrong = ColumnMap::parse("id=SKU,title=Titel,image_link=Foto").unwrap();
    let fault = Feed::read(&path("mapped.csv"), &wrong).unwrap_err().to_string();
    assert!(fault.contains("no column \"Titel\"") && fault.contains("Name"), "{fault}");
}

/// A map may also override single columns of a shop system's export.
#[test]
fn a_map_overrides_columns_of_a_shop_systems_export() {
    let bytes = fs::read(path("shopify.csv")).unwrap();
    let feed = feed::parse_with(&bytes, &ColumnMap::parse("brand=Tags").unwrap()).unwrap();
    assert_eq!(product(&feed, "TEE-M-R").brand.as_deref(), Some("summer, tee"));
}

/// Three exports that were not made for this program, as their tools write them.
#[test]
fn a_feed_for_metas_shops_is_read_below_its_explanations() {
    let feed = read("meta.csv");
    assert_eq!(outcome(&feed), (vec!["K1", "K2"], vec![]));
    assert!(feed.unknown_columns.is_empty(), "{:?}", feed.unknown_columns);
    assert_eq!(feed.rows[0].line, 3);
    let tee = product(&feed, "K1");
    assert_eq!((tee.quantity.as_deref(), tee.sale_price.as_deref()), (Some("75"), Some("8.00 USD")));
    assert_eq!(product(&feed, "K2").availability.as_deref(), Some("out of stock"));
}

#[test]
fn prestashops_columns_are_mapped_and_all_pictures_of_one_field_are_taken() {
    let map = "id=ID,title=Name *,image_link=Image URLs (x,y,z...),price=Price tax included,brand=Manufacturer,\
               product_type=Categories (x,y,z...),quantity=Quantity";
    let mut feed = Feed::read(&path("prestashop.csv"), &ColumnMap::parse(map).unwrap()).unwrap();
    feed.complete_prices(&Currency::parse("EUR").unwrap());
    assert_eq!(outcome(&feed), (vec!["1", "2"], vec![]));
    let tee = product(&feed, "1");
    assert_eq!(tee.image_link, "https://shop.example/img/p/1/1.jpg");
    assert_eq!(tee.additional_image_links, ["https://shop.example/img/p/2/2.jpg"]);
    assert_eq!((tee.price.as_deref(), tee.quantity.as_deref()), (Some("28.68 EUR"), Some("300")));
    let pull = product(&feed, "2");
    assert_eq!((pull.title.as_str(), pull.price.as_deref()), ("Pull \"Colibri\"", Some("43.07 EUR")));
    assert!(pull.additional_image_links.is_empty());
}

/// Size and stock, as the card of a product gets them.
fn size_and_stock(feed: &Feed, id: &str) -> (Option<String>, Stock) {
    let product = product(feed, id);
    (product.size.clone(), product.stock())
}

#[test]
fn variants_of_wix_and_squarespace_have_their_products_texts_and_their_own_sizes_and_stock() {
    let size = |text: &str| Some(text.to_owned());
    let feed = read("wix.csv");
    assert_eq!(outcome(&feed), (vec!["WX1-S", "WX1-M", "WX2"], vec![]));
    assert_eq!(size_and_stock(&feed, "WX1-S"), (size("S"), Stock::In));
    assert_eq!(size_and_stock(&feed, "WX1-M"), (size("M"), Stock::Out));
    assert_eq!(size_and_stock(&feed, "WX2"), (None, Stock::Out));
    let medium = product(&feed, "WX1-M");
    assert_eq!((medium.title.as_str(), medium.item_group_id.as_deref()), ("Breton tee", Some("product_1")));
    assert_eq!(medium.image_links().collect::<Vec<_>>(), ["V101.jpg", "V102.jpg"]);
    assert_eq!((medium.price.as_deref(), product(&feed, "WX2").item_group_id), (Some("28.9"), None));

    let feed = read("wix-new.csv");
    assert_eq!(outcome(&feed), (vec!["BT", "breton-M-White"], vec![]));
    assert_eq!(feed.warnings(), ["1 product is a draft, archived or not published, and was left out"]);
    assert_eq!(size_and_stock(&feed, "BT"), (size("S"), Stock::In));
    assert_eq!(size_and_stock(&feed, "breton-M-White"), (size("M"), Stock::Out));
    let small = product(&feed, "BT");
    assert_eq!((small.color.as_deref(), small.brand.as_deref()), (Some("White"), Some("Bottega")));
    assert_eq!((small.price.as_deref(), small.sale_price.as_deref()), (Some("35.00"), Some("28.90")));

    let feed = read("squarespace.csv");
    assert_eq!(outcome(&feed), (vec!["SQ-1", "SQ-2", "SQ-3"], vec![]));
    assert_eq!(size_and_stock(&feed, "SQ-1"), (size("S"), Stock::In));
    assert_eq!(size_and_stock(&feed, "SQ-2"), (size("M"), Stock::In));
    assert_eq!(size_and_stock(&feed, "SQ-3"), (None, Stock::Out));
    for id in ["SQ-1", "SQ-2"] {
        let tee = product(&feed, id);
        let links: Vec<&str> = tee.image_links().collect();
        let expected =
            ["V101.jpg", "V102.jpg"].map(|name| format!("https://images.squarespace-cdn.com/content/v1/5e/{name}"));
        assert_eq!(links, expected);
        assert_eq!((tee.title.as_str(), tee.item_group_id.as_deref()), ("Breton tee", Some("5f1")));
    }
    assert_eq!(product(&feed, "SQ-1").sale_price.as_deref(), Some("19.90"));
    assert_eq!(product(&feed, "SQ-2").sale_price, None, "it is not on sale");
}

#[test]
fn a_discount_and_a_surcharge_of_wix_are_in_the_price() {
    let text = "handleId,fieldType,name,productImageUrl,sku,price,surcharge,discountMode,discountValue\n\
                p,Product,Tee,a.jpg,T,20,,PERCENT,10\np,Variant,,,T-S,,0,,\np,Variant,,,T-L,,5,,\n\
                q,Product,Hat,a.jpg,H,20,,AMOUNT,5\n";
    let feed = parse(text.as_bytes()).unwrap();
    let prices = |id: &str| (product(&feed, id).price.unwrap(), product(&feed, id).sale_price.unwrap());
    assert_eq!(prices("T-S"), ("20".into(), "18.00".into()));
    assert_eq!(prices("T-L"), ("25.00".into(), "22.50".into()));
    assert_eq!(prices("H"), ("20".into(), "15.00".into()));
}

#[test]
fn bigcommerces_variants_and_pictures_are_rows_of_their_own() {
    let feed = read("bigcommerce.csv");
    assert_eq!(outcome(&feed), (vec!["BT-W-S", "BT-W-M", "BT-N-S", "CA"], vec![]));
    assert_eq!(feed.warnings(), ["1 product is a draft, archived or not published, and was left out"]);
    let stock = ["BT-W-S", "BT-W-M", "BT-N-S", "CA"].map(|id| size_and_stock(&feed, id).1);
    assert_eq!(stock, [Stock::In, Stock::Out, Stock::Few, Stock::Few]);
    let white = product(&feed, "BT-W-M");
    assert_eq!((white.title.as_str(), white.item_group_id.as_deref()), ("Breton tee", Some("BT")));
    assert_eq!((white.color.as_deref(), white.size.as_deref()), (Some("White"), Some("M")));
    assert_eq!(white.image_links().collect::<Vec<_>>(), ["https://cdn.example/v/white.jpg"]);
    assert_eq!((white.price.as_deref(), white.sale_price.as_deref()), (Some("30.90"), Some("24.90")));
    let navy = product(&feed, "BT-N-S");
    assert_eq!((navy.color.as_deref(), navy.price.as_deref()), (Some("Navy"), Some("28.90")));
    let links: Vec<&str> = navy.image_links().collect();
    assert_eq!(links, ["https://cdn.example/p/77/front.jpg", "https://old.example/back.jpg"]);
    assert_eq!((navy.sale_price, navy.product_type), (None, None), "neither 0 nor numbers of categories");
    let cardigan = product(&feed, "CA");
    assert_eq!((cardigan.sale_price.as_deref(), cardigan.item_group_id), (Some("49.00"), None));
    assert_eq!(cardigan.product_type.as_deref(), Some("Women > Knitwear"));

    let feed = read("bigcommerce-legacy.csv");
    assert_eq!(outcome(&feed), (vec!["BT-W-S", "BT-W-M", "CA"], vec![]));
    assert_eq!(["BT-W-S", "BT-W-M", "CA"].map(|id| size_and_stock(&feed, id).1), [Stock::In, Stock::Out, Stock::In]);
    let small = product(&feed, "BT-W-S");
    assert_eq!((small.color.as_deref(), small.size.as_deref()), (Some("White"), Some("S")));
    assert_eq!((small.brand.as_deref(), small.price.as_deref()), (Some("Marinière & Fils"), Some("28.9000")));
    assert_eq!(small.image_links().collect::<Vec<_>>(), ["a/501/front.jpg", "a/501/back.jpg"]);
    assert_eq!(small.product_type.as_deref(), Some("Women > Tops"));
}

#[test]
fn magentos_columns_are_mapped_and_its_store_views_are_no_products() {
    let map = "id=sku,title=name,image_link=base_image,additional_image_link=additional_images,product_type=categories,\
               sale_price=special_price,quantity=qty";
    let mut feed = Feed::read(&path("magento.csv"), &ColumnMap::parse(map).unwrap()).unwrap();
    feed.complete_prices(&Currency::parse("USD").unwrap());
    assert_eq!(outcome(&feed), (vec!["MH01-XS-Black", "MH01"], vec![(3, "it has no image_link")]));
    let hoodie = product(&feed, "MH01-XS-Black");
    assert_eq!(hoodie.image_link, "/m/h/mh01-black_main.jpg");
    assert_eq!(hoodie.additional_image_links.len(), 2);
    assert_eq!((hoodie.price.as_deref(), hoodie.sale_price.as_deref()), (Some("52.00 USD"), Some("41.50 USD")));
    assert_eq!(hoodie.quantity.as_deref(), Some("100.0000"));
    assert_eq!(hoodie.region(), Some(Region::Upper));
}

#[test]
fn woocommerce_is_read_in_the_language_of_the_shop() {
    let mut feed = read("woocommerce-german.csv");
    assert_eq!(outcome(&feed), (vec!["813", "KL-100-G", "HO-7"], vec![]));
    assert_eq!(feed.warnings(), ["1 product is a draft, archived or not published, and was left out"]);
    feed.complete_prices(&Currency::parse("EUR").unwrap());
    let red = product(&feed, "813");
    assert_eq!((red.title.as_str(), red.brand.as_deref()), ("Sommerkleid „Lena“", Some("Müller & Söhne")));
    assert_eq!((red.color.as_deref(), red.item_group_id.as_deref()), (Some("Rot"), Some("KL-100")));
    assert_eq!(red.size.as_deref(), Some("36/38/40"), "a variation of any size has all of its parent");
    assert_eq!((red.price.as_deref(), red.sale_price.as_deref()), (Some("79,95 EUR"), Some("59,95 EUR")));
    let dates = "2026-11-01T00:00:00+01:00/2026-12-31T23:59:59+01:00";
    assert_eq!(red.sale_price_effective_date.as_deref(), Some(dates));
    assert_eq!(red.product_type.as_deref(), Some("Damen > Kleider > Sommerkleider"), "the narrowest");
    assert_eq!(red.image_link, "https://shop.example/2026/kleid-rot.jpg");
    let green = product(&feed, "KL-100-G");
    assert_eq!((green.size.as_deref(), green.availability.as_deref()), (Some("38"), Some("backorder")));
    let trousers = product(&feed, "HO-7");
    assert_eq!(trousers.image_link, "https://shop.example/2026/Hose, grau.jpg");
    assert_eq!(trousers.product_type.as_deref(), Some("Damen > Hosen, lang"));
    assert_eq!((trousers.price.as_deref(), trousers.quantity.as_deref()), (Some("1.049,00 EUR"), Some("1")));
}

#[test]
fn googles_namespace_counts_and_not_its_prefix() {
    let feed = read("google-prefix.xml");
    assert_eq!(outcome(&feed), (vec!["A-1"], vec![]));
    let top = product(&feed, "A-1");
    assert_eq!(
        (top.title.as_str(), top.image_link.as_str()),
        ("Marinière rayée & écru", "https://shop.example/a.jpg?x=1&y=2")
    );
    assert_eq!(top.price.as_deref(), Some("à partir de 39,90 EUR"), "not the price of its shipping");
    let unknown: Vec<&str> = feed.unknown_columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(unknown, ["g:couleur"], "elements of other namespaces are nobody's typing errors");
    let map = ColumnMap::parse("location=c:rayon").unwrap();
    let mapped = Feed::read(&path("google-prefix.xml"), &map).unwrap();
    assert_eq!(product(&mapped, "A-1").location.as_deref(), Some("Rayon 2"));
}

#[test]
fn titles_above_the_column_names_are_no_columns() {
    let feed = read("title-rows.csv");
    assert_eq!(outcome(&feed), (vec!["A", "B", "C"], vec![]));
    assert_eq!((feed.rows[0].line, feed.rows[0].product.title.as_str()), (5, "Scarf, red"));
    let prices: Vec<Option<&str>> = feed.rows.iter().map(|row| row.product.price.as_deref()).collect();
    assert_eq!(prices, [Some("from 19.90 EUR"), Some("9.90-14.90 EUR"), None]);
    let [warning] = &feed.warnings()[..] else { panic!("{:?}", feed.warnings()) };
    assert!(warning.starts_with("line 7: product \"C\": price \"on request\" is not valid: give"), "{warning}");

    let feed = read("title-rows.xlsx");
    assert_eq!(outcome(&feed), (vec!["1001", "1002", "1003", "2001"], vec![]));
    let [small, middle, large, scarf] = &feed.rows[..] else { panic!("{feed:#?}") };
    // Title, picture, colour and place stand once, in cells over three rows.
    for row in [small, middle, large] {
        let coat = &row.product;
        assert_eq!((coat.title.as_str(), coat.image_link.as_str()), ("Trench coat", "D/t.jpg"));
        assert_eq!((coat.color.as_deref(), coat.location.as_deref()), (Some("beige"), Some("Wall 2")));
    }
    assert_eq!((small.line, middle.line, scarf.line), (5, 6, 8));
    assert_eq!(small.product.price.as_deref(), Some("ab 189,00 €"));
    assert_eq!((large.product.size.as_deref(), large.product.price.as_deref()), (Some("L"), Some("199.5")));
    assert_eq!(scarf.product.title, "Wool scarf");
}

#[test]
fn magentos_variants_are_one_product() {
    let feed = read("magento-variants.csv");
    let (ids, problems) = outcome(&feed);
    assert_eq!(ids, ["WS12-XS-Orange", "WS12-S-Orange", "WS12-XS-Blue", "WS12-S-Blue"]);
    assert_eq!(problems, [], "a row of another language is no product");
    assert_eq!(feed.warnings(), ["1 product is a draft, archived or not published, and was left out"]);
    let small = product(&feed, "WS12-S-Orange");
    assert_eq!((small.title.as_str(), small.item_group_id.as_deref()), ("Radiant Tee", Some("WS12")));
    assert_eq!((small.color.as_deref(), small.size.as_deref()), (Some("Orange"), Some("S")));
    assert_eq!(small.product_type.as_deref(), Some("Women > Tops > Tees"));
    assert_eq!(small.image_link, "/w/s/ws12-orange_main_1.jpg");
    assert_eq!(small.additional_image_links, [""; 0], "the product's others may show another colour");
    assert_eq!((small.availability.as_deref(), small.quantity.as_deref()), (Some("in_stock"), Some("100")));
    assert_eq!(product(&feed, "WS12-XS-Blue").availability.as_deref(), Some("out_of_stock"));
}

#[test]
fn pictures_between_bars_or_semicolons_are_taken_where_they_exist() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.jpg", "b.jpg", "c;d.jpg", "Front.JPG"] {
        fs::write(folder.path().join(name), name).unwrap();
    }
    let pictures = ImageFolder::open(folder.path()).unwrap();
    let feed = parse(
        b"id,title,image_link,additional_image_link\n1,A,a.jpg|b.jpg,\n2,B,a.jpg; b.jpg; none.jpg,\n3,C,c;d.jpg,a.jpg|b.jpg\n\
          4,D,front.jpg,\n5,E,FRONT.jpg|none.jpg,\n6,F,\"x,1.jpg;y.jpg\",\n",
    )
    .unwrap();
    let found = pictures.find_all(&feed.links(), |_| {});
    let links = |row: usize| feed.rows[row].product_with(&found).image_links().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(links(0), ["a.jpg", "b.jpg"]);
    assert_eq!(links(1), ["a.jpg", "b.jpg", "none.jpg"]);
    assert_eq!(links(2), ["c;d.jpg", "a.jpg", "b.jpg"]);
    for link in ["front.jpg", "FRONT.jpg|none.jpg"] {
        let reason = found[link].clone().unwrap_err();
        assert!(reason.contains("there is \"Front.JPG\""), "{reason}");
    }
    // Where no part is there, it says what was tried.
    let reason = |link: &str| found[link].clone().unwrap_err();
    assert!(
        reason("FRONT.jpg|none.jpg").contains(", nor one of its 2 parts between \"|\";"),
        "{}",
        reason("FRONT.jpg|none.jpg")
    );
    let both = ", nor one of its 2 parts between \",\" or 2 parts between \";\"";
    assert!(reason("x,1.jpg;y.jpg").ends_with(both), "{}", reason("x,1.jpg;y.jpg"));
    assert!(!reason("front.jpg").contains("nor one"));
}

#[test]
fn shopwares_variants_have_what_their_product_has() {
    let feed = read("shopware.csv");
    assert_eq!(outcome(&feed), (vec!["SW10001.1"], vec![]), "neither what has variants nor what is not active");
    assert_eq!(feed.warnings(), ["1 product is a draft, archived or not published, and was left out"]);
    let shirt = product(&feed, "SW10001.1");
    assert_eq!((shirt.title.as_str(), shirt.brand.as_deref()), ("Hemd \"Classic\"", Some("Kern & Co")));
    assert_eq!((shirt.item_group_id.as_deref(), shirt.price.as_deref()), (Some("SW10001"), Some("40")));
    assert_eq!(shirt.image_link, "http://shop.local/media/ab/hemd.jpg?ts=1700");
    assert_eq!(shirt.quantity.as_deref(), Some("3"));
    assert_eq!(shirt.size, None, "the default export has ids of options, and no names");
    let text = fs::read_to_string(path("shopware.csv")).unwrap();
    let properties = fs::read_to_string(path("shopware-properties.csv")).unwrap();
    let named = parse(format!("{text}{properties}").as_bytes()).unwrap();
    assert_eq!(outcome(&named), outcome(&feed), "properties are no products");
    let shirt = product(&named, "SW10001.1");
    assert_eq!((shirt.size.as_deref(), shirt.color.as_deref()), (Some("M"), Some("Blau")));
}
