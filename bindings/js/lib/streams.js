// Streams and live handles.

import { MimiError, Status } from './error.js';
import { Handle, array, size } from './handle.js';

/** Keys of mimi.h. */
export const PROPERTY = {
    codebooks: 1,
    sampleRate: 2,
    frameSamples: 3,
    codebookSize: 4,
    latencySamples: 5,
    frames: 6,
    memoryBytes: 7,
    codesHash: 8,
    modelId: 9,
    codeBits: 10,
    precision: 11,
    isa: 12,
    parts: 13,
    flushLength: 14,
    badCodeIndex: 15,
    badCodeValue: 16,
    concealed: 17,
    lost: 18,
    waiting: 19,
    late: 20,
    missed: 21,
    dropped: 22,
    latentDim: 23,
    flushLatentsLength: 24,
};

/** Gives a class a getter for each of these properties. Hashes and fingerprints are bigints. */
export function properties(Class, kind, names) {
    for (const name of names) {
        const wide = name === 'codesHash' || name === 'modelId';
        Object.defineProperty(Class.prototype, name, {
            enumerable: true,
            get() {
                const { instance, pointer } = Handle.open(this, kind);
                const number = instance.number(
                    (out) => instance.call(`mimi_${kind}_get`, pointer, PROPERTY[name], out),
                    (status) => new MimiError(status, `${kind}: ${instance.meaning(status)}: ${name}`),
                );
                return wide ? number : Number(number);
            },
        });
    }
}

const STREAM = ['codebooks', 'sampleRate', 'frameSamples', 'latencySamples', 'frames', 'memoryBytes', 'codesHash'];

/** The error of a real-time call, which leaves no message. */
function failed(instance, kind, does, given) {
    return (status) => new MimiError(status, `${kind}.${does}: ${instance.meaning(status)}${given}`);
}

/** The stream that `mimi_<kind>_clone` makes. */
function fork(Class, kind, handle) {
    const { instance, pointer } = Handle.open(handle, kind);
    return new Class(
        instance,
        kind,
        instance.word((out) => instance.call(`mimi_${kind}_clone`, pointer, out)),
    );
}

/** Calls `mimi_<kind>_<does>`, which takes the handle alone. */
function act(kind, does, handle) {
    const { instance, pointer } = Handle.open(handle, kind);
    const status = instance.call(`mimi_${kind}_${does}`, pointer);
    if (status !== 0) throw failed(instance, kind, does, '')(status);
}

export class Encoder extends Handle {
    process(pcm) {
        return this.#process('process', 'mimi_encoder_process', 'mimi_encoder_codes_for', pcm, Uint32Array);
    }

    processLatents(pcm) {
        const call = 'mimi_encoder_process_latents';
        return this.#process('processLatents', call, 'mimi_encoder_latents_for', pcm, Float32Array);
    }

    #process(does, call, roomFor, pcm, Output) {
        const { instance, pointer } = Handle.open(this, 'encoder');
        const { length } = array('pcm', pcm, Float32Array);
        const fail = failed(instance, 'encoder', does, `: ${length} samples`);
        const room = instance.word((out) => instance.call(roomFor, pointer, length, out), fail);
        const run = (from, to, cap, count) => instance.call(call, pointer, from, length, to, cap, count);
        return instance.convert(pcm, Output, room, run, fail);
    }

    flush() {
        return this.#flush('flush', 'mimi_encoder_flush', this.flushLength, Uint32Array);
    }

    flushLatents() {
        return this.#flush('flushLatents', 'mimi_encoder_flush_latents', this.flushLatentsLength, Float32Array);
    }

    #flush(does, call, room, Output) {
        const { instance, pointer } = Handle.open(this, 'encoder');
        const run = (_, to, cap, count) => instance.call(call, pointer, to, cap, count);
        return instance.convert(null, Output, room, run, failed(instance, 'encoder', does, ''));
    }

    reset() {
        act('encoder', 'reset', this);
    }

    clone() {
        return fork(Encoder, 'encoder', this);
    }
}

export class Decoder extends Handle {
    process(codes) {
        array('codes', codes, Uint32Array);
        const roomFor = 'mimi_decoder_samples_for';
        return this.#process('process', 'mimi_decoder_process', roomFor, codes, codes.length, 'codes');
    }

