/*
 * stream encode|decode MODEL: audio on stdin to codes on stdout, or back, as they arrive.
 *
 *     ffmpeg -i speech.wav -f f32le -ac 1 -ar 24000 - | ./stream encode model.safetensors > codes
 *     ./stream decode model.safetensors < codes | ffplay -f f32le -ar 24000 -
 *
 * Audio is 32-bit floats, codes are 32-bit unsigned integers, frame after frame, both in the machine's
 * byte order. Build: cc stream.c $(pkg-config --cflags --libs mimi) -o stream
 */
#include <mimi.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#endif

static void stop(const char *what, mimi_status status) {
    fprintf(stderr, "%s: %s\n", what, mimi_status_string(status));
    exit(1);
}

static void *buffer(size_t count, size_t element) {
    void *memory = calloc(count, element);
    if (!memory)
        stop("buffer", MIMI_ERR_OUT_OF_MEMORY);
    return memory;
}

static void write_all(const void *data, size_t element, size_t count) {
    if (fwrite(data, element, count, stdout) != count || fflush(stdout) != 0) {
        perror("stdout");
        exit(1);
    }
}

static void encode(const mimi_model *model) {
    mimi_encoder *encoder;
    mimi_status status = mimi_encoder_new(model, NULL, &encoder);
    if (status != MIMI_OK)
        stop(mimi_last_error(), status);

    /* 20 ms at a time; a call with less than a frame of audio completes at most one frame */
    enum { BLOCK = 480 };
    int64_t codebooks;
    if ((status = mimi_encoder_get(encoder, MIMI_PROP_CODEBOOKS, &codebooks)) != MIMI_OK)
        stop("codebooks", status);
    float pcm[BLOCK];
    uint32_t *codes = buffer((size_t)codebooks, sizeof *codes);
    size_t samples, n;
    while ((samples = fread(pcm, sizeof *pcm, BLOCK, stdin)) > 0) {
        if ((status = mimi_encoder_process(encoder, pcm, samples, codes, (size_t)codebooks, &n)) != MIMI_OK)
            stop("encoding", status);
        write_all(codes, sizeof *codes, n);
    }
    if ((status = mimi_encoder_flush(encoder, codes, (size_t)codebooks, &n)) != MIMI_OK)
        stop("encoding", status);
    write_all(codes, sizeof *codes, n);

    free(codes);
    mimi_encoder_free(encoder);
}

static void decode(const mimi_model *model) {
    mimi_decoder *decoder;
    mimi_status status = mimi_decoder_new(model, NULL, &decoder);
    if (status != MIMI_OK)
        stop(mimi_last_error(), status);

    int64_t codebooks, frame;
    if ((status = mimi_decoder_get(decoder, MIMI_PROP_CODEBOOKS, &codebooks)) != MIMI_OK)
        stop("codebooks", status);
    if ((status = mimi_decoder_get(decoder, MIMI_PROP_FRAME_SAMPLES, &frame)) != MIMI_OK)
        stop("frame", status);
    uint32_t *codes = buffer((size_t)codebooks, sizeof *codes);
    float *pcm = buffer((size_t)frame, sizeof *pcm);
    size_t n_codes, n;
    while ((n_codes = fread(codes, sizeof *codes, (size_t)codebooks, stdin)) > 0) {
        /* a partial frame at the end is MIMI_ERR_INVALID_ARGUMENT */
        if ((status = mimi_decoder_process(decoder, codes, n_codes, pcm, (size_t)frame, &n)) != MIMI_OK)
            stop("decoding", status);
        write_all(pcm, sizeof *pcm, n);
    }
    if ((status = mimi_decoder_flush(decoder, pcm, (size_t)frame, &n)) != MIMI_OK)
        stop("decoding", status);
    write_all(pcm, sizeof *pcm, n);

    free(codes);
    free(pcm);
    mimi_decoder_free(decoder);
}

int main(int argc, char **argv) {
    if (argc != 3 || (strcmp(argv[1], "encode") != 0 && strcmp(argv[1], "decode") != 0)) {
        fprintf(stderr, "usage: %s encode|decode MODEL\n", argv[0]);
        return 2;
    }
#ifdef _WIN32
    _setmode(_fileno(stdin), _O_BINARY);
    _setmode(_fileno(stdout), _O_BINARY);
#endif
    mimi_model *model;
    mimi_status status = mimi_load(argv[2], NULL, &model);
    if (status != MIMI_OK)
        stop(mimi_last_error(), status);
    if (argv[1][0] == 'e')
        encode(model);
    else
        decode(model);
    mimi_free(model);
    if (ferror(stdin)) {
        perror("stdin");
        return 1;
    }
    return 0;
}
