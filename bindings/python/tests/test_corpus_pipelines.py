"""Encoding as a step of pipelines."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from conftest import TINY
from corpus_support import RATE, clip, codes_of, environment, wav, write_audio_table, write_clips

import libmimi
from libmimi.corpus import Encode


def cells() -> list[dict[str, Any]]:
    """Recordings as `datasets` has them, of which the last is broken."""
    return [{"bytes": wav(clip(number)), "path": None} for number in range(5)] + [{"bytes": b"no", "path": None}]


def check(rows: list[dict[str, Any]], tiny: libmimi.Model) -> None:
    for number, row in enumerate(rows[:5]):
        assert np.array_equal(codes_of(row), tiny.encode(clip(number)))
        assert (row["samples"], row["rate"], row["model_id"]) == (RATE // 2, RATE, tiny.model_id)
        assert row["error"] == ""
    assert rows[5]["error"] == "Format not recognised."
    assert (rows[5]["codes"], rows[5]["frames"]) == (b"", 0)


@pytest.mark.parametrize("processes", [None, 2])
def test_datasets_map(tmp_path: Path, tiny: libmimi.Model, processes: int | None) -> None:
    write_audio_table(tmp_path / "a.parquet", cells(), text=list("abcdef"))
    dataset = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "a.parquet"), cache_dir=str(tmp_path / "cache")
    )
    mapped = dataset["train"].map(
        Encode(TINY, codebooks=6), batched=True, batch_size=2, remove_columns=["audio"], num_proc=processes
    )
    assert mapped["text"] == list("abcdef")
    assert "audio" not in mapped.column_names
    check(list(mapped), tiny)


def test_cells_of_all_kinds(tmp_path: Path) -> None:
    write_clips(tmp_path, ["a.wav"])
    encode = Encode(TINY, codebooks=6, column="sound")
    pcm = clip(0)
    kinds: list[Any] = [
        wav(pcm),
        {"bytes": None, "path": str(tmp_path / "a.wav")},
        {"array": pcm, "sampling_rate": RATE},
        {"array": pcm.tolist(), "sampling_rate": RATE},
        {"array": np.stack([pcm, pcm]), "sampling_rate": RATE},
    ]
    batch = encode({"sound": kinds, "id": list("abcde")})
    assert batch["error"] == [""] * 5
    assert len(set(batch["codes"])) == 1
    assert batch["id"] == list("abcde")
    wrong = encode({"sound": [None, 3, {}, {"path": "none"}, {"array": np.zeros((2, 2, 2)), "sampling_rate": RATE}]})
    assert wrong["error"] == [
        "found NoneType, expected bytes, {bytes, path} or {array, sampling_rate}",
        "found int, expected bytes, {bytes, path} or {array, sampling_rate}",
        "found dict, expected bytes, {bytes, path} or {array, sampling_rate}",
        "No such file or directory",
        "an array of shape (2, 2, 2); expected samples, or channels and samples",
    ]


def test_the_step_travels_without_its_model() -> None:
    encode = Encode(TINY, codebooks=6)
    first = encode({"audio": cells()})
    travelled = pickle.dumps(encode)
    assert len(travelled) < 500
    assert pickle.loads(travelled)({"audio": cells()}) == first


@pytest.mark.cluster
def test_ray_data(tmp_path: Path, tiny: libmimi.Model) -> None:
    write_audio_table(tmp_path / "a.parquet", cells(), number=list(range(6)))
    # in a process of its own: Ray's warnings are its own
    script = (
        "import sys, ray, libmimi.corpus\n"
        "ray.init(num_cpus=3, log_to_driver=False)\n"  # two encode, one reads and writes
        "dataset = ray.data.read_parquet(sys.argv[1])\n"
        "dataset = dataset.map_batches(libmimi.corpus.Encode, fn_constructor_args=[sys.argv[2]],\n"
        "    fn_constructor_kwargs={'codebooks': 6}, concurrency=2, num_cpus=1, batch_size=2)\n"
        "dataset.write_parquet(sys.argv[3])\n"
    )
    line = [sys.executable, "-c", script, str(tmp_path / "a.parquet"), str(TINY), str(tmp_path / "out")]
    subprocess.run(line, env=environment(), check=True)
    import pyarrow.parquet as pq

    rows = sorted(pq.read_table(tmp_path / "out").to_pylist(), key=lambda row: row["number"])
    check(rows, tiny)
