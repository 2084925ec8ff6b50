import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from recsae_book.figures import prediction, style

WEIGHTS = [0.0, 1.0, 2.0, 5.0, 10.0]
RISING = np.array([0.2, 0.4, 0.5, 0.6, 0.65])
BAND = (RISING, RISING - 0.05, RISING + 0.05)
PANELS = {f"{name}, {where}": {"MF": BAND, "NCF": BAND} for name in ("RBO", "tau") for where in ("ml-1m", "lastfm")}
PUBLISHED = {"RBO, ml-1m": {"MF": [0.1, 0.2, 0.3, 0.4, 0.5], "NCF": [np.nan, 0.3, 0.4, np.nan, 0.6]}}
CURVES = {
    "MF": {"SAE": ([2.0, 4.0, 8.0], [0.3, 0.5, 0.7]), "ICA": ([1.0, 8.0], [0.2, 0.6]), "PCA": ([1.0, 8.0], [0.2, 0.6])},
    "NCF": {
        "SAE": ([2.0, 4.0, 8.0], [0.4, 0.5, 0.6]),
        "ICA": ([1.0, 8.0], [0.1, 0.7]),
        "PCA": ([1.0, 8.0], [0.2, 0.6]),
    },
}
LEVELS = {"MF": {"trained again": 0.4, "mean user": 0.2}, "NCF": {"trained again": 0.5}}
DRAWN = {
    "weight_sweep": lambda: prediction.weight_sweep(WEIGHTS, PANELS, PUBLISHED, columns=2),
    "against_density": lambda: prediction.against_density(CURVES, LEVELS, quiet=["ICA", "PCA"]),
}


@pytest.mark.parametrize("name", DRAWN)
def test_text_stays_apart_and_inside_the_figure(name):
    figure = DRAWN[name]()
    FigureCanvasAgg(figure).draw()
    renderer = figure.canvas.get_renderer()
    assert figure.get_figwidth() <= style.WIDTH
    for ax in figure.axes:
        boxes = [t.get_window_extent(renderer) for t in [*ax.texts, ax.xaxis.label, ax.yaxis.label] if t.get_text()]
        assert all(box.x0 >= -2 and box.x1 <= figure.bbox.x1 + 2 for box in boxes)
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])


class TestSweep:
    def test_weights_are_evenly_spaced_and_named(self):
        ax = DRAWN["weight_sweep"]().axes[0]
        assert ax.get_xticks().tolist() == [0, 1, 2, 3, 4]
        assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "1", "2", "5", "10"]

    def test_what_others_measured_stands_beside_it_without_the_gaps(self):
        lines = {line.get_label(): line for line in DRAWN["weight_sweep"]().axes[0].get_lines()}
        assert lines.keys() == {"MF", "NCF", "MF, published", "NCF, published"}
        assert lines["NCF"].get_ydata().tolist() == RISING.tolist()
        assert lines["NCF, published"].get_xdata().tolist() == [1, 2, 4]
        assert lines["NCF, published"].get_color() == lines["NCF"].get_color() != lines["MF"].get_color()

    def test_empty_places_are_hidden(self):
        three = dict(list(PANELS.items())[:3])
        assert [ax.get_visible() for ax in prediction.weight_sweep(WEIGHTS, three, columns=2).axes] == [True] * 3 + [
            False
        ]


class TestDensity:
    def test_lines_stand_where_the_numbers_are_and_levels_have_names(self):
        ax = DRAWN["against_density"]().axes[0]
        lines = {line.get_label(): line for line in ax.get_lines()}
        assert lines["SAE"].get_xdata().tolist() == [2, 4, 8]
        assert {t.get_text() for t in ax.texts} == {"trained again", "mean user"}
        heights = [line.get_ydata()[0] for name, line in lines.items() if name.startswith("_")]
        assert sorted(heights) == [0.2, 0.4]

    def test_nulls_are_thin_and_can_be_told_apart(self):
        lines = {line.get_label(): line for line in DRAWN["against_density"]().axes[0].get_lines()}
        assert lines["ICA"].get_linewidth() < lines["SAE"].get_linewidth()
        assert lines["ICA"].get_linestyle() != lines["PCA"].get_linestyle()


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: prediction.weight_sweep(WEIGHTS, {}), "panels is empty"),
        (lambda: prediction.weight_sweep([0, 1], PANELS), "RBO, ml-1m of MF has 5 values: expected 2, one a weight"),
        (
            lambda: prediction.weight_sweep(WEIGHTS, {"A": {"b": (RISING * np.nan, None, None)}}),
            "A of b holds 5 values",
        ),
        (lambda: prediction.weight_sweep(WEIGHTS, PANELS, {"RBO, ml-1m": {"MF": [1.0]}}), "published RBO, ml-1m of MF"),
        (lambda: prediction.against_density({}), "panels is empty"),
        (lambda: prediction.against_density({"A": {"b": ([1, 2], [1])}}), "1 values at 2 places"),
        (lambda: prediction.against_density({"A": {"b": ([0, 2], [1, 2])}}), "expected one at each > 0"),
    ],
)
def test_what_cannot_be_drawn_is_named(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
