/*
 * libmimi as a GDExtension for Godot 4.2 and later: MimiModel, MimiCapture (microphone to packets) and MimiStream
 * (packets to an AudioStream). A packet is a frame of codes, as mimi_pack() makes it.
 *
 * Build: see README.md. mimi.h is the manual.
 */
#include "classes.h"

#include <mimi.h>

#include <stdatomic.h>
#include <stdlib.h>

enum { MOST_BOOKS = 64, PACKET_ROOM = 2 * MOST_BOOKS, BLOCK = 512 };

#define INT GDEXTENSION_VARIANT_TYPE_INT
#define OBJECT GDEXTENSION_VARIANT_TYPE_OBJECT
#define STRING GDEXTENSION_VARIANT_TYPE_STRING
#define BYTES GDEXTENSION_VARIANT_TYPE_PACKED_BYTE_ARRAY
#define FRAMES GDEXTENSION_VARIANT_TYPE_PACKED_VECTOR2_ARRAY
#define COUNT(array) (sizeof(array) / sizeof *(array))
#define METHOD(name)                                                                                            \
    static void name(void *user, GDExtensionClassInstancePtr self, const GDExtensionConstTypePtr *arguments,    \
                     GDExtensionTypePtr result)
#define VIRTUAL(name)                                                                                           \
    static void name(GDExtensionClassInstancePtr self, const GDExtensionConstTypePtr *arguments,                \
                     GDExtensionTypePtr result)

static int64_t int_argument(GDExtensionConstTypePtr argument) { return *(const int64_t *)argument; }
static void return_int(GDExtensionTypePtr result, int64_t value) { *(int64_t *)result = value; }

/* What the methods that open something return: "" or what is wrong. */
static void return_opened(GDExtensionTypePtr result, mimi_status status) {
    const char *wrong = mimi_last_error();
    return_string(result, status == MIMI_OK ? "" : *wrong ? wrong : mimi_status_string(status));
}

/* ---- MimiModel: load(bytes of model.safetensors) -> String, "" if it is loaded ---- */

typedef struct {
    class_ *class;
    mimi_model *model;
} model_object;

static void model_close(void *self) { mimi_free(((model_object *)self)->model); }

METHOD(model_load) {
    (void)user;
    model_object *object = self;
    size_t len = packed_size(BYTES, arguments[0]);
    mimi_model *model;
    mimi_status status = mimi_load_memory(
        len ? godot.packed_byte_array_operator_index_const(arguments[0], 0) : NULL, len, NULL, &model);
    if (status == MIMI_OK) {
        mimi_free(object->model);
        object->model = model;
    }
    return_opened(result, status);
}

static const method model_methods[] = {{"load", model_load, STRING, 1, {{"bytes", BYTES}}}};

static class_ model_class = {"MimiModel",   "RefCounted",         sizeof(model_object), model_close,
                             model_methods, COUNT(model_methods), NULL,                 0,           {NULL}};

/* Options of MimiCapture and MimiStream, and the numbers that their packets need. NULL if something is wrong. */
static mimi_options *options_for(const model_object *object, int64_t rate, int64_t books, int64_t buffer,
                                 int64_t *bits) {
    mimi_options *options = mimi_options_new();
    if (options && mimi_model_get(object ? object->model : NULL, MIMI_PROP_CODE_BITS, bits) == MIMI_OK &&
        mimi_options_set(options, MIMI_OPT_SAMPLE_RATE, rate) == MIMI_OK &&
        mimi_options_set(options, MIMI_OPT_CODEBOOKS, books) == MIMI_OK &&
        mimi_options_set(options, MIMI_OPT_BUFFER_FRAMES, buffer) == MIMI_OK)
        return options;
    mimi_options_free(options);
    return NULL;
}

/* ---- MimiCapture: open(model, rate, codebooks) -> String, write(frames) -> status, read() -> a packet or none ---- */

typedef struct {
    class_ *class;
    mimi_capture *capture;
    int64_t books, bits;
} capture_object;

static void capture_close(void *self) { mimi_capture_free(((capture_object *)self)->capture); }

METHOD(capture_open) {
    (void)user;
    capture_object *object = self;
    const model_object *from = class_object(&model_class, arguments[0]);
    int64_t bits, books = int_argument(arguments[2]);
    mimi_options *options = options_for(from, int_argument(arguments[1]), books, 0, &bits);
    mimi_capture *capture = NULL;
    mimi_status status = options ? mimi_capture_new(from->model, options, &capture) : MIMI_ERR_INVALID_ARGUMENT;
    if (status == MIMI_OK && (status = mimi_capture_get(capture, MIMI_PROP_CODEBOOKS, &books)) == MIMI_OK) {
        mimi_capture_free(object->capture);
        *object = (capture_object){object->class, capture, books, bits};
    }
    return_opened(result, status);
    mimi_options_free(options);
}

