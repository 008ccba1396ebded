/* The training: it runs while one looks on. */
"use strict";

const Lesson = (() => {
  const { colour, decimal, short, svg } = Pictures;
  const STEPS = 400, ROWS = 4, RATE = 0.5, BESIDE = 4;
  const HEIGHT = 150, LEFT = 40, RIGHT = 8, TOP = 8, BOTTOM = 22;
  const byId = (id) => document.getElementById(id);
  let steps = [], plan = null, running = 0;

  function connect(state) {
    byId("train").addEventListener("click", () => begin(state));
    byId("stop").addEventListener("click", () => { running = 0; buttons(); });
    for (const name of ["begin-tau", "end-tau"]) byId(name).addEventListener("input", () => labels());
    labels();
  }

  function labels() {
    for (const name of ["begin-tau", "end-tau"]) {
      byId(`${name}-value`).textContent = short(2 ** Number(byId(name).value));
      byId(name).setAttribute("aria-valuetext", short(2 ** Number(byId(name).value)));
    }
  }

  /** The estimators that serve the cost. */
  function choices({ cost }) {
    const choice = byId("estimator"), before = choice.value, names = Estimators.serving(cost);
    choice.innerHTML = names.map((name) => `<option>${name}</option>`).join("");
    choice.value = names.includes(before) ? before : names.includes("STGumbelSoftmax") ? "STGumbelSoftmax" : names[0];
  }

  function begin(state) {
    const initial = 2 ** Number(byId("begin-tau").value), floor = Math.min(initial, 2 ** Number(byId("end-tau").value));
    // At its floor after three quarters of the steps.
    const schedule = { initial, floor, rate: Math.log(initial / floor) / (0.75 * STEPS) };
    plan = { logits: [...state.logits], cost: state.cost, seed: state.seed, estimator: byId("estimator").value, schedule, steps: STEPS, rows: ROWS,
      rate: RATE };
    steps = [];
    const run = Training.run(plan), mine = ++begin.count;
    running = mine;
    buttons();
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const frame = () => {
      if (running !== mine) return;
      for (let i = 0; i < (still ? STEPS + 1 : BESIDE); i++) {
        const { value, done } = run.next();
        if (done) break;
        steps.push(value);
      }
      if (steps.length > STEPS) running = 0;
      draw(byId("lesson"), state);
      buttons();
      if (running) requestAnimationFrame(frame);
      else byId("lesson-said").textContent = sentence();
    };
    requestAnimationFrame(frame);
  }
  begin.count = 0;

  function buttons() {
    byId("stop").disabled = !running;
  }

  function sentence() {
    const last = steps.at(-1), costs = Costs.ofClasses(plan.cost, plan.logits.length);
    const best = Draws.winner([...costs].map((cost) => -cost)), now = Draws.winner([...last.shares]);
    return `After ${last.step} steps with ${plan.estimator} the expected cost is ${decimal(last.value, 3)}; the cheapest class, ${best}, costs `
      + `${decimal(costs[best], 3)} and has the probability ${decimal(last.shares[best], 3)}`
      + (now === best ? "." : `, and class ${now} is the most probable one.`);
  }

  /** Three pictures over the steps: temperature, expected cost, probabilities. */
  function draw(figure, { width }) {
    if (!steps.length) return;
    const x = (step) => LEFT + (step / STEPS) * (width - LEFT - RIGHT);
    const plot = (title, low, high, lines) => {
      const y = (value) => TOP + 14 + (1 - (value - low) / (high - low || 1)) * (HEIGHT - TOP - 14 - BOTTOM);
      let marks = `<text x="0" y="${TOP + 4}">${title}</text>`;
      for (const value of [low, high]) {
        marks += `<line class="axis" x1="${LEFT}" x2="${width - RIGHT}" y1="${y(value)}" y2="${y(value)}"/>`
          + `<text class="faint" text-anchor="end" x="${LEFT - 5}" y="${y(value) + 4}">${short(value)}</text>`;
      }
      marks += `<text class="faint" x="${LEFT}" y="${HEIGHT - 6}">0</text><text class="faint" text-anchor="end" x="${width - RIGHT}" y="${HEIGHT - 6}">step ${STEPS}</text>`;
      for (const { of, stroke } of lines) {
        marks += `<polyline fill="none" stroke="${stroke}" stroke-width="2" points="${steps.map((step) => `${x(step.step).toFixed(1)},${y(of(step)).toFixed(1)}`).join(" ")}"/>`;
      }
      return svg(`${title}, over the steps of the training`, width, HEIGHT, marks);
    };
    const costs = Costs.ofClasses(plan.cost, plan.logits.length);
    const lines = plan.logits.map((_, k) => ({ of: (step) => step.shares[k], stroke: colour(k) }));
    figure.innerHTML = plot("temperature", 0, plan.schedule.initial, [{ of: (step) => step.tau, stroke: "var(--accent)" }])
      + plot("expected cost, from the cheapest to the dearest class", Math.min(...costs), Math.max(...costs), [{ of: (step) => step.value, stroke: "var(--accent)" }])
      + plot("probabilities of the classes", 0, 1, lines);
  }

  return { choices, connect, draw };
})();
