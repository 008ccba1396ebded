"""The results of a run as a table for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drawgrad.studies.config import TrainConfig

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
    table = Table(title=f"{config.data}: {code}", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("measure")
    table.add_column("value", justify="right")
    table.add_column("how", style="dim")
    bound, single = results["test_bound"], results["test_elbo"]
    table.add_row(
        "test bound on log p(x)",
        f"[bold]{bound:.2f} ± {results['test_bound_error']:.2f}",
        f"nats; {results['test_samples']} hard samples an image, standard error over images",
    )
    table.add_row("test ELBO", f"{single:.2f} ± {results['test_elbo_error']:.2f}", "nats; the bound of one hard sample")
    table.add_row(
        "validation ELBO", f"{results['valid_elbo']:.2f}", "nats; one hard sample an image, at the last epoch"
    )
    relaxed = "hard samples, gradient" if config.hard else "relaxed samples"
    table.add_row(
        "training ELBO", f"{results['train_elbo']:.2f}", f"nats; {relaxed} at temperature {results['tau']:.2f}"
    )
    table.add_row("KL", f"{results['test_kl']:.2f}", "nats that the code carries about an image")
    table.add_row(
        "active variables", f"{results['active_variables']} of {results['variables']}", "carry more than 0.01 nats"
    )
    if config.latent == "categorical":
        classes = results["variables"] * config.categories
        table.add_row(
            "classes in effect", f"{results['perplexity']:.2f}", f"of {config.categories} a variable (perplexity)"
        )
        table.add_row("dead classes", f"{results['dead_classes']} of {classes}", "chosen less than once in 1000 times")
    seconds = results["seconds"]
    table.add_row(
        "training", f"{seconds:.1f} s", f"{results['steps']} steps, {1000 * seconds / results['steps']:.1f} ms each"
    )
    return table
