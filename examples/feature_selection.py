"""Which k features tell most? Selectors that learn with a network against mutual information and L1, on real tables.

Run: ``python -m examples.feature_selection``
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from drawgrad.functional import fold_seed
from drawgrad.nn import FeatureSelector, set_temperature
from drawgrad.schedules import exponential
from drawgrad.studies.drawing import COLORS, plain_axes, sign, titled
from drawgrad.studies.records import Measurement, mean_of
from drawgrad.studies.runs.loop import descend
from examples._shown import options, show

__all__ = ["main"]

COUNTS = {"breast cancer": (2, 5), "digits": (5, 10)}
"""How many features of each table are chosen."""
UNITS, RATE, LOGITS_RATE = 32, 5e-3, 3e-2


class Table(NamedTuple):
    """One split of a table: standardized features, and class numbers."""

    x: np.ndarray
    y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


def split(name: str, seed: int) -> Table:
    """Seven tenths to train, the others to test; classes in their shares."""
    from sklearn import datasets
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    data = {"breast cancer": datasets.load_breast_cancer, "digits": datasets.load_digits}[name]()
    parts = train_test_split(data.data, data.target, test_size=0.3, random_state=seed, stratify=data.target)
    scaler = StandardScaler().fit(parts[0])
    return Table(scaler.transform(parts[0]), parts[2], scaler.transform(parts[1]), parts[3])


def learned(kind: Any) -> Callable[[Table, int, int, int], np.ndarray]:
    """A way to choose: a selector in front of a network of one hidden layer, trained together."""

    def choose(table: Table, k: int, seed: int, steps: int) -> np.ndarray:
        torch.manual_seed(seed)
        x, y = torch.from_numpy(table.x).float(), torch.from_numpy(table.y).long()
        selector = FeatureSelector(x.shape[1], k, kind=kind)
        columns = x.shape[1] if kind == "subset" else k
        network = nn.Sequential(nn.Linear(columns, UNITS), nn.ReLU(), nn.Linear(UNITS, int(y.max()) + 1))
        tau = exponential(3.0, rate=5 / steps, floor=0.02)
        groups = [{"params": network.parameters(), "lr": RATE}, {"params": selector.parameters(), "lr": LOGITS_RATE}]
        optimizer = torch.optim.Adam(groups, fused=True)

        def loss(step: int) -> torch.Tensor:
            if kind == "concrete":  # The other one has no temperature.
                set_temperature(selector, tau(step))
            rows = torch.randint(len(x), (128,))
            return nn.functional.cross_entropy(network(selector(x[rows], seed=fold_seed(seed, step))), y[rows])

        for _ in descend(loss, optimizer, range(steps)):
            pass
        return np.unique(selector.chosen().numpy())

    return choose


def informative(table: Table, k: int, seed: int, steps: int) -> np.ndarray:
    """The k features with the largest mutual information with the class, each by itself."""
    from sklearn.feature_selection import mutual_info_classif

    return np.argsort(-mutual_info_classif(table.x, table.y, random_state=seed))[:k]


def sparse(table: Table, k: int, seed: int, steps: int) -> np.ndarray:
    """The k features with the largest weights of a linear model that pays for their absolute values."""
    from sklearn.svm import LinearSVC

    model = LinearSVC(C=0.05, penalty="l1", dual=False, random_state=seed, max_iter=2000).fit(table.x, table.y)
    return np.argsort(-np.abs(model.coef_).sum(0))[:k]


def random(table: Table, k: int, seed: int, steps: int) -> np.ndarray:
    """Any k features."""
    return np.random.default_rng(seed).permutation(table.x.shape[1])[:k]


WAYS: dict[str, Callable[[Table, int, int, int], np.ndarray]] = {
    "random": random,
    "mutual information": informative,
    "L1": sparse,
    "subset selector": learned("subset"),
    "concrete selector": learned("concrete"),
}


def accuracy(table: Table, chosen: np.ndarray) -> float:
    """Percent of the test rows that the nearest neighbors in these features class rightly: the same judge for all."""
    from sklearn.neighbors import KNeighborsClassifier

    judge = KNeighborsClassifier(5).fit(table.x[:, chosen], table.y)
    return 100 * float(judge.score(table.test_x[:, chosen], table.test_y))


def main(arguments: Sequence[str] | None = None) -> None:
    """Choose, judge and show."""
    chosen = options(__doc__, arguments)
    seeds, steps = (1, 3) if chosen.short else (5, 250)
    cells: list[Measurement] = []
    found: dict[str, dict[str, list[float]]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of scikit-learn, about convergence of the linear model.
        for name, counts in COUNTS.items():
            tables = [split(name, seed) for seed in range(seeds)]
            for k in counts:
                case = f"{k} of {tables[0].x.shape[1]}, {name}"
                found[case] = {}
                for way, choose in WAYS.items():
                    each = enumerate(tables)
                    found[case][way] = [accuracy(table, choose(table, k, seed, steps)) for seed, table in each]
                    cells.append(mean_of(case, way, found[case][way], "%"))
                every = [accuracy(table, np.arange(table.x.shape[1])) for table in tables]
                cells.append(mean_of(case, "all features", every, "%"))
    title = "Test rows that five nearest neighbors class rightly, by which features they see"
    show(chosen, "feature-selection", title, cells, lambda figure: drawn(figure, found), "standard error over splits")


def drawn(figure: Any, found: dict[str, dict[str, list[float]]]) -> None:
    """A column for each case, a dot for each split."""
    axes = figure.add_subplot()
    for place, ways in enumerate(found.values()):
        for number, (color, values) in enumerate(zip(COLORS, ways.values(), strict=False)):
            at = place + 0.14 * (number - (len(ways) - 1) / 2)
            axes.plot([at] * len(values), values, "o", color=color, ms=3, alpha=0.5)
            axes.plot([at - 0.05, at + 0.05], [np.mean(values)] * 2, color=color, lw=2.5)
    axes.set_xticks(range(len(found)), list(found))
    plain_axes(axes, "Each dot is a split", "", "test rows classed rightly, %")
    titled(figure, "Features that were chosen, judged by nearest neighbors",
           [sign(way, color, lw=2.5) for way, color in zip(WAYS, COLORS, strict=False)])  # fmt: skip


if __name__ == "__main__":
    main()
