"""Which latent follows which attribute, and how well a dictionary does beside others: a heatmap, dots, bars."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle

from recsae_book.figures import style
from recsae_book.figures.style import Figure, Real

QUIET_BELOW = 0.1  # a cell of a heatmap smaller than this keeps its colour and loses its number


def short(value: Real) -> str:
    """Two digits without the leading zero: .56, -.08, 1.0."""
    text = f"{value:.2f}"
    return "1.0" if text == "1.00" else text.replace("0.", ".", 1) if abs(value) < 1 else text


@style.styled
def genre_heatmap(
    r: object,
    row_labels: Sequence[str],
    attribute_names: Sequence[str],
    *,
    own: Sequence[int] | None = None,
    label: str = "Pearson r",
    xlabel: str = "Genre",
    ylabel: str = "Top latent of each genre",
    title: str = "",
) -> Figure:
    """Correlations ``r`` of latents (rows) with attributes (columns), as in Figure 2 of 2507.12202.

    Read along a row: red beside the framed cell is an attribute that the latent follows too, blue one that it
    avoids. Correlations smaller than .1 have a colour and no number. ``own`` is the column of each row's frame.
    """
    table = style.numbers(r, "r", ndim=2)
    rows, columns = table.shape
    down, across = style.names(row_labels, rows, "row_labels"), style.names(attribute_names, columns, "attribute_names")
    limit = max(np.ceil(np.abs(table).max() * 10) / 10, 0.1)
    # a cell is as high as wide where there are many columns, and no wider than an inch where there are few
    width = min(style.WIDTH, 2.6 + columns)
    cell = (width - 2.6) / columns
    height = max(rows * min(max(cell, 0.2), 0.3) + 1.5, 2.4)
    figure, grid = style.canvas(height, width=width)
    ax = grid[0, 0]
    image = ax.imshow(table, cmap=style.DIVERGING, vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    ax.set_xticks(range(columns), across, rotation=90 if columns > 6 else 0)
    ax.set_yticks(range(rows), down)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=0.8)
    ax.tick_params(which="minor", length=0)
    if cell >= 0.22:
        paint, scale = colormaps[style.DIVERGING], Normalize(-limit, limit)
        for (i, j), value in np.ndenumerate(table):
            if abs(value) >= QUIET_BELOW:
                dark = np.dot(paint(scale(value))[:3], (0.299, 0.587, 0.114)) < 0.5
                color = "white" if dark else style.INK
                ax.text(j, i, short(value), ha="center", va="center", fontsize=7, color=color)
    for i, j in enumerate(own if own is not None else []):
        ax.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor=style.INK, linewidth=1.2))
    bar = figure.colorbar(image, ax=ax, fraction=0.03, pad=0.015)
    bar.set_label(label)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0)
    return figure


@style.styled
def compare_bars(
    values: object,
    attribute_names: Sequence[str],
    dictionary_names: Sequence[str],
    *,
    low: object = None,
    high: object = None,
    xlabel: str = "Largest correlation of a latent with the genre (Pearson r)",
    title: str = "",
) -> Figure:
    """The best latent's score for each attribute, for several dictionaries: ``values`` is ``[dictionaries, a]``.

    Figure 4 of 2507.12202 as dots, attributes in the order given (by popularity in the book). Read along a row:
    the distance of the first dictionary's large dot from the others; a grey band spans them all.
    """
    table = style.numbers(values, "values", ndim=2)
    count, rows = table.shape
    labels = style.names(attribute_names, rows, "attribute_names")
    series = style.names(dictionary_names, count, "dictionary_names")
    if count > len(style.PALETTE) * 2:
        raise ValueError(f"{count} dictionaries: expected at most {len(style.PALETTE) * 2}")
    figure, grid = style.canvas(
        rows * max(0.3, 0.055 * count if low is not None else 0) + 1.2 + 0.2 * np.ceil(count / 4)
    )
    ax = grid[0, 0]
    where = np.arange(rows)
    if low is None and high is None:
        ax.hlines(where, table.min(0), table.max(0), color=style.RULE, linewidth=5, zorder=1)
    else:  # dots stand side by side: the stripes say which row they belong to
        for y in where[::2]:
            ax.axhspan(y - 0.5, y + 0.5, color="#f2f4f6", linewidth=0, zorder=0)
    shift = np.linspace(-0.36, 0.36, count) if count > 1 else np.zeros(1)
    for s in reversed(range(count)):
        bounds = [None if b is None else np.asarray(b)[s] for b in (low, high)]
        error = style.interval(*bounds, table[s], series[s])
        color, marker = style.PALETTE[s % len(style.PALETTE)], style.MARKERS[s % len(style.MARKERS)]
        y = where + (shift[s] if error is not None else 0)
        if error is not None:
            ax.hlines(y, table[s] - error[0], table[s] + error[1], color=color, linewidth=1.1, alpha=0.75, zorder=2)
        filled = s < len(style.PALETTE)
        look = {"facecolor": color if filled else "white", "edgecolor": "white" if filled else color}
        ax.scatter(table[s], y, s=48 if s == 0 else 32, marker=marker, linewidth=0.5, zorder=3, label=series[s], **look)
    ax.set_yticks(where, labels)
    ax.set(xlabel=xlabel, ylim=(rows - 0.5, -0.5), title=title)
    style.grid(ax, "x")
    ax.spines["left"].set_visible(False)
    handles, texts = ax.get_legend_handles_labels()
    figure.legend(handles[::-1], texts[::-1], loc="outside upper center", ncols=min(count, 4), handletextpad=0.3)
    return figure


@style.styled
def mean_bars(
    values: object,
    labels: Sequence[str],
    *,
    low: object = None,
    high: object = None,
    references: Mapping[str, Real] | None = None,
    xlabel: str = "Mean over genres of the largest correlation (Pearson r)",
    ylabel: str = "Dictionary",
    title: str = "",
    digits: str = ".3f",
    first: bool = True,
) -> Figure:
    """One number a dictionary (or a recommender) with its interval, as bars that lie down.

    ``references`` are labelled upright lines. With ``first`` the first bar has the colour of the SAE and the others
    are grey. Read: whether the first bar's interval is clear of those of the nulls or baselines below it.
    """
    value = style.numbers(values, "values")
    text = style.names(labels, len(value), "labels")
    error = style.interval(low, high, value, "values")
    figure, grid = style.canvas(0.3 * len(value) + 0.85 + (0.2 if references else 0) + (0.2 if title else 0))
    ax = grid[0, 0]
    where = np.arange(len(value))
    color = [style.BLUE] + [style.GREY] * (len(value) - 1) if first else style.BLUE
    ax.barh(where, value, height=0.66, color=color, alpha=0.9)
    if error is not None:
        ax.errorbar(value, where, xerr=error, fmt="none", ecolor=style.INK, elinewidth=1.2, capsize=2.5)
    ends = value + (error[1] if error is not None else 0)
    reach = max(ends.max(), *(references or {"": 0}).values(), 1e-9)
    for y, end, number in zip(where, np.maximum(ends, 0), value, strict=True):
        ax.text(end + 0.012 * reach, y, format(number, digits), va="center", fontsize=8.5)
    for name, x in (references or {}).items():
        ax.axvline(x, color=style.ORANGE, linewidth=1.3, linestyle=(0, (4, 2)), zorder=0.5)
        ax.text(x, -0.62, str(name), color=style.RUST, fontsize=8.5, ha="center", va="bottom")
    ax.set_yticks(where, text)
    lowest = min(0, (value - error[0]).min() if error is not None else value.min())
    ax.set(xlabel=xlabel, ylabel=ylabel, ylim=(len(value) - 0.5, -0.6), xlim=(lowest * 1.05, reach * 1.12))
    ax.set_title(title, pad=18 if references else None)
    style.grid(ax, "x")
    ax.spines["left"].set_visible(lowest < 0)
    return figure
