/* threads DATA ISA [quick]: many threads, each with its own streams on one model, each with its own message. */
#include "fixture.h"

#include <pthread.h>

enum { THREADS = 8 };

static golden g;
static mimi_model *model;
static mimi_options *options;
static pthread_barrier_t barrier;
static int rounds = 3;

static void *work(void *argument) {
    const int64_t me = (int64_t)(intptr_t)argument;
    const size_t n_codes = g.codebooks * g.frames;
    uint32_t *codes = allocate(n_codes * sizeof *codes);
    float *audio = allocate(g.audio_samples * sizeof *audio);
    mimi_encoder *encoder;
    mimi_decoder *decoder;
    char number[32];
    size_t written, decoded;

    CHECK(strcmp(mimi_last_error(), "") == 0);
    mimi_options *mine = mimi_options_new();
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_options_set(mine, MIMI_OPT_TAIL, -1000 - me));
    pthread_barrier_wait(&barrier); /* all have failed */
    snprintf(number, sizeof number, "%d", (int)(-1000 - me));
    CHECK(strstr(mimi_last_error(), number));
    mimi_options_free(mine);

    OK(mimi_encoder_new(model, options, &encoder));
    OK(mimi_decoder_new(model, options, &decoder));
    for (int round = 0; round < rounds; round++) {
        size_t total = 0, heard = 0;
        const size_t step = 500 + 333 * (size_t)me;
        for (size_t at = 0; at < g.samples; at += step) {
            size_t n = step < g.samples - at ? step : g.samples - at;
            OK(mimi_encoder_process(encoder, g.pcm + at, n, codes + total, n_codes - total, &written));
            OK(mimi_decoder_process(decoder, g.codes + total, written, audio + heard, g.audio_samples - heard, &decoded));
            total += written;
            heard += decoded;
        }
        OK(mimi_encoder_flush(encoder, codes + total, n_codes - total, &written));
        OK(mimi_decoder_process(decoder, g.codes + total, written, audio + heard, g.audio_samples - heard, &decoded));
        check_codes(g, codes, total + written);
        check_audio(g, audio, heard + decoded);
        OK(mimi_decoder_reset(decoder));
        OK(mimi_encode(model, options, g.pcm, g.samples, codes, n_codes, &written));
        check_codes(g, codes, written);
    }
    mimi_encoder_free(encoder);
    mimi_decoder_free(decoder);
    free(codes);
    free(audio);
    return NULL;
}

int main(int argc, char **argv) {
    CHECK(argc == 3 || argc == 4);
    if (argc == 4)
        rounds = 1;
    pthread_t threads[THREADS];
    char tiny[4096];
    CHECK(snprintf(tiny, sizeof tiny, "%s/tiny", argv[1]) < (int)sizeof tiny);
    g = rounds == 1 ? read_golden(tiny, "first4frames", 7680, 0) : read_golden(tiny, "speech", 52837, 0);
    options = mimi_options_new();
    OK(mimi_options_set(options, MIMI_OPT_CODEBOOKS, (int64_t)g.codebooks));
    OK(mimi_options_set(options, MIMI_OPT_TAIL, MIMI_TAIL_LAYER_PAD));
    OK(mimi_options_set(options, MIMI_OPT_ISA, atoi(argv[2])));
    OK(mimi_load(tiny, options, &model));
    CHECK(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, work, (void *)(intptr_t)i) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    pthread_barrier_destroy(&barrier);
    CHECK(strcmp(mimi_last_error(), "") == 0);
    mimi_free(model);
    mimi_options_free(options);
    free_golden(g);
    return 0;
}
