//! One picture to its garments: the graphs, and what `seam` puts between them.

use super::aggregator::Aggregator;
use super::features::{Features, RoiHead};
use super::second_pass::{self, Crop};
use crate::fault::{Fault, Kind, Result};
use crate::frame::Picture;
use crate::geometry::{Camera, Letterbox, Network, Rect, Size};
use crate::metrics::StageTimes;
use crate::network::engines::open::MOST_ROIS;
use crate::network::{EngineSettings, Graphs, Manifest, RunsOn};
use crate::seam::detect::{detect, likeliest};
use crate::seam::letterbox::letterbox;
use crate::seam::proposals::proposals;
use crate::seam::{Anchors, Detection, Embedding, RawDetection, Region};
use crate::tensor::Tensor;
use std::path::Path;
use std::sync::Arc;

/// What RoIs are for the box head, and for the match heads (docs/seam.md §4, §5).
const BOX_HEAD: RoiHead = RoiHead { name: "box_head", rois: "roi_align 7x7", side: 7 };
const MATCH_HEAD: RoiHead = RoiHead { name: "match_head", rois: "roi_align 14x14", side: 14 };
/// The share of the input that a given box fills, where the model has a second pass.
const GIVEN_FILL: f32 = 0.6;

/// A model, ready to look at pictures on one thread.
pub struct Recognizer {
    manifest: Arc<Manifest>,
    anchors: Arc<Anchors>,
    /// The classes that are found together.
    groups: Arc<[Vec<usize>]>,
    graphs: Graphs,
    most: usize,
}

/// Of the surest garment's score: a shop's picture may show less sure ones, and the largest of them is the product.
const AS_SURE: f32 = 0.5;

/// A detection that is not embedded yet.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Pixels of the picture.
    pub bounds: Rect<Camera>,
    pub class: usize,
    pub score: f32,
    /// Which pass found it, and its box there.
    pass: usize,
    inside: Rect<Network>,
}

/// What the trunk gives for a picture or a part of it.
struct TrunkOutput {
    features: Features,
    fit: Letterbox,
    objectness: Vec<Tensor>,
    deltas: Vec<Tensor>,
}

/// One pass over a picture or a part of it, with its detections.
struct RecognitionPass {
    features: Features,
    fit: Letterbox,
    crop: Crop,
    detections: Vec<RawDetection>,
}

impl RecognitionPass {
    fn to_picture(&self, bounds: Rect<Network>) -> Rect<Camera> {
        self.crop.to_picture(self.fit.to_camera(bounds))
    }
}

impl Recognizer {
    /// Loads a model folder, on the CPU.
    pub fn load(folder: &Path) -> Result<Self> {
        Recognizer::load_on(folder, &EngineSettings::cpu())
    }

    /// Loads a model folder, on what the settings say.
    pub fn load_on(folder: &Path, settings: &EngineSettings) -> Result<Self> {
        let manifest = Manifest::load(folder)?;
        let graphs = Graphs::load_on(&manifest, settings)?;
        Ok(Recognizer::new(Arc::new(manifest), graphs))
    }

    /// Loads a model folder on what the settings say; where its engines are yet to be built, on the CPU meanwhile, and this
    /// says so.
    pub fn load_meanwhile(folder: &Path, settings: &EngineSettings) -> Result<(Self, bool)> {
        let manifest = Manifest::load(folder)?;
        let (graphs, unbuilt) = Graphs::load_meanwhile(&manifest, settings)?;
        Ok((Recognizer::new(Arc::new(manifest), graphs), unbuilt))
    }

    /// Loads a model folder on TensorRT. `None`: it is here, and its engines are not built yet.
    pub fn load_tensorrt(folder: &Path, settings: &EngineSettings) -> Result<Option<Self>> {
        let manifest = Manifest::load(folder)?;
        let graphs = Graphs::load_tensorrt(&manifest, settings)?;
        Ok(graphs.map(|graphs| Recognizer::new(Arc::new(manifest), graphs)))
    }

