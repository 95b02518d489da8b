// Runs on the audio thread: hands the microphone's samples out in blocks of 20 ms, and plays what comes back.
class Voice extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(Math.round(sampleRate / 50));
    this.filled = 0;
    this.ring = new Float32Array(2 * sampleRate);
    this.written = 0; // samples since the start; the ring holds those from read to written
    this.read = 0;
    this.start = Math.round(0.16 * sampleRate); // two frames wait before the first is heard
    this.playing = false;
    this.gaps = 0;
    this.sent = 0; // samples that came from the microphone
    this.port.onmessage = ({ data }) => this.take(data);
  }

  take(samples) {
    if (this.written + samples.length - this.read > this.ring.length) {
      this.read = this.written; // far behind: begin again
      this.playing = false;
    }
    for (const sample of samples) this.ring[this.written++ % this.ring.length] = sample;
  }

  process([[microphone]], [[speaker]]) {
    for (const sample of microphone ?? []) {
      this.block[this.filled++] = sample;
      if (this.filled === this.block.length) {
        const { gaps, written, read } = this;
        const delay = this.playing ? (this.sent - read) / sampleRate : undefined;
        this.port.postMessage({ samples: this.block, gaps, delay, waiting: (written - read) / sampleRate });
        this.filled = 0;
      }
      this.sent++;
    }
    if (!this.playing && this.written - this.read >= this.start) this.playing = true;
    if (!this.playing) return true;
    if (this.written - this.read < speaker.length) {
      this.gaps++;
      this.playing = false; // and wait until two frames are there again
      return true;
    }
    for (let i = 0; i < speaker.length; i++) speaker[i] = this.ring[this.read++ % this.ring.length];
    return true;
  }
}
registerProcessor("voice", Voice);
