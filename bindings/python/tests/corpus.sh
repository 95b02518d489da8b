#!/usr/bin/env bash
# The tests of corpora, with those that start a Ray cluster on this machine and kill parts of it. Needs root, to mount a
# small disk, and `pip install 'bindings/python[test-corpus]'`.
set -euo pipefail
cd "$(dirname "$0")/.."
exec "${PYTHON:-python3}" -m pytest tests/test_corpus*.py -m "not long" "$@"
