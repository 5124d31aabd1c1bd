// Attention for head sizes up to 16. Each size has its own source: compiling all takes ten seconds,
// and a model needs one.
#include "attention.cuh"

ATTENTION(16, 4, 3)
