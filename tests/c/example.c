/* The example of mimi.h, in a program: encodes and decodes one second of a tone. */
#include "mimi.h"

#include <stdio.h>

static float pcm[24000];
static uint32_t codes[13 * 8];
static float audio[13 * 1920];

static int run(const char *path) {
    mimi_model *model;
    if (mimi_load(path, NULL, &model) != MIMI_OK) {
        fprintf(stderr, "%s\n", mimi_last_error());
        return 1;
    }
    size_t n_codes, n_samples;
    mimi_status s = mimi_encode(model, NULL, pcm, 24000, codes, 13 * 8, &n_codes);
    if (s == MIMI_OK)
        s = mimi_decode(model, NULL, codes, n_codes, audio, 13 * 1920, &n_samples);
    mimi_free(model);

    if (s != MIMI_OK) {
        fprintf(stderr, "%s: %s\n", mimi_status_string(s), mimi_last_error());
        return 1;
    }
    return n_samples == 13 * 1920 && n_codes % 13 == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
    for (int i = 0; i < 24000; i++)
        pcm[i] = (float)(i % 120) / 120.0f - 0.5f; /* 200 Hz */
    return argc == 2 ? run(argv[1]) : 2;
}
