// The primitives of hopper.cuh for a CPU: barriers are 8 bytes of the emulated shared memory,
// tensor copies apply the swizzle to addresses as the GPU does, products decode their descriptors
// and read shared memory accordingly, so that a wrong address, stride or mode gives wrong values.
//
// What is asynchronous on the GPU completes immediately or as late as allowed, by schedule: a copy
// to shared memory when a thread waits at its barrier, a copy from shared memory when its thread
// waits for it (never, if none does), a product when its thread waits for the group. Each thread
// computes only its own share of a product: the GPU guarantees no more.
#pragma once

#include "device.h"

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

/// A barrier in shared memory.
struct Barrier {
    u64 pending : 12, count : 12, phase : 1, mark : 7;
    i64 bytes : 32;
    static constexpr unsigned MARK = 0x2a;
};
static_assert(sizeof(Barrier) == 8);

/// A box copy in flight: to shared memory with a barrier, or from it.
struct BoxCopy {
    Matrix matrix;
    int x, y;
    u32 shared, barrier;
};

/// A thread's share of a pending product.
struct Product {
    float* c;
    int columns;
    u64 a, b;
    bool is_added;
};

/// The pending operations of a thread.
struct HopperThread {
    std::vector<std::vector<Product>> products;
    std::vector<Product> open_products;
    std::vector<std::vector<BoxCopy>> stores;
    std::vector<BoxCopy> open_stores;
    bool has_group_fence = false;
};

struct Hopper {
    std::vector<BoxCopy> copies;
    std::map<unsigned, HopperThread> threads;
    // By warp: shared_fence() calls of its lanes since its last tensor_store.
    std::map<unsigned, unsigned> fences;
};

inline Hopper& hopper() { return machine().extension<Hopper>(); }
inline HopperThread& hopper_thread() { return hopper().threads[machine().current().number]; }
/// Copies and products are delayed independently of each other.
inline bool multiplies_late() { return ((machine().schedule().number >> 1) ^ machine().schedule().number) & 1; }

inline Barrier& barrier_at(u32 address) {
    if (address % 8) machine().fail("a barrier at an address that is no multiple of 8");
    auto& barrier = *reinterpret_cast<Barrier*>(at_shared(address, 8));
    if (barrier.mark != Barrier::MARK) machine().fail("a barrier is used that was never made");
    return barrier;
}

inline void end_phase_if_all_came(Barrier& barrier) {
    if (barrier.pending != 0 || barrier.bytes != 0) return;
    barrier.phase ^= 1;
    barrier.pending = barrier.count;
    machine().wake(&barrier);
}

/// The GPU XORs bits 4 to 6 of the address with bits 7 to 9.
inline u32 swizzle_128(u32 address) { return address ^ ((address >> 7 & 7) << 4); }

inline void check_box(const BoxCopy& copy) {
    Machine& own = machine();
    const Matrix& matrix = copy.matrix;
    if (copy.shared % 1024) own.fail("a tensor copy's shared memory begins at no multiple of 1,024");
    bool has_shape = matrix.columns >= 1 && matrix.rows >= 1 && matrix.box_columns == 64 && matrix.box_rows >= 1 && matrix.box_rows <= 256;
    if (!has_shape || matrix.address % 16 || matrix.stride_bytes % 16 || matrix.stride_bytes < matrix.columns * 2)
        own.fail("a tensor map that the driver would not encode, or one that is not 64 columns wide");
}

/// Calls what(shared memory, column, row) for each element of a box.
template <class What>
void for_each_number(const BoxCopy& copy, What what) {
    for (u32 row = 0; row < copy.matrix.box_rows; row++)
        for (u32 column = 0; column < copy.matrix.box_columns; column++) {
            u32 address = swizzle_128(copy.shared + row * 128 + column * 2 / 16 * 16) + column * 2 % 16;
            what(reinterpret_cast<bf16*>(at_shared(address, 2)), i64(copy.x) + column, i64(copy.y) + row);
        }
}

inline void complete_load(const BoxCopy& copy) {
    for_each_number(copy, [&](bf16* shared, i64 column, i64 row) { *shared = copy.matrix.has(column, row) ? *copy.matrix.at(column, row) : bf16{0}; });
    Barrier& barrier = barrier_at(copy.barrier);
    barrier.bytes = barrier.bytes - i64(copy.matrix.box_bytes());
    end_phase_if_all_came(barrier);
}

