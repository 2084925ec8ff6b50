// A history to type: a box with suggestions, and a list whose titles can be moved and removed with the keyboard.
window.RecsaeHistory = (() => {
  "use strict";
  const { el } = window.RecsaeView;
  const OFFERED = 8;

  // titles[i] is the title of item i; `changed(items)` is called with the new history, oldest first, at most `most` long.
  const editor = (titles, most, changed) => {
    let items = [];
    let offered = [];
    let active = -1;
    const lower = titles.map((t) => t.toLowerCase());
    const input = el("input", {
      type: "text",
      role: "combobox",
      id: "x-add",
      autocomplete: "off",
      placeholder: "Type a title",
      "aria-autocomplete": "list",
      "aria-expanded": "false",
      "aria-controls": "x-offers",
    });
    const offers = el("ul", {
      id: "x-offers",
      role: "listbox",
      "aria-label": "Titles",
      class: "x-offers",
      hidden: true,
    });
    const list = el("ol", { class: "x-history", tabindex: "0", "aria-label": "History, the latest first" });
    const said = el("p", { class: "visually-hidden", role: "status", "aria-live": "polite" });

    const close = () => {
      offers.hidden = true;
      active = -1;
      input.setAttribute("aria-expanded", "false");
      input.removeAttribute("aria-activedescendant");
    };
    const mark = (to) => {
      active = to;
      [...offers.children].forEach((o, i) => o.setAttribute("aria-selected", String(i === active)));
      if (active >= 0) {
        input.setAttribute("aria-activedescendant", `x-offer-${active}`);
        offers.children[active].scrollIntoView({ block: "nearest" });
      } else input.removeAttribute("aria-activedescendant");
    };
    const take = (item) => {
      input.value = "";
      close();
      said.textContent = `${titles[item]} added`;
      set([...items, item].slice(-most), true);
    };
    const offer = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      const fits = (text) => words.every((w) => text.includes(w));
      offered = words.length
        ? Array.from(lower.keys())
            .filter((i) => fits(lower[i]) && !items.includes(i))
            .slice(0, OFFERED)
        : [];
      offers.replaceChildren(
        ...offered.map((item, i) =>
          el(
            "li",
            {
              role: "option",
              id: `x-offer-${i}`,
              "aria-selected": "false",
              onmousedown: (e) => e.preventDefault(),
              onclick: () => take(item),
            },
            titles[item],
          ),
        ),
      );
      offers.hidden = !offered.length;
      input.setAttribute("aria-expanded", String(!offers.hidden));
      mark(-1);
      if (words.length) said.textContent = offered.length ? `${offered.length} titles offered` : "No title matches";
    };
    input.addEventListener("input", offer);
    input.addEventListener("blur", close);
    input.addEventListener("keydown", (event) => {
      const n = offered.length;
      if (event.key === "Escape") close();
      else if (event.key === "Enter") {
        event.preventDefault();
        if (!offers.hidden) take(offered[Math.max(active, 0)]);
      } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && n) {
        event.preventDefault();
        if (offers.hidden) offer();
        mark((active + (event.key === "ArrowDown" ? 1 : active < 0 ? 0 : -1) + n) % n);
      }
    });

    // Positions count from the latest, as the list shows them.
    const move = (from, to, name) => {
      const shown = [...items].reverse();
      const [item] = shown.splice(from, 1);
      if (to !== null) shown.splice(to, 0, item);
      said.textContent =
        to === null ? `${titles[item]} removed` : `${titles[item]} is now number ${to + 1} from the latest`;
      set(shown.reverse(), true);
      const row = list.children[Math.min(to ?? from, shown.length - 1)];
      if (!row) return input.focus();
      const wanted = row.querySelector(`button.${name}`);
      (wanted.disabled ? row.querySelector("button:not(:disabled)") : wanted).focus();
    };
    const button = (name, sign, text, disabled, act) =>
      el("button", { type: "button", class: name, "aria-label": text, title: text, disabled, onclick: act }, sign);
    const draw = () => {
      const n = items.length;
      list.replaceChildren(
        ...[...items].reverse().map((item, i) =>
          el(
            "li",
            {},
            el("span", {}, titles[item]),
            button("later", "↑", `Move ${titles[item]} up, to later`, i === 0, () => move(i, i - 1, "later")),
            button("earlier", "↓", `Move ${titles[item]} down, to earlier`, i === n - 1, () =>
              move(i, i + 1, "earlier"),
            ),
            button("remove", "✕", `Remove ${titles[item]}`, false, () => move(i, null, "remove")),
          ),
        ),
      );
    };
    const set = (next, tell) => {
      items = next;
      draw();
      if (tell) changed(items);
    };
    const clear = el(
      "button",
      {
        type: "button",
        class: "x-button",
        onclick: () => {
          set([], true);
          input.focus();
        },
      },
      "Start empty",
    );
    const box = el(
      "div",
      { class: "x-editor" },
      el(
        "div",
        { class: "x-add" },
        el("label", { for: "x-add" }, "Add a title"),
        el("div", { class: "x-combo" }, input, offers),
        clear,
      ),
      list,
      said,
    );
    return { box, set };
  };

  return { editor };
})();
