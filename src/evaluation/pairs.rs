//! Still pictures with boxes: a table of queries and a table of shop photos.

use crate::fault::{Fault, Kind, Result};
use crate::geometry::{Camera, Rect};
use crate::seam::Region;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One worn garment.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryRow {
    pub id: String,
    /// A picture or a clip.
    pub file: PathBuf,
    /// Frame number in a clip, counted from 0.
    pub frame: Option<u64>,
    /// The given box, in pixels of the picture.
    pub bounds: Rect<Camera>,
    /// Id of the garment; empty: the shop does not have it.
    pub garment: String,
    /// Region given in the table.
    pub region: Option<Region>,
}

/// One photo of a garment in the shop.
#[derive(Clone, Debug, PartialEq)]
pub struct GalleryRow {
    pub garment: String,
    pub file: PathBuf,
    /// The shop's product type.
    pub category: Option<String>,
    /// Id of the style, common to all its colours, as `item_group_id` in a feed.
    pub style: Option<String>,
}

#[derive(Deserialize)]
struct RawQuery {
    query_id: String,
    file: String,
    x0: f32,
    y0: f32,
    x1: f32,
    y1: f32,
    garment_id: String,
    region: Option<String>,
    frame: Option<u64>,
}

#[derive(Deserialize)]
struct RawGallery {
    garment_id: String,
    file: String,
    category: Option<String>,
    style: Option<String>,
}

/// Reads a table of queries: `query_id`, `file`, `x0`, `y0`, `x1`, `y1`, `garment_id` (empty: the shop does not have it); optional
/// `region` and `frame`. Paths are relative to the table's folder.
///
/// # Errors
/// [`Kind::Input`], naming file and line.
pub fn read_queries(path: &Path) -> Result<Vec<QueryRow>> {
    rows(path, |raw: RawQuery, folder| {
        let bounds = Rect::new(raw.x0, raw.y0, raw.x1, raw.y1);
        let upright = bounds.width() > 0.0 && bounds.height() > 0.0 && bounds.area().is_finite();
        upright.then(|| QueryRow {
            id: raw.query_id,
            file: folder.join(raw.file),
            frame: raw.frame,
            bounds,
            garment: raw.garment_id,
            region: raw.region.as_deref().and_then(Region::named),
        })
    })
}

/// Merges all colours of a style into one garment, in gallery and queries. A garment without a style stays itself.
pub fn by_style(queries: &mut [QueryRow], gallery: &mut [GalleryRow]) {
    let styles: BTreeMap<String, String> =
        gallery.iter().filter_map(|row| Some((row.garment.clone(), row.style.clone()?))).collect();
    let garments =
        queries.iter_mut().map(|query| &mut query.garment).chain(gallery.iter_mut().map(|row| &mut row.garment));
    for garment in garments {
        if let Some(style) = styles.get(garment) {
            garment.clone_from(style);
        }
    }
}

/// Reads a table of shop photos: `garment_id`, `file`; optional `category` and `style`.
///
/// # Errors
/// [`Kind::Input`], naming file and line.
pub fn read_gallery(path: &Path) -> Result<Vec<GalleryRow>> {
    rows(path, |raw: RawGallery, folder| {
        let category = raw.category.filter(|category| !category.trim().is_empty());
        let style = raw.style.filter(|style| !style.trim().is_empty());
        Some(GalleryRow { garment: raw.garment_id, file: folder.join(raw.file), category, style })
    })
}

/// Reads the rows of a table with a header. `of` converts a row, or returns `None` if its box is empty.
fn rows<Raw: for<'d> Deserialize<'d>, Row>(path: &Path, of: impl Fn(Raw, &Path) -> Option<Row>) -> Result<Vec<Row>> {
    let bytes = std::fs::read(path).map_err(|error| Fault::io(Kind::Input, "read the table", path, error))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let fault = |what: String| Fault::new(Kind::Input, format!("cannot use the table {}: {what}", path.display()));
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes.as_slice());
    let mut found = Vec::new();
    for (place, raw) in reader.deserialize::<Raw>().enumerate() {
        let raw = raw.map_err(|error| fault(error.to_string()))?;
        found.push(of(raw, folder).ok_or_else(|| fault(format!("row {} has an empty box", place + 1)))?);
    }
    if found.is_empty() { Err(fault("it has no rows".into())) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn colours_of_one_style_are_one_garment() {
        let gallery = file("garment_id,style,file\ng1-red,g1,a.jpg\ng1-blue,g1,b.jpg\nh,,c.jpg\n");
        let queries = file("query_id,file,x0,y0,x1,y1,garment_id\nq,a.jpg,1,2,3,4,g1-blue\nr,a.jpg,1,2,3,4,h\n");
        let (mut queries, mut gallery) = (read_queries(queries.path()).unwrap(), read_gallery(gallery.path()).unwrap());
        by_style(&mut queries, &mut gallery);
        assert_eq!(gallery.iter().map(|row| row.garment.as_str()).collect::<Vec<_>>(), ["g1", "g1", "h"]);
        assert_eq!(queries.iter().map(|row| row.garment.as_str()).collect::<Vec<_>>(), ["g1", "h"]);
    }

    #[test]
    fn table_paths_are_relative_to_the_table() {
        let queries = file(
            "query_id,file,x0,y0,x1,y1,garment_id,region,confidence,frame\n\
             q1,street/a.jpg,1,2,30,40.5,g1,upper,C,\nq2,../b.mp4,0,0,9,9,g2,feet,C,50\n",
        );
        let rows = read_queries(queries.path()).unwrap();
        assert_eq!(rows[0].file, queries.path().parent().unwrap().join("street/a.jpg"));
        assert_eq!((rows[0].region, rows[0].frame, rows[0].bounds.y2), (Some(Region::Upper), None, 40.5));
        assert_eq!((rows[1].region, rows[1].frame), (None, Some(50)));
        let gallery = file("garment_id,view,category,file\ng1,main,shorts,a.jpg\ng1,back,,b.jpg\n");
        let rows = read_gallery(gallery.path()).unwrap();
        assert_eq!((rows[0].category.as_deref(), rows[1].category.as_deref()), (Some("shorts"), None));
    }

    #[test]
    fn errors_name_the_problem() {
        for (text, named) in [
            ("query_id,file,x0,y0,x1,y1,garment_id\n", "no row"),
            ("query_id,file,x0,y0,x1,garment_id\nq,a,1,2,3,g\n", "y1"),
            ("query_id,file,x0,y0,x1,y1,garment_id\nq,a,9,2,3,4,g\n", "row 1 has an empty box"),
            ("query_id,file,x0,y0,x1,y1,garment_id\nq,a,one,2,3,4,g\n", "line: 2"),
        ] {
            let fault = read_queries(file(text).path()).unwrap_err().to_string();
            assert!(fault.contains(named), "{text}: {fault}");
        }
    }
}
