// Sound in and out of the page: files, a microphone, WAV.

/** The first channels' mean of a sound file, at a sample rate. */
export async function soundOf(bytes, sampleRate) {
    const sound = await new OfflineAudioContext(1, 1, sampleRate).decodeAudioData(bytes);
    const mono = sound.getChannelData(0).slice();
    for (let c = 1; c < sound.numberOfChannels; c++) {
        const channel = sound.getChannelData(c);
        for (let i = 0; i < mono.length; i++) mono[i] += channel[i];
    }
    return sound.numberOfChannels > 1 ? mono.map((x) => x / sound.numberOfChannels) : mono;
}

/** A WAV file of 16 bits. */
export function wavOf(pcm, sampleRate) {
    const file = new DataView(new ArrayBuffer(44 + 2 * pcm.length));
    const text = (at, word) => [...word].forEach((c, i) => file.setUint8(at + i, c.charCodeAt(0)));
    text(0, 'RIFF');
    file.setUint32(4, 36 + 2 * pcm.length, true);
    text(8, 'WAVEfmt ');
    file.setUint32(16, 16, true);
    file.setUint16(20, 1, true);
    file.setUint16(22, 1, true);
    file.setUint32(24, sampleRate, true);
    file.setUint32(28, 2 * sampleRate, true);
    file.setUint16(32, 2, true);
    file.setUint16(34, 16, true);
    text(36, 'data');
    file.setUint32(40, 2 * pcm.length, true);
    pcm.forEach((x, i) => file.setInt16(44 + 2 * i, Math.max(-32768, Math.min(32767, Math.round(32768 * x))), true));
    return new Blob([file], { type: 'audio/wav' });
}

/** A microphone without what would change the sound of speech. */
export function microphone() {
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    return navigator.mediaDevices.getUserMedia({ audio });
}

/** Starts to record; the result stops it, and gives the samples and their rate. */
export async function record(heard) {
    const stream = await microphone();
    const context = new AudioContext();
    await context.audioWorklet.addModule('recorder.js');
    const node = new AudioWorkletNode(context, 'recorder', {
        numberOfOutputs: 0,
        channelCount: 1,
        channelCountMode: 'explicit',
    });
    const parts = [];
    let length = 0;
    node.port.onmessage = ({ data }) => {
        parts.push(data);
        length += data.length;
        heard(length / context.sampleRate);
    };
    context.createMediaStreamSource(stream).connect(node);
    return async () => {
        stream.getTracks().forEach((track) => track.stop());
        const { sampleRate } = context;
        await context.close();
        const pcm = new Float32Array(length);
        let at = 0;
        for (const part of parts) {
            pcm.set(part, at);
            at += part.length;
        }
        return { pcm, sampleRate };
    };
}
