"""Small worlds whose answer is known."""

import numpy as np
import pandas as pd

from recsae_core.data.interactions import Interactions


def interactions(histories, n_items):
    """Interactions from lists of items, one a user."""
    return Interactions(
        user=np.repeat(np.arange(len(histories)), [len(h) for h in histories]),
        item=np.array([i for h in histories for i in h], dtype=np.int64),
        time=None,
        rating=None,
        user_ids=np.arange(len(histories)),
        items=pd.DataFrame({"id": np.arange(n_items), "title": [f"Item {i}" for i in range(n_items)]}),
        attributes=np.zeros((n_items, 0), dtype=bool),
        attribute_names=(),
    )


def cyclic(users, n_items, seed=0, longest=10):
    """Everybody goes round the same hidden circle of items from a place of their own: the order tells all."""
    rng = np.random.default_rng(seed)
    circle = np.random.default_rng(99).permutation(n_items)
    starts, lengths = rng.integers(n_items, size=users), rng.integers(3, longest + 1, size=users)
    return interactions([circle[(s + np.arange(t)) % n_items] for s, t in zip(starts, lengths, strict=True)], n_items)
