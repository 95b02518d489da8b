#!/usr/bin/env python3
"""Licences of all that is compiled into libmimi and its tool.

Without an argument, writes packaging/third-party-library.txt and -tool.txt, which go with packages. With --check, fails if
a crate has a licence that is not on the list below, or if those files are not what would be written.
"""
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PLATFORM = "x86_64-unknown-linux-gnu"
# Licences that ask for no more than their text and the names of the authors.
ALLOWED = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0",
    "CC0-1.0", "CDLA-Permissive-2.0", "ISC", "MIT", "MIT-0", "Unicode-3.0", "Unlicense", "Zlib",
    # files keep their licence, and are had in source from crates.io
    "MPL-2.0",
}
TEXTS = re.compile(r"(licen[cs]e|copying|copyright|notice|unlicense)", re.IGNORECASE)


def allowed(expression):
    """Whether one way to read an SPDX expression is on the list."""
    words = re.sub(r"/", " OR ", expression)
    words = re.sub(r"[\w.+-]+(?: WITH [\w.-]+)?", lambda m: m[0] if m[0] in ("OR", "AND") else repr(m[0]), words)
    words = words.replace("OR", "or").replace("AND", "and")
    return bool(eval(re.sub(r"'([^']*)'", lambda m: str(m[1] in ALLOWED), words)))


def metadata(*arguments):
    command = ["cargo", "metadata", "--format-version", "1", "--locked", *arguments]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)


def compiled_in(meta, root):
    """Crates that `root` has inside, itself left out: normal dependencies, not those of procedural macros."""
    packages = {package["id"]: package for package in meta["packages"]}
    nodes = {node["id"]: node for node in meta["resolve"]["nodes"]}
    found, waiting = {}, [next(id for id in nodes if packages[id]["name"] == root)]
    while waiting:
        id = waiting.pop()
        if id in found or any("proc-macro" in target["kind"] for target in packages[id]["targets"]):
            continue
        found[id] = packages[id]
        for dependency in nodes[id]["deps"]:
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                waiting.append(dependency["pkg"])
    return [package for package in found.values() if package["source"]]


def document(packages):
    """One list of crates, and the texts, each once."""
    packages = sorted(packages, key=lambda package: (package["name"], package["version"]))
    lines, texts = ["Rust's standard library: MIT OR Apache-2.0; https://github.com/rust-lang/rust"], {}
    for package in packages:
        name = f"{package['name']} {package['version']}"
        lines.append(f"{name}: {package['license']}; {package['repository'] or 'crates.io'}")
        folder = pathlib.Path(package["manifest_path"]).parent
        for file in sorted(folder.iterdir()):
            if file.is_file() and TEXTS.match(file.name):
                text = "\n".join(line.rstrip() for line in file.read_text(errors="replace").strip().splitlines())
                texts.setdefault(text, []).append(name)
    for text, names in texts.items():
        lines += ["", "-" * 100, ", ".join(dict.fromkeys(names)), "", text]
    return "\n".join(lines) + "\n"


def main():
    check = sys.argv[1:] == ["--check"]
    failed = False
    every = metadata("--all-features")
    for package in every["packages"]:
        if package["source"] and not allowed(package["license"] or "none"):
            print(f"{package['name']} {package['version']}: licence {package['license']} is not on the list")
            failed = True
    library = metadata("--no-default-features", "--filter-platform", PLATFORM)
    for name, root in ("library", "libmimi"), ("tool", "mimi-cli"):
        path = ROOT / f"packaging/third-party-{name}.txt"
        text = document(compiled_in(library, root))
        if not check:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            print(f"{path.relative_to(ROOT)} is out of date: python3 tests/licences.py")
            failed = True
    print(f"{len(every['packages'])} crates")
    return failed


if __name__ == "__main__":
    sys.exit(main())
