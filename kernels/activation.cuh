// Activation functions of layers and of SPLADE.
//
// The launch says which one (Activation, SpladeActivation in parameters.cuh). `activate_all`
// branches once for many values.
#pragma once
#include "parameters.cuh"

/// Prevents unrolling of a loop with a long body.
#ifdef ESPARSA_EMULATE
#define ROLLED
#else
#define ROLLED _Pragma("unroll 1")
#endif

DEVICE float activate(float x, int activation) {
    switch (activation) {
        case GELU: return 0.5f * x * (1 + erff(x * 0.70710678f));
        case GELU_TANH: return 0.5f * x * (1 + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
        case RELU: return fmaxf(x, 0);
        case SILU: return x / (1 + expf(-x));
        case TANH: return tanhf(x);
        default: return x;
    }
}

template <int ACTIVATION, int COUNT>
DEVICE void activate_each(float (&x)[COUNT]) {
    UNROLL
    for (int i = 0; i < COUNT; i++) x[i] = activate(x[i], ACTIVATION);
}

template <int COUNT>
DEVICE void activate_all(float (&x)[COUNT], int activation) {
    switch (activation) {
        case GELU: return activate_each<GELU>(x);
        case GELU_TANH: return activate_each<GELU_TANH>(x);
        case RELU: return activate_each<RELU>(x);
        case SILU: return activate_each<SILU>(x);
        case TANH: return activate_each<TANH>(x);
    }
}

/// The weight of a term from its logit: log(1 + max(logit, 0)), or log(1 + that).
DEVICE float splade_activate(float logit, int activation) {
    float weight = log1pf(fmaxf(logit, 0));
    return activation == LOG1P_LOG1P_RELU ? log1pf(weight) : weight;
}
