/* The C interface of esparsa, an embedded search engine. See README.md beside the folder of this file.
 *
 * This file is written by cbindgen from capi/src; capi/check compares the two. */

#ifndef ESPARSA_H
#define ESPARSA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 What a function returns: 0, or what kind of error there was. `esparsa_error_message` says more.
 */
typedef enum {
  /*
   Done.
   */
  ESPARSA_STATUS_OK = 0,
  /*
   An argument, a document or a query is wrong, or above a limit.
   */
  ESPARSA_STATUS_INVALID_INPUT = 1,
  /*
   There is no such index or document.
   */
  ESPARSA_STATUS_NOT_FOUND = 2,
  /*
   Another writer, of this or another process, holds the lock of the index.
   */
  ESPARSA_STATUS_LOCKED = 3,
  /*
   An operation of the operating system failed.
   */
  ESPARSA_STATUS_IO = 4,
  /*
   Bytes on disk differ from what was written.
   */
  ESPARSA_STATUS_CORRUPT = 5,
  /*
   A version of the format that this library does not support.
   */
  ESPARSA_STATUS_UNSUPPORTED = 6,
  /*
   The work was cancelled.
   */
  ESPARSA_STATUS_CANCELLED = 7,
  /*
   The writer had an error after which the state on disk is unknown: free it and open another.
   */
  ESPARSA_STATUS_POISONED = 8,
  /*
   A defect of this library.
   */
  ESPARSA_STATUS_INTERNAL = 9,
} EsparsaStatus;

/*
 What a column holds.
 */
typedef enum {
  /*
   Whole numbers from -2^63 to 2^63 - 1.
   */
  ESPARSA_COLUMN_TYPE_I64 = 0,
  /*
   Whole numbers from 0 to 2^64 - 1.
   */
  ESPARSA_COLUMN_TYPE_U64 = 1,
  /*
   Floating-point numbers of 64 bits, not NaN.
   */
  ESPARSA_COLUMN_TYPE_F64 = 2,
  /*
   True or false.
   */
  ESPARSA_COLUMN_TYPE_BOOL = 3,
  /*
   Points in time, in milliseconds since 1970-01-01T00:00:00Z.
   */
  ESPARSA_COLUMN_TYPE_DATE = 4,
  /*
   Strings that are searched and counted as a whole.
   */
  ESPARSA_COLUMN_TYPE_KEYWORD = 5,
} EsparsaColumnType;

/*
 Bytes that a function leaves, with a zero byte behind them that does not count.
 */
typedef struct EsparsaBytes EsparsaBytes;

/*
 Lets another thread stop searches.
 */
typedef struct EsparsaCancel EsparsaCancel;

/*
 Completions of a prefix.
 */
typedef struct EsparsaCompletions EsparsaCompletions;

/*
 A document: an external id and values of fields. Whether these fit the schema is found out when it
 is added.
 */
typedef struct EsparsaDocument EsparsaDocument;

/*
 The best documents of a search, best first. It does not change.
 */
typedef struct EsparsaHits EsparsaHits;

/*
 An index, in a folder or in memory. Any number of threads may use it at the same time.
 */
typedef struct EsparsaIndex EsparsaIndex;

/*
 How a query is searched.
 */
typedef struct EsparsaOptions EsparsaOptions;

/*
 What is searched for. Any number of threads may search with it, while none adds a filter.
 */
typedef struct EsparsaQuery EsparsaQuery;

/*
 The fields of an index.
 */
typedef struct EsparsaSchema EsparsaSchema;

/*
 One commit of an index. It never changes, and any number of threads may search it.
 */
typedef struct EsparsaSnapshot EsparsaSnapshot;

/*
 The writer of an index. There is one at a time, in all processes; it is used by one thread at a
 time.
 */
typedef struct EsparsaWriter EsparsaWriter;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 A document with an external id. Adding it replaces a document with the same id.
 */
EsparsaStatus esparsa_document_new(const char *id, EsparsaDocument **document);

/*
 Adds a text to a text field, which may have several.
 */
EsparsaStatus esparsa_document_text(EsparsaDocument *document,
                                    const char *field,
                                    const char *text);

/*
 Sets the vector of a sparse field: `length` terms and their weights. Both arrays are copied.

 `terms` leads to `length` strings, and `weights` to as many numbers.
 */
