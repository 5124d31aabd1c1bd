// Self-attention over packed sequences: out = softmax(scale · (queries · keysᵀ + positions) +
// bias) · values for each sequence and head; every token attends to its whole sequence.
//
// In: `projections`, whose rows are all queries (heads · head_size), then keys, then values; the
// starts of sequences; the list of query blocks. Out: tokens × (heads · head_size).
//
// Scores never leave the multiprocessor: keys and values are processed in tiles, and the running
// sum and output are rescaled whenever the maximum score grows (FlashAttention: Dao and others,
// 2022; the online softmax: Milakov and Gimelshein, 2018). It works in base 2: log2(e) is part of
// the scale, which is positive. Scores and sums are f32; the exponentials are rounded to bf16 for
// the product with values, but summed unrounded.
//
// A block of 4 warps takes 64 queries of one sequence (tiles[2 · blockIdx.x], from
// tiles[2 · blockIdx.x + 1] on) and the head blockIdx.y; a warp takes 16 of them. While one tile of
// keys and values is multiplied, the next is copied.
//
// Heads are padded with zeros to HEAD = 16, 32, 64, 96, 128 or 256 dimensions, in shared memory
// only. Kernels are attention_HEAD, and with position terms attention_HEAD_bias (T5: Raffel and
// others, 2020) and attention_HEAD_disentangled (DeBERTa: He and others, 2021).
//
// Launch: 128 threads, grid tiles × heads. Shared memory: 512 · HEAD bytes up to HEAD = 96, 32,768
// for 128, 98,304 for 256, and 1,024 more with position terms (two stages of keys and values, the
// queries if they do not stay in registers, two times 128 distances).
#pragma once
#include "head_rows.cuh"

template <int HEAD, PositionTerms TERMS>
struct Attention {
    static constexpr int THREADS = 128;
    static constexpr int QUERIES = 64;
    static constexpr int KEYS = HEAD > 96 ? 32 : 64;  // per tile
    static constexpr int PIECES = HEAD / 8;  // per row, 16 bytes each
    static constexpr int ROW_BYTES = 2 * HEAD;
    static constexpr int TILE_BYTES = KEYS * ROW_BYTES;
    static constexpr int STAGE_BYTES = 2 * TILE_BYTES;  // keys, then values
    // The widest head leaves no registers for the queries: they are loaded again for every tile.
    static constexpr bool KEEPS_QUERIES = HEAD <= 128;
    static constexpr int QUERY_STEPS = KEEPS_QUERIES ? HEAD / 16 : 1;
    // Shared memory: two stages; the queries, which otherwise overlay the second stage until it is
    // needed; the distance tables of two tiles.
    static constexpr int QUERIES_AT = KEEPS_QUERIES ? STAGE_BYTES : 2 * STAGE_BYTES;
    static constexpr int DISTANCES_AT = 2 * STAGE_BYTES + (KEEPS_QUERIES ? 0 : QUERIES * ROW_BYTES);

    const AttentionParameters& p;
    TokenBlock block;
    u8* shared;

    // Per lane, for the queries (rows) lane / 4 and lane / 4 + 8 of its warp: fragments as in
    // `multiply`.
    u32 queries[QUERY_STEPS][4] = {};
    float out[PIECES][4] = {};
    float row_max[2] = {-INFINITY_F32, -INFINITY_F32};
    float sum[2] = {};

    DEVICE static int lane() { return threadIdx.x % 32; }
    DEVICE static int warp() { return threadIdx.x / 32; }

    typedef HeadRows<HEAD> Rows;
    DEVICE static int place(int row, int piece) { return Rows::place(row, piece); }

    template <int ROWS>
    DEVICE void copy_rows(u8* to, const bf16* from, int count) const {
        Rows::template copy<ROWS, THREADS>(to, from, count, p.stride, p.head_size, threadIdx.x);
    }

    /// Starts the copy of a tile's keys and values into its stage.
    DEVICE void copy_tile(int tile) const {
        int width = p.heads * p.head_size, first = tile * KEYS;
        const bf16* keys = p.projections + i64(block.begin + first) * p.stride + width + block.head * p.head_size;
        u8* stage = shared + tile % 2 * STAGE_BYTES;
        copy_rows<KEYS>(stage, keys, block.length - first);
        copy_rows<KEYS>(stage + TILE_BYTES, keys + width, block.length - first);
    }

    DEVICE void copy_queries() const {
        copy_rows<QUERIES>(shared + QUERIES_AT, p.projections + i64(block.begin + block.first) * p.stride + block.head * p.head_size, block.length - block.first);
    }

    DEVICE void load_queries(u32 (&fragment)[4], int step) const {
        load_matrices(fragment, shared_address(shared + QUERIES_AT) + place(16 * warp() + lane() % 16, 2 * step + lane() / 16));
    }

