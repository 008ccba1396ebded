"""The results of a run as a table for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drawgrad.studies.tasks.autoencoder.config import TrainConfig

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["results_table"]


def results_table(config: TrainConfig, results: dict[str, Any]) -> Table:
    """The table that ends a run.

    Args:
        config: The settings of the run.
        results: The content of its `results.json`.
    """
    from rich import box
    from rich.table import Table

    code = {
        "categorical": f"{config.variables} variables with {config.categories} classes",
        "bernoulli": f"{config.variables} binary variables",
        "gaussian": f"{config.variables} normal variables",
    }[config.latent]
    table = Table(
        title=f"{config.data}: {code}",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        caption="± standard error over the images",
        caption_justify="left",
    )
    table.add_column("measure")
    table.add_column("value", justify="right")
    table.add_column("how", style="dim")
    exact = "samples" if config.latent == "gaussian" else "hard samples"
    training = "nats, at the last steps"
    if config.estimator is not None:
        training = f"nats, gradient by {config.estimator}"
        training += "" if results["tau"] is None else f", temperature {results['tau']:.2f}"
    elif results["tau"] is not None:
        training = f"nats, {'hard' if config.hard else 'relaxed'} samples, temperature {results['tau']:.2f}"
    seconds, steps = results["seconds"], results["steps"]
    rows = {
        "test bound on log p(x)": (
            f"[bold]{results['test_bound']:.2f} ± {results['test_bound_error']:.2f}",
            f"nats, {results['test_samples']} {exact} an image",
        ),
        "test ELBO": (
            f"{results['test_elbo']:.2f} ± {results['test_elbo_error']:.2f}",
            f"nats, one {exact[:-1]} an image",
        ),
        "validation ELBO": (f"{results['valid_elbo']:.2f}", f"nats, one {exact[:-1]} an image"),
        "training ELBO": (f"{results['train_elbo']:.2f}", training),
        "KL": (f"{results['test_kl']:.2f}", "nats that a code tells of its image"),
        "active variables": (f"{results['active_variables']} of {results['variables']}", "tell more than 0.01 nats"),
    }
    if config.latent == "categorical":
        classes = results["variables"] * config.categories
        rows["classes in effect"] = (f"{results['perplexity']:.2f}", f"of {config.categories} a variable")
        rows["dead classes"] = (f"{results['dead_classes']} of {classes}", "chosen for under 1 image in 1000")
    rows["training"] = (f"{seconds:.1f} s", f"{steps} steps, {1000 * seconds / steps:.1f} ms each")
    rows["testing"] = (f"{results['test_seconds']:.1f} s", "for the test bound")
    for name, (value, how) in rows.items():
        table.add_row(name, value, how)
    return table
