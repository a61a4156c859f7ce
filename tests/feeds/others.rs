//! Exports that were not made for us: what is not known is said with the map to give.

use super::product;
use std::io::{Cursor, Write};
use vetrina::catalogue::feed::{ColumnMap, Feed, parse, parse_with};

fn refused(text: &str) -> String {
    parse(text.as_bytes()).unwrap_err().to_string()
}

/// Reads it with the map that its refusal gives.
fn as_told(text: &str) -> Feed {
    let fault = refused(text);
    let map = fault.split("--map \"").nth(1).unwrap_or_else(|| panic!("no map in {fault}")).split('"').next().unwrap();
    parse_with(text.as_bytes(), &ColumnMap::parse(map).unwrap()).unwrap()
}

#[test]
fn a_refusal_gives_the_map_for_an_affiliate_feed() {
    let text = "aw_deep_link,product_name,aw_product_id,merchant_product_id,merchant_image_url,merchant_category,search_price,\
                aw_image_url,currency,merchant_deep_link,brand_name,colour,in_stock,stock_quantity,ean,parent_product_id,\
                Fashion:size,alternate_image\n\
                https://a/1,Linen shirt,1001,M-S,m.jpg,Women > Shirts,49.90,aw.jpg,EUR,https://s/1,Casa,Blue,1,3,4006381333931,\
                M,S,n.jpg\n";
    let shirt = product(&as_told(text), "M-S");
    assert_eq!((shirt.title.as_str(), shirt.image_link.as_str()), ("Linen shirt", "m.jpg"));
    assert_eq!(shirt.price.as_deref(), Some("49.90 EUR"), "the currency has a column of its own");
    assert_eq!(
        (shirt.brand.as_deref(), shirt.color.as_deref(), shirt.size.as_deref()),
        (Some("Casa"), Some("Blue"), Some("S"))
    );
    assert_eq!((shirt.item_group_id.as_deref(), shirt.quantity.as_deref()), (Some("M"), Some("3")));
    assert_eq!((shirt.link.as_deref(), shirt.gtin.as_deref()), (Some("https://s/1"), Some("4006381333931")));
    assert_eq!(shirt.additional_image_links, ["n.jpg"]);
    assert_eq!(shirt.product_type.as_deref(), Some("Women > Shirts"));
}

#[test]
fn a_refusal_gives_the_map_for_german_columns() {
    let text = "Artikelnummer;EAN;Hersteller;Produktname;Kategorie;Preis (Brutto);Lieferzeit;Produkt-URL;Bild-URL;Weitere Bilder;\
                Farbe;Größe;Lagerbestand\n\
                A-1;4006381333931;Müller;Hemd kariert;Herren > Hemden;29,95 EUR;1-3 Tage;https://s/1;a.jpg;b.jpg;blau;M;5\n";
    let shirt = product(&as_told(text), "A-1");
    assert_eq!((shirt.title.as_str(), shirt.image_link.as_str()), ("Hemd kariert", "a.jpg"));
    assert_eq!((shirt.price.as_deref(), shirt.brand.as_deref()), (Some("29,95 EUR"), Some("Müller")));
    assert_eq!(
        (shirt.color.as_deref(), shirt.size.as_deref(), shirt.quantity.as_deref()),
        (Some("blau"), Some("M"), Some("5"))
    );
    assert_eq!(
        (shirt.additional_image_links.join(" "), shirt.link.as_deref()),
        ("b.jpg".to_owned(), Some("https://s/1"))
    );
    let google = "ID,Titel,Bildlink,Preis,Artikelgruppen-ID\n1,Bluse,a.jpg,\"49,90 EUR\",G\n";
    assert_eq!(product(&as_told(google), "1").item_group_id.as_deref(), Some("G"));
    let unnamed = refused("TITLE,PRICE,CURRENCY_CODE,QUANTITY,IMAGE1,IMAGE2,IMAGE3\nTee,45.00,EUR,2,a.jpg,b.jpg,\n");
    assert!(
        unnamed.contains(
            "--map \"id=COLUMN,image_link=IMAGE1,additional_image_link=IMAGE2,additional_image_link=IMAGE3\""
        ),
        "{unnamed}"
    );
}

