package mimi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
)

const (
	sampleBytes = 4
	headerBytes = 40 // at least
)

// Writer encodes the audio written to it, little-endian float32 samples, and writes a token file, .mtok:
// a header, then frames of packed codes.
type Writer struct {
	dst     io.Writer
	encoder *Encoder
	pending []byte // a sample that is not complete
	pcm     []float32
	codes   []uint32
	out     []byte
	begun   bool
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
		if w.err == errWriterClosed {
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

// send writes the codes, the first time after the header.
func (w *Writer) send() error {
	w.out = w.out[:0]
	if !w.begun {
		w.out = append(w.out, w.encoder.header...)
		w.begun = true
	}
	var err error
	if w.out, err = AppendPacked(w.out, w.codes, w.encoder.frame.codes, w.encoder.codeBits); err != nil {
		return err
	}
	if len(w.out) > 0 {
		_, err = w.dst.Write(w.out)
	}
	return err
}

// Reader decodes a token file, as a Writer writes it, read from another reader: audio as little-endian
// float32 samples comes out.
type Reader struct {
	src     io.Reader
	decoder *Decoder
	header  Header
	in      []byte // a packed frame
	codes   []uint32
	pcm     []float32
	out     []byte // audio that was not yet read
	buffer  []byte
	left    uint64 // samples still to come, if the header says how many
	err     error
}

// NewReader makes a reader through a stream, which must not be used otherwise until io.EOF. The file must
// have as many codebooks as the stream, and codes of its model.
func NewReader(src io.Reader, decoder *Decoder) *Reader {
	return &Reader{src: src, decoder: decoder}
}

// Read gives audio. Errors of the other reader pass unchanged; a file that ends within its header or a
// frame is io.ErrUnexpectedEOF.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.out) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if r.in == nil {
			r.err = r.begin()
		} else {
			r.err = r.next()
		}
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// begin reads the header.
func (r *Reader) begin() error {
	data := make([]byte, headerBytes)
	if _, err := io.ReadFull(r.src, data); err != nil {
		return unexpected(err)
	}
	// bytes 6 and 7: how long the header is, should a later release write longer ones
	if length := int(binary.LittleEndian.Uint16(data[6:])); string(data[:4]) == "mtok" && length > headerBytes {
		data = append(data, make([]byte, length-headerBytes)...)
		if _, err := io.ReadFull(r.src, data[headerBytes:]); err != nil {
			return unexpected(err)
		}
	}
	h, _, err := ParseHeader(data)
	if err != nil {
		return err
	}
	if h.Codebooks != r.decoder.frame.codes || h.CodeBits != r.decoder.codeBits {
		return &Error{Code: ErrInvalidArgument, Message: fmt.Sprintf("file of %d codes of %d bits for a stream of %d codes of %d bits",
			h.Codebooks, h.CodeBits, r.decoder.frame.codes, r.decoder.codeBits)}
	}
	if h.ModelID != 0 && h.ModelID != r.decoder.modelID {
		return &Error{Code: ErrUnsupported, Message: fmt.Sprintf("file of another model: %d instead of %d", h.ModelID, r.decoder.modelID)}
	}
	r.header, r.left = h, r.decoder.samples(h.Samples)
	r.in = make([]byte, (h.Codebooks*h.CodeBits+7)/8)
	return nil
}

// next decodes one more frame into out, or what is due at the end.
func (r *Reader) next() error {
	_, end := io.ReadFull(r.src, r.in)
	if end != nil && end != io.EOF {
		return end
	}
	var err error
	if end == io.EOF {
		r.pcm, err = r.decoder.AppendFlush(r.pcm[:0])
	} else {
		r.codes, err = AppendUnpacked(r.codes[:0], r.in, r.header.Codebooks, r.header.CodeBits)
		if err == nil {
			r.pcm, err = r.decoder.Append(r.pcm[:0], r.codes)
		}
	}
	if err != nil {
		return err
	}
	if r.header.Samples != 0 {
		r.pcm = r.pcm[:min(uint64(len(r.pcm)), r.left)]
		r.left -= uint64(len(r.pcm))
	}
	r.buffer = r.buffer[:0]
	for _, sample := range r.pcm {
		r.buffer = binary.LittleEndian.AppendUint32(r.buffer, math.Float32bits(sample))
	}
	r.out = r.buffer
	return end
}

// samples is a length at the model's rate counted at the stream's, rounded to nearest.
func (s *Decoder) samples(n uint64) uint64 {
	from, to := uint64(s.modelFrame), uint64(s.frame.samples)
	high, low := bits.Mul64(n, to)
	low, carry := bits.Add64(low, from/2, 0)
	if high += carry; high >= from {
		return math.MaxUint64
	}
	length, _ := bits.Div64(high, low, from)
	return length
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
