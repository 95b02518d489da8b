// The page: a model in a worker, a sound, its codes, and what they sound like.

import { openCapture, openPlayback } from './libmimi/live.js';
import { readTokens, samplesAt, writeTokens } from './libmimi/mimi.js';
import { loadInWorker } from './libmimi/worker.js';
import { drawCodes, drawSound } from './pictures.js';
import { microphone, record, soundOf, wavOf } from './sound.js';

const DEMO = 'model.safetensors';
const SAMPLE = 'speech.wav';
const $ = (id) => document.getElementById(id);

let model; // in a worker
let facts; // its numbers
let source = { from: DEMO, name: 'the demo model' };
let sound; // { pcm, sampleRate }, or nothing for codes from a file
let codes; // of all codebooks that there are
let header; // of them, as a token file has it
let decoded;
let stopRecording;
let live;
let turn = 0; // the latest of the jobs that run, whose result is shown

const thousand = (n) => n.toLocaleString('en');
const seconds = (n) => `${n.toFixed(1)} s`;

function say(text, failed = false) {
    $('status').textContent = text;
    $('status').classList.toggle('failed', failed);
}

/** Runs a job of a user's; says what went wrong. */
async function attempt(job) {
    try {
        await job();
    } catch (error) {
        say(error.message, true);
    }
}

function enable(on) {
    for (const id of ['record', 'file', 'sample', 'live', 'checkpoint', 'precision']) $(id).disabled = !on;
}

async function loadModel(from, name) {
    enable(false);
    say(`Loading ${name} …`);
    const precision = $('precision').value;
    const start = performance.now();
    try {
        const loaded = await loadInWorker(from, { precision });
        await model?.free();
        model = loaded;
        source = { from, name };
        const names = [
            'codebooks',
            'codebookSize',
            'sampleRate',
            'frameSamples',
            'codeBits',
            'memoryBytes',
            'version',
            'modelId',
        ];
        facts = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await model.get(name)])));
        if (facts.codebooks === 0) throw new Error(`${name} has no quantizer, and so no codes`);
        $('model-facts').textContent =
            `${name}: ${facts.codebooks} codebooks of ${thousand(facts.codebookSize)} codes, ` +
            `${(facts.memoryBytes / 1e6).toFixed(0)} MB, ${precision}`;
        $('toy').hidden = from !== DEMO;
        $('footer').textContent = `libmimi ${facts.version}`;
        $('books').max = facts.codebooks;
        $('books').value = Math.min(facts.codebooks, 8);
        say(`Ready: ${name} was loaded in ${seconds((performance.now() - start) / 1000)}`);
    } finally {
        enable(model !== undefined);
    }
    if (sound) await encode();
}

/** Shows a sound, and encodes it. */
async function take(pcm, sampleRate) {
    if (pcm.length === 0) throw new Error('the sound is empty');
    sound = { pcm, sampleRate };
    showSound('original', pcm, sampleRate);
    await encode();
}

async function encode() {
    const mine = ++turn;
    const { pcm, sampleRate } = sound;
    say('Encoding …');
    const start = performance.now();
    const options = { codebooks: facts.codebooks, sampleRate };
    const made = [await model.encode(pcm, options), await model.header({ ...options, samples: pcm.length })];
    if (mine !== turn) return;
    [codes, header] = made;
    say(`Encoded in ${seconds((performance.now() - start) / 1000)}`);
    await decode();
}

/** Decodes the codes of as many codebooks as are chosen. */
async function decode() {
    if (!codes) return;
    const mine = ++turn;
    const books = Math.min(Number($('books').value), header.codebooks);
    const frames = codes.length / header.codebooks;
    const first = new Uint32Array(frames * books);
    for (let f = 0; f < frames; f++) {
        first.set(codes.subarray(f * header.codebooks, f * header.codebooks + books), f * books);
    }
    const file = await writeTokens({ ...header, codebooks: books }, first);
    showCodes(books, frames, file);
    const { sampleRate } = header;
    const audio = await model.decode(first, { codebooks: books, sampleRate });
    if (mine !== turn) return;
    const length = (await samplesAt(header, sampleRate)) || audio.length;
    decoded = { pcm: audio.subarray(0, length), sampleRate };
    showSound('decoded', decoded.pcm, sampleRate);
    document.body.dataset.done = String(mine);
}

function showSound(id, pcm, sampleRate) {
    const length = pcm.length / sampleRate;
    drawSound($(id), pcm);
    $(id).setAttribute(
        'aria-label',
        `Spectrogram of the ${id} sound, ${seconds(length)}, up to ${sampleRate / 2000} kHz`,
    );
    $(`${id}-facts`).textContent = `${seconds(length)} at ${thousand(sampleRate)} Hz`;
    const blob = wavOf(pcm, sampleRate);
    const player = $(`${id}-sound`);
    player.hidden = false;
    offer(player, 'src', blob);
    if (id === 'decoded') save('wav', blob, 'decoded.wav');
}