    /// A model with its graphs.
    pub fn new(manifest: Arc<Manifest>, graphs: Graphs) -> Self {
        let anchors = Arc::new(Anchors::new(&manifest.anchors));
        let (groups, most) = (manifest.class_groups().into(), manifest.detections.max);
        Recognizer { manifest, anchors, groups, graphs, most }
    }

    /// What the graphs run on.
    pub fn runs_on(&self) -> &RunsOn {
        &self.graphs.runs_on
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
            groups: self.groups.clone(),
            graphs: self.graphs.share(),
            most: self.most,
        }
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// All garments of a picture, best score first.
    pub fn recognize(&mut self, picture: &Picture, times: &mut StageTimes) -> Result<Vec<Detection>> {
        let most = self.most;
        self.recognize_some(picture, times, |found| (0..found.len().min(most)).collect())
    }

    /// The garments that `choose` names, by their places in the list of all that were found, best score first.
    pub fn recognize_some(
        &mut self,
        picture: &Picture,
        times: &mut StageTimes,
        choose: impl FnOnce(&[Candidate]) -> Vec<usize>,
    ) -> Result<Vec<Detection>> {
        let passes = self.run_passes(picture, times)?;
        let found = candidates(&passes);
        let chosen: Vec<Candidate> = choose(&found).into_iter().map(|place| found[place]).collect();
        self.embed(&passes, &chosen, times)
    }

    /// All that is found in a picture, best score first, without embeddings.
    pub fn find_garments(&mut self, picture: &Picture, times: &mut StageTimes) -> Result<Vec<Candidate>> {
        Ok(candidates(&self.run_passes(picture, times)?))
    }

    /// The product of a shop's picture: the garment with the largest box (docs/seam.md §9), of those that are of `region`
    /// where that is known and there are any, and that are nearly as sure as the surest of them: what the network hardly
    /// believes in, shorts with all of the legs, does not count for its size.
    pub fn recognize_product(
        &mut self,
        picture: &Picture,
        region: Option<Region>,
        times: &mut StageTimes,
    ) -> Result<Option<Detection>> {
        let regions = self.manifest.class_regions();
        let found =
            self.recognize_some(picture, times, |found| product_of(found, &regions, region).into_iter().collect());
        Ok(found?.pop())
    }

    /// The garment in a box that is given, camera pixels: nothing is searched for. Its class is the likeliest, its score
    /// that class's probability for this very box. A model with a second pass sees the picture around the box, any
    /// other the whole picture.
    pub fn recognize_in(
        &mut self,
        picture: &Picture,
        bounds: Rect<Camera>,
        times: &mut StageTimes,
    ) -> Result<Detection> {
        let input = Size::new(self.manifest.input.width, self.manifest.input.height);
        let crop = match &self.manifest.focus {
            Some(_) => Crop::around(bounds, picture.size(), input, GIVEN_FILL),
            None => Crop::whole(picture.size()),
        };
        let trunk = self.run_trunk(&crop.of(picture), times)?;
        let inside = trunk.fit.to_network(crop.to_part(bounds));
        let (logits, _) = self.run_box_head(&trunk.features, &[inside], times)?;
        let (class, score) = likeliest(&logits.data()[..self.manifest.classes.len() + 1], &self.groups);
        let pass = RecognitionPass { features: trunk.features, fit: trunk.fit, crop, detections: Vec::new() };
        let given = Candidate { bounds, class, score, pass: 0, inside };
        let found = self.embed(&[pass], &[given], times)?.pop();
        found.ok_or_else(|| Fault::new(Kind::Internal, "a given box was not embedded"))
    }

    /// The model's aggregation graph; weights are shared.
    pub fn aggregator(&self) -> Aggregator {
        Aggregator::new(self.manifest.clone(), self.graphs.aggregator.share(), self.graphs.runs_on.clone())
    }

