// Attention for head sizes up to 32. Each size has its own source: compiling all takes ten seconds,
// and a model needs one.
#include "attention.cuh"

ATTENTION(32, 4, 3)
