// Warpgroups of the emulated Hopper: their instructions, registers and products. Products decode
// their descriptors and read shared memory accordingly.
//
// The lanes of a warp meet at each instruction. The warps of a warpgroup do not wait for each
// other, as on the GPU, but must execute the same instructions with the same arguments.
#include "hopper_state.h"

namespace emulate {

/// In the registers of unfinished products: a NaN that no kernel computes.
constexpr u32 IN_FLIGHT = 0x7fd1e5a7;

/// Copies and products are delayed independently of each other.
static bool multiplies_late() { return ((machine().schedule().number >> 1) ^ machine().schedule().number) & 1; }

/// Every lane of a warp, and every warp of its warpgroup, must execute the same instruction; `last`
/// is called by the warp's last lane.
template <class Last>
static void execute(Instruction instruction, void* own_argument, Last last) {
    struct Argument {
        Instruction instruction;
        void* own;
    } argument{instruction, own_argument};
    Machine& own = machine();
    own.meet(instruction.what, &argument, [&](Arguments& all) {
        auto is_same = [](const Instruction& x, const Instruction& y) { return std::strcmp(x.what, y.what) == 0 && std::memcmp(x.arguments, y.arguments, sizeof(x.arguments)) == 0; };
        unsigned number = machine().current().warp();
        for (void* each : all)
            if (machine().has(WARPGROUPS) && !is_same(static_cast<Argument*>(each)->instruction, instruction))
                machine().fail(std::string("warpgroup: the lanes of warp ") + std::to_string(number) + " do not do the same " + instruction.what);
        WarpState& warp = hopper().warps[number];
        Warpgroup& group = hopper().groups[number / 4];
        if (machine().has(WARPGROUPS)) {
            if (machine().threads() % WARPGROUP) machine().fail("warpgroup: a block that does not consist of whole warpgroups");
            u64 index = warp.executed++ - group.first;
            if (index == group.instructions.size()) group.instructions.push_back(instruction);
            const Instruction& expected = group.instructions[index];
            if (!is_same(expected, instruction))
                machine().fail(std::string("warpgroup: warp ") + std::to_string(number) + " does " + instruction.what + " where another warp of its warpgroup does " + expected.what +
                               (std::strcmp(expected.what, instruction.what) ? "" : " with other arguments"));
            u64 executed_by_all = warp.executed;
            for (unsigned other = number / 4 * 4; other < number / 4 * 4 + 4; other++) executed_by_all = std::min(executed_by_all, hopper().warps[other].executed);
            for (; group.first < executed_by_all; group.first++) group.instructions.pop_front();
        }
        void* arguments[WARP];
        for (unsigned lane = 0; lane < all.size(); lane++) arguments[lane] = static_cast<Argument*>(all[lane])->own;
        last(warp, arguments);
    });
}

std::string check_end(Block& block) {
    Hopper& state = *static_cast<Hopper*>(block.extension.get());
    for (const auto& [thread, stores] : state.stores)
        if (!stores.groups.empty() || stores.is_open) return "thread " + std::to_string(thread) + " ends before its tensor stores have read shared memory";
    for (unsigned number = 0; number < state.warps.size(); number++) {
        const WarpState& warp = state.warps[number];
        if (!warp.groups.empty() || !warp.kept.empty()) return "warp " + std::to_string(number) + " ends before its products";
        const Warpgroup& group = state.groups[number / 4];
        if (!group.instructions.empty() && machine().has(WARPGROUPS))
            return std::string("warpgroup: not every warp of warpgroup ") + std::to_string(number / 4) + " has done " + group.instructions.front().what;
    }
    return "";
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

    /// The address of eight elements of a row, the first or the second.
    u32 address(u32 row, u32 half) const {
        u32 address = start + row / 8 * stride + row % 8 * row_bytes + half * (row_bytes == 16 ? leading : 16);
        u32 bits = row_bytes / 16 - 1;  // how many of the address bits 7, 8 and 9 take part
        return address ^ (address >> 7 & bits) << 4;
    }

    /// Calls load(row, element, value) for 16 elements of each row.
    template <class Load>
    void load(u32 first, u32 rows, Load load) const {
        for (u32 row = 0; row < rows; row++)
            for (u32 half = 0; half < 2; half++) {
                bf16 eight[8];
                std::memcpy(eight, at_shared(address(first + row, half), 16), 16);
                for (u32 i = 0; i < 8; i++) load(row, half * 8 + i, to_float(eight[i]));
            }
    }

    void record(u32 first, u32 rows, const WarpState& warp, Place place) const {
        Machine& own = machine();
        for (u32 row = 0; row < rows; row++)
            for (u32 half = 0; half < 2; half++)
                own.order().read_async(own.number() / WARP * WARP, WARP, warp.agent, warp.committed + 1, offset_of(address(first + row, half), 16), 16, place);
    }
};

static void carry_out(WarpState& warp, const Product& product, unsigned number) {
    Kept& kept = warp.kept[product.sums - warp.first_kept];
    float a[16][16];
    Operand(product.a).load(number % 4 * 16, 16, [&](u32 row, u32 depth, float value) { a[row][depth] = value; });
    static thread_local std::vector<float> b(16 * 256);
    float* __restrict columns = b.data();
    Operand(product.b).load(0, kept.columns, [&](u32 row, u32 depth, float value) { columns[depth * 256 + row] = value; });
    float* __restrict sums = kept.values.data();
    if (!product.is_added) std::fill(kept.values.begin(), kept.values.end(), 0.0f);
    for (u32 row = 0; row < 16; row++, sums += kept.columns)
        for (u32 depth = 0; depth < 16; depth++)
            for (u32 column = 0; column < kept.columns; column++) sums[column] += a[row][depth] * columns[depth * 256 + column];
}

/// Calls what(register, value) for each accumulator of a warp.
template <class What>
static void for_each_accumulator(Kept& kept, What what) {
    for (unsigned lane = 0; lane < WARP; lane++)
        for (unsigned i = 0; i < kept.columns / 2; i++) {
            unsigned row = lane / 4 + i / 2 % 2 * 8, column = i / 4 * 8 + lane % 4 * 2 + i % 2;
            what(kept.of_lane[lane][i], kept.values[row * kept.columns + column]);
        }
}

static void check_in_flight(Kept& kept) {
    if (!machine().has(ACCUMULATORS)) return;
    for_each_accumulator(kept, [](float& own, float) {
        if (bits_of(own) != IN_FLIGHT) machine().fail("accumulators: a thread wrote to registers that belong to a product in flight");
    });
}

/// The accumulators of a product: those of an earlier one in flight, or they are taken now.
static size_t take_accumulators(WarpState& warp, float** of_lane, unsigned columns) {
    for (size_t i = 0; i < warp.kept.size(); i++) {
        Kept& kept = warp.kept[i];
        if (kept.of_lane[0] != of_lane[0]) continue;
        if (kept.columns != columns) machine().fail("accumulators: products of different widths share registers");
        check_in_flight(kept);
        kept.last_group = warp.committed + 1;
        return warp.first_kept + i;
    }
    Kept kept{{}, columns, warp.committed + 1, std::vector<float>(16 * columns)};
    std::copy_n(of_lane, WARP, kept.of_lane);
    for_each_accumulator(kept, [](float& own, float& value) {
        value = own;
        if (machine().has(ACCUMULATORS)) own = float_of(IN_FLIGHT);
    });
    warp.kept.push_back(std::move(kept));
    return warp.first_kept + warp.kept.size() - 1;
}

static void end_groups(WarpState& warp, unsigned number, size_t left) {
    while (warp.groups.size() > left) {
        for (const Product& product : warp.groups.front()) carry_out(warp, product, number);
        warp.groups.pop_front();
        warp.done++;
    }
    for (Kept& kept : warp.kept) {
        if (kept.last_group > warp.done || kept.columns == 0) continue;
        check_in_flight(kept);
        for_each_accumulator(kept, [](float& own, float& value) { own = value; });
        kept.columns = 0, kept.of_lane[0] = nullptr;
    }
    while (!warp.kept.empty() && warp.kept.front().columns == 0) warp.kept.pop_front(), warp.first_kept++;
}

void increase_registers(unsigned count, const char* file, int line) {
    execute({"increase_registers", {count}}, nullptr, [](WarpState&, void**) {});
    Machine& own = machine();
    WarpState& warp = hopper().warps[own.current().warp()];
    if (!own.has(WARPGROUPS)) return;
    if (count < warp.registers) own.fail("warpgroup: increase_registers to fewer than the warp has");
    // The first lane that finds enough takes them for its warp.
    while (warp.registers != count) {
        i64 more = i64(count - warp.registers) * WARP;
        if (more > hopper().free_registers) {
            own.wait(hopper().registers_waiters, "increase_registers, for which there are too few registers", line);
            continue;
        }
        hopper().free_registers -= more, warp.registers = count;
        own.wake(hopper().registers_waiters);
    }
}

void decrease_registers(unsigned count, const char* file, int line) {
    if (!machine().counts(file, line, "decrease_registers")) return;
    execute({"decrease_registers", {count}}, nullptr, [&](WarpState& warp, void**) {
        if (count > warp.registers) machine().fail("warpgroup: decrease_registers to more than the warp has");
        hopper().free_registers += i64(warp.registers - count) * WARP, warp.registers = count;
        machine().wake(hopper().registers_waiters);
    });
}

void group_wait(int left, const char* file, int line) {
    Machine& own = machine();
    if (!own.counts(file, line, "group_wait")) return;
    unsigned number = own.current().warp();
    execute({"group_wait", {u64(left)}}, nullptr, [&](WarpState& warp, void**) { end_groups(warp, number, size_t(left)); });
    WarpState& warp = hopper().warps[number];
    own.order().learn(own.number(), warp.agent, warp.done);
}

void group_multiply(float* c, unsigned columns, u64 a, u64 b, bool is_added, const char* file, int line) {
    Machine& own = machine();
    unsigned number = own.current().warp();
    execute({"group_multiply", {a, b, columns << 1 | is_added}}, c, [&](WarpState& warp, void** arguments) {
        if (!warp.has_fence) machine().fail("group_multiply: a group without group_fence()");
        if (!warp.agent) warp.agent = machine().order().new_agent();
        float* of_lane[WARP];
        for (unsigned lane = 0; lane < WARP; lane++) of_lane[lane] = static_cast<float*>(arguments[lane]);
        if (machine().order().follows()) {
            Place place = place_of(file, line);
            Operand(a).record(number % 4 * 16, 16, warp, place);
            Operand(b).record(0, columns, warp, place);
        }
        Product product{take_accumulators(warp, of_lane, columns), a, b, is_added};
        if (multiplies_late()) warp.open.push_back(product);
        else carry_out(warp, product, number);
    });
}

}  // namespace emulate

using namespace emulate;

void group_fence(const char* file, int line) {
    if (!machine().counts(file, line, "group_fence")) return;
    execute({"group_fence", {}}, nullptr, [](WarpState& warp, void**) { warp.has_fence = true; });
}
void group_commit(const char*, int) {
    execute({"group_commit", {}}, nullptr, [](WarpState& warp, void**) {
        warp.groups.push_back(std::move(warp.open));
        warp.open.clear();
        warp.committed++;
        warp.has_fence = false;
    });
}
