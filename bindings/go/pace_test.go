package mimi_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/libmimi/libmimi/bindings/go"
)

// pieces keeps the writes that it gets apart.
type pieces [][]byte

func (p *pieces) Write(data []byte) (int, error) {
	*p = append(*p, bytes.Clone(data))
	return len(data), nil
}

// Each Write passes on what it completes, at once and in one piece; Close does the rest.
func TestWriterWaitsForNothing(t *testing.T) {
	g, model := readGolden(t), load(t)
	for _, rate := range []int{24000, 48000} {
		encoder, err := model.NewEncoder(append(slices.Clone(options), mimi.SampleRate(rate))...)
		if err != nil {
			t.Fatal(err)
		}
		twin, err := encoder.Clone()
		if err != nil {
			t.Fatal(err)
		}
		var got pieces
		writer := mimi.NewWriter(&got, encoder)
		if _, err := writer.Write(nil); err != nil || len(got) != 1 || len(got[0]) != 40 {
			t.Fatalf("%d writes for the header, %v", len(got), err)
		}
		for block := range slices.Chunk(g.pcm[:20000], 2500) {
			codes, err := twin.Append(nil, block)
			if err != nil {
				t.Fatal(err)
			}
			frames, err := mimi.AppendPacked(nil, codes, 6, codeBits(t, model))
			if err != nil {
				t.Fatal(err)
			}
			before := len(got)
			if _, err := writer.Write(bytesOf(block)); err != nil {
				t.Fatal(err)
			}
			switch {
			case len(frames) == 0 && len(got) != before:
				t.Errorf("at %d Hz: a write of no frame", rate)
			case len(frames) > 0 && (len(got) != before+1 || !bytes.Equal(got[before], frames)):
				t.Errorf("at %d Hz: %d writes of other bytes", rate, len(got)-before)
			}
		}
		before := len(got)
		if err := writer.Close(); err != nil || len(got) != before+1 {
			t.Errorf("at %d Hz: %d writes at the end, %v", rate, len(got)-before, err)
		}
	}
}

// source gives the bytes that it has; to ask for more is an error.
type source struct{ bytes.Buffer }

var errAhead = errors.New("asked for what is not needed yet")

func (s *source) Read(p []byte) (int, error) {
	if s.Len() == 0 {
		return 0, errAhead
	}
	return s.Buffer.Read(p)
}

// A frame's audio comes before the next frame is asked for.
func TestReaderReadsNothingAhead(t *testing.T) {
	g, model := readGolden(t), load(t)
	header, err := model.Header(mimi.Codebooks(6))
	if err != nil {
		t.Fatal(err)
	}
	file, err := mimi.AppendHeader(nil, header)
	if err != nil {
		t.Fatal(err)
	}
	src := new(source)
	src.Write(file)
	reader, err := mimi.OpenReader(model, src)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	packed, err := mimi.AppendPacked(nil, g.codes[:60], 6, header.CodeBits)
	if err != nil {
		t.Fatal(err)
	}
	audio := make([]byte, 3*4*1920)
	read := func(left int) {
		t.Helper()
		if n, err := reader.Read(audio); n != 4*1920 || err != nil || src.Len() != left {
			t.Fatalf("%d bytes, %d left instead of %d, %v", n, src.Len(), left, err)
		}
	}
	// what is there when it must be, and what is there already
	for frame := range slices.Chunk(packed, len(packed)/10) {
		src.Write(frame)
		read(0)
	}
	src.Write(packed)
	for left := 9; left >= 0; left-- {
		read(left * len(packed) / 10)
	}
	if _, err := reader.Read(audio); err != errAhead {
		t.Error(err)
	}
}

// A length that is known before goes into the header of what cannot be written again, and must be right.
func TestWriterKnowsTheLength(t *testing.T) {
	g, model := readGolden(t), load(t)
	encoder, err := model.NewEncoder(options...)
	if err != nil {
		t.Fatal(err)
	}
	for said, is := range map[int64]error{int64(len(g.pcm)): nil, 12345: mimi.ErrInvalidArgument, -1: mimi.ErrInvalidArgument} {
		var file bytes.Buffer
		writer := mimi.NewWriter(&file, encoder)
		writer.Samples = said
		_, err := writer.Write(bytesOf(g.pcm))
		if err = errors.Join(err, writer.Close()); !errors.Is(err, is) {
			t.Errorf("%d samples: %v", said, err)
		}
		if said < 0 {
			continue
		}
		header, _, err := mimi.ParseHeader(file.Bytes())
		if err != nil || header.Samples != said {
			t.Errorf("%d samples instead of %d, %v", header.Samples, said, err)
		}
	}
}

// failing takes some writes, and no more.
type failing int

var errFull = errors.New("the disk is full")

