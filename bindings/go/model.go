package mimi

// #cgo nocallback mimi_go_load
// #cgo noescape mimi_go_load
// #cgo nocallback mimi_go_load_memory
// #cgo noescape mimi_go_load_memory
// #cgo nocallback mimi_go_model_get
// #cgo noescape mimi_go_model_get
// #cgo nocallback mimi_go_encode
// #cgo noescape mimi_go_encode
// #cgo nocallback mimi_go_decode
// #cgo noescape mimi_go_decode
// #cgo nocallback mimi_go_encode_latents
// #cgo noescape mimi_go_encode_latents
// #cgo nocallback mimi_go_decode_latents
// #cgo noescape mimi_go_decode_latents
// #cgo nocallback mimi_go_quantize
// #cgo noescape mimi_go_quantize
// #cgo nocallback mimi_go_dequantize
// #cgo noescape mimi_go_dequantize
// #include "shim.h"
// #include <stdlib.h>
import "C"

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unsafe"
)

func init() {
	const header = C.MIMI_VERSION_NUMBER
	loaded := C.mimi_version_number()
	if loaded/100 != header/100 || loaded < header {
		panic(fmt.Sprintf("mimi: compiled for libmimi %d.%d.%d, but loaded %s", C.MIMI_VERSION_MAJOR,
			C.MIMI_VERSION_MINOR, C.MIMI_VERSION_PATCH, Version()))
	}
}

// Version is the version of libmimi, and the best kernels that this CPU can run; for logs.
func Version() string { return C.GoString(C.mimi_version_string()) }

// Property is something that a model or a stream tells of itself.
type Property int32

// The properties. Those of streams only are ErrUnsupported of a model.
const (
	CodebookCount  Property = C.MIMI_PROP_CODEBOOKS       // model: codebooks; stream: codes per frame
	Rate           Property = C.MIMI_PROP_SAMPLE_RATE     // samples per second
	FrameSamples   Property = C.MIMI_PROP_FRAME_SAMPLES   // samples per frame
	CodebookSize   Property = C.MIMI_PROP_CODEBOOK_SIZE   // codes are below this
	LatencySamples Property = C.MIMI_PROP_LATENCY_SAMPLES // streams: by how much a host delays the dry signal; nothing is to be cut
	Frames         Property = C.MIMI_PROP_FRAMES          // streams: frames since it began
	MemoryBytes    Property = C.MIMI_PROP_MEMORY_BYTES    // bytes of weights, or of a stream's state
	CodesHash      Property = C.MIMI_PROP_CODES_HASH      // streams: equal if every code arrived
	ModelID        Property = C.MIMI_PROP_MODEL_ID        // what gives codes their meaning
	CodeBits       Property = C.MIMI_PROP_CODE_BITS       // the bits that one code needs
	KeptPrecision  Property = C.MIMI_PROP_PRECISION       // a Precision
	UsedISA        Property = C.MIMI_PROP_ISA             // an ISA, never AutoISA
	LoadedParts    Property = C.MIMI_PROP_PARTS           // a Parts
	FlushLen       Property = C.MIMI_PROP_FLUSH_LEN       // streams: codes or samples that a flush would give now
	BadCodeIndex   Property = C.MIMI_PROP_BAD_CODE_INDEX  // decoders: where the code of the last ErrCorrupt stood, or -1
	BadCodeValue   Property = C.MIMI_PROP_BAD_CODE_VALUE  // decoders: its value, or -1
	Concealed      Property = C.MIMI_PROP_CONCEALED       // decoders: frames concealed; playbacks: frames that were missing when their time came
	Lost           Property = C.MIMI_PROP_LOST            // playbacks: frames written as lost
	Waiting        Property = C.MIMI_PROP_WAITING         // playbacks: frames that wait for their time
	Late           Property = C.MIMI_PROP_LATE            // playbacks: frames that came after their time and were thrown away
	Missed         Property = C.MIMI_PROP_MISSED          // playbacks: frames that Work had not made in time
	Dropped        Property = C.MIMI_PROP_DROPPED         // captures, playbacks: frames for which there was no room
	LatentDim      Property = C.MIMI_PROP_LATENT_DIM      // values in a frame of latents
	FlushLatents   Property = C.MIMI_PROP_FLUSH_LATENTS   // encoders: values that AppendFlushLatents would give now
)

// Model holds the weights of a codec. It never changes: any number of goroutines may use it at once.
type Model struct{ handle handle }

func (m *Model) c() *C.mimi_model { return (*C.mimi_model)(m.handle.ptr) }

// Load loads a file model.safetensors, a directory with one and its config.json, or the index of a
// checkpoint in parts. It reads the options Codebooks, WeightPrecision, LoadParts and InstructionSet. If nothing is
// there, errors.Is finds fs.ErrNotExist.
func Load(path string, options ...Option) (*Model, error) {
	if strings.IndexByte(path, 0) >= 0 {
		return nil, &Error{Code: ErrInvalidArgument, Message: fmt.Sprintf("path %q has a NUL byte", path)}
	}
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	model, err := newModel(options, func(bag *C.mimi_options, out **C.mimi_model, msg *message) C.mimi_status {
		return C.mimi_go_load(cpath, bag, out, &msg[0])
	})
	var e *Error
	if errors.As(err, &e) && e.Code == ErrIO {
		_, e.Cause = os.Stat(path)
	}
	return model, err
}

// LoadBytes loads the bytes of one model.safetensors. What is needed of them is copied. It reads the options of Load.
func LoadBytes(data []byte, options ...Option) (*Model, error) {
	return newModel(options, func(bag *C.mimi_options, out **C.mimi_model, msg *message) C.mimi_status {
		return C.mimi_go_load_memory(unsafe.Pointer(unsafe.SliceData(data)), C.size_t(len(data)), bag, out, &msg[0])
	})
}

