import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from recsae_book.figures import tuning

FACTORS = [0.0, 0.5, 1.0, 2.0, 5.0]
WAYS = [
    "the latent",
    "another latent there",
    "random direction",
    "best neuron",
    "difference of means",
    "matched latent",
]


def band(seed: int) -> tuple:
    value = np.random.default_rng(seed).normal(0, 0.1, 5)
    return value, value - 0.05, value + 0.05


def drawn(**options):
    names = ("Share of its items in the top 10", "Score of its items, in SD", "NDCG@10", "Overlap with the old top 10")
    panels = {name: {way: band(10 * i + j) for j, way in enumerate(WAYS)} for i, name in enumerate(names)}
    return tuning.by_factor(FACTORS, panels, **options), panels


def test_lines_are_the_numbers_at_equally_spaced_factors_and_one_is_thick():
    figure, panels = drawn(bold="best neuron")
    for ax, lines in zip(figure.axes, panels.values(), strict=True):
        own = {line.get_label(): line for line in ax.lines if line.get_label() in WAYS}
        assert list(own) == WAYS
        for way, (value, _, _) in lines.items():
            np.testing.assert_array_equal(own[way].get_xdata(), range(5))
            np.testing.assert_array_equal(own[way].get_ydata(), value)
        assert max(own, key=lambda way: own[way].get_linewidth()) == "best neuron"
        assert len({line.get_color() for line in own.values()}) == 6
        assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0", "0.5", "1", "2", "5"]


def test_the_dashed_line_stands_where_nothing_changes():
    for neutral, place in ((1.0, 2), (0.0, 0), (5.0, 4)):
        ax = drawn(neutral=neutral)[0].axes[0]
        assert list(ax.lines[0].get_xdata()) == [place, place]


def test_all_is_labelled_once_and_lies_within_the_figure():
    figure, panels = drawn(bold=WAYS[0])
    FigureCanvasAgg(figure).draw()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == WAYS
    assert [ax.get_title(loc="left") for ax in figure.axes] == list(panels)
    for ax in figure.axes:
        for text in [ax.xaxis.label, ax.yaxis.label, ax._left_title, *ax.get_xticklabels()]:
            box = text.get_window_extent()
            assert text.get_text() and box.x0 >= -2 and box.x1 <= figure.bbox.x1 + 2 and box.y0 >= -2


def test_bad_input_is_refused_with_what_was_expected():
    with pytest.raises(ValueError, match="panels is empty"):
        tuning.by_factor(FACTORS, {})
    with pytest.raises(ValueError, match=r"neutral=3.0: expected one of the factors 0, 0.5, 1, 2, 5"):
        drawn(neutral=3.0)
    with pytest.raises(ValueError, match="has 2 values: expected 5, one a factor"):
        tuning.by_factor(FACTORS, {"NDCG": {"a": ([0.0, 1.0], None, None)}})
