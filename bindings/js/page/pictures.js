// Spectrograms and codes as pictures.

/** Samples in a spectrum, and its lines. */
const WINDOW = 512;
const LINES = WINDOW / 2;

/** Decibels from black to white. */
const RANGE = 80;

/** Magnitudes of a windowed piece of sound, by the fast Fourier transform in place. */
function spectrum(pcm, at, real, imaginary) {
    for (let i = 0; i < WINDOW; i++) {
        // bit-reversed order; the window is Hann's
        let j = 0;
        for (let bit = 1, from = i; bit < WINDOW; bit <<= 1, from >>= 1) j = (j << 1) | (from & 1);
        real[j] = (pcm[at + i] ?? 0) * (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / WINDOW));
        imaginary[j] = 0;
    }
    for (let half = 1; half < WINDOW; half *= 2) {
        for (let k = 0; k < half; k++) {
            const [c, s] = [Math.cos((Math.PI * k) / half), -Math.sin((Math.PI * k) / half)];
            for (let a = k; a < WINDOW; a += 2 * half) {
                const b = a + half;
                const [r, i] = [c * real[b] - s * imaginary[b], c * imaginary[b] + s * real[b]];
                [real[b], imaginary[b]] = [real[a] - r, imaginary[a] - i];
                [real[a], imaginary[a]] = [real[a] + r, imaginary[a] + i];
            }
        }
    }
}

/** 256 colours from silence to loud, as the page is light or dark. */
function ramp() {
    const stops = isDark()
        ? [
              [22, 21, 19],
              [64, 32, 66],
              [164, 60, 62],
              [240, 139, 98],
              [255, 236, 190],
          ]
        : [
              [246, 245, 242],
              [247, 206, 160],
              [226, 122, 80],
              [150, 44, 62],
              [44, 20, 52],
          ];
    return Array.from({ length: 256 }, (_, level) => {
        const place = (level / 255) * (stops.length - 1);
        const i = Math.min(Math.floor(place), stops.length - 2);
        return stops[i].map((from, c) => Math.round(from + (stops[i + 1][c] - from) * (place - i)));
    });
}

const isDark = () => matchMedia('(prefers-color-scheme: dark)').matches;

/** Draws sound as a spectrogram from 0 Hz (below) to half the sample rate. */
export function drawSound(canvas, pcm) {
    const width = Math.min(Math.max(Math.round(canvas.clientWidth * devicePixelRatio), 1), 2000);
    [canvas.width, canvas.height] = [width, LINES];
    const context = canvas.getContext('2d');
    const image = context.createImageData(width, LINES);
    const colours = ramp();
    const [real, imaginary] = [new Float64Array(WINDOW), new Float64Array(WINDOW)];
    for (let x = 0; x < width; x++) {
        spectrum(pcm, Math.round((x / width) * pcm.length - WINDOW / 2), real, imaginary);
        for (let line = 0; line < LINES; line++) {
            const level = 20 * Math.log10(Math.hypot(real[line], imaginary[line]) / (WINDOW / 4) + 1e-9);
            const [r, g, b] = colours[Math.min(Math.max(Math.round(255 * (1 + level / RANGE)), 0), 255)];
            const at = 4 * ((LINES - 1 - line) * width + x);
            [image.data[at], image.data[at + 1], image.data[at + 2], image.data[at + 3]] = [r, g, b, 255];
        }
    }
    context.putImageData(image, 0, 0);
}

/** Draws codes, a column for each frame; those of codebooks that are not used are pale. */
export function drawCodes(canvas, codes, codebooks, used, size) {
    const frames = codes.length / codebooks;
    const cell = Math.max(Math.floor(112 / codebooks), 3);
    [canvas.width, canvas.height] = [Math.max(frames, 1) * 4, codebooks * cell];
    const context = canvas.getContext('2d');
    const colours = ramp();
    for (let f = 0; f < frames; f++) {
        for (let k = 0; k < codebooks; k++) {
            // neighbouring codes have nothing to do with each other: colours only tell them apart
            const place = ((codes[f * codebooks + k] * 7919) % size) / size;
            context.fillStyle = `rgb(${colours[k < used ? 50 + Math.floor(205 * place) : 12].join(' ')})`;
            context.fillRect(f * 4, k * cell, 4, cell - 1);
        }
    }
}
