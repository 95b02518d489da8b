"""Threads, processes, signals, the garbage collector, and the end of the interpreter."""

from __future__ import annotations

import copy
import gc
import importlib.metadata
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import DEMO, TINY

import libmimi
from libmimi import Codes, Encoder, Floats, Model

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
# pytest's own process has threads of other tests, of which Python warns
fork_warns = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")


def run(program: str, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Runs a program in an interpreter of its own."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def test_one_model_serves_many_threads(tiny: Model, speech: Floats) -> None:
    expected = tiny.encode(speech)
    audio = tiny.decode(expected)

    def work(turn: int) -> bool:
        if turn % 2:
            return np.array_equal(tiny.encode(speech), expected)
        return np.array_equal(tiny.decode(expected), audio)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(64)))


def test_a_stream_takes_one_call_at_a_time(tiny: Model) -> None:
    encoder, counts = tiny.encoder(), []
    second = np.zeros(24000, np.float32)

    def work() -> None:
        counts.extend(len(encoder.process(second)) for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # silence is silence in any order: nothing was lost and nothing counted twice
    assert sum(counts) == encoder.frames == 80 * 24000 // 1920


def test_many_in_opposite_orders_do_not_wait_for_each_other(tiny: Model) -> None:
    one, other = tiny.encoder(), tiny.encoder()
    block = np.zeros((2, 1920), np.float32)

    def work(streams: list[Encoder]) -> None:
        for _ in range(200):
            Encoder.process_many(streams, block)

    threads = [threading.Thread(target=work, args=(order,)) for order in ([one, other], [other, one])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert one.frames == other.frames == 400


def test_closing_while_others_work(speech: Floats) -> None:
    model = Model(TINY)
    expected = model.encode(speech)
    encoder, wrong = model.encoder(), []

    def work() -> None:
        for _ in range(30):
            try:
                if not np.array_equal(model.encode(speech), expected):
                    wrong.append("codes")
                encoder.process(speech)
            except libmimi.StateError:
                return

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    encoder.close()
    model.close()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_interpreter_lock_is_given_up(demo: Model, long: Floats) -> None:
    moments: list[int] = []
    done = threading.Event()

    def count() -> None:
        while not done.is_set():
            moments.append(1)
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    codes = demo.encode(long, threads=2)  # one call of the library
    inside = len(moments)
    done.set()
    thread.join()
    assert len(codes) > 100
    assert inside > 20


def test_pickling_loads_again(demo: Model, speech: Floats, tmp_path: Path) -> None:
    expected = demo.encode(speech, codebooks=4)
    path = tmp_path / "model.safetensors"
    shutil.copy(DEMO, path)
    model = Model(path, codebooks=4, parts="encoder", isa="baseline")
    for other in (pickle.loads(pickle.dumps(model)), copy.copy(model), copy.deepcopy(model)):
        assert (other.codebooks, other.total_codebooks, other.parts, other.isa) == (4, 4, "encoder", "baseline")
        assert other.encode(speech).shape == expected.shape
    data = pickle.dumps(model)
    shutil.copy(TINY / "model.safetensors", path)
    shutil.copy(TINY / "config.json", tmp_path)
    with pytest.raises(libmimi.FormatError, match="found another model"):
        pickle.loads(data)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        pickle.loads(data)
    for what in (Model.from_bytes(DEMO.read_bytes()), demo.encoder(), demo.decoder()):
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(what)


_worker_model: Model | None = None


def _encode_in_worker(model: Model | None, pcm: Floats) -> Codes:
    used = model or _worker_model
    assert used is not None
    return used.encode(pcm)


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@fork_warns
def test_processes_of_every_kind(method: str, speech: Floats, tiny: Model) -> None:
    expected = tiny.encode(speech)
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        for codes in pool.map(_encode_in_worker, [tiny] * 4, [speech] * 4):
            assert np.array_equal(codes, expected)
        with pytest.raises(libmimi.ArgumentTypeError, match="found int16"):
            pool.submit(_encode_in_worker, tiny, speech.astype(np.int16)).result()


@forks
@fork_warns
def test_a_fork_uses_what_was_there(tiny: Model, speech: Floats) -> None:
    expected = tiny.encode(speech)
    encoder = tiny.encoder()
    head = encoder.process(speech[:20_000])
    child = os.fork()
    if child == 0:
        try:
            same = np.array_equal(tiny.encode(speech), expected)
            rest = np.concatenate([head, encoder.process(speech[20_000:]), encoder.flush()])
            os._exit(0 if same and np.array_equal(rest, expected) else 1)
        except BaseException:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    rest = np.concatenate([head, encoder.process(speech[20_000:]), encoder.flush()])
    assert np.array_equal(rest, expected)


@forks
def test_a_fork_while_another_thread_is_in_a_stream() -> None:
    program = """
        import os, sys, threading, time
        import numpy as np
        import libmimi
        model = libmimi.Model(sys.argv[1])
        encoder, capture = model.encoder(), model.capture()
        pcm = np.zeros(24000 * 600, np.float32)
        thread = threading.Thread(target=encoder.process, args=(pcm,))
        thread.start()
        while not encoder._turns.lock.locked():
            time.sleep(0.001)
        time.sleep(0.01)
        import warnings
        warnings.simplefilter("ignore")
        child = os.fork()
        if child == 0:
            try:
                encoder.process(pcm[:10])
            except libmimi.StateError as error:
                assert "forked" in str(error), error
            else:
                os._exit(1)
            encoder.reset()
            same = np.array_equal(encoder.process(pcm[:19200]), model.encode(pcm[:19200]))
            capture.write(pcm[:100])
            os._exit(0 if same else 3)
        assert os.waitpid(child, 0)[1] == 0
        thread.join()
        assert encoder.frames == 7500
        print("done")
        """
    result = run(program, str(TINY))
    assert (result.returncode, result.stdout, result.stderr) == (0, "done\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise on Windows")
@pytest.mark.parametrize("call", ["model.encode(pcm)", "model.encode_latents(pcm)", "model.decode(codes)"])
def test_an_interrupt_ends_a_long_call(call: str) -> None:
    program = f"""
        import signal, sys, threading, time
        import numpy as np
        import libmimi
        model = libmimi.Model(sys.argv[1])
        pcm = np.zeros(24000 * 3600 * 20, np.float32)
        codes = np.zeros((3600 * 250, 8), np.int32)
        # a program that a shell starts in the background ignores it
        signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Timer(0.5, signal.raise_signal, [signal.SIGINT]).start()
        print("begin", flush=True)
        begin = time.monotonic()
        try:
            {call}
        except KeyboardInterrupt:
            print("interrupted", time.monotonic() - begin < 60)
        assert model.encode(pcm[:5000]).shape == (3, 8)
        """
    result = run(program, str(DEMO))
    assert (result.returncode, result.stdout, result.stderr) == (0, "begin\ninterrupted True\n", "")


@pytest.mark.parametrize("daemon", [True, False])
@pytest.mark.parametrize("end", ["", "sys.exit(3)", "os._exit(3)", "raise SystemExit(3)"])
def test_the_interpreter_ends_while_threads_encode(daemon: bool, end: str) -> None:
    program = f"""
        import os, sys, threading, time
        import numpy as np
        import libmimi
        model = libmimi.Model(sys.argv[1])
        encoder, pcm = model.encoder(), np.zeros(24000 * 20, np.float32)
        def work():
            for _ in range(3):
                model.encode(pcm)
                encoder.process(pcm)
        for _ in range(3):
            threading.Thread(target=work, daemon={daemon}).start()
        time.sleep(0.05)
        {end}
        """
    result = run(program, str(TINY))
    assert (result.returncode, result.stdout, result.stderr) == (3 if end else 0, "", "")


def test_objects_that_live_again_in_del() -> None:
    program = """
        import gc, sys
        import numpy as np
        import libmimi
        from libmimi import Encoder, Model
        kept = []
        class Again(Model):
            def __del__(self):
                kept.append(self)
        class Stream(Encoder):
            def __del__(self):
                kept.append(self)
        pcm = np.zeros(5000, np.float32)
        expected = Model(sys.argv[1]).encode(pcm)
        def both():
            model = Again(sys.argv[1])
            stream = model.encoder()
            stream.__class__ = Stream
            return [model, stream]
        both()
        assert len(kept) == 2
        for other in kept:  # what was never freed works
            codes = other.encode(pcm) if isinstance(other, Model) else other.process(pcm)
            assert np.array_equal(codes, expected[:len(codes)])
        kept.clear()
        cycle = both()
        cycle.append(cycle)
        del cycle
        gc.collect()
        assert len(kept) == 2, kept
        for other in kept:  # what was freed says so
            try:
                other.encode(pcm) if isinstance(other, Model) else other.process(pcm)
            except libmimi.StateError as error:
                assert "closed" in str(error)
            else:
                raise AssertionError(other)
        print("done")
        """
    result = run(program, str(TINY))
    assert (result.returncode, result.stdout, result.stderr) == (0, "done\n", "")


def test_any_order_of_ends(speech: Floats) -> None:
    for order in range(6):
        objects: list[object] = []
        model = Model(TINY)
        objects = [model, model.encoder(), model.decoder(), model.capture(), model.playback()]
        clone = model.encoder().clone()
        del model
        objects = objects[order:] + objects[:order]
        while objects:
            objects.pop()
            gc.collect()
        assert clone.process(speech[:1920]).shape == (1, 6)


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="others collect later")
def test_nothing_is_kept(tiny: Model) -> None:
    encoder = tiny.encoder()
    turns = weakref.ref(encoder._turns)
    del encoder
    assert turns() is None
    model = Model(TINY)
    reference, stream = weakref.ref(model), model.encoder()
    del model
    assert reference() is None
    stream.process(np.zeros(2000, np.float32))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="it reads the memory of this process from /proc")
