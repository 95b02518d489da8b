/*
 * godot LIBRARY MODEL SPEECH.f32: what the extension for Godot 4 uses of Godot, as gdextension_interface.h describes
 * it, in place of an engine. Speech goes through a MimiCapture and a MimiStream; the packets are printed.
 * Every String, StringName, array and object must be given back.
 */
#include <gdextension_interface.h>

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(condition)                                              \
    do                                                                  \
        if (!(condition)) {                                             \
            printf("FAILED line %d: %s\n", __LINE__, #condition);       \
            exit(1);                                                    \
        }                                                               \
    while (0)

typedef struct {
    size_t len;
    unsigned char bytes[];
} block; /* what a String or a packed array points to */

typedef struct {
    void *opaque[2];
} raw;

typedef struct {
    GDExtensionVariantType type;
    raw value;
} variant;

typedef struct {
    char name[64], parent[64];
    GDExtensionClassCreationInfo2 info;
    GDExtensionClassMethodInfo methods[8];
    char method_names[8][64];
    int n_methods;
} class_entry;

typedef struct {
    const class_entry *class;
    void *instance, *binding, *token;
    int references;
} object;

static class_entry classes[8];
static int n_classes, live_blocks, live_names, live_objects;
static char library_token;

/* ---- StringNames: the same text is the same pointer ---- */

static void name_new(void *dest, const char *text, GDExtensionBool is_static) {
    static char names[64][64];
    int i = 0;
    (void)is_static;
    while (names[i][0] != 0 && strcmp(names[i] + 1, text) != 0)
        i++;
    REQUIRE(i < 63 && strlen(text) < 62);
    names[i][0] = '.';
    strcpy(names[i] + 1, text);
    *(char **)dest = names[i];
    live_names++;
}

static const char *name_text(const void *name) { return *(char *const *)name + 1; }

static void name_destroy(void *name) {
    *(char **)name = NULL;
    live_names--;
}

/* ---- Strings and packed arrays ---- */

static block *block_new(size_t len) {
    block *b = malloc(sizeof *b + len + 1);
    REQUIRE(b);
    b->len = len;
    live_blocks++;
    return b;
}

static void string_new(void *dest, const char *text) {
    block *b = block_new(strlen(text));
    memcpy(b->bytes, text, b->len + 1);
    *(block **)dest = b;
}

static void empty_new(void *dest, const GDExtensionConstTypePtr *arguments) {
    (void)arguments;
    string_new(dest, "");
}

static void number_new(void *dest, const GDExtensionConstTypePtr *arguments) {
    (void)arguments;
    *(int64_t *)dest = 0;
}

static void block_destroy(void *value) {
    free(*(block **)value);
    *(block **)value = NULL;
    live_blocks--;
}

static size_t element(GDExtensionVariantType type) {
    return type == GDEXTENSION_VARIANT_TYPE_PACKED_VECTOR2_ARRAY ? 8 : 1;
}

static void bytes_size(void *base, const GDExtensionConstTypePtr *arguments, void *result, int n) {
    (void)arguments;
    REQUIRE(n == 0);
    *(int64_t *)result = (int64_t)(*(block **)base)->len;
}

static void frames_size(void *base, const GDExtensionConstTypePtr *arguments, void *result, int n) {
    bytes_size(base, arguments, result, n);
    *(int64_t *)result /= 8;
}

static void bytes_resize(void *base, const GDExtensionConstTypePtr *arguments, void *result, int n) {
    REQUIRE(n == 1);
    block_destroy(base);
    *(block **)base = block_new((size_t)*(const int64_t *)arguments[0]);
    *(int64_t *)result = 0;
}

static GDExtensionPtrBuiltInMethod builtin(GDExtensionVariantType type, const void *name, GDExtensionInt hash) {
    if (strcmp(name_text(name), "size") == 0 && hash == 3173160232)
        return element(type) == 8 ? frames_size : bytes_size;
    REQUIRE(strcmp(name_text(name), "resize") == 0 && hash == 848867239 && element(type) == 1);
    return bytes_resize;
}

static uint8_t *bytes_index(void *self, GDExtensionInt i) {
    REQUIRE(i >= 0 && (size_t)i < (*(block **)self)->len);
    return (*(block **)self)->bytes + i;
}

static const uint8_t *bytes_index_const(const void *self, GDExtensionInt i) {
    return bytes_index((void *)(uintptr_t)self, i);
}

static void *frames_index(const void *self, GDExtensionInt i) { return bytes_index((void *)(uintptr_t)self, i * 8); }

/* ---- Variants ---- */

static int is_block(GDExtensionVariantType type) {
    return type == GDEXTENSION_VARIANT_TYPE_STRING || type == GDEXTENSION_VARIANT_TYPE_PACKED_BYTE_ARRAY ||
           type == GDEXTENSION_VARIANT_TYPE_PACKED_VECTOR2_ARRAY;
}

static void copy(GDExtensionVariantType type, void *to, const void *from) {
    memcpy(to, from, 8);
    if (is_block(type)) {
        *(block **)to = block_new((*(block *const *)from)->len);
        memcpy((*(block **)to)->bytes, (*(block *const *)from)->bytes, (*(block **)to)->len + 1);
    }
}

static GDExtensionVariantType variant_type(const void *v) { return ((const variant *)v)->type; }

static GDExtensionBool can_convert(GDExtensionVariantType from, GDExtensionVariantType to) {
    return from == GDEXTENSION_VARIANT_TYPE_FLOAT && to == GDEXTENSION_VARIANT_TYPE_INT;
}

static void to_type(void *dest, void *from) {
    const variant *v = from;
    if (v->type == GDEXTENSION_VARIANT_TYPE_FLOAT) {
        double real;
        memcpy(&real, &v->value, sizeof real);
        *(int64_t *)dest = (int64_t)real;
    } else {
        copy(v->type, dest, &v->value);
    }
}

static GDExtensionTypeFromVariantConstructorFunc get_to_type(GDExtensionVariantType type) {
    (void)type;
    return to_type;
}

#define FROM(name, variant_type_)                     \
    static void name(void *dest, void *from) {        \
        ((variant *)dest)->type = variant_type_;      \
        copy(variant_type_, &((variant *)dest)->value, from); \
    }
FROM(from_int, GDEXTENSION_VARIANT_TYPE_INT)
FROM(from_string, GDEXTENSION_VARIANT_TYPE_STRING)
FROM(from_bytes, GDEXTENSION_VARIANT_TYPE_PACKED_BYTE_ARRAY)

static GDExtensionVariantFromTypeConstructorFunc get_from_type(GDExtensionVariantType type) {
    return type == GDEXTENSION_VARIANT_TYPE_INT      ? from_int
           : type == GDEXTENSION_VARIANT_TYPE_STRING ? from_string
                                                     : from_bytes;
}

static GDExtensionPtrConstructor constructor(GDExtensionVariantType type, int32_t which) {
    REQUIRE(which == 0);
    return is_block(type) ? empty_new : number_new;
}

static GDExtensionPtrDestructor destructor(GDExtensionVariantType type) {
    return type == GDEXTENSION_VARIANT_TYPE_STRING_NAME ? name_destroy : is_block(type) ? block_destroy : NULL;
}

/* ---- classes and objects ---- */

static class_entry *find_class(const char *name) {
    for (int i = 0; i < n_classes; i++)
        if (strcmp(classes[i].name, name) == 0)
            return &classes[i];
    return NULL;
}

static void register_class(void *library, const void *name, const void *parent,
                           const GDExtensionClassCreationInfo2 *info) {
    REQUIRE(library == &library_token && !find_class(name_text(name)));
    REQUIRE(info->create_instance_func && info->free_instance_func);
    strcpy(classes[n_classes].name, name_text(name));
    strcpy(classes[n_classes].parent, name_text(parent));
    classes[n_classes++].info = *info;
}

static void register_method(void *library, const void *class, const GDExtensionClassMethodInfo *info) {
    class_entry *entry = find_class(name_text(class));
    REQUIRE(library == &library_token && entry && entry->n_methods < 8 && info->call_func && info->ptrcall_func);
    for (uint32_t i = 0; i < info->argument_count; i++)
        REQUIRE(name_text(info->arguments_info[i].name)[0] != 0 && info->arguments_info[i].hint_string);
    strcpy(entry->method_names[entry->n_methods], name_text(info->name));
    entry->methods[entry->n_methods++] = *info;
}

static void unregister_class(void *library, const void *name) {
    REQUIRE(library == &library_token && find_class(name_text(name)));
    find_class(name_text(name))->name[0] = 0;
}

static void *construct(const void *name) {
    REQUIRE(strcmp(name_text(name), "RefCounted") == 0 || strncmp(name_text(name), "AudioStream", 11) == 0);
    live_objects++;
    return calloc(1, sizeof(object));
}

static void set_instance(void *o, const void *class, void *instance) {
    ((object *)o)->class = find_class(name_text(class));
    ((object *)o)->instance = instance;
}

static void set_binding(void *o, void *token, void *binding, const GDExtensionInstanceBindingCallbacks *callbacks) {
    REQUIRE(callbacks);
    ((object *)o)->token = token;
    ((object *)o)->binding = binding;
}

static void *get_binding(void *o, void *token, const GDExtensionInstanceBindingCallbacks *callbacks) {
    REQUIRE(!callbacks);
    return ((object *)o)->token == token ? ((object *)o)->binding : NULL;
}

static void ref_set(void *ref, void *o) {
    ((object *)o)->references++;
    *(object **)ref = o;
}

static GDExtensionInterfaceFunctionPtr find(const char *name) {
    static const struct {
        const char *name;
        void (*function)(void);
    } table[] = {
#define F(name, function) {name, (void (*)(void))function}
        F("variant_get_type", variant_type), F("variant_can_convert_strict", can_convert),
        F("get_variant_from_type_constructor", get_from_type), F("get_variant_to_type_constructor", get_to_type),
        F("variant_get_ptr_constructor", constructor), F("variant_get_ptr_destructor", destructor),
        F("variant_get_ptr_builtin_method", builtin), F("packed_byte_array_operator_index", bytes_index),
        F("packed_byte_array_operator_index_const", bytes_index_const),
        F("packed_vector2_array_operator_index_const", frames_index), F("string_new_with_utf8_chars", string_new),
        F("string_name_new_with_latin1_chars", name_new), F("classdb_register_extension_class2", register_class),
        F("classdb_register_extension_class_method", register_method),
        F("classdb_unregister_extension_class", unregister_class), F("classdb_construct_object", construct),
        F("object_set_instance", set_instance), F("object_set_instance_binding", set_binding),
        F("object_get_instance_binding", get_binding), F("ref_set_object", ref_set)};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].function;
    return NULL;
}

