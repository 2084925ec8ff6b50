import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsae_core import files, storage


def tensors(seed=0, rows=7, columns=5):
    g = torch.Generator().manual_seed(seed)
    made = {"W": torch.randn(rows, columns, generator=g) * 10.0 ** torch.arange(rows)[:, None].sub(3)}
    made |= {"b": torch.randn(rows, generator=g), "count": torch.tensor(3), "column": torch.randn(rows, 1, generator=g)}
    return made


@given(st.integers(0, 99), st.integers(1, 9), st.integers(2, 9))
def test_eight_bits_are_off_by_half_a_step_of_the_row_at_most(tmp_path_factory, seed, rows, columns):
    folder, made = tmp_path_factory.mktemp("int8") / "a", tensors(seed, rows, columns)
    made["W"][0] = 0.0
    storage.save(folder, made, {"a": 1}, "int8")
    read, config = storage.load(folder)
    assert config == {"a": 1} and read.keys() == made.keys()
    step = made["W"].abs().amax(1, keepdim=True) / 127
    assert ((read["W"] - made["W"]).abs() <= step * 0.5001).all()
    assert torch.equal(read["b"], made["b"].half().float()) and read["count"].dtype == torch.int64
    assert torch.equal(read["column"], made["column"].half().float())
    storage.save(folder, read, config, "int8")  # rounding twice changes nothing more
    assert torch.allclose(storage.load(folder)[0]["W"], read["W"], rtol=1e-6, atol=0)


def test_files_shrink_and_other_roundings_are_refused(tmp_path):
    made = {"W": torch.randn(400, 64)}
    sizes = {}
    for rounded in (None, "half", "int8"):
        storage.save(tmp_path / "a", made, {}, rounded)
        sizes[rounded] = (tmp_path / "a" / storage.WEIGHTS).stat().st_size
        assert torch.allclose(storage.load(tmp_path / "a")[0]["W"], made["W"], atol=0.03)
    assert sizes["half"] < 0.51 * sizes[None] and sizes["int8"] < 0.55 * sizes["half"]
    with pytest.raises(ValueError, match="rounded='int4'"):
        storage.save(tmp_path / "a", made, {}, "int4")


def test_a_mapping_is_written_a_line_a_key(tmp_path):
    value = {"a": {"b": [1, 2]}, "c\n": "<é>", "d": {}}
    files.write_json(tmp_path / "x.json", value)
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert json.loads(text) == value and len(text.splitlines()) == 5 and "é" in text
    for other in ([1, {"a": 2}], {}, "text"):
        files.write_json(tmp_path / "x.json", other)
        assert files.read_json(tmp_path / "x.json") == other
