"""The one form in which every dataset reaches the rest of the package."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int


@dataclass(frozen=True)
class Interactions:
    """Who took what and when, sorted by user and then by time, with what is known about the items.

    Ids are contiguous: ``user`` counts from 0 to ``len(user_ids) - 1``, ``item`` indexes the rows of ``items``.
    Rows of one user keep the order of the source where their times are equal.
    """

    user: Int[np.ndarray, "e"]
    item: Int[np.ndarray, "e"]
    time: Int[np.ndarray, "e"] | None  # seconds since 1970
    rating: Float[np.ndarray, "e"] | None
    user_ids: np.ndarray  # contiguous id -> the source's id
    items: pd.DataFrame  # one row an item: "id" (the source's), "title", further columns as the source has them
    attributes: Bool[np.ndarray, "i a"]  # has item i the attribute a (a genre, a tag, a decade)?
    attribute_names: tuple[str, ...]
    users: pd.DataFrame | None = None  # one row a user, in the order of ``user_ids``, where more is known of them
    provenance: dict[str, Any] = field(default_factory=dict)  # source, files, checksums, what differs from official

    def __post_init__(self) -> None:
        e, i = len(self.user), len(self.items)
        for name in ("item", "time", "rating"):
            column = getattr(self, name)
            if column is not None and len(column) != e:
                raise ValueError(f"{name} has {len(column)} rows: expected {e}, as many as user")
        if e and not (0 <= self.item.min() and self.item.max() < i):
            raise ValueError(f"item holds ids from {self.item.min()} to {self.item.max()}: expected 0 to {i - 1}")
        if e and not (0 <= self.user.min() and self.user.max() < self.n_users):
            span = f"{self.user.min()} to {self.user.max()}"
            raise ValueError(f"user holds ids from {span}: expected 0 to {self.n_users - 1}")
        if self.attributes.shape != (i, len(self.attribute_names)):
            raise ValueError(f"attributes has shape {self.attributes.shape}: expected {(i, len(self.attribute_names))}")
        if self.users is not None and len(self.users) != self.n_users:
            raise ValueError(f"users has {len(self.users)} rows: expected {self.n_users}, as many as user_ids")
        if np.any(np.diff(self.user) < 0):
            raise ValueError("rows are not sorted by user")

    def __len__(self) -> int:
        return len(self.user)

    @property
    def n_users(self) -> int:
        """Users in the table of ids, whether or not a row names them."""
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        """Items in the item table, whether or not a row names them."""
        return len(self.items)

    def histories(self) -> list[Int[np.ndarray, "t"]]:
        """Each user's items, oldest first; position in the list = user id, empty for a user without rows."""
        return np.split(self.item, np.searchsorted(self.user, np.arange(1, self.n_users)))

    def rows(self, keep: Bool[np.ndarray, "e"]) -> "Interactions":
        """Only the rows marked; users without a row are dropped and renumbered, the item table stays."""
        kept, user = np.unique(self.user[keep], return_inverse=True)
        return replace(
            self,
            user=user.astype(self.user.dtype),
            item=self.item[keep],
            time=None if self.time is None else self.time[keep],
            rating=None if self.rating is None else self.rating[keep],
            user_ids=self.user_ids[kept],
            users=None if self.users is None else self.users.iloc[kept].reset_index(drop=True),
        )

    def among_users(self, keep: Bool[np.ndarray, "e"]) -> "Interactions":
        """Only the rows marked, of the same users by the same numbers, also those without a row."""
        kept = {name: getattr(self, name) for name in ("user", "item", "time", "rating")}
        return replace(self, **{name: None if column is None else column[keep] for name, column in kept.items()})

    def with_items(self, keep: Sequence[int] | Int[np.ndarray, "i"]) -> "Interactions":
        """The same world with the item table cut to ``keep``, in that order; rows on other items are dropped."""
        keep = np.asarray(keep)
        new = np.full(self.n_items, -1, dtype=self.item.dtype)
        new[keep] = np.arange(len(keep))
        cut = self.rows(new[self.item] >= 0)
        return replace(
            cut,
            item=new[cut.item],
            items=self.items.iloc[keep].reset_index(drop=True),
            attributes=self.attributes[keep],
        )

    def attribute(self, name: str) -> int:
        """The column of ``attributes`` called ``name``; ``ValueError`` lists the names there are."""
        if name not in self.attribute_names:
            raise ValueError(f"attribute {name!r}: expected one of {', '.join(self.attribute_names)}")
        return self.attribute_names.index(name)
