"""The benchmark beside the peers, without the peers: MIMI_LIBRARY=libmimi.so python3 -m unittest tests/peers/test_peers.py"""
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import peers
import pocket


class Arithmetic(unittest.TestCase):
    def test_a_ratio_is_against_the_fastest_peer_and_only_where_there_is_a_goal(self):
        rows = {
            "libmimi f32": [10.0, 10.0, 4.0, 5.0],
            "moshi f32": [40.0, 80.0, 10.0, 20.0],
            "transformers f32": [90.0, None, 8.0, 30.0],
        }
        moshi, pytorch = peers.ratios(rows)
        self.assertEqual((moshi["against"], moshi["times"]), ("moshi f32", [4.0, 8.0, None, None]))
        self.assertEqual(pytorch["against"], "moshi f32 or transformers f32")
        self.assertEqual(pytorch["times"], [None, None, 2.0, 4.0])

    def test_the_best_round_counts_for_each_number(self):
        self.assertEqual(peers.best([None, 3, 2, None], [4, 1, 5, None]), [4, 1, 2, None])


class OnTheDemoModel(unittest.TestCase):
    def test_libmimi_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            demo = HERE.parent.parent / "tool/demo/model.safetensors"
            (Path(folder) / "transformers.safetensors").symlink_to(demo)
            script = [sys.executable, str(HERE / "peers.py"), os.environ["MIMI_LIBRARY"], folder]
            options = "--only libmimi --rounds 2 --seconds 1 --frames 3 --streams 2".split()
            report = json.loads(subprocess.check_output([*script, *options, "--json"]))
            table = subprocess.check_output([*script, *options, "--no-loading"], text=True)
        rows = report["milliseconds_per_frame"]
        self.assertEqual(list(rows), ["libmimi f32", "libmimi bf16", "libmimi int16", "libmimi int8"])
        for row in rows.values():
            self.assertTrue(len(row) == 4 and all(0 < time < 80 for time in row), row)
        many = report["many_streams"]
        for i in range(2):
            self.assertEqual(many["times"][i], many["apart"][i] / many["together"][i])
        loading = report["loading"]
        for load in loading.values():
            self.assertGreater(load["seconds"], 0)
            self.assertLessEqual(load["resident_bytes"], load["peak_bytes"])
        # 2.6 million parameters
        self.assertGreater(loading["libmimi f32"]["resident_bytes"], 8e6)
        self.assertLess(loading["libmimi int8"]["resident_bytes"], loading["libmimi f32"]["resident_bytes"])
        for half in ("encoder", "decoder"):
            both, part = loading["libmimi f32"], loading[f"libmimi f32, {half}"]
            self.assertLess(part["resident_bytes"], 0.8 * both["resident_bytes"])
        self.assertIn("together : apart", table)


class PocketTts(unittest.TestCase):
    def test_libmimi_alone_on_latents(self):
        model = HERE.parent / "data/golden/pocket-tiny"
        script = [sys.executable, str(HERE / "pocket.py"), os.environ["MIMI_LIBRARY"], "--model", str(model)]
        script += "--rounds 2 --frames 3".split()
        (times,) = json.loads(subprocess.check_output([*script, "--json"])).values()
        self.assertEqual(list(times), ["libmimi f32", "libmimi bf16", "libmimi int16", "libmimi int8"])
        self.assertTrue(all(0 < time < 80 for time in times.values()), times)
        self.assertIn("times real time", subprocess.check_output(script, text=True))

    def test_a_difference_is_relative_to_the_peak(self):
        self.assertEqual(pocket.difference([1.0, 2.5], [-1.0, 2.0]), 1.0)
        with self.assertRaises(ValueError):
            pocket.difference([1.0], [1.0, 2.0])


if __name__ == "__main__":
    unittest.main()
