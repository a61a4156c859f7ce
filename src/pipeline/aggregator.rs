//! A window of one garment's embeddings to one embedding: the aggregation graph.

use crate::fault::{Fault, Kind, Result};
use crate::metrics::StageTimes;
use crate::network::{Engine, Manifest, RunsOn};
use crate::seam::Embedding;
use crate::seam::aggregate::{Sequence, sequence};
use std::sync::Arc;

/// The aggregation graph of a model, for one thread.
pub struct Aggregator {
    manifest: Arc<Manifest>,
    engine: Box<dyn Engine>,
    runs_on: RunsOn,
}

impl Aggregator {
    /// `engine` runs the aggregation graph of `manifest`.
    pub fn new(manifest: Arc<Manifest>, engine: Box<dyn Engine>, runs_on: RunsOn) -> Self {
        Aggregator { manifest, engine, runs_on }
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What the graph runs on.
    pub fn runs_on(&self) -> &RunsOn {
        &self.runs_on
    }

    /// One embedding of a window of the aggregator head's, oldest first (docs/seam.md §7).
    pub fn aggregate(&mut self, window: &[Embedding], times: &mut StageTimes) -> Result<Embedding> {
        match sequence(window) {
            Sequence::Empty => Err(Fault::new(Kind::Internal, "an empty window has no embedding")),
            Sequence::Single(embedding) => Ok(embedding),
            Sequence::Several(tensor) => {
                let outputs = times.time("aggregate", || self.engine.run(vec![tensor]))?;
                let query = outputs.into_iter().next().ok_or_else(|| self.shape_fault())?;
                Ok(query.into_data().into())
            }
        }
    }

    fn shape_fault(&self) -> Fault {
        let text = format!("the aggregator of the model {} has no output", self.manifest.name);
        Fault::new(Kind::Model, text).cure("export the model again")
    }
}
