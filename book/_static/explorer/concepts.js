// The list of concepts: found by name, ordered by what the name is worth on held-out items, chosen with radio buttons.
window.RecsaeConcepts = (() => {
  "use strict";
  const { el, unseen, label, kinds } = window.RecsaeView;
  const { better, further } = window.RecsaeCard;

  // The held-out correlation with its interval as a dot on a line from 0 to 1, and the best random direction as a tick.
  const quality = (c) => {
    const at = (v) => `${(100 * Math.min(Math.max(v, 0), 1)).toFixed(1)}%`;
    const [value, low, high] = c.r;
    const mark = (name, style) => el("span", { class: name, style });
    return el(
      "span",
      { class: "x-quality", "aria-hidden": "true" },
      mark("x-span", `left:${at(low)};right:calc(100% - ${at(high)})`),
      mark("x-dot", `left:${at(value)}`),
      mark("x-null", `left:${at(c.null)}`),
    );
  };

  // `chosen(latent)` is called when the reader takes one; set(concepts, labels, latent) shows those of a model.
  const picker = (chosen) => {
    let shown = { concepts: [], labels: [], latent: null };
    const search = el("input", {
      type: "search",
      id: "x-search",
      autocomplete: "off",
      placeholder: "a name, a kind, a number",
      oninput: () => draw(),
    });
    const order = el(
      "select",
      { id: "x-order", onchange: () => draw() },
      el("option", { value: "best" }, "best first"),
      el("option", { value: "name" }, "by name"),
    );
    const list = el("div", { class: "x-concepts", role: "radiogroup", "aria-label": "Concepts" });
    const count = el("p", { class: "x-hint", role: "status", "aria-live": "polite" });

    const mark = (latent) => {
      shown.latent = latent;
      for (const row of list.children) row.classList.toggle("chosen", Number(row.dataset.latent) === latent);
    };
    const line = (c) => {
      const sure = better(c);
      const take = () => {
        mark(c.latent);
        chosen(c.latent);
      };
      const radio = el("input", { type: "radio", name: "x-concept", value: c.latent, onchange: take });
      radio.checked = c.latent === shown.latent;
      return el(
        "label",
        { class: sure ? "" : "weak", "data-latent": c.latent },
        radio,
        el("span", { class: "x-name" }, label(shown.labels[c.label])),
        el("span", { class: "x-latent" }, unseen("latent "), String(c.latent)),
        quality(c),
        el(
          "span",
          { class: "x-score" },
          unseen("held-out correlation "),
          c.r[0].toFixed(2),
          unseen(sure ? "" : ", no better than the best random direction"),
        ),
      );
    };
    const draw = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const text = (c) => {
        const own = shown.labels[c.label];
        return `${label(own)} ${kinds[own.kind]} ${c.latent}`.toLowerCase();
      };
      const found = shown.concepts.filter((c) => words.every((w) => text(c).includes(w)));
      if (order.value === "name") found.sort((a, b) => a.label - b.label || b.r[0] - a.r[0]);
      list.replaceChildren(...found.map(line));
      mark(shown.latent);
      const sure = found.filter(better);
      count.textContent = found.length
        ? `${found.length} latents. The name of ${sure.length} holds better than the best random direction (tick); ${sure.filter(further).length} of these also steer further.`
        : "No latent matches.";
    };
    const set = (concepts, labels, latent) => {
      shown = { concepts, labels, latent };
      draw();
      const row = list.querySelector(".chosen");
      if (row) list.scrollTop = row.offsetTop - list.clientHeight / 2;
    };
    const field = (text, control) => el("label", { for: control.id, class: "x-field" }, text, control);
    const fields = el("div", { class: "x-fields" }, field("Search", search), field("Order", order));
    return { nodes: [fields, list, count], set };
  };

  return { picker };
})();
