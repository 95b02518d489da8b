/* expected MODEL < SPEECH.f32: the hash of the codes of a recording. */
#include <mimi.h>

#include <inttypes.h>
#include <stdio.h>

int main(int argc, char **argv) {
    static float pcm[1920];
    uint32_t codes[8];
    size_t n;
    int64_t hash;
    mimi_model *model;
    mimi_encoder *encoder;
    if (argc != 2 || mimi_load(argv[1], NULL, &model) != MIMI_OK || mimi_encoder_new(model, NULL, &encoder) != MIMI_OK)
        return 1;
    while ((n = fread(pcm, sizeof *pcm, 1920, stdin)) > 0)
        if (mimi_encoder_process(encoder, pcm, n, codes, 8, &n) != MIMI_OK)
            return 1;
    if (mimi_encoder_flush(encoder, codes, 8, &n) != MIMI_OK ||
        mimi_encoder_get(encoder, MIMI_PROP_CODES_HASH, &hash) != MIMI_OK)
        return 1;
    printf("%016" PRIx64 "\n", (uint64_t)hash);
    mimi_encoder_free(encoder);
    mimi_free(model);
    return 0;
}
