"""Another default device, or another default dtype, than that of the tensors at hand: results are the same, and there.

``torch.set_default_device("cuda")`` is what many scripts begin with. Here it is the device ``meta``, on which nothing
can be computed, so that a tensor which is made there by mistake is noticed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Normal, OneHotCategorical

from drawgrad import distributions as D
from drawgrad import functional as F
from drawgrad.diagnostics import compare
from drawgrad.estimators import ESTIMATORS, Estimator
from drawgrad.logic import Problem, all_solutions, log_partition, marginals
from tests.estimators.test_parts import FAMILIES, cost
from tests.estimators.test_surroundings import cases
from tests.logic.problems import KINDS, of_kind, random_domains
from tests.nn.cases import CASES as MODULES
from tests.nn.cases import Case, loss_of, tensors

Call = Callable[[], Any]
GENERATOR = torch.Generator().manual_seed(7)
FEW, MANY = (torch.randn(*shape, generator=GENERATOR) for shape in ((4, 5), (700, 7)))
SQUARE, CODEBOOK = (torch.randn(*shape, generator=GENERATOR) for shape in ((2, 4, 4), (5, 3)))
WEIGHT, MASK, SEEDS = torch.randn(30, 5, generator=GENERATOR), FEW > -1, torch.arange(4)
TAUS = torch.rand(4, 5, generator=GENERATOR) + 0.5


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


DEFAULTS: dict[str, Callable[[], Any]] = {
    "device": lambda: torch.device("meta"),
    "dtype": lambda: default_dtype(torch.float64),
}
every_default = pytest.mark.parametrize("other", DEFAULTS.values(), ids=DEFAULTS.keys())


def with_gradient(function: Callable[[Tensor], Tensor], x: Tensor) -> Call:
    def call() -> tuple[Tensor, Tensor]:
        leaf = x.clone().requires_grad_()
        found = function(leaf)
        return found.detach(), torch.autograd.grad(found.square().sum(), leaf)[0]

    return call


def softmaxes(x: Tensor) -> dict[str, Callable[[Tensor], Tensor]]:
    return {
        "soft": lambda x: F.gumbel_softmax(x, 0.5, seed=3),
        "hard": lambda x: F.gumbel_softmax(x, 0.5, True, seed=3),
        "first dimension": lambda x: F.gumbel_softmax(x, 0.5, dim=0, seed=3),
        "tensor tau": lambda x: F.gumbel_softmax(x, torch.ones((), device="cpu") / 2, seed=3),
        "bits": lambda x: F.binary_concrete(x, 0.5, seed=3),
        "hard bits": lambda x: F.binary_concrete(x, 0.5, True, seed=3),
    }


CALLS: dict[str, Call] = {
    **{f"{name}, few": with_gradient(function, FEW) for name, function in softmaxes(FEW).items()},
    **{f"{name}, many": with_gradient(function, MANY) for name, function in softmaxes(MANY).items()},
    "mask": with_gradient(lambda x: F.gumbel_softmax(x, mask=MASK, seed=3), FEW),
    "seeds": with_gradient(lambda x: F.gumbel_softmax(x, seed=SEEDS), FEW),
    "a temperature for each class": with_gradient(lambda x: F.gumbel_softmax(x, TAUS, seed=3), FEW),
    "a temperature for each bit": with_gradient(lambda x: F.binary_concrete(x, TAUS, seed=3), FEW),
    "float64": with_gradient(lambda x: F.gumbel_softmax(x, seed=3), FEW.double()),
    "bfloat16": lambda: F.gumbel_softmax(MANY.bfloat16(), seed=3),
    "gumbel_max, few": lambda: F.gumbel_max(FEW, mask=MASK, seed=3),
    "gumbel_max, many": lambda: F.gumbel_max(MANY, seed=3),
    "gumbel_top_k": lambda: F.gumbel_top_k(MANY, 3, seed=3),
    "relaxed_top_k": with_gradient(lambda x: F.relaxed_top_k(x, 2, seed=3), FEW),
    "gumbel_max_linear": lambda: F.gumbel_max_linear(FEW, WEIGHT, seed=3),
    "gumbel_lookup": with_gradient(lambda x: F.gumbel_lookup(x, CODEBOOK, seed=3), FEW),
    "gumbel_noise": lambda: F.gumbel_noise((3, 4), dtype=torch.float32, device="cpu", seed=3),
    "fold_seed": lambda: F.fold_seed(SEEDS, 3),
    "conditional_gumbel": with_gradient(lambda x: F.conditional_gumbel(x, FEW.argmax(-1), seed=3), FEW),
    "conditional_logistic": with_gradient(lambda x: F.conditional_logistic(x, MASK, seed=3), FEW),
    "categorical_kl, few": with_gradient(lambda x: F.categorical_kl(x.log_softmax(-1), FEW.log_softmax(-1)), FEW),
    "categorical_kl, many": with_gradient(lambda x: F.categorical_kl(x.log_softmax(-1), MANY.log_softmax(-1)), MANY),
    "bernoulli_kl": with_gradient(lambda x: F.bernoulli_kl(x, FEW), FEW),
    "log_esp": with_gradient(lambda x: F.log_esp(x, 2), FEW),
    "subset_marginals": with_gradient(lambda x: F.subset_marginals(x, 2), FEW),
    "subset_sample": lambda: F.subset_sample(FEW, 2, seed=3),
    "log_permanent": with_gradient(F.log_permanent, SQUARE),
    "permutation_marginals": with_gradient(F.permutation_marginals, SQUARE),
    "permutation_sample": lambda: F.permutation_sample(SQUARE, seed=3),
    "sinkhorn": with_gradient(lambda x: F.sinkhorn(x).matrix, SQUARE),
    "gumbel_sinkhorn": with_gradient(lambda x: F.gumbel_sinkhorn(x, seed=3), SQUARE),
    "assignment": lambda: F.assignment(SQUARE),
    "multi_sample_bound": with_gradient(F.multi_sample_bound, FEW),
}


def tensors_of(found: Any) -> list[Tensor]:
    """All tensors in what a call returned."""
    if isinstance(found, Tensor):
        return [found.detach()]
    if isinstance(found, dict):
        found = list(found.values())
    return [tensor for each in found for tensor in tensors_of(each)] if isinstance(found, list | tuple) else []


def assert_same(call: Call, other: Callable[[], Any]) -> None:
    torch.manual_seed(1)
    expected = tensors_of(call())
    torch.manual_seed(1)
    with other():
        found = tensors_of(call())
    assert expected
    for mine, right in zip(found, expected, strict=True):
        assert mine.device == right.device
        assert mine.dtype == right.dtype
        # A number that meets a tensor may be wider with a wider default, and then what comes between is.
        torch.testing.assert_close(mine, right, rtol=1e-4, atol=1e-5, equal_nan=True)


@every_default
@pytest.mark.parametrize("name", CALLS)
def test_functions(name: str, other: Callable[[], Any]) -> None:
    assert_same(CALLS[name], other)


@every_default
@pytest.mark.parametrize(("make", "name"), cases())
def test_estimators(make: Callable[[], Estimator], name: str, other: Callable[[], Any]) -> None:
    family, shape = FAMILIES[name]
    logits = torch.randn(3, *shape, generator=torch.Generator().manual_seed(2))
    weights = torch.ones(3, dtype=torch.float64)
    q = family(logits.requires_grad_())

    def call() -> tuple[Tensor, Tensor]:
        loss = estimator(lambda z: costs(z), q, seed=11)
        return loss.detach(), torch.autograd.grad(loss.sum(), logits, retain_graph=True)[0]

    def costs(z: Any) -> Tensor:
        with torch.device("cpu"):
            return cost(z, weights)

    estimator = make()
    if isinstance(estimator, torch.nn.Module):
        estimator.eval()
    call()  # Lazy layers take their size from the first call.
    assert_same(call, other)


LAWS: dict[str, Callable[[], Any]] = {
    "GibbsPermutation": lambda: D.GibbsPermutation(SQUARE),
    "GumbelSinkhorn": lambda: D.GumbelSinkhorn(1.0, SQUARE),
    "HardConcrete": lambda: D.HardConcrete(torch.tensor(0.5), logits=FEW),
    "KSubset": lambda: D.KSubset(FEW, 2),
    "Logistic": lambda: D.Logistic(FEW, 1.0),
    "MixtureOfNormals": lambda: D.MixtureOfNormals(Categorical(logits=FEW), Normal(FEW, FEW.exp())),
    "MultiCategorical": lambda: D.MultiCategorical(FEW, (2, 3)),
    "PlackettLuce": lambda: D.PlackettLuce(FEW, 2),
    "RelaxedBernoulli": lambda: D.RelaxedBernoulli(torch.tensor(0.5), logits=FEW),
    "RelaxedBernoulliStraightThrough": lambda: D.RelaxedBernoulliStraightThrough(torch.tensor(0.5), logits=FEW),
    "RelaxedOneHotCategorical": lambda: D.RelaxedOneHotCategorical(torch.tensor(0.5), logits=FEW),
    "RelaxedOneHotCategoricalStraightThrough": lambda: D.RelaxedOneHotCategoricalStraightThrough(
        torch.tensor(0.5), logits=FEW
    ),
    "TruncatedNormal": lambda: D.TruncatedNormal(FEW, FEW.exp(), FEW - 1, FEW + 2),
    "VonMises": lambda: D.VonMises(FEW, FEW.exp()),
}


@every_default
@pytest.mark.parametrize("name", LAWS)
def test_distributions(name: str, other: Callable[[], Any]) -> None:
    q = LAWS[name]()

    def call() -> list[Tensor]:
        x = q.rsample((2,)) if q.has_rsample else q.sample((2,))
        found = [x]
        for property_ in ("log_prob", "entropy", "mean"):
            with contextlib.suppress(NotImplementedError):
                value = getattr(q, property_)
                found.append(value if property_ == "mean" else value(x) if property_ == "log_prob" else value())
        return found

    assert_same(call, other)


@every_default
@pytest.mark.parametrize("case", MODULES, ids=lambda case: case.name)
def test_modules(case: Case, other: Callable[[], Any]) -> None:
    torch.manual_seed(0)
    module, x = case.make(), case.input()
    state = {name: value.clone() for name, value in module.state_dict().items()}

    def call() -> list[Tensor]:
        module.load_state_dict(state)
        leaf = x.clone().requires_grad_()
        found = module(leaf)
        with torch.device("cpu"):
            loss = loss_of(found)
        return [*(each.detach() for each in tensors(found)), torch.autograd.grad(loss, leaf)[0]]

    assert_same(call, other)


@every_default
@pytest.mark.parametrize("kind", KINDS)
def test_problems(kind: str, other: Callable[[], Any]) -> None:
    reference = of_kind(kind, 4)
    beliefs = torch.rand(2, reference.variables, reference.values, generator=torch.Generator().manual_seed(1))
    sets = random_domains(reference, 3, batch=3)

    def call() -> list[Tensor]:
        with torch.device("cpu"):  # What draws the problem makes tensors of its own.
            drawn = of_kind(kind, 4)
        problem = Problem(drawn.variables, drawn.sizes, drawn.constraints)
        leaf = beliefs.clone().requires_grad_()
        soft = problem.propagate(problem.domains(leaf), rounds=2).elements
        likely = problem.most_likely(problem.domains(beliefs))
        return [
            soft.detach(),
            torch.autograd.grad(soft.sum(), leaf)[0],
            problem.propagate(sets).words,
            problem.solve(sets, limit=3).counts,
            problem.satisfied(sets.words[..., 0] % problem.values),
            likely.solutions(),
            all_solutions(problem),
            log_partition(problem, problem.domains(beliefs)),
            marginals(problem, problem.domains(beliefs)).elements,
        ]

    assert_same(call, other)


@every_default
def test_diagnostics(other: Callable[[], Any]) -> None:
    q = OneHotCategorical(logits=FEW[0].clone().requires_grad_())
    estimators = {"ST": ESTIMATORS["StraightThrough"](), "LOO": ESTIMATORS["LeaveOneOut"]()}

    def call() -> list[Tensor]:
        report = compare(estimators, lambda z: (z - 0.3).square().sum(-1), q, draws=50)
        return [
            torch.tensor([row.bias.value, row.variance.value], device="cpu", dtype=torch.float64) for row in report.rows
        ]

    assert_same(call, other)


def test_a_tensor_that_is_made_elsewhere_is_noticed() -> None:
    with pytest.raises((AssertionError, NotImplementedError, RuntimeError)):
        assert_same(lambda: FEW + torch.ones(5), DEFAULTS["device"])
    with pytest.raises(AssertionError):
        assert_same(lambda: FEW * torch.ones(5), DEFAULTS["dtype"])
