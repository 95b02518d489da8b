/* misuse DATA DEMO ISA: every wrong argument that a program can pass, and the status that it gets.
   Afterwards everything still works. */
#include "fixture.h"

#include <limits.h>

static mimi_options *options; /* all of the tiny model's codebooks, the kernels asked for */
static mimi_model *model;
static mimi_encoder *encoder;
static mimi_decoder *decoder;
static mimi_capture *capture;
static mimi_playback *playback;
static golden g;
static float pcm[8 * 1920];
static uint32_t codes[8 * 32];
static float latents[8 * 32]; /* of the tiny model, 32 in a frame */
static size_t n;
static int64_t value;

/* A pointer that failing constructors must replace by NULL. */
#define GARBAGE ((void *)(uintptr_t)0x5a5a5a58)
/* A pointer that is not NULL and not aligned, into memory that is ours. */
#define MISALIGNED(p) ((void *)((char *)(p) + 1))

#define NO_HANDLE(expected, type, call) \
    do {                                \
        type *out = GARBAGE;            \
        STATUS(expected, call);         \
        CHECK(out == NULL);             \
    } while (0)

static int32_t refuse(void *user, uint64_t offset, void *dst, size_t len) {
    (void)offset, (void)dst, (void)len;
    ++*(int *)user;
    return -7;
}

static void null_pointers(const char *path) {
    const mimi_status null = MIMI_ERR_NULL_POINTER;
    CHECK(mimi_status_string(INT32_MIN) && mimi_last_error());
    STATUS(null, mimi_options_set(NULL, MIMI_OPT_TAIL, 0));
    STATUS(null, mimi_options_get(NULL, MIMI_OPT_TAIL, &value));
    STATUS(null, mimi_options_get(options, MIMI_OPT_TAIL, NULL));
    NO_HANDLE(null, mimi_model, mimi_load(NULL, options, &out));
    STATUS(null, mimi_load(path, options, NULL));
    NO_HANDLE(null, mimi_model, mimi_load_memory(NULL, 1, options, &out));
    STATUS(null, mimi_load_memory("x", 1, options, NULL));
    NO_HANDLE(null, mimi_model, mimi_load_reader(NULL, NULL, 1000, options, &out));
    STATUS(null, mimi_load_reader(refuse, &n, 1000, options, NULL));
    STATUS(null, mimi_model_get(NULL, MIMI_PROP_CODEBOOKS, &value));
    STATUS(null, mimi_model_get(model, MIMI_PROP_CODEBOOKS, NULL));

    STATUS(null, mimi_encode(NULL, options, g.pcm, 100, codes, 256, &n));
    STATUS(null, mimi_encode(model, options, NULL, 100, codes, 256, &n));
    STATUS(null, mimi_encode(model, options, g.pcm, 100, NULL, 256, &n));
    STATUS(null, mimi_encode(model, options, g.pcm, 100, codes, 256, NULL));
    STATUS(null, mimi_decode(NULL, options, g.codes, g.codebooks, pcm, 1920, &n));
    STATUS(null, mimi_decode(model, options, NULL, g.codebooks, pcm, 1920, &n));
    STATUS(null, mimi_decode(model, options, g.codes, g.codebooks, NULL, 1920, &n));
    STATUS(null, mimi_decode(model, options, g.codes, g.codebooks, pcm, 1920, NULL));
    STATUS(null, mimi_codes_for(NULL, options, 100, &n));
    STATUS(null, mimi_codes_for(model, options, 100, NULL));
    STATUS(null, mimi_samples_for(NULL, options, g.codebooks, &n));
    STATUS(null, mimi_samples_for(model, options, g.codebooks, NULL));

    NO_HANDLE(null, mimi_encoder, mimi_encoder_new(NULL, options, &out));
    STATUS(null, mimi_encoder_new(model, options, NULL));
    STATUS(null, mimi_encoder_process(NULL, g.pcm, 100, codes, 256, &n));
    STATUS(null, mimi_encoder_process(encoder, NULL, 100, codes, 256, &n));
    STATUS(null, mimi_encoder_process(encoder, g.pcm, 100, NULL, 256, &n));
    STATUS(null, mimi_encoder_process(encoder, g.pcm, 100, codes, 256, NULL));
    STATUS(null, mimi_encoder_flush(NULL, codes, 256, &n));
    STATUS(null, mimi_encoder_flush(encoder, NULL, 256, &n));
    STATUS(null, mimi_encoder_flush(encoder, codes, 256, NULL));
    STATUS(null, mimi_encoder_codes_for(NULL, 1920, &n));
    STATUS(null, mimi_encoder_codes_for(encoder, 1920, NULL));
    STATUS(null, mimi_encoder_reset(NULL));
    STATUS(null, mimi_encoder_get(NULL, MIMI_PROP_FRAMES, &value));
    STATUS(null, mimi_encoder_get(encoder, MIMI_PROP_FRAMES, NULL));
    NO_HANDLE(null, mimi_encoder, mimi_encoder_clone(NULL, &out));
    STATUS(null, mimi_encoder_clone(encoder, NULL));

    NO_HANDLE(null, mimi_decoder, mimi_decoder_new(NULL, options, &out));
    STATUS(null, mimi_decoder_new(model, options, NULL));
    STATUS(null, mimi_decoder_process(NULL, g.codes, g.codebooks, pcm, 1920, &n));
    STATUS(null, mimi_decoder_process(NULL, NULL, g.codebooks, pcm, 1920, &n));
    STATUS(null, mimi_decoder_process(decoder, NULL, g.codebooks, NULL, 1920, &n));
    STATUS(null, mimi_decoder_process(decoder, NULL, g.codebooks, pcm, 1920, NULL));
    STATUS(null, mimi_decoder_process(decoder, g.codes, g.codebooks, NULL, 1920, &n));
    STATUS(null, mimi_decoder_process(decoder, g.codes, g.codebooks, pcm, 1920, NULL));
    STATUS(null, mimi_decoder_flush(NULL, pcm, 1920, &n));
    STATUS(null, mimi_decoder_flush(decoder, NULL, 1920, &n));
    STATUS(null, mimi_decoder_flush(decoder, pcm, 1920, NULL));
    STATUS(null, mimi_decoder_samples_for(NULL, g.codebooks, &n));
    STATUS(null, mimi_decoder_samples_for(decoder, g.codebooks, NULL));
    STATUS(null, mimi_decoder_reset(NULL));
    STATUS(null, mimi_decoder_get(NULL, MIMI_PROP_FRAMES, &value));
    STATUS(null, mimi_decoder_get(decoder, MIMI_PROP_FRAMES, NULL));
    NO_HANDLE(null, mimi_decoder, mimi_decoder_clone(NULL, &out));
    STATUS(null, mimi_decoder_clone(decoder, NULL));

    STATUS(null, mimi_encode_latents(NULL, options, g.pcm, 100, latents, 256, &n));
    STATUS(null, mimi_encode_latents(model, options, NULL, 100, latents, 256, &n));
    STATUS(null, mimi_encode_latents(model, options, g.pcm, 100, NULL, 256, &n));
    STATUS(null, mimi_encode_latents(model, options, g.pcm, 100, latents, 256, NULL));
    STATUS(null, mimi_decode_latents(NULL, options, latents, 32, pcm, 1920, &n));
    STATUS(null, mimi_decode_latents(model, options, NULL, 32, pcm, 1920, &n));
    STATUS(null, mimi_decode_latents(model, options, latents, 32, NULL, 1920, &n));
    STATUS(null, mimi_decode_latents(model, options, latents, 32, pcm, 1920, NULL));
    STATUS(null, mimi_latents_for(NULL, options, 100, &n));
    STATUS(null, mimi_latents_for(model, options, 100, NULL));
    STATUS(null, mimi_samples_for_latents(NULL, options, 32, &n));
    STATUS(null, mimi_samples_for_latents(model, options, 32, NULL));
    STATUS(null, mimi_quantize(NULL, options, latents, 32, codes, 256, &n));
    STATUS(null, mimi_quantize(model, options, NULL, 32, codes, 256, &n));
    STATUS(null, mimi_quantize(model, options, latents, 32, NULL, 256, &n));
    STATUS(null, mimi_quantize(model, options, latents, 32, codes, 256, NULL));
    STATUS(null, mimi_dequantize(NULL, options, g.codes, g.codebooks, latents, 256, &n));
    STATUS(null, mimi_dequantize(model, options, NULL, g.codebooks, latents, 256, &n));
    STATUS(null, mimi_dequantize(model, options, g.codes, g.codebooks, NULL, 256, &n));
    STATUS(null, mimi_dequantize(model, options, g.codes, g.codebooks, latents, 256, NULL));
    STATUS(null, mimi_encoder_process_latents(NULL, g.pcm, 100, latents, 256, &n));
    STATUS(null, mimi_encoder_process_latents(encoder, NULL, 100, latents, 256, &n));
    STATUS(null, mimi_encoder_process_latents(encoder, g.pcm, 100, NULL, 256, &n));
    STATUS(null, mimi_encoder_process_latents(encoder, g.pcm, 100, latents, 256, NULL));
    STATUS(null, mimi_encoder_flush_latents(NULL, latents, 256, &n));
    STATUS(null, mimi_encoder_flush_latents(encoder, NULL, 256, &n));
    STATUS(null, mimi_encoder_flush_latents(encoder, latents, 256, NULL));
    STATUS(null, mimi_encoder_latents_for(NULL, 1920, &n));
    STATUS(null, mimi_encoder_latents_for(encoder, 1920, NULL));
    STATUS(null, mimi_decoder_process_latents(NULL, latents, 32, pcm, 1920, &n));
    STATUS(null, mimi_decoder_process_latents(NULL, NULL, 32, pcm, 1920, &n));
    STATUS(null, mimi_decoder_process_latents(decoder, NULL, 32, NULL, 1920, &n));
    STATUS(null, mimi_decoder_process_latents(decoder, NULL, 32, pcm, 1920, NULL));
    STATUS(null, mimi_decoder_process_latents(decoder, latents, 32, NULL, 1920, &n));
    STATUS(null, mimi_decoder_process_latents(decoder, latents, 32, pcm, 1920, NULL));
    STATUS(null, mimi_decoder_samples_for_latents(NULL, 32, &n));
    STATUS(null, mimi_decoder_samples_for_latents(decoder, 32, NULL));

    NO_HANDLE(null, mimi_capture, mimi_capture_new(NULL, options, &out));
    STATUS(null, mimi_capture_new(model, options, NULL));
    STATUS(null, mimi_capture_write(NULL, g.pcm, 100));
    STATUS(null, mimi_capture_write(capture, NULL, 100));
    STATUS(null, mimi_capture_read(NULL, codes, 256, &n));
    STATUS(null, mimi_capture_read(capture, NULL, 256, &n));
    STATUS(null, mimi_capture_read(capture, codes, 256, NULL));
    STATUS(null, mimi_capture_work(NULL));
    STATUS(null, mimi_capture_reset(NULL));
    STATUS(null, mimi_capture_get(NULL, MIMI_PROP_FRAMES, &value));
    STATUS(null, mimi_capture_get(capture, MIMI_PROP_FRAMES, NULL));
    NO_HANDLE(null, mimi_playback, mimi_playback_new(NULL, options, &out));
    STATUS(null, mimi_playback_new(model, options, NULL));
    STATUS(null, mimi_playback_write(NULL, g.codes, g.codebooks));
    STATUS(null, mimi_playback_write(NULL, NULL, g.codebooks));
    STATUS(null, mimi_playback_read(NULL, pcm, 1920));
    STATUS(null, mimi_playback_read(playback, NULL, 1920));
    STATUS(null, mimi_playback_work(NULL));
    STATUS(null, mimi_playback_reset(NULL));
    STATUS(null, mimi_playback_get(NULL, MIMI_PROP_FRAMES, &value));
    STATUS(null, mimi_playback_get(playback, MIMI_PROP_FRAMES, NULL));

    mimi_capture_free(NULL);
    mimi_playback_free(NULL);
    mimi_options_free(NULL);
    mimi_free(NULL);
    mimi_encoder_free(NULL);
    mimi_decoder_free(NULL);
}

