// Sends what an audio worklet hears to the page.

class Recorder extends AudioWorkletProcessor {
    process([[channel]]) {
        if (channel) this.port.postMessage(channel.slice());
        return true;
    }
}

registerProcessor('recorder', Recorder);
