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
 * ## Audio and codes
 *
 * Audio is mono, 32-bit float, nominally -1 to 1. Codes are uint32_t, frame after frame, each frame
 * with one code per codebook: code k of frame f is codes[f * codebooks + k]. (Arrays of PyTorch
 * programs, [codebooks, frames], are the transpose.) Lengths and capacities count samples and codes,
 * not bytes.
 *
 * ## Ownership
 *
 * Models, streams and option bags are handles that you free with the function named in their _new or
 * _load function; freeing NULL does nothing. A stream keeps its model's weights alive: models and
 * streams may be freed in any order. No function keeps a pointer of yours after it has returned.
 * Strings that functions return are never freed by you.
 *
 * ## Failure
 *
 * Functions return MIMI_OK (0) or a negative status. On every error but MIMI_ERR_PANIC, nothing has
 * happened: no input is consumed, no output written, a stream is as it was, and you may call again.
 * There are two exceptions: with MIMI_ERR_BUFFER_TOO_SMALL the last argument receives the number of
 * elements that the call needs room for, and functions that create a handle set it to NULL.
 *
 * An output pointer of NULL with a capacity of 0 is a valid, empty buffer, hence the way to ask for a
 * size. So is an input pointer of NULL with a length of 0. Other NULL pointers are
 * MIMI_ERR_NULL_POINTER, except where NULL is said to be allowed. Misaligned pointers, lengths beyond
 * the address space, and input and output buffers that overlap are MIMI_ERR_INVALID_ARGUMENT. No
 * library can see that a pointer is wild, or a buffer shorter than you say: that is up to you.
 *
 * mimi_last_error() has the details of a failure, except of real-time functions, which return
 * nothing but the status.
 *
 * The library never ends your program, never prints, reads no environment variable, installs no signal
 * handler, opens no file but the ones you name, and starts no thread but those that MIMI_OPT_THREADS asks
 * for, which end with the call. A bug inside it becomes MIMI_ERR_PANIC; only then a line may appear on
 * stderr, written by the run-time library.
 *
 * Where memory ends, MIMI_ERR_OUT_OF_MEMORY. Streams and whole recordings ask for every byte in a way
 * that can be refused. Loading also makes names and lists, and a stream at a rate other than the model's
 * tables, in ways that cannot: they make sure beforehand that there is room, and only if it is taken at
 * that very moment does the run-time library end the program. MIMI_OPT_THREADS has no such care.
 *
 * ## What a model may cost
 *
 * A checkpoint of a few kilobytes can describe a network that asks for gigabytes or for hours. Such models are
 * MIMI_ERR_UNSUPPORTED when they are loaded, with a message that says what they would take. Of all others:
 *
 * - A stream with default options takes at most 512 MiB (10 MB in the published model); so does a one-shot call,
 *   beside its result. MIMI_OPT_CONTEXT, MIMI_OPT_MAX_BLOCK and MIMI_OPT_SAMPLE_RATE ask for more: at most
 *   4 GiB, and 512 MB for the conversion. Beyond that they are MIMI_ERR_INVALID_ARGUMENT.
 * - A frame takes at most 2^35 multiply-adds or what costs as much, and a second of audio 2^39: a hundred times
 *   what the published model does. A processor of today takes seconds for such a frame, and minutes for such a
 *   second. A call with a single sample may take a frame's time.
 * - A loaded model takes at most 64 times its file and 256 MiB: a weight on disk may have 16 bits, and narrow
 *   layers are filled up to whole registers.
 * - Configs have at most 1 MiB, headers 100 MB. Reading them takes memory of up to 128 and 32 times that.
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
 * | mimi_options               | any                          | reading only                          |
 *
 * Different handles never disturb each other. A handle must not be freed while a call uses it, and a
 * thread not be cancelled while it is in the library.
 *
 * ## Real time
 *
 * The process, flush, reset and get functions of streams are real-time: from the first call on, in any
 * thread, they do not allocate or free memory, lock, make system calls, use thread-local memory, or
 * log. Their work per frame is bounded. Denormal numbers cost nothing: they are flushed to zero
 * inside, where rounding is to nearest and nothing traps; your floating-point mode is restored.
 *
 * Real-time does not mean that a call fits an audio callback. Mimi works on whole frames of 80 ms:
 * with blocks of 64 samples, 29 calls of 30 do next to nothing and one does the work of the frame.
 * Hosts with small buffers run the stream on a thread of its own, behind a ring buffer.
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

/**
 * The version of this header. A change of MINOR may change the ABI while MAJOR is 0; within one
 * MINOR, functions, keys and status codes are only ever added.
 */
#define MIMI_VERSION_MAJOR 0

/**
 * See MIMI_VERSION_MAJOR.
 */
#define MIMI_VERSION_MINOR 1

/**
 * See MIMI_VERSION_MAJOR.
 */
#define MIMI_VERSION_PATCH 0

/**
 * The version of this header as one number; compare it with mimi_version_number().
 */
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
MIMI_API
const char *mimi_version_string(void);

/** @} */


