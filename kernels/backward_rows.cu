// Row-wise kernels of training: value-wise operations, and gradients of norms, pooling, im2col and
// tables.
//
// Rows are those of rows.cu: bf16 with padding, or f32 without. Every sum has a fixed order.
//
//     elements               out = activation(x), its slope at x · y, x · y, or dropout of x
//     norm_backward          dx, and the mean and 1 / deviation of each row
//     column_sums            sums of each column over parts of the rows: dy, and dy · normalized x
//     sum_parts              out += the sum of such parts, in order
//     l2_normalize_backward  f32 rows
//     pool_backward          each row's share of its sequence's gradient
//     im2col_backward        the sum of the copies of a row
//     gather_rows            sums of chosen rows, each times a factor
//
// A warp takes a row, a block 8 rows: 256 threads, grid ceil(rows / 8), without shared memory.
// Otherwise: column_sums and pool_backward have 32 threads, of which each takes eight columns, and a
// grid of parts (sequences) × ceil(columns / 256); sum_parts has a thread for each column, and a
// grid of ceil(columns / 256) × rows × batches; gather_rows has a warp for each segment, and a grid
// of ceil(segments / 8) × ceil(columns / 256).
#include "activation.cuh"
#include "rows.cuh"

/// Rows that a thread loads before it looks at the first.
constexpr int LOADS_IN_FLIGHT = 4;

// Rows of both types are stored alike: those of bf16 up to their stride.
DEVICE void store_row_8(bf16* to, const float (&x)[8], int) { store_8(to, x); }
DEVICE void store_row_8(float* to, const float (&x)[8], int valid) { store_8(to, x, valid); }

/// to[i] += x[i]. The values are written by this launch, so they are not loaded as constants.
DEVICE void add_8(float* to, const float (&x)[8], int valid) {
    if (valid >= 8 && is_aligned(to)) {
        UNROLL
        for (int half = 0; half < 2; half++) {
            Words4* place = reinterpret_cast<Words4*>(to + 4 * half);
            Words4 words = *place;
            UNROLL
            for (int i = 0; i < 4; i++) words.word[i] = bits_of(float_of(words.word[i]) + x[4 * half + i]);
            *place = words;
        }
        return;
    }
    UNROLL
    for (int i = 0; i < 8; i++)
        if (i < valid) to[i] += x[i];
}

/// The derivative of an activation; that of max(x, 0) is 0 at 0.
template <int ACTIVATION>
DEVICE float slope_of(float x) {
    if (ACTIVATION == GELU) return 0.5f * (1 + erff(x * 0.70710678f)) + x * 0.39894228f * expf(-0.5f * x * x);
    if (ACTIVATION == GELU_TANH) {
        constexpr float FACTOR = 0.79788456f, CUBIC = 0.044715f;
        float y = tanhf(FACTOR * (x + CUBIC * x * x * x));
        return 0.5f * (1 + y) + 0.5f * x * (1 - y * y) * FACTOR * (1 + 3 * CUBIC * x * x);
    }
    if (ACTIVATION == RELU) return x > 0 ? 1.0f : 0.0f;
    if (ACTIVATION == SILU) {
        float sigmoid = 1 / (1 + expf(-x));
        return sigmoid * (1 + x * (1 - sigmoid));
    }
    float y = tanhf(x);
    return 1 - y * y;
}

template <int ACTIVATION>
DEVICE void times_slopes(float (&x)[8], const float (&dy)[8]) {
    UNROLL
    for (int i = 0; i < 8; i++) x[i] = slope_of<ACTIVATION>(x[i]) * dy[i];
}

DEVICE void times_slopes(float (&x)[8], const float (&dy)[8], int activation) {
    switch (activation) {
        case GELU: return times_slopes<GELU>(x, dy);
        case GELU_TANH: return times_slopes<GELU_TANH>(x, dy);
        case RELU: return times_slopes<RELU>(x, dy);
        case SILU: return times_slopes<SILU>(x, dy);
        case TANH: return times_slopes<TANH>(x, dy);
        default:
            UNROLL
            for (int i = 0; i < 8; i++) x[i] = dy[i];
    }
}

/// The factor of dropout at a place: the generator of `src/backend/dropout.rs`.
DEVICE float dropout_factor(const ElementsParameters& p, u64 place) {
    u64 x = p.seed + (place + 1) * 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return ((x ^ (x >> 31)) >> 32) < p.below ? 0 : p.factor;
}

