// Attention for heads of up to 16 numbers; a source for each size, since compiling all takes ten seconds and a model needs one.
#include "attention.cuh"

ATTENTION(16, 4, 3)