EsparsaStatus esparsa_document_sparse(EsparsaDocument *document,
                                      const char *field,
                                      const char *const *terms,
                                      const float *weights,
                                      size_t length);

/*
 Sets the vector of a dense field: `length` numbers, as many as the field has dimensions. The array
 is copied.

 `vector` leads to `length` numbers.
 */
EsparsaStatus esparsa_document_dense(EsparsaDocument *document,
                                     const char *field,
                                     const float *vector,
                                     size_t length);

/*
 Sets the bytes that are returned with hits. They are copied.

 `bytes` leads to `length` bytes.
 */
EsparsaStatus esparsa_document_stored(EsparsaDocument *document,
                                      const char *field,
                                      const uint8_t *bytes,
                                      size_t length);

/*
 Adds a value to a column of whole numbers from -2^63 to 2^63 - 1.
 */
EsparsaStatus esparsa_document_i64(EsparsaDocument *document, const char *column, int64_t value);

/*
 Adds a value to a column of whole numbers from 0 to 2^64 - 1.
 */
EsparsaStatus esparsa_document_u64(EsparsaDocument *document, const char *column, uint64_t value);

/*
 Adds a value to a column of floating-point numbers.
 */
EsparsaStatus esparsa_document_f64(EsparsaDocument *document, const char *column, double value);

/*
 Adds a value to a column of true or false.
 */
EsparsaStatus esparsa_document_bool(EsparsaDocument *document, const char *column, bool value);

/*
 Adds a value to a column of dates: RFC 3339, such as `2024-06-19T15:22:45Z`, or a day alone.
 */
EsparsaStatus esparsa_document_date(EsparsaDocument *document,
                                    const char *column,
                                    const char *date);

/*
 Adds a value to a column of keywords.
 */
EsparsaStatus esparsa_document_keyword(EsparsaDocument *document,
                                       const char *column,
                                       const char *value);

/*
 Frees a document that was not added.
 */
void esparsa_document_free(EsparsaDocument *document);

/*
 How many hits there are; 0 for null.
 */
size_t esparsa_hits_length(const EsparsaHits *hits);

/*
 The external id of a hit; null beyond the last. It is valid until the hits are freed. Of an id with
 a zero byte in it, what is before.
 */
const char *esparsa_hits_id(const EsparsaHits *hits, size_t place);

/*
 The score of a hit: BM25, the dot product of weights, the inner product or cosine of vectors, or
 that of a fusion. 0 beyond the last.
 */
float esparsa_hits_score(const EsparsaHits *hits, size_t place);

/*
 The bytes that are stored for a hit, with a zero byte behind them that `length` does not count.
 They are valid until the hits are freed.
 */
EsparsaStatus esparsa_hits_stored(const EsparsaHits *hits,
                                  size_t place,
                                  const char **bytes,
                                  size_t *length);

/*
 How many documents match, if `esparsa_options_count_up_to` asked for it; 0 otherwise. `is_exact`,
 unless it is null, says whether the count is exact or a lower bound.
 */
uint64_t esparsa_hits_count(const EsparsaHits *hits, bool *is_exact);

/*
 How many values a facet has; 0 if there is no such facet.
 */
size_t esparsa_hits_facet_length(const EsparsaHits *hits, size_t facet);

/*
 A value of a facet, the most frequent first, and in how many documents it is, unless `documents`
 is null. The value is null beyond the last; it is valid until the hits are freed.
 */
const char *esparsa_hits_facet_value(const EsparsaHits *hits,
                                     size_t facet,
                                     size_t place,
                                     uint64_t *documents);

/*
 Fuses the hits of several searches of one snapshot by reciprocal rank: the best `k`.

 `lists` leads to `length` pointers to hits. `hits` may be one of these places, whose hits are then
 not freed.
 */
EsparsaStatus esparsa_fuse(const EsparsaHits *const *lists,
                           size_t length,
                           size_t k,
                           EsparsaHits **hits);

/*
 Frees hits.
 */
void esparsa_hits_free(EsparsaHits *hits);

/*
 Opens the index in a folder.
 */
EsparsaStatus esparsa_index_open(const char *path, EsparsaIndex **index);

/*
 Makes an index in a folder, which must not have one. The schema is copied.
 */
