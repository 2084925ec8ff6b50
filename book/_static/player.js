// A picture in steps: bars that follow a slider, or play by themselves. Everything is set as text.
(() => {
  "use strict";
  const PAUSE = 180; // milliseconds that a step stays while it plays
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  const el = (tag, given = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(given)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };

  const start = (box) => {
    const data = JSON.parse(box.querySelector(".player-data").textContent);
    const [base, high, goal] = ["base", "high", "goal"].map((name) => Number(box.dataset[name]));
    const bars = [...box.querySelectorAll("rect.bar")];
    const caption = box.querySelector(".player-caption");
    const last = data.values.length - 1;
    const slider = el("input", { type: "range", min: 0, max: last, step: 1, "aria-label": "Training step" });
    const button = el("button", { type: "button" }, "Play");
    let clock = null;

    const show = (step) => {
      slider.value = step;
      slider.setAttribute("aria-valuetext", data.steps[step]);
      caption.textContent = data.captions[step];
      bars.forEach((bar, i) => {
        const value = data.values[step][i];
        bar.setAttribute("y", base - (high * value) / 100);
        bar.setAttribute("height", (high * value) / 100);
        bar.classList.toggle("found", value >= goal);
      });
    };
    const stop = () => {
      clearInterval(clock);
      clock = null;
      button.textContent = "Play";
      caption.setAttribute("aria-live", "polite");
    };
    const forward = () => {
      const next = Number(slider.value) + 1;
      if (next === last) stop(); // before the last caption, which is read out again
      show(next);
    };
    const play = () => {
      if (clock !== null) return stop();
      caption.setAttribute("aria-live", "off"); // a sentence a step is more than can be read out
      button.textContent = "Pause";
      show(Number(slider.value) === last ? 0 : Number(slider.value));
      clock = setInterval(forward, PAUSE);
    };
    const calm = () => {
      button.hidden = still.matches; // the slider moves nothing by itself
      if (still.matches) stop();
    };

    button.addEventListener("click", play);
    slider.addEventListener("input", () => {
      stop();
      show(Number(slider.value));
    });
    still.addEventListener("change", calm);
    caption.before(el("div", { class: "player-controls" }, button, slider));
    show(last);
    stop();
    calm();
  };
  // a page with two players runs this file twice
  for (const box of document.querySelectorAll(".player")) if (!box.querySelector(".player-controls")) start(box);
})();
