"""verify.py against a server with stand-ins: the demo model, and the golden recording that transformers measured.

MIMI=target/debug/mimi python3 -m unittest tests/published/test_verify.py   (needs what requirements.txt names)
"""
import http.server
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

import numpy
import pyarrow
import pyarrow.parquet
import soundfile
import soxr

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
GOLDEN = ROOT / "tests/data/golden"
sys.path.insert(0, str(HERE))
import verify

PARQUET = "/datasets/some/speech/resolve/main/clean/validation.parquet"
SOUND = "/datasets/some/samples/resolve/main/first.mp3"


def flac(samples, rate=24_000):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def parquet(*recordings):
    file = io.BytesIO()
    rows = [{"bytes": content, "path": f"{index}.flac"} for index, content in enumerate(recordings)]
    pyarrow.parquet.write_table(pyarrow.table({"audio": rows, "id": list(range(len(rows)))}), file)
    return file.getvalue()


def config_of(model):
    header = model[8 : 8 + int.from_bytes(model[:8], "little")]
    return json.loads(header)["__metadata__"]["config"].encode()


class Server(http.server.ThreadingHTTPServer):
    """Hugging Face's, in small: files by their paths."""

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self, with_content=False):
        # a commit is asked for by its name, too
        path = self.path.replace("0" * 40, "main")
        content = self.server.files.get(path) or self.listing(path)
        self.send_response(404 if content is None else 200)
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("ETag", f'"{verify.hashlib.sha256(content or b"").hexdigest()}"')
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        if with_content and content is not None:
            self.wfile.write(content)

    def listing(self, path):
        """The files of the model that is asked for."""
        found = re.fullmatch("/api/models/(.*)/revision/main", path)
        if not found:
            return None
        prefix = f"/{found[1]}/resolve/main/"
        names = [name.removeprefix(prefix) for name in self.server.files if name.startswith(prefix)]
        return json.dumps({"sha": "0" * 40, "siblings": [{"rfilename": name} for name in names]}).encode()

    def do_GET(self):
        self.do_HEAD(with_content=True)

    def log_message(self, *_):
        pass


