import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection

from recsae_book.figures import hierarchy, interventions, style

PREFIXES = ["first 2", "next 3", "next 4"]
LEVEL = np.repeat([0, 1, 2], [2, 3, 4])
PARENT = [-1, -1, 0, 0, -1, 2, 2, 0, -1]
TREE = {
    "labels": [f"a rather long name of latent {j}" for j in range(9)],
    "level": LEVEL,
    "parent": PARENT,
    "weight": np.where(np.array(PARENT) >= 0, 0.8, np.nan),
    "audience": np.linspace(0.9, 0.01, 9),
    "columns": PREFIXES,
}
LEVELS = {"Share": {"nested": [[0.8, 0.9], [0.5], [0.1, 0.2]], "plain": [[0.3, 0.4], [0.5], [0.4, 0.3]]}}
DOSES = [-1, 0, 0.5, 1, 2]
BAND = (np.arange(5.0), np.arange(5.0) - 1, np.arange(5.0) + 1)
COSTS = {
    "Change of NDCG@10": {
        "nudge": {"SAE": (-0.1, -0.2, 0.0), "re-rank": (-0.05, None, None)},
        "suppress": {"SAE": (0.02, 0.0, 0.04)},
    }
}
DRAWN = {
    "latent_tree": lambda: hierarchy.latent_tree(**TREE),
    "by_level": lambda: hierarchy.by_level(LEVELS, PREFIXES),
    "off_manifold": lambda: interventions.off_manifold(
        DOSES, {"Share": {"neuron": BAND, "random": BAND}}, bold="neuron"
    ),
    "collateral": lambda: interventions.collateral(COSTS),
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
        assert all(box.y0 >= -2 and box.y1 <= figure.bbox.y1 + 2 for box in boxes)
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])


def nodes(figure) -> list[tuple[float, float]]:
    found = [c for c in figure.axes[0].collections if isinstance(c, PathCollection) and len(c.get_offsets())]
    return sorted(tuple(map(float, c.get_offsets()[0])) for c in found)


class TestTree:
    def test_families_are_drawn_and_latents_by_themselves_are_not(self):
        figure = hierarchy.latent_tree(**TREE)
        assert [x for x, _ in nodes(figure)] == [0, 1, 1, 2, 2, 2]
        assert len(figure.axes[0].patches) == 5

    def test_no_two_latents_share_a_place_and_a_parent_stands_amid_its_children(self):
        found = nodes(hierarchy.latent_tree(**TREE))
        assert len(set(found)) == len(found)
        root, children = found[0][1], [y for x, y in found if x == 1]
        assert min(y for _, y in found) <= root <= max(y for _, y in found) and len(children) == 2

    def test_a_line_is_as_thick_as_its_weight(self):
        weight = np.array([np.nan, np.nan, 1.0, 0.5, np.nan, 0.2, 0.4, 0.3, np.nan])
        widths = [p.get_linewidth() for p in hierarchy.latent_tree(**TREE | {"weight": weight}).axes[0].patches]
        assert sorted(widths) == pytest.approx([0.4 + 3.2 * w for w in (0.2, 0.3, 0.4, 0.5, 1.0)])

    def test_at_most_so_many_are_shown(self):
        assert len(nodes(hierarchy.latent_tree(**TREE, most=3))) == 3
        two = TREE | {"parent": [-1, -1, 0, 1, -1, -1, -1, -1, -1]}
        assert len(nodes(hierarchy.latent_tree(**two, most=3))) == 2  # a root alone would be no family

    def test_labels_are_cut_and_dollars_are_dollars(self):
        labels = ["$5 for all of the latents there are", *TREE["labels"][1:]]
        drawn = {t.get_text() for t in hierarchy.latent_tree(**TREE | {"labels": labels}).axes[0].texts}
        assert any(text.startswith(r"\$5") for text in drawn)
        assert all(len(text) <= hierarchy.LONGEST for text in drawn)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"parent": [-1] * 9}, "no latent has a parent"),
            ({"labels": ["a"]}, "labels has 1 names: expected 9"),
            ({"level": [0, 1]}, "expected as many levels"),
            ({"columns": ["one"]}, "expected as many levels"),
            ({"audience": [np.nan] * 9}, "audience holds 9 values that are NaN"),
        ],
    )
    def test_what_cannot_be_drawn_is_named(self, change, message):
        with pytest.raises(ValueError, match=message):
            hierarchy.latent_tree(**TREE | change)


class TestLevels:
    def test_a_bar_is_a_median_and_every_latent_a_dot(self):
        ax = hierarchy.by_level(LEVELS, PREFIXES).axes[0]
        bars = [c.get_segments()[0][0][1] for c in ax.collections if isinstance(c, LineCollection)]
        assert bars == pytest.approx([0.85, 0.5, 0.15, 0.35, 0.5, 0.35])
        assert sum(len(c.get_offsets()) for c in ax.collections if isinstance(c, PathCollection)) == 10

    def test_what_cannot_be_drawn_is_named(self):
        with pytest.raises(ValueError, match="Share of nested has 3 levels: expected 2"):
            hierarchy.by_level(LEVELS, PREFIXES[:2])
        with pytest.raises(ValueError, match="panels is empty"):
            hierarchy.by_level({}, PREFIXES)


class TestInterventions:
    def test_doses_beyond_what_the_neuron_does_by_itself_are_shaded(self):
        (ax,) = (ax for ax in DRAWN["off_manifold"]().axes if ax.get_visible())
        spans = sorted((p.get_x(), p.get_x() + p.get_width()) for p in ax.patches)
        assert [(round(a, 2), round(b, 2)) for a, b in spans] == [(-1.12, 0), (1, 2.12)]

    def test_doses_on_the_manifold_are_not(self):
        figure = interventions.off_manifold([0, 0.5, 1], {"Share": {"neuron": ([1, 2, 3], None, None)}})
        assert not figure.axes[0].patches and not figure.axes[0].texts

    def test_marks_stand_where_the_numbers_are_and_a_missing_one_is_missing(self):
        ax = interventions.collateral(COSTS).axes[0]
        marks = [tuple(c.get_offsets()[0]) for c in ax.collections if isinstance(c, PathCollection)]
        assert sorted(round(float(x), 3) for x, _ in marks) == [-0.1, -0.05, 0.02]
        assert [round(float(y)) for _, y in marks] == [0, 1, 0]
        spans = [c.get_segments()[0][:, 0] for c in ax.collections if isinstance(c, LineCollection)]
        np.testing.assert_allclose(sorted(map(tuple, spans)), [(-0.2, 0.0), (0.0, 0.04)])

    @pytest.mark.parametrize(
        ("draw", "message"),
        [
            (lambda: interventions.collateral({}), "panels is empty"),
            (lambda: interventions.collateral({"A": {"b": {"c": (np.nan, None, None)}}}), "A of c, b holds 1 values"),
            (lambda: interventions.off_manifold([0, 1], {"A": {"b": ([1.0], None, None)}}), "A of b has 1 values"),
        ],
    )
    def test_what_cannot_be_drawn_is_named(self, draw, message):
        with pytest.raises(ValueError, match=message):
            draw()
