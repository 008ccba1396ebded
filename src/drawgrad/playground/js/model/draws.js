/* Gumbel noise and the samples made of it, in double precision: what drawgrad.functional draws for float64 logits. */
"use strict";

const Draws = (() => {
  const GUMBEL = 0, SECOND = 2, EXTREME = 1 << 12;
  const CELL = 2 ** -32;

  /** Standard Gumbel noise of a block of rows, row after row: drawgrad.functional.gumbel_noise((rows, classes), seed=seed). */
  function gumbel(seed, rows, classes) {
    const key = Philox.key(seed), noise = new Float64Array(rows * classes);
    const first = new Uint32Array(4), second = new Uint32Array(4);
    for (let row = 0; row < rows; row++) {
      for (let from = 0; from < classes; from += 4) {
        Philox.block(key, row, from / 4, GUMBEL, first);
        for (let k = 0; k < 4 && from + k < classes; k++) {
          noise[row * classes + from + k] = ofWord(first[k], () => {
            Philox.block(key, row, from / 4, GUMBEL + SECOND, second);
            return second[k];
          });
        }
      }
    }
    return noise;
  }

  /** -log(-log(1 - v)) of the midpoint v of a word's cell; a second word resolves the cells at either end. */
  function ofWord(word, second) {
    const upper = word > 0x7fffffff;
    const cells = upper ? 0xffffffff - word : word;
    const distance = (cells < EXTREME ? cells + (second() + 0.5) * CELL : cells + 0.5) * CELL;
    return -Math.log(upper ? -Math.log(distance) : -Math.log1p(-distance));
  }

  /** softmax(scores / tau) of one row, into `out` at `at`. */
  function softmax(scores, tau, out = new Float64Array(scores.length), at = 0) {
    let top = -Infinity, sum = 0;
    for (const score of scores) top = Math.max(top, score);
    for (let k = 0; k < scores.length; k++) sum += out[at + k] = Math.exp((scores[k] - top) / tau);
    for (let k = 0; k < scores.length; k++) out[at + k] /= sum;
    return out;
  }

  /** The logits with one row of noise added. */
  function perturbed(logits, noise, row = 0) {
    return logits.map((logit, k) => logit + noise[row * logits.length + k]);
  }

  /** Relaxed samples of all rows of noise: gumbel_softmax(logits.expand(rows, K), tau, seed=seed). */
  function relaxed(logits, noise, tau, out = new Float64Array(noise.length)) {
    const classes = logits.length;
    for (let at = 0; at < noise.length; at += classes) {
      let top = -Infinity, sum = 0;
      for (let k = 0; k < classes; k++) top = Math.max(top, out[at + k] = logits[k] + noise[at + k]);
      for (let k = 0; k < classes; k++) sum += out[at + k] = Math.exp((out[at + k] - top) / tau);
      for (let k = 0; k < classes; k++) out[at + k] /= sum;
    }
    return out;
  }

  /** The class of the largest score; the first one of equals. */
  function winner(scores) {
    let best = 0;
    for (let k = 1; k < scores.length; k++) if (scores[k] > scores[best]) best = k;
    return best;
  }

  /** A vector of zeros with a one at a class. */
  function oneHot(index, classes) {
    return Float64Array.from({ length: classes }, (_, k) => Number(k === index));
  }

  return { gumbel, oneHot, perturbed, relaxed, softmax, winner };
})();
