// The C functions of mimi.h, which is the manual, that this package calls. Arguments are numbers, pointers and
// SafeHandles alone: nothing is copied, allocated or found by reflection, under Mono, CoreCLR and IL2CPP alike.
using System;
using System.Runtime.InteropServices;

namespace Mimi
{
    internal static unsafe class Native
    {
#if (UNITY_IOS || UNITY_TVOS || UNITY_VISIONOS) && !UNITY_EDITOR
        private const string Lib = "__Internal"; // linked into the program
#else
        private const string Lib = "mimi"; // libmimi.so, libmimi.dylib, mimi.dll
#endif
        private const CallingConvention C = CallingConvention.Cdecl;

        [DllImport(Lib, CallingConvention = C)] internal static extern uint mimi_version_number();
        [DllImport(Lib, CallingConvention = C)] internal static extern byte* mimi_version_string();
        [DllImport(Lib, CallingConvention = C)] internal static extern byte* mimi_status_string(int status);
        [DllImport(Lib, CallingConvention = C)] internal static extern byte* mimi_last_error();

        [DllImport(Lib, CallingConvention = C)] internal static extern IntPtr mimi_options_new();
        [DllImport(Lib, CallingConvention = C)] internal static extern int mimi_options_set(Options o, int key, long v);
        [DllImport(Lib, CallingConvention = C)]
        internal static extern int mimi_options_get(Options o, int key, out long v);
        [DllImport(Lib, CallingConvention = C)] internal static extern void mimi_options_free(IntPtr o);

        [DllImport(Lib, CallingConvention = C)]
        internal static extern int mimi_load(byte* path, Options o, out IntPtr model);
        [DllImport(Lib, CallingConvention = C)]
        internal static extern int mimi_load_memory(byte* data, UIntPtr len, Options o, out IntPtr model);
        [DllImport(Lib, CallingConvention = C)] internal static extern int mimi_model_get(Model m, int key, out long v);
        [DllImport(Lib, CallingConvention = C)] internal static extern void mimi_free(IntPtr m);

        [DllImport(Lib, CallingConvention = C)]
        internal static extern int mimi_codes_for(Model m, Options o, UIntPtr samples, out UIntPtr codes);
        [DllImport(Lib, CallingConvention = C)]
        internal static extern int mimi_samples_for(Model m, Options o, UIntPtr codes, out UIntPtr samples);
        [DllImport(Lib, CallingConvention = C)]
        internal static extern int mimi_encode(Model m, Options o, float* pcm, UIntPtr samples, uint* codes,
            UIntPtr cap, out UIntPtr n);
        [DllImport(Lib, CallingConvention = C)]
        internal static extern int mimi_decode(Model m, Options o, uint* codes, UIntPtr nCodes, float* pcm, UIntPtr cap,
            out UIntPtr n);

        [DllImport(Lib, CallingConvention = C)]
        internal static extern int mimi_encoder_new(Model m, Options o, out IntPtr e);
        [DllImport(Lib, CallingConvention = C)]
        internal static extern int mimi_encoder_process(Encoder e, float* pcm, UIntPtr samples, uint* codes,
            UIntPtr cap, out UIntPtr n);
        [DllImport(Lib, CallingConvention = C)]
        internal static extern int mimi_encoder_flush(Encoder e, uint* codes, UIntPtr cap, out UIntPtr n);
        [DllImport(Lib, CallingConvention = C)]
        internal static extern int mimi_encoder_codes_for(Encoder e, UIntPtr samples, out UIntPtr codes);
        [DllImport(Lib, CallingConvention = C)] internal static extern int mimi_encoder_reset(Encoder e);
        [DllImport(Lib, CallingConvention = C)]
        internal static extern int mimi_encoder_get(Encoder e, int key, out long v);
        [DllImport(Lib, CallingConvention = C)] internal static extern void mimi_encoder_free(IntPtr e);

        [DllImport(Lib, CallingConvention = C)]
        internal static extern int mimi_decoder_new(Model m, Options o, out IntPtr d);
        [DllImport(Lib, CallingConvention = C)]
        internal static extern int mimi_decoder_process(Decoder d, uint* codes, UIntPtr nCodes, float* pcm, UIntPtr cap,
            out UIntPtr n);
        [DllImport(Lib, CallingConvention = C)]
        internal static extern int mimi_decoder_flush(Decoder d, float* pcm, UIntPtr cap, out UIntPtr n);
        [DllImport(Lib, CallingConvention = C)]
        internal static extern int mimi_decoder_samples_for(Decoder d, UIntPtr codes, out UIntPtr samples);
        [DllImport(Lib, CallingConvention = C)] internal static extern int mimi_decoder_reset(Decoder d);
        [DllImport(Lib, CallingConvention = C)]
        internal static extern int mimi_decoder_get(Decoder d, int key, out long v);
        [DllImport(Lib, CallingConvention = C)] internal static extern void mimi_decoder_free(IntPtr d);

        [DllImport(Lib, CallingConvention = C)]
        internal static extern int mimi_capture_new(Model m, Options o, out IntPtr c);
        [DllImport(Lib, CallingConvention = C)]
        internal static extern int mimi_capture_write(Capture c, float* pcm, UIntPtr samples);
        [DllImport(Lib, CallingConvention = C)]
        internal static extern int mimi_capture_read(Capture c, uint* codes, UIntPtr cap, out UIntPtr n);
        [DllImport(Lib, CallingConvention = C)] internal static extern int mimi_capture_work(Capture c);
        [DllImport(Lib, CallingConvention = C)] internal static extern int mimi_capture_reset(Capture c);
        [DllImport(Lib, CallingConvention = C)]
        internal static extern int mimi_capture_get(Capture c, int key, out long v);
        [DllImport(Lib, CallingConvention = C)] internal static extern void mimi_capture_free(IntPtr c);

        [DllImport(Lib, CallingConvention = C)]
        internal static extern int mimi_playback_new(Model m, Options o, out IntPtr p);
        [DllImport(Lib, CallingConvention = C)]
        internal static extern int mimi_playback_write(Playback p, uint* codes, UIntPtr n);
        [DllImport(Lib, CallingConvention = C)]
        internal static extern int mimi_playback_read(Playback p, float* pcm, UIntPtr samples);
        [DllImport(Lib, CallingConvention = C)] internal static extern int mimi_playback_work(Playback p);
        [DllImport(Lib, CallingConvention = C)] internal static extern int mimi_playback_reset(Playback p);
        [DllImport(Lib, CallingConvention = C)]
        internal static extern int mimi_playback_get(Playback p, int key, out long v);
        [DllImport(Lib, CallingConvention = C)] internal static extern void mimi_playback_free(IntPtr p);

        [DllImport(Lib, CallingConvention = C)]
        internal static extern int mimi_pack(uint* codes, UIntPtr n, long codebooks, long bits, byte* dst, UIntPtr cap,
            out UIntPtr len);
        [DllImport(Lib, CallingConvention = C)]
        internal static extern int mimi_unpack(byte* src, UIntPtr len, long codebooks, long bits, uint* codes,
            UIntPtr cap, out UIntPtr n);
    }
}
