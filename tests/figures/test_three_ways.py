import numpy as np
import pytest
from matplotlib.colors import to_rgb

from recsae_book.figures import style, three_ways

PANELS = {
    "Genres": {"one $a": (0.7, 0.6, 0.5, 0.7), "two": (0.8, 0.5, 0.45, 0.6), "PCA": (0.75, 0.3, 0.2, 0.4)},
    "Pure": {
        "one $a": (0.7, 40, 30, 50),
        "two": (0.8, 30, 20, 35),
        "PCA": (0.75, 10, 5, 15),
        "rows": (0.6, 80, 70, 90),
    },
}
OWN = {"Genres": {"two": (0.9, 0.4, 0.3, 0.5)}}
WAYS = ("one $a", "two")


def test_ways_are_coloured_nulls_grey_and_published_settings_joined_and_hollow():
    figure = three_ways.found_and_kept(PANELS, OWN, ways=WAYS)
    left, right = figure.axes
    assert [ax.get_title(loc="left") for ax in (left, right)] == ["Genres", "Pure"]
    marks = {c.get_label(): c for c in left.collections if not c.get_label().startswith("_")}
    assert list(marks) == ["PCA", r"one \$a", "two"]
    assert marks["two"].get_offsets().tolist() == [[0.8, 0.5]]
    assert to_rgb(marks["PCA"].get_edgecolor()[0]) == to_rgb(style.GREY)
    assert len(marks["PCA"].get_facecolor()) == 0
    assert to_rgb(marks["two"].get_facecolor()[0]) == to_rgb(style.PALETTE[1])
    lines = [c for c in right.collections if hasattr(c, "get_segments")]
    assert sorted(np.ravel(c.get_segments()).tolist() for c in lines)[0] == [0.6, 70, 0.6, 90]
    assert [line.get_xdata().tolist() for line in left.lines] == [[0.8, 0.9]]
    assert not right.lines
    hollow = [c for c in left.collections if c.get_label().startswith("_") and not hasattr(c, "get_segments")]
    assert [c.get_offsets().tolist() for c in hollow] == [[[0.9, 0.4]]]
    assert to_rgb(hollow[0].get_facecolor()[0]) == (1, 1, 1)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sorted(legend) == sorted(["PCA", r"one \$a", "two", "rows"])
    assert figure._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("panels", "message"),
    [
        ({}, "panels: expected at least one, each with one"),
        ({"a": {"two": (0.5, 0.9, 0.8, 1.0)}}, "panels: expected at least one, each with one"),
        ({"a": dict.fromkeys(WAYS, (0.5, 0.9, 0.95, 1.0))}, "lies outside its interval"),
        ({"a": dict.fromkeys(WAYS, (np.nan, 0.9, 0.8, 1.0))}, "a: one .* NaN"),
        ({"a": dict.fromkeys([*WAYS, *"bcdefghijk"], (0.5, 0.9, 0.8, 1.0))}, "10 nulls: expected at most 9"),
    ],
)
def test_bad_panels_are_refused(panels, message):
    with pytest.raises(ValueError, match=message):
        three_ways.found_and_kept(panels, {}, ways=WAYS)
