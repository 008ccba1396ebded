"""What every distribution promises: shapes, temperatures, seeds, copies, dtypes, refusals."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import AffineTransform, Distribution, Independent, TransformedDistribution

from drawgrad import distributions

CATEGORICAL = ("ExpRelaxedCategorical", "RelaxedOneHotCategorical", "RelaxedOneHotCategoricalStraightThrough")
BINARY = ("LogitRelaxedBernoulli", "RelaxedBernoulli", "RelaxedBernoulliStraightThrough")
RELAXED = CATEGORICAL + BINARY
HARD = ("RelaxedOneHotCategoricalStraightThrough", "RelaxedBernoulliStraightThrough")
STRUCTURED = (
    "GibbsPermutation",
    "GumbelSinkhorn",
    "HardConcrete",
    "KSubset",
    "MixtureOfNormals",
    "MultiCategorical",
    "PaddedOneHotCategorical",
    "PlackettLuce",
    "RelaxedMultinomial",
    "TruncatedNormal",
    "VonMises",
)
"""Choices with a structure, which have a temperature in no case: their own tests hold them against enumeration."""
K = 4


def make(name: str, temperature: Any, batch: tuple[int, ...] = (), **options: Any) -> Any:
    """A distribution with random logits that carry a gradient, and that batch shape.

    Values are checked unless the options say otherwise: torch's default is off once the compiler has been loaded.
    """
    shape = (*batch, K) if name in CATEGORICAL else batch
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=options.pop("dtype", torch.float64))
    return getattr(distributions, name)(
        temperature, logits=logits.requires_grad_(), **{"validate_args": True, **options}
    )


def temperatures(name: str, batch: tuple[int, ...]) -> dict[str, float | Tensor]:
    whole = torch.linspace(0.4, 1.2, torch.Size(batch).numel(), dtype=torch.float64).reshape(batch)
    kinds: dict[str, float | Tensor] = {"number": 0.7, "0-dim": torch.tensor(0.7), "batch": whole}
    if name in CATEGORICAL:
        kinds["kept"] = whole[..., None]
    if batch:
        kinds["row"] = whole[(0,) * (len(batch) - 1)]
        kinds["one"] = torch.tensor([0.7])
    return kinds


def test_all_are_covered() -> None:
    kinds = {name for name in distributions.__all__ if name[0].isupper() and name != "ApproximateDivergence"}
    assert {*RELAXED, *STRUCTURED, "Logistic"} == kinds


class TestShapes:
    @pytest.mark.parametrize("sample_shape", [(), (5,), (2, 3)])
    @pytest.mark.parametrize("batch", [(), (2,), (3, 2), (0,), (1,)])
    @pytest.mark.parametrize("name", RELAXED)
    def test_follow_the_parameters(self, name: str, batch: tuple[int, ...], sample_shape: tuple[int, ...]) -> None:
        event = (K,) if name in CATEGORICAL else ()
        for temperature in temperatures(name, batch).values():
            q = make(name, temperature, batch)
            assert (q.batch_shape, q.event_shape) == (batch, event)
            assert q.param_shape == q.probs.shape == q.logits.shape == batch + event
            sample = q.rsample(sample_shape)
            assert sample.shape == q.sample(sample_shape).shape == sample_shape + batch + event
            assert q.log_prob(sample).shape == sample_shape + batch

    @pytest.mark.parametrize(
        ("name", "temperature", "parameter", "batch"),
        [
            *((name, (3,), (1, K), (3,)) for name in CATEGORICAL),
            *((name, (3, 1), (K,), (3,)) for name in CATEGORICAL),
            *((name, (3, 1, 1), (2, K), (3, 2)) for name in CATEGORICAL),
            *((name, (3, 1), (2,), (3, 2)) for name in BINARY),
            *((name, (3,), (), (3,)) for name in BINARY),
        ],
    )
    def test_temperature_and_parameters_broadcast(
        self, name: str, temperature: tuple[int, ...], parameter: tuple[int, ...], batch: tuple[int, ...]
    ) -> None:
        q = getattr(distributions, name)(torch.rand(temperature) + 0.5, logits=torch.randn(parameter))
        assert q.batch_shape == batch
        assert q.log_prob(q.sample((7,))).shape == (7, *batch)

    @pytest.mark.parametrize("kind", ["batch", "kept", "row"])
    @pytest.mark.parametrize("name", RELAXED)
    def test_each_element_has_its_own_temperature(self, name: str, kind: str) -> None:
        """The density with a temperature for each element, against a loop over single distributions."""
        kinds = temperatures(name, (3, 2))
        q = make(name, kinds.get(kind, kinds["batch"]), (3, 2))
        value = q.sample((5,))
        density = q.log_prob(value)
        of_each = q.temperature.broadcast_to(3, 2)
        for i in range(3):
            for j in range(2):
                single = getattr(distributions, name)(of_each[i, j].item(), logits=q.logits[i, j])
                torch.testing.assert_close(density[:, i, j], single.log_prob(value[:, i, j]))

    @pytest.mark.parametrize("name", RELAXED)
    def test_values_broadcast_with_the_batch(self, name: str) -> None:
        q = make(name, 0.7, (3, 2))
        value = make(name, 0.7).sample((2,))
        torch.testing.assert_close(q.log_prob(value), q.log_prob(value.expand(q._extended_shape())))


class TestExpand:
    @pytest.mark.parametrize("kind", ["number", "batch", "one"])
    @pytest.mark.parametrize("name", RELAXED)
    def test_repeats_the_distribution(self, name: str, kind: str) -> None:
        q = make(name, temperatures(name, (1, 2))[kind], (1, 2))
        wide = q.expand((4, 3, 2))
        assert type(wide) is type(q)
        assert wide.batch_shape == (4, 3, 2)
        assert wide.expand((5, 4, 3, 2)).rsample().shape == (5, 4, 3, 2, *q.event_shape)
        value = wide.sample()
        torch.testing.assert_close(wide.log_prob(value), q.log_prob(value))
        torch.testing.assert_close(wide.probs, q.probs.expand(4, 3, 2, *q.event_shape))
        torch.testing.assert_close(wide.sample(seed=3), q.sample((4, 3), seed=3).reshape(value.shape))

    @pytest.mark.parametrize("name", [*RELAXED, "Logistic"])
    def test_keeps_the_choice_of_validation(self, name: str) -> None:
        for validate in (True, False):
            q = getattr(distributions, name)(torch.ones(()), torch.full((K,), 0.5), validate_args=validate)
            assert q.expand((2, *q.batch_shape))._validate_args is validate

    @pytest.mark.parametrize("name", [*RELAXED, "Logistic"])
    def test_of_subclasses(self, name: str) -> None:
        cls = getattr(distributions, name)
        plain = type("Plain", (cls,), {})
        assert type(plain(torch.ones(()), torch.full((K,), 0.5)).expand((2, K))) is plain

        class Renamed(cls):  # type: ignore[misc, valid-type]
            def __init__(self, p: Tensor) -> None:
                super().__init__(torch.ones(()), p)

        class Expandable(Renamed):
            def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
                return super().expand(batch_shape, self._get_checked_instance(Expandable, _instance))

        with pytest.raises(NotImplementedError, match=r"must also define a custom \.expand\(\)"):
            Renamed(torch.full((K,), 0.5)).expand((2, K))
        assert type(Expandable(torch.full((K,), 0.5)).expand((2, K))) is Expandable


class TestComposition:
    @pytest.mark.parametrize("name", RELAXED)
    def test_independent_sums_the_density(self, name: str) -> None:
        q = make(name, 0.7, (3, 2))
        joint = Independent(q, 1)
        sample = joint.rsample((5,))
        assert (joint.batch_shape, joint.event_shape) == ((3,), (2, *q.event_shape))
        torch.testing.assert_close(joint.log_prob(sample), q.log_prob(sample).sum(-1))
        assert sample.requires_grad
        if name in HARD:
            assert set(joint.expand((4, 3)).rsample().unique().tolist()) == {0.0, 1.0}

    @pytest.mark.parametrize("name", ["ExpRelaxedCategorical", "LogitRelaxedBernoulli", "RelaxedBernoulli", "Logistic"])
    def test_is_the_base_of_a_transformed_distribution(self, name: str) -> None:
        q = distributions.Logistic(torch.zeros(2), 1.0) if name == "Logistic" else make(name, 0.7, (2,))
        moved = TransformedDistribution(q, AffineTransform(1.0, 2.0, event_dim=len(q.event_shape)))
        value = moved.rsample((5,))
        jacobian = max(1, len(q.event_shape) and K) * torch.tensor(2.0).log()
        inside = (value - 1) / 2
        torch.testing.assert_close(moved.log_prob(value), q.log_prob(inside) - jacobian, check_dtype=False)


@pytest.mark.parametrize("name", [*RELAXED, "Logistic"])
class TestRandomness:
    def q(self, name: str) -> Any:
        if name == "Logistic":
            return distributions.Logistic(torch.zeros(8, requires_grad=True), 1.0)
        return make(name, 0.7, (8,))

    def test_the_seed_decides(self, name: str) -> None:
        q = self.q(name)
        assert torch.equal(q.rsample((3,), seed=5), q.rsample((3,), seed=5))
        assert torch.equal(q.rsample((3,), seed=5), q.sample((3,), seed=torch.tensor(5)))
        assert not torch.equal(q.rsample((3,), seed=5), q.rsample((3,), seed=6))

    def test_so_do_the_generators(self, name: str) -> None:
        q = self.q(name)
        first, second = (q.sample((3,), generator=torch.Generator().manual_seed(7)) for _ in range(2))
        assert torch.equal(first, second)
        torch.manual_seed(8)
        first, next_one = q.rsample((3,)), q.rsample((3,))
        torch.manual_seed(8)
        assert torch.equal(first, q.rsample((3,)))
        assert not torch.equal(first, next_one)
        with pytest.raises(ValueError, match="generator and seed are both given"):
            q.rsample(generator=torch.Generator(), seed=1)

    def test_samples_carry_a_gradient_or_none(self, name: str) -> None:
        q = self.q(name)
        assert q.has_rsample
        assert q.rsample().requires_grad
        assert not q.sample().requires_grad

    def test_samples_are_tensors_of_their_own(self, name: str) -> None:
        """Not views, which refuse to be detached or changed in place; and in one piece."""
        q = self.q(name)
        for sample in (q.sample(), q.sample((3,)), q.expand((2, *q.batch_shape)).sample()):
            changed = sample.clone().mul_(2)
            sample.detach_().mul_(2)
            assert torch.equal(sample, changed)
            assert sample.view(-1).shape == (sample.numel(),)

    def test_copies_are_equal(self, name: str) -> None:
        q = self.q(name)  # Not used before it is copied: torch cannot copy a converted parameter with a gradient.
        saved = io.BytesIO()
        torch.save(q, saved)
        saved.seek(0)
        copies = [pickle.loads(pickle.dumps(q)), copy.deepcopy(q), torch.load(saved, weights_only=False)]
        for other in copies:
            assert type(other) is type(q)
            assert torch.equal(other.sample((3,), seed=5), q.sample((3,), seed=5))
            assert torch.equal(other.log_prob(q.sample(seed=1)), q.log_prob(q.sample(seed=1)))


class TestDtypes:
    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    @pytest.mark.parametrize("given", ["probs", "logits"])
    @pytest.mark.parametrize("name", RELAXED)
    def test_are_those_of_the_parameters(self, name: str, given: str, dtype: torch.dtype) -> None:
        shape = (200, 33) if name in CATEGORICAL else (200,)
        p = torch.rand(shape, generator=torch.Generator().manual_seed(2)).clamp(0.01, 0.99)
        parameter = (p if given == "probs" else p.logit()).to(dtype).requires_grad_()
        q = getattr(distributions, name)(0.5, **{given: parameter})
        sample = q.rsample((2,))
        density = q.log_prob(sample)
        assert sample.dtype == q.probs.dtype == q.logits.dtype == dtype
        assert density.dtype == torch.promote_types(dtype, torch.float32)
        assert bool(density.isfinite().all())
        (density.sum() + sample.sum()).backward()
        assert parameter.grad is not None
        assert parameter.grad.dtype == dtype
        assert bool(parameter.grad.isfinite().all())

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    def test_are_those_of_the_logistic(self, dtype: torch.dtype) -> None:
        d = distributions.Logistic(torch.zeros(3, dtype=dtype), torch.ones(3, dtype=dtype))
        sample = d.rsample((2,))
        assert sample.dtype == d.cdf(sample).dtype == dtype
        assert d.log_prob(sample).dtype == d.entropy().dtype == torch.promote_types(dtype, torch.float32)

    @pytest.mark.parametrize("name", CATEGORICAL)
    def test_narrow_parameters_do_not_widen_the_error(self, name: str) -> None:
        """The density of bfloat16 numbers is computed in float32."""
        q = make(name, 0.5, (50,), dtype=torch.bfloat16)
        # Rounded values do not sum to one as those of float64 must.
        wide = getattr(distributions, name)(0.5, logits=q._parameter.detach().double(), validate_args=False)
        value = q.sample()
        right = wide.log_prob(value.double())
        torch.testing.assert_close(q.log_prob(value).double(), right, rtol=1e-5, atol=1e-4)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    @pytest.mark.parametrize("k", [2, 33, 5000, 200_000])
    @pytest.mark.parametrize("name", CATEGORICAL)
    def test_samples_lie_in_the_support(self, name: str, k: int, dtype: torch.dtype) -> None:
        logits = torch.randn(max(1, min(8, 10_000 // k)), k).to(dtype)
        for temperature in (0.01, 0.5, 5.0):
            q = getattr(distributions, name)(temperature, logits=logits, validate_args=True)
            sample = q.sample()
            assert bool(q.support.check(sample).all())
            for value in (sample, sample.double()):
                assert bool(q.log_prob(value).isfinite().all())
        of_probs = getattr(distributions, name)(0.5, probs=logits.double().softmax(-1).to(dtype), validate_args=True)
        assert bool(of_probs.log_prob(of_probs.sample()).isfinite().all())

    @pytest.mark.parametrize("name", ["ExpRelaxedCategorical", "RelaxedOneHotCategorical"])
    def test_a_density_of_many_narrow_classes_does_not_overflow(self, name: str) -> None:
        logits = torch.randn(8, 5000, generator=torch.Generator().manual_seed(3)).half()
        q, wide = (getattr(distributions, name)(0.5, logits=x, validate_args=False) for x in (logits, logits.double()))
        value = q.sample()
        assert bool((q.log_prob(value).abs() > 1000).all())
        if name == "RelaxedOneHotCategorical":  # Coordinates that round to zero count as their dtype's smallest number.
            value = value.clamp(min=2.0**-24)
        torch.testing.assert_close(q.log_prob(value).double(), wide.log_prob(value.double()), rtol=1e-4, atol=0.0)

    @pytest.mark.parametrize("name", [*RELAXED, "Logistic"])
    def test_values_may_be_whole_numbers(self, name: str) -> None:
        q = distributions.Logistic(torch.zeros(K), 1.0) if name == "Logistic" else make(name, 0.5)
        value = torch.eye(K, dtype=torch.int64)[0] if name in CATEGORICAL else torch.tensor(1)
        torch.testing.assert_close(q.log_prob(value), q.log_prob(value.to(torch.float64)), check_dtype=False)


class TestRefusals:
    @pytest.mark.parametrize("name", RELAXED)
    def test_of_both_or_neither_parameter(self, name: str) -> None:
        cls, p = getattr(distributions, name), torch.full((K,), 0.5)
        for wrong, found in ((lambda: cls(0.5), "neither is"), (lambda: cls(0.5, probs=p, logits=p), "both are")):
            with pytest.raises(ValueError, match=f"probs or logits must be given, but {found}; pass one of the two"):
                wrong()

    @pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
    @pytest.mark.parametrize("name", RELAXED)
    def test_of_a_temperature_that_is_not_positive(self, name: str, temperature: float) -> None:
        with pytest.raises(ValueError, match="temperature must be positive and finite"):
            make(name, temperature, (2,), validate_args=False)
        for tensor in (torch.tensor(temperature), torch.tensor([0.5, temperature])):
            with pytest.raises(ValueError, match=r"temperature must be positive.*holds"):
                make(name, tensor, (2,))
            make(name, tensor, (2,), validate_args=False)

    @pytest.mark.parametrize("temperature", ["0.5", None, True, torch.tensor(1)])
    @pytest.mark.parametrize("name", RELAXED)
    def test_of_a_temperature_that_is_no_number(self, name: str, temperature: object) -> None:
        with pytest.raises(TypeError, match="temperature must be"):
            make(name, temperature, (2,))

    @pytest.mark.parametrize("name", RELAXED)
    def test_of_a_temperature_that_does_not_fit(self, name: str) -> None:
        with pytest.raises(ValueError, match=r"temperature must broadcast.*\(2,\).*\(3,\)"):
            make(name, torch.ones(3), (2,))

    @pytest.mark.parametrize("name", CATEGORICAL)
    def test_of_a_temperature_for_each_class(self, name: str) -> None:
        with pytest.raises(ValueError, match=r"one number for each row of the logits.*last dimension of 1"):
            make(name, torch.ones(2, K), (2,))

    @pytest.mark.parametrize("name", CATEGORICAL)
    def test_of_wrong_categorical_parameters(self, name: str) -> None:
        cls = getattr(distributions, name)
        wrong: list[tuple[dict[str, Tensor], type[Exception], str]] = [
            ({"probs": torch.tensor([0.5, -0.5])}, ValueError, "probs must be finite and not negative"),
            ({"probs": torch.tensor([0.5, torch.nan])}, ValueError, r"probs must be.*\[0.5, nan\]"),
            ({"probs": torch.tensor([0.5, torch.inf])}, ValueError, "probs must be"),
            ({"probs": torch.tensor([[1.0, 0.0], [0.0, 0.0]])}, ValueError, r"probs must be.*\[0.0, 0.0\]"),
            ({"logits": torch.tensor([0.5, torch.nan])}, ValueError, "logits must be numbers or -inf"),
            ({"logits": torch.tensor([0.5, torch.inf])}, ValueError, "logits must be"),
            ({"logits": torch.tensor([-torch.inf, -torch.inf])}, ValueError, "one in each row above -inf"),
            ({"logits": torch.tensor(0.5)}, ValueError, "logits must have a dimension of classes"),
            ({"logits": torch.tensor([1, 2])}, TypeError, "logits must be of a floating dtype"),
        ]
        for parameters, error, message in wrong:
            with pytest.raises(error, match=message):
                cls(0.5, **parameters, validate_args=True)
        cls(0.5, logits=torch.tensor([0.5, torch.nan]), validate_args=False)

    @pytest.mark.parametrize("name", BINARY)
    def test_of_wrong_binary_parameters(self, name: str) -> None:
        cls = getattr(distributions, name)
        for p in (-0.1, 1.1, float("nan"), torch.tensor([0.5, 1.5])):
            with pytest.raises(ValueError, match="probs must be between 0 and 1"):
                cls(0.5, probs=p, validate_args=True)
        with pytest.raises(ValueError, match="logits must be numbers"):
            cls(0.5, logits=torch.tensor([0.0, torch.nan]), validate_args=True)
        for wrong in (torch.tensor([0, 1]), True, "0.5"):
            with pytest.raises(TypeError, match="probs must be"):
                cls(0.5, probs=wrong)

    @pytest.mark.parametrize("name", RELAXED)
    def test_of_values_outside_the_support(self, name: str) -> None:
        outside = {
            "ExpRelaxedCategorical": [torch.full((K,), torch.nan)],
            "LogitRelaxedBernoulli": [torch.tensor(torch.nan)],
            "RelaxedOneHotCategorical": [torch.full((K,), 0.3), torch.tensor([1.5, -0.5, 0.0, 0.0])],
            "RelaxedBernoulli": [torch.tensor(1.1), torch.tensor(-0.1)],
            "RelaxedOneHotCategoricalStraightThrough": [torch.full((K,), 1 / K), torch.tensor([1.0, 1.0, 0.0, 0.0])],
            "RelaxedBernoulliStraightThrough": [torch.tensor(0.5)],
        }
        for value in outside[name]:
            with pytest.raises(ValueError, match="within the support"):
                make(name, 0.5, dtype=torch.float32).log_prob(value)
        with pytest.raises(ValueError, match=r"broadcastable|right-most"):
            make(name, 0.5, (2,)).log_prob(torch.zeros(3, K))

    def test_narrow_points_of_the_simplex_pass_and_others_do_not(self) -> None:
        q = make("RelaxedOneHotCategorical", 1.0, dtype=torch.bfloat16)
        rounded = torch.tensor([0.3, 0.3, 0.3, 0.1], dtype=torch.bfloat16)
        assert float(rounded.float().sum()) != 1.0
        assert bool(q.log_prob(rounded).isfinite())
        with pytest.raises(ValueError, match="within the support"):
            q.log_prob(torch.tensor([0.3, 0.3, 0.3, 0.05], dtype=torch.bfloat16))


class TestParameters:
    @pytest.mark.parametrize("name", CATEGORICAL)
    def test_categorical_ones_are_normalised_and_converted(self, name: str) -> None:
        logits = torch.randn(3, K, dtype=torch.float64)
        cls = getattr(distributions, name)
        right = torch.distributions.OneHotCategorical(logits=logits)
        for q in (cls(0.5, logits=logits + 3), cls(0.5, probs=logits.exp()), cls(0.5, logits.exp())):
            torch.testing.assert_close(q.probs, right.probs)
            torch.testing.assert_close(q.logits, right.logits)

    @pytest.mark.parametrize("name", BINARY)
    def test_binary_ones_are_converted(self, name: str) -> None:
        p = torch.rand(3, dtype=torch.float64)
        cls = getattr(distributions, name)
        for q in (cls(0.5, logits=p.logit()), cls(0.5, probs=p), cls(0.5, p)):
            torch.testing.assert_close(q.probs, p)
            torch.testing.assert_close(q.logits, p.logit())

    @pytest.mark.parametrize("name", BINARY)
    def test_numbers_are_scalars(self, name: str) -> None:
        cls = getattr(distributions, name)
        assert cls(0.5, 0.3).batch_shape == cls(0.5, logits=1).rsample().shape == ()
        assert cls(torch.tensor(0.5, dtype=torch.float64), 0.3).rsample().dtype == torch.float64

    @pytest.mark.parametrize("name", RELAXED)
    def test_are_declared(self, name: str) -> None:
        q = make(name, 0.5, (2,))
        assert set(q.arg_constraints) == {"temperature", "probs", "logits"}
        for parameter, constraint in q.arg_constraints.items():
            assert bool(constraint.check(getattr(q, parameter)).all())
        assert repr(q) == f"{name}(temperature: 0.5, logits: {q.param_shape})"

    @pytest.mark.parametrize("name", [*RELAXED, "Logistic"])
    def test_is_a_distribution_of_torch(self, name: str) -> None:
        assert issubclass(getattr(distributions, name), Distribution)


class TestTransforms:
    """A draw and its density, captured whole by the compiler and mapped over an additional dimension."""

    @staticmethod
    def draw(name: str) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        def function(parameter: Tensor) -> tuple[Tensor, Tensor]:
            cls = getattr(distributions, name)
            if name == "Logistic":
                q = cls(parameter, 1.0, validate_args=False)
            else:
                q = cls(0.5, logits=parameter, validate_args=False)
            sample = q.rsample(seed=3)
            return sample, q.log_prob(sample)

        return function

    @pytest.mark.parametrize("name", [*RELAXED, "Logistic"])
    def test_compile_captures_one_graph(self, name: str) -> None:
        parameter = torch.randn(3, K, requires_grad=True)
        compiled = torch.compile(self.draw(name), fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(parameter), self.draw(name)(parameter))

    @pytest.mark.parametrize("name", [*RELAXED, "Logistic"])
    def test_a_schedule_of_temperatures_makes_two_graphs(self, name: str) -> None:
        """One for the first number and one for all others; graphs are counted behind the autograd of the compiler."""
        cls = getattr(distributions, name)

        def draw(parameter: Tensor, number: float) -> Tensor:
            if name == "Logistic":
                return cls(parameter, number, validate_args=False).rsample(seed=3)
            return cls(number, logits=parameter, validate_args=False).rsample(seed=3)

        parameter = torch.randn(3, K, requires_grad=True)
        torch._dynamo.reset()  # Graphs are kept by the code of the function, which all names share.
        torch._dynamo.utils.counters.clear()
        compiled = torch.compile(draw, fullgraph=True, backend="aot_eager")
        for step in range(5):
            torch.testing.assert_close(compiled(parameter, 1 - step / 8), draw(parameter, 1 - step / 8))
        assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 2

    @pytest.mark.parametrize("name", [*RELAXED, "Logistic"])
    def test_vmap_draws_what_a_loop_draws(self, name: str) -> None:
        parameters = torch.randn(5, 3, K)
        mapped = torch.vmap(self.draw(name))(parameters)
        looped = [torch.stack(parts) for parts in zip(*map(self.draw(name), parameters), strict=True)]
        torch.testing.assert_close(list(mapped), looped)
