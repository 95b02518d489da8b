// Codes are those of other implementations; streams give the bits of whole recordings, however they are cut.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Model, NO_CODE } from '../mimi.js';
import { checkpoint, demo, goldenCodes, joined, npy, pieces, random, speech } from './data.mjs';

const model = await Model.load(demo);
const golden = goldenCodes('demo/speech.codes.npy');

test('codes are the golden ones', () => {
    assert.deepEqual(model.encode(speech, { tail: 'layer-pad' }), golden);
    assert.match(model.version, /^0\.1\.\d+ \(simd128(, relaxed)?\)$/);
    assert.equal(model.isa, 'simd128');
});

test('so they are for small networks of every kind', async () => {
    const networks = ['tiny', 'tiny-dilated', 'tiny-shortcut', 'tiny-gqa-bias', 'tiny-16khz', 'tiny-replicate'];
    networks.push('tiny-semantic2', 'tiny-noproj', 'tiny-theta', 'tiny-bf16', 'tiny-f16');
    for (const name of networks) {
        const tiny = await Model.load(checkpoint(name));
        const pcm = speech.subarray(0, name === 'tiny-16khz' ? 35237 : 52837);
        const expected = goldenCodes(`${name}/speech.codes.npy`);
        const codebooks = expected.length / Math.ceil(pcm.length / tiny.frameSamples);
        assert.deepEqual(tiny.encode(pcm, { codebooks, tail: 'layer-pad' }), expected, name);
        tiny.free();
    }
});

test('audio is the golden audio, but for rounding', () => {
    const audio = model.decode(golden);
    const { values } = npy('demo/speech.audio.npy');
    assert.equal(audio.length, values.length);
    const largest = (numbers) => numbers.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    const error = largest(audio.map((x, i) => x - values[i])) / largest(values);
    // as tests/golden.rs asks of the other instruction sets
    assert.ok(error < 5e-5, `${error} of the peak`);
});

test('streams are the whole recording, to the bit', () => {
    const codes = model.encode(speech);
    const audio = model.decode(codes);
    for (const most of [1, 3, 700, 5000, 1e9]) {
        const pcm = most === 1 ? speech.subarray(0, 4000) : speech;
        const encoder = model.encoder();
        const parts = Array.from(pieces(pcm, random(most, most)), (piece) => encoder.process(piece));
        parts.push(encoder.flush());
        assert.deepEqual(joined(Uint32Array, parts), model.encode(pcm), `blocks of up to ${most}`);
        encoder.free();
    }
    const decoder = model.decoder();
    const frames = random(7, 5);
    const parts = Array.from(
        pieces(codes, () => 8 * frames()),
        (piece) => decoder.process(piece),
    );
    assert.deepEqual(joined(Float32Array, parts), audio);
    assert.equal(decoder.flush().length, 0);
    decoder.free();
});

test('at another rate, too', () => {
    const options = { sampleRate: 44100, codebooks: 5 };
    const codes = model.encode(speech, options);
    const encoder = model.encoder(options);
    const parts = Array.from(pieces(speech, random(1, 999)), (piece) => encoder.process(piece));
    assert.equal(encoder.flushLength, codes.length - joined(Uint32Array, parts).length);
    parts.push(encoder.flush());
    assert.deepEqual(joined(Uint32Array, parts), codes);
    const decoder = model.decoder(options);
    const audio = Array.from(
        pieces(codes, () => 5),
        (frame) => decoder.process(frame),
    );
    audio.push(decoder.flush());
    assert.deepEqual(joined(Float32Array, audio), model.decode(codes, options));
});

test('a fork goes its own way, and a reset begins again', () => {
    const encoder = model.encoder();
    encoder.process(speech.subarray(0, 5000));
    const fork = encoder.clone();
    const rest = encoder.process(speech.subarray(5000, 20000));
    assert.deepEqual(fork.process(speech.subarray(5000, 20000)), rest);
    assert.equal(fork.codesHash, encoder.codesHash);
    assert.equal(fork.frames, 10);
    encoder.reset();
    assert.equal(encoder.frames, 0);
    assert.deepEqual(encoder.process(speech.subarray(0, 1920)), model.encode(speech.subarray(0, 1920)));
});

test('weights of 16 and 8 bits', async () => {
    for (const precision of ['bf16', 'int8', 'int16']) {
        const rounded = await Model.load(demo, { precision });
        assert.equal(rounded.precision, precision);
        assert.ok(rounded.memoryBytes < model.memoryBytes);
        const codes = rounded.encode(speech);
        const encoder = rounded.encoder();
        const parts = Array.from(pieces(speech, random(3, 3000)), (piece) => encoder.process(piece));
        assert.deepEqual(joined(Uint32Array, [...parts, encoder.flush()]), codes, precision);
        rounded.free();
    }
});

