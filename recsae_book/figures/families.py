"""What recommenders keep when their vectors are replaced: a mark a variant with its interval, beside a bar to pass."""

from collections.abc import Mapping

import numpy as np

from recsae_book.figures import style
from recsae_book.figures.style import Figure, Real

Band = tuple[Real, Real, Real]  # value, low, high


@style.styled
def kept(
    panels: Mapping[str, Mapping[str, Band]],
    *,
    target: Real = 0.99,
    chosen: Mapping[str, str] | None = None,
    xlabel: str = "NDCG@10 that is left",
) -> Figure:
    """A panel a data set, a row a variant: value, low and high of what is left of the unedited model's quality.

    ``chosen`` names one variant of each panel, which is drawn in orange. Read: which intervals lie right of the dashed
    line at ``target``, and which hold it, so that these users cannot tell.
    """
    if not panels or not all(panels.values()):
        raise ValueError("panels: expected at least one with at least one variant")
    order = list(dict.fromkeys(name for rows in panels.values() for name in rows))
    labels = style.names(order, len(order), "variants")
    figure, grid = style.canvas(0.3 * len(order) + 1.1, len(panels), sharey=True)
    for ax, (title, rows) in zip(grid[0], panels.items(), strict=True):
        for name, band in rows.items():
            value, low, high = style.numbers(band, f"{title}: {name}")
            style.interval([low], [high], np.array([value]), f"{title}: {name}")
            best = (chosen or {}).get(title) == name
            color, y = (style.ORANGE if best else style.BLUE), order.index(name)
            ax.hlines(y, low, high, color=color, linewidth=1.6, zorder=2)
            ax.plot(value, y, "D" if best else "o", color=color, markersize=6.5, markeredgecolor="white", zorder=3)
        ax.axvline(1.0, color=style.QUIET, linewidth=0.9, zorder=1)
        style.upright(ax, target, f"{target:g}")
        ax.set(title=title, xlabel=xlabel, ylim=(len(order) - 0.5, -0.5))
        ax.title.set_position((0, 1.06))
        style.grid(ax, "x")
        ax.spines["left"].set_visible(False)
    grid[0, 0].set_yticks(np.arange(len(order)), labels)
    return figure
