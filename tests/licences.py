#!/usr/bin/env python3
"""The licences of all that is compiled into libmimi and its tool, for packages to ship.

Without an argument, writes bindings/cpp/packaging/third-party-library.txt and -tool.txt. With --check, fails if these files
are not what would be written. Which licences are accepted is .ci/deny.toml's business.
"""
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PLATFORM = "x86_64-unknown-linux-gnu"
TEXTS = re.compile(r"(licen[cs]e|copying|copyright|notice|unlicense)", re.IGNORECASE)


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
        lines.append(f"{name}: {package['license']}; {package['repository'] or 'no repository named'}")
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
    crates = metadata("--no-default-features", "--filter-platform", PLATFORM)
    for name, root in ("library", "libmimi"), ("tool", "mimi-cli"):
        path = ROOT / f"bindings/cpp/packaging/third-party-{name}.txt"
        text = document(compiled_in(crates, root))
        if not check:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            print(f"{path.relative_to(ROOT)} is out of date: python3 tests/licences.py")
            failed = True
    return failed


if __name__ == "__main__":
    sys.exit(main())
