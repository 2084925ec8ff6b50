import base64
import io

import numpy as np
import pytest
from nbformat import v4
from PIL import Image

from recsae_book import notebooks, pictures
from recsae_book.figures import style


def text(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def pixels(png: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")).astype(int)


@pytest.fixture(scope="module")
def figure() -> str:
    """A heat map with pale cells of both signs beside a line, as a notebook holds it."""
    drawn, axes = style.canvas(3.0, columns=2)
    values = np.linspace(-0.2, 1, 100).reshape(10, 10)
    axes[0, 0].imshow(values, cmap=style.DIVERGING, vmin=-1, vmax=1)
    axes[0, 1].plot(np.sin(np.arange(60)))
    return base64.b64encode(drawn._repr_png_()).decode()


def test_a_figure_gets_smaller_and_its_areas_keep_their_colours(figure):
    new = pictures.smaller(figure)
    assert len(new) < 0.95 * len(figure)
    before, after = pixels(figure), pixels(new)
    assert np.abs(before - after).max() <= pictures.NEAR
    codes = before.reshape(-1, 3) @ (1 << 16, 1 << 8, 1)
    _, inverse, count = np.unique(codes, return_inverse=True, return_counts=True)
    wide = (count >= pictures.AREA)[inverse].reshape(before.shape[:2])
    assert wide.mean() > 0.8 and (before[wide] == after[wide]).all()
    assert pixels(new).shape == before.shape


def test_a_second_time_changes_nothing(figure):
    new = pictures.smaller(figure)
    assert pictures.smaller(new) == new
    assert pictures.smaller(figure) == new


def test_what_a_palette_would_spoil_stays_as_it_is():
    noise = np.random.default_rng(0).integers(0, 256, (120, 120, 3), dtype=np.uint8)
    clear = Image.new("RGBA", (40, 40), (255, 0, 0, 128))
    for picture in (Image.fromarray(noise), clear):
        assert pictures.smaller(text(picture)) == text(picture)


def test_cleaning_a_notebook_makes_its_pictures_smaller_and_nothing_else(figure):
    output = v4.new_output("display_data", {"image/png": figure, "text/plain": "<Figure>"}, metadata={"image/png": {}})
    book = v4.new_notebook(cells=[v4.new_code_cell("draw()", outputs=[output])])
    assert notebooks.clean(book) == []
    kept = book.cells[0].outputs[0]
    assert kept.data["image/png"] == pictures.smaller(figure) != figure
    assert kept.data["text/plain"] == "<Figure>"
