"""Alignment at the size of the MovieLens heatmap, against scipy and scikit-learn on a sample of the latents.

Then correlations with labels of rows on both halves of ten splits, against numpy on a sample of the splits.

OMP_NUM_THREADS=1 python tests/benchmarks/bench_alignment.py
"""

import time

import numpy as np
import torch
from scipy.stats import pearsonr
from sklearn.metrics import roc_auc_score

from recsae_core.interpret import dictionaries
from recsae_core.interpret.alignment import align, nonzero
from recsae_core.interpret.senses import align_labels

ROWS, LATENTS, ATTRIBUTES, ITEMS, WIDTH, SAMPLE = 49_923, 512, 18, 3_226, 64, 4


def seconds(call):
    best = np.inf
    for _ in range(3):
        start = time.perf_counter()
        out = call()
        best = min(best, time.perf_counter() - start)
    return best, out


def main() -> None:
    g, rng = torch.Generator().manual_seed(0), np.random.default_rng(0)
    attributes = rng.random((ITEMS, ATTRIBUTES)) < rng.uniform(0.02, 0.4, ATTRIBUTES)
    item = torch.from_numpy(rng.zipf(1.3, ROWS) % ITEMS)
    h = torch.randn(ITEMS, WIDTH, generator=g)[item] + torch.randn(ROWS, WIDTH, generator=g)
    labels, halves = rng.random((ROWS, ATTRIBUTES)), rng.random((10, ROWS)) < 0.5
    for l0 in (32, 90):
        dictionary = dictionaries.random_relu(h, LATENTS, l0, g)
        ours, found = seconds(lambda dictionary=dictionary: align(dictionary, h, item, attributes))
        codes, label = dictionary.encode(h).dense().numpy(), attributes[item.numpy()]
        start = time.perf_counter()
        for j in range(SAMPLE):
            for a in range(ATTRIBUTES):
                assert abs(pearsonr(codes[:, j].astype(float), label[:, a]).statistic - found.r[j, a]) < 1e-9
                assert abs(roc_auc_score(label[:, a], codes[:, j]) - found.auc[j, a]) < 1e-9
        theirs = (time.perf_counter() - start) * LATENTS / SAMPLE
        print(
            f"L0 {l0}: {ours:.2f} s, scipy, scikit-learn {theirs:.0f} s (from {SAMPLE} latents), x{theirs / ours:.0f}"
        )
        entries = nonzero(dictionary, h)
        ours, found = seconds(lambda entries=entries: align_labels(entries, labels, halves))
        start = time.perf_counter()
        for half, got in ((halves[0], found.chosen[0]), (~halves[0], found.scored[0])):
            together = np.corrcoef(codes[half].T.astype(float), labels[half].T)[:LATENTS, LATENTS:]
            assert np.allclose(got, np.nan_to_num(together), atol=1e-9)
        theirs = (time.perf_counter() - start) * len(halves)
        print(f"L0 {l0}: labels of rows {ours:.2f} s, numpy {theirs:.1f} s (from 1 split), x{theirs / ours:.0f}")


if __name__ == "__main__":
    main()
