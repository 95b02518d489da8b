/* many DATA ISA: several streams in one pass, and tokens as bytes: golden codes, and misuse. */
#include "fixture.h"

#include <stddef.h>

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
    uint32_t *own = codes[0];
    codes[0] = codes[STREAMS - 1];
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_encoder_process_many(encoders, STREAMS, pcm, codes));
    codes[0] = (uint32_t *)(uintptr_t)pcm[STREAMS - 1];
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_encoder_process_many(encoders, STREAMS, pcm, codes));
    codes[0] = own;
    pcm[STREAMS - 1] = (const float *)(UINTPTR_MAX - 63);
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_encoder_process_many(encoders, STREAMS, pcm, codes));
    pcm[STREAMS - 1] = pcm[0];
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_encoder_process_many(encoders, 1025, pcm, codes));
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
    memset(bad, 0x7f, g.codebooks * sizeof *bad); /* 0xff would be MIMI_NO_CODE */
    codes[STREAMS - 1] = bad;
    STATUS(MIMI_ERR_CORRUPT, mimi_decoder_process_many(decoders, STREAMS, codes, pcm));
    codes[STREAMS - 1] = NULL;
    STATUS(MIMI_ERR_NULL_POINTER, mimi_decoder_process_many(decoders, STREAMS, codes, pcm));
    codes[STREAMS - 1] = codes[0];
    pcm[1] = (float *)(void *)((char *)pcm[1] + 1);
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_decoder_process_many(decoders, STREAMS, codes, pcm));
    pcm[1] = (float *)(void *)((char *)pcm[1] - 1);
    float *own = pcm[0];
    pcm[0] = pcm[STREAMS - 1];
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_decoder_process_many(decoders, STREAMS, codes, pcm));
    pcm[0] = (float *)(uintptr_t)codes[STREAMS - 1];
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_decoder_process_many(decoders, STREAMS, codes, pcm));
    pcm[0] = own;
    STATUS(MIMI_ERR_NULL_POINTER, mimi_decoder_process_many(NULL, 1, codes, pcm));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_decoder_process_many(decoders, 1025, codes, pcm));
    OK(mimi_decoder_process_many(NULL, 0, NULL, NULL));
    for (size_t i = 0; i < STREAMS; i++) {
        mimi_decoder_free(decoders[i]);
        free(pcm[i]);
    }
    free(bad);
    free(alone);
}

