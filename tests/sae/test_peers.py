"""The same weights in other people's libraries give the same codes, reconstructions and losses."""

import pytest
import torch
from requirements import needs

from recsae_core.sae import SAE, Pass, SAEConfig
from recsae_core.sae.terms import l1, l2

from .worlds import generator, planted

pytestmark = pytest.mark.peers


def test_topk_agrees_with_dictionary_learning():
    needs("peers:dictionary_learning")
    from dictionary_learning.trainers.top_k import AutoEncoderTopK

    x = planted(100, 16)[0]
    ours, theirs = SAE(SAEConfig(16, 64, "topk", k=6), generator()).prepare(x), AutoEncoderTopK(16, 64, 6)
    with torch.no_grad():
        theirs.encoder.weight.copy_(ours.W_enc)
        theirs.encoder.bias.copy_(ours.b_enc)
        theirs.decoder.weight.copy_(ours.W_dec.T)
        theirs.b_dec.copy_(ours.b_dec)
        torch.testing.assert_close(ours.encode(x).dense(), theirs.encode(x), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


def test_the_l1_sae_agrees_with_dictionary_learning():
    needs("peers:dictionary_learning")
    from dictionary_learning.dictionary import AutoEncoder

    x = planted(100, 16)[0]
    ours, theirs = SAE(SAEConfig(16, 64, init="linear"), generator()).prepare(x), AutoEncoder(16, 64)
    with torch.no_grad():
        theirs.encoder.weight.copy_(ours.W_enc)
        theirs.encoder.bias.copy_(ours.b_enc)
        theirs.decoder.weight.copy_(ours.W_dec.T)
        theirs.bias.copy_(ours.b_dec)
        x_hat, f = theirs(x, output_features=True)
        pre, z = ours.run(x)
        p = Pass(x, pre, z, ours.reconstruct(z), torch.zeros(64, dtype=torch.bool), ours, None)
        torch.testing.assert_close(z.value, f, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(p.x_hat, x_hat, rtol=1e-4, atol=1e-5)
        # the loss of mid-2024, on which the authors of 2507.12202 trained
        torch.testing.assert_close(l2(p), torch.linalg.norm(x - x_hat, dim=-1).mean(), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(l1(p), f.norm(p=1, dim=-1).mean(), rtol=1e-4, atol=1e-5)


def test_topk_agrees_with_sparsify():
    needs("peers:sparsify")
    from sparsify import SaeConfig
    from sparsify.sparse_coder import SparseCoder

    x = planted(100, 16)[0]
    ours = SAE(SAEConfig(16, 64, "topk", k=6), generator()).prepare(x)
    theirs = SparseCoder(16, SaeConfig(num_latents=64, k=6), dtype=torch.float32)
    with torch.no_grad():
        theirs.encoder.weight.copy_(ours.W_enc)
        theirs.encoder.bias.copy_(ours.b_enc)
        theirs.W_dec.copy_(ours.W_dec)
        theirs.b_dec.copy_(ours.b_dec)
        found = theirs.encode(x)
        z = torch.zeros(100, 64).scatter_(1, found.top_indices, found.top_acts)
        torch.testing.assert_close(ours.encode(x).dense(), z, rtol=1e-4, atol=1e-5)
