// The main loop of Hopper products: out = a · bᵀ in tiles of 128 × N, f32 accumulators, both
// matrices K-major (a is m × k, b is n × k). The job defines the epilogue.
//
// The kernel is persistent and warp-specialized: one block per multiprocessor, 384 threads, walks
// over tiles. Thread 0 is the producer: it issues tensor copies of 64 columns of k of both matrices
// into a stage of a ring in shared memory, as far ahead as the ring is long, also for the next tile
// while the current one is in its epilogue. Warpgroups 1 and 2 are consumers. For each stage,
// `full` signals that it has arrived, `empty` that all consumer warps are done with it. A warpgroup
// keeps the products of one stage in flight while it issues the next.
//
// Wide tiles (N = 192, 256) are cooperative: each warpgroup multiplies 64 rows of a by all rows of
// b. This reads least from the L2 cache and from shared memory, but a warpgroup's epilogue can only
// overlap with the other's products as far as one is ahead. Therefore the second one starts when
// the first has done Ring<N>::LEAD stages, and keeps this distance over all tiles; a longer one
// would leave no stage for loading. Narrow
// tiles (N = 128) are ping-pong: each warpgroup takes every second tile, all 128 rows, so that one
// runs its epilogue while the other multiplies; this suits a short k or an expensive activation. A
// warpgroup passes the turn when all stages of its tile have arrived, including those after k: then
// the next stages in the ring are the other's. (A barrier only distinguishes even from odd phases,
// so nobody may wait for a phase before the previous one has ended.)
//
// Tiles are scheduled dynamically: block i begins with tile i, and the producer takes each further
// one from a counter in global memory. A block that starts late, because other work occupies its
// multiprocessor, or runs slowly leaves its tiles to the others. The producer posts each tile in a
// queue in shared memory, from which every consumer warp reads it. The counter is 0 before and after
// each launch; launches that share one must not run concurrently. Results do not depend on which
// block computes a tile.
//
// Shared memory: the ring, two or three boxes of 1 KiB for each consumer warp, the biases of the
// tile for each consumer warp, the barriers, the queue of tiles; Ring<N>::BYTES in total. Grid:
// multiprocessors, or tiles if they are fewer.
//
// A job has
//     stages(column)                        stages of the ring that it takes besides those of k
//     load(row, column, ring)               the producer, after the stages of k of a tile: issues them
//     begin(row, part)                      consumers, before the products of a tile; the result goes
//                                           to finish. `row` is the first of the warp's 16 rows (and
//                                           of 16 more, 64 further, with ping-pong), `part` the part
//                                           of the depth
//     finish(c, begun, column, warp, ring)  consumers, after the products: c as in group_multiply,
//                                           warps counted from 0
//     end()                                 consumers, at the very end
#pragma once
#include "activation.cuh"
#include "hopper.cuh"

/// Rows of a per tile, columns of k per stage.
constexpr int TILE_ROWS = 128, DEPTH = 64;
constexpr int CONSUMING_WARPS = 8, HOPPER_THREADS = 384;
/// 128 rows of 64 columns.
constexpr int BOX_BYTES = TILE_ROWS * DEPTH * 2;
/// 8 rows of 64 columns: an atom of the swizzle, and what one copy stores.
constexpr int OUT_ROWS = 8, OUT_BYTES = OUT_ROWS * DEPTH * 2;
/// Registers per thread. The block starts with 168 for each of 384 threads, which is 128 · (40 +
/// 2 · 232).
constexpr int PRODUCER_REGISTERS = 40, CONSUMER_REGISTERS = 232;
/// Tiles are visited in bands of this many row tiles, column by column, so that concurrent blocks
/// share rows of a and of b in the L2 cache.
constexpr int BAND = 16;

/// A position in the queue of tiles that the producer has posted and consumer warps read. Each place
/// has the index of a tile and two barriers: `posted`, and `read` by all consumer warps.
struct TileQueue {
    /// With fewer places the producer would wait for a warpgroup that is in its epilogue.
    static constexpr int PLACES = 4, BYTES = PLACES * 32;

    u8* memory;
    int place = 0, round = 0;

