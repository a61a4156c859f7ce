//! What the pipeline needs to know beyond the model and the catalogue.

use super::shop_plan::ShopPlan;
pub use crate::catalogue::{OutOfStock, PriceLocale};
use crate::language::Words;
use std::sync::Arc;

/// The shop's name and how much is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineSettings {
    /// The shop's name, for the screen.
    pub shop_name: String,
    /// The screen's languages, which take turns; at least one.
    pub languages: Vec<Words>,
    /// The screen shows what the device does and what is wrong.
    pub operator: bool,
    /// The panel keeps the drawn screen as a file.
    pub screen_kept: bool,
    /// There are keys or a touch screen for shoppers.
    pub input: bool,
    /// What was found is said aloud.
    pub audio: bool,
    /// Matches kept for a garment.
    pub matches_per_garment: usize,
    /// Garments that are matched and shown with products at one time, the most prominent first.
    pub max_garments: usize,
    /// How prices are written; `None`: as the feed writes them.
    pub locale: Option<PriceLocale>,
    pub out_of_stock: OutOfStock,
    /// The shop from above, with its shelves; `None`: where a product hangs is said in words alone.
    pub plan: Option<Arc<ShopPlan>>,
    /// Of the garments that the shop does not sell, the most that may be called likely, percent.
    pub false_accept: u32,
}

impl Default for PipelineSettings {
    fn default() -> Self {
        PipelineSettings {
            shop_name: "vetrina".into(),
            languages: vec![Words::default()],
            operator: false,
            screen_kept: false,
            input: false,
            audio: false,
            matches_per_garment: 5,
            max_garments: 3,
            locale: None,
            out_of_stock: OutOfStock::default(),
            plan: None,
            false_accept: 5,
        }
    }
}
