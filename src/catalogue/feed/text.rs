//! A field's raw value to what people read: entities decoded, tags dropped, whitespace and control characters cleaned.

use html_escape::decode_html_entities;
use std::borrow::Cow;

/// Tags that end a word.
const BREAKS: [&str; 14] = ["br", "p", "div", "li", "ul", "ol", "tr", "td", "h1", "h2", "h3", "h4", "h5", "h6"];

/// A text for people; `None` where nothing is left.
pub fn plain(raw: &str) -> Option<String> {
    let text = decode(raw);
    let text = without_tags(&text);
    cleaned(&text)
}

/// An id or a link: entities decoded only where `&amp;` shows that the link was escaped; nothing else is taken from it.
pub fn verbatim(raw: &str) -> Option<String> {
    cleaned(&if raw.contains("&amp;") { Cow::Owned(raw.replace("&amp;", "&")) } else { Cow::Borrowed(raw) })
}

/// Of category paths with commas between them the longest, the first of equals; a comma of a name has a backslash before it.
pub fn narrowest_path(categories: &str, separator: char) -> String {
    let escaped = categories.replace("\\,", "\u{1}");
    // max_by_key takes the last of equals.
    let narrowest = escaped.split(',').rev().max_by_key(|path| path.matches(separator).count()).unwrap_or_default();
    narrowest.trim().replace('\u{1}', ",")
}

/// Exports are often escaped twice: `H&amp;amp;M`.
fn decode(raw: &str) -> Cow<'_, str> {
    if !raw.contains('&') {
        return Cow::Borrowed(raw);
    }
    let once = decode_html_entities(raw);
    let escaped = ["&amp;", "&lt;", "&gt;", "&quot;", "&nbsp;", "&#"].iter().any(|entity| once.contains(entity));
    if escaped { Cow::Owned(decode_html_entities(once.as_ref()).into_owned()) } else { once }
}

/// `A < B` holds no tag: a letter, a slash or `!--` follows the bracket of one.
fn without_tags(text: &str) -> Cow<'_, str> {
    if !text.contains('<') {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        kept.push_str(before);
        let inside = tag[1..].trim_start_matches('/');
        let is_tag = inside.starts_with(|letter: char| letter.is_ascii_alphabetic()) || tag.starts_with("<!--");
        match is_tag.then(|| tag.find('>')) {
            // Neither this one nor any after it is closed.
            Some(None) => {
                rest = tag;
                break;
            }
            Some(Some(end)) => {
                let name = inside.split(|letter: char| !letter.is_ascii_alphanumeric()).next().unwrap_or_default();
                if BREAKS.contains(&name.to_ascii_lowercase().as_str()) {
                    kept.push(' ');
                }
                rest = &tag[end + 1..];
            }
            None => {
                kept.push('<');
                rest = &tag[1..];
            }
        }
    }
    kept.push_str(rest);
    Cow::Owned(kept)
}

/// Each run of spaces, line breaks and control characters is one space, none at either end; invisible marks are dropped.
fn cleaned(text: &str) -> Option<String> {
    let mut kept = String::with_capacity(text.len());
    for letter in text.chars().filter(|letter| !is_invisible(*letter)) {
        if !(letter.is_whitespace() || letter.is_control()) {
            kept.push(letter);
        } else if !kept.is_empty() && !kept.ends_with(' ') {
            kept.push(' ');
        }
    }
    kept.truncate(kept.trim_end().len());
    (!kept.is_empty()).then_some(kept)
}

/// Soft hyphens, zero-width spaces, marks of writing direction and of byte order. Joiners stay: some scripts need them.
fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_decoded_and_tags_dropped() {
        for (raw, expected) in [
            ("Men&#39;s T-Shirt &amp; Tank", "Men's T-Shirt & Tank"),
            ("T-Shirt &quot;Rock&quot; &ndash; caf&eacute;", "T-Shirt \"Rock\" – café"),
            ("&euro;19.90", "€19.90"),
            ("L&#xe9;a", "Léa"),
            ("H&M", "H&M"),
            ("H&amp;amp;M", "H&M"),
            ("<b>Tee</b> basic", "Tee basic"),
            ("&lt;b&gt;Tee&lt;/b&gt;s", "Tees"),
            ("Tee<br/>basic<!-- x -->", "Tee basic"),
            ("A &lt; B", "A < B"),
            ("I <3 it", "I <3 it"),
            ("a <b", "a <b"),
            ("x <i>a <b <c", "x a <b <c"),
        ] {
            assert_eq!(plain(raw).as_deref(), Some(expected), "{raw}");
        }
    }

    #[test]
    fn spaces_and_control_characters_are_cleaned() {
        for (raw, expected) in [
            (" A\u{1b}[31m\r\nB\u{a0} ", Some("A [31m B")),
            ("Tee\u{2028}second\u{200b}ary", Some("Tee secondary")),
            ("\u{feff}\u{202e}x", Some("x")),
            (" \u{a0}\t", None),
            ("می\u{200c}خواهم", Some("می\u{200c}خواهم")),
        ] {
            assert_eq!(plain(raw).as_deref(), expected, "{raw:?}");
        }
    }

    #[test]
    fn the_narrowest_path_is_taken() {
        assert_eq!(narrowest_path("Sale, Clothing > Hoodies, Clothing", '>'), "Clothing > Hoodies");
        assert_eq!(narrowest_path("Tops\\, shirts, Sale", '>'), "Tops, shirts");
        assert_eq!(narrowest_path("Shop/Sale,Shop/Women/Tees\\, long,Shop/Men/Tees", '/'), "Shop/Women/Tees, long");
        assert_eq!(narrowest_path("", '/'), "");
    }

    #[test]
    fn ids_and_links_keep_what_only_a_text_would_lose() {
        assert_eq!(verbatim(" <1>&copy;2 ").as_deref(), Some("<1>&copy;2"));
        assert_eq!(verbatim("https://h/a?x=1&amp;copy=2").as_deref(), Some("https://h/a?x=1&copy=2"));
    }
}
