//! Which fonts there are: the shipped Inter, a shop's own typeface, and a folder for every other script.
//!
//! Inter is unmodified, under the SIL Open Font License (fonts/OFL.txt).

use super::theme::Weight;
use crate::fault::{Fault, Kind, Result};
use cosmic_text::fontdb::{Database, FaceInfo, Language as FaceLanguage, Source, Stretch, Style};
use cosmic_text::{FontSystem, PlatformFallback};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The family of the shipped fonts.
const SHIPPED: &str = "Inter";
/// The family that the files of a shop's typeface are known by here, whatever they call themselves.
const TYPEFACE: &str = "the shop's typeface";

/// Where letters come from, beside the shipped fonts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FontSettings {
    /// Fonts for the scripts that the shipped ones lack, searched with its subfolders. One that does not exist has none.
    pub folder: Option<PathBuf>,
    /// The shop's own typeface, as TrueType or OpenType: regular and semi-bold.
    pub typeface: Option<[PathBuf; 2]>,
    /// Decides between the Chinese and the Japanese form of a character: `"ja"`.
    pub language: String,
}

/// The fonts, and the name of the family that text is set in.
pub(super) fn open(settings: &FontSettings) -> Result<(FontSystem, &'static str)> {
    let mut faces = Database::new();
    for bytes in [&include_bytes!("fonts/Inter-Regular.ttf")[..], &include_bytes!("fonts/Inter-SemiBold.ttf")[..]] {
        faces.load_font_source(Source::Binary(Arc::new(bytes)));
    }
    if let Some(folder) = settings.folder.as_deref().filter(|folder| folder.is_dir()) {
        let mut others = Database::new();
        others.load_fonts_dir(folder);
        let families = two_weights(&others);
        log::info!("fonts: {} of {} files' faces are used from {}", families.len(), others.len(), folder.display());
        for face in families {
            faces.push_face_info(face);
        }
    }
    let mut family = SHIPPED;
    if let Some(typeface) = &settings.typeface {
        for (path, weight) in typeface.iter().zip([Weight::Regular, Weight::SemiBold]) {
            faces.push_face_info(shops_own(path, weight)?);
        }
        family = TYPEFACE;
    }
    let language = settings.language.clone();
    Ok((FontSystem::new_with_locale_and_db_and_fallback(language, faces, PlatformFallback), family))
}

/// The upright faces of each family that are nearest to the two weights that the screen has, as faces of exactly these weights:
/// a fallback of another weight would not be taken.
fn two_weights(faces: &Database) -> Vec<FaceInfo> {
    let mut families: BTreeMap<&str, Vec<&FaceInfo>> = BTreeMap::new();
    for face in faces.faces().filter(|face| face.style == Style::Normal && face.stretch == Stretch::Normal) {
        if let Some((name, _)) = face.families.first() {
            families.entry(name).or_default().push(face);
        }
    }
    let nearest = |family: &[&FaceInfo], weight: Weight| {
        // Heavier before lighter, where both are as far away.
        let distance = |face: &&&FaceInfo| (face.weight.0.abs_diff(weight.number()), u16::MAX - face.weight.0);
        let face = family.iter().min_by_key(distance)?;
        Some(FaceInfo { weight: weight.of_font(), ..(**face).clone() })
    };
    families
        .values()
        .flat_map(|family| [Weight::Regular, Weight::SemiBold].map(|weight| nearest(family, weight)))
        .flatten()
        .collect()
}

fn shops_own(path: &Path, weight: Weight) -> Result<FaceInfo> {
    let fault = || {
        Fault::new(Kind::Usage, format!("cannot use the typeface {}", path.display()))
            .cure("name a TrueType or OpenType file (.ttf, .otf)")
    };
    let mut faces = Database::new();
    faces.load_font_file(path).map_err(|error| fault().cause(error))?;
    let face = faces.faces().next().ok_or_else(|| fault().cause("it holds no font"))?;
    Ok(FaceInfo {
        weight: weight.of_font(),
        style: Style::Normal,
        stretch: Stretch::Normal,
        families: vec![(TYPEFACE.to_owned(), FaceLanguage::English_UnitedStates)],
        ..face.clone()
    })
}
