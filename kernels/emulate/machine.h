// A multiprocessor on a CPU: runs up to three blocks of a launch at a time, the threads of a block
// as fibers.
//
// A thread runs until it must wait for others (a barrier, an exchange within its warp, a copy) or
// ends; the schedule decides which thread runs next. Schedules are designed to expose races: one
// warp runs as far ahead as it can, forwards or backwards, or threads are drawn at random; copies
// complete immediately or as late as allowed; blocks are interleaved. A deadlock fails the launch
// with the place where each thread waits.
#pragma once

#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "fiber.h"
#include "memory.h"
#include "now.h"
#include "order.h"

namespace emulate {

constexpr unsigned WARP = 32, WARPGROUP = 128;

/// The rules that a launch is checked by besides its results; a test switches them off to show that
/// only the rule catches a mutant.
enum Rule : unsigned {
    /// Instructions of warpgroups are executed by all four warps alike; registers are not exceeded.
    WARPGROUPS = 1,
    /// What copies and products read was fenced after it was written.
    PROXIES = 2,
    /// Accumulators of unfinished products are not touched.
    ACCUMULATORS = 4,
    /// Accesses to shared memory are ordered by barriers and the like.
    RACES = 8,
    /// A wait ends with the phase that it means.
    PHASES = 16,
    /// Blocks are interleaved.
    BLOCKS = 32,
    /// Bank conflicts and sectors are counted.
    TRAFFIC = 64,
};
/// Cheap enough for every launch.
constexpr unsigned USUAL_RULES = WARPGROUPS | ACCUMULATORS | PHASES | BLOCKS;

/// A place in the sources at which threads wait.
struct Site {
    std::string file;
    int line = 0;
    std::string kind;
    long passed = 0;
};

/// The exception of a failed launch.
struct Failure {
    std::string message;
};

/// The order in which threads run, derived from the schedule number.
struct Schedule {
    explicit Schedule(uint64_t number) : number(number), state(number * 0x9e3779b97f4a7c15ull + 1) {}
    uint64_t number, state;

    /// Even schedules complete copies immediately, odd ones as late as allowed.
    bool is_late() const { return number & 1; }
    /// Warps (and lanes) in ascending order, descending, one random warp first, or at random.
    unsigned order() const { return (number >> 1) & 3; }
    unsigned blocks_at_once() const { return 1 + unsigned(number % 3); }

    unsigned below(unsigned bound) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        return unsigned((state >> 33) % bound);
    }
};

struct Block;
struct Thread;

/// Threads that wait for the same event; each checks its condition again when it is woken.
struct Waiters {
    std::vector<Thread*> threads;
};

/// The arguments of a collective operation, one for each lane of the warp.
struct Arguments {
    void* all[WARP];
    unsigned count = 0;

    void** begin() { return all; }
    void** end() { return all + count; }
    size_t size() const { return count; }
    void* operator[](size_t lane) const { return all[lane]; }
};

/// A collective operation of a warp for which lanes are waiting.
struct Meeting {
    const char* what = nullptr;
    Arguments arguments;
    Waiters waiters;
};

/// A barrier of the block: the clock gathered from those who have arrived, and that of the last
/// opening.
struct BlockBarrier {
    unsigned arrived = 0;
    uint64_t openings = 0;
    Clock gathered, opened;
    Waiters waiters;
};

struct Thread {
    Context context;
    Block* block = nullptr;
    unsigned number = 0;
    bool is_done = false;
    const char* waits_at = "";
    int waits_line = 0;
    // Pending asynchronous copies: groups, the oldest first, and copies not yet committed.
    struct Copy {
        char* to;
        const void* from;
        uint32_t bytes;
    };
    std::vector<std::vector<Copy>> groups;
    std::vector<Copy> open;

    unsigned warp() const { return number / WARP; }
    unsigned lane() const { return number % WARP; }
};

struct Block {
    Dim3 index;
    std::vector<Stack> stacks;
    std::vector<Thread> threads;
    /// The lanes of each warp that can run, and the number of all those threads.
    std::vector<uint32_t> ready;
    unsigned ready_count = 0, running = 0, favourite = 0;
    std::vector<Meeting> meetings;
    BlockBarrier barriers[16];
    /// The state of Hopper's features, created on first use.
    std::shared_ptr<void> extension;
    /// Called when all threads have ended; returns an error message, empty if all is well.
    std::string (*ends)(Block&) = nullptr;
    SharedMemory shared;
    Order order;
};

