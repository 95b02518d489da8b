"""Corpora on a Ray cluster of two nodes on this machine, of which parts die: every recording once, every bad one named.

python -m pytest -m cluster
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from conftest import TINY
from corpus_support import SRC, environment, errors, nothing_half_written, rows, write_clips

pytestmark = pytest.mark.cluster

CLIPS, BROKEN = 800, 8  # one in a hundred; enough that work is left when something is killed


class Cluster:
    """A head and another node, each with two places for processes."""

    def __init__(self, patch: pytest.MonkeyPatch, *more: Path) -> None:
        """`more`: folders of modules that its processes find."""
        from ray.cluster_utils import Cluster

        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, [SRC, *more])))
        self._cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        self.other = self._cluster.add_node(num_cpus=1)
        self.address = self._cluster.address

    def workers(self) -> list[psutil.Process]:
        """Processes that make parts."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            line = process.info["cmdline"] or [""]
            if line[0].startswith("ray::part-"):
                found.append(process)
        return found

    def lose_a_node(self) -> None:
        """The other node ends as if its power did."""
        self._cluster.remove_node(self.other, allow_graceful=False)

    def end(self) -> None:
        self._cluster.shutdown()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    cluster = Cluster(monkeypatch)
    yield cluster
    cluster.end()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Recordings, of which one in a hundred is broken."""
    folder = tmp_path / "in"
    write_clips(folder, [f"{number:04}.wav" for number in range(CLIPS)], 3.0)
    for number in range(BROKEN):
        (folder / f"{number * 100:04}.wav").write_bytes(b"broken")
    return folder


def start(source: Path, output: Path, address: str, *more: str) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "libmimi.corpus", str(source), str(output), "--model", str(TINY), "--quiet"]
    line += ["--part-items", "10", "--ray", address, *more]
    return subprocess.Popen(line, env=environment(), stderr=subprocess.PIPE, text=True)


def wait_for(what: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Waits until something is so, while a run is at work."""
    deadline = time.monotonic() + 600
    while not what():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.005)


def parts(output: Path) -> int:
    return len(list(output.glob("part-*.parquet")))


def assert_all_is_there(output: Path) -> None:
    bad = [f"{number * 100:04}.wav" for number in range(BROKEN)]
    assert sorted(rows(output)) == [name for n in range(CLIPS) if (name := f"{n:04}.wav") not in bad]
    assert errors(output) == dict.fromkeys(bad, "Format not recognised.")
    assert nothing_half_written(output)


def test_a_worker_a_node_and_a_driver_are_killed(cluster: Cluster, source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    run = start(source, output, cluster.address)
    # a worker amid a part
    wait_for(lambda: parts(output) >= 2 and bool(cluster.workers()), run)
    victim = cluster.workers()[0]
    victim.kill()
    # the driver
    before = parts(output)
    wait_for(lambda: parts(output) >= before + 2, run)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert 0 < parts(output) < CLIPS // 10
    again = start(source, output, cluster.address)
    # a node
    before = parts(output)
    wait_for(lambda: parts(output) >= before + 2, again)
    cluster.lose_a_node()
    told = again.communicate(timeout=600)[1]
    assert again.returncode == 1, told
    assert_all_is_there(output)
    written = {file: file.stat().st_mtime_ns for file in output.rglob("*.parquet")}
    third = start(source, output, cluster.address)
    third.communicate(timeout=600)
    assert third.returncode == 1
    assert {file: file.stat().st_mtime_ns for file in output.rglob("*.parquet")} == written


def test_a_recording_that_ends_processes_is_named(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    (hostile / "sitecustomize.py").write_text(
        "import os, soundfile\n"
        "open_ = soundfile.SoundFile.__init__\n"
        "def init(self, file, *more):\n"
        "    if file.raw.name.endswith('0055.wav'): os.kill(os.getpid(), 11)\n"
        "    open_(self, file, *more)\n"
        "soundfile.SoundFile.__init__ = init\n"
    )
    cluster = Cluster(monkeypatch, hostile)
    try:
        run = start(source, tmp_path / "out", cluster.address)
        told = run.communicate(timeout=600)[1]
    finally:
        cluster.end()
    assert run.returncode == 1, told
    found = errors(tmp_path / "out")
    assert found.pop("0055.wav") == "the process that read it ended with signal 11"
    assert len(found) == BROKEN
    assert len(rows(tmp_path / "out")) == CLIPS - BROKEN - 1


def test_a_disk_that_fills_ends_the_run(cluster: Cluster, source: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.fail("mounting a small disk needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], check=True)
    try:
        output = disk / "out"
        run = start(source, output, cluster.address)
        told = run.communicate(timeout=600)[1]
        assert run.returncode == 1
        assert "No space left on device" in told
        made = parts(output)
        assert 0 < made < CLIPS // 10
        rows(output)
        subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
        run = start(source, output, cluster.address)
        told = run.communicate(timeout=600)[1]
        assert_all_is_there(output)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
