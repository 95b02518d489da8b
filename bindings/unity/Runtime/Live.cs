// Live audio: an audio thread on one side, the game on the other, and neither waits. Everything but opening is
// real-time: it returns a status, throws nothing while the object is open, and allocates nothing.
using System;
using System.Runtime.InteropServices;

namespace Mimi
{
    /// <summary>Live audio to codes: one thread writes samples, one reads codes.</summary>
    public sealed unsafe class Capture : SafeHandle
    {
        public Capture(Model model, Options options = null) : base(IntPtr.Zero, true)
        {
            MimiException.Check(Native.mimi_capture_new(model, options ?? Options.None, out IntPtr capture));
            SetHandle(capture);
        }

        /// <summary>Takes any number of samples.</summary>
        public int Write(ReadOnlySpan<float> pcm)
        {
            fixed (float* from = &MemoryMarshal.GetReference(pcm))
                return Native.mimi_capture_write(this, from, (UIntPtr)pcm.Length);
        }

        /// <summary>Reads as many frames of codes as are ready and have room.</summary>
        public int Read(Span<uint> codes, out int n)
        {
            fixed (uint* to = &MemoryMarshal.GetReference(codes))
            {
                int status = Native.mimi_capture_read(this, to, (UIntPtr)codes.Length, out UIntPtr written);
                n = (int)written;
                return status;
            }
        }

        /// <summary>For Option.Work = 1: the work, on a thread of yours, at least once a frame.</summary>
        public int Work() => Native.mimi_capture_work(this);

        public int Reset() => Native.mimi_capture_reset(this);
        public int Get(Property key, out long value) => Native.mimi_capture_get(this, (int)key, out value);

        public override bool IsInvalid => handle == IntPtr.Zero;

        protected override bool ReleaseHandle()
        {
            Native.mimi_capture_free(handle);
            return true;
        }
    }

    /// <summary>Live codes to audio: one thread writes codes, one reads samples and always gets them.</summary>
    public sealed unsafe class Playback : SafeHandle
    {
        /// <summary>MIMI_NO_CODE: a code that did not arrive. Decoders know it, too.</summary>
        public const uint NoCode = uint.MaxValue;

        public Playback(Model model, Options options = null) : base(IntPtr.Zero, true)
        {
            MimiException.Check(Native.mimi_playback_new(model, options ?? Options.None, out IntPtr playback));
            SetHandle(playback);
        }

        /// <summary>Takes whole frames of codes, in the order in which they are to be heard.</summary>
        public int Write(ReadOnlySpan<uint> codes)
        {
            fixed (uint* from = &MemoryMarshal.GetReference(codes))
                return Native.mimi_playback_write(this, from, (UIntPtr)codes.Length);
        }

        /// <summary>Frames that are known to be lost, told by the number of their codes.</summary>
        public int WriteLost(int codes) => Native.mimi_playback_write(this, null, (UIntPtr)codes);

        /// <summary>Fills all of pcm.</summary>
        public int Read(Span<float> pcm)
        {
            fixed (float* to = &MemoryMarshal.GetReference(pcm))
                return Native.mimi_playback_read(this, to, (UIntPtr)pcm.Length);
        }

        /// <summary>For Option.Work = 1: the work, on a thread of yours, at least once a frame.</summary>
        public int Work() => Native.mimi_playback_work(this);

        public int Reset() => Native.mimi_playback_reset(this);
        public int Get(Property key, out long value) => Native.mimi_playback_get(this, (int)key, out value);

        public override bool IsInvalid => handle == IntPtr.Zero;

        protected override bool ReleaseHandle()
        {
            Native.mimi_playback_free(handle);
            return true;
        }
    }

    /// <summary>Codes as packets: each frame is ceil(codebooks * bits / 8) bytes. Real-time.</summary>
    public static unsafe class Packets
    {
        public static int Pack(ReadOnlySpan<uint> codes, int codebooks, int bits, Span<byte> packet, out int length)
        {
            fixed (uint* from = &MemoryMarshal.GetReference(codes))
            fixed (byte* to = &MemoryMarshal.GetReference(packet))
            {
                int status = Native.mimi_pack(from, (UIntPtr)codes.Length, codebooks, bits, to, (UIntPtr)packet.Length,
                    out UIntPtr written);
                length = (int)written;
                return status;
            }
        }

        public static int Unpack(ReadOnlySpan<byte> packet, int codebooks, int bits, Span<uint> codes, out int n)
        {
            fixed (byte* from = &MemoryMarshal.GetReference(packet))
            fixed (uint* to = &MemoryMarshal.GetReference(codes))
            {
                int status = Native.mimi_unpack(from, (UIntPtr)packet.Length, codebooks, bits, to,
                    (UIntPtr)codes.Length, out UIntPtr written);
                n = (int)written;
                return status;
            }
        }
    }
}
