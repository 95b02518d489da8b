/* The effect as an LV2 plug-in: two of them, of which the second has a thread of its own. */
#include "../mimi_core.h"

#include <lv2/core/lv2.h>
#include <lv2/log/log.h>
#include <lv2/urid/urid.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIMI_URI "https://github.com/libmimi/libmimi/plugin"

/* As in mimi.ttl. */
enum { IN, OUT, CODEBOOKS, LOSS, WET, LATENCY, FREE_WHEELING, PORTS };

typedef struct {
    mimi_core *core;
    float *port[PORTS];
} plugin;

static const void *find(const LV2_Feature *const *features, const char *uri) {
    for (; features && *features; features++)
        if (strcmp((*features)->URI, uri) == 0)
            return (*features)->data;
    return NULL;
}

/* The reason for a failure goes to the host's log, or to stderr if it has none. */
static void tell(const LV2_Feature *const *features, const char *why) {
    const LV2_Log_Log *log = find(features, LV2_LOG__log);
    const LV2_URID_Map *map = find(features, LV2_URID__map);
    if (log && map)
        log->printf(log->handle, map->map(map->handle, LV2_LOG__Error), "Mimi: %s\n", why);
    else
        fprintf(stderr, "Mimi: %s\n", why);
}

static LV2_Handle instantiate(const LV2_Descriptor *descriptor, double rate, const char *bundle,
    const LV2_Feature *const *features) {
    const mimi_core_kind kind = strcmp(descriptor->URI, MIMI_URI) == 0 ? MIMI_CORE_SPREAD : MIMI_CORE_WORKER;
    char why[1200] = "out of memory";
    const size_t size = strlen(bundle) + sizeof "model.safetensors";
    plugin *self = calloc(1, sizeof *self);
    char *model = malloc(size);
    if (self && model) {
        snprintf(model, size, "%smodel.safetensors", bundle); /* a bundle's path ends with a separator */
        self->core = mimi_core_new(model, rate, kind, why, sizeof why);
    }
    free(model);
    if (self && self->core)
        return self;
    tell(features, why);
    free(self);
    return NULL;
}

static void connect_port(LV2_Handle instance, uint32_t port, void *data) {
    plugin *self = instance;
    if (port < PORTS)
        self->port[port] = data;
}

static void activate(LV2_Handle instance) {
    plugin *self = instance;
    mimi_core_reset(self->core);
}

static void run(LV2_Handle instance, uint32_t n) {
    plugin *self = instance;
    const mimi_core_controls controls = {*self->port[CODEBOOKS], *self->port[LOSS], *self->port[WET]};
    *self->port[LATENCY] = (float)mimi_core_latency(self->core);
    mimi_core_run(self->core, &controls, *self->port[FREE_WHEELING] > 0, self->port[IN], self->port[OUT], n);
}

static void cleanup(LV2_Handle instance) {
    plugin *self = instance;
    mimi_core_free(self->core);
    free(self);
}

static const LV2_Descriptor descriptors[] = {
    {MIMI_URI, instantiate, connect_port, activate, run, NULL, cleanup, NULL},
    {MIMI_URI "#worker", instantiate, connect_port, activate, run, NULL, cleanup, NULL},
};

LV2_SYMBOL_EXPORT const LV2_Descriptor *lv2_descriptor(uint32_t index) {
    return index < sizeof descriptors / sizeof *descriptors ? &descriptors[index] : NULL;
}
