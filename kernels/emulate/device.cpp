// The primitives of prelude.cuh. In a collective operation the last lane to arrive does the work
// of all.
#include "warp.h"

using namespace emulate;

void sync_block(const char* file, int line) {
    Machine& own = machine();
    if (own.counts(file, line, "sync_block")) own.barrier(0, own.threads(), file, line);
}
void sync_some(int id, int threads, const char* file, int line) {
    Machine& own = machine();
    if (own.counts(file, line, "sync_some")) own.barrier(unsigned(id), unsigned(threads), file, line);
}

/// Lanes that exchange something also know what the others have done before.
template <class Together>
static void join(const char* what, void* argument, Together together) {
    Machine& own = machine();
    own.meet(what, argument, [&](Arguments& all) {
        own.order().join_warp(own.current().warp());
        together(all);
    });
}

void sync_warp(const char* file, int line) {
    if (machine().counts(file, line, "sync_warp")) join("sync_warp", &line, [](Arguments&) {});
}

u32 shuffle(u32 x, int lane) {
    struct Argument {
        u32 x;
        int lane;
        u32 result;
    } argument{x, lane, x};
    join("shuffle", &argument, [](Arguments& all) {
        for (void* each : all) {
            auto own = static_cast<Argument*>(each);
            own->result = static_cast<Argument*>(all[unsigned(own->lane) % all.size()])->x;
        }
    });
    return argument.result;
}
u32 shuffle_xor(u32 x, int lanes) { return shuffle(x, int(now.thread.x % 32) ^ lanes); }

u32 ballot(bool is) {
    struct Argument {
        bool is;
        u32 result;
    } argument{is, 0};
    join("ballot", &argument, [](Arguments& all) {
        u32 bits = 0;
        for (size_t lane = 0; lane < all.size(); lane++) bits |= u32(static_cast<Argument*>(all[lane])->is) << lane;
        for (void* each : all) static_cast<Argument*>(each)->result = bits;
    });
    return argument.result;
}

template <class Number>
static Number atomic_max_of(Number* to, Number x, const char* file, int line) {
    touch(ATOMIC, to, sizeof(x), file, line);
    Number before = *to;
    if (x > before) *to = x;
    return before;
}
u32 atomic_max(u32* to, u32 x, const char* file, int line) { return atomic_max_of(to, x, file, line); }
u64 atomic_max(u64* to, u64 x, const char* file, int line) { return atomic_max_of(to, x, file, line); }
u32 atomic_add(u32* to, u32 x, const char* file, int line) {
    touch(ATOMIC, to, sizeof(x), file, line);
    return (*to += x) - x;
}
u64 atomic_add(u64* to, u64 x, const char* file, int line) {
    touch(ATOMIC, to, sizeof(x), file, line);
    return (*to += x) - x;
}
u32 atomic_increment(u32* to, u32 last, const char* file, int line) {
    touch(ATOMIC, to, sizeof(*to), file, line);
    u32 before = *to;
    *to = before >= last ? 0 : before + 1;
    return before;
}

Words4 load_16(const void* from, const char* file, int line) {
    if (reinterpret_cast<uintptr_t>(from) % 16) machine().fail("load_16: an address that is no multiple of 16");
    touch(READ, from, 16, file, line);
    Words4 x;
    std::memcpy(&x, from, 16);
    return x;
}

static void complete(const Thread::Copy& copy) {
    std::memcpy(copy.to, copy.from, copy.bytes);
    std::memset(copy.to + copy.bytes, 0, 16 - copy.bytes);
}

