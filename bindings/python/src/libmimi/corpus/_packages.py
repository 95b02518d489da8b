"""The packages that only corpora need. They come without types, or with types of others' making that lag behind."""

from __future__ import annotations

import importlib
from typing import Any


def need(name: str, extra: str = "corpus") -> Any:
    """A package that an extra of libmimi brings."""
    try:
        module = importlib.import_module(name)
        # a folder of that name, as Ray leaves one in the system's folder for temporary files
        if module.__file__ is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{error}; `pip install libmimi[{extra}]` brings it", name=error.name) from None
    return module
