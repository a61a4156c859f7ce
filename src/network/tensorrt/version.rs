//! TensorRT version numbers.

use crate::fault::{Fault, Kind};

/// The error for a library `name` of a version that this program was not built for.
pub fn unknown_version(name: &str, version: i32, known: &[&str]) -> Fault {
    let (version, known) = (version_text(version), known.join(", "));
    let text = format!("cannot use TensorRT: {name} is version {version}, this program was built for {known}");
    Fault::new(Kind::Unavailable, text)
        .cure("install one of these (JetPack 6.1 brings TensorRT 10.3), or set backend = \"cpu\"")
}

/// "10.3.0", or "RTX 1.7.1". Versions before 10 use another encoding.
pub fn version_text(version: i32) -> String {
    match version {
        ..10_000 => format!("{}.{}.{}", version / 1000, version / 100 % 10, version % 100),
        10_000..20_000 => format!("RTX {}.{}.{}", version / 10_000, version / 100 % 100, version % 100),
        _ => format!("{}.{}.{}", version / 10_000, version / 100 % 100, version % 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_numbers_are_decoded() {
        let texts =
            [(8_601, "8.6.1"), (100_300, "10.3.0"), (101_601, "10.16.1"), (110_400, "11.4.0"), (10_701, "RTX 1.7.1")];
        for (version, text) in texts {
            assert_eq!(version_text(version), text);
        }
    }

    #[test]
    fn an_unknown_version_is_refused_and_the_known_ones_are_listed() {
        let fault = unknown_version("libnvinfer.so.9", 90_000, &["10", "11"]).to_string();
        assert!(fault.contains("9.0.0") && fault.contains("for 10, 11") && fault.contains("\"cpu\""), "{fault}");
    }
}