/* ---- a script ---- */

static object *new_object(const char *class) {
    class_entry *entry = find_class(class);
    REQUIRE(entry);
    return entry->info.create_instance_func(entry->info.class_userdata);
}

static void free_object(object *o) {
    o->class->info.free_instance_func(o->class->info.class_userdata, o->instance);
    free(o);
    live_objects--;
}

static GDExtensionClassCallVirtual virtual(object *o, const char *name) {
    void *string_name;
    name_new(&string_name, name, 0);
    GDExtensionClassCallVirtual call = o->class->info.get_virtual_func(o->class->info.class_userdata, &string_name);
    name_destroy(&string_name);
    return call;
}

static variant call(object *o, const char *name, variant *arguments, int n, GDExtensionCallErrorType expected) {
    variant result = {0};
    const void *pointers[8] = {0};
    GDExtensionCallError error;
    int i = 0;
    while (i < o->class->n_methods && strcmp(o->class->method_names[i], name) != 0)
        i++;
    REQUIRE(i < o->class->n_methods);
    for (int k = 0; k < n; k++)
        pointers[k] = &arguments[k];
    o->class->methods[i].call_func(o->class->methods[i].method_userdata, o->instance, pointers, n, &result, &error);
    REQUIRE(error.error == expected);
    return result;
}

