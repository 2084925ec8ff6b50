"""Every figure: what it draws, what it refuses, and that its labels can be read."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure

from recsae_book.figures import activations, alignment, control, data, sensitivity, structure, style, training

GENRES = [
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
]
NAMES = ["SAE", "neurons", "random ReLU dictionary", "data rows", "item embeddings", "PCA", "untrained SAE", "probe"]
RNG = np.random.default_rng(0)


def table(rows: int, columns: int = 18) -> np.ndarray:
    return np.random.default_rng(rows * 100 + columns).uniform(0.05, 0.9, (rows, columns))


def fired(n: int, panels: int) -> tuple[np.ndarray, np.ndarray]:
    g = np.random.default_rng(n + panels)
    has = g.random((n, panels)) < 0.2
    return np.where(has, g.gamma(4, 0.1, (n, panels)), np.maximum(g.normal(-0.1, 0.1, (n, panels)), 0)), has


DOSES = np.linspace(-10, 10, 11)
RESPONSE = {
    "Share": {
        g: (1 / (1 + np.exp(i - DOSES / 4)), *np.full((2, 11), [[0.0], [1.0]])) for i, g in enumerate(GENRES[-5:])
    },
    "NDCG": {"NDCG@10": (0.16 - DOSES**2 / 2000, 0.15 - DOSES**2 / 2000, 0.17 - DOSES**2 / 2000)},
    "Coverage": {"coverage": (0.5 - DOSES / 100, None, None)},
}

FIGURES = {
    "genre_heatmap": lambda: alignment.genre_heatmap(
        table(18) * 2 - 1, [f"{g} (latent {i * 27})" for i, g in enumerate(GENRES)], GENRES, own=range(18)
    ),
    "genre_heatmap of one": lambda: alignment.genre_heatmap([[0.5]], ["a"], ["Drama"]),
    "genre_heatmap of zeros": lambda: alignment.genre_heatmap(np.zeros((3, 3)), GENRES[:3], GENRES[:3]),
    "compare_bars": lambda: alignment.compare_bars(table(8), GENRES, NAMES, low=table(8) - 0.05, high=table(8) + 0.05),
    "compare_bars of one": lambda: alignment.compare_bars([[0.5], [0.1]], ["Drama"], ["SAE", "neurons"]),
    "mean_bars": lambda: alignment.mean_bars(
        table(8)[:, 0], NAMES, low=table(8)[:, 0] - 0.1, high=table(8)[:, 0] + 0.1, references={"authors": 0.66}
    ),
    "mean_bars of zeros": lambda: alignment.mean_bars([0.0, 0.0], NAMES[:2]),
    "mean_bars of recommenders": lambda: alignment.mean_bars(
        [0.14, 0.07], ["transformer", "item-knn"], xlabel="NDCG@10", ylabel="Recommender"
    ),
    "activation_histogram": lambda: activations.activation_histogram(*fired(500, 6), GENRES[:6]),
    "activation_histogram of one": lambda: activations.activation_histogram(*fired(500, 1), GENRES[:1]),
    "activation_histogram of silence": lambda: activations.activation_histogram(
        np.zeros((9, 1)), np.zeros((9, 1), bool), GENRES[:1]
    ),
    "ecdf": lambda: activations.ecdf(*fired(500, 6), GENRES[:6]),
    "ecdf of zeros": lambda: activations.ecdf(np.zeros((9, 2)), np.ones((9, 2), bool), GENRES[:2]),
    "fire_rate_histogram": lambda: activations.fire_rate_histogram({"SAE": table(1, 400)[0], "dead": np.zeros(5)}),
    "l0_histogram": lambda: activations.l0_histogram({"above 0": RNG.poisson(90, 500), ".5": np.zeros(500)}, width=64),
    "feature_card": lambda: structure.feature_card(
        "Western · latent 160",
        [f"A Film of Some Length and $5, Part {i} (1999)" for i in range(8)],
        np.linspace(1, 0.4, 8),
        [True] * 6 + [False] * 2,
        *(part[:, 0] for part in fired(500, 1)),
        GENRES,
        table(1)[0] - 0.3,
        table(1)[0] - 0.4,
        own=17,
    ),
    "feature_card of silence": lambda: structure.feature_card(
        "a", ["b"], [0], [False], [0.0, 0], [False, False], ["c"], [0], [0], own=0
    ),
    "dose_response": lambda: control.dose_response(DOSES, RESPONSE, bold="Sci-Fi", xlabel="Dose"),
    "dose_response of one": lambda: control.dose_response([0, 1], {"Share": {"Drama": ([0.1, 0.2], None, None)}}),
    "pareto": lambda: control.pareto(
        {g: {n: (DOSES**2 / 100, 0.16 - i * DOSES**2 / 1e4) for i, n in enumerate(NAMES[:6])} for g in GENRES[:4]},
        mark=dict.fromkeys(GENRES[:4], 0.3),
    ),
    "asked_and_given": lambda: control.asked_and_given(
        np.repeat([0.2, 0.4], 18), {n: RNG.random(36) for n in ("one dose", "each list")}, low=np.full(36, 0.1)
    ),
    "agreement": lambda: structure.agreement({n: RNG.beta(8, 2 + i, 400) for i, n in enumerate(NAMES[:3])}),
    "probe_curves": lambda: structure.probe_curves([1, 2, 4, 512], dict(zip(NAMES, table(4, 4), strict=False))),
    "effect_scatter": lambda: structure.effect_scatter(
        RNG.normal(size=300), RNG.normal(size=300), np.arange(300) < 18, "direct", "true"
    ),
    "sweep": lambda: sensitivity.sweep(
        {
            name: {"TopK": ([4, 8, 16, 32], table(4, 4)[0]), "nothing": ([4, 33], [0.1, 0.2])}
            for name in ("Correlation, held out", "Explained variance", "Dead latents", "Recovered NDCG@10")
        },
        xlabel="Active latents a row (L0)",
        quiet=["nothing"],
    ),
    "sweep over sizes": lambda: sensitivity.sweep(
        {"Dead latents": {"SAE": ([64, 128, 4096], [0, 0, 900])}}, xlabel="Latents", mark=128
    ),
    "sweep of one": lambda: sensitivity.sweep({"A": {"b": ([0.1], [0.0])}}, xlabel="Coefficient"),
    "popularity_curve": lambda: data.popularity_curve({"ml-1m": RNG.zipf(1.8, 500), "planted": [5, 1, 0, 0]}),
    "attribute_counts": lambda: data.attribute_counts(np.arange(18) ** 2, GENRES),
    "history_lengths": lambda: data.history_lengths(RNG.integers(2, 900, 300), mark=128),
    "history_lengths of one": lambda: data.history_lengths([7]),
    "training_curves": lambda: training.training_curves(
        {"Loss": {"seed 0": [3, 2, 1.5], "seed 1": [3, 2]}, "NDCG@10": {"seed 0": [0.1, 0.12, 0.13]}}, best=2
    ),
    "training_curves of one": lambda: training.training_curves({"Loss": {"seed 0": [3.0]}}),
}


@pytest.fixture(params=FIGURES, scope="module")
def figure(request) -> Figure:
    drawn = FIGURES[request.param]()
    FigureCanvasAgg(drawn).draw()
    return drawn


def test_both_directions_of_a_figure_are_labelled(figure):
    panels = [ax for ax in figure.axes if ax.get_visible() and ax.get_label() != "<colorbar>"]
    assert panels
    assert all(ax.get_xlabel() for ax in panels)
    named = [ax.get_ylabel() or [t.get_text() for t in ax.get_yticklabels() if t.get_text()] for ax in panels]
    assert all(named)


def seen(axis) -> list:
    """The tick labels inside the axis' limits: matplotlib keeps others that it does not draw."""
    low, high = sorted(axis.get_view_interval())
    slack = 1e-6 * (high - low)
    return [tick.label1 for tick in axis.get_major_ticks() if low - slack <= tick.get_loc() <= high + slack]


