//go:build cgo

package mimi

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
)

const headerBytes = 40 // at least

// Reader decodes a token file, as a Writer or the tool writes it, read from another reader: audio as little-endian
// float32 samples comes out, at the decoder's rate and as long as the header says.
//
// A frame's audio is there as soon as the frame's bytes are: nothing is read ahead. At another rate than the model's,
// LatencySamples of it come with the next frame.
type Reader struct {
	src     io.Reader
	decoder *Decoder
	own     bool // the decoder is this reader's to close
	header  Header
	in      []byte // a packed frame
	codes   []uint32
	pcm     []float32
	out     []byte // audio that was not yet read
	buffer  []byte
	frames  int64 // whole frames so far
	samples int64 // samples so far
	length  int64 // samples of the recording; 0: unknown
	err     error
}

// OpenReader reads the header of a token file and makes a reader with a decoder of its own, which Close closes: with as
// many codebooks as the file has, at the header's rate. That is the recording's, unless the recording had a rate that
// a stream cannot have, such as 12345 Hz: then it is usually the model's, and Header tells the original's. SampleRate
// among the options converts to another rate; 0 is the header's. The other options are those of [Model.NewDecoder].
func OpenReader(model *Model, src io.Reader, options ...Option) (*Reader, error) {
	header, err := readHeader(src)
	if err != nil {
		return nil, err
	}
	ofFile := []Option{Codebooks(header.Codebooks), SampleRate(header.SampleRate)}
	all := slices.Clone(ofFile)
	for _, o := range options {
		// the default of these two is what the file says
		if i := slices.IndexFunc(ofFile, func(f Option) bool { return f.key == o.key }); i >= 0 && o.value == 0 {
			o = ofFile[i]
		}
		all = append(all, o)
	}
	decoder, err := model.NewDecoder(all...)
	if err != nil {
		return nil, err
	}
	r := &Reader{src: src, decoder: decoder, own: true}
	if err := r.begin(header); err != nil {
		decoder.Close()
		return nil, err
	}
	return r, nil
}

// NewReader makes a reader through a stream, which must not be used otherwise until io.EOF. The stream is then as new;
// Reset it if you stop earlier, or after another error. The file must have as many codebooks as the stream, and codes
// of its model; OpenReader makes a stream that fits.
func NewReader(src io.Reader, decoder *Decoder) *Reader {
	return &Reader{src: src, decoder: decoder}
}

// Header is the file's. It is there once OpenReader or the first Read has returned.
func (r *Reader) Header() Header { return r.header }

// SampleRate is the rate of the audio that comes out.
func (r *Reader) SampleRate() int { return r.decoder.header.SampleRate }

// Close closes the decoder that OpenReader made. It does not close the other reader.
func (r *Reader) Close() error {
	if r.own {
		return r.decoder.Close()
	}
	return nil
}

// Read gives audio, of one frame at most. Errors of the other reader pass unchanged. For a file that ends within its
// header, within a frame or before the recording's end, errors.Is finds io.ErrUnexpectedEOF, after the audio of all
// whole frames; the message says where it ends.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.out) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if r.in == nil {
			var header Header
			if header, r.err = readHeader(r.src); r.err == nil {
				r.err = r.begin(header)
			}
		} else {
			r.err = r.next()
		}
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

func readHeader(src io.Reader) (Header, error) {
	data := make([]byte, headerBytes)
	if _, err := io.ReadFull(src, data); err != nil {
		return Header{}, inHeader(err)
	}
	// bytes 6 and 7: how long the header is, should a later release write longer ones
	if length := int(binary.LittleEndian.Uint16(data[6:])); string(data[:4]) == "mtok" && length > headerBytes {
		data = append(data, make([]byte, length-headerBytes)...)
		if _, err := io.ReadFull(src, data[headerBytes:]); err != nil {
			return Header{}, inHeader(err)
		}
	}
	header, _, err := ParseHeader(data)
	return header, err
}

// begin checks that the decoder fits the file.
func (r *Reader) begin(h Header) error {
	of := r.decoder.header
	if h.Codebooks != of.Codebooks || h.CodeBits != of.CodeBits {
		return &Error{Code: ErrInvalidArgument, Message: fmt.Sprintf("file of %d codes of %d bits for a stream of %d codes of %d bits",
			h.Codebooks, h.CodeBits, of.Codebooks, of.CodeBits)}
	}
	if h.ModelID != 0 && h.ModelID != of.ModelID {
		return &Error{Code: ErrUnsupported, Message: fmt.Sprintf("file of another model: %016x instead of %016x", h.ModelID, of.ModelID)}
	}
	if int64(h.FrameSamples)*int64(of.SampleRate) != int64(of.FrameSamples)*int64(h.SampleRate) {
		return &Error{Code: ErrUnsupported, Message: fmt.Sprintf("file of frames of %d samples at %d Hz for a stream of frames of %d at %d Hz",
			h.FrameSamples, h.SampleRate, of.FrameSamples, of.SampleRate)}
	}
	length, err := h.SamplesAt(of.SampleRate)
	if err != nil {
		return err
	}
	r.header, r.length = h, length
	r.in = make([]byte, h.FrameBytes())
	return nil
}

// next decodes one more frame into out, or what is due at the end.
func (r *Reader) next() error {
	part, end := io.ReadFull(r.src, r.in)
	var err error
	switch end {
	case nil:
		r.codes, err = AppendUnpacked(r.codes[:0], r.in, r.header.Codebooks, r.header.CodeBits)
		if err == nil {
			r.pcm, err = r.decoder.Append(r.pcm[:0], r.codes)
			r.frames++
		}
	case io.EOF, io.ErrUnexpectedEOF:
		r.pcm, err = r.decoder.AppendFlush(r.pcm[:0])
	default:
		return end
	}
	if err != nil {
		return err
	}
	if r.length != 0 {
		r.pcm = r.pcm[:min(int64(len(r.pcm)), r.length-r.samples)]
	}
	r.samples += int64(len(r.pcm))
	r.buffer = r.buffer[:0]
	for _, sample := range r.pcm {
		r.buffer = binary.LittleEndian.AppendUint32(r.buffer, math.Float32bits(sample))
	}
	r.out = r.buffer
	if end != nil {
		return r.ended(part)
	}
	return nil
}

// ended is io.EOF, or what is wrong with a file that ends where this one does, with part of a frame.
func (r *Reader) ended(part int) error {
	missing := r.samples < r.length
	switch {
	case part == 0 && !missing:
		return io.EOF
	case r.length == 0:
		return tokenError("ends within frame %d, after %d samples", r.frames+1, r.samples)
	case !missing:
		return tokenError("has %d bytes behind its last frame, no whole frame", part)
	case part == 0:
		return tokenError("ends after frame %d, %d of %d samples", r.frames, r.samples, r.length)
	}
	return tokenError("ends within frame %d, %d of %d samples", r.frames+1, r.samples, r.length)
}

func inHeader(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return tokenError("ends within its header")
	}
	return err
}

func tokenError(what string, numbers ...any) error {
	return fmt.Errorf("mimi: the token file "+what+": %w", append(numbers, io.ErrUnexpectedEOF)...)
}
