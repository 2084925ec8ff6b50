"""What latents are about: purity by attribute and dictionary, two measures of one dictionary, eras of top items."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps

from recsae_book.figures import style
from recsae_book.figures.alignment import short
from recsae_book.figures.style import Figure, Real


@style.styled
def purity_heatmap(
    values: object,
    attribute_names: Sequence[str],
    dictionary_names: Sequence[str],
    *,
    label: str = "Purity@10, held out",
    ylabel: str = "Genre",
    xlabel: str = "Dictionary",
) -> Figure:
    """Shares from 0 to 1, attributes down and dictionaries across. Read along a row: is the first column darkest?

    The best of each row but the last column, the ceiling, is bold.
    """
    table = style.numbers(values, "values", ndim=2)
    if table.min() < 0 or table.max() > 1:
        raise ValueError("values lie outside 0 to 1: expected shares")
    rows, columns = table.shape
    down = style.names(attribute_names, rows, "attribute_names")
    across = style.names(dictionary_names, columns, "dictionary_names")
    figure, grid = style.canvas(rows * (0.26 if rows <= 30 else 0.17) + 1.7)
    ax, paint = grid[0, 0], colormaps["Blues"]
    image = ax.imshow(table, cmap=paint, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    for (i, j), value in np.ndenumerate(table):
        first = bool(value == table[i, : max(columns - 1, 1)].max()) and j < max(columns - 1, 1)
        ax.text(
            j,
            i,
            short(value),
            ha="center",
            va="center",
            fontsize=7.5 if rows <= 30 else 6.5,
            color="white" if value > 0.6 else style.INK,
            weight="bold" if first else "normal",
        )
    ax.set_xticks(range(columns), across, rotation=90)
    ax.set_yticks(range(rows), down)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=ax, fraction=0.03, pad=0.015)
    bar.set_label(label)
    bar.outline.set_visible(False)
    return figure


@style.styled
def two_measures(
    panels: Mapping[str, Mapping[str, tuple[Real, Real]]], xlabel: str, ylabel: str, *, bold: Sequence[str] = ()
) -> Figure:
    """A mark a dictionary, at two numbers of it, a panel a model. Filled marks are ``bold`` ones.

    Read: whether a filled mark lies above and to the right of all hollow ones.
    """
    if not panels or not all(panels.values()):
        raise ValueError("panels is empty: expected at least one with at least one mark")
    kinds = list(dict.fromkeys(kind for marks in panels.values() for kind in marks))
    rows, columns = -(-len(panels) // 2), min(len(panels), 2)
    figure, grid = style.canvas(3.0 * rows + 0.3 + 0.2 * np.ceil(len(kinds) / 4), columns=columns, rows=rows)
    for ax in grid.flat[len(panels) :]:
        ax.set_visible(False)
    for ax, (title, marks) in zip(grid.flat, panels.items(), strict=False):
        for kind, place in marks.items():
            x, y = style.numbers(place, kind)
            s = kinds.index(kind)
            color = style.PALETTE[s % len(style.PALETTE)]
            marker = style.MARKERS[(s + s // len(style.PALETTE)) % len(style.MARKERS)]
            face = color if kind in bold else "white"
            ax.scatter(x, y, s=60, marker=marker, facecolor=face, edgecolor=color, linewidth=1.4, label=kind)
        ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
        style.grid(ax, "both")
    style.legend(figure, 4)
    return figure


@style.styled
def stacked_shares(
    shares: object, row_names: Sequence[str], part_names: Sequence[str], *, xlabel: str, ylabel: str = "Latent"
) -> Figure:
    """Rows of shares that add up to 1, as bars that lie down; the first row is what the others are compared with."""
    table = style.numbers(shares, "shares", ndim=2)
    if table.min() < 0 or np.abs(table.sum(1) - 1).max() > 1e-6:
        raise ValueError("shares: expected rows of numbers from 0 that add up to 1")
    down = style.names(row_names, len(table), "row_names")
    parts = style.names(part_names, table.shape[1], "part_names")
    figure, grid = style.canvas(0.34 * len(table) + 1.3)
    ax, left, where = grid[0, 0], np.zeros(len(table)), np.arange(len(table)) + 0.35 * (np.arange(len(table)) > 0)
    paint = colormaps["viridis"](np.linspace(0.05, 0.95, len(parts)))
    for share, part, color in zip(table.T, parts, paint, strict=True):
        ax.barh(where, share, left=left, height=0.72, color=color, label=part, edgecolor="white", linewidth=0.6)
        dark = np.dot(color[:3], (0.299, 0.587, 0.114)) < 0.5
        for y, value, start in zip(where, share, left, strict=True):
            if value >= 0.06:
                ax.text(
                    start + value / 2,
                    y,
                    short(value),
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if dark else style.INK,
                )
        left += share
    ax.set_yticks(where, down)
    ax.set(xlabel=xlabel, ylabel=ylabel, xlim=(0, 1), ylim=(where[-1] + 0.5, -0.5))
    ax.tick_params(length=0)
    ax.spines["left"].set_visible(False)
    style.legend(figure, 6)
    return figure
