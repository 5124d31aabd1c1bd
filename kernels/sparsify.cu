// From SPLADE tables (splade.cu) to sparse vectors, and top-k selection per sequence.
//
// In: table[sequence][term] of a TableKind; a cell of 0 is absent. Out: for each sequence the terms
// whose weight is above a threshold, ascending, with their weights and, for argmax tables, rows.
//
// Three kernels run in turn: sparse_count counts the cells of each sequence, sparse_offsets turns
// counts into offsets, sparse_write writes terms and weights. Before them, sparse_top_k zeroes all
// but the k largest cells of each sequence of a maximum table; the lower term wins a tie.
//
// Each block takes a sequence and each of its 32 warps a range of terms of equal length; the counts
// of the ranges before tell a warp where to write. sparse_offsets is one block.
// 1,024 threads. Grid: sequences; sparse_offsets 1. Shared memory: sparse_count and sparse_write
// 128 bytes, sparse_offsets 256, sparse_top_k 4 · SELECT_WORDS + 128 = 8,336.
#include "activation.cuh"
#include "select.cuh"

constexpr int SPARSE_THREADS = 1024, SPARSE_WARPS = 32;
/// Loads that a lane has in flight before it looks at the first.
constexpr int CELLS_IN_FLIGHT = 4;

/// The weight and row of a cell.
struct Weighed {
    float weight;
    u32 row;
};

template <int KIND>
struct Cell {
    typedef u64 Word;
};
template <>
struct Cell<TABLE_MAX> {
    typedef u32 Word;
};

template <int KIND>
DEVICE Weighed weigh(typename Cell<KIND>::Word cell, int activation) {
    if (KIND == TABLE_SUM) return {float(cell) * (1 / 4294967296.0f), 0};
    if (KIND == TABLE_MAX) return {splade_activate(float_of(u32(cell)), activation), 0};
    return {splade_activate(float_of(u32(u64(cell) >> 32)), activation), ~u32(cell)};
}

/// The terms of a warp.
struct TermRange {
    int begin, end;

    DEVICE explicit TermRange(int terms) {
        int each = divide_up(divide_up(terms, SPARSE_WARPS), 32) * 32;
        begin = min_of(int(threadIdx.x / 32) * each, terms);
        end = min_of(begin + each, terms);
    }
};

/// Calls found(term, cell) with 32 adjacent cells of a range at a time; lanes beyond its end get
/// term -1 and cell 0.
template <class Word, class Found>
DEVICE void walk_cells(const Word* cells, TermRange range, const Found& found) {
    for (int first = range.begin; first < range.end; first += 32 * CELLS_IN_FLIGHT) {
        Word loaded[CELLS_IN_FLIGHT];
        UNROLL
        for (int i = 0; i < CELLS_IN_FLIGHT; i++) {
            int term = first + 32 * i + threadIdx.x % 32;
            loaded[i] = term < range.end ? cells[term] : 0;
        }
        UNROLL
        for (int i = 0; i < CELLS_IN_FLIGHT; i++) found(first + 32 * i + threadIdx.x % 32, loaded[i]);
    }
}

/// The number of cells in the warp's range that satisfy `is`.
template <class Word, class Is>
DEVICE u32 count_cells(const Word* cells, TermRange range, const Is& is) {
    u32 count = 0;
    walk_cells(cells, range, [&](int, Word cell) { count += count_ones(ballot(is(cell))); });
    return count;
}

/// Exchanges the counts of all warps through shared memory: the sum before this warp, and the sum
/// of all.
struct CountOfWarps {
    u32 before, all;

    DEVICE CountOfWarps(u32* counts, u32 count) {
        int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
        if (lane == 0) counts[warp] = count;
        sync_block();
        u32 running = sum_to_lane(counts[lane]);
        before = shuffle(running, warp) - count;
        all = shuffle(running, 31);
    }
};

template <int KIND>
DEVICE bool is_kept(const SparsifyParameters& p, typename Cell<KIND>::Word cell) {
    return cell != 0 && weigh<KIND>(cell, p.activation).weight > p.threshold;
}

template <int KIND>
DEVICE u32 count_kept(const SparsifyParameters& p) {
    auto cells = static_cast<const typename Cell<KIND>::Word*>(p.table) + i64(blockIdx.x) * p.terms;
    return count_cells(cells, TermRange(p.terms), [&](typename Cell<KIND>::Word cell) { return is_kept<KIND>(p, cell); });
}

