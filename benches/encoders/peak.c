/* The arithmetic limit of a CPU: products and sums in registers, which wait for no memory, at the rate of the units.

   `peak THREADS` prints one JSON object: for each unit that the CPU has, the floating-point (or integer) operations per second, in
   thousand millions, of one thread and of THREADS threads at once. A product with its sum is two operations. Each figure is the best of ROUNDS. */

#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum { ROUNDS = 5, MOST_THREADS = 1024 };
static const double SECONDS = 0.2;

/* Works for a while and says how many operations that were. */
typedef double (*Work)(void);

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

#if defined(__x86_64__)

/* As many sums as keep two units of four cycles' latency busy, with some to spare. */
enum { SUMS = 12, STEPS = 4096 };

#define FMA_WORK(name, features, vector, lanes, set, fma, store)                                                                         \
    __attribute__((target(features))) static double name(void) {                                                                         \
        vector sums[SUMS], factor = set(0.999f), added = set(0.5f);                                                                      \
        for (int i = 0; i < SUMS; i++) sums[i] = set((float)i);                                                                          \
        for (int step = 0; step < STEPS; step++) {                                                                                       \
            _Pragma("GCC unroll 12") for (int i = 0; i < SUMS; i++) sums[i] = fma(sums[i], factor, added);                               \
        }                                                                                                                                \
        float last[lanes];                                                                                                               \
        for (int i = 0; i < SUMS; i++) {                                                                                                 \
            store(last, sums[i]);                                                                                                        \
            /* Read by nobody, but the compiler cannot know. */                                                                          \
            __asm__ volatile("" : : "r"(last) : "memory");                                                                               \
        }                                                                                                                                \
        return 2.0 * lanes * SUMS * STEPS;                                                                                               \
    }

FMA_WORK(avx2_f32, "avx2,fma", __m256, 8, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_storeu_ps)
FMA_WORK(avx512_f32, "avx512f", __m512, 16, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_storeu_ps)

