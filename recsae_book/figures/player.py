"""A picture in steps: bars that a reader moves through time with a slider, or watches (``book/_static/player.js``)."""

import html
import json
from collections.abc import Sequence

from recsae_book.figures import style
from recsae_book.figures.style import Real

WIDE, LEFT, BASE, HIGH = 480, 34, 206, 186  # of the picture: width, where bars begin, where one of 0 ends, height of 1


class Player:
    """Bars that change in steps, as HTML for a page of the book; without a script the last step stays.

    ``values`` are ``[t, bars]`` from 0 to 1, ``steps`` a short name and ``captions`` a sentence for each of the ``t``;
    bars from ``goal`` on are dark, ``chance`` is a dashed line. Read: which bars grow first, and which stay below it.
    """

    def __init__(
        self, values: object, steps: Sequence[str], captions: Sequence[str], *, label: str, goal: Real, chance: Real
    ) -> None:
        self.values = style.numbers(values, "values", ndim=2)
        if self.values.min() < 0 or self.values.max() > 1 + 1e-6:
            raise ValueError(f"values from {self.values.min():g} to {self.values.max():g}: expected 0 to 1")
        if len(self.values) < 2 or not len(self.values) == len(steps) == len(captions):
            counts = f"{len(self.values)} rows of values, {len(steps)} steps, {len(captions)} captions"
            raise ValueError(f"{counts}: expected as many of each, at least 2")
        self.steps, self.captions, self.label = [str(s) for s in steps], [str(c) for c in captions], label
        self.goal, self.chance = float(goal), float(chance)

    def __repr__(self) -> str:
        return f"{self.label} {self.captions[-1]}"

    def _repr_html_(self) -> str:
        data = {
            "values": [[round(100 * v) for v in row] for row in self.values.tolist()],  # in hundredths
            "steps": self.steps,
            "captions": self.captions,
        }
        carried = json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("<", r"\u003c")
        room = (WIDE - LEFT) / self.values.shape[1]
        bars = "".join(
            f'<rect class="{"bar found" if v >= self.goal else "bar"}" x="{LEFT + i * room + room * 0.14:.1f}" '
            f'y="{BASE - HIGH * v:.1f}" width="{room * 0.72:.1f}" height="{HIGH * v:.1f}" fill="{style.BLUE}"/>'
            for i, v in enumerate(self.values[-1])
        )
        rules = "".join(
            f'<path class="{kind}" d="M{LEFT} {BASE - HIGH * v:.1f}H{WIDE}" stroke="currentColor" {dash}/>'
            f'<text x="{LEFT - 4}" y="{BASE - HIGH * v + 5:.1f}" text-anchor="end">{v:.2g}</text>'
            for kind, v, dash in [
                ("rule", 0.0, ""),
                ("goal", self.goal, ""),
                ("chance", self.chance, 'stroke-dasharray="5 4"'),
            ]
        )
        return f"""<div class="player" data-base="{BASE}" data-high="{HIGH}" data-goal="{100 * self.goal:g}">
<link rel="stylesheet" href="../_static/player.css">
<p class="player-label">{html.escape(self.label)}</p>
<svg viewBox="0 0 {WIDE} {BASE + 8}" width="100%" aria-hidden="true" font-size="14" fill="currentColor">\
{bars}{rules}</svg>
<p class="player-caption" role="status">{html.escape(self.captions[-1])}</p>
<script type="application/json" class="player-data">{carried}</script>
<script defer src="../_static/player.js"></script>
</div>"""
