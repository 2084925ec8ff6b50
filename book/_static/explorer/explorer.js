// The explorer: who the list is for, which concept, how much of it; and what the recommender says then.
(() => {
  "use strict";
  const { el, unseen, signed, percent, label, kinds, moves, moved, ranked } = window.RecsaeView;
  const { build, edit, top, direct } = window.RecsaeModel;
  const K = 10;
  const DOSES = [-3, 5];

  const start = (box, data) => {
    const built = data.models.map(() => null);
    const model = (n) => (built[n] ??= build(data.models[n]));
    const state = { model: 0, user: 0, items: null, latent: null, dose: 0 };
    const about = () => data.models[state.model];
    const known = () => data.catalogues[about().catalogue];
    const concept = () => about().concepts.find((c) => c.latent === state.latent);
    const first = (n) => data.models[n].concepts.find((c) => data.catalogues[data.models[n].catalogue].labels[c.label].kind === "genre").latent;
    const history = () => state.items ?? about().users[state.user].history;

    // --- The state in the address
    const address = () => {
      const said = new URLSearchParams({ model: about().kind, user: state.user, latent: state.latent, dose: state.dose });
      if (state.items) said.set("items", state.items.join("."));
      return `#${said}`;
    };
    const follow = () => {
      const said = new URLSearchParams(location.hash.slice(1));
      const which = data.models.findIndex((m) => m.kind === said.get("model"));
      if (which < 0) return false;
      const whole = (name, below) => {
        const n = Number(said.get(name));
        return Number.isInteger(n) && n >= 0 && n < below ? n : 0;
      };
      const { titles } = data.catalogues[data.models[which].catalogue];
      const typed = (said.get("items") ?? "").split(".").map(Number).filter((n) => Number.isInteger(n) && n >= 0 && n < titles.length);
      const latent = Number(said.get("latent"));
      const dose = Number(said.get("dose"));
      state.model = which;
      state.user = whole("user", about().users.length);
      state.items = said.has("items") && about().kind === "transformer" ? [...new Set(said.get("items") ? typed : [])].slice(-about().length) : null;
      state.latent = about().concepts.some((c) => c.latent === latent) ? latent : first(which);
      state.dose = Number.isFinite(dose) ? Math.min(Math.max(dose, DOSES[0]), DOSES[1]) : 0;
      return true;
    };
    const keep = () => {
      link.href = address();
      try {
        window.history.replaceState(null, "", address());
      } catch {
        /* a page of its own may not be allowed to: the link still says it */
      }
    };

    // --- 1: who
    const models = el("div", { class: "x-models", role: "radiogroup", "aria-label": "Recommender" },
      ...data.models.map((m, n) => el("label", {}, el("input", { type: "radio", name: "x-model", value: m.kind, onchange: () => choose(n) }), m.name)));
    const users = el("select", { id: "x-user", onchange: () => { state.user = users.selectedIndex; state.items = null; ask(); keep(); } });
    const own = el("p", { class: "x-hint" });
    const taken = el("div", {});
    let editor = null;
    const who = () => {
      models.querySelectorAll("input").forEach((radio, n) => { radio.checked = n === state.model; });
      const told = (user) => {
        const seen = user.history ?? user.seen;
        const count = known().labels.map((l, a) => (l.kind === "genre" ? seen.filter((i) => known().has[i].includes(a)).length : -1));
        const most = Array.from(count.keys()).sort((a, b) => count[b] - count[a]).slice(0, 2).map((a) => label(known().labels[a]));
        return `User ${user.id}: ${seen.length} titles, most ${most.join(" and ")}`;
      };
      users.replaceChildren(...about().users.map((user) => el("option", {}, told(user))));
      users.selectedIndex = state.user;
      if (about().kind === "transformer") {
        editor = window.RecsaeHistory.editor(known().titles, about().length, (items) => { state.items = items; ask(); keep(); });
        taken.replaceChildren(editor.box);
        editor.set(history(), false);
      }
    };

    // --- 2: which concept
    const search = el("input", { type: "search", id: "x-search", autocomplete: "off", placeholder: "a name, a kind, a number", oninput: () => list() });
    const order = el("select", { id: "x-order", onchange: () => list() }, el("option", { value: "best" }, "best first"), el("option", { value: "name" }, "by name"));
    const concepts = el("div", { class: "x-concepts", role: "radiogroup", "aria-label": "Concepts" });
    const count = el("p", { class: "x-hint", role: "status", "aria-live": "polite" });
    const quality = (c) => {
      const at = (v) => `${(100 * Math.min(Math.max(v, 0), 1)).toFixed(1)}%`;
      return el("span", { class: "x-quality", "aria-hidden": "true" },
        el("span", { class: "x-span", style: `left:${at(c.r[1])};right:calc(100% - ${at(c.r[2])})` }),
        el("span", { class: "x-dot", style: `left:${at(c.r[0])}` }), el("span", { class: "x-null", style: `left:${at(c.null)}` }));
    };
    const list = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const text = (c) => `${label(known().labels[c.label])} ${kinds[known().labels[c.label].kind]} ${c.latent}`.toLowerCase();
      const found = about().concepts.filter((c) => words.every((w) => text(c).includes(w)));
      if (order.value === "name") found.sort((a, b) => a.label - b.label || b.r[0] - a.r[0]);
      concepts.replaceChildren(...found.map((c) => {
        const sure = window.RecsaeCard.better(c);
        const radio = el("input", { type: "radio", name: "x-concept", value: c.latent, onchange: () => { state.latent = c.latent; draw(); card(); keep(); } });
        radio.checked = c.latent === state.latent;
        return el("label", { class: sure ? "" : "weak" }, radio, el("span", { class: "x-name" }, label(known().labels[c.label])),
          el("span", { class: "x-latent" }, unseen("latent "), String(c.latent)), quality(c),
          el("span", { class: "x-score" }, unseen("held-out correlation "), c.r[0].toFixed(2), unseen(sure ? "" : ", no better than chance")));
      }));
      const sure = found.filter(window.RecsaeCard.better).length;
      count.textContent = found.length ? `${found.length} latents; ${sure} hold better than the best random direction (tick).` : "No latent matches.";
    };

    // --- 3: how much
    const slider = el("input", { type: "range", id: "x-slider", min: DOSES[0], max: DOSES[1], step: 0.1, list: "x-zero" });
    const dose = el("output", { class: "x-dose", for: "x-slider" });
    const reset = el("button", { type: "button", class: "x-button", onclick: () => { state.dose = 0; draw(); say(); keep(); } }, "Reset");
    const link = el("a", { href: "#" }, "Link to this state");
    const here = el("p", { class: "x-hint" });
    const said = el("p", { class: "x-said", role: "status", "aria-live": "polite" });
    let waiting;
    slider.addEventListener("input", () => {
      state.dose = Number(slider.value);
      draw();
      clearTimeout(waiting);
      waiting = setTimeout(() => { say(); keep(); }, 300);
    });

    // --- What comes out
    const before = el("ol", { class: "x-list scored" });
    const after = el("ol", { class: "x-list scored" });
    const afterHead = el("h3", {});
    const shares = el("tbody", {});
    const result = el("div", { class: "x-result" },
      el("section", {}, el("h3", {}, "Without the edit"), before), el("section", {}, afterHead, after),
      el("p", { class: "x-hint x-legend" }, "The number beside a title is its score above the mean score of all titles. What the user has taken already is left out."),
      el("section", { class: "x-shares" }, el("h3", {}, "Shares of the top 10"), el("p", { class: "x-hint" }, "How many of the ten titles have each genre: grey bar and first number without the edit, coloured bar and second number with it."),
        el("table", { class: "x-bars" }, el("caption", { class: "visually-hidden" }, "Titles of the top 10 with each label, without and with the edit"),
          el("thead", { class: "visually-hidden" }, el("tr", {}, ...["Label", "Bars", "Without", "With"].map((t) => el("th", { scope: "col" }, t)))), shares)));
    const cardBox = el("section", { class: "x-card", "aria-label": "Feature card" });

    let stop = null;
    let latest = "";
    const seen = () => about().users[state.user].seen ?? history();
    const ask = () => {
      if (about().kind === "transformer") {
        stop = history().length ? model(state.model).stop(history()) : null;
        if (!state.items) editor.set(history(), false);
        own.textContent = state.items ? `A history of your own: ${history().length} titles. Choose a user to go back.` : `The model reads this history, the last ${about().length} titles of it, and nothing else about the user.`;
      } else {
        stop = model(state.model).stop(state.user);
        own.textContent = "This model knows its users by number, not by history: only users it was trained on can be chosen. They took:";
        const titles = seen().map((i) => el("li", {}, el("span", {}, known().titles[i])));
        taken.replaceChildren(el("ol", { class: "x-history", tabindex: "0", "aria-label": "What this user took, in no order" }, ...titles));
      }
      draw();
      card();
      say();
    };
    const draw = () => {
      slider.value = state.dose;
      dose.textContent = signed(state.dose, 1);
      slider.setAttribute("aria-valuetext", state.dose ? `dose ${state.dose}` : "dose 0, no edit");
      result.hidden = !stop;
      if (!stop) {
        latest = here.textContent = "The history is empty. Add a title.";
        return;
      }
      const c = concept();
      const name = label(known().labels[c.label]);
      const row = edit(model(state.model).sae, stop.h, c.latent, "add", state.dose, c.unit);
      const scores = row === stop.h ? stop.scores : stop.finish(row);
      const lists = [top(stop.scores, seen(), K), top(scores, seen(), K)];
      const mean = [stop.scores, scores].map((s) => s.reduce((a, b) => a + b, 0) / s.length);
      const above = (n, item) => [stop.scores, scores][n][item] - mean[n];
      const most = Math.max(above(0, lists[0][0]), above(1, lists[1][0]));
      const has = (item) => known().has[item].includes(c.label);
      const line = (n, item, more) => ({ title: known().titles[item], has: has(item), score: Math.max(above(n, item), 0) / most, text: above(n, item).toFixed(2), ...more });
      before.replaceChildren(...ranked(lists[0].map((item) => line(0, item, { mark: ["", lists[1].includes(item) ? "" : "leaves the list"], out: !lists[1].includes(item) })), name));
      const by = moves(lists[1], lists[0]);
      after.replaceChildren(...ranked(lists[1].map((item, i) => line(1, item, { mark: moved(by[i]) })), name));
      afterHead.textContent = state.dose ? `With dose ${signed(state.dose, 1)} of ${name}` : "With dose 0: the same";
      const counted = (a) => lists.map((l) => l.filter((item) => known().has[item].includes(a)).length);
      const rows = known().labels.map((l, a) => ({ ...l, a })).filter(({ kind, a }) => kind === "genre" || a === c.label);
      shares.replaceChildren(...rows.sort((x, y) => (y.a === c.label) - (x.a === c.label)).map((l) => {
        const [was, is] = counted(l.a);
        const bars = [was, is].map((n, i) => el("span", { class: i ? "x-after" : "x-before", style: `width:${10 * n}%` }));
        return el("tr", { class: l.a === c.label ? "has" : "" }, el("th", { scope: "row" }, label(l)), el("td", { class: "x-wide" }, el("span", { class: "x-pair", "aria-hidden": "true" }, ...bars)),
          el("td", {}, String(was)), el("td", { class: was === is ? "" : "x-changed" }, String(is)));
      }));
      const now = model(state.model).sae.encode(stop.h)[c.latent];
      here.textContent = `For this case the latent is at ${now.toFixed(2)}; dose ${state.dose} adds ${(state.dose * c.unit).toFixed(2)} to it.`;
      const [was, is] = counted(c.label);
      latest = `Dose ${state.dose}: ${by.filter((b) => b === null).length} of ${K} titles changed; ${name} from ${was} to ${is} of ${K}.`;
    };
    const say = () => { said.textContent = latest; };
    const card = () => {
      const c = concept();
      const now = stop ? model(state.model).sae.encode(stop.h)[c.latent] : 0;
      const effect = direct(model(state.model), model(state.model).sae, c.latent);
      cardBox.replaceChildren(...window.RecsaeCard.draw({ concept: c, known: known(), m: about().sae.m, kind: about().kind, effect, now, dose: data.dose }));
    };
    const choose = (n) => {
      Object.assign(state, { model: n, user: 0, items: null, latent: first(n), dose: 0 });
      show();
      keep();
    };
    const show = () => { who(); list(); ask(); };

    const field = (text, control) => el("label", { for: control.id, class: "x-field" }, text, control);
    box.replaceChildren(
      el("p", { class: "x-hint" }, data.note),
      el("div", { class: "x-choose" },
        el("section", { class: "x-panel" }, el("h2", {}, "1 Who is it for?"), models, field("Example", users), own, taken),
        el("section", { class: "x-panel" }, el("h2", {}, "2 Which concept?"), el("div", { class: "x-fields" }, field("Search", search), field("Order", order)), concepts, count)),
      el("section", { class: "x-panel x-how" }, el("h2", {}, "3 How much?"),
        el("div", { class: "x-slide" }, el("label", { for: "x-slider" }, "Dose"), slider, el("datalist", { id: "x-zero" }, el("option", { value: 0 })), dose, reset, link), said, here),
      result, cardBox);
    window.addEventListener("hashchange", () => { if (follow()) show(); });
    if (!follow()) state.latent = first(0);
    show();
    link.href = address();
  };
  for (const box of document.querySelectorAll(".explorer")) start(box, window.RECSAE_EXPLORER);
})();