/**
 * @defgroup mimi_status Status codes, and the message of a thread's last failure
 * @{
 */

/**
 * The result of most functions: MIMI_OK, or one of the negative MIMI_ERR_ codes. Later releases
 * may add codes: treat every negative value as an error.
 */
typedef int32_t mimi_status;

/**
 * Success.
 */
#define MIMI_OK 0

/**
 * A required pointer is NULL.
 */
#define MIMI_ERR_NULL_POINTER (-1)

/**
 * An argument or option value that can never be right: out of range, a misaligned pointer, a
 * length beyond the address space, a partial frame of codes, buffers that overlap.
 */
#define MIMI_ERR_INVALID_ARGUMENT (-2)

/**
 * The output buffer is too small. Nothing was consumed and nothing was written but the number of
 * elements needed, to the function's last argument.
 */
#define MIMI_ERR_BUFFER_TOO_SMALL (-3)

/**
 * A file could not be read.
 */
#define MIMI_ERR_IO (-4)

/**
 * The bytes are not in the format that is expected: not a Mimi checkpoint, or not a token header.
 */
#define MIMI_ERR_FORMAT (-5)

/**
 * Damaged data: a truncated or misshapen checkpoint, non-finite weights, a code out of range.
 */
#define MIMI_ERR_CORRUPT (-6)

/**
 * Well-formed, but not something that this library, this model or this CPU does: an unknown key or
 * choice, a network that it cannot run, the half of a model that was not loaded.
 */
#define MIMI_ERR_UNSUPPORTED (-7)

/**
 * Memory for weights or for a stream could not be had.
 */
#define MIMI_ERR_OUT_OF_MEMORY (-8)

/**
 * A callback of yours asked to stop.
 */
#define MIMI_ERR_ABORTED (-9)

/**
 * The handle is of the wrong kind, was freed, or is unusable after MIMI_ERR_PANIC. The check for
 * freed handles is a best effort: using one is a bug all the same.
 */
#define MIMI_ERR_STATE (-10)

/**
 * A bug in libmimi was caught. A stream that it happened to answers MIMI_ERR_STATE until it is
 * reset or freed; everything else is unaffected. Please report it.
 */
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
 * Successful calls and real-time functions leave the message as it is, so ask only after a call
 * that failed. UTF-8, one line, cut at 1023 bytes; empty when no call of this thread has failed. The string
 * belongs to the thread: it holds until the thread's next failed call or its end, and is never
 * freed by you. Never NULL.
 */
MIMI_API
const char *mimi_last_error(void);

/** @} */


/**
 * @defgroup mimi_options Options: a bag of numbers by key
 * @{
 */

/**
 * A bag of options. Every function that takes one accepts NULL, for all defaults; it reads the
 * keys that concern it, ignores the others, and keeps nothing: change, re-use or free the bag as
 * soon as the call has returned.
 */
typedef struct mimi_options mimi_options;

/**
 * The key of an option. For every key, 0 stands for the default and is what a new bag holds.
 */
typedef int32_t mimi_option;

/**
 * Streams and one-shot calls: the number of codebooks, that is, of codes per frame; 1 to as many as
 * the model has. More codebooks sound better. Default: 8, or all if the model has fewer.
 * Loading: keep only this many codebooks, which takes 2 to 3 MB less for each that is left out.
 * Default: all.
 */
#define MIMI_OPT_CODEBOOKS 1

/**
 * Streams and one-shot calls: the sample rate of your audio in Hz. Default: the model's, 24000 in the
 * published one. Other rates are converted, in line to the sample: 1000 to 768000, as long as a frame is an
 * even number of samples, so multiples of 25 with the published model (44100: 3528 samples, 48000: 3840).
 * MIMI_PROP_FRAME_SAMPLES, MIMI_PROP_LATENCY_SAMPLES and all lengths then count at this rate. It adds a few
 * milliseconds of latency on either side, and a stream's last samples or frame come with the flush.
 * MIMI_OPT_ISA does not cap the conversion.
 */
#define MIMI_OPT_SAMPLE_RATE 2

/**
 * Streams and one-shot calls: the number of samples worked on at once, at the model's rate, at most
 * 262144; rounded up to whole frames. Longer calls are split, and the results do not depend on it. More
 * is faster for long inputs and takes more memory. Default: one frame for streams; a few for one-shot
 * calls.
 */
#define MIMI_OPT_MAX_BLOCK 3

/**
 * Loading: how weights are kept in memory, a MIMI_PRECISION_ value.
 */
#define MIMI_OPT_PRECISION 4

/**
 * Weights are kept as 32-bit floats: exact. The default.
 */
#define MIMI_PRECISION_F32 0

/**
 * Weights are rounded to bfloat16: half the memory, and faster streams. Codebooks, norms, biases,
 * SEANet's convolutions of up to 131,072 weights and all arithmetic stay in 32-bit floats.
 */
#define MIMI_PRECISION_BF16 1

/**
 * Weights are rounded to 8 bits with a scale for each output: a quarter of the memory, faster yet. What
 * they are multiplied with is rounded to 16 bits with a scale for each row, and summed in integers. The
 * rest as for MIMI_PRECISION_BF16.
 */
