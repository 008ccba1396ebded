/* The lines of Python that draw what the page shows. */
"use strict";

const Python = (() => {
  const round = (value) => Number(value.toFixed(4));

  function code({ logits, noise, seed, tau, count }) {
    const sample = Draws.softmax(Draws.perturbed(logits, noise), tau);
    return "import torch\nfrom drawgrad.functional import gumbel_softmax\n\n"
      + `logits = torch.tensor([${logits.join(", ")}], dtype=torch.float64)\n`
      + `y = gumbel_softmax(logits, tau=${Pictures.short(tau)}, seed=${seed})\n`
      + `# [${[...sample].map(round).join(", ")}]\n`
      + `points = gumbel_softmax(logits.expand(${count}, -1), tau=${Pictures.short(tau)}, seed=${seed})\n`
      + "# the first of the points is y";
  }

  return { draw: (place, state) => { place.textContent = code(state); }, code };
})();