    /// The whole picture, and then closer what is too small in it, if the model has a second pass.
    fn run_passes(&mut self, picture: &Picture, times: &mut StageTimes) -> Result<Vec<RecognitionPass>> {
        let mut passes = vec![self.find(picture, Crop::whole(picture.size()), times)?];
        let Some(settings) = self.manifest.focus.clone() else { return Ok(passes) };
        let first = &passes[0];
        let input = first.fit.input;
        for group in second_pass::groups(&first.detections, &first.fit, &settings) {
            let crop = Crop::around(group, picture.size(), input, settings.fill);
            let mut pass = self.find(picture, crop, times)?;
            let of_group = |pass: &RecognitionPass, found: &RawDetection| {
                second_pass::belongs(pass.to_picture(found.bounds), group)
            };
            let mut found = std::mem::take(&mut pass.detections);
            found.retain(|found| of_group(&pass, found));
            if found.is_empty() {
                continue;
            }
            pass.detections = found;
            let mut rest = std::mem::take(&mut passes[0].detections);
            rest.retain(|found| !of_group(&passes[0], found));
            passes[0].detections = rest;
            passes.push(pass);
        }
        Ok(passes)
    }

    /// Everything that is found in one part of a picture.
    fn find(&mut self, picture: &Picture, crop: Crop, times: &mut StageTimes) -> Result<RecognitionPass> {
        let manifest = self.manifest.clone();
        let TrunkOutput { features, fit, objectness, deltas } = self.run_trunk(&crop.of(picture), times)?;
        let boxes: Vec<Rect<Network>> = times.time("proposals", || {
            let proposals = proposals(&objectness, &deltas, &self.anchors, &manifest.proposals, fit.scaled);
            proposals.into_iter().map(|proposal| proposal.bounds).collect()
        });
        let (logits, deltas) = self.run_box_head(&features, &boxes, times)?;
        let settings = &manifest.detections;
        let detections = times.time("detect", || detect(&boxes, &logits, &deltas, &self.groups, settings, fit.scaled));
        Ok(RecognitionPass { features, fit, crop, detections })
    }

    fn run_trunk(&mut self, picture: &Picture, times: &mut StageTimes) -> Result<TrunkOutput> {
        let manifest = self.manifest.clone();
        let (input, fit) = times.time("letterbox", || letterbox(picture, &manifest.input));
        let levels = manifest.features.levels.len();
        let (maps, mut objectness) = times.time("trunk", || self.graphs.trunk.run_trunk(input, levels))?;
        self.check_trunk(&maps.shapes(), &objectness)?;
        let deltas = objectness.split_off(self.anchors.len());
        let features = Features::new(maps, &manifest.features, fit.input);
        Ok(TrunkOutput { features, fit, objectness, deltas })
    }

    /// Class logits and box deltas of boxes, a row each.
    fn run_box_head(
        &mut self,
        features: &Features,
        boxes: &[Rect<Network>],
        times: &mut StageTimes,
    ) -> Result<(Tensor, Tensor)> {
        let settings = &self.manifest.proposals;
        let seen = settings.seen(boxes);
        let engine = self.graphs.box_head.as_mut();
        let heads = features.run_head(&BOX_HEAD, engine, &seen, &self.manifest.rois, times)?;
        let columns = self.manifest.classes.len() + 1;
        let Ok([logits, deltas]) = <[Tensor; 2]>::try_from(heads) else { return Err(self.shape_fault("box_head")) };
        if has_rows(&logits, boxes.len(), columns) && has_rows(&deltas, boxes.len(), 4 * columns) {
            return Ok((logits, deltas));
        }
        Err(self.shape_fault("box_head"))
    }

    /// The graph gives what the manifest promises: feature maps, and then objectness and deltas, of the right ranks and grids.
    fn check_trunk(&self, maps: &[Vec<usize>], rest: &[Tensor]) -> Result<()> {
        let levels = self.anchors.len();
        let ratios = self.manifest.anchors.ratios.len();
        let right = maps.len() == self.manifest.features.levels.len()
            && rest.len() == 2 * levels
            && rest.iter().map(Tensor::shape).chain(maps.iter().map(Vec::as_slice)).all(|shape| shape.len() == 4)
            && maps.iter().all(|map| map[1] == self.manifest.features.channels)
            && (0..levels).all(|level| {
                let (objectness, deltas) = (rest[level].shape(), rest[levels + level].shape());
                objectness[1] == ratios && deltas[1] == 4 * ratios && objectness[2..] == deltas[2..]
            });
        if right { Ok(()) } else { Err(self.shape_fault("trunk")) }
    }

