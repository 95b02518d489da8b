#!/usr/bin/env python3
"""page.py [SCREENSHOT]: opens the page in a headless Chromium whose microphone is a recording, and talks until it hears.

It needs the Debian packages chromium and chromium-driver, and says NOT CHECKED without them. Run it in this folder.
"""

import base64
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
SPEECH = HERE / "../../../../tests/data/golden/speech.wav"
FRAMES = 60  # that are to be heard
SECONDS = 60.0  # in which they must be, on a machine that is very busy


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("localhost", 0))
        return int(s.getsockname()[1])


def wait_for(port: int) -> None:
    for _ in range(600):
        try:
            socket.create_connection(("localhost", port)).close()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"nothing listens on port {port}")


class Driver:
    """As much of WebDriver as is needed."""

    def __init__(self, port: int, flags: list[str]) -> None:
        self.url = f"http://localhost:{port}"
        options = {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": flags},
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        self.url += "/session/" + self.call("POST", "/session", {"capabilities": {"alwaysMatch": options}})["sessionId"]

    def call(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()) from error

    def script(self, text: str) -> Any:
        return self.call("POST", "/execute/sync", {"script": text, "args": []})


TOLD = """return Object.fromEntries(["state", "frames", "delay", "gaps", "rate"].map(
    (id) => [id, document.getElementById(id).textContent]))"""


def talk(port: int, driver: Driver, screenshot: str | None) -> dict[str, Any]:
    driver.call("POST", "/url", {"url": f"http://localhost:{port}/"})
    driver.script('document.getElementById("talk").click()')
    began = time.monotonic()
    told: dict[str, Any] = driver.script(TOLD)
    while int(told["frames"]) < FRAMES and time.monotonic() - began < SECONDS:
        time.sleep(0.2)
        told = driver.script(TOLD)
    if screenshot:
        pathlib.Path(screenshot).write_bytes(base64.b64decode(str(driver.call("GET", "/screenshot"))))
    driver.script('document.getElementById("talk").click()')
    told["after"] = driver.script(TOLD)["state"]
    told["log"] = [entry["message"] for entry in driver.call("POST", "/se/log", {"type": "browser"})]
    asked = driver.script('return performance.getEntriesByType("resource").map((entry) => new URL(entry.name).host)')
    told["hosts"] = sorted(set(asked))
    return told


def main() -> int:
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        print("NOT CHECKED: the page, for want of chromium and chromedriver")
        return 0
    port, driver_port = free_port(), free_port()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as work:
        built = subprocess.run(["go", "build", "-o", f"{work}/voice", "."], cwd=HERE, check=False)
        if built.returncode:
            return 1
        server = subprocess.Popen([f"{work}/voice", "-addr", f"localhost:{port}"], cwd=HERE)
        chromedriver = subprocess.Popen(["chromedriver", f"--port={driver_port}"], stdout=subprocess.DEVNULL)
        driver = None
        try:
            wait_for(port)
            wait_for(driver_port)
            driver = Driver(
                driver_port,
                [
                    "--headless",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--use-fake-device-for-media-stream",
                    "--use-fake-ui-for-media-stream",
                    f"--use-file-for-fake-audio-capture={SPEECH.resolve()}",
                    "--autoplay-policy=no-user-gesture-required",
                    "--disable-quic",
                    "--no-first-run",
                    "--disable-background-networking",
                    "--disable-component-update",
                    "--disable-sync",
                    f"--user-data-dir={work}/profile",
                    "--window-size=800,640",
                ],
            )
            told = talk(port, driver, sys.argv[1] if len(sys.argv) > 1 else None)
        finally:
            if driver:
                driver.call("DELETE", "")
            chromedriver.terminate()
            chromedriver.wait()
            server.terminate()
            ended = server.wait()
    print(json.dumps(told, indent=2))
    frames = int(told["frames"])
    wrong = [
        f"{frames} frames in {SECONDS:.0f} s" if frames < FRAMES else "",
        f"the state is {told['state']}" if not told["state"].startswith("Connected") else "",
        f"the state afterwards is {told['after']}" if told["after"] != "Not connected." else "",
        f"the console says {told['log']}" if told["log"] else "",
        f"asked of {told['hosts']}" if told["hosts"] != [f"localhost:{port}"] else "",
        f"the server ended with {ended}" if ended else "",
    ]
    print("\n".join(filter(None, wrong)) or "the page echoes")
    return int(any(wrong))


if __name__ == "__main__":
    sys.exit(main())
