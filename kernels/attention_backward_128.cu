// The gradient of attention for head sizes up to 128. Each size has its own source: compiling all
// takes long, and a model needs one.
#include "attention_backward.cuh"

ATTENTION_BACKWARD(128, 2)
