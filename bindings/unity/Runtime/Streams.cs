// Streams that do the work of a frame in the call that completes it. Everything but opening one is real-time: it
// returns a status, throws nothing while the stream is open, and allocates nothing. Arrays convert to spans.
using System;
using System.Runtime.InteropServices;

namespace Mimi
{
    /// <summary>A stream of audio to codes; one thread at a time.</summary>
    public sealed unsafe class Encoder : SafeHandle
    {
        public Encoder(Model model, Options options = null) : base(IntPtr.Zero, true)
        {
            MimiException.Check(Native.mimi_encoder_new(model, options ?? Options.None, out IntPtr encoder));
            SetHandle(encoder);
        }

        /// <summary>Takes any number of samples, and writes n codes: of the frames that they complete.</summary>
        public int Process(ReadOnlySpan<float> pcm, Span<uint> codes, out int n)
        {
            fixed (float* from = &MemoryMarshal.GetReference(pcm))
            fixed (uint* to = &MemoryMarshal.GetReference(codes))
            {
                int status = Native.mimi_encoder_process(this, from, (UIntPtr)pcm.Length, to, (UIntPtr)codes.Length,
                    out UIntPtr written);
                n = (int)written;
                return status;
            }
        }

        /// <summary>Ends the stream: writes the codes of a last partial frame.</summary>
        public int Flush(Span<uint> codes, out int n)
        {
            fixed (uint* to = &MemoryMarshal.GetReference(codes))
            {
                int status = Native.mimi_encoder_flush(this, to, (UIntPtr)codes.Length, out UIntPtr written);
                n = (int)written;
                return status;
            }
        }

        /// <summary>The codes that Process would write for so many samples now.</summary>
        public int CodesFor(int samples, out int n)
        {
            int status = Native.mimi_encoder_codes_for(this, (UIntPtr)samples, out UIntPtr codes);
            n = (int)codes;
            return status;
        }

        public int Reset() => Native.mimi_encoder_reset(this);
        public int Get(Property key, out long value) => Native.mimi_encoder_get(this, (int)key, out value);

        public override bool IsInvalid => handle == IntPtr.Zero;

        protected override bool ReleaseHandle()
        {
            Native.mimi_encoder_free(handle);
            return true;
        }
    }

    /// <summary>A stream of codes to audio; one thread at a time.</summary>
    public sealed unsafe class Decoder : SafeHandle
    {
        public Decoder(Model model, Options options = null) : base(IntPtr.Zero, true)
        {
            MimiException.Check(Native.mimi_decoder_new(model, options ?? Options.None, out IntPtr decoder));
            SetHandle(decoder);
        }

        /// <summary>Takes whole frames of codes, and writes n samples.</summary>
        public int Process(ReadOnlySpan<uint> codes, Span<float> pcm, out int n)
        {
            fixed (uint* from = &MemoryMarshal.GetReference(codes))
            fixed (float* to = &MemoryMarshal.GetReference(pcm))
            {
                int status = Native.mimi_decoder_process(this, from, (UIntPtr)codes.Length, to, (UIntPtr)pcm.Length,
                    out UIntPtr written);
                n = (int)written;
                return status;
            }
        }

        /// <summary>Conceals whole frames that did not arrive, told by the number of their codes.</summary>
        public int ProcessLost(int codes, Span<float> pcm, out int n)
        {
            fixed (float* to = &MemoryMarshal.GetReference(pcm))
            {
                int status = Native.mimi_decoder_process(this, null, (UIntPtr)codes, to, (UIntPtr)pcm.Length,
                    out UIntPtr written);
                n = (int)written;
                return status;
            }
        }

        /// <summary>Ends the stream: writes what audio is still due.</summary>
        public int Flush(Span<float> pcm, out int n)
        {
            fixed (float* to = &MemoryMarshal.GetReference(pcm))
            {
                int status = Native.mimi_decoder_flush(this, to, (UIntPtr)pcm.Length, out UIntPtr written);
                n = (int)written;
                return status;
            }
        }

        /// <summary>The samples that Process would write for so many codes now.</summary>
        public int SamplesFor(int codes, out int n)
        {
            int status = Native.mimi_decoder_samples_for(this, (UIntPtr)codes, out UIntPtr samples);
            n = (int)samples;
            return status;
        }

        public int Reset() => Native.mimi_decoder_reset(this);
        public int Get(Property key, out long value) => Native.mimi_decoder_get(this, (int)key, out value);

        public override bool IsInvalid => handle == IntPtr.Zero;

        protected override bool ReleaseHandle()
        {
            Native.mimi_decoder_free(handle);
            return true;
        }
    }
}
