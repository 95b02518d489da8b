/* interpose LIBRARY DATA ISA [self-check]: opens the shared library as a host does, and counts what its
   real-time functions ask of the system, in a thread that never used the library before.

   The system calls ("mark begin", "mark end" to no file) frame the same stretch for strace.
   With self-check, the stretch does what is forbidden, and the program succeeds if all was seen. */
#define _GNU_SOURCE
#include "fixture.h"
#include "interposer.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define FUNCTIONS(X)                                                                                       \
    X(mimi_last_error) X(mimi_status_string) X(mimi_version_string) X(mimi_options_new) X(mimi_options_set) \
    X(mimi_options_free) X(mimi_load) X(mimi_load_memory) X(mimi_free) X(mimi_encode) X(mimi_decode)       \
    X(mimi_encoder_new) X(mimi_encoder_process) X(mimi_encoder_flush) X(mimi_encoder_reset)                \
    X(mimi_encoder_get) X(mimi_encoder_clone) X(mimi_encoder_free) X(mimi_decoder_new)                     \
    X(mimi_decoder_process) X(mimi_decoder_flush) X(mimi_decoder_reset) X(mimi_decoder_get)                \
    X(mimi_decoder_clone) X(mimi_decoder_free) X(mimi_encoder_process_many) X(mimi_decoder_process_many)   \
    X(mimi_pack) X(mimi_unpack) X(mimi_drop_codebooks) X(mimi_encoder_codes_for) X(mimi_decoder_samples_for) \
    X(mimi_capture_new) X(mimi_capture_write) X(mimi_capture_read) X(mimi_capture_work)                    \
    X(mimi_capture_reset) X(mimi_capture_get) X(mimi_capture_free) X(mimi_playback_new)                    \
    X(mimi_playback_write) X(mimi_playback_read) X(mimi_playback_work) X(mimi_playback_reset)              \
    X(mimi_playback_get) X(mimi_playback_free) X(mimi_encode_latents) X(mimi_decode_latents)               \
    X(mimi_quantize) X(mimi_dequantize) X(mimi_encoder_process_latents) X(mimi_encoder_flush_latents)      \
    X(mimi_encoder_latents_for) X(mimi_encoder_process_many_latents) X(mimi_decoder_process_latents)       \
    X(mimi_decoder_samples_for_latents) X(mimi_decoder_process_many_latents)
#define POINTER(name) static __typeof__(name) *p_##name;
FUNCTIONS(POINTER)

static golden g;
static mimi_encoder *encoder;
static mimi_decoder *decoder;
/* at 44100 and 48000 Hz */
static mimi_encoder *converting_encoders[2];
static mimi_decoder *converting_decoders[2];
/* at 24000 and 48000 Hz, work spread and by another */
static mimi_capture *captures[2];
static mimi_playback *playbacks[2];
static uint32_t *codes;
static float *audio;
static size_t total, heard;
static int check_myself;
static const char *failed;

/* In the watched stretch, nothing but this and the library: a failure is told later. */
#define EXPECT(expected, call) ((call) == (expected) ? (void)0 : (void)(failed = failed ? failed : #call))

