//go:build cgo

package mimi

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

const sampleBytes = 4

// Writer encodes the audio written to it, little-endian float32 samples at the encoder's rate, and writes a token file,
// .mtok: a header, then frames of packed codes.
//
// Write passes on the frames that are complete before it returns, in one write, and the first Write the header with
// them. Only the audio of an incomplete frame waits. (At another rate than the model's, a frame is complete
// LatencySamples after its first sample.)
//
// The header tells the encoder's rate, and the recording's length if Samples does. It also tells the length if the
// other writer is an [io.WriteSeeker] that can go back, as an *os.File is: then Close writes the header again.
// Otherwise, as with a bytes.Buffer, a bufio.Writer, a pipe or a file opened to append, the length stays unknown, and
// what is read from the file has whole frames.
type Writer struct {
	// Samples is the recording's length at the encoder's rate, where it is known before: the first Write puts it into
	// the header, also where the other writer cannot go back. 0: unknown.
	Samples int64

	dst     io.Writer
	encoder *Encoder
	patch   func([]byte) error // writes the header again, unless it cannot be done
	told    int64              // the length in the header
	samples int64              // taken
	pending []byte             // a sample that is not complete
	pcm     []float32
	codes   []uint32
	out     []byte
	begun   bool
	err     error // of the next Write
	closed  bool
	result  error // of Close
}

// NewWriter makes a writer through a stream, which must not be used otherwise until Close. The file begins where dst
// stands at the first write.
func NewWriter(dst io.Writer, encoder *Encoder) *Writer {
	return &Writer{dst: dst, encoder: encoder}
}

// Write takes audio, cut anywhere. An error is final: only Close is left to do. After Close it is ErrClosed.
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
		w.samples += int64(len(w.pcm))
		w.err = w.send()
	}
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// Close ends the stream, writes the codes of a last partial frame, and the recording's length into the header. It
// closes neither the encoder nor the other writer. Bytes that are no whole sample are io.ErrUnexpectedEOF. A header
// that tells another length than was written, and cannot be written again, is ErrInvalidArgument.
//
// The encoder can then serve another writer, also after an error: the stream is as new. Frames and CodesHash stay until
// the next audio, but not after an error of Write. Later calls return what the first one did.
func (w *Writer) Close() error {
	if !w.closed {
		w.result = w.end()
		w.closed, w.err = true, ErrClosed
	}
	return w.result
}

func (w *Writer) end() error {
	err := w.err
	if err == nil {
		w.codes, err = w.encoder.AppendFlush(w.codes[:0])
	}
	if err != nil {
		// what is left of the recording must not begin the next; the first error is the one to tell
		_ = w.encoder.Reset()
		return err
	}
	if err := w.send(); err != nil {
		return err
	}
	if w.samples != w.told {
		if err := w.writeLength(); err != nil {
			return err
		}
	}
	if len(w.pending) > 0 {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// send writes the codes, the first time after the header.
func (w *Writer) send() error {
	var err error
	w.out = w.out[:0]
	if !w.begun {
		w.patch = patcher(w.dst)
		if w.out, err = w.header(w.out, w.Samples); err != nil {
			return err
		}
		w.told = w.Samples
		w.begun = true
	}
	if w.out, err = AppendPacked(w.out, w.codes, w.encoder.header.Codebooks, w.encoder.header.CodeBits); err != nil {
		return err
	}
	if len(w.out) > 0 {
		_, err = w.dst.Write(w.out)
	}
	return err
}

// header appends the header of a recording of this length.
func (w *Writer) header(dst []byte, samples int64) ([]byte, error) {
	header := w.encoder.header
	header.Samples = samples
	return AppendHeader(dst, header)
}

// writeLength writes the header again, with the length that was written.
func (w *Writer) writeLength() error {
	if w.patch == nil {
		if w.told == 0 {
			return nil
		}
		return &Error{Code: ErrInvalidArgument,
			Message: fmt.Sprintf("%d samples written; the header says %d", w.samples, w.told)}
	}
	data, err := w.header(w.out[:0], w.samples)
	if err != nil {
		return err
	}
	return w.patch(data)
}

// patcher writes again where dst stands now, and leaves it standing where it stands then; nil if dst cannot do that.
func patcher(dst io.Writer) func([]byte) error {
	seeker, ok := dst.(io.WriteSeeker)
	if !ok {
		return nil
	}
	start, err := seeker.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil // a pipe is a file, too
	}
	if at, ok := dst.(io.WriterAt); ok {
		// a file that was opened to append refuses this, and takes what is written after a seek to its end all the same
		if _, err := at.WriteAt(nil, start); err != nil {
			return nil
		}
	}
	return func(data []byte) error {
		end, err := seeker.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		if _, err := seeker.Seek(start, io.SeekStart); err != nil {
			return err
		}
		if _, err := seeker.Write(data); err != nil {
			return err
		}
		_, err = seeker.Seek(end, io.SeekStart)
		return err
	}
}
