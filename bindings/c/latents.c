/*
 * latents MODEL: latents of a language model to sound in an audio callback, such as those of Pocket TTS: 12.5 a
 * second, each of 32 floats for 1920 samples.
 *
 *     ./latents model.safetensors < latents | ffplay -f f32le -ar 24000 -
 *
 * The thread of the language model decodes each latent as soon as it has it, and puts the sound into a ring. The audio
 * callback only copies: to decode a frame takes longer than some callbacks may take. Here stdin stands for the language
 * model, and stdout for the sound card.
 *
 * C11, with POSIX threads. Build: cc -std=c11 latents.c $(pkg-config --cflags --libs mimi) -lpthread -o latents
 */
#define _POSIX_C_SOURCE 200809L /* for nanosleep */
#include <mimi.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { RING = 1 << 13, BLOCK = 480 }; /* samples: 340 ms, a power of two; 20 ms */

/* Samples on their way from one thread to one other. Neither ever waits for a lock. */
typedef struct {
    float samples[RING];
    atomic_size_t written, read; /* since the beginning; only the difference matters when they wrap */
    atomic_int ended;            /* nothing more will be written */
} ring;

/* The thread of the language model. Takes as many samples as there is room for. */
static size_t ring_write(ring *r, const float *from, size_t count) {
    const size_t at = atomic_load_explicit(&r->written, memory_order_relaxed);
    const size_t room = RING - (at - atomic_load_explicit(&r->read, memory_order_acquire));
    const size_t n = count < room ? count : room;
    for (size_t i = 0; i < n; i++)
        r->samples[(at + i) % RING] = from[i];
    atomic_store_explicit(&r->written, at + n, memory_order_release);
    return n;
}

/* The audio callback: fills the block, with silence where no sound is there. Returns how much sound there was. */
static size_t callback(ring *r, float *block, size_t count) {
    const size_t at = atomic_load_explicit(&r->read, memory_order_relaxed);
    const size_t there = atomic_load_explicit(&r->written, memory_order_acquire) - at;
    const size_t n = count < there ? count : there;
    for (size_t i = 0; i < count; i++)
        block[i] = i < n ? r->samples[(at + i) % RING] : 0.0f;
    atomic_store_explicit(&r->read, at + n, memory_order_release);
    return n;
}

static void wait_a_little(void) {
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

typedef struct {
    mimi_decoder *decoder;
    size_t dim, frame; /* values in a latent, samples of its sound */
    ring *sound;
    int failed;
} speaker;

/* The thread of the language model. A decoder is used by one thread at a time; here it is always this one. */
static void *speak(void *argument) {
    speaker *s = argument;
    float *latent = calloc(s->dim, sizeof *latent), *pcm = calloc(s->frame, sizeof *pcm);
    s->failed = !latent || !pcm;
    size_t values;
    while (!s->failed && (values = fread(latent, sizeof *latent, s->dim, stdin)) > 0) {
        size_t samples, sent = 0;
        /* nothing is allocated; a latent that broke off is MIMI_ERR_INVALID_ARGUMENT */
        const mimi_status status = mimi_decoder_process_latents(s->decoder, latent, values, pcm, s->frame, &samples);
        if (status != MIMI_OK) {
            fprintf(stderr, "decoding: %s\n", mimi_status_string(status));
            s->failed = 1;
            break;
        }
        /* the ring is full while the language model is ahead */
        while ((sent += ring_write(s->sound, pcm + sent, samples - sent)) < samples)
            wait_a_little();
    }
    free(latent);
    free(pcm);
    atomic_store(&s->sound->ended, 1);
    return NULL;
}

static int fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    return 1;
}

int main(int argc, char **argv) {
    static ring sound;
    if (argc != 2)
        return fail("usage: latents MODEL");
    mimi_model *model;
    mimi_decoder *decoder;
    int64_t dim, frame;
    if (mimi_load(argv[1], NULL, &model) != MIMI_OK || mimi_decoder_new(model, NULL, &decoder) != MIMI_OK)
        return fail(mimi_last_error());
    mimi_free(model); /* the decoder keeps what it needs */
    if (mimi_decoder_get(decoder, MIMI_PROP_LATENT_DIM, &dim) != MIMI_OK ||
        mimi_decoder_get(decoder, MIMI_PROP_FRAME_SAMPLES, &frame) != MIMI_OK)
        return fail("the decoder has no latents");

    speaker s = {decoder, (size_t)dim, (size_t)frame, &sound, 0};
    pthread_t thread;
    if (pthread_create(&thread, NULL, speak, &s) != 0)
        return fail("no thread");
    for (;;) { /* the sound card calls every 20 ms; this one writes no silence, and is in a hurry */
        float block[BLOCK];
        const int ended = atomic_load(&sound.ended); /* asked first: what was written before is then there */
        const size_t n = callback(&sound, block, BLOCK);
        if (fwrite(block, sizeof *block, n, stdout) != n || fflush(stdout) != 0) {
            perror("stdout");
            return 1;
        }
        if (n == 0 && ended)
            break;
        if (n == 0)
            wait_a_little();
    }
    pthread_join(thread, NULL);
    mimi_decoder_free(decoder);
    return s.failed;
}
