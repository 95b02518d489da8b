package mimi_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/libmimi/libmimi/bindings/go"
)

func TestWholeRecordings(t *testing.T) {
	g, model := readGolden(t), load(t)
	codes, err := model.Encode(g.pcm, options...)
	if err = errors.Join(err, g.checkCodes(codes)); err != nil {
		t.Error(err)
	}
	audio, err := model.Decode(g.codes, options...)
	if err = errors.Join(err, g.checkAudio(audio)); err != nil {
		t.Error(err)
	}
	if codes, err := model.Encode(nil); err != nil || len(codes) != 0 {
		t.Errorf("no audio: %v, %v", codes, err)
	}
}

// stream encodes and decodes in pieces of step samples.
func stream(model *mimi.Model, g golden, step int) error {
	encoder, err := model.NewEncoder(options...)
	if err != nil {
		return err
	}
	defer encoder.Close()
	decoder, err := model.NewDecoder(options...)
	if err != nil {
		return err
	}
	defer decoder.Close()
	var codes []uint32
	for piece := range slices.Chunk(g.pcm, step) {
		if codes, err = encoder.Append(codes, piece); err != nil {
			return err
		}
	}
	if codes, err = encoder.AppendFlush(codes); err != nil {
		return err
	}
	var audio []float32
	for frame := range slices.Chunk(g.codes, 6) {
		if audio, err = decoder.Append(audio, frame); err != nil {
			return err
		}
	}
	if audio, err = decoder.AppendFlush(audio); err != nil {
		return err
	}
	return errors.Join(g.checkCodes(codes), g.checkAudio(audio))
}

func TestStreams(t *testing.T) {
	g, model := readGolden(t), load(t)
	for _, step := range []int{64, 1919, 1920, 7777} {
		if err := stream(model, g, step); err != nil {
			t.Errorf("pieces of %d: %v", step, err)
		}
	}
}

func TestManyGoroutines(t *testing.T) {
	g, model := readGolden(t), load(t)
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			if err := stream(model, g, 500+333*i); err != nil {
				t.Error(err)
			}
			codes, err := model.Encode(g.pcm, options...)
			if err = errors.Join(err, g.checkCodes(codes)); err != nil {
				t.Error(err)
			}
			// each goroutine its own message, whichever thread it runs on
			_, err = mimi.Load(strings.Repeat("missing", i+1))
			if !strings.Contains(err.Error(), strings.Repeat("missing", i+1)) {
				t.Error(err)
			}
		}()
	}
	wait.Wait()
}

func TestAppendDoesNotAllocate(t *testing.T) {
	g, model := readGolden(t), load(t)
	encoder, err := model.NewEncoder(options...)
	if err != nil {
		t.Fatal(err)
	}
	decoder, err := model.NewDecoder(options...)
	if err != nil {
		t.Fatal(err)
	}
	codes, audio := make([]uint32, 0, 6), make([]float32, 0, 1920)
	allocations := testing.AllocsPerRun(20, func() {
		codes, _ = encoder.Append(codes[:0], g.pcm[:1920])
		audio, _ = decoder.Append(audio[:0], codes)
	})
	if allocations != 0 || len(codes) != 6 || len(audio) != 1920 {
		t.Errorf("%v allocations, %d codes, %d samples", allocations, len(codes), len(audio))
	}
}

func TestLostFrames(t *testing.T) {
	g, model := readGolden(t), load(t)
	ways := []func(*mimi.Decoder, []float32) ([]float32, error){
		func(d *mimi.Decoder, dst []float32) ([]float32, error) { return d.AppendLost(dst, 12) },
		func(d *mimi.Decoder, dst []float32) ([]float32, error) {
			return d.Append(dst, slices.Repeat([]uint32{mimi.NoCode}, 12))
		},
	}
	var told [2][]float32
	for i, lose := range ways {
		decoder, err := model.NewDecoder(options...)
		if err != nil {
			t.Fatal(err)
		}
		audio, first := decoder.Append(nil, g.codes[:12])
		audio, second := lose(decoder, audio)
		audio, third := decoder.Append(audio, g.codes[24:])
		concealed, fourth := decoder.Get(mimi.Concealed)
		if err := errors.Join(first, second, third, fourth); err != nil {
			t.Fatal(err)
		}
		if len(audio) != len(g.codes)/6*1920 || concealed != 2 {
			t.Errorf("%d samples, %d frames concealed", len(audio), concealed)
		}
		told[i] = audio
	}
	if !slices.Equal(told[0], told[1]) {
		t.Error("the same loss sounds different")
	}
	decoder, err := model.NewDecoder(options...)
	if err != nil {
		t.Fatal(err)
	}
	for _, codes := range []int{-6, 1} {
		if _, err := decoder.AppendLost(nil, codes); !errors.Is(err, mimi.ErrInvalidArgument) {
			t.Errorf("%d codes: %v", codes, err)
		}
	}
}

