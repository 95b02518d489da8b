#!/bin/bash
# conan.sh: makes the Conan package, static and shared, and runs golden vectors with each. Conan itself is
# installed by pip, to a temporary folder, unless it is there.
#
# MIMI_CARGO_DIR: where cargo builds, to share it between runs; otherwise a temporary folder.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# packages and settings of its own
export CONAN_HOME=$work/home
. "$root/tests/packages/quick.sh"

conan=conan
if ! command -v conan > /dev/null; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" --quiet install 'conan>=2,<3'
    conan=$work/venv/bin/conan
fi
"$conan" profile detect
# a variable of the cache, as MIMI_CARGO_DIR is one
cargo_dir="{'value': '${MIMI_CARGO_DIR:-$work/cargo}', 'cache': True, 'type': 'PATH', 'docstring': ''}"
for shared in False True; do
    "$conan" create "$root/bindings/cpp/packaging/conan" -o "libmimi/*:shared=$shared" \
        -c "tools.cmake.cmaketoolchain:extra_variables={'MIMI_CARGO_DIR': $cargo_dir}"
done
rm -rf "$root/bindings/cpp/packaging/conan/test_package/build" "$root/bindings/cpp/packaging/conan/test_package/CMakeUserPresets.json"
echo "Conan packages: made and used, static and shared"
