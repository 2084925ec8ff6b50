import numpy as np
import pytest
from matplotlib.colors import to_rgb

from recsae_book import figures
from recsae_book.figures import style

PANELS = {
    "ml-1m": {"k 8": (0.97, 0.95, 0.985), "k $16": (0.99, 0.98, 1.01)},
    "amazon": {"k $16": (0.95, 0.9, 0.99)},
}


def test_variants_stand_in_one_order_with_their_intervals_beside_the_target():
    figure = figures.kept(PANELS, target=0.98, chosen={"ml-1m": "k $16"})
    left, right = figure.axes
    assert [text.get_text() for text in left.get_yticklabels()] == ["k 8", r"k \$16"]
    assert [ax.get_title(loc="left") for ax in (left, right)] == ["ml-1m", "amazon"]
    ends = [np.ravel(lines.get_segments()).tolist() for lines in left.collections]
    assert ends == [[0.95, 0, 0.985, 0], [0.98, 1, 1.01, 1]]
    marks = {line.get_ydata()[0]: line for line in left.lines if line.get_marker() != "None"}
    assert [marks[y].get_xdata()[0] for y in (0, 1)] == [0.97, 0.99]
    assert to_rgb(marks[1].get_color()) == to_rgb(style.ORANGE) != to_rgb(marks[0].get_color())
    assert [line.get_ydata()[0] for line in right.lines if line.get_marker() != "None"] == [1]
    assert 0.98 in [line.get_xdata()[0] for line in right.lines if line.get_linestyle() == "--"]
    assert figure._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("panels", "message"),
    [
        ({}, "panels: expected at least one"),
        ({"a": {}}, "panels: expected at least one"),
        ({"a": {"k": (0.9, np.nan, 1.0)}}, "a: k holds 1 values that are NaN"),
        ({"a": {"k": (0.9, 0.95, 1.0)}}, "a: k: a value lies outside its interval"),
    ],
)
def test_bad_panels_are_refused(panels, message):
    with pytest.raises(ValueError, match=message):
        figures.kept(panels)
