// Places in the sources as numbers: an interned file and line, or the offset of an instruction in
// this library, which the test resolves by the debug information.
#include <dlfcn.h>

#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "order.h"

namespace emulate {

constexpr Place IS_INTERNED = Place(1) << 31;

static std::mutex mutex;
static std::vector<std::pair<const char*, int>> interned;

static const char* library() {
    static const char* base = [] {
        Dl_info info;
        return dladdr(reinterpret_cast<const void*>(&describe), &info) ? static_cast<const char*>(info.dli_fbase) : nullptr;
    }();
    return base;
}

Place place_of(const char* file, int line) {
    struct Recent {
        const char* file;
        int line;
        Place place;
    };
    // On the heap: thread-local memory of this library must be small (now.h).
    static thread_local std::vector<Recent> recent(256);
    Recent& own = recent[unsigned(line) % 256];
    if (own.file == file && own.line == line) return own.place;
    std::lock_guard<std::mutex> guard(mutex);
    size_t number = 0;
    while (number < interned.size() && interned[number] != std::pair(file, line)) number++;
    if (number == interned.size()) interned.emplace_back(file, line);
    own = {file, line, Place(number) | IS_INTERNED};
    return own.place;
}

// The call returns to the instruction after it.
Place place_of(const void* instruction) { return Place(static_cast<const char*>(instruction) - library() - 1); }

std::string describe(Place place) {
    if (!(place & IS_INTERNED)) {
        char text[24];
        std::snprintf(text, sizeof text, "<0x%x>", place);
        return text;
    }
    std::lock_guard<std::mutex> guard(mutex);
    auto [file, line] = interned[place & ~IS_INTERNED];
    std::string name = file;
    return name.substr(name.rfind('/') + 1) + ":" + std::to_string(line);
}

}  // namespace emulate
