"""The sizes and thresholds of the networks: `full` (as published), `compact`, and `tiny` (for tests on emulated hardware)."""

from dataclasses import dataclass, field, replace

CLASSES = (
    "short_sleeved_shirt", "long_sleeved_shirt", "short_sleeved_outwear", "long_sleeved_outwear",
    "vest", "sling", "shorts", "trousers", "skirt", "short_sleeved_dress", "long_sleeved_dress",
    "vest_dress", "sling_dress",
)  # fmt: skip
"""Class names in the order of DeepFashion2; the network's label is the index + 1, 0 is background."""

LOWER = {"shorts", "trousers", "skirt"}


def region(name: str) -> str:
    """The part of the body that a class covers; the class itself if it is not one of DeepFashion2's."""
    if name not in CLASSES:
        return name
    return "dress" if name.endswith("_dress") else "lower" if name in LOWER else "upper"


MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""RGB normalisation of values in [0, 1] (section 1)."""


@dataclass(frozen=True)
class Config:
    """Everything about a network except its weights. Sizes are in pixels of the network input."""

    name: str
    body: str
    """Which trunk: "resnet50" or "mobilenet_v2"."""
    channels: int
    """Channels of the feature pyramid."""
    levels: tuple[int, ...]
    """Pyramid levels that RoIs use; level k has stride 2^k."""
    anchor_sizes: tuple[int, ...]
    """One for each level of the RPN: the levels above and `pool`."""
    fc: int
    """Width of the box head's two fully connected layers."""
    match_width: int
    """Channels of a match head's last convolution."""
    appearance: tuple[int, ...] = ()
    """Channels of C3, C4 and C5 that the match heads get in addition to the pyramid's; none in the published network."""
    box_appearance: bool = False
    """Whether the box head gets them too."""
    context: float = 0.0
    """The box head also sees the surroundings of a box: a region about its centre this many times as wide and high. 0: it does
    not, as published."""
    masks: bool = False
    prefilter: str = "none"
    input_size: tuple[int, int] = (320, 320)
    """Height, width."""
    per_level: int = 1000
    keep: int = 1000
    proposal_nms: float = 0.7
    proposal_min_side: float = 1e-3
    score: float = 0.05
    nms: float = 0.5
    max_detections: int = 100
    min_side: float = 1e-2
    per: str = "class"
    """Detection by "class", each separately, as published; or by "region" of the body, whose classes form one detection."""
    match_batch: int = 8
    frames: int = 10
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    classes: tuple[str, ...] = field(default=CLASSES)
    embedding: int = 256
    canonical_size: float = 224.0
    canonical_level: int = 4
    sampling_ratio: int = 2
    focus: dict[str, float] | None = None
    """A second pass on a crop around people who are small in the input; None: one pass, as published."""

    @property
    def groups(self) -> list[list[int]]:
        """The labels that form one detection."""
        if self.per == "class":
            return [[label + 1] for label in range(len(self.classes))]
        found: dict[str, list[int]] = {name: [] for name in ("upper", "lower", "dress")}
        for label, name in enumerate(self.classes, start=1):
            found.setdefault(region(name), []).append(label)
        return [labels for labels in found.values() if labels]

    @property
    def rois_each(self) -> int:
        """RoIs that the box head takes for each box."""
        return 2 if self.context else 1

    @property
    def extra(self) -> int:
        """Channels of a RoI after the pyramid's: six of colour, and those of the body."""
        return 6 + sum(self.appearance) if self.appearance else 0


FULL = Config(
    name="full",
    body="resnet50",
    channels=256,
    levels=(2, 3, 4, 5),
    anchor_sizes=(32, 64, 128, 256, 512),
    fc=1024,
    match_width=1024,
    masks=True,
)
COMPACT = Config(
    name="compact",
    body="mobilenet_v2",
    channels=64,
    levels=(3, 4, 5),
    anchor_sizes=(32, 64, 128, 256),
    fc=512,
    match_width=256,
    appearance=(32, 64, 48),
    box_appearance=True,
    context=2.0,
    prefilter="box",
    input_size=(384, 256),
    per_level=300,
    keep=100,
    per="region",
    match_batch=1,
    focus=dict(below=0.3, fill=0.7, score=0.2, looks=2),
)
TINY = replace(
    COMPACT,
    name="tiny",
    channels=16,
    fc=32,
    match_width=16,
    appearance=(),
    box_appearance=False,
    context=0.0,
    input_size=(64, 64),
    per_level=8,
    keep=4,
    score=0.02,
    max_detections=2,
    per="class",
    focus=None,
)
"""Small enough for an emulated processor. It is never trained; with random weights it finds two garments in any picture, with
low scores."""
NETWORKS = {"full": FULL, "compact": COMPACT, "tiny": TINY}
