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
    OK(mimi_codes_for(model, options, g.samples, &n));
    CHECK(n == cap);
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

static void many(const mimi_model *model, const mimi_options *options, golden g) {
    mimi_encoder *encoders[2];
    mimi_decoder *decoders[2];
    const size_t frame = g.audio_samples / g.frames;
    uint32_t *codes = (uint32_t *)allocate(2 * g.codebooks * sizeof *codes);
    float *audio = (float *)allocate(2 * frame * sizeof *audio);
    const float *pcm[2] = {g.pcm, g.pcm};
    uint32_t *written[2] = {codes, codes + g.codebooks};
    const uint32_t *read[2] = {codes, codes + g.codebooks};
    float *heard[2] = {audio, audio + frame};
    for (int i = 0; i < 2; i++) {
        OK(mimi_encoder_new(model, options, &encoders[i]));
        OK(mimi_decoder_new(model, options, &decoders[i]));
    }
    OK(mimi_encoder_process_many(encoders, 2, pcm, written));
    OK(mimi_decoder_process_many(decoders, 2, read, heard));
    for (int i = 0; i < 2; i++) {
        CHECK(memcmp(written[i], g.codes, g.codebooks * sizeof *codes) == 0);
        CHECK(memcmp(heard[i], audio, frame * sizeof *audio) == 0);
        mimi_encoder_free(encoders[i]);
        mimi_decoder_free(decoders[i]);
    }
    free(codes);
    free(audio);
}

static void tokens(const mimi_model *model, golden g) {
    unsigned char header[64];
    size_t n, begin, n_codes = g.codebooks * g.frames;
    int64_t own, samples;
    mimi_token_header h;
    h.size = sizeof h;
    OK(mimi_model_header(model, NULL, &h));
    h.codebooks = (int64_t)g.codebooks;
    h.n_samples = (int64_t)g.samples;
    OK(mimi_pack_header(&h, header, sizeof header, &begin));
    h.codebooks = h.n_samples = h.model_id = 0;
    OK(mimi_unpack_header(header, begin, &h));
    OK(mimi_model_get(model, MIMI_PROP_MODEL_ID, &own));
    CHECK(h.header_bytes == (int64_t)begin && h.codebooks == (int64_t)g.codebooks && h.model_id == own);
    CHECK(h.sample_rate == 24000 && h.frame_samples == 1920 && h.n_samples == (int64_t)g.samples);
    OK(mimi_header_samples(&h, 48000, &samples));
    CHECK(samples == 2 * h.n_samples);

    uint32_t *codes = (uint32_t *)allocate(n_codes * sizeof *codes);
    unsigned char *bytes = (unsigned char *)allocate(n_codes * sizeof *codes);
    OK(mimi_pack(g.codes, n_codes, h.codebooks, h.code_bits, bytes, n_codes * sizeof *codes, &n));
    CHECK(n == g.frames * (size_t)((h.codebooks * h.code_bits + 7) / 8));
    OK(mimi_unpack(bytes, n, h.codebooks, h.code_bits, codes, n_codes, &n));
    check_codes(g, codes, n);
    free(codes);
    free(bytes);
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
    many(model, options, g);
    tokens(model, g);
    other_ways_to_load(argv[2]);
    mimi_free(model);
    mimi_options_free(options);
    free_golden(g);
    return 0;
}
