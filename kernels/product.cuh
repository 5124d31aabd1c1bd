// Products of bf16 matrices on tensor cores by multiply (mma.sync), compute capability 8.0 and
// later: c = a · b in f32, one tile of c per block.
//
// An operand is K_MAJOR (one row of memory for each row, or column, of c) or MN_MAJOR (one row of
// memory for each step of the depth, as long as c has rows, or columns). a of the products TN and
// NN and b of TN are K-major, b of NN and both of NT are MN-major.
//
// The depth is processed in slices. Asynchronous copies bring slices of both operands into a ring
// of STAGES in shared memory, STAGES - 1 slices ahead of the current one; what is out of bounds is
// zero there and never read from memory. Every warp multiplies its part of the tile by fragments
// that load_matrices loads from shared memory, transposed if the operand is MN-major. If WARPS_DEEP
// is more than 1, warps share a part of the tile: each multiplies its part of every slice, and the
// caller reduces the sums.
//
// Rows in shared memory consist of 16-byte pieces, whose place also depends on the row (XOR
// swizzle), so that neither the pieces of one row nor those of one column of eight rows conflict in
// a bank.
#pragma once
#include "vec8.cuh"

enum Which { OPERAND_A, OPERAND_B };
enum Layout { K_MAJOR, MN_MAJOR };

/// An operand in memory; `extent` is the number of rows (of a) or columns (of b) that it gives to
/// c.
struct Operand {
    const bf16* start;
    int extent, depth, stride;
};

/// EXTENT × DEPTH of an operand in shared memory, from which warps load fragments of 16 × 16.
template <Which OPERAND, Layout LAYOUT, int EXTENT, int DEPTH, int THREADS>
struct OperandSlice {
    static constexpr bool IS_K_MAJOR = LAYOUT == K_MAJOR;
    static constexpr int ROWS = IS_K_MAJOR ? EXTENT : DEPTH;
    static constexpr int PIECES = (IS_K_MAJOR ? DEPTH : EXTENT) / 8;
    static constexpr int ROW_BYTES = PIECES * 16;
    static constexpr int BYTES = ROWS * ROW_BYTES;
    static_assert(PIECES == 4 || PIECES >= 8, "eight rows of four pieces, or of more, take all banks");

    static DEVICE int turn(int row) { return PIECES == 4 ? row / 2 % 4 : row % 8; }

    /// A thread's share of the copies of each slice: the same piece of every APART-th row.
    struct Copies {
        static constexpr int APART = THREADS / PIECES;
        static_assert(APART % 8 == 0 && ROWS % APART == 0, "each thread has as many pieces, turned the same way");
        /// Its first piece of the next slice.
        const bf16* next;
        i64 apart, advance;
        /// The offset of that piece in a slice, and how many rows and elements from it on exist.
        u32 place;
        int rows, elements;

        DEVICE Copies(const Operand& from, int first) {
            int row = threadIdx.x / PIECES, piece = threadIdx.x % PIECES;
            int top = (IS_K_MAJOR ? first : 0) + row, left = (IS_K_MAJOR ? 0 : first) + piece * 8;
            next = from.start + i64(top) * from.stride + left;
            apart = i64(APART) * from.stride, advance = IS_K_MAJOR ? DEPTH : i64(DEPTH) * from.stride;
            place = row * ROW_BYTES + (piece ^ turn(row)) * 16;
            rows = (IS_K_MAJOR ? from.extent : from.depth) - top, elements = (IS_K_MAJOR ? from.depth : from.extent) - left;
        }

        /// Starts the copies of the next slice. Nothing is read out of bounds.
        DEVICE void start(u32 slice) {
            u32 bytes = min_of(max_of(elements, 0), 8) * 2;
            UNROLL
            for (int i = 0; i < ROWS / APART; i++) copy_16(slice + place + i * APART * ROW_BYTES, next + i * apart, i * APART < rows ? bytes : 0);
            next += advance;
            (IS_K_MAJOR ? elements : rows) -= DEPTH;
        }
    };

    /// The start of a lane's addresses within a slice, for a warp whose rows (columns) start at
    /// `first`, its depth at `depth`: multiples of 16. Lanes 8 to 15 address the second matrix of a
    /// fragment, lanes 16 to 31 the third and fourth.
    static DEVICE u32 place(int first, int depth) {
        constexpr bool IS_ROW_SECOND = IS_K_MAJOR == (OPERAND == OPERAND_A);
        int lane = threadIdx.x % 32;
        int row = IS_ROW_SECOND ? lane % 16 : lane % 8 + lane / 16 * 8, piece = IS_ROW_SECOND ? lane / 16 : lane / 8 % 2;
        int top = IS_K_MAJOR ? first : depth, left = IS_K_MAJOR ? depth : first;
        return u32(top + row) * ROW_BYTES + ((left / 8 + piece) ^ turn(row)) * 16;
    }

