/*
 * prompt MODEL PROMPT SENTENCE...: the voice of a prompt, decoded once, and forked for each sentence.
 *
 *     ./stream encode model.safetensors < voice.f32 > prompt
 *     ./prompt model.safetensors prompt sentence1 sentence2 | ffplay -f f32le -ar 24000 -
 *
 * A text-to-speech model is given the codes of a voice, half a minute of them, and makes codes that go on after them.
 * Their sound begins where the prompt's ended, so a decoder must have heard the prompt first. It hears it once:
 * each sentence is a fork of it, which costs a copy of its memory and gives the same bits.
 *
 * Files hold codes as stream.c writes them. The sound of the sentences, one after another, goes to stdout.
 * Build: cc prompt.c $(pkg-config --cflags --libs mimi) -o prompt
 */
#include <mimi.h>

#include <stdio.h>
#include <stdlib.h>
#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#endif

static void stop(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

/* All codes of a file through a decoder, frame by frame; their sound to `out`, unless that is NULL. */
static void decode(mimi_decoder *decoder, const char *path, FILE *out) {
    int64_t codebooks = 0, samples = 0;
    if (mimi_decoder_get(decoder, MIMI_PROP_CODEBOOKS, &codebooks) != MIMI_OK ||
        mimi_decoder_get(decoder, MIMI_PROP_FRAME_SAMPLES, &samples) != MIMI_OK || codebooks == 0)
        stop(path, "the model has no codes");
    uint32_t *codes = calloc((size_t)codebooks, sizeof *codes);
    float *pcm = calloc((size_t)samples, sizeof *pcm);
    FILE *file = fopen(path, "rb");
    if (!file || !codes || !pcm)
        stop(path, file ? "out of memory" : "cannot be opened");
    size_t n_codes, n;
    while ((n_codes = fread(codes, sizeof *codes, (size_t)codebooks, file)) > 0) {
        const mimi_status status = mimi_decoder_process(decoder, codes, n_codes, pcm, (size_t)samples, &n);
        if (status != MIMI_OK)
            stop(path, mimi_status_string(status));
        if (out && fwrite(pcm, sizeof *pcm, n, out) != n)
            stop(path, "its sound cannot be written");
    }
    if (ferror(file))
        stop(path, "cannot be read");
    fclose(file);
    free(codes);
    free(pcm);
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: %s MODEL PROMPT SENTENCE...\n", argv[0]);
        return 2;
    }
#ifdef _WIN32
    _setmode(_fileno(stdout), _O_BINARY);
#endif
    mimi_model *model;
    mimi_decoder *voice = NULL;
    if (mimi_load(argv[1], NULL, &model) != MIMI_OK || mimi_decoder_new(model, NULL, &voice) != MIMI_OK)
        stop(argv[1], mimi_last_error());
    mimi_free(model);
    decode(voice, argv[2], NULL);

    /* Forks may speak at the same time, each on a thread of its own, and outlive the voice that they are of. */
    for (int i = 3; i < argc; i++) {
        mimi_decoder *speaker;
        if (mimi_decoder_clone(voice, &speaker) != MIMI_OK)
            stop(argv[i], mimi_last_error());
        decode(speaker, argv[i], stdout);
        mimi_decoder_free(speaker);
    }
    mimi_decoder_free(voice);
    if (fflush(stdout) != 0)
        stop("stdout", "cannot be written");
    return 0;
}
