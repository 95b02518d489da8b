// Live audio in browsers: audio worklets that capture and play codes. live.d.ts is the manual.

import { MimiError, Status, found, invalid } from './lib/error.js';
import { array, size } from './lib/handle.js';
import { read } from './lib/source.js';

const LOADING = ['codebooks', 'parts', 'precision', 'isa'];

/** Contexts whose worklet module is there, or on its way. */
const added = new WeakMap();

function addWorklet(context, address) {
    if (!added.has(context)) {
        const done = context.audioWorklet.addModule(address ?? new URL('./worklet.js', import.meta.url));
        done.catch(() => added.delete(context));
        added.set(context, done);
    }
    return added.get(context);
}

class Live {
    #asked = new Map();
    #next = 1;
    #closed = false;
    onerror;

    constructor(node) {
        this.node = node;
        node.port.onmessage = ({ data }) => this.heard(data);
        node.onprocessorerror = () => {
            const error = new MimiError(Status.PANIC, 'the audio worklet failed');
            this.#closed = true;
            for (const { reject } of this.#asked.values()) reject(error);
            this.#asked.clear();
            this.onerror?.(error);
        };
    }

    static async open(Class, name, shape, context, source, { wasm, worklet, ...options } = {}) {
        if (!context?.audioWorklet) {
            throw invalid(
                `context is ${found(context)}: expected a BaseAudioContext of a page that is secure (https, localhost)`,
            );
        }
        const [model, code] = await Promise.all([
            read('model', source),
            read('wasm', wasm ?? new URL('./mimi.wasm', import.meta.url)),
            addWorklet(context, worklet),
        ]);
        const live = new Class(new AudioWorkletNode(context, name, shape));
        const given = Object.entries(options);
        const load = Object.fromEntries(given.filter(([key]) => LOADING.includes(key)));
        const stream = Object.fromEntries(given.filter(([key]) => key === 'codebooks' || !LOADING.includes(key)));
        try {
            await live.ask({ does: 'open', wasm: code, model, options: { load, stream } });
        } catch (error) {
            live.close();
            throw error;
        }
        return live;
    }

    async ask(question) {
        if (this.#closed) throw new MimiError(Status.STATE, 'it was closed');
        const id = this.#next++;
        return new Promise((resolve, reject) => {
            this.#asked.set(id, { resolve, reject });
            this.node.port.postMessage({ ...question, id });
        });
    }

    heard({ id, result, failed }) {
        const asked = this.#asked.get(id);
        this.#asked.delete(id);
        const error = failed && new MimiError(failed.status, failed.message);
        if (error && asked) asked.reject(error);
        else if (error) this.onerror?.(error);
        else asked?.resolve(result);
    }

    /** A property of the handle, such as 'latencySamples'. */
    get(name) {
        return this.ask({ does: 'get', name });
    }

    reset() {
        return this.ask({ does: 'reset' });
    }

    async close() {
        if (this.#closed) return;
        this.node.disconnect();
        const closing = this.ask({ does: 'close' });
        this.#closed = true;
        await closing;
        this.node.port.close();
    }
}

class LiveCapture extends Live {
    oncodes;

    heard(data) {
        if (data.codes) this.oncodes?.(data.codes);
        else super.heard(data);
    }
}

class LivePlayback extends Live {
    write(codes) {
        this.node.port.postMessage({ codes: array('codes', codes, Uint32Array) });
    }

    writeLost(frames = 1) {
        this.node.port.postMessage({ lost: size('frames', frames) });
    }
}

const MONO = { channelCount: 1, channelCountMode: 'explicit' };

export function openCapture(context, model, options) {
    const shape = { ...MONO, numberOfInputs: 1, numberOfOutputs: 0 };
    return Live.open(LiveCapture, 'mimi-capture', shape, context, model, { parts: 'encoder', ...options });
}

export function openPlayback(context, model, options) {
    const shape = { numberOfInputs: 0, numberOfOutputs: 1, outputChannelCount: [1] };
    return Live.open(LivePlayback, 'mimi-playback', shape, context, model, { parts: 'decoder', ...options });
}
