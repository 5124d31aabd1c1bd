"""A vector store of LlamaIndex with words, hybrid queries and exact filters.

    from llama_index.core import StorageContext, VectorStoreIndex
    from esparsa.llama_index import EsparsaVectorStore

    store = EsparsaVectorStore(path="my.index", columns={"year": "i64"})
    index = VectorStoreIndex(nodes, storage_context=StorageContext.from_defaults(vector_store=store))

Needs the package `llama-index-core`.
"""

from typing import Any, Optional

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import MetadataMode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    FilterCondition,
    FilterOperator,
    MetadataFilters,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict

from ._errors import InvalidInputError
from ._esparsa import Column, Query
from ._store import Store, columns_of

_MODES = {
    VectorStoreQueryMode.DEFAULT: "dense",
    VectorStoreQueryMode.TEXT_SEARCH: "text",
    VectorStoreQueryMode.SPARSE: "text",
    VectorStoreQueryMode.HYBRID: "hybrid",
}
_DOCUMENT = "ref_doc_id"


class EsparsaVectorStore(BasePydanticVectorStore):
    """Nodes with vectors, words and columns of metadata in one index.

    `columns` names the metadata to filter by, with a type of `esparsa.Column` for each; all other metadata are kept too.
    """

    stores_text: bool = True
    _store: Any = PrivateAttr()
    _columns: Any = PrivateAttr()

    def __init__(self, *, path=None, language=None, columns=None, **kwargs):
        super().__init__(stores_text=True, **kwargs)
        self._columns = {_DOCUMENT: Column("keyword"), **columns_of(columns)}
        self._store = Store(path=path, language=language, columns=self._columns)

    @classmethod
    def class_name(cls):
        return "EsparsaVectorStore"

    @property
    def client(self):
        """The `esparsa.Index`; None before the first node."""
        return self._store.index

    def add(self, nodes, **kwargs):
        metadatas = [{**node.metadata, _DOCUMENT: node.ref_doc_id} for node in nodes]
        self._store.add(
            [node.node_id for node in nodes],
            [node.get_content(metadata_mode=MetadataMode.NONE) for node in nodes],
            [node.get_embedding() for node in nodes],
            metadatas,
            [node_to_metadata_dict(node, remove_text=False, flat_metadata=False) for node in nodes],
        )
        return [node.node_id for node in nodes]

    def delete(self, ref_doc_id, **delete_kwargs):
        self._store.delete(query=Query.term(_DOCUMENT, ref_doc_id))

    def delete_nodes(self, node_ids: Optional[list] = None, filters: Optional[MetadataFilters] = None, **kwargs):
        query = _filter(filters)
        if node_ids is not None and query is not None:
            self._store.delete(query=Query.all_of([Query.ids(node_ids), query]))
        else:
            self._store.delete(ids=node_ids, query=query)

    def clear(self):
        self._store.delete(query=Query.all())

    def get_nodes(self, node_ids: Optional[list] = None, filters: Optional[MetadataFilters] = None):
        if self._store.index is None:
            return []
        conditions = [] if node_ids is None else [Query.ids(node_ids)]
        query = _filter(filters)
        conditions += [] if query is None else [query]
        snapshot = self._store.index.snapshot()
        everything = Query.all_of(conditions) if conditions else Query.all()
        count = snapshot.count(everything)
        return [_node(hit) for hit in snapshot.search(everything, count)] if count else []

    def query(self, query, **kwargs):
        if query.mode not in _MODES:
            raise InvalidInputError(
                f"expected a mode among {', '.join(mode.value for mode in _MODES)}, found {query.mode.value!r}"
            )
        conditions = [] if query.node_ids is None else [Query.ids(query.node_ids)]
        if query.doc_ids is not None:
            conditions.append(Query.terms(_DOCUMENT, query.doc_ids))
        filters = _filter(query.filters)
        conditions += [] if filters is None else [filters]
        mode = _MODES[query.mode]
        hits = self._store.search(
            mode,
            (query.hybrid_top_k if mode == "hybrid" else None) or query.similarity_top_k,
            text=query.query_str,
            vector=query.query_embedding,
            filter=Query.all_of(conditions) if conditions else None,
            alpha=0.5 if query.alpha is None else query.alpha,
            depth=query.sparse_top_k,
        )
        nodes = [_node(hit) for hit in hits]
        similarities = [hit.score for hit in hits]
        return VectorStoreQueryResult(nodes=nodes, similarities=similarities, ids=[hit.id for hit in hits])


def _node(hit):
    return metadata_dict_to_node(hit.document)


def _filter(filters):
    """The query of metadata filters; None without any."""
    if filters is None or not filters.filters:
        return None
    queries = [_filter(each) if isinstance(each, MetadataFilters) else _condition(each) for each in filters.filters]
    queries = [query for query in queries if query is not None]
    if not queries:
        return None
    if filters.condition == FilterCondition.OR:
        return Query.any_of(queries)
    if filters.condition == FilterCondition.NOT:
        return Query.all().without(*queries)
    return Query.all_of(queries)


def _condition(filter):
    key, value, operator = filter.key, filter.value, filter.operator
    several = value if isinstance(value, list) else [value]
    if operator in (FilterOperator.EQ, FilterOperator.CONTAINS):
        return Query.term(key, value)
    if operator == FilterOperator.NE:
        return Query.all().without(Query.term(key, value))
    if operator in (FilterOperator.IN, FilterOperator.ANY):
        return Query.terms(key, several)
    if operator == FilterOperator.NIN:
        return Query.all().without(Query.terms(key, several))
    if operator == FilterOperator.ALL:
        return Query.all_of([Query.term(key, each) for each in several])
    if operator == FilterOperator.IS_EMPTY:
        return Query.all().without(Query.exists(key))
    ends = {FilterOperator.GT: "gt", FilterOperator.GTE: "gte", FilterOperator.LT: "lt", FilterOperator.LTE: "lte"}
    if operator in ends:
        return Query.range(key, **{ends[operator]: value})
    raise InvalidInputError(f"expected an operator of exact filters, found {operator.value!r}")
