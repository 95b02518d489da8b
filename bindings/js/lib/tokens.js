// Token files: .mtok, as mimi_pack_header() describes them.

import { Status, found, invalid, MimiError } from './error.js';
import { array, bytesOf, size } from './handle.js';
import { Instance } from './instance.js';
import { moduleOf } from './source.js';

/** The members of mimi_token_header behind its size, in their order. */
const MEMBERS = [
    'sampleRate',
    'frameSamples',
    'samples',
    'codebooks',
    'codeBits',
    'modelId',
    'headerBytes',
    'originalRate',
    'originalSamples',
];

/** Bytes of the struct: a size, filled up to eight bytes, and nine numbers. */
const STRUCT = 8 * (1 + MEMBERS.length);

function member(name, value) {
    if (value === undefined) return 0n;
    if (name === 'modelId') {
        if (typeof value === 'bigint' && BigInt.asIntN(64, value) === value) return value;
        throw invalid(`modelId is ${found(value)}: expected a bigint below 2n ** 63n`);
    }
    if (!Number.isSafeInteger(value)) throw invalid(`${name} is ${found(value)}: expected a whole number`);
    return BigInt(value);
}

/** Runs `body` with a struct of this header; returns the header that it then is. */
export function withHeader(instance, header, body) {
    if (typeof header !== 'object' || header === null) throw invalid(`header is ${found(header)}: expected an object`);
    const numbers = [BigInt(STRUCT), ...MEMBERS.map((name) => member(name, header[name]))];
    const [, ...after] = instance.struct(numbers, body);
    const entries = MEMBERS.map((name, i) => [name, name === 'modelId' ? after[i] : Number(after[i])]);
    return Object.fromEntries(entries);
}

/** Frames as bytes. */
export function pack(instance, codes, codebooks, codeBits) {
    array('codes', codes, Uint32Array);
    const [books, bits] = [BigInt(size('codebooks', codebooks)), BigInt(size('codeBits', codeBits))];
    const call = (from, to, cap, count) => instance.call('mimi_pack', from, codes.length, books, bits, to, cap, count);
    const fail = (status) => {
        const what = `${codes.length} codes in frames of ${codebooks} of ${codeBits} bits`;
        return new MimiError(status, `pack: ${instance.meaning(status)}: ${what}`);
    };
    return instance.convert(codes, Uint8Array, null, call, fail);
}

/** Codes of such bytes. */
export function unpack(instance, bytes, codebooks, codeBits) {
    const from = bytesOf('bytes', bytes);
    const [books, bits] = [BigInt(size('codebooks', codebooks)), BigInt(size('codeBits', codeBits))];
    const call = (at, to, cap, count) => instance.call('mimi_unpack', at, from.length, books, bits, to, cap, count);
    const fail = (status) => {
        const what = `${from.length} bytes in frames of ${codebooks} codes of ${codeBits} bits`;
        return new MimiError(status, `unpack: ${instance.meaning(status)}: ${what}`);
    };
    return instance.convert(from, Uint32Array, null, call, fail);
}

let shared;

/** An instance without a model. */
async function bare() {
    const module = await moduleOf();
    return (shared ??= new Instance(module));
}

function headerOf(instance, from) {
    const input = from.subarray(0, 0xffff); // its length is a number of 16 bits
    let header;
    instance.pass(input, false, (at) => {
        header = withHeader(instance, {}, (to) => instance.check('mimi_unpack_header', at, input.length, to));
        return 0;
    });
    return header;
}

export async function readTokens(bytes) {
    const from = bytesOf('bytes', bytes);
    const instance = await bare();
    const header = headerOf(instance, from);
    const frame = Math.ceil((header.codebooks * header.codeBits) / 8);
    const whole = Math.floor((from.length - header.headerBytes) / frame);
    const frames = from.subarray(header.headerBytes, header.headerBytes + whole * frame);
    return { header, codes: unpack(instance, frames, header.codebooks, header.codeBits) };
}

export async function writeTokens(header, codes) {
    array('codes', codes, Uint32Array);
    const instance = await bare();
    let front;
    const { codebooks, codeBits } = withHeader(instance, header, (from) => {
        const call = (_, to, cap, count) => instance.call('mimi_pack_header', from, to, cap, count);
        front = instance.convert(null, Uint8Array, null, call);
    });
    const frames = pack(instance, codes, codebooks, codeBits);
    const file = new Uint8Array(front.length + frames.length);
    file.set(front);
    file.set(frames, front.length);
    return file;
}

export async function samplesAt(header, sampleRate) {
    if (!Number.isSafeInteger(sampleRate)) throw invalid(`sampleRate is ${found(sampleRate)}: expected a whole number`);
    const instance = await bare();
    let samples;
    withHeader(instance, header, (at) => {
        samples = instance.number((out) => instance.call('mimi_header_samples', at, BigInt(sampleRate), out));
    });
    return Number(samples);
}
