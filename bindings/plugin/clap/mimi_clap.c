/* The effect as a CLAP plug-in: two of them, of which the second has a thread of its own. */
#include "../mimi_core.h"

#include <clap/clap.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CODEBOOKS, LOSS, WET, PARAMETERS };

static const struct {
    const char *name, *unit;
    double min, max, otherwise;
    clap_param_info_flags flags;
} parameters[PARAMETERS] = {
    {"Codebooks", "", 1, MIMI_CORE_CODEBOOKS, 8, CLAP_PARAM_IS_AUTOMATABLE | CLAP_PARAM_IS_STEPPED},
    {"Loss", " %", 0, 100, 0, CLAP_PARAM_IS_AUTOMATABLE},
    {"Wet", " %", 0, 100, 100, CLAP_PARAM_IS_AUTOMATABLE},
};

/* What a state begins with; then come the parameters, as 32-bit floats. */
static const unsigned char magic[4] = {'m', 'i', 'm', '1'};

static const char *const features[] = {CLAP_PLUGIN_FEATURE_AUDIO_EFFECT, CLAP_PLUGIN_FEATURE_MONO, NULL};
static const clap_plugin_descriptor_t descriptors[] = {
    {CLAP_VERSION_INIT, "com.github.libmimi.mimi", "Mimi", "libmimi", "", "", "", "0.1.0",
        "What a voice sounds like through the Mimi codec", features},
    {CLAP_VERSION_INIT, "com.github.libmimi.mimi-worker", "Mimi with a thread", "libmimi", "", "", "", "0.1.0",
        "Mimi, whose work is done by a thread of its own", features},
};

/* The weights: see entry_init. */
static char model[4096];

typedef struct {
    clap_plugin_t base;
    const clap_host_t *host;
    mimi_core *core; /* while it is active */
    _Atomic float values[PARAMETERS];
    atomic_int offline;
} plugin;

static plugin *of(const clap_plugin_t *base) { return base->plugin_data; }

static void set(plugin *self, clap_id id, double value) {
    if (id < PARAMETERS)
        atomic_store(&self->values[id], (float)value);
}

/* Parameters */

static uint32_t params_count(const clap_plugin_t *base) {
    (void)base;
    return PARAMETERS;
}

static bool params_info(const clap_plugin_t *base, uint32_t index, clap_param_info_t *info) {
    (void)base;
    if (index >= PARAMETERS)
        return false;
    memset(info, 0, sizeof *info);
    info->id = index;
    info->flags = parameters[index].flags;
    info->min_value = parameters[index].min;
    info->max_value = parameters[index].max;
    info->default_value = parameters[index].otherwise;
    snprintf(info->name, sizeof info->name, "%s", parameters[index].name);
    return true;
}

static bool params_value(const clap_plugin_t *base, clap_id id, double *value) {
    if (id >= PARAMETERS)
        return false;
    *value = atomic_load(&of(base)->values[id]);
    return true;
}

static bool params_to_text(const clap_plugin_t *base, clap_id id, double value, char *text, uint32_t size) {
    (void)base;
    if (id >= PARAMETERS)
        return false;
    snprintf(text, size, "%.0f%s", value, parameters[id].unit);
    return true;
}

static bool params_from_text(const clap_plugin_t *base, clap_id id, const char *text, double *value) {
    (void)base;
    char *end;
    *value = strtod(text, &end);
    return id < PARAMETERS && end != text;
}

static void take(plugin *self, const clap_event_header_t *header) {
    if (header->space_id == CLAP_CORE_EVENT_SPACE_ID && header->type == CLAP_EVENT_PARAM_VALUE) {
        const clap_event_param_value_t *event = (const clap_event_param_value_t *)header;
        set(self, event->param_id, event->value);
    }
}

static void params_flush(const clap_plugin_t *base, const clap_input_events_t *in, const clap_output_events_t *out) {
    (void)out;
    for (uint32_t i = 0; i < in->size(in); i++)
        take(of(base), in->get(in, i));
}

static const clap_plugin_params_t params = {params_count, params_info, params_value, params_to_text, params_from_text,
    params_flush};

/* State */

