// The texts of the article whose contrast with what lies behind them is below 4.5 : 1 (WCAG AA).
(() => {
  const channels = (text) => {
    const n = text.match(/[\d.]+/g).map(Number);
    const unit = text.startsWith("color(") ? 255 : 1;
    return [n[0] * unit, n[1] * unit, n[2] * unit, n.length > 3 ? n[3] : 1];
  };
  const linear = (v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const color = channels(getComputedStyle(e).backgroundColor);
      if (color[3] > 0.5) return color;
    }
    return [255, 255, 255, 1];
  };
  const what = "figcaption, figcaption p, caption, section p, li, dt, dd, label, th, td, a.reference, a.reference span, pre, pre span, h1, h2, summary, svg text";
  return [...document.querySelectorAll(what)]
    .filter((e) => e.closest(".bd-article") && e.textContent.trim() && e.getClientRects().length)
    .map((e) => {
      const style = getComputedStyle(e);
      const color = channels(e instanceof SVGElement ? style.fill : style.color);
      const [a, b] = [light(color), light(behind(e))].sort((x, y) => y - x);
      return [(a + 0.05) / (b + 0.05), `${e.tagName}: ${e.textContent.trim().slice(0, 40)}`];
    })
    .filter(([ratio]) => ratio < 4.5);
})()
