/* Straight-through: what goes forward, and what comes back. */
"use strict";

const Straight = (() => {
  const { decimal, table } = Pictures;

  function draw(figure, { logits, noise, tau, cost, count, samples }) {
    const scores = Draws.perturbed(logits, noise), hard = Draws.oneHot(Draws.winner(scores), logits.length);
    const soft = Draws.softmax(scores, tau), exact = Estimators.exact(logits, cost).gradient;
    if (cost.slope === null) {
      figure.innerHTML = "<p>A table has no slope between the classes, so nothing can be carried back through a sample. Choose a linear "
        + "or a quadratic cost, or look below at what a score function does.</p>";
      return;
    }
    const slope = cost.slope(hard), back = Estimators.fromDraw("STGumbelSoftmax", logits, noise, 0, tau, cost);
    const mean = meanGradient(logits, samples, tau, cost, count);
    const off = Math.hypot(...mean.map((value, k) => value - exact[k])), size = Math.hypot(...exact);
    figure.innerHTML = table("Straight-through Gumbel-Softmax",
      ["class", "forward: hard", "soft", "slope of f", "gradient", `mean of ${count}`, "exact"],
      logits.map((_, k) => [k, decimal(hard[k], 0), decimal(soft[k], 3), decimal(slope[k]), decimal(back[k], 3), decimal(mean[k], 3),
        decimal(exact[k], 3)]))
      + `<figcaption>The cost sees f = ${decimal(cost.value(hard), 3)}, that of the hard sample. The mean gradient is `
      + `${decimal(off, 3)} away from the exact one, whose length is ${decimal(size, 3)}.</figcaption>`;
  }

  /** The mean of the straight-through gradients of all draws; the samples are there already. */
  function meanGradient(logits, samples, tau, cost, count) {
    const classes = logits.length, sum = new Float64Array(classes);
    const slopes = Array.from({ length: classes }, (_, k) => cost.slope(Draws.oneHot(k, classes)));
    for (let at = 0; at < count * classes; at += classes) {
      let best = 0, inner = 0;
      for (let k = 1; k < classes; k++) if (samples[at + k] > samples[at + best]) best = k;
      const slope = slopes[best];
      for (let k = 0; k < classes; k++) inner += samples[at + k] * slope[k];
      for (let k = 0; k < classes; k++) sum[k] += (samples[at + k] * (slope[k] - inner)) / (tau * count);
    }
    return sum;
  }

  return { draw, meanGradient };
})();