static void stream(void) {
    static const size_t chunks[] = {64, 1, 0, 1919, 64, 4000, 480, 9000};
    size_t n, n_codes = g.codebooks * g.frames;
    int64_t value;
    total = heard = 0;
    for (size_t at = 0, i = 0; at < g.samples; i++) {
        size_t step = chunks[i % 8] < g.samples - at ? chunks[i % 8] : g.samples - at;
        EXPECT(MIMI_OK, p_mimi_encoder_process(encoder, g.pcm + at, step, codes + total, n_codes - total, &n));
        EXPECT(MIMI_OK, p_mimi_decoder_process(decoder, codes + total, n, audio + heard, g.audio_samples - heard, &n));
        heard += n;
        EXPECT(MIMI_OK, p_mimi_encoder_get(encoder, MIMI_PROP_FRAMES, &value));
        total = (size_t)value * g.codebooks;
        at += step;
    }
    EXPECT(MIMI_OK, p_mimi_encoder_flush(encoder, codes + total, n_codes - total, &n));
    EXPECT(MIMI_OK, p_mimi_decoder_process(decoder, codes + total, n, audio + heard, g.audio_samples - heard, &n));
    total += g.codebooks * (n / 1920);
    heard += n;
    EXPECT(MIMI_OK, p_mimi_decoder_flush(decoder, audio + heard, g.audio_samples - heard, &n));
    heard += n;
    const float *pcm = g.pcm;
    const uint32_t *frame = codes;
    static uint32_t room[64];
    static float sound[1920];
    static unsigned char bytes[128];
    uint32_t *const rooms = room;
    float *const sounds = sound;
    EXPECT(MIMI_OK, p_mimi_encoder_process_many(&encoder, 1, &pcm, &rooms));
    EXPECT(MIMI_OK, p_mimi_decoder_process_many(&decoder, 1, &frame, &sounds));
    EXPECT(MIMI_OK, p_mimi_decoder_process(decoder, NULL, g.codebooks, sound, 1920, &n));
    EXPECT(MIMI_OK, p_mimi_decoder_get(decoder, MIMI_PROP_CONCEALED, &value));
    EXPECT(1, value);
    uint32_t first_code[64];
    for (size_t i = 0; i < g.codebooks; i++)
        first_code[i] = i ? MIMI_NO_CODE : codes[0];
    EXPECT(MIMI_OK, p_mimi_decoder_process(decoder, first_code, g.codebooks, sound, 1920, &n));
    EXPECT(MIMI_OK, p_mimi_pack(room, g.codebooks, (int64_t)g.codebooks, 16, bytes, sizeof bytes, &n));
    EXPECT(MIMI_OK, p_mimi_unpack(bytes, n, (int64_t)g.codebooks, 16, room, 64, &n));
    EXPECT(MIMI_OK, p_mimi_drop_codebooks(bytes, 2 * g.codebooks, (int64_t)g.codebooks, 16, 1, &n));
    EXPECT(MIMI_OK, p_mimi_encoder_codes_for(encoder, 5000, &n));
    EXPECT(MIMI_OK, p_mimi_decoder_samples_for(decoder, g.codebooks, &n));
    for (int32_t key = MIMI_PROP_CODEBOOKS; key <= MIMI_PROP_FLUSH_LEN; key++) {
        EXPECT(MIMI_OK, p_mimi_encoder_get(encoder, key, &value));
        EXPECT(MIMI_OK, p_mimi_decoder_get(decoder, key, &value));
    }
}

/* The same at other sample rates. */
static void convert(mimi_encoder *enc, mimi_decoder *dec) {
    static uint32_t room[64];
    static float sound[3 * 3840];
    uint32_t *const rooms = room;
    float *const sounds = sound;
    const uint32_t *const frame = room;
    const float *pcm = g.pcm;
    size_t n;
    int64_t value;
    for (size_t at = 0; at < 30000; at += 1000) {
        EXPECT(MIMI_OK, p_mimi_encoder_process(enc, g.pcm + at, 1000, room, 64, &n));
        EXPECT(MIMI_OK, p_mimi_decoder_process(dec, room, n, sound, 3 * 3840, &n));
    }
    EXPECT(MIMI_OK, p_mimi_encoder_process_many(&enc, 1, &pcm, &rooms));
    EXPECT(MIMI_OK, p_mimi_decoder_process_many(&dec, 1, &frame, &sounds));
    EXPECT(MIMI_OK, p_mimi_encoder_flush(enc, room, 64, &n));
    EXPECT(MIMI_OK, p_mimi_decoder_process(dec, room, n, sound, 3 * 3840, &n));
    EXPECT(MIMI_OK, p_mimi_decoder_flush(dec, sound, 3 * 3840, &n));
    EXPECT(1, n > 0);
    for (int32_t key = MIMI_PROP_CODEBOOKS; key <= MIMI_PROP_FLUSH_LEN; key++) {
        EXPECT(MIMI_OK, p_mimi_encoder_get(enc, key, &value));
        EXPECT(MIMI_OK, p_mimi_decoder_get(dec, key, &value));
    }
    EXPECT(MIMI_ERR_INVALID_ARGUMENT, p_mimi_encoder_process_many(&enc, 1, &pcm, &rooms));
    EXPECT(MIMI_OK, p_mimi_encoder_process(enc, g.pcm, 5000, room, 64, &n));
    EXPECT(MIMI_OK, p_mimi_encoder_reset(enc));
    EXPECT(MIMI_OK, p_mimi_decoder_reset(dec));
}