#define MIMI_PRECISION_INT8 2

/**
 * Loading: which half of the model to load, a MIMI_PARTS_ value. Half a model takes half the
 * memory. The other half then answers MIMI_ERR_UNSUPPORTED.
 */
#define MIMI_OPT_PARTS 5

/**
 * Load the encoder and the decoder. The default.
 */
#define MIMI_PARTS_BOTH 0

/**
 * Load the encoder alone.
 */
#define MIMI_PARTS_ENCODER 1

/**
 * Load the decoder alone.
 */
#define MIMI_PARTS_DECODER 2

/**
 * Streams and one-shot calls: what becomes of a last partial frame, a MIMI_TAIL_ value.
 */
#define MIMI_OPT_TAIL 6

/**
 * The waveform is padded with zeros to whole frames, as kyutai's moshi does. The default.
 */
#define MIMI_TAIL_AUDIO_PAD 0

/**
 * Each layer pads its own input, as Hugging Face transformers does.
 */
#define MIMI_TAIL_LAYER_PAD 1

/**
 * Streams and one-shot calls: how far attention looks back, in steps of half a frame, at most 65536.
 * Default: the checkpoint's, 250 steps or 10 seconds in the published one. Others than the
 * default give codes that differ from everybody else's.
 */
#define MIMI_OPT_CONTEXT 7

/**
 * One-shot calls: the number of threads that share the work, at most 64, the caller's among them. They
 * are started by the call and gone when it returns; the results do not depend on it. No more than there
 * are cores, or it gets slower. Streams ignore it: they are always on their caller's thread. Default: 1.
 * With more, a lack of memory may end the program, and your signal handlers may run on these threads.
 */
#define MIMI_OPT_THREADS 8

/**
 * Loading: the instruction set used, a MIMI_ISA_ value. One that this CPU lacks is
 * MIMI_ERR_UNSUPPORTED when the model is loaded.
 */
#define MIMI_OPT_ISA 9

/**
 * The best that this CPU has. The default.
 */
#define MIMI_ISA_AUTO 0

/**
 * Only what every CPU of this architecture has.
 */
#define MIMI_ISA_BASELINE 1

/**
 * x86: at most AVX2 and FMA.
 */
#define MIMI_ISA_AVX2 2

/**
 * x86: AVX-512 F and BW.
 */
#define MIMI_ISA_AVX512 3

/**
 * Arm: NEON.
 */
#define MIMI_ISA_NEON 4

/**
 * A new bag with all defaults; free it with mimi_options_free(). NULL if there is no memory for it.
 */
MIMI_API mimi_options *mimi_options_new(void);

/**
 * Sets an option.
 *
 * - `options`: the bag; not NULL.
 * - `key`: a MIMI_OPT_ key.
 * - `value`: its value; 0 for the default.
 *
 * MIMI_ERR_UNSUPPORTED for a key or a choice that this release does not know,
 * MIMI_ERR_INVALID_ARGUMENT for a number out of range. Limits that depend on the model, such as its
 * number of codebooks and its sample rates, are checked where the bag is used.
 */
MIMI_API mimi_status mimi_options_set(mimi_options *options, mimi_option key, int64_t value);

/**
 * Reads an option.
 *
 * - `options`: the bag; not NULL.
 * - `key`: a MIMI_OPT_ key; MIMI_ERR_UNSUPPORTED if this release does not know it.
 * - `out_value`: receives the value that was set, or 0 for the default; not NULL.
 */
MIMI_API
mimi_status mimi_options_get(const mimi_options *options,
                             mimi_option key,
                             int64_t *out_value);

/**
 * Frees a bag. NULL is allowed.
 */
MIMI_API void mimi_options_free(mimi_options *options);

/** @} */


/**
 * @defgroup mimi_model Models: loading them, and asking for their numbers
 * @{
 */

/**
 * A loaded model: weights that never change, so that any number of streams and threads may use it
 * at once. Streams keep the weights alive: free the model as soon as you will open no more.
 */
typedef struct mimi_model mimi_model;

/**
 * Your function that reads a checkpoint for mimi_load_reader().
 *
 * - `user`: the pointer that you gave to mimi_load_reader().
 * - `offset`, `len`: copy these bytes of the checkpoint; offset + len is at most its size.
 * - `dst`: where to; room for len bytes.
 *
 * Return 0 when all len bytes are in place, anything else to stop: the load then returns
 * MIMI_ERR_ABORTED. It is called on the thread that called mimi_load_reader() and never after that
 * returned, with offsets in any order. It must not throw a C++ exception, longjmp or
 * end its thread.
 */
typedef int32_t (*mimi_read_fn)(void *user, uint64_t offset, void *dst, size_t len);

/**
 * A property of a model or of a stream. A key that does not apply, or that this release does not
 * know, is MIMI_ERR_UNSUPPORTED.
 */
typedef int32_t mimi_prop;

/**
 * Model: the codebooks that it has. Stream: its codes per frame.
 */
#define MIMI_PROP_CODEBOOKS 1

