"""Training as it went."""

from collections.abc import Mapping

import numpy as np
from matplotlib.ticker import MaxNLocator

from recsae_book.figures import style
from recsae_book.figures.style import Figure, Real


@style.styled
def training_curves(
    panels: Mapping[str, Mapping[str, object]],
    *,
    x: object = None,
    xlabel: str = "Epoch",
    best: Real | None = None,
    log: bool = False,
) -> Figure:
    """Curves over training, one panel a quantity and one line a run: ``{"Loss": {"seed 0": values}}``.

    ``x`` are the places of the values (1, 2, 3 ... without it), shared by all lines; a line may stop early. ``best``
    marks what was kept; ``log`` makes the upright axes logarithmic. Read: does a curve still move at its end?
    """
    if not panels:
        raise ValueError("panels is empty: expected a mapping of quantities to lines")
    figure, grid = style.canvas(2.8, len(panels))
    for ax, (quantity, lines) in zip(grid.flat, panels.items(), strict=True):
        for i, (name, values) in enumerate(lines.items()):
            y = style.numbers(values, f"{quantity} of {name}")
            place = np.arange(1, len(y) + 1) if x is None else style.numbers(x, "x")[: len(y)]
            if len(place) < len(y):
                raise ValueError(f"{quantity} of {name} has {len(y)} values: expected at most {len(place)} as in x")
            color, dash = style.PALETTE[i % len(style.PALETTE)], ("-", "--", "-.", ":")[i % 4]
            marker = "o" if len(y) < 3 else None
            ax.plot(place, y, color=color, linestyle=dash, linewidth=1.7, marker=marker, label=name)
        if best is not None:
            ax.axvline(best, color=style.QUIET, linewidth=1.1, linestyle=(0, (2, 2)))
        if log:
            ax.set_yscale("log")
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.set(xlabel=xlabel, ylabel=quantity)
        style.grid(ax, "y")
    if len({name for lines in panels.values() for name in lines}) > 1:
        style.legend(figure, 4)
    return figure