/// The operation on eight values, of which the first is at `place`.
DEVICE void apply(const ElementsParameters& p, float (&x)[8], const float (&y)[8], u64 place) {
    switch (p.operation) {
        case ACTIVATE: return activate_all(x, p.activation);
        case ACTIVATE_BACKWARD: return times_slopes(x, y, p.activation);
        case MULTIPLY_ELEMENTS:
            UNROLL
            for (int i = 0; i < 8; i++) x[i] *= y[i];
            return;
        case DROPOUT:
            UNROLL
            for (int i = 0; i < 8; i++) x[i] *= dropout_factor(p, place + i);
            return;
    }
}

template <class Value>
DEVICE void elements_of_row(const ElementsParameters& p, int row) {
    i64 begin = i64(row) * p.stride;
    const Value *x = static_cast<const Value*>(p.x) + begin, *y = static_cast<const Value*>(p.y) + (p.y ? begin : 0);
    Value* out = static_cast<Value*>(p.out) + begin;
    for (int column = first_column(); column < p.columns; column += CHUNK) {
        int valid = p.columns - column;
        float of_x[8], of_y[8] = {};
        load_8(of_x, x + column, valid);
        if (p.y) load_8(of_y, y + column, valid);
        apply(p, of_x, of_y, u64(row) * p.columns + column);
        store_row_8(out + column, of_x, valid);
    }
}

KERNEL(elements, 256, 3)(PARAMETER(ElementsParameters) p) {
    int row = row_of_warp();
    if (row >= p.rows) return;
    if (p.is_f32) elements_of_row<float>(p, row);
    else elements_of_row<bf16>(p, row);
}

/// For y = n(x) · weight + bias, where n subtracts the mean (in a layer norm) and divides by the
/// deviation: with g = dy · weight and n = n(x), dx = (g - mean(g) - n · mean(g · n)) /
/// deviation; an RMS norm subtracts no mean.
KERNEL(norm_backward, 256, 4)(PARAMETER(NormBackwardParameters) p) {
    int row = row_of_warp();
    if (row >= p.rows) return;
    const bf16 *x = p.x + i64(row) * p.stride, *dy = p.dy + i64(row) * p.stride;
    float mean = 0, squares = 0, shift = 0, along = 0;
    float of_x[8], g[8], weight[8];
    if (p.norm.kind == LAYER_NORM) {
        for (int column = first_column(); column < p.columns; column += CHUNK) {
            load_8(of_x, x + column, p.columns - column);
            mean += sum_of(of_x);
        }
        mean = sum_of_warp(mean) / p.columns;
    }
    for (int column = first_column(); column < p.columns; column += CHUNK) {
        load_8(of_x, x + column, p.columns - column);
        squares += squared_deviations(of_x, mean, p.columns - column);
    }
    float factor = 1 / sqrtf(sum_of_warp(squares) / p.columns + p.norm.epsilon);
    auto load = [&](int column) {
        load_8(of_x, x + column, p.columns - column);
        load_8(g, dy + column, p.columns - column);
        load_8(weight, p.norm.weight + column, p.columns - column);
        UNROLL
        for (int i = 0; i < 8; i++) {
            of_x[i] = (of_x[i] - mean) * factor;
            g[i] *= weight[i];
        }
    };
    for (int column = first_column(); column < p.columns; column += CHUNK) {
        load(column);
        UNROLL
        for (int i = 0; i < 8; i++) along += g[i] * of_x[i];
        shift += sum_of(g);
    }
    along = sum_of_warp(along) / p.columns;
    shift = p.norm.kind == LAYER_NORM ? sum_of_warp(shift) / p.columns : 0;
    for (int column = first_column(); column < p.columns; column += CHUNK) {
        load(column);
        UNROLL
        for (int i = 0; i < 8; i++) g[i] = (g[i] - shift - of_x[i] * along) * factor;
        store_8(p.out + i64(row) * p.stride + column, g);
    }
    if (threadIdx.x % 32 == 0) p.statistics[2 * i64(row)] = mean, p.statistics[2 * i64(row) + 1] = factor;
}

