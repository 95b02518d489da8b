// wasi.mjs PROGRAM ARGUMENT...: runs a WebAssembly program such as Rust's tests, without files and threads. Node's own
// node:wasi does as much, but Node 20 ends with a segmentation fault after long programs.
import { readFileSync } from 'node:fs';
import { webcrypto } from 'node:crypto';

const [program, ...rest] = process.argv.slice(2);
const args = [program, ...rest].map((arg) => Buffer.from(`${arg}\0`));
const NOT_THERE = 8; // errno: no such file
let memory;
const view = () => new DataView(memory.buffer);
const bytes = (at, length) => new Uint8Array(memory.buffer, at, length);

class Exit extends Error {}

const system = {
    args_sizes_get(count, size) {
        view().setUint32(count, args.length, true);
        view().setUint32(size, Buffer.concat(args).length, true);
        return 0;
    },
    args_get(list, at) {
        for (const arg of args) {
            view().setUint32(list, at, true);
            bytes(at, arg.length).set(arg);
            [list, at] = [list + 4, at + arg.length];
        }
        return 0;
    },
    environ_sizes_get(count, size) {
        view().setUint32(count, 0, true);
        view().setUint32(size, 0, true);
        return 0;
    },
    environ_get: () => 0,
    clock_time_get(_, __, at) {
        view().setBigUint64(at, process.hrtime.bigint(), true);
        return 0;
    },
    random_get(at, length) {
        webcrypto.getRandomValues(bytes(at, length));
        return 0;
    },
    fd_write(fd, list, count, written) {
        let total = 0;
        for (let i = 0; i < count; i++) {
            const [at, length] = [view().getUint32(list + 8 * i, true), view().getUint32(list + 8 * i + 4, true)];
            (fd === 1 ? process.stdout : process.stderr).write(bytes(at, length).slice());
            total += length;
        }
        view().setUint32(written, total, true);
        return 0;
    },
    sched_yield: () => 0,
    proc_exit(code) {
        process.exitCode = code;
        throw new Exit();
    },
};

const module = new WebAssembly.Module(readFileSync(program));
const imports = { wasi_snapshot_preview1: {} };
for (const { name } of WebAssembly.Module.imports(module)) {
    imports.wasi_snapshot_preview1[name] = system[name] ?? (() => NOT_THERE);
}
const { exports } = new WebAssembly.Instance(module, imports);
memory = exports.memory;
try {
    exports._start();
} catch (error) {
    if (!(error instanceof Exit)) throw error;
}
