// Captures and playbacks on an audio thread. live.js opens them; the models are this thread's own.

import { MimiError, Status } from './lib/error.js';
import { Model } from './mimi.js';

/** What a capture and a playback share: opening, questions, the end. */
class Processor extends AudioWorkletProcessor {
    #open = true;
    handle; // of the library, once it is there

    constructor() {
        super();
        this.port.onmessage = ({ data }) => {
            try {
                this.heard(data);
            } catch (error) {
                this.tell(error, data.id);
            }
        };
    }

    tell(error, id) {
        const status = error instanceof MimiError ? error.status : Status.PANIC;
        this.port.postMessage({ id, failed: { status, message: String(error.message) } });
    }

    heard({ id, does, wasm, model, options, name }) {
        if (does === 'open') {
            const loaded = Model.loadSync(model, { ...options.load, wasm: new WebAssembly.Module(wasm) });
            this.handle = this.make(loaded, { sampleRate, ...options.stream });
            loaded.free(); // the handle keeps its weights
        } else if (does === 'close') {
            this.#open = false;
            this.handle?.free();
            this.handle = undefined;
        } else if (!this.handle) {
            throw new MimiError(Status.STATE, 'an error stopped it, or it was closed');
        } else if (does === 'reset') {
            this.handle.reset();
        }
        this.port.postMessage({ id, result: does === 'get' ? this.handle[name] : undefined });
    }

    process(inputs, outputs) {
        if (!this.handle) return this.#open;
        try {
            this.run(inputs, outputs);
        } catch (error) {
            this.tell(error);
            this.handle.free();
            this.handle = undefined;
            this.#open = false;
        }
        return this.#open;
    }
}

class CaptureProcessor extends Processor {
    #silence = new Float32Array(128);

    make(model, options) {
        return model.capture(options);
    }

    run([input]) {
        // nothing is connected, or it is silent: time goes on
        this.handle.write(input[0] ?? this.#silence);
        const codes = this.handle.read();
        if (codes.length > 0) this.port.postMessage({ codes }, [codes.buffer]);
    }
}

class PlaybackProcessor extends Processor {
    make(model, options) {
        return model.playback(options);
    }

    heard(data) {
        if (data.codes) this.handle?.write(data.codes);
        else if (data.lost) this.handle?.writeLost(data.lost);
        else super.heard(data);
    }

    run(_, [output]) {
        this.handle.read(output[0]);
    }
}

registerProcessor('mimi-capture', CaptureProcessor);
registerProcessor('mimi-playback', PlaybackProcessor);
