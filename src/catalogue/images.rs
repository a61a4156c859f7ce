//! From a feed's link to a picture file under the picture folders, and never out of them.

use super::picture_names::PictureNames;
use super::product::split_paths;
use crate::fault::{Fault, Kind, Result};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, OnceLock};
use std::thread::available_parallelism;

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

/// The picture folder, and further ones, as absolute paths without links.
#[derive(Clone, Debug)]
pub struct ImageFolder {
    roots: Vec<PathBuf>,
    /// Where pictures lie that were fetched from their web addresses, by [`fetched_name`].
    fetched: Option<PathBuf>,
    /// Read when the first picture is not found.
    names: Arc<OnceLock<PictureNames>>,
}

impl ImageFolder {
    /// # Errors
    /// [`Kind::Input`] where there is no such folder.
    pub fn open(path: &Path) -> Result<Self> {
        let root =
            path.canonicalize().map_err(|error| Fault::io(Kind::Input, "open the picture folder", path, error))?;
        if root.is_dir() {
            Ok(ImageFolder { roots: vec![root], fetched: None, names: Arc::default() })
        } else {
            Err(Fault::new(Kind::Input, format!("{} is not a folder of pictures", path.display()))
                .cure("give the folder that the feed's image_link paths start from"))
        }
    }

    /// Looks in the folder `path` as well. Where several folders have a picture, the one that was written last counts.
    ///
    /// # Errors
    /// [`Kind::Input`] where there is no such folder.
    pub fn and(mut self, path: &Path) -> Result<Self> {
        self.roots.extend(ImageFolder::open(path)?.roots);
        self.names = Arc::default();
        Ok(self)
    }

    /// Looks for pictures that were fetched in the folder `path`, which need not be there.
    pub fn with_fetched(self, path: PathBuf) -> Self {
        ImageFolder { fetched: Some(path), ..self }
    }

    /// Whether the link is a web address that the folders have no picture for, or one that its name alone leads to.
    pub fn is_missing(&self, link: &str) -> bool {
        web_address(link).is_some() && self.in_folders(link).is_none_or(|(_, by_name_alone)| by_name_alone)
    }

    /// Reads and hashes the file that `link` means. Takes as long as the disk does: for many links, ask on several threads.
    pub fn find(&self, link: &str) -> Found {
        let (path, by_name_alone) =
            self.look_up(link).map_err(|reason| reason + &parts_tried(link) + &self.hint(link))?;
        let (_, sha256) = read_picture(&path)?;
        Ok(PictureFile { path, sha256, by_name_alone })
    }

    /// The picture that is probably meant, for people; empty where none is.
    fn hint(&self, link: &str) -> String {
        let names = self.names.get_or_init(|| PictureNames::of(&self.roots));
        let first = link.split(['|', ';', ',']).next().unwrap_or(link);
        [link, first].into_iter().find_map(|link| names.nearest(link)).map_or_else(String::new, |name| {
            format!("; there is {name:?}: folder, capital letters and ending must be the same")
        })
    }

