#!/usr/bin/env bash
# rustfmt and gofmt do not wrap comments: no comment that has a line to itself is longer than 120 characters.
set -euo pipefail
cd "$(dirname "$0")/.."
LC_ALL=C.UTF-8 git ls-files -z '*.rs' '*.h' '*.hpp' '*.c' '*.cpp' '*.go' '*.sh' |
    LC_ALL=C.UTF-8 xargs -0 perl -CSD -ne 'chomp; if (length > 120 && m{^\s*(//|/?\*|#)}) { print "$ARGV:$.: ", length,
        " characters\n"; $bad = 1 } close ARGV if eof; END { exit 1 if $bad }'
