//! The one error type: what went wrong, where, and the cure, with a kind that a script or a supervisor can act on.
//!
//! A fault is handled once: returned up to [`crate::cli`], which prints it as one line and exits with its kind's code.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;

/// What can fail, with the one error type.
pub type Result<T> = std::result::Result<T, Fault>;

/// What a caller can do about a fault. The numbers are the program's exit codes: they are public and never change meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A defect of vetrina itself.
    Internal = 1,
    /// Flags, arguments or configuration. (clap exits with 2 as well.)
    Usage = 2,
    /// A picture, clip or feed that is missing, damaged or not what it says it is.
    Input = 3,
    /// A model folder that is missing, damaged or does not fit its manifest.
    Model = 4,
    /// A catalogue that is missing, damaged or was embedded by another model.
    Catalogue = 5,
    /// Another process is using a required resource.
    Busy = 6,
    /// The disk is full, read-only or not writable for this user.
    Storage = 7,
    /// A required program or device is missing.
    Unavailable = 8,
}

impl Kind {
    /// The process exit code.
    pub fn exit_code(self) -> u8 {
        self as u8
    }
}

/// What to do about a disk that is read-only, as the kernel makes it after errors of the disk.
pub const READ_ONLY_CURE: &str =
    "mount it for writing (the kernel's log says whether it failed), or choose another place";

/// An error with its kind, its text ("cannot do what: where"), an optional cure and an optional cause.
#[derive(Debug)]
pub struct Fault {
    kind: Kind,
    text: String,
    cure: Option<String>,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Fault {
    /// A fault that says what failed, and where: `"cannot read shop.csv: line 3 has no id"`.
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        Fault { kind, text: text.into(), cure: None, cause: None }
    }