static bool state_save(const clap_plugin_t *base, const clap_ostream_t *stream) {
    unsigned char bytes[sizeof magic + 4 * PARAMETERS];
    memcpy(bytes, magic, sizeof magic);
    for (size_t id = 0; id < PARAMETERS; id++) {
        const float value = atomic_load(&of(base)->values[id]);
        uint32_t bits;
        memcpy(&bits, &value, 4);
        for (size_t i = 0; i < 4; i++)
            bytes[sizeof magic + 4 * id + i] = (unsigned char)(bits >> 8 * i);
    }
    for (size_t at = 0; at < sizeof bytes;) {
        const int64_t written = stream->write(stream, bytes + at, sizeof bytes - at);
        if (written <= 0)
            return false;
        at += (size_t)written;
    }
    return true;
}

static bool state_load(const clap_plugin_t *base, const clap_istream_t *stream) {
    unsigned char bytes[sizeof magic + 4 * PARAMETERS];
    for (size_t at = 0; at < sizeof bytes;) {
        const int64_t read = stream->read(stream, bytes + at, sizeof bytes - at);
        if (read <= 0)
            return false;
        at += (size_t)read;
    }
    if (memcmp(bytes, magic, sizeof magic) != 0)
        return false;
    for (clap_id id = 0; id < PARAMETERS; id++) {
        uint32_t bits = 0;
        float value;
        for (size_t i = 0; i < 4; i++)
            bits |= (uint32_t)bytes[sizeof magic + 4 * id + i] << 8 * i;
        memcpy(&value, &bits, 4);
        if (!(value >= parameters[id].min && value <= parameters[id].max))
            value = (float)parameters[id].otherwise;
        set(of(base), id, value);
    }
    return true;
}

static const clap_plugin_state_t state = {state_save, state_load};

/* One mono port on either side */

static uint32_t ports_count(const clap_plugin_t *base, bool is_input) {
    (void)base;
    (void)is_input;
    return 1;
}

static bool ports_get(const clap_plugin_t *base, uint32_t index, bool is_input, clap_audio_port_info_t *info) {
    (void)base;
    if (index != 0)
        return false;
    memset(info, 0, sizeof *info);
    snprintf(info->name, sizeof info->name, "%s", is_input ? "In" : "Out");
    info->flags = CLAP_AUDIO_PORT_IS_MAIN;
    info->channel_count = 1;
    info->port_type = CLAP_PORT_MONO;
    info->in_place_pair = 0;
    return true;
}

static const clap_plugin_audio_ports_t audio_ports = {ports_count, ports_get};

/* Latency, and rendering to a file */

static uint32_t latency_get(const clap_plugin_t *base) {
    return of(base)->core ? mimi_core_latency(of(base)->core) : 0;
}

static const clap_plugin_latency_t latency = {latency_get};

static bool render_is_hard(const clap_plugin_t *base) {
    (void)base;
    return false;
}

static bool render_set(const clap_plugin_t *base, clap_plugin_render_mode mode) {
    atomic_store(&of(base)->offline, mode == CLAP_RENDER_OFFLINE);
    return true;
}

static const clap_plugin_render_t render = {render_is_hard, render_set};

/* The plug-in */

static bool init(const clap_plugin_t *base) {
    (void)base;
    return true;
}

static bool activate(const clap_plugin_t *base, double rate, uint32_t min_frames, uint32_t max_frames) {
    plugin *self = of(base);
    char why[1200];
    (void)min_frames;
    (void)max_frames;
    self->core = mimi_core_new(model, rate, base->desc == &descriptors[1] ? MIMI_CORE_WORKER : MIMI_CORE_SPREAD, why,
        sizeof why);
    if (self->core)
        return true;
    const clap_host_log_t *log = self->host->get_extension(self->host, CLAP_EXT_LOG);
    if (log)
        log->log(self->host, CLAP_LOG_ERROR, why);
    return false;
}

static void deactivate(const clap_plugin_t *base) {
    mimi_core_free(of(base)->core);
    of(base)->core = NULL;
}

static void destroy(const clap_plugin_t *base) {
    deactivate(base);
    free(of(base));
}

static bool start_processing(const clap_plugin_t *base) {
    (void)base;
    return true;
}

static void stop_processing(const clap_plugin_t *base) { (void)base; }

static void reset(const clap_plugin_t *base) { mimi_core_reset(of(base)->core); }

