// Row-wise kernels: embedding, residual and norm, L2 normalization, conversion, im2col.
//
// Inputs and outputs are rows of bf16 with padding (`stride`) or of f32 without; any number of
// rows, at least 1 column. A warp takes a row, a block 8 rows: all kernels here have 256 threads, a
// grid of ceil(rows / 8) blocks and no shared memory. A lane takes the columns 8·lane to 8·lane + 7
// of every chunk of 256.
//
//     embed         out[row] = norm(sum of tables[part][ids[part][row]])
//     add_norm      out[row] = norm(x[row] + y[row])
//     l2_normalize  out[row] = x[row] / max(|x[row]|, 1e-12)
//     f32_to_bf16   conversion
//     bf16_to_f32   conversion
//     im2col        out[row] = the `width` rows around this one in its sequence, zeros beyond it
//     split_heads   out[head][row] = the row's columns of that head; grid ceil(rows / 8) × heads
//
// There are two norms over the columns of a row, in f32:
//
//     LAYER_NORM        (x - mean) / sqrt(variance + epsilon) · weight + bias, the variance computed
//                       about the mean in a second pass (Ba, Kiros and Hinton, 2016)
//     ROOT_MEAN_SQUARE  x / sqrt(mean of squares + epsilon) · weight (Zhang and Sennrich, 2019)
#include "rows.cuh"

/// A row that is the sum of up to three bf16 rows.
struct SumOfRows {
    const bf16* parts[3];
    int count, columns;

    /// How many of the eight columns from `column` exist; 0 or less beyond the end.
    DEVICE int valid(int column) const { return columns - column; }

    DEVICE void load(float (&x)[8], int column) const {
        load_8(x, parts[0] + column, valid(column));
        UNROLL
        for (int part = 1; part < 3; part++) {
            if (part >= count) continue;
            float y[8];
            load_8(y, parts[part] + column, valid(column));
            UNROLL
            for (int i = 0; i < 8; i++) x[i] += y[i];
        }
    }
};

/// Writes (x - mean) · factor · weight + bias, or x unchanged without a norm.
DEVICE void store_normalized(bf16* out, float (&x)[8], float mean, float factor, const Norm& norm, int column, int valid) {
    if (valid <= 0) return;
    if (norm.kind != NO_NORM) {
        float weight[8];
        load_8(weight, norm.weight + column, valid);
        UNROLL
        for (int i = 0; i < 8; i++) x[i] = (x[i] - mean) * factor * weight[i];
        if (norm.kind == LAYER_NORM && norm.bias) {
            float bias[8];
            load_8(bias, norm.bias + column, valid);
            UNROLL
            for (int i = 0; i < 8; i++) x[i] += bias[i];
        }
    }
    store_8(out + column, x);
}

/// A row of at most 256 · CHUNKS columns, which stays in registers.
template <int CHUNKS>
DEVICE void normalize_short(bf16* out, const SumOfRows& row, const Norm& norm) {
    float x[CHUNKS][8];
    float mean = 0, squares = 0;
    UNROLL
    for (int chunk = 0; chunk < CHUNKS; chunk++) row.load(x[chunk], chunk * CHUNK + first_column());
    if (norm.kind == LAYER_NORM) {
        UNROLL
        for (int chunk = 0; chunk < CHUNKS; chunk++) mean += sum_of(x[chunk]);
        mean = sum_of_warp(mean) / row.columns;
    }
    if (norm.kind != NO_NORM) {
        UNROLL
        for (int chunk = 0; chunk < CHUNKS; chunk++) squares += squared_deviations(x[chunk], mean, row.valid(chunk * CHUNK + first_column()));
        squares = sum_of_warp(squares);
    }
    float factor = 1 / sqrtf(squares / row.columns + norm.epsilon);
    UNROLL
    for (int chunk = 0; chunk < CHUNKS; chunk++) {
        int column = chunk * CHUNK + first_column();
        store_normalized(out, x[chunk], mean, factor, norm, column, row.valid(column));
    }
}

/// A longer row, read again for the variance and a third time to write it.
DEVICE void normalize_long(bf16* out, const SumOfRows& row, const Norm& norm) {
    float x[8];
    float mean = 0, squares = 0;
    if (norm.kind == LAYER_NORM) {
        for (int column = first_column(); column < row.columns; column += CHUNK) {
            row.load(x, column);
            mean += sum_of(x);
        }
        mean = sum_of_warp(mean) / row.columns;
    }
    if (norm.kind != NO_NORM) {
        for (int column = first_column(); column < row.columns; column += CHUNK) {
            row.load(x, column);
            squares += squared_deviations(x, mean, row.valid(column));
        }
        squares = sum_of_warp(squares);
    }
    float factor = 1 / sqrtf(squares / row.columns + norm.epsilon);
    for (int column = first_column(); column < row.columns; column += CHUNK) {
        row.load(x, column);
        store_normalized(out, x, mean, factor, norm, column, row.valid(column));
    }
}

