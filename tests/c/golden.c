/* golden DATA DEMO ISA [quick | emulated]: codes and audio of the golden vectors, in one call and streamed. "quick" is
 * a few frames of a tiny network, and "emulated" all, but with the demo model in one call alone. */
#include "fixture.h"

static uint32_t *encode_whole(const mimi_model *model, const mimi_options *options, golden g) {
    size_t cap = g.codebooks * g.frames, written;
    uint32_t *whole = allocate(cap * sizeof *whole);
    STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_encode(model, options, g.pcm, g.samples, NULL, 0, &written));
    CHECK(written == cap);
    OK(mimi_encode(model, options, g.pcm, g.samples, whole, cap, &written));
    check_codes(g, whole, written);
    return whole;
}

static void encode(const mimi_model *model, const mimi_options *options, golden g) {
    size_t cap = g.codebooks * g.frames, written;
    uint32_t *whole = encode_whole(model, options, g), *streamed = allocate(cap * sizeof *streamed);
    static const size_t chunks[] = {1, 7, 1919, 1920, 0, 1921, 64, 4801, 13, 5760};
    mimi_encoder *encoder;
    OK(mimi_encoder_new(model, options, &encoder));
    for (int round = 0; round < 2; round++) { /* the second after a flush that ended the first */
        size_t at = 0, total = 0;
        for (size_t i = 0; at < g.samples; i++) {
            size_t n = chunks[i % (sizeof chunks / sizeof *chunks)];
            n = n < g.samples - at ? n : g.samples - at;
            OK(mimi_encoder_process(encoder, g.pcm + at, n, streamed + total, cap - total, &written));
            at += n;
            total += written;
        }
        OK(mimi_encoder_flush(encoder, streamed + total, cap - total, &written));
        CHECK(total + written == cap);
        CHECK(memcmp(whole, streamed, cap * sizeof *whole) == 0);
        memset(streamed, 0xff, cap * sizeof *streamed);
    }
    mimi_encoder_free(encoder);
    free(whole);
    free(streamed);
}

static float *decode_whole(const mimi_model *model, const mimi_options *options, golden g) {
    size_t n_codes = g.codebooks * g.frames, cap = g.audio_samples, written;
    float *whole = allocate(cap * sizeof *whole);
    STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_decode(model, options, g.codes, n_codes, NULL, 0, &written));
    CHECK(written == cap);
    OK(mimi_decode(model, options, g.codes, n_codes, whole, cap, &written));
    check_audio(g, whole, written);
    return whole;
}

static void decode(const mimi_model *model, const mimi_options *options, golden g) {
    size_t n_codes = g.codebooks * g.frames, cap = g.audio_samples, written;
    float *whole = decode_whole(model, options, g), *streamed = allocate(cap * sizeof *streamed);
    static const size_t chunks[] = {1, 2, 0, 5, 1, 3};
    mimi_decoder *decoder;
    OK(mimi_decoder_new(model, options, &decoder));
    size_t at = 0, total = 0;
    for (size_t i = 0; at < n_codes; i++) {
        size_t n = chunks[i % (sizeof chunks / sizeof *chunks)] * g.codebooks;
        n = n < n_codes - at ? n : n_codes - at;
        OK(mimi_decoder_process(decoder, g.codes + at, n, streamed + total, cap - total, &written));
        at += n;
        total += written;
    }
    OK(mimi_decoder_flush(decoder, streamed + total, cap - total, &written));
    CHECK(total + written == cap);
    CHECK(memcmp(whole, streamed, cap * sizeof *whole) == 0);
    mimi_decoder_free(decoder);
    free(whole);
    free(streamed);
}

/* An encoder and a decoder that saw the same codes agree on their hash. */
static void hashes(const mimi_model *model, const mimi_options *options, golden g) {
    size_t n_codes = g.codebooks * g.frames, cap = g.audio_samples, written, flushed;
    uint32_t *codes = allocate(n_codes * sizeof *codes);
    float *audio = allocate(cap * sizeof *audio);
    mimi_encoder *encoder;
    mimi_decoder *decoder;
    int64_t sent, received, frames;
    OK(mimi_encoder_new(model, options, &encoder));
    OK(mimi_decoder_new(model, options, &decoder));
    OK(mimi_encoder_process(encoder, g.pcm, g.samples, codes, n_codes, &written));
    OK(mimi_encoder_flush(encoder, codes + written, n_codes - written, &flushed));
    CHECK(written + flushed == n_codes);
    OK(mimi_decoder_process(decoder, codes, n_codes, audio, cap, &written));
    OK(mimi_encoder_get(encoder, MIMI_PROP_CODES_HASH, &sent));
    OK(mimi_decoder_get(decoder, MIMI_PROP_CODES_HASH, &received));
    CHECK(sent == received && sent != 0);
    OK(mimi_encoder_get(encoder, MIMI_PROP_FRAMES, &frames));
    CHECK(frames == (int64_t)g.frames);
    codes[n_codes / 2] ^= 1;
    OK(mimi_decoder_reset(decoder));
    OK(mimi_decoder_process(decoder, codes, n_codes, audio, cap, &written));
    OK(mimi_decoder_get(decoder, MIMI_PROP_CODES_HASH, &received));
    CHECK(sent != received);
    mimi_encoder_free(encoder);
    mimi_decoder_free(decoder);
    free(codes);
    free(audio);
}

static int32_t read_at(void *user, uint64_t offset, void *dst, size_t len) {
    FILE *file = user;
    return fseek(file, (long)offset, SEEK_SET) == 0 && fread(dst, 1, len, file) == len ? 0 : 1;
}