/// A part of the rows, eight columns wide.
template <bool HAS_X>
DEVICE void sum_columns(const ColumnSumsParameters& p, int column) {
    int begin = blockIdx.x * p.part, end = min_of(begin + p.part, p.rows), valid = p.columns - column;
    float sums[8] = {}, products[8] = {};
    for (int first = begin; first < end; first += LOADS_IN_FLIGHT) {
        float dy[LOADS_IN_FLIGHT][8], x[LOADS_IN_FLIGHT][8];
        UNROLL
        for (int i = 0; i < LOADS_IN_FLIGHT; i++) {
            i64 place = i64(first + i) * p.stride + column;
            load_8(dy[i], p.dy + place, first + i < end ? valid : 0);
            if (HAS_X) load_8(x[i], p.x + place, first + i < end ? valid : 0);
        }
        UNROLL
        for (int i = 0; i < LOADS_IN_FLIGHT; i++) {
            if (first + i >= end) continue;
            float mean = HAS_X ? p.statistics[2 * i64(first + i)] : 0, factor = HAS_X ? p.statistics[2 * i64(first + i) + 1] : 0;
            UNROLL
            for (int j = 0; j < 8; j++) {
                sums[j] += dy[i][j];
                if (HAS_X) products[j] += dy[i][j] * ((x[i][j] - mean) * factor);
            }
        }
    }
    i64 place = i64(blockIdx.x) * p.columns + column;
    if (p.sums) store_8(p.sums + place, sums, valid);
    if (HAS_X) store_8(p.products + place, products, valid);
}

KERNEL(column_sums, 32, 16)(PARAMETER(ColumnSumsParameters) p) {
    int column = (blockIdx.y * 32 + threadIdx.x) * 8;
    if (column >= p.columns) return;
    if (p.x) sum_columns<true>(p, column);
    else sum_columns<false>(p, column);
}

KERNEL(sum_parts, 256, 4)(PARAMETER(SumPartsParameters) p) {
    int column = blockIdx.x * 256 + threadIdx.x;
    if (column >= p.columns) return;
    for (int row = blockIdx.y; row < p.rows; row += gridDim.y) {
        const float* from = p.parts + blockIdx.z * p.count * p.part_size + i64(row) * p.stride + column;
        float sum = 0;
        for (int first = 0; first < p.count; first += 2 * LOADS_IN_FLIGHT) {
            float loaded[2 * LOADS_IN_FLIGHT];
            UNROLL
            for (int i = 0; i < 2 * LOADS_IN_FLIGHT; i++) loaded[i] = first + i < p.count ? from[(first + i) * p.part_size] : 0;
            UNROLL
            for (int i = 0; i < 2 * LOADS_IN_FLIGHT; i++) sum += loaded[i];
        }
        p.out[blockIdx.z * p.out_batch + i64(row) * p.out_stride + i64(column) * p.out_column] += sum;
    }
}

/// For y = x / |x|: dx = (dy - y · (y · dy)) / |x|. Below a length of 1e-12 the divisor is constant.
KERNEL(l2_normalize_backward, 256, 4)(PARAMETER(L2NormalizeBackwardParameters) p) {
    int row = row_of_warp();
    if (row >= p.rows) return;
    i64 begin = i64(row) * p.columns;
    float squares = 0, products = 0;
    for (int column = threadIdx.x % 32; column < p.columns; column += 32) {
        float x = p.x[begin + column];
        squares += x * x;
        products += x * p.dy[begin + column];
    }
    float length = sqrtf(sum_of_warp(squares));
    products = sum_of_warp(products);
    float along = length > 1e-12f ? products / length / length : 0, by = fmaxf(length, 1e-12f);
    for (int column = threadIdx.x % 32; column < p.columns; column += 32) p.out[begin + column] = (p.dy[begin + column] - p.x[begin + column] * along) / by;
}

/// The share of a sequence's gradient that its row at `place` gets, for other poolings than the
/// maximum.
DEVICE float share_of(int pooling, int place, int length) {
    switch (pooling) {
        case FIRST: return place == 0 ? 1.0f : 0.0f;
        case LAST: return place + 1 == length ? 1.0f : 0.0f;
        case MEAN: return 1 / float(length);
        case MEAN_SQRT: return 1 / sqrtf(float(length));
        default: return float(place + 1) / float(i64(length) * (length + 1) / 2);
    }
}