EsparsaStatus esparsa_index_create(const char *path,
                                   const EsparsaSchema *schema,
                                   EsparsaIndex **index);

/*
 Opens the index in a folder, or makes one where there is none. An index with other fields is an
 error.
 */
EsparsaStatus esparsa_index_open_or_create(const char *path,
                                           const EsparsaSchema *schema,
                                           EsparsaIndex **index);

/*
 Makes an index in memory.
 */
EsparsaStatus esparsa_index_in_memory(const EsparsaSchema *schema, EsparsaIndex **index);

/*
 The newest commit, as it is searched. This is cheap: take one for each request.
 */
EsparsaStatus esparsa_index_snapshot(const EsparsaIndex *index, EsparsaSnapshot **snapshot);

/*
 Frees an index. Its snapshots and writers may be used on.
 */
void esparsa_index_free(EsparsaIndex *index);

/*
 Options of a search of the best `k` documents, at least 1, exact and by score. `k` and the offset
 are at most 10,000,000 together.
 */
EsparsaOptions *esparsa_options_new(size_t k);

/*
 Leaves out the first hits, for pages.
 */
EsparsaStatus esparsa_options_offset(EsparsaOptions *options, size_t hits);

/*
 Orders hits by a column instead of the score. Called again, it adds a column for those that are
 equal in the ones before. Documents without a value are last, or first with `missing_first`.
 */
EsparsaStatus esparsa_options_sort(EsparsaOptions *options,
                                   const char *column,
                                   bool descending,
                                   bool missing_first);

/*
 Counts the values of a column over all documents that match, and keeps the `count` most frequent.
 The first facet that is added has number 0 in the functions of hits, the next one 1.
 */
EsparsaStatus esparsa_options_facet(EsparsaOptions *options, const char *column, size_t count);

/*
 Counts the documents that match, until it is known that there are at least `limit`; `UINT64_MAX`
 counts all.
 */
EsparsaStatus esparsa_options_count_up_to(EsparsaOptions *options, uint64_t limit);

/*
 Returns, and counts, only hits whose score is at least this, which is finite. A sort beside it is
 refused.
 */
EsparsaStatus esparsa_options_min_score(EsparsaOptions *options, float score);

/*
 Lets one query run on several threads, 1 to 1,024; 1 is the default.
 */
EsparsaStatus esparsa_options_threads(EsparsaOptions *options, size_t threads);

/*
 The share of the exact results that should be found in a sparse field, above 0 and up to 1. Below 1
 the search is approximate and faster, and a query of other fields is refused.
 */
EsparsaStatus esparsa_options_recall(EsparsaOptions *options, float recall);

/*
 Stops searches with these options when `esparsa_cancel_now` is called: they return
 `ESPARSA_STATUS_CANCELLED`.
 */
EsparsaStatus esparsa_options_cancel(EsparsaOptions *options, const EsparsaCancel *cancel);

/*
 Frees options.
 */
void esparsa_options_free(EsparsaOptions *options);

/*
 What stops searches from another thread.
 */
EsparsaCancel *esparsa_cancel_new(void);

/*
 Stops all searches whose options have it, for good.
 */
void esparsa_cancel_now(const EsparsaCancel *cancel);

/*
 Frees it. Searches that have it go on.
 */
void esparsa_cancel_free(EsparsaCancel *cancel);

/*
 Words for a text field, in which nothing is an operator. With `all_terms`, documents have all of
 them.
 */
EsparsaStatus esparsa_query_text(const char *field,
                                 const char *words,
                                 bool all_terms,
                                 EsparsaQuery **query);

/*
 A query that a person wrote in the query language, such as
 `+volcano -sicily title:"new york" +year:>=1990 erupt* vulcano~1`.

 Words without a field are looked for in `field`, or in all text fields where it is null. With
 `lenient`, what is wrong is searched as words instead of being an error.
 */
EsparsaStatus esparsa_query_parse(const EsparsaSnapshot *snapshot,
                                  const char *field,
                                  const char *text,
                                  bool lenient,
                                  EsparsaQuery **query);

/*
 A query tree in JSON, such as
 `{"text": {"name": "tea"}, "filter": {"range": {"price": {"gte": 10}}}}`: every kind of query, with
 filters. The documentation of `Query::from_json` in Rust and of `Query.from_json` in Python lists
 them.
 */
