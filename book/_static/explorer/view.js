// What the explorer and the control on the first page draw: lists, shares, bars. Whatever comes from data is set as text.
window.RecsaeView = (() => {
  "use strict";
  const fill = (node, given, children) => {
    for (const [name, value] of Object.entries(given)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value !== false && value != null) node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children);
    return node;
  };
  const el = (tag, given = {}, ...children) => fill(document.createElement(tag), given, children);
  const svg = (tag, given = {}, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", tag), given, children);
  const unseen = (text) => el("span", { class: "visually-hidden" }, text);

  const signed = (v, digits) =>
    Number(v.toFixed(digits)) === 0 ? "0" : (v < 0 ? "−" : "+") + Math.abs(v).toFixed(digits);
  const percent = (v) => `${Math.round(100 * v)}%`;

  // A label as a noun: "Court", "the 1960s", a word in quotation marks.
  const label = ({ name, kind }) =>
    kind === "decade" ? `the ${name}` : kind === "word" ? `“${name[0].toUpperCase()}${name.slice(1)}”` : name;
  const kinds = { genre: "genre", decade: "decade", word: "word of the title" };

  // Where each item of a list stood in another one: "new", "=", or places up (positive) and down.
  const moves = (list, other) => list.map((item, place) => (other.includes(item) ? other.indexOf(item) - place : null));
  const moved = (by) =>
    by === null ? ["new", "new"] : by === 0 ? ["", ""] : by > 0 ? [`↑${by}`, `up ${by}`] : [`↓${-by}`, `down ${-by}`];

  // An ordered list of rows { title, has, score (0 to 1), text, mark: [seen, said], out }.
  const ranked = (rows, concept) =>
    rows.map((row) => {
      const line = el("li", {
        class: [row.has && "has", row.mark[0] === "new" && "new", row.out && "out"].filter(Boolean).join(" "),
      });
      const title = el("span", { class: "x-title" }, row.title);
      if (row.has) title.append(unseen(`, ${concept}`));
      line.append(title, el("span", { class: "x-move", "aria-hidden": "true" }, row.mark[0]));
      if (row.mark[1]) line.append(unseen(`, ${row.mark[1]}`));
      if (row.score !== undefined) {
        line.append(
          el(
            "span",
            { class: "x-bar", "aria-hidden": "true" },
            el("span", { style: `width:${(100 * row.score).toFixed(1)}%` }),
          ),
          el("span", { class: "x-score" }, unseen(", score "), row.text),
        );
      }
      return line;
    });

  // So many of `of` squares are filled.
  const squares = (count, of) =>
    el(
      "span",
      { class: "x-squares", "aria-hidden": "true" },
      ...Array.from({ length: of }, (_, i) => el("span", { class: i < count ? "on" : "" })),
    );

  return { el, svg, unseen, signed, percent, label, kinds, moves, moved, ranked, squares };
})();