/* Every function with every handle that is not of its kind, and with misaligned ones. */
static void wrong_handles(const char *path) {
    void *const handles[] = {options, model, encoder, decoder, capture, playback};
    for (int i = 0; i < 12; i++) {
        void *h = i < 6 ? handles[i] : MISALIGNED(handles[i - 6]);
        const mimi_status wrong = i < 6 ? MIMI_ERR_STATE : MIMI_ERR_INVALID_ARGUMENT;
        if (i != 0) {
            STATUS(wrong, mimi_options_set(h, MIMI_OPT_TAIL, 0));
            STATUS(wrong, mimi_options_get(h, MIMI_OPT_TAIL, &value));
            NO_HANDLE(wrong, mimi_model, mimi_load(path, h, &out));
            NO_HANDLE(wrong, mimi_model, mimi_load_memory("x", 1, h, &out));
            NO_HANDLE(wrong, mimi_model, mimi_load_reader(refuse, &n, 1, h, &out));
            NO_HANDLE(wrong, mimi_encoder, mimi_encoder_new(model, h, &out));
            NO_HANDLE(wrong, mimi_decoder, mimi_decoder_new(model, h, &out));
            NO_HANDLE(wrong, mimi_capture, mimi_capture_new(model, h, &out));
            NO_HANDLE(wrong, mimi_playback, mimi_playback_new(model, h, &out));
            STATUS(wrong, mimi_encode(model, h, g.pcm, 100, codes, 256, &n));
            STATUS(wrong, mimi_decode(model, h, g.codes, g.codebooks, pcm, 1920, &n));
            STATUS(wrong, mimi_codes_for(model, h, 100, &n));
            STATUS(wrong, mimi_samples_for(model, h, g.codebooks, &n));
            STATUS(wrong, mimi_encode_latents(model, h, g.pcm, 100, latents, 256, &n));
            STATUS(wrong, mimi_decode_latents(model, h, latents, 32, pcm, 1920, &n));
            STATUS(wrong, mimi_latents_for(model, h, 100, &n));
            STATUS(wrong, mimi_samples_for_latents(model, h, 32, &n));
            STATUS(wrong, mimi_quantize(model, h, latents, 32, codes, 256, &n));
            STATUS(wrong, mimi_dequantize(model, h, g.codes, g.codebooks, latents, 256, &n));
            mimi_options_free(h);
        }
        if (i != 1) {
            STATUS(wrong, mimi_model_get(h, MIMI_PROP_CODEBOOKS, &value));
            STATUS(wrong, mimi_encode(h, options, g.pcm, 100, codes, 256, &n));
            STATUS(wrong, mimi_decode(h, options, g.codes, g.codebooks, pcm, 1920, &n));
            STATUS(wrong, mimi_codes_for(h, options, 100, &n));
            STATUS(wrong, mimi_samples_for(h, options, g.codebooks, &n));
            STATUS(wrong, mimi_encode_latents(h, options, g.pcm, 100, latents, 256, &n));
            STATUS(wrong, mimi_decode_latents(h, options, latents, 32, pcm, 1920, &n));
            STATUS(wrong, mimi_latents_for(h, options, 100, &n));
            STATUS(wrong, mimi_samples_for_latents(h, options, 32, &n));
            STATUS(wrong, mimi_quantize(h, options, latents, 32, codes, 256, &n));
            STATUS(wrong, mimi_dequantize(h, options, g.codes, g.codebooks, latents, 256, &n));
            NO_HANDLE(wrong, mimi_encoder, mimi_encoder_new(h, options, &out));
            NO_HANDLE(wrong, mimi_decoder, mimi_decoder_new(h, options, &out));
            NO_HANDLE(wrong, mimi_capture, mimi_capture_new(h, options, &out));
            NO_HANDLE(wrong, mimi_playback, mimi_playback_new(h, options, &out));
            mimi_free(h);
        }
        if (i != 2) {
            STATUS(wrong, mimi_encoder_process(h, g.pcm, 100, codes, 256, &n));
            STATUS(wrong, mimi_encoder_flush(h, codes, 256, &n));
            STATUS(wrong, mimi_encoder_process_latents(h, g.pcm, 100, latents, 256, &n));
            STATUS(wrong, mimi_encoder_flush_latents(h, latents, 256, &n));
            STATUS(wrong, mimi_encoder_latents_for(h, 1920, &n));
            STATUS(wrong, mimi_encoder_reset(h));
            STATUS(wrong, mimi_encoder_codes_for(h, 1920, &n));
            STATUS(wrong, mimi_encoder_get(h, MIMI_PROP_FRAMES, &value));
            NO_HANDLE(wrong, mimi_encoder, mimi_encoder_clone(h, &out));
            mimi_encoder_free(h);
        }
        if (i != 3) {
            STATUS(wrong, mimi_decoder_process(h, g.codes, g.codebooks, pcm, 1920, &n));
            STATUS(wrong, mimi_decoder_flush(h, pcm, 1920, &n));
            STATUS(wrong, mimi_decoder_process_latents(h, latents, 32, pcm, 1920, &n));
            STATUS(wrong, mimi_decoder_process_latents(h, NULL, 32, pcm, 1920, &n));
            STATUS(wrong, mimi_decoder_samples_for_latents(h, 32, &n));
            STATUS(wrong, mimi_decoder_reset(h));
            STATUS(wrong, mimi_decoder_samples_for(h, g.codebooks, &n));
            STATUS(wrong, mimi_decoder_get(h, MIMI_PROP_FRAMES, &value));
            NO_HANDLE(wrong, mimi_decoder, mimi_decoder_clone(h, &out));
            mimi_decoder_free(h);
        }
        if (i != 4) {
            STATUS(wrong, mimi_capture_write(h, g.pcm, 100));
            STATUS(wrong, mimi_capture_read(h, codes, 256, &n));
            STATUS(wrong, mimi_capture_work(h));
            STATUS(wrong, mimi_capture_reset(h));
            STATUS(wrong, mimi_capture_get(h, MIMI_PROP_FRAMES, &value));
            mimi_capture_free(h);
        }
        if (i != 5) {
            STATUS(wrong, mimi_playback_write(h, g.codes, g.codebooks));
            STATUS(wrong, mimi_playback_write(h, NULL, g.codebooks));
            STATUS(wrong, mimi_playback_read(h, pcm, 100));
            STATUS(wrong, mimi_playback_work(h));
            STATUS(wrong, mimi_playback_reset(h));
            STATUS(wrong, mimi_playback_get(h, MIMI_PROP_FRAMES, &value));
            mimi_playback_free(h);
        }
    }
}

