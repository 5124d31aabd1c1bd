// The TN product on Hopper: out = epilogue(activation(a · bᵀ + bias), other) in bf16, tiles of
// 128 × 128, 192 or 256. The main loop is in hopper_product.cuh.
//
// In: a (m × k), b (n × k), other (m × n), all bf16, as tensor maps; m, n and k are any pieces from
// 1, since copies fill with zeros out of bounds. Out: bf16, of which exactly m × n values are
// written.
//
// Epilogue: each warp has 16 rows of the tile and processes them 64 columns at a time. `other`
// arrives through the ring of stages, 128 × 64 values per stage, requested while the products still
// run. Results go to the warp's own 2 KiB of shared memory, from where a tensor copy stores whole
// rows of 128 bytes. With the swizzle neither direction has bank conflicts, and lanes need not
// exchange values, as 16-byte stores from registers would require (a lane has only 2 adjacent
// columns).
//
// 384 threads, grid: multiprocessors, or tiles if they are fewer, shared memory Ring<N>::BYTES =
// stages · (16,384 + 128 · N + 16) + 16,384 + 32 · N + 144 with 6, 5, 4 stages for N = 128, 192,
// 256: 217,328, 227,552, 221,392.
#include "hopper_product.cuh"

/// Sixteen rows of 64 columns in shared memory, and one lane's words in them: columns 8i + 2t and
/// the next, t = lane mod 4, at row lane / 4 or 8 further.
struct WarpBox {
    u8* memory;
    u32 row, offset;

    DEVICE WarpBox(u8* memory, int lane) : memory(memory), row(lane / 4), offset(lane % 4 * 4) {}
    DEVICE u32& word(int i, int is_lower) const { return *reinterpret_cast<u32*>(memory + swizzled(row, i) + offset + is_lower * 1024); }
};

DEVICE void combine(Piece& x, const WarpBox& other, int epilogue) {
    u32 words[16];
    UNROLL
    for (int i = 0; i < 16; i++) words[i] = other.word(i / 2, i % 2);
    if (epilogue == ADD) {
        UNROLL
        for (int i = 0; i < 16; i++) x[2 * i] += low_of(words[i]), x[2 * i + 1] += high_of(words[i]);
    } else {
        UNROLL
        for (int i = 0; i < 16; i++) x[2 * i] *= low_of(words[i]), x[2 * i + 1] *= high_of(words[i]);
    }
}

/// The job of the loop: see hopper_product.cuh.
template <int N>
struct Store {
    static constexpr int HALVES = Ring<N>::HALVES;
    const ProductHopperParameters& p;
    u8* memory;

    DEVICE Store(const ProductHopperParameters& p, u8* memory) : p(p), memory(memory) {}

    DEVICE int stages(int column) const { return p.product.epilogue == NO_EPILOGUE ? 0 : divide_up(min_of(p.product.n - column, N), 64); }

    DEVICE void load(int row, int column, Ring<N>& ring) const {
        for (int piece = 0; piece < stages(column); piece++) {
            barrier_wait(ring.empty(), ring.parity ^ 1);
            barrier_expect(ring.full(), BOX_BYTES);
            tensor_copy(ring.a(), &p.other, column + 64 * piece, row, ring.full());
            ring.next();
        }
    }

    DEVICE int begin(int row) const { return row; }

    DEVICE void finish(const Sums<N>& c, int row, int column, int warp, Ring<N>& ring) {
        int lane = threadIdx.x % 32;
        WarpBox own(memory + Ring<N>::WARP_BOXES + warp * WARP_BOX_BYTES, lane);
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
                barrier_wait(ring.full(), ring.parity);
                int rows = half * (BOX_BYTES / 2) + warp % (8 / HALVES) * WARP_BOX_BYTES;
                combine(x, WarpBox(memory + ring.stage * Ring<N>::STAGE_BYTES + rows, lane), p.product.epilogue);
            }
            if (lane == 0) tensor_store_wait<0>();
            sync_warp();
            UNROLL
            for (int i = 0; i < 16; i++) own.word(i / 2, i % 2) = pack(x[2 * i], x[2 * i + 1]);
            shared_fence();
            sync_warp();
            bool is_done_with_other = has_other && half == HALVES - 1;
            if (lane == 0) {
                tensor_store(&p.out, column + 64 * piece, row + 64 * half, shared_address(own.memory));
                tensor_store_commit();
                if (is_done_with_other) barrier_arrive(ring.empty());
            }
            if (is_done_with_other) ring.next();
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
        Operands operands = {&p.a, &p.b, p.product.bias, p.taken, p.product.m, p.product.n, p.product.k};                                             \
        multiply_tiles<N>(memory, operands, Store<N>(p, memory));                                                                                     \
    }
PRODUCT_HOPPER(128)
PRODUCT_HOPPER(192)
PRODUCT_HOPPER(256)
