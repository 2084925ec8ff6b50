"""Ways to make a dictionary at a glance: what it finds against what its copy keeps."""

from collections.abc import Mapping, Sequence

from recsae_book.figures import style
from recsae_book.figures.style import Figure, Real

Place = tuple[Real, Real, Real, Real]  # what is kept; what is found with the ends of its interval
GREYS = "PXv*p<>hd"  # markers of the nulls; the ways have the first of style.MARKERS


@style.styled
def found_and_kept(
    panels: Mapping[str, Mapping[str, Place]],
    own: Mapping[str, Mapping[str, Place]],
    *,
    ways: Sequence[str],
    xlabel: str = "Share of the top ten that the copy keeps",
    columns: int = 2,
) -> Figure:
    """A panel a measure, a mark a dictionary: what its copy keeps (across) and what it finds (up), with its interval.

    Filled and coloured: the ``ways`` at a common sparsity. Hollow, joined to them: the same ways as published
    (``own``). Grey: everything else. Read: does any coloured interval lie above all grey ones, and how far to the
    right is it?
    """
    if not panels or any(not set(ways) <= set(marks) for marks in panels.values()):
        raise ValueError(f"panels: expected at least one, each with {', '.join(ways)}")
    nulls = list(dict.fromkeys(name for marks in panels.values() for name in marks if name not in ways))
    if len(nulls) > len(GREYS):
        raise ValueError(f"{len(nulls)} nulls: expected at most {len(GREYS)}")
    rows = -(-len(panels) // columns)
    figure, grid = style.canvas(2.9 * rows + 0.9, min(len(panels), columns), rows)
    for ax in grid.flat[len(panels) :]:
        ax.set_visible(False)
    for ax, (title, marks) in zip(grid.flat, panels.items(), strict=False):
        for name in [*nulls, *ways]:
            if name not in marks:
                continue
            x, y, low, high = style.numbers(marks[name], f"{title}: {name}")
            style.interval([low], [high], y[None], f"{title}: {name}")
            way = name in ways
            color = style.PALETTE[ways.index(name)] if way else style.GREY
            shape, face = (style.MARKERS[ways.index(name)], color) if way else (GREYS[nulls.index(name)], "none")
            ax.vlines(x, low, high, color=color, linewidth=1.8 if way else 0.9, zorder=2 + way)
            look = {"s": 62 if way else 40, "marker": shape, "facecolor": face, "edgecolor": color, "zorder": 3 + way}
            ax.scatter(x, y, linewidth=1.2, label=str(name).replace("$", r"\$"), **look)
            if way and name in own.get(title, {}):
                to_x, to_y, *_ = style.numbers(own[title][name], f"{title}: {name}, own")
                ax.plot([x, to_x], [y, to_y], color=color, linewidth=1.0, linestyle=(0, (2, 2)), zorder=2)
                ax.scatter(to_x, to_y, s=46, marker=shape, facecolor="white", edgecolor=color, linewidth=1.4, zorder=3)
        ax.set(title=title, xlabel=xlabel, ylim=(min(0.0, ax.get_ylim()[0]), None))
        style.grid(ax, "both")
    style.legend(figure, 4)
    return figure
