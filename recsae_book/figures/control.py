"""Steering: what moves with the dose, what it costs, and whether one gets what one asked for."""

from collections.abc import Mapping, Sequence

import numpy as np

from recsae_book.figures import style
from recsae_book.figures.style import Figure

Band = tuple[object, object, object]  # value, low, high


@style.styled
def dose_response(
    doses: object,
    panels: Mapping[str, Mapping[str, Band]],
    *,
    xlabel: str = "Dose",
    neutral: float | None = 0.0,
    bold: str | None = None,
    columns: int = 2,
) -> Figure:
    """Curves over the dose, one panel a quantity and one line with its band a subject: ``{"Share": {"Drama": ...}}``.

    ``bold`` is the subject that is steered: its line is thick and blue, the others take the other colours. The dashed
    line is the dose that changes nothing. Read: which lines bend that nobody touched?
    """
    x = style.numbers(doses, "doses")
    if not panels:
        raise ValueError("panels is empty: expected a mapping of quantities to lines")
    rows = -(-len(panels) // columns)
    figure, grid = style.canvas(2.5 * rows + 0.5, columns, rows, sharex=True)
    for ax in grid.flat[len(panels) :]:
        ax.set_visible(False)
    for ax, (quantity, lines) in zip(grid.flat, panels.items(), strict=False):
        others = iter(range(1, 1 + len(lines)))
        for name, (value, low, high) in lines.items():
            y = style.numbers(value, f"{quantity} of {name}")
            if len(y) != len(x):
                raise ValueError(f"{quantity} of {name} has {len(y)} values: expected {len(x)}, one a dose")
            place = 0 if name == bold or len(lines) == 1 else next(others)
            color, thick = style.PALETTE[place % len(style.PALETTE)], 2.2 if place == 0 else 1.4
            mark = None if place == 0 else style.MARKERS[place % len(style.MARKERS)]
            label = name if len(lines) > 1 else "_"  # a line alone in its panel needs no legend
            ax.plot(
                x, y, color=color, linewidth=thick, marker=mark, markersize=3.5, label=label, zorder=3 - (place > 0)
            )
            if low is not None:
                ax.fill_between(x, *map(np.asarray, (low, high)), color=color, alpha=0.18, linewidth=0)
        if neutral is not None:
            ax.axvline(neutral, color=style.QUIET, linewidth=1.0, linestyle=(0, (2, 2)))
        ax.set(xlabel=xlabel, ylabel=quantity)
        style.grid(ax, "y")
        ax.xaxis.set_tick_params(labelbottom=True)
        if len(lines) > 1:  # a legend of its own: the colours of another panel are other subjects
            ax.legend(fontsize=7.5, ncols=2, loc="best", frameon=True, framealpha=0.85, edgecolor="none")
    return figure


@style.styled
def pareto(
    panels: Mapping[str, Mapping[str, Sequence[object]]],
    *,
    mark: Mapping[str, float] | None = None,
    xlabel: str = "Share of the list",
    ylabel: str = "NDCG@10",
    columns: int = 2,
) -> Figure:
    """What a share costs: one panel a genre, one line a method through its doses, ``(share, value[, low, high])``.

    ``mark`` is the share that all methods are compared at in each panel. Read: at the dashed line, which curve is
    highest, and do the bands part?
    """
    if not panels:
        raise ValueError("panels is empty: expected a mapping of genres to lines")
    rows = -(-len(panels) // columns)
    figure, grid = style.canvas(2.7 * rows + 0.6, columns, rows)
    for ax in grid.flat[len(panels) :]:
        ax.set_visible(False)
    for ax, (title, lines) in zip(grid.flat, panels.items(), strict=False):
        for i, (name, (share, value, *bounds)) in enumerate(lines.items()):
            x, y = style.numbers(share, f"share of {name}"), style.numbers(value, f"value of {name}")
            color, marker = style.PALETTE[i % len(style.PALETTE)], style.MARKERS[i % len(style.MARKERS)]
            ax.plot(x, y, color=color, marker=marker, markersize=3.5, linewidth=2.0 if i == 0 else 1.3, label=name)
            if bounds:
                ax.fill_between(x, *map(np.asarray, bounds), color=color, alpha=0.13, linewidth=0)
        if mark is not None:
            ax.axvline(mark[title], color=style.QUIET, linewidth=1.0, linestyle=(0, (2, 2)))
        ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
        style.grid(ax, "both")
    style.legend(figure, 4)
    return figure


@style.styled
def asked_and_given(
    asked: object, given: Mapping[str, object], *, low: object = None, xlabel: str = "Share asked for"
) -> Figure:
    """Shares given against shares asked for, a mark a genre: ``{"one dose": values}``, one panel each.

    ``low`` (not drawn where None) is each genre's share before. Read: the distance of the marks from the diagonal.
    """
    x = style.numbers(asked, "asked")
    shown = {name: style.numbers(values, name) for name, values in given.items()}
    top = 1.08 * max(x.max(), *(y.max() for y in shown.values()))
    figure, grid = style.canvas(3.3, len(shown), sharey=True)
    for ax, (name, y) in zip(grid.flat, shown.items(), strict=True):
        ax.plot([0, 1], [0, 1], color=style.QUIET, linewidth=1.0, linestyle=(0, (2, 2)), zorder=1)
        jitter = np.linspace(-0.012, 0.012, len(x))
        if low is not None:
            ax.vlines(x + jitter, style.numbers(low, "low"), y, color=style.RULE, linewidth=1.2, zorder=0)
        ax.scatter(x + jitter, y, s=22, color=style.BLUE, alpha=0.8, linewidth=0, zorder=2)
        ax.set(title=name, xlabel=xlabel, ylabel="Share given", xlim=(0, top), ylim=(0, top))
        style.grid(ax, "both")
    return figure
