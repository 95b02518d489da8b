/* faults DATA MICRO [count]: memory ends, and reads fail, at every point of every function that can fail. Each
   time there is the right status, nothing is lost or left behind, and what lives works on. */
#define _GNU_SOURCE
#include "fixture.h"
#include "injector.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *tiny, *micro;
static int count_only;
static golden g;
static mimi_options *options; /* all of the tiny model's codebooks */
static mimi_model *model;
static mimi_encoder *encoder;
static mimi_decoder *decoder;
static float pcm[8 * 1920];
static uint32_t codes[8 * 32];
static float latents[8 * 32];
static size_t n;

/* The streams that live through it all, and whole recordings on their model. */
static void check_all_works(void) {
    OK(mimi_encoder_reset(encoder));
    OK(mimi_encoder_process(encoder, g.pcm, g.samples, codes, 256, &n));
    check_codes(g, codes, n);
    OK(mimi_decoder_reset(decoder));
    OK(mimi_decoder_process(decoder, g.codes, g.codebooks * g.frames, pcm, 8 * 1920, &n));
    check_audio(g, pcm, n);
}

/* A call that makes something or delivers something, and what then frees it. */
typedef struct {
    const char *name;
    mimi_status (*make)(void **out);
    void (*dispose)(void *made);
} maker;

#define MAKER(what, call)                                                         \
    static mimi_status make_##what(void **made) {                                 \
        void *out = (void *)(uintptr_t)0x5a5a5a58;                                \
        const mimi_status status = call;                                          \
        CHECK(status == MIMI_OK || out == NULL);                                  \
        *made = out;                                                              \
        return status;                                                            \
    }
MAKER(encoder, mimi_encoder_new(model, options, (mimi_encoder **)&out))
MAKER(fork, mimi_encoder_clone(encoder, (mimi_encoder **)&out))
MAKER(decoder, mimi_decoder_new(model, options, (mimi_decoder **)&out))
MAKER(echo, mimi_decoder_clone(decoder, (mimi_decoder **)&out))
MAKER(bag, (out = mimi_options_new()) ? MIMI_OK : MIMI_ERR_OUT_OF_MEMORY)

static void free_encoder(void *made) { mimi_encoder_free(made); }
static void free_decoder(void *made) { mimi_decoder_free(made); }
static void free_bag(void *made) { mimi_options_free(made); }
static void free_model(void *made) { mimi_free(made); }

/* Whole recordings: on an error neither the buffer nor the count is touched. */
static mimi_status make_codes(void **made) {
    *made = NULL;
    n = 4321;
    codes[0] = 4321;
    const mimi_status status = mimi_encode(model, options, g.pcm, g.samples, codes, 256, &n);
    CHECK(status == MIMI_OK || (n == 4321 && codes[0] == 4321));
    if (status == MIMI_OK)
        check_codes(g, codes, n);
    return status;
}

static mimi_status make_audio(void **made) {
    *made = NULL;
    n = 4321;
    pcm[0] = 4321;
    const mimi_status status = mimi_decode(model, options, g.codes, g.codebooks * g.frames, pcm, 8 * 1920, &n);
    CHECK(status == MIMI_OK || (n == 4321 && pcm[0] == 4321));
    if (status == MIMI_OK)
        check_audio(g, pcm, n);
    return status;
}

/* The quantizer alone, in either direction. */
static mimi_status make_latents(void **made) {
    *made = NULL;
    n = 4321;
    latents[0] = 4321;
    const mimi_status status =
        mimi_dequantize(model, options, g.codes, g.codebooks * g.frames, latents, 8 * 32, &n);
    CHECK(status == MIMI_OK || (n == 4321 && latents[0] == 4321));
    return status;
}

static mimi_status make_quantized(void **made) {
    *made = NULL;
    n = 4321;
    codes[0] = 4321;
    const mimi_status status = mimi_quantize(model, options, latents, g.frames * 32, codes, 256, &n);
    CHECK(status == MIMI_OK || (n == 4321 && codes[0] == 4321));
    return status;
}

