// The scheduler of the emulated GPU: see machine.h.
#include "machine.h"

namespace emulate {

thread_local Now now;

Machine& new_machine() {
    static thread_local std::unique_ptr<Machine> owner;
    owner = std::make_unique<Machine>();
    return *(own_machine = owner.get());
}

void Machine::launch(Kernel kernel, Dim3 grid, unsigned threads, size_t shared_bytes, const void* parameters, uint64_t schedule) {
    schedule_ = Schedule(schedule);
    kernel_ = kernel, parameters_ = parameters, grid_ = grid, threads_ = threads, shared_bytes_ = shared_bytes;
    begun_ = 0, all_ = uint64_t(grid.x) * grid.y * grid.z;
    at_once_ = has(BLOCKS) ? schedule_.blocks_at_once() : 1, here_ = 0;
    failure_.clear();
    while (blocks_.size() < at_once_) blocks_.push_back(std::make_unique<Block>());
    for (auto& block : blocks_) block->running = 0;
    now.grid = grid, now.threads = {threads, 1, 1};
    while (Block* block = choose()) {
        current_ = next_thread(*block);
        now.thread = {current_->number, 0, 0}, now.block = block->index, now.shared = block->shared.data();
        switch_context(&main_, &current_->context);
        if (!failure_.empty()) throw Failure{failure_};
        if (!current_->is_done || --block->running > 0) continue;
        block->order.end();
        std::string message = block->ends ? block->ends(*block) : "";
        if (!message.empty()) throw Failure{message};
    }
}

void Machine::begin_block(Block& block) {
    uint64_t number = begun_++;
    block.index = {unsigned(number % grid_.x), unsigned(number / grid_.x % grid_.y), unsigned(number / grid_.x / grid_.y)};
    block.shared.resize(shared_bytes_);
    while (block.stacks.size() < threads_) block.stacks.emplace_back();
    unsigned warps = (threads_ + WARP - 1) / WARP;
    block.threads.assign(threads_, Thread());
    block.ready.assign(warps, 0);
    block.meetings.assign(warps, Meeting());
    for (auto& barrier : block.barriers) barrier = BlockBarrier();
    block.extension.reset(), block.ends = nullptr;
    block.ready_count = block.running = threads_;
    bool follows = has(RACES) || has(PROXIES);
    block.order.begin(follows, has(RACES), has(PROXIES), has(TRAFFIC), threads_, shared_bytes_, block.shared.data());
    now.followed_bytes = follows || has(TRAFFIC) ? shared_bytes_ : 0, now.counts_sectors = has(TRAFFIC);
    for (unsigned number = 0; number < threads_; number++) {
        Thread& thread = block.threads[number];
        thread.number = number, thread.block = &block;
        block.ready[number / WARP] |= 1u << number % WARP;
        begin_context(&thread.context, block.stacks[number].memory(), &Machine::thread_begins);
    }
    block.favourite = schedule_.below(warps);
}

Block* Machine::choose() {
    if (at_once_ > 1 && schedule_.below(8) == 0) here_ = schedule_.below(at_once_);
    bool is_any_running = false;
    for (unsigned step = 0; step < at_once_; step++) {
        unsigned slot = (here_ + step) % at_once_;
        Block& block = *blocks_[slot];
        if (block.running == 0 && begun_ < all_) begin_block(block);
        is_any_running |= block.running > 0;
        if (block.running == 0 || block.ready_count == 0) continue;
        here_ = slot;
        return &block;
    }
    if (is_any_running) fail_as_deadlock();
    return nullptr;
}

Thread* Machine::next_thread(Block& block) {
    unsigned warps = unsigned(block.ready.size());
    unsigned order = schedule_.order();
    unsigned offset = order == 3 ? schedule_.below(warps) : order == 2 ? block.favourite : 0;
    for (unsigned step = 0; true; step++) {
        unsigned warp = order == 1 ? warps - 1 - step : (step + offset) % warps;
        uint32_t lanes = block.ready[warp];
        if (!lanes) continue;
        unsigned lane = order == 1 ? 31 - unsigned(__builtin_clz(lanes)) : unsigned(__builtin_ctz(lanes));
        return &block.threads[warp * WARP + lane];
    }
}

void Machine::fail_as_deadlock() {
    std::string message = "every thread waits:";
    std::map<std::string, unsigned> places;
    for (const auto& block : blocks_)
        if (block->running > 0)
            for (const Thread& thread : block->threads)
                if (!thread.is_done) places[std::string(thread.waits_at) + ":" + std::to_string(thread.waits_line)]++;
    for (const auto& [place, count] : places) message += " " + std::to_string(count) + " at " + place + ";";
    throw Failure{message};
}

void Machine::thread_begins() {
    Machine& own = machine();
    own.kernel_(own.parameters_);
    Thread& thread = *own.current_;
    thread.is_done = true;
    thread.block->ready[thread.warp()] &= ~(1u << thread.lane());
    thread.block->ready_count--;
    switch_context(&thread.context, &own.main_);
    std::abort();
}

void Machine::wait(Waiters& waiters, const char* at, int line) {
    Thread& thread = *current_;
    thread.waits_at = at, thread.waits_line = line;
    thread.block->ready[thread.warp()] &= ~(1u << thread.lane());
    thread.block->ready_count--;
    waiters.threads.push_back(&thread);
    switch_context(&thread.context, &main_);
}

void Machine::wake(Waiters& waiters) {
    for (Thread* thread : waiters.threads) {
        thread->block->ready[thread->warp()] |= 1u << thread->lane();
        thread->block->ready_count++;
    }
    waiters.threads.clear();
}

void Machine::barrier(unsigned id, unsigned count, const char* file, int line) {
    BlockBarrier& barrier = block().barriers[id];
    Order& order = this->order();
    order.release(number(), barrier.gathered);
    if (++barrier.arrived == count) {
        barrier.arrived = 0;
        barrier.opened = barrier.gathered;
        wake(barrier.waiters);
    } else {
        wait(barrier.waiters, file, line);
    }
    order.acquire(number(), barrier.opened);
}

bool Machine::counts(const char* file, int line, const char* kind) {
    auto& recent = recent_[unsigned(line) % 256];
    if (recent.file != file || recent.kind != kind || !recent.site || recent.site->line != line) {
        auto [place, is_new] = sites_.try_emplace({file, line, kind});
        Site& site = place->second;
        if (is_new) {
            const char* slash = std::strrchr(file, '/');
            site.file = slash ? slash + 1 : file, site.line = line, site.kind = kind;
        }
        recent = {file, kind, &site};
    }
    Site& site = *recent.site;
    site.passed++;
    return !(line == ignored_line_ && site.file == ignored_file_ && site.kind == ignored_kind_);
}

std::vector<Site> Machine::sites() const {
    std::vector<Site> all;
    for (const auto& [_, site] : sites_) all.push_back(site);
    return all;
}

void Machine::forget_sites() {
    sites_.clear();
    for (auto& recent : recent_) recent = {};
}

void Machine::fail(std::string message) {
    failure_ = std::move(message);
    switch_context(&current_->context, &main_);
    std::abort();
}

}  // namespace emulate