/* Lengths beyond the address space and misaligned pointers, in every position. */
static void absurd_buffers(const char *path) {
    const mimi_status invalid = MIMI_ERR_INVALID_ARGUMENT;
    const size_t absurd[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2 + 1, SIZE_MAX / 4, SIZE_MAX / 8 + 1};
    for (size_t i = 0; i < sizeof absurd / sizeof *absurd; i++) {
        size_t len = absurd[i];
        STATUS(invalid, mimi_encode(model, options, g.pcm, len, codes, 256, &n));
        STATUS(invalid, mimi_encode(model, options, g.pcm, 100, codes, len, &n));
        STATUS(invalid, mimi_decode(model, options, g.codes, len, pcm, 1920, &n));
        STATUS(invalid, mimi_decode(model, options, g.codes, g.codebooks, pcm, len, &n));
        STATUS(invalid, mimi_encoder_process(encoder, g.pcm, len, codes, 256, &n));
        STATUS(invalid, mimi_encoder_process(encoder, g.pcm, 100, codes, len, &n));
        STATUS(invalid, mimi_encoder_flush(encoder, codes, len, &n));
        STATUS(invalid, mimi_decoder_process(decoder, g.codes, len, pcm, 1920, &n));
        STATUS(invalid, mimi_decoder_process(decoder, g.codes, g.codebooks, pcm, len, &n));
        STATUS(invalid, mimi_decoder_flush(decoder, pcm, len, &n));
        STATUS(invalid, mimi_encode_latents(model, options, g.pcm, len, latents, 256, &n));
        STATUS(invalid, mimi_encode_latents(model, options, g.pcm, 100, latents, len, &n));
        STATUS(invalid, mimi_decode_latents(model, options, latents, len, pcm, 1920, &n));
        STATUS(invalid, mimi_decode_latents(model, options, latents, 32, pcm, len, &n));
        STATUS(invalid, mimi_quantize(model, options, latents, len, codes, 256, &n));
        STATUS(invalid, mimi_quantize(model, options, latents, 32, codes, len, &n));
        STATUS(invalid, mimi_dequantize(model, options, g.codes, len, latents, 256, &n));
        STATUS(invalid, mimi_dequantize(model, options, g.codes, g.codebooks, latents, len, &n));
        STATUS(invalid, mimi_encoder_process_latents(encoder, g.pcm, len, latents, 256, &n));
        STATUS(invalid, mimi_encoder_process_latents(encoder, g.pcm, 100, latents, len, &n));
        STATUS(invalid, mimi_encoder_flush_latents(encoder, latents, len, &n));
        STATUS(invalid, mimi_decoder_process_latents(decoder, latents, len, pcm, 1920, &n));
        STATUS(invalid, mimi_decoder_process_latents(decoder, latents, 32, pcm, len, &n));
        STATUS(invalid, mimi_capture_write(capture, g.pcm, len));
        STATUS(invalid, mimi_capture_read(capture, codes, len, &n));
        STATUS(invalid, mimi_playback_write(playback, g.codes, len));
        STATUS(invalid, mimi_playback_read(playback, pcm, len));
        STATUS(len % g.codebooks ? invalid : MIMI_ERR_BUFFER_TOO_SMALL, mimi_playback_write(playback, NULL, len));
        if (len > SIZE_MAX / 2)
            NO_HANDLE(invalid, mimi_model, mimi_load_memory("x", len, options, &out));
    }

    size_t room[2];
    STATUS(invalid, mimi_options_get(options, MIMI_OPT_TAIL, MISALIGNED(&value)));
    STATUS(invalid, mimi_model_get(model, MIMI_PROP_CODEBOOKS, MISALIGNED(&value)));
    STATUS(invalid, mimi_encoder_get(encoder, MIMI_PROP_FRAMES, MISALIGNED(&value)));
    STATUS(invalid, mimi_decoder_get(decoder, MIMI_PROP_FRAMES, MISALIGNED(&value)));
    STATUS(invalid, mimi_load(path, options, MISALIGNED(room)));
    STATUS(invalid, mimi_load_memory("x", 1, options, MISALIGNED(room)));
    STATUS(invalid, mimi_load_reader(refuse, &n, 1, options, MISALIGNED(room)));
    STATUS(invalid, mimi_encoder_new(model, options, MISALIGNED(room)));
    STATUS(invalid, mimi_decoder_new(model, options, MISALIGNED(room)));
    STATUS(invalid, mimi_encoder_clone(encoder, MISALIGNED(room)));
    STATUS(invalid, mimi_decoder_clone(decoder, MISALIGNED(room)));
    STATUS(invalid, mimi_encode(model, options, MISALIGNED(g.pcm), 100, codes, 256, &n));
    STATUS(invalid, mimi_encode(model, options, g.pcm, 100, MISALIGNED(codes), 100, &n));
    STATUS(invalid, mimi_encode(model, options, g.pcm, 100, codes, 256, MISALIGNED(room)));
    STATUS(invalid, mimi_decode(model, options, MISALIGNED(g.codes), g.codebooks, pcm, 1920, &n));
    STATUS(invalid, mimi_decode(model, options, g.codes, g.codebooks, MISALIGNED(pcm), 1920, &n));
    STATUS(invalid, mimi_decode(model, options, g.codes, g.codebooks, pcm, 1920, MISALIGNED(room)));
    STATUS(invalid, mimi_encoder_process(encoder, MISALIGNED(g.pcm), 100, codes, 256, &n));
    STATUS(invalid, mimi_encoder_process(encoder, g.pcm, 100, MISALIGNED(codes), 100, &n));
    STATUS(invalid, mimi_encoder_process(encoder, g.pcm, 100, codes, 256, MISALIGNED(room)));
    STATUS(invalid, mimi_encoder_flush(encoder, MISALIGNED(codes), 100, &n));
    STATUS(invalid, mimi_encoder_flush(encoder, codes, 256, MISALIGNED(room)));
    STATUS(invalid, mimi_decoder_process(decoder, MISALIGNED(g.codes), g.codebooks, pcm, 1920, &n));
    STATUS(invalid, mimi_decoder_process(decoder, g.codes, g.codebooks, MISALIGNED(pcm), 1920, &n));
    STATUS(invalid, mimi_decoder_process(decoder, g.codes, g.codebooks, pcm, 1920, MISALIGNED(room)));
    STATUS(invalid, mimi_decoder_flush(decoder, MISALIGNED(pcm), 1920, &n));
    STATUS(invalid, mimi_decoder_flush(decoder, pcm, 1920, MISALIGNED(room)));
    STATUS(invalid, mimi_encode_latents(model, options, MISALIGNED(g.pcm), 100, latents, 256, &n));
    STATUS(invalid, mimi_encode_latents(model, options, g.pcm, 100, MISALIGNED(latents), 100, &n));
    STATUS(invalid, mimi_encode_latents(model, options, g.pcm, 100, latents, 256, MISALIGNED(room)));
    STATUS(invalid, mimi_decode_latents(model, options, MISALIGNED(latents), 32, pcm, 1920, &n));
    STATUS(invalid, mimi_decode_latents(model, options, latents, 32, MISALIGNED(pcm), 1920, &n));
    STATUS(invalid, mimi_decode_latents(model, options, latents, 32, pcm, 1920, MISALIGNED(room)));
    STATUS(invalid, mimi_quantize(model, options, MISALIGNED(latents), 32, codes, 256, &n));
    STATUS(invalid, mimi_quantize(model, options, latents, 32, MISALIGNED(codes), 100, &n));
    STATUS(invalid, mimi_quantize(model, options, latents, 32, codes, 256, MISALIGNED(room)));
    STATUS(invalid, mimi_dequantize(model, options, MISALIGNED(g.codes), g.codebooks, latents, 256, &n));
    STATUS(invalid, mimi_dequantize(model, options, g.codes, g.codebooks, MISALIGNED(latents), 100, &n));
    STATUS(invalid, mimi_dequantize(model, options, g.codes, g.codebooks, latents, 256, MISALIGNED(room)));
    STATUS(invalid, mimi_encoder_process_latents(encoder, MISALIGNED(g.pcm), 100, latents, 256, &n));
    STATUS(invalid, mimi_encoder_process_latents(encoder, g.pcm, 100, MISALIGNED(latents), 100, &n));
    STATUS(invalid, mimi_encoder_process_latents(encoder, g.pcm, 100, latents, 256, MISALIGNED(room)));
    STATUS(invalid, mimi_encoder_flush_latents(encoder, MISALIGNED(latents), 100, &n));
    STATUS(invalid, mimi_encoder_flush_latents(encoder, latents, 256, MISALIGNED(room)));
    STATUS(invalid, mimi_decoder_process_latents(decoder, MISALIGNED(latents), 32, pcm, 1920, &n));
    STATUS(invalid, mimi_decoder_process_latents(decoder, latents, 32, MISALIGNED(pcm), 1920, &n));
    STATUS(invalid, mimi_decoder_process_latents(decoder, latents, 32, pcm, 1920, MISALIGNED(room)));
    STATUS(invalid, mimi_latents_for(model, options, 100, MISALIGNED(room)));
    STATUS(invalid, mimi_samples_for_latents(model, options, 32, MISALIGNED(room)));
    STATUS(invalid, mimi_encoder_latents_for(encoder, 100, MISALIGNED(room)));
    STATUS(invalid, mimi_decoder_samples_for_latents(decoder, 32, MISALIGNED(room)));
    STATUS(invalid, mimi_capture_new(model, options, MISALIGNED(room)));
    STATUS(invalid, mimi_capture_write(capture, MISALIGNED(g.pcm), 100));
    STATUS(invalid, mimi_capture_read(capture, MISALIGNED(codes), 100, &n));
    STATUS(invalid, mimi_capture_read(capture, codes, 256, MISALIGNED(room)));
    STATUS(invalid, mimi_capture_get(capture, MIMI_PROP_FRAMES, MISALIGNED(&value)));
    STATUS(invalid, mimi_playback_new(model, options, MISALIGNED(room)));
    STATUS(invalid, mimi_playback_write(playback, MISALIGNED(g.codes), g.codebooks));
    STATUS(invalid, mimi_playback_write(playback, g.codes, g.codebooks + 1));
    STATUS(invalid, mimi_playback_write(playback, NULL, g.codebooks + 1));
    STATUS(invalid, mimi_playback_read(playback, MISALIGNED(pcm), 100));
    STATUS(invalid, mimi_playback_get(playback, MIMI_PROP_FRAMES, MISALIGNED(&value)));
    STATUS(invalid, mimi_codes_for(model, options, 100, MISALIGNED(room)));
    STATUS(invalid, mimi_samples_for(model, options, g.codebooks, MISALIGNED(room)));
    STATUS(invalid, mimi_encoder_codes_for(encoder, 100, MISALIGNED(room)));
    STATUS(invalid, mimi_decoder_samples_for(decoder, g.codebooks, MISALIGNED(room)));
    STATUS(invalid, mimi_decoder_samples_for(decoder, g.codebooks + 1, &n));
    STATUS(invalid, mimi_samples_for(model, options, g.codebooks + 1, &n));
    STATUS(invalid, mimi_decoder_samples_for_latents(decoder, 33, &n));
    STATUS(invalid, mimi_samples_for_latents(model, options, 33, &n));
    CHECK(strstr(mimi_last_error(), "33 values: expected a multiple of 32"));

    /* input and output in the same memory */
    union {
        float pcm[4096];
        uint32_t codes[4096];
    } *both = calloc(1, sizeof *both);
    CHECK(both);
    STATUS(invalid, mimi_encode(model, options, both->pcm, 1920, both->codes, 256, &n));
    STATUS(invalid, mimi_encoder_process(encoder, both->pcm, 1920, both->codes + 1919, 256, &n));
    STATUS(invalid, mimi_encoder_process(encoder, both->pcm + 255, 1920, both->codes, 256, &n));
    STATUS(invalid, mimi_decode(model, options, both->codes, g.codebooks, both->pcm, 1920, &n));
    STATUS(invalid, mimi_decoder_process(decoder, both->codes, g.codebooks, both->pcm, 1920, &n));
    STATUS(invalid, mimi_encode_latents(model, options, both->pcm, 1920, both->pcm + 1919, 256, &n));
    STATUS(invalid, mimi_decode_latents(model, options, both->pcm, 32, both->pcm + 31, 1920, &n));
    STATUS(invalid, mimi_quantize(model, options, both->pcm, 32, both->codes, 256, &n));
    STATUS(invalid, mimi_dequantize(model, options, both->codes, g.codebooks, both->pcm, 256, &n));
    STATUS(invalid, mimi_encoder_process_latents(encoder, both->pcm, 1920, both->pcm + 1919, 256, &n));
    STATUS(invalid, mimi_decoder_process_latents(decoder, both->pcm + 1919, 32, both->pcm, 1920, &n));
    free(both);
}