/* A whole recording goes to the caller's buffer at once: there need not be room for a second one. */
static void results_go_to_the_caller(void) {
    const size_t frames = 1000, samples = frames * 1920;
    mimi_options *small = mimi_options_new();
    OK(mimi_options_set(small, MIMI_OPT_CODEBOOKS, 1));
    OK(mimi_options_set(small, MIMI_OPT_MAX_BLOCK, 1));
    uint32_t *many_codes = allocate(frames * sizeof *many_codes);
    float *audio = allocate(samples * sizeof *audio);
    memset(many_codes, 0, frames * sizeof *many_codes);
    limit_memory(samples * sizeof *audio - 1);
    const mimi_status decoded = mimi_decode(model, small, many_codes, frames, audio, samples, &n);
    const long failed = allocations_failed();
    STATUS(MIMI_OK, decoded);
    CHECK(failed == 0 && n == samples);
    mimi_options_free(small);
    free(many_codes);
    free(audio);
}

MAKER(capture, mimi_capture_new(model, options, (mimi_capture **)&out))
MAKER(playback, mimi_playback_new(model, options, (mimi_playback **)&out))
static void free_capture(void *made) { mimi_capture_free(made); }
static void free_playback(void *made) { mimi_playback_free(made); }

/* These share something small between threads, which they make like loads. */
static const maker live[] = {{"mimi_capture_new", make_capture, free_capture},
                             {"mimi_playback_new", make_playback, free_playback}};

static void free_nothing(void *made) { CHECK(made == NULL); }

static const maker makers[] = {
    {"mimi_encoder_new", make_encoder, free_encoder}, {"mimi_encoder_clone", make_fork, free_encoder},
    {"mimi_decoder_new", make_decoder, free_decoder}, {"mimi_decoder_clone", make_echo, free_decoder},
    {"mimi_options_new", make_bag, free_bag},         {"mimi_encode", make_codes, free_nothing},
    {"mimi_decode", make_audio, free_nothing},        {"mimi_dequantize", make_latents, free_nothing},
    {"mimi_quantize", make_quantized, free_nothing},
};

/* Whichever allocation fails, alone or with all after it, the status tells. */
static void every_allocation(maker m, int all_after) {
    for (long at = 0;; at++) {
        void *made;
        const long before = live_blocks();
        fail_allocation(at, all_after);
        const mimi_status status = m.make(&made);
        if (allocations_failed() == 0) {
            STATUS(MIMI_OK, status);
            m.dispose(made);
            CHECK(at > 0 && live_blocks() == before);
            if (count_only)
                printf("%s: %ld allocations, each a status\n", m.name, at);
            return;
        }
        if (status != MIMI_ERR_OUT_OF_MEMORY || made || live_blocks() != before)
            FAIL("%s, allocation %ld: status %d, %ld blocks left", m.name, at, status, live_blocks() - before);
        check_all_works();
    }
}

static mimi_status refuse_value(void) { return mimi_options_set(options, MIMI_OPT_TAIL, -7); }
static mimi_status refuse_choice(void) { return mimi_options_set(options, MIMI_OPT_PRECISION, 77); }
static mimi_status refuse_key(void) { return mimi_model_get(model, 12345, &(int64_t){0}); }
static mimi_status refuse_room(void) { return mimi_encode(model, options, g.pcm, g.samples, NULL, 0, &n); }
static mimi_status refuse_frame(void) { return mimi_decode(model, options, g.codes, 1, pcm, 1920, &n); }
static mimi_status refuse_header(void) { return mimi_pack_header(&(mimi_token_header){.size = 7}, pcm, 1000, &n); }
static mimi_status refuse_length(void) { return mimi_samples_for(model, options, 1, &n); }
static mimi_status refuse_path(void) { return mimi_load("\xff\xfe", options, &(mimi_model *){0}); }
static mimi_status refuse_stream(void) {
    mimi_encoder *out;
    static mimi_options *bag;
    if (!bag)
        bag = mimi_options_new();
    if (mimi_options_set(bag, MIMI_OPT_CODEBOOKS, 1000) != MIMI_OK)
        return MIMI_OK;
    return mimi_encoder_new(model, bag, &out);
}

