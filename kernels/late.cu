// MaxSim: for each sequence the sum, over the rows of the query, of the maximum inner product with
// a row of the sequence (ColBERT: Khattab and Zaharia, 2020).
//
// In: a query and packed documents, rows of f32 without padding; the starts of sequences. Out: one
// f32 per sequence, 0 for a sequence without rows.
//
// Each block takes a sequence and multiplies tiles of 32 rows of the query with 64 of the document,
// 32 columns at a time, through shared memory: the next slice of columns is copied while the
// current one is multiplied. A thread accumulates 4 × 4 products of a tile: rows + 8·i of the
// query, + 16·j of the document. Products are summed column by column, and maxima in a fixed order
// of the query's rows, so results are deterministic.
//
// Launch: 128 threads, grid sequences, 27,680 bytes of shared memory.
#include "prelude.cuh"
#include "parameters.cuh"

constexpr int LATE_THREADS = 128;
constexpr int QUERY_TILE = 32;
constexpr int DOCUMENT_TILE = 64;
constexpr int SLICE = 32;
// Four floats of padding, so that one column of eight rows spreads over all banks.
constexpr int ROW_FLOATS = SLICE + 4;
constexpr int SLICE_FLOATS = (QUERY_TILE + DOCUMENT_TILE) * ROW_FLOATS;

/// The position of a slice: its first row of the query, first row of the document, first column.
struct Slice {
    int query, document, column;

    DEVICE Slice next(int rows, int columns) const {
        if (column + SLICE < columns) return {query, document, column + SLICE};
        if (document + DOCUMENT_TILE < rows) return {query, document + DOCUMENT_TILE, 0};
        return {query + QUERY_TILE, 0, 0};
    }
};

/// Starts the copy of SLICE columns of ROWS rows, of which `rows` exist; the rest are zeros.
template <int ROWS>
DEVICE void copy_rows(float* to, const float* from, int rows, int column, int columns) {
    constexpr int PIECES = SLICE / 4;
    bool is_whole = columns % 4 == 0;  // then every row starts at a multiple of 16 bytes
    UNROLL
    for (int step = 0; step < ROWS * PIECES / LATE_THREADS; step++) {
        int row = (step * LATE_THREADS + threadIdx.x) / PIECES, place = (step * LATE_THREADS + threadIdx.x) % PIECES * 4;
        int valid = row < rows ? columns - column - place : 0;
        const float* source = from + (valid > 0 ? i64(row) * columns + column + place : 0);
        float* destination = to + row * ROW_FLOATS + place;
        if (is_whole) {
            copy_16(shared_address(destination), source, valid > 0 ? 16 : 0);
        } else {
            UNROLL
            for (int i = 0; i < 4; i++) destination[i] = i < valid ? source[i] : 0;
        }
    }
}

DEVICE void load_rows(Words4 (&rows)[4], const float* slice, int first, int step, int column) {
    UNROLL
    for (int i = 0; i < 4; i++) rows[i] = *reinterpret_cast<const Words4*>(slice + (first + step * i) * ROW_FLOATS + column);
}

/// Adds the products of a slice.
DEVICE void multiply_slice(float (&products)[4][4], const float* slice, int query, int document) {
    UNROLL
    for (int column = 0; column < SLICE; column += 4) {
        Words4 of_query[4], of_document[4];
        load_rows(of_query, slice, query, 8, column);
        load_rows(of_document, slice + QUERY_TILE * ROW_FLOATS, document, 16, column);
        UNROLL
        for (int i = 0; i < 4; i++) {
            UNROLL
            for (int j = 0; j < 4; j++) {
                UNROLL
                for (int element = 0; element < 4; element++) products[i][j] += float_of(of_query[i].word[element]) * float_of(of_document[j].word[element]);
            }
        }
    }
}

/// Folds products with a document's `rows` rows into the maxima, and resets them to zero.
DEVICE void fold_products(float (&row_max)[4], float (&products)[4][4], int rows, int document) {
    UNROLL
    for (int i = 0; i < 4; i++) {
        UNROLL
        for (int j = 0; j < 4; j++) {
            if (document + 16 * j < rows) row_max[i] = fmaxf(row_max[i], products[i][j]);
            products[i][j] = 0;
        }
    }
}

/// The sum of a thread's maxima, each over all rows of the document: the 16 threads with the same
/// rows of the query are half a warp. Resets the maxima.
DEVICE float sum_of_maxima(float (&row_max)[4], int query_rows, int query) {
    float sum = 0;
    UNROLL
    for (int i = 0; i < 4; i++) {
        UNROLL
        for (int lanes = 8; lanes > 0; lanes /= 2) row_max[i] = fmaxf(row_max[i], shuffle_xor(row_max[i], lanes));
        if (query + 8 * i < query_rows) sum += row_max[i];
        row_max[i] = -INFINITY_F32;
    }
    return sum;
}

KERNEL(max_sim, LATE_THREADS, 4)(PARAMETER(LateParameters) p) {
    SHARED_MEMORY(shared);
    float* slices = reinterpret_cast<float*>(shared);
    float* sums = slices + 2 * SLICE_FLOATS;
    int begin = p.starts[blockIdx.x], rows = int(p.starts[blockIdx.x + 1]) - begin;
    if (rows <= 0 || p.query_rows <= 0) {
        if (threadIdx.x == 0) p.out[blockIdx.x] = 0;
        return;
    }
    auto copy = [&](Slice slice, int stage) {
        float* to = slices + stage * SLICE_FLOATS;
        const float* documents = p.documents + i64(begin + slice.document) * p.columns;
        copy_rows<QUERY_TILE>(to, p.query + i64(slice.query) * p.columns, p.query_rows - slice.query, slice.column, p.columns);
        copy_rows<DOCUMENT_TILE>(to + QUERY_TILE * ROW_FLOATS, documents, rows - slice.document, slice.column, p.columns);
        copy_commit();
    };
    int query = threadIdx.x / 16, document = threadIdx.x % 16;
    float products[4][4] = {}, row_max[4] = {-INFINITY_F32, -INFINITY_F32, -INFINITY_F32, -INFINITY_F32}, sum = 0;
    Slice slice = {0, 0, 0};
    copy(slice, 0);
    for (int stage = 0; slice.query < p.query_rows; stage ^= 1) {
        Slice next = slice.next(rows, p.columns);
        copy_wait<0>();
        sync_block();  // the slice has arrived, and all threads are done with the other stage
        if (next.query < p.query_rows) copy(next, stage ^ 1);
        multiply_slice(products, slices + stage * SLICE_FLOATS, query, document);
        if (next.column == 0) fold_products(row_max, products, rows, slice.document + document);
        if (next.query != slice.query) sum += sum_of_maxima(row_max, p.query_rows, slice.query + query);
        slice = next;
    }
    if (document == 0) sums[query] = sum;
    sync_block();
    if (threadIdx.x != 0) return;
    sum = 0;
    for (int i = 0; i < 8; i++) sum += sums[i];
    p.out[blockIdx.x] = sum;
}
