import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection

from recsae_book.figures import concepts, style

ROWS = ["SAE", "permuted", "random SAE", "data rows", "neurons, both signs"]
KINDS = ["any", "genre", "decade", "word", "popularity"]
RNG = np.random.default_rng(0)
TITLES = ["Alien", "One Flew Over the Cuckoo's Nest, a long title", "$9.99"]
PANELS = {t: {r: dict(zip(KINDS, RNG.random(5), strict=True)) for r in ROWS} for t in ("BPR-MF", "LightGCN", "SASRec")}
FIGURES = {
    "described_shares": lambda: concepts.described_shares(PANELS),
    "described_shares of one": lambda: concepts.described_shares({"BPR-MF": {"SAE": {"any": 1, "tag": 0}}}),
    "concept_card": lambda: concepts.concept_card(
        "Latent 7: Horror; from the 1980s", ["Horror", "1980s"], [12, 20], [1.5, 4], 20, TITLES, [0.5, 0.3, 0.1]
    ),
    "concept_card of one term": lambda: concepts.concept_card("Drama", ["Drama"], [3], [1], 20, TITLES[:1], [0.5]),
}


@pytest.fixture(params=FIGURES, scope="module")
def figure(request) -> style.Figure:
    drawn = FIGURES[request.param]()
    FigureCanvasAgg(drawn).draw()
    return drawn


def test_all_is_labelled_and_lies_within_the_figure(figure):
    for ax in (ax for ax in figure.axes if ax.get_visible()):
        ticks = [
            tick.label1
            for axis in (ax.xaxis, ax.yaxis)
            for tick in axis.get_major_ticks()
            if min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
        ]
        for text in [*ticks, ax.xaxis.label, ax.yaxis.label, ax.title]:
            box = text.get_window_extent()
            if text.get_text() and text.get_visible():
                assert -2 <= box.x0 and -2 <= box.y0 and box.x1 <= figure.bbox.x1 + 2 and box.y1 <= figure.bbox.y1 + 2
    assert any(ax.get_xlabel() for ax in figure.axes) and figure.get_figwidth() <= style.WIDTH


def test_a_share_stands_where_it_is_in_the_row_of_its_dictionary():
    (ax,) = concepts.described_shares({"m": {"SAE": {"any": 0.7, "genre": 0.6}, "null": {"any": 0.2}}}).axes
    marks = [c for c in ax.collections if isinstance(c, PathCollection)]
    assert [mark.get_offsets().tolist() for mark in marks] == [[[0.7, 0], [0.2, 1]], [[0.6, 0]]]
    assert marks[0].get_facecolor().tolist() != [[1, 1, 1, 1]] == marks[1].get_facecolor().tolist()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["SAE", "null"]


def test_a_card_has_a_bar_a_count_and_a_dash_where_chance_is():
    left, right = concepts.concept_card("x", ["a", "b"], [5, 9], [1.5, 3], 10, TITLES, [3, 2, 1]).axes
    assert [bar.get_width() for bar in left.patches] == [5, 9] and [bar.get_width() for bar in right.patches] == [
        3,
        2,
        1,
    ]
    (dashes,) = [c for c in left.collections if isinstance(c, LineCollection)]
    assert [segment[0, 0] for segment in dashes.get_segments()] == [1.5, 3]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: concepts.described_shares({}), "panels is empty"),
        (lambda: concepts.described_shares({"m": {"SAE": {"any": 1.2}}}), "any in m lies outside 0 to 1"),
        (lambda: concepts.described_shares({"m": {"SAE": {"any": np.nan}}}), "NaN or infinite"),
        (lambda: concepts.concept_card("x", ["a"], [5], [1], 4, ["t"], [1]), "1 counts up to 5 of 4, 1 expected"),
        (lambda: concepts.concept_card("x", ["a"], [5], [1, 2], 9, ["t"], [1]), "2 expected: do not fit"),
        (lambda: concepts.concept_card("x", ["a", "b"], [5], [1], 9, ["t"], [1]), "has 2 names: expected 1"),
    ],
)
def test_what_cannot_be_drawn_is_named(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