KERNEL(pool_backward, 32, 16)(PARAMETER(PoolBackwardParameters) p) {
    int column = (blockIdx.y * 32 + threadIdx.x) * 8;
    if (column >= p.columns) return;
    int begin = p.starts[blockIdx.x], length = int(p.starts[blockIdx.x + 1]) - begin, valid = p.columns - column;
    const bf16* x = p.x + i64(begin) * p.stride + column;
    bf16* out = p.out + i64(begin) * p.stride + column;
    float dy[8];
    load_8(dy, p.dy + i64(blockIdx.x) * p.columns + column, valid);
    // The first row that has the maximum of each column.
    int best[8] = {};
    if (p.pooling == MAX_POOLING) {
        float maxima[8], values[8];
        load_8(maxima, x, length > 0 ? valid : 0);
        for (int row = 1; row < length; row++) {
            load_8(values, x + i64(row) * p.stride, valid);
            UNROLL
            for (int i = 0; i < 8; i++) {
                if (values[i] > maxima[i]) maxima[i] = values[i], best[i] = row;
            }
        }
    }
    for (int row = 0; row < length; row++) {
        float share = share_of(p.pooling, row, length), dx[8];
        UNROLL
        for (int i = 0; i < 8; i++) dx[i] = p.pooling == MAX_POOLING ? (best[i] == row ? dy[i] : 0) : share * dy[i];
        store_8(out + i64(row) * p.stride, dx);
    }
}

/// The sum of the copies of a row, in the order of the rows that have them.
KERNEL(im2col_backward, 256, 4)(PARAMETER(Im2colBackwardParameters) p) {
    int row = row_of_warp();
    if (row >= p.rows) return;
    int sequence = sequence_of(p.starts, p.sequences, row);
    int begin = p.starts[sequence], end = p.starts[sequence + 1];
    for (int column = first_column(); column < p.columns; column += CHUNK) {
        float sum[8] = {};
        for (int place = p.width - 1; place >= 0; place--) {
            int from = row + p.width / 2 - place;
            if (from < begin || from >= end) continue;
            const bf16* dy = p.dy + i64(from) * p.stride + place * p.columns + column;
            float copy[8] = {};
            if (p.columns % 8 == 0) {
                load_8(copy, dy, 8);
            } else {
                UNROLL
                for (int i = 0; i < 8; i++)
                    if (column + i < p.columns) copy[i] = to_float(dy[i]);
            }
            UNROLL
            for (int i = 0; i < 8; i++) sum[i] += copy[i];
        }
        store_8(p.out + i64(row) * p.out_stride + column, sum);
    }
}

/// The sum of a segment's rows: stored as a part, added to f32 rows, or stored as bf16.
template <class Value>
DEVICE void gather(const GatherParameters& p) {
    int number = row_of_warp(), column = blockIdx.y * CHUNK + first_column(), valid = p.columns - column;
    if (number >= p.count || valid <= 0) return;
    Segment segment = p.segments[number];
    const Value* source = static_cast<const Value*>(p.source) + column;
    float sum[8] = {};
    for (u32 first = segment.begin; first < segment.end; first += LOADS_IN_FLIGHT) {
        float x[LOADS_IN_FLIGHT][8], factors[LOADS_IN_FLIGHT];
        UNROLL
        for (int i = 0; i < LOADS_IN_FLIGHT; i++) {
            bool is_in = first + i < segment.end;
            u32 row = is_in && p.indices ? p.indices[first + i] : first + i;
            factors[i] = is_in && p.factors ? p.factors[first + i] : 1;
            load_8(x[i], source + (is_in ? i64(row) * p.stride : 0), is_in ? valid : 0);
        }
        UNROLL
        for (int i = 0; i < LOADS_IN_FLIGHT; i++) {
            UNROLL
            for (int j = 0; j < 8; j++) sum[j] += factors[i] * x[i][j];
        }
    }
    if (segment.is_part) return store_8(p.parts + i64(segment.row) * p.columns + column, sum, valid);
    if (p.sums) return add_8(p.sums + i64(segment.row) * p.columns + column, sum, valid);
    store_8(p.out + i64(segment.row) * p.out_stride + column, sum);
}

KERNEL(gather_rows, 256, 3)(PARAMETER(GatherParameters) p) { gather<bf16>(p); }
KERNEL(gather_rows_f32, 256, 3)(PARAMETER(GatherParameters) p) { gather<float>(p); }
