"""What a copy of the vectors keeps of the lists: over the weight of a term, and over the number of active latents."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import NullLocator

from recsae_book.figures import style
from recsae_book.figures.style import Figure, Real

Band = tuple[object, object, object]  # value, low, high


@style.styled
def weight_sweep(
    weights: Sequence[Real],
    panels: Mapping[str, Mapping[str, Band]],
    published: Mapping[str, Mapping[str, object]] | None = None,
    *,
    xlabel: str = "Weight of the prediction term",
    columns: int = 3,
) -> Figure:
    """Small multiples over a few weights, evenly spaced: ``{"RBO": {"MF": (value, low, high)}}``, a line a model.

    ``published`` has what the authors measured for lines of the same names, NaN where they say nothing: hollow marks
    on a dotted line of the same colour. Read: where a line is still rising, and whether it passes through the dots.
    """
    if not panels:
        raise ValueError("panels is empty: expected a mapping of quantities to lines")
    place, published = np.arange(len(weights)), published or {}
    rows = -(-len(panels) // columns)
    figure, grid = style.canvas(2.2 * rows + 0.5, min(columns, len(panels)), rows)
    order = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    for ax, (quantity, lines) in zip(grid.flat, panels.items(), strict=False):
        for name, (value, low, high) in lines.items():
            color, marker = style.PALETTE[order.index(name)], style.MARKERS[order.index(name)]
            y = _along(value, place, f"{quantity} of {name}")
            ax.plot(place, y, color=color, marker=marker, markersize=4.5, linewidth=1.8, label=name, zorder=3)
            if low is not None:
                ax.fill_between(place, *map(np.asarray, (low, high)), color=color, alpha=0.18, linewidth=0)
            theirs = published.get(quantity, {}).get(name)
            if theirs is not None:
                there = np.isfinite(y := _along(theirs, place, f"published {quantity} of {name}", finite=False))
                look = {"color": color, "marker": marker, "markersize": 4.5, "markerfacecolor": "white"}
                ax.plot(place[there], y[there], linestyle=":", linewidth=1.3, label=f"{name}, published", **look)
        ax.set_xticks(place, [f"{w:g}" for w in weights])
        ax.set(xlabel=xlabel, ylabel=quantity)
        style.grid(ax, "y")
    for ax in grid.flat[len(panels) :]:
        ax.set_visible(False)
    style.legend(figure, 4)
    return figure


@style.styled
def against_density(
    panels: Mapping[str, Mapping[str, tuple[object, object]]],
    levels: Mapping[str, Mapping[str, Real]] | None = None,
    *,
    quiet: Sequence[str] = (),
    xlabel: str = "Active latents a vector",
    ylabel: str = "Agreement of the lists",
) -> Figure:
    """Agreement over density, one panel a recommender: ``{"MF": {"SAE": (active, agreement)}}``.

    Lines named in ``quiet`` are thin (nulls); ``levels`` are dashed horizontals with their names. Read:
    upright, at an equal number of active latents, which line is highest; and whether any thin one is above the blue.
    """
    if not panels:
        raise ValueError("panels is empty: expected a mapping of recommenders to lines")
    loud = list(dict.fromkeys(name for lines in panels.values() for name in lines if name not in quiet))
    figure, grid = style.canvas(3.9, len(panels), sharey=True)
    for ax, (title, lines) in zip(grid.flat, panels.items(), strict=True):
        for name, (x, y) in lines.items():
            active, value = style.numbers(x, f"{title}, {name}"), style.numbers(y, f"{title}, {name}")
            if len(active) != len(value) or active.min() <= 0:
                raise ValueError(
                    f"{title}, {name}: {len(value)} values at {len(active)} places: expected one at each > 0"
                )
            if name in quiet:
                i = list(quiet).index(name)
                look = {"color": (style.GREY, style.BROWN, style.INK, style.SKY)[i % 4], "linewidth": 1.1}
                look |= {"linestyle": ("--", ":", "-.", (0, (6, 2)))[i % 4], "marker": "x+12"[i % 4], "markersize": 4}
            else:
                i = loud.index(name)
                look = {"color": style.PALETTE[i], "marker": style.MARKERS[i], "linewidth": 1.9, "markersize": 5}
                look |= {"zorder": 3}
            ax.plot(active, value, label=name, **look)
        for name, height in (levels or {}).get(title, {}).items():
            ax.axhline(height, color=style.RUST, linewidth=1.1, linestyle=(0, (4, 2)), zorder=1)
            above = {"xytext": (0, 2), "textcoords": "offset points", "ha": "right", "va": "bottom", "zorder": 4}
            above |= {"bbox": {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.5}}
            ax.annotate(name, (1, height), xycoords=("axes fraction", "data"), color=style.RUST, fontsize=8, **above)
        ax.set(title=title, xlabel=xlabel, ylabel=ylabel if ax is grid.flat[0] else "", ylim=(0, 1.06))
        ax.set_xscale("log", base=2)
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_locator(NullLocator())
        style.grid(ax, "both")
    style.legend(figure, 3)
    return figure


def _along(values: object, place: np.ndarray, name: str, finite: bool = True) -> np.ndarray:
    array = style.numbers(values, name) if finite else np.asarray(values, dtype=np.float64)
    if array.shape != place.shape:
        raise ValueError(f"{name} has {array.size} values: expected {len(place)}, one a weight")
    return array
