//! The plan of the shop: where on it a product hangs.

use crate::display::scene::PlanSpot;
use crate::frame::Picture;
use std::sync::Arc;

/// A picture of the shop from above, and its shelves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShopPlan {
    pub picture: Arc<Picture>,
    /// Names, as products' locations begin with them, and places in the picture's pixels.
    pub shelves: Vec<(String, (u32, u32))>,
}

impl ShopPlan {
    /// The place of the shelf that a location names: `Wall 3, second rail` is on the shelf `Wall 3`, or on a longer name that fits.
    pub fn spot(&self, location: &str) -> Option<PlanSpot> {
        let named = self.shelves.iter().filter(|(name, _)| begins_with(location, name));
        let (_, at) = named.max_by_key(|(name, _)| name.len())?;
        Some(PlanSpot { plan: self.picture.clone(), at: *at })
    }
}

/// Whether a location begins with a shelf's name, in capitals or not; `Wall 30` does not begin with `Wall 3`.
fn begins_with(location: &str, name: &str) -> bool {
    let (location, name) = (location.trim().to_lowercase(), name.trim().to_lowercase());
    let rest = location.strip_prefix(&name);
    !name.is_empty() && rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;

    #[test]
    fn a_location_is_on_the_shelf_that_it_names() {
        let shelves = [("Wall 3", (30, 5)), ("Wall 3, left", (10, 5)), ("Tisch", (20, 40))];
        let plan = ShopPlan {
            picture: Arc::new(Picture::filled(Size::new(60, 50), [255; 3])),
            shelves: shelves.map(|(name, at)| (name.to_owned(), at)).to_vec(),
        };
        let at = |location: &str| plan.spot(location).map(|spot| spot.at);
        assert_eq!(at("Wall 3"), Some((30, 5)));
        assert_eq!(at(" WALL 3, second rail"), Some((30, 5)));
        assert_eq!(at("Wall 3, left, below"), Some((10, 5)));
        assert_eq!(at("Tisch"), Some((20, 40)));
        assert_eq!([at("Wall 30"), at("Tische"), at("Behind Wall 3"), at("")], [None; 4]);
    }
}
