/* Keeps the times at which the process looks at the monotonic clock.
 *
 * bmp takes the time of each query of a batch and prints only the mean, in whole microseconds. Loaded before it with
 * LD_PRELOAD, this library answers in place of the system's clock_gettime and writes every answer down between
 * clock_log_start and clock_log_stop. A reading costs a few nanoseconds more.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

static int (*system_clock)(clockid_t, struct timespec *);
static uint64_t *log_of_readings;
static size_t capacity, used;

int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (!system_clock)
        system_clock = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = system_clock(clock, now);
    if (clock == CLOCK_MONOTONIC && log_of_readings && used < capacity)
        log_of_readings[used++] = (uint64_t)now->tv_sec * 1000000000u + (uint64_t)now->tv_nsec;
    return result;
}

/* Writes readings, in nanoseconds, to a buffer with room for so many. */
void clock_log_start(uint64_t *buffer, size_t room)
{
    used = 0;
    capacity = room;
    log_of_readings = buffer;
}

/* Ends that; the number of readings written. */
size_t clock_log_stop(void)
{
    log_of_readings = NULL;
    return used;
}
