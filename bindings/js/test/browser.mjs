// browser.mjs PAGE TOOLS [PICTURE]: the page and the audio worklets in headless Chromium, against golden codes. PAGE is
// the folder that build.sh made, TOOLS has playwright-core, CHROMIUM names the browser, PICTURE is for screenshots.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Model, readTokens } from '../mimi.js';
import { demo, goldenCodes, speech } from './data.mjs';
import { serve } from './serve.mjs';

const [folder, tools, picture] = process.argv.slice(2);
const { chromium } = createRequire(join(resolve(tools), 'x.js'))('playwright-core');
const recording = fileURLToPath(new URL('../../../tests/data/golden/speech.wav', import.meta.url));
const golden = goldenCodes('demo/speech.codes.npy');
// the codes of whole frames, which do not depend on how the last one is filled
const whole = Math.floor(speech.length / 1920) * 8;

let server, profile, browser, page;
const foreign = [];
const troubles = [];

before(async () => {
    server = await serve(folder);
    profile = mkdtempSync(join(tmpdir(), 'mimi-chromium-'));
    browser = await chromium.launchPersistentContext(profile, {
        executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
        headless: true,
        viewport: { width: 1000, height: 1100 },
        args: [
            '--no-sandbox',
            '--disable-gpu',
            '--disable-quic',
            '--no-first-run',
            '--disable-background-networking',
            '--disable-component-update',
            '--disable-sync',
            '--autoplay-policy=no-user-gesture-required',
            '--use-fake-ui-for-media-stream',
            '--use-fake-device-for-media-stream',
            `--use-file-for-fake-audio-capture=${recording}`,
        ],
    });
    page = await browser.newPage();
    page.on('request', (request) => {
        const url = request.url();
        if (!url.startsWith(server.address) && !/^(blob|data):/.test(url)) foreign.push(url);
    });
    page.on('pageerror', (error) => troubles.push(error.stack));
    page.on('console', (message) => message.type() === 'error' && troubles.push(message.text()));
    await page.goto(server.address);
    await page.waitForSelector('#record:enabled');
});

after(async () => {
    await browser?.close();
    server?.close();
    rmSync(profile, { recursive: true, force: true });
});

const done = () => page.getAttribute('body', 'data-done');

/** Does something that gives a new result, and waits for it. */
async function result(act) {
    const last = await done();
    await act();
    await page.waitForFunction((last) => document.body.dataset.done && document.body.dataset.done !== last, last, {
        timeout: 60000,
    });
}

/** What a click on a link saves. */
async function saved(link) {
    const [download] = await Promise.all([page.waitForEvent('download'), page.click(link)]);
    const chunks = [];
    for await (const chunk of await download.createReadStream()) chunks.push(chunk);
    return Buffer.concat(chunks);
}

test('a recording that is opened has the golden codes', async () => {
    await result(() => page.setInputFiles('#file', recording));
    const { header, codes } = await readTokens(await saved('#tokens'));
    assert.deepEqual(codes.subarray(0, whole), golden.subarray(0, whole));
    assert.equal(header.samples, speech.length);
    const model = await Model.load(demo);
    assert.deepEqual(codes, model.encode(speech));
    // the audio is the model's, rounded to 16 bits
    const wav = await saved('#wav');
    const audio = model.decode(codes).subarray(0, speech.length);
    const rounded = Int16Array.from(audio, (x) => Math.max(-32768, Math.min(32767, Math.round(32768 * x))));
    assert.ok(wav.subarray(44).equals(new Uint8Array(rounded.buffer)));
    assert.equal(await page.textContent('#codes-facts'), '42 frames of 8 codes, 418 bytes, 0.90 kbit/s');
    if (picture) {
        await page.screenshot({ path: `${picture}-light.png`, fullPage: true });
        await page.emulateMedia({ colorScheme: 'dark' });
        await page.screenshot({ path: `${picture}-dark.png`, fullPage: true });
        await page.setViewportSize({ width: 390, height: 800 });
        await page.screenshot({ path: `${picture}-narrow.png`, fullPage: true });
        await page.setViewportSize({ width: 1000, height: 1100 });
        await page.emulateMedia({ colorScheme: 'light' });
    }
});