/**
 * Samples per second of the audio; 24000 in the published model. Stream: those of MIMI_OPT_SAMPLE_RATE.
 */
#define MIMI_PROP_SAMPLE_RATE 2

/**
 * Samples per frame; 1920, or 80 ms, in the published model. Stream: at its sample rate.
 */
#define MIMI_PROP_FRAME_SAMPLES 3

/**
 * Codes are below this; 2048 in the published model.
 */
#define MIMI_PROP_CODEBOOK_SIZE 4

/**
 * Streams only: the samples, at the stream's rate, by which an audio host must delay the dry signal to
 * line it up. Encoder: the codes of a frame are there this many samples after its first one. Decoder:
 * the samples of a frame that are held back. Encoder and decoder in a row: the sum.
 */
#define MIMI_PROP_LATENCY_SAMPLES 5

/**
 * Streams only: the frames emitted (encoder) or taken (decoder) since the stream began.
 */
#define MIMI_PROP_FRAMES 6

/**
 * Model: the bytes of its weights in memory. Stream: the bytes of its state, without the model's.
 */
#define MIMI_PROP_MEMORY_BYTES 7

/**
 * Streams only: a hash of the codes emitted (encoder) or taken (decoder) since the stream began. An
 * encoder and a decoder agree only if every code arrived, in order.
 */
#define MIMI_PROP_CODES_HASH 8

/**
 * A fingerprint of what gives codes their meaning, 0 to 2^63 - 1: codes made by one model can be
 * decoded by another only if their fingerprints are equal.
 */
#define MIMI_PROP_MODEL_ID 9

/**
 * The bits that one code needs; 11 in the published model.
 */
#define MIMI_PROP_CODE_BITS 10

/**
 * Loads a model from the file system.
 *
 * - `path`: a file `model.safetensors`, a directory that holds one with its `config.json`, or the
 *   index of a checkpoint in parts; in the layout of Hugging Face transformers or of kyutai's moshi.
 *   UTF-8 on every system; not NULL.
 * - `options`: MIMI_OPT_PARTS, MIMI_OPT_PRECISION, MIMI_OPT_CODEBOOKS, MIMI_OPT_ISA; NULL for the
 *   defaults.
 * - `out`: receives the model, to be freed with mimi_free(), or NULL on any error; not NULL.
 *
 * MIMI_ERR_IO if a file cannot be read, MIMI_ERR_FORMAT if it is not a Mimi checkpoint,
 * MIMI_ERR_CORRUPT if it is damaged, MIMI_ERR_UNSUPPORTED if it is a network that this library cannot
 * run, MIMI_ERR_INVALID_ARGUMENT for more codebooks than it has, MIMI_ERR_OUT_OF_MEMORY. A hostile file is
 * an error like any other.
 */
MIMI_API
MIMI_NODISCARD
mimi_status mimi_load(const char *path,
                      const mimi_options *options,
                      mimi_model **out);

/**
 * Loads a model from memory.
 *
 * - `data`, `len`: the bytes of one `model.safetensors`, and their number. Whatever is needed is
 *   copied: they may be freed when the call has returned.
 * - `options`, `out`: as for mimi_load().
 *
 * The network's numbers come from the checkpoint's own metadata, or are those of the published model.
 * Errors as for mimi_load(), without MIMI_ERR_IO.
 */
MIMI_API
MIMI_NODISCARD
mimi_status mimi_load_memory(const void *data,
                             size_t len,
                             const mimi_options *options,
                             mimi_model **out);

/**
 * Loads a model through a function of yours: from an archive, an asset, a network.
 *
 * - `read`: the function; not NULL. It can also show progress, and stop the load.
 * - `user`: handed to it; may be NULL.
 * - `size`: the bytes of the checkpoint, one `model.safetensors`.
 * - `options`, `out`: as for mimi_load().
 *
 * Errors as for mimi_load_memory(), and MIMI_ERR_ABORTED if `read` returned other than 0.
 */
MIMI_API
MIMI_NODISCARD
mimi_status mimi_load_reader(mimi_read_fn read,
                             void *user,
                             uint64_t size,
                             const mimi_options *options,
                             mimi_model **out);

/**
 * Reads a property of a model.
 *
 * - `model`: the model; not NULL.
 * - `key`: a MIMI_PROP_ key; MIMI_ERR_UNSUPPORTED for one of streams only.
 * - `out_value`: receives the value; not NULL.
 *
 * Any number of threads may ask at once.
 */
MIMI_API mimi_status mimi_model_get(const mimi_model *model, mimi_prop key, int64_t *out_value);

/**
 * Frees a model; streams on it live on. NULL is allowed.
 *
 * Not while another call uses this pointer.
 */
MIMI_API void mimi_free(mimi_model *model);

/** @} */


/**
 * @defgroup mimi_oneshot Whole recordings in one call
 * @{
 */

