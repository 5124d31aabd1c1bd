// Vectors of eight columns: what one lane loads and stores at once, 16 bytes of bf16 or 32 of f32.
//
// `valid` says how many of the eight belong to the row; the others are loaded as zeros. Rows of
// bf16 are 16-byte aligned and may be accessed up to their stride; rows of f32 may start anywhere
// and end where the next starts.
#pragma once
#include "prelude.cuh"

DEVICE bool is_aligned(const void* place) { return u64(place) % 16 == 0; }

DEVICE void unpack(float (&x)[8], const Words4& words) {
    UNROLL
    for (int pair = 0; pair < 4; pair++) {
        x[2 * pair] = low_of(words.word[pair]);
        x[2 * pair + 1] = high_of(words.word[pair]);
    }
}

DEVICE void load_8(float (&x)[8], const bf16* from, int valid) {
    Words4 words = {};
    if (valid > 0) words = load_16(from);
    unpack(x, words);
    UNROLL
    for (int i = 0; i < 8; i++)
        if (i >= valid) x[i] = 0;
}

DEVICE void load_8(float (&x)[8], const float* from, int valid) {
    if (valid >= 8 && is_aligned(from)) {
        UNROLL
        for (int half = 0; half < 2; half++) {
            Words4 words = load_16(from + 4 * half);
            UNROLL
            for (int i = 0; i < 4; i++) x[4 * half + i] = float_of(words.word[i]);
        }
        return;
    }
    UNROLL
    for (int i = 0; i < 8; i++) x[i] = i < valid ? from[i] : 0;
}

/// Writes all eight: the row's stride has room for them.
DEVICE void store_8(bf16* to, const float (&x)[8]) {
    Words4 words;
    UNROLL
    for (int pair = 0; pair < 4; pair++) words.word[pair] = pack(x[2 * pair], x[2 * pair + 1]);
    *reinterpret_cast<Words4*>(to) = words;
}

DEVICE void store_8(float* to, const float (&x)[8], int valid) {
    if (valid >= 8 && is_aligned(to)) {
        UNROLL
        for (int half = 0; half < 2; half++) {
            Words4 words;
            UNROLL
            for (int i = 0; i < 4; i++) words.word[i] = bits_of(x[4 * half + i]);
            *reinterpret_cast<Words4*>(to + 4 * half) = words;
        }
        return;
    }
    UNROLL
    for (int i = 0; i < 8; i++)
        if (i < valid) to[i] = x[i];
}