/* A place for a count within a buffer: the count would overwrite what the call has read or written. */
static void counts_in_buffers(void) {
    const mimi_status invalid = MIMI_ERR_INVALID_ARGUMENT;
    union {
        float pcm[8192];
        uint32_t codes[8192];
        unsigned char bytes[4 * 8192];
        size_t counts[8];
    } *in = calloc(1, sizeof *in), *out = calloc(1, sizeof *out);
    CHECK(in && out);
    const size_t k = g.codebooks;
    const int64_t books = (int64_t)k;
    for (size_t i = 0; i < 2; i++) {
        size_t *count = i ? in->counts : out->counts; /* at the beginning of either */
        STATUS(invalid, mimi_encode(model, options, in->pcm, 1920, out->codes, 256, count));
        STATUS(invalid, mimi_encoder_process(encoder, in->pcm, 1920, out->codes, 256, count));
        STATUS(invalid, mimi_decode(model, options, in->codes, k, out->pcm, 1920, count));
        STATUS(invalid, mimi_decoder_process(decoder, in->codes, k, out->pcm, 1920, count));
        STATUS(invalid, mimi_encode_latents(model, options, in->pcm, 1920, out->pcm, 256, count));
        STATUS(invalid, mimi_decode_latents(model, options, in->pcm, 32, out->pcm, 1920, count));
        STATUS(invalid, mimi_quantize(model, options, in->pcm, 32, out->codes, 256, count));
        STATUS(invalid, mimi_dequantize(model, options, in->codes, k, out->pcm, 256, count));
        STATUS(invalid, mimi_encoder_process_latents(encoder, in->pcm, 1920, out->pcm, 256, count));
        STATUS(invalid, mimi_decoder_process_latents(decoder, in->pcm, 32, out->pcm, 1920, count));
        STATUS(invalid, mimi_pack(in->codes, k, books, 11, out->bytes, 100, count));
        STATUS(invalid, mimi_unpack(in->bytes, 2 * k, books, 16, out->codes, k, count));
    }
    /* in the last element, and right behind it */
    OK(mimi_encoder_reset(encoder));
    STATUS(invalid, mimi_encoder_process(encoder, in->pcm, 1920, out->codes, 2 * 3 + 1, &out->counts[3]));
    OK(mimi_encoder_process(encoder, in->pcm, 1920, out->codes, k, (size_t *)(void *)&out->codes[(k + 1) / 2 * 2]));
    STATUS(invalid, mimi_encoder_flush(encoder, out->codes, 256, out->counts));
    STATUS(invalid, mimi_encoder_flush_latents(encoder, out->pcm, 256, out->counts));
    STATUS(invalid, mimi_capture_read(capture, out->codes, 256, out->counts));
    STATUS(invalid, mimi_decoder_flush(decoder, out->pcm, 256, out->counts));
    STATUS(invalid, mimi_drop_codebooks(out->bytes, 2 * k, books, 16, 1, out->counts));
    mimi_token_header h = {.size = sizeof h};
    OK(mimi_model_header(model, options, &h));
    STATUS(invalid, mimi_pack_header(&h, out->bytes, 40, out->counts));
    STATUS(invalid, mimi_pack_header(&h, out->bytes, 40, (size_t *)(void *)&h.model_id));
    OK(mimi_encoder_reset(encoder));
    free(in);
    free(out);
}

/* The sizes that the calls tell beforehand are those that they need. */
static void sizes(void) {
    size_t asked;
    OK(mimi_encoder_reset(encoder));
    OK(mimi_decoder_reset(decoder));
    for (size_t samples = 0; samples < 5000; samples += 777) {
        OK(mimi_codes_for(model, options, samples, &asked));
        STATUS(asked ? MIMI_ERR_BUFFER_TOO_SMALL : MIMI_OK, mimi_encode(model, options, g.pcm, samples, NULL, 0, &n));
        CHECK(n == asked);
        OK(mimi_encoder_codes_for(encoder, samples, &asked));
        OK(mimi_encoder_process(encoder, g.pcm, samples, codes, 256, &n));
        CHECK(n == asked);
        OK(mimi_encoder_get(encoder, MIMI_PROP_FLUSH_LEN, &value));
        if (value)
            STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_encoder_flush(encoder, NULL, 0, &n));
        CHECK(value == 0 || (size_t)value == n);
        OK(mimi_latents_for(model, options, samples, &asked));
        STATUS(asked ? MIMI_ERR_BUFFER_TOO_SMALL : MIMI_OK,
               mimi_encode_latents(model, options, g.pcm, samples, NULL, 0, &n));
        CHECK(n == asked);
        OK(mimi_encoder_latents_for(encoder, samples, &asked));
        OK(mimi_encoder_process_latents(encoder, g.pcm, samples, latents, 256, &n));
        CHECK(n == asked);
        OK(mimi_encoder_get(encoder, MIMI_PROP_FLUSH_LATENTS, &value));
        if (value)
            STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_encoder_flush_latents(encoder, NULL, 0, &n));
        CHECK(value == 0 || (size_t)value == n);
    }
    OK(mimi_encoder_codes_for(encoder, SIZE_MAX, &asked));
    OK(mimi_encoder_latents_for(encoder, SIZE_MAX, &asked));
    for (size_t frames = 0; frames < 3; frames++) {
        OK(mimi_samples_for(model, options, frames * g.codebooks, &asked));
        CHECK(asked == frames * 1920);
        OK(mimi_decoder_samples_for(decoder, frames * g.codebooks, &asked));
        CHECK(asked == frames * 1920);
        OK(mimi_samples_for_latents(model, options, frames * 32, &asked));
        CHECK(asked == frames * 1920);
        OK(mimi_decoder_samples_for_latents(decoder, frames * 32, &asked));
        CHECK(asked == frames * 1920);
    }
    OK(mimi_decoder_get(decoder, MIMI_PROP_FLUSH_LEN, &value));
    CHECK(value == 0);
    OK(mimi_encoder_reset(encoder));
}

/* What a model runs on, asked of it and of its streams. */
static void what_it_runs_on(const char *path) {
    for (int64_t precision = MIMI_PRECISION_F32; precision <= MIMI_PRECISION_INT16; precision++) {
        mimi_options *o = mimi_options_new();
        mimi_model *loaded;
        mimi_decoder *stream;
        OK(mimi_options_set(o, MIMI_OPT_PRECISION, precision));
        OK(mimi_options_set(o, MIMI_OPT_PARTS, MIMI_PARTS_DECODER));
        OK(mimi_options_set(o, MIMI_OPT_ISA, MIMI_ISA_BASELINE));
        OK(mimi_load(path, o, &loaded));
        OK(mimi_decoder_new(loaded, NULL, &stream));
        OK(mimi_model_get(loaded, MIMI_PROP_PRECISION, &value));
        CHECK(value == precision);
        OK(mimi_decoder_get(stream, MIMI_PROP_PRECISION, &value));
        CHECK(value == precision);
        OK(mimi_decoder_get(stream, MIMI_PROP_PARTS, &value));
        CHECK(value == MIMI_PARTS_DECODER);
        OK(mimi_decoder_get(stream, MIMI_PROP_ISA, &value));
#if defined(__aarch64__)
        CHECK(value == MIMI_ISA_NEON);
#else
        CHECK(value == MIMI_ISA_BASELINE);
#endif
        mimi_decoder_free(stream);
        mimi_free(loaded);
        mimi_options_free(o);
    }
    OK(mimi_encoder_get(encoder, MIMI_PROP_ISA, &value));
    CHECK(value != MIMI_ISA_AUTO);
    OK(mimi_encoder_get(encoder, MIMI_PROP_PARTS, &value));
    CHECK(value == MIMI_PARTS_BOTH);
}

