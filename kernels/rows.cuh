// What row-wise kernels share: a warp takes a row, a block 8 rows, a lane the columns 8·lane to
// 8·lane + 7 of every chunk of 256.
#pragma once
#include "prelude.cuh"
#include "parameters.cuh"
#include "vec8.cuh"

constexpr int ROWS_PER_BLOCK = 8;
constexpr int CHUNK = 32 * 8;

DEVICE int row_of_warp() { return blockIdx.x * ROWS_PER_BLOCK + threadIdx.x / 32; }
DEVICE int first_column() { return threadIdx.x % 32 * 8; }

DEVICE float sum_of(const float (&x)[8]) {
    float sum = 0;
    UNROLL
    for (int i = 0; i < 8; i++) sum += x[i];
    return sum;
}

/// The sum of squared deviations from the mean of the first `valid` values.
DEVICE float squared_deviations(const float (&x)[8], float mean, int valid) {
    float sum = 0;
    UNROLL
    for (int i = 0; i < 8; i++) {
        float distance = i < valid ? x[i] - mean : 0;
        sum += distance * distance;
    }
    return sum;
}

/// The sequence of a row: the last that starts at or before it (empty ones before it start there
/// too).
DEVICE int sequence_of(const u32* starts, int sequences, int row) {
    int below = 0, above = sequences;
    while (above - below > 1) {
        int middle = (below + above) / 2;
        if (int(starts[middle]) <= row) below = middle;
        else above = middle;
    }
    return below;
}