    /// Both embeddings of each candidate, in their order; in batches as large as an engine takes.
    fn embed(
        &mut self,
        passes: &[RecognitionPass],
        chosen: &[Candidate],
        times: &mut StageTimes,
    ) -> Result<Vec<Detection>> {
        let manifest = self.manifest.clone();
        let length = manifest.matching.embedding;
        let mut embedded: Vec<(usize, Detection)> = Vec::with_capacity(chosen.len());
        for (number, pass) in passes.iter().enumerate() {
            let places: Vec<usize> = (0..chosen.len()).filter(|&place| chosen[place].pass == number).collect();
            for places in places.chunks(MOST_ROIS) {
                let boxes: Vec<_> = places.iter().map(|&place| chosen[place].inside).collect();
                let engine = self.graphs.match_head.as_mut();
                let outputs = pass.features.run_head(&MATCH_HEAD, engine, &boxes, &manifest.rois, times)?;
                let [matching, aggregation] = &outputs[..] else { return Err(self.shape_fault("match_head")) };
                if ![matching, aggregation].iter().all(|rows| has_rows(rows, boxes.len(), length)) {
                    return Err(self.shape_fault("match_head"));
                }
                for (row, &place) in places.iter().enumerate() {
                    let of = |tensor: &Tensor| Embedding::from(&tensor.data()[row * length..(row + 1) * length]);
                    embedded.push((place, detection(&chosen[place], of(matching), of(aggregation))));
                }
            }
        }
        embedded.sort_by_key(|(place, _)| *place);
        Ok(embedded.into_iter().map(|(_, detection)| detection).collect())
    }

    fn shape_fault(&self, graph: &str) -> Fault {
        let text = format!("the {graph} of the model {} gives other shapes than its manifest says", self.manifest.name);
        Fault::new(Kind::Model, text).cure("export the model again")
    }
}

/// Whether a tensor has `count` rows of `length` values, or more.
fn has_rows(tensor: &Tensor, count: usize, length: usize) -> bool {
    matches!(*tensor.shape(), [rows, columns] if rows >= count && columns == length)
}

fn detection(seen: &Candidate, match_embedding: Embedding, aggregation_embedding: Embedding) -> Detection {
    let Candidate { bounds, class, score, .. } = *seen;
    Detection { bounds, class, score, match_embedding, aggregation_embedding }
}

/// The detections of all passes, best score first.
fn candidates(passes: &[RecognitionPass]) -> Vec<Candidate> {
    let mut all = Vec::new();
    for (number, pass) in passes.iter().enumerate() {
        all.extend(pass.detections.iter().map(|found| Candidate {
            bounds: pass.to_picture(found.bounds),
            class: found.class,
            score: found.score,
            pass: number,
            inside: found.bounds,
        }));
    }
    // Each pass is sorted already, and equal scores keep their order.
    all.sort_by(|a, b| b.score.total_cmp(&a.score));
    all
}

/// The place of the largest box: what a shop's picture shows by the published rule (docs/seam.md §9).
pub fn largest(found: &[Candidate]) -> Option<usize> {
    largest_of(found, |_| true)
}

/// The place of the product among what a shop's picture shows: see [`Recognizer::recognize_product`].
pub fn product_of(found: &[Candidate], regions: &[Option<Region>], region: Option<Region>) -> Option<usize> {
    let of_region = |seen: &Candidate| region.is_none() || regions.get(seen.class).copied().flatten() == region;
    let any = found.iter().any(of_region);
    let in_question = |seen: &Candidate| of_region(seen) || !any;
    let surest = found.iter().filter(|seen| in_question(seen)).map(|seen| seen.score).fold(0.0, f32::max);
    largest_of(found, |seen| in_question(seen) && seen.score >= AS_SURE * surest)
}

fn largest_of(found: &[Candidate], wanted: impl Fn(&Candidate) -> bool) -> Option<usize> {
    let places = (0..found.len()).filter(|&place| wanted(&found[place]));
    places.max_by(|&a, &b| found[a].bounds.area().total_cmp(&found[b].bounds.area()))
}
