//! A model folder's manifest, `model.toml`: its graphs and how they are used.

use super::backend::Precision;
use crate::fault::{Fault, Kind, Result};
use crate::seam::region::{by_region, class_regions};
use crate::seam::settings::{
    AggregationSettings, AnchorSettings, DetectionSettings, FeatureSettings, InputSettings, MatchSettings,
    OpenSetSettings, Per, ProposalSettings, RoiSettings, SecondPassSettings,
};
use crate::seam::{Region, ScoreHead};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The manifest's file name.
pub const FILE: &str = "model.toml";
/// The only format version.
const FORMAT: u32 = 1;
/// Maximum side of a network input in pixels: limits the memory that a manifest can claim.
const MAX_SIDE: usize = 4096;
/// Maximum of any count in a manifest.
const MAX_COUNT: usize = 10_000;

/// Content of a model folder. [`Manifest::parse`] checks every field.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub format: u32,
    pub name: String,
    pub description: String,
    pub licence: String,
    pub provenance: String,
    /// Class names in the box head's order, without background.
    pub classes: Vec<String>,
    /// Hash of everything that determines a descriptor. Descriptors with different hashes cannot be compared.
    pub descriptor_hash: String,
    pub input: InputSettings,
    pub features: FeatureSettings,
    pub anchors: AnchorSettings,
    pub proposals: ProposalSettings,
    pub rois: RoiSettings,
    pub detections: DetectionSettings,
    #[serde(rename = "match")]
    pub matching: MatchSettings,
    pub aggregation: AggregationSettings,
    pub open_set: Option<OpenSetSettings>,
    /// Settings of the second pass. Absent: one pass, as published.
    pub focus: Option<SecondPassSettings>,
    /// Regions of classes whose region does not follow from a DeepFashion2 name.
    #[serde(default)]
    regions: BTreeMap<String, Region>,
    graphs: GraphFiles,
    #[serde(skip)]
    folder: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct GraphFiles {
    trunk: GraphFile,
    box_head: GraphFile,
    match_head: GraphFile,
    aggregator: GraphFile,
    mask_head: Option<GraphFile>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct GraphFile {
    file: String,
    sha256: String,
    /// The same graph in a lower precision for a GPU, if the model has it.
    fp16: Option<TypedFile>,
    int8: Option<TypedFile>,
}

/// A graph whose inner tensors have a lower precision. Its inputs and outputs are still f32.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct TypedFile {
    file: String,
    sha256: String,
}

/// The four graphs of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphName {
    Trunk,
    BoxHead,
    MatchHead,
    Aggregator,
}

impl GraphName {
    pub const ALL: [GraphName; 4] = [GraphName::Trunk, GraphName::BoxHead, GraphName::MatchHead, GraphName::Aggregator];

    /// The name in the manifest.
    pub fn name(self) -> &'static str {
        match self {
            GraphName::Trunk => "trunk",
            GraphName::BoxHead => "box_head",
            GraphName::MatchHead => "match_head",
            GraphName::Aggregator => "aggregator",
        }
    }
}

