package mimi_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/libmimi/libmimi/bindings/go"
)

const dim = 32 // values in a frame of the tiny model's latents

func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func TestLatentsOfWholeRecordings(t *testing.T) {
	g, model := readGolden(t), load(t)
	floats, codes := must[[]float32](t), must[[]uint32](t)
	if found := must[int64](t)(model.Get(mimi.LatentDim)); found != dim {
		t.Fatalf("%d values in a frame", found)
	}
	latents := floats(model.EncodeLatents(g.pcm, options...))
	if err := g.checkCodes(codes(model.Quantize(latents, options...))); err != nil {
		t.Error(err)
	}
	dequantized := floats(model.Dequantize(g.codes, options...))
	audio := floats(model.DecodeLatents(dequantized, options...))
	if !slices.Equal(audio, floats(model.Decode(g.codes, options...))) {
		t.Error("latents of codes give another sound than codes")
	}
	for _, err := range []error{
		second(model.DecodeLatents(latents[:dim+1], options...)),
		second(model.Quantize(latents[:dim-1], options...)),
		second(model.Dequantize(g.codes[:7], options...)),
	} {
		if !errors.Is(err, mimi.ErrInvalidArgument) || !strings.Contains(err.Error(), "expected a multiple of") {
			t.Errorf("a partial frame: %v", err)
		}
	}
	if none := floats(model.DecodeLatents(nil)); len(none) != 0 {
		t.Errorf("no latents: %d samples", len(none))
	}
}

func second[T any](_ T, err error) error { return err }

func TestLatentsOfStreams(t *testing.T) {
	g, model := readGolden(t), load(t)
	floats := must[[]float32](t)
	encoder := must[*mimi.Encoder](t)(model.NewEncoder(options...))
	defer encoder.Close()
	decoder := must[*mimi.Decoder](t)(model.NewDecoder(options...))
	defer decoder.Close()
	expected := floats(model.EncodeLatents(g.pcm, options...))
	var latents, audio []float32
	for piece := range slices.Chunk(g.pcm, 1000) {
		latents = floats(encoder.AppendLatents(latents, piece))
	}
	if waiting := must[int64](t)(encoder.Get(mimi.FlushLatents)); waiting != int64(len(expected)-len(latents)) {
		t.Errorf("%d values wait for a flush", waiting)
	}
	if latents = floats(encoder.AppendFlushLatents(latents)); !slices.Equal(latents, expected) {
		t.Error("streamed latents are others")
	}
	for frame := range slices.Chunk(latents, dim) {
		audio = floats(decoder.AppendLatents(audio, frame))
	}
	if !slices.Equal(audio, floats(model.DecodeLatents(latents, options...))) {
		t.Error("streamed audio is another")
	}
	audio = floats(decoder.AppendLostLatents(audio[:0], 2*dim))
	if concealed := must[int64](t)(decoder.Get(mimi.Concealed)); len(audio) != 2*1920 || concealed != 2 {
		t.Errorf("%d samples of %d lost frames", len(audio), concealed)
	}
	odd := slices.Repeat([]float32{float32(math.NaN()), float32(math.Inf(1))}, dim/2)
	if audio = floats(decoder.AppendLatents(audio[:0], odd)); slices.ContainsFunc(audio, func(x float32) bool { return x != x }) {
		t.Error("what is no number was heard")
	}
	for _, values := range []int{-1, dim - 1} {
		if _, err := decoder.AppendLostLatents(nil, values); !errors.Is(err, mimi.ErrInvalidArgument) {
			t.Errorf("%d lost values: %v", values, err)
		}
	}
	if kept, err := decoder.AppendLatents(audio[:1], odd[:1]); !errors.Is(err, mimi.ErrInvalidArgument) || len(kept) != 1 {
		t.Errorf("one value: %v", err)
	}
	room := make([]float32, 0, 2*1920)
	allocated := testing.AllocsPerRun(10, func() {
		room, _ = decoder.AppendLatents(room[:0], latents[:dim])
		room, _ = encoder.AppendLatents(room[:0], g.pcm[:1920])
	})
	if allocated != 0 {
		t.Errorf("%v allocations", allocated)
	}
}

func TestManyStreamsOfLatents(t *testing.T) {
	g, model := readGolden(t), load(t)
	floats := must[[]float32](t)
	var encoders []*mimi.Encoder
	var decoders []*mimi.Decoder
	var pcm, latents, audio [][]float32
	for i := range 3 {
		encoders = append(encoders, must[*mimi.Encoder](t)(model.NewEncoder(options...)))
		decoders = append(decoders, must[*mimi.Decoder](t)(model.NewDecoder(options...)))
		defer encoders[i].Close()
		defer decoders[i].Close()
		pcm = append(pcm, g.pcm[i*5000:][:1920])
		latents, audio = append(latents, make([]float32, dim)), append(audio, make([]float32, 1920))
	}
	if err := errors.Join(mimi.EncodeManyLatents(encoders, pcm, latents), mimi.DecodeManyLatents(decoders, latents, audio)); err != nil {
		t.Fatal(err)
	}
	for i := range pcm {
		alone := floats(model.EncodeLatents(pcm[i], options...))
		if !slices.Equal(latents[i], alone) || !slices.Equal(audio[i], floats(model.DecodeLatents(alone, options...))) {
			t.Errorf("stream %d is another than alone", i)
		}
	}
	latents[1] = latents[1][:dim-1]
	for _, err := range []error{mimi.EncodeManyLatents(encoders, pcm, latents), mimi.DecodeManyLatents(decoders, latents, audio)} {
		if !errors.Is(err, mimi.ErrInvalidArgument) || !strings.Contains(err.Error(), "stream 1: 1920 samples and 31 values instead of 1920 and 32") {
			t.Errorf("a short frame: %v", err)
		}
	}
	if err := mimi.DecodeManyLatents(decoders[:2], latents, audio); !errors.Is(err, mimi.ErrInvalidArgument) {
		t.Errorf("fewer streams than frames: %v", err)
	}
}
