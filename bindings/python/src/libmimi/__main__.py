"""`python -m libmimi` prints which library this is and what the CPU can run, for bug reports."""

from . import version

print(f"libmimi {version()}")
