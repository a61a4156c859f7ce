//! The file of the shop's plan: its picture, and where on it the shelves are. docs/screen.md describes it.

use super::theme::picture;
use crate::fault::{Fault, Kind, Result, plain_words};
use crate::pipeline::shop_plan::ShopPlan;
use embedded_graphics::pixelcolor::Rgb888;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanFile {
    picture: PathBuf,
    shelves: BTreeMap<String, [u32; 2]>,
}

/// Reads the plan; `ground` is what shows through its picture.
///
/// # Errors
/// [`Kind::Usage`], naming file and key.
pub fn load(file: &Path, ground: Rgb888) -> Result<ShopPlan> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Fault::io(Kind::Usage, "read the plan", file, error).cure("name a plan file with catalogue.plan")
    })?;
    parse(&text, file.parent().unwrap_or(Path::new("")), ground)
        .map_err(|cause| Fault::new(Kind::Usage, format!("cannot use the plan {}", file.display())).cause(cause))
}

fn parse(text: &str, folder: &Path, ground: Rgb888) -> Result<ShopPlan> {
    let file: PlanFile = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        Fault::new(Kind::Usage, format!("line {line}: {}", plain_words(error.message())))
            .cure("see \"A plan of the shop\" in docs/screen.md")
    })?;
    let picture = picture("picture", &folder.join(file.picture), ground)?;
    let (width, height) = (picture.size().width, picture.size().height);
    let outside = file.shelves.iter().find(|(_, [x, y])| *x as usize >= width || *y as usize >= height);
    if let Some((name, [x, y])) = outside {
        let text = format!("shelves.{name:?}: {x}, {y} is not on the picture, which has {width}x{height} pixels");
        return Err(Fault::new(Kind::Usage, text).cure("count from its upper left corner"));
    }
    let shelves = file.shelves.into_iter().map(|(name, [x, y])| (name, (x, y)));
    Ok(ShopPlan { picture, shelves: shelves.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_graphics::pixelcolor::RgbColor;

    #[test]
    fn a_plan_is_read_with_its_shelves_and_what_is_wrong_is_named() {
        let folder = tempfile::tempdir().unwrap();
        image::RgbImage::new(80, 40).save(folder.path().join("plan.png")).unwrap();
        let read = |text: &str| parse(text, folder.path(), Rgb888::WHITE);
        let plan = read("picture = \"plan.png\"\n[shelves]\n\"Wall 3\" = [79, 0]\nTable = [5, 39]\n").unwrap();
        assert_eq!(plan.shelves, [("Table".to_owned(), (5, 39)), ("Wall 3".to_owned(), (79, 0))]);
        for (text, why) in [
            (
                "picture = \"plan.png\"\n[shelves]\n\"Wall 3\" = [80, 0]\n",
                "shelves.\"Wall 3\": 80, 0 is not on the picture, which has 80x40",
            ),
            ("picture = \"none.png\"\n[shelves]\n", "picture: cannot read"),
            ("picture = \"plan.png\"\n[shelves]\nTable = 3\n", "line 3"),
            ("pictures = \"plan.png\"\n", "line 1"),
        ] {
            let fault = read(text).unwrap_err().to_string();
            assert!(fault.contains(why), "{text:?}: {fault}");
        }
        let missing = load(&folder.path().join("none.toml"), Rgb888::WHITE).unwrap_err().to_string();
        assert!(missing.contains("none.toml") && missing.contains("catalogue.plan"), "{missing}");
    }
}
