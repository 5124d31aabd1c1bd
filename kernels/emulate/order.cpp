// Clocks, and the record of accesses to shared memory: see order.h.
#include "order.h"

#include <algorithm>

#include "machine.h"

namespace emulate {

namespace {

/// Agents besides the threads of a block.
constexpr unsigned MAX_AGENTS = 64;
constexpr Moment NEVER = ~Moment(0);

#ifdef __x86_64__
#define VECTORIZED __attribute__((target_clones("avx2", "default")))
#else
#define VECTORIZED
#endif

VECTORIZED void join(Moment* __restrict to, const Moment* __restrict from, unsigned width) {
    for (unsigned i = 0; i < width; i++) to[i] = to[i] > from[i] ? to[i] : from[i];
}

/// Whether every moment has passed by this clock.
VECTORIZED bool is_known(const Moment* __restrict moments, const Moment* __restrict clock, unsigned width) {
    unsigned beyond = 0;
    for (unsigned i = 0; i < width; i++) beyond |= moments[i] > clock[i];
    return !beyond;
}

}  // namespace

void Order::begin(bool follows, bool checks_races, bool checks_proxies, bool counts_traffic, unsigned threads, size_t shared_bytes, const char* shared) {
    follows_ = follows, checks_races_ = checks_races, checks_proxies_ = checks_proxies, counts_traffic_ = counts_traffic;
    threads_ = agents_ = threads, bytes_ = shared_bytes, shared_ = shared;
    if (counts_traffic) accesses_.assign((threads + WARP - 1) / WARP, {});
    if (!follows) return;
    width_ = (threads + MAX_AGENTS + 7) / 8 * 8;
    clocks_.assign(size_t(threads) * 2 * width_, 0);
    for (unsigned thread = 0; thread < threads; thread++) clock(thread)[thread] = 1;
    has_news_.assign((threads + WARP - 1) / WARP, 1);
    // Cells of earlier blocks count as untouched.
    generation_++;
    if (cells_.size() < shared_bytes / 2 + 1) cells_.resize(shared_bytes / 2 + 1);
    if (pieces_.size() < shared_bytes / 16 + 1) pieces_.resize(shared_bytes / 16 + 1);
    crowds_.clear(), free_crowds_.clear();
    has_fences_ = false;
}

void Order::end() {
    if (!counts_traffic_) return;
    for (unsigned warp = 0; warp < accesses_.size(); warp++) count_warp(warp);
}

unsigned Order::new_agent() {
    if (follows_ && agents_ == threads_ + MAX_AGENTS) machine().fail("a block with more barriers, products and stores than the emulator follows");
    return agents_++;
}

void Order::release(unsigned thread, Clock& to) {
    if (!follows_) return;
    to.resize(2 * width_);
    join(to.data(), clock(thread), used());
    clock(thread)[thread]++;
    has_news_[thread / WARP] = 1;
}

void Order::acquire(unsigned thread, const Clock& from) {
    if (!follows_ || from.empty()) return;
    join(clock(thread), from.data(), used());
    has_news_[thread / WARP] = 1;
}

void Order::learn(unsigned thread, unsigned agent, Moment moment) {
    if (!follows_) return;
    Moment& known = clock(thread)[agent];
    if (known >= moment) return;
    known = moment;
    has_news_[thread / WARP] = 1;
}

void Order::join_warp(unsigned warp) {
    if (!follows_ || !has_news_[warp]) return;
    unsigned first = warp * WARP, end = std::min(first + WARP, threads_);
    Moment* all = clock(first);
    for (unsigned thread = first + 1; thread < end; thread++) join(all, clock(thread), used());
    for (unsigned thread = first + 1; thread < end; thread++) std::copy_n(all, used(), clock(thread));
    for (unsigned thread = first; thread < end; thread++) clock(thread)[thread]++;
    has_news_[warp] = 0;
}

void Order::fence(unsigned thread) {
    if (!follows_) return;
    has_fences_ = true;
    Moment* own = clock(thread);
    own[width_ + thread] = own[thread]++;
    has_news_[thread / WARP] = 1;
}

Order::Cell& Order::cell(size_t number) {
    Cell& cell = cells_[number];
    if (cell.generation != generation_) {
        cell = Cell();
        cell.generation = generation_;
    }
    return cell;
}

Order::Piece& Order::piece(size_t number) {
    Piece& piece = pieces_[number];
    if (piece.generation != generation_) piece.generation = generation_, piece.count = 0, piece.is_copied = false;
    return piece;
}

void Order::spread(size_t offset, size_t bytes) {
    for (size_t number = offset / 16; number <= (offset + bytes - 1) / 16; number++) {
        Piece& piece = pieces_[number];
        if (piece.generation != generation_ || !piece.is_copied) continue;
        piece.is_copied = false;
        for (size_t i = 0; i < 8; i++) set_write(cell(number * 8 + i), piece.copied, BY_PROXY);
    }
}

std::string Order::name_of(unsigned agent) const {
    if (agent < threads_) return "thread " + std::to_string(agent);
    return "a copy or product";
}

void Order::race(unsigned thread, const char* does, size_t number, Place place, const Stamp& other, const char* did) {
    machine().fail("race: thread " + std::to_string(thread) + " " + does + " byte " + std::to_string(2 * number) + " of shared memory at " + describe(place) + ", which " +
                   name_of(other.agent) + " " + did + " at " + describe(other.place) + "; nothing orders the two");
}

void Order::check_write(unsigned thread, Kind kind, const Stamp& write, size_t number, const char* does, Place place) {
    if (!checks_races_) return;
    if (kind == COPYING)
        machine().fail("race: thread " + std::to_string(thread) + " " + does + " byte " + std::to_string(2 * number) + " of shared memory at " + describe(place) + ", to which " +
                       name_of(write.agent) + " still copies since " + describe(write.place));
    if (!knows(thread, write)) race(thread, does, number, place, write, kind == BY_PROXY ? "is still copied by" : "wrote");
}

void Order::check_since(unsigned thread, const Cell& cell, size_t number, bool only_atomic, bool only_reads, const char* does, Place place) {
    if (!checks_races_) return;
    auto is_checked = [&](bool is_atomic) { return is_atomic ? !only_reads : !only_atomic; };
    auto check = [&](const Stamp& stamp, bool is_atomic) {
        if (!knows(thread, stamp)) race(thread, does, number, place, stamp, is_atomic ? "changed" : "read");
    };
    for (unsigned i = 0; i < cell.count; i++)
        if (is_checked(cell.is_atomic[i])) check(cell.since[i], cell.is_atomic[i]);
    if (cell.crowd < 0) return;
    Crowd& crowd = crowds_[size_t(cell.crowd)];
    for (bool is_atomic : {false, true}) {
        if (!crowd.has[is_atomic] || !is_checked(is_atomic)) continue;
        const auto& moments = crowd.moments[is_atomic];
        if (is_known(moments.data(), clock(thread), threads_)) continue;
        for (unsigned other = 0; other < threads_; other++) check({moments[other], crowd.places[is_atomic][other], uint16_t(other)}, is_atomic);
    }
}

void Order::check_pieces(unsigned thread, size_t offset, size_t bytes, Place place) {
    if (!checks_races_) return;
    for (size_t number = offset / 16; number <= (offset + bytes - 1) / 16; number++) {
        Piece& piece = this->piece(number);
        for (unsigned i = 0; i < piece.count; i++)
            if (!knows(thread, piece.reads[i])) race(thread, "writes", number * 8, place, piece.reads[i], "reads");
        piece.count = 0;
    }
}

void Order::check_proxy(unsigned thread, Kind kind, const Stamp& write, size_t number, const char* does, Place place) {
    if (!checks_proxies_ || kind == BY_PROXY || write.moment == 0 || knows_fenced(thread, write)) return;
    machine().fail("proxy: " + std::string(does) + " at " + describe(place) + " for thread " + std::to_string(thread) + " uses byte " + std::to_string(2 * number) +
                   " of shared memory, which " + name_of(write.agent) + " wrote at " + describe(write.place) + " and has not fenced since");
}

void Order::add_to(Crowd& crowd, const Stamp& stamp, bool is_atomic) {
    if (!crowd.has[is_atomic]) {
        crowd.has[is_atomic] = true;
        crowd.moments[is_atomic].assign(threads_, 0);
        crowd.places[is_atomic].resize(threads_);
    }
    crowd.moments[is_atomic][stamp.agent] = stamp.moment;
    crowd.places[is_atomic][stamp.agent] = stamp.place;
}

void Order::add_since(Cell& cell, const Stamp& stamp, bool is_atomic) {
    if (cell.crowd >= 0) return add_to(crowds_[size_t(cell.crowd)], stamp, is_atomic);
    for (unsigned i = 0; i < cell.count; i++)
        // What the thread knows, it passes on together with its own access.
        if (cell.is_atomic[i] == is_atomic && knows(stamp.agent, cell.since[i])) {
            cell.since[i] = stamp;
            return;
        }
    if (cell.count < 3) {
        cell.is_atomic[cell.count] = is_atomic;
        cell.since[cell.count++] = stamp;
        return;
    }
    if (free_crowds_.empty()) free_crowds_.push_back(int(crowds_.size())), crowds_.emplace_back();
    cell.crowd = free_crowds_.back();
    free_crowds_.pop_back();
    Crowd& crowd = crowds_[size_t(cell.crowd)];
    crowd.has[0] = crowd.has[1] = false;
    for (unsigned i = 0; i < 3; i++) add_to(crowd, cell.since[i], cell.is_atomic[i]);
    cell.count = 0;
    add_to(crowd, stamp, is_atomic);
}

void Order::set_write(Cell& cell, const Stamp& stamp, Kind kind) {
    cell.write = stamp, cell.kind = kind, cell.count = 0;
    if (cell.crowd >= 0) free_crowds_.push_back(cell.crowd), cell.crowd = -1;
}

void Order::touch(unsigned thread, Access access, size_t offset, size_t bytes, Place place) {
    if (!follows_) return;
    has_news_[thread / WARP] = 1;
    Stamp own = stamp(thread, place);
    constexpr const char* DOES[] = {"reads", "writes", "changes"};
    spread(offset, bytes);
    for (size_t number = offset / 2; number <= (offset + bytes - 1) / 2; number++) {
        Cell& cell = this->cell(number);
        if (cell.kind == OF_BARRIER) machine().fail("a barrier's bytes are touched at " + describe(place));
        check_write(thread, cell.kind, cell.write, number, DOES[access], place);
        check_since(thread, cell, number, access == READ, access == ATOMIC, DOES[access], place);
        if (access == WRITE) set_write(cell, own, PLAIN);
        else add_since(cell, own, access == ATOMIC);
    }
    if (access != READ) check_pieces(thread, offset, bytes, place);
}

void Order::begin_copy(unsigned thread, size_t offset, size_t bytes, Place place) {
    if (!follows_) return;
    touch(thread, WRITE, offset, bytes, place);
    for (size_t number = offset / 2; number < (offset + bytes) / 2; number++) cell(number).kind = COPYING;
}

void Order::end_copy(unsigned thread, size_t offset, size_t bytes) {
    if (!follows_) return;
    has_news_[thread / WARP] = 1;
    for (size_t number = offset / 2; number < (offset + bytes) / 2; number++) {
        Cell& cell = this->cell(number);
        if (cell.kind == COPYING && cell.write.agent == thread) cell.kind = PLAIN, cell.write.moment = clock(thread)[thread];
    }
}

void Order::read_async(unsigned first_thread, unsigned threads, unsigned agent, Moment moment, size_t offset, size_t bytes, Place place) {
    if (!follows_) return;
    auto check = [&](Kind kind, const Stamp& write, size_t number) {
        for (unsigned thread = first_thread; thread < first_thread + threads; thread++) {
            check_write(thread, kind, write, number, "has a copy or product that reads", place);
            check_proxy(thread, kind, write, number, "a copy or product", place);
        }
    };
    Stamp checked;
    for (size_t number = offset / 16; number <= (offset + bytes - 1) / 16; number++) {
        Piece& piece = this->piece(number);
        for (size_t i = 0; i < (piece.is_copied ? 1u : 8u); i++) {
            // The kind does not matter: a copy and a thread have different agents.
            Kind kind = piece.is_copied ? BY_PROXY : cell(number * 8 + i).kind;
            const Stamp& write = piece.is_copied ? piece.copied : cell(number * 8 + i).write;
            if (kind != COPYING && write.moment == checked.moment && write.agent == checked.agent) continue;
            check(kind, write, number * 8 + i);
            checked = write;
        }
        unsigned own = 0;
        while (own < piece.count && piece.reads[own].agent != agent) own++;
        if (own == 12) machine().fail("more agents read the same bytes than the emulator follows");
        if (own == piece.count) piece.count++;
        piece.reads[own] = {moment, place, uint16_t(agent)};
    }
}

void Order::write_async(unsigned thread, unsigned agent, Moment moment, size_t offset, size_t bytes, Place place) {
    if (!follows_) return;
    for (size_t piece_number = offset / 16; piece_number < (offset + bytes) / 16; piece_number++) {
        Piece& piece = this->piece(piece_number);
        for (size_t number = piece_number * 8; number < piece_number * 8 + 8 && !piece.is_copied; number++) {
            Cell& cell = this->cell(number);
            if (cell.kind == OF_BARRIER) machine().fail("a barrier's bytes are copied to at " + describe(place));
            check_write(thread, cell.kind, cell.write, number, "copies to", place);
            check_since(thread, cell, number, false, false, "copies to", place);
            check_proxy(thread, cell.kind, cell.write, number, "a copy", place);
        }
        if (piece.is_copied) check_write(thread, BY_PROXY, piece.copied, piece_number * 8, "copies to", place);
        piece.is_copied = true, piece.copied = {moment, place, uint16_t(agent)};
    }
    check_pieces(thread, offset, bytes, place);
}

void Order::begin_barrier(unsigned thread, size_t offset, Place place) {
    if (!follows_) return;
    touch(thread, WRITE, offset, 8, place);
    for (size_t number = offset / 2; number < offset / 2 + 4; number++) cell(number).kind = OF_BARRIER;
}

void Order::use_barrier(unsigned thread, size_t offset, bool is_copy, Place place) {
    if (!follows_) return;
    spread(offset, 8);
    Cell& cell = this->cell(offset / 2);
    if (checks_races_ && !knows(thread, cell.write)) race(thread, "uses the barrier at", offset / 2, place, cell.write, "initialized");
    if (is_copy) check_proxy(thread, cell.kind, cell.write, offset / 2, "a copy's barrier", place);
}

void Order::count(bool is_shared, unsigned thread, uint64_t address, unsigned bytes, Place place) {
    accesses_[thread / WARP].push_back({place, is_shared, thread % WARP, bytes, address});
}

void Order::count_warp(unsigned warp) {
    auto& all = accesses_[warp];
    if (all.empty()) return;
    // The n-th access of each lane at a place is the n-th of the warp.
    std::map<std::pair<Place, unsigned>, std::vector<LaneAccess>> groups;
    std::map<std::pair<Place, unsigned>, unsigned> visits;
    for (const LaneAccess& access : all) groups[{access.place, visits[{access.place, access.lane}]++}].push_back(access);
    for (auto& [_, lanes] : groups) count_lanes(lanes);
    all.clear();
}

void Order::count_lanes(std::vector<LaneAccess>& lanes) {
    auto& all = machine().traffic();
    Place place = lanes[0].place;
    auto found = std::find_if(all.begin(), all.end(), [&](const Traffic& traffic) { return traffic.place == place && traffic.is_shared == lanes[0].is_shared; });
    if (found == all.end()) found = all.insert(all.end(), Traffic{place, lanes[0].is_shared});
    uint64_t least = 0, actual = 0;
    if (lanes[0].is_shared) {
        // 128 bytes at a time: all lanes, half of them, or a quarter.
        unsigned at_once = WARP / std::max(lanes[0].bytes / 4, 1u);
        for (unsigned first = 0; first < WARP; first += at_once) {
            std::vector<uint64_t> words[WARP];
            for (const LaneAccess& access : lanes) {
                if (access.lane < first || access.lane >= first + at_once) continue;
                for (uint64_t word = access.address / 4; word <= (access.address + access.bytes - 1) / 4; word++) {
                    auto& bank = words[word % WARP];
                    if (std::find(bank.begin(), bank.end(), word) == bank.end()) bank.push_back(word);
                }
            }
            size_t wavefronts = 0, different = 0;
            for (const auto& bank : words) wavefronts = std::max(wavefronts, bank.size()), different += bank.size();
            actual += wavefronts, least += (different + WARP - 1) / WARP;
        }
    } else {
        std::vector<uint64_t> sectors, words;
        for (const LaneAccess& access : lanes) {
            for (uint64_t word = access.address / 2; word <= (access.address + access.bytes - 1) / 2; word++) words.push_back(word), sectors.push_back(word / 16);
        }
        auto different = [](std::vector<uint64_t>& numbers) {
            std::sort(numbers.begin(), numbers.end());
            return uint64_t(std::unique(numbers.begin(), numbers.end()) - numbers.begin());
        };
        actual = different(sectors), least = (different(words) + 15) / 16;
    }
    found->accesses++, found->least += least, found->actual += actual;
    found->worst = std::max(found->worst, actual);
}

}  // namespace emulate