/**
 * Encodes a whole recording.
 *
 * - `model`: a model with an encoder; not NULL. Any number of threads may use it at once.
 * - `options`: MIMI_OPT_CODEBOOKS, MIMI_OPT_TAIL, MIMI_OPT_MAX_BLOCK, MIMI_OPT_CONTEXT,
 *   MIMI_OPT_SAMPLE_RATE, MIMI_OPT_THREADS; NULL for the defaults.
 * - `pcm`, `n_samples`: mono audio, -1 to 1, at the model's sample rate or MIMI_OPT_SAMPLE_RATE.
 *   Not-a-number and infinity count as 0.
 * - `codes`, `codes_cap`: room for the codes, frame after frame: code k of frame f is
 *   `codes[f * codebooks + k]`. Must not overlap `pcm`.
 * - `out_codes`: receives the number of codes written, codebooks * ceil(n_samples / frame samples), where
 *   a frame is 1920 samples at 24000 Hz, 3528 at 44100, 3840 at 48000; not NULL.
 *
 * With `codes` NULL and `codes_cap` 0 it only asks for that number: MIMI_ERR_BUFFER_TOO_SMALL, at
 * once. MIMI_ERR_UNSUPPORTED if the model was loaded without its encoder. Codes are the same as a
 * stream's, bit for bit.
 */
MIMI_API
MIMI_NODISCARD
mimi_status mimi_encode(const mimi_model *model,
                        const mimi_options *options,
                        const float *pcm,
                        size_t n_samples,
                        uint32_t *codes,
                        size_t codes_cap,
                        size_t *out_codes);

/**
 * Decodes a whole recording.
 *
 * - `model`: a model with a decoder; not NULL. Any number of threads may use it at once.
 * - `options`: as for mimi_encode(); MIMI_OPT_CODEBOOKS says how many codes make a frame.
 * - `codes`, `n_codes`: whole frames of codes, laid out as mimi_encode() writes them.
 * - `pcm`, `pcm_cap`: room for the audio, mono, nominally -1 to 1 but not clipped. Must not overlap
 *   `codes`.
 * - `out_samples`: receives the number of samples written, frame samples for each frame, in line with
 *   what was encoded; not NULL.
 *
 * With `pcm` NULL and `pcm_cap` 0 it only asks for that number: MIMI_ERR_BUFFER_TOO_SMALL, at once.
 * MIMI_ERR_INVALID_ARGUMENT if the codes are no whole number of frames, MIMI_ERR_CORRUPT if a code is
 * not below the codebook size, MIMI_ERR_UNSUPPORTED if the model was loaded without its decoder.
 */
MIMI_API
MIMI_NODISCARD
mimi_status mimi_decode(const mimi_model *model,
                        const mimi_options *options,
                        const uint32_t *codes,
                        size_t n_codes,
                        float *pcm,
                        size_t pcm_cap,
                        size_t *out_samples);

/** @} */


/**
 * @defgroup mimi_encoder Streams of audio to codes
 * @{
 */

/**
 * A stream of audio to codes. One thread at a time; it may move between threads.
 */
typedef struct mimi_encoder mimi_encoder;

/**
 * Opens a stream.
 *
 * - `model`: a model with an encoder; not NULL. The stream keeps its weights alive.
 * - `options`: MIMI_OPT_CODEBOOKS, MIMI_OPT_TAIL, MIMI_OPT_MAX_BLOCK, MIMI_OPT_CONTEXT,
 *   MIMI_OPT_SAMPLE_RATE; NULL for the defaults.
 * - `out`: receives the stream, to be freed with mimi_encoder_free(), or NULL on any error; not NULL.
 *
 * All the memory that the stream will ever use is allocated here. MIMI_ERR_INVALID_ARGUMENT for more
 * codebooks than the model has or an impossible sample rate, MIMI_ERR_UNSUPPORTED if the model was loaded
 * without its encoder, MIMI_ERR_OUT_OF_MEMORY.
 */
MIMI_API
MIMI_NODISCARD
mimi_status mimi_encoder_new(const mimi_model *model,
                             const mimi_options *options,
                             mimi_encoder **out);

/**
 * Takes any number of samples and writes the codes of the frames that they complete. Real-time.
 *
 * - `encoder`: the stream; not NULL.
 * - `pcm`, `n_samples`: mono audio at the stream's rate, -1 to 1; all of it is taken. Not-a-number and
 *   infinity count as 0.
 * - `codes`, `codes_cap`: room for the codes, frame after frame: code k of frame f of this call is
 *   `codes[f * codebooks + k]`. Must not overlap `pcm`.
 * - `out_codes`: receives the number of codes written, a multiple of the codebooks, often 0; not NULL.
 *
 * Codes do not depend on how the audio is cut into calls. A call with n samples completes at most
 * ceil(n / frame samples) frames; with `codes` NULL and `codes_cap` 0, a call that completes any
 * returns MIMI_ERR_BUFFER_TOO_SMALL and the exact number of codes, and takes nothing.
 */
MIMI_API
MIMI_NODISCARD
mimi_status mimi_encoder_process(mimi_encoder *encoder,
                                 const float *pcm,
                                 size_t n_samples,
                                 uint32_t *codes,
                                 size_t codes_cap,
                                 size_t *out_codes);

