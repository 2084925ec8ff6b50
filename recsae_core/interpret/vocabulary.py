"""What can be said of an item in a few words: its genres or tags, its decade, words of its title, how popular it is."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int
from scipy import sparse

BANDS = {"popular": 0.1, "less popular": 0.5, "rare": 1.0}  # items up to that share, the most popular first
WORD = r"(?u)\b(?=\w*[^\W\d_])\w[\w'’]*\w\b"  # two characters or more, one of them a letter
YEAR = r"\((\d{4})\)\s*$"


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Which term holds for which item."""

    has: sparse.csr_array  # bool, [i, t]
    kinds: tuple[str, ...]  # of each term: genre or tag, decade, word, popularity
    names: tuple[str, ...]
    without_text: Int[np.ndarray, "_"]  # items of which only the popularity is known: out of reach of descriptions


def terms(
    items: pd.DataFrame,
    attributes: Bool[np.ndarray, "i a"],
    names: Sequence[str],
    counts: Int[np.ndarray, "i"],
    *,
    kind: str = "genre",
    min_items: int = 5,
) -> Vocabulary:
    """The terms that at least ``min_items`` items have: ``attributes`` of a ``kind``, decades, words of titles, bands.

    ``items`` may have the columns ``title`` (NaN or "" for none) and ``year``; without the latter a year in brackets
    at the end of the title counts. ``counts`` are training rows. Stop words are scikit-learn's English ones.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    n, shapes = len(items), f"attributes {attributes.shape}, {len(names)} names, counts {counts.shape}"
    if not n or len(counts) != n or attributes.shape != (n, len(names)) or kind not in ("genre", "tag"):
        raise ValueError(f"kind={kind!r}, {shapes}: expected genre or tag, a name an attribute and {n} > 0 items")
    title = items.get("title", pd.Series("", items.index)).fillna("").astype(str).map(html.unescape)
    year = items.get("year", title.str.extract(YEAR)[0])
    year = pd.to_numeric(year, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    decades = np.unique(year[np.isfinite(year)] // 10 * 10).astype(int)
    band = np.searchsorted(list(BANDS.values()), (np.argsort(np.argsort(-counts, kind="stable")) + 0.5) / n)
    counter = CountVectorizer(stop_words="english", token_pattern=WORD, binary=True)
    words = counter.fit_transform(title) if any(map(counter.build_analyzer(), title)) else np.zeros((n, 0))
    parts = {
        kind: ([name.replace("_", " ") for name in names], attributes),
        "decade": ([f"{decade}s" for decade in decades], year[:, None] // 10 * 10 == decades),
        "word": (counter.get_feature_names_out().tolist() if words.shape[1] else [], words),
        "popularity": (list(BANDS), band[:, None] == np.arange(len(BANDS))),
    }
    has = sparse.csr_array(sparse.hstack([sparse.csr_array(columns) for _, columns in parts.values()]), dtype=bool)
    kinds = np.repeat(list(parts), [len(labels) for labels, _ in parts.values()])
    silent = np.flatnonzero(has[:, kinds != "popularity"].sum(1) == 0)
    kept = np.flatnonzero((has.sum(0) >= min_items) | (kinds == "popularity"))
    said = [label for labels, _ in parts.values() for label in labels]
    return Vocabulary(has[:, kept], tuple(map(str, kinds[kept])), tuple(said[t] for t in kept), silent)
