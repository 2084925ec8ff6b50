// The explorer: who the list is for, which concept, how much of it; and what the recommender says then.
(() => {
  "use strict";
  const { el, signed, label } = window.RecsaeView;
  const { build, edit, direct } = window.RecsaeModel;
  const DOSES = [-3, 5];
  const HINTS = {
    transformer: (n) => `The model reads this history, the last ${n} titles of it, and nothing else about the user.`,
    own: (n) => `A history of your own: ${n} titles. Choose a user to go back.`,
    mf: "This model knows its users by number, not by history: only those it was trained on can be chosen. They took:",
  };

  // What the page shows, and its form as an address: model, user or a typed history, latent, dose.
  const stateOf = (data) => {
    const state = { model: 0, user: 0, items: null, latent: null, dose: 0 };
    const about = () => data.models[state.model];
    const known = () => data.catalogues[about().catalogue];
    const first = () => about().concepts.find((c) => known().labels[c.label].kind === "genre").latent;
    const choose = (n) => {
      Object.assign(state, { model: n, user: 0, items: null, dose: 0 });
      state.latent = first();
    };
    const address = () => {
      const { user, latent, dose, items } = state;
      const said = new URLSearchParams({ model: about().kind, user, latent, dose });
      if (items) said.set("items", items.join("."));
      return `#${said}`;
    };
    const below = (text, n) => text !== "" && Number.isInteger(Number(text)) && Number(text) >= 0 && Number(text) < n;
    const follow = () => {
      const said = new URLSearchParams(location.hash.slice(1));
      const which = data.models.findIndex((m) => m.kind === said.get("model"));
      if (which < 0) return false;
      choose(which);
      if (below(said.get("user") ?? "", about().users.length)) state.user = Number(said.get("user"));
      if (said.has("items") && about().kind === "transformer") {
        const items = said
          .get("items")
          .split(".")
          .filter((text) => below(text, known().titles.length));
        state.items = [...new Set(items.map(Number))].slice(-about().length);
      }
      const latent = Number(said.get("latent"));
      if (said.get("latent") && about().concepts.some((c) => c.latent === latent)) state.latent = latent;
      const dose = Number(said.get("dose"));
      if (Number.isFinite(dose)) state.dose = Math.min(Math.max(dose, DOSES[0]), DOSES[1]);
      return true;
    };
    const concept = () => about().concepts.find((c) => c.latent === state.latent);
    const history = () => state.items ?? about().users[state.user].history;
    const seen = () => about().users[state.user].seen ?? history();
    return { state, about, known, concept, history, seen, choose, address, follow };
  };

  const start = (box, data) => {
    const { state, about, known, concept, history, seen, choose, address, follow } = stateOf(data);
    const built = data.models.map(() => null);
    const model = () => (built[state.model] ??= build(about()));
    let stop = null; // the recommender at its site, null where the history is empty
    let latest = "";

    const keep = () => {
      link.href = address();
      try {
        window.history.replaceState(null, "", address());
      } catch {
        /* where the address may not be changed, the link still has it */
      }
    };

    // 1: who
    const radio = (m, n) => {
      const take = () => {
        choose(n);
        show();
        keep();
      };
      return el("label", {}, el("input", { type: "radio", name: "x-model", value: m.kind, onchange: take }), m.name);
    };
    const radios = data.models.map(radio);
    const models = el("div", { class: "x-models", role: "radiogroup", "aria-label": "Recommender" }, ...radios);
    const takeUser = () => {
      state.user = users.selectedIndex;
      state.items = null;
      ask();
      keep();
    };
    const users = el("select", { id: "x-user", onchange: takeUser });
    const hint = el("p", { class: "x-hint" });
    const taken = el("div", {});
    let editor = null;
    const told = (user) => {
      const { labels, has } = known();
      const items = user.history ?? user.seen;
      const count = labels.map((l, a) => (l.kind === "genre" ? items.filter((i) => has[i].includes(a)).length : -1));
      const order = Array.from(count.keys()).sort((a, b) => count[b] - count[a]);
      const most = order.slice(0, 2).map((a) => label(labels[a]));
      return `User ${user.id}: ${items.length} titles, most ${most.join(" and ")}`;
    };
    const who = () => {
      radios.forEach((row, n) => (row.querySelector("input").checked = n === state.model));
      users.replaceChildren(...about().users.map((user) => el("option", {}, told(user))));
      users.selectedIndex = state.user;
      if (about().kind === "mf") return;
      editor = window.RecsaeHistory.editor(known().titles, about().length, (items) => {
        state.items = items;
        ask();
        keep();
      });
      taken.replaceChildren(editor.box);
      editor.set(history(), false);
    };

    // 2: which concept
    const picker = window.RecsaeConcepts.picker((latent) => {
      state.latent = latent;
      draw();
      card();
      say();
      keep();
    });

    // 3: how much
    const [least, most] = DOSES;
    const slider = el("input", { type: "range", id: "x-slider", min: least, max: most, step: 0.1, list: "x-zero" });
    const dose = el("output", { class: "x-dose", for: "x-slider" });
    const nothing = () => {
      state.dose = 0;
      draw();
      say();
      keep();
    };
    const reset = el("button", { type: "button", class: "x-button", onclick: nothing }, "Reset");
    const link = el("a", { href: "#" }, "Link to this state");
    const here = el("p", { class: "x-hint" });
    const said = el("p", { class: "x-said", role: "status", "aria-live": "polite" });
    let waiting;
    slider.addEventListener("input", () => {
      state.dose = Number(slider.value);
      draw();
      clearTimeout(waiting);
      waiting = setTimeout(() => {
        say(); // a screen reader is told, and the address changed, when the slider rests
        keep();
      }, 300);
    });

    // What comes out
    const results = window.RecsaeResults.panel();
    const cardBox = el("section", { class: "x-card", "aria-label": "Feature card" });
    const ask = () => {
      if (about().kind === "mf") {
        stop = model().stop(state.user);
        hint.textContent = HINTS.mf;
        const titles = seen().map((i) => el("li", {}, el("span", {}, known().titles[i])));
        const named = { class: "x-history", tabindex: "0", "aria-label": "What this user took, in no order" };
        taken.replaceChildren(el("ol", named, ...titles));
      } else {
        stop = history().length ? model().stop(history()) : null;
        if (!state.items) editor.set(history(), false);
        hint.textContent = state.items ? HINTS.own(history().length) : HINTS.transformer(about().length);
      }
      draw();
      card();
      say();
    };
    const draw = () => {
      slider.value = state.dose;
      dose.textContent = signed(state.dose, 1);
      slider.setAttribute("aria-valuetext", state.dose ? `dose ${state.dose}` : "dose 0, no edit");
      results.box.hidden = !stop;
      if (!stop) {
        latest = "The history is empty. Add a title.";
        here.textContent = "";
        return;
      }
      const c = concept();
      const row = edit(model().sae, stop.h, c.latent, "add", state.dose, c.unit);
      const scores = [stop.scores, row === stop.h ? stop.scores : stop.finish(row)];
      const { fresh, was, is, of } = results.draw(known(), c.label, scores, seen(), state.dose);
      const added = (state.dose * c.unit).toFixed(2);
      here.textContent = `For this case the latent is at ${now().toFixed(2)}; dose ${state.dose} adds ${added} to it.`;
      const name = label(known().labels[c.label]);
      latest = `Dose ${state.dose}: ${fresh} of ${of} titles changed; share of ${name} from ${was} to ${is} of ${of}.`;
    };
    const say = () => (said.textContent = latest);
    const now = () => (stop ? model().sae.encode(stop.h)[state.latent] : 0);
    const card = () => {
      const { kind, sae } = about();
      const effect = direct(model(), model().sae, state.latent);
      const given = { concept: concept(), known: known(), m: sae.m, kind, effect, now: now(), dose: data.dose };
      cardBox.replaceChildren(...window.RecsaeCard.draw(given));
    };
    const show = () => {
      who();
      picker.set(about().concepts, known().labels, state.latent);
      ask();
    };

    box.closest(".bd-article-container")?.classList.add("x-page");
    const panel = (head, ...nodes) => el("section", { class: "x-panel" }, el("h2", {}, head), ...nodes);
    const example = el("label", { for: "x-user", class: "x-field" }, "Example", users);
    const zero = el("datalist", { id: "x-zero" }, el("option", { value: 0 }));
    const slide = el(
      "div",
      { class: "x-slide" },
      el("label", { for: "x-slider" }, "Dose"),
      slider,
      zero,
      dose,
      reset,
      link,
    );
    const how = panel("3 How much?", slide, said, here);
    how.classList.add("x-how");
    box.replaceChildren(
      el("p", { class: "x-hint" }, data.note),
      el(
        "div",
        { class: "x-choose" },
        panel("1 Who is it for?", models, example, hint, taken),
        panel("2 Which concept?", ...picker.nodes),
      ),
      how,
      results.box,
      cardBox,
    );
    window.addEventListener("hashchange", () => {
      if (!follow()) return;
      show();
      link.href = address();
    });
    if (!follow()) choose(0);
    show();
    link.href = address();
  };
  for (const box of document.querySelectorAll(".explorer")) start(box, window.RECSAE_EXPLORER);
})();