inline void complete_store(const BoxCopy& copy) {
    for_each_number(copy, [&](bf16* shared, i64 column, i64 row) {
        if (copy.matrix.has(column, row)) *copy.matrix.at(column, row) = *shared;
    });
}

/// A matrix operand, decoded from its descriptor: K-major, in one of the four layouts.
struct Operand {
    u32 start, leading, stride, row_bytes;

    static u32 bytes(u64 field) { return u32(field & 0x3fff) << 4; }
    explicit Operand(u64 descriptor) : start(bytes(descriptor)), leading(bytes(descriptor >> 16)), stride(bytes(descriptor >> 32)) {
        constexpr u32 ROW_BYTES[] = {16, 128, 64, 32};  // no swizzle, 128, 64, 32 bytes
        row_bytes = ROW_BYTES[descriptor >> 62];
        if (descriptor >> 49 & 7) machine().fail("a descriptor with a base offset");
    }

    float at(u32 row, u32 depth) const {
        u32 address = start + row / 8 * stride + row % 8 * row_bytes;
        address += row_bytes == 16 ? depth / 8 * leading + depth % 8 * 2 : depth * 2;
        u32 bits = row_bytes / 16 - 1;  // how many of the address bits 7, 8 and 9 take part
        address ^= (address >> 7 & bits) << 4;
        return to_float(*reinterpret_cast<const bf16*>(at_shared(address, 2)));
    }
};

inline void carry_out(const Product& product) {
    Operand a(product.a), b(product.b);
    unsigned thread = machine().current().number % 128, lane = thread % 32;
    u32 row = thread / 32 * 16 + lane / 4;
    float rows[2][16];
    for (u32 depth = 0; depth < 16; depth++) rows[0][depth] = a.at(row, depth), rows[1][depth] = a.at(row + 8, depth);
    for (int i = 0; i < product.columns / 2; i++) {
        u32 column = u32(i / 4 * 8) + lane % 4 * 2 + u32(i % 2);
        float sum = product.is_added ? product.c[i] : 0;
        for (u32 depth = 0; depth < 16; depth++) sum += rows[i / 2 % 2][depth] * b.at(column, depth);
        product.c[i] = sum;
    }
}

}  // namespace emulate

DEVICE void barrier_init(u32 barrier, u32 count) {
    emulate::Barrier made{};
    made.pending = made.count = count, made.mark = emulate::Barrier::MARK;
    std::memcpy(emulate::at_shared(barrier, 8), &made, 8);
}
DEVICE void barriers_fence() {}
DEVICE void barrier_arrive(u32 barrier) {
    emulate::Barrier& at = emulate::barrier_at(barrier);
    if (at.pending == 0) emulate::machine().fail("more arrivals at a barrier than it was made for");
    at.pending = at.pending - 1;
    emulate::end_phase_if_all_came(at);
}
DEVICE void barrier_expect(u32 barrier, u32 bytes) {
    emulate::Barrier& at = emulate::barrier_at(barrier);
    at.bytes = at.bytes + i64(bytes);
    barrier_arrive(barrier);
}
DEVICE void barrier_wait(u32 barrier, int phase, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    emulate::Machine& own = emulate::machine();
    emulate::Barrier& at = emulate::barrier_at(barrier);
    if (!own.counts(file, line, "barrier_wait")) return;
    while (at.phase == (phase & 1)) {
        auto& copies = emulate::hopper().copies;
        size_t number = 0;
        while (number < copies.size() && copies[number].barrier != barrier) number++;
        if (number == copies.size()) {
            own.wait(&at, file, line);
            continue;
        }
        emulate::BoxCopy copy = copies[number];
        copies.erase(copies.begin() + i64(number));
        emulate::complete_load(copy);
    }
}
/// Not a site: without it results are the same.
DEVICE void barrier_pace(u32 barrier, int phase) {
    emulate::Barrier& at = emulate::barrier_at(barrier);
    while (at.phase == (phase & 1)) emulate::machine().wait(&at, "barrier_pace");
}

