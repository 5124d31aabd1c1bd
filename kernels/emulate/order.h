// What happens before what in a block, and who touched each byte of shared memory.
//
// Every thread has a clock: for each agent the last moment of that agent that it knows to have
// passed. Agents are the threads, and what works beside them: the copies of a barrier, the products
// of a warp, the stores of a thread. Barriers, shuffles and the like pass clocks on. An access is
// right if all conflicting earlier ones are known to have passed; this does not depend on the order
// in which threads happened to run, so that a missing barrier shows under every schedule.
//
// A clock has a second half: the moments up to which an agent's accesses have been fenced, so that
// copies and products (the async proxy) see them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace emulate {

using Moment = uint32_t;
using Clock = std::vector<Moment>;
/// A place in the sources: an interned file and line, or the offset of an instruction in the
/// library.
using Place = uint32_t;

Place place_of(const char* file, int line);
Place place_of(const void* instruction);
std::string describe(Place place);

/// Accesses of warps at a place: to shared memory in wavefronts (an access without conflicts takes
/// one for each 128 bytes), to global memory in sectors of 32 bytes.
struct Traffic {
    Place place = 0;
    bool is_shared = false;
    uint64_t accesses = 0, least = 0, actual = 0, worst = 0;
};

/// An access of one lane, until the warp's lanes are compared.
struct LaneAccess {
    Place place;
    bool is_shared;
    unsigned lane, bytes;
    uint64_t address;
};

enum Access { READ, WRITE, ATOMIC };

class Order {
  public:
    /// Starts a block. `checks_races` and `checks_proxies` imply `follows`.
    void begin(bool follows, bool checks_races, bool checks_proxies, bool counts_traffic, unsigned threads, size_t shared_bytes, const char* shared);
    void end();
    bool follows() const { return follows_; }
    bool is_counting() const { return counts_traffic_; }

    /// A new agent besides the threads.
    unsigned new_agent();
    /// Passes the thread's clock on, and starts a new moment of the thread.
    void release(unsigned thread, Clock& to);
    void acquire(unsigned thread, const Clock& from);
    /// The thread learns that an agent's work up to this moment is done.
    void learn(unsigned thread, unsigned agent, Moment moment);
    /// All lanes of a warp learn what each knows.
    void join_warp(unsigned warp);
    /// The thread's own accesses so far become visible to copies and products.
    void fence(unsigned thread);

    /// Accesses by instructions of a thread.
    void touch(unsigned thread, Access access, size_t offset, size_t bytes, Place place);
    /// The thread starts an asynchronous copy (cp.async) to these bytes, which nobody may touch
    /// before the thread has ended it.
    void begin_copy(unsigned thread, size_t offset, size_t bytes, Place place);
    void end_copy(unsigned thread, size_t offset, size_t bytes);
    /// An agent of the async proxy reads from now until `moment`, for these threads, each of which
    /// must know the writer.
    void read_async(unsigned first_thread, unsigned threads, unsigned agent, Moment moment, size_t offset, size_t bytes, Place place);
    void write_async(unsigned thread, unsigned agent, Moment moment, size_t offset, size_t bytes, Place place);
    /// A barrier was initialized here; and is used by an instruction of the thread, or by a copy.
    void begin_barrier(unsigned thread, size_t offset, Place place);
    void use_barrier(unsigned thread, size_t offset, bool is_copy, Place place);

    /// Counts an access of a lane.
    void count(bool is_shared, unsigned thread, uint64_t address, unsigned bytes, Place place);
    /// All lanes of the warp are at the same place.
    void converge(unsigned warp) {
        if (counts_traffic_) count_warp(warp);
    }

  private:
    struct Stamp {
        Moment moment = 0;
        Place place = 0;
        uint16_t agent = 0;
    };
    enum Kind : uint8_t { PLAIN, COPYING, OF_BARRIER, BY_PROXY };
    /// Two bytes of shared memory: the last write, and what was read (or changed atomically) since.
    struct Cell {
        uint32_t generation = 0;
        Kind kind = PLAIN;
        bool is_atomic[3] = {};
        uint8_t count = 0;
        Stamp write, since[3];
        /// More readers than fit: one entry per thread in `crowds_`.
        int crowd = -1;
    };
    /// Sixteen bytes: reads by copies and products, which never touch less, and the last write if
    /// a copy wrote them all and no thread has touched them since: the cells are out of date then.
    struct Piece {
        uint32_t generation = 0;
        bool is_copied = false;
        uint8_t count = 0;
        Stamp copied, reads[12];
    };
    /// For each thread its last read, and its last atomic.
    struct Crowd {
        bool has[2] = {};
        std::vector<Moment> moments[2];
        std::vector<Place> places[2];
    };

    Moment* clock(unsigned thread) { return clocks_.data() + size_t(thread) * 2 * width_; }
    bool knows(unsigned thread, const Stamp& stamp) { return stamp.moment <= clock(thread)[stamp.agent]; }
    bool knows_fenced(unsigned thread, const Stamp& stamp) { return stamp.moment <= clock(thread)[width_ + stamp.agent]; }
    Stamp stamp(unsigned thread, Place place) { return {clock(thread)[thread], place, uint16_t(thread)}; }
    Cell& cell(size_t number);
    Piece& piece(size_t number);
    /// Brings the cells of these bytes up to date.
    void spread(size_t offset, size_t bytes);
    void check_write(unsigned thread, Kind kind, const Stamp& write, size_t number, const char* does, Place place);
    void check_since(unsigned thread, const Cell& cell, size_t number, bool only_atomic, bool only_reads, const char* does, Place place);
    void check_pieces(unsigned thread, size_t offset, size_t bytes, Place place);
    void check_proxy(unsigned thread, Kind kind, const Stamp& write, size_t number, const char* does, Place place);
    void add_since(Cell& cell, const Stamp& stamp, bool is_atomic);
    void add_to(Crowd& crowd, const Stamp& stamp, bool is_atomic);
    void set_write(Cell& cell, const Stamp& stamp, Kind kind);
    [[noreturn]] void race(unsigned thread, const char* does, size_t number, Place place, const Stamp& other, const char* did);
    std::string name_of(unsigned agent) const;
    void count_warp(unsigned warp);
    void count_lanes(std::vector<LaneAccess>& lanes);

    /// The part of a clock in use: the second half is all zeros before the first fence.
    unsigned used() const { return has_fences_ ? 2 * width_ : width_; }

    bool has_fences_ = false;
    bool follows_ = false, checks_races_ = false, checks_proxies_ = false, counts_traffic_ = false;
    unsigned threads_ = 0, agents_ = 0, width_ = 0;
    uint32_t generation_ = 0;
    size_t bytes_ = 0;
    const char* shared_ = nullptr;
    std::vector<Moment> clocks_;
    /// By warp: some lane has done something since the lanes last joined.
    std::vector<uint8_t> has_news_;
    std::vector<Cell> cells_;
    std::vector<Piece> pieces_;
    std::vector<Crowd> crowds_;
    std::vector<int> free_crowds_;
    std::vector<std::vector<LaneAccess>> accesses_;
};

}  // namespace emulate
