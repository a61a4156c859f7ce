//! The pages in the reader's language: the first of those that the browser asks for that there is, else the screen's.

use super::App;
use crate::language::{Language, lines};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT_LANGUAGE, CONTENT_LANGUAGE, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

/// The texts for the pages' scripts: `LANGUAGE`, a tag; `TEXTS`, by name; `REPORTS`, pairs of an English report and the text to show
/// for it, none where the page is English.
pub async fn script(State(app): State<App>, headers: HeaderMap) -> Response {
    let language = language(&app, &headers);
    let texts: Map<String, Value> =
        lines(language.page_texts()).map(|(name, text)| (name.to_owned(), text.into())).collect();
    let script = format!(
        "\"use strict\";\nconst LANGUAGE = \"{}\";\nconst TEXTS = {:#};\nconst REPORTS = {:#};\n",
        language.tag(),
        Value::Object(texts),
        reports(language)
    );
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], script).into_response()
}

fn reports(language: Language) -> Value {
    let (english, own) = (Language::En.report_texts(), language.report_texts());
    let pairs = lines(english).zip(lines(own)).filter(|_| language != Language::En);
    pairs.map(|((_, english), (_, own))| Value::from([english, own].map(str::to_owned).to_vec())).collect()
}

/// A page, with the reader's texts in place of their names: `{{catalogue}}`.
pub fn page(app: &App, headers: &HeaderMap, html: &str) -> Response {
    let language = language(app, headers);
    let head = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_LANGUAGE, language.tag())];
    (head, filled(html, language)).into_response()
}

fn filled(html: &str, language: Language) -> String {
    let direction = if language.is_right_to_left() { "rtl" } else { "ltr" };
    let html = html.replace("{{language}}", language.tag()).replace("{{direction}}", direction);
    lines(language.page_texts()).fold(html, |html, (name, text)| {
        html.replace(&format!("{{{{{name}}}}}"), &html_escape::encode_double_quoted_attribute(text))
    })
}

fn language(app: &App, headers: &HeaderMap) -> Language {
    let asked = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).and_then(wanted);
    asked.or_else(|| app.links.pipeline().languages.first().map(|words| words.language())).unwrap_or_default()
}

