"""juce.py dawdreamer|pedalboard DATA PLUGIN: renders with a plug-in, the URI of an LV2 or the path of a VST3, and compares
with DATA/RATE-CODEBOOKS.f32, which DATA/RATE.f32 must become. DATA/RATE.latency says how much later."""

import sys

import numpy as np


def floats(path):
    return np.fromfile(path, np.float32)


def same(name, got, expected):
    equal = np.array_equal(got, expected)
    print(f"{name}: {len(got)} samples, {'equal' if equal else 'NOT EQUAL'}")
    return equal


def dawdreamer(data, plugin, rate, codebooks, block, latency):
    import dawdreamer as daw

    audio = floats(f"{data}/{rate}.f32")
    engine = daw.RenderEngine(rate, block)
    source = engine.make_playback_processor("source", audio[None])
    mimi = engine.make_plugin_processor("mimi", plugin)
    engine.load_graph([(source, []), (mimi, ["source"])])
    # 0 to 1 for 1 to 32
    mimi.set_parameter(0, (codebooks - 1) / 31)
    engine.render(len(audio) / rate)
    reported = mimi.get_latency_samples()
    name = f"{plugin.split('/')[-1]}, {rate} Hz, {codebooks} codebooks, blocks of {block}, latency {reported}"
    got = engine.get_audio()[0][: len(audio)]
    # what it renders may be a block shorter
    return len(got) > len(audio) - block and same(name, got, floats(f"{data}/{rate}-{codebooks}.f32")[: len(got)]) and (
        reported == latency
    )


def pedalboard(data, plugin, rate, codebooks, block, latency):
    import pedalboard as board

    audio = floats(f"{data}/{rate}.f32")
    mimi = board.load_plugin(plugin, plugin_name="Mimi")
    mimi.codebooks = codebooks
    got = mimi.process(audio[None], rate, buffer_size=block, reset=True)[0]
    expected = floats(f"{data}/{rate}-{codebooks}.f32")[latency:]
    name = f"{rate} Hz, {codebooks} codebooks, blocks of {block}, {latency} samples cut off"
    return len(got) == len(audio) and same(name, got[: len(expected)], expected)


def main():
    host, data, plugin = sys.argv[1:]
    good = []
    for rate, codebooks, block in [(24000, 8, 64), (24000, 8, 1024), (24000, 1, 64), (48000, 8, 64), (48000, 8, 1024)]:
        with open(f"{data}/{rate}.latency", encoding="ascii") as file:
            latency = int(file.read())
        good.append({"dawdreamer": dawdreamer, "pedalboard": pedalboard}[host](
            data, plugin, rate, codebooks, block, latency))
    sys.exit(not all(good))


main()
