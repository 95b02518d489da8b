/* expected MODEL DECODED.f32 < SPEECH.f32: the hash of a recording's codes and its packets as hexadecimal digits, on a
 * line; and its decoded audio. */
#include <mimi.h>

#include <inttypes.h>
#include <stdio.h>

enum { FRAME = 1920, BOOKS = 8 };

static unsigned char packets[100 * 2 * BOOKS];
static size_t len;

static int frame(mimi_decoder *decoder, int64_t bits, const uint32_t *codes, size_t n_codes, FILE *out) {
    float pcm[FRAME];
    size_t n;
    if (mimi_pack(codes, n_codes, BOOKS, bits, packets + len, sizeof packets - len, &n) != MIMI_OK)
        return 0;
    len += n;
    return mimi_decoder_process(decoder, codes, n_codes, pcm, FRAME, &n) == MIMI_OK &&
           fwrite(pcm, sizeof *pcm, n, out) == n;
}

int main(int argc, char **argv) {
    float pcm[FRAME];
    uint32_t codes[BOOKS];
    size_t n;
    int64_t hash, bits;
    mimi_model *model;
    mimi_encoder *encoder;
    mimi_decoder *decoder;
    FILE *out = argc == 3 ? fopen(argv[2], "wb") : NULL;
    if (!out || mimi_load(argv[1], NULL, &model) != MIMI_OK || mimi_encoder_new(model, NULL, &encoder) != MIMI_OK ||
        mimi_decoder_new(model, NULL, &decoder) != MIMI_OK ||
        mimi_model_get(model, MIMI_PROP_CODE_BITS, &bits) != MIMI_OK)
        return 1;
    while ((n = fread(pcm, sizeof *pcm, FRAME, stdin)) > 0)
        if (mimi_encoder_process(encoder, pcm, n, codes, BOOKS, &n) != MIMI_OK || !frame(decoder, bits, codes, n, out))
            return 1;
    if (mimi_encoder_flush(encoder, codes, BOOKS, &n) != MIMI_OK || !frame(decoder, bits, codes, n, out) ||
        mimi_encoder_get(encoder, MIMI_PROP_CODES_HASH, &hash) != MIMI_OK || fclose(out) != 0)
        return 1;
    printf("%016" PRIx64 " ", (uint64_t)hash);
    for (size_t i = 0; i < len; i++)
        printf("%02x", packets[i]);
    printf("\n");
    mimi_encoder_free(encoder);
    mimi_decoder_free(decoder);
    mimi_free(model);
    return 0;
}
