/* clap_host CLAP ID RATE BLOCK MODE IN OUT [AT:PARAMETER:VALUE]...: a host for tests. It renders IN to OUT, raw 32-bit
   floats, and prints the latency, the RMS and the peak of OUT, and the processor's microseconds in the longest call.

   BLOCK 0: blocks of many lengths. MODE: `offline`, `live`, or a number: live, that many times slower than real time.
   The state is saved and loaded into a second instance, which must render the same; then it is reset, and again. So a
   parameter that changes must be given at 0, too. */
#include <clap/clap.h>

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHECK(what)                                                                                                    \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);                                                 \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

#define MOST (1 << 22)
#define LONGEST 9000

static float in[MOST], out[MOST], again[MOST];
static size_t samples;
static char **changes;
static int n_changes;
static float seconds_of[MOST]; /* each call's, in the quickest of several renderings */

static void log_message(const clap_host_t *host, clap_log_severity severity, const char *message) {
    (void)host;
    fprintf(stderr, "log, %d: %s\n", severity, message);
}

static const clap_host_log_t logger = {log_message};

static const void *host_extension(const clap_host_t *host, const char *id) {
    (void)host;
    return strcmp(id, CLAP_EXT_LOG) == 0 ? &logger : NULL;
}

static void nothing(const clap_host_t *host) { (void)host; }

static const clap_host_t host = {CLAP_VERSION_INIT, NULL, "clap_host", "libmimi", "", "1", host_extension, nothing,
    nothing, nothing};

/* The changes of one block, in the order of the command line, which is that of time. */
static clap_event_param_value_t events[16];
static uint32_t n_events;

static uint32_t events_size(const clap_input_events_t *list) {
    (void)list;
    return n_events;
}

static const clap_event_header_t *events_get(const clap_input_events_t *list, uint32_t i) {
    (void)list;
    return &events[i].header;
}

static bool events_push(const clap_output_events_t *list, const clap_event_header_t *event) {
    (void)list;
    (void)event;
    return true;
}

static const clap_input_events_t in_events = {NULL, events_size, events_get};
static const clap_output_events_t out_events = {NULL, events_push};

static void gather(size_t at, size_t n) {
    n_events = 0;
    for (int i = 0; i < n_changes; i++) {
        unsigned long when, id;
        double value;
        CHECK(sscanf(changes[i], "%lu:%lu:%lf", &when, &id, &value) == 3);
        if (when < at || when >= at + n)
            continue;
        CHECK(n_events < 16);
        clap_event_param_value_t *event = &events[n_events++];
        memset(event, 0, sizeof *event);
        event->header.size = sizeof *event;
        event->header.time = (uint32_t)(when - at);
        event->header.space_id = CLAP_CORE_EVENT_SPACE_ID;
        event->header.type = CLAP_EVENT_PARAM_VALUE;
        event->param_id = (clap_id)id;
        event->note_id = -1;
        event->port_index = event->channel = event->key = -1;
        event->value = value;
    }
}

