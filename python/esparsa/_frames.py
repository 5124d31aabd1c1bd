"""Results as frames of pandas."""

import pandas as pd


def of_hits(hits, documents):
    """A row for each hit, with what is stored of its document if that is wanted."""
    frame = pd.DataFrame({"id": hits.ids, "score": hits.scores})
    if not documents:
        return frame
    stored = pd.DataFrame([hit.document for hit in hits]).drop(columns="_id", errors="ignore")
    both = {name: f"{name}_of_document" for name in stored if name in frame}
    return frame.join(stored.rename(columns=both))


def of_results(results, queries):
    """A row for each hit of each query."""
    frames = [of_hits(hits, False).assign(query=query, rank=range(len(hits))) for query, hits in zip(queries, results)]
    columns = ["query", "rank", "id", "score"]
    return pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)
