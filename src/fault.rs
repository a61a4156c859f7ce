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
        use io::ErrorKind::{NotFound, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let (kind, cure) = match error.kind() {
            StorageFull | QuotaExceeded => (Kind::Storage, Some("free some space on that disk")),
            ReadOnlyFilesystem => (Kind::Storage, Some("choose a place that can be written")),
            PermissionDenied => (Kind::Storage, Some("give this user access to it")),
            NotFound => (otherwise, Some("check the path")),
            _ => (otherwise, None),
        };
        let fault = Fault::new(kind, format!("cannot {verb} {}", path.display())).cause(error);
        match cure {
            Some(cure) => fault.cure(cure),
            None => fault,
        }
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl fmt::Display for Fault {
    /// One line: text, causes, cure.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        if let Some(cure) = &self.cure {
            line.push_str("; ");
            line.push_str(cure);
        }
        f.write_str(&line.replace(['\n', '\r'], " "))
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
    fn a_full_disk_is_a_storage_fault() {
        let error = io::Error::from_raw_os_error(28);
        assert_eq!(Fault::io(Kind::Catalogue, "write", Path::new("x.db"), error).kind(), Kind::Storage);
    }
}
