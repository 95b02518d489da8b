/* dlopen LIBRARY MODEL [ROUNDS]: opens and closes the library 1000 times, with streams alive in between. */
#include "../c/fixture.h"

#include <dlfcn.h>

static void *library;

/* Fills a pointer to a function, of which ISO C knows no conversion from void *. */
static void find(const char *name, void *function) {
    void *symbol = dlsym(library, name);
    if (!symbol)
        FAIL("%s", dlerror());
    memcpy(function, &symbol, sizeof symbol);
}

static long resident_pages(void) {
    long size, resident;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%ld %ld", &size, &resident) == 2);
    fclose(file);
    return resident;
}

int main(int argc, char **argv) {
    CHECK(argc == 3 || argc == 4);
    const int rounds = argc == 4 ? atoi(argv[3]) : 1000;
    enum { LIVING = 4 };
    mimi_encoder *living[LIVING] = {NULL};
    mimi_decoder *echoes[LIVING] = {NULL};
    static float pcm[4000];
    static float audio[3 * 1920];
    uint32_t codes[64];
    long early = 0;
    for (int round = 0; round < rounds; round++) {
        mimi_status (*load)(const char *, const mimi_options *, mimi_model **);
        void (*free_model)(mimi_model *);
        mimi_status (*encoder_new)(const mimi_model *, const mimi_options *, mimi_encoder **);
        mimi_status (*process)(mimi_encoder *, const float *, size_t, uint32_t *, size_t, size_t *);
        void (*free_encoder)(mimi_encoder *);
        mimi_status (*decoder_new)(const mimi_model *, const mimi_options *, mimi_decoder **);
        mimi_status (*decode)(mimi_decoder *, const uint32_t *, size_t, float *, size_t, size_t *);
        void (*free_decoder)(mimi_decoder *);
        const char *(*last_error)(void);
        library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        if (!library)
            FAIL("%s", dlerror());
        find("mimi_load", &load);
        find("mimi_free", &free_model);
        find("mimi_encoder_new", &encoder_new);
        find("mimi_encoder_process", &process);
        find("mimi_encoder_free", &free_encoder);
        find("mimi_decoder_new", &decoder_new);
        find("mimi_decoder_process", &decode);
        find("mimi_decoder_free", &free_decoder);
        find("mimi_last_error", &last_error);

        mimi_model *model;
        CHECK(load("no such file", NULL, &model) == MIMI_ERR_IO && strstr(last_error(), "no such file"));
        CHECK(load(argv[2], NULL, &model) == MIMI_OK);
        mimi_encoder **slot = &living[round % LIVING];
        mimi_decoder **echo = &echoes[round % LIVING];
        size_t n;
        if (*slot) { /* opened before the library was closed LIVING times */
            CHECK(process(*slot, pcm, 4000, codes, 64, &n) == MIMI_OK && n > 0);
            CHECK(decode(*echo, codes, n, audio, 3 * 1920, &n) == MIMI_OK && n > 0);
            free_encoder(*slot);
            free_decoder(*echo);
        }
        CHECK(encoder_new(model, NULL, slot) == MIMI_OK);
        CHECK(process(*slot, pcm, 100, codes, 64, &n) == MIMI_OK && n == 0);
        CHECK(decoder_new(model, NULL, echo) == MIMI_OK);
        free_model(model);
        if (round == rounds - 1)
            for (int i = 0; i < LIVING; i++) {
                free_encoder(living[i]);
                free_decoder(echoes[i]);
            }
        CHECK(dlclose(library) == 0);
        if (round == rounds / 10)
            early = resident_pages();
    }
    const long grown = resident_pages() - early;
    if (argc == 3 && grown > 512) /* 2 MiB; of few rounds, a checker of memory must judge */
        FAIL("%ld pages leaked in %d rounds", grown, rounds - rounds / 10);
    return 0;
}
