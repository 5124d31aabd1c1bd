// The memory of the emulated GPU. Each allocation ends at a guard page, so that any access beyond
// it fails the launch; new memory is filled with 0xff, which is NaN as bf16 and as f32.
#pragma once

#include <csetjmp>
#include <csignal>
#include <ctime>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace emulate {

constexpr int POISON = 0xff;

/// Pages followed by a guard page.
class Pages {
  public:
    explicit Pages(size_t bytes) {
        size_t page = size_t(sysconf(_SC_PAGESIZE));
        usable_ = (bytes + page - 1) / page * page;
        whole_ = usable_ + page;
        void* memory = mmap(nullptr, whole_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) throw std::bad_alloc();
        memory_ = static_cast<char*>(memory);
        mprotect(memory_ + usable_, page, PROT_NONE);
    }
    ~Pages() {
        if (memory_) munmap(memory_, whole_);
    }
    Pages(Pages&& other) noexcept : memory_(other.memory_), usable_(other.usable_), whole_(other.whole_) { other.memory_ = nullptr; }
    Pages(const Pages&) = delete;
    char* end() const { return memory_ + usable_; }
    size_t usable() const { return usable_; }

  private:
    char* memory_;
    size_t usable_, whole_;
};

/// Global memory: allocations of the whole process.
class GlobalMemory {
  public:
    void* allocate(size_t bytes) {
        std::lock_guard<std::mutex> guard(mutex_);
        size_t rounded = (bytes + 15) / 16 * 16;
        Pages pages(rounded ? rounded : 16);
        char* start = pages.end() - (rounded ? rounded : 16);
        std::memset(start, POISON, rounded);
        allocations_.emplace(start, std::move(pages));
        return start;
    }

    bool free(void* start) {
        std::lock_guard<std::mutex> guard(mutex_);
        auto found = allocations_.find(static_cast<char*>(start));
        if (found == allocations_.end()) return false;
        allocations_.erase(found);
        return true;
    }

    /// Whether an address is in an allocation.
    bool has(const void* address) {
        std::lock_guard<std::mutex> guard(mutex_);
        auto next = allocations_.upper_bound(static_cast<char*>(const_cast<void*>(address)));
        return next != allocations_.begin() && address < std::prev(next)->second.end();
    }

  private:
    std::mutex mutex_;
    std::map<char*, Pages> allocations_;
};

inline GlobalMemory& memory() {
    static GlobalMemory memory;
    return memory;
}

/// The shared memory of a block: poisoned for each block, aligned to 1,024, ending (except for the
/// alignment) at a guard page.
class SharedMemory {
  public:
    static constexpr size_t MAX_BYTES = 228 * 1024;

    SharedMemory() : pages_(MAX_BYTES) {}
    void resize(size_t bytes) {
        bytes_ = bytes;
        size_t rounded = (bytes + 1023) / 1024 * 1024;
        start_ = pages_.end() - rounded;
        std::memset(start_, POISON, rounded);
    }
    char* data() { return start_; }
    size_t bytes() const { return bytes_; }

  private:
    Pages pages_;
    char* start_ = nullptr;
    size_t bytes_ = 0;
};

/// Turns an access to a guard page, or a timeout, into an error of the launch.
class Faults {
  public:
    static constexpr int SECONDS = 4;
    static inline thread_local sigjmp_buf* back = nullptr;
    static inline thread_local void* touched = nullptr;
    static inline thread_local bool has_timed_out = false;

    /// A timeout in CPU time of the calling thread, until it is destroyed.
    class Clock {
      public:
        Clock() {
            struct sigevent event = {};
            event.sigev_notify = SIGEV_THREAD_ID;
            event.sigev_signo = SIGRTMIN;
            event._sigev_un._tid = gettid();
            is_set_ = timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer_) == 0;
            struct itimerspec limit = {};
            limit.it_value.tv_sec = SECONDS;
            if (is_set_) timer_settime(timer_, 0, &limit, nullptr);
        }
        ~Clock() {
            if (is_set_) timer_delete(timer_);
        }

      private:
        timer_t timer_;
        bool is_set_;
    };

    static void watch() {
        static std::once_flag once;
        std::call_once(once, [] {
            struct sigaction action = {};
            action.sa_sigaction = &Faults::handle;
            action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
            sigaction(SIGSEGV, &action, &before());
            action.sa_sigaction = &Faults::handle_late;
            sigaction(SIGRTMIN, &action, nullptr);
        });
        // A signal handler must not run on a fiber's stack.
        static thread_local std::unique_ptr<char[]> stack;
        if (!stack) {
            constexpr size_t BYTES = 64 * 1024;
            stack = std::make_unique<char[]>(BYTES);
            stack_t alternative = {};
            alternative.ss_sp = stack.get(), alternative.ss_size = BYTES;
            sigaltstack(&alternative, nullptr);
        }
    }

  private:
    static struct sigaction& before() {
        static struct sigaction before;
        return before;
    }
    static void handle_late(int, siginfo_t*, void*) {
        if (!back) return;
        has_timed_out = true;
        siglongjmp(*back, 1);
    }
    static void handle(int signal, siginfo_t* information, void* context) {
        if (back) {
            touched = information->si_addr;
            siglongjmp(*back, 1);
        }
        struct sigaction& other = before();
        if (other.sa_flags & SA_SIGINFO)
            other.sa_sigaction(signal, information, context);
        else if (other.sa_handler == SIG_DFL)
            std::signal(SIGSEGV, SIG_DFL);
        else if (other.sa_handler != SIG_IGN)
            other.sa_handler(signal);
    }
};

}  // namespace emulate
