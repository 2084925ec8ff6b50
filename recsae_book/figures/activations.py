"""How latents fire: how strongly, on what, how often, how many at once."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, PercentFormatter

from recsae_book.figures import style
from recsae_book.figures.style import Figure, Real

PRESENT, ABSENT = style.BLUE, style.ORANGE
BINS = 40
SHARE = FuncFormatter(lambda value, _: f"{100 * value:.4g}%")


def _panels(values: object, has: object, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    z = style.numbers(values, "values", ndim=2)
    yes = np.asarray(has)
    if yes.shape != z.shape or yes.dtype != bool:
        raise ValueError(f"has is {yes.dtype} of shape {yes.shape}: expected bool of shape {z.shape}")
    return z, yes, style.names(names, z.shape[1], "names")


def _layout(count: int, height: float) -> tuple[Figure, np.ndarray]:
    columns = min(count, 3 if count > 4 or count == 3 else 2)
    rows = int(np.ceil(count / columns))
    figure, grid = style.canvas(height * rows + 0.5, columns, rows)
    for ax in grid.flat[count:]:
        ax.set_visible(False)
    return figure, grid


def _titles(ax: Axes, grid: np.ndarray, title: str) -> None:
    ax.set_title(title, fontsize=9 if grid.shape[1] > 2 else 10)


def _groups(z: np.ndarray, yes: np.ndarray) -> list[tuple[str, np.ndarray, str, str]]:
    found = [("attribute present", z[yes], PRESENT, "-"), ("attribute absent", z[~yes], ABSENT, "--")]
    return [group for group in found if len(group[1])]


def _finish(figure: Figure, grid: np.ndarray) -> None:
    style.legend(figure, 2)
    for ax in grid[:, 1:].flat:
        ax.set_ylabel("")


@style.styled
def activation_histogram(values: object, has: object, names: Sequence[str]) -> Figure:
    """Activations above zero where an attribute is present and where it is absent; one panel a column of ``values``.

    ``values`` and ``has`` are ``[n, panels]``. Heights are shares of the rows of each group, so that a rare
    attribute is as visible as a common one; the share that does not fire is written into the panel. The axis ends
    at the 99.5th percentile of the larger group. Read: how little the two colours overlap.
    """
    z, yes, titles = _panels(values, has, names)
    figure, grid = _layout(len(titles), 2.1)
    for p, ax in enumerate(grid.flat[: len(titles)]):
        groups = _groups(z[:, p], yes[:, p])
        fired = [part[part > 0] for _, part, _, _ in groups]
        top = max([np.quantile(part, 0.995) for part in fired if len(part)], default=1.0)
        edges = np.linspace(0, top, BINS + 1)
        for (name, part, color, _), positive in zip(groups, fired, strict=True):
            share = np.histogram(np.minimum(positive, top), edges)[0] / len(part)
            ax.stairs(share, edges, fill=True, color=color, alpha=0.5, label=name)
            ax.stairs(share, edges, color=color, linewidth=1.1)
        silent = [f"{(part == 0).mean():.0%} of {name.split()[-1]}" for name, part, _, _ in groups]
        text = "do not fire:\n" + "\n".join(silent)
        ax.text(0.98, 0.95, text, transform=ax.transAxes, ha="right", va="top", fontsize=8, color=style.QUIET)
        _titles(ax, grid, titles[p])
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
        style.grid(ax, "y")
        ax.set(xlim=(0, top), xlabel="Activation", ylabel="Share of positions")
    _finish(figure, grid)
    return figure


@style.styled
def ecdf(values: object, has: object, names: Sequence[str]) -> Figure:
    """Cumulative distributions of activations where an attribute is present and absent, as in Figure 5 of 2507.12202.

    ``values`` and ``has`` are ``[n, panels]``. A curve starts at the share of rows in which the latent does not
    fire. Read: the vertical distance between the two curves; a perfect detector has one at the top and one at 0.
    """
    z, yes, titles = _panels(values, has, names)
    figure, grid = _layout(len(titles), 2.1)
    for p, ax in enumerate(grid.flat[: len(titles)]):
        cumulative(ax, z[:, p], yes[:, p])
        _titles(ax, grid, titles[p])
    _finish(figure, grid)
    return figure


def cumulative(ax: Axes, z: np.ndarray, yes: np.ndarray) -> None:
    """Draw both distributions of one latent into a panel."""
    top = max(np.quantile(z, 0.999), 1e-9)
    for name, part, color, line in _groups(z, yes):
        x = np.linspace(0, top, 400)
        share = np.searchsorted(np.sort(part), x, side="right") / len(part)
        ax.step(x, share, where="post", color=color, linestyle=line, linewidth=1.6, label=name)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    style.grid(ax, "both")
    ax.set(xlim=(0, top), ylim=(0, 1.02), xlabel="Activation", ylabel="Positions at or below")


@style.styled
def fire_rate_histogram(rates: Mapping[str, object]) -> Figure:
    """How many latents fire how often, for one or more dictionaries; ``rates`` are shares of rows between 0 and 1.

    The axis is logarithmic; latents that never fire are counted in the legend. Read: a heap at the left is a
    dictionary whose latents are rare events, one near 1 has latents that are always on.
    """
    found = {name: style.numbers(rate, f"rates of {name}") for name, rate in rates.items()}
    for name, rate in found.items():
        if rate.min() < 0 or rate.max() > 1:
            raise ValueError(f"rates of {name} run from {rate.min()} to {rate.max()}: expected shares from 0 to 1")
    figure, grid = style.canvas(2.9)
    ax = grid[0, 0]
    lowest = min([rate[rate > 0].min() for rate in found.values() if (rate > 0).any()], default=0.01)
    edges = np.geomspace(min(lowest, 0.5), 1, BINS + 1)
    for i, (name, rate) in enumerate(found.items()):
        label = f"{name} ({int((rate == 0).sum())} of {len(rate)} never)"
        counts = np.histogram(np.maximum(rate[rate > 0], edges[0]), edges)[0]
        color = style.PALETTE[i % len(style.PALETTE)]
        ax.stairs(counts, edges, fill=len(found) == 1, color=color, linewidth=1.6, alpha=0.9, label=label)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(SHARE)
    ax.set(xlabel="Share of positions in which a latent fires", ylabel="Latents", xlim=(edges[0], 1))
    style.grid(ax, "y")
    style.legend(figure, 2)
    return figure


@style.styled
def l0_histogram(counts: Mapping[str, object], *, width: Real | None = None) -> Figure:
    """How many latents fire at once, as shares of rows, for one or more dictionaries or thresholds.

    ``width`` marks the width of the vector. Read: where the heap lies beside that mark; the legend gives each mean.
    """
    found = {name: style.numbers(count, f"counts of {name}") for name, count in counts.items()}
    if any(count.min() < 0 for count in found.values()):
        raise ValueError("counts: expected numbers of latents, none negative")
    figure, grid = style.canvas(2.9)
    ax = grid[0, 0]
    top = max([count.max() for count in found.values()] + ([] if width is None else [width]))
    step = max(1, int(np.ceil((top + 1) / 80)))
    edges = np.arange(0, top + step + 1, step) - 0.5
    for i, (name, count) in enumerate(found.items()):
        share = np.histogram(count, edges)[0] / len(count)
        color = style.PALETTE[i % len(style.PALETTE)]
        ax.stairs(share, edges, fill=True, color=color, alpha=0.35)
        ax.stairs(share, edges, color=color, linewidth=1.4, label=f"{name}, mean {count.mean():.1f}")
    if width is not None:
        style.upright(ax, width, f"width {width}")
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    ax.set(xlabel="Latents that fire at a position", ylabel="Share of positions", xlim=(edges[0], edges[-1]))
    style.grid(ax, "y")
    style.legend(figure, 3)
    return figure
