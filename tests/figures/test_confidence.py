import numpy as np
import pytest

from recsae_book import figures


def test_rates_are_shares_of_each_dictionary_and_the_first_is_filled():
    rng = np.random.default_rng(0)
    values = {"SAE": rng.random(200), "data rows": np.array([0.0, 0.05, 1.0, 1.0])}
    figure = figures.rate_histograms({"Recall": values, "Confidence": values}, bar=0.8, bins=5, ylabel="Concepts")
    left, right = figure.axes
    lines = [patch for patch in left.patches if not patch.get_fill()]
    np.testing.assert_allclose(lines[1].get_data().values, [0.5, 0, 0, 0, 0.5])
    assert [sum(patch.get_data().values) for patch in lines] == pytest.approx([1, 1])
    assert len(left.patches) == 3 and len(right.lines) == 1 and not left.lines
    assert left.get_ylabel() == "Concepts" and right.get_title(loc="left") == "Confidence"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["SAE", "data rows"]
    assert figure._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("panels", "options", "message"),
    [
        ({}, {}, "0 panels"),
        ({"Recall": {}}, {}, "expected a bin, a panel and in each a dictionary"),
        ({"Recall": {"SAE": [0.5]}}, {"bins": 0}, "bins=0"),
        ({"Recall": {"SAE": [1.5]}}, {}, "Recall: SAE has values from 1.5 to 1.5"),
        ({"Recall": {"SAE": [np.nan]}}, {}, "Recall: SAE holds 1 values that are NaN"),
    ],
)
def test_bad_rates_are_refused(panels, options, message):
    with pytest.raises(ValueError, match=message):
        figures.rate_histograms(panels, **options)
