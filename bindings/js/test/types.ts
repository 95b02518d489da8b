// What a program in TypeScript may write, compiled strictly and run.
import assert from 'node:assert/strict';
import { Model, MimiError, NO_CODE, Status, readTokens, samplesAt, writeTokens } from 'libmimi';
import type { Decoder, Encoder, TokenHeader } from 'libmimi';
import type { LiveCapture, LivePlayback } from 'libmimi/live';
import { openCapture, openPlayback } from 'libmimi/live';
import type { RemoteModel } from 'libmimi/worker';
import { loadInWorker } from 'libmimi/worker';

async function main(path: string): Promise<void> {
    const model: Model = await Model.load(path, { precision: 'int8', parts: 'both', codebooks: 4 });
    const numbers: number[] = [
        model.sampleRate,
        model.frameSamples,
        model.codebooks,
        model.codebookSize,
        model.codeBits,
        model.latentDim,
        model.memoryBytes,
        model.moduleBytes,
    ];
    assert.ok(numbers.every((number) => number > 0));
    const texts: string[] = [model.precision, model.parts, model.isa, model.version];
    assert.deepEqual(texts.slice(0, 3), ['int8', 'both', 'simd128']);
    const pcm = new Float32Array(4000);
    const codes: Uint32Array = model.encode(pcm, { codebooks: 4, tail: 'layer-pad' });
    const latents: Float32Array = model.encodeLatents(pcm);
    assert.equal(codes.length, model.codesFor(pcm.length, { codebooks: 4 }));
    assert.equal(latents.length, model.latentsFor(pcm.length));
    assert.equal(model.decode(codes, { codebooks: 4 }).length, model.samplesFor(codes.length, { codebooks: 4 }));
    assert.equal(model.decodeLatents(model.dequantize(model.quantize(latents))).length, 3 * model.frameSamples);

    const encoder: Encoder = model.encoder();
    const decoder: Decoder = model.decoder();
    decoder.process(encoder.process(pcm));
    decoder.process(encoder.flush());
    decoder.process(new Uint32Array(4).fill(NO_CODE));
    decoder.processLatents(encoder.processLatents(pcm));
    const more: [number, number, number, bigint, number, number] = [
        encoder.flushLatentsLength,
        encoder.latencySamples,
        decoder.concealed,
        decoder.codesHash,
        decoder.badCodeIndex,
        encoder.clone().flushLatents().length,
    ];
    assert.ok(more.every((number) => typeof number === 'number' || typeof number === 'bigint'));
    const fork: Decoder = decoder.clone();
    fork.free();
    assert.equal(fork.freed, true);

    const capture = model.capture({ work: 'other', offline: true });
    const playback = model.playback({ bufferFrames: 1 });
    capture.write(pcm);
    capture.work();
    playback.write(capture.read());
    assert.equal(playback.read(pcm), pcm);
    assert.equal(capture.dropped + playback.late + playback.lost + playback.missed + playback.waiting, 0);

    const header: Required<TokenHeader> = model.header({ codebooks: 4, samples: pcm.length });
    const file: Uint8Array = await writeTokens(header, codes);
    const read = await readTokens(file);
    assert.deepEqual(read.codes, codes);
    assert.equal(await samplesAt(read.header, 48000), 2 * pcm.length);
    assert.deepEqual(model.unpack(model.pack(codes, 4), 4), codes);
    try {
        await Model.load('nothing');
        assert.fail();
    } catch (error) {
        assert.ok(error instanceof MimiError && error.status === Status.IO && error.code === 'MIMI_ERR_IO');
    }
    // @ts-expect-error: an array of doubles is no audio
    assert.throws(() => model.encode(new Float64Array(1)), MimiError);
    // @ts-expect-error: there is no such precision
    await assert.rejects(Model.load(path, { precision: 'f64' }), MimiError);
    // @ts-expect-error: streams are opened by models
    assert.equal(typeof new Set([encoder]).values().next().value.nothing, 'undefined');
}

/** Browsers alone have what these need: they are compiled. */
export async function inBrowsers(context: AudioContext, file: File): Promise<void> {
    const capture: LiveCapture = await openCapture(context, file, { codebooks: 8 });
    const playback: LivePlayback = await openPlayback(context, new URL('https://localhost/'), { bufferFrames: 3 });
    capture.oncodes = (codes) => playback.write(codes);
    capture.onerror = ({ status }) => console.error(status);
    const late: number = await playback.get('late');
    const hash: bigint = await capture.get('codesHash');
    console.log(late, hash);
    await Promise.all([capture.reset(), playback.close()]);
    const remote: RemoteModel = await loadInWorker(file, { precision: 'bf16' });
    const codes: Uint32Array = await remote.encode(new Float32Array(1));
    const stream = await remote.decoder({ codebooks: 8 });
    const audio: Float32Array = await stream.process(codes);
    const rate: number = await remote.get('sampleRate');
    console.log(audio, rate);
    await remote.free();
}

await main(process.argv[2] ?? '');
