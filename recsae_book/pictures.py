"""Pictures in executed notebooks: the same to the eye, a fifth smaller in the repository."""

import base64
import io

AREA = 300  # pixels; a colour that covers as many is kept as it is, a cell of a heat map for example
NEAR = 12  # of 255, in each channel: what may be replaced lies on edges of letters and lines


def smaller(png: str) -> str:
    """A PNG in base64 with fewer colours, or the same text where that is not smaller or needs over 256 colours.

    Each colour of under ``AREA`` pixels becomes the nearest more frequent one that is within ``NEAR`` in every
    channel; all others stay exact. The result depends on the picture alone, and a second call returns it unchanged.
    """
    import numpy as np
    from PIL import Image

    old = base64.b64decode(png)
    picture = Image.open(io.BytesIO(old))
    if "transparency" in picture.info or picture.mode not in ("P", "RGB"):
        return png
    coded = np.asarray(picture.convert("RGB")).reshape(-1, 3).astype(np.int32) @ (1 << 16, 1 << 8, 1)
    found, inverse, count = np.unique(coded, return_inverse=True, return_counts=True)
    colours = np.stack([found >> 16, found >> 8 & 255, found & 255], 1)
    kept: list[int] = []
    place = np.empty(len(found), dtype=np.int64)
    for i in np.argsort(-count, kind="stable"):
        far = np.abs(colours[kept] - colours[i]).max(1) if kept else np.empty(0)
        if count[i] < AREA and far.size and far.min() <= NEAR:
            place[i] = far.argmin()
        else:
            place[i] = len(kept)
            kept.append(int(i))
            if len(kept) > 256:
                return png
    order = np.argsort(kept)
    place = np.argsort(order)[place].astype(np.uint8)
    reduced, buffer = Image.fromarray(place[inverse].reshape(picture.size[::-1])), io.BytesIO()
    reduced.putpalette(colours[np.array(kept)[order]].astype(np.uint8).ravel().tolist())
    reduced.save(buffer, "PNG", optimize=True)
    new = base64.b64encode(buffer.getvalue()).decode() + "\n" * png.endswith("\n")
    return new if len(new) < len(png) else png
