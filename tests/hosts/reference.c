/* reference MODEL RATE CODEBOOKS IN OUT: what the plug-in must give for IN, raw 32-bit floats, with these codebooks and
   no loss: the audio of an encoder's and a decoder's stream, delayed by the latency, as long as IN. Prints the latency. */
#include <mimi.h>

#include <stdio.h>
#include <stdlib.h>

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        if ((call) != MIMI_OK) {                                                                                       \
            fprintf(stderr, "%s: %s\n", #call, mimi_last_error());                                                     \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static void *room(size_t bytes) {
    void *p = calloc(1, bytes);
    if (!p)
        exit(1);
    return p;
}

int main(int argc, char **argv) {
    if (argc != 6)
        return 2;
    const size_t most = 1 << 22;
    float *in = room(most * sizeof *in), *out = room(2 * most * sizeof *out);
    uint32_t *codes = room(most * sizeof *codes);
    FILE *file = fopen(argv[4], "rb");
    if (!file)
        return 1;
    const size_t n = fread(in, sizeof *in, most, file);
    fclose(file);

    mimi_model *model;
    mimi_options *options = mimi_options_new();
    mimi_encoder *encoder;
    mimi_decoder *decoder;
    mimi_capture *capture;
    mimi_playback *playback;
    int64_t before, after;
    size_t n_codes, n_samples;
    OK(mimi_load(argv[1], NULL, &model));
    OK(mimi_options_set(options, MIMI_OPT_SAMPLE_RATE, atol(argv[2])));
    OK(mimi_options_set(options, MIMI_OPT_CODEBOOKS, atol(argv[3])));
    OK(mimi_options_set(options, MIMI_OPT_BUFFER_FRAMES, 1));
    OK(mimi_encoder_new(model, options, &encoder));
    OK(mimi_decoder_new(model, options, &decoder));
    OK(mimi_capture_new(model, options, &capture));
    OK(mimi_playback_new(model, options, &playback));
    OK(mimi_capture_get(capture, MIMI_PROP_LATENCY_SAMPLES, &before));
    OK(mimi_playback_get(playback, MIMI_PROP_LATENCY_SAMPLES, &after));
    const size_t latency = (size_t)(before + after);

    OK(mimi_encoder_process(encoder, in, n, codes, most, &n_codes));
    OK(mimi_decoder_process(decoder, codes, n_codes, out + latency, 2 * most - latency, &n_samples));
    if (latency + n_samples < n) {
        fprintf(stderr, "%zu samples of latency and %zu of audio, for %zu\n", latency, n_samples, n);
        return 1;
    }
    file = fopen(argv[5], "wb");
    if (!file || fwrite(out, sizeof *out, n, file) != n || fclose(file) != 0)
        return 1;
    printf("%zu\n", latency);

    mimi_capture_free(capture);
    mimi_playback_free(playback);
    mimi_encoder_free(encoder);
    mimi_decoder_free(decoder);
    mimi_options_free(options);
    mimi_free(model);
    free(in);
    free(out);
    free(codes);
    return 0;
}
