/** A model in a worker of its own, so that long calls leave the page alone. For browsers. */
import type { Bytes, Decoder, Encoder, LoadOptions, Model, Source, StreamOptions, TokenHeader } from './mimi.js';

/** The methods of a handle, which answer later. */
type Later<Handle, Names extends keyof Handle> = {
    [Name in Names]: Handle[Name] extends (...args: infer Args) => infer Result
        ? (...args: Args) => Promise<Result>
        : never;
};

interface Remote {
    free(): Promise<void>;
}

export interface RemoteModel
    extends Remote,
        Later<Model, 'encode' | 'decode' | 'encodeLatents' | 'decodeLatents' | 'quantize' | 'dequantize' | 'header'> {
    pack(codes: Uint32Array, codebooks?: number): Promise<Uint8Array>;
    unpack(bytes: Bytes, codebooks?: number): Promise<Uint32Array>;
    encoder(options?: StreamOptions): Promise<RemoteEncoder>;
    decoder(options?: StreamOptions): Promise<RemoteDecoder>;
    get<Name extends keyof Model>(name: Name): Promise<Model[Name]>;
}

export interface RemoteEncoder
    extends Remote,
        Later<Encoder, 'process' | 'processLatents' | 'flush' | 'flushLatents' | 'reset'> {
    clone(): Promise<RemoteEncoder>;
    get<Name extends keyof Encoder>(name: Name): Promise<Encoder[Name]>;
}

export interface RemoteDecoder
    extends Remote,
        Later<Decoder, 'process' | 'processLatents' | 'processLost' | 'flush' | 'reset'> {
    clone(): Promise<RemoteDecoder>;
    get<Name extends keyof Decoder>(name: Name): Promise<Decoder[Name]>;
}

/** Loads a model in a worker. The worker ends when the model is freed, and its streams with it. */
export function loadInWorker(source: Exclude<Source, Response>, options?: LoadOptions): Promise<RemoteModel>;
