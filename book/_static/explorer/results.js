// What comes out: the ten best titles without and with the edit, and how many of them have each genre.
window.RecsaeResults = (() => {
  "use strict";
  const { el, signed, label, moves, moved, ranked } = window.RecsaeView;
  const { top } = window.RecsaeModel;
  const K = 10;

  const mean = (scores) => scores.reduce((a, b) => a + b, 0) / scores.length;

  const panel = () => {
    const before = el("ol", { class: "x-list scored" });
    const after = el("ol", { class: "x-list scored" });
    const head = el("h3", {});
    const shares = el("tbody", {});
    const columns = ["Label", "Bars", "Without", "With"].map((text) => el("th", { scope: "col" }, text));
    const table = el(
      "table",
      { class: "x-bars" },
      el("caption", { class: "visually-hidden" }, "Titles of the top 10 with each label, without and with the edit"),
      el("thead", { class: "visually-hidden" }, el("tr", {}, ...columns)),
      shares,
    );
    const box = el(
      "div",
      { class: "x-result" },
      el("section", {}, el("h3", {}, "Without the edit"), before),
      el("section", {}, head, after),
      el(
        "p",
        { class: "x-hint x-legend" },
        "The number beside a title is its score above the mean score of all titles. ",
        "What the user has taken already is left out.",
      ),
      el(
        "section",
        { class: "x-shares" },
        el("h3", {}, "Shares of the top 10"),
        el(
          "p",
          { class: "x-hint" },
          "How many of the ten titles have each genre: grey bar and first number without the edit, ",
          "coloured bar and second number with it.",
        ),
        table,
      ),
    );

    const share = (own, [was, is], chosen) => {
      const bars = [was, is].map((n, i) =>
        el("span", { class: i ? "x-after" : "x-before", style: `width:${10 * n}%` }),
      );
      return el(
        "tr",
        { class: chosen ? "has" : "" },
        el("th", { scope: "row" }, label(own)),
        el("td", { class: "x-wide" }, el("span", { class: "x-pair", "aria-hidden": "true" }, ...bars)),
        el("td", {}, String(was)),
        el("td", { class: was === is ? "" : "x-changed" }, String(is)),
      );
    };

    // The lists of two rows of scores; how many titles are new, and how many had and have the label of the concept.
    const draw = ({ titles, labels, has }, chosen, scores, seen, dose) => {
      const lists = scores.map((s) => top(s, seen, K));
      const above = scores.map((s, n) => {
        const middle = mean(s);
        return lists[n].map((item) => s[item] - middle);
      });
      const most = Math.max(above[0][0], above[1][0]);
      const name = label(labels[chosen]);
      const by = moves(lists[1], lists[0]);
      const rows = lists.map((list, n) =>
        list.map((item, i) => {
          const out = n === 0 && !lists[1].includes(item);
          return {
            title: titles[item],
            has: has[item].includes(chosen),
            score: Math.max(above[n][i], 0) / most,
            text: above[n][i].toFixed(2),
            mark: n ? moved(by[i]) : ["", out ? "leaves the list" : ""],
            out,
          };
        }),
      );
      before.replaceChildren(...ranked(rows[0], name));
      after.replaceChildren(...ranked(rows[1], name));
      head.textContent = dose ? `With dose ${signed(dose, 1)} of ${name}` : "With dose 0: the same";
      const counted = (a) => lists.map((list) => list.filter((item) => has[item].includes(a)).length);
      const genres = Array.from(labels.keys()).filter((a) => a !== chosen && labels[a].kind === "genre");
      shares.replaceChildren(...[chosen, ...genres].map((a) => share(labels[a], counted(a), a === chosen)));
      const [was, is] = counted(chosen);
      return { fresh: by.filter((b) => b === null).length, was, is, of: K };
    };
    return { box, draw };
  };

  return { panel };
})();
