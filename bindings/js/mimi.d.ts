/// <reference lib="esnext.disposable" />

/**
 * libmimi for JavaScript: the Mimi neural audio codec, in browsers and in Node 20 or later.
 *
 * ```js
 * import { Model } from 'libmimi';
 * const model = await Model.load('model.safetensors');
 * const codes = model.encode(pcm);    // Float32Array, mono, 24 kHz: to codes, 12.5 frames a second
 * const audio = model.decode(codes);
 * ```
 *
 * What a call means in full is said in `mimi.h`, whose names these follow. All calls on a model and its streams work on
 * the caller's thread; the results are copies. A failure is a {@link MimiError}, after which everything is as before.
 */

/** Bytes that stay the caller's. */
export type Bytes = ArrayBufferLike | ArrayBufferView;

/** Where a file comes from: an address, which `fetch` gets, bytes, or what has bytes. Node takes paths, too. */
export type Source = string | URL | Bytes | Blob | Response;

/** How weights are kept: as in the checkpoint, or rounded to 16 or 8 bits, which takes less memory and time. */
export type Precision = 'f32' | 'bf16' | 'int8' | 'int16';

/** The half of a model that is loaded. */
export type Parts = 'both' | 'encoder' | 'decoder';

export interface LoadOptions {
    /** Codebooks to keep; default all. */
    codebooks?: number;
    /** Default 'f32'. */
    precision?: Precision;
    /** Default 'both'. Half a model takes half the memory. */
    parts?: Parts;
    /** The instruction set; default the module's own. */
    isa?: 'auto' | 'baseline' | 'avx2' | 'avx512' | 'neon' | 'simd128';
}

export interface StreamOptions {
    /** Codes in a frame; default 8, or as many as the model has. */
    codebooks?: number;
    /** The sample rate of your audio; default the model's. With the published model a multiple of 25 Hz. */
    sampleRate?: number;
    /** Samples worked on at once. */
    maxBlock?: number;
    /** How a last partial frame is completed: zeros behind the audio (default), or padding in each layer. */
    tail?: 'audio-pad' | 'layer-pad';
    /** How far attention looks back, in steps. Other than the default, codes are not everybody else's. */
    context?: number;
    /** There are no threads in WebAssembly: 1. */
    threads?: number;
}

export interface LiveOptions extends StreamOptions {
    /** Who does the work: the audio calls in equal shares (default), or calls of `work`. */
    work?: 'spread' | 'other';
    /** Audio is not in real time: nothing is concealed or late. */
    offline?: boolean;
    /** Playbacks: frames that wait before it starts, 1 to 64; default 2. */
    bufferFrames?: number;
}

/** Status codes of `mimi.h`, without `MIMI_ERR_`. */
export const Status: {
    readonly NULL_POINTER: -1;
    readonly INVALID_ARGUMENT: -2;
    readonly BUFFER_TOO_SMALL: -3;
    readonly IO: -4;
    readonly FORMAT: -5;
    readonly CORRUPT: -6;
    readonly UNSUPPORTED: -7;
    readonly OUT_OF_MEMORY: -8;
    readonly ABORTED: -9;
    readonly STATE: -10;
    readonly PANIC: -11;
};

/** A failure: the status, and the file, tensor, option or argument, what was found and what was expected. */
export class MimiError extends Error {
    constructor(status: number, message: string, options?: ErrorOptions);
    readonly status: number;
    /** The name of the status: 'MIMI_ERR_CORRUPT'. */
    readonly code: string;
}

/** A code that did not arrive, in the input of decoders and playbacks. */
export const NO_CODE: 0xffffffff;

/** What models, streams and live handles share. */
interface Handle {
    /** Frees it. Later calls do nothing, other methods then fail. `using` and the garbage collector free it, too. */
    free(): void;
    readonly freed: boolean;
    /** For `using`, where the host has Symbol.dispose. */
    [Symbol.dispose](): void;
}

/** The numbers of a stream. */
interface Stream extends Handle {
    /** Codes in a frame. */
    readonly codebooks: number;
    readonly sampleRate: number;
    readonly frameSamples: number;
    /** Samples by which a host delays the dry signal: see MIMI_PROP_LATENCY_SAMPLES. */
    readonly latencySamples: number;
    /** Frames so far. */
    readonly frames: number;
    /** A hash of their codes: both ends agree if every code arrived, in order. */
    readonly codesHash: bigint;
    readonly memoryBytes: number;
    /** Forgets everything: the stream is as new. */
    reset(): void;
}

/** A loaded model, in a WebAssembly instance of its own. Its memory is gone when it and its streams are. */
export class Model implements Handle {
    private constructor();

    /** Loads a model: one `model.safetensors`, as published or written by `mimi convert`. */
    static load(source: Source, options?: LoadOptions & { wasm?: Source | WebAssembly.Module }): Promise<Model>;

    /** Loads a model at once, where nothing can be awaited, such as in an audio worklet. */
    static loadSync(bytes: Bytes, options: LoadOptions & { wasm: WebAssembly.Module }): Model;

    readonly sampleRate: number;
    readonly frameSamples: number;
    readonly codebooks: number;
    readonly codebookSize: number;
    readonly codeBits: number;
    readonly latentDim: number;
    /** A model can decode the codes of another only if these are equal. */
    readonly modelId: bigint;
    /** The bytes of its weights. */
    readonly memoryBytes: number;
    /** The bytes of the instance: weights, streams, and room that is free. */
    readonly moduleBytes: number;
    readonly precision: Precision;
    readonly parts: Parts;
    readonly isa: string;
    /** The library's version and kernels, for logs. */
    readonly version: string;

