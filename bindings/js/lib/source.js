// Where bytes come from: buffers, blobs, addresses, and under Node files.

import { MimiError, Status, found, invalid } from './error.js';
import { bytesOf } from './handle.js';

/** Bytes of what `Model.load` and its option `wasm` take. */
export async function read(name, source) {
    if (typeof source === 'string' || source instanceof URL) return fetched(source);
    if (globalThis.Blob && source instanceof Blob) return new Uint8Array(await source.arrayBuffer());
    if (globalThis.Response && source instanceof Response) return body(source);
    if (ArrayBuffer.isView(source) || Object.prototype.toString.call(source).endsWith('ArrayBuffer]')) {
        return bytesOf(name, source);
    }
    throw invalid(`${name} is ${found(source)}: expected bytes, a Blob, a Response, or an address as string or URL`);
}

/** Node has no fetch of files, and takes their paths. */
async function fetched(source) {
    const address = String(source);
    const node = globalThis.process?.versions?.node !== undefined && globalThis.window === undefined;
    if (node && (address.startsWith('file:') || !/^[a-z][a-z0-9+.-]+:/i.test(address))) {
        const { readFile } = await import('node:fs/promises');
        try {
            return await readFile(address.startsWith('file:') ? new URL(address) : address);
        } catch (error) {
            throw new MimiError(Status.IO, `${address}: ${error.message}`, { cause: error });
        }
    }
    let response;
    try {
        response = await fetch(source);
    } catch (error) {
        throw new MimiError(Status.IO, `${address}: ${error.message}`, { cause: error });
    }
    return body(response);
}

async function body(response) {
    const name = response.url || 'the response';
    if (!response.ok) throw new MimiError(Status.IO, `${name}: HTTP status ${response.status}: expected 200`);
    try {
        return new Uint8Array(await response.arrayBuffer());
    } catch (error) {
        throw new MimiError(Status.IO, `${name}: ${error.message}`, { cause: error });
    }
}

let own;

/** The module of this package, compiled once. */
function ownModule() {
    own ??= read('wasm', new URL('../mimi.wasm', import.meta.url)).then(compiled);
    own.catch(() => (own = undefined)); // or a network that failed once would have failed for ever
    return own;
}

async function compiled(bytes) {
    try {
        return await WebAssembly.compile(bytes);
    } catch (error) {
        throw new MimiError(Status.UNSUPPORTED, `wasm cannot be compiled: ${error.message}`, { cause: error });
    }
}

/** The module that an option `wasm` stands for. */
export async function moduleOf(wasm) {
    if (wasm === undefined) return ownModule();
    return wasm instanceof WebAssembly.Module ? wasm : compiled(await read('wasm', wasm));
}
