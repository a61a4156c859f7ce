"""What the parts of the training share: the way of the learning rate, averaged weights, layers that begin even, shaken boxes."""

import math

import torch
from torch import nn


def rate(step: int, warmup: int, done: float) -> float:
    """Share of the peak learning rate: linear over `warmup` steps, then cosine to 2 % as `done` goes from 0 to 1."""
    ramp = min(1.0, (step + 1) / warmup)
    return ramp * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))


@torch.no_grad()
def follow(averaged: dict[str, torch.Tensor], module: nn.Module, step: int, most: float) -> None:
    """Moves averaged weights towards the present ones; quickly at first, at last with the decay `most`."""
    decay = min(most, (1 + step) / (10 + step))
    for key, now in module.state_dict().items():
        if now.is_floating_point():
            averaged[key].lerp_(now, 1 - decay)
        else:
            averaged[key].copy_(now)


def come_back(module: nn.Module, averaged: dict[str, torch.Tensor], begun: dict[str, torch.Tensor], back: float) -> None:
    """Gives `module` the averaged weights, taken the share `back` of the way to those that it began with."""
    # lerp leaves equal weights equal to the bit: what did not learn stays as it was.
    some = {k: v for k, v in averaged.items() if v.is_floating_point()}
    module.load_state_dict({k: torch.lerp(v, begun[k], back) for k, v in some.items()}, strict=False)


@torch.no_grad()
def even_out(layers: list[nn.Module], run) -> None:
    """Scales every layer so that, while `run()` passes data through it, its outputs have mean 0 and deviation 1.

    Nothing normalises activations between pyramid and heads; unscaled, they start large, grow, and
    most ReLUs die within a hundred steps.
    """
    done: set = set()

    def rescale(layer, _, out):
        if layer.weight in done:
            return None
        done.add(layer.weight)
        mean, deviation = out.mean(dim=[0, *range(2, out.dim())]), out.std()
        layer.weight /= deviation
        layer.bias.copy_((layer.bias - mean) / deviation)
        return (out - mean.view([1, -1] + [1] * (out.dim() - 2))) / deviation

    hooks = [layer.register_forward_hook(rescale) for layer in layers]
    run()
    for hook in hooks:
        hook.remove()


def shaken(boxes: torch.Tensor, amount: float, generator: torch.Generator | None = None) -> torch.Tensor:
    """Boxes with every side moved by up to `amount` of the box."""
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    return boxes + sides * (torch.rand(boxes.shape, generator=generator, device=boxes.device) * 2 - 1) * amount
