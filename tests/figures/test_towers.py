import numpy as np
import pytest

from recsae_book import figures


def pair(seed, n=200):
    rng = np.random.default_rng(seed)
    count = rng.integers(1, 900, n)
    return count, np.sqrt(count) * rng.uniform(0.8, 1.2, n)


def test_lengths_are_drawn_as_medians_of_groups_in_multiples_of_the_median():
    figure = figures.length_by_count(
        {"Items": {"MF": pair(0), "NCF": pair(1)}, "Users": {"MF": pair(2)}}, xlabel="Plays"
    )
    left, right = figure.axes
    assert [len(ax.lines) for ax in (left, right)] == [2, 1] and right.get_title(loc="left") == "Users"
    x, y = left.lines[0].get_data()
    count, length = pair(0)
    rows = np.argsort(count, kind="stable")[:25]  # the first of eight groups of 25
    assert x[0] == np.median(count[rows])
    assert y[0] == pytest.approx(np.median(length[rows]) / np.median(length))
    assert (np.diff(x) > 0).all() and (np.diff(y) > 0).all() and left.get_xlabel() == "Plays"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["MF", "NCF"]
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_a_panel_of_fewer_points_than_groups_is_drawn():
    assert len(figures.length_by_count({"Users": {"MF": ([1, 5], [1.0, 2.0])}}).axes[0].lines[0].get_xdata()) == 2


@pytest.mark.parametrize(
    ("panels", "message"),
    [
        ({}, "panels: expected at least one"),
        ({"Users": {}}, "panels: expected at least one"),
        ({"Users": {"MF": ([1, 2], [1.0])}}, "Users: MF: expected as many counts as lengths"),
        ({"Users": {"MF": ([0, 2], [1.0, 1.0])}}, "Users: MF: .*all above 0"),
        ({"Users": {"MF": ([1, 2], [1.0, np.nan])}}, "Users: MF holds 1 values that are NaN"),
    ],
)
def test_bad_panels_are_refused(panels, message):
    with pytest.raises(ValueError, match=message):
        figures.length_by_count(panels)
