/* The race: how the noise carries each logit to its score, and who wins. */
"use strict";

const Race = (() => {
  const { colour, decimal, show, svg, table } = Pictures;
  const LEFT = 56, RIGHT = 12, LANE = 30;

  function draw(figure, { logits, noise, width }) {
    const scores = Draws.perturbed(logits, noise), best = Draws.winner(scores);
    const low = Math.floor(Math.min(...logits, ...scores) - 0.3), high = Math.ceil(Math.max(...logits, ...scores) + 0.3);
    const x = (value) => LEFT + ((value - low) / (high - low)) * (width - LEFT - RIGHT);
    const bottom = logits.length * LANE + 6, height = bottom + 22;
    let marks = "";
    const step = high - low > 12 ? 2 : 1;
    for (let tick = Math.ceil(low / step) * step; tick <= high; tick += step) {
      marks += `<line class="axis" x1="${x(tick)}" x2="${x(tick)}" y1="0" y2="${bottom}"/>`
        + `<text class="faint" text-anchor="middle" x="${x(tick)}" y="${bottom + 16}">${decimal(tick, 0)}</text>`;
    }
    marks += `<line x1="${x(scores[best])}" x2="${x(scores[best])}" y1="0" y2="${bottom}" stroke="${colour(best)}" stroke-dasharray="3 3"/>`;
    logits.forEach((logit, k) => {
      const y = k * LANE + LANE / 2 + 4, won = k === best;
      marks += `<text x="0" y="${y + 4}"${won ? ' font-weight="700"' : ""}>class ${k}</text>`
        + `<line x1="${x(logit)}" x2="${x(scores[k])}" y1="${y}" y2="${y}" stroke="${colour(k)}" stroke-width="${won ? 4 : 2}"/>`
        + `<line x1="${x(logit)}" x2="${x(logit)}" y1="${y - 8}" y2="${y + 8}" stroke="var(--ink)" stroke-width="2"/>`
        + `<circle cx="${x(scores[k])}" cy="${y}" r="${won ? 8 : 5}" fill="${colour(k)}"/>`;
    });
    const words = `Class ${best} wins the race with the score ${decimal(scores[best])}. `
      + logits.map((logit, k) => `Class ${k}: logit ${decimal(logit)}, noise ${decimal(noise[k])}`).join("; ");
    const numbers = table("The race", ["class", "logit", "noise", "score"],
      logits.map((logit, k) => [k, decimal(logit), decimal(noise[k], 4), decimal(scores[k], 4) + (k === best ? " ★" : "")]));
    show(figure, `${svg(words, width, height, marks)}<figcaption>Bar: the logit. Line: its noise. Dot: the score. Dashed: the winning score.</figcaption>`,
      numbers);
  }

  return { draw };
})();