    /** Mono audio, full scale ±1, to codes: frame after frame. */
    encode(pcm: Float32Array, options?: StreamOptions): Uint32Array;
    /** Whole frames of codes to audio; the last frame may reach beyond what was encoded. */
    decode(codes: Uint32Array, options?: StreamOptions): Float32Array;
    encodeLatents(pcm: Float32Array, options?: StreamOptions): Float32Array;
    decodeLatents(latents: Float32Array, options?: StreamOptions): Float32Array;
    quantize(latents: Float32Array, options?: StreamOptions): Uint32Array;
    dequantize(codes: Uint32Array, options?: StreamOptions): Float32Array;

    /** The lengths of results. */
    codesFor(samples: number, options?: StreamOptions): number;
    samplesFor(codes: number, options?: StreamOptions): number;
    latentsFor(samples: number, options?: StreamOptions): number;

    /** Streams: one for each speaker. They keep the weights, also after the model was freed. */
    encoder(options?: StreamOptions): Encoder;
    decoder(options?: StreamOptions): Decoder;
    /** Live handles, for audio callbacks. In browsers `libmimi/live` opens them in an audio worklet. */
    capture(options?: LiveOptions): Capture;
    playback(options?: LiveOptions): Playback;

    /** The header of a token file for codes made with these options. */
    header(options?: StreamOptions & { samples?: number }): Required<TokenHeader>;
    /** Codes to packets without a header, and back; `codebooks` in a frame, by default as many as streams have. */
    pack(codes: Uint32Array, codebooks?: number): Uint8Array;
    unpack(bytes: Bytes, codebooks?: number): Uint32Array;

    free(): void;
    readonly freed: boolean;
    [Symbol.dispose](): void;
}

/** Audio to codes, in any pieces. */
export class Encoder {
    private constructor();
    /** Takes all samples; returns the codes of the frames that they complete. */
    process(pcm: Float32Array): Uint32Array;
    processLatents(pcm: Float32Array): Float32Array;
    /** Ends the stream: the codes of a last, padded frame, if audio is pending. */
    flush(): Uint32Array;
    flushLatents(): Float32Array;
    /** What these would return now. */
    readonly flushLength: number;
    readonly flushLatentsLength: number;
    readonly latentDim: number;
    /** A copy that stands at the same point and goes its own way. */
    clone(): Encoder;
}
export interface Encoder extends Stream {}

/** Codes to audio, in any number of whole frames. */
export class Decoder {
    private constructor();
    /** Takes all frames; {@link NO_CODE} stands for a code that did not arrive. */
    process(codes: Uint32Array): Float32Array;
    processLatents(latents: Float32Array): Float32Array;
    /** Conceals frames that did not arrive. */
    processLost(frames?: number): Float32Array;
    /** Ends the stream: the audio that is still due, at a rate other than the model's. */
    flush(): Float32Array;
    readonly flushLength: number;
    readonly latentDim: number;
    readonly concealed: number;
    /** Where the last code stood that was out of range, and its value; -1 for none. */
    readonly badCodeIndex: number;
    readonly badCodeValue: number;
    clone(): Decoder;
}
export interface Decoder extends Stream {}

/** Live audio to codes: each call does its share of a frame's work. */
export class Capture {
    private constructor();
    /** Takes any number of samples. */
    write(pcm: Float32Array): void;
    /** The codes of the frames that are ready, often none. */
    read(): Uint32Array;
    /** With `work: 'other'`: encodes the frames that are complete. */
    work(): void;
    readonly dropped: number;
}
export interface Capture extends Stream {}

/** Live codes to audio at a constant delay: each call does its share of a frame's work. */
export class Playback {
    private constructor();
    /** Takes whole frames in the order in which they are to be heard. */
    write(codes: Uint32Array): void;
    writeLost(frames?: number): void;
    /** Fills `pcm` with the next samples, and returns it. */
    read(pcm: Float32Array): Float32Array;
    /** With `work: 'other'`: decodes the frames that are due. */
    work(): void;
    readonly concealed: number;
    readonly lost: number;
    readonly waiting: number;
    readonly late: number;
    readonly missed: number;
    readonly dropped: number;
}
export interface Playback extends Stream {}

/** The header of a token file: mimi_token_header. What is missing is 0: unknown. */
export interface TokenHeader {
    sampleRate: number;
    frameSamples: number;
    /** The length of the recording. */
    samples?: number;
    codebooks: number;
    codeBits: number;
    modelId?: bigint;
    /** Where the first frame begins; writers ignore it. */
    headerBytes?: number;
    originalRate?: number;
    originalSamples?: number;
}

/** Reads a `.mtok` file. One that breaks off is read up to there. */
export function readTokens(bytes: Bytes): Promise<{ header: Required<TokenHeader>; codes: Uint32Array }>;
/** Writes a `.mtok` file. */
export function writeTokens(header: TokenHeader, codes: Uint32Array): Promise<Uint8Array>;
/** The length of a recording at a decoder's rate, 0 for unknown. */
export function samplesAt(header: TokenHeader, sampleRate: number): Promise<number>;
