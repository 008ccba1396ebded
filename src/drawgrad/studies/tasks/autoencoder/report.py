"""The results of a run as a table for people."""

from __future__ import annotations

from typing import Any

from drawgrad._tables import duration, text_table, with_spread
from drawgrad.studies.tasks.autoencoder.config import AutoencoderConfig, ModelSettings
from drawgrad.studies.tasks.autoencoder.gradient import estimator_name, is_multi_sample, make_estimator
from drawgrad.studies.tasks.autoencoder.training import Results

__all__ = ["results_table", "samples_in_words"]


def results_table(config: AutoencoderConfig, results: Results) -> str:
    """The table that ends a run.

    Args:
        config: The settings of the run.
        results: What came out of it.
    """
    model = config.model
    code = {
        "categorical": f"{model.variables} variables with {model.categories} classes",
        "bernoulli": f"{model.variables} binary variables",
        "gaussian": f"{model.variables} normal variables",
    }[model.latent]
    estimator: Any = make_estimator(config)
    several = is_multi_sample(config, estimator)
    together = f"{estimator.samples} samples an image, " if several else ""
    training = f"nats, {together}gradient by {estimator_name(config)}"
    training += "" if results.tau is None else f", temperature {results.tau:.2f}"
    one = f"nats, {samples_in_words(model, 1)} an image"
    rows = [
        (
            "test bound on log p(x)",
            with_spread(results.test_bound, results.test_bound_error),
            f"nats, {samples_in_words(model, results.test_samples)} an image",
        ),
        ("test ELBO", with_spread(results.test_elbo, results.test_elbo_error), one),
        ("validation ELBO", f"{results.valid_elbo:.2f}", one),
        ("training bound" if several else "training ELBO", f"{results.train_elbo:.2f}", training),
        ("KL", f"{results.test_kl:.2f}", "nats that a code tells of its image"),
        ("active variables", f"{results.active_variables} of {results.variables}", "tell more than 0.01 nats"),
    ]
    if model.latent == "categorical":
        rows += [
            ("classes in effect", f"{results.perplexity:.2f}", f"of {model.categories} a variable"),
            (
                "dead classes",
                f"{results.dead_classes} of {results.variables * model.categories}",
                "have less than 1 % of an equal share",
            ),
        ]
    rows += [
        (
            "training",
            duration(results.seconds),
            f"{results.steps} steps of {duration(results.seconds / results.steps)}",
        ),
        ("testing", duration(results.test_seconds), "for the test bound"),
    ]
    title = f"{config.data.data}: {code}; ± standard error over the images"
    return f"{title}\n\n{text_table(('measure', 'value', 'how'), rows, align='<><')}"


def samples_in_words(model: ModelSettings, count: int) -> str:
    """So many exact samples of a code: hard ones, where others are soft.

    Example:
        >>> from drawgrad.studies.tasks.autoencoder.config import configure
        >>> samples_in_words(configure().model, 1), samples_in_words(configure(latent="gaussian").model, 5)
        ('one hard sample', '5 samples')
    """
    kind = "sample" if model.latent == "gaussian" else "hard sample"
    return f"one {kind}" if count == 1 else f"{count} {kind}s"
