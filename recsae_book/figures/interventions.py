"""Neurons turned by quantiles of what they do by themselves, and what moves beside what was asked for."""

from collections.abc import Mapping, Sequence

import numpy as np

from recsae_book.figures import style
from recsae_book.figures.control import Band, dose_response
from recsae_book.figures.style import Figure


@style.styled
def off_manifold(
    doses: object,
    panels: Mapping[str, Mapping[str, Band]],
    *,
    xlabel: str = "Neuron set to its quantile (1: the largest)",
    low: float = 0.0,
    high: float = 1.0,
    bold: str | None = None,
    columns: int = 2,
) -> Figure:
    """``dose_response`` with the doses shaded that no vector has by itself: below ``low`` and above ``high``.

    Read: how far does the bold line get before the shade begins, and do the other lines get there too?
    """
    figure = dose_response(doses, panels, xlabel=xlabel, neutral=None, bold=bold, columns=columns)
    first, last = style.numbers(doses, "doses").min(), style.numbers(doses, "doses").max()
    margin = 0.04 * (last - first)
    if legends := [legend for ax in figure.axes if (legend := ax.get_legend())]:
        for legend in legends:
            legend.remove()
        style.legend(figure, 4)  # one for all: the panels have the same lines
    for ax in (ax for ax in figure.axes if ax.get_visible()):
        ax.set_xlim(first - margin, last + margin)
        for a, b in ((first - margin, low), (high, last + margin)):
            if b - a > margin * 1.01:
                ax.axvspan(a, b, color="#ece7dd", linewidth=0, zorder=0)
                where = {"transform": ax.get_xaxis_transform(), "ha": "center"}
                ax.text((a + b) / 2, 1.015, "off-manifold", fontsize=7.5, color=style.RUST, **where)
    return figure


@style.styled
def collateral(
    panels: Mapping[str, Mapping[str, Mapping[str, Band]]], *, methods: Sequence[str] | None = None
) -> Figure:
    """What each way costs, a panel a quantity, a row a method, a mark a case: ``{"NDCG": {"nudge": {"SAE": band}}}``.

    Lines are intervals; a method that is missing in a case has no mark. Read: in each row, how far from 0 the marks
    are, and whether those of the first row (the SAE) are nearer than those below.
    """
    if not panels:
        raise ValueError("panels is empty: expected a mapping of quantities to cases")
    cases = list(dict.fromkeys(case for found in panels.values() for case in found))
    rows = list(methods or dict.fromkeys(name for found in panels.values() for one in found.values() for name in one))
    figure, grid = style.canvas(len(rows) * max(0.32, 0.11 * len(cases)) + 1.2, len(panels), sharey=True)
    shift = np.linspace(-0.3, 0.3, len(cases)) if len(cases) > 1 else np.zeros(1)
    for ax, (quantity, found) in zip(grid[0], panels.items(), strict=True):
        for y in range(0, len(rows), 2):
            ax.axhspan(y - 0.5, y + 0.5, color="#f2f4f6", linewidth=0, zorder=0)
        ax.axvline(0, color=style.QUIET, linewidth=0.8, zorder=1)
        for i, case in enumerate(cases):
            there = {rows.index(name): band for name, band in found.get(case, {}).items()}
            color, marker = style.PALETTE[i % len(style.PALETTE)], style.MARKERS[i % len(style.MARKERS)]
            for y, (value, low, high) in there.items():
                style.numbers([value], f"{quantity} of {rows[y]}, {case}")
                if low is not None:
                    ax.hlines(y + shift[i], low, high, color=color, linewidth=1.4, alpha=0.7, zorder=2)
                label = case if y == min(there) else None
                ax.scatter(value, y + shift[i], s=26, color=color, marker=marker, linewidth=0, zorder=3, label=label)
        ax.set_yticks(range(len(rows)), rows)
        ax.set(xlabel=quantity, ylim=(len(rows) - 0.5, -0.5))
        style.grid(ax, "x")
        ax.spines["left"].set_visible(False)
    style.legend(figure, 4)
    return figure
