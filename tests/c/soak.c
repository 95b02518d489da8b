/* soak MODEL WAV SECONDS PRECISION: so much audio through one pair of streams, a frame at a time, as a call
   of that length would. Memory must not grow; the time of a frame is printed for each tenth of the run, for a
   person to judge, because a test's verdict must not depend on what else the machine does. */
#include "fixture.h"

#include <time.h>

enum { TENTHS = 10, FRAME = 1920 };

/* Pages of this process in memory that are not a file's: code comes in when it is first run. */
static long resident_pages(void) {
    long size, resident, of_files;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%ld %ld %ld", &size, &resident, &of_files) == 3);
    fclose(file);
    return resident - of_files;
}

static double milliseconds(clockid_t clock) {
    struct timespec now;
    CHECK(clock_gettime(clock, &now) == 0);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Samples at..at + FRAME of the recording, which begins again at its end. */
static void next_frame(const float *speech, size_t samples, size_t at, float *pcm) {
    for (size_t i = 0; i < FRAME; i++)
        pcm[i] = speech[(at + i) % samples];
}

int main(int argc, char **argv) {
    CHECK(argc == 5);
    size_t samples, n_codes, n_samples;
    float *speech = read_wav(argv[2], &samples);
    const size_t frames = (size_t)atol(argv[3]) * 24000 / FRAME / TENTHS;
    CHECK(frames > 0);
    double *times = (double *)allocate(frames * sizeof *times);
    mimi_options *options = mimi_options_new();
    CHECK(options);
    OK(mimi_options_set(options, MIMI_OPT_PRECISION, atoi(argv[4])));
    mimi_model *model;
    mimi_encoder *encoder;
    mimi_decoder *decoder;
    OK(mimi_load(argv[1], options, &model));
    OK(mimi_encoder_new(model, options, &encoder));
    OK(mimi_decoder_new(model, options, &decoder));
    int64_t codebooks;
    OK(mimi_encoder_get(encoder, MIMI_PROP_CODEBOOKS, &codebooks));
    static float pcm[FRAME];
    uint32_t codes[8];
    long first = 0, last = 0;
    for (int tenth = 0; tenth < TENTHS; tenth++) {
        float loudest = 0;
        for (size_t i = 0; i < frames; i++) {
            next_frame(speech, samples, ((size_t)tenth * frames + i) * FRAME, pcm);
            /* the thread's own time, which others on the machine change less */
            const double start = milliseconds(CLOCK_THREAD_CPUTIME_ID);
            OK(mimi_encoder_process(encoder, pcm, FRAME, codes, 8, &n_codes));
            OK(mimi_decoder_process(decoder, codes, n_codes, pcm, FRAME, &n_samples));
            times[i] = milliseconds(CLOCK_THREAD_CPUTIME_ID) - start;
            CHECK(n_codes == (size_t)codebooks && n_samples == FRAME);
            for (size_t k = 0; k < FRAME; k++) {
                CHECK(isfinite(pcm[k]));
                loudest = fmaxf(loudest, fabsf(pcm[k]));
            }
        }
        CHECK(loudest > 0);
        qsort(times, frames, sizeof *times, ascending);
        last = resident_pages();
        if (tenth == 0)
            first = last;
        printf("%2d0 %%: p50 %.2f ms, p99 %.2f ms, max %.2f ms of the processor for a frame; %ld kB resident, "
               "loudest %.2f\n",
               tenth + 1, times[frames / 2], times[frames * 99 / 100], times[frames - 1], last * 4, loudest);
        fflush(stdout);
    }
    int64_t encoded, decoded;
    OK(mimi_encoder_get(encoder, MIMI_PROP_CODES_HASH, &encoded));
    OK(mimi_decoder_get(decoder, MIMI_PROP_CODES_HASH, &decoded));
    CHECK(encoded == decoded);
    OK(mimi_encoder_get(encoder, MIMI_PROP_FRAMES, &encoded));
    CHECK(encoded == (int64_t)(frames * TENTHS));
    if (last > first + 16) /* 64 kB */
        FAIL("%ld kB more at the end than after a tenth", (last - first) * 4);
    mimi_encoder_free(encoder);
    mimi_decoder_free(decoder);
    mimi_free(model);
    mimi_options_free(options);
    free(times);
    free(speech);
    return 0;
}
