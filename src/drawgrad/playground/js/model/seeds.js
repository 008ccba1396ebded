/* Seeds: reading one from text, and seeds of further draws, as drawgrad.functional.fold_seed makes them. */
"use strict";

const Seeds = (() => {
  const STEP = 0x9e3779b97f4a7c15n;
  const MULTIPLIERS = [0xbf58476d1ce4e5b9n, 0x94d049bb133111ebn];
  const SHIFTS = [30n, 27n], LAST_SHIFT = 31n;
  const wrapped = (word) => BigInt.asUintN(64, word);

  function mixed(word) {
    MULTIPLIERS.forEach((multiplier, i) => { word = wrapped((word ^ (word >> SHIFTS[i])) * multiplier); });
    return word ^ (word >> LAST_SHIFT);
  }

  /** The seed of draw `number` of those that are to be independent of each other; BigInt in, BigInt of 64 bits out. */
  function fold(seed, number) {
    return BigInt.asIntN(64, mixed(wrapped(mixed(wrapped(seed + STEP)) + wrapped(BigInt(number)) * STEP)));
  }

  /** The seed that a text names, or null if it names none: an integer that fits into 64 bits. */
  function parse(text) {
    if (!/^[+-]?\d{1,20}$/.test(text.trim())) return null;
    const seed = BigInt(text.trim().replace(/^\+/, ""));
    return seed >= -(2n ** 63n) && seed < 2n ** 64n ? seed : null;
  }

  return { fold, parse };
})();
