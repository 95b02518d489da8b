/* bench MODEL PRECISION MILLISECONDS < SPEECH.f32: the least processor time of a frame in four ways: see bench.mjs. */
#include <mimi.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST = 1 << 18 };

static float pcm[MOST], audio[MOST];
static uint32_t codes[MOST], made[MOST];
static size_t n, n_codes, written;
static int64_t frame, books;
static mimi_model *model;
static mimi_encoder *encoder;
static mimi_decoder *decoder;

static double spent(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static size_t frames(void) { return n / (size_t)frame; }

/* The frames of a run: all, also a last partial one, or those of a stream. */
static double count(int way) {
    return way == 0 ? (double)n / (double)frame : way == 1 ? (double)(n_codes / (size_t)books) : (double)frames();
}

static mimi_status run(int way) {
    mimi_status s = MIMI_OK;
    if (way == 0)
        return mimi_encode(model, NULL, pcm, n, made, MOST, &written);
    if (way == 1)
        return mimi_decode(model, NULL, codes, n_codes, audio, MOST, &written);
    for (size_t f = 0; f < frames() && s == MIMI_OK; f++)
        s = way == 2 ? mimi_encoder_process(encoder, pcm + f * (size_t)frame, (size_t)frame, made, MOST, &written)
                     : mimi_decoder_process(decoder, codes + f * (size_t)books, (size_t)books, audio, MOST, &written);
    return s;
}

int main(int argc, char **argv) {
    mimi_options *options = mimi_options_new();
    if (argc != 4)
        return 2;
    int precision = strcmp(argv[2], "int8") == 0 ? 2 : strcmp(argv[2], "bf16") == 0;
    n = fread(pcm, sizeof *pcm, MOST, stdin);
    if (mimi_options_set(options, MIMI_OPT_PRECISION, precision) != MIMI_OK ||
        mimi_options_set(options, MIMI_OPT_ISA, MIMI_ISA_BASELINE) != MIMI_OK ||
        mimi_load(argv[1], options, &model) != MIMI_OK || mimi_encoder_new(model, NULL, &encoder) != MIMI_OK ||
        mimi_decoder_new(model, NULL, &decoder) != MIMI_OK ||
        mimi_model_get(model, MIMI_PROP_FRAME_SAMPLES, &frame) != MIMI_OK ||
        mimi_encoder_get(encoder, MIMI_PROP_CODEBOOKS, &books) != MIMI_OK ||
        mimi_encode(model, NULL, pcm, n, codes, MOST, &n_codes) != MIMI_OK)
        return fprintf(stderr, "%s\n", mimi_last_error()), 1;
    for (int way = 0; way < 4; way++) {
        double best = 1e9, end = spent() + atof(argv[3]);
        while (spent() < end) {
            double start = spent();
            if (run(way) != MIMI_OK)
                return 1;
            double time = (spent() - start) / count(way);
            best = time < best ? time : best;
        }
        printf("%.4f ", best);
    }
    printf("\n");
    return 0;
}
