#if UNITY_5_3_OR_NEWER
using System;
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
        public bool talks;
        /// <summary>The same at both ends: each code of a frame is 0.14 kbit/s with the published model.</summary>
        public int codebooks = 8;
        /// <summary>Frames of 80 ms that wait before the voice is heard: more for an uneven network.</summary>
        public int bufferFrames = 2;
        /// <summary>A frame to send: the bytes, and how many. The array is used again for the next one.</summary>
        public event Action<byte[], int> Packet;

        private const int Numbered = 2; // bytes of the frame's number, before its codes
        private const int LongestGap = 16; // frames; a playback has room for so many and bufferFrames
        private const int Restart = 1000; // numbers that jump back further are a new sender's
        private static Model shared;
        private int bits;
        private uint[] codes;

        private AudioClip microphone;
        private float[] heard;
        private int position;
        private Capture capture;
        private byte[] packet;
        private ushort next;

        private readonly float[] block = new float[4096];
        private Playback playback;
        private bool receives;
        private ushort expected;

        private void Start()
        {
            if (shared == null)
                shared = Model.Load(model.bytes);
            bits = (int)shared.Get(Property.CodeBits);
            codes = new uint[codebooks];
            packet = new byte[Numbered + (codebooks * bits + 7) / 8];
            if (talks)
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
                    capture = new Capture(shared, o);
            }
            else
            {
                using (var o = new Options
                {
                    [Option.Codebooks] = codebooks,
                    [Option.SampleRate] = AudioSettings.outputSampleRate,
                    [Option.BufferFrames] = bufferFrames,
                })
                    playback = new Playback(shared, o);
                GetComponent<AudioSource>().Play(); // Unity calls the filter of a source that plays
            }
        }

        // The main thread is both sides of the capture: each 10 ms of the microphone do an eighth of a frame's work.
        private void Update()
        {
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
                if (n > 0)
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

        /// <summary>A packet came, on the main thread. One that is late, damaged or a stranger's is ignored.</summary>
        public void Receive(ReadOnlySpan<byte> bytes)
        {
            if (playback == null || bytes.Length != packet.Length)
                return;
            ushort number = (ushort)(bytes[0] | bytes[1] << 8);
            short gap = receives ? (short)(number - expected) : (short)0;
            if (gap < 0 && gap > -Restart)
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

        private static void Check(int status)
        {
            if (status != Status.Ok)
                Debug.LogError(Status.Text(status));
        }

        private void OnDestroy()
        {
            if (talks)
                Microphone.End(null);
            capture?.Dispose();
            playback?.Dispose(); // waits for no one: a call that runs keeps the handle until it is back
        }
    }
}
#endif
