/* The page: one state, and pictures that are drawn again, once a frame, when something that they show has changed. */
"use strict";

const Page = (() => {
  const state = { tau: 0.5, seed: 7n, logits: [], cost: null, noise: null, samples: null, width: 0, count: 5000 };
  /** Pictures, each with its place and with what changes it. */
  const pictures = [
    [Python, "python", ["tau", "logits", "seed"]],
    [Race, "race", ["logits", "seed", "size"]],
    [Bars, "bars", ["tau", "logits", "seed", "size"]],
    [Simplex, "simplex", ["tau", "logits", "seed", "size", "theme", "layers"]],
    [Straight, "straight", ["tau", "logits", "seed", "cost"]],
    [{ draw: Dial.turn }, "dial", ["tau"]],
    [Dial, "dial", ["rest", "logits", "seed", "cost", "size"]],
    [Lesson, "lesson", ["size"]],
  ];
  const stale = new Set();

  /** Milliseconds after which a temperature that was turned is at rest, and what takes longer is drawn. */
  const REST = 150;
  let rest = 0;

  function changed(what) {
    if (what === "tau") {
      clearTimeout(rest);
      rest = setTimeout(() => changed("rest"), REST);
    }
    if (!stale.size) requestAnimationFrame(frame);
    stale.add(what);
  }

  function frame() {
    const news = new Set(stale);
    stale.clear();
    if (news.has("seed") || state.noise === null || state.noise.length !== state.count * state.logits.length) {
      state.noise = Draws.gumbel(state.seed, state.count, state.logits.length);
    }
    // Asked once and not by each picture: it makes the browser lay out the whole page. All columns are alike.
    if (news.has("size")) state.width = document.getElementById("race").clientWidth;
    if (["tau", "logits", "seed"].some((what) => news.has(what))) {
      if (state.samples?.length !== state.noise.length) state.samples = new Float64Array(state.noise.length);
      Draws.relaxed(state.logits, state.noise, state.tau, state.samples);
    }
    if (news.has("cost") || news.has("logits")) Lesson.choices(state);
    for (const [picture, place, of] of pictures) {
      if (of.some((what) => news.has(what))) picture.draw(document.getElementById(place), state);
    }
    if (news.has("seed") || news.has("logits")) {
      document.getElementById("said").textContent =
        `Seed ${state.seed}: class ${Draws.winner(Draws.perturbed(state.logits, state.noise))} is drawn.`;
    }
  }

  Dials.connect(state, changed);
  Dials.connectTheme(changed);
  Lesson.connect(state);
  Quiz.connect(document.getElementById("quiz"));
  for (const layer of ["show-points", "show-density"]) document.getElementById(layer).addEventListener("change", () => changed("layers"));
  addEventListener("resize", () => changed("size"));
  ["tau", "logits", "seed", "cost", "size"].forEach(changed);
  return { state };
})();