/**
 * Ends the stream: completes a last partial frame by MIMI_OPT_TAIL and writes its codes. Real-time.
 *
 * - `encoder`: the stream; not NULL. Afterwards it is as after mimi_encoder_reset(), but keeps
 *   MIMI_PROP_FRAMES and MIMI_PROP_CODES_HASH until the next audio.
 * - `codes`, `codes_cap`: room for the codes: one frame, or none if no audio is pending; up to two frames
 *   at a rate other than the model's.
 * - `out_codes`: receives the number of codes written; not NULL.
 *
 * With too little room, MIMI_ERR_BUFFER_TOO_SMALL, and the stream has not ended.
 */
MIMI_API
MIMI_NODISCARD
mimi_status mimi_encoder_flush(mimi_encoder *encoder,
                               uint32_t *codes,
                               size_t codes_cap,
                               size_t *out_codes);

/**
 * Forgets everything: the stream is as new, also after MIMI_ERR_PANIC. Real-time.
 *
 * - `encoder`: the stream; not NULL.
 */
MIMI_API mimi_status mimi_encoder_reset(mimi_encoder *encoder);

/**
 * Reads a property of a stream. Real-time.
 *
 * - `encoder`: the stream; not NULL.
 * - `key`: a MIMI_PROP_ key; MIMI_ERR_UNSUPPORTED if this release does not know it.
 * - `out_value`: receives the value; not NULL.
 */
MIMI_API
mimi_status mimi_encoder_get(const mimi_encoder *encoder,
                             mimi_prop key,
                             int64_t *out_value);

/**
 * Forks a stream: the copy stands at the same point, has the same options and goes its own way.
 *
 * - `encoder`: the stream; not NULL.
 * - `out`: receives the copy, to be freed with mimi_encoder_free(), or NULL on any error; not NULL.
 *
 * MIMI_ERR_OUT_OF_MEMORY.
 */
MIMI_API mimi_status mimi_encoder_clone(const mimi_encoder *encoder, mimi_encoder **out);

/**
 * Frees a stream. NULL is allowed.
 */
MIMI_API void mimi_encoder_free(mimi_encoder *encoder);

/** @} */


/**
 * @defgroup mimi_decoder Streams of codes to audio
 * @{
 */

/**
 * A stream of codes to audio. One thread at a time; it may move between threads.
 */
typedef struct mimi_decoder mimi_decoder;

/**
 * Opens a stream.
 *
 * - `model`: a model with a decoder; not NULL. The stream keeps its weights alive.
 * - `options`: as for mimi_encoder_new(); MIMI_OPT_CODEBOOKS says how many codes make a frame.
 * - `out`: receives the stream, to be freed with mimi_decoder_free(), or NULL on any error; not NULL.
 *
 * All the memory that the stream will ever use is allocated here. MIMI_ERR_INVALID_ARGUMENT for more
 * codebooks than the model has or an impossible sample rate, MIMI_ERR_UNSUPPORTED if the model was loaded
 * without its decoder, MIMI_ERR_OUT_OF_MEMORY.
 */
MIMI_API
MIMI_NODISCARD
mimi_status mimi_decoder_new(const mimi_model *model,
                             const mimi_options *options,
                             mimi_decoder **out);

/**
 * Takes whole frames of codes and writes their audio. Real-time.
 *
 * - `decoder`: the stream; not NULL.
 * - `codes`, `n_codes`: any number of whole frames: code k of frame f is
 *   `codes[f * codebooks + k]`. All are taken. NULL with a positive length is reserved for lost
 *   frames and MIMI_ERR_UNSUPPORTED in this release.
 * - `pcm`, `pcm_cap`: room for the audio, mono, nominally -1 to 1 but not clipped. Must not overlap
 *   `codes`.
 * - `out_samples`: receives the number of samples written, frame samples for each frame; not NULL. At a
 *   rate other than the model's, the last MIMI_PROP_LATENCY_SAMPLES of a call are held back until the next
 *   one or the flush, so that a stream's first call writes so much less.
 *
 * The audio does not depend on how the frames are cut into calls. With `pcm` NULL and `pcm_cap` 0 it
 * only asks for the number of samples: MIMI_ERR_BUFFER_TOO_SMALL, and nothing is taken.
 * MIMI_ERR_INVALID_ARGUMENT if the codes are no whole number of frames, MIMI_ERR_CORRUPT if a code is
 * not below the codebook size.
 */
MIMI_API
MIMI_NODISCARD
mimi_status mimi_decoder_process(mimi_decoder *decoder,
                                 const uint32_t *codes,
                                 size_t n_codes,
                                 float *pcm,
                                 size_t pcm_cap,
                                 size_t *out_samples);

/**
 * Ends the stream and writes what audio is still due. Real-time.
 *
 * - `decoder`: the stream; not NULL. Afterwards it is as after mimi_decoder_reset(), but keeps
 *   MIMI_PROP_FRAMES and MIMI_PROP_CODES_HASH until the next codes.
 * - `pcm`, `pcm_cap`: room for the audio: MIMI_PROP_LATENCY_SAMPLES, which is none at the model's rate, or
 *   none if no codes were taken.
 * - `out_samples`: receives the number of samples written; not NULL.
 *
 * With too little room, MIMI_ERR_BUFFER_TOO_SMALL, and the stream has not ended.
 */
