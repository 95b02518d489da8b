/* dlopen LIBRARY MODEL: opens and closes the library 1000 times, with streams alive in between. */
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
    CHECK(argc == 3);
    enum { LIVING = 4 };
    mimi_encoder *living[LIVING] = {NULL};
    static float pcm[4000];
    uint32_t codes[64];
    long early = 0;
    for (int round = 0; round < 1000; round++) {
        mimi_status (*load)(const char *, const mimi_options *, mimi_model **);
        void (*free_model)(mimi_model *);
        mimi_status (*encoder_new)(const mimi_model *, const mimi_options *, mimi_encoder **);
        mimi_status (*process)(mimi_encoder *, const float *, size_t, uint32_t *, size_t, size_t *);
        void (*free_encoder)(mimi_encoder *);
        const char *(*last_error)(void);
        library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        if (!library)
            FAIL("%s", dlerror());
        find("mimi_load", &load);
        find("mimi_free", &free_model);
        find("mimi_encoder_new", &encoder_new);
        find("mimi_encoder_process", &process);
        find("mimi_encoder_free", &free_encoder);
        find("mimi_last_error", &last_error);

        mimi_model *model;
        CHECK(load("no such file", NULL, &model) == MIMI_ERR_IO && strstr(last_error(), "no such file"));
        CHECK(load(argv[2], NULL, &model) == MIMI_OK);
        mimi_encoder **slot = &living[round % LIVING];
        size_t n;
        if (*slot) { /* opened before the library was closed LIVING times */
            CHECK(process(*slot, pcm, 4000, codes, 64, &n) == MIMI_OK && n > 0);
            free_encoder(*slot);
        }
        CHECK(encoder_new(model, NULL, slot) == MIMI_OK);
        CHECK(process(*slot, pcm, 100, codes, 64, &n) == MIMI_OK && n == 0);
        free_model(model);
        if (round == 999)
            for (int i = 0; i < LIVING; i++)
                free_encoder(living[i]);
        CHECK(dlclose(library) == 0);
        if (round == 100)
            early = resident_pages();
    }
    const long grown = resident_pages() - early;
    if (grown > 512) /* 2 MiB */
        FAIL("%ld pages leaked in 900 rounds", grown);
    return 0;
}
