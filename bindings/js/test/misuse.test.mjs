// Wrong arguments, hostile files and sizes, use after free: a specific error, and everything goes on as before.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Instance } from '../lib/instance.js';
import { Decoder, Encoder, MimiError, Model, NO_CODE, Status, readTokens, samplesAt, writeTokens } from '../mimi.js';
import { demo, goldenCodes, speech } from './data.mjs';

const model = await Model.load(demo);
const codes = goldenCodes('demo/speech.codes.npy');

/** What `call` throws, or what its promise ends with. */
async function error(call) {
    try {
        await call();
    } catch (thrown) {
        assert.ok(thrown instanceof MimiError, `${thrown.stack}`);
        assert.equal(Status[thrown.code.slice(9)], thrown.status);
        return thrown;
    }
    assert.fail('nothing was thrown');
}

async function fails(code, message, call) {
    const thrown = await error(call);
    assert.equal(thrown.code, `MIMI_ERR_${code}`, thrown.message);
    assert.match(thrown.message, message);
}

test('arguments of a wrong type', async () => {
    for (const wrong of [
        undefined,
        null,
        1,
        'x',
        [0, 1],
        {},
        new Float64Array(4),
        codes,
        new DataView(new ArrayBuffer(4)),
        5n,
    ]) {
        await fails('INVALID_ARGUMENT', /^pcm is .*: expected a Float32Array$/, () => model.encode(wrong));
    }
    for (const wrong of [undefined, speech, new Int32Array(8), [1, 2, 3, 4, 5, 6, 7, 8]]) {
        await fails('INVALID_ARGUMENT', /^codes is .*: expected a Uint32Array$/, () => model.decode(wrong));
    }
    await fails('INVALID_ARGUMENT', /^options is 3: expected an object$/, () => model.encode(speech, 3));
    await fails('INVALID_ARGUMENT', /there is no option "codebook"/, () => model.encode(speech, { codebook: 3 }));
    await fails('INVALID_ARGUMENT', /there is no option "toString"/, () => model.encode(speech, { toString: 1 }));
    await fails('INVALID_ARGUMENT', /tail is "x": expected 'audio-pad', 'layer-pad'/, () =>
        model.encode(speech, { tail: 'x' }),
    );
    for (const wrong of [1.5, NaN, Infinity, '8', 8n, true, 2 ** 60]) {
        await fails('INVALID_ARGUMENT', /^codebooks is/, () => model.encoder({ codebooks: wrong }));
    }
    await fails('INVALID_ARGUMENT', /codebooks is 9: expected 1 to 8/, () => model.encoder({ codebooks: 9 }));
    await fails('INVALID_ARGUMENT', /-1/, () => model.encoder({ codebooks: -1 }));
    await fails('INVALID_ARGUMENT', /44101/, () => model.decoder({ sampleRate: 44101 }));
    await fails('INVALID_ARGUMENT', /^offline is 1/, () => model.capture({ offline: 1 }));
    await fails('UNSUPPORTED', /threads is 4: expected 1/, () => model.encode(speech, { threads: 4 }));
    await fails('UNSUPPORTED', /isa is Avx2/, () => Model.load(demo, { isa: 'avx2' }));
    for (const wrong of [-1, 0.5, NaN, 2 ** 32, '1', undefined]) {
        await fails('INVALID_ARGUMENT', /^samples is/, () => model.codesFor(wrong));
    }
});

test('buffers that went elsewhere', async () => {
    const pcm = new Float32Array(100);
    structuredClone(pcm.buffer, { transfer: [pcm.buffer] });
    await fails('INVALID_ARGUMENT', /the buffer of pcm is detached/, () => model.encode(pcm));
    const bytes = Uint8Array.from(demo.subarray(0, 1000));
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    await fails('INVALID_ARGUMENT', /the buffer of source is detached/, () => Model.load(bytes));
    await fails('INVALID_ARGUMENT', /the buffer of source is detached/, () => Model.load(bytes.buffer));
    const shared = new Float32Array(new SharedArrayBuffer(4 * 1920));
    assert.deepEqual(model.encode(shared), model.encode(new Float32Array(1920)));
});

test('use after free', async () => {
    const mine = await Model.load(demo);
    const [encoder, decoder] = [mine.encoder(), mine.decoder()];
    const first = encoder.process(speech.subarray(0, 1920));
    mine.free();
    mine.free();
    assert.ok(mine.freed);
    await fails('STATE', /the model was freed/, () => mine.encode(speech));
    await fails('STATE', /the model was freed/, () => mine.sampleRate);
    // streams keep the weights
    assert.deepEqual(first, model.encode(speech.subarray(0, 1920)));
    assert.deepEqual(decoder.process(first), model.decode(first));
    encoder.free();
    await fails('STATE', /the encoder was freed/, () => encoder.process(speech));
    await fails('STATE', /the encoder was freed/, () => encoder.clone());
    assert.equal(decoder.process(first).length, 1920);
    if (Symbol.dispose) decoder[Symbol.dispose]();
    await fails(Symbol.dispose ? 'STATE' : 'INVALID_ARGUMENT', /decoder/, () => decoder.flush(Symbol.dispose));
});