    /// The fragment 16·part rows (columns) and 16·step depths further, as multiply takes it: of a
    /// all four words, of b the first two for eight columns and the others for the next eight.
    static DEVICE void load(u32 (&fragment)[4], u32 slice, u32 place, int part, int step) {
        if (IS_K_MAJOR) load_matrices(fragment, slice + (place ^ (step * 32)) + part * 16 * ROW_BYTES);
        else load_matrices_transposed(fragment, slice + (place ^ (part * 32)) + step * 16 * ROW_BYTES);
    }
};

/// Four lanes have pairs of four blocks of eight columns; afterwards lane t has all eight columns
/// of block t. Two steps: each lane exchanges the pairs of every second block with its neighbor,
/// then those of two blocks with the lane two further.
DEVICE void exchange_pairs(float (&eight)[8], const float (&pairs)[4][2]) {
    bool is_odd = threadIdx.x & 1, is_upper = threadIdx.x & 2;
    float halves[2][4];
    UNROLL
    for (int i = 0; i < 4; i++) {
        float kept = is_odd ? pairs[i / 2 * 2 + 1][i % 2] : pairs[i / 2 * 2][i % 2];
        float given = is_odd ? pairs[i / 2 * 2][i % 2] : pairs[i / 2 * 2 + 1][i % 2];
        float got = shuffle_xor(given, 1);
        halves[i / 2][i % 2] = is_odd ? got : kept;
        halves[i / 2][i % 2 + 2] = is_odd ? kept : got;
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        float kept = is_upper ? halves[1][i] : halves[0][i];
        float got = shuffle_xor(is_upper ? halves[0][i] : halves[1][i], 2);
        eight[i] = is_upper ? got : kept;
        eight[i + 4] = is_upper ? kept : got;
    }
}

/// Computes a tile of c.
template <Layout A, Layout B, int ROWS_, int COLUMNS_, int DEPTH, int STAGES, int WARPS_DOWN, int WARPS_ACROSS, int WARPS_DEEP>
struct ProductTile {
    static constexpr int ROWS = ROWS_, COLUMNS = COLUMNS_;
    static constexpr int THREADS = 32 * WARPS_DOWN * WARPS_ACROSS * WARPS_DEEP;
    static constexpr int WARP_ROWS = ROWS / WARPS_DOWN, WARP_COLUMNS = COLUMNS / WARPS_ACROSS, WARP_DEPTH = DEPTH / WARPS_DEEP;
    /// A warp's parts of 16 rows and of 8 columns.
    static constexpr int DOWN = WARP_ROWS / 16, ACROSS = WARP_COLUMNS / 8;
    typedef OperandSlice<OPERAND_A, A, ROWS, DEPTH, THREADS> SliceOfA;
    typedef OperandSlice<OPERAND_B, B, COLUMNS, DEPTH, THREADS> SliceOfB;
    static constexpr int STAGE_BYTES = SliceOfA::BYTES + SliceOfB::BYTES;
    static constexpr int BYTES = STAGES * STAGE_BYTES;
    static_assert(!(WARP_ROWS & (WARP_ROWS - 1)) && !(WARP_COLUMNS & (WARP_COLUMNS - 1)) && !(WARP_DEPTH & (WARP_DEPTH - 1)), "places are found by XOR");

    /// A lane's accumulators: [i][j] is at rows 16·i + lane / 4 and (elements 2, 3) 8 further,
    /// columns 8·j + 2·(lane mod 4) and the next.
    typedef float Sums[DOWN][ACROSS][4];

    u32 memory, place_of_a, place_of_b;
    /// The start of the warp's part of the tile, and its part of the depth.
    int warp_row, warp_column, warp_deep;

    DEVICE explicit ProductTile(const u8* shared) : memory(shared_address(shared)) {
        int warp = threadIdx.x / 32;
        warp_row = warp % WARPS_DOWN * WARP_ROWS;
        warp_column = warp / WARPS_DOWN % WARPS_ACROSS * WARP_COLUMNS;
        warp_deep = warp / (WARPS_DOWN * WARPS_ACROSS);
        place_of_a = SliceOfA::place(warp_row, warp_deep * WARP_DEPTH);
        place_of_b = SliceOfB::place(warp_column, warp_deep * WARP_DEPTH);
    }

    /// `meanwhile` is called while the fragments are being loaded.
    template <class Meanwhile>
    DEVICE void multiply_slice(Sums& sums, u32 stage, const Meanwhile& meanwhile) const {
        constexpr int STEPS = WARP_DEPTH / 16;
        // Double-buffered: the fragments of a step are loaded while those of the previous one are
        // multiplied.
        u32 of_a[2][DOWN][4], of_b[2][ACROSS / 2][4];
        auto load = [&](int step) {
            UNROLL
            for (int i = 0; i < DOWN; i++) SliceOfA::load(of_a[step % 2][i], stage, place_of_a, i, step);
            UNROLL
            for (int j = 0; j < ACROSS / 2; j++) SliceOfB::load(of_b[step % 2][j], stage + SliceOfA::BYTES, place_of_b, j, step);
        };
        load(0);
        UNROLL
        for (int step = 0; step < STEPS; step++) {
            if (step + 1 < STEPS) load(step + 1);
            if (step == 0) meanwhile();
            UNROLL
            for (int i = 0; i < DOWN; i++) {
                UNROLL
                for (int j = 0; j < ACROSS; j++) {
                    const u32* eight = &of_b[step % 2][j / 2][j % 2 * 2];
                    multiply(sums[i][j], of_a[step % 2][i], eight[0], eight[1]);
                }
            }
        }
    }