class Verdicts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mimi = str(Path(os.environ["MIMI"]).resolve())
        cls.speech, _ = soundfile.read(GOLDEN / "speech.wav", dtype="float32")
        cls.model = (ROOT / "tool/demo/model.safetensors").read_bytes()
        # what transformers made of the recording; the first half of its codebooks is what it makes with half of them
        codes = numpy.load(GOLDEN / "demo/speech.codes.npy").reshape(8, -1).astype("i8")
        audio = numpy.load(GOLDEN / "demo/speech.audio.npy").reshape(-1)[: len(cls.speech)]
        cls.all = {"sum": int(codes.sum()), "rmse": verify.rmse(cls.speech, audio)}

    def files(self):
        noise = numpy.random.default_rng(1).uniform(-0.5, 0.5, 5000).astype("f4")
        return {
            "/stand/in/resolve/main/model.safetensors": self.model,
            "/stand/in/resolve/main/config.json": config_of(self.model),
            PARQUET: parquet(flac(noise), flac(self.speech)),
            SOUND: flac(self.speech),
        }

    def verify(self, files, first=None, second=None):
        """Exit status and output, with these numbers expected of the two recordings."""
        recordings = [
            {"name": "one", "dataset": "some/speech", "file": "clean/validation.parquet", "row": -1,
             "expected": {"8": first or self.all}},
            {"name": "two", "dataset": "some/samples", "file": "first.mp3", "expected": {"8": second or self.all}},
        ]
        server = Server(files)
        with tempfile.TemporaryDirectory() as folder:
            expected = Path(folder, "expected.json")
            expected.write_text(json.dumps({"recordings": recordings}))
            environment = {name: value for name, value in os.environ.items()
                           if not name.startswith("HF_") and "proxy" not in name.lower()}
            environment |= {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HUB_CACHE": folder}
            words = ["--mimi", self.mimi, "--model", "stand/in", "--expected", str(expected)]
            found = subprocess.run([sys.executable, HERE / "verify.py", *words], env=environment, text=True,
                                   capture_output=True)
        server.shutdown()
        server.server_close()
        return found.returncode, found.stdout + found.stderr

    def assert_wrong(self, status, output, name):
        """Of the two recordings, this one is wrong, by either way to decode it, and the other is right."""
        other = {"one": "two", "two": "one"}[name]
        counts = [output.count(f"\n{line}") for line in (f"wrong  {name}", f"right  {name}", f"right  {other}")]
        self.assertEqual((status, counts), (1, [2, 0, 1]), output)
        self.assertTrue(output.endswith("WRONG: 1 of 2\n"), output)

    def test_what_transformers_makes_is_right(self):
        status, output = self.verify(self.files())
        self.assertEqual((status, output.count("\nright  "), output.count("wrong")), (0, 2, 0), output)
        self.assertTrue(output.endswith("RIGHT: 2 of 2\n"), output)

    def test_another_sum_of_codes_is_wrong(self):
        status, output = self.verify(self.files(), first=self.all | {"sum": round(self.all["sum"] * 1.0031)})
        self.assert_wrong(status, output, "one")

    def test_another_distance_is_wrong(self):
        status, output = self.verify(self.files(), second=self.all | {"rmse": self.all["rmse"] + 1.1e-5})
        self.assert_wrong(status, output, "two")

    def test_either_way_to_resample_may_be_the_right_one(self):
        low = soxr.resample(self.speech, 24_000, 16_000)
        files = self.files() | {SOUND: flac(low, 16_000)}
        numbers = {}
        for decode in (verify.by_soxr, verify.by_ffmpeg):
            with tempfile.TemporaryDirectory() as folder:
                model = str(ROOT / "tool/demo/model.safetensors")
                found = verify.measure(self.mimi, model, decode(files[SOUND]), 8, Path(folder))
            numbers[decode] = dict(zip(("sum", "rmse"), found))
        # the two differ by more than may be
        self.assertFalse(verify.verdict(tuple(numbers[verify.by_soxr].values()), numbers[verify.by_ffmpeg]))
        for decode, lines in ((verify.by_soxr, ["right  two, by soxr"]),
                              (verify.by_ffmpeg, ["wrong  two, by soxr", "right  two, by ffmpeg"])):
            status, output = self.verify(files, second=numbers[decode])
            found = [line[:19 if "soxr" in line else 21] for line in output.splitlines() if " two, " in line]
            self.assertEqual((status, found), (0, lines), output)

    def test_another_recording_is_wrong(self):
        files = self.files()
        # the last row counts
        files[PARQUET] = parquet(flac(self.speech), flac(self.speech[::-1].copy()))
        status, output = self.verify(files)
        self.assert_wrong(status, output, "one")

    def test_other_weights_are_wrong(self):
        files = self.files()
        header = 8 + int.from_bytes(self.model[:8], "little")
        weights = numpy.frombuffer(self.model[header:], "<u2").copy()
        weights[: len(weights) // 2] ^= 0x0200  # the highest bit of each mantissa
        files["/stand/in/resolve/main/model.safetensors"] = self.model[:header] + weights.tobytes()
        status, output = self.verify(files)
        self.assertEqual((status, output.count("\nwrong  one"), output.count("\nwrong  two")), (1, 2, 2), output)
        self.assertTrue(output.endswith("WRONG: 0 of 2\n"), output)

    def test_what_is_missing_is_no_verdict(self):
        for path in (SOUND, PARQUET, "/stand/in/resolve/main/model.safetensors"):
            files = self.files()
            del files[path]
            status, output = self.verify(files)
            self.assertEqual((status, "right" in output, "404" in output or "model" in output), (2, False, True), output)


class Parts(unittest.TestCase):
    def test_recordings_are_converted_to_24_khz_and_one_channel(self):
        tone = lambda rate: numpy.sin(2 * numpy.pi * 440 * numpy.arange(rate) / rate).astype("f4") / 2
        two = numpy.stack([tone(16_000), tone(16_000)], axis=1)
        for found in (verify.by_soxr(flac(two, 16_000)), verify.by_ffmpeg(flac(tone(16_000), 16_000))):
            self.assertEqual(len(found), 24_000)
            self.assertLess(numpy.abs(found - tone(24_000))[1_000:-1_000].max(), 1e-3)

    def test_an_mp3_is_in_the_place_of_its_original(self):
        original, compressed = ((ROOT / f"tests/data/audio/sweep.{kind}").read_bytes() for kind in ("flac", "mp3"))
        for decode in (verify.by_soxr, verify.by_ffmpeg):
            a, b = decode(original), decode(compressed)
            self.assertEqual(len(a), 12_000)
            lag = numpy.correlate(b, a, "full").argmax() - (len(a) - 1)
            self.assertEqual(lag, 0, decode)

    def test_what_is_no_number_is_wrong(self):
        self.assertFalse(verify.verdict((100, float("nan")), {"sum": 100, "rmse": 0.5}))
        self.assertTrue(verify.verdict((100, 0.5), {"sum": 100, "rmse": 0.5}))

    def test_the_published_numbers_are_all_there(self):
        recordings = json.loads((HERE / "expected.json").read_text())["recordings"]
        numbers = [list(recording["expected"]) for recording in recordings]
        self.assertEqual(numbers, [["8", "32"], ["8", "32"]])


if __name__ == "__main__":
    unittest.main()