/* Latents in place of codes: in pieces, in company, lost and no numbers. */
static void latents(mimi_encoder *enc, mimi_decoder *dec) {
    static float room[3 * 32], sound[3 * 3840];
    float *const rooms = room, *const sounds = sound;
    const float *const frame = room;
    const float *pcm = g.pcm;
    size_t n;
    int64_t value;
    for (size_t at = 0; at < 30000; at += 1000) {
        EXPECT(MIMI_OK, p_mimi_encoder_latents_for(enc, 1000, &n));
        EXPECT(MIMI_OK, p_mimi_encoder_process_latents(enc, g.pcm + at, 1000, room, 3 * 32, &n));
        EXPECT(MIMI_OK, p_mimi_decoder_process_latents(dec, room, n, sound, 3 * 3840, &n));
    }
    EXPECT(MIMI_OK, p_mimi_encoder_process_many_latents(&enc, 1, &pcm, &rooms));
    EXPECT(MIMI_OK, p_mimi_decoder_process_many_latents(&dec, 1, &frame, &sounds));
    EXPECT(MIMI_OK, p_mimi_decoder_process_latents(dec, NULL, 32, sound, 3 * 3840, &n));
    room[0] = NAN;
    room[1] = INFINITY;
    EXPECT(MIMI_OK, p_mimi_decoder_samples_for_latents(dec, 32, &n));
    EXPECT(MIMI_OK, p_mimi_decoder_process_latents(dec, room, 32, sound, 3 * 3840, &n));
    EXPECT(MIMI_OK, p_mimi_encoder_get(enc, MIMI_PROP_FLUSH_LATENTS, &value));
    EXPECT(MIMI_OK, p_mimi_encoder_get(enc, MIMI_PROP_LATENT_DIM, &value));
    EXPECT(32, value);
    EXPECT(MIMI_ERR_BUFFER_TOO_SMALL, p_mimi_encoder_process_latents(enc, g.pcm, 4000, room, 31, &n));
    EXPECT(MIMI_ERR_INVALID_ARGUMENT, p_mimi_decoder_process_latents(dec, room, 31, sound, 3 * 3840, &n));
    EXPECT(MIMI_ERR_INVALID_ARGUMENT, p_mimi_decoder_process_latents(dec, NULL, 31, sound, 3 * 3840, &n));
    EXPECT(MIMI_ERR_INVALID_ARGUMENT, p_mimi_encoder_process_many_latents(&enc, 1025, &pcm, &rooms));
    EXPECT(MIMI_ERR_STATE, p_mimi_decoder_process_latents((mimi_decoder *)(void *)enc, room, 32, sound, 1920, &n));
    EXPECT(MIMI_OK, p_mimi_encoder_flush_latents(enc, room, 3 * 32, &n));
    EXPECT(1, n > 0);
    EXPECT(MIMI_OK, p_mimi_decoder_flush(dec, sound, 3 * 3840, &n));
    EXPECT(MIMI_OK, p_mimi_encoder_reset(enc));
    EXPECT(MIMI_OK, p_mimi_decoder_reset(dec));
}