/* A refusal is the same without memory for its message. */
static void refusals(void) {
    mimi_status (*const calls[])(void) = {refuse_value, refuse_choice, refuse_key,  refuse_room,
                                          refuse_frame, refuse_header, refuse_path, refuse_length, refuse_stream};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        const mimi_status expected = calls[i]();
        CHECK(expected < 0 && strlen(mimi_last_error()) > 10);
        const long before = live_blocks();
        for (long at = 0, more = 1; more; at++) {
            fail_allocation(at, 1);
            const mimi_status status = calls[i]();
            more = allocations_failed() > 0;
            STATUS(expected, status);
            CHECK(strlen(mimi_last_error()) > 10 && live_blocks() == before);
        }
    }
    check_all_works();
}

/* Ways to load, each from a file of its own. */
static unsigned char *file;
static size_t file_len;
static long callback_calls, callback_stop = -1;

static int32_t read_some(void *user, uint64_t offset, void *to, size_t len) {
    CHECK(user == file && offset <= file_len && len <= file_len - offset);
    if (callback_calls++ == callback_stop)
        return -3;
    memcpy(to, file + offset, len);
    return 0;
}

MAKER(from_file, mimi_load(micro, NULL, (mimi_model **)&out))
MAKER(from_directory, mimi_load(tiny, NULL, (mimi_model **)&out))
MAKER(from_memory, mimi_load_memory(file, file_len, NULL, (mimi_model **)&out))
MAKER(from_reader, mimi_load_reader(read_some, file, file_len, NULL, (mimi_model **)&out))

static const maker loaders[] = {
    {"mimi_load", make_from_file, free_model},
    {"mimi_load of a directory", make_from_directory, free_model},
    {"mimi_load_memory", make_from_memory, free_model},
    {"mimi_load_reader", make_from_reader, free_model},
};

/* However little memory there is, loading has a status: from none to enough, in steps. */
static void every_budget(maker m, size_t step) {
    size_t room = 0;
    for (long failed = 1, round = 0; failed > 0; room += step, round++) {
        void *made;
        const long before = live_blocks();
        limit_memory(room);
        const mimi_status status = m.make(&made);
        failed = allocations_failed();
        if (status == MIMI_OK)
            m.dispose(made);
        else
            STATUS(MIMI_ERR_OUT_OF_MEMORY, status);
        if (live_blocks() != before || (failed == 0 && status != MIMI_OK))
            FAIL("%s with %zu bytes: status %d, %ld blocks left", m.name, room, status, live_blocks() - before);
        if (round % 100 == 0)
            check_all_works();
    }
    if (count_only)
        printf("%s: a status for every budget below %zu bytes, in steps of %zu\n", m.name, room, step);
}

/* What is asked for before small things are made; see `SMALL_THINGS` in src/error.rs. */
enum { HEADROOM = 32 << 10 };

/* How a child process that loads may end. */
enum { A_STATUS, NONE_FAILED, ABORTED, WRONG };

static void aborted(int unused) {
    (void)unused;
    _exit(ABORTED);
}

/* One failure among plenty: a status for every large allocation. A small one that fails although far more was
   there a moment ago ends the process, which only another thread could make happen. */
static void single_failures(maker m) {
    long aborts = 0, statuses = 0, at = 0;
    for (int finished = 0; !finished; at++) {
        const pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            signal(SIGABRT, aborted); /* and no core dump, which takes its time */
            CHECK(freopen("/dev/null", "w", stderr));
            void *made;
            const long before = live_blocks();
            fail_allocation(at, 0);
            const mimi_status status = m.make(&made);
            const int failed = allocations_failed() > 0;
            if (status == MIMI_OK)
                m.dispose(made);
            if (live_blocks() != before || status != (failed ? MIMI_ERR_OUT_OF_MEMORY : MIMI_OK))
                _exit(WRONG);
            _exit(failed ? A_STATUS : NONE_FAILED);
        }
        int result;
        CHECK(waitpid(child, &result, 0) == child);
        const int how = WIFEXITED(result) ? WEXITSTATUS(result) : WRONG;
        if (how == WRONG || (how == ABORTED && *last_failed_size() >= HEADROOM))
            FAIL("%s, allocation %ld of %zu bytes: result %x", m.name, at, *last_failed_size(), (unsigned)result);
        finished = how == NONE_FAILED;
        statuses += how == A_STATUS;
        aborts += how == ABORTED;
    }
    CHECK(statuses > 0);
    if (count_only)
        printf("%s: %ld allocations; a single failure is a status for %ld and ends the process for %ld\n", m.name,
               at - 1, statuses, aborts);
}