/* Every key around the known ones and at the ends of the range, with every sort of value. */
static void keys_and_values(void) {
    static const int64_t values[] = {INT64_MIN, INT32_MIN, -1000, -1, 0, 1, 2, 3, 4, 5, 8, 100, 65536, 65537,
                                     1 << 24, (1 << 24) + 1, INT32_MAX, INT64_C(1) << 31, INT64_MAX};
    mimi_options *scratch = mimi_options_new();
    CHECK(scratch);
    for (int64_t at = -1002; at <= 1002; at++) {
        int32_t key = at < -1000 ? INT32_MIN + (int32_t)(at + 1002) : at > 1000 ? INT32_MAX - (int32_t)(1002 - at) : (int32_t)at;
        int known = MIMI_OPT_CODEBOOKS <= key && key <= MIMI_OPT_BUFFER_FRAMES;
        for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
            int64_t before = 0, after = 0;
            mimi_status got = mimi_options_get(scratch, key, &before);
            CHECK(got == (known ? MIMI_OK : MIMI_ERR_UNSUPPORTED));
            mimi_status set = mimi_options_set(scratch, key, values[i]);
            CHECK(set == MIMI_OK || set == MIMI_ERR_UNSUPPORTED || set == MIMI_ERR_INVALID_ARGUMENT);
            if (!known) {
                CHECK(set == MIMI_ERR_UNSUPPORTED);
                continue;
            }
            if (values[i] < 0)
                CHECK(set == MIMI_ERR_INVALID_ARGUMENT);
            if (values[i] == 0)
                CHECK(set == MIMI_OK);
            OK(mimi_options_get(scratch, key, &after));
            CHECK(after == (set == MIMI_OK ? values[i] : before));
        }
        mimi_status status = mimi_model_get(model, key, &value);
        int of_all = (MIMI_PROP_CODEBOOKS <= key && key <= MIMI_PROP_PARTS) || key == MIMI_PROP_LATENT_DIM;
        int of_model = of_all && key != MIMI_PROP_FRAMES && key != MIMI_PROP_LATENCY_SAMPLES && key != MIMI_PROP_CODES_HASH;
        CHECK(status == (of_model ? MIMI_OK : MIMI_ERR_UNSUPPORTED));
        int of_encoder = of_all || key == MIMI_PROP_FLUSH_LEN || key == MIMI_PROP_FLUSH_LATENTS;
        int of_decoder = of_all || (MIMI_PROP_FLUSH_LEN <= key && key <= MIMI_PROP_CONCEALED);
        CHECK(mimi_encoder_get(encoder, key, &value) == (of_encoder ? MIMI_OK : MIMI_ERR_UNSUPPORTED));
        CHECK(mimi_decoder_get(decoder, key, &value) == (of_decoder ? MIMI_OK : MIMI_ERR_UNSUPPORTED));
        int of_capture = of_all || key == MIMI_PROP_DROPPED;
        int of_playback = of_capture || (MIMI_PROP_CONCEALED <= key && key <= MIMI_PROP_DROPPED);
        CHECK(mimi_capture_get(capture, key, &value) == (of_capture ? MIMI_OK : MIMI_ERR_UNSUPPORTED));
        CHECK(mimi_playback_get(playback, key, &value) == (of_playback ? MIMI_OK : MIMI_ERR_UNSUPPORTED));
        CHECK(strlen(mimi_status_string(key)) > 1);
    }
    STATUS(MIMI_ERR_UNSUPPORTED, mimi_options_set(scratch, MIMI_OPT_WORK, 2));
    CHECK(strstr(mimi_last_error(), "MIMI_OPT_WORK") && strstr(mimi_last_error(), "spread"));
    STATUS(MIMI_ERR_UNSUPPORTED, mimi_options_set(scratch, MIMI_OPT_OFFLINE, 2));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_options_set(scratch, MIMI_OPT_BUFFER_FRAMES, 65));
    STATUS(MIMI_ERR_UNSUPPORTED, mimi_options_set(scratch, MIMI_OPT_PRECISION, 4));
    CHECK(strstr(mimi_last_error(), "precision (MIMI_OPT_PRECISION) is 4") && strstr(mimi_last_error(), "f32"));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_options_set(scratch, MIMI_OPT_THREADS, 65));
    mimi_options_free(scratch);
}

/* An option that no call for recordings takes is told of by the functions for sizes too, and before a lack of room. */
static void sizes_with_unfit_options(const mimi_options *o, const char *words) {
    const mimi_status invalid = MIMI_ERR_INVALID_ARGUMENT;
    n = 12345;
#define UNFIT(call) (STATUS(invalid, call), CHECK(strstr(mimi_last_error(), words)))
    UNFIT(mimi_codes_for(model, o, 100, &n));
    UNFIT(mimi_samples_for(model, o, 0, &n));
    UNFIT(mimi_latents_for(model, o, 100, &n));
    UNFIT(mimi_samples_for_latents(model, o, 32, &n));
    UNFIT(mimi_encode(model, o, g.pcm, 100, NULL, 0, &n));
    UNFIT(mimi_decode(model, o, g.codes, 0, NULL, 0, &n));
    UNFIT(mimi_encode_latents(model, o, g.pcm, 100, NULL, 0, &n));
    UNFIT(mimi_encode_latents(model, o, g.pcm, 100, latents, 256, &n));
    UNFIT(mimi_decode_latents(model, o, latents, 32, NULL, 0, &n));
    UNFIT(mimi_decode_latents(model, o, latents, 32, pcm, 1920, &n));
#undef UNFIT
    CHECK(n == 12345);
}

/* Options that are fine by themselves, but not for this model or CPU. */
static void unfit_options(const char *path) {
    mimi_options *o = mimi_options_new();
    OK(mimi_options_set(o, MIMI_OPT_CODEBOOKS, (int64_t)g.codebooks + 1));
    NO_HANDLE(MIMI_ERR_INVALID_ARGUMENT, mimi_encoder, mimi_encoder_new(model, o, &out));
    CHECK(strlen(mimi_last_error()) > 10);
    NO_HANDLE(MIMI_ERR_INVALID_ARGUMENT, mimi_decoder, mimi_decoder_new(model, o, &out));
    NO_HANDLE(MIMI_ERR_INVALID_ARGUMENT, mimi_capture, mimi_capture_new(model, o, &out));
    NO_HANDLE(MIMI_ERR_INVALID_ARGUMENT, mimi_playback, mimi_playback_new(model, o, &out));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_encode(model, o, g.pcm, 100, codes, 256, &n));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_decode(model, o, g.codes, g.codebooks + 1, pcm, 1920, &n));
    sizes_with_unfit_options(o, "codebooks is");
    OK(mimi_options_set(o, MIMI_OPT_CODEBOOKS, INT32_MAX));
    NO_HANDLE(MIMI_ERR_INVALID_ARGUMENT, mimi_encoder, mimi_encoder_new(model, o, &out));
    NO_HANDLE(MIMI_ERR_INVALID_ARGUMENT, mimi_model, mimi_load(path, o, &out));
    CHECK(strncmp(mimi_last_error(), path, strlen(path)) == 0 && strstr(mimi_last_error(), ": codebooks is 2147483647"));
    OK(mimi_options_set(o, MIMI_OPT_CODEBOOKS, 1));
    mimi_model *small;
    OK(mimi_load(path, o, &small));
    OK(mimi_model_get(small, MIMI_PROP_CODEBOOKS, &value));
    CHECK(value == 1);
    mimi_free(small);
    OK(mimi_options_set(o, MIMI_OPT_CODEBOOKS, 0));
    static const int64_t impossible[] = {1, 999, 44056, 44101, 768025, INT32_MAX};
    for (size_t i = 0; i < sizeof impossible / sizeof *impossible; i++) {
        char found[32];
        snprintf(found, sizeof found, "sample_rate is %d Hz", (int)impossible[i]);
        OK(mimi_options_set(o, MIMI_OPT_SAMPLE_RATE, impossible[i]));
        NO_HANDLE(MIMI_ERR_INVALID_ARGUMENT, mimi_encoder, mimi_encoder_new(model, o, &out));
        CHECK(strstr(mimi_last_error(), found) && strstr(mimi_last_error(), "a multiple of 25 Hz"));
        NO_HANDLE(MIMI_ERR_INVALID_ARGUMENT, mimi_decoder, mimi_decoder_new(model, o, &out));
        NO_HANDLE(MIMI_ERR_INVALID_ARGUMENT, mimi_capture, mimi_capture_new(model, o, &out));
        NO_HANDLE(MIMI_ERR_INVALID_ARGUMENT, mimi_playback, mimi_playback_new(model, o, &out));
        STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_encode(model, o, g.pcm, 100, codes, 256, &n));
        STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_decode(model, o, g.codes, 8, pcm, 1920, &n));
        sizes_with_unfit_options(o, found);
    }
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_options_set(o, MIMI_OPT_SAMPLE_RATE, -44100));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_options_set(o, MIMI_OPT_SAMPLE_RATE, (int64_t)INT32_MAX + 1));
    OK(mimi_options_set(o, MIMI_OPT_SAMPLE_RATE, 24000));
    mimi_encoder *accepted;
    OK(mimi_encoder_new(model, o, &accepted));
    mimi_encoder_free(accepted);
#if defined(__aarch64__)
    OK(mimi_options_set(o, MIMI_OPT_ISA, MIMI_ISA_AVX2));
#else
    OK(mimi_options_set(o, MIMI_OPT_ISA, MIMI_ISA_NEON));
#endif
    NO_HANDLE(MIMI_ERR_UNSUPPORTED, mimi_model, mimi_load(path, o, &out));
    mimi_options_free(o);
}

