/* traps DATA MICRO: a host that traps every floating-point exception, denormal operands among them, calls every
   function of mimi.h, with samples that are not numbers, infinite, denormal and huge. Nothing traps, and the
   host finds its own mode and flags afterwards. */
#define _GNU_SOURCE
#include "fixture.h"

#include <fenv.h>
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

enum { ROOM = 4096 };

static unsigned char *file;
static float pcm[ROOM], audio[4 * ROOM];
static float latents[ROOM];
static uint32_t codes[ROOM], some_codes[ROOM];
static size_t n, len;
static int64_t value;

/* The samples that a codec meets in the wild, and would trap on. */
static void fill_samples(void) {
    const float odd[] = {NAN, INFINITY, -INFINITY, 1e-41f, -1e-45f, 3e38f, -3e38f, 0.1f, 1e-30f, -0.0f, 1.0f / 3};
    for (size_t i = 0; i < ROOM; i++)
        pcm[i] = i % 7 ? odd[i % (sizeof odd / sizeof *odd)] : 0.3f;
}

/* What the host has set: both units of x86, each exception, and denormal operands, which fenv.h does not know. */
static void trap_everything(void) {
    feclearexcept(FE_ALL_EXCEPT);
    CHECK(feenableexcept(FE_ALL_EXCEPT) != -1);
#if defined(__SSE__)
    _mm_setcsr(_mm_getcsr() & ~(unsigned)0x3f & ~(unsigned)_MM_MASK_MASK);
#endif
#if defined(__i386__) || defined(__x86_64__)
    unsigned short control;
    __asm__ volatile("fnstcw %0" : "=m"(control));
    control &= (unsigned short)~0x3f;
    __asm__ volatile("fldcw %0" : : "m"(control));
#endif
}

/* After each call: the mode is the host's, and no flag was raised. */
static void check_mode(const char *call) {
    int good = fegetexcept() == FE_ALL_EXCEPT && fetestexcept(FE_ALL_EXCEPT) == 0 && fegetround() == FE_TONEAREST;
#if defined(__SSE__)
    good = good && (_mm_getcsr() & 0xffff) == 0;
#endif
    if (!good) {
        fedisableexcept(FE_ALL_EXCEPT);
        FAIL("%s: another mode, or a flag raised", call);
    }
}

#define CALL(call) ((void)(call), check_mode(#call))
#define GOOD(call) (OK(call), check_mode(#call))

static int32_t read_file_bytes(void *user, uint64_t offset, void *dst, size_t length) {
    memcpy(dst, (unsigned char *)user + offset, length);
    return 0;
}

static void models(const char *path, const char *directory) {
    mimi_model *model;
    mimi_options *options = mimi_options_new();
    for (int precision = MIMI_PRECISION_F32; precision <= MIMI_PRECISION_INT16; precision++) {
        GOOD(mimi_options_set(options, MIMI_OPT_PRECISION, precision));
        GOOD(mimi_options_get(options, MIMI_OPT_PRECISION, &value));
        GOOD(mimi_load(path, options, &model));
        CALL(mimi_free(model));
        GOOD(mimi_load_memory(file, len, options, &model));
        CALL(mimi_free(model));
        GOOD(mimi_load_reader(read_file_bytes, file, len, options, &model));
        CALL(mimi_free(model));
        GOOD(mimi_load(directory, options, &model)); /* with numbers in its config.json */
        CALL(mimi_free(model));
    }
    CALL(mimi_options_free(options));
    STATUS(MIMI_ERR_IO, mimi_load("no such file", NULL, &model));
    check_mode("a failed load");
    CALL(mimi_status_string(MIMI_ERR_IO));
    CALL(mimi_last_error());
    CALL(mimi_version_string());
    CALL(mimi_version_number());
}

static void one_shot(const mimi_model *model, const mimi_options *options) {
    for (size_t samples = 0; samples < 40; samples += 13) {
        GOOD(mimi_encode(model, options, pcm, samples, codes, ROOM, &n));
        GOOD(mimi_decode(model, options, codes, n, audio, 4 * ROOM, &n));
    }
    GOOD(mimi_codes_for(model, options, 12345, &n));
    GOOD(mimi_samples_for(model, options, 0, &n));
    GOOD(mimi_encode(model, options, pcm, ROOM / 8, codes, ROOM, &n));
    GOOD(mimi_decode(model, options, codes, n, audio, 4 * ROOM, &n));
    int64_t dim;
    GOOD(mimi_model_get(model, MIMI_PROP_LATENT_DIM, &dim));
    GOOD(mimi_latents_for(model, options, 12345, &n));
    GOOD(mimi_samples_for_latents(model, options, 5 * (size_t)dim, &n));
    GOOD(mimi_encode_latents(model, options, pcm, ROOM / 8, latents, ROOM, &n));
    GOOD(mimi_decode_latents(model, options, latents, n, audio, 4 * ROOM, &n));
    GOOD(mimi_quantize(model, options, pcm, 5 * (size_t)dim, codes, ROOM, &n));
    GOOD(mimi_dequantize(model, options, codes, n, latents, ROOM, &n));
    GOOD(mimi_decode_latents(model, options, pcm, 4 * (size_t)dim, audio, 4 * ROOM, &n));
}

