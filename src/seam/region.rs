//! The part of the body that a garment covers. Trousers shown for a jacket are obviously wrong, whatever the scores
//! say.
//!
//! Upper garments and dresses match each other, since often only the upper half of a person is visible. Lower garments
//! match only lower garments. A garment without a region matches everything.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A part of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Region {
    Upper,
    Lower,
    Dress,
}

impl Region {
    pub const ALL: [Region; 3] = [Region::Upper, Region::Lower, Region::Dress];

    /// `upper`, `lower` or `dress`: the name in manifest and catalogue.
    pub fn name(self) -> &'static str {
        match self {
            Region::Upper => "upper",
            Region::Lower => "lower",
            Region::Dress => "dress",
        }
    }

    /// The region with this name.
    pub fn named(name: &str) -> Option<Region> {
        Region::ALL.into_iter().find(|region| region.name() == name)
    }

    /// Default region of a class, by its DeepFashion2 name.
    pub fn of_class(name: &str) -> Option<Region> {
        match name {
            "short_sleeved_shirt"
            | "long_sleeved_shirt"
            | "short_sleeved_outwear"
            | "long_sleeved_outwear"
            | "vest"
            | "sling" => Some(Region::Upper),
            "shorts" | "trousers" | "skirt" => Some(Region::Lower),
            "short_sleeved_dress" | "long_sleeved_dress" | "vest_dress" | "sling_dress" => Some(Region::Dress),
            _ => None,
        }
    }

    /// Whether a garment of this region may match a product of region `other`.
    pub fn sees(self, other: Region) -> bool {
        (self == Region::Lower) == (other == Region::Lower)
    }
}

/// Region of each class, in the classes' order: from `named`, otherwise by the DeepFashion2 name.
pub fn class_regions(classes: &[String], named: &BTreeMap<String, Region>) -> Vec<Option<Region>> {
    classes.iter().map(|class| named.get(class).copied().or_else(|| Region::of_class(class))).collect()
}

/// Class groups for detection: one per region, and each class without a region alone.
pub fn by_region(regions: &[Option<Region>]) -> Vec<Vec<usize>> {
    let of = |wanted: Region| (0..regions.len()).filter(|&class| regions[class] == Some(wanted)).collect();
    let alone = (0..regions.len()).filter(|&class| regions[class].is_none()).map(|class| vec![class]);
    Region::ALL.into_iter().map(of).filter(|classes: &Vec<usize>| !classes.is_empty()).chain(alone).collect()
}

/// Whether a garment of region `query` may match a product of region `product`. An unknown region matches everything.
pub fn may_be(query: Option<Region>, product: Option<Region>) -> bool {
    match (query, product) {
        (Some(query), Some(product)) => query.sees(product),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_and_lower_are_kept_apart() {
        use Region::{Dress, Lower, Upper};
        let seen = |by: Region| Region::ALL.into_iter().filter(|other| by.sees(*other)).collect::<Vec<_>>();
        assert_eq!(seen(Upper), [Upper, Dress]);
        assert_eq!(seen(Lower), [Lower]);
        assert_eq!(seen(Dress), [Upper, Dress]);
        assert!(may_be(None, Some(Lower)) && may_be(Some(Upper), None) && !may_be(Some(Upper), Some(Lower)));
    }

    #[test]
    fn the_manifest_overrides_the_class_name() {
        let classes = ["vest", "shorts", "hat"].map(str::to_owned);
        let named = BTreeMap::from([("vest".to_owned(), Region::Dress)]);
        assert_eq!(class_regions(&classes, &named), [Some(Region::Dress), Some(Region::Lower), None]);
        assert_eq!(by_region(&class_regions(&classes, &named)), [vec![1], vec![0], vec![2]]);
        assert_eq!(
            by_region(&class_regions(&["sling", "skirt", "vest"].map(str::to_owned), &BTreeMap::new())),
            [vec![0, 2], vec![1]]
        );
        for region in Region::ALL {
            assert_eq!(Region::named(region.name()), Some(region));
        }
    }
}
