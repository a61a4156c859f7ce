//! Feeds as shops save them, and as they should not.

use super::*;
use proptest::prelude::*;

const FULL: &str = "id,title,image_link,additional_image_link,price,brand,colour,size,availability,product_type,link,\
                    item_group_id,description\n\
                    1,\"Dress, red\",a.jpg,\"b.jpg, c.jpg\",19.90 EUR,Acme,red,M,in_stock,Women > Dresses,\
                    https://shop.example/1,g1,long\n";

fn problem(text: &str) -> Problem {
    parse(text.as_bytes()).unwrap().problems.remove(0)
}

fn refusal(bytes: &[u8]) -> String {
    let fault = parse(bytes).unwrap_err();
    assert_eq!(fault.kind(), Kind::Input);
    fault.to_string()
}

#[test]
fn all_columns_are_read() {
    let feed = parse(FULL.as_bytes()).unwrap();
    let product = &feed.rows[0].product;
    assert_eq!(feed.rows[0].line, 2);
    assert_eq!(product.title, "Dress, red");
    assert_eq!(product.additional_image_links, ["b.jpg", "c.jpg"]);
    assert_eq!(product.color.as_deref(), Some("red"));
    assert_eq!(product.product_type.as_deref(), Some("Women > Dresses"));
    assert!(feed.unknown_columns.is_empty() && feed.problems.is_empty());
}

#[test]
fn encodings_and_separators_make_no_difference() {
    let expected = parse(FULL.as_bytes()).unwrap();
    let with_mark = [b"\xef\xbb\xbf", FULL.as_bytes()].concat();
    assert_eq!(parse(&with_mark).unwrap(), expected);
    let little: Vec<u8> = std::iter::once(0xfeff).chain(FULL.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    assert_eq!(parse(&little).unwrap(), Feed { encoding: Some("UTF-16LE"), ..expected.clone() });
    let big: Vec<u8> = std::iter::once(0xfeff).chain(FULL.encode_utf16()).flat_map(u16::to_be_bytes).collect();
    assert_eq!(parse(&big).unwrap(), Feed { encoding: Some("UTF-16BE"), ..expected.clone() });
    assert_eq!(parse(FULL.replace('\n', "\r\n").as_bytes()).unwrap(), expected);
    for separator in ["\t", ";"] {
        let text = "id,title,image link\n1,Dress,a.jpg\n".replace(',', separator);
        assert_eq!(parse(text.as_bytes()).unwrap().rows[0].product.image_link, "a.jpg", "{separator:?}");
    }
}

#[test]
fn what_is_no_feed_is_refused() {
    assert!(refusal(b"PK\x03\x04rest").contains("not a spreadsheet"));
    assert!(refusal(b"<?xml version='1.0'?><rss/>").contains("XML without an <item>"));
    assert!(refusal(b"[]").contains("JSON without a product"));
    assert!(refusal(b"i\0d\0,\0").contains("zero bytes"));
    assert!(refusal(b"\xff\xfei\0d\0\x00\xd8").contains("no column \"id\""));
    assert!(refusal(b"").contains("empty"));
}

#[test]
fn required_columns_are_named() {
    let text = refusal(b"id,titel,image_link\n");
    assert!(text.contains("no column \"title\"") && text.contains("titel"), "{text}");
    assert!(refusal(b"id,id,title,image_link\n").contains("twice"));
}

#[test]
fn unknown_columns_are_reported_with_the_nearest_known_one() {
    let feed = parse(b"id,title,image_link,prize,warehouse\n1,A,a.jpg,2,x\n").unwrap();
    let said: Vec<String> = feed.unknown_columns.iter().map(ToString::to_string).collect();
    assert_eq!(said[0], "column \"prize\" is unknown and was not read; did you mean \"price\"?");
    assert_eq!(said[1], "column \"warehouse\" is unknown and was not read");
    assert_eq!(feed.rows.len(), 1);
}

#[test]
fn bad_rows_are_reported_by_line() {
    let header = "id,title,image_link\n";
    assert_eq!(problem(&format!("{header}\n\n1,,a.jpg\n")).line, 4);
    assert_eq!(problem(&format!("{header}1,,a.jpg\n")).reason, "it has no title");
    assert_eq!(problem(&format!("{header}1,A\n")).reason, "it has no image_link");
    assert_eq!(problem(&format!("{header}1,A,a.jpg,,x\n")).reason, "it has 5 fields, the first line 3");
    let twice = problem(&format!("{header}1,A,a.jpg\n1,B,b.jpg\n"));
    assert_eq!((twice.line, twice.id.as_deref()), (3, Some("1")));
    let long = problem(&format!("{header}1,{},a.jpg\n", "x".repeat(5000)));
    assert!(long.reason.contains("5000 bytes"), "{}", long.reason);
    let open = refusal(format!("{header}1,\"A,a.jpg\n2,B,b.jpg\n").as_bytes());
    assert!(open.contains("lines 2 to 3: a quotation mark is not closed"), "{open}");
    let after_multi_line = problem(&format!("{header}1,\"A\nB\",a.jpg\n2,,b.jpg\n"));
    assert_eq!(after_multi_line.line, 4);
}

#[test]
fn repeated_picture_columns_add_up_and_texts_lose_control_characters() {
    let text =
        "id,title,image_link,additional_image_link,additional_image_link\n1, A\u{1b}[31m\nB ,a.jpg,b.jpg,c.jpg\n";
    let text = text.replace(" A\u{1b}[31m\nB ", "\" A\u{1b}[31m\nB \"");
    let product = &parse(text.as_bytes()).unwrap().rows[0].product;
    assert_eq!(product.additional_image_links, ["b.jpg", "c.jpg"]);
    assert_eq!(product.title, "A [31m B");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&bytes);
        let _ = parse(&[b"id,title,image_link\n".as_slice(), &bytes].concat());
    }
}

#[test]
fn links_are_named_once_in_order_of_use() {
    let text = "id,title,image_link,additional_image_link\n1,Scarf,b.jpg,\"a.jpg,c.jpg\"\n2,Glove,a.jpg,d.jpg\n";
    assert_eq!(parse(text.as_bytes()).unwrap().links(), ["b.jpg", "a.jpg", "c.jpg", "d.jpg"]);
}