/* A model of which one half was loaded. */
static void half_models(const char *path) {
    mimi_options *o = mimi_options_new();
    mimi_model *half;
    OK(mimi_options_set(o, MIMI_OPT_PARTS, MIMI_PARTS_ENCODER));
    OK(mimi_load(path, o, &half));
    NO_HANDLE(MIMI_ERR_UNSUPPORTED, mimi_decoder, mimi_decoder_new(half, NULL, &out));
    NO_HANDLE(MIMI_ERR_UNSUPPORTED, mimi_playback, mimi_playback_new(half, NULL, &out));
    CHECK(strlen(mimi_last_error()) > 10);
    STATUS(MIMI_ERR_UNSUPPORTED, mimi_decode(half, options, g.codes, g.codebooks, pcm, 1920, &n));
    OK(mimi_encode(half, options, g.pcm, 100, codes, 256, &n));
    STATUS(MIMI_ERR_UNSUPPORTED, mimi_decode_latents(half, options, latents, 32, pcm, 1920, &n));
    STATUS(MIMI_ERR_UNSUPPORTED, mimi_dequantize(half, options, g.codes, g.codebooks, latents, 256, &n));
    CHECK(strstr(mimi_last_error(), "the model was loaded without its decoder"));
    OK(mimi_encode_latents(half, options, g.pcm, 100, latents, 256, &n));
    OK(mimi_quantize(half, options, latents, n, codes, 256, &n));
    mimi_free(half);
    OK(mimi_options_set(o, MIMI_OPT_PARTS, MIMI_PARTS_DECODER));
    OK(mimi_load(path, o, &half));
    NO_HANDLE(MIMI_ERR_UNSUPPORTED, mimi_encoder, mimi_encoder_new(half, NULL, &out));
    NO_HANDLE(MIMI_ERR_UNSUPPORTED, mimi_capture, mimi_capture_new(half, NULL, &out));
    STATUS(MIMI_ERR_UNSUPPORTED, mimi_encode(half, options, g.pcm, 100, codes, 256, &n));
    OK(mimi_decode(half, options, g.codes, g.codebooks, pcm, 1920, &n));
    STATUS(MIMI_ERR_UNSUPPORTED, mimi_encode_latents(half, options, g.pcm, 100, latents, 256, &n));
    STATUS(MIMI_ERR_UNSUPPORTED, mimi_quantize(half, options, latents, 32, codes, 256, &n));
    CHECK(strstr(mimi_last_error(), "the model was loaded without its encoder"));
    OK(mimi_dequantize(half, options, g.codes, g.codebooks, latents, 256, &n));
    OK(mimi_decode_latents(half, options, latents, n, pcm, 1920, &n));
    mimi_free(half);
    mimi_options_free(o);
}

typedef struct {
    const unsigned char *bytes;
    size_t len;
    int calls, stop_at;
} source;

static int32_t read_some(void *user, uint64_t offset, void *dst, size_t len) {
    source *s = user;
    CHECK(offset <= s->len && len <= s->len - offset);
    if (s->calls++ == s->stop_at)
        return 1;
    memcpy(dst, s->bytes + offset, len);
    return 0;
}

/* A path longer than any message: the message is cut, and not within a character. */
static void long_paths(void) {
    enum { LENGTH = 100000 };
    char *path = allocate(LENGTH + 2);
    for (size_t begin = 0; begin < 2; begin++) {
        path[0] = '/';
        for (size_t i = begin; i < begin + LENGTH; i += 2)
            memcpy(path + i, "\xc3\xa4", 2); /* a letter of two bytes */
        path[begin + LENGTH] = 0;
        NO_HANDLE(MIMI_ERR_IO, mimi_model, mimi_load(path, options, &out));
        const size_t length = strlen(mimi_last_error());
        CHECK(length >= 1020 && length <= 1023);
        CHECK(mimi_last_error()[length - 1] != '\xc3');
    }
    free(path);
}

/* Checkpoints that are not there, not checkpoints, cut short, damaged, or withdrawn. */
static void hostile_checkpoints(const char *data, const char *demo) {
    NO_HANDLE(MIMI_ERR_IO, mimi_model, mimi_load(join(data, "no such file"), options, &out));
    CHECK(strstr(mimi_last_error(), "no such file"));
    NO_HANDLE(MIMI_ERR_INVALID_ARGUMENT, mimi_model, mimi_load("\xff\xfe", options, &out));
    NO_HANDLE(MIMI_ERR_FORMAT, mimi_model, mimi_load(join(data, "speech.wav"), options, &out));
    NO_HANDLE(MIMI_ERR_FORMAT, mimi_model, mimi_load_memory(NULL, 0, options, &out));
    NO_HANDLE(MIMI_ERR_FORMAT, mimi_model, mimi_load_memory("not a checkpoint", 16, options, &out));
    int calls = 0;
    NO_HANDLE(MIMI_ERR_ABORTED, mimi_model, mimi_load_reader(refuse, &calls, 1000, options, &out));
    CHECK(calls == 1 && strstr(mimi_last_error(), "-7"));

    size_t len;
    unsigned char *bytes = read_file(demo, &len);
    for (size_t cut = 0, step = 1; cut < len; cut += step, step += step / 2 + 1) {
        mimi_model *out = GARBAGE;
        unsigned char *exact = allocate(cut); /* for the address sanitizer */
        memcpy(exact, bytes, cut);
        mimi_status status = mimi_load_memory(exact, cut, options, &out);
        free(exact);
        CHECK(out == NULL && (status == MIMI_ERR_FORMAT || status == MIMI_ERR_CORRUPT));
        CHECK(strlen(mimi_last_error()) > 0);
    }
    uint32_t random = 1;
    for (int i = 0; i < 60; i++) { /* bytes of the header, which begins the file */
        mimi_model *out = GARBAGE;
        random = random * 1664525u + 1013904223u;
        size_t at = (random >> 8) % 4096;
        unsigned char kept = bytes[at];
        bytes[at] ^= (unsigned char)(1u << (random >> 29));
        mimi_status status = mimi_load_memory(bytes, len, options, &out);
        bytes[at] = kept;
        CHECK(status == MIMI_OK ? out != NULL : out == NULL && MIMI_ERR_ABORTED < status && status < 0);
        mimi_free(out);
    }
    for (int stop_at = 0, more = 1; more; stop_at = stop_at * 2 + 1) {
        mimi_model *out = GARBAGE;
        source s = {bytes, len, 0, stop_at};
        mimi_status status = mimi_load_reader(read_some, &s, len, options, &out);
        more = status != MIMI_OK;
        CHECK(more ? status == MIMI_ERR_ABORTED && out == NULL : out != NULL);
        mimi_free(out);
    }
    free(bytes);
}

static void check_bad_code(int64_t index, int64_t code) {
    OK(mimi_decoder_get(decoder, MIMI_PROP_BAD_CODE_INDEX, &value));
    CHECK(value == index);
    OK(mimi_decoder_get(decoder, MIMI_PROP_BAD_CODE_VALUE, &value));
    CHECK(value == code);
}

/* Frames that did not arrive, told in each of the three ways. */
static void lost_frames(void) {
    static float told[3][2 * 1920];
    uint32_t gone[2 * 32];
    mimi_decoder *forks[2];
    for (size_t i = 0; i < 2 * g.codebooks; i++)
        gone[i] = MIMI_NO_CODE;
    const uint32_t *const one = gone;
    int64_t frames;
    OK(mimi_decoder_get(decoder, MIMI_PROP_FRAMES, &frames));
    OK(mimi_decoder_get(decoder, MIMI_PROP_CONCEALED, &value));
    CHECK(value == 0);
    OK(mimi_decoder_clone(decoder, &forks[0]));
    OK(mimi_decoder_clone(decoder, &forks[1]));
    OK(mimi_decoder_process(decoder, NULL, 2 * g.codebooks, told[0], 2 * 1920, &n));
    CHECK(n == 2 * 1920);
    OK(mimi_decoder_process(forks[0], gone, 2 * g.codebooks, told[1], 2 * 1920, &n));
    for (int i = 0; i < 2; i++)
        OK(mimi_decoder_process_many(&forks[1], 1, &one, &(float *){told[2] + i * 1920}));
    CHECK(memcmp(told[0], told[1], sizeof told[0]) == 0 && memcmp(told[0], told[2], sizeof told[0]) == 0);
    mimi_decoder *const all[] = {decoder, forks[0], forks[1]};
    for (int i = 0; i < 3; i++) {
        OK(mimi_decoder_get(all[i], MIMI_PROP_CONCEALED, &value));
        CHECK(value == 2);
        OK(mimi_decoder_get(all[i], MIMI_PROP_FRAMES, &value));
        CHECK(value == frames + 2);
    }
    mimi_decoder_free(forks[0]);
    mimi_decoder_free(forks[1]);
    gone[0] = MIMI_NO_CODE - 1;
    STATUS(MIMI_ERR_CORRUPT, mimi_decode(model, options, gone, g.codebooks, told[0], 1920, &n));
    gone[0] = MIMI_NO_CODE;
    OK(mimi_decode(model, options, gone, g.codebooks, told[0], 1920, &n));
    for (size_t i = 0; i < 1920; i++)
        CHECK(told[0][i] == 0.0f);
}