/* The same with latents: of audio to latents, and of these to audio. */
static void latents_together(void) {
    enum { DIM = 32, FRAMES = 4 };
    mimi_encoder *encoders[STREAMS];
    mimi_decoder *decoders[STREAMS];
    const float *in[STREAMS];
    float *latents[STREAMS], *sound[STREAMS], *alone[2];
    size_t n;
    alone[0] = allocate(FRAMES * DIM * sizeof *alone[0]);
    alone[1] = allocate(FRAMES * FRAME * sizeof *alone[1]);
    OK(mimi_encode_latents(model, options, g.pcm, FRAMES * FRAME, alone[0], FRAMES * DIM, &n));
    OK(mimi_decode_latents(model, options, alone[0], FRAMES * DIM, alone[1], FRAMES * FRAME, &n));
    for (size_t i = 0; i < STREAMS; i++) {
        OK(mimi_encoder_new(model, options, &encoders[i]));
        OK(mimi_decoder_new(model, options, &decoders[i]));
        latents[i] = allocate(DIM * sizeof *latents[i]);
        sound[i] = allocate(FRAME * sizeof *sound[i]);
    }
    for (size_t frame = 0; frame < FRAMES; frame++) {
        for (size_t i = 0; i < STREAMS; i++)
            in[i] = g.pcm + frame * FRAME;
        OK(mimi_encoder_process_many_latents(encoders, STREAMS, in, latents));
        for (size_t i = 0; i < STREAMS; i++)
            in[i] = latents[i];
        OK(mimi_decoder_process_many_latents(decoders, STREAMS, in, sound));
        for (size_t i = 0; i < STREAMS; i++) {
            CHECK(memcmp(latents[i], alone[0] + frame * DIM, DIM * sizeof *alone[0]) == 0);
            CHECK(memcmp(sound[i], alone[1] + frame * FRAME, FRAME * sizeof *alone[1]) == 0);
        }
    }

    /* nothing happens to anybody on an error */
    const mimi_status invalid = MIMI_ERR_INVALID_ARGUMENT, null = MIMI_ERR_NULL_POINTER;
    for (size_t i = 0; i < STREAMS; i++)
        in[i] = g.pcm;
    STATUS(null, mimi_encoder_process_many_latents(NULL, STREAMS, in, latents));
    STATUS(null, mimi_encoder_process_many_latents(encoders, STREAMS, NULL, latents));
    STATUS(null, mimi_encoder_process_many_latents(encoders, STREAMS, in, NULL));
    STATUS(null, mimi_decoder_process_many_latents(NULL, STREAMS, in, sound));
    STATUS(null, mimi_decoder_process_many_latents(decoders, STREAMS, NULL, sound));
    STATUS(null, mimi_decoder_process_many_latents(decoders, STREAMS, in, NULL));
    STATUS(invalid, mimi_encoder_process_many_latents(encoders, 1025, in, latents));
    STATUS(invalid, mimi_decoder_process_many_latents(decoders, 1025, in, sound));
    in[STREAMS - 1] = NULL;
    STATUS(null, mimi_decoder_process_many_latents(decoders, STREAMS, in, sound));
    in[STREAMS - 1] = latents[0];
    STATUS(invalid, mimi_encoder_process_many_latents(encoders, STREAMS, in, latents));
    in[STREAMS - 1] = g.pcm;
    mimi_decoder *last = decoders[STREAMS - 1];
    decoders[STREAMS - 1] = decoders[0];
    STATUS(invalid, mimi_decoder_process_many_latents(decoders, STREAMS, in, sound));
    decoders[STREAMS - 1] = (mimi_decoder *)(void *)encoders[0];
    STATUS(MIMI_ERR_STATE, mimi_decoder_process_many_latents(decoders, STREAMS, in, sound));
    decoders[STREAMS - 1] = last;
    OK(mimi_encoder_process_many_latents(NULL, 0, NULL, NULL));
    OK(mimi_decoder_process_many_latents(NULL, 0, NULL, NULL));
    for (size_t i = 0; i < STREAMS; i++) {
        int64_t frames;
        OK(mimi_encoder_get(encoders[i], MIMI_PROP_FRAMES, &frames));
        CHECK(frames == FRAMES);
        OK(mimi_decoder_get(decoders[i], MIMI_PROP_FRAMES, &frames));
        CHECK(frames == FRAMES);
        mimi_encoder_free(encoders[i]);
        mimi_decoder_free(decoders[i]);
        free(latents[i]);
        free(sound[i]);
    }
    free(alone[0]);
    free(alone[1]);
}

/* The functions for many streams, for all kinds of them. */
typedef mimi_status process_many(const void *streams, size_t n, const void *inputs, const void *outputs);

static mimi_status to_codes(const void *streams, size_t n, const void *inputs, const void *outputs) {
    return mimi_encoder_process_many(streams, n, inputs, outputs);
}

static mimi_status to_latents(const void *streams, size_t n, const void *inputs, const void *outputs) {
    return mimi_encoder_process_many_latents(streams, n, inputs, outputs);
}

static mimi_status of_codes(const void *streams, size_t n, const void *inputs, const void *outputs) {
    return mimi_decoder_process_many(streams, n, inputs, outputs);
}

static mimi_status of_latents(const void *streams, size_t n, const void *inputs, const void *outputs) {
    return mimi_decoder_process_many_latents(streams, n, inputs, outputs);
}

static mimi_status encoder_frames(const void *stream, int64_t *frames) {
    return mimi_encoder_get(stream, MIMI_PROP_FRAMES, frames);
}

static mimi_status decoder_frames(const void *stream, int64_t *frames) {
    return mimi_decoder_get(stream, MIMI_PROP_FRAMES, frames);
}

/* An output, `room` bytes of it, that lies in one of the lists of pointers is refused: no stream runs, and nothing is
   written. One beside the lists is taken. */