    /// [`ImageFolder::find`] for each of `links`, on one thread per core. `observe` gets the number of links done, from 0 on.
    pub fn find_all(&self, links: &[&str], mut observe: impl FnMut(usize)) -> HashMap<String, Found> {
        let (next, cores) = (AtomicUsize::new(0), available_parallelism().map_or(1, usize::from));
        observe(0);
        std::thread::scope(|scope| {
            let (results, received) = sync_channel(2 * cores);
            for _ in 0..cores.min(links.len()) {
                let (next, results) = (&next, results.clone());
                scope.spawn(move || {
                    while let Some(link) = links.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if results.send(((*link).to_owned(), self.find(link))).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(results);
            (1..)
                .zip(received)
                .map(|(done, found)| {
                    observe(done);
                    found
                })
                .collect()
        })
    }

    /// The file that `link` means: a path under the folder, a `file:` URL in it, or the longest end of a web address's path
    /// that exists there. The error is the reason to report with the row.
    pub fn resolve(&self, link: &str) -> std::result::Result<PathBuf, String> {
        self.look_up(link).map(|(path, _)| path)
    }

    /// The file, and whether only its name led there.
    fn look_up(&self, link: &str) -> std::result::Result<(PathBuf, bool), String> {
        if link.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("file://")) {
            let path = link[7..].strip_prefix("localhost").unwrap_or(&link[7..]);
            return self.inside(&percent_decode(path), link).map(|path| (path, false));
        }
        if web_address(link).is_some() {
            let found = self.in_folders(link);
            if let Some(path) = self.fetched(link).filter(|_| found.as_ref().is_none_or(|(_, alone)| *alone)) {
                return Ok((path, false));
            }
            return found.ok_or_else(|| {
                let name = web_address(link).unwrap_or(link).split(['?', '#']).next().unwrap_or_default();
                let name = percent_decode(name.rsplit('/').next().unwrap_or_default());
                format!("{link} is not in the picture folder: put {name:?} there, by itself or with the folders of its path, or import with --fetch")
            });
        }
        match self.inside(link, link) {
            Ok(path) => Ok((path, false)),
            // An export of another machine: C:\shop\a.jpg, a.jpg?v=3, a%20b.jpg.
            Err(reason) => self.by_longest_end(link, link).ok_or(reason),
        }
    }

    /// The file that a web address means, and whether only its name led there.
    fn in_folders(&self, link: &str) -> Option<(PathBuf, bool)> {
        self.by_longest_end(web_address(link)?, link)
    }

    fn fetched(&self, link: &str) -> Option<PathBuf> {
        Some(self.fetched.as_ref()?.join(fetched_name(link))).filter(|path| path.is_file())
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

    /// The file `relative` of the folders; of several the one that was written last.
    fn inside(&self, relative: &str, link: &str) -> std::result::Result<PathBuf, String> {
        let mut found: Option<PathBuf> = None;
        let mut refusal = None;
        for root in &self.roots {
            match inside_of(root, relative, link) {
                Ok(path) if found.as_ref().is_none_or(|other| is_newer(&path, other)) => found = Some(path),
                Ok(_) => {}
                Err(reason) => refusal = refusal.or(Some(reason)),
            }
        }
        found.ok_or_else(|| refusal.unwrap_or_default())
    }
}

/// Which parts of a link were looked for as well, for people; empty where it has one.
fn parts_tried(link: &str) -> String {
    let lists = split_paths(link).filter(|(_, paths)| paths.len() > 1);
    let tried: Vec<String> =
        lists.map(|(separator, paths)| format!("{} parts between \"{separator}\"", paths.len())).collect();
    if tried.is_empty() { String::new() } else { format!(", nor one of its {}", tried.join(" or ")) }
}

fn inside_of(root: &Path, relative: &str, link: &str) -> std::result::Result<PathBuf, String> {
    let found = root.join(relative).canonicalize().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("there is no picture {link} under {}", root.display()),
        _ => format!("cannot open the picture {link}: {error}"),
    })?;
    if !found.starts_with(root) {
        return Err(format!("the picture {link} is not under {}", root.display()));
    }
    if !found.is_file() {
        return Err(format!("{link} is not a file"));
    }
    Ok(found)
}

fn is_newer(path: &Path, other: &Path) -> bool {
    let written = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified()).ok();
    written(path) > written(other)
}

/// What follows the scheme of a web address; `None` where the link is none.
fn web_address(link: &str) -> Option<&str> {
    let is = |scheme: &&str| link.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    ["https://", "http://", "//"].iter().find(|scheme| is(scheme)).map(|scheme| &link[scheme.len()..])
}

/// The name of a fetched picture's file: the hash of its address, so that no address leads to another's.
pub fn fetched_name(link: &str) -> String {
    super::records::hex(&Sha256::digest(link.as_bytes()))
}