    // A tile has KEYS + QUERIES - 1 distances from query to key, counted from that of its first key
    // and the block's last query; each thread looks one up. Distances without a key and query may
    // exceed the reach.
    DEVICE u32 look_up_distance(int tile) const {
        int distance = tile * KEYS - block.first - (QUERIES - 1) + int(threadIdx.x);
        int index = min_of(max_of(distance + p.reach, 0), 2 * p.reach);
        if (TERMS == BIAS) return bits_of(p.bias[i64(block.head) * (2 * p.reach + 1) + index] * LOG2_E);
        return p.bucket_of[index];
    }
    DEVICE u32* distances(int tile) const { return reinterpret_cast<u32*>(shared + DISTANCES_AT) + tile % 2 * THREADS; }

    /// Queries times keys, unscaled.
    DEVICE void multiply_keys(float (&scores)[KEYS / 8][4], int tile) const {
        u32 keys_at = shared_address(shared) + tile % 2 * STAGE_BYTES;
        UNROLL
        for (int step = 0; step < HEAD / 16; step++) {
            u32 query[4];
            if constexpr (KEEPS_QUERIES) {
                UNROLL
                for (int i = 0; i < 4; i++) query[i] = queries[step][i];
            } else {
                load_queries(query, step);
            }
            UNROLL
            for (int keys = 0; keys < KEYS / 16; keys++) {
                u32 key[4];
                load_matrices(key, keys_at + place(16 * keys + lane() / 16 * 8 + lane() % 8, 2 * step + lane() / 8 % 2));
                multiply(scores[2 * keys], query, key[0], key[1]);
                multiply(scores[2 * keys + 1], query, key[2], key[3]);
            }
        }
    }

    // Of a lane's score i of a tile: which of its two queries, and which key.
    DEVICE static constexpr int half_of(int i) { return i / 2 % 2; }
    DEVICE static int key_of(int i) { return i / 4 * 8 + lane() % 4 * 2 + i % 2; }
    DEVICE static int distance_of(int i) { return key_of(i) + QUERIES - 1 - (16 * warp() + lane() / 4 + 8 * half_of(i)); }

    DEVICE void add_bias(float (&scores)[KEYS / 8][4], int tile) const {
        const u32* bias = distances(tile);
        UNROLL
        for (int i = 0; i < KEYS / 2; i++) scores[i / 4][i % 4] = scores[i / 4][i % 4] * (p.scale * LOG2_E) + float_of(bias[distance_of(i)]);
    }

    DEVICE void add_disentangled(float (&scores)[KEYS / 8][4], int tile) const {
        const u32* buckets = distances(tile);
        i64 first_token = i64(block.head) * p.tokens + block.begin - p.first_token;
        if (p.position_to_content) {
            const float* of_first = p.position_to_content + first_token * p.buckets;
            UNROLL
            for (int i = 0; i < KEYS / 2; i++) {
                if (half_of(i)) continue;
                const float* of_key = of_first + min_of(tile * KEYS + key_of(i), block.length - 1) * p.buckets;
                UNROLL
                for (int half = 0; half < 2; half++) scores[i / 4][i % 4 + 2 * half] += of_key[buckets[distance_of(i + 2 * half)]];
            }
        }
        if (p.content_to_position) {
            const float* of_first = p.content_to_position + first_token * p.buckets;
            int query = block.first + 16 * warp() + lane() / 4;
            UNROLL
            for (int half = 0; half < 2; half++) {
                const float* of_query = of_first + min_of(query + 8 * half, block.length - 1) * p.buckets;
                UNROLL
                for (int i = 0; i < KEYS / 4; i++) scores[i / 2][2 * half + i % 2] += of_query[buckets[distance_of(i / 2 * 4 + 2 * half + i % 2)]];
            }
        }
        UNROLL
        for (int i = 0; i < KEYS / 2; i++) scores[i / 4][i % 4] *= p.scale * LOG2_E;
    }

    DEVICE void mask_beyond_end(float (&scores)[KEYS / 8][4], int tile) const {
        UNROLL
        for (int i = 0; i < KEYS / 2; i++)
            if (tile * KEYS + key_of(i) >= block.length) scores[i / 4][i % 4] = -INFINITY_F32;
    }

    /// Turns scores into 2^(score - running maximum), and rescales the running sums and outputs to
    /// the new maximum.
    DEVICE void online_softmax(float (&scores)[KEYS / 8][4]) {
        const float scale = TERMS == NO_TERMS ? p.scale * LOG2_E : 1;
        UNROLL
        for (int half = 0; half < 2; half++) {
            float now = row_max[half];
            UNROLL
            for (int keys = 0; keys < KEYS / 8; keys++) now = fmaxf(now, fmaxf(scores[keys][2 * half], scores[keys][2 * half + 1]));
            now = fmaxf(now, shuffle_xor(now, 1));
            now = fmaxf(now, shuffle_xor(now, 2));
            float shrink = exp2_fast((row_max[half] - now) * scale);
            row_max[half] = now;
            sum[half] *= shrink;
            UNROLL
            for (int piece = 0; piece < PIECES; piece++) out[piece][2 * half] *= shrink, out[piece][2 * half + 1] *= shrink;
            UNROLL
            for (int i = 0; i < KEYS / 4; i++) {
                float& score = scores[i / 2][2 * half + i % 2];
                score = exp2_fast(score * scale - now * scale);
                sum[half] += score;
            }
        }
    }