#[test]
fn columns_that_are_probably_ours_are_named_with_their_map() {
    let feed = parse("id;title;image_link;Farbe;Preis;weight\n1;Tee;a.jpg;rot;5 EUR;1\n".as_bytes()).unwrap();
    let said = feed.warnings().join("\n");
    assert!(said.contains("if so, say it: --map \"price=Preis,color=Farbe\""), "{said}");
    let feed = parse("id;title;image_link;color;weight\n1;Tee;a.jpg;rot;1\n".as_bytes()).unwrap();
    assert!(!feed.warnings().join("\n").contains("--map"), "nothing is to be said");
}

#[test]
fn what_the_shop_does_not_show_is_left_out_of_any_feed() {
    let xml = "<rss><channel><item><id>1</id><title>Tee</title><image_link>a.jpg</image_link><status>active</status></item>\
               <item><id>2</id><title>Old</title><image_link>b.jpg</image_link><status>archived</status></item></channel></rss>";
    let feed = parse(xml.as_bytes()).unwrap();
    assert_eq!((feed.rows.len(), feed.rows[0].product.id.as_str()), (1, "1"));
    assert_eq!(feed.warnings(), ["1 product is a draft, archived or not published, and was left out"]);
    let opencart = "product_id,name(en-gb),upc,ean,quantity,manufacturer,image_name,price,status\n\
                    28,Shirt,012345678905,4006381333931,9,Casa,a.jpg,100.0000,true\n29,Tee,,,9,Casa,b.jpg,9.0000,false\n";
    let feed = as_told(opencart);
    assert_eq!(feed.rows.len(), 1);
    let shirt = product(&feed, "28");
    assert_eq!(shirt.gtin.as_deref(), Some("012345678905,4006381333931"), "both numbers are on the label");
    assert_eq!((shirt.brand.as_deref(), shirt.title.as_str()), (Some("Casa"), "Shirt"));
}

#[test]
fn a_column_that_is_mapped_hides_nothing() {
    let map = ColumnMap::parse("availability=status").unwrap();
    let feed = parse_with(b"id,title,image_link,status\n1,Tee,a.jpg,0\n", &map).unwrap();
    assert_eq!(product(&feed, "1").availability.as_deref(), Some("0"));
}

#[test]
fn a_proposed_map_has_no_name_that_a_shell_would_read() {
    for name in ["sku ($(touch x))", "sku (`touch x`)", "sku (\\)", "sku (!!)"] {
        let fault = refused(&format!("{name},title,image_link\n1,Tee,a.jpg\n"));
        assert!(fault.contains("--map \"id=COLUMN\""), "{fault}");
    }
}

#[test]
fn two_columns_of_one_field_are_named_with_the_map_that_chooses() {
    let fault = refused("id,title,image_link,color,colour\n1,Tee,a.jpg,red,blue\n");
    assert!(fault.contains("its columns \"color\" and \"colour\" are both color"), "{fault}");
    assert!(fault.contains("--map \"color=color\""), "{fault}");
    assert!(refused("id,title,image_link,id\n1,Tee,a.jpg,2\n").contains("the column \"id\" stands twice"));
}

#[test]
fn metas_numbered_pictures_are_read() {
    let text = "id,title,image_link,image[0].url,image[0].tag[0],image[1].url\n\
                1,Tee,a.jpg,a.jpg,INSTAGRAM,b.jpg\n2,Cap,,c.jpg,,\n";
    let feed = parse(text.as_bytes()).unwrap();
    let links = |id: &str| product(&feed, id).image_links().map(str::to_owned).collect::<Vec<_>>().join(" ");
    assert_eq!((links("1"), links("2")), ("a.jpg b.jpg".to_owned(), "c.jpg".to_owned()));
    assert_eq!(feed.warnings(), Vec::<String>::new());
}

