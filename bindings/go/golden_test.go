package mimi_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/libmimi/libmimi/bindings/go"
)

const checkpoint = "testdata/tiny.safetensors"

// all codebooks, and the padding of the program that the golden vectors come from
var options = []mimi.Option{mimi.Codebooks(6), mimi.LastFrame(mimi.LayerPad)}

// golden is audio, its codes frame after frame, and the audio decoded from them.
type golden struct {
	pcm   []float32
	codes []uint32
	audio []float32
}

func readGolden(tb testing.TB) golden {
	tb.Helper()
	wav := readFile(tb, "speech.wav")[44:]
	g := golden{pcm: make([]float32, len(wav)/2)}
	for i := range g.pcm {
		g.pcm[i] = float32(int16(binary.LittleEndian.Uint16(wav[2*i:]))) / 32768
	}
	codes := make([]int16, 0)
	codebooks, frames := readArray(tb, "tiny.codes.npy", &codes)
	g.codes = make([]uint32, len(codes))
	for k := range codebooks {
		for f := range frames {
			g.codes[f*codebooks+k] = uint32(codes[k*frames+f])
		}
	}
	readArray(tb, "tiny.audio.npy", &g.audio)
	return g
}

func readFile(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

var shape = regexp.MustCompile(`'shape': \((?:1, )?(\d+), (\d+)\)`)

// readArray reads the last two dimensions of a NumPy array.
func readArray[T any](tb testing.TB, name string, values *[]T) (rows, columns int) {
	tb.Helper()
	data := readFile(tb, name)
	header := 10 + int(binary.LittleEndian.Uint16(data[8:]))
	found := shape.FindSubmatch(data[:header])
	if found == nil {
		tb.Fatalf("%s: no shape in %q", name, data[:header])
	}
	rows, _ = strconv.Atoi(string(found[1]))
	columns, _ = strconv.Atoi(string(found[2]))
	*values = make([]T, rows*columns)
	if err := binary.Read(bytes.NewReader(data[header:]), binary.LittleEndian, *values); err != nil {
		tb.Fatal(err)
	}
	return rows, columns
}

// checkCodes is an error unless all codes are the golden ones.
func (g golden) checkCodes(codes []uint32) error {
	if len(codes) != len(g.codes) {
		return fmt.Errorf("%d codes instead of %d", len(codes), len(g.codes))
	}
	for i, code := range codes {
		if code != g.codes[i] {
			return fmt.Errorf("code %d: %d instead of %d", i, code, g.codes[i])
		}
	}
	return nil
}

// checkAudio is an error unless the audio is the golden one, up to rounding.
func (g golden) checkAudio(audio []float32) error {
	if len(audio) != len(g.audio) {
		return fmt.Errorf("%d samples instead of %d", len(audio), len(g.audio))
	}
	var peak float32
	for _, sample := range g.audio {
		peak = max(peak, sample, -sample)
	}
	for i, sample := range audio {
		if d := sample - g.audio[i]; !(max(d, -d) <= 5e-5*peak) {
			return fmt.Errorf("sample %d: %g instead of %g", i, sample, g.audio[i])
		}
	}
	return nil
}

func load(tb testing.TB) *mimi.Model {
	tb.Helper()
	model, err := mimi.Load(checkpoint)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { model.Close() })
	return model
}