class Machine {
  public:
    /// Runs a whole launch.
    void launch(Kernel kernel, Dim3 grid, unsigned threads, size_t shared_bytes, const void* parameters, uint64_t schedule);

    Thread& current() { return *current_; }
    Block& block() { return *current_->block; }
    unsigned number() const { return current_->number; }
    unsigned threads() { return unsigned(block().threads.size()); }
    Schedule& schedule() { return schedule_; }
    Order& order() { return block().order; }
    bool has(Rule rule) const { return rules_ & rule; }
    void set_rules(unsigned rules) { rules_ = rules; }

    /// Suspends the thread until it is woken. The caller checks its condition again.
    void wait(Waiters& waiters, const char* at, int line = 0);
    void wake(Waiters& waiters);

    /// A collective operation of all lanes of the caller's warp: the last to arrive calls
    /// `together` with the arguments of all, in lane order. All wait for it.
    template <class Together>
    void meet(const char* what, void* argument, Together together) {
        Thread& thread = *current_;
        Block& block = *thread.block;
        unsigned first = thread.warp() * WARP, lanes = unsigned(block.threads.size()) - first;
        if (lanes > WARP) lanes = WARP;
        Meeting& meeting = block.meetings[thread.warp()];
        if (meeting.arguments.count == 0) meeting.what = what;
        // Names are literals: equal ones may have different addresses.
        if (meeting.what != what && std::strcmp(meeting.what, what) != 0)
            fail(std::string("lanes of one warp do not act together: one does ") + what + ", another " + meeting.what);
        meeting.arguments.all[thread.lane()] = argument;
        if (++meeting.arguments.count < lanes) return wait(meeting.waiters, what);
        Arguments arguments = meeting.arguments;
        meeting.arguments.count = 0;
        block.order.converge(thread.warp());
        together(arguments);
        wake(meeting.waiters);
    }

    /// A barrier: opens when `count` threads have arrived.
    void barrier(unsigned id, unsigned count, const char* file, int line);

    /// Counts a visit of the site, and returns whether it is enabled: a test disables one.
    bool counts(const char* file, int line, const char* kind);
    void ignore(std::string file, int line, std::string kind) { ignored_file_ = std::move(file), ignored_line_ = line, ignored_kind_ = std::move(kind); }
    std::vector<Site> sites() const;
    void forget_sites();
    std::vector<Traffic>& traffic() { return traffic_; }

    /// Ends the launch; fibers are abandoned.
    [[noreturn]] void fail(std::string message);

    template <class State>
    State& extension() {
        std::shared_ptr<void>& extension = block().extension;
        if (!extension) extension = std::make_shared<State>();
        return *static_cast<State*>(extension.get());
    }

  private:
    void begin_block(Block& block);
    Block* choose();
    Thread* next_thread(Block& block);
    [[noreturn]] void fail_as_deadlock();
    static void thread_begins();

    Kernel kernel_ = nullptr;
    const void* parameters_ = nullptr;
    Dim3 grid_;
    unsigned threads_ = 0;
    size_t shared_bytes_ = 0;
    uint64_t begun_ = 0, all_ = 0;
    Schedule schedule_{0};
    unsigned rules_ = USUAL_RULES;
    std::vector<std::unique_ptr<Block>> blocks_;
    unsigned at_once_ = 1, here_ = 0;
    Thread* current_ = nullptr;
    Context main_;
    std::string failure_;
    std::vector<Traffic> traffic_;
    std::map<std::tuple<const char*, int, const char*>, Site> sites_;
    struct {
        const char *file, *kind;
        Site* site;
    } recent_[256] = {};
    std::string ignored_file_, ignored_kind_;
    int ignored_line_ = 0;
};

/// The machine of the calling OS thread: concurrent launches are independent.
Machine& new_machine();
inline thread_local Machine* own_machine __attribute__((tls_model("initial-exec"))) = nullptr;
inline Machine& machine() { return own_machine ? *own_machine : new_machine(); }

}  // namespace emulate
