/* A small training: gradient descent on the logits, with a temperature that falls as drawgrad.schedules.exponential lets it. */
"use strict";

const Training = (() => {
  /** The temperature of a step. */
  const temperature = ({ initial, rate, floor }, step) => Math.max(floor, initial * Math.exp(-rate * step));

  /**
   * The steps of a training, one after the other. The noise of a step is that of the seed folded with its number.
   * Each step yields what was so before it: its temperature, the logits, and the exact expected cost.
   */
  function* run({ logits, cost, seed, estimator, schedule, steps, rows, rate }) {
    let theta = Float64Array.from(logits);
    for (let step = 0; step <= steps; step++) {
      const tau = temperature(schedule, step);
      yield { step, tau, logits: theta, shares: Draws.softmax(theta, 1), value: Estimators.exact([...theta], cost).value };
      const noise = Draws.gumbel(Seeds.fold(seed, step), rows, theta.length);
      const gradient = Estimators.mean(estimator, [...theta], noise, rows, tau, cost);
      theta = theta.map((value, k) => value - rate * gradient[k]);
    }
  }

  return { run, temperature };
})();
