// bench.mjs [MODEL [LIBMIMI.A [SECONDS]]]: milliseconds of a core for a frame of audio, in Node and, with the library
// for this machine, beside its kernels that every CPU has (SSE2 on x86-64). The two take turns, and the least of all
// turns is told, since other work on a machine only adds. The default is the demo model, and 3 seconds for each number.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Model } from './mimi.js';
import { demo, speech } from './test/data.mjs';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const [path = here('../../tool/demo/model.safetensors'), library, seconds = '3'] = process.argv.slice(2);
const work = mkdtempSync(join(tmpdir(), 'mimi-bench-'));
const bytes = path.endsWith('tool/demo/model.safetensors') ? demo : readFileSync(path);

/** What is measured: a recording in one call, or frame by frame. */
const WAYS = ['clip, encode', 'clip, decode', 'stream, encode', 'stream, decode'];

function ways(model) {
    const frame = model.frameSamples;
    const codes = model.encode(speech);
    const frames = Math.floor(speech.length / frame);
    const books = codes.length / Math.ceil(speech.length / frame);
    const [encoder, decoder] = [model.encoder(), model.decoder()];
    const each = (call) => {
        for (let f = 0; f < frames; f++) call(f);
    };
    return [
        [() => model.encode(speech), speech.length / frame],
        [() => model.decode(codes), codes.length / books],
        [() => each((f) => encoder.process(speech.subarray(f * frame, (f + 1) * frame))), frames],
        [() => each((f) => decoder.process(codes.subarray(f * books, (f + 1) * books))), frames],
    ];
}

/** Milliseconds of processors that this process has had. */
function spent() {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
}

/** The least time of a frame, of runs for so many milliseconds. */
function least([run, frames], budget) {
    let best = Infinity;
    for (const end = spent() + budget; spent() < end; ) {
        const start = spent();
        run();
        best = Math.min(best, (spent() - start) / frames);
    }
    return best;
}

let native;
if (library) {
    const flags = ['-std=c99', '-D_POSIX_C_SOURCE=200809L', '-O2', '-I', here('../../include')];
    const system = ['-lpthread', '-ldl', '-lm', '-lgcc_s'];
    execFileSync('gcc', [...flags, here('test/bench.c'), library, ...system, '-o', join(work, 'bench')]);
    native = (precision, budget) => {
        const args = [path, precision, String(budget)];
        const input = new Uint8Array(speech.buffer);
        return execFileSync(join(work, 'bench'), args, { input }).toString().trim().split(' ').map(Number);
    };
}

const TURNS = 3;
const budget = (Number(seconds) * 1000) / TURNS;
for (const precision of ['f32', 'bf16', 'int8']) {
    const model = await Model.load(bytes, { precision });
    const kinds = ways(model);
    const found = WAYS.map(() => [Infinity, Infinity]);
    for (let turn = 0; turn < TURNS; turn++) {
        kinds.forEach((kind, i) => (found[i][0] = Math.min(found[i][0], least(kind, budget))));
        native?.(precision, budget).forEach((time, i) => (found[i][1] = Math.min(found[i][1], time)));
    }
    if (precision === 'f32') {
        const frame = (model.frameSamples / model.sampleRate) * 1000;
        console.log(`${path}: ms for a frame of ${frame} ms; ${model.version}, Node ${process.version}`);
    }
    WAYS.forEach((way, i) => {
        const [here, there] = found[i];
        const beside = native
            ? `, native ${there.toFixed(2)}: ${((100 * there) / here).toFixed(0)} % of its speed`
            : '';
        console.log(`${precision.padEnd(4)} ${way}: ${here.toFixed(2)}${beside}`);
    });
    model.free();
}
rmSync(work, { recursive: true });
