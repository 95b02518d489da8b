#include "mimi_core.h"

#include <mimi.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Long blocks are cut to these: never longer than a frame, which has 80 samples at the lowest rate, 1000 Hz. */
#define PIECE 64
#define MOST_CODES 64
/* The time in which the mix follows the control, so that it does not click. */
#define GLIDE_SECONDS 0.02
#define SEED 0x9e3779b97f4a7c15u

struct mimi_core {
    mimi_capture *capture;
    mimi_playback *playback;
    size_t codebooks, frame, latency;
    float *dry; /* the last `latency` samples, as a ring */
    size_t at;
    float mix, glide; /* 0 is dry, 1 is wet; how far it moves with each sample */
    int started;      /* the mix has been set */
    uint64_t random;
    int has_worker;
    pthread_t worker;
    pthread_mutex_t working; /* held during the work; by the audio thread only offline */
    atomic_int stop;
};

/* The weights, which all cores of a process share. */
static struct {
    pthread_mutex_t lock;
    char *path;
    mimi_model *model;
    size_t users;
} shared = {PTHREAD_MUTEX_INITIALIZER, NULL, NULL, 0};

/* Frees the weights with their last user. Only with the lock. */
static void drop_user(void) {
    if (--shared.users > 0)
        return;
    mimi_free(shared.model);
    free(shared.path);
    shared.model = NULL;
    shared.path = NULL;
}

static mimi_status open_streams(mimi_core *core, const mimi_model *model, int64_t rate, mimi_core_kind kind) {
    int64_t codebooks = 0, frame = 0, before = 0, after = 0;
    mimi_options *options = mimi_options_new();
    if (!options)
        return MIMI_ERR_OUT_OF_MEMORY;
    mimi_status s = mimi_model_get(model, MIMI_PROP_CODEBOOKS, &codebooks);
    if (codebooks > MIMI_CORE_CODEBOOKS)
        codebooks = MIMI_CORE_CODEBOOKS;
    if (s == MIMI_OK)
        s = mimi_options_set(options, MIMI_OPT_CODEBOOKS, codebooks);
    if (s == MIMI_OK)
        s = mimi_options_set(options, MIMI_OPT_SAMPLE_RATE, rate);
    if (s == MIMI_OK)
        s = mimi_options_set(options, MIMI_OPT_WORK, kind == MIMI_CORE_WORKER ? MIMI_WORK_OTHER : MIMI_WORK_SPREAD);
    if (s == MIMI_OK) /* one thread moves the codes and plays them: none is late */
        s = mimi_options_set(options, MIMI_OPT_BUFFER_FRAMES, 1);
    if (s == MIMI_OK)
        s = mimi_capture_new(model, options, &core->capture);
    if (s == MIMI_OK)
        s = mimi_playback_new(model, options, &core->playback);
    if (s == MIMI_OK)
        s = mimi_capture_get(core->capture, MIMI_PROP_FRAME_SAMPLES, &frame);
    if (s == MIMI_OK)
        s = mimi_capture_get(core->capture, MIMI_PROP_LATENCY_SAMPLES, &before);
    if (s == MIMI_OK)
        s = mimi_playback_get(core->playback, MIMI_PROP_LATENCY_SAMPLES, &after);
    core->codebooks = (size_t)codebooks;
    core->frame = (size_t)frame;
    core->latency = (size_t)(before + after);
    mimi_options_free(options);
    return s;
}

/* The streams of a core on the shared weights. */
static mimi_status load(mimi_core *core, const char *path, int64_t rate, mimi_core_kind kind) {
    pthread_mutex_lock(&shared.lock);
    mimi_status s = MIMI_OK;
    mimi_model *own = NULL;
    if (!shared.model) {
        shared.path = strdup(path);
        s = shared.path ? mimi_load(path, NULL, &shared.model) : MIMI_ERR_OUT_OF_MEMORY;
    } else if (strcmp(path, shared.path) != 0) {
        s = mimi_load(path, NULL, &own);
    }
    shared.users++;
    if (s == MIMI_OK)
        s = open_streams(core, own ? own : shared.model, rate, kind);
    mimi_free(own); /* the streams keep its weights */
    if (s != MIMI_OK)
        drop_user();
    pthread_mutex_unlock(&shared.lock);
    return s;
}

static mimi_status work(mimi_core *core) {
    const mimi_status s = mimi_capture_work(core->capture);
    const mimi_status t = mimi_playback_work(core->playback);
    return s != MIMI_OK ? s : t;
}

