//! Feeds that are not UTF-8, as spreadsheets save them, and such that are no text.

use super::*;
use encoding_rs::{BIG5, EUC_KR, Encoding, GBK, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252, WINDOWS_1253, WINDOWS_1254};

fn titles(feed: &Feed) -> Vec<&str> {
    feed.rows.iter().map(|row| row.product.title.as_str()).collect()
}

/// What an import says beside its warnings.
fn hint(feed: &Feed) -> String {
    feed.hints().remove(0)
}

#[test]
fn what_a_spreadsheet_saves_as_csv_or_unicode_text_is_read() {
    for (name, encoding) in [("excel-ansi.csv", "windows-1252"), ("excel-unicode.txt", "UTF-16LE")] {
        let feed = read(name);
        assert_eq!(outcome(&feed), (vec!["1", "2", "3"], vec![]), "{name}");
        let expected = ["Grüne Wolljacke für Mädchen", "Robe d’été à œillets", "Felpa «Città» – più calda"];
        assert_eq!(titles(&feed), expected, "{name}");
        let sweater = product(&feed, "3");
        assert_eq!(sweater.price.as_deref(), Some("1.299,00 €"), "{name}");
        assert_eq!(sweater.location.as_deref(), Some("Scaffale à sinistra"), "{name}");
        let said = format!("the feed was read as {encoding}: \"Grüne Wolljacke für Mädchen\"; if letters are wrong");
        assert!(hint(&feed).starts_with(&said), "{}", hint(&feed));
        assert!(feed.warnings().is_empty(), "it is no reason for a strict import to refuse it");
    }
}

#[test]
fn shift_jis_is_read() {
    let feed = read("shift-jis.csv");
    assert_eq!(titles(&feed), ["ボーダー Tシャツ 白", "ウール混チェスターコート", "デニムパンツ（濃紺）"]);
    assert!(hint(&feed).starts_with("the feed was read as Shift_JIS: \"ボーダー"), "{}", hint(&feed));
}

fn csv_of(encoding: &'static Encoding, titles: &[&str]) -> Vec<u8> {
    let rows = titles.iter().enumerate().map(|(id, title)| format!("{id},{title},a.jpg,\"19,90 EUR\"\n"));
    let text = format!("id,title,image_link,price\n{}", rows.collect::<String>());
    encoding.encode(&text).0.into_owned()
}

#[test]
fn other_alphabets_are_told_apart() {
    let feeds: [(&'static Encoding, &[&str]); 7] = [
        (WINDOWS_1250, &["Sukienka wiśniowa", "Żakiet w prążki", "Spodnie wełniane łączone"]),
        (WINDOWS_1251, &["Пальто шерстяное", "Джинсы прямые", "Футболка в полоску"]),
        (WINDOWS_1253, &["Μάλλινο παλτό", "Βαμβακερή μπλούζα", "Φόρεμα λινό"]),
        (WINDOWS_1254, &["Çizgili gömlek", "Yün ceket", "Kışlık eşarp"]),
        (GBK, &["条纹棉质衬衫", "羊毛大衣", "直筒牛仔裤"]),
        (BIG5, &["條紋棉質襯衫", "羊毛大衣", "直筒牛仔褲"]),
        (EUC_KR, &["줄무늬 면 셔츠", "울 코트", "청바지"]),
    ];
    for (encoding, expected) in feeds {
        let feed = parse(&csv_of(encoding, expected)).unwrap();
        assert_eq!(titles(&feed), expected, "{}: {}", encoding.name(), hint(&feed));
    }
}

#[test]
fn a_few_letters_are_enough() {
    // One letter, or the euro sign alone.
    for (bytes, said) in [
        (
            &b"id,title,image_link\n1,Caf\xe9 racer jacket,a.jpg\n2,Scarf,b.jpg\n"[..],
            "windows-1252: \"Café racer jacket\"",
        ),
        (b"id;title;image_link;price\n1;Scarf;a.jpg;19,90 \x80\n2;Hat;b.jpg;\x80 9,90\n", "windows-1252: \"19,90 €\""),
    ] {
        let feed = parse(bytes).unwrap();
        assert_eq!(outcome(&feed), (vec!["1", "2"], vec![]));
        assert!(hint(&feed).starts_with(&format!("the feed was read as {said}")), "{}", hint(&feed));
    }
}

#[test]
fn a_damaged_byte_costs_its_row_alone_and_does_not_change_the_encoding() {
    let text = "id,title,image_link,description\n1,Grüne Jacke,a.jpg,\n2,Weiße Bluse,b.jpg,\n3,Hut,c.jpg,schön\n";
    let damaged = |word: &str| {
        let mut bytes = text.as_bytes().to_vec();
        let at = text.find(word).unwrap();
        bytes.splice(at..at + 2, [0xfc]);
        parse(&bytes).unwrap()
    };
    let feed = damaged("ße");
    assert_eq!(outcome(&feed), (vec!["1", "3"], vec![(3, "its title has bytes that are not UTF-8 text")]));
    assert_eq!((product(&feed, "1").title.as_str(), feed.encoding), ("Grüne Jacke", None));
    assert_eq!(feed.problems[0].id.as_deref(), Some("2"));
    let feed = damaged("ön");
    assert_eq!(outcome(&feed), (vec!["1", "2", "3"], vec![]), "nobody reads the description");
}

#[test]
fn a_wrong_mark_or_declaration_is_not_believed() {
    let latin = csv_of(WINDOWS_1252, &["Größe 38", "Hängende Ärmel"]);
    let feed = parse(&[b"\xef\xbb\xbf", &latin[..]].concat()).unwrap();
    assert_eq!((titles(&feed), feed.encoding), (vec!["Größe 38", "Hängende Ärmel"], Some("windows-1252")));
    let xml = |declared: &str| {
        format!(
            "<?xml version=\"1.0\" encoding=\"{declared}\"?><rss><channel><item><id>1</id><title>Größe 38</title>\
             <image_link>a.jpg</image_link></item></channel></rss>"
        )
    };
    let latin = WINDOWS_1252.encode(&xml("UTF-8")).0.into_owned();
    assert_eq!(titles(&parse(&latin).unwrap()), ["Größe 38"]);
    // What a program writes that builds its text in UTF-16 and saves it in UTF-8.
    let feed = parse(xml("utf-16").as_bytes()).unwrap();
    assert_eq!((titles(&feed), feed.encoding), (vec!["Größe 38"], None));
    // What an editor writes that saves an old file in UTF-8.
    let feed = parse(&[b"\xef\xbb\xbf", xml("ISO-8859-1").as_bytes()].concat()).unwrap();
    assert_eq!((titles(&feed), feed.encoding), (vec!["Größe 38"], None));
}

#[test]
fn what_is_no_text_is_refused() {
    let picture = fs::read(repository_picture()).unwrap();
    let mut noise = 1_u32;
    let mut random = |least: u32| {
        std::iter::repeat_with(|| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (least + (noise >> 16) % (256 - least)) as u8
        })
        .take(4000)
        .collect::<Vec<u8>>()
    };
    for (bytes, said) in [(picture, "zero bytes"), (random(0), "zero bytes"), (random(1), "no text in an encoding")] {
        let fault = parse(&bytes).unwrap_err();
        assert_eq!(fault.kind(), Kind::Input);
        assert!(fault.to_string().contains(said), "{fault}");
    }
}

fn repository_picture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/pictures/V101.jpg")
}
