import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection

from recsae_book.figures import purity, style

RNG = np.random.default_rng(0)
GENRES = ["Drama", "Children's", "Film-Noir", "Documentary", "A genre with a long name"]
DECADES = ["1950s and before", "1960s", "1970s", "1980s", "1990s", "2000s"]
FIGURES = {
    "purity_heatmap": lambda: purity.purity_heatmap(
        RNG.random((18, 14)), list("abcdefghijklmnopqr"), 14 * ["untrained"]
    ),
    "purity_heatmap of many": lambda: purity.purity_heatmap(RNG.random((63, 14)), 63 * ["post_hardcore"], 14 * ["SAE"]),
    "two_measures": lambda: purity.two_measures(
        {m: {f"dictionary {i}": tuple(RNG.random(2)) for i in range(14)} for m in ("MF", "NCF")},
        "x",
        "y",
        bold=["dictionary 1"],
    ),
    "stacked_shares": lambda: purity.stacked_shares(
        RNG.dirichlet(np.ones(6), 5), ["catalogue", *(f"latent {i}" for i in range(4))], DECADES, xlabel="Share"
    ),
}


@pytest.fixture(params=FIGURES, scope="module")
def figure(request) -> style.Figure:
    drawn = FIGURES[request.param]()
    FigureCanvasAgg(drawn).draw()
    return drawn


def test_all_is_labelled_and_lies_within_the_figure(figure):
    for ax in figure.axes:
        if ax.get_label() == "<colorbar>":
            continue
        assert ax.get_xlabel()
        ticks = [
            tick.label1
            for axis in (ax.xaxis, ax.yaxis)
            for tick in axis.get_major_ticks()
            if min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
        ]
        for text in [*ticks, ax.xaxis.label, ax.yaxis.label]:
            box = text.get_window_extent()
            if text.get_text() and text.get_visible():
                assert -2 <= box.x0 and -2 <= box.y0 and box.x1 <= figure.bbox.x1 + 2 and box.y1 <= figure.bbox.y1 + 2
    assert figure.get_figwidth() <= style.WIDTH


def test_the_best_of_a_row_is_bold_unless_it_is_the_ceiling():
    ax = purity.purity_heatmap([[0.5, 0.7, 0.9], [0.6, 0.2, 0.9]], ["a", "b"], ["SAE", "ICA", "probe"]).axes[0]
    assert [text.get_weight() for text in ax.texts] == ["normal", "bold", "normal", "bold", "normal", "normal"]
    assert [text.get_text() for text in ax.texts] == [".50", ".70", ".90", ".60", ".20", ".90"]


def test_marks_stand_where_the_numbers_are_and_only_bold_ones_are_filled():
    (ax,) = purity.two_measures({"MF": {"SAE": (0.2, 0.5), "ICA": (0.3, 0.7)}}, "x", "y", bold=["SAE"]).axes
    marks = [c for c in ax.collections if isinstance(c, PathCollection)]
    assert [tuple(c.get_offsets()[0]) for c in marks] == [(0.2, 0.5), (0.3, 0.7)]
    assert marks[1].get_facecolor().tolist() == [[1, 1, 1, 1]] != marks[0].get_facecolor().tolist()


def test_bars_of_a_row_add_up_to_one():
    ax = purity.stacked_shares([[0.25, 0.75], [1.0, 0.0]], ["all", "one"], ["old", "new"], xlabel="Share").axes[0]
    widths = np.array([bar.get_width() for bar in ax.patches]).reshape(2, 2).T
    np.testing.assert_allclose(widths, [[0.25, 0.75], [1, 0]])


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: purity.purity_heatmap([[1.2]], ["a"], ["b"]), "outside 0 to 1"),
        (lambda: purity.purity_heatmap([[np.nan]], ["a"], ["b"]), "NaN or infinite"),
        (lambda: purity.purity_heatmap([[0.2]], ["a", "c"], ["b"]), "attribute_names has 2 names: expected 1"),
        (lambda: purity.two_measures({"a": {}}, "x", "y"), "panels is empty"),
        (lambda: purity.two_measures({"a": {"b": (1, np.nan)}}, "x", "y"), "b holds 1 values that are NaN"),
        (lambda: purity.stacked_shares([[0.4, 0.4]], ["a"], ["b", "c"], xlabel="x"), "add up to 1"),
    ],
)
def test_what_cannot_be_drawn_is_named(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
