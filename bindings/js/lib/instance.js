// An instance of the WebAssembly module: calls, its memory, and copies in and out. Every model has its own, so that a
// model's memory goes when the model goes, and a bug that stops one leaves the others alone.

import { MimiError, Status, found, invalid } from './error.js';

/** The bytes that are kept for copies between calls. Copies that need more get memory for the call alone. */
const STAGING = 1 << 20;

/** The address space of the library, which counts in numbers with a sign. */
const MOST = 0x7fffffff;

/** Where the copies begin, behind the place for a count. */
const FRONT = 16;

const aligned = (bytes) => Math.ceil(bytes / 16) * 16;

/**
 * A module of which a function of JavaScript can become a function of WebAssembly, as tables want them:
 * (import "m" "f" (func (param i32 i64 i32 i32) (result i32))) (export "f" (func 0))
 */
const READER = Uint8Array.of(
    0,
    0x61,
    0x73,
    0x6d,
    1,
    0,
    0,
    0,
    1,
    9,
    1,
    0x60,
    4,
    0x7f,
    0x7e,
    0x7f,
    0x7f,
    1,
    0x7f,
    2,
    7,
    1,
    1,
    0x6d,
    1,
    0x66,
    0,
    0,
    7,
    5,
    1,
    1,
    0x66,
    0,
    0,
);

export class Instance {
    #exports;
    #stopped = false;
    #staging = 0;
    // views of the memory, made anew when it has grown
    #bytes = new Uint8Array(0);
    #words;
    #numbers;

    constructor(module) {
        if (!(module instanceof WebAssembly.Module)) {
            throw invalid(`wasm is ${found(module)}: expected a WebAssembly.Module`);
        }
        this.#exports = new WebAssembly.Instance(module, {}).exports;
        const version = this.#exports.mimi_version_number?.();
        if (typeof version !== 'number' || Math.floor(version / 100) !== 1) {
            throw new MimiError(
                Status.UNSUPPORTED,
                `libmimi's version is ${version}: expected 0.1, as of this package`,
            );
        }
    }

    /** Calls a function of the library. A trap is a bug in it, after which nothing in the instance can be trusted. */
    call(name, ...args) {
        if (this.#stopped) throw new MimiError(Status.STATE, 'libmimi was stopped by a bug: load the model again');
        try {
            return this.#exports[name](...args);
        } catch (error) {
            this.#stopped = true;
            throw new MimiError(Status.PANIC, `bug in libmimi: ${name}: ${error.message}`, { cause: error });
        }
    }

    /** Calls a function whose status must be success. */
    check(name, ...args) {
        const status = this.call(name, ...args);
        if (status !== 0) throw this.failure(status);
    }

    /** The failure of a function that is not real-time. */
    failure(status) {
        return new MimiError(status, this.#text(this.call('mimi_last_error')));
    }

    /** What a status means. */
    meaning(status) {
        return this.#text(this.call('mimi_status_string', status));
    }

    version() {
        return this.#text(this.call('mimi_version_string'));
    }

    /** The bytes of its memory, which never become fewer. */
    get memoryBytes() {
        return this.#exports.memory.buffer.byteLength;
    }

    /** Frees what a pointer stands for. Finalizers and `free` must not fail: a bug is told by the next call. */
    drop(name, pointer) {
        if (this.#stopped) return;
        try {
            this.#exports[name](pointer);
        } catch {
            this.#stopped = true;
        }
    }

    /** Views of the memory as it is now. */
    #refresh() {
        const { buffer } = this.#exports.memory;
        if (this.#bytes.buffer !== buffer) {
            this.#bytes = new Uint8Array(buffer);
            this.#words = new Uint32Array(buffer);
            this.#numbers = new BigInt64Array(buffer);
        }
    }

    /** A string of the library. Audio worklets have no TextDecoder. */
    #text(pointer) {
        this.#refresh();
        const start = pointer >>> 0;
        const text = this.#bytes.subarray(start, this.#bytes.indexOf(0, start));
        const escaped = Array.from(text, (byte) => `%${byte.toString(16).padStart(2, '0')}`);
        return decodeURIComponent(escaped.join(''));
    }

    #alloc(bytes) {
        const pointer = bytes <= MOST ? this.call('mimi_wasm_alloc', bytes) >>> 0 : 0;
        if (pointer === 0) throw new MimiError(Status.OUT_OF_MEMORY, `out of memory: ${bytes} bytes for a call`);
        return pointer;
    }