static void properties(const mimi_model *model, const mimi_options *options, golden g) {
    int64_t value;
    mimi_encoder *encoder;
    OK(mimi_model_get(model, MIMI_PROP_FRAME_SAMPLES, &value));
    CHECK((size_t)value * g.frames == g.audio_samples);
    OK(mimi_model_get(model, MIMI_PROP_SAMPLE_RATE, &value));
    CHECK(value == 24000);
    OK(mimi_model_get(model, MIMI_PROP_CODEBOOKS, &value));
    CHECK(value >= (int64_t)g.codebooks);
    int64_t size, bits;
    OK(mimi_model_get(model, MIMI_PROP_CODEBOOK_SIZE, &size));
    OK(mimi_model_get(model, MIMI_PROP_CODE_BITS, &bits));
    CHECK(INT64_C(1) << bits >= size && INT64_C(1) << (bits - 1) < size);
    OK(mimi_model_get(model, MIMI_PROP_MEMORY_BYTES, &value));
    CHECK(value > 100000);
    OK(mimi_model_get(model, MIMI_PROP_MODEL_ID, &value));
    CHECK(value > 0);
    OK(mimi_encoder_new(model, options, &encoder));
    OK(mimi_encoder_get(encoder, MIMI_PROP_CODEBOOKS, &value));
    CHECK(value == (int64_t)g.codebooks);
    OK(mimi_encoder_get(encoder, MIMI_PROP_MEMORY_BYTES, &value));
    CHECK(value > 0);
    mimi_encoder_free(encoder);
}

/* A checkpoint of one file with its config inside loads the same in every way. */
static void other_ways_to_load(const mimi_model *model, const char *path, const mimi_options *options, golden g) {
    mimi_model *in_memory, *by_callback;
    int64_t id, other;
    size_t len;
    unsigned char *bytes = read_file(path, &len);
    OK(mimi_load_memory(bytes, len, options, &in_memory));
    memset(bytes, 0, len); /* the model has copied what it needs */
    free(bytes);
    FILE *file = fopen(path, "rb");
    CHECK(file);
    OK(mimi_load_reader(read_at, file, len, options, &by_callback));
    fclose(file);
    OK(mimi_model_get(model, MIMI_PROP_MODEL_ID, &id));
    OK(mimi_model_get(in_memory, MIMI_PROP_MODEL_ID, &other));
    CHECK(id == other);
    OK(mimi_model_get(by_callback, MIMI_PROP_MODEL_ID, &other));
    CHECK(id == other);
    encode(in_memory, options, g);
    decode(by_callback, options, g);
    mimi_free(in_memory);
    mimi_free(by_callback);
}

/* What `run` is told of a model. */
enum {
    UNTRAINED,
    /* the demo model, whose codes have margins, and whose checkpoint is one file with its config */
    TRAINED,
    /* the same, in one call alone */
    TRAINED_ONE_CALL
};

static void run(const char *data, const char *path, const char *name, size_t samples, int tail, int isa,
                int trained) {
    golden g = read_golden(data, name, samples, trained);
    mimi_options *options = mimi_options_new();
    mimi_model *model;
    OK(mimi_options_set(options, MIMI_OPT_CODEBOOKS, (int64_t)g.codebooks));
    OK(mimi_options_set(options, MIMI_OPT_TAIL, tail));
    OK(mimi_options_set(options, MIMI_OPT_ISA, isa));
    OK(mimi_load(path, options, &model));
    properties(model, options, g);
    if (trained == TRAINED_ONE_CALL) {
        free(encode_whole(model, options, g));
        free(decode_whole(model, options, g));
    } else {
        encode(model, options, g);
        decode(model, options, g);
        hashes(model, options, g);
    }
    if (trained == TRAINED)
        other_ways_to_load(model, path, options, g);
    mimi_free(model);
    mimi_options_free(options);
    free_golden(g);
}

int main(int argc, char **argv) {
    int quick = argc == 5 && strcmp(argv[4], "quick") == 0;
    int emulated = argc == 5 && strcmp(argv[4], "emulated") == 0;
    CHECK(argc == 4 || quick || emulated);
    int isa = atoi(argv[3]);
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", MIMI_VERSION_MAJOR, MIMI_VERSION_MINOR, MIMI_VERSION_PATCH);
    CHECK(mimi_version_number() == MIMI_VERSION_NUMBER);
    CHECK(strncmp(mimi_version_string(), version, strlen(version)) == 0);
    CHECK(strcmp(mimi_last_error(), "") == 0);

    char tiny[4096], moshi[4096], demo[4096], file[4096];
    CHECK(snprintf(tiny, sizeof tiny, "%s/tiny", argv[1]) < (int)sizeof tiny);
    CHECK(snprintf(moshi, sizeof moshi, "%s/tiny-moshi", argv[1]) < (int)sizeof moshi);
    CHECK(snprintf(demo, sizeof demo, "%s/demo", argv[1]) < (int)sizeof demo);
    CHECK(snprintf(file, sizeof file, "%s/tiny/model.safetensors", argv[1]) < (int)sizeof file);
    run(tiny, file, "first4frames", 7680, MIMI_TAIL_LAYER_PAD, isa, UNTRAINED);
    if (quick)
        return 0;
    run(tiny, tiny, "speech", 52837, MIMI_TAIL_LAYER_PAD, isa, UNTRAINED);
    run(moshi, moshi, "speech", 52837, MIMI_TAIL_AUDIO_PAD, isa, UNTRAINED);
    run(demo, argv[2], "speech", SIZE_MAX, MIMI_TAIL_LAYER_PAD, isa, emulated ? TRAINED_ONE_CALL : TRAINED);
    return 0;
}
