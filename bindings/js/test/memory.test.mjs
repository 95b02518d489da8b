// Memory: growth that takes views away, freeing that gives back, sizes that no memory has.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MimiError, Model } from '../mimi.js';
import { demo, goldenCodes, joined, pieces, speech } from './data.mjs';

const golden = goldenCodes('demo/speech.codes.npy');

test('results stay what they are when memory grows', async () => {
    const model = await Model.load(demo);
    const encoder = model.encoder();
    const first = encoder.process(speech.subarray(0, 3840));
    const copy = first.slice();
    const before = model.moduleBytes;
    // streams that hold memory, and a recording of minutes
    const streams = Array.from({ length: 10 }, () => model.decoder());
    const long = joined(Float32Array, Array(12).fill(speech));
    const codes = model.encode(long);
    assert.ok(model.moduleBytes > before);
    assert.deepEqual(first, copy);
    assert.equal(codes.length, model.codesFor(long.length));
    const rest = Array.from(
        pieces(speech.subarray(3840), () => 1000),
        (piece) => encoder.process(piece),
    );
    assert.deepEqual(joined(Uint32Array, [first, ...rest, encoder.flush()]), model.encode(speech));
    streams.forEach((stream) => stream.free());
});

test('results are copies', async () => {
    const model = await Model.load(demo);
    const audio = model.decode(golden);
    audio.fill(1);
    assert.notEqual(model.decode(golden)[0], 1);
    assert.notEqual(audio.buffer.byteLength, model.moduleBytes);
});

test('what was freed is used again', async () => {
    const model = await Model.load(demo);
    const round = () => {
        const streams = [model.encoder(), model.decoder(), model.capture(), model.playback()];
        streams[0].process(speech.subarray(0, 6000));
        streams[1].process(golden.subarray(0, 24));
        const fork = streams[0].clone();
        assert.throws(() => streams[1].process(golden.subarray(1)), MimiError);
        assert.throws(() => model.encoder({ codebooks: 99 }), MimiError);
        [fork, ...streams].forEach((stream) => stream.free());
    };
    round();
    const before = model.moduleBytes;
    for (let i = 0; i < 30; i++) round();
    assert.equal(model.moduleBytes, before);
});

const noCollector = !globalThis.gc && 'needs --expose-gc';

test('models that come and go', { skip: noCollector }, async () => {
    // each has memory of its own, which goes with it
    const used = () => process.memoryUsage().arrayBuffers + process.memoryUsage().external;
    const before = used();
    let each;
    for (let i = 0; i < 25; i++) {
        const model = await Model.load(demo);
        assert.equal((each ??= model.moduleBytes), model.moduleBytes);
        model.free();
    }
    for (let i = 0; i < 10 && used() - before > 3 * each; i++) {
        globalThis.gc();
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.ok(used() - before <= 3 * each, `${used() - before} bytes`);
});

test('sizes that no memory has', async () => {
    const model = await Model.load(demo);
    const decoder = model.decoder();
    const thrown = (call) => {
        try {
            call();
        } catch (error) {
            assert.ok(error instanceof MimiError, error.stack);
            return error.code.slice(9);
        }
        return assert.fail('nothing was thrown');
    };
    // a frame of 8 codes is 7680 bytes of audio: as many codes are 4 TB
    assert.equal(
        thrown(() => decoder.processLost(2 ** 29 - 1)),
        'OUT_OF_MEMORY',
    );
    assert.equal(
        thrown(() => decoder.processLost(2 ** 29)),
        'INVALID_ARGUMENT',
    );
    assert.equal(
        thrown(() => decoder.processLost(2 ** 53)),
        'INVALID_ARGUMENT',
    );
    assert.equal(
        thrown(() => model.encode(new Float32Array(2 ** 29))),
        'OUT_OF_MEMORY',
    );
    assert.equal(
        thrown(() => model.decode(new Uint32Array(2 ** 23))),
        'OUT_OF_MEMORY',
    );
    assert.equal(
        thrown(() => model.encoder({ maxBlock: 2 ** 18 + 1 })),
        'INVALID_ARGUMENT',
    );
    assert.equal(
        thrown(() => model.samplesFor(2 ** 32)),
        'INVALID_ARGUMENT',
    );
    assert.ok(model.samplesFor(2 ** 32 - 8) > 0);
    assert.deepEqual(decoder.process(golden), model.decode(golden));
});

test('the garbage collector frees what was forgotten', { skip: noCollector }, async () => {
    const model = await Model.load(demo);
    // what was freed is not freed again, when another stream has its place
    model.encoder().free();
    const keeper = model.encoder();
    const before = model.moduleBytes;
    for (let i = 0; i < 200; i++) {
        model.decoder();
        if (i % 10 === 9) {
            globalThis.gc();
            await new Promise((resolve) => setTimeout(resolve, 1));
        }
    }
    assert.equal(keeper.process(speech.subarray(0, 1920)).length, 8);
    const one = model.decoder().memoryBytes;
    assert.ok(model.moduleBytes - before < 60 * one, `${model.moduleBytes - before} bytes, ${one} a stream`);
});