    /** Runs `body` with the address of so many bytes. */
    #staged(bytes, body) {
        if (bytes <= STAGING) {
            this.#staging ||= this.#alloc(STAGING);
            return body(this.#staging);
        }
        const pointer = this.#alloc(bytes);
        try {
            return body(pointer);
        } finally {
            if (!this.#stopped) this.call('mimi_wasm_free', pointer, bytes);
        }
    }

    #copyIn(input, at) {
        this.#refresh();
        this.#bytes.set(new Uint8Array(input.buffer, input.byteOffset, input.byteLength), at);
    }

    /**
     * Calls a function with a copy of `input`, an array of numbers or null, and room for `room` elements of the type
     * `Output`; if that is null, for as many as the function says. `call(input, output, room, count)` gets addresses
     * and returns a status; `fail(status)` makes its error. Returns the elements that were written.
     */
    convert(input, Output, room, call, fail = (status) => this.failure(status)) {
        const output = FRONT + aligned(input?.byteLength ?? 0);
        const written = this.#staged(output + (room ?? 0) * Output.BYTES_PER_ELEMENT, (front) => {
            if (input) this.#copyIn(input, front + FRONT);
            const status = call(front + FRONT, front + output, room ?? 0, front);
            this.#refresh();
            const count = this.#words[front / 4];
            if (status === Status.BUFFER_TOO_SMALL && room === null) return count;
            if (status !== 0) throw fail(status);
            return new Output(this.#exports.memory.buffer, front + output, count).slice();
        });
        return typeof written === 'number' ? this.convert(input, Output, written, call, fail) : written;
    }

    /** Calls a function with a copy of `input`, and copies it back if `back` is true. */
    pass(input, back, call, fail) {
        this.#staged(FRONT + input.byteLength, (front) => {
            if (!back) this.#copyIn(input, front + FRONT);
            const status = call(front + FRONT);
            if (status !== 0) throw fail(status);
            if (!back) return;
            this.#refresh();
            const result = this.#bytes.subarray(front + FRONT, front + FRONT + input.byteLength);
            new Uint8Array(input.buffer, input.byteOffset, input.byteLength).set(result);
        });
    }

    /** What `read(place)` gives of that to which `call(place)` wrote. */
    #out(call, fail, read) {
        return this.#staged(FRONT, (front) => {
            const status = call(front);
            if (status !== 0) throw fail(status);
            this.#refresh();
            return read(front);
        });
    }

    /** The pointer or the size that `call(place)` writes; `fail` as above. */
    word(call, fail = (status) => this.failure(status)) {
        return this.#out(call, fail, (place) => this.#words[place / 4]);
    }

    /** The number of 64 bits that `call(place)` writes. */
    number(call, fail = (status) => this.failure(status)) {
        return this.#out(call, fail, (place) => this.#numbers[place / 8]);
    }

    /** Runs `body(address)` on numbers of 64 bits in the library's memory; returns them as they are afterwards. */
    struct(numbers, body) {
        const bytes = numbers.length * 8;
        const pointer = this.#alloc(bytes);
        try {
            this.#refresh();
            numbers.forEach((number, index) => (this.#numbers[pointer / 8 + index] = number));
            body(pointer);
            this.#refresh();
            return Array.from(this.#numbers.subarray(pointer / 8, pointer / 8 + numbers.length));
        } finally {
            if (!this.#stopped) this.call('mimi_wasm_free', pointer, bytes);
        }
    }

    /** Loads a model from bytes that stay where they are: the library reads what it needs, and copies no more. */
    load(bytes, options) {
        const read = (user, offset, to, length) => {
            this.#refresh();
            const from = Number(offset);
            this.#bytes.set(bytes.subarray(from, from + (length >>> 0)), to >>> 0);
            return 0;
        };
        const reader = new WebAssembly.Instance(new WebAssembly.Module(READER), { m: { f: read } });
        const table = this.#exports.__indirect_function_table;
        const index = table.grow(1);
        table.set(index, reader.exports.f);
        try {
            return this.word((out) => this.call('mimi_load_reader', index, 0, BigInt(bytes.byteLength), options, out));
        } finally {
            table.set(index, null);
        }
    }
}
