"""One look for all figures: sizes for a column of 700 pixels, a palette that colour-blind readers can tell apart."""

import io
from collections.abc import Callable, Sequence
from functools import wraps
from typing import ParamSpec

import numpy as np
from matplotlib import axes
from matplotlib.figure import Figure as _Figure
from matplotlib.style import context as look
from PIL import Image

P = ParamSpec("P")
Real = float | int | np.number

DPI = 120
WIDTH = 7.0  # inches
INK, QUIET, RULE = "#20262b", "#5a646c", "#d5dade"
# Okabe and Ito's palette, darkened where it is too pale on white; the SAE is always the blue one
BLUE, ORANGE, GREEN, PURPLE = "#0a68a8", "#d1711f", "#0b8a66", "#a85088"
SKY, BROWN, GREY = "#4fa3d6", "#8a6d1d", "#7d868d"
RUST = "#9a4c0c"  # the orange, dark enough for text
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, SKY, BROWN, GREY)
MARKERS = ("o", "s", "D", "^", "v", "P", "X")
DIVERGING = "RdBu_r"

RC = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.labelsize": 9.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "savefig.facecolor": "white",
    "figure.facecolor": "white",
}


class Figure(_Figure):
    """A figure that shows itself in a notebook without pyplot, always with the same bytes for the same numbers."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        with look(["default", RC]):
            self.savefig(buffer, format="png", dpi=DPI)
        return _with_palette(Image.open(buffer).convert("RGB"))


def _with_palette(whole: Image.Image) -> bytes:
    """A PNG of 256 colours, a third of the size: the 128 most frequent ones as they are, so that areas keep theirs."""
    pixels = np.asarray(whole).reshape(-1, 3).astype(np.int32) @ (1 << 16, 1 << 8, 1)
    found, inverse, count = np.unique(pixels, return_inverse=True, return_counts=True)
    colours = np.stack([found >> 16, found >> 8 & 255, found & 255], 1)
    exact = colours[np.argsort(-count, kind="stable")[:128]]
    others = whole.quantize(128, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).getpalette() or []
    palette = np.concatenate([exact, np.array(others).reshape(-1, 3)])[:256]
    nearest = np.square(colours[:, None] - palette).sum(2).argmin(1).astype(np.uint8)
    small, buffer = Image.fromarray(nearest[inverse].reshape(whole.size[::-1])), io.BytesIO()
    small.putpalette(palette.ravel().tolist())
    small.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def canvas(
    height: float, columns: int = 1, rows: int = 1, width: float = WIDTH, **options: object
) -> tuple[Figure, np.ndarray]:
    """A figure of ``width`` x ``height`` inches and its axes as an array of shape ``(rows, columns)``."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def numbers(values: object, name: str, ndim: int = 1) -> np.ndarray:
    """``values`` as float64; ``ValueError`` unless they are finite and have ``ndim`` dimensions and a value."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != ndim or array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}: expected {ndim} dimension{'s' * (ndim > 1)}, none empty")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds {int((~np.isfinite(array)).sum())} values that are NaN or infinite")
    return array


def names(labels: Sequence[str], count: int, what: str) -> list[str]:
    """``labels`` as text; ``ValueError`` unless there are ``count``. A dollar sign stays one."""
    if len(labels) != count:
        raise ValueError(f"{what} has {len(labels)} names: expected {count}")
    return [str(label).replace("$", r"\$") for label in labels]


def interval(low: object, high: object, value: np.ndarray, name: str) -> np.ndarray | None:
    """Distances below and above ``value`` as ``[2, n]`` for error bars, None where no interval is given."""
    if low is None and high is None:
        return None
    if low is None or high is None:
        raise ValueError(f"{name}: expected both low and high, or neither")
    below, above = value - numbers(low, f"{name}: low"), numbers(high, f"{name}: high") - value
    if below.min() < -1e-9 or above.min() < -1e-9:
        raise ValueError(f"{name}: a value lies outside its interval")
    return np.maximum(np.stack([below, above]), 0)


def grid(ax: axes.Axes, axis: str) -> None:
    """Thin rules along the values."""
    ax.grid(axis=axis)
    ax.tick_params(length=0, axis="both")


def upright(ax: axes.Axes, x: Real, text: str) -> None:
    """A dashed line at ``x`` with its name above the panel."""
    ax.axvline(x, color=ORANGE, linewidth=1.4, linestyle=(0, (4, 2)))
    ax.text(x, 1.02, text, transform=ax.get_xaxis_transform(), color=RUST, fontsize=8.5, ha="center")


def legend(figure: Figure, columns: int) -> None:
    """One legend above all panels, each name once."""
    pairs: dict[str, object] = {}
    for ax in figure.axes:
        handles, texts = ax.get_legend_handles_labels()
        pairs |= dict(zip(texts, handles, strict=True))
    figure.legend(pairs.values(), pairs.keys(), loc="outside upper center", ncols=min(len(pairs), columns))


def styled(function: Callable[P, Figure]) -> Callable[P, Figure]:
    """The function drawing in this style, whatever the reader's own settings are, and leaving those alone."""

    @wraps(function)
    def draw(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with look(["default", RC]):
            return function(*args, **kwargs)

    return draw
