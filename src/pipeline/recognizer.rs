//! One picture to its garments: the graphs, and what `seam` puts between them.

use crate::fault::{Fault, Kind, Result};
use crate::frame::Picture;
use crate::geometry::{Letterbox, Network, Rect, Size};
use crate::metrics::StageTimes;
use crate::network::{Graphs, Manifest};
use crate::seam::aggregate::{Sequence, sequence};
use crate::seam::detect::detect;
use crate::seam::letterbox::letterbox;
use crate::seam::proposals::proposals;
use crate::seam::{Anchors, Detection, Embedding, Pyramid, RawDetection};
use crate::tensor::Tensor;
use std::path::Path;
use std::sync::Arc;

/// Grid of a RoI for the box head, and for the match heads (seam-spec sections 4 and 5).
const BOX_SIDE: usize = 7;
const MATCH_SIDE: usize = 14;

/// A model, ready to look at pictures on one thread.
pub struct Recognizer {
    manifest: Arc<Manifest>,
    anchors: Arc<Anchors>,
    graphs: Graphs,
    most: usize,
}

/// A picture's detections before they are embedded.
struct Found {
    pyramid: Pyramid,
    fit: Letterbox,
    detections: Vec<RawDetection>,
}

impl Recognizer {
    /// Loads a model folder.
    pub fn load(folder: &Path) -> Result<Self> {
        let manifest = Manifest::load(folder)?;
        let graphs = Graphs::load(&manifest)?;
        let anchors = Arc::new(Anchors::new(&manifest.anchors));
        let most = manifest.detections.max;
        Ok(Recognizer { manifest: Arc::new(manifest), anchors, graphs, most })
    }

