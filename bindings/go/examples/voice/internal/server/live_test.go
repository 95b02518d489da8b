package server

import (
	"context"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/coder/websocket"
	mimi "github.com/libmimi/libmimi/bindings/go"
)

// Packets that come late, doubled, in another order or not at all.
func TestJitter(t *testing.T) {
	j := newJitter(2, 1)
	put := func(number int, expected arrival) {
		t.Helper()
		if got := j.put(uint32(number), []uint32{uint32(number)}); got != expected {
			t.Errorf("packet %d: %d instead of %d", number, got, expected)
		}
	}
	take := func(expected int) {
		t.Helper()
		codes, lost := j.take()
		switch {
		case codes == nil && expected == -1:
		case codes != nil && lost && expected == -2 && codes[0] == mimi.NoCode:
		case codes != nil && !lost && int(codes[0]) == expected:
		default:
			t.Errorf("%v, %v instead of %d", codes, lost, expected)
		}
	}
	const nothing, lost = -1, -2
	take(nothing)
	put(11, inTime)
	take(nothing)
	put(10, inTime) // overtaken before anything is heard
	take(10)
	put(10, tooLate)
	put(11, twice)
	put(13, inTime)
	take(11)
	take(lost) // 12
	put(12, tooLate)
	take(13)
	put(14+63, inTime)
	put(14+64, tooEarly)
	for range pauseFrames {
		take(lost)
	}
	take(nothing)
	put(78, inTime)
	take(77) // what waits is heard after the pause, and not 58 frames later
	take(78)
	for range pauseFrames {
		take(lost)
	}
	take(nothing)
	put(79+100, inTime)
	put(1, inTime) // a sender that counts anew
	put(2, inTime)
	take(1)
	take(2)
}

// Packets in order give the bits of a stream, and lost ones those of a stream that lost them.
func TestLive(t *testing.T) {
	v := start(t, Config{})
	header := v.conversationHeader(t)
	var packets [][]byte
	number := uint32(1000)
	for frame := range slices.Chunk(v.codes, 8) {
		packet, err := mimi.AppendPacked(binary.LittleEndian.AppendUint32(nil, number), frame, 8, header.CodeBits)
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, packet)
		number++
	}
	decoder, err := v.model.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()
	var expected []float32
	for i, frame := range slices.Collect(slices.Chunk(v.codes, 8)) {
		if i == 4 {
			expected, err = decoder.AppendLost(expected, 8)
		} else {
			expected, err = decoder.Append(expected, frame)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	conn := v.mustDial(t, "/decode?live=3")
	for _, i := range []int{0, 2, 1, 3, 3, 6, 5, 7, 8, 9} {
		if err := conn.Write(context.Background(), websocket.MessageBinary, packets[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Write(context.Background(), websocket.MessageBinary, nil); err != nil {
		t.Fatal(err)
	}
	messages, closed := receive(conn)
	closedWith(t, closed, websocket.StatusNormalClosure, "")
	if !slices.Equal(slices.Concat(messages...), f32.encode(nil, expected)) {
		t.Errorf("%d messages of other audio", len(messages))
	}
	if lost, doubled := v.counters.lost.Load(), v.counters.doubled.Load(); lost != 1 || doubled != 1 {
		t.Errorf("%d lost, %d doubled", lost, doubled)
	}
}

func (v *voice) conversationHeader(t *testing.T) mimi.Header {
	t.Helper()
	header, err := v.model.Header()
	if err != nil {
		t.Fatal(err)
	}
	return header
}