static double seconds(clockid_t clock) {
    struct timespec t;
    CHECK(clock_gettime(clock, &t) == 0);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* In place, as some hosts do, if `to` has the input already. */
static void play(const clap_plugin_t *plugin, size_t block, double slow, double rate, float *to, bool in_place) {
    uint32_t random = 1;
    size_t call = 0;
    const double start = seconds(CLOCK_MONOTONIC);
    if (in_place)
        memcpy(to, in, samples * sizeof *to);
    for (size_t at = 0, n; at < samples; at += n) {
        random = random * 1664525 + 1013904223;
        n = block ? block : 1 + (random >> 8) % (random >> 31 ? 32 : LONGEST);
        n = n < samples - at ? n : samples - at;
        gather(at, n);
        float *source = (in_place ? to : in) + at, *sink = to + at;
        clap_audio_buffer_t from = {&source, NULL, 1, 0, 0}, into = {&sink, NULL, 1, 0, 0};
        const clap_process_t process = {(int64_t)at, (uint32_t)n, NULL, &from, &into, 1, 1, &in_events, &out_events};
        const double before = seconds(CLOCK_THREAD_CPUTIME_ID);
        CHECK(plugin->process(plugin, &process) == CLAP_PROCESS_CONTINUE);
        const float took = (float)(seconds(CLOCK_THREAD_CPUTIME_ID) - before);
        seconds_of[call] = seconds_of[call] > 0 && seconds_of[call] < took ? seconds_of[call] : took;
        call++;
        const double ahead = (double)(at + n) / rate * slow - (seconds(CLOCK_MONOTONIC) - start);
        if (slow > 0 && ahead > 0) {
            const struct timespec wait = {(time_t)ahead, (long)((ahead - (double)(time_t)ahead) * 1e9)};
            nanosleep(&wait, NULL);
        }
    }
}

static unsigned char saved[256];
static uint64_t n_saved, n_loaded;

/* A byte at a time, which a host may. */
static int64_t save_byte(const clap_ostream_t *stream, const void *bytes, uint64_t n) {
    (void)stream;
    CHECK(n > 0 && n_saved < sizeof saved);
    saved[n_saved++] = *(const unsigned char *)bytes;
    return 1;
}

static int64_t load_byte(const clap_istream_t *stream, void *bytes, uint64_t n) {
    (void)stream;
    CHECK(n > 0);
    if (n_loaded == n_saved)
        return 0;
    *(unsigned char *)bytes = saved[n_loaded++];
    return 1;
}

static const clap_plugin_t *open_plugin(const clap_plugin_factory_t *factory, const char *id, double rate, bool offline) {
    const clap_plugin_t *plugin = factory->create_plugin(factory, &host, id);
    CHECK(plugin && plugin->init(plugin));
    const clap_plugin_render_t *render = plugin->get_extension(plugin, CLAP_EXT_RENDER);
    CHECK(render && render->set(plugin, offline ? CLAP_RENDER_OFFLINE : CLAP_RENDER_REALTIME));
    CHECK(plugin->activate(plugin, rate, 1, LONGEST) && plugin->start_processing(plugin));
    return plugin;
}

static void close_plugin(const clap_plugin_t *plugin) {
    plugin->stop_processing(plugin);
    plugin->deactivate(plugin);
    plugin->destroy(plugin);
}

static void check_parameters(const clap_plugin_t *plugin, const clap_plugin_t *other) {
    const clap_plugin_params_t *params = plugin->get_extension(plugin, CLAP_EXT_PARAMS);
    const clap_plugin_state_t *state = plugin->get_extension(plugin, CLAP_EXT_STATE);
    const clap_ostream_t save = {NULL, save_byte};
    const clap_istream_t load = {NULL, load_byte};
    CHECK(params && state && params->count(plugin) == 3 && state->save(plugin, &save) && state->load(other, &load));
    CHECK(n_loaded == n_saved && !state->load(other, &load)); /* nothing is left */
    for (uint32_t i = 0; i < 3; i++) {
        clap_param_info_t info;
        double here, there, read;
        char text[64];
        CHECK(params->get_info(plugin, i, &info) && params->get_value(plugin, info.id, &here));
        CHECK(params->get_value(other, info.id, &there) && here == there && here >= info.min_value);
        CHECK(params->value_to_text(plugin, info.id, here, text, sizeof text));
        CHECK(params->text_to_value(plugin, info.id, text, &read) && read == here);
    }
    saved[0] ^= 1; /* another program's */
    n_loaded = 0;
    CHECK(!state->load(other, &load));
}

int main(int argc, char **argv) {
    CHECK(argc >= 8);
    const double rate = atof(argv[3]), slow = atof(argv[5]);
    const size_t block = (size_t)atol(argv[4]);
    FILE *file = fopen(argv[6], "rb");
    CHECK(file && (samples = fread(in, sizeof *in, MOST, file)) > 0 && fclose(file) == 0);
    changes = argv + 8;
    n_changes = argc - 8;

    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!library)
        fprintf(stderr, "%s\n", dlerror());
    CHECK(library);
    const clap_plugin_entry_t *entry = dlsym(library, "clap_entry");
    CHECK(entry && entry->init(argv[1]));
    const clap_plugin_factory_t *factory = entry->get_factory(CLAP_PLUGIN_FACTORY_ID);
    CHECK(factory && factory->get_plugin_count(factory) == 2);
    const bool offline = strcmp(argv[5], "offline") == 0;
    const clap_plugin_t *plugin = open_plugin(factory, argv[2], rate, offline);
    const clap_plugin_latency_t *latency = plugin->get_extension(plugin, CLAP_EXT_LATENCY);
    CHECK(latency);
    play(plugin, block, slow, rate, out, false);
    double sum = 0, peak = 0;
    for (size_t i = 0; i < samples; i++) {
        CHECK(isfinite(out[i]));
        sum += (double)out[i] * out[i];
        peak = fmax(peak, fabs((double)out[i]));
    }
    const uint32_t reported = latency->get(plugin);

    if (slow == 0) {
        const clap_plugin_t *other = open_plugin(factory, argv[2], rate, offline);
        check_parameters(plugin, other);
        for (int round = 0; round < 2; round++) {
            play(other, block, slow, rate, again, true);
            CHECK(memcmp(out, again, samples * sizeof *out) == 0);
            other->reset(other);
        }
        close_plugin(other);
    }
    float longest = 0;
    for (size_t i = 0; i < samples; i++)
        longest = seconds_of[i] > longest ? seconds_of[i] : longest;
    printf("%u %.6f %.6f %.0f\n", reported, sqrt(sum / (double)samples), peak, (double)longest * 1e6);
    close_plugin(plugin);
    entry->deinit();
    CHECK(dlclose(library) == 0);
    file = fopen(argv[7], "wb");
    CHECK(file && fwrite(out, sizeof *out, samples, file) == samples && fclose(file) == 0);
    return 0;
}
