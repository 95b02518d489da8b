"""Makes parts on a Ray cluster.

A part is a Ray task, which reads, encodes and writes; what travels is the list of its recordings. Ray finds room for
tasks, starts processes for them, starts tasks again whose process or machine has died, and lets the cluster grow where
it has an autoscaler. A process keeps its model from one task to the next.

Why not Ray Data: a task of it that is started again may leave its rows twice, and a run that is started again must read
all that was written to learn what is left. Here the name and the rows of a part are fixed before any work begins, so
that it does no harm to make one twice.

Why not actors: a call waits for its own actor. When a machine dies, its actors wait for room, and the other actors do
not give theirs up, even if they have nothing to do. A task takes any room that there is.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Any

from ._output import Output, Part
from ._packages import need
from ._progress import Progress
from ._worker import Settings, Tally, Worker

ray = need("ray", "ray")

TRIES = 20
"""Processes and machines that may die with a part. Some systems take back machines every few minutes."""


@functools.lru_cache(maxsize=1)
def worker(settings: Settings, threads: int) -> Worker:
    """This process's."""
    return Worker(settings, threads)


def make(output: Output, root: str, part: Part, settings: Settings, threads: int) -> Tally:
    """The task."""
    return worker(settings, threads).run(output, root, part)


def on_ray(
    output: Output, root: str, parts: Iterator[Part], settings: Settings, address: str, cpus: int, bar: Progress
) -> tuple[Tally, list[str]]:
    """Makes parts, and tells which could not be made."""
    first = next(parts, None)
    if first is None:
        return Tally(), []
    connected = ray.is_initialized()
    if not connected:
        ray.init(address=address or None, log_to_driver=False, logging_level="WARNING")
    parts = itertools.chain([first], parts)
    task = ray.remote(make)
    tally = Tally()
    lost: list[str] = []
    running: dict[Any, Part] = {}
    try:
        while True:
            # twice as many as there is room for, so that no core waits and a cluster that can grow sees why it should
            room = 2 * max(int(ray.cluster_resources().get("CPU", 0)) // cpus, 1)
            for part in itertools.islice(parts, max(room - len(running), 0)):
                options = {"name": f"part-{part.number:05}", "num_cpus": cpus, "max_retries": TRIES}
                running[task.options(**options).remote(output, root, part, settings, cpus)] = part
            if not running:
                return tally, lost
            done, _ = ray.wait(list(running), timeout=10)
            for call in done:
                part = running.pop(call)
                try:
                    made: Tally = ray.get(call)
                except ray.exceptions.RayTaskError as error:
                    raise error.cause from None
                except ray.exceptions.RayError as error:
                    lost.append(f"part {part.number}: {error}")
                else:
                    tally += made
                    bar.add(made, part.size)
    finally:
        for call in running:
            ray.cancel(call, force=True)
        if not connected:
            ray.shutdown()
