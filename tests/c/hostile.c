/* hostile.c FOLDER: checkpoints whose numbers multiply to more than an address space of 32 bits. Each is well formed
 * and every number in it within bounds; they are written to FOLDER, as zeros that take no room there. Silent on
 * success. */

#include "fixture.h"

/* The numbers of a network that differ from one checkpoint to the next; all others are as small as can be. */
typedef struct {
    const char *name;
    unsigned hidden, heads, head_dim, rate, ratios[2];
    int has_encoder;
} network;

/* A header of a safetensors file that grows by a tensor at a time. */
typedef struct {
    char text[1 << 16];
    size_t len;
    uint64_t data;
} header;

static void say(header *h, const char *text) {
    size_t len = strlen(text);
    CHECK(h->len + len < sizeof h->text);
    memcpy(h->text + h->len, text, len + 1);
    h->len += len;
}

/* A tensor of 16-bit zeros; a dimension of 0 is none. */
static void tensor(header *h, const char *before, const char *name, unsigned a, unsigned b, unsigned c) {
    char entry[512], shape[64];
    if (c)
        snprintf(shape, sizeof shape, "%u,%u,%u", a, b, c);
    else if (b)
        snprintf(shape, sizeof shape, "%u,%u", a, b);
    else
        snprintf(shape, sizeof shape, "%u", a);
    uint64_t bytes = 2 * (uint64_t)a * (b ? b : 1) * (c ? c : 1);
    snprintf(entry, sizeof entry, ",\"%s%s\":{\"dtype\":\"BF16\",\"shape\":[%s],\"data_offsets\":[%llu,%llu]}", before,
             name, shape, (unsigned long long)h->data, (unsigned long long)(h->data + bytes));
    say(h, entry);
    h->data += bytes;
}

static void convolution(header *h, const char *half, unsigned layer, const char *part, const unsigned shape[3],
                        unsigned outputs) {
    char before[64];
    snprintf(before, sizeof before, "%s.layers.%u.%sconv.", half, layer, part);
    tensor(h, before, "weight", shape[0], shape[1], shape[2]);
    tensor(h, before, "bias", outputs, 0, 0);
}

/* One layer of each transformer, one block in each stage of SEANet, kernels of one tap, one filter. */
static void half(header *h, const network *n, const char *name, int decodes) {
    char transformer[64];
    snprintf(transformer, sizeof transformer, "%s_transformer.layers.0.", name);
    unsigned width = n->heads * n->head_dim;
    tensor(h, transformer, "self_attn.q_proj.weight", width, n->hidden, 0);
    tensor(h, transformer, "self_attn.k_proj.weight", width, n->hidden, 0);
    tensor(h, transformer, "self_attn.v_proj.weight", width, n->hidden, 0);
    tensor(h, transformer, "self_attn.o_proj.weight", n->hidden, width, 0);
    tensor(h, transformer, "mlp.fc1.weight", 1, n->hidden, 0);
    tensor(h, transformer, "mlp.fc2.weight", n->hidden, 1, 0);
    tensor(h, transformer, "self_attn_layer_scale.scale", n->hidden, 0, 0);
    tensor(h, transformer, "mlp_layer_scale.scale", n->hidden, 0, 0);
    const char *norms[] = {"input_layernorm.weight", "input_layernorm.bias", "post_attention_layernorm.weight",
                           "post_attention_layernorm.bias"};
    for (size_t i = 0; i < 4; i++)
        tensor(h, transformer, norms[i], n->hidden, 0, 0);

    unsigned stages = n->ratios[1] ? 2 : 1, layer = 1, channels = decodes ? 1u << stages : 1;
    const unsigned first[] = {channels, decodes ? n->hidden : 1, 1};
    convolution(h, name, 0, "", first, channels);
    for (unsigned stage = 0; stage < stages; stage++) {
        unsigned ratio = n->ratios[decodes ? stage : stages - 1 - stage];
        if (decodes) {
            const unsigned up[] = {channels, channels / 2, 2 * ratio};
            convolution(h, name, layer + 1, "", up, channels / 2);
            channels /= 2;
            layer += 2;
        }
        const unsigned block[] = {channels, channels, 1};
        convolution(h, name, layer, "block.1.", block, channels);
        convolution(h, name, layer, "block.3.", block, channels);
        layer++;
        if (!decodes) {
            const unsigned down[] = {2 * channels, channels, 2 * ratio};
            convolution(h, name, layer + 1, "", down, 2 * channels);
            channels *= 2;
            layer += 2;
        }
    }
    const unsigned last[] = {decodes ? 1 : n->hidden, channels, 1};
    convolution(h, name, layer + 1, "", last, last[0]);
}

