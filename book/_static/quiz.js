// Quizzes in their page: a button checks a question and says why; the answers to open are the source of what is said.
(() => {
  "use strict";
  const el = (tag, given = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(given)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };
  const copy = (node) => [...node.childNodes].map((child) => child.cloneNode(true));

  const start = (form) => {
    const solved = new Set();
    const questions = [...form.querySelectorAll(".quiz-question")];
    const score = el("p", { class: "quiz-score", role: "status" });
    form.append(score);
    form.addEventListener("submit", (event) => event.preventDefault());

    for (const question of questions) {
      const many = question.dataset.kind === "many";
      const inputs = [...question.querySelectorAll("input")];
      const answers = [...question.querySelectorAll(".quiz-answers li")];
      const details = question.querySelector(".quiz-answers");
      const button = el("button", { type: "button", class: "quiz-check" }, "Check");
      const feedback = el("div", { class: "quiz-feedback", role: "status", "aria-live": "polite" });
      details.before(button, feedback);
      details.hidden = true;

      const clear = () => {
        feedback.replaceChildren();
        feedback.classList.remove("quiz-yes", "quiz-no");
        for (const input of inputs) input.parentElement.classList.remove("quiz-yes", "quiz-no");
      };
      const check = () => {
        clear();
        const right = answers.map((answer) => answer.classList.contains("quiz-right"));
        const chosen = inputs.map((input) => input.checked);
        if (!chosen.includes(true)) return feedback.append(el("p", {}, "Choose an answer first."));
        const whole = chosen.every((c, i) => c === right[i]);
        const missing = right.filter((r, i) => r && !chosen[i]).length;
        const wrong = chosen.filter((c, i) => c && !right[i]).length;
        const more = many && !wrong && missing ? ` Right so far, and ${missing} more ${missing > 1 ? "are" : "is"} right.` : "";
        feedback.append(el("p", {}, el("strong", {}, whole ? "Right." : "Not quite."), more));
        chosen.forEach((c, i) => {
          if (!c) return;
          inputs[i].parentElement.classList.add(right[i] ? "quiz-yes" : "quiz-no");
          const said = many ? [el("em", {}, ...copy(answers[i].querySelector(".quiz-said"))), " "] : [];
          feedback.append(el("p", {}, ...said, ...copy(answers[i].querySelector(".quiz-why"))));
        });
        feedback.classList.add(whole ? "quiz-yes" : "quiz-no");
        if (whole) solved.add(question);
        else solved.delete(question);
        score.textContent = `${solved.size} of ${questions.length} answered right.`;
      };
      button.addEventListener("click", check);
      for (const input of inputs) input.addEventListener("change", clear);
    }
    const answers = [...form.querySelectorAll(".quiz-answers")];
    addEventListener("beforeprint", () => answers.forEach((a) => ((a.hidden = false), (a.open = true))));
    addEventListener("afterprint", () => answers.forEach((a) => ((a.hidden = true), (a.open = false))));
  };
  document.querySelectorAll("form.quiz").forEach(start);
})();