/* What AudioEffectCapture.get_buffer() gives: the left channel is taken. */
METHOD(capture_write) {
    (void)user;
    const capture_object *object = self;
    size_t left = packed_size(FRAMES, arguments[0]);
    const float *stereo = left ? godot.packed_vector2_array_operator_index_const(arguments[0], 0) : NULL;
    mimi_status status = MIMI_OK;
    while (left > 0 && status == MIMI_OK) {
        float mono[BLOCK];
        size_t n = left < BLOCK ? left : BLOCK;
        for (size_t i = 0; i < n; i++)
            mono[i] = stereo[2 * i];
        status = mimi_capture_write(object->capture, mono, n);
        stereo += 2 * n;
        left -= n;
    }
    return_int(result, status);
}

METHOD(capture_read) {
    (void)user;
    (void)arguments;
    const capture_object *object = self;
    uint32_t codes[MOST_BOOKS];
    unsigned char packet[PACKET_ROOM], *bytes;
    size_t n = 0, len = 0;
    mimi_status status = mimi_capture_read(object->capture, codes, (size_t)object->books, &n);
    if (status == MIMI_OK && n > 0)
        status = mimi_pack(codes, n, object->books, object->bits, packet, sizeof packet, &len);
    bytes = return_bytes(result, status == MIMI_OK ? len : 0);
    for (size_t i = 0; bytes && i < len; i++)
        bytes[i] = packet[i];
}

static const method capture_methods[] = {
    {"open", capture_open, STRING, 3, {{"model", OBJECT}, {"sample_rate", INT}, {"codebooks", INT}}},
    {"write", capture_write, INT, 1, {{"frames", FRAMES}}},
    {"read", capture_read, BYTES, 0, {{NULL, INT}}},
};

static class_ capture_class = {"MimiCapture",    "RefCounted", sizeof(capture_object), capture_close, capture_methods,
                               COUNT(capture_methods), NULL, 0, {NULL}};

/* ---- the AudioStream and its AudioStreamPlayback share the playback: the audio thread may keep it longer ---- */

typedef struct {
    atomic_int users;
    mimi_playback *playback;
    int64_t books, bits;
} shared;

static void shared_leave(shared *s) {
    if (s && atomic_fetch_sub(&s->users, 1) == 1) {
        mimi_playback_free(s->playback);
        free(s);
    }
}

typedef struct {
    class_ *class;
    shared *shared;
    atomic_bool playing;
} player_object; /* of both classes */

static void player_close(void *self) { shared_leave(((player_object *)self)->shared); }

VIRTUAL(player_start) {
    (void)arguments;
    (void)result;
    ((player_object *)self)->playing = 1;
}

VIRTUAL(player_stop) {
    (void)arguments;
    (void)result;
    ((player_object *)self)->playing = 0;
}

VIRTUAL(player_is_playing) {
    (void)arguments;
    *(GDExtensionBool *)result = ((player_object *)self)->playing;
}

/* The audio thread. arguments: AudioFrame *, pitch, which a live voice has not, and frames. */
VIRTUAL(player_mix) {
    const player_object *object = self;
    float *stereo = *(float *const *)arguments[0];
    int64_t frames = int_argument(arguments[2]);
    for (int64_t left = frames; left > 0;) {
        float mono[BLOCK] = {0};
        size_t n = left < BLOCK ? (size_t)left : BLOCK;
        (void)!mimi_playback_read(object->shared->playback, mono, n); /* after MIMI_ERR_PANIC nothing is written */
        for (size_t i = 0; i < n; i++, stereo += 2)
            stereo[0] = stereo[1] = mono[i];
        left -= (int64_t)n;
    }
    return_int(result, frames);
}

static const virtual_method player_virtuals[] = {
    {"_start", player_start}, {"_stop", player_stop}, {"_is_playing", player_is_playing}, {"_mix", player_mix}};

static class_ player_class = {"MimiStreamPlayback", "AudioStreamPlayback", sizeof(player_object), player_close, NULL, 0,
                              player_virtuals, COUNT(player_virtuals), {NULL}};

/* ---- MimiStream: open(model, rate, codebooks, frames that wait), write(packet), lost(frames) ---- */

