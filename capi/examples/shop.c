/* A shop: documents with a text, a price and a color; search, filter, facets, passages. It ends with
 * status 1 when anything is not as expected, so that it is a test too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "esparsa.h"

/* What went wrong, and the end. */
static void check(EsparsaStatus status, const char *what) {
    if (status != ESPARSA_STATUS_OK) {
        fprintf(stderr, "%s: %s\n", what, esparsa_error_message());
        exit(1);
    }
}

static void expect(bool holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "expected %s\n", what);
        exit(1);
    }
}

static EsparsaSchema *shop_schema(void) {
    EsparsaSchema *schema = esparsa_schema_new();
    check(esparsa_schema_text(schema, "name", "en", true), "schema");
    check(esparsa_schema_column(schema, "price", ESPARSA_COLUMN_TYPE_F64, false), "schema");
    check(esparsa_schema_column(schema, "color", ESPARSA_COLUMN_TYPE_KEYWORD, true), "schema");
    check(esparsa_schema_sparse(schema, "learned", 3.0f), "schema");
    check(esparsa_schema_dense(schema, "vector", 2, true), "schema");
    check(esparsa_schema_stored(schema, "source"), "schema");
    return schema;
}

static void add(EsparsaWriter *writer, const char *id, const char *name, double price,
                const char *color, float weight) {
    const char *terms[] = {"tea", "drink"};
    const float weights[] = {weight, 0.5f};
    const float vector[] = {weight, 1.0f};
    EsparsaDocument *document = NULL;
    check(esparsa_document_new(id, &document), "document");
    check(esparsa_document_text(document, "name", name), "name");
    check(esparsa_document_f64(document, "price", price), "price");
    check(esparsa_document_keyword(document, "color", color), "color");
    check(esparsa_document_sparse(document, "learned", terms, weights, 2), "learned");
    check(esparsa_document_dense(document, "vector", vector, 2), "vector");
    check(esparsa_document_stored(document, "source", (const uint8_t *)name, strlen(name)), "source");
    check(esparsa_writer_add(writer, document), "add");
}

static void fill(EsparsaIndex *index) {
    EsparsaWriter *writer = NULL;
    check(esparsa_writer_open(index, 1, 0, &writer), "writer");
    add(writer, "cup", "A white tea cup", 4.5, "white", 1.0f);
    add(writer, "pot", "A red tea pot & its lid", 20.0, "red", 2.0f);
    add(writer, "mat", "A red mat", 12.0, "red", 0.25f);
    check(esparsa_writer_commit(writer), "commit");

    EsparsaWriter *second = NULL;
    expect(esparsa_writer_open(index, 0, 0, &second) == ESPARSA_STATUS_LOCKED, "one writer");
    expect(second == NULL, "no second writer");
    esparsa_writer_free(writer);
}

/* A query that a person wrote, with a filter, ordered by price, with the colors of all matches. */
static void search_words(const EsparsaSnapshot *snapshot) {
    EsparsaQuery *query = NULL, *filter = NULL;
    check(esparsa_query_parse(snapshot, "name", "tea OR mat", false, &query), "parse");
    check(esparsa_query_json("{\"range\": {\"price\": {\"gte\": 10}}}", &filter), "filter");
    check(esparsa_query_filter(query, filter, false), "filter");
    esparsa_query_free(filter);

    EsparsaOptions *options = esparsa_options_new(10);
    check(esparsa_options_sort(options, "price", false, false), "sort");
    check(esparsa_options_facet(options, "color", 5), "facet");
    check(esparsa_options_count_up_to(options, UINT64_MAX), "count");
    EsparsaHits *hits = NULL;
    check(esparsa_search(snapshot, query, options, &hits), "search");
    expect(esparsa_hits_length(hits) == 2, "two hits");
    for (size_t place = 0; place < esparsa_hits_length(hits); place++) {
        const char *text = NULL;
        check(esparsa_hits_stored(hits, place, &text, NULL), "stored");
        printf("%s: %s\n", esparsa_hits_id(hits, place), text);
    }
    expect(strcmp(esparsa_hits_id(hits, 0), "mat") == 0, "the mat first");
    bool is_exact = false;
    expect(esparsa_hits_count(hits, &is_exact) == 2 && is_exact, "an exact count of 2");
    uint64_t documents = 0;
    const char *color = esparsa_hits_facet_value(hits, 0, 0, &documents);
    expect(color != NULL && strcmp(color, "red") == 0 && documents == 2, "two red ones");

    EsparsaBytes *html = NULL;
    check(esparsa_snippet(snapshot, query, "A red tea pot & its lid", 100, &html), "snippet");
    expect(strcmp(esparsa_bytes_data(html), "A red <mark>tea</mark> pot &amp; its lid") == 0, "a mark");
    esparsa_bytes_free(html);
    esparsa_hits_free(hits);
    esparsa_options_free(options);
    esparsa_query_free(query);
}

