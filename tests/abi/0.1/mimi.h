/**
 * @mainpage mimi.h - the Mimi neural audio codec as a library
 *
 * Mimi turns speech into codes and codes into speech: 12.5 frames a second, each of up to 32 codes of
 * 11 bits, for 24000 mono samples a second. (These are the numbers of the published model; ask a
 * model for its own with mimi_model_get().)
 *
 *     mimi_model *model;
 *     if (mimi_load(path, NULL, &model) != MIMI_OK) {
 *         fprintf(stderr, "%s\n", mimi_last_error());
 *         return 1;
 *     }
 *     size_t n_codes, n_samples;
 *     mimi_status s = mimi_encode(model, NULL, pcm, 24000, codes, 13 * 8, &n_codes);
 *     if (s == MIMI_OK)
 *         s = mimi_decode(model, NULL, codes, n_codes, audio, 13 * 1920, &n_samples);
 *     mimi_free(model);
 *
 * Audio that arrives piece by piece goes through a stream instead, one for each speaker:
 * mimi_encoder_new(), then mimi_encoder_process() with any number of samples at a time, then
 * mimi_encoder_flush(); and the same for decoders. Streams have no limit of length, and give the same
 * bits as the one-shot calls, however the input is cut.
 *
 * ## Functions
 *
 * | to | call |
 * |---|---|
 * | know the library | mimi_version_number() mimi_version_string() |
 * | understand a failure | mimi_status_string() mimi_last_error() |
 * | choose options | mimi_options_new() mimi_options_set() mimi_options_get() mimi_options_free() |
 * | load a model | mimi_load() mimi_load_memory() mimi_load_reader() mimi_model_get() mimi_free() |
 * | convert a whole recording | mimi_encode() mimi_decode() mimi_codes_for() mimi_samples_for() |
 * | encode a stream | mimi_encoder_new() mimi_encoder_process() mimi_encoder_flush() mimi_encoder_free() |
 * | | mimi_encoder_codes_for() mimi_encoder_get() mimi_encoder_reset() mimi_encoder_clone() |
 * | decode a stream | mimi_decoder_new() mimi_decoder_process() mimi_decoder_flush() mimi_decoder_free() |
 * | | mimi_decoder_samples_for() mimi_decoder_get() mimi_decoder_reset() mimi_decoder_clone() |
 * | run many streams at once | mimi_encoder_process_many() mimi_decoder_process_many() |
 * | encode to latents | mimi_encode_latents() mimi_encoder_process_latents() mimi_encoder_flush_latents() |
 * | | mimi_encoder_process_many_latents() mimi_latents_for() mimi_encoder_latents_for() |
 * | decode latents | mimi_decode_latents() mimi_decoder_process_latents() |
 * | | mimi_decoder_process_many_latents() |
 * | | mimi_samples_for_latents() mimi_decoder_samples_for_latents() |
 * | turn latents into codes and back | mimi_quantize() mimi_dequantize() |
 * | capture live audio | mimi_capture_new() mimi_capture_write() mimi_capture_read() mimi_capture_work() |
 * | | mimi_capture_reset() mimi_capture_get() mimi_capture_free() |
 * | play live audio | mimi_playback_new() mimi_playback_write() mimi_playback_read() mimi_playback_work() |
 * | | mimi_playback_reset() mimi_playback_get() mimi_playback_free() |
 * | write and read token files | mimi_model_header() mimi_pack_header() mimi_unpack_header() |
 * | | mimi_header_samples() mimi_pack() mimi_unpack() mimi_drop_codebooks() |
 *
 * ## Audio and codes
 *
 * Audio is mono, 32-bit float, nominally -1 to 1. Decoders do not clip. Encoders take not-a-number and
 * infinity as 0. Codes are uint32_t, frame after frame, one code per codebook: code k of frame f is
 * codes[f * codebooks + k]. (Arrays of PyTorch programs, [codebooks, frames], are the transpose.)
 * Lengths and capacities of buffers are size_t and count samples, codes, values of latents or bytes,
 * whatever the buffer holds. All other numbers are int64_t: options, properties, and the numbers of token
 * files.
 *
 * ## Latents
 *
 * Between the halves of a network are latents: floats, frame after frame, MIMI_PROP_LATENT_DIM of them in
 * a frame. Those of an encoder are what enters the quantizer, those of a decoder what leaves it, and
 * mimi_quantize() and mimi_dequantize() stand between them. (kyutai's moshi has them as encode_to_latent
 * without quantising, and as decode_latent.) A model without a quantizer, such as the Mimi of Pocket TTS,
 * has latents alone, and codes are MIMI_ERR_UNSUPPORTED.
 *
 * Functions for latents do what those for codes do. mimi_encode() gives the codes that mimi_quantize()
 * makes of its latents, and mimi_decode_latents() the audio of the codes that mimi_dequantize() has read,
 * bit for bit. A stream may have codes in one call and latents in the next. Decoders and mimi_quantize()
 * take not-a-number and infinity as 0 and cut values to +-100000: nothing of them stays in a stream. If
 * they cut latents that the network itself has made, the bits differ. MIMI_PROP_FRAMES counts frames of
 * latents, MIMI_PROP_CODES_HASH leaves them out. Captures and playbacks have codes alone.
 *
 * ## Lost frames
 *
 * MIMI_NO_CODE in the place of a code says that it did not arrive. mimi_decoder_process() takes it, and
 * so do mimi_decode(), mimi_decoder_process_many() and mimi_playback_write(). A frame of latents that did
 * not arrive is NULL in place of them: mimi_decoder_process_latents().
 *
 * The codes of a frame belong to two branches, a semantic one (in the published model code 0) and an
 * acoustic one (the others). Each code refines those before it in its branch. A frame is decoded with the
 * codes of each branch that come before the branch's first MIMI_NO_CODE. If the first k codes of every
 * frame arrive, the audio is that of a decoder with k codebooks: a sender may save bits at any frame.
 *
 * A frame without such codes is concealed. The last sound goes on, never louder than the last frame was,
 * and falls silent within five frames. The first frame that arrives swells to its full level within a
 * quarter of its length. A concealed frame is as long as any other. A decoder counts it in
 * MIMI_PROP_FRAMES and MIMI_PROP_CONCEALED. A playback counts frames that were written as lost in
 * MIMI_PROP_LOST, and those that it lacked in MIMI_PROP_CONCEALED. The network forgets a loss: after as
 * many frames as its attention reaches back, the audio is almost what it would have been.
 *
 * Write a frame that is known to be lost in its place: what follows then keeps its time. Token files have
 * no MIMI_NO_CODE.
 *
 * ## Ownership
 *
 * Models, streams and option bags are handles. The function named in their _new, _clone or _load
 * function frees them; freeing NULL does nothing. A stream keeps its model's weights alive: models and
 * streams may be freed in any order. No function keeps a pointer of yours after it has returned.
 * The strings that functions return are never freed by you.
 *
 * ## Failure
 *
 * Functions return MIMI_OK (0) or a negative status. After an error other than MIMI_ERR_PANIC the call
 * has had no effect: no input is consumed, no output written, a stream is as it was, and you may call
 * again. Four things are set all the same: with MIMI_ERR_BUFFER_TOO_SMALL a last argument that is for a
 * count receives the number of elements that the call needs room for, a function that makes a handle
 * sets it to NULL, a decoder remembers the code that was MIMI_ERR_CORRUPT (MIMI_PROP_BAD_CODE_INDEX), and
 * a playback counts frames that it refuses (MIMI_PROP_DROPPED).
 *
 * These hold for every function, and are not repeated there:
 *
 * - Pointers must not be NULL (MIMI_ERR_NULL_POINTER), unless the function says so. An empty buffer is
 *   the exception: NULL with a length or capacity of 0.
 * - Pointers must be aligned, and buffers must lie within the address space. Buffers and places for
 *   results must not overlap (MIMI_ERR_INVALID_ARGUMENT).
 * - Handles must be of the kind that the function takes, and usable (MIMI_ERR_STATE).
 * - A key must be known (MIMI_ERR_UNSUPPORTED).
 *
 * No library can see that a pointer is wild, or a buffer shorter than you say: that is up to you.
 *
 * There are two ways to learn the size of a result. mimi_codes_for(), mimi_samples_for() and their
 * relatives compute it. A call that has too little room, such as none, says how much it needs with
 * MIMI_ERR_BUFFER_TOO_SMALL.
 *
 * mimi_last_error() describes a failure in words: the file, tensor, option or argument, what was found
 * and what was expected. Real-time functions return the status alone. After one of them has failed,
 * mimi_last_error() still holds the message of an earlier call, or none: use mimi_status_string().
 *
 * ## What the library does to its host
 *
 * It never prints, reads no environment variable, installs no signal handler, opens only the files that
 * you name, and starts only the threads that MIMI_OPT_THREADS asks for, which end with the call. It
 * never ends the program, except for the allocations named below. A bug inside it becomes
 * MIMI_ERR_PANIC; only then may the run-time library write a line to stderr.
 *
 * Running out of memory is MIMI_ERR_OUT_OF_MEMORY. Only small allocations while loading, or while
 * opening a capture, a playback or a stream with MIMI_OPT_SAMPLE_RATE, can end the program. The library
 * checks for room before it makes them. The threads of MIMI_OPT_THREADS have no such care.
 *
 * On x86 with SSE2 and on 64-bit Arm, every function computes in a floating-point mode of its own:
 * rounding to nearest, denormal numbers flushed to zero, no exception trapped, whatever the input and
 * whatever mode the caller has set. Afterwards the caller's mode and status flags are as before the
 * call. On other processors the caller's mode stays.
 *
 * ## What a model may cost
 *
 * A checkpoint of a few kilobytes can describe a network that takes gigabytes or hours. Such a model is
 * MIMI_ERR_UNSUPPORTED when it is loaded, with a message that says what it would take. Every other model
 * keeps to these bounds:
 *
 * - A stream with default options takes at most 512 MiB (the published model's: 10 MB), and so does a
 *   one-shot call, beside its result. MIMI_OPT_CONTEXT and MIMI_OPT_MAX_BLOCK may raise that to 4 GiB,
 *   MIMI_OPT_SAMPLE_RATE adds up to 512 MB. Options that ask for more are MIMI_ERR_INVALID_ARGUMENT.
 * - A frame takes at most 2^35 multiply-adds, or what costs as much, and a second of audio 2^39, a hundred
 *   times what the published model takes. That is seconds a frame, and minutes a second of audio. A call
 *   with a single sample may take a frame's time.
 * - A loaded model takes at most 64 times its file and 256 MiB: a weight on disk may have 16 bits, and
 *   narrow layers are filled up to whole registers.
 * - A config has at most 1 MiB, a header 100 MB. Reading them takes up to 128 and 32 times that.
 */