/* Live audio: all sides on one thread, with frames that are lost, missing and late. */
static void live(mimi_capture *capture, mimi_playback *playback) {
    static uint32_t room[64];
    static float sound[480];
    size_t n;
    int64_t value;
    for (size_t at = 0, i = 0; at + 480 <= g.samples; at += 480, i++) {
        EXPECT(MIMI_OK, p_mimi_capture_write(capture, g.pcm + at, 480));
        EXPECT(MIMI_OK, p_mimi_capture_work(capture));
        EXPECT(MIMI_OK, p_mimi_capture_read(capture, room, 64, &n));
        if (i / 8 % 3)
            EXPECT(MIMI_OK, p_mimi_playback_write(playback, i / 8 % 5 ? room : NULL, n));
        EXPECT(MIMI_OK, p_mimi_playback_work(playback));
        EXPECT(MIMI_OK, p_mimi_playback_read(playback, sound, 480));
    }
    for (int32_t key = MIMI_PROP_CONCEALED; key <= MIMI_PROP_DROPPED; key++)
        EXPECT(MIMI_OK, p_mimi_playback_get(playback, key, &value));
    for (int32_t key = MIMI_PROP_CODEBOOKS; key <= MIMI_PROP_PARTS; key++) {
        EXPECT(MIMI_OK, p_mimi_capture_get(capture, key, &value));
        EXPECT(MIMI_OK, p_mimi_playback_get(playback, key, &value));
    }
    EXPECT(MIMI_OK, p_mimi_playback_get(playback, MIMI_PROP_CONCEALED, &value));
    EXPECT(1, value > 0);
    EXPECT(MIMI_ERR_NULL_POINTER, p_mimi_capture_write(capture, NULL, 480));
    EXPECT(MIMI_ERR_STATE, p_mimi_playback_read((mimi_playback *)(void *)capture, sound, 480));
    room[0] = 4000000000u;
    EXPECT(MIMI_ERR_CORRUPT, p_mimi_playback_write(playback, room, g.codebooks));
    EXPECT(MIMI_ERR_BUFFER_TOO_SMALL, p_mimi_playback_write(playback, NULL, 100 * g.codebooks));
    EXPECT(MIMI_ERR_UNSUPPORTED, p_mimi_capture_get(capture, 999, &value));
    EXPECT(MIMI_OK, p_mimi_capture_reset(capture));
    EXPECT(MIMI_OK, p_mimi_playback_reset(playback));
}

/* Failures are real-time too. */
static void fail(void) {
    const uint32_t bad = 4000000000u;
    size_t n;
    int64_t value;
    EXPECT(MIMI_ERR_NULL_POINTER, p_mimi_encoder_process(encoder, NULL, 5, codes, 32, &n));
    EXPECT(MIMI_ERR_STATE, p_mimi_encoder_process((mimi_encoder *)(void *)decoder, g.pcm, 5, codes, 32, &n));
    EXPECT(MIMI_ERR_BUFFER_TOO_SMALL, p_mimi_encoder_process(encoder, g.pcm, 1920, NULL, 0, &n));
    EXPECT(MIMI_ERR_INVALID_ARGUMENT, p_mimi_encoder_process(encoder, g.pcm, SIZE_MAX, codes, 32, &n));
    EXPECT(MIMI_ERR_UNSUPPORTED, p_mimi_encoder_get(encoder, 999, &value));
    EXPECT(MIMI_ERR_INVALID_ARGUMENT, p_mimi_decoder_process(decoder, &bad, g.codebooks - 1, audio, 1920, &n));
    uint32_t bad_frame[64] = {0};
    bad_frame[g.codebooks - 1] = bad;
    EXPECT(MIMI_ERR_CORRUPT, p_mimi_decoder_process(decoder, bad_frame, g.codebooks, audio, 1920, &n));
    EXPECT(MIMI_OK, p_mimi_decoder_get(decoder, MIMI_PROP_BAD_CODE_INDEX, &value));
    EXPECT((int64_t)g.codebooks - 1, value);
    EXPECT(MIMI_OK, p_mimi_decoder_get(decoder, MIMI_PROP_BAD_CODE_VALUE, &value));
    EXPECT((int64_t)bad, value);
    EXPECT(MIMI_ERR_INVALID_ARGUMENT, p_mimi_decoder_samples_for(decoder, g.codebooks + 1, &n));
    EXPECT(MIMI_ERR_BUFFER_TOO_SMALL, p_mimi_decoder_process(decoder, codes, g.codebooks, NULL, 0, &n));
    EXPECT(MIMI_ERR_BUFFER_TOO_SMALL, p_mimi_decoder_process(decoder, NULL, g.codebooks, NULL, 0, &n));
    EXPECT(MIMI_ERR_NULL_POINTER, p_mimi_decoder_flush(decoder, audio, 1920, NULL));
}

