// The calls that g++ -fsanitize=thread adds to the kernels at each access to memory. The sanitizer's
// own library is not linked: it knows neither fibers nor warps.
#include "warp.h"

using namespace emulate;

static void record(Access access, const void* address, unsigned bytes, const void* instruction) {
    Machine& own = machine();
    Order& order = own.order();
    size_t offset = size_t(static_cast<const char*>(address) - now.shared);
    bool is_shared = offset < now.followed_bytes;
    Place place = place_of(instruction);
    if (is_shared) order.touch(own.number(), access, offset, bytes, place);
    if (order.is_counting() && (is_shared || memory().has(address))) order.count(is_shared, own.number(), is_shared ? offset : uint64_t(address), bytes, place);
}

/// Most accesses are to a thread's own stack, and no rule may be on.
static inline void watch(Access access, const void* address, size_t bytes, const void* instruction) {
    size_t offset = size_t(static_cast<const char*>(address) - now.shared);
    if (offset < now.followed_bytes || now.counts_sectors) record(access, address, unsigned(bytes), instruction);
}

#define WATCH(bytes)                                                                                        \
    void __tsan_read##bytes(void* address) { watch(READ, address, bytes, __builtin_return_address(0)); }      \
    void __tsan_write##bytes(void* address) { watch(WRITE, address, bytes, __builtin_return_address(0)); }    \
    void __tsan_unaligned_read##bytes(void* address) { watch(READ, address, bytes, __builtin_return_address(0)); } \
    void __tsan_unaligned_write##bytes(void* address) { watch(WRITE, address, bytes, __builtin_return_address(0)); }

extern "C" {
WATCH(1)
WATCH(2)
WATCH(4)
WATCH(8)
WATCH(16)
void __tsan_read_range(void* address, size_t bytes) { watch(READ, address, bytes, __builtin_return_address(0)); }
void __tsan_write_range(void* address, size_t bytes) { watch(WRITE, address, bytes, __builtin_return_address(0)); }
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_init() {}
}
