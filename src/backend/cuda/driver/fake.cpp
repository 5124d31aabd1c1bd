// A driver library without a GPU, for tests of how the real one is called: memory is that of the
// host, work is done at once, and calls without a current context fail as the real ones do. With
// FAKE_STUB it is the stub of the toolkit; FAKE_PINNED is the limit of pinned memory in bytes;
// FAKE_PARAMETERS is the size of every kernel's parameters.
#include <cstdlib>
#include <cstring>

typedef unsigned long long u64;
enum { SUCCESS = 0, OUT_OF_MEMORY = 2, STUB_LIBRARY = 34, INVALID_CONTEXT = 201 };
#define API extern "C" int
#define NEEDS_CONTEXT if (!depth || !stack[depth - 1]) return INVALID_CONTEXT

static thread_local void* stack[8];
static thread_local int depth;
static long pinned;

API cuInit(unsigned) { return getenv("FAKE_STUB") ? STUB_LIBRARY : SUCCESS; }
API cuDeviceGetCount(int* count) { *count = 1; return SUCCESS; }
API cuGetErrorName(int, const char** name) { *name = "NAME"; return SUCCESS; }
API cuGetErrorString(int, const char** text) { *text = "text"; return SUCCESS; }

API cuDevicePrimaryCtxRetain(void** context, int) { *context = &pinned; return SUCCESS; }
API cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }
API cuCtxGetCurrent(void** context) { *context = depth ? stack[depth - 1] : nullptr; return SUCCESS; }
API cuCtxSetCurrent(void* context) { if (!depth) depth = 1; stack[depth - 1] = context; return SUCCESS; }
API cuCtxPushCurrent_v2(void* context) { if (depth == 8) return INVALID_CONTEXT; stack[depth++] = context; return SUCCESS; }
API cuCtxPopCurrent_v2(void** context) { NEEDS_CONTEXT; *context = stack[--depth]; return SUCCESS; }

API cuMemAlloc_v2(void** memory, size_t bytes) { NEEDS_CONTEXT; *memory = malloc(bytes); return SUCCESS; }
API cuMemFree_v2(void* memory) { NEEDS_CONTEXT; free(memory); return SUCCESS; }
API cuMemGetInfo_v2(size_t* available, size_t* total) { NEEDS_CONTEXT; *available = 1, *total = 2; return SUCCESS; }
API cuMemHostAlloc(void** memory, size_t bytes, unsigned) {
    NEEDS_CONTEXT;
    const char* limit = getenv("FAKE_PINNED");
    if (limit && pinned + long(bytes) > atol(limit)) return OUT_OF_MEMORY;
    pinned += bytes;
    u64* whole = static_cast<u64*>(malloc(bytes + 64));
    whole[0] = bytes;
    *memory = whole + 8;
    return SUCCESS;
}
API cuMemFreeHost(void* memory) {
    NEEDS_CONTEXT;
    u64* whole = static_cast<u64*>(memory) - 8;
    pinned -= whole[0];
    free(whole);
    return SUCCESS;
}
API cuMemcpyHtoDAsync_v2(void* to, const void* from, size_t bytes, void*) { NEEDS_CONTEXT; memcpy(to, from, bytes); return SUCCESS; }
API cuMemcpyDtoHAsync_v2(void* to, const void* from, size_t bytes, void*) { NEEDS_CONTEXT; memcpy(to, from, bytes); return SUCCESS; }
API cuMemsetD8Async(void* to, unsigned char byte, size_t bytes, void*) { NEEDS_CONTEXT; memset(to, byte, bytes); return SUCCESS; }

API cuStreamCreate(void** stream, unsigned) { NEEDS_CONTEXT; *stream = malloc(1); return SUCCESS; }
API cuStreamSynchronize(void*) { NEEDS_CONTEXT; return SUCCESS; }
API cuStreamDestroy_v2(void* stream) { NEEDS_CONTEXT; free(stream); return SUCCESS; }
API cuEventCreate(void** event, unsigned) { NEEDS_CONTEXT; *event = malloc(1); return SUCCESS; }
API cuEventRecord(void*, void*) { NEEDS_CONTEXT; return SUCCESS; }
API cuEventSynchronize(void*) { NEEDS_CONTEXT; return SUCCESS; }
API cuEventDestroy_v2(void* event) { NEEDS_CONTEXT; free(event); return SUCCESS; }

API cuModuleLoadData(void** module, const void*) { NEEDS_CONTEXT; *module = malloc(1); return SUCCESS; }
API cuModuleUnload(void* module) { NEEDS_CONTEXT; free(module); return SUCCESS; }
API cuModuleGetFunction(void** function, void* module, const char*) { NEEDS_CONTEXT; *function = module; return SUCCESS; }
API cuFuncGetAttribute(int* value, int, void*) { NEEDS_CONTEXT; *value = 1024; return SUCCESS; }
API cuFuncSetAttribute(void*, int, int) { NEEDS_CONTEXT; return SUCCESS; }
API cuFuncGetParamInfo(void*, size_t, size_t* offset, size_t* bytes) {
    NEEDS_CONTEXT;
    *offset = 0, *bytes = atol(getenv("FAKE_PARAMETERS"));
    return SUCCESS;
}
API cuLaunchKernel(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**) { NEEDS_CONTEXT; return SUCCESS; }
