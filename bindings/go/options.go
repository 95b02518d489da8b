package mimi

// #cgo nocallback mimi_go_options_set
// #cgo noescape mimi_go_options_set
// #include "shim.h"
import "C"

// Option is an option of loading, of streams or of whole recordings. Each call reads those that concern
// it and ignores the others. A value of 0 is the default.
type Option struct {
	key   C.mimi_option
	value int64
}

// Parts is which half of a model to load.
type Parts int64

// The halves of a model.
const (
	BothParts   Parts = C.MIMI_PARTS_BOTH
	EncoderPart Parts = C.MIMI_PARTS_ENCODER
	DecoderPart Parts = C.MIMI_PARTS_DECODER
)

// Tail is how a last partial frame is completed.
type Tail int64

// The ways to complete a last partial frame.
const (
	AudioPad Tail = C.MIMI_TAIL_AUDIO_PAD // pad the waveform, as kyutai's moshi does
	LayerPad Tail = C.MIMI_TAIL_LAYER_PAD // each layer pads its input, as transformers does
)

// Precision is how weights are kept in memory.
type Precision int64

// The precisions.
const (
	F32   Precision = C.MIMI_PRECISION_F32   // 32-bit floats, as in the checkpoint
	BF16  Precision = C.MIMI_PRECISION_BF16  // bfloat16
	Int8  Precision = C.MIMI_PRECISION_INT8  // 8-bit integers
	Int16 Precision = C.MIMI_PRECISION_INT16 // 16-bit integers
)

// ISA is an instruction set.
type ISA int64

// The instruction sets.
const (
	AutoISA     ISA = C.MIMI_ISA_AUTO
	BaselineISA ISA = C.MIMI_ISA_BASELINE
	AVX2        ISA = C.MIMI_ISA_AVX2
	AVX512      ISA = C.MIMI_ISA_AVX512
	NEON        ISA = C.MIMI_ISA_NEON
)

// Codebooks is the number of codes per frame; by default 8, or as many as the model's config calls valid, or all if
// the model has fewer. For Load: how many to keep; by default all.
func Codebooks(n int) Option { return Option{C.MIMI_OPT_CODEBOOKS, int64(n)} }

// SampleRate is the rate of your audio in Hz; by default the model's, or for OpenReader the header's. Others are
// converted, if a frame is an even number of samples: multiples of 25 Hz with the published model.
func SampleRate(hz int) Option { return Option{C.MIMI_OPT_SAMPLE_RATE, int64(hz)} }

// MaxBlock is the number of samples worked on at once.
func MaxBlock(samples int) Option { return Option{C.MIMI_OPT_MAX_BLOCK, int64(samples)} }

// WeightPrecision is how a model that is loaded keeps its weights.
func WeightPrecision(p Precision) Option { return Option{C.MIMI_OPT_PRECISION, int64(p)} }

// LoadParts loads half a model.
func LoadParts(p Parts) Option { return Option{C.MIMI_OPT_PARTS, int64(p)} }

// LastFrame is how a last partial frame is completed.
func LastFrame(t Tail) Option { return Option{C.MIMI_OPT_TAIL, int64(t)} }

// Context is how far attention looks back, in steps of the transformers, of which the published model has two a frame;
// by default the checkpoint's.
func Context(steps int) Option { return Option{C.MIMI_OPT_CONTEXT, int64(steps)} }

// Threads is the number of threads that work on a whole recording; by default 1.
func Threads(n int) Option { return Option{C.MIMI_OPT_THREADS, int64(n)} }

// InstructionSet is the instruction set of a model that is loaded; by default the best of this CPU.
func InstructionSet(i ISA) Option { return Option{C.MIMI_OPT_ISA, int64(i)} }

// RawOption is any option of mimi.h by its key.
func RawOption(key int32, value int64) Option { return Option{C.mimi_option(key), value} }

// withOptions calls f with the options as libmimi wants them.
func withOptions(options []Option, f func(*C.mimi_options) error) error {
	if len(options) == 0 {
		return f(nil)
	}
	bag := C.mimi_options_new()
	if bag == nil {
		return &Error{Code: ErrOutOfMemory}
	}
	defer C.mimi_options_free(bag)
	var msg message
	for _, o := range options {
		if err := msg.err(C.mimi_go_options_set(bag, o.key, C.int64_t(o.value), &msg[0])); err != nil {
			return err
		}
	}
	return f(bag)
}
