//! Exports of shop systems that are read over `sections`.

use super::*;

#[test]
fn lightspeeds_rows_of_one_product_are_its_variants() {
    let feed = read("lightspeed.csv");
    assert_eq!(outcome(&feed), (vec!["TS-W-S", "TS-W-M", "112234", "HD-1"], vec![]));
    assert_eq!(feed.warnings(), ["1 product is a draft, archived or not published, and was left out"]);
    let small = product(&feed, "TS-W-S");
    assert_eq!((small.title.as_str(), small.item_group_id.as_deref()), ("Gestreept T-shirt", Some("112233")));
    assert_eq!((small.color.as_deref(), small.brand.as_deref()), (Some("Wit"), Some("Bottega & Zn.")));
    assert_eq!((small.price.as_deref(), small.sale_price.as_deref()), (Some("34.95"), Some("24.95")));
    assert_eq!(small.product_type.as_deref(), Some("Dames > Bovenkleding > T-shirts"));
    assert_eq!((small.gtin.as_deref(), small.additional_image_links.len()), (Some("8712345000011"), 1));
    let stock = ["TS-W-S", "TS-W-M", "112234", "HD-1"].map(|id| size_and_stock(&feed, id));
    let size = |text: &str| Some(text.to_owned());
    // What is not counted, or may be ordered, is not out of stock.
    assert_eq!(stock, [(size("S"), Stock::In), (size("M"), Stock::Out), (None, Stock::In), (None, Stock::In)]);
    let dress = product(&feed, "112234");
    assert_eq!((dress.price.as_deref(), dress.sale_price.as_deref()), (Some("79.00"), None));
    assert_eq!(product(&feed, "HD-1").title, "Hooded sweater", "where a language has no title, another has");
}

#[test]
fn ecwids_variations_are_variants_and_its_options_are_not() {
    let feed = read("ecwid.csv");
    assert_eq!(outcome(&feed), (vec!["TEE-W-S", "TEE-N-M", "DR"], vec![]));
    assert_eq!(feed.warnings(), ["1 product is a draft, archived or not published, and was left out"]);
    let [white, navy, dress] = ["TEE-W-S", "TEE-N-M", "DR"].map(|id| product(&feed, id));
    assert_eq!((white.title.as_str(), white.item_group_id.as_deref()), ("Striped tee", Some("601")));
    assert_eq!((white.color.as_deref(), navy.color.as_deref()), (Some("White"), Some("Navy")));
    assert_eq!((white.price.as_deref(), white.sale_price.as_deref()), (Some("34.95"), Some("24.95")));
    assert_eq!((navy.price.as_deref(), navy.sale_price.as_deref()), (Some("26.95"), None), "it has 0 as its own");
    assert_eq!((white.additional_image_links.len(), navy.additional_image_links.len()), (1, 0));
    assert!(navy.image_link.ends_with("tee-navy.jpg"), "{}", navy.image_link);
    assert_eq!(white.product_type.as_deref(), Some("Women > Tops > T-shirts"));
    let stock = ["TEE-W-S", "TEE-N-M", "DR"].map(|id| size_and_stock(&feed, id).1);
    assert_eq!(stock, [Stock::In, Stock::Out, Stock::Few]);
    assert_eq!((dress.title.as_str(), dress.item_group_id), ("Summer dress & belt", None));
    assert_eq!(dress.gtin.as_deref(), Some("4006381333931"));
}

#[test]
fn squares_variations_are_variants_and_have_the_pictures_of_an_added_column() {
    let feed = read("square.csv");
    assert_eq!(outcome(&feed), (vec!["SK-S", "SK-M", "ABC2"], vec![]));
    let [note, price] = &feed.warnings()[..] else { panic!("{:?}", feed.warnings()) };
    assert!(note.starts_with("1 product is a draft, archived"), "{note}");
    assert!(price.contains("price \"variable\" is not valid"), "{price}");
    assert_eq!(size_and_stock(&feed, "SK-S"), (Some("S".into()), Stock::Few));
    assert_eq!(size_and_stock(&feed, "SK-M"), (Some("M".into()), Stock::Out));
    let skirt = product(&feed, "SK-S");
    assert_eq!((skirt.color.as_deref(), skirt.item_group_id.as_deref()), (Some("Black"), Some("ABC1")));
    assert_eq!((skirt.gtin.as_deref(), skirt.image_link.as_str()), (Some("4006381333931"), "skirt.jpg"));
    let text = fs::read_to_string(path("square.csv")).unwrap().replacen("image_link", "Picture", 1);
    let map = ColumnMap::parse("image_link=Picture").unwrap();
    let mapped = feed::parse_with(text.as_bytes(), &map).unwrap();
    assert_eq!(outcome(&mapped), outcome(&feed));
}