    DEVICE explicit TileQueue(u8* memory) : memory(memory) {}
    DEVICE u32& index() const { return *reinterpret_cast<u32*>(memory + place * 32); }
    DEVICE u32 posted() const { return shared_address(memory) + place * 32 + 8; }
    DEVICE u32 read() const { return posted() + 8; }
    DEVICE void next() {
        if (++place == PLACES) place = 0, round++;
    }

    /// The producer: posts the next tile.
    DEVICE void post(u32 tile) {
        barrier_wait(read(), round - 1);
        index() = tile;
        barrier_arrive(posted());
        next();
    }
    /// A consumer warp: the next tile. One lane reads it, and the shuffle tells the compiler that it
    /// is uniform.
    DEVICE int take(bool is_first_lane) {
        u32 tile = 0;
        if (is_first_lane) {
            barrier_wait(posted(), round);
            tile = index();
            barrier_arrive(read());
        }
        next();
        return int(shuffle(tile, 0));
    }
};

/// A position in the ring of stages. The n-th visit of a stage waits for its n-th phase.
template <int N>
struct Ring {
    /// Whether warpgroups alternate between tiles (ping-pong) or share them, and how many times 64
    /// rows a warpgroup then has.
    static constexpr bool IS_PINGPONG = N == 128;
    static constexpr int HALVES = IS_PINGPONG ? 2 : 1;
    static constexpr int WARPS_AT_STAGE = IS_PINGPONG ? 4 : 8;

    static constexpr int STAGES = N == 256 ? 4 : N == 192 ? 5 : 6;
    /// Stages by which the first warpgroup is ahead of the second when they share tiles: all but the
    /// two that are multiplied.
    static constexpr int LEAD = IS_PINGPONG ? 0 : STAGES - 2;
    static constexpr int STAGE_BYTES = BOX_BYTES + N * DEPTH * 2;
    /// Boxes of each warp for results: one is filled while copies read the others.
    static constexpr int OUT_BOXES = N == 192 ? 2 : 3;
    static constexpr int OUT = STAGES * STAGE_BYTES;
    static constexpr int BIASES = OUT + CONSUMING_WARPS * OUT_BOXES * OUT_BYTES;
    static constexpr int BARRIERS = BIASES + CONSUMING_WARPS * N * 4;
    static constexpr int TURNS = BARRIERS + STAGES * 16;
    static constexpr int TILES = TURNS + 16;
    static constexpr int BYTES = TILES + TileQueue::BYTES;
    static_assert(BYTES <= 227 * 1024, "the shared memory of a block");

    u32 memory;
    int stage = 0, round = 0;

    DEVICE explicit Ring(u32 memory) : memory(memory) {}
    DEVICE u32 a() const { return memory + stage * STAGE_BYTES; }
    DEVICE u32 b() const { return a() + BOX_BYTES; }
    DEVICE u32 full() const { return memory + BARRIERS + stage * 16; }
    DEVICE u32 empty() const { return full() + 8; }
    /// The barrier at which a warpgroup (0 or 1) waits for its turn, or the second for its start.
    DEVICE u32 turn(int group) const { return memory + TURNS + group * 8; }
    DEVICE void next() {
        if (++stage == STAGES) stage = 0, round++;
    }
    DEVICE void skip(int stages) {
        stage += stages;
        round += stage / STAGES;
        stage %= STAGES;
    }
};


/// Initializes all barriers of the block; a barrier of the block must follow.
template <int N>
DEVICE void init_barriers(Ring<N> ring, TileQueue queue) {
    for (; ring.round == 0; ring.next()) {
        barrier_init(ring.full(), 1);
        barrier_init(ring.empty(), Ring<N>::WARPS_AT_STAGE);
    }
    for (; queue.round == 0; queue.next()) {
        barrier_init(queue.posted(), 1);
        barrier_init(queue.read(), CONSUMING_WARPS);
    }
    barrier_init(ring.turn(0), 4);
    barrier_init(ring.turn(1), 4);
    barriers_fence();
}

/// The operands of a product as the kernel gets them, and the counter of tiles. The depth k is cut
/// into parts of `part`, a multiple of DEPTH, or k if it is not cut; each part is a tile of its own.
struct Operands {
    const TensorMap* a;
    const TensorMap* b;
    const float* bias;
    u32* taken;
    int m, n, k, part;
};

