"""What ends a run, in words."""

from __future__ import annotations

import os

from libmimi._errors import Error


class CorpusError(Error):
    """What a run cannot go on with: an argument, or the state of the output. Recordings that cannot be encoded are rows
    of the error table instead."""


def reason(error: BaseException) -> str:
    """What an exception says, without the path that its reader knows already; UTF-8, one line."""
    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        text = os.strerror(error.errno)
    else:
        text = str(error) or type(error).__name__
        if not isinstance(error, (Error, OSError, ValueError)):
            text = f"{type(error).__name__}: {text}"
    return " ".join(text.encode("utf-8", "backslashreplace").decode().split())