static void overlap_lists(process_many *process, mimi_status (*get)(const void *, int64_t *), void *const *streams,
                          size_t n, const void *input, size_t room) {
    const size_t list = n * sizeof(void *), whole = 2 * room + 3 * list;
    unsigned char *block = allocate(whole), *before = allocate(whole), *rooms = allocate(n * room);
    void **lists = (void **)(void *)(block + room), **outputs = lists + 2 * n;
    int64_t frames[STREAMS], now;
    CHECK(room % sizeof(void *) == 0);
    memset(block, 0x55, whole);
    memset(rooms, 0x55, n * room);
    for (size_t i = 0; i < n; i++) {
        lists[i] = streams[i];
        lists[n + i] = (void *)(uintptr_t)input;
        outputs[i] = rooms + i * room;
        OK(get(streams[i], &frames[i]));
    }
    for (size_t i = 0; i < 3 * 2; i++) {
        unsigned char *const start = block + room + i / 2 * list;
        unsigned char *const inside[] = {start + 4 - room, start, start + list - sizeof(void *), start + list - 4};
        const size_t stream = i % 2 ? n - 1 : 0;
        void *const own = outputs[stream];
        for (size_t k = 0; k < sizeof inside / sizeof *inside; k++) {
            outputs[stream] = inside[k];
            memcpy(before, block, whole);
            STATUS(MIMI_ERR_INVALID_ARGUMENT, process(lists, n, lists + n, outputs));
            CHECK(memcmp(block, before, whole) == 0);
            outputs[stream] = own;
        }
    }
    for (size_t i = 0; i < n * room; i++)
        CHECK(rooms[i] == 0x55);
    for (size_t i = 0; i < n; i++) {
        OK(get(streams[i], &now));
        CHECK(now == frames[i]);
    }
    outputs[0] = block;
    OK(process(lists, n, lists + n, outputs));
    outputs[0] = block + whole - room;
    OK(process(lists, n, lists + n, outputs));
    OK(get(streams[n - 1], &now));
    CHECK(now == frames[n - 1] + 2);
    free(block);
    free(before);
    free(rooms);
}

static void no_room_in_lists(void) {
    const size_t counts[] = {1, STREAMS};
    void *encoders[STREAMS], *decoders[STREAMS];
    const size_t width = g.codebooks * sizeof(uint32_t), dim = 32 * sizeof(float);
    for (size_t i = 0; i < STREAMS; i++) {
        mimi_encoder *encoder;
        mimi_decoder *decoder;
        OK(mimi_encoder_new(model, options, &encoder));
        OK(mimi_decoder_new(model, options, &decoder));
        encoders[i] = encoder;
        decoders[i] = decoder;
    }
    for (size_t i = 0; i < 2; i++) {
        overlap_lists(to_codes, encoder_frames, encoders, counts[i], g.pcm, width);
        overlap_lists(to_latents, encoder_frames, encoders, counts[i], g.pcm, dim);
        overlap_lists(of_codes, decoder_frames, decoders, counts[i], g.codes, FRAME * sizeof(float));
        overlap_lists(of_latents, decoder_frames, decoders, counts[i], g.pcm, FRAME * sizeof(float));
    }
    for (size_t i = 0; i < STREAMS; i++) {
        mimi_encoder_free(encoders[i]);
        mimi_decoder_free(decoders[i]);
    }
}

/* Fewer codebooks are the same bytes whether they are dropped before packing or after. */
static void drop(const unsigned char *bytes, size_t len, int64_t codebooks, int64_t code_bits) {
    unsigned char *shorter = allocate(len), *expected = allocate(len);
    uint32_t *fewer = allocate(g.frames * g.codebooks * sizeof *fewer);
    size_t n, n_expected;
    for (size_t keep = 1; keep <= g.codebooks; keep++) {
        for (size_t f = 0; f < g.frames; f++)
            memcpy(fewer + f * keep, g.codes + f * g.codebooks, keep * sizeof *fewer);
        OK(mimi_pack(fewer, g.frames * keep, (int64_t)keep, code_bits, expected, len, &n_expected));
        memcpy(shorter, bytes, len);
        OK(mimi_drop_codebooks(shorter, len, codebooks, code_bits, (int64_t)keep, &n));
        CHECK(n == n_expected && memcmp(shorter, expected, n) == 0);
    }
    memcpy(shorter, bytes, len);
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_drop_codebooks(shorter, len - 1, codebooks, code_bits, 1, &n));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_drop_codebooks(shorter, len, codebooks, code_bits, 0, &n));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_drop_codebooks(shorter, len, codebooks, code_bits, codebooks + 1, &n));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_drop_codebooks(shorter, len, codebooks, code_bits, INT32_MIN, &n));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_drop_codebooks(shorter, len, 0, code_bits, 1, &n));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_drop_codebooks(shorter, len, codebooks, 17, 1, &n));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_drop_codebooks(shorter, SIZE_MAX, codebooks, code_bits, 1, &n));
    STATUS(MIMI_ERR_NULL_POINTER, mimi_drop_codebooks(NULL, len, codebooks, code_bits, 1, &n));
    STATUS(MIMI_ERR_NULL_POINTER, mimi_drop_codebooks(shorter, len, codebooks, code_bits, 1, NULL));
    CHECK(memcmp(shorter, bytes, len) == 0);
    OK(mimi_drop_codebooks(NULL, 0, codebooks, code_bits, 1, &n));
    CHECK(n == 0);
    free(shorter);
    free(expected);
    free(fewer);
}

