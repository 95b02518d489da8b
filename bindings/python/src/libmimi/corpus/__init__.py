"""Whole corpora to parquet files of codes, on this machine or on a Ray cluster.

    python -m libmimi.corpus INPUT OUTPUT --model kyutai/mimi

It needs `pip install libmimi[corpus]`, on Ray `libmimi[ray]`. `encode_corpus` is the same from Python, and `Encode` a
step of a pipeline in Ray Data or `datasets`.
"""

from ._errors import CorpusError
from ._pipelines import Encode
from ._run import Summary, encode_corpus

__all__ = ["CorpusError", "Encode", "Summary", "encode_corpus"]