/// The first row, column and depth of a tile, and how deep it is, by its index.
template <int N>
struct Tile {
    int row, column, from, depth;

    static DEVICE int count(const Operands& of) { return divide_up(of.m, TILE_ROWS) * divide_up(of.n, N) * divide_up(of.k, of.part); }
    DEVICE Tile(int index, const Operands& of) {
        int columns = divide_up(of.n, N), tiles = divide_up(of.m, TILE_ROWS) * columns, part = index / tiles;
        index -= part * tiles;
        int band = index / (BAND * columns), within = index - band * BAND * columns;
        int rows = min_of(divide_up(of.m, TILE_ROWS) - band * BAND, BAND);
        row = (band * BAND + within % rows) * TILE_ROWS;
        column = within / rows * N;
        from = part * of.part;
        depth = min_of(of.k - from, of.part);
    }
};

/// The producer's loop over the tiles of the block.
template <int N, class Job>
DEVICE void produce(Ring<N> ring, TileQueue queue, const Operands& of, const Job& job) {
    u32 tiles = Tile<N>::count(of);
    for (u32 index = blockIdx.x; true;) {
        queue.post(index);
        if (index >= tiles) return;
        Tile<N> tile(index, of);
        for (int depth = 0; depth < tile.depth; depth += DEPTH) {
            // Every tile is followed by one increment, so the last of the launch makes the counter
            // 0 again. It comes early enough to hide its latency behind the last copies.
            if (depth + DEPTH >= tile.depth) index = gridDim.x + atomic_increment(of.taken, tiles - 1);
            barrier_wait(ring.empty(), ring.round - 1);
            barrier_expect(ring.full(), Ring<N>::STAGE_BYTES);
            tensor_copy(ring.a(), of.a, tile.from + depth, tile.row, ring.full());
            tensor_copy(ring.b(), of.b, tile.from + depth, tile.column, ring.full());
            ring.next();
        }
        job.load(tile.row, tile.column, ring);
    }
}

/// The accumulators of a thread.
template <int N>
using Sums = float[Ring<N>::HALVES][N / 2];

/// c = rows of a times rows of b; `rows` is the offset of the warpgroup's rows within a stage. The
/// products of the last stage are still in flight; returns its `empty`. The second warpgroup is
/// started before the stage of `start_other`, if it is positive.
template <int N>
DEVICE u32 multiply_stages(Sums<N>& c, Ring<N>& ring, u32 rows, int k, int start_other, bool is_first_lane) {
    u32 last = 0;
    for (int depth = 0; depth < k; depth += DEPTH) {
        barrier_wait(ring.full(), ring.round);
        group_fence();
        u64 a = descriptor(ring.a() + rows), b = descriptor(ring.b());
        UNROLL
        for (int part = 0; part < DEPTH / 16; part++) {
            UNROLL
            for (int half = 0; half < Ring<N>::HALVES; half++)
                group_multiply<N>(c[half], a + half * (BOX_BYTES / 2 / 16) + 2 * part, b + 2 * part, part > 0 || depth > 0);
        }
        group_commit();
        group_wait<1>();
        if (depth > 0 && is_first_lane) {
            barrier_arrive(last);
            if (depth == start_other) barrier_arrive(ring.turn(1));
        }
        last = ring.empty();
        ring.next();
    }
    return last;
}

/// Lets the other warpgroup start its tile, once the next `stages` have arrived.
template <int N>
DEVICE void pass_turn(Ring<N> ring, int stages, int group, bool is_first_lane) {
    for (int stage = 0; stage < stages; stage++, ring.next()) barrier_wait(ring.full(), ring.round);
    if (is_first_lane) barrier_arrive(ring.turn(group ^ 1));
}

