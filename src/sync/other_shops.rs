//! "We have it in another shop": asks the hub which products of all shops a garment is like. Off unless `sync.other_shops` is set, asked
//! only by staff, and never waited for longer than three seconds: the mirror's own answer never depends on it.

use super::fleet::{FleetLink, post};
use crate::fault::{Fault, Kind, Result};
use crate::seam::Region;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;
use ureq::Agent;

/// From the name of the hub to the end of its answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the hub is asked: numbers, never a picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HubQuestion {
    /// Hash of the model that the embedding is by.
    pub model: String,
    /// By the aggregation head, as the catalogue is searched.
    pub embedding: Vec<f32>,
    /// `None`: the part of the body is not known.
    pub region: Option<Region>,
    /// Products of the answer.
    pub most: usize,
}

/// A product, and who else sells it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct ElsewhereProduct {
    pub id: String,
    pub title: String,
    /// The match score, 0 to 1.
    pub score: f64,
    /// The shops that sell it.
    pub shops: Vec<String>,
}

#[derive(Deserialize)]
struct HubAnswer {
    products: Vec<ElsewhereProduct>,
}

/// The products of other shops than `own` that are most like the garment, the best first.
///
/// # Errors
/// [`Kind::Unavailable`] where this mirror has joined no hub, or it does not answer in time.
pub fn ask(catalogue: &Path, own: Option<&str>, question: &HubQuestion) -> Result<Vec<ElsewhereProduct>> {
    let Some(link) = FleetLink::load(catalogue)? else {
        return Err(Fault::new(Kind::Unavailable, "this mirror has joined no hub")
            .cure("join one with `vetrina sync join`: it is the hub that is asked"));
    };
    let agent: Agent =
        Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false).build().new_agent();
    let membership = link.membership();
    let answer = post(&agent, &format!("{}/api/search", membership.hub), Some(&membership.token), question)?;
    let HubAnswer { mut products } = serde_json::from_slice(&answer)
        .map_err(|error| Fault::new(Kind::Unavailable, format!("{} is no hub", membership.hub)).cause(error))?;
    products.iter_mut().for_each(|product| product.shops.retain(|shop| own != Some(shop.as_str())));
    products.retain(|product| !product.shops.is_empty());
    Ok(products)
}
