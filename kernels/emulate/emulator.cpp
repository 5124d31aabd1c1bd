// The emulator itself in one piece, which compiles faster than each part alone. The kernels
// (kernels.cpp) are compiled with a call at each access to memory, this is not.
#include "copies.cpp"
#include "device.cpp"
#include "library.cpp"
#include "machine.cpp"
#include "order.cpp"
#include "places.cpp"
#include "warpgroups.cpp"
#include "watch.cpp"
