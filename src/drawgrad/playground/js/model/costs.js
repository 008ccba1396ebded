/* Costs of a choice: a number for each class makes a linear, a quadratic or a table cost. */
"use strict";

const Costs = (() => {
  const KINDS = {
    linear: {
      words: "f(z) = Σ c z: the numbers are the costs of the classes, and between them the cost is straight",
      value: (numbers, z) => numbers.reduce((sum, c, k) => sum + c * z[k], 0),
      slope: (numbers) => Float64Array.from(numbers),
    },
    quadratic: {
      words: "f(z) = Σ (z − c)²: the numbers are a target, which no single class hits",
      value: (numbers, z) => numbers.reduce((sum, c, k) => sum + (z[k] - c) ** 2, 0),
      slope: (numbers, z) => Float64Array.from(numbers, (c, k) => 2 * (z[k] - c)),
    },
    table: {
      words: "a table: the numbers are the costs of the classes, and between them there is no cost, so no slope",
      value: (numbers, z) => numbers[Draws.winner(z)],
      slope: null,
    },
  };

  /** A cost: its value at a sample, and its slope there, or null if it has none. */
  function make(kind, numbers) {
    const { value, slope } = KINDS[kind];
    return { kind, numbers, value: (z) => value(numbers, z), slope: slope && ((z) => slope(numbers, z)) };
  }

  /** The cost of each class. */
  function ofClasses(cost, classes) {
    return Float64Array.from({ length: classes }, (_, k) => cost.value(Draws.oneHot(k, classes)));
  }

  return { KINDS, make, ofClasses };
})();
