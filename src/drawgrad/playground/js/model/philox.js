/* Philox-4x32-10: every random word is a function of (seed; row, class, stream), as in drawgrad/kernels/philox.py. */
"use strict";

const Philox = (() => {
  const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57];
  const KEY_STEPS = [0x9e3779b9, 0xbb67ae85];
  const ROUNDS = 10;

  /** The upper 32 bits of a product of two 32-bit words, in halves: numbers of JavaScript hold 53 bits. */
  function high(a, b) {
    const aLow = a & 0xffff, aHigh = a >>> 16, bLow = b & 0xffff, bHigh = b >>> 16;
    const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
    return (aHigh * bHigh + Math.floor((aLow * bHigh + middle) / 0x10000)) >>> 0;
  }

  /** Four random words of a counter and a key, written into `out`. */
  function words(counter, key, out) {
    let [c0, c1, c2, c3] = counter;
    let [k0, k1] = key;
    for (let round = 0; round < ROUNDS; round++) {
      const high0 = high(MULTIPLIERS[0], c0), low0 = Math.imul(MULTIPLIERS[0], c0);
      const high1 = high(MULTIPLIERS[1], c2), low1 = Math.imul(MULTIPLIERS[1], c2);
      c0 = (high1 ^ c1 ^ k0) >>> 0;
      c1 = low1 >>> 0;
      c2 = (high0 ^ c3 ^ k1) >>> 0;
      c3 = low0 >>> 0;
      k0 = (k0 + KEY_STEPS[0]) >>> 0;
      k1 = (k1 + KEY_STEPS[1]) >>> 0;
    }
    out[0] = c0; out[1] = c1; out[2] = c2; out[3] = c3;
    return out;
  }

  /** The key of a seed, a BigInt: its low and its high word. */
  function key(seed) {
    const bits = BigInt.asUintN(64, seed);
    return [Number(bits & 0xffffffffn), Number(bits >> 32n)];
  }

  /** The words of classes 4 * block to 4 * block + 3 of a row. Rows of a page need one word. */
  function block(seedKey, row, number, stream, out) {
    return words([stream, number, 0, row], seedKey, out);
  }

  return { block, key, words };
})();
