/* The bias-variance dial: squared bias and variance of one draw's gradient, over the temperature. */
"use strict";

const Dial = (() => {
  const { decimal, short, svg, show, table } = Pictures;
  const TAUS = Array.from({ length: 18 }, (_, i) => 2 ** (-5 + i / 2)), ROWS = 1000;
  const HEIGHT = 250, LEFT = 46, RIGHT = 8, TOP = 10, BOTTOM = 34;
  const PARTS = { bias: { words: "squared bias", dash: "5 4" }, variance: { words: "variance", dash: "" } };
  let curves = null;

  /** Whether a squared bias is more than what the noise of the draws makes of none. */
  const seen = (name, { bias, variance }) => !Estimators.ALL[name].warm || bias > (3 * variance) / ROWS;

  /** The curves depend on logits, cost and noise; the temperature of the dial only moves a line across them. */
  function measure({ logits, noise, cost }) {
    const names = Estimators.serving(cost);
    const numbers = [...logits, cost.kind, ...cost.numbers, noise[0]].join();
    if (curves?.numbers === numbers) return curves;
    curves = { numbers, names, found: names.map((name) => {
      const at = (tau) => Estimators.quality(name, logits, noise, ROWS, tau, cost);
      return Estimators.ALL[name].warm ? TAUS.map(at) : Array(TAUS.length).fill(at(1));
    }) };
    return curves;
  }

  const across = (width, tau) => LEFT + ((Math.log2(tau) + 5) / 8.5) * (width - LEFT - RIGHT);

  /** Only the hand of the dial: what follows the temperature while it is turned. */
  function turn(figure, { tau, width }) {
    const hand = figure.querySelector(".hand"), x = across(width, tau);
    hand?.setAttribute("x1", x);
    hand?.setAttribute("x2", x);
  }

  function draw(figure, state) {
    const { names, found } = measure(state), { tau, width } = state;
    const every = found.flat().flatMap(({ bias, variance }) => [bias, variance]).filter((value) => value > 1e-9);
    const high = Math.ceil(Math.log10(Math.max(...every))), low = Math.max(high - 6, Math.floor(Math.log10(Math.min(...every))));
    const x = (value) => across(width, value);
    const y = (value) => {
      const share = (Math.log10(Math.max(value, 1e-12)) - low) / (high - low);
      return TOP + (1 - Math.max(0, share)) * (HEIGHT - TOP - BOTTOM);
    };
    let marks = "";
    for (let power = low; power <= high; power++) {
      marks += `<line class="axis" x1="${LEFT}" x2="${width - RIGHT}" y1="${y(10 ** power)}" y2="${y(10 ** power)}"/>`
        + `<text class="faint" text-anchor="end" x="${LEFT - 6}" y="${y(10 ** power) + 4}">1e${decimal(power, 0)}</text>`;
    }
    for (const mark of [0.03125, 0.125, 0.5, 2, 8]) {
      marks += `<text class="faint" text-anchor="middle" x="${Math.max(LEFT + 14, x(mark))}" y="${HEIGHT - 16}">${short(mark)}</text>`;
    }
    marks += `<text class="faint" text-anchor="middle" x="${(LEFT + width) / 2}" y="${HEIGHT - 2}">temperature</text>`
      + `<line class="hand" x1="${x(tau)}" x2="${x(tau)}" y1="${TOP}" y2="${HEIGHT - BOTTOM}" stroke="var(--ink)" stroke-width="2"/>`;
    names.forEach((name, i) => {
      for (const [part, { dash }] of Object.entries(PARTS)) {
        if (found[i].every((quality) => quality[part] < 1e-9)) continue;
        const points = TAUS.map((at, j) => [at, found[i][j]]).filter(([, quality]) => part === "variance" || seen(name, quality))
          .map(([at, quality]) => `${x(at).toFixed(1)},${y(quality[part]).toFixed(1)}`).join(" ");
        marks += `<polyline fill="none" stroke="${Pictures.colour(i)}" stroke-width="2" stroke-dasharray="${dash}" points="${points}"/>`;
      }
    });
    const here = names.map((name) => [name, Estimators.quality(name, state.logits, state.noise, ROWS, tau, state.cost)]);
    const words = `At temperature ${short(tau)}: `
      + here.map(([name, { bias, variance }]) => `${name} has squared bias ${bias.toPrecision(2)} and variance ${variance.toPrecision(2)}`).join("; ");
    const legend = names.map((name, i) => `<span class="key" style="--mark: ${Pictures.colour(i)}">${name}</span>`).join(" ");
    const number = (value) => (value < 1e-9 ? "0" : value.toPrecision(3));
    show(figure, `<p class="legend">${legend}</p>${svg(words, width, HEIGHT, marks)}<figcaption>Full: variance. Dashed: squared bias; where `
      + "there is no dashed line, it is zero or lost in the noise. Those with a temperature are measured on 1,000 draws, the others are exact.</figcaption>",
    table(`At τ = ${short(tau)}`, ["estimator", "squared bias", "variance", "sum"],
      here.map(([name, quality]) => [name, seen(name, quality) ? number(quality.bias) : "none seen", number(quality.variance),
        number(quality.bias + quality.variance)])));
  }

  return { draw, turn };
})();