/* Those of the manual. */
static void test_vectors(void) {
    static const unsigned char header[] = {
        0x6d, 0x74, 0x6f, 0x6b, 0x01, 0x0b, 0x28, 0x00, 0x08, 0x00, 0x00, 0x00, 0xc0, 0x5d, 0x00, 0x00, 0x80, 0x07, 0x00, 0x00,
        0xfa, 0x36, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01, 0x59, 0xf4, 0x86, 0xc3};
    static const unsigned char frame[] = {0xff, 0xe0, 0x03, 0xff, 0x80, 0x0f, 0xfe, 0x00, 0x3f, 0xf8, 0x01};
    static const uint32_t of_frame[] = {2047, 0, 2047, 0, 2047, 0, 2047, 1};
    unsigned char bytes[sizeof frame];
    unsigned char again[sizeof header];
    mimi_token_header h = {.size = sizeof h};
    size_t n;
    OK(mimi_unpack_header(header, sizeof header, &h));
    CHECK(h.sample_rate == 24000 && h.frame_samples == 1920 && h.n_samples == 79610);
    CHECK(h.codebooks == 8 && h.code_bits == 11 && h.model_id == 0x0123456789abcdef);
    CHECK(h.size == sizeof h && h.header_bytes == sizeof header);
    OK(mimi_pack_header(&h, again, sizeof again, &n));
    CHECK(n == sizeof header && memcmp(again, header, n) == 0);
    OK(mimi_pack(of_frame, 8, 8, 11, bytes, sizeof bytes, &n));
    CHECK(n == sizeof frame && memcmp(bytes, frame, n) == 0);
}

/* A struct of a later release, which this one reads and fills as far as it knows it. */
static void longer_header(mimi_token_header h) {
    struct {
        mimi_token_header known;
        unsigned char later[13];
        unsigned char behind;
    } longer = {.known = h};
    unsigned char bytes[40];
    size_t len;
    longer.known.size = offsetof(__typeof__(longer), behind);
    longer.behind = 77;
    OK(mimi_pack_header(&longer.known, bytes, sizeof bytes, &len));
    longer.later[12] = 1;
    STATUS(MIMI_ERR_UNSUPPORTED, mimi_pack_header(&longer.known, bytes, sizeof bytes, &len));
    CHECK(strstr(mimi_last_error(), "is not 0"));
    memset(&longer.later, 0xee, sizeof longer.later);
    OK(mimi_unpack_header(bytes, len, &longer.known));
    for (size_t i = 0; i < sizeof longer.later; i++)
        CHECK(longer.later[i] == 0);
    CHECK(longer.behind == 77 && longer.known.n_samples == h.n_samples);
    const size_t sizes[] = {0, 1, sizeof h - 1, 4097, SIZE_MAX, SIZE_MAX / 2 + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        mimi_token_header wrong = h;
        int64_t n = 0;
        wrong.size = sizes[i];
        STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_pack_header(&wrong, bytes, sizeof bytes, &len));
        CHECK(strstr(mimi_last_error(), "header"));
        STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_unpack_header(bytes, len, &wrong));
        STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_model_header(model, NULL, &wrong));
        STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_header_samples(&wrong, 24000, &n));
    }
}

