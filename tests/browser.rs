//! The mirror's page in a real browser, used as by the shop's staff: headless Chromium through chromedriver. Skipped
//! with a message if there is none (Debian: `apt install chromium chromium-driver`). Screenshots are kept under
//! target/screens.

#![allow(clippy::unwrap_used)]

mod mirror;
#[path = "browser/staff.rs"]
mod staff;

use mirror::{Mirror, Shop, repository};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Headless, and no connections to the browser's vendor.
const FLAGS: [&str; 9] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
];

struct Browser {
    driver: Child,
    address: String,
    session: String,
}

impl Browser {
    /// `None` if there is no browser.
    fn start() -> Option<Self> {
        let mut driver =
            Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines.map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            Some(port.trim_end_matches('.').to_owned())
        });
        let mut browser = Browser { driver, address: format!("127.0.0.1:{}", port?), session: String::new() };
        let wanted = json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": { "args": FLAGS } } } });
        let made = browser.ask("POST", "/session", &wanted);
        browser.session = format!("/session/{}", made["sessionId"].as_str().unwrap());
        Some(browser)
    }

    /// Sends a command to the driver. Returns the "value" of the answer.
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (host, length) = (&self.address, body.len());
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            match line.trim().to_lowercase().split_once(':') {
                Some(("content-length", value)) => length = value.trim().parse().unwrap(),
                _ if line.trim().is_empty() => break,
                _ => {}
            }
        }
        let mut bytes = vec![0; length];
        reader.read_exact(&mut bytes).unwrap();
        let answer: Value = serde_json::from_slice(&bytes).unwrap();
        assert!(answer["value"]["error"].is_null(), "{path}: {}", answer["value"]);
        answer["value"].clone()
    }

    fn command(&self, name: &str, body: &Value) -> Value {
        self.ask("POST", &format!("{}/{name}", self.session), body)
    }

    fn open(&self, url: &str) {
        self.command("url", &json!({ "url": url }));
    }

    fn resize(&self, width: u32, height: u32) {
        self.command("window/rect", &json!({ "width": width, "height": height }));
    }

    /// A window cannot be this narrow: emulates a phone.
    fn be_a_phone(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": true });
        let command = "Emulation.setDeviceMetricsOverride";
        self.command("goog/cdp/execute", &json!({ "cmd": command, "params": metrics }));
    }

    /// Asks for pages in this language.
    fn read_in(&self, language: &str) {
        let wanted = json!({ "userAgent": "Chromium", "acceptLanguage": language });
        self.command("goog/cdp/execute", &json!({ "cmd": "Emulation.setUserAgentOverride", "params": wanted }));
    }

    /// The return value of a script.
    fn script(&self, script: &str) -> Value {
        self.command("execute/sync", &json!({ "script": format!("return {script};"), "args": [] }))
    }

    /// Chooses a file of this machine, as the browser's dialogue would.
    fn choose_file(&self, id: &str, path: &str) {
        let found = self.command("element", &json!({ "using": "css selector", "value": format!("#{id}") }));
        let element = found.as_object().unwrap().values().next().unwrap().as_str().unwrap();
        self.command(&format!("element/{element}/value"), &json!({ "text": path }));
    }

    fn click(&self, id: &str) {
        self.script(&format!("document.getElementById('{id}').click()"));
    }

    /// Whether an element is there to be seen and used.
    fn offers(&self, id: &str) -> bool {
        let script = "((one) => one.offsetParent !== null && !one.disabled)(document.getElementById('ID'))";
        self.script(&script.replace("ID", id)) == true
    }

    /// The text that an element shows.
    fn text(&self, id: &str) -> String {
        self.script(&format!("document.getElementById('{id}').innerText")).as_str().unwrap().to_owned()
    }

    /// Saves a screenshot of the page.
    fn screenshot(&self, name: &str) -> image::RgbImage {
        let picture = self.ask("GET", &format!("{}/screenshot", self.session), &Value::Null);
        let png = base64(picture.as_str().unwrap());
        let folder = repository("target/screens");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), &png).unwrap();
        image::load_from_memory(&png).unwrap().into_rgb8()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Also closes the browser, unless a test panicked during a command.
        if !self.session.is_empty() && !std::thread::panicking() {
            self.ask("DELETE", &self.session, &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn base64(text: &str) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let value = |letter: u8| LETTERS.iter().position(|one| *one == letter);
    let values: Vec<usize> = text.bytes().filter_map(value).collect();
    let bytes = values.chunks(4).flat_map(|group| {
        let bits = (0..4).fold(0, |bits, place| bits << 6 | group.get(place).copied().unwrap_or(0));
        [(bits >> 16) as u8, (bits >> 8) as u8, bits as u8].into_iter().take(group.len() - 1)
    });
    bytes.collect()
}

/// A folder with four of the demo's products and a row whose picture is missing.
fn write_images(shop: &Shop) {
    let pictures = shop.path("images/pictures");
    fs::create_dir_all(&pictures).unwrap();
    let feed = fs::read_to_string(repository("demo/feed.csv")).unwrap();
    let mut rows: Vec<String> = feed.lines().take(5).map(str::to_owned).collect();
    for entry in fs::read_dir(repository("demo/pictures")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if ["V101", "V102", "V103", "V104"].iter().any(|id| name.starts_with(id)) {
            fs::copy(entry.path(), format!("{pictures}/{name}")).unwrap();
        }
    }
    rows.push(rows[4].replace("pictures/", "nowhere/").replacen("V104", "V999", 1));
    shop.write("images/spring.csv", &rows.join("\n"));
}

/// A feed of the four products and one more, whose picture is in the archive alone.
fn write_upload(shop: &Shop) {
    let feed = fs::read_to_string(repository("demo/feed.csv")).unwrap();
    let mut reader = csv::Reader::from_reader(feed.as_bytes());
    let head = reader.headers().unwrap().clone();
    let column = |name: &str| head.iter().position(|other| other == name).unwrap();
    let mut products: Vec<Value> = reader
        .records()
        .take(5)
        .map(|record| {
            let record = record.unwrap();
            let text = |name: &str| record[column(name)].to_owned();
            json!({ "id": text("id"), "title": text("title"), "image_link": text("image_link"), "price": text("price") })
        })
        .collect();
    let picture = products[4]["image_link"].as_str().unwrap().to_owned();
    products[4]["image_link"] = "sent/new.jpg".into();
    shop.write("summer.json", &json!({ "products": products }).to_string());
    let mut zip = zip::ZipWriter::new(fs::File::create(shop.path("summer.zip")).unwrap());
    zip.start_file("sent/new.jpg", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(&fs::read(repository("demo").join(picture)).unwrap()).unwrap();
    zip.finish().unwrap();
}

/// The mirror of the shop, with a page that may import the pictures of [`write_images`].
fn with_images(shop: &Shop) -> Mirror {
    write_images(shop);
    let config = shop.config_with_web("1.mjpg?loop", "listen = \"127.0.0.1:0\"\npassword = \"correct horse\"\n");
    Mirror::start(shop, &config.replace("[catalogue]\n", "[catalogue]\nimages = \"images\"\n"))
}

#[test]
fn the_staff_see_the_mirror_search_and_import() {
    let Some(browser) = Browser::start() else {
        eprintln!("skipped: there is no chromedriver with a Chromium on this machine");
        return;
    };
    let shop = Shop::with_products(12);
    let mut mirror = with_images(&shop);
    let words = "the mirror's page: http://";
    mirror.wait_for_log(words);
    let log = mirror.log();
    let at = log[log.find(words).unwrap() + words.len()..].split('/').next().unwrap().to_owned();
    mirror.wait_for_log("running");
    browser.resize(1440, 1750);
    // With the password in the address, as in a bookmark.
    browser.open(&format!("http://vetrina:correct%20horse@{at}/"));

    mirror.wait_until("the live picture moves", || {
        browser.script("document.getElementById('live').naturalWidth > 100") == true
    });
    mirror.wait_until("garments are framed", || browser.script("document.querySelectorAll('#boxes rect').length") != 0);
    mirror.wait_until("a garment has matches", || {
        browser.script("document.querySelectorAll('#garments li').length") != 0
    });
    assert_eq!(browser.text("state"), "running");
    assert!(browser.text("log").contains("running"), "{}", browser.text("log"));
    assert_eq!(browser.text("found"), "12 products");
    browser.script(
        "((words) => { words.value = 'breton white'; words.dispatchEvent(new Event('input')); })(document.getElementById('words'))",
    );
    mirror.wait_until("the search has found", || browser.text("found") != "12 products");
    assert!(browser.text("products").contains("Breton stripe tee, white"), "{}", browser.text("products"));

    assert_eq!(browser.text("feed").trim(), "spring.csv");
    // A feed of the folder: first what it would change. It removes more than it may unasked.
    browser.click("begin");
    mirror.wait_until("the preview is there", || browser.text("importing").contains("would make 4 products"));
    let preview = browser.text("importing");
    assert!(preview.contains("Nothing is changed yet") && preview.contains("removed: V105"), "{preview}");
    assert!(preview.contains("would remove 8 of 12 products") && preview.contains("line 6: row skipped"), "{preview}");
    assert!(!browser.offers("apply") && browser.offers("allow"), "it must be allowed first");
    assert!(browser.text("summary").contains("12 products"));
    browser.click("allow");
    assert!(browser.offers("apply"));
    browser.click("apply");
    mirror.wait_until("the import is over", || browser.text("importing").starts_with("spring.csv: 4 products"));
    assert!(browser.text("importing").contains("line 6: row skipped"), "{}", browser.text("importing"));
    mirror.wait_until("the mirror has the new catalogue", || browser.text("summary").contains("4 products"));

    let picture = browser.screenshot("page.png");
    let ground = picture.pixels().filter(|pixel| pixel.0 == [0x14, 0x11, 0x0f]).count();
    assert!(ground > 0 && 4 * ground < 3 * picture.pixels().len(), "the page is not drawn");
    // Nothing extends beyond the page's width, also on a phone.
    let fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth";
    assert_eq!(browser.script(fits), true);
    for (width, name) in [(390, "page-narrow.png"), (320, "page-narrowest.png")] {
        browser.be_a_phone(width, 1600);
        mirror.wait_until("it is narrow", || browser.script("window.innerWidth") == width);
        assert_eq!(browser.script("document.documentElement.scrollWidth"), width, "the page is wider than the screen");
        browser.screenshot(name);
    }
    // On a telephone: a feed and an archive of pictures are sent, looked at, dropped, sent again and applied; then undone.
    write_upload(&shop);
    browser.be_a_phone(390, 1600);
    for turn in ["cancel", "apply"] {
        browser.choose_file("file", &shop.path("summer.json"));
        browser.choose_file("pictures", &shop.path("summer.zip"));
        browser.click("begin");
        mirror.wait_until("the preview is there", || browser.text("importing").contains("would make 5 products"));
        let preview = browser.text("importing");
        assert!(preview.contains("1 added, 4 updated, 0 unchanged, 0 removed"), "{preview}");
        assert!(browser.offers("apply") && !browser.offers("allow"), "it removes nothing");
        assert!(preview.contains("new: V105") && preview.contains("changed: V101"), "{preview}");
        assert_eq!(browser.script("document.documentElement.scrollWidth"), 390, "it sticks out at the side");
        browser.script("document.getElementById('import').scrollIntoView()");
        browser.screenshot("page-preview.png");
        browser.click(turn);
        let over = if turn == "cancel" { "summer.json: cancelled" } else { "summer.json: 5 products" };
        mirror.wait_until("it is over", || browser.text("importing").starts_with(over));
        assert!(!browser.offers("apply"));
        assert_eq!(fs::exists(shop.path("shop.db-pictures/sent/new.jpg")).unwrap(), turn == "apply");
    }
    mirror.wait_until("the mirror has it", || browser.text("summary").contains("5 products"));
    browser.script("document.getElementById('past').open = true");
    mirror.wait_until("the history is there", || browser.text("history").contains("import of summer.json"));
    browser.script("document.querySelectorAll('#history button')[0].click()");
    mirror.wait_until("it is undone", || browser.text("undone").contains("has 4 products again"));
    mirror.wait_until("the mirror has it", || browser.text("summary").contains("4 products"));
    mirror.wait_until("that is history, too", || browser.text("history").contains("undo: as of generation"));
    assert_eq!(browser.script("document.documentElement.scrollWidth"), 390, "it sticks out at the side");
    // A feed that was cut off within a text changes nothing, and the page says where.
    shop.write(
        "cut.csv",
        "id,title,image_link\nV101,\"Breton stripe tee,pictures/V101.jpg\nV102,Tee,pictures/V102.jpg\n",
    );
    browser.choose_file("file", &shop.path("cut.csv"));
    browser.click("begin");
    mirror.wait_until("it is refused", || browser.text("importing").contains("the catalogue is unchanged"));
    let refusal = browser.text("importing");
    assert!(refusal.starts_with("cut.csv cannot be imported") && refusal.contains("lines 2 to 3"), "{refusal}");
    assert!(!browser.offers("apply") && browser.text("summary").contains("4 products"));
    // An export with names of its own for its columns, and prices without a currency.
    shop.write("own.csv", "SKU;Name;Photo;Price\nV101;Breton stripe tee;pictures/V101.jpg;19,9\n");
    browser.choose_file("file", &shop.path("own.csv"));
    let set = "[['map', 'id=SKU,title=Name,image_link=Photo'], ['currency', 'EUR']] \
               .forEach(([id, text]) => { document.getElementById(id).value = text; })";
    browser.script(set);
    browser.click("begin");
    mirror.wait_until("the preview is there", || browser.text("importing").contains("own.csv would make 1 products"));
    assert!(!browser.text("importing").contains("currency"), "{}", browser.text("importing"));
    assert!(browser.text("importing").contains("would remove 3 of 4 products"), "{}", browser.text("importing"));
    browser.click("cancel");
    mirror.wait_until("it is over", || browser.text("importing").starts_with("own.csv: cancelled"));
    mirror.signal("TERM");
    assert_eq!(mirror.wait_for_end(), Some(0), "{}", mirror.log());
}

/// An export of a shop system, and what is told and found.
struct ShopExport {
    name: &'static str,
    /// Paths in the archive of pictures.
    pictures: &'static [&'static str],
    map: &'static str,
    currency: &'static str,
    products: usize,
    /// Ids with size, colour, price and stock.
    rows: &'static [[&'static str; 5]],
}