    processLatents(latents) {
        array('latents', latents, Float32Array);
        const roomFor = 'mimi_decoder_samples_for_latents';
        const call = 'mimi_decoder_process_latents';
        return this.#process('processLatents', call, roomFor, latents, latents.length, 'values');
    }

    processLost(frames = 1) {
        size('frames', frames);
        const { codebooks } = this;
        if (codebooks > 0) {
            const roomFor = 'mimi_decoder_samples_for';
            return this.#process('processLost', 'mimi_decoder_process', roomFor, null, frames * codebooks, 'codes');
        }
        const length = frames * this.latentDim;
        const roomFor = 'mimi_decoder_samples_for_latents';
        return this.#process('processLost', 'mimi_decoder_process_latents', roomFor, null, length, 'values');
    }

    #process(does, call, roomFor, input, given, what) {
        const { instance, pointer } = Handle.open(this, 'decoder');
        const length = size('the length', given);
        const fail = (status) => {
            let more = `: ${length} ${what}`;
            if (status === Status.CORRUPT) more = `: code ${this.badCodeValue} at ${this.badCodeIndex}`;
            return failed(instance, 'decoder', does, more)(status);
        };
        const room = instance.word((out) => instance.call(roomFor, pointer, length, out), fail);
        const run = (from, to, cap, count) => instance.call(call, pointer, input ? from : 0, length, to, cap, count);
        return instance.convert(input, Float32Array, room, run, fail);
    }

    flush() {
        const { instance, pointer } = Handle.open(this, 'decoder');
        const room = this.flushLength;
        const run = (_, to, cap, count) => instance.call('mimi_decoder_flush', pointer, to, cap, count);
        return instance.convert(null, Float32Array, room, run, failed(instance, 'decoder', 'flush', ''));
    }

    reset() {
        act('decoder', 'reset', this);
    }

    clone() {
        return fork(Decoder, 'decoder', this);
    }
}

/** The frames that wait in a capture at most: see mimi_capture_write(). */
const WAITING = 64;

export class Capture extends Handle {
    write(pcm) {
        const { instance, pointer } = Handle.open(this, 'capture');
        const { length } = array('pcm', pcm, Float32Array);
        const call = (input) => instance.call('mimi_capture_write', pointer, input, length);
        instance.pass(pcm, false, call, failed(instance, 'capture', 'write', ''));
    }

    read() {
        const { instance, pointer } = Handle.open(this, 'capture');
        const room = this.codebooks * WAITING;
        const run = (_, to, cap, count) => instance.call('mimi_capture_read', pointer, to, cap, count);
        return instance.convert(null, Uint32Array, room, run, failed(instance, 'capture', 'read', ''));
    }

    work() {
        act('capture', 'work', this);
    }

    reset() {
        act('capture', 'reset', this);
    }
}

export class Playback extends Handle {
    write(codes) {
        const { instance, pointer } = Handle.open(this, 'playback');
        const { length } = array('codes', codes, Uint32Array);
        const call = (input) => instance.call('mimi_playback_write', pointer, input, length);
        instance.pass(codes, false, call, failed(instance, 'playback', 'write', `: ${length} codes`));
    }

    writeLost(frames = 1) {
        const { instance, pointer } = Handle.open(this, 'playback');
        const codes = size('the length', size('frames', frames) * this.codebooks);
        const status = instance.call('mimi_playback_write', pointer, 0, codes);
        if (status !== 0) throw failed(instance, 'playback', 'writeLost', `: ${frames} frames`)(status);
    }

    read(pcm) {
        const { instance, pointer } = Handle.open(this, 'playback');
        const { length } = array('pcm', pcm, Float32Array);
        const call = (output) => instance.call('mimi_playback_read', pointer, output, length);
        instance.pass(pcm, true, call, failed(instance, 'playback', 'read', ''));
        return pcm;
    }

    work() {
        act('playback', 'work', this);
    }

    reset() {
        act('playback', 'reset', this);
    }
}

properties(Encoder, 'encoder', [...STREAM, 'latentDim', 'flushLength', 'flushLatentsLength']);
properties(Decoder, 'decoder', [...STREAM, 'latentDim', 'flushLength', 'badCodeIndex', 'badCodeValue', 'concealed']);
properties(Capture, 'capture', [...STREAM, 'dropped']);
properties(Playback, 'playback', [...STREAM, 'concealed', 'lost', 'waiting', 'late', 'missed', 'dropped']);