/* Numbers that no header holds, each in its place. */
static void wrong_headers(mimi_token_header h) {
    const int64_t wrong[] = {INT64_MIN, -1, 0, (int64_t)1 << 32, INT64_MAX};
    unsigned char bytes[40];
    size_t len;
    int64_t n;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int64_t *const members[] = {&h.sample_rate, &h.frame_samples, &h.codebooks, &h.code_bits, &h.n_samples, &h.model_id};
        for (size_t m = 0; m < sizeof members / sizeof *members; m++) {
            const int64_t kept = *members[m];
            const int fits = m > 3 && wrong[i] >= 0;
            *members[m] = wrong[i];
            memset(bytes, 0x55, sizeof bytes);
            STATUS(fits ? MIMI_OK : MIMI_ERR_INVALID_ARGUMENT, mimi_pack_header(&h, bytes, sizeof bytes, &len));
            CHECK(fits || (bytes[0] == 0x55 && strlen(mimi_last_error()) > 10));
            STATUS(fits ? MIMI_OK : MIMI_ERR_INVALID_ARGUMENT, mimi_header_samples(&h, 24000, &n));
            *members[m] = kept;
        }
    }
}

/* The length of a recording at a decoder's rate. */
static void lengths(mimi_token_header h) {
    const int64_t expected[][4] = {
        /* rate, length, other rate, length there */
        {8000, 26537, 24000, 79611}, {44100, 52837, 24000, 28755}, {24000, 79610, 24000, 79610}, {48000, 1, 8000, 1},
        {8000, 0, 24000, 0},         {1, INT64_MAX, 2, INT64_MAX}, {24000, 24000, 1, 1},
    };
    int64_t n;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        h.sample_rate = expected[i][0];
        h.n_samples = expected[i][1];
        OK(mimi_header_samples(&h, expected[i][2], &n));
        CHECK(n == expected[i][3]);
    }
    const int64_t wrong[] = {0, -1, INT64_MIN, (int64_t)INT32_MAX + 1, INT64_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_header_samples(&h, wrong[i], &n));
    STATUS(MIMI_ERR_NULL_POINTER, mimi_header_samples(NULL, 24000, &n));
    STATUS(MIMI_ERR_NULL_POINTER, mimi_header_samples(&h, 24000, NULL));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_header_samples(&h, 24000, &h.model_id));
}

/* A recording at a rate that no stream has. */
static void originals(mimi_token_header h) {
    unsigned char bytes[64];
    mimi_token_header again = {.size = sizeof again};
    size_t len;
    int64_t n;
    h.sample_rate = 24000;
    h.n_samples = 19441;
    h.original_rate = 11111;
    h.original_samples = 9000;
    STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_pack_header(&h, bytes, 51, &len));
    CHECK(len == 52);
    OK(mimi_pack_header(&h, bytes, sizeof bytes, &len));
    CHECK(len == 52 && bytes[6] == 52 && bytes[7] == 0);
    OK(mimi_unpack_header(bytes, len, &again));
    CHECK(again.original_rate == 11111 && again.original_samples == 9000 && again.n_samples == 19441);
    CHECK(again.header_bytes == 52 && again.sample_rate == 24000);
    for (size_t cut = 0; cut < len; cut++)
        STATUS(MIMI_ERR_CORRUPT, mimi_unpack_header(bytes, cut, &again));
    /* from the original: from 19441 samples it would be 9001 and 38882 */
    OK(mimi_header_samples(&h, 11111, &n));
    CHECK(n == 9000);
    OK(mimi_header_samples(&h, 48000, &n));
    CHECK(n == 38881);
    h.original_samples = 0;
    OK(mimi_header_samples(&h, 48000, &n));
    CHECK(n == 2 * 19441);
    OK(mimi_pack_header(&h, bytes, sizeof bytes, &len));
    OK(mimi_unpack_header(bytes, len, &again));
    CHECK(again.original_rate == 11111 && again.original_samples == 0);
    const int64_t wrong[][2] = {{0, 1}, {-1, 1}, {(int64_t)1 << 32, 1}, {11111, -1}, {11111, INT64_MIN}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        h.original_rate = wrong[i][0];
        h.original_samples = wrong[i][1];
        STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_pack_header(&h, bytes, sizeof bytes, &len));
        CHECK(strstr(mimi_last_error(), "original"));
        if (wrong[i][1] > 0)
            STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_header_samples(&h, 48000, &n));
    }
}

