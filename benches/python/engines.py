"""Engines with one interface: they index documents, search one query, and search many at once.

Each class is made in a process of its own, so that imports and memory are its own. Documents and queries are strings, or
pairs of arrays: terms (numbers below 65,536) and weights.
"""

import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np

THREADS = int(os.environ.get("THREADS", "2"))
"""Threads for indexing and for batches."""

K1, B = 1.2, 0.75


class Engine:
    """What the engines have in common. `analysis` is `english` or `words`, which splits at blanks."""

    name = ""
    kinds = ()
    """The kinds of work: `text`, `sparse`."""
    exact = True

    def __init__(self, kind, analysis):
        self.kind = kind
        self.analysis = analysis
        self.folder = tempfile.mkdtemp(prefix="bench-")
        self.load()

    def load(self):
        """Imports the engine, before anything is timed."""

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def prepare(self, queries):
        """Queries in the form that a program would keep them in; not timed."""
        return queries

    def batch(self, queries, k):
        """All queries, on as many threads as the others have: for engines without batches of their own."""
        with ThreadPoolExecutor(THREADS) as threads:
            return list(threads.map(lambda query: self.search(query, k), queries))


class Esparsa(Engine):
    name = "esparsa"
    kinds = ("text", "sparse")

    def load(self):
        import esparsa

        self.esparsa = esparsa

    def index(self, documents):
        esparsa = self.esparsa
        if self.kind == "text":
            analyzer = "english" if self.analysis == "english" else "simple"
            field = esparsa.Text(analyzer, k1=K1, b=B)
        else:
            field = esparsa.Sparse(terms="numbers")
        index = esparsa.Index.create(self.folder + "/index", esparsa.Schema(field=field))
        with index.writer(threads=THREADS) as writer:
            writer.add_columns(range(len(documents)), field=documents)
            writer.commit()
            writer.merge(1)
        self.snapshot = index.snapshot()

    def prepare(self, queries):
        if self.kind == "text":
            return queries
        return [self.esparsa.Query.sparse("field", query) for query in queries]

    def search(self, query, k):
        return self.snapshot.search(query, k).ids

    def batch(self, queries, k):
        return self.snapshot.search_many(queries, k, workers=THREADS).ids


class Bm25s(Engine):
    name = "bm25s"
    kinds = ("text",)
    backend = "numpy"

    def load(self):
        import bm25s
        import Stemmer

        self.bm25s = bm25s
        english = self.analysis == "english"
        self.options = {
            "stopwords": "en" if english else None,
            "stemmer": Stemmer.Stemmer("english") if english else None,
            "show_progress": False,
        }

    def index(self, documents):
        bm25s = self.bm25s
        self.retriever = bm25s.BM25(method="lucene", k1=K1, b=B, backend=self.backend)
        tokens = bm25s.tokenize(documents, return_ids=True, **self.options)
        self.retriever.index(tokens, show_progress=False)

    def search(self, query, k):
        return self.batch([query], k, 0)[0]

    def batch(self, queries, k, threads=THREADS):
        tokens = self.bm25s.tokenize(queries, return_ids=False, **self.options)
        found = self.retriever.retrieve(tokens, k=k, show_progress=False, n_threads=threads)
        return found.documents.astype(str).tolist()


class Bm25sNumba(Bm25s):
    name = "bm25s, numba"
    backend = "numba"


class Tantivy(Engine):
    name = "tantivy-py"
    kinds = ("text",)

    def load(self):
        import tantivy

        self.tantivy = tantivy

    def index(self, documents):
        tantivy = self.tantivy
        builder = tantivy.SchemaBuilder()
        builder.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
        tokenizer = "en_stem" if self.analysis == "english" else "default"
        builder.add_text_field("field", stored=False, tokenizer_name=tokenizer, index_option="freq")
        self.engine = tantivy.Index(builder.build(), path=self.folder)
        writer = self.engine.writer(heap_size=512 << 20, num_threads=THREADS)
        for number, text in enumerate(documents):
            writer.add_document(tantivy.Document(id=str(number), field=text))
        writer.commit()
        writer.wait_merging_threads()
        self.engine.reload()
        self.searcher = self.engine.searcher()

    def prepare(self, queries):
        # Its parser takes other characters, and AND, OR and NOT, as syntax.
        return ["".join(character if character.isalnum() else " " for character in query).lower() for query in queries]

    def search(self, query, k):
        parsed, _ = self.engine.parse_query_lenient(query, ["field"])
        hits = self.searcher.search(parsed, k, count=False).hits
        return [self.searcher.doc(address)["id"][0] for _, address in hits]


