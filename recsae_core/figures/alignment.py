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
    """The best latent's score for each attribute, for several dictionaries: ``values`` is ``[dictionaries, a]``.

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
    ylabel: str = "Dictionary",
    title: str = "",
) -> Figure:
    """One number a dictionary (or a recommender) with its interval, the first one coloured.

    ``references`` are labelled upright lines. Read: whether the first bar's interval is clear of those of the nulls
    or baselines below it, and whether it holds the authors' value.
    """
    return marks.bars(
        values, dictionary_names, low=low, high=high, marks=references, xlabel=xlabel, ylabel=ylabel, title=title
    )