/* Words, learned weights and vectors, fused by reciprocal rank. */
static void search_fused(const EsparsaSnapshot *snapshot) {
    const char *terms[] = {"tea"};
    const float weights[] = {1.0f}, vector[] = {1.0f, 0.5f};
    EsparsaQuery *queries[3] = {NULL, NULL, NULL};
    check(esparsa_query_text("name", "tea pot", false, &queries[0]), "text");
    check(esparsa_query_sparse("learned", terms, weights, 1, &queries[1]), "sparse");
    check(esparsa_query_dense("vector", vector, 2, &queries[2]), "dense");
    EsparsaOptions *options = esparsa_options_new(10);
    EsparsaHits *lists[3] = {NULL, NULL, NULL}, *fused = NULL;
    for (int i = 0; i < 3; i++) {
        check(esparsa_search(snapshot, queries[i], options, &lists[i]), "search");
    }
    check(esparsa_fuse((const EsparsaHits *const *)lists, 3, 2, &fused), "fuse");
    expect(esparsa_hits_length(fused) == 2, "two hits");
    expect(strcmp(esparsa_hits_id(fused, 0), "pot") == 0, "the pot first");
    printf("fused: %s, %.4f\n", esparsa_hits_id(fused, 0), esparsa_hits_score(fused, 0));
    esparsa_hits_free(fused);
    for (int i = 0; i < 3; i++) {
        esparsa_hits_free(lists[i]);
        esparsa_query_free(queries[i]);
    }
    esparsa_options_free(options);
}

/* Mistakes are statuses with a message, never a crash. */
static void make_mistakes(const EsparsaSnapshot *snapshot) {
    EsparsaQuery *query = NULL;
    expect(esparsa_query_parse(snapshot, "name", "(tea", false, &query) == ESPARSA_STATUS_INVALID_INPUT,
           "a refused query");
    printf("refused: %s\n", esparsa_error_message());
    expect(query == NULL, "no query");
    expect(esparsa_query_json(NULL, &query) == ESPARSA_STATUS_INVALID_INPUT, "refused null");
    expect(esparsa_query_text("name", "\xff", false, &query) == ESPARSA_STATUS_INVALID_INPUT, "UTF-8");
    EsparsaQuery *twice = NULL;
    check(esparsa_query_text("name", "tea", false, &twice), "text");
    expect(esparsa_query_filter(twice, twice, false) == ESPARSA_STATUS_INVALID_INPUT, "another filter");
    esparsa_query_free(twice);
    expect(esparsa_query_dense("vector", NULL, 2, &query) == ESPARSA_STATUS_INVALID_INPUT, "refused null");
    expect(esparsa_search(NULL, NULL, NULL, NULL) == ESPARSA_STATUS_INVALID_INPUT, "refused nulls");
    EsparsaBytes *bytes = NULL;
    expect(esparsa_get(snapshot, "sofa", &bytes) == ESPARSA_STATUS_NOT_FOUND && bytes == NULL, "no sofa");
    EsparsaSchema *schema = esparsa_schema_new();
    expect(esparsa_schema_column(schema, "price", 99, false) == ESPARSA_STATUS_INVALID_INPUT, "no type");
    esparsa_schema_free(schema);
    EsparsaIndex *index = NULL;
    expect(esparsa_index_open("/nowhere", &index) == ESPARSA_STATUS_NOT_FOUND, "no index");
    expect(esparsa_hits_id(NULL, 0) == NULL && esparsa_hits_length(NULL) == 0, "no hits of null");

    EsparsaOptions *options = esparsa_options_new(10);
    EsparsaCancel *cancel = esparsa_cancel_new();
    EsparsaHits *hits = NULL;
    check(esparsa_options_cancel(options, cancel), "cancel");
    esparsa_cancel_now(cancel);
    esparsa_cancel_free(cancel);
    check(esparsa_query_text("name", "tea", true, &query), "text");
    expect(esparsa_search(snapshot, query, options, &hits) == ESPARSA_STATUS_CANCELLED, "a stopped search");
    esparsa_options_free(options);
    esparsa_query_free(query);

    esparsa_index_free(NULL);
    esparsa_hits_free(NULL);
    esparsa_query_free(NULL);
}

