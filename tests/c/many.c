/* many DATA ISA: several streams in one pass, and tokens as bytes: golden codes, and misuse. */
#include "fixture.h"

enum { STREAMS = 21, FRAME = 1920 };

static golden g;
static mimi_model *model;
static mimi_options *options;
static char tiny[4096];

static void encode_together(void) {
    mimi_encoder *encoders[STREAMS];
    const float *pcm[STREAMS];
    uint32_t *codes[STREAMS];
    const size_t whole = g.samples / FRAME;
    for (size_t i = 0; i < STREAMS; i++) {
        OK(mimi_encoder_new(model, options, &encoders[i]));
        codes[i] = allocate(g.codebooks * sizeof *codes[i]);
    }
    for (size_t frame = 0; frame < whole; frame++) {
        for (size_t i = 0; i < STREAMS; i++)
            pcm[i] = g.pcm + frame * FRAME;
        OK(mimi_encoder_process_many(encoders, STREAMS, pcm, codes));
        for (size_t i = 0; i < STREAMS; i++)
            CHECK(memcmp(codes[i], g.codes + frame * g.codebooks, g.codebooks * sizeof *g.codes) == 0);
    }

    /* nothing happens to anybody on an error */
    mimi_encoder *last = encoders[STREAMS - 1];
    int64_t frames;
    encoders[STREAMS - 1] = encoders[0];
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_encoder_process_many(encoders, STREAMS, pcm, codes));
    encoders[STREAMS - 1] = NULL;
    STATUS(MIMI_ERR_NULL_POINTER, mimi_encoder_process_many(encoders, STREAMS, pcm, codes));
    encoders[STREAMS - 1] = (mimi_encoder *)(void *)model;
    STATUS(MIMI_ERR_STATE, mimi_encoder_process_many(encoders, STREAMS, pcm, codes));
    mimi_model *other;
    mimi_encoder *stranger;
    OK(mimi_load(tiny, options, &other));
    OK(mimi_encoder_new(other, options, &stranger));
    encoders[STREAMS - 1] = stranger;
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_encoder_process_many(encoders, STREAMS, pcm, codes));
    mimi_encoder_free(stranger);
    mimi_free(other);
    encoders[STREAMS - 1] = last;
    pcm[3] = NULL;
    STATUS(MIMI_ERR_NULL_POINTER, mimi_encoder_process_many(encoders, STREAMS, pcm, codes));
    pcm[3] = pcm[0];
    STATUS(MIMI_ERR_NULL_POINTER, mimi_encoder_process_many(NULL, STREAMS, pcm, codes));
    STATUS(MIMI_ERR_NULL_POINTER, mimi_encoder_process_many(encoders, STREAMS, NULL, codes));
    STATUS(MIMI_ERR_NULL_POINTER, mimi_encoder_process_many(encoders, STREAMS, pcm, NULL));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_encoder_process_many(encoders, SIZE_MAX, pcm, codes));
    OK(mimi_encoder_process_many(NULL, 0, NULL, NULL));
    for (size_t i = 0; i < STREAMS; i++) {
        OK(mimi_encoder_get(encoders[i], MIMI_PROP_FRAMES, &frames));
        CHECK(frames == (int64_t)whole);
        mimi_encoder_free(encoders[i]);
        free(codes[i]);
    }
}

static void decode_together(void) {
    mimi_decoder *decoders[STREAMS];
    const uint32_t *codes[STREAMS];
    float *pcm[STREAMS];
    size_t n;
    for (size_t i = 0; i < STREAMS; i++) {
        OK(mimi_decoder_new(model, options, &decoders[i]));
        pcm[i] = allocate(FRAME * sizeof *pcm[i]);
    }
    float *alone = allocate(g.audio_samples * sizeof *alone);
    OK(mimi_decode(model, options, g.codes, g.codebooks * g.frames, alone, g.audio_samples, &n));
    for (size_t frame = 0; frame < g.frames; frame++) {
        for (size_t i = 0; i < STREAMS; i++)
            codes[i] = g.codes + frame * g.codebooks;
        OK(mimi_decoder_process_many(decoders, STREAMS, codes, pcm));
        for (size_t i = 0; i < STREAMS; i++)
            CHECK(memcmp(pcm[i], alone + frame * FRAME, FRAME * sizeof *alone) == 0);
    }
    uint32_t *bad = allocate(g.codebooks * sizeof *bad);
    memset(bad, 0xff, g.codebooks * sizeof *bad);
    codes[STREAMS - 1] = bad;
    STATUS(MIMI_ERR_CORRUPT, mimi_decoder_process_many(decoders, STREAMS, codes, pcm));
    codes[STREAMS - 1] = NULL;
    STATUS(MIMI_ERR_NULL_POINTER, mimi_decoder_process_many(decoders, STREAMS, codes, pcm));
    codes[STREAMS - 1] = codes[0];
    pcm[1] = (float *)(void *)((char *)pcm[1] + 1);
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_decoder_process_many(decoders, STREAMS, codes, pcm));
    pcm[1] = (float *)(void *)((char *)pcm[1] - 1);
    STATUS(MIMI_ERR_NULL_POINTER, mimi_decoder_process_many(NULL, 1, codes, pcm));
    OK(mimi_decoder_process_many(NULL, 0, NULL, NULL));
    for (size_t i = 0; i < STREAMS; i++) {
        mimi_decoder_free(decoders[i]);
        free(pcm[i]);
    }
    free(bad);
    free(alone);
}

