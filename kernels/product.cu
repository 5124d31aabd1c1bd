// Matrix products: out = epilogue(activation(a · b + bias), other) in bf16 or f32
// (ProductParameters), on tensor cores of compute capability 8.0 and later.
//
// In: a and b in bf16, bias in f32 or null, other in bf16, m × n; bias and other are the same for
// all products of a batch. TN, NN and NT describe the layouts of a and b (parameters.cuh).
// Out: bf16 rows, written up to the next multiple of 8 columns, or f32 rows with any stride, of
// which exactly n columns are written. bf16 rows start at multiples of 16 bytes; strides and batch
// offsets of bf16 are multiples of 8.
//
// A block computes a tile of out by product.cuh. The grid is x = ceil(m / R) · ceil(n / R) tiles of
// R × R, z = products, with R = 128, or 32 for the small variants, which are for products with so
// few tiles that most multiprocessors would be idle. 128 threads. Shared memory: 49,152 bytes,
// 65,536 for the small variants.
//
// Epilogue: a lane has eight adjacent columns, which are activated, combined with `other` and stored
// 16 bytes at a time. The small variants reduce the sums of their four warps through shared memory,
// where every thread takes eight adjacent columns at once.
#include "activation.cuh"
#include "product.cuh"

DEVICE void store_row(bf16* to, const float (&x)[8], int) { store_8(to, x); }
DEVICE void store_row(float* to, const float (&x)[8], int valid) { store_8(to, x, valid); }

/// The epilogue of eight adjacent columns of a row.
template <class T>
DEVICE void epilogue_8(const ProductParameters& p, float (&x)[8], int row, int column) {
    activate_all(x, p.activation);
    int valid = p.n - column;
    if (row >= p.m || valid <= 0) return;
    if (p.epilogue != NO_EPILOGUE) {
        float other[8];
        load_8(other, p.other + i64(row) * p.other_stride + column, valid);
        UNROLL
        for (int i = 0; i < 8; i++) x[i] = p.epilogue == ADD ? x[i] + other[i] : x[i] * other[i];
    }
    T* out = static_cast<T*>(p.out) + blockIdx.z * p.out_batch;
    store_row(out + i64(row) * p.out_stride + column, x, valid);
}

template <class T, Layout A, Layout B>
DEVICE void multiply_large(const ProductParameters& p, const u8* shared) {
    typedef LargeTile<A, B> Tile;
    Operand a = {p.a + blockIdx.z * p.a_batch, p.m, p.k, p.a_stride}, b = {p.b + blockIdx.z * p.b_batch, p.n, p.k, p.b_stride};
    TilePlace<Tile> place(blockIdx.x, p.m, p.n);
    Tile tile(shared);
    typename Tile::Sums sums;
    tile.multiply_all(sums, a, b, p.bias, place.row, place.column);
    tile.for_each_eight(sums, place.row, place.column, [&](float(&eight)[8], int row, int column) { epilogue_8<T>(p, eight, row, column); });
}

template <class T>
DEVICE void multiply_small(const ProductParameters& p, u8* shared) {
    typedef SmallTile Tile;
    Operand a = {p.a + blockIdx.z * p.a_batch, p.m, p.k, p.a_stride}, b = {p.b + blockIdx.z * p.b_batch, p.n, p.k, p.b_stride};
    TilePlace<Tile> place(blockIdx.x, p.m, p.n);
    Tile tile(shared);
    Tile::Sums sums;
    tile.multiply_all(sums, a, b, p.bias, place.row, place.column);

    // The sums of the four warps side by side. Blocks of eight columns are rotated by the row, so
    // that concurrent stores of eight rows hit different banks.
    constexpr int PART = Tile::ROWS * Tile::COLUMNS;
    static_assert(4 * PART * 4 == Tile::STAGE_BYTES && Tile::ACROSS == 4, "sums fit into a stage");
    float* parts = reinterpret_cast<float*>(shared + tile.free_stage(p.k));
    int lane = threadIdx.x % 32;
    UNROLL
    for (int i = 0; i < 2 * Tile::DOWN * Tile::ACROSS; i++) {
        int row = i / Tile::ACROSS * 8 + lane / 4, block = (i % Tile::ACROSS) ^ (lane / 4 % 4);
        float* pair = parts + tile.warp_deep * PART + row * Tile::COLUMNS + block * 8 + lane % 4 * 2;
        pair[0] = sums[i / Tile::ACROSS / 2][i % Tile::ACROSS][i / Tile::ACROSS % 2 * 2];
        pair[1] = sums[i / Tile::ACROSS / 2][i % Tile::ACROSS][i / Tile::ACROSS % 2 * 2 + 1];
    }
    sync_block();
    float eight[8] = {};
    int row = threadIdx.x / 4, block = threadIdx.x % 4;
    UNROLL
    for (int i = 0; i < 4 * 8; i++) eight[i % 8] += parts[i / 8 * PART + row * Tile::COLUMNS + (block ^ (row % 4)) * 8 + i % 8];
    epilogue_8<T>(p, eight, place.row + row, place.column + 8 * block);
}

/// The epilogue of a product that was computed in parts (product_split_hopper.cu): a thread adds up
/// eight adjacent columns. 256 threads, grid ceil(m · stride / 8 / 256), no shared memory.
KERNEL(product_sum, 256, 4)(PARAMETER(ProductSumParameters) p) {
    int across = p.stride / 8, index = blockIdx.x * 256 + threadIdx.x, row = index / across, column = index % across * 8;
    if (row >= p.product.m) return;
    float eight[8] = {};
    for (int part = 0; part < p.parts; part++) {
        const float* from = p.sums + (i64(part) * p.product.m + row) * p.stride + column;
        Words4 words[2] = {load_16(from), load_16(from + 4)};
        UNROLL
        for (int i = 0; i < 8; i++) eight[i] += float_of(words[i / 4].word[i % 4]);
    }
    if (p.product.bias) {
        UNROLL
        for (int i = 0; i < 8; i++)
            if (column + i < p.product.n) eight[i] += p.product.bias[column + i];
    }
    epilogue_8<bf16>(p.product, eight, row, column);
}

#define PRODUCT(NAME, NUMBER, A, B)                                                                   \
    KERNEL(NAME, 128, 2)(PARAMETER(ProductParameters) p) {                                            \
        SHARED_MEMORY(shared);                                                                        \
        multiply_large<NUMBER, A, B>(p, shared);                                                      \
    }
#define PRODUCT_SMALL(NAME, NUMBER)                        \
    KERNEL(NAME, 128, 2)(PARAMETER(ProductParameters) p) { \
        SHARED_MEMORY(shared);                             \
        multiply_small<NUMBER>(p, shared);                 \
    }
PRODUCT(product_tn, bf16, K_MAJOR, K_MAJOR)
PRODUCT(product_nn, bf16, K_MAJOR, MN_MAJOR)
PRODUCT(product_nt, bf16, MN_MAJOR, MN_MAJOR)
PRODUCT(product_tn_f32, float, K_MAJOR, K_MAJOR)
PRODUCT(product_nn_f32, float, K_MAJOR, MN_MAJOR)
PRODUCT(product_nt_f32, float, MN_MAJOR, MN_MAJOR)
PRODUCT_SMALL(product_tn_small, bf16)
PRODUCT_SMALL(product_tn_f32_small, float)