DEVICE void prefetch(const TensorMap*) {}
DEVICE void tensor_copy(u32 to, const TensorMap* map, int x, int y, u32 barrier) {
    emulate::BoxCopy copy{emulate::Matrix(map), x, y, to, barrier};
    emulate::check_box(copy);
    emulate::Barrier& at = emulate::barrier_at(barrier);
    if (!emulate::machine().schedule().is_late()) return emulate::complete_load(copy);
    emulate::hopper().copies.push_back(copy);
    emulate::machine().wake(&at);
}
DEVICE void tensor_store(const TensorMap* map, int x, int y, u32 from) {
    emulate::Machine& own = emulate::machine();
    emulate::BoxCopy copy{emulate::Matrix(map), x, y, from, 0};
    emulate::check_box(copy);
    unsigned& fences = emulate::hopper().fences[own.current().number / emulate::WARP];
    if (fences < emulate::WARP) own.fail("tensor_store: not every lane of the warp has done shared_fence() since the last");
    fences = 0;
    if (own.schedule().is_late()) emulate::hopper_thread().open_stores.push_back(copy);
    else emulate::complete_store(copy);
}
DEVICE void tensor_store_commit() {
    auto& thread = emulate::hopper_thread();
    thread.stores.push_back(std::move(thread.open_stores));
    thread.open_stores.clear();
}
template <int N>
DEVICE void tensor_store_wait(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    if (!emulate::machine().counts(file, line, "tensor_store_wait")) return;
    auto& stores = emulate::hopper_thread().stores;
    while (stores.size() > size_t(N)) {
        for (const auto& copy : stores.front()) emulate::complete_store(copy);
        stores.erase(stores.begin());
    }
}
DEVICE void store_matrices(u32 address, const u32 (&r)[4]) {
    struct Argument {
        char* row;
        const u32* r;
    } argument{emulate::at_shared(address, 16), r};
    if (address % 16) emulate::machine().fail("store_matrices: an address that is no multiple of 16");
    emulate::meet_warp("store_matrices", &argument, [](std::vector<void*>& all) {
        for (unsigned matrix = 0; matrix < 4; matrix++)
            for (unsigned lane = 0; lane < emulate::WARP; lane++) {
                char* row = static_cast<Argument*>(all[matrix * 8 + lane / 4])->row;
                std::memcpy(row + lane % 4 * 4, &static_cast<Argument*>(all[lane])->r[matrix], 4);
            }
    });
}
DEVICE void shared_fence() { emulate::hopper().fences[emulate::machine().current().number / emulate::WARP]++; }

template <int N>
DEVICE void increase_registers() {
    static_assert(N % 8 == 0 && N >= 24 && N <= 256);
}
template <int N>
DEVICE void decrease_registers() {
    static_assert(N % 8 == 0 && N >= 24 && N <= 256);
}

DEVICE void group_fence() { emulate::hopper_thread().has_group_fence = true; }
DEVICE void group_commit() {
    auto& thread = emulate::hopper_thread();
    thread.products.push_back(std::move(thread.open_products));
    thread.open_products.clear();
    thread.has_group_fence = false;
}
/// The lanes of a warp wait together; warps do not.
template <int N>
DEVICE void group_wait(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    if (!emulate::machine().counts(file, line, "group_wait")) return;
    auto& products = emulate::hopper_thread().products;
    while (products.size() > size_t(N)) {
        for (const auto& product : products.front()) emulate::carry_out(product);
        products.erase(products.begin());
    }
    emulate::meet_warp("group_wait", nullptr, [](std::vector<void*>&) {});
}
template <int COUNT>
DEVICE void group_hold(float (&)[COUNT]) {}

template <int N>
DEVICE void group_multiply(float (&c)[N / 2], u64 a, u64 b, bool is_added) {
    static_assert(N % 8 == 0 && N >= 8 && N <= 256);
    auto& thread = emulate::hopper_thread();
    if (!thread.has_group_fence) emulate::machine().fail("group_multiply: a bundle without group_fence()");
    emulate::Product product{c, N, a, b, is_added};
    if (emulate::multiplies_late()) thread.open_products.push_back(product);
    else emulate::carry_out(product);
}