static void tokens(void) {
    unsigned char header[40], *bytes;
    int64_t bits, id, model_id;
    int32_t codebooks, code_bits;
    uint64_t samples;
    size_t len, n, n_codes = g.codebooks * g.frames;
    OK(mimi_model_get(model, MIMI_PROP_CODE_BITS, &bits));
    OK(mimi_model_get(model, MIMI_PROP_MODEL_ID, &id));

    STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_pack_header(model, (int32_t)g.codebooks, g.samples, NULL, 0, &len));
    CHECK(len == sizeof header);
    STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_pack_header(model, (int32_t)g.codebooks, g.samples, header, 39, &len));
    OK(mimi_pack_header(model, (int32_t)g.codebooks, g.samples, header, sizeof header, &len));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_pack_header(model, 0, 0, header, sizeof header, &len));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_pack_header(model, INT32_MIN, 0, header, sizeof header, &len));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_pack_header(model, 1 + (int32_t)g.codebooks, 0, header, sizeof header, &len));
    STATUS(MIMI_ERR_NULL_POINTER, mimi_pack_header(NULL, 1, 0, header, sizeof header, &len));
    STATUS(MIMI_ERR_NULL_POINTER, mimi_pack_header(model, 1, 0, header, sizeof header, NULL));
    OK(mimi_unpack_header(header, len, &codebooks, &code_bits, &samples, &model_id, &n));
    CHECK(codebooks == (int32_t)g.codebooks && code_bits == bits && samples == g.samples);
    CHECK(model_id == id && n == sizeof header);
    for (size_t cut = 0; cut < sizeof header; cut++)
        STATUS(MIMI_ERR_CORRUPT, mimi_unpack_header(header, cut, &codebooks, &code_bits, &samples, &model_id, &n));
    STATUS(MIMI_ERR_NULL_POINTER, mimi_unpack_header(NULL, 40, &codebooks, &code_bits, &samples, &model_id, &n));
    STATUS(MIMI_ERR_NULL_POINTER, mimi_unpack_header(header, 40, NULL, &code_bits, &samples, &model_id, &n));
    STATUS(MIMI_ERR_NULL_POINTER, mimi_unpack_header(header, 40, &codebooks, &code_bits, &samples, &model_id, NULL));
    STATUS(MIMI_ERR_FORMAT, mimi_unpack_header("RIFF....WAVEfmt ", 16, &codebooks, &code_bits, &samples, &model_id, &n));
    header[30] ^= 1;
    STATUS(MIMI_ERR_CORRUPT, mimi_unpack_header(header, 40, &codebooks, &code_bits, &samples, &model_id, &n));
    header[4] = 9;
    STATUS(MIMI_ERR_UNSUPPORTED, mimi_unpack_header(header, 40, &codebooks, &code_bits, &samples, &model_id, &n));

    STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_pack(g.codes, n_codes, codebooks, code_bits, NULL, 0, &len));
    CHECK(len == g.frames * ((g.codebooks * (size_t)bits + 7) / 8));
    bytes = allocate(len);
    uint32_t *codes = allocate(n_codes * sizeof *codes);
    OK(mimi_pack(g.codes, n_codes, codebooks, code_bits, bytes, len, &n));
    CHECK(n == len);
    STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_unpack(bytes, len, codebooks, code_bits, NULL, 0, &n));
    CHECK(n == n_codes);
    OK(mimi_unpack(bytes, len, codebooks, code_bits, codes, n_codes, &n));
    CHECK(n == n_codes && memcmp(codes, g.codes, n_codes * sizeof *codes) == 0);
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_unpack(bytes, len - 1, codebooks, code_bits, codes, n_codes, &n));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_pack(codes, n_codes - 1, codebooks, code_bits, bytes, len, &n));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_pack(codes, n_codes, 0, code_bits, bytes, len, &n));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_pack(codes, n_codes, codebooks, INT32_MAX, bytes, len, &n));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_unpack(bytes, len, -1, code_bits, codes, n_codes, &n));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_unpack(codes, len, codebooks, code_bits, codes, n_codes, &n));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_pack(codes, SIZE_MAX, codebooks, code_bits, bytes, len, &n));
    STATUS(MIMI_ERR_NULL_POINTER, mimi_pack(NULL, n_codes, codebooks, code_bits, bytes, len, &n));
    STATUS(MIMI_ERR_NULL_POINTER, mimi_pack(codes, n_codes, codebooks, code_bits, bytes, len, NULL));
    STATUS(MIMI_ERR_NULL_POINTER, mimi_unpack(NULL, len, codebooks, code_bits, codes, n_codes, &n));
    codes[1] = 1u << code_bits;
    STATUS(MIMI_ERR_CORRUPT, mimi_pack(codes, n_codes, codebooks, code_bits, bytes, len, &n));
    OK(mimi_pack(NULL, 0, codebooks, code_bits, NULL, 0, &n));
    CHECK(n == 0);
    free(bytes);
    free(codes);
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    CHECK(snprintf(tiny, sizeof tiny, "%s/tiny", argv[1]) < (int)sizeof tiny);
    g = read_golden(tiny, "speech", 52837, 0);
    options = mimi_options_new();
    OK(mimi_options_set(options, MIMI_OPT_ISA, atoi(argv[2])));
    OK(mimi_options_set(options, MIMI_OPT_TAIL, MIMI_TAIL_LAYER_PAD));
    OK(mimi_options_set(options, MIMI_OPT_CODEBOOKS, (int64_t)g.codebooks));
    OK(mimi_load(tiny, options, &model));
    encode_together();
    decode_together();
    tokens();
    mimi_free(model);
    mimi_options_free(options);
    free_golden(g);
    return 0;
}
