// What the primitives have in common: addresses in shared memory, and the places of accesses.
#pragma once

#include "device.h"
#include "machine.h"

namespace emulate {

/// The offset of a shared address, checked.
inline size_t offset_of(u32 address, size_t bytes) {
    Machine& own = machine();
    size_t offset = size_t(address) - SHARED_BASE, all = own.block().shared.bytes();
    if (address < SHARED_BASE || offset + bytes > all) own.fail("shared memory: an address beyond the " + std::to_string(all) + " bytes of the block: " + std::to_string(offset));
    return offset;
}
inline char* at_shared(u32 address, size_t bytes) { return now.shared + offset_of(address, bytes); }

/// Records an access of the running thread to shared or global memory.
inline void touch(Access access, const void* address, unsigned bytes, const char* file, int line) {
    if (!now.followed_bytes) return;
    Machine& own = machine();
    Order& order = own.order();
    size_t offset = size_t(static_cast<const char*>(address) - now.shared);
    bool is_shared = offset < now.followed_bytes;
    Place place = place_of(file, line);
    if (is_shared) order.touch(own.number(), access, offset, bytes, place);
    if (order.is_counting()) order.count(is_shared, own.number(), is_shared ? offset : uint64_t(address), bytes, place);
}

}  // namespace emulate
