//! The languages of the screen and their texts, from Fluent files (`locales/`), which are part of the program.
//!
//! ```
//! use vetrina::language::{Language, Words};
//! assert_eq!(Words::of(Language::It).say("sold-out"), "Esaurito");
//! ```

use crate::fault::{Fault, Kind, Result};
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};
use std::fmt;
use std::sync::Arc;
use unic_langid::LanguageIdentifier;

/// The languages that the program ships.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Language {
    #[default]
    En,
    It,
    De,
    Fr,
    Es,
    Ja,
    Ar,
}

/// The file of a language in a folder of `locales/`.
macro_rules! shipped {
    ($language:expr, $folder:literal) => {
        match $language {
            Language::En => include_str!(concat!("../locales/", $folder, "en.ftl")),
            Language::It => include_str!(concat!("../locales/", $folder, "it.ftl")),
            Language::De => include_str!(concat!("../locales/", $folder, "de.ftl")),
            Language::Fr => include_str!(concat!("../locales/", $folder, "fr.ftl")),
            Language::Es => include_str!(concat!("../locales/", $folder, "es.ftl")),
            Language::Ja => include_str!(concat!("../locales/", $folder, "ja.ftl")),
            Language::Ar => include_str!(concat!("../locales/", $folder, "ar.ftl")),
        }
    };
}

impl Language {
    pub const ALL: [Language; 7] =
        [Language::En, Language::It, Language::De, Language::Fr, Language::Es, Language::Ja, Language::Ar];

    /// Its tag (BCP 47), `"en"`.
    pub fn tag(self) -> &'static str {
        match self {
            Language::En => "en",
            Language::It => "it",
            Language::De => "de",
            Language::Fr => "fr",
            Language::Es => "es",
            Language::Ja => "ja",
            Language::Ar => "ar",
        }
    }

    /// The language with this tag.
    ///
    /// # Errors
    /// Names those that there are.
    pub fn parse(tag: &str) -> std::result::Result<Self, String> {
        let found = Language::ALL.into_iter().find(|language| language.tag() == tag);
        let tags = Language::ALL.map(|language| format!("\"{}\"", language.tag())).join(", ");
        found.ok_or_else(|| format!("there is no language {tag:?}; there are {tags}"))
    }

    /// Whether its lines begin at the right.
    pub fn is_right_to_left(self) -> bool {
        self == Language::Ar
    }

    /// The shipped texts, as Fluent writes them.
    pub fn texts(self) -> &'static str {
        shipped!(self, "")
    }

    /// The texts of the page for staff, as Fluent writes them: a line each, whose only placeables are values.
    pub fn page_texts(self) -> &'static str {
        shipped!(self, "page/")
    }

    /// What the program reports in English, as the pages say it: a line each, as in [`Language::page_texts`]. The English text of a name is
    /// the report's own, with values in it.
    pub fn report_texts(self) -> &'static str {
        shipped!(self, "reports/")
    }
}

/// The texts of one language. A text that it lacks is the English one. Cheap to clone.
#[derive(Clone)]
pub struct Words(Arc<Texts>);

struct Texts {
    language: Language,
    /// What the shop replaced, as Fluent writes it.
    replaced: String,
    bundle: FluentBundle<FluentResource>,
}

impl Words {
    /// The shipped texts.
    pub fn of(language: Language) -> Self {
        Words(Arc::new(Texts { language, replaced: String::new(), bundle: bundle(language) }))
    }

    /// These texts, and in place of some of them the shop's own: Fluent messages, `welcome = Ciao!`.
    ///
    /// # Errors
    /// [`Kind::Usage`] where it is no Fluent, or a message has a name that no text has.
    pub fn replacing(&self, messages: &str) -> Result<Self> {
        let tag = self.language().tag();
        let fault = |why: String| {
            Fault::new(Kind::Usage, format!("cannot use the shop's texts in the language {tag:?}: {why}"))
                .cure("write one text a line, `name = Text`; the names are in the file locales/en.ftl")
        };
        let resource = FluentResource::try_new(messages.to_owned())
            .map_err(|(_, errors)| fault(errors.first().map_or_else(String::new, ToString::to_string)))?;
        let mut bundle = bundle(self.language());
        for name in names(messages) {
            if !bundle.has_message(name) {
                return Err(fault(format!("the screen has no text {name:?}")));
            }
        }
        bundle.add_resource_overriding(resource);
        Ok(Words(Arc::new(Texts { language: self.language(), replaced: messages.to_owned(), bundle })))
    }

    /// The language of these texts.
    pub fn language(&self) -> Language {
        self.0.language
    }

    /// Whether lines begin at the right.
    pub fn is_right_to_left(&self) -> bool {
        self.language().is_right_to_left()
    }

    /// The text of this name; the name itself where there is none.
    pub fn say(&self, name: &str) -> String {
        self.format(name, None)
    }

    /// The text of this name, with a number in it, `{ $count }`.
    pub fn count(&self, name: &str, count: usize) -> String {
        self.format(name, Some(&[("count", count)].into_iter().collect()))
    }