#[test]
fn squares_variations_are_of_one_item_where_each_has_a_token_of_its_own() {
    let text = "Token,Item Name,Variation Name,SKU,Description,Category,Price,Current Quantity BSL,image_link\n\
                T1,Striped tee,S,,,T-shirts,$25.00,4,tee.jpg\nT2,Striped tee,M,,,T-shirts,$25.00,0,tee.jpg\n\
                T3,Scarf,Regular,SC,,Scarves,9.50,,scarf.jpg\nT4,Cap,Black,,,Hats,9.50,,cap.jpg\n";
    let feed = parse(text.as_bytes()).unwrap();
    assert_eq!(outcome(&feed), (vec!["Striped tee-S", "Striped tee-M", "SC", "Cap-Black"], vec![]));
    let [small, medium] = ["Striped tee-S", "Striped tee-M"].map(|id| product(&feed, id));
    assert_eq!((&small.item_group_id, &small.product_type), (&medium.item_group_id, &Some("T-shirts".into())));
    assert_eq!(size_and_stock(&feed, "Striped tee-M"), (Some("M".into()), Stock::Out));
    assert_eq!((small.price.as_deref(), product(&feed, "Cap-Black").size), (Some("$25.00"), None));
}

#[test]
fn prestashops_combinations_below_its_products_are_their_variants() {
    let read = |name: &str| fs::read_to_string(path(name)).unwrap();
    let (products, combinations) = (read("prestashop-new.csv"), read("prestashop-combinations.csv"));
    let alone = parse(combinations.as_bytes()).unwrap_err();
    assert!(alone.kind() == Kind::Input && alone.to_string().contains("below the export of the products"), "{alone}");
    let feed = parse(format!("{products}{combinations}").as_bytes()).unwrap();
    let ids = vec!["MAR-S-B", "MAR-M-R", "13-38", "13-40"];
    assert_eq!(
        outcome(&feed),
        (ids.clone(), vec![(11, "it has no title")]),
        "neither what has none, nor what is not active"
    );
    let [blue, red, dress] = ["MAR-S-B", "MAR-M-R", "13-38"].map(|id| product(&feed, id));
    assert_eq!((blue.title.as_str(), blue.item_group_id.as_deref()), ("Marinière rayée", Some("11")));
    assert_eq!((blue.color.as_deref(), red.color.as_deref()), (Some("Bleu"), Some("Rouge")));
    assert_eq!((blue.brand.as_deref(), blue.gtin.as_deref()), (Some("Bottega"), Some("4006381333931")));
    assert_eq!((blue.price.as_deref(), blue.sale_price.as_deref()), (Some("40.00"), Some("30.00")));
    assert_eq!((size_and_stock(&feed, "MAR-S-B"), red.stock()), ((Some("S".into()), Stock::Few), Stock::Out));
    assert_eq!(
        (blue.image_link.as_str(), red.image_link.as_str()),
        ("https://shop.example/img/p/1/1.jpg", "https://shop.example/img/p/1/5.jpg")
    );
    let links = |id: &str| product(&feed, id).image_links().map(str::to_owned).collect::<Vec<_>>().join(",");
    assert_eq!(dress.image_link, "https://shop.example/img/p/1/4.jpg", "the second of its product's");
    assert_eq!(links("13-40"), "https://shop.example/img/p/1/3.jpg,https://shop.example/img/p/1/4.jpg");
    // Its price with tax is not known: it is said, and none is shown.
    let said = feed.warnings().join("\n");
    assert!(said.contains("line 7: product \"MAR-M-R\": price \"40.00 and 5.00 without tax\" is not valid"), "{said}");
    assert_eq!((red.price, red.sale_price), (None, None));
    let both = products.replacen("Cost price", "Price tax excluded", 1).replacen("40.00;1;12.00", "40.00;1;32.00", 1);
    let prices = |map: &str| {
        let map = ColumnMap::parse(map).unwrap();
        let feed = feed::parse_with(format!("{both}{combinations}").as_bytes(), &map).unwrap();
        assert_eq!(outcome(&feed).0, ids);
        ["MAR-S-B", "MAR-M-R"].map(|id| product(&feed, id).price.unwrap())
    };
    assert_eq!(prices(""), ["40.00", "46.25"]);
    assert_eq!(prices("price=Price tax excluded"), ["32.00", "37.00"]);
    let written = both.replacen("40.00;1;32.00", "40,00 €;1;32,00 €", 1);
    let combinations = combinations.replacen(";;;;;5;0;0;1;", ";;;;;-5,00 €;0;0;1;", 1);
    let feed = parse(format!("{written}{combinations}").as_bytes()).unwrap();
    let [blue, red] = ["MAR-S-B", "MAR-M-R"].map(|id| product(&feed, id));
    assert_eq!((blue.price.as_deref(), blue.sale_price.as_deref()), (Some("40,00 €"), Some("30,00 €")));
    assert_eq!((red.price.as_deref(), red.sale_price.as_deref()), (Some("33,75 €"), Some("25,31 €")));
}

