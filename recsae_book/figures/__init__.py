"""Every figure as a function of numbers. Knows numbers only."""

from recsae_book.figures.activations import activation_histogram, ecdf, fire_rate_histogram, l0_histogram
from recsae_book.figures.alignment import compare_bars, genre_heatmap, mean_bars
from recsae_book.figures.concepts import concept_card, described_shares
from recsae_book.figures.confidence import rate_histograms
from recsae_book.figures.control import asked_and_given, dose_response, pareto
from recsae_book.figures.data import attribute_counts, history_lengths, popularity_curve
from recsae_book.figures.families import kept
from recsae_book.figures.hierarchy import by_level, latent_tree
from recsae_book.figures.interventions import collateral, off_manifold
from recsae_book.figures.prediction import against_density, weight_sweep
from recsae_book.figures.purity import purity_heatmap, stacked_shares, two_measures
from recsae_book.figures.sensitivity import sweep
from recsae_book.figures.structure import agreement, effect_scatter, feature_card, probe_curves
from recsae_book.figures.towers import length_by_count
from recsae_book.figures.training import training_curves
from recsae_book.figures.tuning import by_factor

__all__ = [
    "activation_histogram",
    "against_density",
    "agreement",
    "asked_and_given",
    "attribute_counts",
    "by_factor",
    "by_level",
    "collateral",
    "compare_bars",
    "concept_card",
    "described_shares",
    "dose_response",
    "ecdf",
    "effect_scatter",
    "feature_card",
    "fire_rate_histogram",
    "genre_heatmap",
    "history_lengths",
    "kept",
    "l0_histogram",
    "latent_tree",
    "length_by_count",
    "mean_bars",
    "off_manifold",
    "pareto",
    "popularity_curve",
    "probe_curves",
    "purity_heatmap",
    "rate_histograms",
    "stacked_shares",
    "sweep",
    "training_curves",
    "two_measures",
    "weight_sweep",
]