func (f *failing) Write(p []byte) (int, error) {
	if *f--; *f < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// After Close, whatever failed, the encoder has forgotten the recording, and serves the next writer.
func TestWriterClosedAfterAFailure(t *testing.T) {
	g, model := readGolden(t), load(t)
	encoder, err := model.NewEncoder(options...)
	if err != nil {
		t.Fatal(err)
	}
	file := func() []byte {
		t.Helper()
		var file bytes.Buffer
		writer := mimi.NewWriter(&file, encoder)
		_, err := writer.Write(bytesOf(g.pcm[:10000]))
		if err = errors.Join(err, writer.Close()); err != nil {
			t.Fatal(err)
		}
		return file.Bytes()
	}
	expected := file()
	for writes := range 4 {
		disk := failing(writes)
		writer := mimi.NewWriter(&disk, encoder)
		for range 3 {
			if _, err := writer.Write(bytesOf(g.pcm[:3000])); err != nil && err != errFull {
				t.Error(err)
			}
		}
		if err := writer.Close(); err != errFull {
			t.Errorf("after %d writes: %v", writes, err)
		}
		if _, err := writer.Write(nil); err != mimi.ErrClosed {
			t.Error(err)
		}
		if !bytes.Equal(file(), expected) {
			t.Errorf("after %d writes: what was left of the recording began the next", writes)
		}
		// a second Close does not touch a stream that is another writer's by now
		if _, err := encoder.Append(nil, g.pcm[:1000]); err != nil {
			t.Fatal(err)
		}
		if err := writer.Close(); err != errFull {
			t.Error(err)
		}
		if n, err := encoder.Get(mimi.FlushLen); n != 6 || err != nil {
			t.Errorf("%d codes pending, %v", n, err)
		}
		if err := encoder.Reset(); err != nil {
			t.Fatal(err)
		}
	}
}

// 0 as the rate of OpenReader is the header's, wherever it stands; the last that is said holds.
func TestOpenReaderAtTheHeadersRate(t *testing.T) {
	model := load(t)
	header, err := model.Header(mimi.Codebooks(6), mimi.SampleRate(16000))
	if err != nil {
		t.Fatal(err)
	}
	file, err := mimi.AppendHeader(nil, header)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		options []mimi.Option
		rate    int
	}{
		{nil, 16000},
		{[]mimi.Option{mimi.SampleRate(0), mimi.Codebooks(0)}, 16000},
		{[]mimi.Option{mimi.SampleRate(48000)}, 48000},
		{[]mimi.Option{mimi.SampleRate(0), mimi.SampleRate(24000)}, 24000},
		{[]mimi.Option{mimi.SampleRate(48000), mimi.SampleRate(0)}, 16000},
	} {
		reader, err := mimi.OpenReader(model, bytes.NewReader(file), c.options...)
		if err != nil {
			t.Fatal(err)
		}
		if reader.SampleRate() != c.rate {
			t.Errorf("%v: %d Hz instead of %d", c.options, reader.SampleRate(), c.rate)
		}
		reader.Close()
	}
}

// Where a token file ends that does not end where it should.
func TestReaderSaysWhereAFileEnds(t *testing.T) {
	g, model := readGolden(t), load(t)
	header, err := model.Header(mimi.Codebooks(6))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		samples, frames int64
		part            int
		says            string
	}{
		{0, 0, -1, "mimi: the token file ends within its header: unexpected EOF"},
		{18000, 6, 3, "mimi: the token file ends within frame 7, 11520 of 18000 samples: unexpected EOF"},
		{18000, 6, 0, "mimi: the token file ends after frame 6, 11520 of 18000 samples: unexpected EOF"},
		{0, 6, 3, "mimi: the token file ends within frame 7, after 11520 samples: unexpected EOF"},
		{11000, 6, 3, "mimi: the token file has 3 bytes behind its last frame, no whole frame: unexpected EOF"},
		{0, 6, 0, ""},
		{11000, 6, 0, ""},
	} {
		header.Samples = c.samples
		file, err := mimi.AppendHeader(nil, header)
		if err != nil {
			t.Fatal(err)
		}
		if file, err = mimi.AppendPacked(file, g.codes[:6*c.frames], 6, header.CodeBits); err != nil {
			t.Fatal(err)
		}
		if c.part < 0 {
			file = file[:39]
		} else {
			file = append(file, make([]byte, c.part)...)
		}
		decoder, err := model.NewDecoder(options...)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(mimi.NewReader(bytes.NewReader(file), decoder))
		if c.says == "" {
			if err != nil {
				t.Error(err)
			}
		} else if !errors.Is(err, io.ErrUnexpectedEOF) || err.Error() != c.says {
			t.Errorf("%v\ninstead of %s", err, c.says)
		}
	}
	// as `mimi info` prints it
	id, err := model.Get(mimi.ModelID)
	if err != nil {
		t.Fatal(err)
	}
	header.ModelID = 0x123
	file, err := mimi.AppendHeader(nil, header)
	if err != nil {
		t.Fatal(err)
	}
	_, err = mimi.OpenReader(model, bytes.NewReader(file))
	if says := fmt.Sprintf("file of another model: 0000000000000123 instead of %016x", id); err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("%v\ninstead of %s", err, says)
	}
}

// A path that leads nowhere is what the standard library calls it, in libmimi's words.
func TestPathThatLeadsNowhere(t *testing.T) {
	_, err := mimi.Load("no-such-file.safetensors")
	if !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, mimi.ErrIO) || strings.Count(err.Error(), "no-such-file") != 1 {
		t.Error(err)
	}
	// a folder that is there, without weights
	if _, err := mimi.Load(t.TempDir()); errors.Is(err, fs.ErrNotExist) || !errors.Is(err, mimi.ErrIO) {
		t.Error(err)
	}
	if _, err := mimi.Load(""); !errors.Is(err, mimi.ErrInvalidArgument) || !strings.Contains(err.Error(), "path is empty") {
		t.Error(err)
	}
}