#[test]
fn computed_prices_keep_their_currency() {
    let wix = "handleId,fieldType,name,productImageUrl,sku,price,surcharge,visible,discountMode,discountValue,inventory\n\
               p1,Product,Tee,a.jpg,W1,\"28,90 €\",,true,PERCENT,10,InStock\np1,Variant,,,W1-S,,5,true,,,3\n\
               p1,Variant,,,W1-M,,0,true,,,3\n";
    let feed = parse(wix.as_bytes()).unwrap();
    let prices = |id: &str| (product(&feed, id).price.unwrap(), product(&feed, id).sale_price.unwrap());
    assert_eq!(prices("W1-S"), ("33,90 €".to_owned(), "30,51 €".to_owned()));
    assert_eq!(prices("W1-M"), ("28,90 €".to_owned(), "26,01 €".to_owned()));
}

#[test]
fn no_two_products_have_one_id_whatever_it_is_made_of() {
    let prestashop = "ID;Active (0/1);Name *;Reference #;Image URLs (x,y,z...)\n7;1;Shirt;A;a.jpg\n8;1;Skirt;B;b.jpg\n\
                      Product ID*;Attribute (Name:Type:Position)*;Value (Value:Position)*;Reference\n\
                      8;Size:select:0;M:0;7\n8;Size:select:0;L:0;B-L\n";
    let shopify = "Handle,Title,Option1 Name,Option1 Value,Option2 Name,Option2 Value,Variant SKU,Image Src\n\
                   tee,Tee,Color,red,Size,S,,a.jpg\ntee-red,Red tee,Size,S,,,,b.jpg\ncap,Cap,Title,Default Title,,,,c.jpg\n\
                   hat,Hat,Title,Default Title,,,cap,d.jpg\n";
    let woocommerce = "ID,Type,SKU,Name,Published,Regular price,Images,Parent\n\
                       7,variable,,Tee,1,,a.jpg,\n10,variation,,Tee - S,1,5,,id:7\n11,variation,,Tee - M,1,5,,id:7\n\
                       12,variable,7,Cap,1,,b.jpg,\n13,variation,,Cap - S,1,5,,7\n14,simple,10,Hat,1,5,c.jpg,\n";
    for (feed, expected) in [
        (prestashop, vec![("7", None), ("8-M", Some("8")), ("B-L", Some("8"))]),
        (
            shopify,
            vec![
                ("tee/red/S", Some("tee")),
                ("tee-red/S", Some("tee-red")),
                ("cap", Some("cap")),
                ("hat", Some("hat")),
            ],
        ),
        (woocommerce, vec![("id:10", Some("id:7")), ("11", Some("id:7")), ("13", Some("7")), ("10", None)]),
    ] {
        let feed = parse(feed.as_bytes()).unwrap();
        assert_eq!(feed.problems, [], "none is lost");
        let found: Vec<_> =
            feed.rows.iter().map(|row| (row.product.id.as_str(), row.product.item_group_id.as_deref())).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn a_number_may_be_the_id_of_one_product_and_the_reference_of_another() {
    let products =
        "ID;Active (0/1);Name *;Reference #;Image URLs (x,y,z...)\n5;1;Shirt;12;a.jpg\n12;1;Skirt;SK;b.jpg\n";
    let combinations = "Product ID*;Attribute (Name:Type:Position)*;Value (Value:Position)*;Reference\n\
                        12;Size:select:0;M:0;SK-M\n";
    let feed = parse(format!("{products}{combinations}").as_bytes()).unwrap();
    assert_eq!(outcome(&feed), (vec!["5", "SK-M"], vec![]));
    assert_eq!(product(&feed, "SK-M").title, "Skirt");
}

#[test]
fn prestashops_newer_columns_are_known_and_what_is_not_active_is_not_sold() {
    let feed = read("prestashop-new.csv");
    assert_eq!(outcome(&feed), (vec!["11", "13"], vec![]));
    assert_eq!(feed.warnings(), ["1 product is a draft, archived or not published, and was left out"]);
    let [tee, dress] = ["11", "13"].map(|id| product(&feed, id));
    assert_eq!((tee.price.as_deref(), tee.sale_price.as_deref()), (Some("40.00"), Some("30.00")));
    assert_eq!(tee.sale_price_effective_date.as_deref(), Some("2026-11-01/2026-12-31"));
    assert_eq!((tee.brand.as_deref(), tee.gtin.as_deref()), (Some("Bottega"), Some("4006381333931")));
    assert_eq!((dress.sale_price.as_deref(), dress.sale_price_effective_date.as_deref()), (Some("69.00"), None));
    assert_eq!((dress.stock(), dress.additional_image_links.len()), (Stock::Out, 1));
    let map = ColumnMap::parse("id=Product ID,title=Name *,image_link=Image URLs (x,y,z...)").unwrap();
    let text = fs::read_to_string(path("prestashop-new.csv")).unwrap();
    let mapped = feed::parse_with(text.as_bytes(), &map).unwrap();
    assert_eq!(outcome(&mapped), outcome(&feed), "a map does not sell what is not active");
    let untaxed = text.replacen("tax included", "tax excluded", 1);
    let feed = parse(untaxed.as_bytes()).unwrap();
    assert_eq!(product(&feed, "11").price, None);
    assert!(feed.warnings()[0].contains("without tax and were left out"), "{:?}", feed.warnings());
    let map = ColumnMap::parse("price=Price tax excluded").unwrap();
    let feed = feed::parse_with(untaxed.as_bytes(), &map).unwrap();
    assert_eq!((product(&feed, "11").price.as_deref(), feed.warnings().len()), (Some("40.00"), 1));
}

#[test]
fn bigcommerces_pictures_may_stand_in_one_column() {
    let feed = read("bigcommerce-merged.csv");
    assert_eq!(outcome(&feed), (vec!["BT"], vec![]));
    let links: Vec<String> = product(&feed, "BT").image_links().map(str::to_owned).collect();
    assert_eq!(links, ["http://shop.example/product_images/a/501/front.jpg", "a/501/back.jpg"]);
    assert_eq!(product(&feed, "BT").gtin.as_deref(), Some("4006381333931"));
}

#[test]
fn amounts_that_a_spreadsheet_wrote_with_commas_are_compared_as_amounts() {
    let text = fs::read_to_string(path("lightspeed.csv")).unwrap().replace("4.95", "4,95").replace("0.00", "0,00");
    let feed = parse(text.as_bytes()).unwrap();
    let small = product(&feed, "TS-W-S");
    assert_eq!((small.price.as_deref(), small.sale_price.as_deref()), (Some("34,95"), Some("24,95")));
    assert_eq!(product(&feed, "112234").sale_price, None);
    let text = fs::read_to_string(path("prestashop-new.csv")).unwrap().replace("40.00", "40,00");
    let tee = product(&parse(text.as_bytes()).unwrap(), "11");
    assert_eq!((tee.price.as_deref(), tee.sale_price.as_deref()), (Some("40,00"), Some("30,00")));
}
