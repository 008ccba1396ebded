from drawgrad.kernels.reference import (
    noise,
    gumbel_max,
    gumbel_softmax,
    gumbel_softmax_vjp,
    softmax_vjp,
    sigmoid_vjp,
    binary_concrete,
    binary_concrete_vjp,
)
