"""How a dictionary divides its work: cards of single latents, agreement of runs, latents a concept takes, effects."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from recsae_book.figures import style
from recsae_book.figures.activations import cumulative
from recsae_book.figures.style import Figure, Real

LONGEST = 27  # characters of a title that fit beside a panel


def _lying(ax: Axes, values: np.ndarray, labels: Sequence[str], filled: np.ndarray, xlabel: str) -> None:
    where = np.arange(len(values))
    ax.barh(where, values, height=0.7, color=[style.BLUE if own else style.GREY for own in filled])
    ax.set_yticks(where, [text if len(text) <= LONGEST else text[: LONGEST - 1] + "…" for text in labels], fontsize=8.5)
    ax.set(xlabel=xlabel, ylim=(len(values) - 0.4, -0.6))
    ax.axvline(0, color=style.QUIET, linewidth=0.8)
    style.grid(ax, "x")
    ax.spines["left"].set_visible(False)


@style.styled
def feature_card(
    name: str,
    titles: Sequence[str],
    means: object,
    has: Sequence[bool],
    values: object,
    present: object,
    attribute_names: Sequence[str],
    r: object,
    effect: object,
    own: int,
) -> Figure:
    """One latent on a page: its top items, its activations as ECDFs, its correlations, its effect on the scores.

    ``means`` are the mean activations of the items in ``titles``, ``has`` whether they have the attribute ``own``;
    ``values`` and ``present`` are the latent and the attribute on all rows; ``r`` and ``effect`` have one value an
    attribute. Read: do the four panels name the same concept?
    """
    mean, z = style.numbers(means, "means"), style.numbers(values, "values")
    profile, moved = style.numbers(r, "r"), style.numbers(effect, "effect")
    genres, yes = style.names(attribute_names, len(profile), "attribute_names"), np.asarray(present, dtype=bool)
    if yes.shape != z.shape or len(moved) != len(profile):
        raise ValueError(f"present {yes.shape}, effect {moved.shape}: expected {z.shape} and {profile.shape}")
    figure, grid = style.canvas(2.4 + 0.17 * len(genres) + 0.9, 2, 2, height_ratios=[2.2, 0.17 * len(genres) + 0.9])
    figure.suptitle(str(name).replace("$", r"\$"), fontweight="bold", fontsize=11)
    shown = style.names(titles, len(mean), "titles")
    _lying(grid[0, 0], mean, shown, np.asarray(has, dtype=bool), "Mean activation (blue: has the genre)")
    cumulative(grid[0, 1], z, yes)
    grid[0, 1].legend(loc="lower right")
    this = np.arange(len(genres)) == own
    _lying(grid[1, 0], profile, genres, this, "Correlation with the genre (r)")
    _lying(grid[1, 1], moved, genres, this, "Effect on scores of the genre")
    return figure


@style.styled
def agreement(values: Mapping[str, object], *, mark: Real = 0.7, xlabel: str = "Cosine with its partner") -> Figure:
    """For each kind of dictionary the share of latents whose partner in another run is at least this close.

    Read at ``mark``, upright: the height of a curve is the share of latents that count as found again.
    """
    figure, grid = style.canvas(3.0)
    ax, x = grid[0, 0], np.linspace(0, 1, 401)
    for i, (name, cosines) in enumerate(values.items()):
        found = np.sort(style.numbers(cosines, f"values of {name}"))
        share = 1 - np.searchsorted(found, x, side="left") / len(found)
        ax.plot(x, share, color=style.PALETTE[i % len(style.PALETTE)], linewidth=1.8, label=name)
    style.upright(ax, mark, f"{mark}")
    ax.set(xlabel=xlabel, ylabel="Share of latents at or above", xlim=(0, 1), ylim=(0, 1.02))
    style.grid(ax, "both")
    style.legend(figure, 4)
    return figure


@style.styled
def probe_curves(sizes: Sequence[int], auc: Mapping[str, object]) -> Figure:
    """ROC AUC of a probe on the best ``sizes`` latents, one line a series. Read: where it bends into its plateau."""
    figure, grid = style.canvas(3.2)
    ax = grid[0, 0]
    for i, (name, values) in enumerate(auc.items()):
        y = style.numbers(values, f"auc of {name}")
        if len(y) != len(sizes):
            raise ValueError(f"auc of {name} has {len(y)} values: expected {len(sizes)}, one a size")
        marker = style.MARKERS[i % len(style.MARKERS)]
        ax.plot(range(len(y)), y, color=style.PALETTE[i % len(style.PALETTE)], marker=marker, markersize=5, label=name)
    ax.set_xticks(range(len(sizes)), [str(size) for size in sizes])
    ax.set(xlabel="Latents that the probe may use", ylabel="ROC AUC on held-out items")
    style.grid(ax, "y")
    style.legend(figure, 4)
    return figure


@style.styled
def effect_scatter(x: object, y: object, chosen: object, xlabel: str, ylabel: str) -> Figure:
    """One dot a latent and attribute; those marked in ``chosen`` (latents picked for an attribute) are large and blue.

    Read: is the cloud a line, and are the large dots among its highest?
    """
    across, up, own = style.numbers(x, "x"), style.numbers(y, "y"), np.asarray(chosen, dtype=bool)
    if not across.shape == up.shape == own.shape:
        raise ValueError(f"x {across.shape}, y {up.shape}, chosen {own.shape}: expected the same length")
    figure, grid = style.canvas(3.6)
    ax = grid[0, 0]
    ax.scatter(across[~own], up[~own], s=5, color=style.GREY, alpha=0.35, linewidth=0, label="other pairs")
    ax.scatter(across[own], up[own], s=34, color=style.BLUE, edgecolor="white", linewidth=0.5, label="chosen by r")
    for line in (ax.axhline, ax.axvline):
        line(0, color=style.QUIET, linewidth=0.8)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    style.grid(ax, "both")
    style.legend(figure, 2)
    return figure
