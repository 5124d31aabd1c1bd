// A product whose depth is cut into parts, for few rows: sums[part] = a · bᵀ over the columns of one
// part, in f32, in tiles of 128 × 128. With so few tiles that most multiprocessors would idle, each
// part is a tile of its own; product_sum (product.cu) adds the parts up, always in the same order.
// The main loop is in hopper_product.cuh.
//
// In: a (m × k), b (n × k) in bf16 as tensor maps. Out: rows of `stride` values, a multiple of 8, of
// which the first n rounded up to 2 are written.
//
// A lane has pairs of adjacent columns, and four lanes a whole sector of 32 bytes.
//
// 384 threads, grid: multiprocessors, or tiles times parts if they are fewer, shared memory
// Ring<128>::BYTES = 225,520.
#include "hopper_product.cuh"

constexpr int SPLIT_COLUMNS = 128;

struct alignas(8) Pair {
    float left, right;
};

/// The job of the loop: see hopper_product.cuh.
struct StoreSums {
    typedef Ring<SPLIT_COLUMNS> Stages;
    const ProductSplitParameters& p;

    struct Begun {
        int row;
        float* sums;
    };

    DEVICE int stages(int) const { return 0; }
    DEVICE void load(int, int, Stages&) const {}
    DEVICE Begun begin(int row, int part) const { return {row, p.sums + i64(part) * p.m * p.stride}; }
    DEVICE void finish(const Sums<SPLIT_COLUMNS>& c, const Begun& begun, int column, int, Stages&) const {
        int lane = threadIdx.x % 32;
        UNROLL
        for (int i = 0; i < 2 * Stages::HALVES; i++) {
            int row = begun.row + i / 2 * 64 + i % 2 * 8 + lane / 4;
            if (row >= p.m) continue;
            float* to = begun.sums + i64(row) * p.stride;
            UNROLL
            for (int block = 0; block < SPLIT_COLUMNS / 8; block++) {
                int at = column + 8 * block + lane % 4 * 2;
                const float* from = &c[i / 2][4 * block + i % 2 * 2];
                if (at < p.n) *reinterpret_cast<Pair*>(to + at) = {from[0], from[1]};
            }
        }
    }
    DEVICE void end() const {}
};

KERNEL(product_split_hopper, HOPPER_THREADS, 1)(PARAMETER(ProductSplitParameters) p) {
    SHARED_MEMORY(memory);
    Operands operands = {&p.a, &p.b, nullptr, p.taken, p.m, p.n, p.k, p.part};
    multiply_tiles<SPLIT_COLUMNS>(memory, operands, StoreSums{p});
}
