/* The density of relaxed samples on the simplex, as drawgrad.distributions.RelaxedOneHotCategorical has it. */
"use strict";

const Density = (() => {
  /** log p(y), given log y: that of the first K - 1 entries. */
  function log(logits, tau, logY) {
    const classes = logits.length;
    let terms = (classes - 1) * Math.log(tau), top = -Infinity, sum = 0;
    for (let k = 2; k < classes; k++) terms += Math.log(k);
    for (let k = 0; k < classes; k++) {
      top = Math.max(top, logits[k] - tau * logY[k]);
      terms += logits[k] - (tau + 1) * logY[k];
    }
    for (let k = 0; k < classes; k++) sum += Math.exp(logits[k] - tau * logY[k] - top);
    return terms - classes * (top + Math.log(sum));
  }

  return { log };
})();