const EXPORTS: [ShopExport; 3] = [
    ShopExport {
        name: "bigcommerce.csv",
        pictures: &["v/white.jpg", "p/77/front.jpg", "back.jpg", "p/78/front.jpg"],
        map: "",
        currency: "EUR",
        products: 4,
        rows: &[["BT-W-M", "M", "White", "30.90 EUR", "out"], ["BT-N-S", "S", "Navy", "28.90 EUR", "few"]],
    },
    ShopExport {
        name: "meta.csv",
        pictures: &["t_shirt_001.jpg", "t_shirt_002.jpg"],
        map: "",
        currency: "",
        products: 2,
        rows: &[["K1", "", "", "10.00 USD", "in"], ["K2", "", "", "10.00 USD", "out"]],
    },
    ShopExport {
        name: "prestashop.csv",
        pictures: &["img/p/1/1.jpg", "img/p/2/2.jpg", "img/p/2/1/21.jpg"],
        map: "id=ID,title=Name *,image_link=Image URLs (x,y,z...),price=Price tax included,quantity=Quantity",
        currency: "EUR",
        products: 2,
        rows: &[["1", "", "", "28.68 EUR", "in"], ["2", "", "", "43.07 EUR", "out"]],
    },
];

/// An archive of the demo's pictures under the names of the export's.
fn write_pictures(shop: &Shop, export: &ShopExport) -> String {
    let path = shop.path("pictures.zip");
    let mut zip = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    for (name, picture) in export.pictures.iter().zip(["V101", "V102", "V103", "V104"]) {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(&fs::read(repository(&format!("demo/pictures/{picture}.jpg"))).unwrap()).unwrap();
    }
    zip.finish().unwrap();
    path
}

