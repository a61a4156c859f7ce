"""Training on remembered features: the body is frozen and each picture passes through it once.

Where time is short this gives several times the steps: the body is most of the cost. Pictures come
in groups (a product's two street frames and the shop pictures of what shows in them); a step takes
some groups from memory and now and then a new one.
"""

import numpy as np
import torch

from .data import BatchSpec, Pictures, Sample, batch
from .network import Network


class Replay:
    """A growing memory of groups of samples with the body's outputs (float16)."""

    def __init__(self, network: Network, pictures: Pictures, rng: np.random.Generator, capacity: int = 700):
        self.network, self.pictures, self.rng = network, pictures, rng
        self.capacity = capacity
        self.groups: list[list[Sample]] = []
        self.steps = 0

    @torch.no_grad()
    def remember(self) -> list[Sample]:
        """Draw a new group and keep it, forgetting the oldest beyond the capacity."""
        spec = BatchSpec(products=1, shop=5, whole=1, empty=int(self.rng.random() < 0.4))
        group = batch(self.pictures, spec, self.network.config.input_size, self.rng)
        images = torch.stack([s.image for s in group]).contiguous(memory_format=torch.channels_last)
        features = [t.half().contiguous() for t in self.network.backbone.body(images)]
        for i, sample in enumerate(group):
            sample.features = [t[i] for t in features]
            sample.image = None
        self.groups.append(group)
        del self.groups[: -self.capacity]
        return group

    def batch(self, groups: int = 3) -> list[Sample]:
        """`groups` groups; a new one at every second step, and as long as there are few."""
        self.steps += 1
        while len(self.groups) < groups:
            self.remember()
        fresh = [self.remember()] if self.steps % 2 or len(self.groups) < 20 else []
        picks = self.rng.choice(len(self.groups), size=groups - len(fresh), replace=False)
        return [s for group in [*fresh, *(self.groups[int(k)] for k in picks)] for s in group]
