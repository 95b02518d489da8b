/* live DATA ISA [quick]: audio through a capture and a playback, on one thread, in blocks of many lengths, to the
   sample that their latencies tell; and on four threads, where nothing is lost that no property counts. */
#include "fixture.h"

#include <pthread.h>
#include <sched.h>

static mimi_model *model;
static mimi_options *options;
static float *pcm;
static size_t samples;
static int quick;

static int64_t of_capture(const mimi_capture *capture, mimi_prop key) {
    int64_t value;
    OK(mimi_capture_get(capture, key, &value));
    return value;
}

static int64_t of_playback(const mimi_playback *playback, mimi_prop key) {
    int64_t value;
    OK(mimi_playback_get(playback, key, &value));
    return value;
}

/* What streams make of `n` samples: the audio, its end missing. */
static float *expected_audio(size_t n, size_t *len) {
    mimi_encoder *encoder;
    mimi_decoder *decoder;
    size_t n_codes;
    uint32_t *codes = allocate(10000 * sizeof *codes);
    float *audio = allocate((n + 10000) * sizeof *audio);
    OK(mimi_encoder_new(model, options, &encoder));
    OK(mimi_decoder_new(model, options, &decoder));
    OK(mimi_encoder_process(encoder, pcm, n, codes, 10000, &n_codes));
    OK(mimi_decoder_process(decoder, codes, n_codes, audio, n + 10000, len));
    mimi_encoder_free(encoder);
    mimi_decoder_free(decoder);
    free(codes);
    return audio;
}

/* One callback for both, again after a reset. */
static void one_thread(int64_t rate, int64_t work, int64_t offline, size_t block) {
    mimi_capture *capture;
    mimi_playback *playback;
    OK(mimi_options_set(options, MIMI_OPT_SAMPLE_RATE, rate));
    OK(mimi_options_set(options, MIMI_OPT_WORK, work));
    OK(mimi_options_set(options, MIMI_OPT_OFFLINE, offline));
    OK(mimi_capture_new(model, options, &capture));
    OK(mimi_playback_new(model, options, &playback));
    const size_t frame = (size_t)of_capture(capture, MIMI_PROP_FRAME_SAMPLES), n = 6 * frame;
    const size_t latency = (size_t)(of_capture(capture, MIMI_PROP_LATENCY_SAMPLES) +
                                    of_playback(playback, MIMI_PROP_LATENCY_SAMPLES));
    CHECK(frame == (size_t)rate / 25 * 2 && of_playback(playback, MIMI_PROP_SAMPLE_RATE) == rate && n <= samples);
    CHECK(of_capture(capture, MIMI_PROP_MEMORY_BYTES) > 10000 && of_playback(playback, MIMI_PROP_MEMORY_BYTES) > 10000);
    size_t len;
    float *expected = expected_audio(n, &len), *heard = allocate(n * sizeof *heard);
    CHECK(latency + len > n);
    uint32_t codes[64 * 8];
    for (int round = 0; round < 2; round++) {
        for (size_t at = 0; at < n; at += block) {
            const size_t now = block < n - at ? block : n - at;
            size_t n_codes;
            OK(mimi_capture_write(capture, pcm + at, now));
            OK(mimi_capture_work(capture));
            OK(mimi_capture_read(capture, codes, 64 * 8, &n_codes));
            OK(mimi_playback_write(playback, codes, n_codes));
            OK(mimi_playback_work(playback));
            OK(mimi_playback_read(playback, heard + at, now));
        }
        for (size_t i = 0; i < n; i++)
            if (heard[i] != (i < latency ? 0.0f : expected[i - latency]))
                FAIL("%d Hz, blocks of %zu, sample %zu of %zu: %g", (int)rate, block, i, n, (double)heard[i]);
        CHECK(of_capture(capture, MIMI_PROP_CODES_HASH) == of_playback(playback, MIMI_PROP_CODES_HASH));
        CHECK(of_capture(capture, MIMI_PROP_FRAMES) == 4 + (rate == 24000));
        CHECK(of_playback(playback, MIMI_PROP_FRAMES) == of_capture(capture, MIMI_PROP_FRAMES));
        for (mimi_prop key = MIMI_PROP_CONCEALED; key <= MIMI_PROP_DROPPED; key++)
            CHECK(of_playback(playback, key) == (key == MIMI_PROP_WAITING && rate == 24000));
        OK(mimi_capture_reset(capture));
        OK(mimi_playback_reset(playback));
        CHECK(of_capture(capture, MIMI_PROP_FRAMES) == 0 && of_playback(playback, MIMI_PROP_WAITING) == 0);
    }
    free(expected);
    free(heard);
    mimi_capture_free(capture);
    mimi_playback_free(playback);
}

