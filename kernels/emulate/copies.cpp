// Barriers in shared memory, tensor copies and matrix stores of the emulated Hopper: copies apply
// the swizzle to addresses as the GPU does, so that a wrong address, stride or mode gives wrong
// values.
#include "hopper_state.h"

namespace emulate {

constexpr u32 BARRIER_MARK = 0x2ab5a77e;
/// A barrier counts at most this many bytes.
constexpr i64 MAX_BARRIER_BYTES = (1 << 20) - 1;

static Barrier& barrier_at(u32 address, bool is_copy, const char* file, int line) {
    Machine& own = machine();
    if (address % 8) own.fail("a barrier at an address that is no multiple of 8");
    u32 words[2];
    std::memcpy(words, at_shared(address, 8), 8);
    auto& barriers = hopper().barriers;
    if (words[1] != BARRIER_MARK || words[0] >= barriers.size() || barriers[words[0]].address != address) own.fail("a barrier is used that was never made");
    if (own.order().follows()) own.order().use_barrier(own.number(), address - SHARED_BASE, is_copy, place_of(file, line));
    return barriers[words[0]];
}

static void end_phase_if_all_came(Barrier& barrier) {
    if (barrier.pending != 0 || barrier.bytes != 0) return;
    barrier.ended++;
    barrier.pending = barrier.count;
    barrier.of_phase = barrier.gathered;
    machine().wake(barrier.waiters);
}

static void add_bytes(Barrier& barrier, i64 bytes) {
    barrier.bytes += bytes;
    if (barrier.bytes > MAX_BARRIER_BYTES || barrier.bytes < -MAX_BARRIER_BYTES) machine().fail("phase: a barrier counts more than 2^20 - 1 bytes");
}

static void arrive(Barrier& barrier) {
    Machine& own = machine();
    if (barrier.pending == 0) own.fail("more arrivals at a barrier than it was made for");
    own.order().release(own.number(), barrier.gathered);
    barrier.pending--;
    end_phase_if_all_came(barrier);
}

/// The GPU XORs bits 4 to 6 of the address with bits 7 to 9.
static u32 swizzle_128(u32 address) { return address ^ ((address >> 7 & 7) << 4); }

static void check_box(const BoxCopy& copy) {
    Machine& own = machine();
    const Matrix& matrix = copy.matrix;
    if (copy.shared % 1024) own.fail("a tensor copy's shared memory begins at no multiple of 1,024");
    bool has_shape = matrix.columns >= 1 && matrix.rows >= 1 && matrix.box_columns == 64 && matrix.box_rows >= 1 && matrix.box_rows <= 256;
    if (!has_shape || matrix.address % 16 || matrix.stride_bytes % 16 || matrix.stride_bytes < matrix.columns * 2)
        own.fail("a tensor map that the driver would not encode, or one that is not 64 columns wide");
    at_shared(copy.shared, matrix.box_bytes());
}

/// Calls what(shared memory, column, row) for each element of a box.
template <class What>
static void for_each_number(const BoxCopy& copy, What what) {
    for (u32 row = 0; row < copy.matrix.box_rows; row++)
        for (u32 column = 0; column < copy.matrix.box_columns; column++) {
            u32 address = swizzle_128(copy.shared + row * 128 + column * 2 / 16 * 16) + column * 2 % 16;
            what(reinterpret_cast<bf16*>(now.shared + (address - SHARED_BASE)), i64(copy.x) + column, i64(copy.y) + row);
        }
}

static void complete_load(const BoxCopy& copy) {
    for_each_number(copy, [&](bf16* shared, i64 column, i64 row) { *shared = copy.matrix.has(column, row) ? *copy.matrix.at(column, row) : bf16{0}; });
    for (Barrier& barrier : hopper().barriers) {
        if (barrier.address != copy.barrier) continue;
        add_bytes(barrier, -i64(copy.matrix.box_bytes()));
        end_phase_if_all_came(barrier);
    }
}

static void complete_store(const BoxCopy& copy) {
    for_each_number(copy, [&](bf16* shared, i64 column, i64 row) {
        if (copy.matrix.has(column, row)) *copy.matrix.at(column, row) = *shared;
    });
}

Hopper::Hopper() {
    Block& block = machine().block();
    block.ends = check_end;
    unsigned threads = unsigned(block.threads.size());
    warps.resize((threads + WARP - 1) / WARP);
    groups.resize((threads + WARPGROUP - 1) / WARPGROUP);
    unsigned each = 65536 / threads / 8 * 8;
    for (WarpState& warp : warps) warp.registers = each < 255 ? each : 255;
}

}  // namespace emulate

using namespace emulate;