template <int KIND>
DEVICE void write_kept(const SparsifyParameters& p, u32 place) {
    typedef typename Cell<KIND>::Word Word;
    auto cells = static_cast<const Word*>(p.table) + i64(blockIdx.x) * p.terms;
    walk_cells(cells, TermRange(p.terms), [&](int term, Word cell) {
        bool is_one = is_kept<KIND>(p, cell);
        u32 ones = ballot(is_one), own = place + count_ones(ones & lanes_before());
        place += count_ones(ones);
        if (!is_one || own >= p.capacity) return;
        Weighed weighed = weigh<KIND>(cell, p.activation);
        p.found[own] = {u32(term), weighed.weight};
        if (KIND == TABLE_ARGMAX && p.found_rows) p.found_rows[own] = weighed.row;
    });
}

DEVICE u32 count_of_kind(const SparsifyParameters& p) {
    switch (p.kind) {
        case TABLE_MAX: return count_kept<TABLE_MAX>(p);
        case TABLE_ARGMAX: return count_kept<TABLE_ARGMAX>(p);
        default: return count_kept<TABLE_SUM>(p);
    }
}

KERNEL(sparse_count, SPARSE_THREADS, 1)(PARAMETER(SparsifyParameters) p) {
    SHARED_MEMORY(shared);
    CountOfWarps counts(reinterpret_cast<u32*>(shared), count_of_kind(p));
    if (threadIdx.x == 0) p.offsets[blockIdx.x + 1] = counts.all;
}

KERNEL(sparse_offsets, SPARSE_THREADS, 1)(PARAMETER(SparsifyParameters) p) {
    SHARED_MEMORY(shared);
    u32* counts = reinterpret_cast<u32*>(shared);
    if (threadIdx.x == 0) p.offsets[0] = 0;
    u32 before = 0;
    // Double-buffered: no warp still reads the first buffer when the round after the next writes
    // it.
    for (int first = 0; first < p.sequences; first += SPARSE_THREADS) {
        int sequence = first + threadIdx.x;
        u32 running = sum_to_lane(sequence < p.sequences ? p.offsets[sequence + 1] : 0);
        CountOfWarps warps(counts + first / SPARSE_THREADS % 2 * SPARSE_WARPS, shuffle(running, 31));
        if (sequence < p.sequences) p.offsets[sequence + 1] = before + warps.before + running;
        before += warps.all;
    }
}

KERNEL(sparse_write, SPARSE_THREADS, 1)(PARAMETER(SparsifyParameters) p) {
    SHARED_MEMORY(shared);
    CountOfWarps counts(reinterpret_cast<u32*>(shared), count_of_kind(p));
    u32 place = p.offsets[blockIdx.x] + counts.before;
    switch (p.kind) {
        case TABLE_MAX: return write_kept<TABLE_MAX>(p, place);
        case TABLE_ARGMAX: return write_kept<TABLE_ARGMAX>(p, place);
        default: return write_kept<TABLE_SUM>(p, place);
    }
}

KERNEL(sparse_top_k, SPARSE_THREADS, 1)(PARAMETER(TopKParameters) p) {
    SHARED_MEMORY(shared);
    u32* words = reinterpret_cast<u32*>(shared);
    u32* cells = p.table + i64(blockIdx.x) * p.terms;
    TermRange range(p.terms);
    // The bits of positive f32 values are ordered like the values.
    Selected<u32> selected = {true, 0xffffffff, 0, 0};
    if (p.k > 0) {
        selected = select_top_k<u32, SPARSE_THREADS>(words, p.k, p.k, [&](auto count) {
            walk_cells(cells, range, [&](int, u32 cell) {
                if (cell) count(cell);
            });
        });
    }
    if (!selected.is_found) return;
    // Of the cells equal to the smallest kept one, some exceed k.
    u32 surplus = selected.count > u32(p.k) ? selected.count - p.k : 0, kept = selected.equal - surplus, passed = 0;
    if (surplus) {
        u32 count = count_cells(cells, range, [&](u32 cell) { return cell == selected.min_key; });
        passed = CountOfWarps(words + SELECT_WORDS, count).before;
    }
    walk_cells(cells, range, [&](int term, u32 cell) {
        u32 equals = ballot(cell == selected.min_key), rank = passed + count_ones(equals & lanes_before());
        passed += count_ones(equals);
        bool is_surplus = cell == selected.min_key && surplus && rank >= kept;
        if (cell && (cell < selected.min_key || is_surplus)) cells[term] = 0;
    });
}