def overlap(texts, renderer, slack: float = 0.5) -> list[tuple[str, str]]:
    boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in texts if t.get_visible() and t.get_text().strip()]
    found = []
    for i, (one, a) in enumerate(boxes):
        for other, b in boxes[i + 1 :]:
            across = min(a.x1, b.x1) - max(a.x0, b.x0)
            along = min(a.y1, b.y1) - max(a.y0, b.y0)
            if across > slack and along > slack:
                found.append((one, other))
    return found


def test_labels_do_not_run_into_each_other_or_out_of_the_figure(figure):
    renderer = figure.canvas.get_renderer()
    for ax in figure.axes:
        if not ax.get_visible():
            continue
        ticks = {axis: seen(axis) for axis in (ax.xaxis, ax.yaxis)}
        for labels in (
            *ticks.values(),
            ax.texts,
            [*ticks[ax.xaxis], ax.xaxis.label],
            [*ticks[ax.yaxis], ax.yaxis.label],
        ):
            assert overlap(labels, renderer) == []
        for text in [*ticks[ax.xaxis], *ticks[ax.yaxis], ax.xaxis.label, ax.yaxis.label, ax.title, ax._left_title]:
            box = text.get_window_extent(renderer)
            if text.get_text().strip() and text.get_visible():
                assert box.x0 >= -2 and box.y0 >= -2, text
                assert box.x1 <= figure.bbox.x1 + 2 and box.y1 <= figure.bbox.y1 + 2, text


