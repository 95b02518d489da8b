/**
 * Live audio in browsers, in an audio worklet, which has a copy of the model of its own. For pages that are secure
 * (https, localhost), as browsers ask for worklets.
 */
import type { LiveOptions, LoadOptions, MimiError, Source } from './mimi.js';

export type Options = Omit<LoadOptions, 'parts'> &
    Omit<LiveOptions, 'work'> & {
        /** The module, if it is not beside this package's files. */
        wasm?: Source;
        /** The address of `worklet.js`, with the files that it imports beside it, likewise. */
        worklet?: string | URL;
    };

interface Live {
    readonly node: AudioWorkletNode;
    /** Called with an error of the audio thread: codes that were refused, or what stopped it. */
    onerror?: (error: MimiError) => void;
    /** A property of the capture or playback in the worklet. */
    get(
        name: 'latencySamples' | 'sampleRate' | 'frameSamples' | 'codebooks' | 'frames' | 'memoryBytes' | 'dropped',
    ): Promise<number>;
    get(name: 'codesHash'): Promise<bigint>;
    /** Forgets everything. */
    reset(): Promise<void>;
    /** Disconnects the node and frees what it has. */
    close(): Promise<void>;
}

export interface LiveCapture extends Live {
    /** Called with the codes of a frame or of several. */
    oncodes?: (codes: Uint32Array) => void;
}

export interface LivePlayback extends Live {
    get(
        name: 'latencySamples' | 'sampleRate' | 'frameSamples' | 'codebooks' | 'frames' | 'memoryBytes' | 'dropped',
    ): Promise<number>;
    get(name: 'concealed' | 'lost' | 'waiting' | 'late'): Promise<number>;
    get(name: 'codesHash'): Promise<bigint>;
    /** Gives it whole frames of codes, in the order in which they are to be heard. */
    write(codes: Uint32Array): void;
    writeLost(frames?: number): void;
}

/** Opens a node with one input, at the rate of the context, whose audio becomes codes. */
export function openCapture(context: BaseAudioContext, model: Source, options?: Options): Promise<LiveCapture>;

/** Opens a node with one output, at the rate of the context, that plays codes. */
export function openPlayback(context: BaseAudioContext, model: Source, options?: Options): Promise<LivePlayback>;
