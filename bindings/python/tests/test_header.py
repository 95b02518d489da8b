"""What _library.py writes down of mimi.h is what stands there."""

from __future__ import annotations

import ctypes
import re

from conftest import ROOT

from libmimi import _library

HEADER = (ROOT / "include" / "mimi.h").read_text(encoding="utf-8")

# lengths are told by calls without room or computed here, a read function would call Python for each tensor, and
# options are only set
LEFT_OUT = {
    "mimi_decoder_samples_for",
    "mimi_decoder_samples_for_latents",
    "mimi_encoder_codes_for",
    "mimi_encoder_latents_for",
    "mimi_load_reader",
    "mimi_options_get",
}


def test_numbers() -> None:
    defined = dict(re.findall(r"#define MIMI_((?:OPT|PROP|ERR)_\w+) \(?(-?\d+)\)?", HEADER))
    assert len(defined) > 40
    for name, number in defined.items():
        assert getattr(_library, name.replace("ERR_", "")) == int(number), name
    version = [int(re.findall(rf"MIMI_VERSION_{part} (\d+)", HEADER)[0]) for part in ("MAJOR", "MINOR", "PATCH")]
    assert version[0] * 10000 + version[1] * 100 + version[2] == _library.HEADER


def test_functions() -> None:
    declared = dict(re.findall(r"MIMI_API[^;(]*?(mimi_\w+)\(([^)]*)\)", HEADER))
    assert len(declared) > 60
    status = {name for name in declared if re.search(rf"mimi_status {name}\(", HEADER)}
    assert set(_library._FUNCTIONS) == status - LEFT_OUT
    for name, arguments in _library._FUNCTIONS.items():
        parameters = [part.strip() for part in declared[name].split(",")]
        assert len(parameters) == len(arguments), name
        for parameter, argument in zip(parameters, arguments):
            plain = {"size_t": ctypes.c_size_t, "int64_t": ctypes.c_int64}.get(parameter.rpartition(" ")[0])
            assert "*" in parameter or argument in (plain, ctypes.c_int32), (name, parameter)


def test_the_header_of_token_files() -> None:
    struct = HEADER[: HEADER.index("} mimi_token_header;")].rpartition("typedef struct {")[2]
    members = re.findall(r"^    (size_t|int64_t) (\w+);", struct, re.MULTILINE)
    types = {"size_t": ctypes.c_size_t, "int64_t": ctypes.c_int64}
    assert [(name, types[kind]) for kind, name in members] == _library.TokenHeader._fields_
