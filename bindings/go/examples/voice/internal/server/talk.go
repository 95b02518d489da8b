package server

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strconv"

	"github.com/coder/websocket"
	mimi "github.com/libmimi/libmimi/bindings/go"
)

// encode takes PCM and sends a token file: its header, then a message for each frame.
func (s *session) encode() error {
	file, err := mimi.AppendHeader(nil, s.header)
	if err == nil {
		err = s.write(file)
	}
	if err != nil {
		return err
	}
	return s.hear(func(codes []uint32) error {
		s.out, err = mimi.AppendPacked(s.out[:0], codes, s.header.Codebooks, s.header.CodeBits)
		if err != nil {
			return err
		}
		return s.write(s.out)
	})
}

// hear encodes the client's audio, and has each frame's codes used. It returns the error that ends it, errEnd at the
// recording's end.
func (s *session) hear(use func(codes []uint32) error) error {
	format, err := formatOf(s.asked.Get("format"))
	if err != nil {
		return err
	}
	var pcm []float32
	codes := make([]uint32, 0, 2*s.header.Codebooks)
	for {
		message, err := s.read()
		if errors.Is(err, errEnd) {
			if codes, err = s.conversation.EncodeFlush(s.ctx, codes[:0]); err != nil {
				return err
			}
			for frame := range slices.Chunk(codes, s.header.Codebooks) {
				if err := use(frame); err != nil {
					return err
				}
			}
			return errEnd
		}
		if err != nil {
			return err
		}
		if len(message)%format.bytes != 0 {
			return faulty(websocket.StatusInvalidFramePayloadData, "a message of %d bytes: a sample has %d", len(message), format.bytes)
		}
		pcm = format.decode(pcm[:0], message)
		for block := range slices.Chunk(pcm, s.header.FrameSamples) {
			if codes, err = s.conversation.Encode(s.ctx, codes[:0], block); err != nil {
				return err
			}
			if len(codes) > 0 {
				if err := use(codes); err != nil {
					return err
				}
			}
		}
	}
}

// decode takes a token file, cut into messages in any way, and sends a message of PCM for each frame. With live it
// takes packets instead.
func (s *session) decode() error {
	if depth := s.asked.Get("live"); depth != "" {
		frames, err := strconv.Atoi(depth)
		if err != nil || frames < 1 || frames > mostDepth {
			return faulty(websocket.StatusPolicyViolation, "live=%.20q is not a number of frames from 1 to %d", depth, mostDepth)
		}
		return s.playLive(frames)
	}
	format, err := formatOf(s.asked.Get("format"))
	if err != nil {
		return err
	}
	player := player{session: s, format: format}
	frameBytes := s.header.FrameBytes()
	var waiting []byte
	var codes []uint32
	headed := false
	for {
		message, err := s.read()
		if errors.Is(err, errEnd) {
			if (len(waiting) > 0 || !headed) && s.server.ending.Err() == nil {
				return faulty(websocket.StatusInvalidFramePayloadData, "the token file ends with %d bytes that are no frame", len(waiting))
			}
			if err = player.flush(); err == nil {
				err = errEnd
			}
			return err
		}
		if err != nil {
			return err
		}
		waiting = append(waiting, message...)
		at := 0
		if !headed {
			if at, err = s.checkHeader(waiting); err != nil {
				return err
			}
			headed = at > 0
		}
		for ; headed && len(waiting)-at >= frameBytes; at += frameBytes {
			codes, err = mimi.AppendUnpacked(codes[:0], waiting[at:at+frameBytes], s.header.Codebooks, s.header.CodeBits)
			if err == nil {
				err = player.play(codes)
			}
			if errors.Is(err, mimi.ErrCorrupt) {
				return faulty(websocket.StatusInvalidFramePayloadData, "%v", err)
			}
			if err != nil {
				return err
			}
		}
		waiting = append(waiting[:0], waiting[at:]...)
	}
}

// checkHeader is the length of the header that the bytes begin with, 0 if not all of it has come.
func (s *session) checkHeader(data []byte) (int, error) {
	const lengthAt, least = 6, 40
	if len(data) < least {
		return 0, nil
	}
	if said := int(binary.LittleEndian.Uint16(data[lengthAt:])); len(data) < said && said <= mostMessage {
		return 0, nil
	}
	header, length, err := mimi.ParseHeader(data)
	switch {
	case err != nil:
		return 0, faulty(websocket.StatusInvalidFramePayloadData, "%v", err)
	case header.ModelID != 0 && header.ModelID != s.header.ModelID:
		return 0, faulty(websocket.StatusInvalidFramePayloadData, "tokens of another model: %016x instead of %016x", uint64(header.ModelID), uint64(s.header.ModelID))
	case header.Codebooks != s.header.Codebooks:
		return 0, faulty(websocket.StatusInvalidFramePayloadData, "%d codes in a frame: ask for codebooks=%d", header.Codebooks, header.Codebooks)
	case header.CodeBits != s.header.CodeBits:
		return 0, faulty(websocket.StatusInvalidFramePayloadData, "codes of %d bits instead of %d", header.CodeBits, s.header.CodeBits)
	}
	return length, nil
}