def test_memory_comes_back(tiny: Model, speech: Floats) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def work(times: int) -> None:
        for _ in range(times):
            with tiny.encoder() as encoder, tiny.decoder() as decoder:
                decoder.process(encoder.process(speech))
            Model(TINY).encode(speech)
            with pytest.raises(libmimi.Error):
                tiny.decode(np.full((3, 6), 99))

    work(20)
    gc.collect()
    before = resident()
    work(60)
    gc.collect()
    assert resident() - before < 4 << 20


def test_a_failed_load_leaves_nothing() -> None:
    with pytest.raises(libmimi.Error):
        Model(TINY, codebooks=999)
    half = object.__new__(Model)
    del half
    gc.collect()


def test_version_of_library_and_package() -> None:
    result = run("import runpy; runpy.run_module('libmimi', run_name='__main__')")
    assert result.returncode == 0
    assert result.stderr == ""
    assert result.stdout == f"libmimi {libmimi.version()}\n"
    assert libmimi.version().startswith(libmimi.__version__)
    assert importlib.metadata.version("libmimi") == libmimi.__version__


def test_importing_brings_nothing_else() -> None:
    program = """
        import sys
        import libmimi
        heavy = {"torch", "soundfile", "soxr", "transformers", "moshi", "huggingface_hub"}
        print(sorted(heavy & set(sys.modules)), sys.modules.get("libmimi.moshi"))
        """
    assert run(program).stdout == "[] None\n"


def test_signals_stay_the_hosts() -> None:
    before = [signal.getsignal(number) for number in signal.valid_signals()]
    Model(TINY).encode(np.zeros(5000, np.float32))
    assert [signal.getsignal(number) for number in signal.valid_signals()] == before