/**
 * @defgroup mimi_threads Threads and real time
 *
 * ## Threads
 *
 * | handle                     | threads                      | at the same time                      |
 * |----------------------------|------------------------------|---------------------------------------|
 * | mimi_model                 | any                          | yes, all functions but mimi_free()    |
 * | mimi_encoder, mimi_decoder | any, also one after another  | no: one call at a time per handle     |
 * | mimi_capture, mimi_playback | see below                   | one call of each side                 |
 * | mimi_options               | any                          | reading only                          |
 *
 * A capture and a playback have three sides, which may be on three threads or on fewer. One call at a
 * time of each side:
 *
 * | side       | mimi_capture            | mimi_playback            |
 * |------------|-------------------------|--------------------------|
 * | audio      | mimi_capture_write()    | mimi_playback_read()     |
 * | codes      | mimi_capture_read()     | mimi_playback_write()    |
 * | work       | mimi_capture_work()     | mimi_playback_work()     |
 * | any thread | mimi_capture_get()      | mimi_playback_get()      |
 * | alone      | mimi_capture_reset(), mimi_capture_free() | mimi_playback_reset(), mimi_playback_free() |
 *
 * No side ever waits for another. After MIMI_ERR_PANIC its side answers MIMI_ERR_STATE, and the others
 * go on.
 *
 * Different handles never disturb each other. Do not free a handle while a call uses it, and do not
 * cancel a thread while it is in the library.
 *
 * ## Real time
 *
 * Functions marked "Real-time." do not allocate or free memory, lock, make system calls, use
 * thread-local memory, or log, from the first call on and in any thread. Their work per frame is
 * bounded.
 *
 * Real-time does not mean that a call fits an audio callback. Mimi works on whole frames of 80 ms:
 * with blocks of 64 samples, 29 calls of 30 of an encoder do next to nothing and one does the work of
 * the frame. In an audio callback use mimi_capture and mimi_playback, whose calls do equal shares of it.
 */

#ifndef MIMI_H
#define MIMI_H

#include <stddef.h>
#include <stdint.h>

/* With MSVC and the DLL, MIMI_DLL saves one jump per call; everything works without it. */
#if defined(_WIN32) && defined(MIMI_DLL)
#define MIMI_API __declspec(dllimport)
#else
#define MIMI_API
#endif