impl Manifest {
    /// Reads `folder/model.toml` and checks it and the hash of every graph.
    ///
    /// # Errors
    /// [`Kind::Model`]: missing, malformed, out of range, or a graph whose hash differs.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            Fault::io(Kind::Model, "read the model", &path, error).cure("name a model folder that scripts/export made")
        })?;
        let mut manifest = Manifest::parse(&text).map_err(|fault| {
            Fault::new(Kind::Model, format!("cannot use {}", path.display()))
                .cause(fault)
                .cure("export the model again")
        })?;
        manifest.folder = folder.into();
        for graph in manifest.graphs.all() {
            check_hash(&folder.join(&graph.file), &graph.sha256)?;
        }
        Ok(manifest)
    }

    /// Parses and checks a manifest.
    ///
    /// # Errors
    /// [`Kind::Model`], with key and line.
    pub fn parse(text: &str) -> Result<Self> {
        let manifest: Manifest =
            toml::from_str(text).map_err(|error| Fault::new(Kind::Model, one_line(&error.to_string())))?;
        match manifest.wrong() {
            None => Ok(manifest),
            Some(wrong) => Err(Fault::new(Kind::Model, wrong)),
        }
    }

    /// Path of a graph's file.
    pub fn graph_path(&self, name: GraphName) -> PathBuf {
        self.folder.join(&self.graph(name).file)
    }

    /// Path and hash of a graph in `precision`. `None`: the model does not have it.
    pub fn typed_graph(&self, name: GraphName, precision: Precision) -> Option<(PathBuf, &str)> {
        let graph = self.graph(name);
        let typed = |typed: &'_ TypedFile| self.folder.join(&typed.file);
        match precision {
            Precision::Fp32 => Some((self.folder.join(&graph.file), &graph.sha256)),
            Precision::Fp16 => graph.fp16.as_ref().map(|file| (typed(file), file.sha256.as_str())),
            Precision::Int8 => graph.int8.as_ref().map(|file| (typed(file), file.sha256.as_str())),
        }
    }

    /// The graph in `most` or the next wider precision that the model has. Returns precision, path and hash.
    pub fn typed_within(&self, name: GraphName, most: Precision) -> (Precision, PathBuf, &str) {
        let narrower = [Precision::Int8, Precision::Fp16].into_iter().filter(|precision| *precision <= most);
        let mut typed = narrower
            .filter_map(|precision| self.typed_graph(name, precision).map(|(path, sha256)| (precision, path, sha256)));
        typed.next().unwrap_or_else(|| (Precision::Fp32, self.graph_path(name), &self.graph(name).sha256))
    }

    fn graph(&self, name: GraphName) -> &GraphFile {
        match name {
            GraphName::Trunk => &self.graphs.trunk,
            GraphName::BoxHead => &self.graphs.box_head,
            GraphName::MatchHead => &self.graphs.match_head,
            GraphName::Aggregator => &self.graphs.aggregator,
        }
    }

    /// Comparison of the match head's embeddings.
    pub fn match_score(&self) -> ScoreHead {
        ScoreHead { weight: self.matching.weight.clone(), bias: self.matching.bias }
    }

    /// Comparison of the aggregator's embeddings.
    pub fn aggregation_score(&self) -> ScoreHead {
        ScoreHead { weight: self.aggregation.weight.clone(), bias: self.aggregation.bias }
    }

    /// Region of each class, in the classes' order.
    pub fn class_regions(&self) -> Vec<Option<Region>> {
        class_regions(&self.classes, &self.regions)
    }

    /// Groups of classes that suppress one another (`detections.per`), as class indices.
    pub fn class_groups(&self) -> Vec<Vec<usize>> {
        match self.detections.per {
            Per::Class => (0..self.classes.len()).map(|class| vec![class]).collect(),
            Per::Region => by_region(&self.class_regions()),
        }
    }

    /// The first error, as a message.
    fn wrong(&self) -> Option<String> {
        let counts = [
            ("classes", self.classes.len()),
            ("features.channels", self.features.channels),
            ("features.levels", self.features.levels.len()),
            ("anchors.sizes", self.anchors.sizes.len()),
            ("anchors.ratios", self.anchors.ratios.len()),
            ("proposals.per_level", self.proposals.per_level),
            ("proposals.keep", self.proposals.keep),
            ("detections.max", self.detections.max),
            ("match.batch", self.matching.batch),
            ("match.embedding", self.matching.embedding),
            ("aggregation.frames", self.aggregation.frames),
        ];
        let bad_count = counts.iter().find(|(_, count)| !(1..=MAX_COUNT).contains(count));
        let sides = [("input.height", self.input.height), ("input.width", self.input.width)];
        let bad_side = sides.iter().find(|(_, side)| *side == 0 || side % 32 != 0 || *side > MAX_SIDE);
        let numbers = self.numbers();
        let bad_number = numbers.iter().find(|(_, value, low, high)| !(*low..=*high).contains(value));
        let levels = &self.features.levels;
        if self.format != FORMAT {
            Some(format!("format = {} is not supported: this version reads format {FORMAT}", self.format))
        } else if let Some((name, count)) = bad_count {
            Some(format!("{name} must be from 1 to {MAX_COUNT}, not {count}"))
        } else if let Some((name, side)) = bad_side {
            Some(format!("{name} = {side} must be a multiple of 32 up to {MAX_SIDE}"))
        } else if let Some((name, value, low, high)) = bad_number {
            Some(format!("{name} = {value} must be from {low} to {high}"))
        } else if self.anchors.strides.len() != self.anchors.sizes.len() {
            Some("anchors.sizes and anchors.strides must have one entry per level".into())
        } else if self.anchors.strides.iter().flatten().any(|stride| !(1..=MAX_SIDE).contains(stride)) {
            Some(format!("anchors.strides must be from 1 to {MAX_SIDE}"))
        } else if levels.windows(2).any(|pair| pair[1] != pair[0].saturating_add(1)) || !(0..16).contains(&levels[0]) {
            Some("features.levels must be consecutive and start below 16".into())
        } else if !(1..=4).contains(&self.rois.sampling_ratio) {
            Some("rois.sampling_ratio must be 1 to 4".into())
        } else if let Some(class) = self.regions.keys().find(|class| !self.classes.contains(class)) {
            Some(format!("regions names {class:?}, which is not among the classes"))
        } else {
            self.wrong_weights().or_else(|| self.wrong_files())
        }
    }

    /// Every scalar with its allowed range: name, value, minimum, maximum.
    fn numbers(&self) -> Vec<(&'static str, f32, f32, f32)> {
        let mut numbers = vec![
            ("proposals.nms", self.proposals.nms, 0.0, 1.0),
            ("proposals.min_side", self.proposals.min_side, 0.0, 1e4),
            ("detections.score", self.detections.score, 0.0, 1.0),
            ("detections.nms", self.detections.nms, 0.0, 1.0),
            ("detections.min_side", self.detections.min_side, 0.0, 1e4),
            ("rois.canonical_size", self.rois.canonical_size, 1.0, 1e4),
            ("rois.canonical_level", self.rois.canonical_level as f32, 0.0, 16.0),
            ("match.bias", self.matching.bias, -1e6, 1e6),
            ("aggregation.bias", self.aggregation.bias, -1e6, 1e6),
            ("aggregation.worn_offset", self.aggregation.worn_offset, -1e6, 1e6),
        ];
        numbers.extend(self.proposals.context.map(|times| ("proposals.context", times, 1.0, 16.0)));
        numbers.extend(self.input.mean.map(|value| ("input.mean", value, -1e3, 1e3)));
        numbers.extend(self.input.std.map(|value| ("input.std", value, 1e-6, 1e3)));
        numbers.extend(self.anchors.sizes.iter().map(|size| ("anchors.sizes", *size, 1.0, 1e4)));
        numbers.extend(self.anchors.ratios.iter().map(|ratio| ("anchors.ratios", *ratio, 1e-2, 1e2)));
        if let Some(focus) = &self.focus {
            numbers.push(("focus.below", focus.below, 0.0, 1.0));
            numbers.push(("focus.fill", focus.fill, 0.1, 1.0));
            numbers.push(("focus.score", focus.score, 0.0, 1.0));
            numbers.push(("focus.looks", focus.max_groups as f32, 0.0, 16.0));
        }
        numbers.extend(self.open_set.iter().map(|open_set| ("open_set.logit", open_set.logit, -1e6, 1e6)));
        numbers
    }

    fn wrong_weights(&self) -> Option<String> {
        let embedding = self.matching.embedding;
        let weights = [("match.weight", &self.matching.weight), ("aggregation.weight", &self.aggregation.weight)];
        for (name, weight) in weights {
            if weight.len() != embedding {
                return Some(format!("{name} has {} values, match.embedding says {embedding}", weight.len()));
            }
            if weight.iter().any(|value| !value.is_finite()) {
                return Some(format!("{name} contains a value that is not finite"));
            }
        }
        None
    }

    fn wrong_files(&self) -> Option<String> {
        let plain = |file: &str| !file.is_empty() && Path::new(file).file_name().is_some_and(|name| name == file);
        let typed =
            |graph: &GraphFile| [&graph.fp16, &graph.int8].map(|typed| typed.as_ref().map(|typed| typed.file.clone()));
        let files = self.graphs.all().into_iter();
        let mut files = files.flat_map(|graph| typed(graph).into_iter().flatten().chain([graph.file.clone()]));
        let wrong = files.find(|file| !plain(file));
        wrong.map(|file| format!("the graph file {file:?} must be a file name without a path"))
    }
}

