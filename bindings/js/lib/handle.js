// What all handles of the library share: a pointer that is freed once, by `free`, `using` or the garbage collector.

import { MimiError, Status, found, invalid } from './error.js';

const registry = new FinalizationRegistry(({ instance, free, pointer }) => instance.drop(free, pointer));

export class Handle {
    #instance;
    #pointer;
    #kind;

    /** `kind` is its name in mimi.h: 'encoder' for mimi_encoder. */
    constructor(instance, kind, pointer) {
        this.#instance = instance;
        this.#kind = kind;
        this.#pointer = pointer;
        registry.register(this, { instance, free: freeOf(kind), pointer }, this);
    }

    /** Its instance and pointer, for a call. */
    static open(handle, kind) {
        if (!(handle instanceof Handle) || handle.#kind !== kind) {
            throw invalid(`this is ${found(handle)}: expected a ${kind} of libmimi`);
        }
        if (handle.#pointer === 0) throw new MimiError(Status.STATE, `the ${kind} was freed`);
        return { instance: handle.#instance, pointer: handle.#pointer };
    }

    get freed() {
        return this.#pointer === 0;
    }

    free() {
        if (this.#pointer === 0) return;
        registry.unregister(this);
        const pointer = this.#pointer;
        this.#pointer = 0;
        this.#instance.drop(freeOf(this.#kind), pointer);
    }
}

function freeOf(kind) {
    return kind === 'model' ? 'mimi_free' : `mimi_${kind}_free`;
}

// `using` of the language, where the host has it
if (Symbol.dispose) {
    Object.defineProperty(Handle.prototype, Symbol.dispose, {
        value() {
            this.free();
        },
    });
}

/** An array of numbers of this type, with a buffer that is still there. */
export function array(name, value, Type) {
    if (!(value instanceof Type)) {
        throw invalid(`${name} is ${found(value)}: expected a ${Type.name}`);
    }
    // a view of a buffer that went elsewhere looks like an empty one
    if (value.length === 0) attached(name, value.buffer);
    return value;
}

function attached(name, buffer) {
    try {
        new Uint8Array(buffer);
    } catch {
        throw invalid(`the buffer of ${name} is detached: expected one that was not transferred`);
    }
}

/** The bytes of a buffer or of a view. */
export function bytesOf(name, value) {
    if (ArrayBuffer.isView(value)) {
        if (value.byteLength === 0) attached(name, value.buffer);
        return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    }
    if (value instanceof ArrayBuffer || (globalThis.SharedArrayBuffer && value instanceof SharedArrayBuffer)) {
        attached(name, value);
        return new Uint8Array(value);
    }
    throw invalid(`${name} is ${found(value)}: expected an ArrayBuffer or a view of one`);
}

/** A length or a count that fits the library's address space. */
export function size(name, value) {
    if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
        throw invalid(`${name} is ${found(value)}: expected a whole number from 0 to 4294967295`);
    }
    return value;
}