#[test]
fn magentos_dates_are_read_in_the_language_of_its_administrator() {
    let sale = |from: &str, to: &str| {
        let text = format!(
            "sku;attribute_set_code;product_type;name;price;special_price;special_price_from_date;special_price_to_date;base_image;\
             additional_attributes\nA;Top;simple;Tee;52.00;39.00;{from};{to};a.jpg;\"color=Red,gtin=4006381333931\"\n"
        );
        let tee = product(&parse(text.as_bytes()).unwrap(), "A");
        assert_eq!(tee.gtin.as_deref(), Some("4006381333931"));
        tee.sale_price_effective_date.unwrap_or_default()
    };
    for (from, to, expected) in [
        ("3/1/26", "12/31/30", "2026-03-01/2030-12-31"),
        ("01/03/2026", "31/12/2030", "2026-03-01/2030-12-31"),
        ("01.03.26", "", "2026-03-01/"),
        ("01-03-2026", "31-12-2030", "2026-03-01/2030-12-31"),
        ("2026-03-01 00:00:00", "2030-12-31 00:00:00", "2026-03-01 00:00:00/2030-12-31 00:00:00"),
    ] {
        assert_eq!(sale(from, to), expected);
    }
}

/// A workbook of one sheet, whose rows `write` writes.
fn workbook(write: impl FnOnce(&mut dyn Write)) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let relationships = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let links = |kind: &str, target: &str| {
        let link = format!("<Relationship Id=\"r1\" Type=\"{relationships}/{kind}\" Target=\"{target}\"/>");
        format!(
            "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">{link}</Relationships>"
        )
    };
    let sheet = "<sheet name=\"S\" sheetId=\"1\" r:id=\"r1\"/>";
    for (name, text) in [
        ("_rels/.rels", links("officeDocument", "xl/workbook.xml")),
        ("xl/_rels/workbook.xml.rels", links("worksheet", "worksheets/sheet1.xml")),
        (
            "xl/workbook.xml",
            format!("<workbook xmlns=\"{main}\" xmlns:r=\"{relationships}\"><sheets>{sheet}</sheets></workbook>"),
        ),
    ] {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.start_file("xl/worksheets/sheet1.xml", zip::write::SimpleFileOptions::default()).unwrap();
    write!(archive, "<worksheet xmlns=\"{main}\"><sheetData>").unwrap();
    write(&mut archive);
    archive.write_all(b"</sheetData></worksheet>").unwrap();
    archive.finish().unwrap().into_inner()
}

fn row(line: u32, cells: &[(&str, &str)]) -> String {
    let cell =
        |(column, text): &(&str, &str)| format!("<c r=\"{column}{line}\" t=\"inlineStr\"><is><t>{text}</t></is></c>");
    format!("<row r=\"{line}\">{}</row>", cells.iter().map(cell).collect::<String>())
}

#[test]
fn a_cell_in_the_last_corner_of_a_sheet_is_one_cell() {
    let bytes = workbook(|sheet| {
        let names = row(1, &[("A", "id"), ("B", "title"), ("C", "image_link")]);
        let rows = [names, row(2, &[("A", "1"), ("B", "Tee"), ("C", "a.jpg")]), row(1_048_576, &[("XFD", "x")])];
        sheet.write_all(rows.concat().as_bytes()).unwrap();
    });
    let feed = parse(&bytes).unwrap();
    assert_eq!((product(&feed, "1").title.as_str(), feed.rows[0].line), ("Tee", 2));
    assert_eq!((feed.problems.len(), feed.problems[0].line), (1, 1_048_576));
}

