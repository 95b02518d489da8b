/*
 * load_memory MODEL.safetensors: a model from bytes that you already have, as from an archive or an
 * asset; and what it says of itself.
 *
 * Build: cc load_memory.c $(pkg-config --cflags --libs mimi) -o load_memory
 */
#include <mimi.h>

#include <stdio.h>
#include <stdlib.h>

static int fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    return 1;
}

static void *read_file(const char *path, size_t *len) {
    FILE *file = fopen(path, "rb");
    long size = file && fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    void *bytes = size > 0 && fseek(file, 0, SEEK_SET) == 0 ? malloc((size_t)size) : NULL;
    if (bytes && fread(bytes, 1, (size_t)size, file) != (size_t)size) {
        free(bytes);
        bytes = NULL;
    }
    if (file)
        fclose(file);
    *len = bytes ? (size_t)size : 0;
    return bytes;
}

int main(int argc, char **argv) {
    if (argc != 2)
        return fail("usage: load_memory MODEL.safetensors");
    size_t len;
    void *bytes = read_file(argv[1], &len);
    if (!bytes)
        return fail("cannot read the model's file");

    mimi_model *model;
    mimi_status status = mimi_load_memory(bytes, len, NULL, &model);
    free(bytes); /* what is needed was copied */
    if (status != MIMI_OK)
        return fail(mimi_last_error());

    int64_t rate, frame, codebooks;
    if (mimi_model_get(model, MIMI_PROP_SAMPLE_RATE, &rate) != MIMI_OK ||
        mimi_model_get(model, MIMI_PROP_FRAME_SAMPLES, &frame) != MIMI_OK ||
        mimi_model_get(model, MIMI_PROP_CODEBOOKS, &codebooks) != MIMI_OK)
        return fail(mimi_last_error());
    printf("%s: %d Hz, frames of %d samples, %d codebooks\n", mimi_version_string(), (int)rate, (int)frame,
           (int)codebooks);
    mimi_free(model);
    return 0;
}
