"""What two-tower recommenders look like: how long their vectors are."""

from collections.abc import Mapping

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from recsae_book.figures import style
from recsae_book.figures.style import Figure

BINS = 8


@style.styled
def length_by_count(
    panels: Mapping[str, Mapping[str, tuple[object, object]]], *, xlabel: str = "Interactions", ylabel: str = ""
) -> Figure:
    """Vectors' lengths against how often their users or items occur: a panel a thing, a line a model.

    ``panels`` holds (counts, lengths) by panel and model. Lengths are in multiples of the model's median; a line is
    the median of each of a few groups of equal size, its band 80% of a group. Read: a line that rises or falls says
    that the length knows the count.
    """
    if not panels or not all(panels.values()):
        raise ValueError("panels: expected at least one with at least one model")
    figure, grid = style.canvas(3.0, len(panels), sharey=True)
    for ax, (title, models) in zip(grid[0], panels.items(), strict=True):
        for i, (name, pair) in enumerate(models.items()):
            count, length = (style.numbers(x, f"{title}: {name}") for x in pair)
            if len(count) != len(length) or min(count.min(), length.min()) <= 0:
                raise ValueError(f"{title}: {name}: expected as many counts as lengths, all above 0")
            groups = np.array_split(np.argsort(count, kind="stable"), min(BINS, len(count)))
            x = [np.median(count[rows]) for rows in groups]
            low, middle, high = np.transpose([np.quantile(length[rows], (0.1, 0.5, 0.9)) for rows in groups])
            color, unit = style.PALETTE[i % len(style.PALETTE)], np.median(length)
            ax.fill_between(x, low / unit, high / unit, color=color, alpha=0.14, linewidth=0)
            marker = style.MARKERS[i % len(style.MARKERS)]
            ax.plot(x, middle / unit, color=color, marker=marker, markersize=4.5, linewidth=1.8, label=name)
        ax.set_xscale("log")
        near, far = ax.dataLim.intervalx
        ax.xaxis.set_major_locator(LogLocator(10, subs=(1, 3) if far > 60 * near else (1, 2, 5)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set(title=title, xlabel=xlabel)
        style.grid(ax, "both")
    grid[0, 0].set_ylabel(ylabel or "Length of the vector\n(1 = the model's median)")
    style.legend(figure, 4)
    return figure
