const show = (id, text) => (document.getElementById(id).textContent = text);
const button = document.getElementById("talk");
const canvas = document.getElementById("codes").getContext("2d");
const codebooks = 8;

let stop; // ends the conversation, if there is one

button.onclick = () => {
  if (stop) return stop("Not connected.");
  talk().catch((error) => end(`It does not work: ${error.message}`));
};

function end(state) {
  stop = undefined;
  button.textContent = "Talk";
  show("state", state);
}

async function talk() {
  button.disabled = true;
  try {
    const microphone = await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: true, noiseSuppression: false, autoGainControl: false },
    });
    const context = new AudioContext();
    stop = (state) => {
      for (const track of microphone.getTracks()) track.stop();
      context.close();
      end(state);
    };
    await context.audioWorklet.addModule("worklet.js");
    const voice = new AudioWorkletNode(context, "voice", { outputChannelCount: [1] });
    connect(context.sampleRate, voice);
    context.createMediaStreamSource(microphone).connect(voice).connect(context.destination);
    button.textContent = "Stop";
  } catch (error) {
    stop?.("");
    throw error;
  } finally {
    button.disabled = false;
  }
}

// connect moves samples between the audio thread and the server. The server works at the sound card's rate.
function connect(rate, voice) {
  const url = new URL(`echo?rate=${rate}&codes=1&codebooks=${codebooks}`, location);
  url.protocol = url.protocol.replace("http", "ws");
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  let frames = 0;
  let isAudio = false; // a frame's codes come before its audio
  const close = stop;
  stop = (state) => {
    socket.onclose = undefined;
    socket.close();
    voice.port.onmessage = undefined;
    close(state);
  };
  show("state", "Connecting.");
  socket.onopen = () => show("state", `Connected at ${rate} Hz. Speak.`);
  socket.onclose = async ({ reason }) => stop(`Not connected: ${reason || (await why())}.`);
  socket.onmessage = ({ data }) => {
    if (isAudio) {
      const samples = new Float32Array(data);
      meter("heard", samples);
      voice.port.postMessage(samples, [samples.buffer]);
      show("frames", ++frames);
    } else {
      draw(new Uint8Array(data));
      show("rate", `${(data.byteLength * 8 * 12.5) / 1000} kbit/s`);
    }
    isAudio = !isAudio;
  };
  voice.port.onmessage = ({ data: { samples, gaps, delay } }) => {
    if (socket.readyState !== WebSocket.OPEN) return;
    socket.send(samples);
    meter("spoken", samples);
    show("gaps", gaps);
    if (delay !== undefined) show("delay", `${Math.round(1000 * delay)} ms`);
  };
}

// why asks the server for what a WebSocket does not tell: why a connection was refused.
async function why() {
  try {
    const { status, load, limit } = await (await fetch("health")).json();
    if (status !== "ok") return "the server is ending";
    return load > 0.5 * limit ? "the server has no room for another conversation" : "the connection broke";
  } catch {
    return "the server does not answer";
  }
}

function meter(id, samples) {
  let peak = 0;
  for (const sample of samples) peak = Math.max(peak, Math.abs(sample));
  document.getElementById(id).value = peak;
}

// draw moves the picture to the left by a frame, and paints the frame's bits at its right end.
function draw(frame) {
  const { width, height } = canvas.canvas;
  const bits = frame.length * 8;
  canvas.drawImage(canvas.canvas, -4, 0);
  for (let bit = 0; bit < bits; bit++) {
    canvas.fillStyle = (frame[bit >> 3] >> (7 - (bit & 7))) & 1 ? "#48c" : "#124";
    canvas.fillRect(width - 4, (bit * height) / bits, 4, height / bits);
  }
}