static variant integer(int64_t value) {
    variant v;
    from_int(&v, &value);
    return v;
}

static variant real(double value) {
    variant v = {GDEXTENSION_VARIANT_TYPE_FLOAT, {{NULL}}};
    memcpy(&v.value, &value, sizeof value);
    return v;
}

static variant reference(object *o) { return (variant){GDEXTENSION_VARIANT_TYPE_OBJECT, {{o, NULL}}}; }

static variant array(GDExtensionVariantType type, const void *bytes, size_t len) {
    block *b = block_new(len);
    memcpy(b->bytes, bytes, len);
    return (variant){type, {{b, NULL}}};
}

static const block *block_of(const variant *v) { return v->value.opaque[0]; }

/* The method's String begins with this. */
static void says(variant v, const char *text) {
    REQUIRE(v.type == GDEXTENSION_VARIANT_TYPE_STRING);
    if (*text)
        printf("    error: %s\n", (const char *)block_of(&v)->bytes);
    REQUIRE(*text ? strstr((const char *)block_of(&v)->bytes, text) != NULL : block_of(&v)->len == 0);
    block_destroy(&v.value);
}

static void *read_file(const char *path, size_t *len) {
    FILE *file = fopen(path, "rb");
    REQUIRE(file);
    char *bytes = malloc(1 << 24);
    *len = fread(bytes, 1, 1 << 24, file);
    fclose(file);
    return bytes;
}

