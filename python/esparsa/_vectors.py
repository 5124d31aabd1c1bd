"""Vectors of SciPy and PyTorch as arrays of NumPy, without importing either."""

import numpy as np

from ._errors import InvalidInputError


def as_array(vector, dtype):
    """An array of NumPy of this dtype, from whatever is like an array, tensors included."""
    if hasattr(vector, "detach"):
        vector = vector.detach().cpu()
        if str(vector.dtype) == "torch.bfloat16":
            vector = vector.float()
        vector = vector.numpy()
    array = np.asarray(vector)
    kinds = "biuf" if np.dtype(dtype).kind == "f" else "iu"
    if array.size and array.dtype.kind not in kinds:
        expected = "numbers" if "f" in kinds else "whole numbers"
        raise InvalidInputError(f"expected {expected}, found an array of {array.dtype}")
    if array.size and array.dtype == np.uint64 and array.max() > np.iinfo(np.int64).max:
        raise InvalidInputError(f"expected whole numbers below 2^63, found {array.max()}")
    return array.astype(dtype, order="C", copy=False)


def csr(matrix):
    """`(row offsets, columns, values)` of a sparse matrix of SciPy or a sparse tensor of PyTorch; None of anything else."""
    if hasattr(matrix, "tocsr"):
        matrix = matrix.tocsr()
        return matrix.indptr, matrix.indices, matrix.data
    if hasattr(matrix, "detach") and str(getattr(matrix, "layout", "")).startswith("torch.sparse"):
        matrix = matrix.detach().cpu().coalesce() if str(matrix.layout) == "torch.sparse_coo" else matrix.detach().cpu()
        matrix = matrix.to_sparse_csr()
        return matrix.crow_indices().numpy(), matrix.col_indices().numpy(), matrix.values().float().numpy()
    return None


def sparse_row(vector):
    """`(columns, values)` of a sparse vector: a matrix of one row, or a tensor of one dimension; None of anything else."""
    if hasattr(vector, "detach") and str(getattr(vector, "layout", "")) == "torch.sparse_coo" and vector.dim() == 1:
        vector = vector.detach().cpu().coalesce()
        return vector.indices()[0].numpy(), vector.values().float().numpy()
    if getattr(vector, "ndim", 2) == 1 and hasattr(vector, "tocoo"):
        vector = vector.tocoo()
        return vector.coords[0], vector.data
    rows = csr(vector)
    if rows is None:
        return None
    if len(rows[0]) != 2:
        raise InvalidInputError(f"expected a sparse vector of one row, found {len(rows[0]) - 1} rows")
    return rows[1], rows[2]
