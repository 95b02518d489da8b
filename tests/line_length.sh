#!/usr/bin/env bash
# rustfmt leaves comments as long as they are: no line of code has more than 120 characters.
set -euo pipefail
cd "$(dirname "$0")/.."
LC_ALL=C.UTF-8 git ls-files -z '*.rs' '*.h' '*.hpp' '*.c' '*.cpp' '*.go' '*.sh' |
    LC_ALL=C.UTF-8 xargs -0 perl -CSD -ne 'chomp; if (length > 120) { print "$ARGV:$.: ", length, " characters\n"; $bad = 1 }
        close ARGV if eof; END { exit 1 if $bad }'
