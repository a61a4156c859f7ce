//! From a feed's link to a picture file under the picture folder, and never out of it.

use super::feed::Feed;
use crate::fault::{Fault, Kind, Result};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The largest picture file, in bytes.
pub const MOST_PICTURE: u64 = 64 << 20;

/// SHA-256 of a file's bytes.
pub type Sha = [u8; 32];

/// A picture file and the hash of what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureFile {
    pub path: PathBuf,
    pub sha256: Sha,
    /// Only the last part of a web address led here; another address may end in the same name.
    pub by_name_alone: bool,
}

/// What a link leads to; the error is the reason to report with the row.
pub type Found = std::result::Result<PictureFile, String>;

/// The picture folder, as an absolute path without links.
#[derive(Clone, Debug)]
pub struct ImageFolder {
    root: PathBuf,
}

impl ImageFolder {
    /// # Errors
    /// [`Kind::Input`] where there is no such folder.
    pub fn open(path: &Path) -> Result<Self> {
        let root =
            path.canonicalize().map_err(|error| Fault::io(Kind::Input, "open the picture folder", path, error))?;
        if root.is_dir() {
            Ok(ImageFolder { root })
        } else {
            Err(Fault::new(Kind::Input, format!("{} is not a folder of pictures", path.display()))
                .cure("give the folder that the feed's image_link paths start from"))
        }
    }

    /// Reads and hashes the file that `link` means. Takes as long as the disk does: for many links, ask on several threads.
    pub fn find(&self, link: &str) -> Found {
        let (path, by_name_alone) = self.look_up(link)?;
        let (_, sha256) = read_picture(&path)?;
        Ok(PictureFile { path, sha256, by_name_alone })
    }

    /// [`ImageFolder::find`] for all pictures of a feed, one after the other.
    pub fn find_all(&self, feed: &Feed) -> HashMap<String, Found> {
        feed.links().into_iter().map(|link| (link.to_owned(), self.find(link))).collect()
    }

    /// The file that `link` means: a path under the folder, a `file:` URL in it, or the longest end of a web address's path
    /// that exists there. The error is the reason to report with the row.
    pub fn resolve(&self, link: &str) -> std::result::Result<PathBuf, String> {
        self.look_up(link).map(|(path, _)| path)
    }

    /// The file, and whether only its name led there.
    fn look_up(&self, link: &str) -> std::result::Result<(PathBuf, bool), String> {
        let lower = link.get(..8).unwrap_or(link).to_ascii_lowercase();
        if lower.starts_with("file://") {
            let path = link[7..].strip_prefix("localhost").unwrap_or(&link[7..]);
            return self.inside(&percent_decode(path), link).map(|path| (path, false));
        }
        let address = ["https://", "http://", "//"].into_iter().find(|scheme| lower.starts_with(scheme));
        if let Some(scheme) = address {
            let reason = || format!("{link}: vetrina fetches nothing from the network: put the picture under DIR");
            return self.by_longest_end(&link[scheme.len()..], link).ok_or_else(reason);
        }
        match self.inside(link, link) {
            Ok(path) => Ok((path, false)),
            // An export of another machine: C:\shop\a.jpg, a.jpg?v=3, a%20b.jpg.
            Err(reason) => self.by_longest_end(link, link).ok_or(reason),
        }
    }

    /// The longest end of a path that is a file under the folder. A relative path has one end: all of it.
    fn by_longest_end(&self, path: &str, link: &str) -> Option<(PathBuf, bool)> {
        let path = path.replace('\\', "/");
        let bare = path.split(['?', '#']).next().unwrap_or_default();
        let is_relative = path.len() == link.len() && !path.starts_with('/') && path.as_bytes().get(1) != Some(&b':');
        for path in [bare.to_owned(), percent_decode(bare)] {
            let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
            if parts.contains(&"..") {
                return None;
            }
            let ends = if is_relative { 1 } else { parts.len() };
            for skipped in 0..ends.min(parts.len()) {
                if let Ok(found) = self.inside(&parts[skipped..].join("/"), link) {
                    // The first part of an address is its host.
                    return Some((found, skipped > 1 && skipped + 1 == parts.len()));
                }
            }
        }
        None
    }

    fn inside(&self, relative: &str, link: &str) -> std::result::Result<PathBuf, String> {
        let path = self.root.join(relative);
        let found = path.canonicalize().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => format!("there is no picture {link} under {}", self.root.display()),
            _ => format!("cannot open the picture {link}: {error}"),
        })?;
        if !found.starts_with(&self.root) {
            return Err(format!("the picture {link} is not under {}", self.root.display()));
        }
        if !found.is_file() {
            return Err(format!("{link} is not a file"));
        }
        Ok(found)
    }
}

/// Pictures that several links lead to, one line each; the others are counted.
const MOST_COLLISIONS: usize = 10;

