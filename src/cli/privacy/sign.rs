//! The sign as HTML: one printed page a language, with nothing from elsewhere in it.

use super::facts::PrivacyFacts;
use super::texts::SignTexts;
use crate::display::qr;
use crate::web::LiveView;
use html_escape::encode_text;

const STYLE: &str = "\
@page { size: A4; margin: 0 }
body { margin: 0; font-family: system-ui, sans-serif; color: #14110f }
section { box-sizing: border-box; width: 210mm; height: 296mm; padding: 20mm; display: flex; flex-direction: column; page-break-after: always }
.camera { width: 42mm; height: 42mm; margin-bottom: 8mm }
h1 { font-size: 36pt; line-height: 1.1; margin: 0 0 8mm }
p { font-size: 17pt; line-height: 1.35; margin: 0 0 6mm }
.purpose { font-size: 21pt }
.foot { margin-top: auto; display: flex; gap: 10mm; align-items: flex-end; justify-content: space-between }
.foot p { font-size: 13pt; margin: 0 0 3mm }
.code { width: 45mm; height: 45mm; flex: none }";

const CAMERA: &str = "\
<svg class=\"camera\" viewBox=\"0 0 24 24\" aria-hidden=\"true\"><rect x=\"1.5\" y=\"5.5\" width=\"21\" height=\"14\" rx=\"2.5\" fill=\"#14110f\"/>\
<path d=\"M8 5.5 9.5 3h5L16 5.5z\" fill=\"#14110f\"/><circle cx=\"12\" cy=\"12.5\" r=\"4.6\" fill=\"#fff\"/><circle cx=\"12\" cy=\"12.5\" r=\"2.6\" fill=\"#14110f\"/></svg>";

/// The whole file.
pub fn html(facts: &PrivacyFacts, texts: &[SignTexts]) -> String {
    let pages: String = texts.iter().map(|texts| page(facts, texts)).collect();
    let shop = encode_text(&facts.shop);
    format!(
        "<!doctype html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n<title>{shop}</title>\n<style>\n{STYLE}\n</style>\n</head>\n\
         <body>\n{pages}</body>\n</html>\n"
    )
}

fn page(facts: &PrivacyFacts, texts: &SignTexts) -> String {
    let fill = |text: &str| {
        let text = text.replace("{shop}", &facts.shop).replace("{days}", &facts.count_days.to_string());
        let hub = facts.goes_to("sync.source").unwrap_or_default();
        let text = text.replace("{hub}", hub);
        encode_text(&text.replace("{hosts}", &facts.receivers.join(", "))).into_owned()
    };
    let mut said = vec![texts.kept];
    if facts.count_days > 0 {
        said.push(texts.counted);
    }
    if facts.live_view == LiveView::Full {
        said.push(texts.watched);
    }
    if facts.staff_crops {
        said.push(texts.cropped);
    }
    // As the table of what goes out says.
    let is_read = ["web.listen", "web.token", "privacy.live_view", "privacy.staff_crops"]
        .iter()
        .any(|key| facts.goes_to(key).is_some());
    let going = [
        (facts.sent.is_empty(), texts.silent),
        (!facts.receivers.is_empty(), texts.told),
        (is_read, texts.read),
        (facts.goes_to("sync.source").is_some(), texts.figures),
        (facts.goes_to("camera.source").is_some(), texts.camera),
    ];
    said.extend(going.into_iter().filter(|(is_so, _)| *is_so).map(|(_, text)| text));
    let said: String = said.into_iter().map(|text| format!("<p>{}</p>\n", fill(text))).collect();
    let contact = facts.contact.as_deref().unwrap_or(texts.unnamed);
    let (code, more) = match facts.notice.as_deref().and_then(code) {
        Some(code) => (code, format!("<p>{}</p>\n", fill(texts.more))),
        None => (String::new(), String::new()),
    };
    format!(
        "<section lang=\"{}\" dir=\"{}\">\n{CAMERA}\n<h1>{}</h1>\n<p class=\"purpose\">{}</p>\n{said}<div class=\"foot\"><div>\n\
         <p>{}</p>\n<p>{} {}</p>\n{more}</div>{code}</div>\n</section>\n",
        texts.language.tag(),
        if texts.language.is_right_to_left() { "rtl" } else { "ltr" },
        fill(texts.title),
        fill(texts.purpose),
        fill(texts.rights),
        fill(texts.responsible),
        encode_text(contact),
    )
}

/// The link as a QR code; `None` where it is too long for one.
fn code(link: &str) -> Option<String> {
    let rows = qr::encode(link)?;
    let side = rows.len();
    let dark = rows.iter().enumerate().flat_map(|(y, row)| {
        row.iter().enumerate().filter(|(_, dark)| **dark).map(move |(x, _)| format!("M{x} {y}h1v1h-1z"))
    });
    let path: String = dark.collect();
    Some(format!(
        "<svg class=\"code\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\" role=\"img\" aria-label=\"{}\">\
         <rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/><path d=\"{path}\"/></svg>",
        html_escape::encode_double_quoted_attribute(link)
    ))
}

#[cfg(test)]
mod tests {
    use super::super::texts::ALL;
    use super::*;
    use crate::config::Config;
    use crate::language::Language;

    fn sign(text: &str) -> String {
        html(&PrivacyFacts::of(&Config::parse(text).unwrap()), &ALL)
    }

    #[test]
    fn each_language_says_what_this_mirror_does_and_no_more() {
        let quiet = sign("[shop]\nname = \"A & B <Moda>\"\n[stats]\ndays = 0\n[web]\nenabled = false\n");
        for language in Language::ALL {
            let direction = if language == Language::Ar { "rtl" } else { "ltr" };
            let page = format!("<section lang=\"{}\" dir=\"{direction}\">", language.tag());
            assert!(quiet.contains(&page), "every language of the screen has a sign: {page}");
        }
        assert_eq!(quiet.matches("<section lang=").count(), ALL.len());
        for texts in ALL {
            assert!(quiet.contains(&*encode_text(texts.silent)), "{}", texts.language.tag());
        }
        assert!(quiet.contains("A &amp; B &lt;Moda&gt;") && !quiet.contains("90") && !quiet.contains("class=\"code\""));
        let text = "[webhook]\nurl = \"https://hooks.example/x\"\n\
                    [privacy]\nlive_view = \"full\"\ncontact = \"Moda S.r.l., Milano\"\nnotice = \"https://moda.example/privacy\"\n";
        let open = sign(text);
        assert_eq!(open.matches("class=\"code\" viewBox").count(), ALL.len());
        assert_eq!(open.matches("Moda S.r.l., Milano").count(), ALL.len());
        for texts in ALL {
            assert!(!open.contains(&*encode_text(texts.silent)), "{}", texts.language.tag());
            assert!(open.contains(&*encode_text(texts.watched)), "{}", texts.language.tag());
        }
        let crops = sign("[privacy]\nstaff_crops = true\n");
        for texts in ALL {
            assert!(crops.contains(&*encode_text(texts.cropped)), "{}", texts.language.tag());
            assert!(!open.contains(&*encode_text(texts.cropped)), "{}", texts.language.tag());
        }
        assert_eq!(open.matches("hooks.example").count(), ALL.len());
        // Whatever the table of what goes out has, the sign does not call it nothing.
        let listens =
            sign("[web]\nlisten = \"0.0.0.0:8080\"\npassword = \"correct horse\"\ntoken = \"battery staple\"\n");
        for texts in ALL {
            assert!(!listens.contains(&*encode_text(texts.silent)), "{}", texts.language.tag());
            assert!(listens.contains(&*encode_text(texts.read)), "{}", texts.language.tag());
            assert!(!quiet.contains(&*encode_text(texts.read)), "{}", texts.language.tag());
        }
        assert!(
            !open.contains('{') || !open.contains("{hosts}") && !open.contains("{days}"),
            "something is not filled in"
        );
        assert!(!open.contains("src=") && !open.contains("href="), "nothing comes from elsewhere");
    }
}