EsparsaStatus esparsa_query_json(const char *json, EsparsaQuery **query);

/*
 Terms and weights for a sparse field. The arrays are copied.

 `terms` leads to `length` strings, and `weights` to as many numbers.
 */
EsparsaStatus esparsa_query_sparse(const char *field,
                                   const char *const *terms,
                                   const float *weights,
                                   size_t length,
                                   EsparsaQuery **query);

/*
 A vector for a dense field: `length` numbers, which are copied.

 `vector` leads to `length` numbers.
 */
EsparsaStatus esparsa_query_dense(const char *field,
                                  const float *vector,
                                  size_t length,
                                  EsparsaQuery **query);

/*
 Adds a filter: documents must match it too, or must not where `without` is true. It adds nothing to
 scores. `filter` is copied, and must be another query.

 Both pointers are null or lead to queries.
 */
EsparsaStatus esparsa_query_filter(EsparsaQuery *query, const EsparsaQuery *filter, bool without);

/*
 Frees a query.
 */
void esparsa_query_free(EsparsaQuery *query);

/*
 A schema without fields. Mistakes in it are found when an index is made with it.
 */
EsparsaSchema *esparsa_schema_new(void);

/*
 Adds a text field, searched by BM25.

 `analyzer` is a language, as a code or in English (`"en"`, `"portuguese"`), `"simple"`, or a chain
 such as `"standard|lowercase|fold|stem:pt"`; null is `"simple"`. With `positions`, phrases can be
 searched.
 */
EsparsaStatus esparsa_schema_text(EsparsaSchema *schema,
                                  const char *name,
                                  const char *analyzer,
                                  bool positions);

/*
 Adds a text field with other parameters of BM25 than k1 = 0.9 and b = 0.4. Lucene and tantivy have
 1.2 and 0.75.
 */
EsparsaStatus esparsa_schema_text_bm25(EsparsaSchema *schema,
                                       const char *name,
                                       const char *analyzer,
                                       bool positions,
                                       float k1,
                                       float b);

/*
 Adds a field of learned sparse vectors, searched by dot product. Weights are quantized to 255
 steps up to about `expected_max`; 0 leaves it to the first documents.
 */
EsparsaStatus esparsa_schema_sparse(EsparsaSchema *schema, const char *name, float expected_max);

/*
 Adds a field of dense vectors of `dimensions` numbers, searched exactly by inner product, or by
 cosine.
 */
EsparsaStatus esparsa_schema_dense(EsparsaSchema *schema,
                                   const char *name,
                                   size_t dimensions,
                                   bool cosine);

/*
 Adds a column: values to filter, sort and count by; `several` allows more than one in a document.
 */
EsparsaStatus esparsa_schema_column(EsparsaSchema *schema,
                                    const char *name,
                                    uint32_t column_type,
                                    bool several);

/*
 Adds a field whose bytes are kept and returned with hits, often JSON. There is at most one.
 */
EsparsaStatus esparsa_schema_stored(EsparsaSchema *schema, const char *name);

/*
 Frees a schema. Indexes that were made with it do not need it any more.
 */
void esparsa_schema_free(EsparsaSchema *schema);

/*
 The number of documents; 0 for null.
 */
uint64_t esparsa_snapshot_documents(const EsparsaSnapshot *snapshot);

/*
 The number of the commit; 0 for null.
 */
uint64_t esparsa_snapshot_commit(const EsparsaSnapshot *snapshot);

/*
 The best documents for a query.
 */
EsparsaStatus esparsa_search(const EsparsaSnapshot *snapshot,
                             const EsparsaQuery *query,
                             const EsparsaOptions *options,
                             EsparsaHits **hits);

/*
 How many documents match a query.
 */
EsparsaStatus esparsa_count(const EsparsaSnapshot *snapshot,
                            const EsparsaQuery *query,
                            uint64_t *count);

/*
 The bytes that are stored for the document with an external id; `ESPARSA_STATUS_NOT_FOUND` and
 null if there is none.
 */
EsparsaStatus esparsa_get(const EsparsaSnapshot *snapshot, const char *id, EsparsaBytes **bytes);

/*
 The best passage of a text by what a query looks for, at most `length` characters without markup, as
 HTML with matches in `<mark>`.
 */
