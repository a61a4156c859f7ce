//! What a model's graphs are fed with when it looks at a picture: the inputs that a new engine is compared with the CPU on.

use super::recognizer::Recognizer;
use crate::fault::Result;
use crate::frame::Picture;
use crate::geometry::{Camera, Rect};
use crate::metrics::StageTimes;
use crate::network::manifest::GraphName;
use crate::network::{Engine, Graphs, Manifest};
use crate::tensor::Tensor;
use std::sync::{Arc, Mutex, PoisonError};

/// Inputs kept of one graph: the first ones that came.
const MOST: usize = 4;
/// Boxes that are embedded whatever is found, as shares of the picture's sides: x1, y1, x2, y2.
const GIVEN: [[f32; 4]; 3] = [[0.25, 0.1, 0.75, 0.9], [0.3, 0.15, 0.7, 0.55], [0.3, 0.45, 0.7, 0.95]];

/// Inputs of every graph.
#[derive(Default)]
pub struct GraphInputs(Mutex<Vec<(GraphName, Tensor)>>);

impl GraphInputs {
    /// What the graphs of a model are fed with for `picture`, on the CPU. The same picture gives the same inputs, and every
    /// graph at least one.
    pub fn of(manifest: &Arc<Manifest>, picture: &Picture) -> Result<Self> {
        let samples = Arc::new(GraphInputs::default());
        let mut recognizer = Recognizer::new(manifest.clone(), samples.recording(Graphs::load(manifest)?));
        let times = &mut StageTimes::default();
        recognizer.recognize(picture, times)?;
        let size = picture.size();
        let mut window = Vec::new();
        for [x1, y1, x2, y2] in GIVEN {
            let (width, height) = (size.width as f32, size.height as f32);
            let bounds = Rect::<Camera>::new(x1 * width, y1 * height, x2 * width, y2 * height);
            window.push(recognizer.recognize_in(picture, bounds, times)?.aggregation_embedding);
        }
        recognizer.aggregator().aggregate(&window, times)?;
        drop(recognizer);
        Ok(Arc::into_inner(samples).unwrap_or_default())
    }

    /// Inputs of one graph.
    pub fn inputs(&self, graph: GraphName) -> Vec<Tensor> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|(name, _)| *name == graph).map(|(_, input)| input.clone()).collect()
    }

    fn recording(self: &Arc<Self>, graphs: Graphs) -> Graphs {
        let record =
            |graph, engine| -> Box<dyn Engine> { Box::new(RecordingEngine { graph, engine, samples: self.clone() }) };
        Graphs {
            trunk: record(GraphName::Trunk, graphs.trunk),
            box_head: record(GraphName::BoxHead, graphs.box_head),
            match_head: record(GraphName::MatchHead, graphs.match_head),
            aggregator: record(GraphName::Aggregator, graphs.aggregator),
            runs_on: graphs.runs_on,
        }
    }
}

/// An engine that keeps what it was given.
struct RecordingEngine {
    graph: GraphName,
    engine: Box<dyn Engine>,
    samples: Arc<GraphInputs>,
}

impl Engine for RecordingEngine {
    fn run(&mut self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
        let mut all = self.samples.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.iter().filter(|(name, _)| *name == self.graph).count() < MOST {
            let not_empty = inputs.first().filter(|input| !input.data().is_empty());
            all.extend(not_empty.map(|input| (self.graph, input.clone())));
        }
        drop(all);
        self.engine.run(inputs)
    }

    fn share(&self) -> Box<dyn Engine> {
        Box::new(RecordingEngine { graph: self.graph, engine: self.engine.share(), samples: self.samples.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;
    use std::path::Path;

    #[test]
    fn even_an_empty_picture_gives_every_graph_something() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/compact");
        let manifest = Arc::new(Manifest::load(&folder).unwrap());
        let picture = Picture::new(Size::new(64, 96), vec![128; 64 * 96 * 3]);
        let samples = GraphInputs::of(&manifest, &picture).unwrap();
        for graph in GraphName::ALL {
            let inputs = samples.inputs(graph);
            assert!((1..=MOST).contains(&inputs.len()), "{graph:?}: {}", inputs.len());
        }
        assert_eq!(samples.inputs(GraphName::Aggregator)[0].shape(), [3, 256]);
    }
}