/* Failing calls in the middle of streams, which go on as if nothing had happened. */
static void streams_survive(void) {
    const size_t K = g.codebooks, frames = g.frames;
    size_t total = 0;
    memset(codes, 0xee, sizeof codes);
    OK(mimi_encoder_reset(encoder));
    for (size_t at = 0; at < g.samples; at += 960) {
        n = 12345;
        STATUS(MIMI_ERR_NULL_POINTER, mimi_encoder_process(encoder, NULL, 960, codes, 256, &n));
        CHECK(n == 12345);
        if (at % 1920) { /* this call completes a frame */
            STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_encoder_process(encoder, g.pcm + at, 960, NULL, 0, &n));
            CHECK(n == K);
            n = 0;
            STATUS(MIMI_ERR_BUFFER_TOO_SMALL,
                   mimi_encoder_process(encoder, g.pcm + at, 960, codes + total, K - 1, &n));
            CHECK(n == K && codes[total] == 0xeeeeeeee);
            STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_encoder_flush(encoder, NULL, 0, &n));
            CHECK(n == K);
        }
        OK(mimi_encoder_process(encoder, g.pcm + at, 960, codes + total, K, &n));
        CHECK(n == (at % 1920 ? K : 0));
        total += n;
    }
    OK(mimi_encoder_flush(encoder, NULL, 0, &n));
    CHECK(n == 0);
    check_codes(g, codes, total);
    OK(mimi_encoder_process(encoder, NULL, 0, NULL, 0, &n));
    CHECK(n == 0);

    uint32_t bad[32];
    memcpy(bad, g.codes, K * sizeof *bad);
    OK(mimi_decoder_reset(decoder));
    check_bad_code(-1, -1);
    for (size_t f = 0; f < frames; f++) {
        const uint32_t *frame = g.codes + f * K;
        float *audio = pcm + f * 1920;
        audio[0] = 77.0f;
        n = 12345;
        bad[K - 1] = 2048;
        STATUS(MIMI_ERR_CORRUPT, mimi_decoder_process(decoder, bad, K, audio, 1920, &n));
        check_bad_code((int64_t)K - 1, 2048);
        bad[K - 1] = MIMI_NO_CODE - 1;
        STATUS(MIMI_ERR_CORRUPT, mimi_decoder_process(decoder, bad, K, audio, 1920, &n));
        check_bad_code((int64_t)K - 1, MIMI_NO_CODE - 1);
        bad[0] += 5000;
        const uint32_t *const frame_of_codes = bad;
        STATUS(MIMI_ERR_CORRUPT, mimi_decoder_process_many(&decoder, 1, &frame_of_codes, &(float *){audio}));
        check_bad_code(0, bad[0]);
        bad[0] -= 5000;
        STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_decoder_process(decoder, frame, K - 1, audio, 1920, &n));
        STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_decoder_process(decoder, NULL, K - 1, audio, 1920, &n));
        STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_decoder_process(decoder, NULL, K, audio, SIZE_MAX, &n));
        STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_decoder_process(decoder, NULL, K, audio, 1920, MISALIGNED(&n)));
        STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_decoder_process(decoder, NULL, K, audio, 1920, (size_t *)(void *)audio));
        CHECK(n == 12345 && audio[0] == 77.0f);
        STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_decoder_process(decoder, frame, K, NULL, 0, &n));
        CHECK(n == 1920);
        STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_decoder_process(decoder, frame, K, audio, 1919, &n));
        CHECK(n == 1920 && audio[0] == 77.0f);
        STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_decoder_process(decoder, NULL, 2 * K, audio, 1920, &n));
        CHECK(n == 2 * 1920 && audio[0] == 77.0f);
        OK(mimi_decoder_process(decoder, frame, K, audio, 1920, &n));
        CHECK(n == 1920);
    }
    OK(mimi_decoder_process(decoder, NULL, 0, NULL, 0, &n));
    CHECK(n == 0);
    check_audio(g, pcm, frames * 1920);
    lost_frames();
    check_bad_code(0, bad[0] + 5000); /* a call that succeeds leaves it */
    OK(mimi_decoder_flush(decoder, NULL, 0, &n));
    check_bad_code(-1, -1);

    bad[K - 1] = 2048;
    STATUS(MIMI_ERR_CORRUPT, mimi_decode(model, options, bad, K, pcm, 1920, &n));
    CHECK(strstr(mimi_last_error(), "2048"));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_decode(model, options, g.codes, K + 1, pcm, 1920, &n));
    STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_decode(model, options, g.codes, K, pcm, 1919, &n));
    CHECK(n == 1920);
    STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_encode(model, options, g.pcm, 1921, codes, 2 * K - 1, &n));
    CHECK(n == 2 * K);
    OK(mimi_encode(model, options, NULL, 0, NULL, 0, &n));
    CHECK(n == 0);
    OK(mimi_decode(model, options, NULL, 0, NULL, 0, &n));
    CHECK(n == 0);
}

/* Latents instead of codes: the same bits, and failing calls in between. */
static void latents_survive(void) {
    const size_t K = g.codebooks, all = g.frames * 32;
    static float quantized[8 * 32], sound[8 * 1920], whole[8 * 1920];
    CHECK(all <= 256);
    OK(mimi_encoder_get(encoder, MIMI_PROP_LATENT_DIM, &value));
    CHECK(value == 32);
    OK(mimi_encoder_reset(encoder));
    size_t total = 0;
    for (size_t at = 0; at < g.samples; at += 960) {
        STATUS(MIMI_ERR_NULL_POINTER, mimi_encoder_process_latents(encoder, NULL, 960, latents, 256, &n));
        if (at % 1920) {
            latents[total] = 77.0f;
            STATUS(MIMI_ERR_BUFFER_TOO_SMALL,
                   mimi_encoder_process_latents(encoder, g.pcm + at, 960, latents + total, 31, &n));
            CHECK(n == 32 && latents[total] == 77.0f);
            STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_encoder_flush_latents(encoder, NULL, 0, &n));
            CHECK(n == 32);
        }
        OK(mimi_encoder_process_latents(encoder, g.pcm + at, 960, latents + total, 256 - total, &n));
        CHECK(n == (at % 1920 ? 32 : 0));
        total += n;
    }
    OK(mimi_encoder_flush_latents(encoder, NULL, 0, &n));
    CHECK(n == 0 && total == all);
    OK(mimi_quantize(model, options, latents, all, codes, 256, &n));
    check_codes(g, codes, n);
    OK(mimi_encode_latents(model, options, g.pcm, g.samples, quantized, 256, &n));
    CHECK(n == all && memcmp(quantized, latents, all * sizeof *latents) == 0);
    OK(mimi_encoder_process(encoder, g.pcm, 960, codes, 256, &n));
    OK(mimi_encoder_flush_latents(encoder, latents, 256, &n));
    CHECK(n == 32);

    OK(mimi_dequantize(model, options, g.codes, K * g.frames, latents, 256, &n));
    CHECK(n == all);
    OK(mimi_decode(model, options, g.codes, K * g.frames, whole, 8 * 1920, &n));
    OK(mimi_decode_latents(model, options, latents, all, sound, 8 * 1920, &n));
    CHECK(n == g.frames * 1920 && memcmp(sound, whole, n * sizeof *sound) == 0);
    OK(mimi_decoder_reset(decoder));
    for (size_t f = 0; f < g.frames; f++) {
        const float *frame = latents + f * 32;
        n = 12345;
        pcm[0] = 77.0f;
        STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_decoder_process_latents(decoder, frame, 31, pcm, 1920, &n));
        STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_decoder_process_latents(decoder, NULL, 31, pcm, 1920, &n));
        CHECK(n == 12345 && pcm[0] == 77.0f);
        STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_decoder_process_latents(decoder, frame, 32, pcm, 1919, &n));
        CHECK(n == 1920 && pcm[0] == 77.0f);
        STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_decoder_process_latents(decoder, NULL, 32, NULL, 0, &n));
        CHECK(n == 1920);
        OK(mimi_decoder_process_latents(decoder, frame, 32, pcm, 1920, &n));
        CHECK(n == 1920 && memcmp(pcm, whole + f * 1920, n * sizeof *pcm) == 0);
    }
    /* what is lost, and what is no number, leaves numbers */
    OK(mimi_decoder_process_latents(decoder, NULL, 32, pcm, 1920, &n));
    CHECK(n == 1920);
    OK(mimi_decoder_get(decoder, MIMI_PROP_CONCEALED, &value));
    CHECK(value == 1);
    for (size_t i = 0; i < 32; i++)
        latents[i] = i % 2 ? NAN : INFINITY;
    OK(mimi_decoder_process_latents(decoder, latents, 32, pcm, 1920, &n));
    for (size_t i = 0; i < 1920; i++)
        CHECK(isfinite(pcm[i]));
    OK(mimi_decoder_get(decoder, MIMI_PROP_FRAMES, &value));
    CHECK(value == (int64_t)g.frames + 2);
    OK(mimi_quantize(model, options, latents, 32, codes, 256, &n));
    CHECK(n == K);

    uint32_t bad[64] = {0};
    bad[K - 1] = 2048;
    STATUS(MIMI_ERR_CORRUPT, mimi_dequantize(model, options, bad, K, latents, 256, &n));
    CHECK(strstr(mimi_last_error(), "is 2048: expected less than"));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_dequantize(model, options, g.codes, K + 1, latents, 256, &n));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_quantize(model, options, latents, 31, codes, 256, &n));
    CHECK(strstr(mimi_last_error(), "31 values: expected a multiple of 32"));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_decode_latents(model, options, latents, 31, pcm, 1920, &n));
    STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_quantize(model, options, latents, 64, codes, 2 * K - 1, &n));
    CHECK(n == 2 * K);
    STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_dequantize(model, options, g.codes, 2 * K, latents, 63, &n));
    CHECK(n == 64);
    STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_decode_latents(model, options, latents, 32, pcm, 1919, &n));
    CHECK(n == 1920);
    OK(mimi_quantize(model, options, NULL, 0, NULL, 0, &n));
    CHECK(n == 0);
    OK(mimi_dequantize(model, options, NULL, 0, NULL, 0, &n));
    CHECK(n == 0);
    OK(mimi_decoder_reset(decoder));
    OK(mimi_encoder_reset(encoder));
}