MIMI_API
MIMI_NODISCARD
mimi_status mimi_decoder_flush(mimi_decoder *decoder,
                               float *pcm,
                               size_t pcm_cap,
                               size_t *out_samples);

/**
 * Forgets everything: the stream is as new, also after MIMI_ERR_PANIC. Real-time.
 *
 * - `decoder`: the stream; not NULL.
 */
MIMI_API mimi_status mimi_decoder_reset(mimi_decoder *decoder);

/**
 * Reads a property of a stream. Real-time.
 *
 * - `decoder`: the stream; not NULL.
 * - `key`: a MIMI_PROP_ key; MIMI_ERR_UNSUPPORTED if this release does not know it.
 * - `out_value`: receives the value; not NULL.
 */
MIMI_API
mimi_status mimi_decoder_get(const mimi_decoder *decoder,
                             mimi_prop key,
                             int64_t *out_value);

/**
 * Forks a stream: the copy stands at the same point, has the same options and goes its own way.
 *
 * - `decoder`: the stream; not NULL.
 * - `out`: receives the copy, to be freed with mimi_decoder_free(), or NULL on any error; not NULL.
 *
 * MIMI_ERR_OUT_OF_MEMORY.
 */
MIMI_API mimi_status mimi_decoder_clone(const mimi_decoder *decoder, mimi_decoder **out);

/**
 * Frees a stream. NULL is allowed.
 */
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
 * between calls, and may stand at different points of a frame. Streams with equal options next to
 * each other are the fastest.
 *
 * Streams may have different sample rates. One at a rate other than the model's must have taken its first
 * frame alone, because that frame is complete with the second only (MIMI_ERR_INVALID_ARGUMENT).
 *
 * - `encoders`, `n`: the streams, all of one model, each once; NULL is allowed if `n` is 0.
 * - `pcm`: for each stream a pointer to one frame of samples, its MIMI_PROP_FRAME_SAMPLES. In C, declare
 *   the array as `const float *pcm[]`.
 * - `codes`: for each stream a pointer to room for one frame of codes, MIMI_PROP_CODEBOOKS. No two of
 *   these buffers, nor one of these and one of `pcm`, may overlap.
 *
 * MIMI_ERR_INVALID_ARGUMENT for streams of different models or a stream that stands there twice. On
 * an error nothing has happened to any stream.
 */
MIMI_API
MIMI_NODISCARD
mimi_status mimi_encoder_process_many(mimi_encoder *const *encoders,
                                      size_t n,
                                      const float *const *pcm,
                                      uint32_t *const *codes);

/**
 * Decodes exactly one frame for each of several streams of one model. Real-time.
 *
 * The counterpart of mimi_encoder_process_many(), with the same rules.
 *
 * - `decoders`, `n`: the streams, all of one model, each once; NULL is allowed if `n` is 0.
 * - `codes`: for each stream a pointer to one frame of codes, MIMI_PROP_CODEBOOKS.
 * - `pcm`: for each stream a pointer to room for one frame of samples, its MIMI_PROP_FRAME_SAMPLES.
 *
 * MIMI_ERR_CORRUPT if any code is not below MIMI_PROP_CODEBOOK_SIZE.
 */
MIMI_API
MIMI_NODISCARD
mimi_status mimi_decoder_process_many(mimi_decoder *const *decoders,
                                      size_t n,
                                      const uint32_t *const *codes,
                                      float *const *pcm);

/** @} */


/**
 * @defgroup mimi_tokens Tokens as bytes
 * @{
 */

/**
 * Writes the header of a token file: what a reader must know before the first frame.
 *
 * A token file is this header and then frames as mimi_pack() makes them, each of
 * ceil(codebooks * code bits / 8) bytes: 11 for the published model with 8 codebooks, so 1.1 kbit/s.
 * Frame f begins at header length + f * frame bytes, and a file that breaks off is good up to there.
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
 * | 16 | 4 | samples in a frame; the frame rate is the quotient |
 * | 20 | 8 | samples of the recording, 0 for unknown |
 * | 28 | 8 | MIMI_PROP_MODEL_ID, 0 for unknown |
 * | 36 | n - 40 | nothing yet; readers skip it |
 * | n - 4 | 4 | CRC-32, that of zlib, of the bytes before |
 *
 * A test vector: 8 codes of 11 bits, 24000 Hz, 1920 samples, 79610 samples, model 0x0123456789abcdef.
 *
 * `6d 74 6f 6b 01 0b 28 00 08 00 00 00 c0 5d 00 00 80 07 00 00`
 * `fa 36 01 00 00 00 00 00 ef cd ab 89 67 45 23 01 59 f4 86 c3`
 *
 * - `model`: the model that the codes belong to; not NULL.
 * - `codebooks`: the number of codes in a frame, 1 to as many as the model has.
 * - `n_samples`: the length of the recording in samples at the model's rate, so that a reader can cut the
 *   last frame; 0 for unknown.
 * - `dst`, `dst_cap`: room for the header, 40 bytes in this release.
 * - `out_len`: receives the number of bytes written, or needed with MIMI_ERR_BUFFER_TOO_SMALL; not
 *   NULL.
 */