    /// Adds what the reader can do about it: `"save the file as UTF-8"`.
    pub fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }

    /// Adds the error underneath; its text is printed after this fault's own.
    pub fn cause(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// An I/O error on `path`: a full or forbidden disk is [`Kind::Storage`], anything else is `otherwise`.
    pub fn io(otherwise: Kind, verb: &str, path: &Path, error: io::Error) -> Self {
        use io::ErrorKind::{IsADirectory, NotFound, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let (kind, cure) = match error.kind() {
            StorageFull | QuotaExceeded => (Kind::Storage, Some("free some space on that disk")),
            ReadOnlyFilesystem => (Kind::Storage, Some(READ_ONLY_CURE)),
            PermissionDenied => (Kind::Storage, Some("give this user access to it")),
            NotFound => (otherwise, Some("check the path")),
            IsADirectory => (otherwise, Some("give the path of a file")),
            _ => (otherwise, None),
        };
        let fault = Fault::new(kind, format!("cannot {verb} {}", path.display())).cause(error);
        match cure {
            Some(cure) => fault.cure(cure),
            None => fault,
        }
    }

    /// One line without the cure, for what is no fault after all: text and causes.
    pub fn reason(&self) -> String {
        let mut line = self.text.clone();
        let mut cause = self.cause.as_deref().map(|c| c as &dyn Error);
        while let Some(error) = cause {
            let text = error.to_string();
            if !line.contains(&text) {
                line.push_str(": ");
                line.push_str(&text);
            }
            cause = error.source();
        }
        line.replace(['\n', '\r'], " ")
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl fmt::Display for Fault {
    /// One line: text, causes, cure.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason())?;
        match &self.cure {
            Some(cure) => write!(f, "; {}", cure.replace(['\n', '\r'], " ")),
            None => Ok(()),
        }
    }
}

/// The end of a list that names only some: ` and 3 more`, or nothing where it names all.
pub fn and_more(unnamed: usize) -> String {
    if unnamed == 0 { String::new() } else { format!(" and {unnamed} more") }
}

/// "1 product", "2 products".
pub fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// What a reader of TOML or JSON says, without the names that Rust has for things, and with what to write instead.
pub fn plain_words(message: &str) -> String {
    if message.contains("socket address") {
        return "this is no address with a port; give for example \"127.0.0.1:8080\"".into();
    }
    // JSON's reader ends with the place.
    let (said, place) = message.rfind(" at line ").map_or((message, ""), |at| message.split_at(at));
    if let Some((given, wanted)) = said.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected ")) {
        let given = given.replace('`', "").replace("sequence", "list");
        let given = if given == "null" { given } else { format!("the {given}") };
        return format!("this is {given}{place}; give {}", plain_kind(wanted, !place.is_empty()));
    }
    if let Some(key) = said.strip_prefix("missing field ") {
        return format!("the key {key} is missing{place}; add it");
    }
    message.replace("unknown field", "unknown key").replace("unknown variant", "unknown value")
}

/// What serde calls a kind of value, for people who write JSON or TOML.
fn plain_kind(name: &str, json: bool) -> String {
    match name {
        "a boolean" => "true or false".into(),
        "a string" | "a borrowed string" => "a text in quotation marks".into(),
        "f32" | "f64" => "a number".into(),
        "a sequence" => "a list in square brackets".into(),
        _ if name.starts_with("struct ") || name == "a map" => {
            if json { "an object in braces" } else { "a table with keys of its own" }.into()
        }
        _ if name.starts_with(['i', 'u']) && name[1..].parse::<u8>().is_ok() || name == "usize" => {
            "a whole number".into()
        }
        _ => name.to_owned(),
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|c| c as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_public_and_distinct() {
        let kinds = [
            (Kind::Internal, 1),
            (Kind::Usage, 2),
            (Kind::Input, 3),
            (Kind::Model, 4),
            (Kind::Catalogue, 5),
            (Kind::Busy, 6),
            (Kind::Storage, 7),
            (Kind::Unavailable, 8),
        ];
        for (kind, code) in kinds {
            assert_eq!(kind.exit_code(), code, "{kind:?}");
        }
    }

    #[test]
    fn a_fault_is_one_line_with_cause_and_cure() {
        let fault = Fault::new(Kind::Input, "cannot read a.jpg").cause("truncated\nfile").cure("copy it again");
        assert_eq!(fault.to_string(), "cannot read a.jpg: truncated file; copy it again");
    }

    #[test]
    fn a_reason_is_the_line_without_the_cure() {
        let fault = Fault::new(Kind::Unavailable, "there is no\nGPU").cure("buy one");
        assert_eq!(
            (fault.reason().as_str(), fault.to_string().as_str()),
            ("there is no GPU", "there is no GPU; buy one")
        );
    }

    #[test]
    fn a_folder_in_the_place_of_a_file_is_said_with_a_cure() {
        let error = std::fs::read("/").unwrap_err();
        let fault = Fault::io(Kind::Input, "read the feed", Path::new("/"), error);
        assert!(fault.to_string().ends_with("; give the path of a file"), "{fault}");
    }

    #[test]
    fn a_list_says_how_many_it_does_not_name() {
        assert_eq!([and_more(0), and_more(3)], ["", " and 3 more"]);
        assert_eq!([counted(1, "row"), counted(0, "row")], ["1 row", "0 rows"]);
    }

    #[test]
    fn what_a_reader_of_toml_or_json_says_is_in_plain_words() {
        for (said, plain) in [
            ("missing field `source`", "the key `source` is missing; add it"),
            ("missing field `id` at line 1 column 9", "the key `id` is missing at line 1 column 9; add it"),
            ("unknown field `colour`, expected `color`", "unknown key `colour`, expected `color`"),
            ("unknown variant `tv`, expected `kms` or `png`", "unknown value `tv`, expected `kms` or `png`"),
            ("invalid type: string \"wide\", expected u32", "this is the string \"wide\"; give a whole number"),
            ("invalid type: boolean `true`, expected f64", "this is the boolean true; give a number"),
            ("invalid type: integer `3`, expected a boolean", "this is the integer 3; give true or false"),
            ("invalid type: map, expected a string", "this is the map; give a text in quotation marks"),
            ("invalid type: integer `3`, expected a sequence", "this is the integer 3; give a list in square brackets"),
            ("invalid type: sequence, expected struct Camera", "this is the list; give a table with keys of its own"),
            (
                "invalid type: sequence, expected a map at line 1 column 0",
                "this is the list at line 1 column 0; give an object in braces",
            ),
            (
                "invalid type: null, expected a string at line 1 column 14",
                "this is null at line 1 column 14; give a text in quotation marks",
            ),
            ("invalid socket address syntax", "this is no address with a port; give for example \"127.0.0.1:8080\""),
            ("0 must lie from 1 to 7680", "0 must lie from 1 to 7680"),
        ] {
            assert_eq!(plain_words(said), plain);
        }
    }

    #[test]
    fn a_full_disk_is_a_storage_fault() {
        let error = io::Error::from_raw_os_error(28);
        assert_eq!(Fault::io(Kind::Catalogue, "write", Path::new("x.db"), error).kind(), Kind::Storage);
    }
}
