// The control on the first page: one user, one concept, one slider. Without this script two still lists remain.
(() => {
  "use strict";
  const { el, label, moves, moved, ranked, squares, signed } = window.RecsaeView;
  const { build, edit, top } = window.RecsaeModel;
  const SHOWN = 5;
  const LISTED = 10;

  const start = (box, data) => {
    const about = data.models[0];
    const known = data.catalogues[about.catalogue];
    const concept = about.concepts[0];
    const name = label(known.labels[concept.label]);
    const model = build(about);
    const { history } = about.users[0];
    const stop = model.stop(history);
    const has = (item) => known.has[item].includes(concept.label);
    const before = top(stop.scores, history, LISTED);

    const slider = el("input", {
      type: "range",
      min: -1,
      max: 2,
      step: 0.1,
      value: 0,
      id: "steer-dose",
      list: "steer-zero",
    });
    const zero = el("datalist", { id: "steer-zero" }, el("option", { value: 0 }));
    const dose = el("output", { for: "steer-dose", class: "x-dose" });
    const list = el("ol", { class: "x-list" });
    const share = el("p", { class: "x-share" });
    const said = el("p", { class: "visually-hidden", role: "status", "aria-live": "polite" });
    const draw = () => {
      const amount = Number(slider.value);
      const row = edit(model.sae, stop.h, concept.latent, "add", amount, concept.unit);
      const list10 = top(row === stop.h ? stop.scores : stop.finish(row), history, LISTED);
      const count = list10.filter(has).length;
      const by = moves(list10, before);
      const rows = list10
        .slice(0, SHOWN)
        .map((item, i) => ({ title: known.titles[item], has: has(item), mark: moved(by[i]) }));
      list.replaceChildren(...ranked(rows, name));
      dose.textContent = signed(amount, 1);
      slider.setAttribute("aria-valuetext", amount ? `dose ${amount}` : "dose 0, no edit");
      share.replaceChildren(squares(count, LISTED), ` ${count} of the top ${LISTED} are ${name}`);
      return `Dose ${amount}: ${by.filter((b) => b === null).length} of ${LISTED} titles changed; ${count} of ${LISTED} are ${name}.`;
    };
    slider.addEventListener("input", draw);
    slider.addEventListener("change", () => {
      said.textContent = draw();
    });
    const taken = el(
      "p",
      { class: "steer-taken" },
      el("span", {}, "Somebody took, among others: "),
      history
        .slice(-3)
        .map((item) => known.titles[item])
        .join("; "),
      ".",
    );
    const control = el(
      "label",
      { for: "steer-dose", class: "steer-label" },
      "Less ",
      el("strong", {}, name),
      slider,
      "more",
    );
    box
      .querySelector(".steer-still")
      .replaceWith(
        el(
          "div",
          { class: "steer-live" },
          taken,
          el("div", { class: "steer-control" }, control, zero, dose),
          list,
          share,
          said,
        ),
      );
    draw();
  };
  for (const box of document.querySelectorAll(".steer")) start(box, window.RECSAE_EXPLORER);
})();
