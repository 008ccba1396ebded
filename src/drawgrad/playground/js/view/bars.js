/* The same draw at several temperatures, as bars. */
"use strict";

const Bars = (() => {
  const { colour, decimal, short, show, svg, table } = Pictures;
  const BESIDE = [0.1, 0.3, 1, 3, 10];
  const LEFT = 84, ROW = 52, BAR = 34;

  function draw(figure, { logits, noise, tau, width }) {
    const scores = Draws.perturbed(logits, noise), classes = logits.length;
    const rows = [{ name: `τ = ${short(tau)}`, sample: Draws.softmax(scores, tau), now: true }]
      .concat([{ name: "hard", sample: Draws.oneHot(Draws.winner(scores), classes) }])
      .concat(BESIDE.map((other) => ({ name: `τ = ${short(other)}`, sample: Draws.softmax(scores, other) })));
    const slot = (width - LEFT) / classes, height = rows.length * ROW + 20;
    let marks = "";
    rows.forEach(({ name, sample, now }, i) => {
      const floor = i * ROW + BAR + 12;
      marks += `<text x="0" y="${floor - 8}"${now ? ' font-weight="700"' : ""}>${name}</text>`
        + `<line class="axis" x1="${LEFT}" x2="${width}" y1="${floor}" y2="${floor}"/>`;
      sample.forEach((share, k) => {
        const tall = share * BAR, left = LEFT + k * slot;
        marks += `<rect x="${left + slot * 0.15}" width="${slot * 0.7}" y="${floor - tall}" height="${tall}" fill="${colour(k)}"/>`;
        if (classes <= 5) {
          marks += `<text text-anchor="middle" class="faint" x="${left + slot / 2}" y="${floor - tall - 2}">${decimal(share)}</text>`;
        }
      });
    });
    for (let k = 0; k < classes; k++) {
      marks += `<text text-anchor="middle" x="${LEFT + (k + 0.5) * slot}" y="${height - 4}">${k}</text>`;
    }
    const words = `The draw at temperature ${short(tau)}: ` + [...rows[0].sample].map((share, k) => `class ${k} gets ${decimal(share)}`).join(", ");
    const numbers = table("The draw at several temperatures", ["class", ...rows.map((row) => row.name)],
      logits.map((_, k) => [k, ...rows.map((row) => decimal(row.sample[k], 4))]));
    show(figure, svg(words, width, height, marks), numbers);
  }

  return { draw };
})();
