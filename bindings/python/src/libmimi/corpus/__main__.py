"""`python -m libmimi.corpus INPUT OUTPUT --model MODEL`."""

from __future__ import annotations

import argparse
import sys

from libmimi import Error

from . import encode_corpus

DESCRIPTION = """\
Encodes all recordings of INPUT into parquet files in the folder OUTPUT. The same line typed again goes on
where it stopped.

INPUT is a folder, with all that is below it; a list (.txt with a path in each line, or .jsonl with
{"path": …} and perhaps "id"); tar files, as 'shards/{00000..00012}.tar'; or parquet files as Hugging Face's
datasets writes them.

What cannot be encoded is a row in OUTPUT/__errors/errors-*.parquet, and the exit status is 1.
"""


def positive(text: str) -> int:
    """A number from 1 on."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def main(arguments: list[str] | None = None) -> int:
    """The program. Returns its exit status."""
    parser = argparse.ArgumentParser(
        "python -m libmimi.corpus", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("input", metavar="INPUT")
    add("output", metavar="OUTPUT")
    add("--model", required=True, help="a path, or a name such as kyutai/mimi that `mimi fetch` has brought")
    add("--codebooks", type=positive, metavar="N", help="codes in a frame (default: 8, or what the config says)")
    add("--precision", choices=["f32", "bf16", "int8"], default="f32", help="how weights are kept (default: f32)")
    add("--jobs", type=positive, metavar="N", help="threads (default: one for each core)")
    add("--ray", nargs="?", const="", metavar="ADDRESS", help="work on a Ray cluster")
    add("--cpus-per-task", type=positive, default=1, metavar="N", help="cores of each process on Ray (default: 1)")
    add("--part-items", type=positive, default=1000, metavar="N", help="files in an output file (default: 1000)")
    add("--id-column", metavar="NAME", help="the column of parquet files that holds ids")
    add("--retry-errors", action="store_true", help="try again what could not be encoded")
    add("--quiet", action="store_true", help="show no progress")
    options = vars(parser.parse_args(arguments))
    quiet, source = options.pop("quiet"), options.pop("input")
    try:
        summary = encode_corpus(source, progress=not quiet, **options)
    except (Error, OSError, ImportError) as error:
        print(f"libmimi.corpus: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    for lost in summary.lost:
        print(f"libmimi.corpus: {lost}", file=sys.stderr)
    if not quiet:
        print(f"{summary.made} encoded, {summary.seconds / 3600:.2f} hours; {summary.failed} failed", file=sys.stderr)
        if summary.failed:
            print(f"what failed: {options['output']}/__errors/errors-*.parquet", file=sys.stderr)
    return 1 if summary.failed or summary.lost else 0


if __name__ == "__main__":
    sys.exit(main())
