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