void barrier_init(u32 barrier, u32 count, const char* file, int line) {
    Machine& own = machine();
    auto& barriers = hopper().barriers;
    u32 words[2] = {u32(barriers.size()), BARRIER_MARK};
    std::memcpy(at_shared(barrier, 8), words, 8);
    Barrier made;
    made.address = barrier, made.pending = made.count = count, made.copies = own.order().new_agent();
    barriers.push_back(made);
    own.order().begin_barrier(own.number(), barrier - SHARED_BASE, place_of(file, line));
}
void barriers_fence(const char* file, int line) {
    Machine& own = machine();
    if (own.counts(file, line, "barriers_fence")) own.order().fence(own.number());
}
void barrier_arrive(u32 barrier, const char* file, int line) { arrive(barrier_at(barrier, false, file, line)); }
void barrier_expect(u32 barrier, u32 bytes, const char* file, int line) {
    Barrier& at = barrier_at(barrier, false, file, line);
    add_bytes(at, bytes);
    arrive(at);
}
/// The GPU compares parities only; the phase that has just ended, or the current one, is meant.
static bool has_ended(const Barrier& barrier, int phase, const char* file, int line) {
    Machine& own = machine();
    i64 ended = barrier.ended;
    if (own.has(PHASES) && phase != ended && phase != ended - 1)
        own.fail("phase: a wait for phase " + std::to_string(phase) + " of a barrier of which " + std::to_string(ended) + " have ended, at " + describe(place_of(file, line)));
    return (ended & 1) != (phase & 1);
}
void barrier_wait(u32 barrier, int phase, const char* file, int line) {
    Machine& own = machine();
    u32 number = u32(&barrier_at(barrier, false, file, line) - hopper().barriers.data());
    auto at = [&]() -> Barrier& { return hopper().barriers[number]; };
    if (!own.counts(file, line, "barrier_wait")) return;
    while (!has_ended(at(), phase, file, line)) {
        auto& copies = hopper().copies;
        size_t copy = 0;
        while (copy < copies.size() && copies[copy].barrier != barrier) copy++;
        if (copy == copies.size()) {
            own.wait(at().waiters, file, line);
            continue;
        }
        BoxCopy arrived = copies[copy];
        copies.erase(copies.begin() + i64(copy));
        complete_load(arrived);
    }
    own.order().acquire(own.number(), at().of_phase);
    own.order().learn(own.number(), at().copies, at().ended);
}
/// No site, because results do not depend on it: neither does the order, so the thread learns nothing
/// of those who have arrived.
void barrier_pace(u32 barrier, int phase, const char* file, int line) {
    u32 number = u32(&barrier_at(barrier, false, file, line) - hopper().barriers.data());
    while (!has_ended(hopper().barriers[number], phase, file, line)) machine().wait(hopper().barriers[number].waiters, file, line);
}

void tensor_copy(u32 to, const TensorMap* map, int x, int y, u32 barrier, const char* file, int line) {
    Machine& own = machine();
    BoxCopy copy{Matrix(map), x, y, to, barrier};
    check_box(copy);
    Barrier& at = barrier_at(barrier, true, file, line);
    own.order().write_async(own.number(), at.copies, at.ended + 1, to - SHARED_BASE, copy.matrix.box_bytes(), place_of(file, line));
    if (!own.schedule().is_late()) return complete_load(copy);
    hopper().copies.push_back(copy);
    own.wake(at.waiters);
}

static Stores& own_stores() {
    Machine& own = machine();
    auto [place, is_new] = hopper().stores.try_emplace(own.number());
    if (is_new) place->second.agent = own.order().new_agent();
    return place->second;
}

void tensor_store(const TensorMap* map, int x, int y, u32 from, const char* file, int line) {
    Machine& own = machine();
    BoxCopy copy{Matrix(map), x, y, from, 0};
    check_box(copy);
    Stores& stores = own_stores();
    own.order().read_async(own.number(), 1, stores.agent, stores.committed + 1, from - SHARED_BASE, copy.matrix.box_bytes(), place_of(file, line));
    stores.is_open = true;
    if (own.schedule().is_late()) stores.open.push_back(copy);
    else complete_store(copy);
}
void tensor_store_commit() {
    Stores& stores = own_stores();
    stores.groups.push_back(std::move(stores.open));
    stores.open.clear();
    stores.is_open = false;
    stores.committed++;
}
void emulate::tensor_store_wait(int left, const char* file, int line) {
    Machine& own = machine();
    if (!own.counts(file, line, "tensor_store_wait")) return;
    Stores& stores = own_stores();
    while (stores.groups.size() > size_t(left)) {
        for (const auto& copy : stores.groups.front()) complete_store(copy);
        stores.groups.pop_front();
        stores.done++;
    }
    own.order().learn(own.number(), stores.agent, stores.done);
}
void shared_fence(const char* file, int line) {
    Machine& own = machine();
    if (own.counts(file, line, "shared_fence")) own.order().fence(own.number());
}

void store_matrices(u32 address, const u32 (&r)[4], const char* file, int line) {
    struct Argument {
        size_t row;
        const u32* r;
    } argument{offset_of(address, 16), r};
    Machine& own = machine();
    if (address % 16) own.fail("store_matrices: an address that is no multiple of 16");
    Place place = now.followed_bytes ? place_of(file, line) : 0;
    // The rows whose addresses the lanes give decide which banks are used, but every lane writes to
    // four of them.
    if (now.followed_bytes && own.order().is_counting()) own.order().count(true, own.number(), argument.row, 16, place);
    own.meet("store_matrices", &argument, [&](Arguments& all) {
        unsigned warp = own.current().warp();
        own.order().join_warp(warp);
        for (unsigned matrix = 0; matrix < 4; matrix++)
            for (unsigned lane = 0; lane < WARP; lane++) {
                size_t to = static_cast<Argument*>(all[matrix * 8 + lane / 4])->row + lane % 4 * 4;
                own.order().touch(warp * WARP + lane, WRITE, to, 4, place);
                std::memcpy(now.shared + to, &static_cast<Argument*>(all[lane])->r[matrix], 4);
            }
    });
}
