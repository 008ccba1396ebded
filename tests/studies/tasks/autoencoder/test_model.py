"""The autoencoder: its likelihood, its initial weights."""

from __future__ import annotations

import pytest
import torch

from drawgrad.estimators import GumbelSoftmax, Reinforce
from drawgrad.studies.tasks.autoencoder.code import BernoulliCode, CategoricalCode, GaussianCode
from drawgrad.studies.tasks.autoencoder.model import VAE
from tests.studies.tasks.autoencoder.small import small_vae


def test_the_cost_is_minus_the_log_likelihood_of_bernoulli_pixels(generator):
    model = small_vae(CategoricalCode(2, 3))
    x = torch.randint(2, (7, 4), generator=generator).double()
    q = model.posterior(x)
    z = GumbelSoftmax(tau=0.5).rsample(q, generator=generator)[0]
    pixels = torch.distributions.Bernoulli(logits=model.decode(z))
    assert torch.allclose(model.cost(z, x), -pixels.log_prob(x).sum(-1))


def test_the_cost_takes_leading_samples_as_an_estimator_passes_them(generator):
    model = small_vae(CategoricalCode(2, 3))
    x = torch.randint(2, (7, 4), generator=generator).double()
    z = model.posterior(x).sample((3,))
    cost = model.cost(z, x)
    assert cost.shape == (3, 7)
    assert torch.allclose(cost[1], model.cost(z[1], x))


def test_initial_weights_follow_from_the_seed_alone():
    def weights(seed: int) -> torch.Tensor:
        model = VAE(
            GaussianCode(2), (5, 5), torch.full((4,), 0.5), True, torch.Generator().manual_seed(seed), Reinforce()
        )
        return torch.nn.utils.parameters_to_vector(model.parameters())

    torch.manual_seed(1)
    first = weights(0)
    state = torch.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(first, weights(0))
    assert not torch.equal(first, weights(1))
    torch.manual_seed(1)
    weights(0)
    assert torch.equal(torch.get_rng_state(), state), "the default generator was used"


def test_an_untrained_decoder_expects_the_mean_image():
    base_rates = torch.tensor([0.0, 0.25, 0.5, 1.0])
    model = VAE(BernoulliCode(3), (5, 5), base_rates, True, torch.Generator().manual_seed(0), Reinforce())
    expected = base_rates.clamp(1e-3, 1 - 1e-3)
    assert torch.allclose(model.decoder_out.bias.sigmoid(), expected, atol=1e-6)


@pytest.mark.parametrize("learned", [True, False])
def test_a_prior_is_learned_only_if_asked_for(learned):
    model = VAE(
        CategoricalCode(2, 3), (5, 5), torch.full((4,), 0.5), learned, torch.Generator().manual_seed(0), Reinforce()
    )
    assert model.prior_parameters.requires_grad is learned
    assert torch.allclose(model.prior().probs, torch.full((2, 3), 1 / 3))


def test_either_side_may_be_without_a_hidden_layer():
    code, rates = CategoricalCode(2, 3), torch.full((4,), 0.5)

    def shapes(*hidden: int) -> list[tuple[int, ...]]:
        model = VAE(code, hidden, rates, False, torch.Generator().manual_seed(0), Reinforce())
        return [tuple(weight.shape) for name, weight in model.named_parameters() if name.endswith("weight")]

    assert shapes(0, 0) == [(6, 4), (4, 6)]
    assert shapes(0, 5) == [(6, 4), (5, 6), (4, 5)]
    assert shapes(7, 0) == [(7, 4), (6, 7), (4, 6)]