// written by test/native.c with the library for x86, whose SSE2 kernels add and multiply in the same order
const native = process.env.MIMI_NATIVE;
test('bits are those of SSE2', { skip: !native && 'MIMI_NATIVE names no folder' }, async () => {
    for (const precision of ['f32', 'bf16', 'int8', 'int16']) {
        const rounded = await Model.load(demo, { precision });
        const codes = rounded.encode(speech);
        const results = { codes, audio: rounded.decode(codes), latents: rounded.encodeLatents(speech) };
        for (const [name, array] of Object.entries(results)) {
            const file = `${precision}.${name}`;
            assert.ok(readFileSync(join(native, file)).equals(new Uint8Array(array.buffer)), file);
        }
        rounded.free();
    }
});

test('latents stand between', async () => {
    const latents = model.encodeLatents(speech);
    assert.equal(latents.length, model.latentsFor(speech.length));
    assert.deepEqual(model.quantize(latents), model.encode(speech));
    const back = model.dequantize(golden);
    assert.deepEqual(model.decodeLatents(back), model.decode(golden));
    const encoder = model.encoder();
    const parts = Array.from(pieces(speech, random(5, 4000)), (piece) => encoder.processLatents(piece));
    assert.equal(encoder.flushLatentsLength, model.latentDim);
    assert.deepEqual(joined(Float32Array, [...parts, encoder.flushLatents()]), latents);

    const voice = await Model.load(checkpoint('pocket-tiny'));
    assert.throws(() => voice.encode(speech), { code: 'MIMI_ERR_UNSUPPORTED' });
    const given = Float32Array.from(npy('pocket-tiny/speech.latents.npy').values);
    assert.equal(given.length % voice.latentDim, 0);
    const decoder = voice.decoder();
    const sound = Array.from(
        pieces(given, () => voice.latentDim),
        (frame) => decoder.processLatents(frame),
    );
    assert.deepEqual(joined(Float32Array, sound), voice.decodeLatents(given));
    assert.equal(decoder.processLost(2).length, 2 * voice.frameSamples);
    assert.equal(decoder.concealed, 2);
});

test('models come from anywhere', async () => {
    const url = new URL('../../../tool/demo/model.safetensors', import.meta.url);
    const buffer = Uint8Array.from(demo).buffer;
    const shared = new Uint8Array(new SharedArrayBuffer(demo.length));
    shared.set(demo);
    const wasm = new URL('../mimi.wasm', import.meta.url);
    const module = await WebAssembly.compile(readFileSync(wasm));
    const models = await Promise.all([
        Model.load(url),
        Model.load(url.href),
        Model.load(fileURLToPath(url), { wasm }),
        Model.load(buffer, { wasm: fileURLToPath(wasm) }),
        Model.load(shared, { wasm: module }),
        Model.load(new Blob([demo]), { wasm: readFileSync(wasm) }),
        Model.load(new Response(demo)),
        Model.loadSync(new DataView(buffer), { wasm: module }),
    ]);
    for (const each of models) {
        assert.equal(each.modelId, model.modelId);
        each.free();
    }
});

test('two models do not disturb each other', async () => {
    const tiny = await Model.load(checkpoint('tiny'));
    assert.notEqual(tiny.modelId, model.modelId);
    const pcm = speech.subarray(0, 52837);
    const expected = goldenCodes('tiny/speech.codes.npy');
    const codebooks = expected.length / Math.ceil(pcm.length / tiny.frameSamples);
    const encoders = [tiny.encoder({ codebooks, tail: 'layer-pad' }), model.encoder({ tail: 'layer-pad' })];
    const found = [[], []];
    for (const block of pieces(pcm, random(11, 4000))) {
        encoders.forEach((encoder, i) => found[i].push(encoder.process(block)));
    }
    encoders.forEach((encoder, i) => found[i].push(encoder.flush()));
    assert.deepEqual(joined(Uint32Array, found[0]), expected);
    assert.deepEqual(joined(Uint32Array, found[1]), model.encode(pcm, { tail: 'layer-pad' }));
});

test('lost frames are concealed', () => {
    const lossy = golden.slice();
    lossy.fill(NO_CODE, 8 * 10, 8 * 13);
    const decoder = model.decoder();
    const audio = joined(Float32Array, [
        decoder.process(golden.subarray(0, 80)),
        decoder.processLost(3),
        decoder.process(golden.subarray(8 * 13)),
    ]);
    assert.deepEqual(audio, model.decode(lossy));
    assert.equal(decoder.concealed, 3);
});

test('captures and playbacks are streams in shares', () => {
    const capture = model.capture();
    const playback = model.playback({ bufferFrames: 1 });
    const delay = capture.latencySamples + playback.latencySamples;
    const [heard, read] = [[], []];
    for (const block of pieces(joined(Float32Array, [speech, new Float32Array(delay)]), () => 128)) {
        capture.write(block);
        const codes = capture.read();
        read.push(codes);
        playback.write(codes);
        heard.push(playback.read(new Float32Array(block.length)));
    }
    const codes = model.encode(speech);
    const found = joined(Uint32Array, read);
    assert.deepEqual(found.subarray(0, codes.length), codes);
    const audio = joined(Float32Array, heard);
    assert.deepEqual(audio.subarray(delay), model.decode(codes).subarray(0, speech.length));
    assert.equal(capture.dropped + playback.concealed + playback.late, 0);
    assert.equal(playback.waiting, 0);
});