static void do_what_is_forbidden(void) {
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    struct timespec now;
    void *volatile memory = malloc(1 << 24); /* large enough to ask the kernel */
    free(memory);
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
    clock_gettime(CLOCK_MONOTONIC, &now);
    syscall(SYS_getppid);
    EXPECT(0, strcmp(p_mimi_last_error(), "")); /* the library's thread-local memory */
}

static void *audio_thread(void *unused) {
    syscall(SYS_write, -1, "mark begin", 10);
    interposer_watch = WATCH_REAL_TIME;
    if (check_myself) {
        do_what_is_forbidden();
    } else {
        stream();
        convert(converting_encoders[0], converting_decoders[0]);
        convert(converting_encoders[1], converting_decoders[1]);
        latents(encoder, decoder);
        latents(converting_encoders[0], converting_decoders[0]);
        live(captures[0], playbacks[0]);
        live(captures[1], playbacks[1]);
        fail();
        EXPECT(MIMI_OK, p_mimi_encoder_reset(encoder));
        EXPECT(MIMI_OK, p_mimi_decoder_reset(decoder));
        stream();
    }
    interposer_watch = WATCH_NOTHING;
    syscall(SYS_write, -1, "mark end", 8);
    return unused;
}

/* All that a program does with the library, failures included, without a sound. */
static void silence(const char *tiny, const mimi_options *options, mimi_model **model) {
    mimi_model *none;
    mimi_encoder *fork;
    mimi_decoder *echo;
    size_t n, n_codes = g.codebooks * g.frames;
    interposer_watch = WATCH_SILENCE;
    EXPECT(MIMI_OK, p_mimi_load(tiny, options, model));
    EXPECT(MIMI_ERR_IO, p_mimi_load("/no such file", options, &none));
    EXPECT(MIMI_ERR_FORMAT, p_mimi_load_memory("junk", 4, options, &none));
    EXPECT(MIMI_ERR_UNSUPPORTED, p_mimi_options_set((mimi_options *)(uintptr_t)options, 999, 1));
    EXPECT(MIMI_OK, p_mimi_encode(*model, options, g.pcm, g.samples, codes, n_codes, &n));
    EXPECT(MIMI_OK, p_mimi_decode(*model, options, codes, n, audio, g.audio_samples, &n));
    float *values = malloc(g.frames * 32 * sizeof *values);
    EXPECT(MIMI_OK, p_mimi_encode_latents(*model, options, g.pcm, g.samples, values, g.frames * 32, &n));
    EXPECT(MIMI_OK, p_mimi_quantize(*model, options, values, n, codes, n_codes, &n));
    EXPECT(MIMI_OK, p_mimi_dequantize(*model, options, codes, n, values, g.frames * 32, &n));
    EXPECT(MIMI_OK, p_mimi_decode_latents(*model, options, values, n, audio, g.audio_samples, &n));
    free(values);
    EXPECT(MIMI_OK, p_mimi_encoder_new(*model, options, &encoder));
    EXPECT(MIMI_OK, p_mimi_decoder_new(*model, options, &decoder));
    for (int i = 0; i < 2; i++) {
        mimi_options *own = p_mimi_options_new();
        EXPECT(MIMI_OK, p_mimi_options_set(own, MIMI_OPT_SAMPLE_RATE, i == 0 ? 44100 : 48000));
        EXPECT(MIMI_OK, p_mimi_encoder_new(*model, own, &converting_encoders[i]));
        EXPECT(MIMI_OK, p_mimi_decoder_new(*model, own, &converting_decoders[i]));
        p_mimi_options_free(own);
    }
    for (int i = 0; i < 2; i++) {
        mimi_options *own = p_mimi_options_new();
        EXPECT(MIMI_OK, p_mimi_options_set(own, MIMI_OPT_CODEBOOKS, (int64_t)g.codebooks));
        EXPECT(MIMI_OK, p_mimi_options_set(own, MIMI_OPT_SAMPLE_RATE, 24000 + 24000 * i));
        EXPECT(MIMI_OK, p_mimi_options_set(own, MIMI_OPT_WORK, i));
        EXPECT(MIMI_OK, p_mimi_capture_new(*model, own, &captures[i]));
        EXPECT(MIMI_OK, p_mimi_playback_new(*model, own, &playbacks[i]));
        p_mimi_options_free(own);
    }
    EXPECT(MIMI_OK, p_mimi_encoder_clone(encoder, &fork));
    EXPECT(MIMI_OK, p_mimi_decoder_clone(decoder, &echo));
    p_mimi_encoder_free(fork);
    p_mimi_decoder_free(echo);
    EXPECT(1, strlen(p_mimi_version_string()) > 4 && strlen(p_mimi_status_string(0)) > 1);
    if (check_myself)
        EXPECT(1, getenv("PATH") != (char *)1);
    interposer_watch = WATCH_NOTHING;
}