EsparsaStatus esparsa_snippet(const EsparsaSnapshot *snapshot,
                              const EsparsaQuery *query,
                              const char *text,
                              size_t length,
                              EsparsaBytes **html);

/*
 Where the score of a document comes from in a search of `k`, as text for people;
 `ESPARSA_STATUS_NOT_FOUND` and null if there is no such document.
 */
EsparsaStatus esparsa_explain(const EsparsaSnapshot *snapshot,
                              const EsparsaQuery *query,
                              const char *id,
                              size_t k,
                              EsparsaBytes **text);

/*
 The `n` most frequent terms of a text field, or keywords of a column, that begin with `prefix`.
 */
EsparsaStatus esparsa_complete(const EsparsaSnapshot *snapshot,
                               const char *field,
                               const char *prefix,
                               size_t n,
                               EsparsaCompletions **completions);

/*
 How many completions there are; 0 for null.
 */
size_t esparsa_completions_length(const EsparsaCompletions *completions);

/*
 A completion, the most frequent first, and in how many documents it is, unless `documents` is null.
 It is null beyond the last, and valid until the completions are freed.
 */
const char *esparsa_completions_text(const EsparsaCompletions *completions,
                                     size_t place,
                                     uint64_t *documents);

/*
 Frees completions.
 */
void esparsa_completions_free(EsparsaCompletions *completions);

/*
 Frees a snapshot. Hits of its searches may be used on.
 */
void esparsa_snapshot_free(EsparsaSnapshot *snapshot);

/*
 The bytes, with a zero byte behind them; null for null. They are valid until they are freed.
 */
const char *esparsa_bytes_data(const EsparsaBytes *bytes);

/*
 How many bytes there are, without the zero byte; 0 for null.
 */
size_t esparsa_bytes_length(const EsparsaBytes *bytes);

/*
 Frees bytes.
 */
void esparsa_bytes_free(EsparsaBytes *bytes);

/*
 The message of the last error of a function of this library on this thread, and an empty string
 before any: what was expected, what was found, and what to do. It is valid until the next call that
 fails on this thread.
 */
const char *esparsa_error_message(void);

/*
 The version of this library, such as `0.1.0`.
 */
const char *esparsa_version(void);

/*
 Opens the writer of an index. `threads`, at most 1,024, and `memory`, in bytes and at least 32 MiB,
 are those that indexing may use; 0 takes the defaults.
 */
EsparsaStatus esparsa_writer_open(const EsparsaIndex *index,
                                  size_t threads,
                                  size_t memory,
                                  EsparsaWriter **writer);

/*
 Adds a document, and replaces the one with its id. The document is freed, also on an error; null
 is an error. After `ESPARSA_STATUS_INVALID_INPUT` the document is not added and the writer goes on;
 any other error is about earlier work, and the writer refuses more.
 */
EsparsaStatus esparsa_writer_add(EsparsaWriter *writer, EsparsaDocument *document);

/*
 Deletes the document with an external id, if there is one.
 */
EsparsaStatus esparsa_writer_delete(EsparsaWriter *writer, const char *id);

/*
 Deletes all documents that match a query, and says how many these were unless `deleted` is null.
 */
EsparsaStatus esparsa_writer_delete_matching(EsparsaWriter *writer,
                                             const EsparsaQuery *query,
                                             uint64_t *deleted);

/*
 Makes durable and visible what was added and deleted, all or nothing.
 */
EsparsaStatus esparsa_writer_commit(EsparsaWriter *writer);

/*
 Drops what was added and deleted since the last commit.
 */
EsparsaStatus esparsa_writer_rollback(EsparsaWriter *writer);

/*
 A snapshot that also has what is not yet committed.
 */
EsparsaStatus esparsa_writer_refresh(EsparsaWriter *writer, EsparsaSnapshot **snapshot);

/*
 Merges segments until there are at most `segments`, which is at least 1. With one the index is
 smallest and fastest. The next commit makes it visible.
 */
EsparsaStatus esparsa_writer_merge(EsparsaWriter *writer, size_t segments);

/*
 Frees a writer and its lock. What is not committed is dropped.
 */
void esparsa_writer_free(EsparsaWriter *writer);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* ESPARSA_H */
