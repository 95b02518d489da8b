// wasi.mjs PROGRAM ARGUMENT...: runs a WebAssembly program such as Rust's tests, in a system without files.
import { readFile } from 'node:fs/promises';
import { WASI } from 'node:wasi';

const [program, ...args] = process.argv.slice(2);
const wasi = new WASI({ version: 'preview1', args: [program, ...args] });
const { instance } = await WebAssembly.instantiate(await readFile(program), wasi.getImportObject());
const code = wasi.start(instance);
console.error("started", code);process.reallyExit(code);
