/* What the test programs, in C and C++, share: failing loudly, files, golden vectors. Silent on success. */
#ifndef FIXTURE_H
#define FIXTURE_H

#include "mimi.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAIL(...) (fprintf(stderr, "%s:%d: ", __FILE__, __LINE__), fprintf(stderr, __VA_ARGS__), \
                   fputc('\n', stderr), exit(1))
#define CHECK(condition) ((condition) ? (void)0 : (void)FAIL("not so: %s", #condition))

/* A call that must return exactly this status. */
#define STATUS(expected, call) check_status(__FILE__, __LINE__, #call, expected, call)
#define OK(call) STATUS(MIMI_OK, call)

static inline void check_status(const char *file, int line, const char *call, mimi_status expected,
                                mimi_status status) {
    if (status == expected)
        return;
    fprintf(stderr, "%s:%d: %s: %d (%s) instead of %d (%s); last message: %s\n", file, line, call, status,
            mimi_status_string(status), expected, mimi_status_string(expected), mimi_last_error());
    exit(1);
}

static inline void *allocate(size_t bytes) {
    void *memory = malloc(bytes ? bytes : 1);
    CHECK(memory);
    return memory;
}

/* directory/name; holds until four more paths were joined. */
static inline const char *join(const char *directory, const char *name) {
    static char paths[4][4096];
    static int next;
    char *path = paths[next++ % 4];
    CHECK(snprintf(path, sizeof paths[0], "%s/%s", directory, name) < (int)sizeof paths[0]);
    return path;
}

static inline unsigned char *read_file(const char *path, size_t *len) {
    FILE *file = fopen(path, "rb");
    if (!file)
        FAIL("cannot open %s", path);
    CHECK(fseek(file, 0, SEEK_END) == 0);
    *len = (size_t)ftell(file);
    rewind(file);
    unsigned char *bytes = (unsigned char *)allocate(*len);
    CHECK(fread(bytes, 1, *len, file) == *len);
    fclose(file);
    return bytes;
}

/* Mono, 16 bits, the canonical header of 44 bytes. */
static inline float *read_wav(const char *path, size_t *samples) {
    size_t len;
    unsigned char *bytes = read_file(path, &len);
    CHECK(len > 44 && memcmp(bytes + 8, "WAVEfmt ", 8) == 0 && memcmp(bytes + 36, "data", 4) == 0);
    *samples = (len - 44) / 2;
    float *pcm = (float *)allocate(*samples * sizeof *pcm);
    for (size_t i = 0; i < *samples; i++)
        pcm[i] = (int16_t)(bytes[44 + 2 * i] | bytes[45 + 2 * i] << 8) / 32768.0f;
    free(bytes);
    return pcm;
}

/* A two-dimensional NumPy array of little-endian `type` ("<i2", "<f4"), in C order. */
static inline void *read_npy(const char *path, const char *type, size_t *rows, size_t *columns) {
    size_t len;
    unsigned char *bytes = read_file(path, &len);
    CHECK(len > 10 && memcmp(bytes, "\x93NUMPY\x01\x00", 8) == 0);
    size_t header = 10u + bytes[8] + 256u * bytes[9];
    CHECK(header < len);
    bytes[header - 1] = 0;
    const char *text = (const char *)bytes + 10;
    const char *shape = strstr(text, "'shape': (");
    CHECK(strstr(text, type) && strstr(text, "'fortran_order': False") && shape);
    CHECK(sscanf(shape, "'shape': (%zu, %zu)", rows, columns) == 2);
    size_t element = (size_t)(type[2] - '0');
    CHECK(len == header + *rows * *columns * element);
    void *data = allocate(*rows * *columns * element);
    memcpy(data, bytes + header, *rows * *columns * element);
    free(bytes);
    return data;
}

/* One golden case: a model, audio, and what must come of them. */
typedef struct {
    size_t samples, codebooks, frames, audio_samples;
    float *pcm;
    uint32_t *codes; /* frame after frame */
    float *margin;   /* as codes: below 1e-4, the code and those after it may differ by rounding */
    float *audio;    /* decoded from codes */
} golden;

/* The array data/name.what.npy. */
static inline void *read_vector(const char *data, const char *name, const char *what, const char *type,
                                size_t *rows, size_t *columns) {
    char file[128];
    CHECK(snprintf(file, sizeof file, "%s.%s.npy", name, what) < (int)sizeof file);
    return read_npy(join(data, file), type, rows, columns);
}

/* `data` is the case's folder, `name` the vectors in it. Without margins, every code must match. */
static inline golden read_golden(const char *data, const char *name, size_t max_samples, int with_margins) {
    golden g;
    size_t rows, columns;
    g.pcm = read_wav(join(data, "../speech.wav"), &g.samples);
    if (g.samples > max_samples)
        g.samples = max_samples;

    int16_t *codes = (int16_t *)read_vector(data, name, "codes", "<i2", &g.codebooks, &g.frames);
    float *margin = NULL;
    if (with_margins) {
        margin = (float *)read_vector(data, name, "margin", "<f4", &rows, &columns);
        CHECK(rows == g.codebooks && columns == g.frames);
    }
    g.codes = (uint32_t *)allocate(g.codebooks * g.frames * sizeof *g.codes);
    g.margin = (float *)allocate(g.codebooks * g.frames * sizeof *g.margin);
    for (size_t k = 0; k < g.codebooks; k++)
        for (size_t f = 0; f < g.frames; f++) {
            g.codes[f * g.codebooks + k] = (uint32_t)codes[k * g.frames + f];
            g.margin[f * g.codebooks + k] = margin ? margin[k * g.frames + f] : INFINITY;
        }
    free(codes);
    free(margin);

    g.audio = (float *)read_vector(data, name, "audio", "<f4", &rows, &g.audio_samples);
    CHECK(rows == 1);
    return g;
}

static inline void free_golden(golden g) {
    free(g.pcm);
    free(g.codes);
    free(g.margin);
    free(g.audio);
}

/* Codes as golden, except where the reference itself was a rounding error away from another. */
static inline void check_codes(golden g, const uint32_t *codes, size_t n_codes) {
    CHECK(n_codes == g.codebooks * g.frames);
    for (size_t f = 0; f < g.frames; f++) {
        int sure = 1;
        for (size_t k = 0; k < g.codebooks; k++) {
            size_t i = f * g.codebooks + k;
            if (k == 1) /* the acoustic codebooks begin their own chain of residuals */
                sure = 1;
            sure = sure && g.margin[i] > 1e-4f;
            if (sure && codes[i] != g.codes[i])
                FAIL("frame %zu, codebook %zu: %u instead of %u", f, k, codes[i], g.codes[i]);
        }
    }
}

static inline void check_audio(golden g, const float *audio, size_t samples) {
    CHECK(samples == g.audio_samples);
    float peak = 0;
    for (size_t i = 0; i < samples; i++)
        peak = fmaxf(peak, fabsf(g.audio[i]));
    for (size_t i = 0; i < samples; i++)
        if (!(fabsf(audio[i] - g.audio[i]) <= 5e-5f * peak))
            FAIL("sample %zu: %g instead of %g", i, (double)audio[i], (double)g.audio[i]);
}

#endif