// player sends the audio of frames.
type player struct {
	session *session
	format  format
	pcm     []float32
	out     []byte
}

func (p *player) play(codes []uint32) (err error) {
	if p.pcm, err = p.session.conversation.Decode(p.session.ctx, p.pcm[:0], codes); err != nil {
		return err
	}
	return p.send()
}

// flush sends what audio is still due, at another rate than the model's.
func (p *player) flush() (err error) {
	if p.pcm, err = p.session.conversation.DecodeFlush(p.session.ctx, p.pcm[:0]); err != nil || len(p.pcm) == 0 {
		return err
	}
	return p.send()
}

func (p *player) send() error {
	p.out = p.format.encode(p.out[:0], p.pcm)
	return p.session.write(p.out)
}

// echoAhead is how many frames of an echo may wait between its halves.
const echoAhead = 4

// frameOfCodes is a frame on its way from one half of an echo to the other. Models have at most 64 codebooks.
type frameOfCodes struct {
	codes [64]uint32
	count int
}

// echo takes PCM, and sends the audio of its codes; with codes=1 each frame's codes before its audio. The next frame is
// encoded while one is decoded.
func (s *session) echo() error {
	format, err := formatOf(s.asked.Get("format"))
	if err != nil {
		return err
	}
	frames := make(chan frameOfCodes, echoAhead)
	spoken := make(chan error, 1)
	go func() {
		err := s.speak(frames, format, s.asked.Get("codes") == "1")
		if err != nil {
			s.end(err) // also of a client that is silent
		}
		spoken <- err
	}()
	err = s.hear(func(codes []uint32) error {
		var frame frameOfCodes
		frame.count = copy(frame.codes[:], codes)
		select {
		case frames <- frame:
			return nil
		case err := <-spoken:
			spoken <- err
			return err
		}
	})
	close(frames)
	if !errors.Is(err, errEnd) {
		s.end(err) // what is still to be said, nobody hears
	}
	if failed := <-spoken; failed != nil && (err == nil || errors.Is(err, errEnd)) {
		err = failed
	}
	return err
}

// speak sends what the frames hold, until there are no more.
func (s *session) speak(frames <-chan frameOfCodes, format format, withCodes bool) error {
	player := player{session: s, format: format}
	var packed []byte
	var err error
	for frame := range frames {
		codes := frame.codes[:frame.count]
		if withCodes {
			if packed, err = mimi.AppendPacked(packed[:0], codes, s.header.Codebooks, s.header.CodeBits); err == nil {
				err = s.write(packed)
			}
		}
		if err == nil {
			err = player.play(codes)
		}
		if err != nil {
			return err
		}
	}
	return player.flush()
}

// format is how samples are bytes, low byte first.
type format struct {
	bytes  int
	decode func(dst []float32, data []byte) []float32
	encode func(dst []byte, pcm []float32) []byte
}

var formats = map[string]format{
	"": f32, "f32": f32,
	"s16": {
		bytes: 2,
		decode: func(dst []float32, data []byte) []float32 {
			for at := 0; at < len(data); at += 2 {
				dst = append(dst, float32(int16(binary.LittleEndian.Uint16(data[at:])))/32768)
			}
			return dst
		},
		encode: func(dst []byte, pcm []float32) []byte {
			for _, sample := range pcm {
				scaled := math.RoundToEven(float64(sample) * 32768)
				dst = binary.LittleEndian.AppendUint16(dst, uint16(int16(min(max(scaled, -32768), 32767))))
			}
			return dst
		},
	},
}

var f32 = format{
	bytes: 4,
	decode: func(dst []float32, data []byte) []float32 {
		for at := 0; at < len(data); at += 4 {
			dst = append(dst, math.Float32frombits(binary.LittleEndian.Uint32(data[at:])))
		}
		return dst
	},
	encode: func(dst []byte, pcm []float32) []byte {
		for _, sample := range pcm {
			dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(sample))
		}
		return dst
	},
}

func formatOf(name string) (format, error) {
	f, known := formats[name]
	if !known {
		return f, faulty(websocket.StatusPolicyViolation, "format=%.20q: it is f32 or s16", name)
	}
	return f, nil
}