static void speech(object *model, const float *pcm, int length, int n) {
    object *capture = new_object("MimiCapture"), *stream = new_object("MimiStream"), *player = NULL;
    variant open[] = {reference(model), real(24000.0), integer(8), integer(1)};
    says(call(capture, "open", open, 3, GDEXTENSION_CALL_OK), "");
    virtual(stream, "_instantiate_playback")(stream->instance, NULL, &player);
    REQUIRE(!player); /* it is not open yet */
    says(call(stream, "open", open, 4, GDEXTENSION_CALL_OK), "");
    virtual(stream, "_instantiate_playback")(stream->instance, NULL, &player);
    REQUIRE(player && player->references == 1 && !virtual(player, "_seek"));
    GDExtensionBool playing = 1;
    virtual(player, "_is_playing")(player->instance, NULL, &playing);
    REQUIRE(!playing);
    const double from = 0;
    virtual(player, "_start")(player->instance, (const void *[]){&from}, NULL);
    virtual(player, "_is_playing")(player->instance, NULL, &playing);
    REQUIRE(playing);

    char packets[42 * 18 + 1] = "";
    double said = 0, loud = 0;
    float *stereo = calloc((size_t)n, 2 * sizeof *stereo);
    for (int i = 0; i < length; i++)
        said += pcm[i] * pcm[i];
    for (int at = 0, frames = 0; at < 50 * 1920; at += n) {
        for (int i = 0; i < n; i++)
            stereo[2 * i] = at + i < length ? pcm[at + i] : 0, stereo[2 * i + 1] = 9; /* the right is not sent */
        variant samples = array(GDEXTENSION_VARIANT_TYPE_PACKED_VECTOR2_ARRAY, stereo, (size_t)n * 8);
        variant status = call(capture, "write", &samples, 1, GDEXTENSION_CALL_OK);
        REQUIRE(status.value.opaque[0] == NULL);
        block_destroy(&samples.value);
        variant packet = call(capture, "read", NULL, 0, GDEXTENSION_CALL_OK);
        if (block_of(&packet)->len > 0) {
            REQUIRE(block_of(&packet)->len == 9);
            for (int i = 0; i < 9 && frames < 42; i++)
                sprintf(packets + frames * 18 + 2 * i, "%02x", block_of(&packet)->bytes[i]);
            variant one = integer(1);
            status = ++frames == 45 ? call(stream, "lost", &one, 1, GDEXTENSION_CALL_OK)
                                    : call(stream, "write", &packet, 1, GDEXTENSION_CALL_OK);
            REQUIRE(status.value.opaque[0] == NULL);
        }
        block_destroy(&packet.value);
        const double pitch = 1;
        const int64_t count = n;
        int64_t mixed = 0;
        virtual(player, "_mix")(player->instance, (const void *[]){&stereo, &pitch, &count}, &mixed);
        REQUIRE(mixed == n);
        for (int i = 0; i < n; i++)
            loud += stereo[2 * i] * stereo[2 * i + 1];
    }
    printf("block %d level %.2f packets %s\n", n, sqrt(loud / said), packets);
    free(stereo);
    free_object(capture);
    free_object(stream); /* the player is still heard */
    virtual(player, "_stop")(player->instance, NULL, NULL);
    free_object(player);
}

