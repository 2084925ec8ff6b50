"""Small worlds with rows that carry items and attributes, shared by the tests of this folder."""

from typing import NamedTuple

import numpy as np
import torch

from recsae_core.sae.base import Code


class World(NamedTuple):
    h: torch.Tensor
    item: torch.Tensor
    attributes: np.ndarray


def world(rows: int = 600, d: int = 8, items: int = 40, attributes: int = 5, seed: int = 0) -> World:
    rng = np.random.default_rng(seed)
    labels = rng.random((items, attributes)) < 0.35
    labels[0], labels[1] = True, False
    item = np.concatenate([np.arange(items), rng.integers(0, items, rows - items)])
    h = labels[item] @ rng.standard_normal((attributes, d)) + 0.8 * rng.standard_normal((rows, d)) + 0.3
    return World(torch.from_numpy(h).float(), torch.from_numpy(item), labels)


class Given:
    """A dictionary whose code of a row is the row itself: any values can be put in as latents."""

    def __init__(self, width: int, keep: int | None = None) -> None:
        self.d = self.m = width
        self.keep = keep

    def encode(self, x: torch.Tensor) -> Code:
        if self.keep is None:
            return Code(x, None, self.m)
        value, index = x.topk(self.keep)
        return Code(value, index, self.m)

    def decode(self, z: Code, prefix: int | None = None) -> torch.Tensor:
        out = z.dense().clone()
        out[:, prefix or self.m :] = 0
        return out
