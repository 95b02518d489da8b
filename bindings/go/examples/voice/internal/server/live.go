package server

import (
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"github.com/coder/websocket"
	mimi "github.com/libmimi/libmimi/bindings/go"
)

const (
	numberBytes = 4  // before a packet's frame: its number, low byte first
	mostDepth   = 32 // frames that may wait before the first is heard
	mostWaiting = 64 // frames that the buffer holds
	pauseFrames = 5  // missing in a row, after which the sender has paused
)

// jitter puts packets in order and gives one frame for each frame's time, there or not.
//
// mimi.Playback does the same for one stream that has a thread of its own, and decodes it alone. Here the frames of
// many are decoded in one call, so the buffer stands before the batcher, and the decoder conceals what is NoCode.
type jitter struct {
	depth     int
	codebooks int
	codes     [mostWaiting][]uint32 // of packet n at n % mostWaiting
	there     [mostWaiting]bool
	next      uint32 // the number that is heard next
	waiting   int
	playing   bool
	missing   int // in a row
}

func newJitter(depth, codebooks int) *jitter {
	j := &jitter{depth: depth, codebooks: codebooks}
	for i := range j.codes {
		j.codes[i] = make([]uint32, codebooks)
	}
	return j
}

// arrival is what a packet was.
type arrival int

const (
	inTime arrival = iota
	tooLate
	twice
	tooEarly // beyond what the buffer holds
)

// put takes a packet.
func (j *jitter) put(number uint32, codes []uint32) arrival {
	ahead := int32(number - j.next)
	if !j.playing && (j.waiting == 0 || ahead >= mostWaiting || int(ahead) < j.span()-mostWaiting) {
		j.there, j.waiting = [mostWaiting]bool{}, 0 // the first, or one of a sender that counts anew
		j.next, ahead = number, 0
	} else if !j.playing && ahead < 0 {
		j.next, ahead = number, 0 // it was overtaken before anything is heard
	}
	switch place := number % mostWaiting; {
	case ahead < 0:
		return tooLate
	case ahead >= mostWaiting:
		return tooEarly
	case j.there[place]:
		return twice
	default:
		copy(j.codes[place], codes)
		j.there[place] = true
		j.waiting++
		return inTime
	}
}

// span is how far the last packet that waits is from the next.
func (j *jitter) span() int {
	for ahead := mostWaiting - 1; ahead >= 0; ahead-- {
		if j.there[(j.next+uint32(ahead))%mostWaiting] {
			return ahead + 1
		}
	}
	return 0
}

// take is the frame that is heard now, once a frame's time. lost says that it is not there and that codes are all
// NoCode. It is nil while nothing is heard: before depth frames wait, and when the sender has paused.
func (j *jitter) take() (codes []uint32, lost bool) {
	if !j.playing {
		if j.waiting == 0 || j.span() < j.depth {
			return nil, false
		}
		j.playing, j.missing = true, 0
	}
	place := j.next % mostWaiting
	codes = j.codes[place]
	if j.there[place] {
		j.there[place] = false
		j.waiting--
		j.missing = 0
		j.next++
		return codes, false
	}
	if j.missing++; j.missing > pauseFrames {
		j.playing = false
		for j.waiting > 0 && !j.there[j.next%mostWaiting] {
			j.next++
		}
		return nil, false
	}
	for i := range codes {
		codes[i] = mimi.NoCode
	}
	j.next++
	return codes, true
}

// playLive takes packets in any order, and sends audio in step with time.
func (s *session) playLive(depth int) error {
	format, err := formatOf(s.asked.Get("format"))
	if err != nil {
		return err
	}
	var lock sync.Mutex
	buffer := newJitter(depth, s.header.Codebooks)
	ended := make(chan struct{})
	spoken := make(chan error, 1)
	go func() {
		err := s.playInTime(&lock, buffer, format, ended)
		if err != nil {
			s.end(err)
		}
		spoken <- err
	}()
	err = s.hearPackets(&lock, buffer)
	if errors.Is(err, errEnd) {
		close(ended)
	} else {
		s.end(err)
	}
	if failed := <-spoken; failed != nil && errors.Is(err, errEnd) {
		err = failed
	}
	return err
}

func (s *session) hearPackets(lock *sync.Mutex, buffer *jitter) error {
	frameBytes := s.header.FrameBytes()
	counters := &s.server.counters
	var codes []uint32
	for {
		packet, err := s.read()
		if err != nil {
			return err
		}
		if len(packet) != numberBytes+frameBytes {
			return faulty(websocket.StatusInvalidFramePayloadData, "a packet of %d bytes instead of %d", len(packet), numberBytes+frameBytes)
		}
		codes, err = mimi.AppendUnpacked(codes[:0], packet[numberBytes:], s.header.Codebooks, s.header.CodeBits)
		if err != nil {
			return faulty(websocket.StatusInvalidFramePayloadData, "%v", err)
		}
		lock.Lock()
		arrived := buffer.put(binary.LittleEndian.Uint32(packet), codes)
		lock.Unlock()
		switch arrived {
		case tooLate, tooEarly:
			counters.late.Add(1)
		case twice:
			counters.doubled.Add(1)
		}
	}
}

// playInTime sends a frame's audio for each frame's time, until the recording has ended and is heard.
func (s *session) playInTime(lock *sync.Mutex, buffer *jitter, format format, ended <-chan struct{}) error {
	frame := time.Duration(s.header.FrameSamples) * time.Second / time.Duration(s.header.SampleRate)
	due := time.Now().Add(frame)
	clock := time.NewTimer(frame)
	defer clock.Stop()
	player := player{session: s, format: format}
	codes := make([]uint32, s.header.Codebooks)
	for {
		select {
		case <-clock.C:
			due = due.Add(frame) // a frame that took long does not move those that follow
			clock.Reset(time.Until(due))
		case <-s.ctx.Done():
			return s.ctx.Err()
		}
		isEnd := false
		select {
		case <-ended:
			isEnd = true
		default:
		}
		lock.Lock()
		if isEnd {
			buffer.depth = 1 // no more come
		}
		heard, lost := buffer.take()
		copy(codes, heard)
		over := isEnd && buffer.waiting == 0
		lock.Unlock()
		if lost {
			s.server.counters.lost.Add(1)
		}
		if heard != nil {
			err := player.play(codes)
			if errors.Is(err, mimi.ErrCorrupt) {
				err = faulty(websocket.StatusInvalidFramePayloadData, "%v", err)
			}
			if err != nil {
				return err
			}
		}
		if over {
			return player.flush()
		}
	}
}
