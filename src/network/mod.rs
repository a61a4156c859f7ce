//! The networks: a model folder's manifest, and engines that run its graphs on whole tensors.
//!
//! What lies between the graphs is [`crate::seam`]'s. `tract` runs them on the CPU.

mod depthwise;
pub mod manifest;
mod rewrite;
mod tract;

pub use manifest::Manifest;

use crate::fault::Result;
use crate::tensor::Tensor;
use manifest::GraphName;
use tract::TractEngine;

/// A loaded graph.
pub trait Engine: Send {
    /// Runs the graph: inputs and outputs in the graph's order.
    fn run(&mut self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>>;

    /// Another engine on the same weights, for another thread.
    fn share(&self) -> Box<dyn Engine>;
}

/// The graphs of one model.
pub struct Graphs {
    /// image 1 x 3 x h x w -> features, objectness, deltas, each a level
    pub trunk: Box<dyn Engine>,
    /// rois n x 7 x 7 x channels -> class logits, box deltas
    pub box_head: Box<dyn Engine>,
    /// rois b x 14 x 14 x channels -> match embedding, aggregation embedding
    pub match_head: Box<dyn Engine>,
    /// sequence t x embedding -> query, attention
    pub aggregator: Box<dyn Engine>,
}

impl Graphs {
    /// Loads every graph that the manifest names, on the CPU.
    pub fn load(manifest: &Manifest) -> Result<Self> {
        let engine = |name: GraphName| -> Result<Box<dyn Engine>> {
            Ok(Box::new(TractEngine::load(&manifest.graph_path(name))?))
        };
        Ok(Graphs {
            trunk: engine(GraphName::Trunk)?,
            box_head: engine(GraphName::BoxHead)?,
            match_head: engine(GraphName::MatchHead)?,
            aggregator: engine(GraphName::Aggregator)?,
        })
    }

    /// The same graphs for another thread; weights are shared.
    pub fn share(&self) -> Self {
        Graphs {
            trunk: self.trunk.share(),
            box_head: self.box_head.share(),
            match_head: self.match_head.share(),
            aggregator: self.aggregator.share(),
        }
    }
}