/* The callback says no at every call. */
static void every_callback(void) {
    for (callback_stop = 0;; callback_stop++) {
        void *made;
        const long before = live_blocks();
        callback_calls = 0;
        const mimi_status status = make_from_reader(&made);
        if (callback_calls <= callback_stop) {
            STATUS(MIMI_OK, status);
            mimi_free(made);
            break;
        }
        STATUS(MIMI_ERR_ABORTED, status);
        CHECK(strstr(mimi_last_error(), "-3") && callback_calls == callback_stop + 1 && live_blocks() == before);
    }
    CHECK(callback_stop > 10);
    callback_stop = -1;
    check_all_works();
}

/* Every read of a file fails in every way. */
static void every_read(maker m, enum read_fault how) {
    for (long at = 0;; at++) {
        void *made;
        const long before = live_blocks();
        fail_read(at, how);
        const mimi_status status = m.make(&made);
        const int failed = read_failed();
        if (status == MIMI_OK)
            m.dispose(made);
        CHECK(live_blocks() == before);
        if (!failed) {
            STATUS(MIMI_OK, status);
            CHECK(at > 10);
            break;
        }
        switch (how) {
        case READ_ERROR:
            STATUS(MIMI_ERR_IO, status);
            CHECK(strstr(mimi_last_error(), "os error 5"));
            break;
        case READ_INTERRUPTED:
        case READ_SHORT:
            STATUS(MIMI_OK, status);
            break;
        case READ_END: /* of a config, what is there counts: it is no JSON, or there is no more to come */
            CHECK(status == MIMI_ERR_IO || status == MIMI_ERR_FORMAT || status == MIMI_OK);
            break;
        }
    }
    check_all_works();
}

/* The number that the next file gets: larger if one was left open. */
static int next_file(void) {
    const int next = open("/dev/null", O_RDONLY);
    CHECK(next >= 0 && close(next) == 0);
    return next;
}

int main(int argc, char **argv) {
    CHECK(argc == 3 || argc == 4);
    setenv("RUST_BACKTRACE", "0", 1); /* takes a second for each end of a process */
    char path[4096];
    CHECK(snprintf(path, sizeof path, "%s/tiny", argv[1]) < (int)sizeof path);
    tiny = path;
    micro = argv[2];
    count_only = argc == 4;
    g = read_golden(tiny, "first4frames", 7680, 0);
    file = read_file(micro, &file_len);
    options = mimi_options_new();
    OK(mimi_options_set(options, MIMI_OPT_CODEBOOKS, (int64_t)g.codebooks));
    OK(mimi_load(tiny, NULL, &model));
    OK(mimi_encoder_new(model, options, &encoder));
    OK(mimi_decoder_new(model, options, &decoder));
    check_all_works();
    refusals(); /* first: what a thread keeps for its messages is there from now on */
    for (size_t i = 0; i < sizeof loaders / sizeof *loaders; i++) {
        void *made;
        OK(loaders[i].make(&made));
        mimi_free(made);
    }
    results_go_to_the_caller();
    const int files = next_file();

    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++)
        for (int all_after = 0; all_after < 2; all_after++)
            every_allocation(makers[i], all_after);
    for (size_t i = 0; i < sizeof loaders / sizeof *loaders; i++) {
        const int is_tiny = loaders[i].make == make_from_directory;
        every_budget(loaders[i], is_tiny ? 40009 : 1009);
    }
    single_failures(loaders[0]);
    for (size_t i = 0; i < 2; i++) {
        every_budget(live[i], 4001);
        single_failures(live[i]);
    }
    every_callback();
    for (int how = READ_ERROR; how <= READ_END; how++) {
        every_read(loaders[0], (enum read_fault)how);
        every_read(loaders[1], (enum read_fault)how);
    }

    CHECK(next_file() == files);
    check_all_works();
    mimi_encoder_free(encoder);
    mimi_decoder_free(decoder);
    mimi_free(model);
    mimi_options_free(options);
    free_golden(g);
    free(file);
    return 0;
}