/// A consumer's loop over the tiles of the block, or every second one.
template <int N, class Job>
DEVICE void consume(Ring<N> ring, TileQueue queue, const Operands& of, Job& job) {
    constexpr bool IS_PINGPONG = Ring<N>::IS_PINGPONG;
    // The warp index is uniform, which the compiler cannot know; the shuffle tells it.
    int warp = int(shuffle(u32(threadIdx.x / 32), 0)) - 4, lane = threadIdx.x % 32, group = warp / 4;
    u32 biases = ring.memory + Ring<N>::BIASES + warp * N * 4;
    int tiles = Tile<N>::count(of), whose = 0;
    bool is_first = true;
    int turn = group == 0 ? -1 : 0;  // the first waits for nobody
    // With a single stage there is nothing to be ahead by.
    int lead = min_of(Ring<N>::LEAD * DEPTH, (of.part - 1) / DEPTH * DEPTH);
    for (int index = queue.take(lane == 0); index < tiles; index = queue.take(lane == 0), whose ^= 1) {
        Tile<N> tile(index, of);
        int stages_after = job.stages(tile.column);
        if (IS_PINGPONG && whose != group) {
            ring.skip(divide_up(tile.depth, DEPTH) + stages_after);
            continue;
        }
        UNROLL
        for (int column = 4 * lane; column < N; column += 128) {
            int bytes = of.bias ? min_of(max_of(of.n - tile.column - column, 0), 4) * 4 : 0;
            copy_16(biases + column * 4, of.bias + tile.column + column, bytes);
        }
        copy_commit();
        auto begun = job.begin(tile.row + (IS_PINGPONG ? warp % 4 : warp) * 16, tile.from / of.part);
        if (IS_PINGPONG) {
            barrier_wait(ring.turn(group), turn);
            turn++;
        } else if (group == 1 && lead > 0) {
            barrier_pace(ring.turn(1), 0);
        }
        Sums<N> c;
        u32 last = multiply_stages<N>(c, ring, IS_PINGPONG ? 0 : group * (BOX_BYTES / 2), tile.depth, group == 0 && is_first ? lead : 0, lane == 0);
        is_first = false;
        if (IS_PINGPONG) pass_turn(ring, stages_after, group, lane == 0);
        group_wait<0>();
        UNROLL
        for (int half = 0; half < Ring<N>::HALVES; half++) group_hold(c[half]);
        if (lane == 0) barrier_arrive(last);
        copy_wait<0>();
        sync_warp();
        job.finish(c, begun, tile.column, warp, ring);
    }
    job.end();
}

/// The whole kernel.
template <int N, class Job>
DEVICE void multiply_tiles(u8* memory, const Operands& of, Job job) {
    Ring<N> ring(shared_address(memory));
    TileQueue queue(memory + Ring<N>::TILES);
    if (threadIdx.x == 0) {
        prefetch(of.a);
        prefetch(of.b);
        init_barriers(ring, queue);
    }
    sync_block();
    if (threadIdx.x < 128) {
        decrease_registers<PRODUCER_REGISTERS>();
        if (threadIdx.x == 0) produce<N>(ring, queue, of, job);
    } else {
        increase_registers<CONSUMER_REGISTERS>();
        consume<N>(ring, queue, of, job);
    }
}

/// A thread's values in 16 rows and 64 columns: [4i], [4i + 1] at row lane / 4, columns 8i +
/// 2·(lane mod 4) and the next; [4i + 2], [4i + 3] eight rows further.
typedef float Piece[32];

/// Piece i has the columns from 64·(i / halves) on of half i mod halves, biases added. `index` is
/// only known at run time, so that the epilogue code exists once.
template <int N>
DEVICE void take_piece(Piece& x, const Sums<N>& c, int index, const float* biases) {
    constexpr int HALVES = Ring<N>::HALVES;
    UNROLL
    for (int i = 0; i < HALVES * N / 64; i++)
        if (i == index) {
            UNROLL
            for (int j = 0; j < 32; j++) x[j] = c[i % HALVES][i / HALVES * 32 + j];
            // Otherwise the compiler builds one long chain of selects over all pieces.
            group_hold(x);
        }
    UNROLL
    for (int i = 0; i < 8; i++) {
        const float* pair = biases + index / HALVES * 64 + 8 * i + threadIdx.x % 4 * 2;
        float left = pair[0], right = pair[1];
        x[4 * i] += left, x[4 * i + 1] += right;
        x[4 * i + 2] += left, x[4 * i + 3] += right;
    }
}

/// The biases of a warp's tile.
template <int N>
DEVICE const float* biases_of(const u8* memory, int warp) { return reinterpret_cast<const float*>(memory + Ring<N>::BIASES) + warp * N; }
