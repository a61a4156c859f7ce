//! Arrays from numpy's `.npz` files: a ZIP archive (<https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>) of `.npy`
//! files (numpy's format description, version 1 to 3). Only what the fixtures need: little-endian numbers in C order.

use std::fs;
use std::path::Path;

/// One array of the file: shape and values, as f64 whatever its type. Panics if it is missing.
pub fn array(path: &Path, name: &str) -> (Vec<usize>, Vec<f64>) {
    let archive = fs::read(path).unwrap();
    let file =
        member(&archive, &format!("{name}.npy")).unwrap_or_else(|| panic!("{name} is not in {}", path.display()));
    let wide = if file[6] == 1 { 2 } else { 4 };
    let header = 8 + wide + number(&file, 8, wide);
    let text = std::str::from_utf8(&file[8 + wide..header]).unwrap();
    assert!(text.contains("'fortran_order': False"), "{name}: {text}");
    let value = |key: &str| text.split(&format!("'{key}':")).nth(1).unwrap().trim_start();
    let shape = value("shape").trim_start_matches('(').split(')').next().unwrap();
    let shape = shape.split(',').filter_map(|side| side.trim().parse().ok()).collect();
    let kind = value("descr").split('\'').nth(1).unwrap();
    (shape, values(&file[header..], kind).unwrap_or_else(|| panic!("{name} is of the type {kind}")))
}

fn values(bytes: &[u8], kind: &str) -> Option<Vec<f64>> {
    Some(match kind {
        "<f4" => bytes.as_chunks().0.iter().map(|value| f64::from(f32::from_le_bytes(*value))).collect(),
        "<f8" => bytes.as_chunks().0.iter().map(|value| f64::from_le_bytes(*value)).collect(),
        "<i8" => bytes.as_chunks().0.iter().map(|value| i64::from_le_bytes(*value) as f64).collect(),
        "|u1" => bytes.iter().map(|value| f64::from(*value)).collect(),
        _ => return None,
    })
}

/// A file of the archive, found through the central directory.
fn member(archive: &[u8], name: &str) -> Option<Vec<u8>> {
    let end = archive.windows(4).rposition(|four| four == b"PK\x05\x06")?;
    let mut entry = number(archive, end + 16, 4);
    for _ in 0..number(archive, end + 10, 2) {
        assert_eq!(&archive[entry..entry + 4], b"PK\x01\x02");
        let [method, packed] = [number(archive, entry + 10, 2), number(archive, entry + 20, 4)];
        let lengths = [28, 30, 32].map(|at| number(archive, entry + at, 2));
        if &archive[entry + 46..entry + 46 + lengths[0]] == name.as_bytes() {
            let local = number(archive, entry + 42, 4);
            let start = local + 30 + number(archive, local + 26, 2) + number(archive, local + 28, 2);
            let data = &archive[start..start + packed];
            return match method {
                0 => Some(data.to_vec()),
                8 => Some(miniz_oxide::inflate::decompress_to_vec(data).unwrap()),
                _ => None,
            };
        }
        entry += 46 + lengths.iter().sum::<usize>();
    }
    None
}

/// A little-endian number of `count` bytes.
fn number(bytes: &[u8], at: usize, count: usize) -> usize {
    bytes[at..at + count].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
}
