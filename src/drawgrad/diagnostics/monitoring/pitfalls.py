"""The pitfalls of training with discrete choices: how each one shows, what causes it, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["PITFALLS", "Pitfall"]

Figures = Mapping[str, float]


@dataclass(frozen=True)
class Pitfall:
    """One of them.

    Attributes:
        name: what it is called.
        needs: the figures that it is seen in; without them it is not looked for.
        seen: whether the figures show it.
        lasting: whether it must be seen many times in a row, because healthy runs pass through it.
        symptom: a format string of the figures.
        cause: why it happens.
        cure: what to do.
    """

    name: str
    needs: tuple[str, ...]
    seen: Callable[[Figures], bool]
    lasting: bool
    symptom: str
    cause: str
    cure: str

    def message(self, figures: Figures, step: int, name: str = "") -> str:
        """Symptom, cause and cure, in one line."""
        where = f"step {step}, {name}" if name else f"step {step}"
        return f"{where}: {self.symptom.format(**figures)}. Cause: {self.cause}. Cure: {self.cure}."


PITFALLS = (
    Pitfall(
        "not finite",
        ("not_finite",),
        lambda f: f["not_finite"] > 0,
        False,
        "the loss or the logits are NaN or infinite",
        "a temperature that was lowered too far, noise drawn in half precision or by log(-log(u)), or a learning rate "
        "that is too high",
        "put a floor under the temperature (0.1 or more), sample with drawgrad.functional, lower the learning rate",
    ),
    Pitfall(
        "gradient not finite",
        ("gradient_not_finite",),
        lambda f: f["gradient_not_finite"] > 0,
        True,
        "the gradient of the logits has been NaN or infinite for some time",
        "half precision that overflows at any scale, so that no step is taken, or a slope that is infinite, such as "
        "that of a square root or a norm at zero",
        "compute the loss in float32, and look for the operation with torch.autograd.set_detect_anomaly(True)",
    ),
    Pitfall(
        "soft outputs in eval()",
        ("soft_in_evaluation",),
        lambda f: f["soft_in_evaluation"] > 0,
        False,
        "the samples are soft in evaluation mode, so the choice is not discrete",
        "the model uses relaxed samples in eval() as in training",
        "use hard=True or the argmax in eval(), and straight-through samples late in training",
    ),
    Pitfall(
        "exploding gradients",
        ("peak_growth", "spread_fall", "tau_fall"),
        lambda f: f["peak_growth"] > 10 and f["spread_fall"] > 2 and f["tau_fall"] > 3,
        False,
        "the largest gradient of a choice is {peak_growth:.0f} times what it was at a temperature {tau_fall:.0f} times "
        "as high",
        "the slope of a relaxed sample grows like 1/tau, and one sample sees it in rare spikes",
        "stop the temperature at a higher floor, lower it more slowly, or average more samples",
    ),
    Pitfall(
        "spiky gradients",
        ("spread", "tau"),
        lambda f: f["spread"] < 0.01 and f["tau"] < 0.1,
        True,
        "{spread:.1%} of the choices carry the whole gradient, at temperature {tau:.3g}",
        "a relaxed sample at a tiny temperature has a slope in rare cases only, and then one like 1/tau",
        "raise the temperature, average more samples, or use straight-through, ReinMax or a score function estimator",
    ),
    Pitfall(
        "temperature too high",
        ("sharpness", "tau"),
        lambda f: f["sharpness"] < 0.05,
        True,
        "relaxed samples are nearly uniform at temperature {tau:.3g} (sharpness {sharpness:.1%})",
        "so high a temperature flattens all differences of the logits, and the gradient hardly reacts to them",
        "lower the temperature (1 is a usual start), or raise the learning rate of the logits",
    ),
    Pitfall(
        "dead classes",
        ("dead_classes", "perplexity"),
        lambda f: f["dead_classes"] > 0.5,
        True,
        "{dead_classes:.0%} of the classes are never chosen (perplexity {perplexity:.1f})",
        "early winners got all the gradient: a decoder too strong, a regularizer too weak, a temperature that fell too "
        "soon",
        "add the entropy of the average choice (a load-balancing loss) or a KL to a uniform prior, start at a higher "
        "temperature, restart dead codebook entries",
    ),
    Pitfall(
        "entropy collapse",
        ("entropy",),
        lambda f: f["entropy"] < 0.01,
        True,
        "the choices are nearly certain (entropy {entropy:.2%} of its maximum), so samples do not explore",
        "nothing rewards uncertainty, or the logits learn faster than what depends on them",
        "add an entropy bonus or a KL to the prior, lower the learning rate of the logits",
    ),
    Pitfall(
        "posterior collapse",
        ("active", "kl"),
        lambda f: f["active"] < 0.1,
        True,
        "{active:.0%} of the latent variables carry information (KL {kl:.3g} nats)",
        "the KL was too strong before the decoder learned to read the code",
        "let the weight of the KL grow from 0 to 1 over the first steps, or give every variable free bits",
    ),
    Pitfall(
        "saturated logits",
        ("saturated",),
        lambda f: f["saturated"] > 0.5,
        True,
        "{saturated:.0%} of the choices have one class with probability 1 - 1e-6 or more",
        "logits that grow without a limit, where the softmax has no slope and no gradient leads back",
        "add weight decay or a norm to the layer that makes the logits, clip them, lower its learning rate",
    ),
)
