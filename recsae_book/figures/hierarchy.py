"""Latents of nested prefixes: which is part of which, and how broad those of each prefix are."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from recsae_book.figures import style
from recsae_book.figures.style import Figure

LABEL = 0.66  # of the way to the next column is for the label of a node
LONGEST = 24  # characters of it
LINE = "#c2c9cf"
AREA = 420.0  # of the circle of a latent that fires on everybody


def _shown(parent: np.ndarray, weight: np.ndarray, most: int) -> list[int]:
    """Nodes in the order of the rows, whole families as long as there is room, the largest first."""
    children: dict[int, list[int]] = {}
    for node in np.argsort(-np.nan_to_num(weight), kind="stable"):
        children.setdefault(int(parent[node]), []).append(int(node))

    def family(node: int) -> list[int]:
        return [node, *(n for child in children.get(node, []) for n in family(child))]

    families = sorted(map(family, children.get(-1, [])), key=len, reverse=True)
    shown: list[int] = []
    for one in families:
        if len(one) > 1 and len(shown) + 2 <= most:  # no root without a child
            shown += one[: most - len(shown)]
    return shown


def _rows(shown: Sequence[int], parent: np.ndarray) -> tuple[dict[int, float], int]:
    """A row for each leaf in turn and for every other node the middle of its children's."""
    up = {node: int(parent[node]) for node in shown}
    leaves = [node for node in shown if node not in up.values()]
    y = {node: float(row) for row, node in enumerate(leaves)}
    for node in reversed(shown):
        if below := [y[child] for child, above in up.items() if above == node]:
            y[node] = (min(below) + max(below)) / 2
    return y, len(leaves)


@style.styled
def latent_tree(
    labels: Sequence[str],
    level: object,
    parent: object,
    weight: object,
    audience: object,
    columns: Sequence[str],
    *,
    most: int = 30,
) -> Figure:
    """Latents of each prefix in a column, lines from each to those that are part of it.

    ``parent`` is the place of a latent's parent, -1 without one; a line is as thick as ``weight``, a circle as large as
    ``audience``, both 0 to 1. At most ``most`` latents are drawn, the largest families first; latents without a
    parent or a child are not. Read: are the labels on the right special cases of those on the left?
    """
    up, at = np.asarray(parent, dtype=int), np.asarray(level, dtype=int)
    thick, size = np.nan_to_num(np.asarray(weight, dtype=float)), style.numbers(audience, "audience")
    text = style.names(labels, len(up), "labels")
    if not len(up) == len(at) == len(thick) == len(size) or at.max() >= len(columns):
        raise ValueError(f"{len(up)} parents in {at.max() + 1} columns: expected as many levels, weights and audiences")
    if not (shown := _shown(up, thick, most)):
        raise ValueError("no latent has a parent: expected one at least")
    y, rows = _rows(shown, up)
    figure, grid = style.canvas(0.235 * rows + 1.0)
    ax = grid[0, 0]
    for node in shown:
        color, row = style.PALETTE[at[node] % len(style.PALETTE)], y[node]
        short = text[node] if len(text[node]) <= LONGEST else text[node][: LONGEST - 1] + "…"
        ax.scatter(at[node], row, s=12 + AREA * size[node], color=color, alpha=0.9, linewidth=0, zorder=3)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
        ax.text(at[node] + 0.075, row, short, va="center", fontsize=8, zorder=2, bbox=box)
        if (above := int(up[node])) in y:
            start, end, top = at[above] + LABEL, at[above] + 0.96, y[above]  # then along a row of its own
            bend = (start + end) / 2
            curve = [(at[above], top), (start, top), (bend, top), (bend, row), (end, row), (at[node], row)]
            codes = [Path.MOVETO, Path.LINETO, Path.CURVE4, Path.CURVE4, Path.CURVE4, Path.LINETO]
            look = {"edgecolor": LINE, "linewidth": 0.4 + 3.2 * thick[node], "zorder": 1}
            ax.add_patch(PathPatch(Path(curve, codes), facecolor="none", capstyle="round", **look))
    for place, name in enumerate(columns):
        ax.text(place - 0.04, -1.3, str(name), fontweight="bold", color=style.PALETTE[place % len(style.PALETTE)])
    ax.set(xlim=(-0.08, len(columns) - 0.22), ylim=(rows - 0.3, -1.8))
    ax.axis("off")
    keys = [ax.scatter([], [], s=12 + AREA * share, color=style.GREY, linewidth=0) for share in (0.05, 0.25, 0.75)]
    names = ["fires on 5% of users", "25%", "75%"]
    figure.legend(keys, names, loc="outside lower center", ncols=3, handletextpad=0.6, columnspacing=2.0)
    return figure


@style.styled
def by_level(panels: Mapping[str, Mapping[str, Sequence[object]]], columns: Sequence[str]) -> Figure:
    """One dot a latent, a panel a quantity: ``{"Share of users": {"nested": [values of level 0, of level 1, ...]}}``.

    The bar is the median of a level. Read: do the bars of the nested dictionary step, and those of the others not?
    """
    if not panels:
        raise ValueError("panels is empty: expected a mapping of quantities to dictionaries")
    figure, grid = style.canvas(3.0, len(panels))
    for ax, (quantity, found) in zip(grid[0], panels.items(), strict=True):
        for i, (name, levels) in enumerate(found.items()):
            if len(levels) != len(columns):
                raise ValueError(f"{quantity} of {name} has {len(levels)} levels: expected {len(columns)}")
            width = 0.8 / len(found)
            for place, values in enumerate(levels):
                v, x = style.numbers(values, f"{quantity} of {name}"), place - 0.4 + (i + 0.5) * width
                spread = np.random.default_rng(place).uniform(-0.32, 0.32, len(v)) * width
                color = style.PALETTE[i % len(style.PALETTE)]
                label = name if place == 0 else None
                ax.scatter(x + spread, v, s=7, color=color, alpha=0.45, linewidth=0)
                ax.hlines(np.median(v), x - 0.42 * width, x + 0.42 * width, color=color, linewidth=2.6, label=label)
        ax.set_xticks(range(len(columns)), columns, fontsize=8.5)
        ax.set(xlabel="Neurons", ylabel=quantity)
        style.grid(ax, "y")
    style.legend(figure, 4)
    return figure