/* A model without a quantizer has latents alone. */
static void latents_alone(const char *path) {
    mimi_model *pocket;
    mimi_encoder *enc;
    mimi_decoder *dec;
    mimi_options *o = mimi_options_new();
    static float sound[2 * 1920];
    const mimi_status unsupported = MIMI_ERR_UNSUPPORTED;
    OK(mimi_load(path, NULL, &pocket));
    OK(mimi_model_get(pocket, MIMI_PROP_LATENT_DIM, &value));
    CHECK(value == 8);
    OK(mimi_model_get(pocket, MIMI_PROP_CODEBOOKS, &value));
    CHECK(value == 0);
    STATUS(unsupported, mimi_encode(pocket, NULL, g.pcm, 100, codes, 256, &n));
    CHECK(strstr(mimi_last_error(), "the model has no quantizer and so no codes"));
    STATUS(unsupported, mimi_decode(pocket, NULL, g.codes, 8, pcm, 1920, &n));
    STATUS(unsupported, mimi_codes_for(pocket, NULL, 100, &n));
    STATUS(unsupported, mimi_samples_for(pocket, NULL, 8, &n));
    STATUS(unsupported, mimi_quantize(pocket, NULL, latents, 8, codes, 256, &n));
    CHECK(strstr(mimi_last_error(), "the model has no quantizer and so no codes"));
    STATUS(unsupported, mimi_dequantize(pocket, NULL, g.codes, 8, latents, 256, &n));
    NO_HANDLE(unsupported, mimi_capture, mimi_capture_new(pocket, NULL, &out));
    NO_HANDLE(unsupported, mimi_playback, mimi_playback_new(pocket, NULL, &out));
    OK(mimi_options_set(o, MIMI_OPT_CODEBOOKS, 8));
    STATUS(unsupported, mimi_encode_latents(pocket, o, g.pcm, 100, latents, 256, &n));
    STATUS(unsupported, mimi_encode_latents(pocket, o, g.pcm, 100, NULL, 0, &n));
    STATUS(unsupported, mimi_latents_for(pocket, o, 100, &n));
    STATUS(unsupported, mimi_samples_for_latents(pocket, o, 8, &n));
    NO_HANDLE(unsupported, mimi_encoder, mimi_encoder_new(pocket, o, &out));
    OK(mimi_encoder_new(pocket, NULL, &enc));
    OK(mimi_decoder_new(pocket, NULL, &dec));
    mimi_free(pocket);
    STATUS(unsupported, mimi_encoder_process(enc, g.pcm, 100, codes, 256, &n));
    STATUS(unsupported, mimi_encoder_flush(enc, codes, 256, &n));
    STATUS(unsupported, mimi_encoder_codes_for(enc, 100, &n));
    OK(mimi_encoder_latents_for(enc, 2000, &n));
    CHECK(n == 8);
    STATUS(unsupported, mimi_decoder_process(dec, g.codes, 8, pcm, 1920, &n));
    STATUS(unsupported, mimi_decoder_process(dec, NULL, 8, pcm, 1920, &n));
    STATUS(unsupported, mimi_decoder_samples_for(dec, 8, &n));
    OK(mimi_encoder_process_latents(enc, g.pcm, 2000, latents, 256, &n));
    CHECK(n == 8);
    OK(mimi_encoder_get(enc, MIMI_PROP_FLUSH_LEN, &value));
    CHECK(value == 0);
    OK(mimi_encoder_get(enc, MIMI_PROP_FLUSH_LATENTS, &value));
    CHECK(value == 8);
    OK(mimi_encoder_flush_latents(enc, latents + 8, 256 - 8, &n));
    CHECK(n == 8);
    OK(mimi_decoder_process_latents(dec, latents, 16, sound, 2 * 1920, &n));
    CHECK(n == 2 * 1920);
    OK(mimi_decoder_process_latents(dec, NULL, 8, sound, 1920, &n));
    CHECK(n == 1920);
    mimi_encoder_free(enc);
    mimi_decoder_free(dec);
    mimi_options_free(o);
}

/* Failing calls between those of a capture and a playback, which go on as if nothing had happened. */
static void live_audio_survives(void) {
    const size_t K = g.codebooks;
    uint32_t bad[64];
    size_t total = 0;
    OK(mimi_capture_reset(capture));
    OK(mimi_playback_reset(playback));
    for (size_t at = 0; at < g.samples + 1920; at += 960) {
        STATUS(MIMI_ERR_NULL_POINTER, mimi_capture_write(capture, NULL, 960));
        OK(mimi_capture_write(capture, g.pcm + (at < g.samples ? at : 0), 960));
        OK(mimi_capture_work(capture));
        if (at >= 1920 && at % 1920) { /* this call completes a frame's work */
            n = 12345;
            codes[total] = 77;
            STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_capture_read(capture, codes + total, K - 1, &n));
            CHECK(n == K && codes[total] == 77);
        }
        OK(mimi_capture_read(capture, codes + total, 256 - total, &n));
        CHECK(n == (at >= 1920 && at % 1920 ? K : 0));
        total += n;
    }
    check_codes(g, codes, total);
    OK(mimi_capture_write(capture, NULL, 0));
    OK(mimi_capture_read(capture, NULL, 0, &n));

    memcpy(bad, g.codes, 2 * K * sizeof *bad);
    bad[2 * K - 1] = 2048;
    pcm[0] = 77.0f;
    STATUS(MIMI_ERR_CORRUPT, mimi_playback_write(playback, bad, 2 * K));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_playback_write(playback, bad, 2 * K - 1));
    STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_playback_write(playback, NULL, 18 * K));
    STATUS(MIMI_ERR_NULL_POINTER, mimi_playback_read(playback, NULL, 1));
    CHECK(pcm[0] == 77.0f);
    OK(mimi_playback_get(playback, MIMI_PROP_FRAMES, &value));
    CHECK(value == 0);
    OK(mimi_playback_write(playback, g.codes, K * g.frames));
    OK(mimi_playback_write(playback, NULL, 0));
    OK(mimi_playback_read(playback, NULL, 0));
    for (size_t at = 0; at < 1920 * (g.frames + 1); at += 960) {
        STATUS(MIMI_ERR_NULL_POINTER, mimi_playback_read(playback, NULL, 1));
        OK(mimi_playback_work(playback));
        OK(mimi_playback_read(playback, pcm + at, 960));
        CHECK(at >= 1920 || (pcm[at] == 0 && pcm[at + 959] == 0));
    }
    check_audio(g, pcm + 1920, g.frames * 1920);
}

/* A fork goes its own way. */
static void forks(void) {
    const size_t K = g.codebooks;
    mimi_encoder *fork;
    mimi_decoder *echo;
    size_t first, rest;
    OK(mimi_encoder_reset(encoder));
    OK(mimi_encoder_process(encoder, g.pcm, 3000, codes, 256, &first));
    OK(mimi_encoder_clone(encoder, &fork));
    OK(mimi_encoder_process(encoder, g.pcm, 3000, codes + first, 256 - first, &rest)); /* something else */
    OK(mimi_encoder_process(fork, g.pcm + 3000, g.samples - 3000, codes + first, 256 - first, &rest));
    check_codes(g, codes, first + rest);
    mimi_encoder_free(fork);
    OK(mimi_decoder_reset(decoder));
    OK(mimi_decoder_process(decoder, g.codes, K, pcm, 1920, &first));
    OK(mimi_decoder_clone(decoder, &echo));
    OK(mimi_decoder_process(decoder, g.codes, K, pcm + first, 1920, &rest));
    OK(mimi_decoder_process(echo, g.codes + K, K * (g.frames - 1), pcm + first, 7 * 1920, &rest));
    check_audio(g, pcm, first + rest);
    mimi_decoder_free(echo);
}

int main(int argc, char **argv) {
    CHECK(argc == 4);
    char path[4096];
    CHECK(snprintf(path, sizeof path, "%s/tiny", argv[1]) < (int)sizeof path);
    g = read_golden(path, "first4frames", 7680, 0);
    options = mimi_options_new();
    CHECK(options);
    OK(mimi_options_set(options, MIMI_OPT_CODEBOOKS, (int64_t)g.codebooks));
    OK(mimi_options_set(options, MIMI_OPT_ISA, atoi(argv[3])));
    OK(mimi_options_set(options, MIMI_OPT_BUFFER_FRAMES, 1));
    OK(mimi_load(path, options, &model));
    OK(mimi_encoder_new(model, options, &encoder));
    OK(mimi_decoder_new(model, options, &decoder));
    OK(mimi_capture_new(model, options, &capture));
    OK(mimi_playback_new(model, options, &playback));

    null_pointers(path);
    wrong_handles(path);
    absurd_buffers(path);
    counts_in_buffers();
    sizes();
    what_it_runs_on(path);
    keys_and_values();
    unfit_options(path);
    half_models(path);
    long_paths();
    hostile_checkpoints(argv[1], argv[2]);
    streams_survive();
    latents_survive();
    latents_alone(join(argv[1], "pocket-tiny"));
    live_audio_survives();
    forks();

    OK(mimi_encode(model, options, g.pcm, g.samples, codes, 256, &n));
    check_codes(g, codes, n);
    mimi_free(model); /* before its streams, which keep the weights */
    mimi_options_free(options);
    OK(mimi_encoder_reset(encoder));
    OK(mimi_encoder_process(encoder, g.pcm, g.samples, codes, 256, &n));
    check_codes(g, codes, n);
    mimi_encoder_free(encoder);
    OK(mimi_decoder_reset(decoder));
    OK(mimi_decoder_process(decoder, g.codes, g.codebooks * g.frames, pcm, 8 * 1920, &n));
    check_audio(g, pcm, n);
    mimi_decoder_free(decoder);
    mimi_capture_free(capture);
    mimi_playback_free(playback);
    free_golden(g);
    return 0;
}
