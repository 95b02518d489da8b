"""A run: what is new in the input is planned, and what is planned and not done is made."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import NamedTuple

from libmimi import Model
from libmimi._files import cores
from libmimi._options import Precision

from ._errors import CorpusError
from ._listing import Listing
from ._output import Limits, Output, Part
from ._progress import Progress
from ._worker import Settings, Tally, Worker


class Summary(NamedTuple):
    """What a run did, and what is there now."""

    made: int
    """Recordings that this run encoded."""
    failed: int
    """Those that cannot be encoded, of this run and of earlier ones: the rows of the error tables."""
    seconds: float
    """Of audio that this run encoded."""
    lost: list[str]
    """Parts whose process ended again and again, on Ray, and how. The next run tries them again."""


def encode_corpus(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str],
    codebooks: int | None = None,
    precision: Precision = "f32",
    jobs: int | None = None,
    ray: str | None = None,
    cpus_per_task: int = 1,
    part_items: int = 1000,
    id_column: str | None = None,
    retry_errors: bool = False,
    progress: bool = False,
) -> Summary:
    """Encodes all recordings of `source` into parquet files in the folder `output`. Called again, it goes on where it
    stopped.

    `source`: a folder, a list (.txt, .jsonl), tar files or parquet files; `output` may lie within it.
    `model`, `precision`: as for `libmimi.Model`. On Ray, every machine loads the model from this path.
    `codebooks`: codes in a frame; by default as many as `Model.codebooks` says.
    `jobs`: threads, by default one for each core.
    `ray`: the address of a Ray cluster, or "" for the one that Ray itself finds or starts; None for this machine alone.
    `cpus_per_task`: cores, and threads, of each process on Ray.
    `part_items`: recordings in an output file, if they are files themselves; a tar or parquet file makes one.
    `id_column`: the column of parquet files that holds ids.
    `retry_errors`: tries recordings again that an earlier run could not encode.
    `progress`: shows a bar on standard error, if tqdm is installed.

    Raises `libmimi.Error` for what a run cannot go on with, and OSError if the output cannot be written.
    """
    listing = Listing(os.fspath(source), os.fspath(output))
    if os.path.realpath(listing.root) == os.path.realpath(output):
        raise CorpusError(f"{os.fspath(output)}: the input's own folder; name another")
    # the whole path, for processes on Ray have other folders to start from
    name = os.fspath(model)
    name = os.path.abspath(name) if os.path.exists(name) else name
    with Model(name, parts="encoder", precision=precision) as loaded:
        header = loaded.header(codebooks=codebooks)
    settings = Settings(name, precision, header.codebooks, header.model_id, id_column)
    there = Output(os.path.abspath(output))
    described = {
        "input": os.path.abspath(source),
        "model_id": settings.model_id,
        "codebooks": settings.codebooks,
        "bits": header.code_bits,
        "precision": precision,
        "id_column": id_column,
    }
    with there.open(described):
        troubles = there.plan(listing, Limits(part_items))
        there.list_troubles(troubles)
        with Progress(progress, lambda: sum(part.size for part in unmade(there, retry_errors))) as bar:
            parts = unmade(there, retry_errors)
            if ray is None:
                tally, lost = here(there, listing.root, parts, settings, jobs, bar), list[str]()
            else:
                from ._on_ray import on_ray  # Ray is for those who have it

                tally, lost = on_ray(there, listing.root, parts, settings, ray, cpus_per_task, bar)
        if not lost:
            there.clear_marks()
        return Summary(tally.made, there.failures(), tally.seconds, lost)


def unmade(output: Output, retry_errors: bool) -> Iterator[Part]:
    """The parts that are not done."""
    for part in output.planned():
        if not output.codes_file(part.number).exists() or (retry_errors and output.errors_file(part.number).exists()):
            yield part


def here(
    output: Output, root: str, parts: Iterator[Part], settings: Settings, jobs: int | None, bar: Progress
) -> Tally:
    """Makes parts on this machine, with threads: the library gives up the interpreter lock while it computes."""
    first = next(parts, None)
    if first is None:
        return Tally()
    waiting = [first]
    turn, stop = threading.Lock(), threading.Event()

    def take() -> Part | None:
        with turn:
            return None if stop.is_set() else waiting.pop() if waiting else next(parts, None)

    def make_parts() -> Tally:
        tally = Tally()
        while (part := take()) is not None:
            tally += worker.run(output, root, part, bar.recording)
        return tally

    # two, so that the cores go on while the tables of a part are written
    with Worker(settings, jobs or cores()) as worker, ThreadPoolExecutor(2, "libmimi-part") as makers:
        futures = [makers.submit(make_parts) for _ in range(2)]
        try:
            ended, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in ended:
                future.result()
        except BaseException:
            # what the other is amid is not waited for
            stop.set()
            worker.stop()
            raise
        return futures[0].result() + futures[1].result()
