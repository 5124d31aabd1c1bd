// What attention and its gradient share: blocks of the tokens of a sequence, and tiles of one head
// of some tokens in shared memory.
//
// Heads are padded with zeros to HEAD dimensions, in shared memory only.
#pragma once
#include "parameters.cuh"

enum PositionTerms { NO_TERMS, BIAS, DISENTANGLED };

constexpr float LOG2_E = 1.4426950408889634f;

/// The tokens of a block: from `first` on, of the sequence of `length` tokens that starts at token
/// `begin`; and its head.
struct TokenBlock {
    int begin, length, first, head;

    DEVICE TokenBlock(const u32* starts, const u32* tiles) {
        int sequence = tiles[2 * blockIdx.x];
        begin = starts[sequence], length = int(starts[sequence + 1]) - begin;
        first = tiles[2 * blockIdx.x + 1], head = blockIdx.y;
    }
};

template <int HEAD>
struct HeadRows {
    static constexpr int PIECES = HEAD / 8;  // per row, 16 bytes each
    static constexpr int ROW_BYTES = 2 * HEAD;

    /// The offset of a 16-byte piece of a row in a tile. Pieces are permuted within their row,
    /// differently in adjacent rows, so that one piece of eight rows spreads over all banks.
    static constexpr int TURNS = PIECES % 8 == 0 ? 8 : PIECES % 4 == 0 ? 4 : 2;
    DEVICE static int place(int row, int piece) { return row * ROW_BYTES + (piece ^ row / (8 / TURNS) % TURNS) * 16; }

    /// The address 2 · step pieces further than that of piece 0 or 1 of a row.
    DEVICE static u32 further(u32 address, int step) { return (address ^ step % (TURNS / 2) * 32) + step / (TURNS / 2) * TURNS * 16; }

    /// The first `valid` of eight values, then zeros.
    DEVICE static Words4 gather(const bf16* from, int valid) {
        Words4 words = {};
        UNROLL
        for (int i = 0; i < 8; i++)
            if (i < valid) words.word[i / 2] |= u32(from[i].bits) << i % 2 * 16;
        return words;
    }

    /// Starts the copy of one head of `count` tokens, at least 1, by THREADS threads, of which
    /// this is `thread`; rows up to ROWS and columns up to HEAD are zeros.
    template <int ROWS, int THREADS>
    DEVICE static void copy(u8* to, const bf16* from, int count, int stride, int head_size, int thread) {
        u32 address = shared_address(to);
        if (head_size % 8 == 0) {
            UNROLL
            for (int step = 0; step < (ROWS * PIECES + THREADS - 1) / THREADS; step++) {
                int row = (step * THREADS + thread) / PIECES, piece = (step * THREADS + thread) % PIECES;
                if (ROWS * PIECES % THREADS && row >= ROWS) break;
                bool is_valid = row < count && piece * 8 < head_size;
                copy_16(address + place(row, piece), from + (is_valid ? row * stride + piece * 8 : 0), is_valid ? 16 : 0);
            }
        } else {  // the head's first column need not be 16-byte aligned
            for (int i = thread; i < ROWS * PIECES; i += THREADS) {
                int row = i / PIECES, piece = i % PIECES;
                *reinterpret_cast<Words4*>(to + place(row, piece)) = gather(from + row * stride + piece * 8, row < count ? head_size - piece * 8 : 0);
            }
        }
    }

    /// Writes the 16 rows of a warp, of which `count` exist: values[piece] are fragments as in
    /// `multiply`, times the factor of their half. They are first gathered in `mine`, 16 rows of
    /// shared memory, so that 16 bytes are written at once.
    DEVICE static void store(u8* mine, const float (&values)[PIECES][4], const float (&factors)[2], bf16* to, int count, int stride, int head_size) {
        int lane = threadIdx.x % 32;
        UNROLL
        for (int half = 0; half < 2; half++) {
            UNROLL
            for (int piece = 0; piece < PIECES; piece++) {
                u32* pair = reinterpret_cast<u32*>(mine + place(lane / 4 + 8 * half, piece)) + lane % 4;
                *pair = pack(values[piece][2 * half] * factors[half], values[piece][2 * half + 1] * factors[half]);
            }
        }
        sync_warp();
        for (int i = lane; i < 16 * PIECES; i += 32) {
            int row = i / PIECES, piece = i % PIECES, valid = head_size - piece * 8;
            if (row >= count || valid <= 0) continue;
            bf16* out = to + i64(row) * stride + piece * 8;
            const Words4 words = *reinterpret_cast<const Words4*>(mine + place(row, piece));
            if (head_size % 8 == 0) {
                *reinterpret_cast<Words4*>(out) = words;
                continue;
            }
            UNROLL
            for (int element = 0; element < 8; element++)
                if (element < valid) out[element].bits = u16(words.word[element / 2] >> element % 2 * 16);
        }
    }
};