test('the sample is that recording', async () => {
    const before = await saved('#tokens');
    await result(() => page.click('#sample'));
    assert.ok((await saved('#tokens')).equals(before));
});

test('fewer codebooks are the first of the codes', async () => {
    await result(() => page.locator('#books').fill('3'));
    const { header, codes } = await readTokens(await saved('#tokens'));
    assert.equal(header.codebooks, 3);
    assert.deepEqual(codes, (await Model.load(demo)).encode(speech, { codebooks: 3 }));
    await result(() => page.locator('#books').fill('8'));
});

test('a token file is opened and decoded', async () => {
    const file = await saved('#tokens');
    await result(() => page.setInputFiles('#file', { name: 'a.mtok', mimeType: '', buffer: file }));
    assert.ok((await saved('#tokens')).equals(file));
    await page.setInputFiles('#file', { name: 'b.mtok', mimeType: '', buffer: file.subarray(0, 30) });
    await page.waitForSelector('#status.failed');
    await page.setInputFiles('#file', { name: 'c.wav', mimeType: 'audio/wav', buffer: Buffer.from('no sound') });
    await page.waitForFunction(() => document.getElementById('status').textContent.startsWith('c.wav'));
});

test('what a microphone hears is recorded and encoded', async () => {
    await page.click('#record');
    await page.waitForFunction(() => /Recording: [1-9]/.test(document.getElementById('status').textContent));
    await result(() => page.click('#record'));
    const { header, codes } = await readTokens(await saved('#tokens'));
    assert.equal(codes.length, 8 * Math.ceil(header.samples / header.frameSamples));
    assert.ok(header.samples >= 0.9 * header.sampleRate);
});

test('a checkpoint from disk, and one that is none', async () => {
    await result(() => page.selectOption('#precision', 'int8'));
    assert.match(await page.textContent('#model-facts'), /the demo model: 8 codebooks of 512 codes, \d+ MB, int8/);
    await page.setInputFiles('#checkpoint', {
        name: 'cut.safetensors',
        mimeType: '',
        buffer: demo.subarray(0, 3000000),
    });
    await page.waitForSelector('#status.failed');
    assert.match(await page.textContent('#status'), /checkpoint/);
    await result(() => page.setInputFiles('#checkpoint', { name: 'mine.safetensors', mimeType: '', buffer: demo }));
    assert.match(await page.textContent('#model-facts'), /^mine\.safetensors: 8 codebooks/);
});

test('live audio starts and stops', async () => {
    await page.click('#live');
    await page.waitForSelector('#live[aria-pressed=true]', { timeout: 20000 });
    assert.match(await page.textContent('#status'), /^Live, \d{3} ms behind/);
    await page.click('#live');
    await page.waitForSelector('#live[aria-pressed=false]');
});