DEVICE void normalize(bf16* out, const SumOfRows& row, const Norm& norm) {
    switch (divide_up(row.columns, CHUNK)) {
        case 1: return normalize_short<1>(out, row, norm);
        case 2: return normalize_short<2>(out, row, norm);
        case 3: return normalize_short<3>(out, row, norm);
        case 4: return normalize_short<4>(out, row, norm);
        default: return normalize_long(out, row, norm);
    }
}

KERNEL(embed, 256, 3)(PARAMETER(EmbedParameters) p) {
    int row = row_of_warp();
    if (row >= p.rows) return;
    SumOfRows sum;
    UNROLL
    for (int part = 0; part < 3; part++) sum.parts[part] = part < p.parts ? p.tables[part] + i64(p.ids[part][row]) * p.stride : p.tables[0];
    sum.count = p.parts, sum.columns = p.columns;
    normalize(p.out + i64(row) * p.stride, sum, p.norm);
}

KERNEL(add_norm, 256, 4)(PARAMETER(RowsParameters) p) {
    int row = row_of_warp();
    if (row >= p.rows) return;
    i64 begin = i64(row) * p.stride;
    SumOfRows sum = {{p.x + begin, p.y ? p.y + begin : p.x, p.x}, p.y ? 2 : 1, p.columns};
    normalize(p.out + begin, sum, p.norm);
}

KERNEL(l2_normalize, 256, 4)(PARAMETER(L2NormalizeParameters) p) {
    int row = row_of_warp();
    if (row >= p.rows) return;
    const float* x = p.x + i64(row) * p.columns;
    float* out = p.out + i64(row) * p.columns;
    float squares = 0;
    for (int column = threadIdx.x % 32; column < p.columns; column += 32) squares += x[column] * x[column];
    float length = fmaxf(sqrtf(sum_of_warp(squares)), 1e-12f);
    for (int column = threadIdx.x % 32; column < p.columns; column += 32) out[column] = x[column] / length;
}

KERNEL(f32_to_bf16, 256, 4)(PARAMETER(ConvertParameters) p) {
    int row = row_of_warp();
    if (row >= p.rows) return;
    for (int column = first_column(); column < p.columns; column += CHUNK) {
        float x[8];
        load_8(x, p.f32_rows + i64(row) * p.columns + column, p.columns - column);
        store_8(p.bf16_rows + i64(row) * p.stride + column, x);
    }
}

KERNEL(bf16_to_f32, 256, 4)(PARAMETER(ConvertParameters) p) {
    int row = row_of_warp();
    if (row >= p.rows) return;
    for (int column = first_column(); column < p.columns; column += CHUNK) {
        float x[8];
        load_8(x, p.bf16_rows + i64(row) * p.stride + column, p.columns - column);
        store_8(p.f32_rows + i64(row) * p.columns + column, x, p.columns - column);
    }
}

/// Eight columns of an im2col row, one by one: they may span several source rows.
DEVICE Words4 gather_8(const Im2colParameters& p, int row, int begin, int end, int column) {
    u32 valid[8] = {};
    UNROLL
    for (int i = 0; i < 8; i++) {
        int from = row - p.width / 2 + (column + i) / p.columns;
        if (column + i < p.width * p.columns && from >= begin && from < end) valid[i] = p.x[i64(from) * p.stride + (column + i) % p.columns].bits;
    }
    Words4 words;
    UNROLL
    for (int pair = 0; pair < 4; pair++) words.word[pair] = valid[2 * pair] | valid[2 * pair + 1] << 16;
    return words;
}

KERNEL(im2col, 256, 4)(PARAMETER(Im2colParameters) p) {
    int row = row_of_warp();
    if (row >= p.rows) return;
    int sequence = sequence_of(p.starts, p.sequences, row);
    int begin = p.starts[sequence], end = p.starts[sequence + 1];
    for (int column = first_column(); column < p.width * p.columns; column += CHUNK) {
        Words4 words = {};
        if (p.columns % 8 != 0) {
            words = gather_8(p, row, begin, end, column);
        } else {  // eight columns of out are adjacent in x, too
            int from = row - p.width / 2 + column / p.columns;
            if (from >= begin && from < end) words = load_16(p.x + i64(from) * p.stride + column % p.columns);
        }
        *reinterpret_cast<Words4*>(p.out + i64(row) * p.out_stride + column) = words;
    }
}

KERNEL(split_heads, 256, 4)(PARAMETER(HeadsParameters) p) {
    int row = row_of_warp(), head = blockIdx.y;
    if (row >= p.rows) return;
    int stride = divide_up(p.head_size, 8) * 8;
    const bf16* x = p.x + i64(row) * p.stride + p.column + head * p.head_size;
    bf16* out = p.out + (i64(head) * p.rows + row) * stride;
    for (int column = threadIdx.x % 32; column < p.head_size; column += 32) out[column] = x[column];
}