test('methods on something else', async () => {
    const { process } = Encoder.prototype;
    for (const wrong of [undefined, {}, model, model.decoder(), Object.create(Encoder.prototype)]) {
        const thrown = await assertThrows(() => process.call(wrong, speech));
        assert.ok(thrown instanceof MimiError || thrown instanceof TypeError);
    }
    await fails('INVALID_ARGUMENT', /expected a decoder of libmimi/, () => Decoder.prototype.flush.call(model));
});

async function assertThrows(call) {
    try {
        call();
    } catch (thrown) {
        return thrown;
    }
    return assert.fail('nothing was thrown');
}

test('codes that are none', async () => {
    const bad = codes.slice(0, 16);
    bad[11] = 512;
    await fails('CORRUPT', /codes\[11\] is 512/, () => model.decode(bad));
    const decoder = model.decoder();
    await fails('CORRUPT', /code 512 at 11/, () => decoder.process(bad));
    assert.deepEqual([decoder.badCodeIndex, decoder.badCodeValue], [11, 512]);
    await fails('INVALID_ARGUMENT', /7 codes/, () => decoder.process(bad.subarray(0, 7)));
    await fails('INVALID_ARGUMENT', /7/, () => model.decode(bad.subarray(0, 7)));
    assert.deepEqual(decoder.process(codes.subarray(0, 16)), model.decode(codes.subarray(0, 16)));
    const playback = model.playback();
    await fails('CORRUPT', /damaged data/, () => playback.write(bad));
    playback.writeLost(18);
    await fails('BUFFER_TOO_SMALL', /8 codes/, () => playback.write(codes.subarray(0, 8)));
    assert.equal(playback.dropped, 1);
    assert.equal(model.decode(new Uint32Array(8).fill(NO_CODE)).length, 1920);
});

test('audio that is no number', () => {
    const pcm = speech.slice(0, 9600);
    const clean = pcm.slice();
    for (const [at, value] of [
        [3, NaN],
        [500, Infinity],
        [5000, -Infinity],
    ])
        [pcm[at], clean[at]] = [value, 0];
    assert.deepEqual(model.encode(pcm), model.encode(clean));
    const huge = pcm.map(() => 3e38);
    assert.equal(model.encode(huge).length, 40);
    assert.equal(model.encode(new Float32Array(0)).length, 0);
    assert.equal(model.decode(new Uint32Array(0)).length, 0);
    const latents = new Float32Array(model.latentDim).fill(NaN);
    assert.ok(model.decodeLatents(latents).every(Number.isFinite));
});

