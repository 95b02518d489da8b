#include "classes.h"

#include <stdlib.h>
#include <string.h>

struct godot_functions godot;
static GDExtensionClassLibraryPtr library;
static const GDExtensionInstanceBindingCallbacks no_callbacks;

int godot_connect(GDExtensionInterfaceGetProcAddress find, GDExtensionClassLibraryPtr this_library) {
    library = this_library;
#define GODOT_FIND(type, member)                                              \
    godot.member = (GDExtensionInterface##type)(void (*)(void))find(#member); \
    if (!godot.member)                                                        \
        return 0;
    GODOT_FUNCTIONS(GODOT_FIND)
    return 1;
}

static string_name name_of(const char *text) {
    string_name name;
    godot.string_name_new_with_latin1_chars(&name, text, 0);
    return name;
}

static void destroy(GDExtensionVariantType type, void *value) {
    GDExtensionPtrDestructor destructor = godot.variant_get_ptr_destructor(type);
    if (destructor) /* numbers and pointers to objects have none */
        destructor(value);
}

/* ---- objects ---- */

GDExtensionObjectPtr class_new(void *user) {
    class_ *class = user;
    class_ **object = calloc(1, class->object_size);
    if (!object)
        return NULL;
    *object = class;
    string_name parent = name_of(class->parent);
    GDExtensionObjectPtr owner = godot.classdb_construct_object(&parent);
    destroy(GDEXTENSION_VARIANT_TYPE_STRING_NAME, &parent);
    godot.object_set_instance(owner, &class->godot_name, object);
    godot.object_set_instance_binding(owner, library, object, &no_callbacks);
    return owner;
}

static void class_free(void *user, GDExtensionClassInstancePtr object) {
    ((class_ *)user)->close(object);
    free(object);
}

void *class_object(const class_ *class, GDExtensionConstTypePtr argument) {
    GDExtensionObjectPtr owner = *(const GDExtensionObjectPtr *)argument;
    class_ **object = owner ? godot.object_get_instance_binding(owner, library, NULL) : NULL;
    return object && *object == class ? object : NULL;
}

static GDExtensionClassCallVirtual class_virtual(void *user, GDExtensionConstStringNamePtr asked) {
    const class_ *class = user;
    for (size_t i = 0; i < class->n_virtuals; i++) {
        /* equal StringNames are the same pointer */
        string_name name = name_of(class->virtuals[i].name);
        int same = name.opaque == ((const string_name *)asked)->opaque;
        destroy(GDEXTENSION_VARIANT_TYPE_STRING_NAME, &name);
        if (same)
            return class->virtuals[i].call;
    }
    return NULL;
}

/* ---- methods: scripts without types call with Variants, those with types by pointers ---- */

typedef union {
    int64_t number;
    void *opaque[2];
} value;

static void call_with_variants(void *user, GDExtensionClassInstancePtr object,
                               const GDExtensionConstVariantPtr *arguments, GDExtensionInt n,
                               GDExtensionVariantPtr result, GDExtensionCallError *error) {
    const method *m = user;
    value values[MOST_ARGUMENTS], returned;
    GDExtensionConstTypePtr pointers[MOST_ARGUMENTS];
    error->error = GDEXTENSION_CALL_OK;
    if (n != m->n_arguments) {
        error->error = n < m->n_arguments ? GDEXTENSION_CALL_ERROR_TOO_FEW_ARGUMENTS
                                          : GDEXTENSION_CALL_ERROR_TOO_MANY_ARGUMENTS;
        error->expected = (int32_t)m->n_arguments;
        return;
    }
    for (int32_t i = 0; i < n; i++) {
        GDExtensionVariantType type = m->arguments[i].type, found = godot.variant_get_type(arguments[i]);
        if (found != type && !godot.variant_can_convert_strict(found, type)) {
            error->error = GDEXTENSION_CALL_ERROR_INVALID_ARGUMENT;
            error->argument = i;
            error->expected = (int32_t)type;
            return;
        }
    }
    for (int32_t i = 0; i < n; i++) {
        godot.get_variant_to_type_constructor(m->arguments[i].type)(
            &values[i], (GDExtensionVariantPtr)(uintptr_t)arguments[i]);
        pointers[i] = &values[i];
    }
    godot.variant_get_ptr_constructor(m->returns, 0)(&returned, NULL);
    m->call(user, object, pointers, &returned);
    godot.get_variant_from_type_constructor(m->returns)(result, &returned);
    destroy(m->returns, &returned);
    for (int32_t i = 0; i < n; i++)
        destroy(m->arguments[i].type, &values[i]);
}

static void method_register(const class_ *class, const method *m) {
    string_name name = name_of(m->name), empty = name_of(""), names[MOST_ARGUMENTS];
    value hint;
    godot.string_new_with_utf8_chars(&hint, "");
    const uint32_t usage = 6; /* PROPERTY_USAGE_DEFAULT */
    GDExtensionPropertyInfo result = {m->returns, &empty, &empty, 0, &hint, usage}, arguments[MOST_ARGUMENTS];
    GDExtensionClassMethodArgumentMetadata metadata[MOST_ARGUMENTS] = {GDEXTENSION_METHOD_ARGUMENT_METADATA_NONE};
    for (uint32_t i = 0; i < m->n_arguments; i++) {
        names[i] = name_of(m->arguments[i].name);
        arguments[i] = (GDExtensionPropertyInfo){m->arguments[i].type, &names[i], &empty, 0, &hint, usage};
    }
    GDExtensionClassMethodInfo info = {
        .name = &name,
        .method_userdata = (void *)(uintptr_t)m,
        .call_func = call_with_variants,
        .ptrcall_func = m->call,
        .method_flags = GDEXTENSION_METHOD_FLAGS_DEFAULT,
        .has_return_value = 1,
        .return_value_info = &result,
        .argument_count = m->n_arguments,
        .arguments_info = arguments,
        .arguments_metadata = metadata,
    };
    godot.classdb_register_extension_class_method(library, &class->godot_name, &info);
    for (uint32_t i = 0; i < m->n_arguments; i++)
        destroy(GDEXTENSION_VARIANT_TYPE_STRING_NAME, &names[i]);
    destroy(GDEXTENSION_VARIANT_TYPE_STRING, &hint);
    destroy(GDEXTENSION_VARIANT_TYPE_STRING_NAME, &empty);
    destroy(GDEXTENSION_VARIANT_TYPE_STRING_NAME, &name);
}

void class_register(class_ *class) {
    class->godot_name = name_of(class->name);
    string_name parent = name_of(class->parent);
    GDExtensionClassCreationInfo2 info = {
        .is_exposed = 1,
        .create_instance_func = class_new,
        .free_instance_func = class_free,
        .get_virtual_func = class_virtual,
        .class_userdata = class,
    };
    godot.classdb_register_extension_class2(library, &class->godot_name, &parent, &info);
    destroy(GDEXTENSION_VARIANT_TYPE_STRING_NAME, &parent);
    for (size_t i = 0; i < class->n_methods; i++)
        method_register(class, &class->methods[i]);
}

void class_unregister(class_ *class) {
    godot.classdb_unregister_extension_class(library, &class->godot_name);
    destroy(GDEXTENSION_VARIANT_TYPE_STRING_NAME, &class->godot_name);
}

/* ---- results ---- */

void return_string(GDExtensionTypePtr result, const char *utf8) {
    destroy(GDEXTENSION_VARIANT_TYPE_STRING, result); /* it holds an empty one */
    godot.string_new_with_utf8_chars(result, utf8);
}

/* Methods of packed arrays are found by these hashes, which extension_api.json lists. */
static int64_t call_packed(GDExtensionVariantType type, void *array, const char *name, GDExtensionInt hash,
                           const int64_t *n) {
    string_name method_name = name_of(name);
    GDExtensionPtrBuiltInMethod call = godot.variant_get_ptr_builtin_method(type, &method_name, hash);
    destroy(GDEXTENSION_VARIANT_TYPE_STRING_NAME, &method_name);
    GDExtensionConstTypePtr arguments[1] = {n};
    int64_t result = 0;
    if (call)
        call(array, arguments, &result, n ? 1 : 0);
    return result;
}

size_t packed_size(GDExtensionVariantType type, GDExtensionConstTypePtr array) {
    return (size_t)call_packed(type, (void *)(uintptr_t)array, "size", 3173160232, NULL);
}

unsigned char *return_bytes(GDExtensionTypePtr result, size_t len) {
    const int64_t n = (int64_t)len;
    call_packed(GDEXTENSION_VARIANT_TYPE_PACKED_BYTE_ARRAY, result, "resize", 848867239, &n);
    return packed_size(GDEXTENSION_VARIANT_TYPE_PACKED_BYTE_ARRAY, result) == len && len > 0
               ? godot.packed_byte_array_operator_index(result, 0)
               : NULL;
}
