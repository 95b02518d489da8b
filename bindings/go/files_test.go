package mimi_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/libmimi/libmimi/bindings/go"
)

// A writer that is closed is closed, and one whose encoder was closed has failed.
func TestWriterAfterClose(t *testing.T) {
	encoder, err := load(t).NewEncoder(options...)
	if err != nil {
		t.Fatal(err)
	}
	writer := mimi.NewWriter(io.Discard, encoder)
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := writer.Write(make([]byte, 4)); n != 0 || !errors.Is(err, mimi.ErrClosed) {
		t.Errorf("%d, %v", n, err)
	}
	if err := writer.Close(); err != nil {
		t.Error(err)
	}
	writer = mimi.NewWriter(io.Discard, encoder)
	encoder.Close()
	for range 2 {
		if err := writer.Close(); !errors.Is(err, mimi.ErrClosed) {
			t.Errorf("the encoder is closed: %v", err)
		}
	}
}

// A file that ends within a frame: what came before is there to the last sample, at every rate.
func TestReaderOfCutFile(t *testing.T) {
	g, model := readGolden(t), load(t)
	for _, rate := range []int{8000, 24000, 44100} {
		at := append(slices.Clone(options), mimi.SampleRate(rate))
		encoder, err := model.NewEncoder(at...)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "tokens.mtok")
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		writer := mimi.NewWriter(file, encoder)
		if _, err := writer.Write(bytesOf(g.pcm)); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(writer.Close(), file.Close()); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		const cut = 101
		frame := (6*codeBits(t, model) + 7) / 8
		frames := (cut - 40) / frame
		if (cut-40)%frame == 0 {
			t.Fatalf("%d is between two frames", cut)
		}
		codes, err := mimi.AppendUnpacked(nil, data[40:40+frames*frame], 6, codeBits(t, model))
		if err != nil {
			t.Fatal(err)
		}
		expected, err := model.Decode(codes, at...)
		if err != nil {
			t.Fatal(err)
		}
		reader, err := mimi.OpenReader(model, bytes.NewReader(data[:cut]))
		if err != nil {
			t.Fatal(err)
		}
		audio, err := io.ReadAll(reader)
		if !errors.Is(err, io.ErrUnexpectedEOF) || !slices.Equal(floatsOf(audio), expected) {
			t.Errorf("at %d Hz: %d samples of %d, %v", rate, len(audio)/4, len(expected), err)
		}
		if err := reader.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A recording at a rate that no stream has: the audio comes at the header's rate, and the header tells both.
func TestOriginalRate(t *testing.T) {
	g, model := readGolden(t), load(t)
	header, err := model.Header(mimi.Codebooks(6))
	if err != nil {
		t.Fatal(err)
	}
	header.Samples, header.OriginalRate, header.OriginalSamples = 19441, 11111, 9000
	file, err := mimi.AppendHeader(nil, header)
	if err != nil || len(file) != 52 {
		t.Fatal(len(file), err)
	}
	if file, err = mimi.AppendPacked(file, g.codes[:11*6], 6, header.CodeBits); err != nil {
		t.Fatal(err)
	}
	for rate, samples := range map[int]int{24000: 19441, 48000: 38881} {
		reader, err := mimi.OpenReader(model, bytes.NewReader(file), mimi.SampleRate(rate))
		if err != nil {
			t.Fatal(err)
		}
		audio, err := io.ReadAll(reader)
		if err != nil || len(audio) != 4*samples || reader.SampleRate() != rate || reader.Header() != header {
			t.Errorf("at %d Hz: %d samples, %v, %v", rate, len(audio)/4, reader.Header(), err)
		}
		if err := reader.Close(); err != nil {
			t.Error(err)
		}
	}
	header.OriginalRate = 0
	if _, err := mimi.AppendHeader(nil, header); !errors.Is(err, mimi.ErrInvalidArgument) {
		t.Errorf("a length without a rate: %v", err)
	}
}

// Without cgo, the compiler says what is missing, and that alone.
func TestWithoutCgo(t *testing.T) {
	build := exec.Command("go", "build", ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	said, err := build.CombinedOutput()
	if err == nil || !strings.Contains(string(said), "libmimi needs cgo: CGO_ENABLED=1 and a C compiler") {
		t.Errorf("%v\n%s", err, said)
	}
	if strings.Count(string(said), ".go:") != 1 {
		t.Errorf("more than one error:\n%s", said)
	}
}