METHOD(stream_open) {
    (void)user;
    player_object *object = self;
    const model_object *from = class_object(&model_class, arguments[0]);
    int64_t bits, books = int_argument(arguments[2]);
    mimi_options *options = options_for(from, int_argument(arguments[1]), books, int_argument(arguments[3]), &bits);
    mimi_playback *playback = NULL;
    mimi_status status = options ? mimi_playback_new(from->model, options, &playback) : MIMI_ERR_INVALID_ARGUMENT;
    if (status == MIMI_OK)
        status = mimi_playback_get(playback, MIMI_PROP_CODEBOOKS, &books);
    return_opened(result, status);
    mimi_options_free(options);
    shared *s = status == MIMI_OK ? calloc(1, sizeof *s) : NULL;
    if (!s) {
        mimi_playback_free(playback);
        if (status == MIMI_OK)
            return_string(result, "out of memory");
        return;
    }
    s->users = 1;
    s->playback = playback;
    s->books = books;
    s->bits = bits;
    shared_leave(object->shared);
    object->shared = s;
}

METHOD(stream_write) {
    (void)user;
    const shared *s = ((player_object *)self)->shared;
    uint32_t codes[MOST_BOOKS];
    size_t n, len = packed_size(BYTES, arguments[0]);
    mimi_status status = s && len ? MIMI_OK : MIMI_ERR_INVALID_ARGUMENT;
    if (status == MIMI_OK)
        status = mimi_unpack(godot.packed_byte_array_operator_index_const(arguments[0], 0), len, s->books, s->bits,
                             codes, MOST_BOOKS, &n);
    if (status == MIMI_OK)
        status = mimi_playback_write(s->playback, codes, n);
    return_int(result, status);
}

METHOD(stream_lost) {
    (void)user;
    const shared *s = ((player_object *)self)->shared;
    int64_t frames = int_argument(arguments[0]);
    return_int(result, s && frames >= 0 && frames <= 64
                           ? mimi_playback_write(s->playback, NULL, (size_t)(frames * s->books))
                           : MIMI_ERR_INVALID_ARGUMENT);
}

VIRTUAL(stream_instantiate_playback) {
    (void)arguments;
    shared *s = ((player_object *)self)->shared;
    GDExtensionObjectPtr owner = s ? class_new(&player_class) : NULL;
    if (!owner)
        return; /* nothing was opened: no playback */
    player_object *player = class_object(&player_class, &owner);
    atomic_fetch_add(&s->users, 1);
    player->shared = s;
    godot.ref_set_object(result, owner);
}

/* A live voice has no length, and one listener: two would each hear half of it. */
VIRTUAL(stream_is_monophonic) {
    (void)self;
    (void)arguments;
    *(GDExtensionBool *)result = 1;
}

static const method stream_methods[] = {
    {"open", stream_open, STRING, 4,
     {{"model", OBJECT}, {"sample_rate", INT}, {"codebooks", INT}, {"buffer_frames", INT}}},
    {"write", stream_write, INT, 1, {{"packet", BYTES}}},
    {"lost", stream_lost, INT, 1, {{"frames", INT}}},
};

static const virtual_method stream_virtuals[] = {{"_instantiate_playback", stream_instantiate_playback},
                                                 {"_is_monophonic", stream_is_monophonic}};

static class_ stream_class = {"MimiStream", "AudioStream", sizeof(player_object), player_close, stream_methods,
                              COUNT(stream_methods), stream_virtuals, COUNT(stream_virtuals), {NULL}};

/* ---- the entry point, which mimi.gdextension names ---- */

static class_ *const classes[] = {&model_class, &capture_class, &player_class, &stream_class};

static void initialize(void *user, GDExtensionInitializationLevel level) {
    (void)user;
    for (size_t i = 0; level == GDEXTENSION_INITIALIZATION_SCENE && i < COUNT(classes); i++)
        class_register(classes[i]);
}

static void deinitialize(void *user, GDExtensionInitializationLevel level) {
    (void)user;
    for (size_t i = COUNT(classes); level == GDEXTENSION_INITIALIZATION_SCENE && i > 0; i--)
        class_unregister(classes[i - 1]);
}

#ifdef _WIN32
__declspec(dllexport)
#else
__attribute__((visibility("default")))
#endif
GDExtensionBool mimi_godot_init(GDExtensionInterfaceGetProcAddress find, GDExtensionClassLibraryPtr library,
                                GDExtensionInitialization *initialization);

GDExtensionBool mimi_godot_init(GDExtensionInterfaceGetProcAddress find, GDExtensionClassLibraryPtr library,
                                GDExtensionInitialization *initialization) {
    if (!godot_connect(find, library))
        return 0;
    initialization->minimum_initialization_level = GDEXTENSION_INITIALIZATION_SCENE;
    initialization->userdata = NULL;
    initialization->initialize = initialize;
    initialization->deinitialize = deinitialize;
    return 1;
}
