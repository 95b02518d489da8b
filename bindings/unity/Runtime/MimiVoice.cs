#if UNITY_5_3_OR_NEWER
using System;
using System.Threading.Tasks;
using UnityEngine;

namespace Mimi
{
    /// <summary>
    /// Voice chat: on the speaker's own object with talks set, on the object of each speaker who is heard without.
    /// Send what Packet gives to the others, over a channel that may lose packets, and hand it to their Receive.
    /// </summary>
    [RequireComponent(typeof(AudioSource))]
    public sealed class MimiVoice : MonoBehaviour
    {
        /// <summary>model.safetensors, renamed to model.bytes. The first component loads it for all.</summary>
        public TextAsset model;
        /// <summary>How weights are kept, the first component's for all: BF16 halves their memory.</summary>
        public Precision precision;
        /// <summary>Whether this is the speaker's own, at Start. Clear it later to mute, set it to go on.</summary>
        public bool talks;
        /// <summary>The same at both ends: each code of a frame is 0.14 kbit/s with the published model.</summary>
        public int codebooks = 8;
        /// <summary>Frames of 80 ms that wait before the voice is heard: more for an uneven network.</summary>
        public int bufferFrames = 2;
        /// <summary>A frame to send: the bytes, and how many. The array is used again for the next one.</summary>
        public event Action<byte[], int> Packet;
        /// <summary>Packets of a wrong length, or handed to a component that talks. The first is logged.</summary>
        public int Refused { get; private set; }

        private const int Numbered = 2; // bytes of the frame's number, before its codes
        private const int LongestGap = 16; // frames; a playback has room for so many and bufferFrames
        private const int Latest = 50; // frames; numbers that jump back further are a new sender's
        private static Task<Model> shared;
        private int bits;
        private uint[] codes; // null until the model is there

        private bool speaks;
        private AudioClip microphone;
        private float[] heard;
        private int position;
        private Capture capture;
        private byte[] packet;
        private ushort next = (ushort)Guid.NewGuid().GetHashCode(); // who comes back soon is not taken for late

        private readonly float[] block = new float[4096];
        private Playback playback;
        private bool receives;
        private ushort expected;

        private void Start()
        {
            speaks = talks;
            if (shared != null && !shared.IsFaulted)
                return;
            byte[] bytes = model.bytes;
            Precision kept = precision;
            shared = Task.Run(() => // takes seconds
            {
                using (var o = new Options { [Option.Precision] = (long)kept })
                    return Model.Load(bytes, o);
            });
        }

        private void Open(Model model)
        {
            bits = (int)model.Get(Property.CodeBits);
            packet = new byte[Numbered + (codebooks * bits + 7) / 8];
            if (speaks)
            {
                microphone = Microphone.Start(null, true, 1, 24000);
                if (microphone == null)
                    throw new InvalidOperationException("no microphone, or no permission to use it");
                heard = new float[microphone.frequency / 100 * microphone.channels];
                using (var o = new Options
                {
                    [Option.Codebooks] = codebooks,
                    [Option.SampleRate] = microphone.frequency,
                })
                    capture = new Capture(model, o);
            }
            else
            {
                OpenPlayback(model);
                AudioSettings.OnAudioConfigurationChanged += Reopen;
            }
            codes = new uint[codebooks];
        }

        private void OpenPlayback(Model model)
        {
            using (var o = new Options
            {
                [Option.Codebooks] = codebooks,
                [Option.SampleRate] = AudioSettings.outputSampleRate,
                [Option.BufferFrames] = bufferFrames,
            })
                playback = new Playback(model, o);
            GetComponent<AudioSource>().Play(); // Unity calls the filter of a source that plays
        }

        // Another loudspeaker: its rate may differ, and Unity has stopped all sources.
        private void Reopen(bool deviceWasChanged)
        {
            Playback old = playback;
            OpenPlayback(shared.Result);
            old.Dispose();
        }

        // The main thread is both sides of the capture: each 10 ms of the microphone do an eighth of a frame's work.
        private void Update()
        {
            if (codes == null && shared?.IsCompleted == true)
            {
                enabled = false; // for good if this throws
                Open(shared.GetAwaiter().GetResult());
                enabled = true;
            }
            if (capture == null)
                return;
            int samples = heard.Length / microphone.channels, length = microphone.samples;
            int waiting = (Microphone.GetPosition(null) - position + length) % length;
            for (; waiting >= samples; waiting -= samples)
            {
                microphone.GetData(heard, position); // goes on at the clip's beginning behind its end
                position = (position + samples) % length;
                for (int i = 0; microphone.channels > 1 && i < samples; i++)
                    heard[i] = heard[i * microphone.channels];
                Check(capture.Write(heard.AsSpan(0, samples)));
                Check(capture.Read(codes, out int n));
                if (n > 0 && talks)
                    Send();
            }
        }

        private void Send()
        {
            packet[0] = (byte)next;
            packet[1] = (byte)(next++ >> 8);
            Check(Packets.Pack(codes, codebooks, bits, packet.AsSpan(Numbered), out int length));
            Packet?.Invoke(packet, Numbered + length);
        }

        /// <summary>A packet came, on the main thread. It is ignored if late, or before the model is loaded.</summary>
        public void Receive(ReadOnlySpan<byte> bytes)
        {
            if (codes == null)
                return;
            if (playback == null || bytes.Length != packet.Length)
            {
                if (Refused++ == 0)
                    Debug.LogWarning(playback == null ? "MimiVoice: a packet for the component that talks" :
                        $"MimiVoice: a packet of {bytes.Length} bytes, expected {packet.Length}: " +
                        "do both ends have the same model and codebooks?");
                return;
            }
            ushort number = (ushort)(bytes[0] | bytes[1] << 8);
            short gap = receives ? (short)(number - expected) : (short)0;
            if (gap < 0 && gap >= -Latest)
                return;
            if (gap > 0 && gap <= LongestGap) // more are a pause
                playback.WriteLost(gap * codebooks); // so that what follows keeps its place
            if (Packets.Unpack(bytes.Slice(Numbered), codebooks, bits, codes, out _) == Status.Ok)
                playback.Write(codes); // if too many wait, the playback counts it
            receives = true;
            expected = (ushort)(number + 1);
        }

        // Unity's audio thread. It may come before Start, and while OnDestroy runs.
        private void OnAudioFilterRead(float[] data, int channels)
        {
            Playback from = playback;
            if (from == null || from.IsClosed)
                return;
            try
            {
                for (int done = 0; done + channels <= data.Length; )
                {
                    int samples = Math.Min((data.Length - done) / channels, block.Length);
                    if (from.Read(block.AsSpan(0, samples)) != Status.Ok)
                        return;
                    for (int i = 0; i < samples; i++)
                        for (int c = 0; c < channels; c++)
                            data[done++] = block[i];
                }
            }
            catch (ObjectDisposedException) { } // closed since it was looked at
        }

        private static void Check(int status)
        {
            if (status != Status.Ok)
                Debug.LogError(Status.Text(status));
        }

        private void OnDestroy()
        {
            AudioSettings.OnAudioConfigurationChanged -= Reopen;
            if (microphone != null)
                Microphone.End(null);
            capture?.Dispose();
            playback?.Dispose(); // waits for no one: a call that runs keeps the handle until it is back
        }
    }
}
#endif
