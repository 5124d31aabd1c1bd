// A multiprocessor on a CPU: runs the blocks of a launch one after the other, the threads of a
// block as fibers.
//
// A thread runs until it must wait for others (a barrier, an exchange within its warp, a copy) or
// ends; the schedule decides which thread runs next. Schedules are designed to expose races: one
// warp runs as far ahead as it can, forwards or backwards, or threads are drawn at random; copies
// complete immediately or as late as allowed. A deadlock fails the launch with the place where each
// thread waits.
#pragma once

#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fiber.h"
#include "memory.h"

namespace emulate {

using Kernel = void (*)(const void* parameters);

struct Dim3 {
    unsigned x = 1, y = 1, z = 1;
};

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

    unsigned below(unsigned bound) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        return unsigned((state >> 33) % bound);
    }
};

class Machine;

/// A collective operation of a group of threads: a warp, a warpgroup, a barrier.
struct Meeting {
    const char* what = nullptr;
    unsigned arrived = 0;
    std::vector<void*> arguments;  // one for each thread of the group
};

struct Thread {
    Context context;
    Dim3 index;
    unsigned number = 0;
    bool is_done = false;
    const void* waits_for = nullptr;  // the key; null while it is runnable
    const char* waits_at = "";
    int waits_line = 0;
    // Pending asynchronous copies: groups, the oldest first, and copies not yet committed.
    struct Copy {
        void* to;
        const void* from;
        uint32_t bytes;
    };
    std::vector<std::vector<Copy>> groups;
    std::vector<Copy> open;
};

class Machine {
  public:
    /// Runs a whole launch.
    void launch(Kernel kernel, Dim3 grid, unsigned threads, size_t shared_bytes, const void* parameters, uint64_t schedule) {
        schedule_ = Schedule(schedule);
        kernel_ = kernel, parameters_ = parameters, grid_ = grid;
        while (stacks_.size() < threads) stacks_.emplace_back();
        for (block_.z = 0; block_.z < grid.z; block_.z++)
            for (block_.y = 0; block_.y < grid.y; block_.y++)
                for (block_.x = 0; block_.x < grid.x; block_.x++) run_block(threads, shared_bytes);
    }

    Thread& current() { return *current_; }
    Dim3 block() const { return block_; }
    Dim3 grid() const { return grid_; }
    unsigned threads() const { return unsigned(threads_.size()); }
    Schedule& schedule() { return schedule_; }
    char* shared() { return shared_.data(); }
    size_t shared_bytes() const { return shared_.bytes(); }

    /// Suspends the thread until the key is woken. The caller checks its condition again.
    void wait(const void* key, const char* at, int line = 0) {
        Thread& thread = *current_;
        thread.waits_for = key, thread.waits_at = at, thread.waits_line = line;
        ready_[thread.number / 32] &= ~(1u << thread.number % 32);
        waiting_[key].push_back(&thread);
        switch_context(&thread.context, &main_);
    }

    void wake(const void* key) {
        auto found = waiting_.find(key);
        if (found == waiting_.end()) return;
        for (Thread* thread : found->second) {
            thread->waits_for = nullptr;
            ready_[thread->number / 32] |= 1u << thread->number % 32;
        }
        found->second.clear();
    }

    /// A collective operation of the threads `first` to `first + count - 1`: the last to arrive
    /// calls `together` with the arguments of all, in thread order. All wait for it.
    template <class Together>
    void meet(unsigned group_kind, unsigned group, unsigned first, unsigned count, const char* what, void* argument, Together together) {
        Meeting& meeting = meetings_[{group_kind, group}];
        if (meeting.arrived == 0) meeting.what = what, meeting.arguments.assign(count, nullptr);
        // Names are literals: equal ones may have different addresses.
        if (std::strcmp(meeting.what, what) != 0) fail(std::string("threads of one group do not act together: one does ") + what + ", another " + meeting.what);
        if (current_->number < first || current_->number - first >= count || meeting.arguments[current_->number - first])
            fail(std::string("a thread does ") + what + " in a group that it does not belong to, or twice");
        meeting.arguments[current_->number - first] = argument;
        if (++meeting.arrived == count) {
            std::vector<void*> arguments = std::move(meeting.arguments);
            meeting.arrived = 0;
            together(arguments);
            wake(&meeting);
        } else {
            wait(&meeting, what);
        }
    }

    /// A barrier: opens when `count` threads have arrived.
    void barrier(unsigned id, unsigned count, const char* file, int line) {
        unsigned& arrived = barriers_[id];
        if (++arrived == count) {
            arrived = 0;
            wake(&arrived);
        } else {
            wait(&arrived, file, line);
        }
    }

