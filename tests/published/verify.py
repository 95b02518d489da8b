#!/usr/bin/env python3
"""Does libmimi give the codes and the audio of the published weights that transformers says it must?

    python3 -m venv verify && verify/bin/pip install -r tests/published/requirements.txt
    verify/bin/python tests/published/verify.py --mimi target/release/mimi

Fetches the weights (`mimi fetch`, 385 MB) and two recordings from Hugging Face or from HF_ENDPOINT, encodes and decodes
them with the tool, and prints a verdict for each recording and number of codebooks, and one in all. Needs ffmpeg where
the first way to decode and resample gives something else. Exit status: 0 if all is right, 1 if something is wrong, 2 if
something could not be done. README.md beside this file says what is compared.
"""
import argparse
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import numpy
import pyarrow
import pyarrow.parquet
import soundfile
import soxr

HERE = Path(__file__).resolve().parent
RATE = 24_000  # of the published model, Hz
SUM_TOLERANCE = 3e-3  # of the sum found
RMSE_TOLERANCE = 1e-5
ENDPOINT = "https://huggingface.co"


class Undone(Exception):
    """Something that could not be done, and so no verdict."""


def arguments(words):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mimi", default="mimi", help="the tool; default: the one in PATH")
    parser.add_argument("--model", default="kyutai/mimi", help="the model's name on the server")
    parser.add_argument("--expected", type=Path, default=HERE / "expected.json", help="recordings and numbers")
    return parser.parse_args(words)


def run(*command):
    """Runs a command of the tool; what it says on standard error is shown."""
    try:
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    except OSError as error:
        raise Undone(f"{command[0]}: {error.strerror}") from error
    except subprocess.CalledProcessError as error:
        raise Undone(f"exit status {error.returncode} of: {' '.join(map(str, command))}") from error


def fetch(recording):
    """The bytes of a recording's file."""
    endpoint = os.environ.get("HF_ENDPOINT", ENDPOINT).rstrip("/")
    url = f"{endpoint}/datasets/{recording['dataset']}/resolve/main/{recording['file']}"
    request = urllib.request.Request(url)
    if token := os.environ.get("HF_TOKEN"):
        # not sent on to where a redirection leads
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            content = answer.read()
    except (OSError, urllib.error.URLError) as error:
        raise Undone(f"{url}: {error}") from error
    print(f"{url}: {len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")
    if "row" in recording:
        rows = pyarrow.parquet.read_table(io.BytesIO(content), columns=["audio"])["audio"]
        content = rows[recording["row"]].as_py()["bytes"]
    return content


def by_soxr(content):
    """Samples at 24 kHz, one channel, from a file's bytes: as librosa.load(..., sr=24000) makes them."""
    samples, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    return mono if rate == RATE else soxr.resample(mono, rate, RATE, quality="HQ")


def by_ffmpeg(content):
    """The same as torchcodec makes them, whose decoders, mixing and resampler are ffmpeg's."""
    command = f"ffmpeg -v error -i - -ac 1 -ar {RATE} -f f32le -".split()
    try:
        found = subprocess.run(command, input=content, stdout=subprocess.PIPE, check=True)
    except OSError as error:
        raise Undone(f"ffmpeg: {error.strerror}; it is the second way to decode, after soxr's gave other codes") from error
    except subprocess.CalledProcessError as error:
        raise Undone(f"ffmpeg: exit status {error.returncode}") from error
    return numpy.frombuffer(found.stdout, "<f4")


def rmse(a, b):
    """Of two recordings, each divided by its L2 norm."""
    a, b = (x.astype("f8") / numpy.linalg.norm(x.astype("f8")) for x in (a, b))
    return float(numpy.sqrt(numpy.mean((a - b) ** 2)))


def measure(mimi, model, samples, codebooks, folder):
    """The sum of all codes, and the RMSE between input and output."""
    audio, codes, output = (folder / name for name in ("input.f32", "codes.npy", "output.f32"))
    samples.astype("<f4").tofile(audio)
    raw = ["--quiet", "--overwrite", "--raw", "--f32", "--model", model]
    run(mimi, "encode", *raw, "--codebooks", str(codebooks), "--tail", "layer", audio, codes)
    run(mimi, "decode", *raw, codes, output)
    found = numpy.load(codes)
    if found.shape[0] != codebooks:
        raise Undone(f"the tool made {found.shape[0]} codebooks, not {codebooks}")
    # the last frame's sound is longer than the recording
    return int(found.sum(dtype="i8")), rmse(samples, numpy.fromfile(output, "<f4")[: len(samples)])


def verdict(found, expected):
    """Whether the sum of codes and the RMSE are what they must be."""
    (total, error), expected_total, expected_error = found, expected["sum"], expected["rmse"]
    # in this form, a number that is none is wrong
    return abs(total - expected_total) <= SUM_TOLERANCE * total and abs(error - expected_error) < RMSE_TOLERANCE


def main(words=None):
    options = arguments(words)
    recordings = json.loads(options.expected.read_text())["recordings"]
    versions = {module.__name__: module.__version__ for module in (numpy, pyarrow, soundfile, soxr)}
    print(run(options.mimi, "--version").strip(), *(f"{name} {version}" for name, version in versions.items()), sep=", ")
    model = run(options.mimi, "fetch", "--quiet", options.model).strip()
    contents = [fetch(recording) for recording in recordings]
    items = right = 0
    with tempfile.TemporaryDirectory() as folder:
        for recording, content in zip(recordings, contents):
            for codebooks, expected in recording["expected"].items():
                items += 1
                # the second way only if the first gives something else
                for decode in (by_soxr, by_ffmpeg):
                    samples = decode(content)
                    found = measure(options.mimi, model, samples, int(codebooks), Path(folder))
                    good = verdict(found, expected)
                    print(
                        f"{'right' if good else 'wrong'}  {recording['name']}, {decode.__name__.replace('_', ' ')} "
                        f"{len(samples)} samples, {codebooks} codebooks: "
                        f"sum of codes {found[0]}, expected {expected['sum']} ({found[0] / expected['sum'] - 1:+.3%}); "
                        f"RMSE {found[1]:.10f}, expected {expected['rmse']:.10f} ({found[1] - expected['rmse']:+.1e})",
                        flush=True,
                    )
                    if good:
                        right += 1
                        break
    print(f"{'RIGHT' if right == items else 'WRONG'}: {right} of {items}")
    return 0 if right == items else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Undone as error:
        print(f"verify.py: {error}", file=sys.stderr)
        sys.exit(2)
