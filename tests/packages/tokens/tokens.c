/*
 * tokens decode MODEL FILE.mtok RATE OUT.f32: the recording of a token file at RATE Hz (0: its own), to its end.
 * tokens encode MODEL IN.f32 RATE OUT.mtok: a recording at RATE Hz as a token file, with its rate and its length.
 */
#include "../../c/fixture.h"

static void write_file(const char *path, const void *head, size_t head_len, const void *data, size_t len) {
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(head, 1, head_len, file) == head_len && fwrite(data, 1, len, file) == len && fclose(file) == 0);
}

static void decode(const mimi_model *model, mimi_options *options, const char *from, int64_t rate, const char *to) {
    size_t len, n, n_codes, n_samples;
    unsigned char *file = read_file(from, &len);
    mimi_token_header h = {.size = sizeof h};
    OK(mimi_unpack_header(file, len, &h));
    const unsigned char *frames = file + h.header_bytes;
    len -= (size_t)h.header_bytes;
    OK(mimi_options_set(options, MIMI_OPT_CODEBOOKS, h.codebooks));
    OK(mimi_options_set(options, MIMI_OPT_SAMPLE_RATE, rate ? rate : h.sample_rate));
    STATUS(MIMI_ERR_BUFFER_TOO_SMALL, mimi_unpack(frames, len, h.codebooks, h.code_bits, NULL, 0, &n_codes));
    uint32_t *codes = allocate(n_codes * sizeof *codes);
    OK(mimi_unpack(frames, len, h.codebooks, h.code_bits, codes, n_codes, &n));
    OK(mimi_samples_for(model, options, n_codes, &n_samples));
    float *pcm = allocate(n_samples * sizeof *pcm);
    OK(mimi_decode(model, options, codes, n_codes, pcm, n_samples, &n));
    int64_t length;
    OK(mimi_header_samples(&h, rate ? rate : h.sample_rate, &length));
    CHECK(0 < length && (size_t)length <= n);
    write_file(to, NULL, 0, pcm, (size_t)length * sizeof *pcm);
    free(file);
    free(codes);
    free(pcm);
}

static void encode(const mimi_model *model, mimi_options *options, const char *from, int64_t rate, const char *to) {
    size_t len, n, n_codes, head_len;
    float *pcm = (float *)(void *)read_file(from, &len);
    mimi_token_header h = {.size = sizeof h};
    OK(mimi_options_set(options, MIMI_OPT_SAMPLE_RATE, rate));
    OK(mimi_model_header(model, options, &h));
    h.n_samples = (int64_t)(len / sizeof *pcm);
    OK(mimi_codes_for(model, options, len / sizeof *pcm, &n_codes));
    uint32_t *codes = allocate(n_codes * sizeof *codes);
    OK(mimi_encode(model, options, pcm, len / sizeof *pcm, codes, n_codes, &n));
    unsigned char head[64], *bytes = allocate(n_codes * sizeof *codes);
    OK(mimi_pack_header(&h, head, sizeof head, &head_len));
    OK(mimi_pack(codes, n_codes, h.codebooks, h.code_bits, bytes, n_codes * sizeof *codes, &n));
    write_file(to, head, head_len, bytes, n);
    free(pcm);
    free(codes);
    free(bytes);
}

int main(int argc, char **argv) {
    CHECK(argc == 6);
    mimi_model *model;
    mimi_options *options = mimi_options_new();
    OK(mimi_load(argv[2], NULL, &model));
    (strcmp(argv[1], "decode") == 0 ? decode : encode)(model, options, argv[3], atoi(argv[4]), argv[5]);
    mimi_options_free(options);
    mimi_free(model);
    return 0;
}
