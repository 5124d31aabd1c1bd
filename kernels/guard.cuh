// Waits that always end.
//
// In a guard build (GUARD is defined) a wait at a barrier that never ends stops the kernel with an
// error of the launch. Without guards it would hang the GPU, and nobody would learn of which kernel.
#pragma once

#ifdef GUARD
/// Tries before a wait counts as endless. One takes tens of cycles, so all take a second or more;
/// waits of correct kernels take less than a millisecond.
constexpr unsigned GUARD_TRIES = 1u << 26;

/// Tries until has_ended(), and calls stop() if that is not so after GUARD_TRIES.
template <class HasEnded, class Stop>
DEVICE void wait_guarded(const HasEnded& has_ended, const Stop& stop) {
    for (unsigned tries = 1; !has_ended(); tries++)
        if (tries == GUARD_TRIES) return stop();
}
#endif
