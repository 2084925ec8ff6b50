"""Concept dictionaries: which latents get a description, and by what; one concept with its evidence."""

from collections.abc import Mapping, Sequence

import numpy as np

from recsae_book.figures import style
from recsae_book.figures.style import Figure, Real

LONGEST = 34  # characters of a title that fit beside a panel


@style.styled
def described_shares(
    panels: Mapping[str, Mapping[str, Mapping[str, Real]]], *, xlabel: str = "Share of latents with such a term"
) -> Figure:
    """Shares of latents, ``{"ml-1m, bprmf": {"SAE": {"any": .5, "genre": .4}}}``: a panel a model, a row a dictionary.

    The first mark of a row, filled, is the one for all kinds together. Read: are the filled marks of the rows below
    the first, nulls but for one, further left? Those of permuted activations should stand at 0.
    """
    if not panels or not all(panels.values()):
        raise ValueError("panels is empty: expected at least one with at least one row")
    rows = list(dict.fromkeys(name for found in panels.values() for name in found))
    kinds = list(dict.fromkeys(kind for found in panels.values() for one in found.values() for kind in one))
    columns = min(len(panels), 2)
    deep = -(-len(panels) // columns)
    figure, grid = style.canvas(deep * (0.27 * len(rows) + 0.85) + 0.3, columns, deep, sharex=True, sharey=True)
    for ax in grid.flat[len(panels) :]:
        ax.set_visible(False)
    for place, (ax, (title, found)) in enumerate(zip(grid.flat, panels.items(), strict=False)):
        for y in range(0, len(rows), 2):
            ax.axhspan(y - 0.5, y + 0.5, color="#f2f4f6", linewidth=0, zorder=0)
        for k, kind in enumerate(kinds):
            there = {rows.index(name): float(one[kind]) for name, one in found.items() if kind in one}
            if not there:
                continue
            values = style.numbers(list(there.values()), f"{kind} in {title}")
            if values.min() < 0 or values.max() > 1:
                raise ValueError(f"{kind} in {title} lies outside 0 to 1: expected shares")
            color = style.PALETTE[k % len(style.PALETTE)]
            face = color if k == 0 else "white"
            marker = style.MARKERS[k % len(style.MARKERS)]
            look = {"s": 40 if k == 0 else 26, "marker": marker, "linewidth": 1.3, "zorder": 4 - 0.1 * k}
            ax.scatter(values, list(there), facecolor=face, edgecolor=color, label=kind, clip_on=False, **look)
        ax.set_yticks(range(len(rows)), style.names(rows, len(rows), "rows"))
        ax.set(title=title, xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5))
        if place + columns >= len(panels):
            ax.set_xlabel(xlabel)
            ax.tick_params(labelbottom=True)
        style.grid(ax, "x")
        ax.spines["left"].set_visible(False)
    style.legend(figure, 5)
    return figure


@style.styled
def concept_card(
    name: str, terms: Sequence[str], count: object, expected: object, of: int, titles: Sequence[str], score: object
) -> Figure:
    """The evidence for one description: its terms on the left, its items by TF-IDF on the right.

    ``count`` of the ``of`` cases have a term, chance gives ``expected`` (the dashes). Read: how far the bars reach
    beyond their dashes, and whether the items are what the terms say.
    """
    seen, chance = style.numbers(count, "count"), style.numbers(expected, "expected")
    weight = style.numbers(score, "score")
    if len(chance) != len(seen) or seen.max() > of:
        raise ValueError(f"{len(seen)} counts up to {seen.max():g} of {of}, {len(chance)} expected: do not fit")
    figure, grid = style.canvas(0.24 * max(len(seen), len(weight)) + 1.15, 2, width_ratios=[1, 1])
    figure.suptitle(str(name).replace("$", r"\$"), fontweight="bold", fontsize=10.5)
    for ax, values, labels in ((grid[0, 0], seen, terms), (grid[0, 1], weight, titles)):
        y, texts = np.arange(len(values)), style.names(labels, len(values), "terms or titles")
        ax.barh(y, values, height=0.7, color=style.BLUE if ax is grid[0, 0] else style.GREY)
        ax.set_yticks(y, [t if len(t) <= LONGEST else t[: LONGEST - 1] + "…" for t in texts], fontsize=8.5)
        ax.set_ylim(max(len(seen), len(weight)) - 0.4, -0.6)
        style.grid(ax, "x")
        ax.spines["left"].set_visible(False)
    grid[0, 0].vlines(chance, np.arange(len(seen)) - 0.42, np.arange(len(seen)) + 0.42, color=style.ORANGE, linewidth=2)
    grid[0, 0].set(xlabel=f"Cases of {of} (orange: by chance)", xlim=(0, of))
    grid[0, 1].set(xlabel="TF-IDF")
    return figure
