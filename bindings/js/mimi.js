// libmimi for JavaScript: the Mimi neural audio codec. mimi.d.ts is the manual.

import { MimiError, Status, found, invalid } from './lib/error.js';
import { Handle, array, bytesOf, size } from './lib/handle.js';
import { Instance } from './lib/instance.js';
import { nameOf, withOptions } from './lib/options.js';
import { moduleOf, read } from './lib/source.js';
import { Capture, Decoder, Encoder, PROPERTY, Playback, properties } from './lib/streams.js';
import { pack, readTokens, samplesAt, unpack, withHeader, writeTokens } from './lib/tokens.js';

export { Capture, Decoder, Encoder, MimiError, Playback, Status, readTokens, samplesAt, writeTokens };

/** A code that did not arrive. */
export const NO_CODE = 0xffffffff;

/** The options of a load, and the module, which is no option of the library. */
function split(options = {}) {
    if (typeof options !== 'object' || options === null)
        throw invalid(`options is ${found(options)}: expected an object`);
    const { wasm, ...others } = options;
    return { wasm, others };
}

export class Model extends Handle {
    static async load(source, options) {
        const { wasm, others } = split(options);
        const [module, bytes] = await Promise.all([moduleOf(wasm), read('source', source)]);
        return Model.#open(bytes, module, others);
    }

    static loadSync(bytes, options) {
        const { wasm, others } = split(options);
        return Model.#open(bytesOf('bytes', bytes), wasm, others);
    }

    static #open(bytes, module, options) {
        const instance = new Instance(module);
        return new Model(
            instance,
            'model',
            withOptions(instance, options, (bag) => instance.load(bytes, bag)),
        );
    }

    /** The version of the library, and its kernels. */
    get version() {
        return Handle.open(this, 'model').instance.version();
    }

    /** The memory of the module: the model, its streams, and room that is free. */
    get moduleBytes() {
        return Handle.open(this, 'model').instance.memoryBytes;
    }

    get precision() {
        return nameOf('precision', this.#get('precision'));
    }

    get parts() {
        return nameOf('parts', this.#get('parts'));
    }

    get isa() {
        return nameOf('isa', this.#get('isa'));
    }

    #get(name) {
        const { instance, pointer } = Handle.open(this, 'model');
        return Number(instance.number((out) => instance.call('mimi_model_get', pointer, PROPERTY[name], out)));
    }

    encode(pcm, options) {
        return this.#whole('mimi_encode', 'mimi_codes_for', array('pcm', pcm, Float32Array), options, Uint32Array);
    }

    decode(codes, options) {
        return this.#whole(
            'mimi_decode',
            'mimi_samples_for',
            array('codes', codes, Uint32Array),
            options,
            Float32Array,
        );
    }

    encodeLatents(pcm, options) {
        const input = array('pcm', pcm, Float32Array);
        return this.#whole('mimi_encode_latents', 'mimi_latents_for', input, options, Float32Array);
    }

    decodeLatents(latents, options) {
        const input = array('latents', latents, Float32Array);
        return this.#whole('mimi_decode_latents', 'mimi_samples_for_latents', input, options, Float32Array);
    }

    quantize(latents, options) {
        return this.#whole('mimi_quantize', null, array('latents', latents, Float32Array), options, Uint32Array);
    }

    dequantize(codes, options) {
        return this.#whole('mimi_dequantize', null, array('codes', codes, Uint32Array), options, Float32Array);
    }

    /** A call for a whole recording. `roomFor` tells the size of its result; without it, the call does. */
    #whole(call, roomFor, input, options, Output) {
        const { instance, pointer } = Handle.open(this, 'model');
        return withOptions(instance, options, (bag) => {
            const run = (from, to, cap, count) => instance.call(call, pointer, bag, from, input.length, to, cap, count);
            const room = roomFor && instance.word((out) => instance.call(roomFor, pointer, bag, input.length, out));
            return instance.convert(input, Output, room, run);
        });
    }

    codesFor(samples, options) {
        return this.#sizeOf('mimi_codes_for', size('samples', samples), options);
    }

    samplesFor(codes, options) {
        return this.#sizeOf('mimi_samples_for', size('codes', codes), options);
    }

    latentsFor(samples, options) {
        return this.#sizeOf('mimi_latents_for', size('samples', samples), options);
    }

    #sizeOf(call, given, options) {
        const { instance, pointer } = Handle.open(this, 'model');
        return withOptions(instance, options, (bag) =>
            instance.word((out) => instance.call(call, pointer, bag, given, out)),
        );
    }

    encoder(options) {
        return this.#stream(Encoder, 'encoder', options);
    }

    decoder(options) {
        return this.#stream(Decoder, 'decoder', options);
    }

    capture(options) {
        return this.#stream(Capture, 'capture', options);
    }

    playback(options) {
        return this.#stream(Playback, 'playback', options);
    }

    #stream(Class, kind, options) {
        const { instance, pointer } = Handle.open(this, 'model');
        const open = (bag) => instance.word((out) => instance.call(`mimi_${kind}_new`, pointer, bag, out));
        return new Class(instance, kind, withOptions(instance, options, open));
    }

    /** The header of a token file for codes that this model makes. */
    header(options) {
        const { instance, pointer } = Handle.open(this, 'model');
        const { samples, ...others } = options ?? {};
        const fill = (bag) => withHeader(instance, {}, (to) => instance.check('mimi_model_header', pointer, bag, to));
        const header = withOptions(instance, options && others, fill);
        return samples === undefined ? header : { ...header, samples: size('samples', samples) };
    }

    pack(codes, codebooks = this.header().codebooks) {
        return pack(Handle.open(this, 'model').instance, codes, codebooks, this.codeBits);
    }

    unpack(bytes, codebooks = this.header().codebooks) {
        return unpack(Handle.open(this, 'model').instance, bytes, codebooks, this.codeBits);
    }
}

const MODEL = [
    'codebooks',
    'sampleRate',
    'frameSamples',
    'codebookSize',
    'memoryBytes',
    'modelId',
    'codeBits',
    'latentDim',
];
properties(Model, 'model', MODEL);
