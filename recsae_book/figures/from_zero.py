"""The two chapters from zero: who took what, a map of items, more directions than a plane has, an SAE finding them."""

from collections.abc import Mapping, Sequence

import numpy as np

from recsae_book.figures import style
from recsae_book.figures.style import Figure, Real


@style.styled
def took(matrix: object, count: object) -> Figure:
    """Who took what: ``matrix`` is some users (rows) by all items, most popular first; ``count`` users of each item.

    Read: how empty the left panel is and how it thins out to the right; how steep the right one begins.
    """
    table, users = style.numbers(matrix, "matrix", ndim=2), style.numbers(count, "count")
    if table.shape[1] != len(users) or (np.diff(users) > 0).any():
        raise ValueError(f"{len(users)} counts of {table.shape[1]} items: expected one an item, the largest first")
    figure, grid = style.canvas(2.9, 2, width_ratios=[2, 1])
    left, right = grid[0]
    left.imshow(1 - table, cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    left.set(xlabel="Items, most popular first", ylabel="Users", title="Who took what")
    share = np.cumsum(users) / users.sum()
    right.plot(np.arange(1, len(users) + 1) / len(users), share, color=style.BLUE, linewidth=2)
    right.plot([0, 1], [0, 1], color=style.GREY, linewidth=1, linestyle="--")
    right.set(xlabel="Share of the items", ylabel="Share of all choices", title="Popularity", xlim=(0, 1), ylim=(0, 1))
    style.grid(right, "both")
    return figure


@style.styled
def item_map(place: object, marked: Mapping[str, object]) -> Figure:
    """The same map of items, ``[i, 2]``, once for each name of ``marked``, whose items (a mask) are in colour.

    Read: whether the coloured items lie together, and whether they lie in a direction of their own.
    """
    at = style.numbers(place, "place", ndim=2)
    masks = {name: np.asarray(mask, dtype=bool) for name, mask in marked.items()}
    if at.shape[1] != 2 or not masks or any(mask.shape != (len(at),) for mask in masks.values()):
        raise ValueError(f"place has shape {at.shape}: expected (items, 2) and at least one mask of as many items")
    columns = min(len(masks), 4)
    rows = -(-len(masks) // columns)
    figure, grid = style.canvas(style.WIDTH / columns * rows * 0.95 + 0.1, columns, rows, sharex=True, sharey=True)
    for ax in grid.flat[len(masks) :]:
        ax.set_visible(False)
    for ax, (name, mask) in zip(grid.flat, masks.items(), strict=False):
        ax.scatter(*at[~mask].T, s=3, color="#c9cfd4", linewidth=0)
        ax.scatter(*at[mask].T, s=9, color=style.BLUE, linewidth=0)
        ax.set(title=style.names([name], 1, "marked")[0], xticks=[], yticks=[])
        ax.spines[:].set(visible=True, color=style.RULE)
    return figure


@style.styled
def superposition(directions: object, panels: Mapping[str, object]) -> Figure:
    """More ``directions``, ``[f, 2]``, than a plane has; each panel shows rows, ``[n, 2]``, that are sums of them.

    Read: in which panel an eye that sees only the dots could draw the arrows.
    """
    axes = style.numbers(directions, "directions", ndim=2)
    rows = {name: style.numbers(row, name, ndim=2) for name, row in panels.items()}
    if not rows or {axes.shape[1], *(row.shape[1] for row in rows.values())} != {2}:
        raise ValueError("panels: expected at least one, of rows in the plane, and directions in the plane")
    figure, grid = style.canvas(style.WIDTH / len(rows) + 0.4, len(rows), sharex=True, sharey=True)
    for ax, (name, row) in zip(grid[0], rows.items(), strict=True):
        ax.scatter(*row.T, s=5, color=style.GREY, alpha=0.5, linewidth=0)
        for i, (x, y) in enumerate(axes):
            arrow = {"arrowstyle": "-|>", "color": style.PALETTE[i % len(style.PALETTE)], "linewidth": 2}
            ax.annotate("", (x, y), (0, 0), arrowprops=arrow | {"shrinkA": 0, "shrinkB": 0})
        ax.set(title=name, xlabel="Neuron 1", aspect="equal")
        style.grid(ax, "both")
    grid[0, 0].set_ylabel("Neuron 2")
    return figure


@style.styled
def learning(step: object, cosine: object, chance: Real) -> Figure:
    """Cosine of each true direction with its best latent, ``[t, f]``, over the ``step`` of training: mean and spread.

    The band holds 80% of the directions, thin lines are the best and the worst; ``chance`` is the mean for as many
    random directions. Read: when the mean leaves the dashed line, and how far behind the worst direction is.
    """
    at, value = style.numbers(step, "step"), style.numbers(cosine, "cosine", ndim=2)
    if len(at) != len(value):
        raise ValueError(f"{len(at)} steps and {len(value)} rows of cosines: expected as many")
    figure, grid = style.canvas(2.7)
    ax = grid[0, 0]
    ax.fill_between(at + 1, *np.quantile(value, (0.1, 0.9), axis=1), color=style.SKY, alpha=0.3, linewidth=0)
    ax.plot(at + 1, np.stack([value.min(1), value.max(1)], 1), color=style.SKY, linewidth=0.9)
    ax.plot(at + 1, value.mean(1), color=style.BLUE, linewidth=2.4, label="mean of the true directions")
    ax.axhline(chance, color=style.GREY, linestyle="--", linewidth=1.4, label="the same for random directions")
    ax.set(xscale="log", xlabel="Training steps (and one)", ylabel="Cosine with the best latent", ylim=(None, 1.01))
    ax.xaxis.set_major_formatter("{x:g}")
    style.grid(ax, "y")
    style.legend(figure, 2)
    return figure


@style.styled
def firing(panels: Mapping[str, object], names: Sequence[str]) -> Figure:
    """How often the latent chosen for each concept (row) fires on each concept (column): a heatmap a dictionary.

    Read: how dark the diagonal is, and how pale the rest of each row; equal rows have the same latent.
    """
    tables = {name: style.numbers(table, name, ndim=2) for name, table in panels.items()}
    labels = style.names(names, len(names), "names")
    if not tables or any(t.shape != (len(labels),) * 2 or t.min() < 0 or t.max() > 1 for t in tables.values()):
        raise ValueError(f"panels: expected at least one of {len(labels)} x {len(labels)} shares from 0 to 1")
    figure, grid = style.canvas(style.WIDTH / len(tables) + 0.55, len(tables), sharey=True)
    for ax, (name, table) in zip(grid[0], tables.items(), strict=True):
        image = ax.imshow(table, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        ax.set_xticks(range(len(labels)), labels, rotation=90, fontsize=8)
        ax.set_yticks(range(len(labels)), labels, fontsize=8)
        ax.set(title=name, xlabel="Genre of the item")
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
    grid[0, 0].set_ylabel("Latent chosen for")
    bar = figure.colorbar(
        image, ax=grid[0].tolist(), fraction=0.03, pad=0.015, label="Share of its rows on which it fires"
    )
    bar.outline.set_visible(False)
    return figure