static const char *write_checkpoint(const char *folder, const network *n) {
    static header h;
    h.len = h.data = 0;
    char ratios[32], config[2048];
    snprintf(ratios, sizeof ratios, n->ratios[1] ? "%u,%u" : "%u", n->ratios[0], n->ratios[1]);
    snprintf(config, sizeof config,
             "{\"__metadata__\":{\"config\":\"{"
             "'model_type':'mimi','sampling_rate':%u,'hidden_size':%u,'num_filters':1,'num_residual_layers':1,"
             "'upsampling_ratios':[%s],'kernel_size':1,'last_kernel_size':1,'residual_kernel_size':1,'compress':1,"
             "'codebook_size':2,'codebook_dim':%u,'vector_quantization_hidden_dimension':%u,'num_quantizers':2,"
             "'upsample_groups':%u,'num_hidden_layers':1,'intermediate_size':1,'num_attention_heads':%u,"
             "'num_key_value_heads':%u,'head_dim':%u,'sliding_window':1}\"}",
             n->rate, n->hidden, ratios, 2u, 2u, n->hidden, n->heads, n->heads, n->head_dim);
    /* the config is text in a string: its quotes are escaped */
    for (const char *c = config; *c; c++) {
        const char quoted[] = {*c, 0};
        say(&h, *c == '\'' ? "\\\"" : quoted);
    }
    half(&h, n, "decoder", 1);
    tensor(&h, "", "upsample.conv.weight", n->hidden, 1, 4);
    if (n->has_encoder) {
        half(&h, n, "encoder", 0);
        tensor(&h, "", "downsample.conv.weight", n->hidden, n->hidden, 4);
    }
    const char *branches[] = {"quantizer.semantic_residual_vector_quantizer.",
                              "quantizer.acoustic_residual_vector_quantizer."};
    for (size_t i = 0; i < 2; i++) {
        tensor(&h, branches[i], "input_proj.weight", 2, n->hidden, 1);
        tensor(&h, branches[i], "output_proj.weight", n->hidden, 2, 1);
        tensor(&h, branches[i], "layers.0.codebook.cluster_usage", 2, 0, 0);
        tensor(&h, branches[i], "layers.0.codebook.embed_sum", 2, 2, 0);
    }
    say(&h, "}");

    const char *path = join(folder, n->name);
    FILE *file = fopen(path, "wb");
    CHECK(file);
    unsigned char length[8];
    for (size_t i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)h.len >> 8 * i);
    CHECK(fwrite(length, 1, 8, file) == 8 && fwrite(h.text, 1, h.len, file) == h.len);
    CHECK(h.data > 0 && fseek(file, (long)(h.data - 1), SEEK_CUR) == 0 && fputc(0, file) == 0);
    CHECK(fclose(file) == 0);
    return path;
}

/* The status of a call that may refuse, in whatever way, and must not fail inside. */
static int refused(mimi_status status) {
    if (status == MIMI_OK)
        return 0;
    if (status != MIMI_ERR_UNSUPPORTED && status != MIMI_ERR_INVALID_ARGUMENT && status != MIMI_ERR_OUT_OF_MEMORY)
        FAIL("%d (%s): %s", status, mimi_status_string(status), mimi_last_error());
    return 1;
}

