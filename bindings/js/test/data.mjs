// Audio, golden codes and models of the project's tests.
import { readFileSync } from 'node:fs';

const root = new URL('../../../', import.meta.url);
const golden = new URL('tests/data/golden/', root);

export const demo = readFileSync(new URL('tool/demo/model.safetensors', root));

/** A checkpoint of the golden vectors with its config inside, as `mimi convert` writes it. */
export function checkpoint(name) {
    const file = readFileSync(new URL(`${name}/model.safetensors`, golden));
    const length = Number(file.readBigUInt64LE(0));
    const header = JSON.parse(file.toString('utf8', 8, 8 + length));
    const config = readFileSync(new URL(`${name}/config.json`, golden), 'utf8');
    header.__metadata__ = { ...header.__metadata__, config };
    let text = JSON.stringify(header);
    text += ' '.repeat(-Buffer.byteLength(text) & 7);
    const front = Buffer.alloc(8);
    front.writeBigUInt64LE(BigInt(Buffer.byteLength(text)));
    return Buffer.concat([front, Buffer.from(text), file.subarray(8 + length)]);
}

/** The samples of a mono WAV of 16 bits. */
export function wav(name) {
    const file = readFileSync(new URL(name, golden));
    const at = file.indexOf('data') + 8;
    return Float32Array.from({ length: (file.length - at) >> 1 }, (_, i) => file.readInt16LE(at + 2 * i) / 32768);
}

/** The numbers of an array of NumPy, and its shape. */
export function npy(name) {
    const file = readFileSync(new URL(name, golden));
    const start = 10 + file.readUInt16LE(8);
    const header = file.toString('latin1', 10, start);
    const shape = header
        .match(/'shape': \(([^)]*)\)/)[1]
        .split(',')
        .filter((n) => n.trim())
        .map(Number);
    const length = shape.reduce((a, b) => a * b, 1);
    const read = { '<i2': ['readInt16LE', 2], '<f4': ['readFloatLE', 4] }[header.match(/'descr': '([^']+)'/)[1]];
    return { shape, values: Array.from({ length }, (_, i) => file[read[0]](start + read[1] * i)) };
}

/** Golden codes, [codebooks, frames], as the library has them: frame after frame. */
export function goldenCodes(name) {
    const {
        shape: [codebooks, frames],
        values,
    } = npy(name);
    const codes = new Uint32Array(codebooks * frames);
    for (let f = 0; f < frames; f++) {
        for (let k = 0; k < codebooks; k++) codes[f * codebooks + k] = values[k * frames + f];
    }
    return codes;
}

export const speech = wav('speech.wav');

/** Pieces of an array, cut at lengths that `next` gives. */
export function* pieces(array, next) {
    for (let at = 0; at < array.length; ) {
        const length = Math.min(next(), array.length - at);
        yield array.slice(at, at + length);
        at += length;
    }
}

export function joined(Type, parts) {
    const whole = new Type(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
        whole.set(part, at);
        at += part.length;
    }
    return whole;
}

/** Lengths that look random, the same in every run. */
export function random(seed, most) {
    let x = seed;
    return () => {
        x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
        return 1 + ((x >>> 8) % most);
    };
}
