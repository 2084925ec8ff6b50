"""A concept's latents turned by factors: what moves beside what was asked for."""

from collections.abc import Mapping

import numpy as np

from recsae_book.figures import style
from recsae_book.figures.control import Band
from recsae_book.figures.style import Figure


@style.styled
def by_factor(
    factors: object, panels: Mapping[str, Mapping[str, Band]], *, neutral: float = 1.0, bold: str | None = None
) -> Figure:
    """Curves over factors, equally far apart on the axis; a panel a quantity, a line with its band a way of turning.

    ``{"Share": {"the latent": (value, low, high)}}``. The dashed line is the factor that changes nothing; ``bold`` is
    the way in question. Read: on each side of the dashed line, is the thick line outside the bands of the others?
    """
    x = style.numbers(factors, "factors")
    if not panels:
        raise ValueError("panels is empty: expected a mapping of quantities to lines")
    if neutral not in x:
        raise ValueError(f"neutral={neutral}: expected one of the factors {', '.join(f'{v:g}' for v in x)}")
    rows, place = -(-len(panels) // 2), np.arange(len(x))
    figure, grid = style.canvas(2.3 * rows + 0.7, 2, rows, sharex=True)
    for ax in grid.flat[len(panels) :]:
        ax.set_visible(False)
    for ax, (quantity, lines) in zip(grid.flat, panels.items(), strict=False):
        ax.axvline(place[x == neutral][0], color=style.QUIET, linewidth=1.0, linestyle=(0, (2, 2)), zorder=1)
        ax.axhline(0, color=style.RULE, linewidth=1.0, zorder=1)
        others = iter(range(1, 1 + len(lines)))
        for name, (value, low, high) in lines.items():
            y = style.numbers(value, f"{quantity} of {name}")
            if len(y) != len(x):
                raise ValueError(f"{quantity} of {name} has {len(y)} values: expected {len(x)}, one a factor")
            i = 0 if name == bold else next(others)
            color, marker = style.PALETTE[i % len(style.PALETTE)], style.MARKERS[i % len(style.MARKERS)]
            thick = {"linewidth": 2.4, "zorder": 4} if name == bold else {"linewidth": 1.2, "zorder": 3}
            ax.plot(place, y, color=color, marker=marker, markersize=4, label=name, **thick)
            if low is not None:
                ax.fill_between(place, *map(np.asarray, (low, high)), color=color, alpha=0.15, linewidth=0, zorder=2)
        ax.set_xticks(place, [f"{v:g}" for v in x])
        ax.set(title=quantity, xlabel="Factor", ylabel="Change")
        style.grid(ax, "y")
        ax.xaxis.set_tick_params(labelbottom=True)
    style.legend(figure, 3)
    return figure