/* Functions whose status must not be ignored. */
#if defined(__GNUC__) || defined(__clang__)
#define MIMI_NODISCARD __attribute__((warn_unused_result))
#else
#define MIMI_NODISCARD
#endif

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @defgroup mimi_version Which library this is
 * @{
 */

/** The version of this header. A change of MINOR may change the ABI while MAJOR is 0; within one
 * MINOR, functions, keys and status codes are only ever added. */
#define MIMI_VERSION_MAJOR 0
/** See MIMI_VERSION_MAJOR. */
#define MIMI_VERSION_MINOR 1
/** See MIMI_VERSION_MAJOR. */
#define MIMI_VERSION_PATCH 0
/** The version of this header as one number; compare it with mimi_version_number(). */
#define MIMI_VERSION_NUMBER (((MIMI_VERSION_MAJOR * 10000) + (MIMI_VERSION_MINOR * 100)) + MIMI_VERSION_PATCH)

/**
 * The version of the library that was loaded: MAJOR * 10000 + MINOR * 100 + PATCH.
 *
 * Differs from MIMI_VERSION_NUMBER when the program was compiled with the header of another
 * release. Cannot fail.
 */
MIMI_API uint32_t mimi_version_number(void);

/**
 * The version of the library that was loaded, and the best kernels that this CPU can run, for example
 * "0.1.0 (avx2, fma)".
 *
 * For logs and bug reports; do not parse it. The string is static: never free it. Never NULL.
 */
MIMI_API const char *mimi_version_string(void);

/** @} */

/**
 * @defgroup mimi_status Status codes, and the message of a thread's last failure
 * @{
 */

/** The result of most functions: MIMI_OK, or one of the negative MIMI_ERR_ codes. Later releases
 * may add codes: treat every negative value as an error. */
typedef int32_t mimi_status;

/** Success. */
#define MIMI_OK 0
/** A required pointer is NULL. */
#define MIMI_ERR_NULL_POINTER (-1)

/** An argument or option value that can never be right: out of range, a misaligned pointer, a
 * length beyond the address space, a partial frame of codes or latents, buffers that overlap. */
#define MIMI_ERR_INVALID_ARGUMENT (-2)

/** The output buffer is too small, and the function's last argument received the number of elements
 * needed; or mimi_playback_write() has no room for so many frames. */
#define MIMI_ERR_BUFFER_TOO_SMALL (-3)
/** A file could not be read. */
#define MIMI_ERR_IO (-4)
/** The bytes are not in the format that is expected: not a Mimi checkpoint, or not a token header. */
#define MIMI_ERR_FORMAT (-5)
/** Damaged data: a truncated or misshapen checkpoint, non-finite weights, a code out of range. */
#define MIMI_ERR_CORRUPT (-6)

/** Well-formed, but not something that this library, this model or this CPU does: an unknown key or
 * choice, a network that it cannot run, the half of a model that was not loaded. */
#define MIMI_ERR_UNSUPPORTED (-7)
/** Memory for weights or for a stream could not be had. */
#define MIMI_ERR_OUT_OF_MEMORY (-8)
/** A callback of yours asked to stop. */
#define MIMI_ERR_ABORTED (-9)

/** The handle is of the wrong kind, was freed, or is unusable after MIMI_ERR_PANIC; or another call is in
 * the same side of a capture or a playback. The check for
 * freed handles is a best effort: using one is a bug all the same. */
#define MIMI_ERR_STATE (-10)

/** A bug in libmimi was caught. A stream that it happened to answers MIMI_ERR_STATE until it is
 * reset or freed; everything else is unaffected. Please report it. */
#define MIMI_ERR_PANIC (-11)

/**
 * What a status code means, in English.
 *
 * Any number is accepted. The string is static: never free it. Never NULL.
 */
MIMI_API const char *mimi_status_string(mimi_status status);

/**
 * What exactly went wrong in this thread's last failed call: the file, tensor, option or argument,
 * what was found and what was expected.
 *
 * Ask only after a function that is not real-time has failed. Successful calls and real-time functions
 * leave the message as it is: after them it is of an earlier call, or empty. A message about a file begins
 * with its path. UTF-8, one line, cut at 1023 bytes. The string belongs to the thread, and holds until the
 * thread's next failed call or its end. Never free it. Never NULL.
 */
MIMI_API const char *mimi_last_error(void);

/** @} */

/**
 * @defgroup mimi_options Options: a bag of numbers by key
 * @{
 */

/** A bag of options. A function that takes one reads the keys that concern it, ignores the others, and
 * keeps nothing: change, re-use or free the bag as soon as the call has returned. NULL stands for all
 * defaults. */
typedef struct mimi_options mimi_options;

/** The key of an option. For every key, 0 stands for the default and is what a new bag holds. */
typedef int32_t mimi_option;

/** Streams and one-shot calls: the number of codebooks, that is, of codes per frame; 1 to as many as
 * the model has. More codebooks sound better. Default: 8, or as many as the model's config calls valid,
 * or all if the model has fewer.
 * Loading: keep only this many codebooks, which takes 2 to 3 MB less for each that is left out.
 * Default: all. */
#define MIMI_OPT_CODEBOOKS 1

/** Streams and one-shot calls: the sample rate of your audio in Hz. Default: the model's, 24000 in the
 * published one. Other rates are converted, without a shift between input and output. Possible are
 * 1000 to 768000 Hz at which a frame is an even number of samples: multiples of 25 with the published
 * model (44100: 3528 samples, 48000: 3840). Properties and lengths then count at this rate. It adds a
 * few milliseconds of latency on either side, and a stream's last samples or frame come with the
 * flush. MIMI_OPT_ISA does not apply to the conversion. */
#define MIMI_OPT_SAMPLE_RATE 2

/** Streams and one-shot calls: the number of samples worked on at once, at the model's rate, at most
 * 262144; rounded up to whole frames. Longer calls are split, and the results do not depend on it. More
 * is faster for long inputs and takes more memory. Default: one frame for streams; a few for one-shot
 * calls. */
#define MIMI_OPT_MAX_BLOCK 3
/** Loading: how weights are kept in memory, a MIMI_PRECISION_ value. */
#define MIMI_OPT_PRECISION 4

/** Loading: which half of the model to load, a MIMI_PARTS_ value. Half a model takes half the
 * memory. What needs the other half is then MIMI_ERR_UNSUPPORTED. */
#define MIMI_OPT_PARTS 5
/** Streams and one-shot calls: how a last partial frame is completed, a MIMI_TAIL_ value. */
#define MIMI_OPT_TAIL 6

/** Streams and one-shot calls: how far attention looks back, in steps of the transformers, at most
 * 65536. The published model has two steps a frame, and looks back 250 steps or 10 seconds. Default:
 * the checkpoint's number. Any other number gives other codes than everybody else's. */
#define MIMI_OPT_CONTEXT 7

/** One-shot calls and loading: the number of threads that share the work, at most 64, the caller's among
 * them; loading has work for two, and mimi_load_reader() for one. They are started by the call and gone
 * when it returns, and change no result. More threads than cores make it slower. Streams always stay on
 * their caller's thread. Default: 1. With more, a lack of memory may end the program, and your signal
 * handlers may run on these threads. In WebAssembly without threads, more is MIMI_ERR_UNSUPPORTED. */
#define MIMI_OPT_THREADS 8

/** Loading: the instruction set that the kernels use, a MIMI_ISA_ value. Loading with one that this CPU
 * lacks is MIMI_ERR_UNSUPPORTED. */
#define MIMI_OPT_ISA 9
/** Captures and playbacks: who does the work of a frame, a MIMI_WORK_ value. */
#define MIMI_OPT_WORK 10

/** Captures and playbacks: 1 if audio is not in real time, as when a host renders to a file. The audio
 * thread does all work, whatever MIMI_OPT_WORK says, and nothing is concealed or late: where a playback
 * lacks codes, it gives silence, and goes on where it was when they have come. Default: 0. */
#define MIMI_OPT_OFFLINE 11

/** Playbacks: the frames that wait before it starts, 1 to 64. Each adds a frame to the latency, and each
 * but the first lets frames come a frame later than the first did. 1 is enough where the audio callback
 * itself moves the codes. Default: 2. */
#define MIMI_OPT_BUFFER_FRAMES 12

/** The weights as they are in the checkpoint, as 32-bit floats. The default, which takes packed weights in
 * their precision. (Other implementations round differently: they sum in another order.) */
#define MIMI_PRECISION_F32 0

/** Weights are rounded to bfloat16: half the memory, and faster streams. Codebooks, norms, biases,
 * SEANet's convolutions of up to 131,072 weights and all arithmetic stay in 32-bit floats. A stream's
 * keys and values are rounded to 16 bits, which halves its memory. */
#define MIMI_PRECISION_BF16 1

/** Weights are rounded to 8 bits with a scale for each output: a quarter of the memory, and faster yet.
 * The inputs of their products are rounded to 16 bits, and summed in integers. SEANet's convolutions of
 * up to 524,288 weights and the rest are as with MIMI_PRECISION_INT16. */
#define MIMI_PRECISION_INT8 2

/** Weights, also those of small convolutions, are rounded to integers of 12 to 16 bits with a scale for
 * each output: half the memory, faster than 32-bit floats, and nearer to them than MIMI_PRECISION_BF16.
 * The inputs of their products are rounded to 15 bits, and summed in integers. The rest is as with BF16. */
#define MIMI_PRECISION_INT16 3
/** Load the encoder and the decoder. The default. */
#define MIMI_PARTS_BOTH 0
/** Load the encoder alone. */
#define MIMI_PARTS_ENCODER 1
/** Load the decoder alone. */
#define MIMI_PARTS_DECODER 2
/** The waveform is padded with zeros to whole frames, as kyutai's moshi does. The default. */
#define MIMI_TAIL_AUDIO_PAD 0
/** Each layer pads its own input, as Hugging Face transformers does. */
#define MIMI_TAIL_LAYER_PAD 1
/** The best that this CPU has. The default. */
#define MIMI_ISA_AUTO 0
/** Only what every CPU of this architecture has. */
#define MIMI_ISA_BASELINE 1
/** x86: AVX2 and FMA. */
#define MIMI_ISA_AVX2 2
/** x86: AVX-512 F and BW. */
#define MIMI_ISA_AVX512 3
/** Arm: NEON. */
#define MIMI_ISA_NEON 4
/** WebAssembly: SIMD of 128 bits. */
#define MIMI_ISA_SIMD128 5

/** The audio thread does the work, in equal shares: after m of a frame's n samples, m/n of the work on the
 * frame before is done. The default. Of the published model at 48 kHz, a call with 64 samples takes up
 * to half as much time again as the average, and one with 16 up to three times as much. */
#define MIMI_WORK_SPREAD 0

/** A thread of yours does the work, with mimi_capture_work() and mimi_playback_work(), and the audio
 * thread only copies. Latencies are the same. Blocks must not be longer than a frame: what comes twice in
 * one call leaves that thread no time. */
#define MIMI_WORK_OTHER 1

/** A new bag with all defaults; free it with mimi_options_free(). NULL if there is no memory for it. */
MIMI_API mimi_options *mimi_options_new(void);

/**
 * Sets the option `key`, a MIMI_OPT_ key, to `value`; 0 for the default.
 *
 * MIMI_ERR_UNSUPPORTED also for a choice that this release does not know, MIMI_ERR_INVALID_ARGUMENT
 * for a number out of range. Limits that depend on the model, such as its number of codebooks and its
 * sample rates, are checked where the bag is used.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_options_set(mimi_options *options, mimi_option key, int64_t value);

/** Reads an option: `out_value` receives the value of `key` that was set, or 0 for the default. */
MIMI_API MIMI_NODISCARD mimi_status mimi_options_get(const mimi_options *options, mimi_option key,
    int64_t *out_value);

/** Frees a bag. NULL is allowed. */
MIMI_API void mimi_options_free(mimi_options *options);

/** @} */

/**
 * @defgroup mimi_model Models: loading them, and asking for their numbers
 * @{
 */

/** A loaded model: weights that never change, so that any number of streams and threads may use it
 * at once. Streams keep the weights alive: free the model as soon as you will open no more. */
typedef struct mimi_model mimi_model;

/**
 * Your function that reads a checkpoint for mimi_load_reader().
 *
 * - `user`: the pointer that you gave to mimi_load_reader().
 * - `offset`, `len`: copy these bytes of the checkpoint; offset + len is at most its size.
 * - `dst`: where to; room for len bytes.
 *
 * Return 0 when all len bytes are in place. Return anything else to stop: the load is then
 * MIMI_ERR_ABORTED. It is called during mimi_load_reader(), on the same thread and in the library's
 * floating-point mode, with offsets in any order. It must not throw a C++ exception, longjmp or end
 * its thread.
 */
typedef int32_t (*mimi_read_fn)(void *user, uint64_t offset, void *dst, size_t len);

/** A property of a model or of a stream. MIMI_ERR_UNSUPPORTED for a key that does not apply. Those that
 * name neither models nor streams alone apply to both, and a stream answers for its model. */
typedef int32_t mimi_prop;

/** Model: the codebooks that it has. Stream: its codes per frame. */
#define MIMI_PROP_CODEBOOKS 1
/** Samples per second of the audio; 24000 in the published model. Stream: those of MIMI_OPT_SAMPLE_RATE. */
#define MIMI_PROP_SAMPLE_RATE 2
/** Samples per frame; 1920, or 80 ms, in the published model. Stream: at its sample rate. */
#define MIMI_PROP_FRAME_SAMPLES 3
/** Codes are below this; 2048 in the published model. */
#define MIMI_PROP_CODEBOOK_SIZE 4

/** Streams: the samples, at the stream's rate, by which an audio host must delay the dry signal to line
 * it up. Encoder: a frame's codes come this many samples after its first sample. Decoder: the samples
 * of a frame that are held back. For an encoder and a decoder in a row, add the two.
 * Capture: two frames; at a rate other than the model's, a few milliseconds more. Playback: a frame for
 * each that must wait, and as much more. A capture and a playback in one callback delay audio by the sum
 * of the two, to the sample, if each callback writes the capture, moves the codes over and then reads the
 * playback. In another order, or with another thread that moves the codes, it may be a frame more,
 * and differ from one start to the next. */
#define MIMI_PROP_LATENCY_SAMPLES 5

/** Streams: the frames emitted (encoder), read (capture) or taken (decoder, playback) since the stream
 * began. */
#define MIMI_PROP_FRAMES 6
/** Model: the bytes of its weights in memory. Stream: the bytes of its state, without the model's. */
#define MIMI_PROP_MEMORY_BYTES 7

/** Streams: a hash of the codes of these frames. Both ends agree only if every code arrived, in order. A
 * code that a decoder could not use counts as MIMI_NO_CODE, so that two decoders agree if they lost the
 * same. */
#define MIMI_PROP_CODES_HASH 8

/** A fingerprint of what gives codes their meaning, 0 to 2^63 - 1. A model can decode the codes of
 * another only if their fingerprints are equal. */
#define MIMI_PROP_MODEL_ID 9
/** The bits that one code needs; 11 in the published model. */
#define MIMI_PROP_CODE_BITS 10
/** How the weights are kept, a MIMI_PRECISION_ value. */
#define MIMI_PROP_PRECISION 11
/** The instruction set that the kernels use, a MIMI_ISA_ value other than MIMI_ISA_AUTO. */
#define MIMI_PROP_ISA 12
/** The half of the model that was loaded, a MIMI_PARTS_ value. */
#define MIMI_PROP_PARTS 13
/** Streams: the codes (encoder) or samples (decoder) that a flush would write now. */
#define MIMI_PROP_FLUSH_LEN 14

/** Decoders: where the bad code stood in the input of the last call that answered MIMI_ERR_CORRUPT; in
 * mimi_decoder_process_many(), in this stream's frame. -1 if there was none since the stream was
 * opened, reset or flushed. */
#define MIMI_PROP_BAD_CODE_INDEX 15
/** Decoders: the value of that code, or -1. */
#define MIMI_PROP_BAD_CODE_VALUE 16

/** Decoders: the frames concealed since the stream began. Playbacks: the frames that were not there when
 * their time came, and were concealed. */
#define MIMI_PROP_CONCEALED 17
/** Playbacks: the frames taken that were lost: all their codes are MIMI_NO_CODE. */
#define MIMI_PROP_LOST 18
/** Playbacks: the frames taken that still wait for their time. */
#define MIMI_PROP_WAITING 19

/** Playbacks: the frames taken that came after their time and were thrown away. All of MIMI_PROP_FRAMES
 * that neither wait nor were late have had their time. */
#define MIMI_PROP_LATE 20

/** Playbacks with MIMI_WORK_OTHER: the frames whose audio mimi_playback_work() had not made in time.
 * Silence was heard. */
#define MIMI_PROP_MISSED 21

/** Captures: the frames whose codes nobody will read, because they were not read or encoded in time.
 * Playbacks: the frames that were refused for want of room. */
#define MIMI_PROP_DROPPED 22
/** The values in a frame of latents; 512 in the published model, 32 in that of Pocket TTS. */
#define MIMI_PROP_LATENT_DIM 23
/** Encoders: the values that mimi_encoder_flush_latents() would write now. */
#define MIMI_PROP_FLUSH_LATENTS 24

/**
 * Loads a model from the file system.
 *
 * - `path`: a file `model.safetensors`, a directory that holds one with its `config.json`, or the index of
 *   a checkpoint in parts; in the layout of Hugging Face transformers or of kyutai's moshi. UTF-8 on every
 *   system. It is not the name of a model on a hub: `mimi fetch` brings one, and prints its folder.
 * - `options`: MIMI_OPT_ PARTS, PRECISION, CODEBOOKS, ISA and THREADS; NULL for the defaults.
 * - `out`: receives the model; free it with mimi_free().
 *
 * Folders of models that embed Mimi are taken as they are: its weights are found by their names, in an
 * index of any name, in `model.safetensors`, or in the file that `config.json` names as `mimi_name`.
 * Examples are Moshi, Hibiki, CSM, Pocket TTS, and Qwen3-TTS-Tokenizer-12Hz, which has the encoder alone.
 * If the codec is in a subfolder, the message of MIMI_ERR_FORMAT names that.
 *
 * The network's numbers are the first that are found: in the metadata entry `config` of the file; in
 * `config.json` beside it, if it holds them; in the file that `config.json` names as `mimi_config_name`,
 * else in `mimi_config.json`, else in the part `mimi` of a YAML file. If none is there, they are those of a
 * published model, unless a `config.json` of something else is: MIMI_ERR_FORMAT.
 *
 * `mimi convert --packed` writes a file for libmimi alone, whose weights are only read and checked by hash.
 * MIMI_ERR_UNSUPPORTED if another release packed it, or for another kind of CPU or another precision.
 *
 * MIMI_ERR_IO if a file cannot be read, MIMI_ERR_FORMAT if it is not a Mimi checkpoint, MIMI_ERR_CORRUPT
 * if it is damaged, MIMI_ERR_UNSUPPORTED for a network that this library cannot run (and on WebAssembly,
 * which has no files), MIMI_ERR_INVALID_ARGUMENT for more codebooks than it has. A hostile file is an error
 * like any other.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_load(const char *path, const mimi_options *options,
    mimi_model **out);

/**
 * Loads a model from memory.
 *
 * - `data`, `len`: the bytes of one `model.safetensors`. What is needed of them is copied: free them
 *   when the call has returned.
 * - `options`, `out`: as for mimi_load().
 *
 * The network's numbers come from the checkpoint's own metadata, or are those of a published model.
 * Errors are those of mimi_load(), without MIMI_ERR_IO.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_load_memory(const void *data, size_t len,
    const mimi_options *options, mimi_model **out);

/**
 * Loads a model through a function of yours: from an archive, an asset, a network.
 *
 * - `read`: the function. It can also show progress, and stop the load.
 * - `user`: handed to it; may be NULL.
 * - `size`: the bytes of the checkpoint, one `model.safetensors`.
 * - `options`, `out`: as for mimi_load().
 *
 * Errors are those of mimi_load_memory(), and MIMI_ERR_ABORTED if `read` returned other than 0.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_load_reader(mimi_read_fn read, void *user, uint64_t size,
    const mimi_options *options, mimi_model **out);

/** Reads a property of a model: `out_value` receives that of `key`, a MIMI_PROP_ key. */
MIMI_API MIMI_NODISCARD mimi_status mimi_model_get(const mimi_model *model, mimi_prop key,
    int64_t *out_value);

/** Frees a model; streams on it live on. NULL is allowed. */
MIMI_API void mimi_free(mimi_model *model);

/** @} */

/**
 * @defgroup mimi_oneshot Whole recordings in one call
 * @{
 */

/**
 * Encodes a whole recording.
 *
 * - `model`: a model with an encoder. Any number of threads may use it at once.
 * - `options`: MIMI_OPT_CODEBOOKS, MIMI_OPT_TAIL, MIMI_OPT_MAX_BLOCK, MIMI_OPT_CONTEXT,
 *   MIMI_OPT_SAMPLE_RATE, MIMI_OPT_THREADS; NULL for the defaults.
 * - `pcm`, `n_samples`: mono audio, at the model's sample rate or MIMI_OPT_SAMPLE_RATE.
 * - `codes`, `codes_cap`: room for the codes: codebooks * ceil(n_samples / frame samples), where a
 *   frame is 1920 samples at 24000 Hz, 3528 at 44100, 3840 at 48000. mimi_codes_for() tells exactly.
 * - `out_codes`: receives the number of codes written.
 *
 * MIMI_ERR_UNSUPPORTED if the model was loaded without its encoder. The codes are a stream's, bit for
 * bit.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_encode(const mimi_model *model, const mimi_options *options,
    const float *pcm, size_t n_samples, uint32_t *codes, size_t codes_cap, size_t *out_codes);

/**
 * Decodes a whole recording.
 *
 * - `model`: a model with a decoder. Any number of threads may use it at once.
 * - `options`: as for mimi_encode(); MIMI_OPT_CODEBOOKS says how many codes make a frame.
 * - `codes`, `n_codes`: whole frames of codes, MIMI_NO_CODE in place of those that are lost.
 * - `pcm`, `pcm_cap`: room for the audio, frame samples for each frame. mimi_samples_for() tells exactly.
 * - `out_samples`: receives the number of samples written. They line up with what was encoded;
 *   the last frame may reach beyond it.
 *
 * MIMI_ERR_INVALID_ARGUMENT for a partial frame, MIMI_ERR_CORRUPT if a code is neither below
 * MIMI_PROP_CODEBOOK_SIZE nor MIMI_NO_CODE, MIMI_ERR_UNSUPPORTED if the model was loaded without its
 * decoder.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_decode(const mimi_model *model, const mimi_options *options,
    const uint32_t *codes, size_t n_codes, float *pcm, size_t pcm_cap, size_t *out_samples);

/**
 * Tells how many codes mimi_encode() writes, at once and without the audio.
 *
 * - `model`, `options`: those of the call to come.
 * - `n_samples`: the samples of the recording.
 * - `out_codes`: receives the number of codes.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_codes_for(const mimi_model *model, const mimi_options *options,
    size_t n_samples, size_t *out_codes);

/**
 * Tells how many samples mimi_decode() writes, at once and without the codes.
 *
 * - `model`, `options`: those of the call to come.
 * - `n_codes`: the codes of the recording, whole frames.
 * - `out_samples`: receives the number of samples.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_samples_for(const mimi_model *model, const mimi_options *options,
    size_t n_codes, size_t *out_samples);

/** @} */

/**
 * @defgroup mimi_encoder Streams of audio to codes
 * @{
 */

/** A stream of audio to codes. One thread at a time; it may move between threads. */
typedef struct mimi_encoder mimi_encoder;

/**
 * Opens a stream. All the memory that it will ever use is allocated here.
 *
 * - `model`: a model with an encoder. The stream keeps its weights alive.
 * - `options`: MIMI_OPT_CODEBOOKS, MIMI_OPT_TAIL, MIMI_OPT_MAX_BLOCK, MIMI_OPT_CONTEXT,
 *   MIMI_OPT_SAMPLE_RATE; NULL for the defaults.
 * - `out`: receives the stream; free it with mimi_encoder_free().
 *
 * MIMI_ERR_INVALID_ARGUMENT for more codebooks than the model has or an impossible sample rate,
 * MIMI_ERR_UNSUPPORTED if the model was loaded without its encoder.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_encoder_new(const mimi_model *model, const mimi_options *options,
    mimi_encoder **out);

/**
 * Takes any number of samples and writes the codes of the frames that they complete. Real-time.
 *
 * - `pcm`, `n_samples`: mono audio at the stream's rate. All of it is taken.
 * - `codes`, `codes_cap`: room for the codes of as many frames as the call completes, at most
 *   ceil(n_samples / frame samples); mimi_encoder_codes_for() tells exactly.
 * - `out_codes`: receives the number of codes written, a multiple of the codebooks, often 0.
 *
 * Codes do not depend on how the audio is cut into calls.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_encoder_process(mimi_encoder *encoder, const float *pcm,
    size_t n_samples, uint32_t *codes, size_t codes_cap, size_t *out_codes);

/**
 * Ends the stream: completes a last partial frame by MIMI_OPT_TAIL and writes its codes. Real-time. The
 * decoded audio is whole frames, up to a frame longer than the recording: cut it to the samples that went in.
 *
 * - `encoder`: the stream. Afterwards it is as after mimi_encoder_reset(), except that it keeps
 *   MIMI_PROP_FRAMES and MIMI_PROP_CODES_HASH until the next audio.
 * - `codes`, `codes_cap`: room for MIMI_PROP_FLUSH_LEN codes: none if no audio is pending, else one
 *   frame. At a rate other than the model's, up to two frames.
 * - `out_codes`: receives the number of codes written.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_encoder_flush(mimi_encoder *encoder, uint32_t *codes,
    size_t codes_cap, size_t *out_codes);

/**
 * Tells how many codes mimi_encoder_process() would write for `n_samples` samples now. Real-time.
 *
 * - `n_samples`: the samples of the call to come.
 * - `out_codes`: receives the number of codes.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_encoder_codes_for(const mimi_encoder *encoder, size_t n_samples,
    size_t *out_codes);

/** Forgets everything: the stream is as new, also after MIMI_ERR_PANIC. Real-time. */
MIMI_API mimi_status mimi_encoder_reset(mimi_encoder *encoder);

/** Reads a property of a stream: `out_value` receives that of `key`, a MIMI_PROP_ key. Real-time. */
MIMI_API MIMI_NODISCARD mimi_status mimi_encoder_get(const mimi_encoder *encoder, mimi_prop key,
    int64_t *out_value);

/** Forks a stream: the copy stands at the same point, has the same options and goes its own way.
 * `out` receives the copy; free it with mimi_encoder_free(). */
MIMI_API MIMI_NODISCARD mimi_status mimi_encoder_clone(const mimi_encoder *encoder, mimi_encoder **out);

/** Frees a stream. NULL is allowed. */
MIMI_API void mimi_encoder_free(mimi_encoder *encoder);

/** @} */

/**
 * @defgroup mimi_decoder Streams of codes to audio
 * @{
 */

/** A stream of codes to audio. One thread at a time; it may move between threads. */
typedef struct mimi_decoder mimi_decoder;

/** A code that did not arrive, in the input of decoders and playbacks; see "Lost frames". */
#define MIMI_NO_CODE UINT32_MAX

/**
 * Opens a stream, as mimi_encoder_new() does.
 *
 * - `model`: a model with a decoder.
 * - `options`: those of mimi_encoder_new(); MIMI_OPT_CODEBOOKS says how many codes make a frame.
 * - `out`: receives the stream; free it with mimi_decoder_free().
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_decoder_new(const mimi_model *model, const mimi_options *options,
    mimi_decoder **out);

/**
 * Takes whole frames of codes and writes their audio. Real-time.
 *
 * - `codes`, `n_codes`: any number of whole frames. All are taken. MIMI_NO_CODE stands for a code that
 *   did not arrive, and NULL with a positive length for whole frames that did not: see "Lost frames".
 * - `pcm`, `pcm_cap`: room for the audio; mimi_decoder_samples_for() tells exactly.
 * - `out_samples`: receives the number of samples written: the frames' samples. At a rate other than
 *   the model's, a stream's first call writes MIMI_PROP_LATENCY_SAMPLES fewer, which follow with the
 *   flush.
 *
 * The audio does not depend on how the frames are cut into calls. MIMI_ERR_INVALID_ARGUMENT for a
 * partial frame. MIMI_ERR_CORRUPT if a code is neither below MIMI_PROP_CODEBOOK_SIZE nor MIMI_NO_CODE:
 * MIMI_PROP_BAD_CODE_INDEX and MIMI_PROP_BAD_CODE_VALUE tell which.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_decoder_process(mimi_decoder *decoder, const uint32_t *codes,
    size_t n_codes, float *pcm, size_t pcm_cap, size_t *out_samples);

/**
 * Ends the stream and writes what audio is still due. Real-time.
 *
 * - `decoder`: the stream. Afterwards it is as after mimi_decoder_reset(), except that it keeps
 *   MIMI_PROP_FRAMES and MIMI_PROP_CODES_HASH until the next codes.
 * - `pcm`, `pcm_cap`: room for MIMI_PROP_FLUSH_LEN samples: none at the model's rate or if no codes
 *   were taken, else MIMI_PROP_LATENCY_SAMPLES.
 * - `out_samples`: receives the number of samples written.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_decoder_flush(mimi_decoder *decoder, float *pcm, size_t pcm_cap,
    size_t *out_samples);

/**
 * Tells how many samples mimi_decoder_process() would write for `n_codes` codes now. Real-time.
 *
 * - `n_codes`: the codes of the call to come, whole frames.
 * - `out_samples`: receives the number of samples.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_decoder_samples_for(const mimi_decoder *decoder, size_t n_codes,
    size_t *out_samples);

/** Forgets everything: the stream is as new, also after MIMI_ERR_PANIC. Real-time. */
MIMI_API mimi_status mimi_decoder_reset(mimi_decoder *decoder);

/** Reads a property of a stream: `out_value` receives that of `key`, a MIMI_PROP_ key. Real-time. */
MIMI_API MIMI_NODISCARD mimi_status mimi_decoder_get(const mimi_decoder *decoder, mimi_prop key,
    int64_t *out_value);

/** Forks a stream: the copy stands at the same point, has the same options and goes its own way.
 * `out` receives the copy; free it with mimi_decoder_free(). */
MIMI_API MIMI_NODISCARD mimi_status mimi_decoder_clone(const mimi_decoder *decoder, mimi_decoder **out);

/** Frees a stream. NULL is allowed. */
MIMI_API void mimi_decoder_free(mimi_decoder *decoder);

/** @} */

/**
 * @defgroup mimi_many Many streams of one model, one pass over its weights
 * @{
 */

/**
 * Encodes exactly one frame for each of several streams of one model. Real-time.
 *
 * Faster than a call for each, because the weights are read from memory once for many streams; every
 * stream's codes are the same bits as alone. Streams may come, go, be reset and be called alone
 * between calls, and may stand at different points of a frame. Streams with equal options next to each
 * other are the fastest.
 *
 * Streams may have different sample rates. One at a rate other than the model's must take its first
 * frame alone, with mimi_encoder_process(), before it can take part: that frame is encoded only when
 * samples of the second are there.
 *
 * - `encoders`, `n`: the streams, all of one model, none of them twice; at most 1024.
 * - `pcm`: for each stream a pointer to one frame of samples, its MIMI_PROP_FRAME_SAMPLES. In C,
 *   declare the array as `const float *pcm[]`.
 * - `codes`: for each stream a pointer to room for one frame of codes, MIMI_PROP_CODEBOOKS. Rooms must
 *   not overlap each other, and none may overlap any stream's audio or one of the three arrays.
 *
 * MIMI_ERR_INVALID_ARGUMENT for streams of different models, for the same stream twice, and for a
 * first frame.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_encoder_process_many(mimi_encoder *const *encoders, size_t n,
    const float *const *pcm, uint32_t *const *codes);

/**
 * Decodes exactly one frame for each of several streams of one model, as mimi_encoder_process_many()
 * encodes. Real-time.
 *
 * - `decoders`, `n`: the streams, all of one model, none of them twice; at most 1024. One at a rate
 *   other than the model's must take its first frame alone, with mimi_decoder_process(): the end of
 *   that frame's audio follows with the second.
 * - `codes`: for each stream a pointer to one frame of codes, MIMI_PROP_CODEBOOKS. All codes of a frame
 *   that is lost are MIMI_NO_CODE.
 * - `pcm`: for each stream a pointer to room for one frame of samples, its MIMI_PROP_FRAME_SAMPLES. Rooms
 *   must not overlap each other, and none may overlap any stream's codes or one of the three arrays.
 *
 * Errors are those of mimi_encoder_process_many(), and MIMI_ERR_CORRUPT as in mimi_decoder_process().
 * The stream with the bad code tells it by MIMI_PROP_BAD_CODE_INDEX, and is otherwise as it was.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_decoder_process_many(mimi_decoder *const *decoders, size_t n,
    const uint32_t *const *codes, float *const *pcm);

/** @} */

/**
 * @defgroup mimi_latents Latents in place of codes
 * @{
 */

/**
 * Encodes a whole recording to latents, as mimi_encode() does to codes.
 *
 * - `model`, `options`, `pcm`, `n_samples`: as for mimi_encode().
 * - `latents`, `latents_cap`: room for the latents: MIMI_PROP_LATENT_DIM values for each frame.
 *   mimi_latents_for() tells exactly.
 * - `out_values`: receives the number of values written.
 *
 * MIMI_ERR_UNSUPPORTED if the model was loaded without its encoder. The latents are a stream's, bit for
 * bit.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_encode_latents(const mimi_model *model, const mimi_options *options,
    const float *pcm, size_t n_samples, float *latents, size_t latents_cap, size_t *out_values);

/**
 * Decodes a whole recording of latents, as mimi_decode() does codes.
 *
 * - `model`, `options`: as for mimi_decode().
 * - `latents`, `n_values`: whole frames of latents.
 * - `pcm`, `pcm_cap`, `out_samples`: as for mimi_decode(). mimi_samples_for_latents() tells the room
 *   exactly.
 *
 * MIMI_ERR_INVALID_ARGUMENT for a partial frame, MIMI_ERR_UNSUPPORTED if the model was loaded without its
 * decoder.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_decode_latents(const mimi_model *model, const mimi_options *options,
    const float *latents, size_t n_values, float *pcm, size_t pcm_cap, size_t *out_samples);

/**
 * Tells how many values mimi_encode_latents() writes, at once and without the audio.
 *
 * - `model`, `options`: those of the call to come.
 * - `n_samples`: the samples of the recording.
 * - `out_values`: receives the number of values.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_latents_for(const mimi_model *model, const mimi_options *options,
    size_t n_samples, size_t *out_values);

/**
 * Tells how many samples mimi_decode_latents() writes, at once and without the latents.
 *
 * - `model`, `options`: those of the call to come.
 * - `n_values`: the values of the recording, whole frames.
 * - `out_samples`: receives the number of samples.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_samples_for_latents(const mimi_model *model,
    const mimi_options *options, size_t n_values, size_t *out_samples);

/**
 * Takes any number of samples and writes the latents of the frames that they complete. Real-time.
 *
 * - `pcm`, `n_samples`: as for mimi_encoder_process().
 * - `latents`, `latents_cap`: room for the latents of as many frames as the call completes;
 *   mimi_encoder_latents_for() tells exactly.
 * - `out_values`: receives the number of values written, a multiple of MIMI_PROP_LATENT_DIM, often 0.
 *
 * Latents do not depend on how the audio is cut into calls.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_encoder_process_latents(mimi_encoder *encoder, const float *pcm,
    size_t n_samples, float *latents, size_t latents_cap, size_t *out_values);

/**
 * Ends the stream as mimi_encoder_flush() does, and writes latents. Real-time.
 *
 * - `latents`, `latents_cap`: room for MIMI_PROP_FLUSH_LATENTS values.
 * - `out_values`: receives the number of values written.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_encoder_flush_latents(mimi_encoder *encoder, float *latents,
    size_t latents_cap, size_t *out_values);

/**
 * Tells how many values mimi_encoder_process_latents() would write for `n_samples` samples now. Real-time.
 *
 * - `n_samples`: the samples of the call to come.
 * - `out_values`: receives the number of values.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_encoder_latents_for(const mimi_encoder *encoder, size_t n_samples,
    size_t *out_values);

/**
 * Takes whole frames of latents and writes their audio. Real-time.
 *
 * - `latents`, `n_values`: any number of whole frames. All are taken. NULL with a positive length stands
 *   for whole frames that did not arrive: see "Lost frames".
 * - `pcm`, `pcm_cap`: room for the audio; mimi_decoder_samples_for_latents() tells exactly.
 * - `out_samples`: receives the number of samples written, as with mimi_decoder_process().
 *
 * The audio does not depend on how the frames are cut into calls. MIMI_ERR_INVALID_ARGUMENT for a
 * partial frame. mimi_decoder_flush() ends the stream.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_decoder_process_latents(mimi_decoder *decoder, const float *latents,
    size_t n_values, float *pcm, size_t pcm_cap, size_t *out_samples);

/**
 * Tells how many samples mimi_decoder_process_latents() would write for `n_values` values now. Real-time.
 *
 * - `n_values`: the values of the call to come, whole frames.
 * - `out_samples`: receives the number of samples.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_decoder_samples_for_latents(const mimi_decoder *decoder,
    size_t n_values, size_t *out_samples);

/**
 * Encodes exactly one frame for each of several streams of one model, as mimi_encoder_process_many()
 * does, to latents. Real-time.
 *
 * - `encoders`, `n`, `pcm`: as for mimi_encoder_process_many().
 * - `latents`: for each stream a pointer to room for one frame of latents, MIMI_PROP_LATENT_DIM. Rooms
 *   must not overlap each other, and none may overlap any stream's audio or one of the three arrays.
 *
 * Errors are those of mimi_encoder_process_many().
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_encoder_process_many_latents(mimi_encoder *const *encoders, size_t n,
    const float *const *pcm, float *const *latents);

/**
 * Decodes exactly one frame for each of several streams of one model, as mimi_decoder_process_many()
 * does, of latents. Real-time.
 *
 * - `decoders`, `n`, `pcm`: as for mimi_decoder_process_many().
 * - `latents`: for each stream a pointer to one frame of latents, MIMI_PROP_LATENT_DIM.
 *
 * Errors are those of mimi_encoder_process_many().
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_decoder_process_many_latents(mimi_decoder *const *decoders, size_t n,
    const float *const *latents, float *const *pcm);

/**
 * Turns latents into codes, with the quantizer alone. Of the latents that mimi_encode_latents() writes, they
 * are the codes of mimi_encode(), bit for bit, if no latent is beyond +-100000.
 *
 * - `model`: a model with an encoder. Any number of threads may use it at once.
 * - `options`: MIMI_OPT_CODEBOOKS; NULL for the defaults.
 * - `latents`, `n_values`: whole frames of latents. A frame's codes do not depend on other frames.
 * - `codes`, `codes_cap`: room for the codes: codebooks * n_values / MIMI_PROP_LATENT_DIM.
 * - `out_codes`: receives the number of codes written.
 *
 * MIMI_ERR_INVALID_ARGUMENT for a partial frame, MIMI_ERR_UNSUPPORTED if the model has no quantizer or was
 * loaded without its encoder.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_quantize(const mimi_model *model, const mimi_options *options,
    const float *latents, size_t n_values, uint32_t *codes, size_t codes_cap, size_t *out_codes);

/**
 * Turns codes into latents, with the quantizer alone. mimi_decode_latents() makes of them the audio that
 * mimi_decode() makes of the codes, bit for bit, if no latent is beyond +-100000.
 *
 * - `model`: a model with a decoder. Any number of threads may use it at once.
 * - `options`: MIMI_OPT_CODEBOOKS, which says how many codes make a frame; NULL for the defaults.
 * - `codes`, `n_codes`: whole frames of codes. MIMI_NO_CODE counts as in a decoder, but nothing is
 *   concealed: a frame without a code that can be used is zeros.
 * - `latents`, `latents_cap`: room for the latents: MIMI_PROP_LATENT_DIM values for each frame.
 * - `out_values`: receives the number of values written.
 *
 * MIMI_ERR_INVALID_ARGUMENT for a partial frame, MIMI_ERR_CORRUPT for a code as in mimi_decode(),
 * MIMI_ERR_UNSUPPORTED if the model has no quantizer or was loaded without its decoder.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_dequantize(const mimi_model *model, const mimi_options *options,
    const uint32_t *codes, size_t n_codes, float *latents, size_t latents_cap, size_t *out_values);

/** @} */

/**
 * @defgroup mimi_capture Live audio to codes, from an audio thread
 * @{
 */

/** Live audio to codes: samples come in on an audio thread, and another thread reads their codes. No
 * call does much more than the average, or a third thread does the work: MIMI_OPT_WORK. */
typedef struct mimi_capture mimi_capture;

/**
 * Opens a capture. All the memory that it will ever use is allocated here.
 *
 * - `model`: a model with an encoder. The capture keeps its weights alive.
 * - `options`: MIMI_OPT_CODEBOOKS, MIMI_OPT_CONTEXT, MIMI_OPT_SAMPLE_RATE, MIMI_OPT_WORK,
 *   MIMI_OPT_OFFLINE; NULL for the defaults.
 * - `out`: receives the capture; free it with mimi_capture_free().
 *
 * Errors are those of mimi_encoder_new().
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_capture_new(const mimi_model *model, const mimi_options *options,
    mimi_capture **out);

/**
 * Takes any number of samples, on the audio thread. Real-time.
 *
 * - `pcm`, `n_samples`: mono audio at the capture's rate. All of it is taken.
 *
 * When a frame's last sample has come, the frame is encoded: in shares, by the calls that bring the
 * samples of the next frame, or by mimi_capture_work(). Its codes can be read when MIMI_PROP_LATENCY_SAMPLES
 * samples have come since its first one. They are those of a mimi_encoder. A capture has no end: so many
 * zeros bring the codes of the last samples.
 *
 * If codes are not read, 64 frames wait, and later ones are dropped: MIMI_PROP_DROPPED. So are frames
 * that come while mimi_capture_work() is eight frames behind.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_capture_write(mimi_capture *capture, const float *pcm,
    size_t n_samples);

/**
 * Reads the codes of the frames that are ready, on any one thread. Real-time.
 *
 * - `codes`, `codes_cap`: room for codes. As many whole frames as it holds are read; the others wait.
 * - `out_codes`: receives the number of codes written, a multiple of the codebooks, often 0.
 *
 * MIMI_ERR_BUFFER_TOO_SMALL if a frame is ready and there is no room for one.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_capture_read(mimi_capture *capture, uint32_t *codes,
    size_t codes_cap, size_t *out_codes);

/**
 * Encodes all frames that are complete, on any one thread: for MIMI_WORK_OTHER. Real-time, but for its
 * length.
 *
 * Call it at least once a frame. With MIMI_WORK_SPREAD, and offline, it does nothing.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_capture_work(mimi_capture *capture);

/** Forgets everything: the capture is as new, also after MIMI_ERR_PANIC. Real-time. No other call may
 * use it meanwhile, on any thread. */
MIMI_API mimi_status mimi_capture_reset(mimi_capture *capture);

/**
 * Reads a property of a capture, on any thread: `out_value` receives that of `key`, a MIMI_PROP_ key.
 * Real-time.
 *
 * Numbers that another thread changes may be a moment old.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_capture_get(const mimi_capture *capture, mimi_prop key,
    int64_t *out_value);

/** Frees a capture, when no thread uses it any more. NULL is allowed. */
MIMI_API void mimi_capture_free(mimi_capture *capture);

/** @} */

/**
 * @defgroup mimi_playback Live codes to audio, for an audio thread
 * @{
 */

/** Live codes to audio: a thread writes codes as they come, and an audio thread always gets its samples.
 * No call does much more than the average, or a third thread does the work: MIMI_OPT_WORK. */
typedef struct mimi_playback mimi_playback;

/**
 * Opens a playback. All the memory that it will ever use is allocated here.
 *
 * - `model`: a model with a decoder. The playback keeps its weights alive.
 * - `options`: those of mimi_capture_new(), and MIMI_OPT_BUFFER_FRAMES; NULL for the defaults.
 * - `out`: receives the playback; free it with mimi_playback_free().
 *
 * Errors are those of mimi_decoder_new().
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_playback_new(const mimi_model *model, const mimi_options *options,
    mimi_playback **out);

/**
 * Takes whole frames of codes, on any one thread, in the order in which they are to be heard.
 * Real-time.
 *
 * - `codes`, `n_codes`: whole frames. MIMI_NO_CODE stands for a code that did not arrive; NULL with a
 *   positive length for frames that were lost. Frames have no numbers here: the n-th that is written is
 *   the n-th that is heard. Write one that is known to be lost, or the next counts as late, up to five.
 *
 * MIMI_OPT_BUFFER_FRAMES and 16 more frames may wait. If these do not fit, none is taken: that is
 * MIMI_ERR_BUFFER_TOO_SMALL, and they count in MIMI_PROP_DROPPED. MIMI_ERR_INVALID_ARGUMENT for a partial
 * frame, MIMI_ERR_CORRUPT if a code is neither below MIMI_PROP_CODEBOOK_SIZE nor MIMI_NO_CODE.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_playback_write(mimi_playback *playback, const uint32_t *codes,
    size_t n_codes);

/**
 * Fills a buffer with the next samples, on the audio thread. Real-time.
 *
 * - `pcm`, `n_samples`: room for mono audio at the playback's rate, any number of samples. All of it is
 *   written.
 *
 * It is silence until MIMI_OPT_BUFFER_FRAMES frames wait. From then on, time is cut into periods of a
 * frame, at whose beginning the next frame is taken. It is decoded: in shares, by the calls of this
 * period, or by mimi_playback_work(). It is heard in the next period.
 *
 * A frame that is not there when its period begins is concealed (MIMI_PROP_CONCEALED), and thrown away
 * if it comes later (MIMI_PROP_LATE): the latency stays as it is. After five such frames in a row, the
 * playback waits as at its start, and a sender that paused is not late. If more than
 * MIMI_OPT_BUFFER_FRAMES wait after such a gap, the oldest are late.
 *
 * A call that reaches over m whole periods starts only if m more frames wait.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_playback_read(mimi_playback *playback, float *pcm, size_t n_samples);

/**
 * Decodes all frames that were taken, on any one thread: for MIMI_WORK_OTHER. Real-time, but for its
 * length.
 *
 * Call it at least once a frame. With MIMI_WORK_SPREAD, and offline, it does nothing.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_playback_work(mimi_playback *playback);

/** Forgets everything: the playback is as new, also after MIMI_ERR_PANIC. Real-time. No other call may
 * use it meanwhile, on any thread. */
MIMI_API mimi_status mimi_playback_reset(mimi_playback *playback);

/**
 * Reads a property of a playback, on any thread: `out_value` receives that of `key`, a MIMI_PROP_ key.
 * Real-time.
 *
 * Numbers that another thread changes may be a moment old.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_playback_get(const mimi_playback *playback, mimi_prop key,
    int64_t *out_value);

/** Frees a playback, when no thread uses it any more. NULL is allowed. */
MIMI_API void mimi_playback_free(mimi_playback *playback);

/** @} */

/**
 * @defgroup mimi_tokens Tokens as bytes
 * @{
 */

/**
 * What a reader of a token file must know before the first frame.
 *
 * Set `size` to sizeof(mimi_token_header) before each call, and the members that you do not mean to 0.
 * A later release may add members at the end: it takes a shorter struct as one whose missing members
 * are 0, and leaves what lies behind it alone. In a struct that is longer than this release knows,
 * members behind its own must be 0 when it is read (MIMI_ERR_UNSUPPORTED), and are set to 0 when it is
 * written.
 */
typedef struct {
    /** The bytes of this struct, as your program was compiled. */
    size_t size;
    /** Samples per second. `n_samples` and `frame_samples` count at this rate. It is the recording's, unless
     * `original_rate` is another. */
    int64_t sample_rate;
    /** Samples in a frame. The frame rate is `sample_rate / frame_samples`, exactly. */
    int64_t frame_samples;
    /** The length of the recording in samples; the last frame may reach beyond it. 0: unknown. */
    int64_t n_samples;
    /** Codes in a frame, 1 to 64. */
    int64_t codebooks;
    /** Bits of a code, 1 to 16. */
    int64_t code_bits;
    /** MIMI_PROP_MODEL_ID of the model that the codes belong to. 0: unknown. */
    int64_t model_id;
    /** The bytes of the header in the file: the offset of the first frame. Writers ignore it. */
    int64_t header_bytes;
    /** The rate of the original recording, if a frame is not a whole number of samples at that rate: then
     * `sample_rate` is another. 0: the recording's rate is `sample_rate`. */
    int64_t original_rate;
    /** The length of the recording at `original_rate`. 0: unknown, or `original_rate` is 0. */
    int64_t original_samples;
} mimi_token_header;

/**
 * Fills in the header of a token file for codes that a model makes with some options.
 *
 * - `model`: the model.
 * - `options`: those of the stream or of the call that makes the codes: MIMI_OPT_CODEBOOKS,
 *   MIMI_OPT_SAMPLE_RATE; NULL for the defaults.
 * - `header`: receives everything but the length and the original's numbers, which are 0; set `n_samples` if
 *   you know it.
 *
 * MIMI_ERR_INVALID_ARGUMENT for options that the model does not take.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_model_header(const mimi_model *model, const mimi_options *options,
    mimi_token_header *header);

/**
 * Writes the header of a token file.
 *
 * A token file is this header and then frames as mimi_pack() makes them, each of
 * ceil(codebooks * code_bits / 8) bytes: 11 for the published model with 8 codebooks, so 1.1 kbit/s.
 * Frame f begins at header_bytes + f * frame bytes, and a file that breaks off is good up to there. It is
 * whole if it has ceil(n_samples / frame_samples) frames. Frames have no checksum: changed bytes in them
 * are other codes.
 * Frames may also be sent alone, as packets, without a header.
 *
 * The header, byte by byte; all numbers are little-endian:
 *
 * | offset | bytes | |
 * |---|---|---|
 * | 0 | 4 | "mtok" in ASCII |
 * | 4 | 1 | version of the format: 1 |
 * | 5 | 1 | bits of a code, 1 to 16 |
 * | 6 | 2 | length n of the header, at least 40 |
 * | 8 | 2 | codes in a frame, 1 to 64 |
 * | 10 | 2 | flags, 0; a reader refuses others |
 * | 12 | 4 | sample rate in Hz |
 * | 16 | 4 | samples in a frame at this rate; the frame rate is the quotient |
 * | 20 | 8 | samples of the recording at this rate, below 2^63; 0 for unknown |
 * | 28 | 8 | MIMI_PROP_MODEL_ID, 0 for unknown |
 * | 36 | 4 | if n is at least 52: the original's sample rate in Hz, 0 for that above |
 * | 40 | 8 | if n is at least 52: samples of the original at its rate, below 2^63; 0 for unknown |
 * | n - 4 | 4 | CRC-32, that of zlib, of the bytes before |
 *
 * Readers may skip what lies between byte 36 and the CRC.
 *
 * A frame must be a whole number of samples at the header's rate: with the published model, the rate is a
 * multiple of 25 Hz. Convert a recording at another rate, such as 11111 Hz, before you encode it, usually
 * to the model's rate. The header then tells that rate, and `original_rate` and `original_samples` tell
 * what the recording was.
 *
 * A test vector: 8 codes of 11 bits, 24000 Hz, 1920 samples, 79610 samples, model 0x0123456789abcdef.
 *
 * `6d 74 6f 6b 01 0b 28 00 08 00 00 00 c0 5d 00 00 80 07 00 00`
 * `fa 36 01 00 00 00 00 00 ef cd ab 89 67 45 23 01 59 f4 86 c3`
 *
 * - `header`: the numbers; see mimi_model_header().
 * - `dst`, `dst_cap`: room for the header: 40 bytes, or 52 with an `original_rate`.
 * - `out_len`: receives the number of bytes written.
 *
 * MIMI_ERR_INVALID_ARGUMENT for a number that the format cannot hold, and for `original_samples` without
 * `original_rate`.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_pack_header(const mimi_token_header *header, void *dst,
    size_t dst_cap, size_t *out_len);

/**
 * Reads the header of a token file. No model is needed.
 *
 * - `src`, `len`: the beginning of the file. Files of this release have headers of 40 or 52 bytes, so that 64
 *   bytes are enough; more do no harm. A later release may write longer headers: bytes 6 and 7 of a file
 *   say how long its header is, low byte first.
 * - `header`: receives the numbers.
 *
 * MIMI_ERR_FORMAT for what is no token file, MIMI_ERR_UNSUPPORTED for one of a later format,
 * MIMI_ERR_CORRUPT for a damaged header, and for one that is longer than `len`.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_unpack_header(const void *src, size_t len,
    mimi_token_header *header);

/**
 * Tells the length of a recording at another sample rate, so that a reader whose decoder runs at that
 * rate can cut the last frame. Rounded up: to the samples that begin before the recording's end.
 *
 * - `header`: the header of the recording's token file. If it has `original_rate` and `original_samples`, the
 *   length is computed from these.
 * - `sample_rate`: the decoder's rate, MIMI_PROP_SAMPLE_RATE; 1 to 2^31 - 1 Hz.
 * - `out_samples`: receives the length, 0 for unknown.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_header_samples(const mimi_token_header *header, int64_t sample_rate,
    int64_t *out_samples);

/**
 * Packs codes into frames of bytes, code after code, most significant bit first. Real-time.
 *
 * The codes of codebooks 0 to k - 1 are the first k * code_bits bits of a frame, so that codebooks can
 * be dropped from a frame without encoding again: mimi_drop_codebooks(). Bits left over at a frame's
 * end are written as 0 and ignored by readers. A test vector, the frame of the codes 2047, 0, 2047, 0,
 * 2047, 0, 2047 and 1 of 11 bits: `ff e0 03 ff 80 0f fe 00 3f f8 01`.
 *
 * - `codes`, `n_codes`: whole frames of codes, as mimi_encode() and streams make them.
 * - `codebooks`: codes in a frame, 1 to 64.
 * - `code_bits`: bits of a code, 1 to 16; MIMI_PROP_CODE_BITS of a model.
 * - `dst`, `dst_cap`: room for frames * ceil(codebooks * code_bits / 8) bytes.
 * - `out_len`: receives the number of bytes written.
 *
 * MIMI_ERR_CORRUPT for a code that does not fit its bits.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_pack(const uint32_t *codes, size_t n_codes, int64_t codebooks,
    int64_t code_bits, void *dst, size_t dst_cap, size_t *out_len);

/**
 * Unpacks frames of bytes. Real-time. No model is needed.
 *
 * - `src`, `len`: whole frames of ceil(codebooks * code_bits / 8) bytes.
 * - `codebooks`, `code_bits`: as for mimi_pack().
 * - `codes`, `codes_cap`: room for the codes.
 * - `out_codes`: receives the number of codes written.
 *
 * MIMI_ERR_INVALID_ARGUMENT for a partial frame. Where a codebook's size is no power of two, a damaged
 * file can hold codes beyond it: the decoder answers MIMI_ERR_CORRUPT.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_unpack(const void *src, size_t len, int64_t codebooks,
    int64_t code_bits, uint32_t *codes, size_t codes_cap, size_t *out_codes);

/**
 * Keeps the first codebooks of packed frames, which lowers the bit rate without encoding again: the
 * same bytes as packing fewer codes. Real-time. No model is needed.
 *
 * - `frames`, `len`: whole frames of ceil(codebooks * code_bits / 8) bytes. The shorter frames are
 *   moved together at the front; the bytes behind them are left over.
 * - `codebooks`, `code_bits`: as for mimi_pack().
 * - `keep`: codebooks to keep, 1 to `codebooks`. The header of a file must say this number, too.
 * - `out_len`: receives the number of bytes left.
 *
 * MIMI_ERR_INVALID_ARGUMENT for a partial frame.
 */
MIMI_API MIMI_NODISCARD mimi_status mimi_drop_codebooks(void *frames, size_t len, int64_t codebooks,
    int64_t code_bits, int64_t keep, size_t *out_len);

/** @} */

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* MIMI_H */
