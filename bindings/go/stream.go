package mimi

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
)

const (
	sampleBytes = 4
	codeBytes   = 4
)

// Writer encodes the audio written to it: little-endian float32 samples in, codes as little-endian uint32
// out to another writer, frame after frame.
type Writer struct {
	dst     io.Writer
	encoder *Encoder
	pending []byte // a sample that is not complete
	pcm     []float32
	codes   []uint32
	out     []byte
	err     error
}

// NewWriter makes a writer through a stream, which must not be used otherwise until Close.
func NewWriter(dst io.Writer, encoder *Encoder) *Writer {
	return &Writer{dst: dst, encoder: encoder}
}

// Write takes audio, cut anywhere. An error is final.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	w.pending = append(w.pending, p...)
	whole := len(w.pending) / sampleBytes * sampleBytes
	w.pcm = w.pcm[:0]
	for b := w.pending[:whole]; len(b) > 0; b = b[sampleBytes:] {
		w.pcm = append(w.pcm, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	w.pending = append(w.pending[:0], w.pending[whole:]...)
	w.codes, w.err = w.encoder.Append(w.codes[:0], w.pcm)
	if w.err == nil {
		w.err = w.send()
	}
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// Close ends the stream and writes the codes of a last partial frame. It closes neither the encoder nor
// the other writer. Bytes that are no whole sample are io.ErrUnexpectedEOF.
func (w *Writer) Close() error {
	if w.err != nil {
		if errors.Is(w.err, errWriterClosed) {
			return nil
		}
		return w.err
	}
	if w.codes, w.err = w.encoder.AppendFlush(w.codes[:0]); w.err == nil {
		w.err = w.send()
	}
	if w.err == nil && len(w.pending) > 0 {
		w.err = io.ErrUnexpectedEOF
	}
	if w.err != nil {
		return w.err
	}
	w.err = errWriterClosed
	return nil
}

var errWriterClosed = errors.New("mimi: write after Close")

func (w *Writer) send() error {
	if len(w.codes) == 0 {
		return nil
	}
	w.out = w.out[:0]
	for _, code := range w.codes {
		w.out = binary.LittleEndian.AppendUint32(w.out, code)
	}
	_, err := w.dst.Write(w.out)
	return err
}

// Reader decodes codes, as a Writer writes them, read from another reader: audio as little-endian float32
// samples comes out.
type Reader struct {
	src     io.Reader
	decoder *Decoder
	in      []byte
	codes   []uint32
	pcm     []float32
	out     []byte // audio that was not yet read
	buffer  []byte
	err     error
}

// NewReader makes a reader through a stream, which must not be used otherwise until io.EOF.
func NewReader(src io.Reader, decoder *Decoder) *Reader {
	return &Reader{src: src, decoder: decoder}
}

// Read gives audio. Errors of the other reader pass unchanged; codes that end within a frame are
// io.ErrUnexpectedEOF.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.out) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.err = r.frame()
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// frame decodes one more frame into out, or what is due at the end.
func (r *Reader) frame() error {
	if r.in == nil {
		codebooks, err := r.decoder.Get(CodebookCount)
		if err != nil {
			return err
		}
		r.in = make([]byte, codebooks*codeBytes)
	}
	_, err := io.ReadFull(r.src, r.in)
	if err != nil && err != io.EOF {
		return err
	}
	var failed error
	if err == io.EOF {
		r.pcm, failed = r.decoder.AppendFlush(r.pcm[:0])
	} else {
		r.codes = r.codes[:0]
		for b := r.in; len(b) > 0; b = b[codeBytes:] {
			r.codes = append(r.codes, binary.LittleEndian.Uint32(b))
		}
		r.pcm, failed = r.decoder.Append(r.pcm[:0], r.codes)
	}
	if failed != nil {
		return failed
	}
	r.buffer = r.buffer[:0]
	for _, sample := range r.pcm {
		r.buffer = binary.LittleEndian.AppendUint32(r.buffer, math.Float32bits(sample))
	}
	r.out = r.buffer
	return err
}
