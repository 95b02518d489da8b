#include "shim.h"
#include "_cgo_export.h"

#include <string.h>

static mimi_status with_message(mimi_status status, char *message) {
    message[0] = 0;
    if (status != MIMI_OK)
        strncat(message, mimi_last_error(), MIMI_GO_MESSAGE - 1);
    return status;
}

mimi_status mimi_go_options_set(mimi_options *o, mimi_option key, int64_t value, char *message) {
    return with_message(mimi_options_set(o, key, value), message);
}

mimi_status mimi_go_load(const char *path, const mimi_options *o, mimi_model **out, char *message) {
    return with_message(mimi_load(path, o, out), message);
}

mimi_status mimi_go_load_memory(const void *data, size_t len, const mimi_options *o, mimi_model **out,
                                char *message) {
    return with_message(mimi_load_memory(data, len, o, out), message);
}

static int32_t read_through_go(void *user, uint64_t offset, void *dst, size_t len) {
    return mimiGoRead((uintptr_t)user, offset, dst, len);
}

mimi_status mimi_go_load_reader(uintptr_t reader, uint64_t size, const mimi_options *o, mimi_model **out,
                                char *message) {
    return with_message(mimi_load_reader(read_through_go, (void *)reader, size, o, out), message);
}

mimi_status mimi_go_model_get(const mimi_model *m, mimi_prop key, int64_t *out, char *message) {
    return with_message(mimi_model_get(m, key, out), message);
}

mimi_status mimi_go_encode(const mimi_model *m, const mimi_options *o, const float *pcm, size_t n_samples,
                           uint32_t *codes, size_t room, size_t *out, char *message) {
    return with_message(mimi_encode(m, o, pcm, n_samples, codes, room, out), message);
}

mimi_status mimi_go_decode(const mimi_model *m, const mimi_options *o, const uint32_t *codes,
                           size_t n_codes, float *pcm, size_t room, size_t *out, char *message) {
    return with_message(mimi_decode(m, o, codes, n_codes, pcm, room, out), message);
}

mimi_status mimi_go_encode_latents(const mimi_model *m, const mimi_options *o, const float *pcm, size_t n_samples,
                                   float *latents, size_t room, size_t *out, char *message) {
    return with_message(mimi_encode_latents(m, o, pcm, n_samples, latents, room, out), message);
}

mimi_status mimi_go_decode_latents(const mimi_model *m, const mimi_options *o, const float *latents,
                                   size_t n_values, float *pcm, size_t room, size_t *out, char *message) {
    return with_message(mimi_decode_latents(m, o, latents, n_values, pcm, room, out), message);
}

mimi_status mimi_go_quantize(const mimi_model *m, const mimi_options *o, const float *latents, size_t n_values,
                             uint32_t *codes, size_t room, size_t *out, char *message) {
    return with_message(mimi_quantize(m, o, latents, n_values, codes, room, out), message);
}

mimi_status mimi_go_dequantize(const mimi_model *m, const mimi_options *o, const uint32_t *codes, size_t n_codes,
                               float *latents, size_t room, size_t *out, char *message) {
    return with_message(mimi_dequantize(m, o, codes, n_codes, latents, room, out), message);
}

mimi_status mimi_go_encoder_new(const mimi_model *m, const mimi_options *o, mimi_encoder **out,
                                char *message) {
    return with_message(mimi_encoder_new(m, o, out), message);
}

mimi_status mimi_go_decoder_new(const mimi_model *m, const mimi_options *o, mimi_decoder **out,
                                char *message) {
    return with_message(mimi_decoder_new(m, o, out), message);
}

mimi_status mimi_go_encoder_clone(const mimi_encoder *e, mimi_encoder **out, char *message) {
    return with_message(mimi_encoder_clone(e, out), message);
}

mimi_status mimi_go_decoder_clone(const mimi_decoder *d, mimi_decoder **out, char *message) {
    return with_message(mimi_decoder_clone(d, out), message);
}

mimi_status mimi_go_capture_new(const mimi_model *m, const mimi_options *o, mimi_capture **out, char *message) {
    return with_message(mimi_capture_new(m, o, out), message);
}

mimi_status mimi_go_playback_new(const mimi_model *m, const mimi_options *o, mimi_playback **out, char *message) {
    return with_message(mimi_playback_new(m, o, out), message);
}

mimi_status mimi_go_model_header(const mimi_model *m, const mimi_options *o, mimi_token_header *header,
                                 char *message) {
    return with_message(mimi_model_header(m, o, header), message);
}

mimi_status mimi_go_header_samples(const mimi_token_header *header, int64_t rate, int64_t *out, char *message) {
    return with_message(mimi_header_samples(header, rate, out), message);
}

mimi_status mimi_go_pack_header(const mimi_token_header *header, void *dst, size_t room, size_t *out,
                                char *message) {
    return with_message(mimi_pack_header(header, dst, room, out), message);
}

mimi_status mimi_go_unpack_header(const void *src, size_t len, mimi_token_header *header, char *message) {
    return with_message(mimi_unpack_header(src, len, header), message);
}