    /// Counts a visit of the site, and returns whether it is enabled: a test disables one.
    bool counts(const char* file, int line, const char* kind) {
        auto [place, is_new] = sites_.try_emplace({file, line, kind});
        Site& site = place->second;
        if (is_new) {
            const char* slash = std::strrchr(file, '/');
            site.file = slash ? slash + 1 : file, site.line = line, site.kind = kind;
        }
        site.passed++;
        return !(line == ignored_line_ && site.file == ignored_file_ && site.kind == ignored_kind_);
    }

    void ignore(std::string file, int line, std::string kind) { ignored_file_ = std::move(file), ignored_line_ = line, ignored_kind_ = std::move(kind); }
    std::vector<Site> sites() const {
        std::vector<Site> all;
        for (const auto& [_, site] : sites_) all.push_back(site);
        return all;
    }
    void forget_sites() { sites_.clear(); }

    /// Ends the launch; fibers are abandoned.
    [[noreturn]] void fail(std::string message) {
        failure_ = std::move(message);
        switch_context(&current_->context, &main_);
        std::abort();
    }

    /// State of an extension for one block, such as Hopper's barriers: created on first use,
    /// dropped with the block.
    template <class State>
    State& extension() {
        if (!extension_) extension_ = std::make_shared<State>();
        return *static_cast<State*>(extension_.get());
    }

  private:
    void run_block(unsigned threads, size_t shared_bytes) {
        shared_.resize(shared_bytes);
        threads_.assign(threads, Thread());
        ready_.assign((threads + 31) / 32, 0);
        waiting_.clear(), meetings_.clear(), barriers_.clear(), extension_.reset(), failure_.clear();
        for (unsigned number = 0; number < threads; number++) {
            threads_[number].number = number;
            threads_[number].index = {number, 0, 0};
            ready_[number / 32] |= 1u << number % 32;
            begin_context(&threads_[number].context, stacks_[number].memory(), &Machine::thread_begins);
        }
        favourite_ = schedule_.below(unsigned(ready_.size()));
        for (unsigned running = threads; running > 0;) {
            current_ = next_thread();
            switch_context(&main_, &current_->context);
            if (!failure_.empty()) throw Failure{failure_};
            if (current_->is_done) running--;
        }
    }

    static void thread_begins();

    Thread* next_thread() {
        unsigned warps = unsigned(ready_.size());
        unsigned order = schedule_.order();
        unsigned offset = order == 3 ? schedule_.below(warps) : order == 2 ? favourite_ : 0;
        for (unsigned step = 0; step < warps; step++) {
            unsigned warp = order == 1 ? warps - 1 - step : (step + offset) % warps;
            uint32_t lanes = ready_[warp];
            if (!lanes) continue;
            unsigned lane = order == 1 ? 31 - __builtin_clz(lanes) : __builtin_ctz(lanes);
            return &threads_[warp * 32 + lane];
        }
        std::string message = "every thread waits:";
        std::map<std::string, unsigned> places;
        for (const Thread& thread : threads_)
            if (!thread.is_done) places[std::string(thread.waits_at) + ":" + std::to_string(thread.waits_line)]++;
        for (const auto& [place, count] : places) message += " " + std::to_string(count) + " at " + place + ";";
        throw Failure{message};
    }

    Kernel kernel_ = nullptr;
    const void* parameters_ = nullptr;
    Dim3 grid_, block_;
    Schedule schedule_{0};
    std::vector<Stack> stacks_;
    std::vector<Thread> threads_;
    std::vector<uint32_t> ready_;
    std::map<const void*, std::vector<Thread*>> waiting_;
    std::map<std::pair<unsigned, unsigned>, Meeting> meetings_;
    std::map<unsigned, unsigned> barriers_;
    std::shared_ptr<void> extension_;
    std::map<std::tuple<const char*, int, const char*>, Site> sites_;
    std::string ignored_file_, ignored_kind_, failure_;
    int ignored_line_ = 0;
    unsigned favourite_ = 0;
    Thread* current_ = nullptr;
    Context main_;
    SharedMemory shared_;
};

/// The machine of the calling OS thread: concurrent launches are independent.
inline Machine& machine() {
    static thread_local Machine machine;
    return machine;
}

inline void Machine::thread_begins() {
    Machine& own = machine();
    own.kernel_(own.parameters_);
    Thread& thread = *own.current_;
    thread.is_done = true;
    own.ready_[thread.number / 32] &= ~(1u << thread.number % 32);
    switch_context(&thread.context, &own.main_);
    std::abort();
}

}  // namespace emulate
