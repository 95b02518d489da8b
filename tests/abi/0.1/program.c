/*
 * program DATA MODEL: a program written for libmimi 0.1.0, which every later 0.1 must still run.
 *
 * Compiled with the mimi.h beside it, which never changes again, and linked with the library under test.
 */
#include "mimi.h"

#include "../../c/fixture.h"

static int32_t read_bytes(void *user, uint64_t offset, void *dst, size_t len) {
    memcpy(dst, (const unsigned char *)user + offset, len);
    return 0;
}

static void versions(void) {
    CHECK(mimi_version_number() >= MIMI_VERSION_NUMBER);
    CHECK(mimi_version_number() / 100 == MIMI_VERSION_NUMBER / 100);
    CHECK(strncmp(mimi_version_string(), "0.1.", 4) == 0);
    CHECK(strlen(mimi_status_string(MIMI_ERR_PANIC)) > 0);
}

static mimi_options *make_options(golden g) {
    int64_t value;
    mimi_options *options = mimi_options_new();
    OK(mimi_options_set(options, MIMI_OPT_CODEBOOKS, (int64_t)g.codebooks));
    OK(mimi_options_set(options, MIMI_OPT_TAIL, MIMI_TAIL_LAYER_PAD));
    OK(mimi_options_get(options, MIMI_OPT_TAIL, &value));
    CHECK(value == MIMI_TAIL_LAYER_PAD);
    return options;
}

static void encode(const mimi_model *model, const mimi_options *options, golden g) {
    size_t n, total = 0, cap = g.codebooks * g.frames;
    uint32_t *codes = (uint32_t *)allocate(cap * sizeof *codes);
    OK(mimi_encode(model, options, g.pcm, g.samples, codes, cap, &n));
    check_codes(g, codes, n);

    mimi_encoder *first, *second;
    OK(mimi_encoder_new(model, options, &first));
    OK(mimi_encoder_process(first, g.pcm, 5000, codes, cap, &total));
    OK(mimi_encoder_clone(first, &second));
    OK(mimi_encoder_reset(first));
    OK(mimi_encoder_process(second, g.pcm + 5000, g.samples - 5000, codes + total, cap - total, &n));
    total += n;
    OK(mimi_encoder_flush(second, codes + total, cap - total, &n));
    check_codes(g, codes, total + n);
    int64_t frames;
    OK(mimi_encoder_get(second, MIMI_PROP_FRAMES, &frames));
    CHECK(frames == (int64_t)g.frames);
    mimi_encoder_free(first);
    mimi_encoder_free(second);
    free(codes);
}

static void decode(const mimi_model *model, const mimi_options *options, golden g) {
    size_t n, total, n_codes = g.codebooks * g.frames, half = g.frames / 2 * g.codebooks;
    float *audio = (float *)allocate(g.audio_samples * sizeof *audio);
    OK(mimi_decode(model, options, g.codes, n_codes, audio, g.audio_samples, &n));
    check_audio(g, audio, n);

    mimi_decoder *first, *second;
    OK(mimi_decoder_new(model, options, &first));
    OK(mimi_decoder_process(first, g.codes, half, audio, g.audio_samples, &total));
    OK(mimi_decoder_clone(first, &second));
    OK(mimi_decoder_reset(first));
    OK(mimi_decoder_process(second, g.codes + half, n_codes - half, audio + total, g.audio_samples - total, &n));
    total += n;
    OK(mimi_decoder_flush(second, audio + total, g.audio_samples - total, &n));
    check_audio(g, audio, total + n);
    int64_t frames;
    OK(mimi_decoder_get(second, MIMI_PROP_FRAMES, &frames));
    CHECK(frames == (int64_t)g.frames);
    mimi_decoder_free(first);
    mimi_decoder_free(second);
    free(audio);
}

static void other_ways_to_load(const char *path) {
    size_t len;
    unsigned char *bytes = read_file(path, &len);
    mimi_model *one, *two;
    int64_t first, second;
    OK(mimi_load_memory(bytes, len, NULL, &one));
    OK(mimi_load_reader(read_bytes, bytes, len, NULL, &two));
    OK(mimi_model_get(one, MIMI_PROP_MODEL_ID, &first));
    OK(mimi_model_get(two, MIMI_PROP_MODEL_ID, &second));
    CHECK(first == second);
    mimi_free(one);
    mimi_free(two);
    free(bytes);
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    versions();
    char folder[4096];
    CHECK(snprintf(folder, sizeof folder, "%s/tiny", argv[1]) < (int)sizeof folder);
    golden g = read_golden(folder, "speech", 52837, 0);
    mimi_options *options = make_options(g);
    mimi_model *model;
    STATUS(MIMI_ERR_IO, mimi_load("no such file", NULL, &model));
    CHECK(strstr(mimi_last_error(), "no such file"));
    OK(mimi_load(folder, options, &model));
    encode(model, options, g);
    decode(model, options, g);
    other_ways_to_load(argv[2]);
    mimi_free(model);
    mimi_options_free(options);
    free_golden(g);
    return 0;
}
