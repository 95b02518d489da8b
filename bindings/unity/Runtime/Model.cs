// Slow calls, which throw: options, loading, whole recordings.
using System;
using System.Runtime.InteropServices;
using System.Text;

namespace Mimi
{
    /// <summary>The statuses of mimi.h. Real-time calls return them; slow calls throw MimiException.</summary>
    public static class Status
    {
        public const int Ok = 0, NullPointer = -1, InvalidArgument = -2, BufferTooSmall = -3, Io = -4, Format = -5,
            Corrupt = -6, Unsupported = -7, OutOfMemory = -8, Aborted = -9, State = -10, Panic = -11;

        /// <summary>What a status means, in English. Allocates.</summary>
        public static unsafe string Text(int status) => Utf8.Read(Native.mimi_status_string(status));
    }

    /// <summary>A slow call failed. The message is that of mimi_last_error().</summary>
    public sealed class MimiException : Exception
    {
        public readonly int Status;

        internal MimiException(int status, string message) : base(message) => Status = status;

        internal static unsafe void Check(int status)
        {
            if (status < 0)
                throw new MimiException(status, Utf8.Read(Native.mimi_last_error()));
        }
    }

    /// <summary>MIMI_OPT_</summary>
    public enum Option
    {
        Codebooks = 1, SampleRate = 2, MaxBlock = 3, Precision = 4, Parts = 5, Tail = 6, Context = 7, Threads = 8,
        Isa = 9, Work = 10, Offline = 11, BufferFrames = 12,
    }

    /// <summary>MIMI_PROP_</summary>
    public enum Property
    {
        Codebooks = 1, SampleRate = 2, FrameSamples = 3, CodebookSize = 4, LatencySamples = 5, Frames = 6,
        MemoryBytes = 7, CodesHash = 8, ModelId = 9, CodeBits = 10, Precision = 11, Isa = 12, Parts = 13,
        FlushLen = 14, BadCodeIndex = 15, BadCodeValue = 16, Concealed = 17, Lost = 18, Waiting = 19, Late = 20,
        Missed = 21, Dropped = 22,
    }

    /// <summary>MIMI_PRECISION_, values of Option.Precision</summary>
    public enum Precision
    {
        F32 = 0, BF16 = 1, Int8 = 2, Int16 = 3,
    }

    /// <summary>new Options { [Option.SampleRate] = 48000 }; null stands for all defaults.</summary>
    public sealed class Options : SafeHandle
    {
        // marshallers refuse a SafeHandle that is null
        internal static readonly Options None = new Options(IntPtr.Zero);

        private Options(IntPtr none) : base(none, false) { }

        public Options() : base(IntPtr.Zero, true)
        {
            SetHandle(Native.mimi_options_new());
            if (IsInvalid)
                throw new OutOfMemoryException();
        }

        public long this[Option key]
        {
            get
            {
                MimiException.Check(Native.mimi_options_get(this, (int)key, out long value));
                return value;
            }
            set => MimiException.Check(Native.mimi_options_set(this, (int)key, value));
        }

        public override bool IsInvalid => handle == IntPtr.Zero;

        protected override bool ReleaseHandle()
        {
            Native.mimi_options_free(handle);
            return true;
        }
    }

    /// <summary>A model: any number of threads and streams may use it. Dispose it when you will open no more.</summary>
    public sealed class Model : SafeHandle
    {
        private Model(IntPtr model) : base(IntPtr.Zero, true) => SetHandle(model);

        /// <summary>The library's version and this CPU's kernels, for logs.</summary>
        public static unsafe string LibraryVersion => Utf8.Read(Native.mimi_version_string());

        /// <summary>Loads a file or a folder.</summary>
        public static unsafe Model Load(string path, Options options = null)
        {
            if (path == null)
                throw new ArgumentNullException(nameof(path));
            if (path.IndexOf('\0') >= 0)
                throw new ArgumentException("a path cannot hold a zero", nameof(path));
            CheckVersion();
            fixed (byte* utf8 = Encoding.UTF8.GetBytes(path + "\0")) // LPStr is UTF-8 on some systems only
            {
                MimiException.Check(Native.mimi_load(utf8, options ?? Options.None, out IntPtr model));
                return new Model(model);
            }
        }

        /// <summary>Loads the bytes of one model.safetensors, as of an asset. They are not needed afterwards.</summary>
        public static unsafe Model Load(ReadOnlySpan<byte> bytes, Options options = null)
        {
            CheckVersion();
            fixed (byte* data = &MemoryMarshal.GetReference(bytes))
            {
                MimiException.Check(
                    Native.mimi_load_memory(data, (UIntPtr)bytes.Length, options ?? Options.None, out IntPtr model));
                return new Model(model);
            }
        }

        // Within one minor version, functions and numbers are only added.
        private static void CheckVersion()
        {
            const uint major = 0, minor = 1;
            uint version = Native.mimi_version_number();
            if (version / 100 != major * 100 + minor)
                throw new MimiException(Mimi.Status.Unsupported, "the library has version " +
                    $"{version / 10000}.{version / 100 % 100}, and this package is for version {major}.{minor}");
        }

        public long Get(Property key)
        {
            MimiException.Check(Native.mimi_model_get(this, (int)key, out long value));
            return value;
        }

        /// <summary>The codes of a whole recording, frame after frame.</summary>
        public unsafe uint[] Encode(ReadOnlySpan<float> pcm, Options options = null)
        {
            var o = options ?? Options.None;
            MimiException.Check(Native.mimi_codes_for(this, o, (UIntPtr)pcm.Length, out UIntPtr n));
            var codes = new uint[(int)n];
            fixed (float* from = &MemoryMarshal.GetReference(pcm))
            fixed (uint* to = codes)
                MimiException.Check(Native.mimi_encode(this, o, from, (UIntPtr)pcm.Length, to, n, out n));
            return codes;
        }

        /// <summary>The audio of whole frames of codes.</summary>
        public unsafe float[] Decode(ReadOnlySpan<uint> codes, Options options = null)
        {
            var o = options ?? Options.None;
            MimiException.Check(Native.mimi_samples_for(this, o, (UIntPtr)codes.Length, out UIntPtr n));
            var pcm = new float[(int)n];
            fixed (uint* from = &MemoryMarshal.GetReference(codes))
            fixed (float* to = pcm)
                MimiException.Check(Native.mimi_decode(this, o, from, (UIntPtr)codes.Length, to, n, out n));
            return pcm;
        }

        public override bool IsInvalid => handle == IntPtr.Zero;

        protected override bool ReleaseHandle()
        {
            Native.mimi_free(handle);
            return true;
        }
    }

    internal static class Utf8
    {
        internal static unsafe string Read(byte* text)
        {
            int length = 0;
            while (text[length] != 0)
                length++;
            return Encoding.UTF8.GetString(text, length);
        }
    }
}
