// The state of Hopper's features in a block.
#pragma once

#include <algorithm>
#include <deque>

#include "../hopper.cuh"
#include "warp.h"

namespace emulate {

/// The layout of an emulated TensorMap, from its first byte on: rows of bf16. `address` and
/// `stride_bytes` are multiples of 16.
struct Matrix {
    u64 address;
    u64 columns, rows;
    u64 stride_bytes;
    u32 box_columns, box_rows;

    explicit Matrix(const TensorMap* map) { std::memcpy(this, map, sizeof(*this)); }

    bool has(i64 column, i64 row) const { return column >= 0 && row >= 0 && u64(column) < columns && u64(row) < rows; }
    bf16* at(i64 column, i64 row) const { return reinterpret_cast<bf16*>(address + u64(row) * stride_bytes) + column; }
    u32 box_bytes() const { return box_columns * box_rows * 2; }
};

/// A barrier. Its eight bytes of shared memory have its number in this block.
struct Barrier {
    u32 address = 0;
    u32 count = 0, pending = 0;
    /// Bytes announced and not yet there.
    i64 bytes = 0;
    /// The number of phases that have ended.
    u32 ended = 0;
    /// The copies that this barrier counts, as an agent of the order.
    unsigned copies = 0;
    Clock gathered, of_phase;
    Waiters waiters;
};

/// A box copy in flight: to shared memory with a barrier, or from it.
struct BoxCopy {
    Matrix matrix;
    int x, y;
    u32 shared, barrier;
};

/// The stores of a thread.
struct Stores {
    unsigned agent = 0;
    Moment committed = 0, done = 0;
    bool is_open = false;
    std::deque<std::vector<BoxCopy>> groups;
    std::vector<BoxCopy> open;
};

/// A warp's share of a product: 16 rows.
struct Product {
    size_t sums;
    u64 a, b;
    bool is_added;
};

/// The accumulators of a warp that belong to unfinished products: their values are kept here, row
/// by row, and the registers are marked.
struct Kept {
    float* of_lane[WARP];
    unsigned columns;
    Moment last_group;
    std::vector<float> values;
};

/// An instruction of a warpgroup: its name and arguments.
struct Instruction {
    const char* what;
    u64 arguments[3];
};

/// A warp's products and registers.
struct WarpState {
    unsigned agent = 0;
    Moment committed = 0, done = 0;
    bool has_fence = false;
    std::deque<std::vector<Product>> groups;
    std::vector<Product> open;
    std::deque<Kept> kept;
    size_t first_kept = 0;
    unsigned registers = 0;
    /// The number of instructions of its warpgroup that it has executed.
    u64 executed = 0;
};

/// The instructions that the first warp has executed and the last one has not.
struct Warpgroup {
    u64 first = 0;
    std::deque<Instruction> instructions;
};

struct Hopper {
    std::vector<Barrier> barriers;
    std::vector<BoxCopy> copies;
    std::map<unsigned, Stores> stores;
    std::vector<WarpState> warps;
    std::vector<Warpgroup> groups;
    /// Registers that a warpgroup has given up and none has taken.
    i64 free_registers = 0;
    Waiters registers_waiters;

    Hopper();
};

inline Hopper& hopper() { return machine().extension<Hopper>(); }
/// What is wrong at the end of a block; empty if nothing is.
std::string check_end(Block& block);

}  // namespace emulate
