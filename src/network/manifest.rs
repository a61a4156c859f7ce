//! A model folder's manifest, `model.toml`: what the graphs are and how they are used.

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
/// The only format there is.
const FORMAT: u32 = 1;
/// Longest side of a network input, pixels: no manifest makes us take all the memory.
const MAX_SIDE: usize = 4096;
/// Most of anything that a manifest counts.
const MAX_COUNT: usize = 10_000;

/// What is in a model folder. Every field is checked by [`Manifest::parse`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub format: u32,
    pub name: String,
    pub description: String,
    pub licence: String,
    pub provenance: String,
    /// Without background, in the box head's order.
    pub classes: Vec<String>,
    /// Names all that makes a descriptor: descriptors of different hashes cannot be compared.
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
    /// Absent: a picture is looked at once, as published.
    pub focus: Option<SecondPassSettings>,
    /// Regions of classes whose DeepFashion2 name does not say it.
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
    /// The same graph typed for a GPU, where the model has it.
    fp16: Option<TypedFile>,
    int8: Option<TypedFile>,
}

/// A graph whose tensors have the types of a precision; what goes in and comes out are 32-bit floats still.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct TypedFile {
    file: String,
    sha256: String,
}

/// The graphs that every model has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphName {
    Trunk,
    BoxHead,
    MatchHead,
    Aggregator,
}

impl GraphName {
    pub const ALL: [GraphName; 4] = [GraphName::Trunk, GraphName::BoxHead, GraphName::MatchHead, GraphName::Aggregator];

    /// As the manifest writes it.
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
    /// [`Kind::Model`]: missing, malformed, out of range, or a graph that is not the one it was made for.
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

    /// Reads a manifest's text.
    ///
    /// # Errors
    /// [`Kind::Model`], naming key and line.
    pub fn parse(text: &str) -> Result<Self> {
        let manifest: Manifest =
            toml::from_str(text).map_err(|error| Fault::new(Kind::Model, one_line(&error.to_string())))?;
        match manifest.wrong() {
            None => Ok(manifest),
            Some(wrong) => Err(Fault::new(Kind::Model, wrong)),
        }
    }

    /// Where a graph's file is.
    pub fn graph_path(&self, name: GraphName) -> PathBuf {
        self.folder.join(&self.graph(name).file)
    }

    /// Where the graph of a precision is, and its hash; `None`: the model has none.
    pub fn typed_graph(&self, name: GraphName, precision: Precision) -> Option<(PathBuf, &str)> {
        let graph = self.graph(name);
        let typed = |typed: &'_ TypedFile| self.folder.join(&typed.file);
        match precision {
            Precision::Fp32 => Some((self.folder.join(&graph.file), &graph.sha256)),
            Precision::Fp16 => graph.fp16.as_ref().map(|file| (typed(file), file.sha256.as_str())),
            Precision::Int8 => graph.int8.as_ref().map(|file| (typed(file), file.sha256.as_str())),
        }
    }

    /// The graph in `most`, or in the next wider precision that the model has it in: which, where, and its hash.
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

    /// How the single-image head's embeddings are compared.
    pub fn match_score(&self) -> ScoreHead {
        ScoreHead { weight: self.matching.weight.clone(), bias: self.matching.bias }
    }

    /// How the aggregator head's embeddings are compared.
    pub fn aggregation_score(&self) -> ScoreHead {
        ScoreHead { weight: self.aggregation.weight.clone(), bias: self.aggregation.bias }
    }

    /// The region of each class, in the classes' order.
    pub fn class_regions(&self) -> Vec<Option<Region>> {
        class_regions(&self.classes, &self.regions)
    }

    /// The classes that are found together (`detections.per`), as places in the classes' order.
    pub fn class_groups(&self) -> Vec<Vec<usize>> {
        match self.detections.per {
            Per::Class => (0..self.classes.len()).map(|class| vec![class]).collect(),
            Per::Region => by_region(&self.class_regions()),
        }
    }

    /// What cannot be, in words.
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
            Some(format!("format = {} is not known to this vetrina: it reads format {FORMAT}", self.format))
        } else if let Some((name, count)) = bad_count {
            Some(format!("{name} must count 1 to {MAX_COUNT}, not {count}"))
        } else if let Some((name, side)) = bad_side {
            Some(format!("{name} = {side} must be a multiple of 32 up to {MAX_SIDE}"))
        } else if let Some((name, value, low, high)) = bad_number {
            Some(format!("{name} = {value} must lie from {low} to {high}"))
        } else if self.anchors.strides.len() != self.anchors.sizes.len() {
            Some("anchors.sizes and anchors.strides must have one entry a level each".into())
        } else if self.anchors.strides.iter().flatten().any(|stride| !(1..=MAX_SIDE).contains(stride)) {
            Some(format!("anchors.strides must lie from 1 to {MAX_SIDE}"))
        } else if levels.windows(2).any(|pair| pair[1] != pair[0].saturating_add(1)) || !(0..16).contains(&levels[0]) {
            Some("features.levels must count up by one from a level below 16".into())
        } else if !(1..=4).contains(&self.rois.sampling_ratio) {
            Some("rois.sampling_ratio must be 1 to 4".into())
        } else if let Some(class) = self.regions.keys().find(|class| !self.classes.contains(class)) {
            Some(format!("regions names {class:?}, which is not among the classes"))
        } else {
            self.wrong_weights().or_else(|| self.wrong_files())
        }
    }

    /// Every single number with its range.
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
                return Some(format!("{name} holds a value that is no number"));
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
        wrong.map(|file| format!("the graph file {file:?} must be a plain name in the model folder"))
    }
}

impl GraphFiles {
    fn all(&self) -> Vec<&GraphFile> {
        let mut all = vec![&self.trunk, &self.box_head, &self.match_head, &self.aggregator];
        all.extend(&self.mask_head);
        all
    }
}

/// Refuses a graph file that is not the one that its manifest means.
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

/// TOML errors draw the place over several lines; the line number and the message are enough.
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
    fn a_sound_manifest_is_read() {
        let manifest = Manifest::parse(&text()).unwrap();
        assert_eq!(manifest.matching.embedding, 2);
        assert_eq!((manifest.open_set.as_ref(), manifest.focus.as_ref()), (None, None));
        assert_eq!(manifest.class_regions(), [Some(Region::Upper)]);
    }

    #[test]
    fn focus_and_regions_are_read_where_they_stand() {
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
    fn classes_are_found_alone_unless_the_manifest_says_together() {
        let two = text().replace("[\"vest\"]", "[\"vest\", \"sling\"]");
        assert_eq!(Manifest::parse(&two).unwrap().class_groups(), [[0], [1]]);
        let together = two.replace("min_side = 0.01\n", "min_side = 0.01\nper = \"region\"\n");
        assert_eq!(Manifest::parse(&together).unwrap().class_groups(), [[0, 1]]);
        assert!(Manifest::parse(&together.replace("\"region\"", "\"shop\"")).unwrap_err().to_string().contains("shop"));
    }

    #[test]
    fn a_box_is_seen_with_what_is_about_it_where_the_manifest_says_so() {
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
    fn what_is_wrong_is_named() {
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