/* A line that loses frames, between four threads that do not wait for each other. */
typedef struct {
    mimi_capture *capture;
    mimi_playback *playback;
    pthread_mutex_t lock; /* guards `done` */
    int done;
    size_t blocks, codebooks;
    int64_t lost, written, refused;
} line;

static int is_done(line *l) {
    CHECK(pthread_mutex_lock(&l->lock) == 0);
    const int done = l->done;
    CHECK(pthread_mutex_unlock(&l->lock) == 0);
    sched_yield();
    return done;
}

static void *audio_side(void *argument) {
    line *l = argument;
    float heard[480];
    for (size_t i = 0; i < l->blocks; i++) {
        OK(mimi_capture_write(l->capture, pcm + i * 480 % (samples - 480), 480));
        OK(mimi_playback_read(l->playback, heard, 480));
        for (int k = 0; k < 480; k++)
            CHECK(isfinite(heard[k]));
        sched_yield();
    }
    CHECK(pthread_mutex_lock(&l->lock) == 0);
    l->done = 1;
    CHECK(pthread_mutex_unlock(&l->lock) == 0);
    return NULL;
}

static void *work_side(void *argument) {
    line *l = argument;
    while (!is_done(l)) {
        OK(mimi_capture_work(l->capture));
        OK(mimi_playback_work(l->playback));
    }
    return NULL;
}

static void exchange(line *l) {
    uint32_t codes[8 * 4];
    size_t n;
    OK(mimi_capture_read(l->capture, codes, 4 * l->codebooks, &n));
    for (size_t at = 0; at < n; at += l->codebooks) {
        const int64_t number = of_capture(l->capture, MIMI_PROP_FRAMES) + (int64_t)at;
        if (number % 5 == 0) /* gone, and nobody says so */
            continue;
        const int lost = number % 5 == 1;
        const mimi_status s = mimi_playback_write(l->playback, lost ? NULL : codes + at, l->codebooks);
        CHECK(s == MIMI_OK || s == MIMI_ERR_BUFFER_TOO_SMALL);
        l->written += s == MIMI_OK;
        l->refused += s != MIMI_OK;
        l->lost += lost && s == MIMI_OK;
    }
}

static void *codes_side(void *argument) {
    line *l = argument;
    while (!is_done(l))
        exchange(l);
    return NULL;
}

static void *watching(void *argument) {
    line *l = argument;
    while (!is_done(l)) {
        CHECK(of_capture(l->capture, MIMI_PROP_DROPPED) >= 0);
        CHECK(of_playback(l->playback, MIMI_PROP_WAITING) <= of_playback(l->playback, MIMI_PROP_FRAMES));
    }
    return NULL;
}

static void four_threads(int64_t work) {
    static void *(*const sides[])(void *) = {audio_side, work_side, codes_side, watching};
    const size_t frames = quick ? 12 : 100;
    line l = {.blocks = frames * 4};
    pthread_t threads[4];
    OK(mimi_options_set(options, MIMI_OPT_SAMPLE_RATE, 0));
    OK(mimi_options_set(options, MIMI_OPT_WORK, work));
    OK(mimi_options_set(options, MIMI_OPT_OFFLINE, 0));
    OK(mimi_capture_new(model, options, &l.capture));
    OK(mimi_playback_new(model, options, &l.playback));
    l.codebooks = (size_t)of_capture(l.capture, MIMI_PROP_CODEBOOKS);
    CHECK(pthread_mutex_init(&l.lock, NULL) == 0);
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, sides[i], &l) == 0);
    for (int i = 0; i < 4; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    OK(mimi_capture_work(l.capture));
    for (int i = 0; i < 20; i++)
        exchange(&l);
    const int64_t seen = of_capture(l.capture, MIMI_PROP_FRAMES) + of_capture(l.capture, MIMI_PROP_DROPPED);
    CHECK(work == MIMI_WORK_OTHER ? seen <= (int64_t)frames : seen == (int64_t)frames - 1);
    CHECK(of_playback(l.playback, MIMI_PROP_FRAMES) == l.written);
    CHECK(of_playback(l.playback, MIMI_PROP_DROPPED) == l.refused);
    CHECK(of_playback(l.playback, MIMI_PROP_LOST) == l.lost);
    CHECK(of_playback(l.playback, MIMI_PROP_LATE) + of_playback(l.playback, MIMI_PROP_WAITING) <= l.written);
    CHECK(work == MIMI_WORK_OTHER || of_playback(l.playback, MIMI_PROP_MISSED) == 0);
    pthread_mutex_destroy(&l.lock);
    mimi_capture_free(l.capture);
    mimi_playback_free(l.playback);
}