impl GraphFiles {
    fn all(&self) -> Vec<&GraphFile> {
        let mut all = vec![&self.trunk, &self.box_head, &self.match_head, &self.aggregator];
        all.extend(&self.mask_head);
        all
    }
}

/// Checks that a graph file has the hash named in the manifest.
pub fn check_hash(path: &Path, expected: &str) -> Result<()> {
    let unreadable = |error| Fault::io(Kind::Model, "read the graph", path, error).cure("export the model again");
    let mut file = std::fs::File::open(path).map_err(unreadable)?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; 1 << 16];
    loop {
        match file.read(&mut block).map_err(unreadable)? {
            0 => break,
            length => hasher.update(&block[..length]),
        }
    }
    let found: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    let short = |hash: &str| hash.chars().take(12).collect::<String>();
    let text = format!(
        "the graph {} is not the one its manifest names: sha256 {} instead of {}",
        path.display(),
        short(&found),
        short(expected)
    );
    Err(Fault::new(Kind::Model, text).cure("copy the whole model folder again, or export it again"))
}

/// TOML errors span several lines with an excerpt; keep the line number and the message.
fn one_line(text: &str) -> String {
    let drawn = |line: &&str| !line.contains('|') && !line.trim().is_empty();
    text.lines().filter(drawn).map(str::trim).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> String {
        let graph = |name: &str| format!("[graphs.{name}]\nfile = \"{name}.onnx\"\nsha256 = \"00\"\n");
        [
            "format = 1\nname = \"n\"\ndescription = \"\"\nlicence = \"MIT\"\nprovenance = \"\"\nclasses = [\"vest\"]\n",
            "descriptor_hash = \"ab\"\n[input]\nheight = 64\nwidth = 64\nmean = [0.0, 0.0, 0.0]\nstd = [1.0, 1.0, 1.0]\n",
            "prefilter = \"none\"\n[features]\nchannels = 8\nlevels = [3, 4]\n[anchors]\nsizes = [32, 64]\n",
            "ratios = [1.0]\nstrides = [[8, 8], [16, 16]]\n[proposals]\nper_level = 9\nkeep = 5\nnms = 0.7\n",
            "min_side = 0.001\n[rois]\ncanonical_size = 224.0\ncanonical_level = 4\nsampling_ratio = 2\n[detections]\n",
            "score = 0.05\nnms = 0.5\nmax = 100\nmin_side = 0.01\n[match]\nbatch = 1\nembedding = 2\n",
            "weight = [1.0, 2.0]\nbias = 0.5\n[aggregation]\nframes = 10\nweight = [1.0, 2.0]\nbias = 0.5\n",
            &["trunk", "box_head", "match_head", "aggregator"].map(graph).concat(),
        ]
        .concat()
    }

    #[test]
    fn a_valid_manifest_is_read() {
        let manifest = Manifest::parse(&text()).unwrap();
        assert_eq!(manifest.matching.embedding, 2);
        assert_eq!((manifest.open_set.as_ref(), manifest.focus.as_ref()), (None, None));
        assert_eq!(manifest.class_regions(), [Some(Region::Upper)]);
    }

    #[test]
    fn focus_and_regions_are_read_if_present() {
        let focus = "[focus]\nbelow = 0.5\nfill = 0.7\nscore = 0.1\nlooks = 2\n[regions]\nvest = \"dress\"\n";
        let manifest = Manifest::parse(&(text() + focus)).unwrap();
        assert_eq!(manifest.focus.as_ref().map(|focus| focus.max_groups), Some(2));
        assert_eq!(manifest.class_regions(), [Some(Region::Dress)]);
        for (from, to, named) in [
            ("fill = 0.7", "fill = 0.0", "focus.fill"),
            ("looks = 2", "looks = 99", "focus.looks"),
            ("vest = \"dress\"", "west = \"dress\"", "west"),
            ("vest = \"dress\"", "vest = \"feet\"", "feet"),
        ] {
            let fault = Manifest::parse(&(text() + &focus.replace(from, to))).unwrap_err().to_string();
            assert!(fault.contains(named), "{to}: {fault}");
        }
    }

    #[test]
    fn classes_are_suppressed_separately_unless_the_manifest_groups_them() {
        let two = text().replace("[\"vest\"]", "[\"vest\", \"sling\"]");
        assert_eq!(Manifest::parse(&two).unwrap().class_groups(), [[0], [1]]);
        let together = two.replace("min_side = 0.01\n", "min_side = 0.01\nper = \"region\"\n");
        assert_eq!(Manifest::parse(&together).unwrap().class_groups(), [[0, 1]]);
        assert!(Manifest::parse(&together.replace("\"region\"", "\"shop\"")).unwrap_err().to_string().contains("shop"));
    }

    #[test]
    fn a_box_has_context_only_if_the_manifest_says_so() {
        use crate::geometry::{Network, Rect};
        let bounds: Rect<Network> = Rect::new(10.0, 20.0, 30.0, 60.0);
        let alone = Manifest::parse(&text()).unwrap().proposals;
        assert_eq!((alone.rois_each(), alone.seen(&[bounds])), (1, vec![bounds]));
        let twice = text().replace("min_side = 0.001\n", "min_side = 0.001\ncontext = 2.0\n");
        let settings = Manifest::parse(&twice).unwrap().proposals;
        let about = Rect::new(0.0, 0.0, 40.0, 80.0);
        assert_eq!((settings.rois_each(), settings.seen(&[bounds; 2])), (2, vec![bounds, about, bounds, about]));
        let fault = Manifest::parse(&twice.replace("context = 2.0", "context = 0.5")).unwrap_err().to_string();
        assert!(fault.contains("proposals.context"), "{fault}");
    }

    #[test]
    fn errors_name_the_key() {
        let cases = [
            ("format = 1", "format = 9", "format = 9"),
            ("name = \"n\"", "name = \"n\"\ncolour = 3", "colour"),
            ("height = 64", "height = 65", "input.height = 65"),
            ("height = 64", "height = 64000", "input.height = 64000"),
            ("embedding = 2", "embedding = 3", "match.weight"),
            ("std = [1.0,", "std = [0.0,", "input.std"),
            ("nms = 0.7", "nms = nan", "proposals.nms"),
            ("levels = [3, 4]", "levels = [3, 5]", "features.levels"),
            ("levels = [3, 4]", "levels = []", "features.levels"),
            ("\"trunk.onnx\"", "\"../trunk.onnx\"", "../trunk.onnx"),
            ("keep = 5\n", "", "keep"),
        ];
        for (from, to, named) in cases {
            let changed = text().replacen(from, to, 1);
            assert_ne!(changed, text(), "{from}");
            let fault = Manifest::parse(&changed).unwrap_err().to_string();
            assert!(fault.contains(named), "{to}: {fault}");
        }
    }

    #[test]
    fn a_changed_graph_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), text()).unwrap();
        let missing = Manifest::load(folder.path()).unwrap_err();
        assert_eq!(missing.kind(), Kind::Model);
        std::fs::write(folder.path().join("trunk.onnx"), b"graph").unwrap();
        let fault = Manifest::load(folder.path()).unwrap_err().to_string();
        assert!(fault.contains("trunk.onnx") && fault.contains("not the one"), "{fault}");
    }
}