MIMI_API
MIMI_NODISCARD
mimi_status mimi_pack_header(const mimi_model *model,
                             int32_t codebooks,
                             uint64_t n_samples,
                             void *dst,
                             size_t dst_cap,
                             size_t *out_len);

/**
 * Reads the header of a token file. No model is needed.
 *
 * - `src`, `len`: the beginning of the file; 40 bytes are enough for files that this release writes,
 *   and more do no harm.
 * - `out_codebooks`, `out_code_bits`: receive the codes in a frame and the bits of a code; not NULL.
 * - `out_samples`: receives the length of the recording in samples at the model's rate, 0 for unknown; not
 *   NULL.
 * - `out_model_id`: receives the MIMI_PROP_MODEL_ID of the model that the codes belong to, 0 for
 *   unknown; not NULL.
 * - `out_header_len`: receives the offset of the first frame; not NULL.
 *
 * MIMI_ERR_FORMAT for what is no token file, MIMI_ERR_UNSUPPORTED for one of a later format,
 * MIMI_ERR_CORRUPT for a damaged or cut-off header.
 */
MIMI_API
MIMI_NODISCARD
mimi_status mimi_unpack_header(const void *src,
                               size_t len,
                               int32_t *out_codebooks,
                               int32_t *out_code_bits,
                               uint64_t *out_samples,
                               int64_t *out_model_id,
                               size_t *out_header_len);

/**
 * Packs codes into frames of bytes, code after code, most significant bit first. Real-time.
 *
 * The codes of codebooks 0 to k - 1 are the first k * code_bits bits of a frame, so that codebooks can
 * be dropped from a frame without encoding again: mimi_drop_codebooks(). Bits left over at a frame's end are
 * written as 0 and ignored by readers. A test vector, the frame of the codes 2047, 0, 2047, 0, 2047, 0,
 * 2047 and 1 of 11 bits: `ff e0 03 ff 80 0f fe 00 3f f8 01`.
 *
 * - `codes`, `n_codes`: whole frames of codes, as mimi_encode() and streams make them.
 * - `codebooks`: codes in a frame, 1 to 64.
 * - `code_bits`: bits of a code, 1 to 16; MIMI_PROP_CODE_BITS of a model.
 * - `dst`, `dst_cap`: room for frames * ceil(codebooks * code_bits / 8) bytes. Must not overlap `codes`.
 * - `out_len`: receives the number of bytes written, or needed with MIMI_ERR_BUFFER_TOO_SMALL; not
 *   NULL.
 *
 * MIMI_ERR_CORRUPT for a code that does not fit its bits.
 */
MIMI_API
MIMI_NODISCARD
mimi_status mimi_pack(const uint32_t *codes,
                      size_t n_codes,
                      int32_t codebooks,
                      int32_t code_bits,
                      void *dst,
                      size_t dst_cap,
                      size_t *out_len);

/**
 * Unpacks frames of bytes. Real-time. No model is needed.
 *
 * - `src`, `len`: whole frames of ceil(codebooks * code_bits / 8) bytes.
 * - `codebooks`, `code_bits`: as for mimi_pack().
 * - `codes`, `codes_cap`: room for the codes. Must not overlap `src`.
 * - `out_codes`: receives the number of codes written, or needed with MIMI_ERR_BUFFER_TOO_SMALL; not
 *   NULL.
 *
 * MIMI_ERR_INVALID_ARGUMENT for a partial frame. A code may be beyond a codebook whose size is no power
 * of two; the decoder says so.
 */
MIMI_API
MIMI_NODISCARD
mimi_status mimi_unpack(const void *src,
                        size_t len,
                        int32_t codebooks,
                        int32_t code_bits,
                        uint32_t *codes,
                        size_t codes_cap,
                        size_t *out_codes);

/**
 * Keeps the first codebooks of packed frames, which lowers the bit rate without encoding again: the same
 * bytes as packing fewer codes. Real-time. No model is needed.
 *
 * - `frames`, `len`: whole frames of ceil(codebooks * code_bits / 8) bytes; the shorter frames are moved
 *   together at the front, and what lies behind them is of no use any more.
 * - `codebooks`, `code_bits`: as for mimi_pack().
 * - `keep`: codebooks to keep, 1 to `codebooks`. The header of a file must say this number, too.
 * - `out_len`: receives the number of bytes left; not NULL.
 *
 * MIMI_ERR_INVALID_ARGUMENT for a partial frame.
 */
MIMI_API
MIMI_NODISCARD
mimi_status mimi_drop_codebooks(void *frames,
                                size_t len,
                                int32_t codebooks,
                                int32_t code_bits,
                                int32_t keep,
                                size_t *out_len);

/** @} */

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* MIMI_H */
