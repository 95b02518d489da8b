/* two_runtimes MODEL: libmimi.a and another Rust static library in one program, both at work. */
#include <mimi.h>

#include <stdio.h>
#include <string.h>

uint64_t other_sum(uint64_t n);

int main(int argc, char **argv) {
    mimi_model *model;
    if (argc != 2 || mimi_load(argv[1], NULL, &model) != MIMI_OK)
        return fprintf(stderr, "%s\n", mimi_last_error()), 1;
    static float pcm[1920];
    uint32_t codes[32];
    size_t n = 0;
    if (mimi_encode(model, NULL, pcm, 1920, codes, 32, &n) != MIMI_OK || n == 0)
        return fprintf(stderr, "%s\n", mimi_last_error()), 1;
    mimi_free(model);
    if (mimi_load("missing", NULL, &model) != MIMI_ERR_IO || !strstr(mimi_last_error(), "missing"))
        return fprintf(stderr, "no message\n"), 1;
    return other_sum(1000) == 499500 ? 0 : 1;
}
