"""Which latent follows which attribute, and how well a dictionary does beside others."""

from collections.abc import Mapping, Sequence

from recsae_core.figures import marks
from recsae_core.figures.style import Figure, Real


def genre_heatmap(
    r: object,
    row_labels: Sequence[str],
    attribute_names: Sequence[str],
    *,
    own: Sequence[int] | None = None,
    title: str = "",
    ylabel: str = "Top latent of each genre",
) -> Figure:
    """Correlations ``r`` of latents (rows) with attributes (columns), as in Figure 2 of 2507.12202.

    Read along a row: red beside the framed cell is an attribute that the latent follows too, blue one that it
    avoids. Correlations smaller than .1 have a colour and no number. ``own`` is the column of each row's frame.
    """
    return marks.heatmap(
        r, row_labels, attribute_names, own=own, label="Pearson r", xlabel="Genre", ylabel=ylabel, title=title
    )


def compare_bars(
    values: object,
    attribute_names: Sequence[str],
    dictionary_names: Sequence[str],
    *,
    low: object = None,
    high: object = None,
    xlabel: str = "Largest correlation of a latent with the genre (Pearson r)",
    title: str = "",
) -> Figure:
    """The best latent's correlation with each attribute, for several dictionaries: ``values`` is ``[dictionaries, a]``.

    Figure 4 of 2507.12202 as dots, attributes in the order given (by popularity in the book). Read along a row:
    the distance of the first dictionary's large dot from the others; a grey band spans them all.
    """
    return marks.dots(values, attribute_names, dictionary_names, low=low, high=high, xlabel=xlabel, title=title)


def mean_bars(
    values: object,
    dictionary_names: Sequence[str],
    *,
    low: object = None,
    high: object = None,
    references: Mapping[str, Real] | None = None,
    xlabel: str = "Mean over genres of the largest correlation (Pearson r)",
    title: str = "",
) -> Figure:
    """One number a dictionary with its interval, the first one coloured; ``references`` are labelled upright lines.

    Read: whether the first bar's interval is clear of those of the nulls below it.
    """
    return marks.bars(
        values, dictionary_names, low=low, high=high, marks=references, xlabel=xlabel, ylabel="Dictionary", title=title
    )


def quality_bars(
    values: object,
    model_names: Sequence[str],
    *,
    low: object = None,
    high: object = None,
    references: Mapping[str, Real] | None = None,
    metric: str = "NDCG@10",
    title: str = "",
) -> Figure:
    """One number a recommender with its interval, the first one coloured; ``references`` are labelled upright lines.

    Read: how far the model is from the baselines, and whether the authors' value lies in its interval.
    """
    return marks.bars(
        values, model_names, low=low, high=high, marks=references, xlabel=metric, ylabel="Recommender", title=title
    )


def planted_recovery(
    f1: object,
    concept_names: Sequence[str],
    dictionary_names: Sequence[str],
    *,
    low: object = None,
    high: object = None,
    title: str = "",
) -> Figure:
    """F1 of the best latent for each planted concept, for several dictionaries: ``f1`` is ``[dictionaries, concepts]``.

    Read along a row: a dictionary has found the concept where its dot is near 1.
    """
    label = "F1 of the best latent for the planted concept"
    return marks.dots(f1, concept_names, dictionary_names, low=low, high=high, xlabel=label, title=title)


def cosine_heatmap(
    cosine: object, latent_labels: Sequence[str], concept_names: Sequence[str], *, own: Sequence[int] | None = None
) -> Figure:
    """Cosines of latents' directions (rows) with the directions of planted concepts (columns).

    Read along a row: one dark cell is a latent that points at one concept, several are a latent that mixes them.
    """
    return marks.heatmap(
        cosine, latent_labels, concept_names, own=own, label="Cosine", xlabel="Planted concept", ylabel="Latent"
    )