static void streams(const mimi_model *model, const mimi_options *options) {
    mimi_encoder *encoder, *fork;
    mimi_decoder *decoder, *echo;
    size_t total = 0;
    int64_t frame, codebooks, dim;
    GOOD(mimi_encoder_new(model, options, &encoder));
    GOOD(mimi_decoder_new(model, options, &decoder));
    GOOD(mimi_encoder_get(encoder, MIMI_PROP_FRAME_SAMPLES, &frame));
    GOOD(mimi_encoder_get(encoder, MIMI_PROP_CODEBOOKS, &codebooks));
    GOOD(mimi_encoder_get(encoder, MIMI_PROP_LATENT_DIM, &dim));
    for (size_t at = 0; at < 600; at += 50) { /* a partial frame is kept, which looks at the samples too */
        GOOD(mimi_encoder_process(encoder, pcm + at, 50, codes + total, ROOM - total, &n));
        total += n;
    }
    GOOD(mimi_encoder_clone(encoder, &fork));
    GOOD(mimi_encoder_flush(encoder, codes + total, ROOM - total, &n));
    total += n;
    GOOD(mimi_decoder_process(decoder, codes, total, audio, 4 * ROOM, &n));
    GOOD(mimi_decoder_clone(decoder, &echo));
    GOOD(mimi_decoder_flush(decoder, audio, 4 * ROOM, &n));
    GOOD(mimi_decoder_process(decoder, codes, (size_t)codebooks, audio, 4 * ROOM, &n));

    const float *in = pcm;
    uint32_t *const room = some_codes;
    const uint32_t *const frame_of_codes = some_codes;
    float *const sound = audio;
    GOOD(mimi_encoder_process_many(&fork, 1, &in, &room));
    GOOD(mimi_decoder_process_many(&decoder, 1, &frame_of_codes, &sound));
    float *const latent = latents;
    const float *const odd = pcm;
    GOOD(mimi_encoder_process_many_latents(&fork, 1, &in, &latent));
    GOOD(mimi_decoder_process_many_latents(&decoder, 1, &odd, &sound));
    GOOD(mimi_encoder_process_latents(encoder, pcm, 60, latents, ROOM, &n));
    GOOD(mimi_encoder_flush_latents(encoder, latents, ROOM, &n));
    GOOD(mimi_decoder_process_latents(decoder, pcm, 3 * (size_t)dim, audio, 4 * ROOM, &n));
    GOOD(mimi_encoder_latents_for(encoder, 12345, &n));
    GOOD(mimi_decoder_samples_for_latents(decoder, 5 * (size_t)dim, &n));
    GOOD(mimi_encoder_reset(encoder));
    GOOD(mimi_decoder_reset(decoder));
    GOOD(mimi_encoder_codes_for(encoder, 12345, &n));
    GOOD(mimi_decoder_samples_for(decoder, 5 * (size_t)codebooks, &n));
    for (int32_t key = 0; key < 30; key++) {
        CALL(mimi_model_get(model, key, &value) == MIMI_OK);
        CALL(mimi_encoder_get(encoder, key, &value) == MIMI_OK);
        CALL(mimi_decoder_get(decoder, key, &value) == MIMI_OK);
    }
    CALL(mimi_encoder_free(fork));
    CALL(mimi_decoder_free(echo));
    CALL(mimi_encoder_free(encoder));
    CALL(mimi_decoder_free(decoder));
}

static void tokens(const mimi_model *model) {
    mimi_token_header header = {.size = sizeof header};
    unsigned char bytes[64];
    const uint32_t some[] = {1, 2, 3, 4, 5, 6, 7, 8};
    uint32_t again[8];
    GOOD(mimi_model_header(model, NULL, &header));
    header.n_samples = 12345;
    GOOD(mimi_header_samples(&header, 44100, &value));
    GOOD(mimi_pack_header(&header, bytes, sizeof bytes, &n));
    GOOD(mimi_unpack_header(bytes, n, &header));
    GOOD(mimi_pack(some, 8, 4, 11, bytes, sizeof bytes, &n));
    GOOD(mimi_unpack(bytes, n, 4, 11, again, 8, &n));
    GOOD(mimi_drop_codebooks(bytes, 12, 4, 11, 2, &n));
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    char tiny[4096];
    CHECK(snprintf(tiny, sizeof tiny, "%s/tiny", argv[1]) < (int)sizeof tiny);
    file = read_file(argv[2], &len);
    fill_samples();
    trap_everything();
    check_mode("the host itself");

    models(argv[2], tiny);
    mimi_model *model;
    GOOD(mimi_load_memory(file, len, NULL, &model));
    mimi_options *options = mimi_options_new();
    tokens(model);
    one_shot(model, options);
    streams(model, options);
    GOOD(mimi_options_set(options, MIMI_OPT_TAIL, MIMI_TAIL_LAYER_PAD));
    streams(model, options);
    mimi_free(model);
    /* a model whose rate can be converted */
    GOOD(mimi_load(tiny, NULL, &model));
    for (int64_t rate = 8000; rate <= 48000; rate *= 6) {
        GOOD(mimi_options_set(options, MIMI_OPT_SAMPLE_RATE, rate));
        one_shot(model, options);
        mimi_encoder *encoder;
        mimi_decoder *decoder;
        GOOD(mimi_encoder_new(model, options, &encoder));
        GOOD(mimi_decoder_new(model, options, &decoder));
        GOOD(mimi_encoder_process(encoder, pcm, ROOM, codes, ROOM, &n));
        GOOD(mimi_decoder_process(decoder, codes, n, audio, 4 * ROOM, &n));
        GOOD(mimi_encoder_flush(encoder, codes, ROOM, &n));
        GOOD(mimi_decoder_flush(decoder, audio, 4 * ROOM, &n));
        mimi_encoder_free(encoder);
        mimi_decoder_free(decoder);
    }
    GOOD(mimi_options_set(options, MIMI_OPT_THREADS, 3));
    one_shot(model, options);
    mimi_free(model);
    mimi_options_free(options);
    free(file);
    return 0;
}