/* A decoder with an option, and a frame through it if there is one. */
static void decode_with(const mimi_model *model, mimi_option key, int64_t value, size_t frame) {
    mimi_options *o = mimi_options_new();
    mimi_decoder *decoder;
    OK(mimi_options_set(o, key, value));
    if (!refused(mimi_decoder_new(model, o, &decoder))) {
        const uint32_t codes[2] = {0, 1};
        float *pcm = (float *)allocate(frame * sizeof *pcm);
        size_t written;
        for (int i = 0; i < 3; i++)
            OK(mimi_decoder_process(decoder, codes, 2, pcm, frame, &written));
        CHECK(written == frame);
        free(pcm);
        mimi_decoder_free(decoder);
    }
    mimi_options_free(o);
}

/* Rows of keys that are four million values wide; windows of 65,536 of them are more than 2^32. */
static void wide_keys(const char *folder) {
    const network n = {"wide-keys.safetensors", 1, 1024, 4096, 24000, {1024, 0}, 0};
    const char *path = write_checkpoint(folder, &n);
    mimi_options *o = mimi_options_new();
    mimi_model *model;
    OK(mimi_options_set(o, MIMI_OPT_PARTS, MIMI_PARTS_DECODER));
    mimi_status status = mimi_load(path, o, &model);
    if (sizeof(void *) == 4)
        OK(status); /* elsewhere keys may lie so far apart that a stream takes too much */
    if (!refused(status)) {
        const int64_t contexts[] = {1, 1024, 1025, 4096, 65536};
        for (size_t i = 0; i < sizeof contexts / sizeof *contexts; i++)
            decode_with(model, MIMI_OPT_CONTEXT, contexts[i], 2048);
        mimi_free(model);
    }
    mimi_options_free(o);
    remove(path);
}

/* Blocks of 131,072 frames whose rows are 65,536 values wide. */
static void wide_blocks(const char *folder) {
    const network n = {"wide-blocks.safetensors", 65536, 1, 2, 24000, {1, 0}, 0};
    const char *path = write_checkpoint(folder, &n);
    mimi_options *o = mimi_options_new();
    mimi_model *model;
    OK(mimi_options_set(o, MIMI_OPT_PARTS, MIMI_PARTS_DECODER));
    OK(mimi_load(path, o, &model));
    const int64_t blocks[] = {2, 65536, 131072, 262144};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        decode_with(model, MIMI_OPT_MAX_BLOCK, blocks[i], 2);
    mimi_free(model);
    mimi_options_free(o);
    remove(path);
}

/* Frames of 65,536 s at 1 Hz: at 65,536 Hz and more, they have 2^32 samples and more. */
static void long_frames(const char *folder) {
    const network n = {"long-frames.safetensors", 1, 1, 2, 1, {1024, 32}, 1};
    const char *path = write_checkpoint(folder, &n);
    mimi_options *o = mimi_options_new();
    mimi_model *model;
    mimi_encoder *encoder;
    mimi_decoder *decoder;
    OK(mimi_load(path, NULL, &model));
    const int64_t rates[] = {65536, 65600, 131072, 768000};
    const float pcm[4] = {0};
    const uint32_t codes[2] = {0, 1};
    uint32_t no_codes[2];
    float no_pcm[2];
    size_t count;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        OK(mimi_options_set(o, MIMI_OPT_SAMPLE_RATE, rates[i]));
        STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_encoder_new(model, o, &encoder));
        STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_decoder_new(model, o, &decoder));
        STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_encode(model, o, pcm, 4, no_codes, 2, &count));
        STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_decode(model, o, codes, 2, no_pcm, 2, &count));
    }
    mimi_free(model);
    mimi_options_free(o);
    remove(path);
}

int main(int argc, char **argv) {
    if (argc != 2)
        FAIL("usage: hostile FOLDER");
    long_frames(argv[1]);
    wide_blocks(argv[1]);
    wide_keys(argv[1]);
    return 0;
}
