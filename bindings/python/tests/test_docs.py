"""The documentation: every public name has some, and pydoc shows it."""

from __future__ import annotations

import inspect
import pydoc
import sys
import types
from typing import Any

import pytest

import libmimi
from libmimi import rustymimi, tokens


def public(owner: Any) -> list[tuple[str, Any]]:
    """What a module exports, or a class has of its own and of ours."""
    if isinstance(owner, types.ModuleType):
        return [(name, getattr(owner, name)) for name in owner.__all__]
    names = {name for kind in owner.__mro__ if kind.__module__.startswith("libmimi") for name in vars(kind)}
    return [(name, inspect.getattr_static(owner, name)) for name in sorted(names) if name[0] != "_"]


@pytest.mark.parametrize("module", [libmimi, tokens, rustymimi])
def test_every_public_name_has_documentation(module: types.ModuleType) -> None:
    assert module.__doc__
    missing = []
    for name, value in public(module):
        if inspect.isclass(value):
            missing += [name] if not value.__doc__ else []
            for part, member in public(value):
                documented = inspect.getdoc(getattr(member, "__func__", member))
                # numbers are documented where they are declared
                if not documented and not isinstance(member, (int, str)):
                    missing.append(f"{name}.{part}")
        elif callable(value) and not value.__doc__ and not hasattr(value, "__origin__"):
            missing.append(name)
    assert missing == []


@pytest.mark.parametrize("name", ["libmimi", "libmimi.Model", "libmimi.Encoder", "libmimi.tokens", "libmimi.rustymimi"])
def test_pydoc_shows_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    pydoc.doc(name)
    shown = capsys.readouterr().out
    assert len(shown) > 1000
    assert "problem in" not in shown


def test_types_are_told() -> None:
    marker = libmimi.__file__.replace("__init__.py", "py.typed")
    with open(marker) as file:
        assert file.read() == ""
    assert "libmimi" in sys.modules
