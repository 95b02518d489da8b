/* libmimi as a GDNative library for Godot 3: one class, Mimi. Build: see README.md. mimi.h is the manual. */
#include <gdnative_api_struct.gen.h>
#include <mimi.h>

#include <string.h>

enum { BOOKS = 8, BUFFER_FRAMES = 2, MOST_FRAMES = 16, BLOCK = 512 };
#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif
#define METHOD(name)                                                                              \
    static godot_variant name(godot_object *o, void *user, void *self, int n_args, godot_variant **args)

static const godot_gdnative_core_api_struct *api;
static const godot_gdnative_ext_nativescript_api_struct *script;

typedef struct {
    mimi_capture *capture;
    mimi_playback *playback;
    int64_t bits;
} voice;

static void close_voice(voice *v) {
    mimi_capture_free(v->capture);
    mimi_playback_free(v->playback);
    memset(v, 0, sizeof *v);
}

/* open(bytes of model.safetensors, sample rate) -> "", or what is wrong */
METHOD(voice_open) {
    (void)o, (void)user;
    voice *v = self;
    mimi_model *model = NULL;
    mimi_options *options = mimi_options_new();
    mimi_status s = options && n_args == 2 ? MIMI_OK : MIMI_ERR_INVALID_ARGUMENT;
    close_voice(v);
    if (s == MIMI_OK) {
        godot_pool_byte_array bytes = api->godot_variant_as_pool_byte_array(args[0]);
        godot_pool_byte_array_read_access *read = api->godot_pool_byte_array_read(&bytes);
        s = mimi_load_memory(api->godot_pool_byte_array_read_access_ptr(read),
                             (size_t)api->godot_pool_byte_array_size(&bytes), NULL, &model);
        api->godot_pool_byte_array_read_access_destroy(read);
        api->godot_pool_byte_array_destroy(&bytes);
    }
    if (s == MIMI_OK && (s = mimi_options_set(options, MIMI_OPT_CODEBOOKS, BOOKS)) == MIMI_OK &&
        (s = mimi_options_set(options, MIMI_OPT_BUFFER_FRAMES, BUFFER_FRAMES)) == MIMI_OK &&
        (s = mimi_options_set(options, MIMI_OPT_SAMPLE_RATE, api->godot_variant_as_int(args[1]))) == MIMI_OK &&
        (s = mimi_capture_new(model, options, &v->capture)) == MIMI_OK &&
        (s = mimi_playback_new(model, options, &v->playback)) == MIMI_OK)
        s = mimi_model_get(model, MIMI_PROP_CODE_BITS, &v->bits);
    const char *wrong = !options      ? "out of memory"
                        : n_args == 2 ? mimi_last_error()
                                      : "open() takes bytes and a sample rate";
    mimi_options_free(options);
    mimi_free(model);
    godot_variant result;
    godot_string text = api->godot_string_chars_to_utf8(s == MIMI_OK ? "" : wrong);
    api->godot_variant_new_string(&result, &text);
    api->godot_string_destroy(&text);
    return result;
}

/* talk(PoolRealArray of samples) -> PoolByteArray: the frames to send that are ready, often none */
METHOD(voice_talk) {
    (void)o, (void)user;
    voice *v = self;
    uint32_t codes[MOST_FRAMES * BOOKS];
    unsigned char bytes[sizeof codes];
    size_t n = 0, len = 0;
    godot_variant result;
    godot_pool_byte_array packet;
    api->godot_pool_byte_array_new(&packet);
    if (n_args == 1) {
        godot_pool_real_array pcm = api->godot_variant_as_pool_real_array(args[0]);
        godot_pool_real_array_read_access *read = api->godot_pool_real_array_read(&pcm);
        if (mimi_capture_write(v->capture, api->godot_pool_real_array_read_access_ptr(read),
                               (size_t)api->godot_pool_real_array_size(&pcm)) == MIMI_OK &&
            mimi_capture_read(v->capture, codes, sizeof codes / sizeof *codes, &n) == MIMI_OK && n > 0 &&
            mimi_pack(codes, n, BOOKS, v->bits, bytes, sizeof bytes, &len) == MIMI_OK)
            for (size_t i = 0; i < len; i++)
                api->godot_pool_byte_array_append(&packet, bytes[i]);
        api->godot_pool_real_array_read_access_destroy(read);
        api->godot_pool_real_array_destroy(&pcm);
    }
    api->godot_variant_new_pool_byte_array(&result, &packet);
    api->godot_pool_byte_array_destroy(&packet);
    return result;
}