/// Different web addresses that lead to one file by its name alone: probably different pictures, of which one is there.
pub(super) fn collisions(found: &HashMap<String, Found>) -> Vec<String> {
    let mut by_path: BTreeMap<&Path, Vec<&str>> = BTreeMap::new();
    for (link, found) in found {
        if let Ok(file) = found
            && file.by_name_alone
        {
            by_path.entry(&file.path).or_default().push(link);
        }
    }
    by_path.retain(|_, links| links.len() > 1);
    let all = by_path.len();
    let one = |(path, mut links): (&Path, Vec<&str>)| {
        links.sort_unstable();
        format!(
            "{} links lead to {} by its name alone, {} and {} among them; keep pictures in folders as in their links",
            links.len(),
            path.display(),
            links[0],
            links[1]
        )
    };
    let mut said: Vec<String> = by_path.into_iter().take(MOST_COLLISIONS).map(one).collect();
    said.extend((all > MOST_COLLISIONS).then(|| format!("{} more pictures are found so", all - MOST_COLLISIONS)));
    said
}

/// The file's bytes with their hash; the error is the reason to report.
pub fn read_picture(path: &Path) -> std::result::Result<(Vec<u8>, Sha), String> {
    let fail = |error: io::Error| format!("cannot read the picture {}: {error}", path.display());
    let mut bytes = Vec::new();
    File::open(path).map_err(fail)?.take(MOST_PICTURE + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > MOST_PICTURE {
        return Err(format!("the picture {} is larger than {} MiB", path.display(), MOST_PICTURE >> 20));
    }
    if bytes.is_empty() {
        return Err(format!("the picture {} is empty", path.display()));
    }
    let sha = Sha256::digest(&bytes).into();
    Ok((bytes, sha))
}

fn percent_decode(text: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((16 * high + low) as u8);
                at += 3;
            }
            (byte, _, _) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, ImageFolder) {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("pictures");
        std::fs::create_dir_all(root.join("sub")).unwrap();
        for name in ["pictures/a.jpg", "pictures/sub/b c.jpg", "secret.jpg"] {
            std::fs::write(outer.path().join(name), name).unwrap();
        }
        let folder = ImageFolder::open(&root).unwrap();
        (outer, folder)
    }

    #[test]
    fn paths_and_addresses_are_found_under_the_folder() {
        let (_outer, folder) = folder();
        let inside = |link: &str| folder.resolve(link).unwrap().strip_prefix(&folder.root).unwrap().to_owned();
        assert_eq!(inside("a.jpg"), Path::new("a.jpg"));
        assert_eq!(inside("sub/../a.jpg"), Path::new("a.jpg"));
        assert_eq!(inside("https://shop.example/x/a.jpg?w=200"), Path::new("a.jpg"));
        for link in
            ["a.jpg?v=1699", "//shop.example/x/a.jpg", "/a.jpg", "C:\\shop\\a.jpg", ".\\a.jpg", "HTTPS://h/a.jpg#x"]
        {
            assert_eq!(inside(link), Path::new("a.jpg"), "{link}");
        }
        for link in [
            "sub\\b c.jpg",
            "sub/b%20c.jpg",
            "https://cdn.example/x/sub/b c.jpg",
            "https://cdn.example/sub/b%20c.jpg?v=1",
        ] {
            assert_eq!(inside(link), Path::new("sub/b c.jpg"), "{link}");
        }
        let url = format!("file://{}/sub/b%20c.jpg", folder.root.display());
        assert_eq!(inside(&url), Path::new("sub/b c.jpg"));
    }

    #[test]
    fn the_longest_end_of_an_address_wins_and_a_name_alone_is_said() {
        let (outer, folder) = folder();
        for path in ["p/1001/front.jpg", "p/1002/front.jpg", "front.jpg"] {
            let path = outer.path().join("pictures").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let found = |link: &str| {
            let file = folder.find(link).unwrap();
            (file.path.strip_prefix(&folder.root).unwrap().display().to_string(), file.by_name_alone)
        };
        assert_eq!(found("https://shop/p/1002/front.jpg?v=3"), ("p/1002/front.jpg".into(), false));
        assert_eq!(found("https://shop/x/p/1001/front.jpg"), ("p/1001/front.jpg".into(), false));
        assert_eq!(found("https://shop/p/1003/front.jpg"), ("front.jpg".into(), true));
        assert_eq!(found("https://shop/front.jpg"), ("front.jpg".into(), false));
        assert_eq!(found("front.jpg"), ("front.jpg".into(), false));
        assert!(folder.find("p/1003/front.jpg").is_err(), "a relative path is meant as it is");
    }

    #[test]
    fn nothing_outside_is_reached() {
        let (outer, folder) = folder();
        std::os::unix::fs::symlink(outer.path().join("secret.jpg"), folder.root.join("link.jpg")).unwrap();
        let absolute = outer.path().join("secret.jpg").display().to_string();
        for link in ["../secret.jpg", "link.jpg", absolute.as_str(), "file:///etc/passwd", "sub"] {
            assert!(folder.resolve(link).is_err(), "{link}");
        }
        for link in [
            "https://shop.example/other.jpg",
            "https://shop.example/",
            "http://..",
            "http://h/%2e%2e%2fsecret.jpg",
            "//h/../secret.jpg",
        ] {
            assert!(folder.resolve(link).unwrap_err().contains("fetches nothing"), "{link}");
        }
        assert!(folder.resolve("none.jpg").unwrap_err().contains("there is no picture none.jpg"));
    }
}
