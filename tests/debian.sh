# The Debian packages that tests need, for scripts to source. Each list is lines of a command and its package;
# a package without a command of its own has `-`.

# installed: reads such a list, and installs what is missing. Works as root, or with sudo.
installed() {
    local missing=() tool package root=()
    while read -r tool package; do
        if command -v "$tool" > /dev/null; then continue; fi
        if [ "$tool" = - ] && dpkg-query -W -f '${Status}' "$package" 2> /dev/null | grep -q 'ok installed'; then continue; fi
        missing+=("$package")
    done
    if [ ${#missing[@]} -eq 0 ]; then
        echo "all system packages are there"
        return
    fi
    if ! command -v apt-get > /dev/null; then
        echo "This is no Debian. Install what its packages ${missing[*]} hold." >&2
        return 1
    fi
    echo "installing the Debian packages ${missing[*]}"
    if [ "$(id -u)" -ne 0 ]; then root=(sudo); fi
    "${root[@]}" apt-get update -qq &&
        "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}"
}

# What `cargo test` runs. The sanitizers of gcc come with gcc itself, those of clang apart.
packages_for_tests() {
    installed <<'TOOLS'
gcc gcc
- libc6-dev
g++ g++
clang clang
- libclang-rt-14-dev
valgrind valgrind
- libc6-dbg
strace strace
readelf binutils
sox sox
ffmpeg ffmpeg
script bsdutils
python3 python3
TOOLS
}