/* Searches and reads when the program ends: also then it works, or says why not. */
static EsparsaSnapshot *kept;

static void search_at_exit(void) {
    EsparsaQuery *query = NULL;
    EsparsaOptions *options = esparsa_options_new(10);
    EsparsaHits *hits = NULL;
    const char *text = NULL;
    check(esparsa_query_text("name", "TEA", false, &query), "text");
    check(esparsa_search(kept, query, options, &hits), "search");
    check(esparsa_hits_stored(hits, 0, &text, NULL), "stored");
    esparsa_query_free(query);
    expect(esparsa_query_json("{", &query) == ESPARSA_STATUS_INVALID_INPUT, "a refused query");
    expect(esparsa_error_message() != NULL, "a message");
    esparsa_hits_free(hits);
    esparsa_options_free(options);
    esparsa_snapshot_free(kept);
}

int main(int argc, char **argv) {
    EsparsaSchema *schema = shop_schema();
    EsparsaIndex *index = NULL;
    if (argc > 1) {
        check(esparsa_index_create(argv[1], schema, &index), "create");
    } else {
        check(esparsa_index_in_memory(schema, &index), "create");
    }
    esparsa_schema_free(schema);
    fill(index);

    EsparsaSnapshot *snapshot = NULL;
    check(esparsa_index_snapshot(index, &snapshot), "snapshot");
    esparsa_index_free(index);
    printf("esparsa %s, %llu documents\n", esparsa_version(),
           (unsigned long long)esparsa_snapshot_documents(snapshot));
    search_words(snapshot);
    search_fused(snapshot);
    make_mistakes(snapshot);

    EsparsaBytes *bytes = NULL;
    check(esparsa_get(snapshot, "cup", &bytes), "get");
    expect(strcmp(esparsa_bytes_data(bytes), "A white tea cup") == 0, "the cup");
    esparsa_bytes_free(bytes);
    EsparsaCompletions *completions = NULL;
    uint64_t documents = 0;
    check(esparsa_complete(snapshot, "name", "te", 5, &completions), "complete");
    expect(esparsa_completions_length(completions) == 1, "one completion");
    expect(strcmp(esparsa_completions_text(completions, 0, &documents), "tea") == 0, "tea");
    expect(documents == 2, "two documents with tea");
    esparsa_completions_free(completions);
    EsparsaQuery *query = NULL;
    check(esparsa_query_text("name", "tea", false, &query), "text");
    check(esparsa_explain(snapshot, query, "pot", 10, &bytes), "explain");
    printf("%s\n", esparsa_bytes_data(bytes));
    esparsa_bytes_free(bytes);
    uint64_t count = 0;
    check(esparsa_count(snapshot, query, &count), "count");
    expect(count == 2, "two documents with tea");
    esparsa_query_free(query);
    kept = snapshot;
    return atexit(search_at_exit);
}
