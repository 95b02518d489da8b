/* instructions MODEL ISA PRECISION: encodes and decodes two frames, and has the instructions of the second one counted,
   for each side. On x86 `valgrind --tool=callgrind --instr-atstart=no` counts, one dump for each; on Arm it is
   qemu_plugin.c, whose second line is of the encoder and third of the decoder. tests/instructions.sh runs it. */
#include "fixture.h"

#ifdef __aarch64__
#define COUNT() __asm__ volatile("hint #100" ::: "memory")
#define COUNTED(side) COUNT()
#else
#include <valgrind/callgrind.h>
#define COUNT() CALLGRIND_START_INSTRUMENTATION
#define COUNTED(side) CALLGRIND_DUMP_STATS_AT(side)
#endif

enum { FRAME = 1920, CODEBOOKS = 8 };

int main(int argc, char **argv) {
    CHECK(argc == 4);
    mimi_options *options = mimi_options_new();
    CHECK(options);
    OK(mimi_options_set(options, MIMI_OPT_ISA, atoi(argv[2])));
    OK(mimi_options_set(options, MIMI_OPT_PRECISION, atoi(argv[3])));
    OK(mimi_options_set(options, MIMI_OPT_CODEBOOKS, CODEBOOKS));
    mimi_model *model;
    mimi_encoder *encoder;
    mimi_decoder *decoder;
    OK(mimi_load(argv[1], options, &model));
    OK(mimi_encoder_new(model, options, &encoder));
    OK(mimi_decoder_new(model, options, &decoder));
    static float pcm[FRAME];
    uint32_t codes[CODEBOOKS], seed = 1;
    for (int frame = 0; frame < 2; frame++) {
        size_t n;
        /* noise; the generator of Numerical Recipes */
        for (int i = 0; i < FRAME; i++) {
            seed = seed * 1664525u + 1013904223u;
            pcm[i] = (float)(seed >> 8) / (1 << 24) - 0.5f;
        }
        if (frame == 1)
            COUNT();
        OK(mimi_encoder_process(encoder, pcm, FRAME, codes, CODEBOOKS, &n));
        if (frame == 1)
            COUNTED("encode");
        OK(mimi_decoder_process(decoder, codes, n, pcm, FRAME, &n));
        if (frame == 1)
            COUNTED("decode");
    }
    mimi_decoder_free(decoder);
    mimi_encoder_free(encoder);
    mimi_free(model);
    mimi_options_free(options);
    return 0;
}