/* Frames that are lost, late and refused, by name. */
static void a_bad_line(void) {
    mimi_playback *playback;
    uint32_t codes[8] = {0};
    float heard[1920];
    OK(mimi_options_set(options, MIMI_OPT_SAMPLE_RATE, 0));
    OK(mimi_options_set(options, MIMI_OPT_WORK, MIMI_WORK_SPREAD));
    OK(mimi_options_set(options, MIMI_OPT_OFFLINE, 0));
    OK(mimi_options_set(options, MIMI_OPT_BUFFER_FRAMES, 2));
    OK(mimi_playback_new(model, options, &playback));
    const size_t k = (size_t)of_playback(playback, MIMI_PROP_CODEBOOKS);
    STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_playback_write(playback, NULL, 19 * k));
    CHECK(of_playback(playback, MIMI_PROP_DROPPED) == 19);
    OK(mimi_playback_write(playback, NULL, k));
    codes[0] = MIMI_NO_CODE; /* one of its codes */
    OK(mimi_playback_write(playback, codes, k));
    CHECK(of_playback(playback, MIMI_PROP_LOST) == 1 && of_playback(playback, MIMI_PROP_WAITING) == 2);
    codes[0] = 0;
    for (int i = 0; i < 4 * 16; i++)
        OK(mimi_playback_read(playback, heard, 120));
    CHECK(of_playback(playback, MIMI_PROP_CONCEALED) == 2 && of_playback(playback, MIMI_PROP_WAITING) == 0);
    for (int i = 0; i < 3; i++)
        OK(mimi_playback_write(playback, codes, k));
    OK(mimi_playback_read(playback, heard, 120));
    CHECK(of_playback(playback, MIMI_PROP_LATE) == 2 && of_playback(playback, MIMI_PROP_FRAMES) == 5);
    CHECK(of_playback(playback, MIMI_PROP_LATENCY_SAMPLES) == 2 * 1920);
    mimi_playback_free(playback);
    OK(mimi_options_set(options, MIMI_OPT_BUFFER_FRAMES, 1));
}

int main(int argc, char **argv) {
    CHECK(argc == 3 || argc == 4);
    quick = argc == 4;
    char path[4096];
    CHECK(snprintf(path, sizeof path, "%s/tiny", argv[1]) < (int)sizeof path);
    pcm = read_wav(join(argv[1], "speech.wav"), &samples);
    options = mimi_options_new();
    OK(mimi_options_set(options, MIMI_OPT_ISA, atoi(argv[2])));
    OK(mimi_options_set(options, MIMI_OPT_BUFFER_FRAMES, 1));
    OK(mimi_load(path, options, &model));
    static const size_t blocks[] = {64, 441, 1024, 1280};
    static const int64_t rates[] = {24000, 48000, 44100, 16000};
    for (size_t i = 0; i < (quick ? 1 : 4); i++)
        for (size_t j = 0; j < (quick ? 1 : 4); j++) {
            one_thread(rates[i], MIMI_WORK_SPREAD, 0, blocks[j]);
            one_thread(rates[i], MIMI_WORK_OTHER, 0, blocks[j]);
            one_thread(rates[i], MIMI_WORK_OTHER, 1, blocks[j]);
            one_thread(rates[i], MIMI_WORK_SPREAD, 0, 5000 + j);
        }
    a_bad_line();
    four_threads(MIMI_WORK_SPREAD);
    four_threads(MIMI_WORK_OTHER);
    mimi_free(model);
    mimi_options_free(options);
    free(pcm);
    return 0;
}
