"""What changes with a setting: many quantities over one knob."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import LogLocator, NullLocator

from recsae_book.figures import style
from recsae_book.figures.style import Figure, Real


@style.styled
def sweep(
    panels: Mapping[str, Mapping[str, tuple[object, object]]],
    *,
    xlabel: str,
    quiet: Sequence[str] = (),
    mark: Real | None = None,
    columns: int = 3,
) -> Figure:
    """Small multiples over a logarithmic axis: ``{"Dead latents": {"TopK": (settings, values)}}``, as in Figure 3 of
    2507.12202.

    Lines named in ``quiet`` are grey and dashed (nulls); ``mark`` is an upright line (the paper's setting). Read: over
    which range of the setting a panel is flat, and whether the coloured lines stay clear of the grey ones.
    """
    if not panels:
        raise ValueError("panels is empty: expected a mapping of quantities to lines")
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    loud, rows = [name for name in names if name not in quiet], -(-len(panels) // columns)
    figure, grid = style.canvas(2.1 * rows + 0.5, min(columns, len(panels)), rows)
    places = sorted({float(x) for lines in panels.values() for place, _ in lines.values() for x in np.ravel(place)})
    for ax, (quantity, lines) in zip(grid.flat, panels.items(), strict=False):
        for name, (place, value) in lines.items():
            y = style.numbers(value, f"{quantity} of {name}")
            x = style.numbers(place, f"{xlabel} of {name}")
            if len(x) != len(y) or x.min() <= 0:
                raise ValueError(f"{quantity} of {name}: {len(y)} values at {len(x)} places: expected one at each > 0")
            order, i = np.argsort(x), loud.index(name) if name in loud else list(quiet).index(name)
            look = {"color": style.PALETTE[i % len(style.PALETTE)], "linestyle": "-", "linewidth": 1.6}
            if name in quiet:
                look = {"color": style.GREY, "linestyle": ("--", ":", "-.")[i % 3], "linewidth": 1.3}
            marker = style.MARKERS[i % len(style.MARKERS)] if name in loud else None
            ax.plot(x[order], y[order], marker=marker, markersize=4, label=name, **look)
        if mark is not None:
            ax.axvline(mark, color=style.RULE, linewidth=4, zorder=0)
        ax.set_xscale("log")
        wide = np.divide(*ax.get_xlim()[::-1]) > 30
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 3) if wide else (1, 2, 5), numticks=12))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter("")
        if len(places) <= 4:
            ax.set_xticks(places)
            ax.xaxis.set_minor_locator(NullLocator())
        ax.set(xlabel=xlabel, ylabel=quantity)
        style.grid(ax, "y")
    for ax in grid.flat[len(panels) :]:
        ax.set_visible(False)
    style.legend(figure, 3)
    return figure