/* Of every rate that streams can have, what a stream says of itself. */
static void headers_of_options(void) {
    const int64_t rates[][2] = {{8000, 640}, {16000, 1280}, {44100, 3528}, {48000, 3840}, {24000, 1920}};
    mimi_token_header h = {.size = sizeof h};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        OK(mimi_options_set(options, MIMI_OPT_SAMPLE_RATE, rates[i][0]));
        OK(mimi_model_header(model, options, &h));
        CHECK(h.sample_rate == rates[i][0] && h.frame_samples == rates[i][1] && h.n_samples == 0);
        CHECK(h.codebooks == (int64_t)g.codebooks && h.header_bytes == 40);
        CHECK(h.original_rate == 0 && h.original_samples == 0);
    }
    OK(mimi_options_set(options, MIMI_OPT_SAMPLE_RATE, 11111));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_model_header(model, options, &h));
    OK(mimi_options_set(options, MIMI_OPT_SAMPLE_RATE, 0));
    STATUS(MIMI_ERR_NULL_POINTER, mimi_model_header(NULL, options, &h));
    STATUS(MIMI_ERR_NULL_POINTER, mimi_model_header(model, options, NULL));
    STATUS(MIMI_ERR_STATE, mimi_model_header((const mimi_model *)(const void *)options, NULL, &h));
    OK(mimi_model_header(model, NULL, &h));
}

static void tokens(void) {
    unsigned char header[40], *bytes;
    int64_t bits, id;
    size_t len, n, n_codes = g.codebooks * g.frames;
    OK(mimi_model_get(model, MIMI_PROP_CODE_BITS, &bits));
    OK(mimi_model_get(model, MIMI_PROP_MODEL_ID, &id));
    headers_of_options();

    mimi_token_header h = {.size = sizeof h}, again = {.size = sizeof again};
    OK(mimi_model_header(model, options, &h));
    h.n_samples = (int64_t)g.samples;
    STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_pack_header(&h, NULL, 0, &len));
    CHECK(len == sizeof header);
    STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_pack_header(&h, header, 39, &len));
    OK(mimi_pack_header(&h, header, sizeof header, &len));
    STATUS(MIMI_ERR_NULL_POINTER, mimi_pack_header(NULL, header, sizeof header, &len));
    STATUS(MIMI_ERR_NULL_POINTER, mimi_pack_header(&h, NULL, sizeof header, &len));
    STATUS(MIMI_ERR_NULL_POINTER, mimi_pack_header(&h, header, sizeof header, NULL));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_pack_header(&h, &h, sizeof header, &len));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_unpack_header(&h, sizeof h, &h));
    OK(mimi_unpack_header(header, len, &again));
    CHECK(memcmp(&h, &again, sizeof h) == 0);
    CHECK(again.sample_rate == 24000 && again.n_samples == (int64_t)g.samples && again.code_bits == bits && again.model_id == id);
    longer_header(h);
    wrong_headers(h);
    lengths(h);
    originals(h);
    memset(&again, 0x11, sizeof again);
    again.size = sizeof again;
    for (size_t cut = 0; cut < sizeof header; cut++)
        STATUS(MIMI_ERR_CORRUPT, mimi_unpack_header(header, cut, &again));
    STATUS(MIMI_ERR_NULL_POINTER, mimi_unpack_header(NULL, 40, &again));
    STATUS(MIMI_ERR_NULL_POINTER, mimi_unpack_header(header, 40, NULL));
    STATUS(MIMI_ERR_FORMAT, mimi_unpack_header("RIFF....WAVEfmt ", 16, &again));
    CHECK(!strstr(mimi_status_string(MIMI_ERR_FORMAT), "checkpoint"));
    header[30] ^= 1;
    STATUS(MIMI_ERR_CORRUPT, mimi_unpack_header(header, 40, &again));
    header[4] = 9;
    STATUS(MIMI_ERR_UNSUPPORTED, mimi_unpack_header(header, 40, &again));
    CHECK(again.n_samples == 0x1111111111111111);

    const int64_t codebooks = h.codebooks, code_bits = h.code_bits;
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
    drop(bytes, len, codebooks, code_bits);
    codes[1] = 1u << code_bits;
    STATUS(MIMI_ERR_CORRUPT, mimi_pack(codes, n_codes, codebooks, code_bits, bytes, len, &n));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_pack(codes, n_codes, codebooks + ((int64_t)1 << 32), code_bits, bytes, len, &n));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_pack(codes, n_codes, codebooks, code_bits - ((int64_t)1 << 32), bytes, len, &n));
    OK(mimi_pack(NULL, 0, codebooks, code_bits, NULL, 0, &n));
    CHECK(n == 0);
    free(bytes);
    free(codes);
}

