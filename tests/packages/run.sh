#!/bin/bash
# run.sh [cmake|cargo-c]...: installs libmimi to a temporary prefix, moves the prefix, and builds and runs
# programs in C, C++ and Go with the installed library, as a user of it would. Without arguments: with
# CMake, and with cargo-c if it is there.
#
# MIMI_CARGO_DIR: where cargo builds, to share it between runs; otherwise a temporary folder.
set -uo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tests/packages
data=$root/tests/data/golden
demo=$root/tool/demo/model.safetensors
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cargo_dir=${MIMI_CARGO_DIR:-$work/cargo}
warnings="-Wall -Wextra -Wpedantic -Werror"
passed=0
failed=0

. "$here/quick.sh"
. "$here/steps.sh"

kinds=("$@")
if [ ${#kinds[@]} -eq 0 ]; then
    kinds=(cmake)
    if cargo cinstall --version >/dev/null 2>&1; then
        kinds+=(cargo-c)
    else
        echo "cargo-c is not installed: the tree that it installs goes unchecked"
    fi
fi
for kind in "${kinds[@]}"; do
    if "install_with_${kind//-/_}"; then
        check "exported symbols, SONAME, links" only_mimi_is_visible
        check "the CMake package is relocatable" nothing_names_the_old_place
        check "the files" these_files
        # what is in the files does not depend on who put them there
        if [ "$kind" = cmake ]; then consume; else link_one_program; fi
    fi
done
sources
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
