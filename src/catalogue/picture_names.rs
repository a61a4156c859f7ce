//! The names of all pictures in a folder, to say which is probably meant where a link leads to none.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// So many files are known; those of a larger folder are no hints.
const MOST_FILES: usize = 200_000;

/// Paths under the folders by their file's name in small letters, without its ending.
#[derive(Debug, Default)]
pub struct PictureNames {
    by_stem: HashMap<String, Vec<String>>,
}

impl PictureNames {
    /// Reads the names under `roots`; what cannot be read is left out. Links are not followed.
    pub fn of(roots: &[PathBuf]) -> Self {
        let mut names = PictureNames::default();
        let mut folders: Vec<(&Path, PathBuf)> = roots.iter().map(|root| (root.as_path(), root.clone())).collect();
        let mut files = 0;
        while let Some((root, folder)) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push((root, path)),
                    Ok(kind) if kind.is_file() && files < MOST_FILES => {
                        files += 1;
                        names.add(&path.strip_prefix(root).unwrap_or(&path).to_string_lossy());
                    }
                    _ => {}
                }
            }
        }
        names
    }

    fn add(&mut self, path: &str) {
        self.by_stem.entry(stem(path)).or_default().push(path.to_owned());
    }

    /// The path that differs from the link's end in capital letters alone, or the only one whose file has its name but for these and the
    /// ending.
    pub fn nearest(&self, link: &str) -> Option<&str> {
        let link = link.split(['?', '#']).next().unwrap_or_default().replace('\\', "/");
        let paths = self.by_stem.get(&stem(&link))?;
        let link = link.to_lowercase();
        let same = paths.iter().find(|path| link.ends_with(&path.to_lowercase()));
        let only = if let [path] = &paths[..] { Some(path) } else { None };
        same.or(only).map(String::as_str)
    }
}

fn stem(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_differs_in_letters_ending_or_folder_and_is_no_guess() {
        let mut names = PictureNames::default();
        ["Front.JPG", "p/1/side.jpg", "p/2/side.jpg", "p/2/Back.jpg"].into_iter().for_each(|path| names.add(path));
        for (link, nearest) in [
            ("front.jpg", Some("Front.JPG")),
            ("front.png", Some("Front.JPG")),
            ("back.jpg?v=1", Some("p/2/Back.jpg")),
            ("https://h/P/2/Side.jpg", Some("p/2/side.jpg")),
            ("p/3/side.jpg", None),
            ("top.jpg", None),
        ] {
            assert_eq!(names.nearest(link), nearest, "{link}");
        }
    }
}
