/*
 * size_query MODEL: a whole recording in two calls, one to ask for the size and one to fill it.
 *
 * Audio on stdin (32-bit floats), codes on stdout (decimal, a line for each frame).
 * Build: cc size_query.c $(pkg-config --cflags --libs mimi) -o size_query
 */
#include <mimi.h>

#include <stdio.h>
#include <stdlib.h>
#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#endif

static int fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    return 1;
}

/* All of stdin; NULL if there is not enough memory. */
static float *read_audio(size_t *samples) {
    size_t room = 1 << 16;
    float *pcm = malloc(room * sizeof *pcm);
    *samples = 0;
    while (pcm) {
        *samples += fread(pcm + *samples, sizeof *pcm, room - *samples, stdin);
        if (*samples < room)
            return pcm;
        float *larger = realloc(pcm, (room *= 2) * sizeof *pcm);
        if (!larger)
            free(pcm);
        pcm = larger;
    }
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 2)
        return fail("usage: size_query MODEL");
#ifdef _WIN32
    _setmode(_fileno(stdin), _O_BINARY);
#endif
    mimi_model *model;
    if (mimi_load(argv[1], NULL, &model) != MIMI_OK)
        return fail(mimi_last_error());
    size_t samples;
    float *pcm = read_audio(&samples);
    mimi_options *options = mimi_options_new();
    if (!pcm || mimi_options_set(options, MIMI_OPT_CODEBOOKS, 8) != MIMI_OK)
        return fail("out of memory");

    size_t n_codes;
    uint32_t *codes = NULL;
    mimi_status status = mimi_codes_for(model, options, samples, &n_codes);
    if (status == MIMI_OK) {
        codes = malloc(n_codes ? n_codes * sizeof *codes : 1);
        if (!codes)
            return fail("out of memory");
        status = mimi_encode(model, options, pcm, samples, codes, n_codes, &n_codes);
    }
    if (status != MIMI_OK)
        return fail(mimi_last_error());

    for (size_t i = 0; i < n_codes; i++)
        printf("%u%c", codes[i], i % 8 == 7 ? '\n' : ' ');
    free(codes);
    free(pcm);
    mimi_options_free(options);
    mimi_free(model);
    return 0;
}
