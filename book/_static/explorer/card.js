// The feature card: what the name of a latent is worth, what the latent does, and what chance would do.
window.RecsaeCard = (() => {
  "use strict";
  const { el, svg, label, kinds, signed, percent } = window.RecsaeView;
  const SHOWN = 4; // items raised and lowered
  const pane = (title, ...what) => el("section", { class: "x-pane" }, el("h3", {}, title), ...what);
  const r = (v) => v.toFixed(2).replace("-", "−");

  // Values on one scale from 0 to 1, each a row with its name and number; a low and a high draw an interval.
  const scale = (rows, text) => {
    const [left, width, step] = [92, 128, 24];
    const at = (v) => left + width * Math.min(Math.max(v, 0), 1);
    const picture = svg("svg", {
      class: "x-plot",
      viewBox: `0 0 330 ${step * rows.length + 4}`,
      role: "img",
      "aria-label": text,
    });
    rows.forEach(({ name, value, low, high, strong }, i) => {
      const y = step * (i + 0.5) + 2;
      picture.append(
        svg("text", { x: left - 10, y: y + 4, "text-anchor": "end" }, name),
        svg("line", { class: "x-rail", x1: left, x2: left + width, y1: y, y2: y }),
        svg("line", { class: strong ? "x-strong" : "x-weak", x1: at(low ?? 0), x2: at(high ?? value), y1: y, y2: y }),
        svg("circle", { class: strong ? "x-strong" : "x-weak", cx: at(value), cy: y, r: 5 }),
        svg(
          "text",
          { x: left + width + 10, y: y + 4, class: "x-number" },
          low === undefined ? r(value) : `${r(value)} (${r(low)}, ${r(high)})`,
        ),
      );
    });
    return picture;
  };

  // Does the name hold, and does the latent steer toward it, better than random directions?
  const better = (c) => c.r[1] > c.null;
  const further = ({ steer: [before, , low, , any, rival] }) => low > Math.max(before, any, rival);
  const worth = (c, name, m, what) => {
    const [value, low, high] = c.r;
    const verdict = better(c)
      ? "The interval lies above the best random direction."
      : "The best random direction does as well.";
    return pane(
      "Does the name hold?",
      scale(
        [
          { name: "this latent", value, low, high, strong: true },
          { name: "random", value: c.null },
        ],
        `Correlation on held-out items: this latent ${r(value)}, 95% interval ${r(low)} to ${r(high)}; best random direction ${r(c.null)}`,
      ),
      el(
        "p",
        {},
        `Correlation of the latent with ${name} on the half of the items that did not name it, with its 95% interval. `,
        `“Random” is the best of ${m} random directions, named in the same way. `,
        el(better(c) ? "span" : "strong", {}, verdict),
      ),
      el(
        "p",
        {},
        `It fires at ${percent(c.fires)} of the ${c.rows[1].toLocaleString("en")} ${what}. Where it fires, ${percent(c.precision)} are ${name}; `,
        `it fires at ${percent(c.recall[c.label])} of those that are.`,
      ),
    );
  };

  const steers = (c, name, dose) => {
    const [before, after, low, high, random, rival] = c.steer;
    const moves = further(c);
    return pane(
      "Does it steer?",
      scale(
        [
          { name: "no edit", value: before },
          { name: `dose ${dose}`, value: after, low, high, strong: true },
          { name: "any direction", value: random },
          { name: "best random", value: rival },
        ],
        `Share of ${name} in the top 10: ${percent(before)} without an edit, ${percent(after)} at dose ${dose}, ${percent(random)} after a step as long in any direction, ${percent(rival)} along the best random direction`,
      ),
      el(
        "p",
        {},
        `Share of ${name} in the top 10, mean of 64 users, with the 95% interval; below it steps of the same length, in any direction and along the random direction that is best for the name. `,
        el(
          moves ? "span" : "strong",
          {},
          moves
            ? "The latent moves the lists toward its name, and further than both."
            : "A random direction does as well.",
        ),
      ),
    );
  };

  const strongest = (c, known) => {
    const rows = c.items.map((item) =>
      el(
        "li",
        { class: known.has[item].includes(c.label) ? "has" : "" },
        el("span", { class: "x-title" }, known.titles[item]),
      ),
    );
    return pane("Strongest items", el("ol", { class: "x-list plain" }, ...rows));
  };

  const histogram = (c, name, now) => {
    const [left, width, middle, high] = [14, 300, 66, 52];
    const most = Math.max(...c.with, ...c.without, 1);
    const step = width / c.with.length;
    const text = `Histogram of the latent where it fires, from 0 to ${c.most}: ${c.with.reduce((a, b) => a + b, 0)} with ${name}, ${c.without.reduce((a, b) => a + b, 0)} without`;
    const picture = svg("svg", { class: "x-plot", viewBox: "0 0 330 150", role: "img", "aria-label": text });
    const column = (n, i, up) => {
      const tall = (high * n) / most;
      return svg("rect", {
        class: up ? "x-with" : "x-without",
        x: left + i * step + 1,
        width: step - 2,
        y: up ? middle - tall : middle + 1,
        height: tall,
      });
    };
    picture.append(...c.with.map((n, i) => column(n, i, true)), ...c.without.map((n, i) => column(n, i, false)));
    picture.append(svg("line", { class: "x-axis", x1: left, x2: left + width, y1: middle + 0.5, y2: middle + 0.5 }));
    picture.append(
      svg("text", { x: left + width, y: 20, "text-anchor": "end" }, `with ${name}`),
      svg("text", { x: left + width, y: 112, "text-anchor": "end" }, "without"),
    );
    picture.append(
      svg("text", { x: left, y: 140 }, "0"),
      svg("text", { x: left + width, y: 140, "text-anchor": "end" }, `activation ${c.most.toFixed(1)}`),
    );
    if (now > 0) {
      const x = left + (width * Math.min(now, c.most)) / c.most;
      picture.append(
        svg("line", { class: "x-now", x1: x, x2: x, y1: 8, y2: 122 }),
        svg("text", { x: x + 4, y: 16 }, "here"),
      );
    }
    return pane("Activations where it fires", picture);
  };

  const profile = (c, known) => {
    const shown = known.labels.map((l, a) => ({ ...l, a })).filter(({ kind, a }) => kind === "genre" || a === c.label);
    const rows = shown.sort((one, two) => c.recall[two.a] - c.recall[one.a]).slice(0, 8);
    return pane(
      "Where it fires",
      el(
        "table",
        { class: "x-bars" },
        el("caption", { class: "visually-hidden" }, "Share of the rows of a kind at which the latent fires"),
        el(
          "tbody",
          {},
          ...rows.map((l) =>
            el(
              "tr",
              { class: l.a === c.label ? "has" : "" },
              el("th", { scope: "row" }, label(l)),
              el(
                "td",
                { class: "x-wide" },
                el(
                  "span",
                  { class: "x-bar", "aria-hidden": "true" },
                  el("span", { style: `width:${100 * c.recall[l.a]}%` }),
                ),
              ),
              el("td", {}, percent(c.recall[l.a])),
            ),
          ),
        ),
      ),
      el("p", {}, "Share of the rows of each genre at which the latent is active; the eight highest."),
    );
  };

  const logits = (c, known, effect) => {
    const order = Array.from(effect.keys()).sort((a, b) => effect[b] - effect[a]);
    const side = (title, items) =>
      el(
        "div",
        {},
        el("h4", {}, title),
        el(
          "ol",
          { class: "x-list plain" },
          ...items.map((item) =>
            el(
              "li",
              { class: known.has[item].includes(c.label) ? "has" : "" },
              el("span", { class: "x-title" }, known.titles[item]),
              el("span", { class: "x-score" }, signed(effect[item] * c.unit, 1)),
            ),
          ),
        ),
      );
    return pane(
      "Direct effect on scores",
      el(
        "div",
        { class: "x-two" },
        side("raised most", order.slice(0, SHOWN)),
        side("lowered most", order.slice(-SHOWN).reverse()),
      ),
      el(
        "p",
        {},
        "What dose 1 would add to a score if the direction went straight to the items. What really happens, through the rest of the model, is in the lists above.",
      ),
    );
  };

  // The panes of a concept; `now` is the activation of the latent for the case on the page.
  const draw = ({ concept, known, m, kind, effect, now, dose }) => {
    const own = known.labels[concept.label];
    const name = label(own);
    const what = kind === "mf" ? "items" : "positions";
    return [
      el("h2", {}, `Latent ${concept.latent}: ${name} `, el("span", { class: "x-kind" }, kinds[own.kind])),
      el(
        "div",
        { class: "x-panes" },
        worth(concept, name, m, what),
        steers(concept, name, dose),
        strongest(concept, known),
        histogram(concept, name, now),
        profile(concept, known),
        logits(concept, known, effect),
      ),
    ];
  };
  return { draw, better, further };
})();