/// Pictures that several links lead to, one line each; the others are counted.
const MOST_COLLISIONS: usize = 10;

/// Different web addresses that lead to one file by its name alone: probably different pictures, of which one is there.
pub fn collisions(found: &HashMap<String, Found>) -> Vec<String> {
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
        let inside = |link: &str| folder.resolve(link).unwrap().strip_prefix(&folder.roots[0]).unwrap().to_owned();
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
        let url = format!("file://{}/sub/b%20c.jpg", folder.roots[0].display());
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
            (file.path.strip_prefix(&folder.roots[0]).unwrap().display().to_string(), file.by_name_alone)
        };
        assert_eq!(found("https://shop/p/1002/front.jpg?v=3"), ("p/1002/front.jpg".into(), false));
        assert_eq!(found("https://shop/x/p/1001/front.jpg"), ("p/1001/front.jpg".into(), false));
        assert_eq!(found("https://shop/p/1003/front.jpg"), ("front.jpg".into(), true));
        assert_eq!(found("https://shop/front.jpg"), ("front.jpg".into(), false));
        assert_eq!(found("front.jpg"), ("front.jpg".into(), false));
        assert!(folder.find("p/1003/front.jpg").is_err(), "a relative path is meant as it is");
    }

    #[test]
    fn of_several_folders_the_longest_end_wins_then_the_newest_file_and_a_fetched_one_is_known_by_its_address() {
        let (outer, folder) = folder();
        let second = outer.path().join("second");
        std::fs::create_dir_all(second.join("p")).unwrap();
        let write = |name: &str, text: &str, seconds: u64| {
            std::fs::write(outer.path().join(name), text).unwrap();
            let file = File::options().write(true).open(outer.path().join(name)).unwrap();
            file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).unwrap();
        };
        write("pictures/a.jpg", "old", 1000);
        write("second/a.jpg", "new", 2000);
        write("second/p/b.jpg", "in a folder", 1000);
        write("pictures/b.jpg", "by its name alone", 2000);
        let folder = folder.and(&second).unwrap().with_fetched(outer.path().join("fetched"));
        let text = |folder: &ImageFolder, link: &str| {
            let file = folder.find(link).unwrap();
            (std::fs::read_to_string(file.path).unwrap(), file.by_name_alone)
        };
        assert_eq!(text(&folder, "a.jpg"), ("new".into(), false));
        write("pictures/a.jpg", "newest", 3000);
        assert_eq!(text(&folder, "a.jpg"), ("newest".into(), false));
        assert_eq!(text(&folder, "https://h/x/p/b.jpg"), ("in a folder".into(), false));
        let far = "https://h/q/b.jpg?v=2";
        assert_eq!(text(&folder, far), ("by its name alone".into(), true));
        assert!(folder.is_missing(far) && folder.is_missing("//h/c.jpg") && !folder.is_missing("c.jpg"));
        assert!(!folder.is_missing("HTTPS://h/x/p/b.jpg"));
        std::fs::create_dir(outer.path().join("fetched")).unwrap();
        write(&format!("fetched/{}", fetched_name(far)), "fetched", 1);
        assert_eq!(text(&folder, far), ("fetched".into(), false));
        assert!(ImageFolder::open(&second).unwrap().and(&outer.path().join("none")).is_err());
    }

    #[test]
    fn nothing_outside_is_reached() {
        let (outer, folder) = folder();
        std::os::unix::fs::symlink(outer.path().join("secret.jpg"), folder.roots[0].join("link.jpg")).unwrap();
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
            assert!(folder.resolve(link).unwrap_err().contains("is not in the picture folder"), "{link}");
        }
        assert!(
            folder
                .find("A.JPG")
                .unwrap_err()
                .ends_with("there is \"a.jpg\": folder, capital letters and ending must be the same")
        );
        assert!(folder.resolve("none.jpg").unwrap_err().contains("there is no picture none.jpg"));
    }
}
