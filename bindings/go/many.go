package mimi

// #cgo nocallback mimi_encoder_process_many
// #cgo nocallback mimi_decoder_process_many
// #cgo nocallback mimi_encoder_process_many_latents
// #cgo nocallback mimi_decoder_process_many_latents
// #include "shim.h"
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"
)

// EncodeMany encodes exactly one frame for each of several streams of one model, in one pass over its
// weights. pcm[i] is a frame of samples, codes[i] room for a frame of codes. On an error nothing has
// happened to any stream. A stream at a rate other than the model's must have taken its first frame alone,
// with Append.
func EncodeMany(encoders []*Encoder, pcm [][]float32, codes [][]uint32) error {
	check := func(s *Encoder, i int) error {
		return s.header.check(i, len(pcm[i]), "codes", len(codes[i]), s.header.Codebooks)
	}
	return many(encoders, pcm, codes, check, func(n C.size_t, streams, in, out unsafe.Pointer) C.mimi_status {
		return C.mimi_encoder_process_many((**C.mimi_encoder)(streams), n, (**C.float)(in), (**C.uint32_t)(out))
	})
}

// DecodeMany decodes exactly one frame for each of several streams of one model: the counterpart of
// EncodeMany.
func DecodeMany(decoders []*Decoder, codes [][]uint32, pcm [][]float32) error {
	check := func(s *Decoder, i int) error {
		return s.header.check(i, len(pcm[i]), "codes", len(codes[i]), s.header.Codebooks)
	}
	return many(decoders, codes, pcm, check, func(n C.size_t, streams, in, out unsafe.Pointer) C.mimi_status {
		return C.mimi_decoder_process_many((**C.mimi_decoder)(streams), n, (**C.uint32_t)(in), (**C.float)(out))
	})
}

// EncodeManyLatents is EncodeMany to latents: latents[i] is room for a frame of them.
func EncodeManyLatents(encoders []*Encoder, pcm, latents [][]float32) error {
	check := func(s *Encoder, i int) error {
		return s.header.check(i, len(pcm[i]), "values", len(latents[i]), s.latentDim)
	}
	return many(encoders, pcm, latents, check, func(n C.size_t, streams, in, out unsafe.Pointer) C.mimi_status {
		return C.mimi_encoder_process_many_latents((**C.mimi_encoder)(streams), n, (**C.float)(in), (**C.float)(out))
	})
}

// DecodeManyLatents is DecodeMany of latents: latents[i] is a frame of them.
func DecodeManyLatents(decoders []*Decoder, latents, pcm [][]float32) error {
	check := func(s *Decoder, i int) error {
		return s.header.check(i, len(pcm[i]), "values", len(latents[i]), s.latentDim)
	}
	return many(decoders, latents, pcm, check, func(n C.size_t, streams, in, out unsafe.Pointer) C.mimi_status {
		return C.mimi_decoder_process_many_latents((**C.mimi_decoder)(streams), n, (**C.float)(in), (**C.float)(out))
	})
}

// member is a stream of those that are run together.
type member interface {
	*Encoder | *Decoder
	base() *handle
}

func (s *Encoder) base() *handle { return &s.handle }
func (s *Decoder) base() *handle { return &s.handle }

// many calls with where the lists of streams, inputs and outputs begin, if check finds each frame as long as the
// library will take it to be.
func many[S member, A, B any](streams []S, in [][]A, out [][]B, check func(s S, i int) error, call func(n C.size_t, streams, in, out unsafe.Pointer) C.mimi_status) error {
	if len(in) != len(streams) || len(out) != len(streams) {
		return &Error{Code: ErrInvalidArgument, Message: fmt.Sprintf("%d streams, but %d inputs and %d outputs", len(streams), len(in), len(out))}
	}
	owned := make([]*handle, len(streams))
	for i, s := range streams {
		owned[i] = new(handle) // for nil, as if it were closed
		if s != nil {
			owned[i] = s.base()
		}
	}
	end, err := beginAll(owned)
	if err != nil {
		return err
	}
	defer end()
	var pinner runtime.Pinner
	defer pinner.Unpin()
	lists := [3][]unsafe.Pointer{}
	for i, s := range streams {
		if err := check(s, i); err != nil {
			return err
		}
		frames := [2]unsafe.Pointer{unsafe.Pointer(unsafe.SliceData(in[i])), unsafe.Pointer(unsafe.SliceData(out[i]))}
		for at, pointer := range [3]unsafe.Pointer{owned[i].ptr, frames[0], frames[1]} {
			if at > 0 {
				pinner.Pin(pointer)
			}
			lists[at] = append(lists[at], pointer)
		}
	}
	if len(streams) == 0 {
		return nil
	}
	begin := func(list []unsafe.Pointer) unsafe.Pointer { return unsafe.Pointer(&list[0]) }
	if status := call(C.size_t(len(streams)), begin(lists[0]), begin(lists[1]), begin(lists[2])); status != C.MIMI_OK {
		return &Error{Code: Code(status)}
	}
	return nil
}

// check is an error unless a frame's buffers are as long as the library will take them to be: values counts codes or
// latents, which are what.
func (h Header) check(i, samples int, what string, values, expected int) error {
	if samples == h.FrameSamples && values == expected {
		return nil
	}
	return &Error{Code: ErrInvalidArgument, Message: fmt.Sprintf("stream %d: %d samples and %d %s instead of %d and %d", i, samples, values, what, h.FrameSamples, expected)}
}