/* It looks for work by itself, so that the audio thread need not call the system to wake it: a frame has 80 ms. */
static void *worker(void *argument) {
    mimi_core *core = argument;
    const struct timespec pause = {0, 5000000};
    while (!atomic_load_explicit(&core->stop, memory_order_relaxed)) {
        pthread_mutex_lock(&core->working);
        (void)work(core); /* after a failure, the audio thread finds nothing and is silent */
        pthread_mutex_unlock(&core->working);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

/* The host's signals are not for this thread. */
static int start_worker(mimi_core *core) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    core->has_worker = pthread_create(&core->worker, NULL, worker, core) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return core->has_worker;
}

mimi_core *mimi_core_new(const char *model, double rate, mimi_core_kind kind, char *why, size_t why_size) {
    mimi_core *core = calloc(1, sizeof *core);
    if (!core) {
        snprintf(why, why_size, "out of memory");
        return NULL;
    }
    pthread_mutex_init(&core->working, NULL);
    if (!(rate >= 1 && rate <= 1e6) || rate != (double)(int64_t)rate) {
        snprintf(why, why_size, "a sample rate of %g Hz is not possible", rate);
    } else if (load(core, model, (int64_t)rate, kind) != MIMI_OK) {
        snprintf(why, why_size, "%s", mimi_last_error());
        mimi_capture_free(core->capture);
        mimi_playback_free(core->playback);
        core->capture = NULL; /* it is no user of the weights */
    } else if (!(core->dry = calloc(core->latency, sizeof *core->dry))) {
        snprintf(why, why_size, "out of memory");
    } else {
        core->glide = (float)(1 / (GLIDE_SECONDS * rate));
        core->random = SEED;
        if (kind != MIMI_CORE_WORKER || start_worker(core))
            return core;
        snprintf(why, why_size, "no thread could be started");
    }
    mimi_core_free(core);
    return NULL;
}

void mimi_core_free(mimi_core *core) {
    if (!core)
        return;
    if (core->has_worker) {
        atomic_store(&core->stop, 1);
        pthread_join(core->worker, NULL);
    }
    if (core->capture) {
        mimi_capture_free(core->capture);
        mimi_playback_free(core->playback);
        pthread_mutex_lock(&shared.lock);
        drop_user();
        pthread_mutex_unlock(&shared.lock);
    }
    pthread_mutex_destroy(&core->working);
    free(core->dry);
    free(core);
}

uint32_t mimi_core_latency(const mimi_core *core) { return (uint32_t)core->latency; }

void mimi_core_reset(mimi_core *core) {
    pthread_mutex_lock(&core->working);
    /* which cannot fail for handles that are there */
    mimi_capture_reset(core->capture);
    mimi_playback_reset(core->playback);
    pthread_mutex_unlock(&core->working);
    memset(core->dry, 0, core->latency * sizeof *core->dry);
    core->at = 0;
    core->started = 0;
    core->random = SEED;
}

/* xorshift64*, the upper bits: the same frames are lost each time that something is rendered. */
static float percent(mimi_core *core) {
    core->random ^= core->random >> 12;
    core->random ^= core->random << 25;
    core->random ^= core->random >> 27;
    return (float)(core->random * 0x2545f4914f6cdd1du >> 40) * (100.0f / (1 << 24));
}

/* Frames that are ready travel from the capture to the playback. */
static mimi_status transmit(mimi_core *core, size_t codebooks, float loss) {
    uint32_t codes[MOST_CODES];
    for (;;) {
        size_t n;
        mimi_status s = mimi_capture_read(core->capture, codes, core->codebooks, &n);
        if (s != MIMI_OK || n == 0)
            return s;
        for (size_t k = codebooks; k < n; k++)
            codes[k] = MIMI_NO_CODE;
        const int lost = percent(core) < loss;
        s = mimi_playback_write(core->playback, lost ? NULL : codes, n);
        if (s != MIMI_OK)
            return s;
    }
}

/* The codec's part of a piece. */
static mimi_status through_codec(mimi_core *core, size_t codebooks, float loss, int at_once, const float *in,
    float *out, size_t n) {
    mimi_status s = mimi_capture_write(core->capture, in, n);
    if (s == MIMI_OK && at_once)
        s = work(core);
    if (s == MIMI_OK)
        s = transmit(core, codebooks, loss);
    if (s == MIMI_OK)
        s = mimi_playback_read(core->playback, out, n);
    if (s == MIMI_OK && at_once)
        s = work(core);
    return s;
}

static void blend(mimi_core *core, float target, const float *in, const float *wet, float *out, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const float dry = core->dry[core->at];
        core->dry[core->at] = in[i];
        core->at = core->at + 1 < core->latency ? core->at + 1 : 0;
        if (core->mix < target)
            core->mix = core->mix + core->glide < target ? core->mix + core->glide : target;
        else if (core->mix > target)
            core->mix = core->mix - core->glide > target ? core->mix - core->glide : target;
        /* the ends are exact, whatever is in the other signal */
        out[i] = core->mix >= 1 ? wet[i] : core->mix <= 0 ? dry : dry + core->mix * (wet[i] - dry);
    }
}

/* Not-a-number, too, becomes the lower bound. */
static float between(float low, float x, float high) { return x >= high ? high : x > low ? x : low; }

void mimi_core_run(mimi_core *core, const mimi_core_controls *controls, int offline, const float *in, float *out,
    size_t n) {
    const size_t codebooks = (size_t)between(1, controls->codebooks, (float)core->codebooks);
    const float loss = between(0, controls->loss, 100), target = between(0, controls->wet, 100) / 100;
    const int at_once = core->has_worker && (offline || n > core->frame);
    if (!core->started) {
        core->mix = target;
        core->started = 1;
    }
    if (at_once)
        pthread_mutex_lock(&core->working);
    while (n > 0) {
        const size_t now = n < PIECE ? n : PIECE;
        float wet[PIECE];
        if (through_codec(core, codebooks, loss, at_once, in, wet, now) != MIMI_OK)
            memset(wet, 0, sizeof wet);
        blend(core, target, in, wet, out, now);
        in += now;
        out += now;
        n -= now;
    }
    if (at_once)
        pthread_mutex_unlock(&core->working);
}