/// Id, size, colour, price and stock of a product of the catalogue.
fn product_row(shop: &Shop, id: &str) -> [String; 5] {
    let arguments = ["catalogue", "show", id, "--json", "--db", &shop.path("shop.db")];
    let output = Command::new(env!("CARGO_BIN_EXE_vetrina")).args(arguments).output().unwrap();
    let product: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{id}: {}", String::from_utf8_lossy(&output.stderr)));
    ["id", "size", "color", "price", "stock"].map(|name| product[name].as_str().unwrap_or_default().to_owned())
}

/// Uploads an export with its pictures, looks at the preview, applies it, and undoes it.
fn there_and_back(browser: &Browser, mirror: &mut Mirror, shop: &Shop, export: &ShopExport) {
    let ShopExport { name, products, .. } = export;
    browser.choose_file("file", &repository(&format!("tests/feeds/{name}")).display().to_string());
    browser.choose_file("pictures", &write_pictures(shop, export));
    for (id, text) in [("map", export.map), ("currency", export.currency)] {
        browser.script(&format!("document.getElementById('{id}').value = '{text}'"));
    }
    browser.click("begin");
    let preview = format!("{name} would make {products} products");
    mirror.wait_until("the preview is there", || browser.text("importing").contains(&preview));
    let preview = browser.text("importing");
    assert!(preview.contains(&format!("{products} added, 0 updated, 0 unchanged, 2 removed")), "{preview}");
    assert!(!preview.contains("skipped"), "{preview}");
    mirror.wait_until("nothing has changed", || browser.text("summary").contains("2 products"));
    browser.click("apply");
    let done = format!("{name}: {products} products");
    mirror.wait_until("the import is over", || browser.text("importing").starts_with(&done));
    for row in export.rows {
        assert_eq!(product_row(shop, row[0]), *row, "{name}");
    }
    browser.script("document.getElementById('past').open = true");
    let made = format!("import of {name}");
    mirror.wait_until("it is history", || browser.text("history").contains(&made));
    // What the page said of the undo before.
    browser.script("document.getElementById('undone').textContent = ''");
    browser.script("document.querySelectorAll('#history button')[0].click()");
    mirror.wait_until("it is undone", || browser.text("undone").contains("has 2 products again"));
    assert_eq!(product_row(shop, "V101")[0], "V101");
}