/// Of the languages in an `Accept-Language` header the most wanted one that there is.
fn wanted(header: &str) -> Option<Language> {
    let asked = header.split(',').filter_map(|one| {
        let (tag, rest) = one.split_once(';').unwrap_or((one, ""));
        let weight = rest.trim().strip_prefix("q=").map_or(Some(1.0), |weight| weight.parse::<f32>().ok())?;
        let tag = tag.trim().split('-').next()?.to_ascii_lowercase();
        Language::parse(&tag).ok().filter(|_| weight > 0.0).map(|language| (language, weight))
    });
    // Of equals the first.
    asked.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(language, _)| language)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::AuditAction;
    use crate::pipeline::matcher::Verdict;
    use crate::web::client::Role;
    use std::collections::HashMap;

    #[test]
    fn the_browser_is_asked_first() {
        assert_eq!(wanted("de-AT,de;q=0.9,en;q=0.8"), Some(Language::De));
        assert_eq!(wanted("nl, fr;q=0.5, ja;q=0.7"), Some(Language::Ja));
        assert_eq!(wanted("EN-us"), Some(Language::En));
        assert_eq!(wanted("nl;q=1, it;q=0, *;q=0.5"), None);
        assert_eq!(wanted(";;q=,\u{7f},="), None);
    }

    #[test]
    fn people_agree_to_the_same_on_the_page_as_on_the_command_line() {
        let consent = lines(Language::En.page_texts()).find(|(name, _)| *name == "consent");
        assert_eq!(consent, Some(("consent", crate::pipeline::enrol::CONSENT)));
    }

    #[test]
    fn what_the_mirror_names_has_a_text_in_every_language() {
        let classes = crate::network::Manifest::load(std::path::Path::new("models/compact")).unwrap().classes;
        let actions = AuditAction::ALL.map(|action| serde_json::to_value(action).unwrap());
        let who = [Role::Owner, Role::Staff, Role::Program].map(Role::name);
        let verdicts = [Verdict::None, Verdict::Similar, Verdict::Likely].map(Verdict::name);
        let names: Vec<String> = std::iter::empty()
            .chain(classes.iter().map(|class| format!("class-{class}")))
            .chain(actions.iter().map(|action| format!("audit-{}", action.as_str().unwrap())))
            .chain(who.iter().chain(&["mirror", "command-line", "unknown"]).map(|who| format!("who-{who}")))
            .chain(verdicts.iter().map(|verdict| format!("verdict-{verdict}")))
            .chain(["camera", "screen", "reload", "network", "catalogue"].map(|kind| format!("fault-{kind}")))
            .collect();
        let english: HashMap<&str, &str> = lines(Language::En.page_texts()).collect();
        for language in Language::ALL {
            let texts: HashMap<&str, &str> = lines(language.page_texts()).collect();
            for name in &names {
                let text = texts.get(name.as_str()).unwrap_or_else(|| panic!("{language:?} has no text {name}"));
                assert!(language == Language::En || english[name.as_str()] != *text, "{language:?}: {name} is English");
            }
        }
    }

    /// The program's texts as they stand in its sources, a `{}` for each value.
    fn sources() -> String {
        fn read(folder: &std::path::Path, all: &mut String) {
            for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_dir() {
                    read(&entry, all);
                } else if entry.extension().is_some_and(|ending| ending == "rs") {
                    all.push_str(&std::fs::read_to_string(entry).unwrap());
                }
            }
        }
        let mut all = String::new();
        read(std::path::Path::new("src"), &mut all);
        let mut lines = all.split("\\\n");
        let first = lines.next().unwrap_or_default().to_owned();
        let joined = lines.fold(first, |joined, line| joined + line.trim_start());
        without_values(&joined.replace("\\\"", "\""))
    }

    fn without_values(text: &str) -> String {
        let mut parts = text.split('{');
        let first = parts.next().unwrap_or_default().to_owned();
        let value =
            |part: &str| part.split_once('}').filter(|(name, _)| !name.contains('\n')).map(|(_, rest)| rest.to_owned());
        let short = parts.fold(first, |short, part| match value(part) {
            Some(rest) if short.ends_with("{}") => short + &rest,
            Some(rest) => short + "{}" + &rest,
            None => short + "{" + part,
        });
        short.replace("{}{}", "{}")
    }

    #[test]
    fn the_english_reports_are_those_of_the_program() {
        let sources = sources();
        for (name, english) in lines(Language::En.report_texts()) {
            let english = without_values(english);
            let own = english.trim_start_matches("{}").trim_end_matches("{}");
            assert!(sources.contains(own), "no source says {name} = {english}");
        }
    }

    #[test]
    fn pages_have_no_text_that_is_missing() {
        let pages = [include_str!("page.html"), include_str!("stats.html"), include_str!("staff.html")];
        let scripts =
            [include_str!("shared.js"), include_str!("page.js"), include_str!("stats.js"), include_str!("staff.js")];
        for language in Language::ALL {
            for html in pages {
                let page = filled(html, language);
                assert!(!page.contains("{{"), "{language:?}: {page}");
                assert!(page.contains(&format!("lang=\"{}\"", language.tag())));
            }
            let known: Vec<&str> = lines(language.page_texts()).map(|(name, _)| name).collect();
            for script in scripts {
                for name in script.split("say(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
                    assert!(known.contains(&name), "{language:?} has no text {name}");
                }
            }
        }
        // Every text is used.
        let all = [&pages[..], &scripts].concat().concat();
        for (name, _) in lines(Language::En.page_texts()) {
            let quoted = all.contains(&format!("\"{name}\"")) || all.contains(&format!("{{{{{name}}}}}"));
            assert!(
                quoted
                    || ["state-", "change-", "region-", "view-", "audit-", "who-", "verdict-", "class-", "fault-"]
                        .iter()
                        .any(|part| name.starts_with(part)),
                "{name} is not used"
            );
        }
    }
}
