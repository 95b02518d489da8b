/* The effect itself, without a plug-in format: mono audio in, the same audio through the codec out. */
#ifndef MIMI_CORE_H
#define MIMI_CORE_H

#include <stddef.h>
#include <stdint.h>

typedef struct mimi_core mimi_core;

/* Who does the work of the network. */
typedef enum {
    MIMI_CORE_SPREAD, /* the audio thread, in equal shares */
    MIMI_CORE_WORKER  /* a thread of the core's own; the audio thread only copies */
} mimi_core_kind;

/* What the user sets. Numbers out of range are taken as the nearest in range. */
typedef struct {
    float codebooks; /* 1 to MIMI_CORE_CODEBOOKS; more than the model has are as many as it has */
    float loss;      /* frames that are lost on the way, 0 to 100 % */
    float wet;       /* 0 % is the dry signal, delayed so that it lines up; 100 % is the codec alone */
} mimi_core_controls;

#define MIMI_CORE_CODEBOOKS 32
#define MIMI_CORE_DEFAULTS {8.0f, 0.0f, 100.0f}

/* Loads `model`, or shares it with the process's other cores. All memory is allocated here. NULL on failure, with the
   reason in `why`. */
mimi_core *mimi_core_new(const char *model, double rate, mimi_core_kind kind, char *why, size_t why_size);

/* The samples by which the output is delayed. */
uint32_t mimi_core_latency(const mimi_core *core);

/* Audio thread. Any number of samples; `out` may be `in`. It allocates nothing and does not wait, with one exception:
   with MIMI_CORE_WORKER, `offline` makes this call do the work itself, after waiting for the worker. Then the result
   does not depend on threads; otherwise it is the same. Blocks longer than a frame, 80 ms, are done likewise. */
void mimi_core_run(mimi_core *core, const mimi_core_controls *controls, int offline, const float *in, float *out,
    size_t n);

/* As new, and as if the next controls had always been set. May wait for a worker. */
void mimi_core_reset(mimi_core *core);

void mimi_core_free(mimi_core *core);

#endif
