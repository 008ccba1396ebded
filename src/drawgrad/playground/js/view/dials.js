/* The controls: they read what the user sets into the state, and say when something changed. */
"use strict";

const Dials = (() => {
  const { colour, decimal, short } = Pictures;
  const BEGIN = [1, 0.5, -0.5, 0, 0.8, -1, 0.3, -0.2, 0.6, -0.7];
  const NUMBERS = [0.2, 0.45, 0.35, 0.1, 0.5, 0.3, 0.25, 0.15, 0.4, 0.05];
  const RANGE = 4, FEWEST = 3, MOST = 10;
  const byId = (id) => document.getElementById(id);

  /** Connects the controls; `changed(what)` is called with "tau", "logits", "seed" or "cost". */
  function connect(state, changed) {
    const tau = byId("tau"), seed = byId("seed"), classes = byId("classes");

    function readTau() {
      // As it is shown, so that whoever copies the number gets the picture.
      state.tau = Number(short(2 ** Number(tau.value)));
      byId("tau-value").textContent = short(state.tau);
      tau.setAttribute("aria-valuetext", short(state.tau));
    }

    function readSeed() {
      const read = Seeds.parse(seed.value);
      seed.setAttribute("aria-invalid", String(read === null));
      byId("seed-error").textContent = read === null
        ? "The seed must be an integer that fits into 64 bits; the draw is still that of the last one." : "";
      if (read === null) return false;
      state.seed = read;
      return true;
    }

    function readClasses() {
      const wanted = Math.round(Number(classes.value)), count = Math.min(MOST, Math.max(FEWEST, wanted || FEWEST));
      state.logits = Array.from({ length: count }, (_, k) => state.logits[k] ?? BEGIN[k]);
      byId("sliders").innerHTML = state.logits.map((logit, k) => `<div class="slider" style="--mark: ${colour(k)}">
        <label for="logit-${k}">class ${k}</label>
        <input type="range" id="logit-${k}" min="${-RANGE}" max="${RANGE}" step="0.1" value="${logit}">
        <output for="logit-${k}"></output><output></output></div>`).join("");
      readCost();
      showLogits();
    }

    /** The cost, from its kind and from one number for each class; what is no number counts as zero. */
    function readCost() {
      const kind = byId("kind").value, places = [...document.querySelectorAll("#numbers input")];
      const given = state.logits.map((_, k) => (places[k] ? Number(places[k].value) || 0 : NUMBERS[k]));
      if (places.length !== given.length) {
        byId("numbers").innerHTML = given.map((number, k) => `<label>class ${k}
          <input type="number" step="0.05" id="number-${k}" value="${number}"></label>`).join("");
      }
      byId("kind-words").textContent = Costs.KINDS[kind].words;
      state.cost = Costs.make(kind, given);
    }

    function showLogits() {
      const shares = Draws.softmax(state.logits, 1);
      document.querySelectorAll("#sliders .slider").forEach((row, k) => {
        const [logit, share] = row.querySelectorAll("output");
        row.querySelector("input").value = state.logits[k];
        logit.textContent = decimal(state.logits[k], 1);
        share.textContent = `${decimal(100 * shares[k], 1)} %`;
      });
    }

    tau.addEventListener("input", () => { readTau(); changed("tau"); });
    seed.addEventListener("input", () => { if (readSeed()) changed("seed"); });
    byId("again").addEventListener("click", () => {
      seed.value = String(BigInt.asUintN(64, Seeds.parse(seed.value) ?? state.seed) + 1n & 0xffffffffffffffffn);
      readSeed();
      changed("seed");
    });
    classes.addEventListener("change", () => { readClasses(); classes.value = state.logits.length; changed("logits"); });
    byId("even").addEventListener("click", () => { state.logits = state.logits.map(() => 0); showLogits(); changed("logits"); });
    byId("sliders").addEventListener("input", (event) => {
      state.logits[Number(event.target.id.slice("logit-".length))] = Number(event.target.value);
      showLogits();
      changed("logits");
    });
    byId("kind").addEventListener("change", () => { readCost(); changed("cost"); });
    byId("numbers").addEventListener("input", () => { readCost(); changed("cost"); });
    for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
    readTau(); readSeed(); readClasses();
  }

  /** Dark or light: as the system has it, until the button is pressed. */
  function connectTheme(changed) {
    const system = matchMedia("(prefers-color-scheme: dark)");
    const set = (dark) => { document.documentElement.classList.toggle("dark", dark); changed("theme"); };
    byId("theme").addEventListener("click", () => set(!document.documentElement.classList.contains("dark")));
    system.addEventListener("change", () => set(system.matches));
    set(system.matches);
  }

  return { connect, connectTheme };
})();