int main(int argc, char **argv) {
    CHECK(argc == 4 || argc == 5);
    check_myself = argc == 5;
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!library)
        FAIL("%s", dlerror());
#define RESOLVE(name) CHECK((*(void **)&p_##name = dlsym(library, #name)) != NULL);
    FUNCTIONS(RESOLVE)

    char tiny[4096];
    CHECK(snprintf(tiny, sizeof tiny, "%s/tiny", argv[2]) < (int)sizeof tiny);
    g = read_golden(tiny, "speech", 52837, 0);
    codes = allocate(g.codebooks * g.frames * sizeof *codes);
    audio = allocate(g.audio_samples * sizeof *audio);
    mimi_options *options = p_mimi_options_new();
    mimi_model *model;
    CHECK(p_mimi_options_set(options, MIMI_OPT_CODEBOOKS, (int64_t)g.codebooks) == MIMI_OK);
    CHECK(p_mimi_options_set(options, MIMI_OPT_TAIL, MIMI_TAIL_LAYER_PAD) == MIMI_OK);
    CHECK(p_mimi_options_set(options, MIMI_OPT_ISA, atoi(argv[3])) == MIMI_OK);

    silence(tiny, options, &model);
    if (failed)
        FAIL("not as expected: %s", failed);
    if (check_myself)
        CHECK(interposer_calls("getenv") == 1);
    else if (interposer_report("not silent", 1))
        return 1;

    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, audio_thread, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    if (failed)
        FAIL("not as expected: %s", failed);
    if (check_myself) {
        static const char *const seen[] = {"malloc", "free", "pthread_mutex_lock", "clock_gettime", "syscall"};
        for (int i = 0; i < 5; i++)
            CHECK(interposer_calls(seen[i]) >= 1);
#if defined(__x86_64__) /* elsewhere, thread-local memory is found without a function */
        CHECK(interposer_calls("__tls_get_addr") >= 1);
#endif
    } else {
        check_codes(g, codes, total);
        if (interposer_report("not real-time", 1))
            return 1;
    }
    p_mimi_encoder_free(encoder);
    p_mimi_decoder_free(decoder);
    for (int i = 0; i < 2; i++) {
        p_mimi_encoder_free(converting_encoders[i]);
        p_mimi_decoder_free(converting_decoders[i]);
        p_mimi_capture_free(captures[i]);
        p_mimi_playback_free(playbacks[i]);
    }
    p_mimi_free(model);
    p_mimi_options_free(options);
    return 0;
}
