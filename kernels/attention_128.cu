// Attention for head sizes up to 128. Each size has its own source: compiling all takes ten
// seconds, and a model needs one.
#include "attention.cuh"

ATTENTION(128, 3, 2)
