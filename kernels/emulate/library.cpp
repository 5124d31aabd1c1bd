// The emulated GPU as a library that tests build and load (src/backend/cuda/emulator.rs). Kernels
// are found by name; the functions below are the rest of the GPU.
#include "../parameters.cuh"
#include "machine.h"

namespace emulate {

/// Runs a kernel; returns an error message, empty on success.
static std::string try_launch(Kernel kernel, Dim3 grid, unsigned threads, size_t shared_bytes, const void* parameters, uint64_t schedule) {
    if (threads == 0 || threads > 1024) return "a block of " + std::to_string(threads) + " threads: expected 1 to 1024";
    if (shared_bytes > SharedMemory::MAX_BYTES - 1024) return "a block with " + std::to_string(shared_bytes) + " bytes of shared memory: expected 227 KiB at most";
    if (grid.y > 65535 || grid.z > 65535) return "a grid of more than 65,535 blocks in y or z";
    Faults::watch();
    Faults::Clock clock;
    Faults::has_timed_out = false;
    sigjmp_buf back;
    if (sigsetjmp(back, 1)) {
        Faults::back = nullptr;
        Dim3 block = now.block;
        char message[160];
        if (Faults::has_timed_out) {
            std::snprintf(message, sizeof message, "no end after %d seconds, in thread %u of block (%u, %u, %u)", Faults::SECONDS, now.thread.x, block.x, block.y, block.z);
            return message;
        }
        std::snprintf(message, sizeof message, "memory that is not the kernel's was touched at %p, by thread %u of block (%u, %u, %u)", Faults::touched, now.thread.x, block.x, block.y, block.z);
        return message;
    }
    Faults::back = &back;
    std::string message;
    try {
        machine().launch(kernel, grid, threads, shared_bytes, parameters, schedule);
    } catch (const Failure& failure) {
        message = failure.message;
    }
    Faults::back = nullptr;
    return message;
}

}  // namespace emulate

extern "C" {

/// Runs a kernel; returns 0, or 1 with a null-terminated message of at most `message_bytes`.
int emulate_launch(emulate::Kernel kernel, const u32* grid, u32 threads, u64 shared_bytes, const void* parameters, u64 schedule, char* message, u64 message_bytes) {
    std::string failure = emulate::try_launch(kernel, {grid[0], grid[1], grid[2]}, threads, shared_bytes, parameters, schedule);
    if (failure.empty()) return 0;
    std::snprintf(message, message_bytes, "%s", failure.c_str());
    return 1;
}

void* emulate_allocate(u64 bytes) { return emulate::memory().allocate(bytes); }
/// Returns 0 if this was not an allocation.
int emulate_free(void* start) { return emulate::memory().free(start); }

/// Disables the barrier or wait at this place, for launches from the calling thread; an empty file
/// enables it again.
void emulate_ignore(const char* file, int line, const char* kind) { emulate::machine().ignore(file, line, kind); }

/// Lines `file line kind passes` of the barriers and waits that launches from the calling thread
/// have reached since the last call; returns the size of all lines.
u64 emulate_sites(char* text, u64 text_bytes) {
    std::string lines;
    for (const auto& site : emulate::machine().sites()) lines += site.file + " " + std::to_string(site.line) + " " + site.kind + " " + std::to_string(site.passed) + "\n";
    if (lines.size() < text_bytes) {
        std::memcpy(text, lines.c_str(), lines.size() + 1);
        emulate::machine().forget_sites();
    }
    return lines.size();
}

/// Which rules launches of the calling thread are checked by: a sum of `Rule`s.
void emulate_rules(u32 rules) { emulate::machine().set_rules(rules); }

/// Lines `place is_shared accesses least actual worst` of the accesses of warps since the last call;
/// returns the size of all lines.
u64 emulate_traffic(char* text, u64 text_bytes) {
    std::string lines;
    for (const auto& traffic : emulate::machine().traffic()) {
        lines += emulate::describe(traffic.place) + ' ' + std::to_string(traffic.is_shared);
        for (u64 number : {traffic.accesses, traffic.least, traffic.actual, traffic.worst}) lines += " " + std::to_string(number);
        lines += "\n";
    }
    if (lines.size() < text_bytes) {
        std::memcpy(text, lines.c_str(), lines.size() + 1);
        emulate::machine().traffic().clear();
    }
    return lines.size();
}

/// The size of a structure of parameters.cuh, 0 if there is none of that name.
u64 emulate_size_of(const char* structure) {
#define SIZE_OF(name) \
    if (std::strcmp(structure, #name) == 0) return sizeof(name);
    SIZE_OF(EmbedParameters)
    SIZE_OF(RowsParameters)
    SIZE_OF(ConvertParameters)
    SIZE_OF(L2NormalizeParameters)
    SIZE_OF(PoolParameters)
    SIZE_OF(Im2colParameters)
    SIZE_OF(HeadsParameters)
    SIZE_OF(ProductParameters)
    SIZE_OF(ProductHopperParameters)
    SIZE_OF(ProductSplitParameters)
    SIZE_OF(ProductSumParameters)
    SIZE_OF(AttentionParameters)
    SIZE_OF(CrossAttentionParameters)
    SIZE_OF(LateParameters)
    SIZE_OF(SpladeParameters)
    SIZE_OF(SpladeHopperParameters)
    SIZE_OF(SparsifyParameters)
    SIZE_OF(TopKParameters)
    SIZE_OF(NearestParameters)
    SIZE_OF(ElementsParameters)
    SIZE_OF(NormBackwardParameters)
    SIZE_OF(ColumnSumsParameters)
    SIZE_OF(SumPartsParameters)
    SIZE_OF(L2NormalizeBackwardParameters)
    SIZE_OF(PoolBackwardParameters)
    SIZE_OF(Im2colBackwardParameters)
    SIZE_OF(GatherParameters)
    SIZE_OF(TransposeParameters)
    SIZE_OF(CopyValuesParameters)
    SIZE_OF(AdamWParameters)
    SIZE_OF(SumOfSquaresParameters)
    SIZE_OF(SpladeSlopesParameters)
    SIZE_OF(WeightGradientParameters)
    SIZE_OF(AttentionBackwardParameters)
    SIZE_OF(BucketSlopesParameters)
    SIZE_OF(AddToRowsParameters)
#undef SIZE_OF
    return 0;
}
}