/* hear(frames that came, none or more, n) -> n samples for AudioStreamGeneratorPlayback.push_buffer() */
METHOD(voice_hear) {
    (void)o, (void)user;
    voice *v = self;
    uint32_t codes[MOST_FRAMES * BOOKS];
    size_t n_codes;
    int left = 0;
    godot_variant result;
    godot_pool_vector2_array frames;
    api->godot_pool_vector2_array_new(&frames);
    if (n_args == 2 && v->playback && (left = (int)api->godot_variant_as_int(args[1])) > 0) {
        godot_pool_byte_array packet = api->godot_variant_as_pool_byte_array(args[0]);
        godot_pool_byte_array_read_access *read = api->godot_pool_byte_array_read(&packet);
        if (mimi_unpack(api->godot_pool_byte_array_read_access_ptr(read),
                        (size_t)api->godot_pool_byte_array_size(&packet), BOOKS, v->bits, codes,
                        sizeof codes / sizeof *codes, &n_codes) == MIMI_OK)
            (void)!mimi_playback_write(v->playback, codes, n_codes); /* if there is no room, they are lost */
        api->godot_pool_byte_array_read_access_destroy(read);
        api->godot_pool_byte_array_destroy(&packet);
        api->godot_pool_vector2_array_resize(&frames, left);
        godot_pool_vector2_array_write_access *write = api->godot_pool_vector2_array_write(&frames);
        godot_vector2 *out = api->godot_pool_vector2_array_write_access_ptr(write);
        for (int n; left > 0; left -= n) {
            float mono[BLOCK] = {0};
            n = left < BLOCK ? left : BLOCK;
            (void)!mimi_playback_read(v->playback, mono, (size_t)n); /* if it fails, this is silence */
            for (int i = 0; i < n; i++)
                api->godot_vector2_new(out++, mono[i], mono[i]);
        }
        api->godot_pool_vector2_array_write_access_destroy(write);
    }
    api->godot_variant_new_pool_vector2_array(&result, &frames);
    api->godot_pool_vector2_array_destroy(&frames);
    return result;
}

static void *voice_new(godot_object *o, void *user) {
    (void)o, (void)user;
    return memset(api->godot_alloc(sizeof(voice)), 0, sizeof(voice));
}

static void voice_free(godot_object *o, void *user, void *self) {
    (void)o, (void)user;
    close_voice(self);
    api->godot_free(self);
}

EXPORT void godot_gdnative_init(godot_gdnative_init_options *options) {
    api = options->api_struct;
    for (unsigned i = 0; i < api->num_extensions; i++)
        if (api->extensions[i]->type == GDNATIVE_EXT_NATIVESCRIPT)
            script = (const godot_gdnative_ext_nativescript_api_struct *)api->extensions[i];
}

EXPORT void godot_gdnative_terminate(godot_gdnative_terminate_options *options) { (void)options; }

EXPORT void godot_nativescript_init(void *handle) {
    static const struct {
        const char *name;
        godot_variant (*call)(godot_object *, void *, void *, int, godot_variant **);
    } methods[] = {{"open", voice_open}, {"talk", voice_talk}, {"hear", voice_hear}};
    const godot_instance_create_func create = {voice_new, NULL, NULL};
    const godot_instance_destroy_func destroy = {voice_free, NULL, NULL};
    script->godot_nativescript_register_class(handle, "Mimi", "Reference", create, destroy);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        script->godot_nativescript_register_method(handle, "Mimi", methods[i].name,
                                                   (godot_method_attributes){GODOT_METHOD_RPC_MODE_DISABLED},
                                                   (godot_instance_method){methods[i].call, NULL, NULL});
}
