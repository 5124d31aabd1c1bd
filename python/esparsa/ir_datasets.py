"""Collections of the package `ir_datasets`: any that it can read.

    import ir_datasets
    from esparsa.ir_datasets import documents, qrels, queries

    dataset = ir_datasets.load("beir/scifact/test")
    with index.writer() as writer:
        writer.add_many(documents(dataset))
    topics = queries(dataset)
    results = index.search_many(topics.values(), 1000)
    esparsa.evaluate(qrels(dataset), results.to_run(list(topics)), ["ndcg@10"])
"""


def documents(dataset, field="text"):
    """The documents of a dataset, or of its name, as `Writer.add_many` takes them: their texts, all of them joined, go to
    one field."""
    for document in _load(dataset).docs_iter():
        yield {"_id": document.doc_id, field: document.default_text()}


def queries(dataset):
    """The texts of queries by their ids."""
    return {query.query_id: query.default_text() for query in _load(dataset).queries_iter()}


def qrels(dataset):
    """The grades of documents for each query, as `esparsa.evaluate` takes them."""
    grades = {}
    for judgement in _load(dataset).qrels_iter():
        grades.setdefault(judgement.query_id, {})[judgement.doc_id] = judgement.relevance
    return grades


def _load(dataset):
    if not isinstance(dataset, str):
        return dataset
    import ir_datasets

    return ir_datasets.load(dataset)
