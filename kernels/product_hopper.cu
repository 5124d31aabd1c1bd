// The TN product on Hopper: out = epilogue(activation(a · bᵀ + bias), other) in bf16, tiles of
// 128 × 128, 192 or 256. The main loop is in hopper_product.cuh.
//
// In: a (m × k), b (n × k), other (m × n), all bf16, as tensor maps; m, n and k are any pieces from
// 1, since copies fill with zeros out of bounds. Out: bf16, of which exactly m × n values are
// written.
//
// Epilogue: each warp has 16 rows of the tile and processes them 64 columns at a time. `other`
// arrives through the ring of stages, 128 × 64 values per stage, requested while the products still
// run. Results go to boxes of 8 × 64 values of the warp, from where tensor copies store whole rows
// of 128 bytes; while they read one box, the warp computes and fills the next. Matrix loads and
// stores have the layout of the accumulators, so that lanes need not exchange values, and with the
// swizzle neither direction has bank conflicts.
//
// 384 threads, grid: multiprocessors, or tiles if they are fewer, shared memory Ring<N>::BYTES =
// stages · (16,384 + 128 · N + 16) + boxes · 8,192 + 32 · N + 144 with 6, 5, 4 stages and 3, 2, 3
// boxes for N = 128, 192, 256: 225,520, 227,552, 229,584.
#include "hopper_product.cuh"

/// The address that a lane gives for four 8 × 8 matrices side by side: columns 32 · half and on of
/// eight rows in shared memory.
DEVICE u32 matrices_at(u32 rows, int half, int lane) { return rows + swizzled(lane % 8, 4 * half + lane / 8); }

/// Combines 16 rows in shared memory with x.
DEVICE void combine(Piece& x, u32 rows, int lane, int epilogue) {
    UNROLL
    for (int part = 0; part < 4; part++) {
        int lower = part / 2, half = part % 2;
        u32 words[4];
        load_matrices(words, matrices_at(rows + lower * OUT_BYTES, half, lane));
        UNROLL
        for (int i = 0; i < 4; i++) {
            float* pair = &x[4 * (4 * half + i) + 2 * lower];
            if (epilogue == ADD) pair[0] += low_of(words[i]), pair[1] += high_of(words[i]);
            else pair[0] *= low_of(words[i]), pair[1] *= high_of(words[i]);
        }
    }
}

/// The job of the loop: see hopper_product.cuh.
template <int N>
struct Store {
    static constexpr int HALVES = Ring<N>::HALVES;
    const ProductHopperParameters& p;
    u8* memory;
    /// The next of the warp's boxes.
    u32 box = 0;

    DEVICE Store(const ProductHopperParameters& p, u8* memory) : p(p), memory(memory) {}

    DEVICE int stages(int column) const { return p.product.epilogue == NO_EPILOGUE ? 0 : divide_up(min_of(p.product.n - column, N), 64); }

    DEVICE void load(int row, int column, Ring<N>& ring) const {
        for (int piece = 0; piece < stages(column); piece++) {
            barrier_wait(ring.empty(), ring.round - 1);
            barrier_expect(ring.full(), BOX_BYTES);
            tensor_copy(ring.a(), &p.other, column + 64 * piece, row, ring.full());
            ring.next();
        }
    }

    DEVICE int begin(int row, int) const { return row; }

    /// Stores eight rows of a piece, the upper or the lower ones.
    DEVICE void store(const Piece& x, int lower, int row, int column, u32 boxes, int lane) {
        u32 own = boxes + box * OUT_BYTES;
        if (++box == Ring<N>::OUT_BOXES) box = 0;
        // store_matrices waits for all lanes, this one too.
        if (lane == 0) tensor_store_wait<Ring<N>::OUT_BOXES - 1>();
        UNROLL
        for (int half = 0; half < 2; half++) {
            u32 words[4];
            UNROLL
            for (int i = 0; i < 4; i++) words[i] = pack(x[4 * (4 * half + i) + 2 * lower], x[4 * (4 * half + i) + 2 * lower + 1]);
            store_matrices(matrices_at(own, half, lane), words);
        }
        shared_fence();
        sync_warp();
        if (lane == 0) {
            tensor_store(&p.out, column, row + OUT_ROWS * lower, own);
            tensor_store_commit();
        }
    }

    DEVICE void finish(const Sums<N>& c, int row, int column, int warp, Ring<N>& ring) {
        int lane = threadIdx.x % 32;
        u32 boxes = ring.memory + Ring<N>::OUT + warp * (Ring<N>::OUT_BOXES * OUT_BYTES);
        bool has_other = p.product.epilogue != NO_EPILOGUE;
        int pieces = divide_up(min_of(p.product.n - column, N), 64) * HALVES;
        // Columns outermost: a box of `other` covers both halves.
        ROLLED
        for (int index = 0; index < pieces; index++) {
            int piece = index / HALVES, half = index % HALVES;
            Piece x;
            take_piece<N>(x, c, index, biases_of<N>(memory, warp));
            activate_all(x, p.product.activation);
            if (has_other) {
                barrier_wait(ring.full(), ring.round);
                combine(x, ring.a() + half * (BOX_BYTES / 2) + warp % (8 / HALVES) * (2 * OUT_BYTES), lane, p.product.epilogue);
            }
            UNROLL
            for (int lower = 0; lower < 2; lower++) store(x, lower, row + 64 * half, column + 64 * piece, boxes, lane);
            // The fences and barriers of the stores come after all reads of `other`.
            if (has_other && half == HALVES - 1) {
                if (lane == 0) barrier_arrive(ring.empty());
                ring.next();
            }
        }
    }

    /// Shared memory must live until the stores have read it.
    DEVICE void end() {
        if (threadIdx.x % 32 == 0) tensor_store_wait<0>();
    }
};

#define PRODUCT_HOPPER(N)                                                                                                                            \
    KERNEL(product_hopper_##N, HOPPER_THREADS, 1)(PARAMETER(ProductHopperParameters) p) {                                                             \
        SHARED_MEMORY(memory);                                                                                                                       \
        Operands operands = {&p.a, &p.b, p.product.bias, p.taken, p.product.m, p.product.n, p.product.k, p.product.k};                                \
        multiply_tiles<N>(memory, operands, Store<N>(p, memory));                                                                                     \
    }
PRODUCT_HOPPER(128)
PRODUCT_HOPPER(192)
PRODUCT_HOPPER(256)