    DEVICE void multiply_values(const float (&weights)[KEYS / 8][4], int tile) {
        u32 values_at = shared_address(shared) + tile % 2 * STAGE_BYTES + TILE_BYTES;
        UNROLL
        for (int keys = 0; keys < KEYS / 16; keys++) {
            const float(&low)[4] = weights[2 * keys];
            const float(&high)[4] = weights[2 * keys + 1];
            u32 weight[4] = {pack(low[0], low[1]), pack(low[2], low[3]), pack(high[0], high[1]), pack(high[2], high[3])};
            UNROLL
            for (int step = 0; step < HEAD / 16; step++) {
                u32 value[4];
                load_matrices_transposed(value, values_at + place(16 * keys + lane() % 16, 2 * step + lane() / 16));
                multiply(out[2 * step], weight, value[0], value[1]);
                multiply(out[2 * step + 1], weight, value[2], value[3]);
            }
        }
    }

    /// Writes the warp's 16 rows, by way of `mine`.
    DEVICE void store(u8* mine) {
        float factors[2];
        UNROLL
        for (int half = 0; half < 2; half++) {
            sum[half] += shuffle_xor(sum[half], 1);
            sum[half] += shuffle_xor(sum[half], 2);
            factors[half] = 1 / sum[half];
        }
        int first = block.first + 16 * warp();
        bf16* to = p.out + i64(block.begin + first) * p.out_stride + block.head * p.head_size;
        Rows::store(mine, out, factors, to, block.length - first, p.out_stride, p.head_size);
    }

    DEVICE void begin() {
        copy_queries();
        copy_commit();
        copy_tile(0);
        copy_commit();
        if (TERMS != NO_TERMS) distances(0)[threadIdx.x] = look_up_distance(0);
        if constexpr (KEEPS_QUERIES) {
            copy_wait<1>();
            sync_block();
            UNROLL
            for (int step = 0; step < QUERY_STEPS; step++) load_queries(queries[step], step);
        }
    }

    DEVICE void run() {
        begin();
        int tiles = divide_up(block.length, KEYS);
        // With position tables there is no register to keep it in.
        bool kept = block.first + 16 * warp() < block.length;
        auto has_queries = [&] { return TERMS == DISENTANGLED ? block.first + 16 * warp() < block.length : kept; };
        for (int tile = 0; tile < tiles; tile++) {
            copy_wait<0>();
            sync_block();  // the tile has arrived, and all threads are done with the other stage
            u32 next_distance = 0;
            if (tile + 1 < tiles) {
                copy_tile(tile + 1);
                copy_commit();
                if (TERMS != NO_TERMS) next_distance = look_up_distance(tile + 1);
            }
            if (has_queries()) {
                float scores[KEYS / 8][4] = {};
                multiply_keys(scores, tile);
                if (TERMS == BIAS) add_bias(scores, tile);
                if (TERMS == DISENTANGLED) add_disentangled(scores, tile);
                if (block.length - tile * KEYS < KEYS) mask_beyond_end(scores, tile);
                online_softmax(scores);
                multiply_values(scores, tile);
            }
            if (TERMS != NO_TERMS && tile + 1 < tiles) distances(tile + 1)[threadIdx.x] = next_distance;
        }
        // The stage of the tile before the last is free; each warp uses a part of it.
        if (has_queries()) store(shared + tiles % 2 * STAGE_BYTES + warp() * 16 * ROW_BYTES);
    }
};

template <int HEAD, PositionTerms TERMS>
DEVICE void run_attention(const AttentionParameters& p) {
    SHARED_MEMORY(shared);
    TokenBlock block(p.starts, p.tiles);
    Attention<HEAD, TERMS> attention = {p, block, shared};
    attention.run();
}

#define ATTENTION(head, blocks, blocks_with_terms)                                                                                             \
    KERNEL(attention_##head, 128, blocks)(PARAMETER(AttentionParameters) p) { run_attention<head, NO_TERMS>(p); }                                     \
    KERNEL(attention_##head##_bias, 128, blocks_with_terms)(PARAMETER(AttentionParameters) p) { run_attention<head, BIAS>(p); }                       \
    KERNEL(attention_##head##_disentangled, 128, blocks_with_terms)(PARAMETER(AttentionParameters) p) { run_attention<head, DISENTANGLED>(p); }
