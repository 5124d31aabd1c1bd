// Activation functions of layers and of SPLADE.
//
// The launch says which one (Activation, SpladeActivation in parameters.cuh). `activate_all`
// branches once for many values.
#pragma once
#include "parameters.cuh"

/// x · sigmoid(g(x)) for an odd g, which GELU, GELU_TANH and SILU are: with u = |x| this is
/// max(x, 0) - u / (1 + 2^p) for p = log2(e) · g(u), without cancellation on either side of 0. u is
/// clamped where the second summand vanishes, so that products of two denominators do not overflow:
/// two values share a reciprocal, since special functions have an eighth of the rate of a sum.
///
/// For GELU, whose g is logit(normal distribution), p = u · (c0 + c1 · u² + c2 · u⁴) was fitted by
/// reweighted least squares: the error is below 6.1e-5, and below 2^-10 of the result from -3 on;
/// bf16 rounds by up to 2^-9 of it.
template <int ACTIVATION>
DEVICE float sigmoid_exponent(float u) {
    constexpr float LOG2_E = 1.4426950409f;
    float square = u * u;
    if (ACTIVATION == GELU) return u * (2.3001426f + square * (0.107600423f - square * 0.0011282471f));
    if (ACTIVATION == GELU_TANH) return u * (2 * LOG2_E * 0.79788456f + square * (2 * LOG2_E * 0.79788456f * 0.044715f));
    return u * LOG2_E;
}

template <int ACTIVATION>
DEVICE void gate_pair(float& x, float& y) {
    constexpr float MAX = ACTIVATION == SILU ? 40 : 6;
    float u = fminf(fabsf(x), MAX), v = fminf(fabsf(y), MAX);
    float a = 1 + exp2_fast(sigmoid_exponent<ACTIVATION>(u)), b = 1 + exp2_fast(sigmoid_exponent<ACTIVATION>(v));
    float inverse = reciprocal_fast(a * b);
    x = max_or_nan(x, 0) - u * b * inverse;
    y = max_or_nan(y, 0) - v * a * inverse;
}

template <int ACTIVATION, int COUNT>
DEVICE void gate_all(float (&x)[COUNT]) {
    static_assert(COUNT % 2 == 0, "two values share a reciprocal");
    UNROLL
    for (int i = 0; i < COUNT; i += 2) gate_pair<ACTIVATION>(x[i], x[i + 1]);
}

template <int COUNT>
DEVICE void activate_all(float (&x)[COUNT], int activation) {
    switch (activation) {
        case GELU: return gate_all<GELU>(x);
        case GELU_TANH: return gate_all<GELU_TANH>(x);
        case SILU: return gate_all<SILU>(x);
        case RELU:
            UNROLL
            for (int i = 0; i < COUNT; i++) x[i] = fmaxf(x[i], 0);
            return;
        case TANH:
            UNROLL
            for (int i = 0; i < COUNT; i++) x[i] = tanhf(x[i]);
            return;
    }
}

/// The weight of a term from its logit: log(1 + max(logit, 0)), or log(1 + that).
DEVICE float splade_activate(float logit, int activation) {
    float weight = log1pf(fmaxf(logit, 0));
    return activation == LOG1P_LOG1P_RELU ? log1pf(weight) : weight;
}