int main(int argc, char **argv) {
    REQUIRE(argc == 4);
    void *library = dlopen(argv[1], RTLD_NOW);
    if (!library)
        printf("FAILED %s\n", dlerror());
    REQUIRE(library);
    GDExtensionInitializationFunction start;
    *(void **)&start = dlsym(library, "mimi_godot_init");
    GDExtensionInitialization levels;
    REQUIRE(start && start(find, &library_token, &levels) == 1);
    for (int level = levels.minimum_initialization_level; level <= GDEXTENSION_INITIALIZATION_EDITOR; level++)
        levels.initialize(levels.userdata, (GDExtensionInitializationLevel)level);
    REQUIRE(n_classes == 4);

    size_t model_len, speech_len;
    void *model_bytes = read_file(argv[2], &model_len), *pcm = read_file(argv[3], &speech_len);
    object *model = new_object("MimiModel"), *capture = new_object("MimiCapture");
    variant three = array(GDEXTENSION_VARIANT_TYPE_PACKED_BYTE_ARRAY, "abc", 3);
    variant bytes = array(GDEXTENSION_VARIANT_TYPE_PACKED_BYTE_ARRAY, model_bytes, model_len);
    says(call(model, "load", &three, 1, GDEXTENSION_CALL_OK), "3 bytes");
    variant arguments[] = {reference(model), integer(24000), integer(8)};
    says(call(capture, "open", arguments, 3, GDEXTENSION_CALL_OK), "NULL"); /* the model is not loaded */
    says(call(model, "load", &bytes, 1, GDEXTENSION_CALL_OK), "");
    arguments[2] = integer(9);
    says(call(capture, "open", arguments, 3, GDEXTENSION_CALL_OK), "9");
    arguments[0] = reference(capture); /* an object of another class */
    says(call(capture, "open", arguments, 3, GDEXTENSION_CALL_OK), "NULL");
    call(capture, "open", arguments, 2, GDEXTENSION_CALL_ERROR_TOO_FEW_ARGUMENTS);
    call(capture, "open", &three, 4, GDEXTENSION_CALL_ERROR_TOO_MANY_ARGUMENTS);
    call(model, "load", arguments, 1, GDEXTENSION_CALL_ERROR_INVALID_ARGUMENT);
    variant packet = call(capture, "read", NULL, 0, GDEXTENSION_CALL_OK); /* not open */
    REQUIRE(block_of(&packet)->len == 0);
    block_destroy(&packet.value);
    free_object(capture);

    speech(model, pcm, (int)(speech_len / 4), 64);
    speech(model, pcm, (int)(speech_len / 4), 1024);
    free_object(model);
    block_destroy(&three.value);
    block_destroy(&bytes.value);
    for (int level = GDEXTENSION_INITIALIZATION_EDITOR; level >= (int)levels.minimum_initialization_level; level--)
        levels.deinitialize(levels.userdata, (GDExtensionInitializationLevel)level);
    free(model_bytes);
    free(pcm);
    printf("    left behind: %d strings and arrays, %d names, %d objects\n", live_blocks, live_names, live_objects);
    REQUIRE(live_blocks == 0 && live_names == 0 && live_objects == 0);
    return 0;
}