func newModel(options []Option, load func(*C.mimi_options, **C.mimi_model, *message) C.mimi_status) (*Model, error) {
	var model *Model
	err := withOptions(options, func(bag *C.mimi_options) error {
		var msg message
		var out *C.mimi_model
		if err := msg.err(load(bag, &out, &msg)); err != nil {
			return err
		}
		model = new(Model)
		own(model, &model.handle, unsafe.Pointer(out), func(p unsafe.Pointer) { C.mimi_free((*C.mimi_model)(p)) })
		return nil
	})
	return model, err
}

// Close waits for the calls of the model that are running, and returns. Streams of the model go on; the weights are
// freed with the last of them. Later calls of Close do nothing.
func (m *Model) Close() error { return m.handle.close() }

// Get reads a property.
func (m *Model) Get(p Property) (int64, error) {
	if err := m.handle.share(); err != nil {
		return 0, err
	}
	defer m.handle.lock.RUnlock()
	var msg message
	var value C.int64_t
	err := msg.err(C.mimi_go_model_get(m.c(), C.mimi_prop(p), &value, &msg[0]))
	return int64(value), err
}

// Encode encodes a whole recording. It reads the options Codebooks, SampleRate, MaxBlock, LastFrame, Context and
// Threads.
func (m *Model) Encode(pcm []float32, options ...Option) ([]uint32, error) {
	return all(m, options, func(bag *C.mimi_options, codes []uint32, n *C.size_t, msg *message) C.mimi_status {
		return C.mimi_go_encode(m.c(), bag, floats(pcm), C.size_t(len(pcm)), uints(codes), C.size_t(len(codes)), n, &msg[0])
	})
}

// Decode decodes a whole recording, whole frames of codes. It reads the options Codebooks, SampleRate, MaxBlock,
// Context and Threads.
func (m *Model) Decode(codes []uint32, options ...Option) ([]float32, error) {
	return all(m, options, func(bag *C.mimi_options, pcm []float32, n *C.size_t, msg *message) C.mimi_status {
		return C.mimi_go_decode(m.c(), bag, uints(codes), C.size_t(len(codes)), floats(pcm), C.size_t(len(pcm)), n, &msg[0])
	})
}

// EncodeLatents is Encode to latents in place of codes: LatentDim values for each frame, frame after frame, as they
// enter the quantizer. A model without a quantizer has latents alone.
func (m *Model) EncodeLatents(pcm []float32, options ...Option) ([]float32, error) {
	return all(m, options, func(bag *C.mimi_options, latents []float32, n *C.size_t, msg *message) C.mimi_status {
		return C.mimi_go_encode_latents(m.c(), bag, floats(pcm), C.size_t(len(pcm)), floats(latents), C.size_t(len(latents)), n, &msg[0])
	})
}

// DecodeLatents is Decode of whole frames of latents, as they leave the quantizer. What is not a number, and infinity,
// count as 0.
func (m *Model) DecodeLatents(latents []float32, options ...Option) ([]float32, error) {
	return all(m, options, func(bag *C.mimi_options, pcm []float32, n *C.size_t, msg *message) C.mimi_status {
		return C.mimi_go_decode_latents(m.c(), bag, floats(latents), C.size_t(len(latents)), floats(pcm), C.size_t(len(pcm)), n, &msg[0])
	})
}

// Quantize turns whole frames of latents into codes: of the latents of EncodeLatents, the codes of Encode. It reads the
// option Codebooks.
func (m *Model) Quantize(latents []float32, options ...Option) ([]uint32, error) {
	return all(m, options, func(bag *C.mimi_options, codes []uint32, n *C.size_t, msg *message) C.mimi_status {
		return C.mimi_go_quantize(m.c(), bag, floats(latents), C.size_t(len(latents)), uints(codes), C.size_t(len(codes)), n, &msg[0])
	})
}

// Dequantize turns whole frames of codes into latents, of which DecodeLatents makes the audio of Decode. It reads the
// option Codebooks. Nothing is concealed: a frame without a code that can be used is zeros.
func (m *Model) Dequantize(codes []uint32, options ...Option) ([]float32, error) {
	return all(m, options, func(bag *C.mimi_options, latents []float32, n *C.size_t, msg *message) C.mimi_status {
		return C.mimi_go_dequantize(m.c(), bag, uints(codes), C.size_t(len(codes)), floats(latents), C.size_t(len(latents)), n, &msg[0])
	})
}

// all is all that call writes, which it is first asked to without room, so that it says how much there must be.
func all[T any](m *Model, options []Option, call func(bag *C.mimi_options, room []T, n *C.size_t, msg *message) C.mimi_status) ([]T, error) {
	var values []T
	err := m.whole(options, func(bag *C.mimi_options, msg *message) C.mimi_status {
		var n C.size_t
		s := call(bag, nil, &n, msg)
		if s == C.MIMI_ERR_BUFFER_TOO_SMALL {
			values = make([]T, n)
			s = call(bag, values, &n, msg)
		}
		return s
	})
	if err != nil {
		return nil, err
	}
	return values, nil
}

func (m *Model) whole(options []Option, f func(*C.mimi_options, *message) C.mimi_status) error {
	return m.with(options, func(bag *C.mimi_options, msg *message) error { return msg.err(f(bag, msg)) })
}

// with calls f with options and room for a message, while the model cannot be closed.
func (m *Model) with(options []Option, f func(*C.mimi_options, *message) error) error {
	if err := m.handle.share(); err != nil {
		return err
	}
	defer m.handle.lock.RUnlock()
	return withOptions(options, func(bag *C.mimi_options) error {
		var msg message
		return f(bag, &msg)
	})
}
