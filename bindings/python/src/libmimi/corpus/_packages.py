"""The packages that only corpora need. They come without types, or with types of others' making that lag behind."""

from __future__ import annotations

import importlib
from typing import Any


def need(name: str, extra: str = "corpus") -> Any:
    """A package that an extra of libmimi brings."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{error}; `pip install libmimi[{extra}]` brings it", name=error.name) from None