class LanceDb(Engine):
    name = "lancedb"
    kinds = ("text",)

    def load(self):
        # Its runtime starts when it is imported.
        os.environ["LANCE_CPU_THREADS"] = os.environ["TOKIO_WORKER_THREADS"] = str(THREADS)
        import lancedb
        import pyarrow as pa

        self.lancedb, self.pa = lancedb, pa

    def index(self, documents):
        lancedb, pa = self.lancedb, self.pa
        table = pa.table({"id": [str(number) for number in range(len(documents))], "field": documents})
        self.table = lancedb.connect(self.folder).create_table("documents", table)
        english = self.analysis == "english"
        self.table.create_fts_index(
            "field", with_position=False, stem=english, remove_stop_words=english, base_tokenizer="simple", replace=True
        )

    def search(self, query, k):
        found = self.table.search(query, query_type="fts", fts_columns="field").limit(k).select(["id"])
        return found.to_arrow()["id"].to_pylist()


class Seismic(Engine):
    name = "seismic"
    kinds = ("sparse",)
    exact = False
    cut, heap_factor = 20, 0.6

    def load(self):
        import seismic

        self.seismic, self.text = seismic, seismic.get_seismic_string()

    def index(self, documents):
        seismic = self.seismic
        dataset = seismic.SeismicDataset()
        for number, (terms, weights) in enumerate(documents):
            dataset.add_document(str(number), np.array(terms.astype(str), dtype=self.text), weights)
        self.engine = seismic.SeismicIndex.build_from_dataset(dataset, num_threads=THREADS)

    def prepare(self, queries):
        return [(np.array(terms.astype(str), dtype=self.text), weights) for terms, weights in queries]

    def search(self, query, k):
        hits = self.engine.search("", *query, k, self.cut, self.heap_factor)
        return [document for _, _, document in hits]

    def batch(self, queries, k):
        names = np.array([str(number) for number in range(len(queries))], dtype=self.text)
        terms, weights = [query[0] for query in queries], [query[1] for query in queries]
        found = self.engine.batch_search(names, terms, weights, k, self.cut, self.heap_factor, num_threads=THREADS)
        ranked = {hits[0][0]: [document for _, _, document in hits] for hits in found if hits}
        return [ranked.get(str(number), []) for number in range(len(queries))]


class SpladeIndex(Engine):
    """It encodes queries itself, by a model of sentence-transformers: one that returns vectors at hand stands in."""

    name = "splade-index"
    kinds = ("sparse",)

    def load(self):
        import torch
        from splade_index import SPLADE

        torch.set_num_threads(THREADS)
        self.torch, self.splade = torch, SPLADE

    def index(self, documents):
        torch = self.torch
        width = 1 + int(max(terms.max(initial=0) for terms, _ in documents))
        offsets = torch.tensor(np.concatenate([[0], np.cumsum([len(terms) for terms, _ in documents])]))
        columns = torch.tensor(np.concatenate([terms for terms, _ in documents]).astype(np.int64))
        values = torch.tensor(np.concatenate([weights for _, weights in documents]))
        matrix = torch.sparse_csr_tensor(offsets, columns, values, (len(documents), width)).to_sparse_coo()

        class Vectors:
            class tokenizer:
                @staticmethod
                def get_vocab():
                    return {str(number): number for number in range(width)}

            @staticmethod
            def encode_document(texts, **options):
                return matrix

            @staticmethod
            def encode_query(queries, **options):
                return [query for query in queries if not isinstance(query, str)] or [
                    torch.sparse_coo_tensor([[0]], [0.0], (width,)).coalesce()
                ]

        self.width = width
        self.retriever = self.splade(backend="numba")
        self.retriever.index(model=Vectors, documents=[""] * len(documents), show_progress=False)

    def prepare(self, queries):
        tensor = self.torch.sparse_coo_tensor
        return [
            tensor(np.array([terms.astype(np.int64)]), self.torch.tensor(weights), (self.width,)).coalesce()
            for terms, weights in queries
        ]

    def search(self, query, k):
        return self._retrieve([query], k, 0)[0]

    def batch(self, queries, k):
        return self._retrieve(queries, k, THREADS)

    def _retrieve(self, queries, k, threads):
        found = self.retriever.retrieve(queries, k=k, return_as="doc_ids", show_progress=False, n_threads=threads)
        return np.asarray(found).astype(str).tolist()


ENGINES = {engine.name: engine for engine in [Esparsa, Bm25s, Bm25sNumba, Tantivy, LanceDb, Seismic, SpladeIndex]}
