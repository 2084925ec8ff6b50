"""How well descriptions tell where their latents fire: the three histograms of 2411.06112."""

from collections.abc import Mapping

import numpy as np

from recsae_book.figures import style
from recsae_book.figures.style import Figure


@style.styled
def rate_histograms(
    panels: Mapping[str, Mapping[str, object]], *, bar: float | None = None, bins: int = 10, ylabel: str = "Latents"
) -> Figure:
    """Rates between 0 and 1, a panel a rate, a line a dictionary: ``{"Confidence": {"SAE": values}}``.

    Heights are shares of each dictionary's values, so that dictionaries of different sizes compare; the first is
    filled. ``bar`` is drawn in the last panel. Read: is the filled area further to the right than the lines?
    """
    if not panels or not all(panels.values()) or bins < 1:
        raise ValueError(f"bins={bins}, {len(panels)} panels: expected a bin, a panel and in each a dictionary")
    figure, grid = style.canvas(2.6, len(panels), sharey=True)
    edges = np.linspace(0, 1, bins + 1)
    for ax, (title, found) in zip(grid[0], panels.items(), strict=True):
        for i, (name, values) in enumerate(found.items()):
            rates = style.numbers(values, f"{title}: {name}")
            if rates.min() < 0 or rates.max() > 1:
                raise ValueError(f"{title}: {name} has values from {rates.min()} to {rates.max()}: expected 0 to 1")
            share = np.histogram(rates, edges)[0] / len(rates)
            color = style.PALETTE[i % len(style.PALETTE)]
            ax.stairs(share, edges, color=color, label=name, linewidth=1.8, fill=False)
            if i == 0:
                ax.stairs(share, edges, color=color, alpha=0.22, fill=True)
        ax.set(title=title, xlim=(0, 1), xticks=[0, 0.5, 1])
        style.grid(ax, "y")
    grid[0, 0].set_ylim(bottom=0)
    if bar is not None:
        grid[0, -1].axvline(bar, color=style.ORANGE, linewidth=1.4, linestyle=(0, (4, 2)))
    grid[0, 0].set_ylabel(ylabel)
    grid[0, 0].yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}%")
    style.legend(figure, 4)
    return figure
