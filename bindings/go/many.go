package mimi

// #cgo nocallback mimi_encoder_process_many
// #cgo nocallback mimi_decoder_process_many
// #include "shim.h"
import "C"

import (
	"fmt"
	"runtime"
)

// EncodeMany encodes exactly one frame for each of several streams of one model, in one pass over its
// weights. pcm[i] is a frame of samples, codes[i] room for a frame of codes. On an error nothing has
// happened to any stream. A stream at a rate other than the model's must have taken its first frame alone,
// with Append.
func EncodeMany(encoders []*Encoder, pcm [][]float32, codes [][]uint32) error {
	if len(pcm) != len(encoders) || len(codes) != len(encoders) {
		return &Error{Code: ErrInvalidArgument, Message: fmt.Sprintf("%d streams, but %d inputs and %d outputs", len(encoders), len(pcm), len(codes))}
	}
	end, err := beginAll(handlesOf(encoders, func(s *Encoder) *handle { return &s.handle }))
	if err != nil {
		return err
	}
	defer end()
	var pinner runtime.Pinner
	defer pinner.Unpin()
	streams := make([]*C.mimi_encoder, len(encoders))
	in := make([]*C.float, len(encoders))
	out := make([]*C.uint32_t, len(encoders))
	for i, s := range encoders {
		if err := s.header.check(i, len(pcm[i]), len(codes[i])); err != nil {
			return err
		}
		streams[i], in[i], out[i] = s.c(), floats(pcm[i]), uints(codes[i])
		pinner.Pin(in[i])
		pinner.Pin(out[i])
	}
	if len(encoders) == 0 {
		return nil
	}
	if status := C.mimi_encoder_process_many(&streams[0], C.size_t(len(streams)), &in[0], &out[0]); status != C.MIMI_OK {
		return &Error{Code: Code(status)}
	}
	return nil
}

// DecodeMany decodes exactly one frame for each of several streams of one model: the counterpart of
// EncodeMany.
func DecodeMany(decoders []*Decoder, codes [][]uint32, pcm [][]float32) error {
	if len(pcm) != len(decoders) || len(codes) != len(decoders) {
		return &Error{Code: ErrInvalidArgument, Message: fmt.Sprintf("%d streams, but %d inputs and %d outputs", len(decoders), len(codes), len(pcm))}
	}
	end, err := beginAll(handlesOf(decoders, func(s *Decoder) *handle { return &s.handle }))
	if err != nil {
		return err
	}
	defer end()
	var pinner runtime.Pinner
	defer pinner.Unpin()
	streams := make([]*C.mimi_decoder, len(decoders))
	in := make([]*C.uint32_t, len(decoders))
	out := make([]*C.float, len(decoders))
	for i, s := range decoders {
		if err := s.header.check(i, len(pcm[i]), len(codes[i])); err != nil {
			return err
		}
		streams[i], in[i], out[i] = s.c(), uints(codes[i]), floats(pcm[i])
		pinner.Pin(in[i])
		pinner.Pin(out[i])
	}
	if len(decoders) == 0 {
		return nil
	}
	if status := C.mimi_decoder_process_many(&streams[0], C.size_t(len(streams)), &in[0], &out[0]); status != C.MIMI_OK {
		return &Error{Code: Code(status)}
	}
	return nil
}

// handlesOf are the handles of streams; a stream that is nil has none, as if it were closed.
func handlesOf[S any](streams []*S, of func(*S) *handle) []*handle {
	handles := make([]*handle, len(streams))
	for i, s := range streams {
		if s == nil {
			handles[i] = new(handle)
		} else {
			handles[i] = of(s)
		}
	}
	return handles
}

// check is an error unless a frame's buffers are as long as the library will take them to be.
func (h Header) check(i, samples, codes int) error {
	if samples == h.FrameSamples && codes == h.Codebooks {
		return nil
	}
	return &Error{Code: ErrInvalidArgument, Message: fmt.Sprintf("stream %d: %d samples and %d codes instead of %d and %d", i, samples, codes, h.FrameSamples, h.Codebooks)}
}