test('files that are no model', async () => {
    await fails('FORMAT', /./, () => Model.load(new Uint8Array(0)));
    await fails('FORMAT', /./, () => Model.load(Buffer.from('nothing of the kind')));
    for (const length of [7, 8, 1000, 30000, demo.length >> 1, demo.length - 1]) {
        const thrown = await error(() => Model.load(demo.subarray(0, length)));
        assert.match(thrown.code, /FORMAT|CORRUPT/, thrown.message);
    }
    const nan = Buffer.from(demo);
    nan.fill(0xff, nan.length - 100000);
    await fails('CORRUPT', /tensor/, () => Model.load(nan));
    await fails('IO', /no-such-file.*ENOENT/, () => Model.load('/no-such-file.safetensors'));
    await fails('IO', /http:\/\/127.0.0.1:9\//, () => Model.load('http://127.0.0.1:9/'));
    for (const wrong of [undefined, null, 5, {}, []]) {
        await fails('INVALID_ARGUMENT', /^source is/, () => Model.load(wrong));
    }
    await fails('UNSUPPORTED', /wasm cannot be compiled/, () => Model.load(demo, { wasm: Buffer.from('no') }));
    await fails('INVALID_ARGUMENT', /^wasm is/, () => Model.loadSync(demo, {}));
    const half = await Model.load(demo, { parts: 'encoder' });
    await fails('UNSUPPORTED', /without its decoder/, () => half.decoder());
});

test('files by path in the module', async () => {
    const instance = new Instance(new WebAssembly.Module(readFileSync(new URL('../mimi.wasm', import.meta.url))));
    const path = Buffer.from('/models/mimi.safetensors\0');
    const load = (at) => instance.word((out) => instance.call('mimi_load', at, 0, out));
    const message = /^\/models\/mimi.safetensors: no files can be read on this platform: expected a model in memory$/;
    await fails('UNSUPPORTED', message, () => instance.pass(path, false, load));
});

test('token files', async () => {
    const file = await writeTokens(model.header({ samples: speech.length }), codes);
    const read = await readTokens(file);
    assert.deepEqual(read.codes, codes);
    assert.equal(read.header.samples, speech.length);
    assert.equal(read.header.modelId, model.modelId);
    assert.equal(await samplesAt(read.header, 48000), 2 * speech.length);
    // a file that breaks off is good up to there
    assert.deepEqual((await readTokens(file.subarray(0, file.length - 1))).codes, codes.subarray(0, codes.length - 8));
    // the test vectors of mimi.h
    const hex = (bytes) => Buffer.from(bytes).toString('hex');
    const header = {
        sampleRate: 24000,
        frameSamples: 1920,
        samples: 79610,
        codebooks: 8,
        codeBits: 11,
        modelId: 0x0123456789abcdefn,
    };
    const vector = await writeTokens(header, Uint32Array.of(2047, 0, 2047, 0, 2047, 0, 2047, 1));
    const front = '6d746f6b010b280008000000c05d000080070000fa36010000000000efcdab896745230159f486c3';
    assert.equal(hex(vector), `${front}ffe003ff800ffe003ff801`);
    const packets = model.pack(codes);
    assert.deepEqual(model.unpack(packets), codes);
    assert.equal(hex(packets), hex(file.subarray(read.header.headerBytes)));

    await fails('FORMAT', /./, () => readTokens(Buffer.from('RIFF and more of that kind')));
    await fails('CORRUPT', /./, () => readTokens(file.subarray(0, 20)));
    for (const at of [9, 20, 37]) {
        const damaged = file.slice();
        damaged[at] ^= 1;
        assert.match((await error(() => readTokens(damaged))).code, /CORRUPT|UNSUPPORTED|FORMAT/);
    }
    await fails('CORRUPT', /336 codes/, () => model.pack(codes.map((code) => code | 2048)));
    await fails('INVALID_ARGUMENT', /frames of 5/, () => model.pack(codes, 5));
    await fails('INVALID_ARGUMENT', /frames of 0/, () => model.pack(codes, 0));
    await fails('INVALID_ARGUMENT', /frames of 4294967295/, () => model.unpack(packets, 0xffffffff));
    await fails('INVALID_ARGUMENT', /partial|frames of 8/, () => model.unpack(packets.subarray(1)));
    await fails('INVALID_ARGUMENT', /modelId is 5: expected a bigint/, () =>
        writeTokens({ ...header, modelId: 5 }, codes),
    );
    await fails('INVALID_ARGUMENT', /./, () => writeTokens({ ...header, codeBits: 17 }, codes));
    await fails('INVALID_ARGUMENT', /header is null/, () => writeTokens(null, codes));
    await fails('INVALID_ARGUMENT', /./, () => samplesAt(header, 0));
});

test('a bug stops its instance, and says so', async () => {
    const text = (string) => [string.length, ...Buffer.from(string)];
    // (func (export "mimi_version_number") (result i32) i32.const 100) (func (export "trap") (result i32) unreachable)
    const bytes = Uint8Array.of(
        0,
        0x61,
        0x73,
        0x6d,
        1,
        0,
        0,
        0,
        1,
        5,
        1,
        0x60,
        0,
        1,
        0x7f,
        3,
        3,
        2,
        0,
        0,
        7,
        30,
        2,
        ...text('mimi_version_number'),
        0,
        0,
        ...text('trap'),
        0,
        1,
        10,
        11,
        2,
        5,
        0,
        0x41,
        0xe4,
        0,
        0x0b,
        3,
        0,
        0,
        0x0b,
    );
    const instance = new Instance(new WebAssembly.Module(bytes));
    await fails('PANIC', /bug in libmimi: trap: unreachable/, () => instance.call('trap'));
    await fails('STATE', /load the model again/, () => instance.call('mimi_version_number'));
    const again = new Instance(new WebAssembly.Module(bytes));
    again.drop('trap', 0); // as `free` and finalizers call it
    again.drop('trap', 0);
    await fails('STATE', /load the model again/, () => again.version());
    const other = bytes.slice();
    other[bytes.length - 7] = 0xe5; // 101
    new Instance(new WebAssembly.Module(other));
    other[bytes.length - 7] = 0xc8; // 200
    other[bytes.length - 6] = 1;
    await fails('UNSUPPORTED', /version is 200/, () => new Instance(new WebAssembly.Module(other)));
});
