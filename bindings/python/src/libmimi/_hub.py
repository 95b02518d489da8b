"""Models by name, in the cache that Hugging Face's tools share. Nothing is downloaded."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

_PART: Final = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
_NAME: Final = re.compile(rf"({_PART})/({_PART})((?:/{_PART})*)")


def cache() -> Path:
    """Where the cache is, by the variables that huggingface_hub documents, in its order."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        value = os.environ.get(name)
        if value:
            return Path(value).expanduser()
    home = os.environ.get("HF_HOME")
    if not home:
        home = os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    return Path(home).expanduser() / "hub"


def is_name(source: str) -> bool:
    """Whether this can be a model's name: owner/model, or a folder in one."""
    return _NAME.fullmatch(source) is not None


def find(source: str) -> Path | None:
    """The folder of a model's files as `main` had them last, if it is in the cache."""
    match = _NAME.fullmatch(source)
    if match is None:
        return None
    owner, model, inside = match.groups()
    folder = cache() / f"models--{owner}--{model}"
    try:
        commit = (folder / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    if re.fullmatch(_PART, commit) is None:
        return None
    found = folder / "snapshots" / commit / inside.lstrip("/")
    return found if found.is_dir() else None
