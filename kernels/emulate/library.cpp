// The emulated GPU as a library that a test builds and loads:
//
//     g++ -O3 -std=c++20 -DESPARSA_EMULATE -Wno-unknown-pragmas -shared -fPIC \
//         kernels/emulate/library.cpp -o libkernels.so
//
// Kernels are found by name; the functions below are the rest of the GPU.
#include "emulate.h"

#include "../attention_128.cu"
#include "../attention_16.cu"
#include "../attention_256.cu"
#include "../attention_32.cu"
#include "../attention_64.cu"
#include "../attention_96.cu"
#include "../late.cu"
#include "../nearest.cu"
#include "../pool.cu"
#include "../product.cu"
#include "../product_hopper.cu"
#include "../product_split_hopper.cu"
#include "../rows.cu"
#include "../sparsify.cu"
#include "../splade.cu"
#include "../splade_hopper.cu"

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
    SIZE_OF(LateParameters)
    SIZE_OF(SpladeParameters)
    SIZE_OF(SpladeHopperParameters)
    SIZE_OF(SparsifyParameters)
    SIZE_OF(TopKParameters)
    SIZE_OF(NearestParameters)
#undef SIZE_OF
    return 0;
}
}