/* A stream and the calls for all at once at another rate; the recording is taken for one at that rate. */
static void other_rate(int32_t rate, int64_t frame) {
    const size_t blocks[] = {1, 7000, 64, 3528, 441, 0};
    mimi_encoder *encoder;
    mimi_decoder *decoder;
    size_t n, written, n_codes, n_samples, total = 0, heard = 0;
    int64_t value, latency;
    OK(mimi_options_set(options, MIMI_OPT_SAMPLE_RATE, rate));
    STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_encode(model, options, g.pcm, g.samples, NULL, 0, &n_codes));
    CHECK(n_codes == g.codebooks * ((g.samples + (size_t)frame - 1) / (size_t)frame));
    uint32_t *expected = allocate(n_codes * sizeof *expected), *codes = allocate(n_codes * sizeof *codes);
    OK(mimi_encode(model, options, g.pcm, g.samples, expected, n_codes, &n));
    CHECK(n == n_codes);
    STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_decode(model, options, expected, n_codes, NULL, 0, &n_samples));
    CHECK(n_samples == n_codes / g.codebooks * (size_t)frame);
    float *all = allocate(n_samples * sizeof *all), *audio = allocate(n_samples * sizeof *audio);
    OK(mimi_decode(model, options, expected, n_codes, all, n_samples, &n));
    CHECK(n == n_samples);

    OK(mimi_encoder_new(model, options, &encoder));
    OK(mimi_decoder_new(model, options, &decoder));
    OK(mimi_encoder_get(encoder, MIMI_PROP_SAMPLE_RATE, &value));
    CHECK(value == rate);
    OK(mimi_decoder_get(decoder, MIMI_PROP_FRAME_SAMPLES, &value));
    CHECK(value == frame);
    const float *pcm = g.pcm;
    uint32_t *const room = codes;
    float *const sound = audio;
    const uint32_t *const first = expected;
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_encoder_process_many(&encoder, 1, &pcm, &room));
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_decoder_process_many(&decoder, 1, &first, &sound));
    for (size_t at = 0, i = 0, step; at < g.samples; at += step, i++) {
        step = blocks[i % 6] < g.samples - at ? blocks[i % 6] : g.samples - at;
        OK(mimi_encoder_process(encoder, g.pcm + at, step, codes + total, n_codes - total, &n));
        OK(mimi_decoder_process(decoder, codes + total, n, audio + heard, n_samples - heard, &written));
        total += n;
        heard += written;
    }
    OK(mimi_encoder_flush(encoder, codes + total, n_codes - total, &n));
    OK(mimi_decoder_process(decoder, codes + total, n, audio + heard, n_samples - heard, &written));
    total += n;
    heard += written;
    OK(mimi_decoder_get(decoder, MIMI_PROP_LATENCY_SAMPLES, &latency));
    CHECK(latency > 0 && heard + (size_t)latency == n_samples);
    STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_decoder_flush(decoder, NULL, 0, &n));
    CHECK(n == (size_t)latency);
    OK(mimi_decoder_flush(decoder, audio + heard, n_samples - heard, &n));
    CHECK(total == n_codes && memcmp(codes, expected, n_codes * sizeof *codes) == 0);
    CHECK(memcmp(audio, all, n_samples * sizeof *audio) == 0);
    OK(mimi_options_set(options, MIMI_OPT_SAMPLE_RATE, 0));
    mimi_encoder_free(encoder);
    mimi_decoder_free(decoder);
    free(expected);
    free(codes);
    free(all);
    free(audio);
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
    latents_together();
    no_room_in_lists();
    other_rate(44100, 3528);
    other_rate(16000, 1280);
    tokens();
    test_vectors();
    mimi_free(model);
    mimi_options_free(options);
    free_golden(g);
    return 0;
}