function showCodes(books, frames, file) {
    drawCodes($('codes'), codes, header.codebooks, books, facts.codebookSize);
    const length = (frames * header.frameSamples) / header.sampleRate;
    const bits = (books * header.codeBits * frames) / length / 1000;
    const size = `${thousand(file.length)} bytes, ${bits.toFixed(2)} kbit/s`;
    const text = `${thousand(frames)} frames of ${books} codes, ${size}`;
    $('codes-facts').textContent = text;
    $('codes').setAttribute('aria-label', `Codes: ${text}`);
    $('books').disabled = false;
    $('books').max = header.codebooks;
    $('books-count').textContent = books;
    save('tokens', new Blob([file]), 'speech.mtok');
}

/** Puts an address of a blob into an attribute, and forgets the one that was there. */
function offer(element, attribute, blob) {
    if (element[attribute]?.startsWith('blob:')) URL.revokeObjectURL(element[attribute]);
    element[attribute] = URL.createObjectURL(blob);
}

function save(id, blob, name) {
    offer($(id), 'href', blob);
    $(id).download = name;
    $(id).hidden = false;
}

async function open(file) {
    const name = file.name.toLowerCase();
    if (name.endsWith('.safetensors')) return loadModel(file, file.name);
    if (name.endsWith('.mtok')) return openTokens(file);
    say(`Reading ${file.name} …`);
    let pcm;
    try {
        pcm = await soundOf(await file.arrayBuffer(), facts.sampleRate);
    } catch {
        throw new Error(`${file.name}: this browser cannot read it as sound`);
    }
    return take(pcm, facts.sampleRate);
}

async function openTokens(file) {
    const read = await readTokens(await file.arrayBuffer());
    if (read.header.modelId !== 0n && read.header.modelId !== facts.modelId) {
        throw new Error(`${file.name}: its codes are another model's`);
    }
    if (read.header.codebooks > facts.codebooks) {
        throw new Error(`${file.name}: it has ${read.header.codebooks} codebooks: expected up to ${facts.codebooks}`);
    }
    sound = undefined;
    $('original-sound').hidden = true;
    drawSound($('original'), new Float32Array(0));
    $('original-facts').textContent = 'unknown: there are codes alone';
    [codes, header] = [read.codes, read.header];
    $('books').max = header.codebooks;
    $('books').value = header.codebooks;
    say(`Opened ${file.name}`);
    await decode();
}

async function toggleRecording() {
    if (!stopRecording) {
        stopRecording = await record((length) => say(`Recording: ${seconds(length)}`));
        $('record').classList.add('recording');
        $('record-text').textContent = 'Stop';
        return;
    }
    const stop = stopRecording;
    stopRecording = undefined;
    $('record').classList.remove('recording');
    $('record-text').textContent = 'Record';
    const { pcm, sampleRate } = await stop();
    await take(pcm, sampleRate);
}

/** The microphone through the codec to the loudspeakers, in audio worklets. */
async function toggleLive() {
    if (live) {
        const { context, stream, ends } = live;
        live = undefined;
        $('live').setAttribute('aria-pressed', 'false');
        stream.getTracks().forEach((track) => track.stop());
        await Promise.all(ends.map((end) => end.close()));
        await context.close();
        say('Stopped');
        return;
    }
    say('Starting: use headphones, or it will howl');
    const stream = await microphone();
    const context = new AudioContext();
    const options = { codebooks: Math.min(Number($('books').value), facts.codebooks), precision: $('precision').value };
    const capture = await openCapture(context, source.from, options);
    const playback = await openPlayback(context, source.from, options);
    capture.oncodes = (frames) => playback.write(frames);
    capture.onerror = playback.onerror = (error) => say(error.message, true);
    context.createMediaStreamSource(stream).connect(capture.node);
    playback.node.connect(context.destination);
    live = { context, stream, ends: [capture, playback] };
    const delay = (await capture.get('latencySamples')) + (await playback.get('latencySamples'));
    $('live').setAttribute('aria-pressed', 'true');
    say(`Live, ${((delay / context.sampleRate) * 1000).toFixed(0)} ms behind: use headphones`);
}

$('record').onclick = () => attempt(toggleRecording);
$('sample').onclick = () => attempt(async () => open(new File([await (await fetch(SAMPLE)).blob()], SAMPLE)));
$('live').onclick = () => attempt(toggleLive);
$('books').oninput = () => {
    $('books-count').textContent = $('books').value;
    attempt(decode);
};
$('precision').onchange = () => attempt(() => loadModel(source.from, source.name));
for (const id of ['file', 'checkpoint']) {
    $(id).onchange = ({ target }) => {
        const [file] = target.files;
        target.value = '';
        if (file) attempt(() => open(file));
    };
}

document.ondragover = (event) => {
    event.preventDefault();
    document.body.classList.add('drop');
};
document.ondragleave = () => document.body.classList.remove('drop');
document.ondrop = (event) => {
    event.preventDefault();
    document.body.classList.remove('drop');
    const [file] = event.dataTransfer.files;
    if (file && model) attempt(() => open(file));
};

function redraw() {
    if (sound) drawSound($('original'), sound.pcm);
    if (decoded) drawSound($('decoded'), decoded.pcm);
    if (codes) drawCodes($('codes'), codes, header.codebooks, Number($('books').value), facts.codebookSize);
}
matchMedia('(prefers-color-scheme: dark)').onchange = redraw;
window.onresize = redraw;

attempt(() => loadModel(DEMO, 'the demo model'));
