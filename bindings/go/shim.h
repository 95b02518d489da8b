// Calls of mimi.h that fetch the message of a failure before they return: it belongs to the thread, and
// the next cgo call may run on another.
#ifndef MIMI_GO_SHIM_H
#define MIMI_GO_SHIM_H

#include <mimi.h>

enum { MIMI_GO_MESSAGE = 1024 };

mimi_status mimi_go_options_set(mimi_options *o, mimi_option key, int64_t value, char *message);
mimi_status mimi_go_load(const char *path, const mimi_options *o, mimi_model **out, char *message);
mimi_status mimi_go_load_memory(const void *data, size_t len, const mimi_options *o, mimi_model **out,
                                char *message);
mimi_status mimi_go_load_reader(uintptr_t reader, uint64_t size, const mimi_options *o, mimi_model **out,
                                char *message);
mimi_status mimi_go_model_get(const mimi_model *m, mimi_prop key, int64_t *out, char *message);
mimi_status mimi_go_encode(const mimi_model *m, const mimi_options *o, const float *pcm, size_t n_samples,
                           uint32_t *codes, size_t room, size_t *out, char *message);
mimi_status mimi_go_decode(const mimi_model *m, const mimi_options *o, const uint32_t *codes,
                           size_t n_codes, float *pcm, size_t room, size_t *out, char *message);
mimi_status mimi_go_encode_latents(const mimi_model *m, const mimi_options *o, const float *pcm, size_t n_samples,
                                   float *latents, size_t room, size_t *out, char *message);
mimi_status mimi_go_decode_latents(const mimi_model *m, const mimi_options *o, const float *latents,
                                   size_t n_values, float *pcm, size_t room, size_t *out, char *message);
mimi_status mimi_go_quantize(const mimi_model *m, const mimi_options *o, const float *latents, size_t n_values,
                             uint32_t *codes, size_t room, size_t *out, char *message);
mimi_status mimi_go_dequantize(const mimi_model *m, const mimi_options *o, const uint32_t *codes, size_t n_codes,
                               float *latents, size_t room, size_t *out, char *message);
mimi_status mimi_go_encoder_new(const mimi_model *m, const mimi_options *o, mimi_encoder **out,
                                char *message);
mimi_status mimi_go_decoder_new(const mimi_model *m, const mimi_options *o, mimi_decoder **out,
                                char *message);
mimi_status mimi_go_encoder_clone(const mimi_encoder *e, mimi_encoder **out, char *message);
mimi_status mimi_go_decoder_clone(const mimi_decoder *d, mimi_decoder **out, char *message);
mimi_status mimi_go_capture_new(const mimi_model *m, const mimi_options *o, mimi_capture **out, char *message);
mimi_status mimi_go_playback_new(const mimi_model *m, const mimi_options *o, mimi_playback **out, char *message);
mimi_status mimi_go_model_header(const mimi_model *m, const mimi_options *o, mimi_token_header *header,
                                 char *message);
mimi_status mimi_go_header_samples(const mimi_token_header *header, int64_t rate, int64_t *out, char *message);
mimi_status mimi_go_pack_header(const mimi_token_header *header, void *dst, size_t room, size_t *out,
                                char *message);
mimi_status mimi_go_unpack_header(const void *src, size_t len, mimi_token_header *header, char *message);

#endif
