// A model in a worker, so that long calls leave a page alone. worker.d.ts is the manual. The worker runs this file too.

import { MimiError, Status } from './lib/error.js';
import { Decoder, Encoder, Model } from './mimi.js';

const NAME = 'libmimi';
const inWorker = typeof WorkerGlobalScope !== 'undefined' && globalThis instanceof WorkerGlobalScope;

/** What may be called from outside, by the kind of handle. */
const CALLS = {
    model: [
        'encode',
        'decode',
        'encodeLatents',
        'decodeLatents',
        'quantize',
        'dequantize',
        'header',
        'pack',
        'unpack',
        'encoder',
        'decoder',
    ],
    encoder: ['process', 'processLatents', 'flush', 'flushLatents', 'reset', 'clone'],
    decoder: ['process', 'processLatents', 'processLost', 'flush', 'reset', 'clone'],
};

/** A handle that lives in a worker. Its methods are those of its class, and return promises. */
class Remote {
    #ask;
    #id;

    constructor(ask, { kind, id }) {
        this.#ask = ask;
        this.#id = id;
        for (const does of CALLS[kind]) this[does] = (...args) => this.#call(does, args);
    }

    async #call(does, args) {
        const result = await this.#ask({ to: this.#id, does, args });
        return result?.handle ? new Remote(this.#ask, result.handle) : result?.value;
    }

    /** A property, such as 'sampleRate'. */
    get(name) {
        return this.#call('get', [name]);
    }

    async free() {
        await this.#ask({ to: this.#id, does: 'free', args: [] });
    }
}

/** Loads a model in a worker of its own, which ends when the model is freed. */
export async function loadInWorker(source, options) {
    if (typeof Worker === 'undefined') {
        throw new MimiError(Status.UNSUPPORTED, 'there are no workers here: use Model.load');
    }
    const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: NAME });
    const asked = new Map();
    let next = 1;
    let over; // why nothing can be asked any more
    const ask = async (question) => {
        if (over) throw over;
        return new Promise((resolve, reject) => {
            asked.set(next, { resolve, reject });
            worker.postMessage({ ...question, id: next++ });
        });
    };
    const end = (error) => {
        over = error;
        worker.terminate();
        for (const { reject } of asked.values()) reject(error);
        asked.clear();
    };
    worker.onmessage = ({ data: { id, failed, ...result } }) => {
        const { resolve, reject } = asked.get(id);
        asked.delete(id);
        if (failed) reject(new MimiError(failed.status, failed.message));
        else resolve(result);
        if (result.ended) end(new MimiError(Status.STATE, 'the model was freed'));
    };
    worker.onerror = ({ message }) =>
        end(new MimiError(Status.IO, `the worker failed: ${message || 'no reason given'}`));
    try {
        // an address is one of the page, not of the worker's file
        const base = globalThis.document?.baseURI ?? location.href;
        const from = typeof source === 'string' || source instanceof URL ? new URL(source, base).href : source;
        const { handle } = await ask({ to: 0, does: 'load', args: [from, options] });
        return new Remote(ask, handle);
    } catch (error) {
        end(error);
        throw error;
    }
}

/** The worker's side: handles by number; 1 is the model. */
function serve() {
    const handles = new Map();
    let last = 0;
    const kindOf = (value) =>
        value instanceof Model ? 'model' : value instanceof Encoder ? 'encoder' : value instanceof Decoder && 'decoder';
    const keep = (handle) => {
        handles.set(++last, handle);
        return { handle: { kind: kindOf(handle), id: last } };
    };
    const answer = async ({ to, does, args }) => {
        if (does === 'load') return keep(await Model.load(...args));
        const handle = handles.get(to);
        if (does === 'free') {
            handle?.free();
            handles.delete(to);
            return { ended: to === 1 };
        }
        if (!handle) throw new MimiError(Status.STATE, 'it was freed');
        if (does === 'get') return { value: handle[args[0]] };
        const result = handle[does](...args);
        return kindOf(result) ? keep(result) : { value: result };
    };
    self.onmessage = async ({ data }) => {
        try {
            const result = await answer(data);
            const { buffer } = result.value ?? {};
            self.postMessage({ id: data.id, ...result }, buffer instanceof ArrayBuffer ? [buffer] : []);
        } catch (error) {
            const status = error instanceof MimiError ? error.status : Status.PANIC;
            self.postMessage({ id: data.id, failed: { status, message: String(error.message) } });
        }
    };
}

if (inWorker && self.name === NAME) serve();