    /// Sums start at the bias (null for none), which is free while the first slices are in flight.
    DEVICE void begin(Sums& sums, const float* bias, int column, int columns) const {
        UNROLL
        for (int j = 0; j < ACROSS; j++) {
            int left = column + warp_column + 8 * j + threadIdx.x % 4 * 2;
            bool is_biased = bias && warp_deep == 0;
            float even = is_biased && left < columns ? bias[left] : 0, odd = is_biased && left + 1 < columns ? bias[left + 1] : 0;
            UNROLL
            for (int i = 0; i < DOWN; i++) {
                sums[i][j][0] = sums[i][j][2] = even;
                sums[i][j][1] = sums[i][j][3] = odd;
            }
        }
    }

    /// The warp's part of the tile of c that starts at `row`, `column`: bias + a · b. Rows out of
    /// bounds are the bias, columns out of bounds 0.
    DEVICE void multiply_all(Sums& sums, const Operand& a, const Operand& b, const float* bias, int row, int column) const {
        int slices = divide_up(a.depth, DEPTH);
        typename SliceOfA::Copies copies_of_a(a, row);
        typename SliceOfB::Copies copies_of_b(b, column);
        auto copy = [&](int slice, int stage) {
            if (slice < slices) {
                copies_of_a.start(memory + stage * STAGE_BYTES);
                copies_of_b.start(memory + stage * STAGE_BYTES + SliceOfA::BYTES);
            }
            copy_commit();
        };
        UNROLL
        for (int slice = 0; slice < STAGES - 1; slice++) copy(slice, slice);
        begin(sums, bias, column, b.extent);
        int stage = 0, before = STAGES - 1;
        for (int slice = 0; slice < slices; slice++) {
            copy_wait<STAGES - 2>();
            // The slice has arrived, and all warps are done with the previous one, whose stage is
            // filled next.
            sync_block();
            multiply_slice(sums, memory + stage * STAGE_BYTES, [&] { copy(slice + STAGES - 1, before); });
            before = stage;
            if (++stage == STAGES) stage = 0;
        }
    }

    /// Calls take(eight, row, column) for eight adjacent columns of each row of the tile of c that
    /// starts at `row`, `column`. The four lanes that share a row exchange their pairs first.
    template <class Take>
    DEVICE void for_each_eight(Sums& sums, int row, int column, const Take& take) const {
        // Not unrolled, because `take` is long (activations); the sums move up instead.
        ROLLED
        for (int i = 0; i < DOWN; i++) {
            UNROLL
            for (int part = 0; part < 2 * (ACROSS / 4); part++) {
                int first = part / 2 * 4, half = part % 2;
                float pairs[4][2], eight[8];
                UNROLL
                for (int j = 0; j < 8; j++) pairs[j / 2][j % 2] = sums[0][first + j / 2][2 * half + j % 2];
                exchange_pairs(eight, pairs);
                take(eight, row + warp_row + 16 * i + threadIdx.x % 32 / 4 + 8 * half, column + warp_column + 8 * first + threadIdx.x % 4 * 8);
            }
            UNROLL
            for (int next = 1; next < DOWN; next++) {
                UNROLL
                for (int j = 0; j < 4 * ACROSS; j++) sums[next - 1][j / 4][j % 4] = sums[next][j / 4][j % 4];
            }
        }
    }

    /// A stage that no warp reads any more after multiply_all.
    DEVICE int free_stage(int depth) const { return divide_up(depth, DEPTH) % STAGES * STAGE_BYTES; }
};

/// The start of a block's tile. Tiles are visited in bands of 8 row tiles, column by column, so
/// that concurrent blocks share rows of a and columns of b in the L2 cache.
template <class Tile>
struct TilePlace {
    int row, column;

    DEVICE TilePlace(int index, int rows, int columns) {
        constexpr int BAND = 8;
        int across = divide_up(columns, Tile::COLUMNS), band = index / (BAND * across), within = index % (BAND * across);
        int down = min_of(divide_up(rows, Tile::ROWS) - band * BAND, BAND);
        row = (band * BAND + within % down) * Tile::ROWS;
        column = within / down * Tile::COLUMNS;
    }
};

/// 128 × 128 by four warps, 64 × 64 each; 49,152 bytes, so that two blocks fit on any
/// multiprocessor.
template <Layout A, Layout B>
using LargeTile = ProductTile<A, B, 128, 128, 32, 3, 2, 2, 1>;
/// 32 × 32 by four warps, each with a quarter of the depth, for few rows: many blocks take part,
/// and each has 48 KiB of loads in flight.
using SmallTile = ProductTile<K_MAJOR, K_MAJOR, 32, 32, 128, 4, 1, 1, 4>;