    /// The text of this name, with how many of how many there are: `{ $count }`, `{ $wanted }`.
    pub fn share(&self, name: &str, count: usize, wanted: usize) -> String {
        self.format(name, Some(&[("count", count), ("wanted", wanted)].into_iter().collect()))
    }

    fn format(&self, name: &str, arguments: Option<&FluentArgs>) -> String {
        let bundle = &self.0.bundle;
        let Some(pattern) = bundle.get_message(name).and_then(|message| message.value()) else {
            return name.to_owned();
        };
        // An argument that is missing stands in the text by its name.
        bundle.format_pattern(pattern, arguments, &mut Vec::new()).into_owned()
    }
}

impl Default for Words {
    fn default() -> Self {
        Words::of(Language::default())
    }
}

impl PartialEq for Words {
    fn eq(&self, other: &Self) -> bool {
        (self.0.language, &self.0.replaced) == (other.0.language, &other.0.replaced)
    }
}

impl Eq for Words {}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Words({})", self.0.language.tag())
    }
}

/// The English texts, and over them those of `language`.
fn bundle(language: Language) -> FluentBundle<FluentResource> {
    let tag: LanguageIdentifier = language.tag().parse().unwrap_or_default();
    let mut bundle = FluentBundle::new_concurrent(vec![tag]);
    // The marks are for arguments in another direction; numbers need none.
    bundle.set_use_isolating(false);
    for texts in [Language::En.texts(), language.texts()] {
        // A test sees that the shipped files have no errors.
        let resource = FluentResource::try_new(texts.to_owned()).unwrap_or_else(|(resource, _)| resource);
        bundle.add_resource_overriding(resource);
    }
    bundle
}

/// The messages of a Fluent file that are a line each: name and text.
pub fn lines(messages: &str) -> impl Iterator<Item = (&str, &str)> {
    let starts_name = |line: &&str| line.starts_with(|first: char| first.is_ascii_alphabetic());
    let named = messages.lines().filter(starts_name).filter_map(|line| line.split_once('='));
    named.map(|(name, text)| (name.trim(), text.trim()))
}

/// The names of the messages in a Fluent file.
fn names(messages: &str) -> impl Iterator<Item = &str> {
    lines(messages).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_says_everything_and_nothing_else() {
        let english: Vec<&str> = names(Language::En.texts()).collect();
        assert!(english.len() > 25);
        for language in Language::ALL {
            assert!(FluentResource::try_new(language.texts().to_owned()).is_ok(), "{language:?}");
            assert_eq!(
                names(language.texts()).collect::<Vec<_>>(),
                english,
                "{language:?}: the same, in the same order"
            );
            let words = Words::of(language);
            for name in &english {
                let text = words.say(name);
                assert!(text != *name && !text.trim().is_empty(), "{language:?}: {name}");
                let kept = language == Language::En || *name == "more-sizes" || text != Words::default().say(name);
                assert!(kept, "{language:?}: {name} is the English text");
            }
            assert_eq!(Language::parse(language.tag()), Ok(language));
        }
        assert!(Language::parse("xx").unwrap_err().contains("\"ja\""));
    }

    #[test]
    fn every_language_has_the_page_and_the_same_values_in_it() {
        let values = |text: &str| {
            let mut values: Vec<String> =
                text.split("{ $").skip(1).filter_map(|rest| Some(rest.split_once(" }")?.0.into())).collect();
            values.sort();
            values
        };
        for (of, language) in [Language::page_texts, Language::report_texts]
            .into_iter()
            .flat_map(|of| Language::ALL.map(|language| (of, language)))
        {
            let english: Vec<(&str, Vec<String>)> =
                lines(of(Language::En)).map(|(name, text)| (name, values(text))).collect();
            assert!(english.len() > 100);
            let texts = of(language);
            assert!(FluentResource::try_new(texts.to_owned()).is_ok(), "{language:?}");
            let own: Vec<(&str, Vec<String>)> = lines(texts).map(|(name, text)| (name, values(text))).collect();
            assert_eq!(own, english, "{language:?}: the same names in the same order, with the same values");
            for (name, text) in lines(texts) {
                // What the page's script puts values into.
                let plain = text.matches('{').count() == text.matches("{ $").count() && !text.contains("->");
                assert!(!text.is_empty() && plain, "{language:?}: {name} = {text}");
            }
        }
    }

    #[test]
    fn numbers_stand_in_texts_and_unknown_texts_are_their_names() {
        assert_eq!(Words::default().count("more-sizes", 3), "+3");
        assert_eq!(Words::default().say("no-such-text"), "no-such-text");
    }

    #[test]
    fn a_shop_replaces_texts_by_name() {
        let words = Words::of(Language::It).replacing("welcome = Ciao!\n").unwrap();
        assert_eq!((words.say("welcome").as_str(), words.say("sold-out").as_str()), ("Ciao!", "Esaurito"));
        assert_ne!(words, Words::of(Language::It));
        assert_eq!(words, Words::of(Language::It).replacing("welcome = Ciao!\n").unwrap());
        let fault = Words::default().replacing("welcom = Hi\n").unwrap_err().to_string();
        assert!(fault.contains("\"welcom\"") && fault.contains("locales/en.ftl"), "{fault}");
        assert!(Words::default().replacing("welcome = { $\n").is_err());
    }
}