test('worklets in an offline context have the golden codes, and play them', async () => {
    const found = await page.evaluate(async (pcm) => {
        const { openCapture, openPlayback } = await import('./libmimi/live.js');
        // capture: the samples of the recording, and zeros until the last codes have come
        const context = new OfflineAudioContext(1, pcm.length + 3 * 1920 + 128, 24000);
        const capture = await openCapture(context, 'model.safetensors');
        const latency = await capture.get('latencySamples');
        const codes = [];
        capture.oncodes = (frame) => codes.push(...frame);
        const buffer = context.createBuffer(1, pcm.length, 24000);
        buffer.copyToChannel(Float32Array.from(pcm), 0);
        const source = new AudioBufferSourceNode(context, { buffer });
        source.connect(capture.node);
        source.start();
        await context.startRendering();
        const frames = Math.ceil(pcm.length / 1920);
        for (let i = 0; i < 200 && codes.length < 8 * frames; i++) await new Promise((go) => setTimeout(go, 10));

        // playback: all codes wait before it starts
        const first = codes.slice(0, 8 * 16);
        const other = new OfflineAudioContext(1, 20 * 1920, 24000);
        const playback = await openPlayback(other, 'model.safetensors', { bufferFrames: 1, offline: true });
        const delay = await playback.get('latencySamples');
        playback.write(Uint32Array.from(first));
        await playback.get('frames'); // they have arrived
        playback.node.connect(other.destination);
        const heard = (await other.startRendering()).getChannelData(0);
        await capture.close();
        await capture.close();
        const errors = [await capture.get('frames').catch((error) => error.code)];
        await new Promise((resolve) => {
            playback.onerror = ({ code }) => resolve(errors.push(code));
            playback.write(Uint32Array.of(1, 2, 3));
        });
        for (const call of [
            () => openCapture(null, 'model.safetensors'),
            () => openCapture(new OfflineAudioContext(1, 128, 44101), 'model.safetensors'),
            () => openCapture(new OfflineAudioContext(1, 128, 48000), 'page.js'),
            () => openCapture(new OfflineAudioContext(1, 128, 48000), 'nothing.safetensors'),
            () => openCapture(new OfflineAudioContext(1, 128, 48000), 'model.safetensors', { codebooks: 99 }),
        ]) {
            errors.push(
                await call().then(
                    () => 'nothing',
                    (error) => `${error.code} ${error.message}`,
                ),
            );
        }
        return { codes, latency, delay, heard: Array.from(heard), errors };
    }, Array.from(speech));
    const model = await Model.load(demo);
    const codes = model.encode(speech);
    assert.deepEqual(Uint32Array.from(found.codes).subarray(0, codes.length), codes);
    assert.deepEqual(codes.subarray(0, whole), golden.subarray(0, whole));
    assert.equal(found.latency, 3840);
    const audio = model.decode(codes.subarray(0, 8 * 16));
    assert.deepEqual(Float32Array.from(found.heard).subarray(found.delay, found.delay + audio.length), audio);
    assert.deepEqual(found.errors.slice(0, 2), ['MIMI_ERR_STATE', 'MIMI_ERR_INVALID_ARGUMENT']);
    assert.match(found.errors[2], /^MIMI_ERR_INVALID_ARGUMENT context is null/);
    assert.match(found.errors[3], /^MIMI_ERR_INVALID_ARGUMENT .*44101/);
    assert.match(found.errors[4], /^MIMI_ERR_FORMAT /);
    assert.match(found.errors[5], /^MIMI_ERR_IO .*404/);
    assert.match(found.errors[6], /^MIMI_ERR_INVALID_ARGUMENT .*codebooks is 99/);
});

test('a model in a worker is the model', async () => {
    const found = await page.evaluate(async (pcm) => {
        const { loadInWorker } = await import('./libmimi/worker.js');
        const model = await loadInWorker('model.safetensors');
        const audio = Float32Array.from(pcm);
        const encoder = await model.encoder();
        const codes = [...(await encoder.process(audio)), ...(await encoder.flush())];
        const fork = await encoder.clone();
        const bad = await model.decode(Uint32Array.of(1)).catch((error) => error.code);
        const none = await loadInWorker('nothing.safetensors').catch((error) => error.code);
        await fork.free();
        const freed = await fork.flush().catch((error) => error.code);
        const whole = Array.from(await model.encode(audio));
        await model.free();
        const over = await encoder.flush().catch((error) => error.code);
        return { codes, whole, bad, none, freed, over };
    }, Array.from(speech));
    const codes = Array.from((await Model.load(demo)).encode(speech));
    assert.deepEqual(found, {
        codes,
        whole: codes,
        bad: 'MIMI_ERR_INVALID_ARGUMENT',
        none: 'MIMI_ERR_IO',
        freed: 'MIMI_ERR_STATE',
        over: 'MIMI_ERR_STATE',
    });
});

test('nobody else was asked for anything, and nothing went wrong', () => {
    assert.deepEqual(foreign, []);
    // an address that is not there, above
    assert.deepEqual(
        troubles.filter((text) => !/404/.test(text)),
        [],
    );
});