#[test]
fn exports_of_three_shop_systems_go_through_the_page_and_back() {
    let Some(browser) = Browser::start() else {
        eprintln!("skipped: there is no chromedriver with a Chromium on this machine");
        return;
    };
    let shop = Shop::with_products(2);
    fs::create_dir_all(shop.path("images")).unwrap();
    let config = shop.config_with_web("1.mjpg?loop", "listen = \"127.0.0.1:0\"\npassword = \"correct horse\"\n");
    let catalogue = "[catalogue]\nimages = \"images\"\nmax_removals = 100\n";
    let mut mirror = Mirror::start(&shop, &config.replace("[catalogue]\n", catalogue));
    let at = mirror::http::address(&mut mirror);
    mirror.wait_for_log("running");
    browser.open(&format!("http://vetrina:correct%20horse@{at}/"));
    mirror.wait_until("the page is there", || browser.text("summary").contains("2 products"));
    for export in &EXPORTS {
        there_and_back(&browser, &mut mirror, &shop, export);
    }
}

#[test]
fn what_the_mirror_reports_is_in_the_readers_language() {
    let Some(browser) = Browser::start() else {
        eprintln!("skipped: there is no chromedriver with a Chromium on this machine");
        return;
    };
    let shop = Shop::with_products(2);
    let mut mirror = with_images(&shop);
    let at = mirror::http::address(&mut mirror);
    mirror.wait_for_log("running");
    browser.read_in("it");
    browser.open(&format!("http://vetrina:correct%20horse@{at}/"));
    mirror.wait_until("the page is Italian", || browser.text("state") == "in funzione");
    // Each of a feed's reports: a column, a value, a row, pictures, letters, a price without currency. A name is no report, whatever
    // it is.
    let rows = "id,title,image_link,price,colur\nV101,T\u{e9}e,pictures/V101.jpg,19.90,red\nV102,Tee,pictures/V102.jpg,much,red\n\
                V102,Tee,pictures/V102.jpg,5 EUR,red\nV103,Tee,pictures/none.jpg,5 EUR,red\n\
                V104,Tee &#x10fffd;,heat,5 EUR,red\n";
    // In Windows-1252, whose letters of this feed have their Unicode numbers.
    fs::write(shop.path("own.csv"), rows.chars().map(|letter| letter as u8).collect::<Vec<u8>>()).unwrap();
    browser.choose_file("file", &shop.path("own.csv"));
    browser.click("begin");
    mirror.wait_until("the preview is there", || browser.text("importing").contains("Per ora non è cambiato nulla"));
    let preview = browser.text("importing");
    for said in [
        "la colonna \"colur\" è sconosciuta e non è stata letta; intendevi \"color\"?",
        "riga 3: prodotto \"V102\": price \"much\" non è valido: indica un importo",
        "riga 4: saltata: il codice \"V102\" compare già più in alto",
        "non c’è l’immagine pictures/none.jpg",
        "non c’è l’immagine heat",
        "nessun carattere contiene queste lettere dell’elenco",
        "installa i caratteri in /usr/share/fonts",
        "prezzi senza valuta, mostrati così: 1",
        "l’elenco è stato letto come windows-1252: \"Tée\"; se ci sono lettere sbagliate, salvalo in UTF-8",
    ] {
        assert!(preview.contains(said), "{said}: {preview}");
    }
    let english = ["line ", " the ", " is ", " was ", " has ", "picture ", "unknown", "valid:"];
    assert!(!english.iter().any(|word| preview.contains(word)), "{preview}");
    browser.click("cancel");
    mirror.wait_until("it is over", || browser.text("importing").contains("annullato"));
    // A fault of a feed, and a refusal on the page for staff.
    shop.write("cut.csv", "id,title,image_link\nV101,\"Tee,pictures/V101.jpg\nV102,Tee,pictures/V102.jpg\n");
    browser.choose_file("file", &shop.path("cut.csv"));
    browser.click("begin");
    mirror.wait_until("it is refused", || browser.text("importing").starts_with("Impossibile importare cut.csv"));
    let refusal = browser.text("importing");
    assert!(refusal.contains("righe da 2 a 3: una virgoletta non è chiusa"), "{refusal}");
    browser.open(&format!("http://vetrina:correct%20horse@{at}/staff"));
    browser.script("void send('staff/enrol', { products: ['V101', 'V102'] })");
    mirror.wait_until("it is refused", || browser.text("told").contains("si indossano sulla stessa parte del corpo"));
}
