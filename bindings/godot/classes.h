/* What C needs to register classes with Godot 4: a table of methods and virtuals for each. Nothing here knows Mimi. */
#ifndef CLASSES_H
#define CLASSES_H

#include <gdextension_interface.h>

#include <stddef.h>

/* The functions of Godot that are used, as `godot.string_new_with_utf8_chars`. */
#define GODOT_FUNCTIONS(X)                                                                  \
    X(VariantGetType, variant_get_type)                                                     \
    X(VariantCanConvertStrict, variant_can_convert_strict)                                  \
    X(GetVariantFromTypeConstructor, get_variant_from_type_constructor)                     \
    X(GetVariantToTypeConstructor, get_variant_to_type_constructor)                         \
    X(VariantGetPtrConstructor, variant_get_ptr_constructor)                                \
    X(VariantGetPtrDestructor, variant_get_ptr_destructor)                                  \
    X(VariantGetPtrBuiltinMethod, variant_get_ptr_builtin_method)                           \
    X(PackedByteArrayOperatorIndex, packed_byte_array_operator_index)                       \
    X(PackedByteArrayOperatorIndexConst, packed_byte_array_operator_index_const)            \
    X(PackedVector2ArrayOperatorIndexConst, packed_vector2_array_operator_index_const)      \
    X(StringNewWithUtf8Chars, string_new_with_utf8_chars)                                   \
    X(StringNameNewWithLatin1Chars, string_name_new_with_latin1_chars)                      \
    X(ClassdbRegisterExtensionClass2, classdb_register_extension_class2)                    \
    X(ClassdbRegisterExtensionClassMethod, classdb_register_extension_class_method)         \
    X(ClassdbUnregisterExtensionClass, classdb_unregister_extension_class)                  \
    X(ClassdbConstructObject, classdb_construct_object)                                     \
    X(ObjectSetInstance, object_set_instance)                                               \
    X(ObjectSetInstanceBinding, object_set_instance_binding)                                \
    X(ObjectGetInstanceBinding, object_get_instance_binding)                                \
    X(RefSetObject, ref_set_object)

#define GODOT_MEMBER(type, name) GDExtensionInterface##type name;
extern struct godot_functions {
    GODOT_FUNCTIONS(GODOT_MEMBER)
} godot;

/* Godot's StringName, String and the packed arrays are opaque: one pointer, two at most. */
typedef struct {
    void *opaque;
} string_name;

enum { MOST_ARGUMENTS = 4 };

typedef struct {
    const char *name;
    GDExtensionClassMethodPtrCall call;
    GDExtensionVariantType returns;
    uint32_t n_arguments;
    struct {
        const char *name;
        GDExtensionVariantType type;
    } arguments[MOST_ARGUMENTS];
} method;

typedef struct {
    const char *name;
    GDExtensionClassCallVirtual call;
} virtual_method;

/* An object begins with its class. It is created as zeros. */
typedef struct class_ {
    const char *name, *parent;
    size_t object_size;
    void (*close)(void *object);
    const method *methods;
    size_t n_methods;
    const virtual_method *virtuals;
    size_t n_virtuals;
    string_name godot_name; /* set when it is registered */
} class_;

/* Finds Godot's functions: 0 if this Godot lacks one. */
int godot_connect(GDExtensionInterfaceGetProcAddress find, GDExtensionClassLibraryPtr library);

void class_register(class_ *class);
void class_unregister(class_ *class);
GDExtensionObjectPtr class_new(void *class);

/* The object behind an argument, or NULL if that is of another class, or null. */
void *class_object(const class_ *class, GDExtensionConstTypePtr argument);

/* Results, and lengths of packed arrays. */
void return_string(GDExtensionTypePtr result, const char *utf8);
unsigned char *return_bytes(GDExtensionTypePtr result, size_t len);
size_t packed_size(GDExtensionVariantType type, GDExtensionConstTypePtr array);

#endif