/* From event to event. */
static clap_process_status process(const clap_plugin_t *base, const clap_process_t *process) {
    plugin *self = of(base);
    const uint32_t events = process->in_events->size(process->in_events);
    uint32_t at = 0;
    if (process->audio_inputs_count != 1 || process->audio_outputs_count != 1)
        return CLAP_PROCESS_ERROR;
    for (uint32_t i = 0; i <= events; i++) {
        const clap_event_header_t *event = i < events ? process->in_events->get(process->in_events, i) : NULL;
        const uint32_t end = event && event->time < process->frames_count ? event->time : process->frames_count;
        if (end > at) {
            const mimi_core_controls controls = {self->values[CODEBOOKS], self->values[LOSS], self->values[WET]};
            mimi_core_run(self->core, &controls, atomic_load(&self->offline), process->audio_inputs[0].data32[0] + at,
                process->audio_outputs[0].data32[0] + at, end - at);
            at = end;
        }
        if (event)
            take(self, event);
    }
    return CLAP_PROCESS_CONTINUE;
}

static const void *get_extension(const clap_plugin_t *base, const char *id) {
    (void)base;
    return strcmp(id, CLAP_EXT_PARAMS) == 0        ? (const void *)&params
           : strcmp(id, CLAP_EXT_STATE) == 0       ? (const void *)&state
           : strcmp(id, CLAP_EXT_AUDIO_PORTS) == 0 ? (const void *)&audio_ports
           : strcmp(id, CLAP_EXT_LATENCY) == 0     ? (const void *)&latency
           : strcmp(id, CLAP_EXT_RENDER) == 0      ? (const void *)&render
                                                   : NULL;
}

static void on_main_thread(const clap_plugin_t *base) { (void)base; }

/* The factory, and the entry to the library */

static uint32_t factory_count(const clap_plugin_factory_t *factory) {
    (void)factory;
    return sizeof descriptors / sizeof *descriptors;
}

static const clap_plugin_descriptor_t *factory_descriptor(const clap_plugin_factory_t *factory, uint32_t index) {
    return index < factory_count(factory) ? &descriptors[index] : NULL;
}

static const clap_plugin_t *factory_create(const clap_plugin_factory_t *factory, const clap_host_t *host,
    const char *id) {
    for (uint32_t i = 0; i < factory_count(factory); i++) {
        plugin *self = strcmp(id, descriptors[i].id) == 0 ? calloc(1, sizeof *self) : NULL;
        if (!self)
            continue;
        self->host = host;
        for (clap_id k = 0; k < PARAMETERS; k++)
            set(self, k, parameters[k].otherwise);
        self->base = (clap_plugin_t){&descriptors[i], self, init, destroy, activate, deactivate, start_processing,
            stop_processing, reset, process, get_extension, on_main_thread};
        return &self->base;
    }
    return NULL;
}

static const clap_plugin_factory_t factory = {factory_count, factory_descriptor, factory_create};

static bool exists(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file)
        fclose(file);
    return file != NULL;
}

/* The weights are beside the .clap, or where bundles of macOS and VST3 have such files. If they are nowhere, the first
   of these paths is what a user is told. */
static bool entry_init(const char *path) {
    const char *slash = strrchr(path, '/');
    const int folder = slash ? (int)(slash - path + 1) : 0;
    char other[sizeof model];
    if (snprintf(model, sizeof model, "%.*smodel.safetensors", folder, path) >= (int)sizeof model)
        return false;
    if (exists(model))
        return true;
    if (snprintf(other, sizeof other, "%.*s../Resources/model.safetensors", folder, path) < (int)sizeof other &&
        exists(other))
        strcpy(model, other);
    else if (snprintf(other, sizeof other, "%s/Contents/Resources/model.safetensors", path) < (int)sizeof other &&
             exists(other))
        strcpy(model, other);
    return true;
}

static void entry_deinit(void) {}

static const void *entry_factory(const char *id) {
    return strcmp(id, CLAP_PLUGIN_FACTORY_ID) == 0 ? &factory : NULL;
}

CLAP_EXPORT const clap_plugin_entry_t clap_entry = {CLAP_VERSION_INIT, entry_init, entry_deinit, entry_factory};
