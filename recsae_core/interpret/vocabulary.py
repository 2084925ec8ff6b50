"""What can be said of an item in a few words: its genres or tags, its decade, words of its title, how popular it is."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int
from scipy import sparse

TEXT = ("genre", "tag", "decade", "word")  # kinds that say what an item is, in the order in which they are read out
BANDS = {"head": 0.1, "middle": 0.5, "tail": 1.0}  # the most popular tenth of the items, the first half, the rest
WORD = r"(?u)\b(?=\w*[^\W\d_])\w[\w'’]*\w\b"  # two characters or more, one of them a letter
YEAR = r"\((\d{4})\)\s*$"


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Which term holds for which item."""

    has: sparse.csr_array  # bool, [i, t]
    kinds: tuple[str, ...]  # of each term: genre, tag, decade, word or popularity
    names: tuple[str, ...]
    without_text: Int[np.ndarray, "_"]  # items of which nothing but the popularity is known: no case for a description

    def columns(self, terms: Sequence[tuple[str, str]]) -> list[int]:
        """The columns of (kind, name) pairs; ``ValueError`` for one that is not in the vocabulary."""
        place = {term: t for t, term in enumerate(zip(self.kinds, self.names, strict=True))}
        if unknown := [term for term in terms if term not in place]:
            raise ValueError(f"term {unknown[0]}: expected one of the {len(place)} of the vocabulary")
        return [place[term] for term in terms]


def terms(
    items: pd.DataFrame,
    attributes: Bool[np.ndarray, "i a"],
    names: Sequence[str],
    counts: Int[np.ndarray, "i"],
    *,
    kind: str = "genre",
    min_items: int = 5,
    bands: Mapping[str, float] = BANDS,
) -> Vocabulary:
    """The terms that at least ``min_items`` items have: ``attributes`` of a ``kind``, decades, words of titles, bands.

    ``items`` may have the columns ``title`` (NaN or "" for none) and ``year``; without the latter a year in brackets
    at the end of the title counts. ``counts`` are training rows; ``bands`` names shares of the items, the most
    popular first, of equals the one that comes first. Stop words are scikit-learn's English ones.
    """
    if len(attributes) != len(items) or len(counts) != len(items) or attributes.shape[1] != len(names):
        shapes = f"attributes {attributes.shape}, counts {counts.shape}, {len(names)} names"
        raise ValueError(f"{shapes}: expected {len(items)} items, and a name for each attribute")
    if kind not in TEXT:
        raise ValueError(f"kind={kind!r}: expected one of {', '.join(TEXT)}")
    title = items["title"].fillna("").astype(str) if "title" in items else pd.Series("", items.index, dtype=str)
    year = items["year"] if "year" in items else title.str.extract(YEAR)[0]
    year = pd.to_numeric(year, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    decades = np.unique(year[np.isfinite(year)] // 10 * 10).astype(int)
    words, has_word = _words(title.str.replace(YEAR, "", regex=True).map(html.unescape))
    rank = np.empty(len(items))
    rank[np.argsort(-counts, kind="stable")] = (np.arange(len(items)) + 0.5) / max(len(items), 1)
    ends = np.array([0.0, *bands.values()])
    parts = {
        kind: ([name.replace("_", " ") for name in names], attributes),
        "decade": ([f"{decade}s" for decade in decades], year[:, None] // 10 * 10 == decades),
        "word": (words, has_word),
        "popularity": (list(bands), (rank[:, None] > ends[:-1]) & (rank[:, None] <= ends[1:])),
    }
    has = sparse.csr_array(sparse.hstack([sparse.csr_array(columns) for _, columns in parts.values()]), dtype=bool)
    kinds = np.repeat(list(parts), [len(labels) for labels, _ in parts.values()])
    texts = np.array([label for labels, _ in parts.values() for label in labels], dtype=object)
    silent = np.flatnonzero(has[:, kinds != "popularity"].sum(1) == 0)
    kept = (has.sum(0) >= min_items) | (kinds == "popularity")
    return Vocabulary(has[:, kept], tuple(map(str, kinds[kept])), tuple(map(str, texts[kept])), silent)


def _words(titles: pd.Series) -> tuple[list[str], sparse.csr_array]:
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer(stop_words="english", token_pattern=WORD, binary=True, dtype=np.int32)
    if not any(map(counter.build_analyzer(), titles)):
        return [], sparse.csr_array((len(titles), 0), dtype=bool)
    found = counter.fit_transform(titles)
    return list(counter.get_feature_names_out()), sparse.csr_array(found, dtype=bool)