void copy_16(u32 to, const void* from, u32 bytes, const char* file, int line) {
    Machine& own = machine();
    // The address must be a multiple of 16 even if nothing is read.
    if (to % 16 || reinterpret_cast<uintptr_t>(from) % 16) own.fail("copy_16: an address that is no multiple of 16");
    if (bytes > 16) own.fail("copy_16: more than 16 bytes");
    Thread::Copy copy{at_shared(to, 16), from, bytes};
    if (now.followed_bytes) {
        Order& order = own.order();
        Place place = place_of(file, line);
        order.begin_copy(own.number(), to - SHARED_BASE, 16, place);
        if (order.is_counting()) {
            order.count(true, own.number(), to - SHARED_BASE, 16, place);
            if (bytes) order.count(false, own.number(), uint64_t(from), bytes, place);
        }
    }
    own.current().open.push_back(copy);
    if (!own.schedule().is_late()) complete(copy);
}
void copy_commit() {
    Thread& thread = machine().current();
    thread.groups.push_back(std::move(thread.open));
    thread.open.clear();
}
void emulate::copy_wait(int left, const char* file, int line) {
    Machine& own = machine();
    if (!own.counts(file, line, "copy_wait")) return;
    Thread& thread = own.current();
    size_t done = thread.groups.size() > size_t(left) ? thread.groups.size() - size_t(left) : 0;
    for (size_t group = 0; group < done; group++)
        for (const auto& copy : thread.groups[group]) {
            if (own.schedule().is_late()) complete(copy);
            own.order().end_copy(thread.number, size_t(copy.to - now.shared), 16);
        }
    thread.groups.erase(thread.groups.begin(), thread.groups.begin() + i64(done));
}

/// Rows of 8 16-bit elements from the addresses that the lanes give; lane l gets elements 2·(l mod
/// 4) and the next of row l / 4, or of column l / 4.
static void load_matrices_of(const char* what, u32 (&r)[4], u32 address, bool is_transposed, const char* file, int line) {
    struct Argument {
        u32* r;
        const char* row;
        bool is_transposed;
    } argument{r, at_shared(address, 16), is_transposed};
    if (address % 16) machine().fail("load_matrices: an address that is no multiple of 16");
    touch(READ, argument.row, 16, file, line);
    machine().meet(what, &argument, [](Arguments& all) {
        u32 results[WARP][4];
        for (unsigned matrix = 0; matrix < 4; matrix++) {
            u16 numbers[8][8];
            for (unsigned row = 0; row < 8; row++) std::memcpy(numbers[row], static_cast<Argument*>(all[matrix * 8 + row])->row, 16);
            bool is_transposed = static_cast<Argument*>(all[0])->is_transposed;
            for (unsigned lane = 0; lane < WARP; lane++) {
                unsigned row = lane / 4, column = lane % 4 * 2;
                u16 low = is_transposed ? numbers[column][row] : numbers[row][column];
                u16 high = is_transposed ? numbers[column + 1][row] : numbers[row][column + 1];
                results[lane][matrix] = u32(low) | u32(high) << 16;
            }
        }
        for (unsigned lane = 0; lane < WARP; lane++) std::memcpy(static_cast<Argument*>(all[lane])->r, results[lane], 16);
    });
}
void load_matrices(u32 (&r)[4], u32 address, const char* file, int line) { load_matrices_of("load_matrices", r, address, false, file, line); }
void load_matrices_transposed(u32 (&r)[4], u32 address, const char* file, int line) { load_matrices_of("load_matrices_transposed", r, address, true, file, line); }

void multiply(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    struct Argument {
        float* c;
        const u32* a;
        u32 b[2];
    } argument{c, a, {b0, b1}};
    machine().meet("multiply", &argument, [](Arguments& all) {
        float a[16][16], b[16][8], sums[16][8];
        for (unsigned lane = 0; lane < 32; lane++) {
            auto own = static_cast<Argument*>(all[lane]);
            unsigned group = lane / 4, pair = lane % 4 * 2;
            for (unsigned part = 0; part < 4; part++) {
                unsigned row = group + part % 2 * 8, column = pair + part / 2 * 8;
                a[row][column] = low_of(own->a[part]), a[row][column + 1] = high_of(own->a[part]);
            }
            for (unsigned part = 0; part < 2; part++) b[pair + part * 8][group] = low_of(own->b[part]), b[pair + part * 8 + 1][group] = high_of(own->b[part]);
            for (unsigned part = 0; part < 4; part++) sums[group + part / 2 * 8][pair + part % 2] = own->c[part];
        }
        for (unsigned row = 0; row < 16; row++)
            for (unsigned depth = 0; depth < 16; depth++)
                for (unsigned column = 0; column < 8; column++) sums[row][column] += a[row][depth] * b[depth][column];
        for (unsigned lane = 0; lane < 32; lane++)
            for (unsigned part = 0; part < 4; part++) static_cast<Argument*>(all[lane])->c[part] = sums[lane / 4 + part / 2 * 8][lane % 4 * 2 + part % 2];
    });
}
