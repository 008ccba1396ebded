"""Published tables, one file a table: printed figures and recipes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from drawgrad.studies.reproduction import Table

__all__ = ["TABLES", "Published"]


class Published(NamedTuple):
    """A table that can be reproduced.

    Args:
        name: What it is called on the command line.
        text: What it shows, in one line.
        load: Makes it.
    """

    name: str
    text: str
    load: Callable[[], Table]


# Their modules load torch, and who lists the tables need not wait for it.


def _jang2017_table1() -> Table:
    from drawgrad.studies.papers.jang2017 import TABLE1

    return TABLE1


def _jang2017_table2() -> Table:
    from drawgrad.studies.papers.jang2017_table2 import TABLE2

    return TABLE2


def _jang2017_figure5() -> Table:
    from drawgrad.studies.papers.jang2017_figure5 import FIGURE5

    return FIGURE5


def _relax_toy() -> Table:
    from drawgrad.studies.papers.relax_toy import RELAX_TOY

    return RELAX_TOY


def _reinmax_polynomial() -> Table:
    from drawgrad.studies.papers.reinmax_polynomial import REINMAX_POLYNOMIAL

    return REINMAX_POLYNOMIAL


def _reinmax_vae() -> Table:
    from drawgrad.studies.papers.reinmax_vae import REINMAX_VAE

    return REINMAX_VAE


def _gumbel_rao_vae() -> Table:
    from drawgrad.studies.papers.gumbel_rao_vae import GUMBEL_RAO_VAE

    return GUMBEL_RAO_VAE


TABLES = {
    table.name: table
    for table in (
        Published(
            "jang2017-table1",
            "structured prediction and autoencoders by seven gradients, and by seven later ones",
            _jang2017_table1,
        ),
        Published(
            "jang2017-table2",
            "classification with ten labels a class, the class a discrete variable of an autoencoder",
            _jang2017_table2,
        ),
        Published(
            "jang2017-figure5",
            "steps a second of that classification by the number of classes, marginalized and with Gumbel-Softmax",
            _jang2017_figure5,
        ),
        Published("relax-toy", "one coin whose cost hardly depends on its side", _relax_toy),
        Published("reinmax-polynomial", "128 binary variables with cost |b - t|^p, p = 1.5, 2, 3", _reinmax_polynomial),
        Published("reinmax-vae", "autoencoders of MNIST with six codes by six gradients", _reinmax_vae),
        Published("gumbel-rao-vae", "autoencoders of MNIST with 2 to 16 classes by seven gradients", _gumbel_rao_vae),
    )
}
"""By name."""
