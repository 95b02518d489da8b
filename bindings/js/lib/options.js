// Options by name, and the library's bags of numbers.

import { MimiError, Status, found, invalid } from './error.js';

const choice = (key, ...names) => ({ key, names });
const number = (key) => ({ key });

/** Keys of mimi.h; choices in the order of their numbers. */
const KEYS = {
    codebooks: number(1),
    sampleRate: number(2),
    maxBlock: number(3),
    precision: choice(4, 'f32', 'bf16', 'int8', 'int16'),
    parts: choice(5, 'both', 'encoder', 'decoder'),
    tail: choice(6, 'audio-pad', 'layer-pad'),
    context: number(7),
    threads: number(8),
    isa: choice(9, 'auto', 'baseline', 'avx2', 'avx512', 'neon', 'simd128'),
    work: choice(10, 'spread', 'other'),
    offline: { key: 11, flag: true },
    bufferFrames: number(12),
};

/** The name of a choice, as properties tell them. */
export const nameOf = (option, value) => KEYS[option].names[value] ?? String(value);

function value(name, { names, flag }, given) {
    if (names) {
        const index = names.indexOf(given);
        if (index < 0) throw invalid(`${name} is ${found(given)}: expected ${names.map((n) => `'${n}'`).join(', ')}`);
        return BigInt(index);
    }
    if (flag) {
        if (typeof given !== 'boolean') throw invalid(`${name} is ${found(given)}: expected true or false`);
        return BigInt(given);
    }
    if (!Number.isSafeInteger(given)) throw invalid(`${name} is ${found(given)}: expected a whole number`);
    return BigInt(given);
}

/** Calls `body` with the address of a bag of these options, 0 for none. */
export function withOptions(instance, options, body) {
    if (options === undefined) return body(0);
    if (typeof options !== 'object' || options === null || Array.isArray(options) || ArrayBuffer.isView(options)) {
        throw invalid(`options is ${found(options)}: expected an object`);
    }
    const set = Object.entries(options).filter(([, given]) => given !== undefined);
    const values = set.map(([name, given]) => {
        if (!Object.hasOwn(KEYS, name)) {
            throw invalid(`there is no option ${found(name)}: expected some of ${Object.keys(KEYS).join(', ')}`);
        }
        return [KEYS[name].key, value(name, KEYS[name], given)];
    });
    const bag = instance.call('mimi_options_new');
    if (bag === 0) throw new MimiError(Status.OUT_OF_MEMORY, 'out of memory: options');
    try {
        for (const [key, number] of values) instance.check('mimi_options_set', bag, key, number);
        return body(bag);
    } finally {
        instance.drop('mimi_options_free', bag);
    }
}
