/* Estimators of the gradient of E[cost] for the logits: what each makes of one draw, and how good that is. */
"use strict";

const Estimators = (() => {
  const dot = (a, b) => a.reduce((sum, value, k) => sum + value * b[k], 0);

  /** J(p) g = p (g - <p, g>): a gradient for the sample, carried back through a softmax of value p. */
  function through(p, g) {
    const mean = dot(p, g);
    return Float64Array.from(p, (share, k) => share * (g[k] - mean));
  }

  const scaled = (vector, factor) => vector.map((value) => value * factor);

  /** Each estimator: whether it has a temperature, whether it needs a slope, and its gradient from one draw. */
  const ALL = {
    GumbelSoftmax: {
      warm: true, slope: true,
      gradient: ({ y, tau, cost }) => scaled(through(y, cost.slope(y)), 1 / tau),
    },
    STGumbelSoftmax: {
      warm: true, slope: true,
      gradient: ({ y, hard, tau, cost }) => scaled(through(y, cost.slope(hard)), 1 / tau),
    },
    StraightThrough: {
      warm: false, slope: true,
      gradient: ({ hard, pi, cost }) => through(pi, cost.slope(hard)),
    },
    ReinMax: {
      warm: false, slope: true,
      gradient: ({ hard, pi, cost }) => {
        const g = cost.slope(hard), middle = pi.map((share, k) => (share + hard[k]) / 2);
        const twice = scaled(through(middle, g), 2), once = through(pi, g);
        return twice.map((value, k) => value - once[k] / 2);
      },
    },
    Reinforce: {
      warm: false, slope: false,
      gradient: ({ hard, pi, cost }) => {
        const f = cost.value(hard);
        return hard.map((one, k) => f * (one - pi[k]));
      },
    },
  };

  /** The estimators that serve a cost. */
  const serving = (cost) => Object.keys(ALL).filter((name) => cost.slope !== null || !ALL[name].slope);

  /** The exact gradient and the exact expectation, by enumeration of the classes. */
  function exact(logits, cost) {
    const pi = Draws.softmax(logits, 1), costs = Costs.ofClasses(cost, logits.length);
    return { value: dot(pi, costs), gradient: through(pi, costs) };
  }

  /** The gradient from one row of noise. */
  function fromDraw(name, logits, noise, row, tau, cost) {
    const scores = Draws.perturbed(logits, noise, row);
    return ALL[name].gradient({
      y: Draws.softmax(scores, tau), hard: Draws.oneHot(Draws.winner(scores), logits.length), pi: Draws.softmax(logits, 1), tau, cost,
    });
  }

  /** The mean of the gradients from several rows of noise. */
  function mean(name, logits, noise, rows, tau, cost) {
    const sum = new Float64Array(logits.length);
    for (let row = 0; row < rows; row++) fromDraw(name, logits, noise, row, tau, cost).forEach((value, k) => { sum[k] += value / rows; });
    return sum;
  }

  /** Squared bias and variance of one draw's gradient: exact for those without a temperature, else from rows of noise. */
  function quality(name, logits, noise, rows, tau, cost) {
    const pi = Draws.softmax(logits, 1), truth = exact(logits, cost).gradient;
    const first = new Float64Array(logits.length);
    let second = 0;
    const add = (gradient, weight) => gradient.forEach((value, k) => {
      first[k] += weight * value;
      second += weight * value * value;
    });
    if (ALL[name].warm) {
      for (let row = 0; row < rows; row++) add(fromDraw(name, logits, noise, row, tau, cost), 1 / rows);
    } else {
      pi.forEach((share, k) => add(ALL[name].gradient({ hard: Draws.oneHot(k, logits.length), pi, cost }), share));
    }
    const variance = Math.max(0, second - dot(first, first));
    const off = first.map((value, k) => value - truth[k]);
    // The mean of so many draws is itself off by a share of their variance.
    const bias = dot(off, off) - (ALL[name].warm ? variance / rows : 0);
    return { bias: Math.max(0, bias), variance };
  }

  return { ALL, exact, fromDraw, mean, quality, serving };
})();
