// Attention for head sizes up to 96. Each size has its own source: compiling all takes ten seconds,
// and a model needs one.
#include "attention.cuh"

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ == 1000
ATTENTION(96, 2, 2)  // with three blocks, NVRTC 12.9 spills registers
#else
ATTENTION(96, 3, 2)
#endif
