/*
 * tokens rec MODEL RATE FILE.mtok: audio on stdin to a token file, as it arrives.
 * tokens play MODEL FILE.mtok: the audio of a token file on stdout, at the file's rate and length.
 *
 *     ffmpeg -i speech.wav -f f32le -ac 1 -ar 48000 - | ./tokens rec model.safetensors 48000 speech.mtok
 *     ./tokens play model.safetensors speech.mtok | ffplay -f f32le -ar 48000 -
 *
 * Audio is 32-bit floats in the machine's byte order. RATE is one that the codec takes: with the published
 * model, a multiple of 25 Hz; 0 for the model's. Build: cc tokens.c $(pkg-config --cflags --libs mimi) -o tokens
 */
#include <mimi.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#endif

enum { HEADER_ROOM = 64, CODES_ROOM = 2 * 64, BYTES_ROOM = 2 * 64 * 2 }; /* codes of two of the largest frames */

static void stop(const char *what, const char *why) {
    fprintf(stderr, "tokens: %s: %s\n", what, why);
    exit(1);
}

/* For the calls that leave a message. */
static void check(const char *what, mimi_status status) {
    if (status != MIMI_OK)
        stop(what, mimi_last_error());
}

/* For the real-time calls, which leave none. */
static void check_rt(const char *what, mimi_status status) {
    if (status != MIMI_OK)
        stop(what, mimi_status_string(status));
}

static void write_all(FILE *file, const char *name, const void *data, size_t element, size_t count) {
    if (fwrite(data, element, count, file) != count) {
        perror(name);
        exit(1);
    }
}

static void write_header(FILE *file, const char *name, const mimi_token_header *h) {
    unsigned char bytes[HEADER_ROOM];
    size_t len;
    check(name, mimi_pack_header(h, bytes, sizeof bytes, &len));
    write_all(file, name, bytes, 1, len);
}

static void write_codes(FILE *file, const char *name, const mimi_token_header *h, const uint32_t *codes, size_t n) {
    unsigned char bytes[BYTES_ROOM];
    size_t len;
    check_rt("packing", mimi_pack(codes, n, h->codebooks, h->code_bits, bytes, sizeof bytes, &len));
    write_all(file, name, bytes, 1, len);
}

static void rec(const mimi_model *model, mimi_options *options, const char *rate, const char *name) {
    uint32_t codes[CODES_ROOM];
    size_t samples, n;
    mimi_encoder *encoder;
    mimi_token_header h = {0};
    h.size = sizeof h;
    check("RATE", mimi_options_set(options, MIMI_OPT_SAMPLE_RATE, atoi(rate)));
    check("encoder", mimi_encoder_new(model, options, &encoder));
    check("header", mimi_model_header(model, options, &h));
    const size_t block = (size_t)h.frame_samples; /* a call with so much completes at most one frame */
    float *pcm = malloc(block * sizeof *pcm);
    if (!pcm)
        stop("audio", "out of memory");

    FILE *file = fopen(name, "wb");
    if (!file) {
        perror(name);
        exit(1);
    }
    write_header(file, name, &h); /* the length is not known yet: 0 */
    while ((samples = fread(pcm, sizeof *pcm, block, stdin)) > 0) {
        check_rt("encoding", mimi_encoder_process(encoder, pcm, samples, codes, CODES_ROOM, &n));
        write_codes(file, name, &h, codes, n);
        h.n_samples += (int64_t)samples;
    }
    check_rt("encoding", mimi_encoder_flush(encoder, codes, CODES_ROOM, &n));
    write_codes(file, name, &h, codes, n);
    mimi_encoder_free(encoder);
    free(pcm);

    /* the header again, with the length */
    rewind(file);
    write_header(file, name, &h);
    if (fclose(file) != 0 || ferror(stdin)) {
        perror(name);
        exit(1);
    }
}

static void play(const mimi_model *model, mimi_options *options, const char *name) {
    unsigned char bytes[BYTES_ROOM];
    uint32_t codes[CODES_ROOM];
    mimi_decoder *decoder;
    mimi_token_header h = {0};
    h.size = sizeof h;
    FILE *file = fopen(name, "rb");
    if (!file) {
        perror(name);
        exit(1);
    }
    size_t got = fread(bytes, 1, HEADER_ROOM, file), n, n_codes;
    check(name, mimi_unpack_header(bytes, got, &h));
    if (fseek(file, (long)h.header_bytes, SEEK_SET) != 0) {
        perror(name);
        exit(1);
    }
    int64_t model_id;
    check("model", mimi_model_get(model, MIMI_PROP_MODEL_ID, &model_id));
    if (h.model_id != 0 && h.model_id != model_id)
        stop(name, "its codes are another model's");
    fprintf(stderr, "%lld Hz, %lld samples\n", (long long)h.sample_rate, (long long)h.n_samples);
    if (h.original_rate != 0)
        fprintf(stderr, "the recording was at %lld Hz\n", (long long)h.original_rate);

    check("codebooks", mimi_options_set(options, MIMI_OPT_CODEBOOKS, h.codebooks));
    check("sample rate", mimi_options_set(options, MIMI_OPT_SAMPLE_RATE, h.sample_rate));
    check("decoder", mimi_decoder_new(model, options, &decoder));
    const size_t frame_bytes = (size_t)(h.codebooks * h.code_bits + 7) / 8, room = (size_t)h.frame_samples;
    float *pcm = malloc(room * sizeof *pcm);
    if (!pcm)
        stop("audio", "out of memory");
    int64_t left = h.n_samples > 0 ? h.n_samples : INT64_MAX; /* the last frame reaches beyond the recording */
    do {
        got = fread(bytes, 1, frame_bytes, file);
        if (got == frame_bytes) {
            check_rt("unpacking", mimi_unpack(bytes, got, h.codebooks, h.code_bits, codes, CODES_ROOM, &n_codes));
            check_rt("decoding", mimi_decoder_process(decoder, codes, n_codes, pcm, room, &n));
        } else {
            check_rt("decoding", mimi_decoder_flush(decoder, pcm, room, &n));
        }
        if ((int64_t)n > left)
            n = (size_t)left;
        left -= (int64_t)n;
        write_all(stdout, "stdout", pcm, sizeof *pcm, n);
    } while (got == frame_bytes);
    if (fflush(stdout) != 0 || ferror(file)) {
        perror("tokens");
        exit(1);
    }
    if (got != 0 || (h.n_samples > 0 && left > 0))
        stop(name, "ends before the recording does");
    free(pcm);
    mimi_decoder_free(decoder);
    fclose(file);
}

int main(int argc, char **argv) {
    const int recording = argc == 5 && strcmp(argv[1], "rec") == 0;
    if (!recording && !(argc == 4 && strcmp(argv[1], "play") == 0)) {
        fprintf(stderr, "usage: tokens rec MODEL RATE FILE.mtok < IN.f32\n       tokens play MODEL FILE.mtok > OUT.f32\n");
        return 2;
    }
#ifdef _WIN32
    _setmode(_fileno(stdin), _O_BINARY);
    _setmode(_fileno(stdout), _O_BINARY);
#endif
    mimi_model *model;
    mimi_options *options = mimi_options_new();
    check("model", mimi_load(argv[2], NULL, &model)); /* its messages begin with the path */
    if (!options)
        stop("options", "out of memory");
    if (recording)
        rec(model, options, argv[3], argv[4]);
    else
        play(model, options, argv[3]);
    mimi_options_free(options);
    mimi_free(model);
    return 0;
}
