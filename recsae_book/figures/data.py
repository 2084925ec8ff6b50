"""What a data set looks like: popularity, attributes, lengths of histories."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from recsae_book.figures import style
from recsae_book.figures.alignment import mean_bars
from recsae_book.figures.style import Figure, Real

BINS = 36
THOUSANDS = FuncFormatter(lambda value, _: f"{value:,.0f}")


@style.styled
def popularity_curve(counts: Mapping[str, object], *, unit: str = "Interactions", thing: str = "items") -> Figure:
    """Interactions of each item from the most to the least popular, on two logarithmic axes; one line a data set.

    Read: a straight line is a power law. Items without an interaction are left out and counted in the legend.
    """
    found = {name: style.numbers(count, f"counts of {name}") for name, count in counts.items()}
    figure, grid = style.canvas(3.1)
    ax = grid[0, 0]
    for i, (name, count) in enumerate(found.items()):
        ranked = np.sort(count[count > 0])[::-1]
        none = len(count) - len(ranked)
        label = f"{name}: {len(ranked):,} {thing}" + (f", {none:,} without any" if none else "")
        color, line = style.PALETTE[i % len(style.PALETTE)], ("-", "--", "-.", ":")[i % 4]
        ax.plot(np.arange(1, len(ranked) + 1), ranked, color=color, linestyle=line, linewidth=1.8, label=label)
    ax.set_xscale("log")
    ax.set_yscale("log")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(10))
        axis.set_major_formatter(THOUSANDS)
        axis.set_minor_formatter(NullFormatter())
    ax.set(xlabel=f"Rank among {thing}, most popular first", ylabel=unit)
    style.grid(ax, "both")
    style.legend(figure, 2)
    return figure


def attribute_counts(counts: object, names: Sequence[str], *, xlabel: str = "Items", title: str = "") -> Figure:
    """How many items have each attribute, as bars that lie down in the order given.

    Read: the rare ones, whose best latent has the least evidence behind it.
    """
    return mean_bars(counts, names, xlabel=xlabel, ylabel="Attribute", title=title, digits=",.0f", first=False)


@style.styled
def history_lengths(lengths: object, *, mark: Real | None = None, unit: str = "Users") -> Figure:
    """How many users have how long a history, on a logarithmic axis; ``mark`` is the length that a model reads.

    Read: the share right of the mark, whose oldest items the model never sees.
    """
    length = style.numbers(lengths, "lengths")
    if length.min() < 1:
        raise ValueError(f"lengths start at {length.min():.0f}: expected at least 1")
    figure, grid = style.canvas(2.7)
    ax = grid[0, 0]
    edges = np.unique(np.round(np.geomspace(length.min(), length.max() + 1, BINS + 1)))
    ax.stairs(np.histogram(length, edges)[0], edges, fill=True, color=style.BLUE, alpha=0.85)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(THOUSANDS)
    ax.xaxis.set_minor_formatter(NullFormatter())
    if mark is not None:
        style.upright(ax, mark, f"{mark}: {(length > mark).mean():.0%} are longer")
    ax.set(xlabel="Items in a history", ylabel=unit)
    style.grid(ax, "y")
    return figure