#[test]
fn a_workbook_that_unpacks_to_any_size_is_refused() {
    let bytes = workbook(|sheet| {
        let part = vec![b' '; 1 << 20];
        (0..520).for_each(|_| sheet.write_all(&part).unwrap());
    });
    assert!(bytes.len() < 1 << 20, "{}", bytes.len());
    let fault = parse(&bytes).unwrap_err().to_string();
    assert!(fault.contains("unpacked it is larger than 512 MiB"), "{fault}");
}

#[test]
fn a_spreadsheet_that_says_a_cell_millions_of_times_is_refused() {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in [("mimetype", "application/vnd.oasis.opendocument.spreadsheet"), ("content.xml", "<office/>")] {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    let fault = parse(&archive.finish().unwrap().into_inner()).unwrap_err().to_string();
    assert!(fault.contains("OpenDocument") && fault.contains("save it as XLSX"), "{fault}");
}

#[test]
fn a_damaged_part_counts_as_what_it_unpacks_to() {
    let mut bytes = workbook(|sheet| {
        let part = vec![b' '; 1 << 20];
        (0..520).for_each(|_| sheet.write_all(&part).unwrap());
    });
    // The checksum of the last entry of the directory, 16 bytes after its mark.
    let entry = bytes.windows(4).rposition(|mark| mark == b"PK\x01\x02").unwrap();
    bytes[entry + 16] ^= 1;
    let fault = parse(&bytes).unwrap_err().to_string();
    assert!(fault.contains("unpacked it is larger than 512 MiB"), "{fault}");
}

#[test]
fn what_is_no_feed_is_called_what_it_is() {
    let web = refused("\n<!DOCTYPE html><html><head><meta charset=utf-8></head><body>Log in<br></body></html>");
    assert!(web.contains("it is a web page") && web.contains("log-in"), "{web}");
    let gzip = parse(b"\x1f\x8b\x08\0\0\0").unwrap_err().to_string();
    assert!(gzip.contains("gzip") && gzip.contains("gunzip"), "{gzip}");
    let zip = workbook(|_| {}).into_iter().map(|byte| if byte == b'x' { b'y' } else { byte }).collect::<Vec<_>>();
    assert!(parse(&zip).unwrap_err().to_string().contains("unpack an archive"), "{zip:?}");
}

#[test]
fn names_of_two_letters_are_not_near_to_each_other() {
    let feed = parse(b"id,title,image_link,c0,colr,shipping(country:price)\n1,Tee,a.jpg,x,red,DE:5 EUR\n").unwrap();
    let said = feed.warnings();
    assert_eq!(said[0], "column \"colr\" is unknown and was not read; did you mean \"color\"?");
    assert_eq!(said[1..], ["column \"c0\" is unknown and was not read"], "Google's columns may say what is in them");
}

#[test]
fn a_product_of_many_variants_and_pictures_has_as_many_as_its_shop_can_have() {
    let rows: String = (0..600).map(|number| format!("tee,Tee,Size,{number},{number}.jpg\n")).collect();
    let feed = parse(format!("Handle,Title,Option1 Name,Option1 Value,Image Src\n{rows}").as_bytes()).unwrap();
    assert_eq!((feed.rows.len(), feed.problems.len()), (600, 0));
    assert_eq!(product(&feed, "tee-599").image_links().count(), 250);
    let same =
        parse(format!("Handle,Title,Image Src,Variant SKU\n{}", "tee,Tee,a.jpg,\n".repeat(3)).as_bytes()).unwrap();
    assert!(same.rows.iter().all(|row| row.product.image_links().count() == 1), "one picture");
}

#[test]
fn a_quantity_that_is_no_number_is_left_empty_and_said() {
    let feed = parse("id,title,image_link,quantity\n1,Tee,a.jpg,>10\n2,Cap,b.jpg,many\n".as_bytes()).unwrap();
    assert_eq!((product(&feed, "1").quantity.as_deref(), product(&feed, "2").quantity), (Some(">10"), None));
    assert!(
        feed.warnings()[0].contains("line 3: product \"2\": quantity \"many\" is not valid"),
        "{:?}",
        feed.warnings()
    );
}
