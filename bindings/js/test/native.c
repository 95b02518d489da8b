/* native MODEL FOLDER < SPEECH.f32: writes codes, audio and latents of a recording, as the library for this machine
 * makes them with the kernels that every CPU has. */
#include <mimi.h>

#include <stdio.h>

enum { MOST = 1 << 18 };

static float pcm[MOST], audio[MOST], latents[MOST];
static uint32_t codes[MOST];

static int save(const char *folder, const char *precision, const char *what, const void *data, size_t n) {
    char name[1024];
    snprintf(name, sizeof name, "%s/%s.%s", folder, precision, what);
    FILE *file = fopen(name, "wb");
    return file && fwrite(data, 4, n, file) == n && fclose(file) == 0;
}

int main(int argc, char **argv) {
    static const char *const precisions[] = {"f32", "bf16", "int8", "int16"};
    if (argc != 3)
        return 2;
    size_t n = fread(pcm, sizeof *pcm, MOST, stdin), n_codes, n_samples, n_values;
    for (int p = 0; p < 4; p++) {
        mimi_options *options = mimi_options_new();
        mimi_model *model;
        if (mimi_options_set(options, MIMI_OPT_PRECISION, p) != MIMI_OK ||
            mimi_options_set(options, MIMI_OPT_ISA, MIMI_ISA_BASELINE) != MIMI_OK ||
            mimi_load(argv[1], options, &model) != MIMI_OK ||
            mimi_encode(model, NULL, pcm, n, codes, MOST, &n_codes) != MIMI_OK ||
            mimi_decode(model, NULL, codes, n_codes, audio, MOST, &n_samples) != MIMI_OK ||
            mimi_encode_latents(model, NULL, pcm, n, latents, MOST, &n_values) != MIMI_OK)
            return fprintf(stderr, "%s\n", mimi_last_error()), 1;
        if (!save(argv[2], precisions[p], "codes", codes, n_codes) ||
            !save(argv[2], precisions[p], "audio", audio, n_samples) ||
            !save(argv[2], precisions[p], "latents", latents, n_values))
            return perror(argv[2]), 1;
        mimi_free(model);
        mimi_options_free(options);
    }
    return 0;
}