func TestClone(t *testing.T) {
	g, model := readGolden(t), load(t)
	first, err := model.NewEncoder(options...)
	if err != nil {
		t.Fatal(err)
	}
	head, err := first.Append(nil, g.pcm[:5000])
	if err != nil {
		t.Fatal(err)
	}
	second, err := first.Clone()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Reset(); err != nil {
		t.Fatal(err)
	}
	codes, err := second.Append(head, g.pcm[5000:])
	if err != nil {
		t.Fatal(err)
	}
	codes, err = second.AppendFlush(codes)
	if err = errors.Join(err, g.checkCodes(codes)); err != nil {
		t.Error(err)
	}
}

func TestOtherWaysToLoad(t *testing.T) {
	data := readFile(t, "tiny.safetensors")
	id, err := load(t).Get(mimi.ModelID)
	if err != nil {
		t.Fatal(err)
	}
	fromBytes, err := mimi.LoadBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	fromReader, err := mimi.LoadReaderAt(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for _, model := range []*mimi.Model{fromBytes, fromReader} {
		if same, err := model.Get(mimi.ModelID); same != id || err != nil {
			t.Errorf("fingerprint %d instead of %d: %v", same, id, err)
		}
	}
}

type readerAt func([]byte, int64) (int, error)

func (f readerAt) ReadAt(p []byte, at int64) (int, error) { return f(p, at) }

func TestReaderThatFails(t *testing.T) {
	size := int64(len(readFile(t, "tiny.safetensors")))
	broken := errors.New("the disk is gone")
	_, err := mimi.LoadReaderAt(readerAt(func([]byte, int64) (int, error) { return 0, broken }), size)
	if !errors.Is(err, broken) || !errors.Is(err, mimi.ErrAborted) {
		t.Errorf("%v", err)
	}
	file, err := os.Open(checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err = mimi.LoadReaderAt(file, size+1000); err == nil {
		t.Error("a file shorter than said was loaded")
	}
	defer func() {
		if p := recover(); p != "oh" {
			t.Errorf("recovered %v", p)
		}
	}()
	mimi.LoadReaderAt(readerAt(func([]byte, int64) (int, error) { panic("oh") }), size)
}

func TestErrors(t *testing.T) {
	_, err := mimi.Load("no-such-file.safetensors")
	var failure *mimi.Error
	if !errors.Is(err, mimi.ErrIO) || !errors.As(err, &failure) || failure.Code != mimi.ErrIO {
		t.Errorf("%v", err)
	}
	if !strings.Contains(failure.Message, "no-such-file") {
		t.Errorf("message %q", failure.Message)
	}
	if _, err = mimi.Load("a\x00b"); !errors.Is(err, mimi.ErrInvalidArgument) {
		t.Errorf("%v", err)
	}
	if _, err = mimi.LoadBytes(nil); err == nil || errors.Is(err, mimi.ErrIO) {
		t.Errorf("%v", err)
	}
	model := load(t)
	if _, err = model.NewEncoder(mimi.Codebooks(1000)); !errors.Is(err, mimi.ErrInvalidArgument) {
		t.Errorf("%v", err)
	}
	if _, err = model.NewEncoder(mimi.Codebooks(-7)); !strings.Contains(err.Error(), "-7") {
		t.Errorf("%v", err)
	}
	if _, err = model.Get(mimi.Frames); !errors.Is(err, mimi.ErrUnsupported) {
		t.Errorf("%v", err)
	}
	decoder, err := model.NewDecoder(options...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = decoder.Append(nil, make([]uint32, 7)); !errors.Is(err, mimi.ErrInvalidArgument) {
		t.Errorf("%v", err)
	}
	if _, err = decoder.Append(nil, slices.Repeat([]uint32{1 << 20}, 6)); !errors.Is(err, mimi.ErrCorrupt) {
		t.Errorf("%v", err)
	}
}

func TestClose(t *testing.T) {
	g := readGolden(t)
	model, err := mimi.Load(checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	encoder, err := model.NewEncoder(options...)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := model.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := model.Encode(g.pcm); err != mimi.ErrClosed {
		t.Errorf("%v", err)
	}
	// the stream lives on
	codes, err := encoder.Append(nil, g.pcm)
	if err != nil {
		t.Fatal(err)
	}
	if codes, err = encoder.AppendFlush(codes); err != nil || g.checkCodes(codes) != nil {
		t.Error(err, g.checkCodes(codes))
	}
	for range 2 {
		if err := encoder.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := encoder.Append(nil, g.pcm); err != mimi.ErrClosed {
		t.Errorf("%v", err)
	}
}

// What is not closed is freed by the collector, and only when it is no longer used.
func TestCollector(t *testing.T) {
	g := readGolden(t)
	for range 20 {
		model, err := mimi.Load(checkpoint)
		if err != nil {
			t.Fatal(err)
		}
		encoder, err := model.NewEncoder(options...)
		if err != nil {
			t.Fatal(err)
		}
		model = nil
		runtime.GC()
		if _, err := encoder.Append(nil, g.pcm[:4000]); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
}

func TestWriterAndReader(t *testing.T) {
	g, model := readGolden(t), load(t)
	encoder, err := model.NewEncoder(options...)
	if err != nil {
		t.Fatal(err)
	}
	var encoded bytes.Buffer
	writer := mimi.NewWriter(&encoded, encoder)
	// pieces of 7 bytes cut samples
	if _, err := io.CopyBuffer(struct{ io.Writer }{writer}, struct{ io.Reader }{bytes.NewReader(bytesOf(g.pcm))}, make([]byte, 7)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := writer.Close(); err != nil {
			t.Fatal(err)
		}
	}
	header, length, err := mimi.ParseHeader(encoded.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	codes, err := mimi.AppendUnpacked(nil, encoded.Bytes()[length:], header.Codebooks, header.CodeBits)
	if err = errors.Join(err, g.checkCodes(codes)); err != nil {
		t.Error(err)
	}
	decoder, err := model.NewDecoder(options...)
	if err != nil {
		t.Fatal(err)
	}
	file := bytes.Clone(encoded.Bytes())
	audio, err := io.ReadAll(mimi.NewReader(iotest.OneByteReader(&encoded), decoder))
	if err != nil {
		t.Fatal(err)
	}
	if err := g.checkAudio(floatsOf(audio)); err != nil {
		t.Error(err)
	}
	// what the other reader and writer say passes through
	broken := errors.New("the line is dead")
	if _, err := io.ReadAll(mimi.NewReader(iotest.ErrReader(broken), decoder)); err != broken {
		t.Errorf("%v", err)
	}
	for _, cut := range []int{0, 39, len(file) - 1} {
		if _, err := io.ReadAll(mimi.NewReader(bytes.NewReader(file[:cut]), decoder)); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
	other, err := model.NewDecoder(mimi.Codebooks(2))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(mimi.NewReader(bytes.NewReader(file), other)); !errors.Is(err, mimi.ErrInvalidArgument) {
		t.Errorf("%v", err)
	}
	if _, err := io.ReadAll(mimi.NewReader(strings.NewReader(strings.Repeat("nothing of the kind", 10)), decoder)); !errors.Is(err, mimi.ErrFormat) {
		t.Errorf("%v", err)
	}
	writer = mimi.NewWriter(io.Discard, encoder)
	writer.Write([]byte{1, 2, 3})
	if err := writer.Close(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", err)
	}
}

func TestOtherRate(t *testing.T) {
	g, model := readGolden(t), load(t)
	at := append(slices.Clone(options), mimi.SampleRate(48000))
	expected, err := model.Encode(g.pcm, at...)
	if err != nil {
		t.Fatal(err)
	}
	sound, err := model.Decode(expected, at...)
	if err != nil {
		t.Fatal(err)
	}
	encoder, err := model.NewEncoder(at...)
	if err != nil {
		t.Fatal(err)
	}
	decoder, err := model.NewDecoder(at...)
	if err != nil {
		t.Fatal(err)
	}
	frame := make([]uint32, 6)
	if err := mimi.EncodeMany([]*mimi.Encoder{encoder}, [][]float32{g.pcm[:3840]}, [][]uint32{frame}); !errors.Is(err, mimi.ErrInvalidArgument) {
		t.Errorf("the first frame in company: %v", err)
	}
	codes, err := encoder.Append(nil, g.pcm)
	if err != nil {
		t.Fatal(err)
	}
	if codes, err = encoder.AppendFlush(codes); err != nil || !slices.Equal(codes, expected) {
		t.Errorf("other codes, or %v", err)
	}
	audio, err := decoder.Append(nil, codes)
	if err != nil {
		t.Fatal(err)
	}
	latency, err := decoder.Get(mimi.LatencySamples)
	if err != nil || len(audio)+int(latency) != len(sound) {
		t.Errorf("%d samples before the end of %d, latency %d, %v", len(audio), len(sound), latency, err)
	}
	if audio, err = decoder.AppendFlush(audio); err != nil || !slices.Equal(audio, sound) {
		t.Errorf("other audio, or %v", err)
	}
	if _, err := model.NewEncoder(mimi.SampleRate(44101)); !errors.Is(err, mimi.ErrInvalidArgument) || !strings.Contains(err.Error(), "44101") {
		t.Errorf("%v", err)
	}

	// the length in a file's header counts at the header's rate, whatever the decoder's is
	for _, header := range []mimi.Header{
		{SampleRate: 24000, FrameSamples: 1920, Samples: 10_001},
		{SampleRate: 48000, FrameSamples: 3840, Samples: 20_002},
		{SampleRate: 8000, FrameSamples: 640, Samples: 3333},
	} {
		header.Codebooks, header.CodeBits = 6, codeBits(t, model)
		file, err := mimi.AppendHeader(nil, header)
		if err != nil {
			t.Fatal(err)
		}
		if file, err = mimi.AppendPacked(file, codes, 6, header.CodeBits); err != nil {
			t.Fatal(err)
		}
		length := header.Samples * 48000 / int64(header.SampleRate)
		data, err := io.ReadAll(mimi.NewReader(bytes.NewReader(file), decoder))
		if err != nil || !slices.Equal(floatsOf(data), sound[:length]) {
			t.Errorf("%d samples, %v", len(data)/4, err)
		}
		// a decoder of the reader's own
		reader, err := mimi.OpenReader(model, bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		data, err = io.ReadAll(reader)
		if err != nil || int64(len(data)/4) != header.Samples || reader.SampleRate() != header.SampleRate || reader.Header() != header {
			t.Errorf("%d samples at %d Hz, %v", len(data)/4, reader.SampleRate(), err)
		}
		if err := reader.Close(); err != nil {
			t.Error(err)
		}
		if _, err := reader.Read(make([]byte, 4)); err != io.EOF {
			t.Errorf("%v", err)
		}
		if reader, err = mimi.OpenReader(model, bytes.NewReader(file), mimi.SampleRate(48000)); err != nil {
			t.Fatal(err)
		}
		if data, err = io.ReadAll(reader); err != nil || !slices.Equal(floatsOf(data), sound[:length]) {
			t.Errorf("%d samples, %v", len(data)/4, err)
		}
	}
}

func codeBits(t *testing.T, model *mimi.Model) int {
	t.Helper()
	bits, err := model.Get(mimi.CodeBits)
	if err != nil {
		t.Fatal(err)
	}
	return int(bits)
}

// What OpenReader refuses, and what it leaves behind: nothing.
func TestOpenReaderRefuses(t *testing.T) {
	model := load(t)
	good := mimi.Header{SampleRate: 24000, FrameSamples: 1920, Codebooks: 6, CodeBits: codeBits(t, model)}
	for name, change := range map[string]func(*mimi.Header){
		"another model":        func(h *mimi.Header) { h.ModelID = 12345 },
		"other frames":         func(h *mimi.Header) { h.FrameSamples = 1919 },
		"more codebooks":       func(h *mimi.Header) { h.Codebooks = 7 },
		"wider codes":          func(h *mimi.Header) { h.CodeBits = 12 },
		"an impossible rate":   func(h *mimi.Header) { h.SampleRate = 11111 },
		"a rate out of bounds": func(h *mimi.Header) { h.SampleRate, h.FrameSamples = 25, 2 },
	} {
		header := good
		change(&header)
		file, err := mimi.AppendHeader(nil, header)
		if err != nil {
			t.Fatal(err)
		}
		if reader, err := mimi.OpenReader(model, bytes.NewReader(file)); err == nil || reader != nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := mimi.OpenReader(model, strings.NewReader("mtok")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", err)
	}
	if _, err := mimi.AppendHeader(nil, mimi.Header{}); !errors.Is(err, mimi.ErrInvalidArgument) {
		t.Errorf("%v", err)
	}
}

// A writer into a file tells the length, and a pipe's or an appended file's is unknown.
func TestWriterTellsTheLength(t *testing.T) {
	g, model := readGolden(t), load(t)
	for _, rate := range []int{8000, 24000, 44100} {
		encoder, err := model.NewEncoder(append(slices.Clone(options), mimi.SampleRate(rate))...)
		if err != nil {
			t.Fatal(err)
		}
		write := func(dst io.Writer) {
			t.Helper()
			writer := mimi.NewWriter(dst, encoder)
			if _, err := writer.Write(bytesOf(g.pcm)); err != nil {
				t.Fatal(err)
			}
			if err := writer.Close(); err != nil {
				t.Fatal(err)
			}
		}
		read := func(data []byte) mimi.Header {
			t.Helper()
			header, _, err := mimi.ParseHeader(data)
			if err != nil || header.SampleRate != rate {
				t.Fatal(header, err)
			}
			return header
		}
		path := filepath.Join(t.TempDir(), "tokens.mtok")
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		// a file within a file
		file.WriteString("before")
		write(file)
		file.WriteString("behind")
		file.Close()
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data = bytes.TrimSuffix(bytes.TrimPrefix(data, []byte("before")), []byte("behind"))
		if header := read(data); header.Samples != int64(len(g.pcm)) {
			t.Errorf("%d samples", header.Samples)
		}
		reader, err := mimi.OpenReader(model, bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if audio, err := io.ReadAll(reader); err != nil || len(audio) != 4*len(g.pcm) {
			t.Errorf("%d bytes, %v", len(audio), err)
		}
		var buffer bytes.Buffer
		write(&buffer)
		if header := read(buffer.Bytes()); header.Samples != 0 || !bytes.Equal(buffer.Bytes()[40:], data[40:]) {
			t.Errorf("%d samples", header.Samples)
		}
		appended := filepath.Join(t.TempDir(), "appended")
		if file, err = os.OpenFile(appended, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err != nil {
			t.Fatal(err)
		}
		write(file)
		file.Close()
		if whole, err := os.ReadFile(appended); err != nil || !bytes.Equal(whole, buffer.Bytes()) {
			t.Errorf("%d bytes instead of %d, %v", len(whole), buffer.Len(), err)
		}
		in, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		piped := make(chan []byte)
		go func() {
			data, _ := io.ReadAll(in)
			piped <- data
		}()
		write(out)
		out.Close()
		if whole := <-piped; !bytes.Equal(whole, buffer.Bytes()) {
			t.Errorf("%d bytes through a pipe instead of %d", len(whole), buffer.Len())
		}
		// cut off before the recording's end
		cut := data[:40+2*((6*codeBits(t, model)+7)/8)]
		if reader, err = mimi.OpenReader(model, bytes.NewReader(cut)); err != nil {
			t.Fatal(err)
		}
		if audio, err := io.ReadAll(reader); !errors.Is(err, io.ErrUnexpectedEOF) || len(audio) == 0 {
			t.Errorf("%d bytes, %v", len(audio), err)
		}
	}
}

func TestDropCodebooks(t *testing.T) {
	codes := []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9}
	packed, err := mimi.AppendPacked(nil, codes, 3, 11)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mimi.DropCodebooks(packed, 3, 11, 4); !errors.Is(err, mimi.ErrInvalidArgument) {
		t.Errorf("%v", err)
	}
	if packed, err = mimi.DropCodebooks(packed, 3, 11, 2); err != nil {
		t.Fatal(err)
	}
	if codes, err = mimi.AppendUnpacked(nil, packed, 2, 11); err != nil || !slices.Equal(codes, []uint32{1, 2, 4, 5, 7, 8}) {
		t.Errorf("%v %v", codes, err)
	}
}

// A header that says how long the recording is: the last frame is cut.
func TestReaderCuts(t *testing.T) {
	g, model := readGolden(t), load(t)
	header, err := model.Header(mimi.Codebooks(6))
	if err != nil {
		t.Fatal(err)
	}
	header.Samples = int64(len(g.pcm))
	file, err := mimi.AppendHeader(nil, header)
	if err != nil {
		t.Fatal(err)
	}
	if file, err = mimi.AppendPacked(file, g.codes, 6, header.CodeBits); err != nil {
		t.Fatal(err)
	}
	decoder, err := model.NewDecoder(options...)
	if err != nil {
		t.Fatal(err)
	}
	audio, err := io.ReadAll(mimi.NewReader(bytes.NewReader(file), decoder))
	if err != nil || len(audio) != 4*len(g.pcm) {
		t.Errorf("%d bytes for %d samples: %v", len(audio), len(g.pcm), err)
	}
	if _, err := mimi.AppendPacked(nil, []uint32{1 << 30}, 1, header.CodeBits); !errors.Is(err, mimi.ErrCorrupt) {
		t.Errorf("%v", err)
	}
}

func TestMany(t *testing.T) {
	g, model := readGolden(t), load(t)
	const streams = 5
	var encoders []*mimi.Encoder
	var decoders []*mimi.Decoder
	var pcm, audio [][]float32
	var codes [][]uint32
	for range streams {
		encoder, err := model.NewEncoder(options...)
		if err != nil {
			t.Fatal(err)
		}
		decoder, err := model.NewDecoder(options...)
		if err != nil {
			t.Fatal(err)
		}
		encoders, decoders = append(encoders, encoder), append(decoders, decoder)
		pcm, codes = append(pcm, nil), append(codes, make([]uint32, 6))
		audio = append(audio, make([]float32, 1920))
	}
	for f := range len(g.pcm) / 1920 {
		for i := range pcm {
			pcm[i] = g.pcm[1920*f:][:1920]
		}
		if err := errors.Join(mimi.EncodeMany(encoders, pcm, codes), mimi.DecodeMany(decoders, codes, audio)); err != nil {
			t.Fatal(err)
		}
		for i := range codes {
			if !slices.Equal(codes[i], g.codes[6*f:][:6]) {
				t.Fatalf("frame %d of stream %d: %v", f, i, codes[i])
			}
			if !slices.Equal(audio[i], audio[0]) {
				t.Fatalf("frame %d: stream %d differs from stream 0", f, i)
			}
		}
	}
	codes[3] = codes[3][:5]
	if err := mimi.EncodeMany(encoders, pcm, codes); !errors.Is(err, mimi.ErrInvalidArgument) {
		t.Errorf("%v", err)
	}
	if err := mimi.DecodeMany(decoders, codes, audio); !errors.Is(err, mimi.ErrInvalidArgument) {
		t.Errorf("%v", err)
	}
	if err := mimi.EncodeMany(encoders[:2], pcm, codes); !errors.Is(err, mimi.ErrInvalidArgument) {
		t.Errorf("%v", err)
	}
	encoders[1] = encoders[0]
	codes[3] = codes[3][:6]
	if err := mimi.EncodeMany(encoders, pcm, codes); !errors.Is(err, mimi.ErrInvalidArgument) {
		t.Errorf("%v", err)
	}
}

func TestVersion(t *testing.T) {
	if !strings.HasPrefix(mimi.Version(), "0.1.") {
		t.Error(mimi.Version())
	}
}