/* Written as instructions: compilers disagree about the type of vectors of bf16. */
static double avx512_bf16(void) {
    __asm__ volatile(
        "vpxord %%zmm0, %%zmm0, %%zmm0\n\t"
        "vmovdqa64 %%zmm0, %%zmm1\n\t vmovdqa64 %%zmm0, %%zmm2\n\t vmovdqa64 %%zmm0, %%zmm3\n\t vmovdqa64 %%zmm0, %%zmm4\n\t"
        "vmovdqa64 %%zmm0, %%zmm5\n\t vmovdqa64 %%zmm0, %%zmm6\n\t vmovdqa64 %%zmm0, %%zmm7\n\t vmovdqa64 %%zmm0, %%zmm8\n\t"
        "vmovdqa64 %%zmm0, %%zmm9\n\t vmovdqa64 %%zmm0, %%zmm10\n\t vmovdqa64 %%zmm0, %%zmm11\n\t vmovdqa64 %%zmm0, %%zmm12\n\t"
        "mov %0, %%ecx\n\t"
        "1:\n\t"
        "vdpbf16ps %%zmm0, %%zmm0, %%zmm1\n\t vdpbf16ps %%zmm0, %%zmm0, %%zmm2\n\t vdpbf16ps %%zmm0, %%zmm0, %%zmm3\n\t"
        "vdpbf16ps %%zmm0, %%zmm0, %%zmm4\n\t vdpbf16ps %%zmm0, %%zmm0, %%zmm5\n\t vdpbf16ps %%zmm0, %%zmm0, %%zmm6\n\t"
        "vdpbf16ps %%zmm0, %%zmm0, %%zmm7\n\t vdpbf16ps %%zmm0, %%zmm0, %%zmm8\n\t vdpbf16ps %%zmm0, %%zmm0, %%zmm9\n\t"
        "vdpbf16ps %%zmm0, %%zmm0, %%zmm10\n\t vdpbf16ps %%zmm0, %%zmm0, %%zmm11\n\t vdpbf16ps %%zmm0, %%zmm0, %%zmm12\n\t"
        "dec %%ecx\n\t"
        "jnz 1b\n\t"
        "vzeroupper"
        :
        : "i"(STEPS)
        : "ecx", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12");
    return 2.0 * 32 * SUMS * STEPS;
}

/* The shape of all eight tiles: 16 rows of 64 bytes. */
struct tile_shapes {
    uint8_t palette, start_row, reserved[14];
    uint16_t columns[16];
    uint8_t rows[16];
} __attribute__((packed, aligned(64)));

/* Four sums, each of two tiles of rows and two of columns, as a kernel for matrices has them. */
#define TILE_WORK(name, instruction, products)                                                                                            \
    static double name(void) {                                                                                                            \
        struct tile_shapes shapes = {.palette = 1};                                                                                       \
        for (int i = 0; i < 8; i++) {                                                                                                     \
            shapes.columns[i] = 64;                                                                                                       \
            shapes.rows[i] = 16;                                                                                                          \
        }                                                                                                                                 \
        __asm__ volatile("ldtilecfg %0\n\t"                                                                                               \
                         "tilezero %%tmm0\n\t tilezero %%tmm1\n\t tilezero %%tmm2\n\t tilezero %%tmm3\n\t"                                \
                         "tilezero %%tmm4\n\t tilezero %%tmm5\n\t tilezero %%tmm6\n\t tilezero %%tmm7\n\t"                                \
                         "mov %1, %%ecx\n\t"                                                                                              \
                         "1:\n\t" instruction " %%tmm6, %%tmm4, %%tmm0\n\t" instruction " %%tmm7, %%tmm4, %%tmm1\n\t" instruction         \
                         " %%tmm6, %%tmm5, %%tmm2\n\t" instruction " %%tmm7, %%tmm5, %%tmm3\n\t"                                          \
                         "dec %%ecx\n\t"                                                                                                  \
                         "jnz 1b\n\t"                                                                                                     \
                         "tilerelease"                                                                                                    \
                         :                                                                                                                \
                         : "m"(shapes), "i"(STEPS)                                                                                        \
                         : "ecx", "cc", "memory");                                                                                        \
        return 2.0 * 16 * 16 * (products) * 4 * STEPS;                                                                                    \
    }

TILE_WORK(amx_bf16, "tdpbf16ps", 32)
TILE_WORK(amx_int8, "tdpbusd", 64)

/* Whether the kernel of the system lets this process use tiles. */
static int may_use_tiles(void) {
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

static int has(unsigned subleaf, int reg, int bit) {
    unsigned registers[4] = {0};
    if (!__get_cpuid_count(7, subleaf, &registers[0], &registers[1], &registers[2], &registers[3])) return 0;
    return registers[reg] >> bit & 1;
}

static int units(const char **names, Work *works) {
    int count = 0;
    __builtin_cpu_init();
#define UNIT(condition, work)                                                                                                             \
    if (condition) {                                                                                                                      \
        names[count] = #work;                                                                                                             \
        works[count++] = work;                                                                                                            \
    }
    int has_avx512 = __builtin_cpu_supports("avx512f");
    int has_tiles = has(0, 3, 24) && may_use_tiles();
    UNIT(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"), avx2_f32)
    UNIT(has_avx512, avx512_f32)
    UNIT(has_avx512 && has(1, 0, 5), avx512_bf16)
    UNIT(has_tiles && has(0, 3, 22), amx_bf16)
    UNIT(has_tiles && has(0, 3, 25), amx_int8)
    return count;
}

#else

static int units(const char **names, Work *works) {
    (void)names, (void)works;
    return 0;
}

#endif

struct job {
    Work work;
    pthread_barrier_t *start;
    double rate;
};

static void *run(void *argument) {
    struct job *job = argument;
    job->work();
    pthread_barrier_wait(job->start);
    double start = now(), operations = 0, seconds;
    do {
        for (int i = 0; i < 16; i++) operations += job->work();
        seconds = now() - start;
    } while (seconds < SECONDS);
    job->rate = operations / seconds;
    return NULL;
}

/* Operations per second of all threads together; negative if threads cannot be started. */
static double rate(Work work, int threads) {
    static pthread_t handles[MOST_THREADS];
    static struct job jobs[MOST_THREADS];
    pthread_barrier_t start;
    if (pthread_barrier_init(&start, NULL, (unsigned)threads) != 0) return -1;
    for (int i = 0; i < threads; i++) {
        jobs[i] = (struct job){work, &start, 0};
        if (pthread_create(&handles[i], NULL, run, &jobs[i]) != 0) return -1;
    }
    double sum = 0;
    for (int i = 0; i < threads; i++) {
        pthread_join(handles[i], NULL);
        sum += jobs[i].rate;
    }
    pthread_barrier_destroy(&start);
    return sum;
}

static double best(Work work, int threads) {
    double most = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double found = rate(work, threads);
        if (found < 0) {
            fprintf(stderr, "error: threads cannot be started\n");
            exit(1);
        }
        if (found > most) most = found;
    }
    return most;
}

int main(int count, char **words) {
    int threads = count == 2 ? atoi(words[1]) : 0;
    if (threads < 1 || threads > MOST_THREADS) {
        fprintf(stderr, "usage: peak THREADS, from 1 to %d\n", MOST_THREADS);
        return 2;
    }
    const char *names[8];
    Work works[8];
    int found = units(names, works);
    printf("{\"threads\": %d", threads);
    for (int i = 0; i < found; i++) {
        printf(", \"%s\": {\"one\": %.1f, \"all\": %.1f}", names[i], 1e-9 * best(works[i], 1), 1e-9 * best(works[i], threads));
    }
    printf("}\n");
    return 0;
}
