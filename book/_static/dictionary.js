// A concept dictionary in its page: search, filter, sort, and look at one latent. Everything is set as text.
(() => {
  "use strict";
  const DASH = "–";
  const el = (tag, given = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(given)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };
  const points = (v) => (v < 0 ? "-" : "+") + Math.abs(100 * v).toFixed(1) + " points";
  const percent = (v) => (v === 0 ? "never" : v < 0.001 ? "<0.1%" : (100 * v).toFixed(1) + "%");
  const sure = (r) =>
    r.confidence === null ? DASH : `${r.confidence.toFixed(2)} (${r.low.toFixed(2)} to ${r.high.toFixed(2)})`;

  const start = (box) => {
    const data = JSON.parse(box.querySelector(".dictionary-data").textContent);
    const step = Number(box.dataset.step);
    const table = box.querySelector("table");
    const body = table.tBodies[0];
    const count = box.querySelector(".dictionary-count");
    const title = (id) => (Object.hasOwn(data.titles, id) ? data.titles[id] : String(id));
    const rows = data.rows.map((cells, order) => {
      const r = Object.fromEntries(cells.map((cell, i) => [data.columns[i], cell]));
      r.order = order;
      r.text = [r.latent, r.description || r.status, ...r.evidence.map((e) => e[0]), ...r.top_items.map(title)]
        .join(" ")
        .toLowerCase();
      return r;
    });
    const cell = {
      description: (r) => r.description || `(${r.status})`,
      confidence: sure,
      firing_rate: (r) => percent(r.firing_rate),
      effect: (r) => (r.effect === null ? DASH : points(r.effect)),
      top_items: (r) => r.top_items.slice(0, 3).map(title).join("; ") || DASH,
    };
    let sorted = { key: null, down: false };
    let found = rows;
    let drawn = 0;

    const details = (r) => {
      const list = el("dl");
      const add = (name, ...what) => list.append(el("dt", {}, name), el("dd", {}, ...what));
      const listed = (lines) => el("ul", {}, ...lines.map((line) => el("li", {}, line)));
      add("Status", `${r.status}; ${r.cases} cases`);
      if (r.evidence.length)
        add("Evidence", listed(r.evidence.map(([term, n, by, q]) => `${term}: ${n} of ${r.cases} cases, ${by} expected by chance (q = ${q})`)));
      add("Confidence", r.confidence === null ? "not tried: too few new cases, or no description" : sure(r));
      add("Fires", percent(r.firing_rate) + (r.firing_rate ? " of the cases" : ""));
      if (r.effect !== null) add("Switched off", `${points(r.effect)} of concept items`);
      if (r.top_items.length)
        add("Top items", listed(r.top_items.map((id) => (title(id) === String(id) ? `item ${id}` : `${title(id)} (item ${id})`))));
      return list;
    };
    const toggle = (button, r) => {
      const open = button.getAttribute("aria-expanded") === "true";
      const own = button.closest("tr");
      button.setAttribute("aria-expanded", String(!open));
      if (open) return own.nextElementSibling.remove();
      const span = { colspan: Object.keys(data.heads).length };
      own.after(el("tr", { class: "details", id: `${data.name}-details-${r.latent}` }, el("td", span, details(r))));
    };
    const line = (r) => {
      const given = { type: "button", "aria-expanded": "false", "aria-controls": `${data.name}-details-${r.latent}` };
      const button = el("button", given, el("span", { class: "visually-hidden" }, "Details of latent "), String(r.latent));
      button.addEventListener("click", () => toggle(button, r));
      const cells = Object.keys(data.heads)
        .slice(1)
        .map((key) => el("td", { class: key === "description" && !r.description ? `${key} none` : key }, cell[key](r)));
      return el("tr", { id: `${data.name}-latent-${r.latent}` }, el("th", { scope: "row", class: "latent" }, button), ...cells);
    };
    const more = el("button", { type: "button", class: "dictionary-more" });
    const draw = () => {
      body.append(...found.slice(drawn, drawn + step).map(line));
      drawn = Math.min(drawn + step, found.length);
      more.hidden = drawn === found.length;
      more.textContent = `Show ${Math.min(step, found.length - drawn)} more`;
      count.textContent = found.length
        ? `${found.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} latents, ${drawn.toLocaleString("en")} shown.`
        : "No latent matches.";
    };

    const search = el("input", { type: "search", autocomplete: "off", placeholder: "a word, a title, a number" });
    const choice = (options) => el("select", {}, ...options.map(([value, text]) => el("option", { value }, text)));
    const states = ["described", "nothing enriched", "never fires"].filter((s) => rows.some((r) => r.status === s));
    const status = choice([["", "any"], ...states.map((s) => [s, s])]);
    const least = choice([["", "any"], ...["0.6", "0.7", "0.8", "0.9"].map((v) => [v, `at least ${v}`])]);
    const compare = (a, b) => {
      const [one, other] = [a, b].map((r) => (sorted.key === "top_items" ? cell.top_items(r) : r[sorted.key]));
      const [noOne, noOther] = [one, other].map((v) => v === null || v === "" || v === DASH);
      if (noOne || noOther) return noOne - noOther || a.order - b.order;
      const sign = typeof one === "number" ? one - other : one.localeCompare(other, "en");
      return (sorted.down ? -sign : sign) || a.order - b.order;
    };
    const refresh = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      found = rows.filter(
        (r) =>
          words.every((w) => r.text.includes(w)) &&
          (!status.value || r.status === status.value) &&
          (!least.value || (r.confidence !== null && r.confidence >= Number(least.value))),
      );
      if (sorted.key) found.sort(compare);
      body.replaceChildren();
      drawn = 0;
      draw();
    };
    let waiting;
    search.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(refresh, 150);
    });
    for (const select of [status, least]) select.addEventListener("change", refresh);
    more.addEventListener("click", draw);
    for (const head of table.tHead.rows[0].cells) {
      const key = head.dataset.key;
      const button = el("button", { type: "button" }, head.textContent);
      button.addEventListener("click", () => {
        const first = key === "confidence" || key === "firing_rate" || key === "effect";
        sorted = { key, down: sorted.key === key ? !sorted.down : first };
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
        refresh();
      });
      head.replaceChildren(button);
    }
    const label = (text, field) => el("label", {}, el("span", {}, text), field);
    const form = el("form", { class: "dictionary-controls", role: "search", "aria-label": "Latents" });
    form.append(label("Search", search), label("Status", status), label("Confidence", least));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      refresh();
    });
    count.before(form);
    table.closest(".pst-scrollable-table-container").after(more);

    const follow = () => {
      const named = location.hash.slice(1).match(/^(.+)-latent-(\d+)$/);
      const r = named && named[1] === data.name && rows.find((one) => one.latent === Number(named[2]));
      if (!r) return;
      form.reset();
      refresh();
      while (drawn <= found.indexOf(r)) draw();
      const button = document.getElementById(location.hash.slice(1)).querySelector("button");
      if (button.getAttribute("aria-expanded") === "false") button.click();
      button.scrollIntoView({ block: "center" });
      button.focus({ preventScroll: true });
    };
    window.addEventListener("hashchange", follow);
    refresh();
    follow();
  };
  for (const box of document.querySelectorAll(".dictionary")) start(box);
})();
