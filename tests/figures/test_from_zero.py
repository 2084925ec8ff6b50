import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from recsae_book.figures import from_zero
from recsae_book.figures.player import BASE, HIGH, Player

PNG = b"\x89PNG"


def rows(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 2))


class TestTook:
    def test_the_table_is_drawn_with_ones_black_beside_the_share_of_choices(self):
        matrix = [[1, 1, 0], [1, 0, 0]]
        figure = from_zero.took(matrix, [6, 3, 1])
        left, right, *_ = figure.axes
        assert left.images[0].get_array().tolist() == [[0, 0, 1], [0, 1, 1]]
        x, y = right.lines[0].get_data()
        assert np.allclose(x, [1 / 3, 2 / 3, 1]) and np.allclose(y, [0.6, 0.9, 1.0])
        assert figure._repr_png_().startswith(PNG)

    @pytest.mark.parametrize("count", [[1, 2, 3], [3, 2]])
    def test_counts_that_do_not_fit_are_refused(self, count):
        with pytest.raises(ValueError, match="expected one an item, the largest first"):
            from_zero.took(np.zeros((2, 3)), count)


class TestItemMap:
    def test_each_name_has_a_panel_with_its_items_in_colour(self):
        at, mask = rows(6), np.array([True, False, True, False, False, False])
        figure = from_zero.item_map(at, {"A $1": mask, "B": ~mask})
        first, second = figure.axes
        assert [ax.get_title(loc="left") for ax in figure.axes] == [r"A \$1", "B"]
        quiet, loud = first.collections
        assert np.allclose(loud.get_offsets(), at[mask]) and np.allclose(quiet.get_offsets(), at[~mask])
        assert np.allclose(second.collections[1].get_offsets(), at[~mask])
        assert figure._repr_png_().startswith(PNG)

    def test_five_panels_leave_the_rest_of_the_second_row_empty(self):
        figure = from_zero.item_map(rows(3), {name: np.ones(3) for name in "abcde"})
        assert [ax.get_visible() for ax in figure.axes] == [True] * 5 + [False] * 3

    @pytest.mark.parametrize(
        ("place", "marked"), [(np.zeros((3, 3)), {"a": [1, 0, 0]}), (rows(3), {}), (rows(3), {"a": [1]})]
    )
    def test_what_does_not_fit_is_refused(self, place, marked):
        with pytest.raises(ValueError, match="at least one mask of as many items"):
            from_zero.item_map(place, marked)


class TestSuperposition:
    def test_each_panel_has_the_arrows_and_its_rows(self):
        figure = from_zero.superposition([[1, 0], [0, 1], [-1, 0]], {"One": rows(5), "Two": rows(7, 1)})
        left, right = figure.axes
        assert [text.xy for text in left.texts] == [(1, 0), (0, 1), (-1, 0)]
        assert np.allclose(right.collections[0].get_offsets(), rows(7, 1))
        assert left.get_aspect() == 1 and figure._repr_png_().startswith(PNG)

    @pytest.mark.parametrize(("directions", "panels"), [([[1, 0, 0]], {"a": rows(2)}), ([[1, 0]], {})])
    def test_what_is_not_in_a_plane_is_refused(self, directions, panels):
        with pytest.raises(ValueError, match="in the plane"):
            from_zero.superposition(directions, panels)


class TestLearning:
    def test_the_mean_is_drawn_over_the_lines(self):
        figure = from_zero.learning([0, 9, 99], [[0.4, 0.6], [0.5, 0.9], [1.0, 0.98]], 0.45)
        (ax,) = figure.axes
        worst, best, mean, chance = ax.lines
        assert [line.get_ydata().tolist() for line in (worst, best)] == [[0.4, 0.5, 0.98], [0.6, 0.9, 1.0]]
        low, high = ax.collections[0].get_paths()[0].get_extents().intervaly
        assert (low, high) == pytest.approx((0.42, 0.998))
        assert np.allclose(mean.get_ydata(), [0.5, 0.7, 0.99]) and mean.get_xdata().tolist() == [1, 10, 100]
        assert set(chance.get_ydata()) == {0.45} and figure._repr_png_().startswith(PNG)

    def test_steps_and_rows_go_together(self):
        with pytest.raises(ValueError, match="2 steps and 1 rows of cosines"):
            from_zero.learning([0, 1], [[0.5]], 0.4)


class TestFiring:
    def test_every_dictionary_has_a_heatmap_on_the_same_scale(self):
        one, other = np.eye(3), np.full((3, 3), 0.2)
        figure = from_zero.firing({"SAE": one, "random": other}, ["a", "b $", "c"])
        left, right, bar = figure.axes
        assert (left.images[0].get_array() == one).all() and (right.images[0].get_array() == other).all()
        assert {ax.images[0].get_clim() for ax in (left, right)} == {(0, 1)}
        assert [text.get_text() for text in left.get_yticklabels()] == ["a", r"b \$", "c"]
        assert bar.get_ylabel().startswith("Share") and figure._repr_png_().startswith(PNG)

    @pytest.mark.parametrize("table", [np.eye(2), 2 * np.eye(3), -np.eye(3)])
    def test_what_is_no_table_of_shares_is_refused(self, table):
        with pytest.raises(ValueError, match="3 x 3 shares from 0 to 1"):
            from_zero.firing({"SAE": table}, ["a", "b", "c"])


VALUES = [[0.1, 0.2], [0.5, 0.95]]
EVIL = "<script>alert(1)</script>"


def player(values=VALUES, steps=("step 0", "step 1"), captions=("begin", f"end {EVIL}")):
    return Player(values, steps, captions, label=f'Bars "{EVIL}', goal=0.9, chance=0.4)


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


class TestPlayer:
    def test_without_a_script_the_last_step_stands_there(self):
        tags = Tags(player()._repr_html_()).found
        bars = [given for tag, given in tags if tag == "rect"]
        assert [float(bar["height"]) for bar in bars] == pytest.approx([HIGH * 0.5, HIGH * 0.95], abs=0.1)
        assert [float(bar["y"]) + float(bar["height"]) for bar in bars] == pytest.approx([BASE, BASE], abs=0.2)
        assert [bar["class"] for bar in bars] == ["bar", "bar found"]
        assert [tag for tag, _ in tags if tag in ("input", "button")] == []  # a control that does nothing is no control

    def test_texts_stay_texts_and_the_data_can_be_read(self):
        page = player()._repr_html_()
        assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page
        assert '<p class="player-label">Bars &quot;&lt;script&gt;' in page  # which says what the picture shows
        carried = json.loads(re.search(r'class="player-data">(.*?)</script>', page)[1])
        assert carried["values"] == [[10, 20], [50, 95]] and carried["captions"][1] == f"end {EVIL}"
        assert repr(player()).endswith(f"end {EVIL}")

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"values": [[0.1, 1.2], [0, 0]]}, "values from 0 to 1.2: expected 0 to 1"),
            ({"steps": ["one"]}, "2 rows of values, 1 steps, 2 captions"),
            ({"values": [[0.1]], "steps": ["a"], "captions": ["b"]}, "at least 2"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, given, message):
        with pytest.raises(ValueError, match=message):
            player(**given)