    /// Embeds at most the `most` best detections of a picture: a mirror follows no more.
    pub fn at_most(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    /// The same model for another thread; weights are shared.
    pub fn share(&self) -> Self {
        Recognizer {
            manifest: self.manifest.clone(),
            anchors: self.anchors.clone(),
            graphs: self.graphs.share(),
            most: self.most,
        }
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// All garments of a picture, best score first.
    pub fn recognize(&mut self, picture: &Picture, times: &mut StageTimes) -> Result<Vec<Detection>> {
        let mut found = self.find(picture, times)?;
        found.detections.truncate(self.most);
        self.embed(&found, times)
    }

    /// The garment with the largest box: the product of a shop's picture (seam-spec section 9).
    pub fn recognize_largest(&mut self, picture: &Picture, times: &mut StageTimes) -> Result<Option<Detection>> {
        let mut found = self.find(picture, times)?;
        let area = |detection: &RawDetection| detection.bounds.area();
        let largest = found.detections.iter().copied().max_by(|a, b| area(a).total_cmp(&area(b)));
        found.detections = largest.into_iter().collect();
        Ok(self.embed(&found, times)?.pop())
    }

    /// One embedding of a window of the aggregator head's, oldest first (seam-spec section 7).
    pub fn aggregate(&mut self, window: &[Embedding], times: &mut StageTimes) -> Result<Embedding> {
        match sequence(window) {
            Sequence::Empty => Err(Fault::new(Kind::Internal, "an empty window has no embedding")),
            Sequence::Single(embedding) => Ok(embedding),
            Sequence::Several(tensor) => {
                let outputs = times.time("aggregate", || self.graphs.aggregator.run(vec![tensor]))?;
                let query = outputs.into_iter().next().ok_or_else(|| self.shape_fault("aggregator"))?;
                Ok(query.into_data().into())
            }
        }
    }

    fn find(&mut self, picture: &Picture, times: &mut StageTimes) -> Result<Found> {
        let manifest = self.manifest.clone();
        let (input, fit) = times.time("letterbox", || letterbox(picture, &manifest.input));
        let mut outputs = times.time("trunk", || self.graphs.trunk.run(vec![input]))?;
        let (features, levels) = (manifest.features.levels.len(), self.anchors.len());
        self.check_trunk(&outputs)?;
        let deltas = outputs.split_off(features + levels);
        let objectness = outputs.split_off(features);
        let input = Size::new(manifest.input.width, manifest.input.height);
        let pyramid = times.time("pyramid", || Pyramid::new(&outputs, &manifest.features, input));
        let boxes: Vec<Rect<Network>> = times.time("proposals", || {
            let proposals = proposals(&objectness, &deltas, &self.anchors, &manifest.proposals, fit.scaled);
            proposals.into_iter().map(|proposal| proposal.bounds).collect()
        });
        let keep = manifest.proposals.keep;
        let rois = times.time("roi_align 7x7", || pyramid.roi_align(&boxes, BOX_SIDE, keep, &manifest.rois));
        let heads = times.time("box_head", || self.graphs.box_head.run(vec![rois]))?;
        let columns = manifest.classes.len() + 1;
        let [logits, deltas] = &heads[..] else { return Err(self.shape_fault("box_head")) };
        if logits.shape() != [keep, columns] || deltas.shape() != [keep, 4 * columns] {
            return Err(self.shape_fault("box_head"));
        }
        let settings = &manifest.detections;
        let detections = times.time("detect", || detect(&boxes, logits, deltas, settings, fit.scaled));
        Ok(Found { pyramid, fit, detections })
    }

    /// The graph gives what the manifest promises: features, objectness and deltas of the right ranks and grids.
    fn check_trunk(&self, outputs: &[Tensor]) -> Result<()> {
        let (features, levels) = (self.manifest.features.levels.len(), self.anchors.len());
        let ratios = self.manifest.anchors.ratios.len();
        let right = outputs.len() == features + 2 * levels
            && outputs.iter().all(|output| output.shape().len() == 4)
            && outputs[..features].iter().all(|feature| feature.shape()[1] == self.manifest.features.channels)
            && (0..levels).all(|level| {
                let (objectness, deltas) =
                    (outputs[features + level].shape(), outputs[features + levels + level].shape());
                objectness[1] == ratios && deltas[1] == 4 * ratios && objectness[2..] == deltas[2..]
            });
        if right { Ok(()) } else { Err(self.shape_fault("trunk")) }
    }

    /// Both embeddings of each detection, in batches as large as the graph takes.
    fn embed(&mut self, found: &Found, times: &mut StageTimes) -> Result<Vec<Detection>> {
        let manifest = self.manifest.clone();
        let (batch, length) = (manifest.matching.batch, manifest.matching.embedding);
        let mut embedded = Vec::with_capacity(found.detections.len());
        for detections in found.detections.chunks(batch) {
            let boxes: Vec<_> = detections.iter().map(|detection| detection.bounds).collect();
            let rois =
                times.time("roi_align 14x14", || found.pyramid.roi_align(&boxes, MATCH_SIDE, batch, &manifest.rois));
            let outputs = times.time("match_head", || self.graphs.match_head.run(vec![rois]))?;
            let [matching, aggregation] = &outputs[..] else { return Err(self.shape_fault("match_head")) };
            if matching.shape() != [batch, length] || aggregation.shape() != [batch, length] {
                return Err(self.shape_fault("match_head"));
            }
            for (row, detection) in detections.iter().enumerate() {
                let of = |tensor: &Tensor| Embedding::from(&tensor.data()[row * length..(row + 1) * length]);
                embedded.push(Detection {
                    bounds: found.fit.to_camera(detection.bounds),
                    class: detection.class,
                    score: detection.score,
                    match_embedding: of(matching),
                    aggregation_embedding: of(aggregation),
                });
            }
        }
        Ok(embedded)
    }

    fn shape_fault(&self, graph: &str) -> Fault {
        let text = format!("the {graph} of the model {} gives other shapes than its manifest says", self.manifest.name);
        Fault::new(Kind::Model, text).cure("export the model again")
    }
}