def test_text_is_large_enough_for_a_column_of_700_pixels(figure):
    shown = [t for ax in figure.axes for t in [*ax.get_xticklabels(), *ax.get_yticklabels(), ax.xaxis.label]]
    assert min(t.get_fontsize() for t in shown) >= 8.5
    assert figure.get_figwidth() <= style.WIDTH


def test_a_figure_leaves_the_readers_settings_and_pyplot_alone():
    import matplotlib.pyplot as plt

    before, open_figures = dict(mpl.rcParams), plt.get_fignums()
    drawn = FIGURES["genre_heatmap"]()
    drawn._repr_png_()
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == open_figures


def test_a_readers_settings_do_not_change_a_figure_and_equal_numbers_give_equal_bytes():
    first = FIGURES["mean_bars"]()._repr_png_()
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "black"}):
        assert FIGURES["mean_bars"]()._repr_png_() == first
    assert first[:8] == b"\x89PNG\r\n\x1a\n"
    assert b"Software" not in first


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize(
    "draw",
    [
        lambda v: alignment.genre_heatmap([[0.1, v]], ["a"], ["b", "c"]),
        lambda v: alignment.compare_bars([[0.1, v]], ["a", "b"], ["SAE"]),
        lambda v: alignment.mean_bars([0.1, v], ["a", "b"]),
        lambda v: alignment.mean_bars([0.1], ["a"], low=[v], high=[1.0]),
        lambda v: activations.activation_histogram([[v]], np.ones((1, 1), bool), ["a"]),
        lambda v: activations.ecdf([[v]], np.ones((1, 1), bool), ["a"]),
        lambda v: activations.fire_rate_histogram({"a": [v]}),
        lambda v: activations.l0_histogram({"a": [v]}),
        lambda v: structure.agreement({"a": [v]}),
        lambda v: structure.probe_curves([1], {"a": [v]}),
        lambda v: structure.effect_scatter([v], [1], [True], "x", "y"),
        lambda v: structure.feature_card("a", ["b"], [v], [True], [1], [True], ["c"], [1], [1], own=0),
        lambda v: data.popularity_curve({"a": [v]}),
        lambda v: data.attribute_counts([v], ["a"]),
        lambda v: data.history_lengths([v]),
        lambda v: training.training_curves({"Loss": {"a": [v]}}),
    ],
)
def test_numbers_that_are_none_are_refused(draw, bad):
    with pytest.raises(ValueError, match="NaN or infinite"):
        draw(bad)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: alignment.genre_heatmap([[0.1]], ["a", "b"], ["c"]), "row_labels has 2 names: expected 1"),
        (lambda: alignment.genre_heatmap([0.1], ["a"], ["c"]), "expected 2 dimensions"),
        (lambda: alignment.mean_bars([], []), "none empty"),
        (lambda: alignment.mean_bars([0.5], ["a"], low=[0.6], high=[0.7]), "outside its interval"),
        (lambda: alignment.mean_bars([0.5], ["a"], low=[0.4]), "both low and high"),
        (lambda: alignment.compare_bars(np.zeros((15, 2)), "ab", list(map(str, range(15)))), "at most 14"),
        (lambda: activations.ecdf([[0.1]], [[1]], ["a"]), "expected bool of shape"),
        (lambda: activations.fire_rate_histogram({"a": [1.5]}), "shares from 0 to 1"),
        (lambda: activations.l0_histogram({"a": [-1]}), "none negative"),
        (lambda: structure.probe_curves([1, 2], {"a": [0.5]}), "auc of a has 1 values: expected 2"),
        (lambda: structure.effect_scatter([1], [1, 2], [True], "x", "y"), "expected the same length"),
        (
            lambda: structure.feature_card("a", ["b"], [1], [True], [1], [True, False], ["c"], [1], [1], own=0),
            "expected \\(1,\\) and \\(1,\\)",
        ),
        (lambda: data.history_lengths([0]), "at least 1"),
        (lambda: training.training_curves({"Loss": {"a": [1, 2, 3]}}, x=[1, 2]), "has 3 values: expected at most 2"),
        (lambda: training.training_curves({}), "panels is empty"),
    ],
)
def test_what_cannot_be_drawn_is_named(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


def test_the_heatmap_is_centred_on_zero_and_numbers_only_what_is_not_close_to_it():
    drawn = alignment.genre_heatmap([[0.5, -0.09], [0.12, -0.3]], ["a", "b"], ["c", "d"])
    image = drawn.axes[0].images[0]
    assert image.norm.vmin == -image.norm.vmax == -0.5
    assert [t.get_text() for t in drawn.axes[0].texts] == [".50", ".12", "-.30"]


def test_dots_and_intervals_stand_where_the_numbers_are():
    drawn = alignment.compare_bars([[0.5], [0.2]], ["a"], ["SAE", "neurons"], low=[[0.4], [0.1]], high=[[0.7], [0.3]])
    points = [c for c in drawn.axes[0].collections if isinstance(c, PathCollection)]
    lines = [c for c in drawn.axes[0].collections if isinstance(c, LineCollection)]
    assert sorted(float(c.get_offsets()[0][0]) for c in points) == [0.2, 0.5]
    spans = sorted(tuple(np.round(c.get_segments()[0][:, 0], 6)) for c in lines)
    assert spans == [(0.1, 0.3), (0.4, 0.7)]


def test_a_histogram_of_activations_counts_each_group_on_its_own():
    z = np.array([[0.0], [1.0], [1.0], [0.0], [0.0], [0.0], [0.0], [1.0]])
    has = np.array([[1], [1], [1], [0], [0], [0], [0], [0]], dtype=bool)
    ax = activations.activation_histogram(z, has, ["a"]).axes[0]
    present, _, absent, _ = ax.patches
    assert present.get_data().values.sum() == pytest.approx(2 / 3)
    assert absent.get_data().values.sum() == pytest.approx(1 / 5)
    assert ax.texts[0].get_text().split("\n")[1:] == ["33% of present", "80% of absent"]


def test_an_ecdf_starts_at_the_share_that_is_silent_and_ends_at_one():
    z, has = fired(2000, 1)
    present, absent = activations.ecdf(z, has, ["a"]).axes[0].lines
    assert absent.get_ydata()[0] == pytest.approx((z[~has] == 0).mean())
    assert absent.get_ydata()[-1] == 1
    assert (np.diff(present.get_ydata()) >= 0).all()


def test_dead_latents_are_counted_in_the_legend_not_in_the_bars():
    drawn = activations.fire_rate_histogram({"SAE": [0, 0, 0.1, 1.0]})
    (steps,) = drawn.axes[0].patches
    assert steps.get_label() == "SAE (2 of 4 never)"
    assert steps.get_data().values.sum() == 2


def test_agreement_is_the_share_of_latents_at_or_above():
    (line,) = structure.agreement({"SAE": [0.2, 0.7, 0.9, 1.0]}, mark=0.7).axes[0].lines[:1]
    heights = dict(zip(np.round(line.get_xdata(), 4), line.get_ydata(), strict=True))
    assert (heights[0.0], heights[0.69], heights[0.95], heights[1.0]) == (1, 0.75, 0.25, 0.25)


def test_a_card_shows_at_a_glance_which_of_its_top_items_have_the_genre():
    drawn = structure.feature_card(
        "a", ["b", "c"], [2, 1], [True, False], [0, 1.0], [False, True], ["d", "e"], [0.1, 0.9], [1, -1], own=1
    )
    colours = [[bar.get_facecolor()[:3] for bar in ax.patches] for ax in drawn.axes]
    assert colours[0][0] == colours[2][1] == colours[3][1] != colours[0][1] == colours[2][0] == colours[3][0]


def test_a_sweep_draws_nulls_grey_and_settings_in_order():
    drawn = sensitivity.sweep({"A": {"b": ([8, 2], [1.0, 3.0]), "null": ([2, 8], [0, 0])}}, xlabel="k", quiet=["null"])
    first, null = drawn.axes[0].lines
    assert (first.get_xdata().tolist(), first.get_ydata().tolist()) == ([2, 8], [3, 1])
    assert null.get_color() == style.GREY != first.get_color()
    with pytest.raises(ValueError, match="A of b: 2 values at 1 places"):
        sensitivity.sweep({"A": {"b": ([1], [2.0, 3.0])}}, xlabel="k")
    with pytest.raises(ValueError, match="panels is empty"):
        sensitivity.sweep({}, xlabel="k")


def test_a_dollar_sign_in_a_title_is_a_dollar_sign():
    drawn = data.attribute_counts([3, 1], ["$5 a day $", "b"])
    drawn._repr_png_()
    assert drawn.axes[0].get_yticklabels()[0].get_text() == r"\$5 a day \$"


@pytest.mark.parametrize(
    ("value", "text"), [(0.564, ".56"), (-0.08, "-.08"), (1.0, "1.0"), (-1.0, "-1.00"), (0, ".00")]
)
def test_short_numbers(value, text):
    assert alignment.short(value) == text


def test_the_steered_genre_is_the_bold_line_and_a_single_line_needs_no_legend():
    share, ndcg, *_ = control.dose_response(DOSES, RESPONSE, bold="Sci-Fi").axes
    thick = [line for line in share.lines if line.get_linewidth() > 2]
    assert [line.get_label() for line in thick] == ["Sci-Fi"]
    np.testing.assert_allclose(thick[0].get_ydata(), RESPONSE["Share"]["Sci-Fi"][0])
    assert not ndcg.get_legend_handles_labels()[1]


def test_asked_and_given_marks_lie_on_the_diagonal_where_all_is_given():
    asked = np.array([0.2, 0.4, 0.6])
    (ax,) = control.asked_and_given(asked, {"exact": asked}).axes
    marks = next(c for c in ax.collections if isinstance(c, PathCollection)).get_offsets()
    np.testing.assert_allclose(marks[:, 1], asked)
    np.testing.assert_allclose(marks[:, 0], asked, atol=0.02)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: control.dose_response([0, 1], {}), "panels is empty"),
        (
            lambda: control.dose_response([0, 1], {"Share": {"a": ([1.0], None, None)}}),
            "Share of a has 1 values: expected 2",
        ),
        (lambda: control.pareto({}), "panels is empty"),
        (
            lambda: control.pareto({"Drama": {"SAE": ([0.1, np.nan], [1, 1])}}),
            "share of SAE holds 1 values that are NaN",
        ),
    ],
)
def test_control_refuses_what_it_cannot_draw(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
