package main

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// vandal is a client that does wrong, in some way and for some seconds.
type vandal struct {
	load   *load
	ctx    context.Context
	random *rand.Rand
}

// ways are what can be wrong, by name.
var ways = []struct {
	name string
	do   func(*vandal)
}{
	{"late packets", (*vandal).latePackets},
	{"torn messages", (*vandal).tornMessages},
	{"a slow reader", (*vandal).slowReader},
	{"half-open", (*vandal).halfOpen},
	{"sudden leaves", (*vandal).suddenLeaves},
	{"a flood", (*vandal).flood},
	{"wrong messages", (*vandal).wrongMessages},
	{"joins and leaves", (*vandal).joinsAndLeaves},
}

// misbehave goes through all ways until ctx ends.
func (l *load) misbehave(ctx context.Context, number int, random *rand.Rand) {
	for way := number; ctx.Err() == nil; way++ {
		some, cancel := context.WithTimeout(ctx, 6*time.Second)
		ways[way%len(ways)].do(&vandal{l, some, random})
		cancel()
	}
}

// dial is a connection, or nil if there is no room now.
func (v *vandal) dial(path string) *websocket.Conn {
	conn, _, err := websocket.Dial(v.ctx, v.load.url+path, nil)
	if err != nil {
		v.pause(100 * time.Millisecond)
		return nil
	}
	conn.SetReadLimit(1 << 20)
	return conn
}

func (v *vandal) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-v.ctx.Done():
	}
}

func (v *vandal) send(conn *websocket.Conn, data []byte) bool {
	return conn.Write(v.ctx, websocket.MessageBinary, data) == nil
}

// drain reads whatever comes.
func (v *vandal) drain(conn *websocket.Conn) {
	for {
		if _, _, err := conn.Read(v.ctx); err != nil {
			return
		}
	}
}

// latePackets sends numbered frames that are late, doubled, lost, and out of order.
func (v *vandal) latePackets() {
	conn := v.dial("/decode?live=3")
	if conn == nil {
		return
	}
	defer conn.CloseNow()
	go v.drain(conn)
	header, err := v.load.model.Header()
	if err != nil {
		return
	}
	var held []byte
	for number := uint32(0); v.ctx.Err() == nil; number++ {
		packet := binary.LittleEndian.AppendUint32(nil, number)
		for range header.FrameBytes() {
			packet = append(packet, byte(v.random.Uint32()))
		}
		switch v.random.IntN(8) {
		case 0: // lost
		case 1: // twice
			v.send(conn, packet)
			v.send(conn, packet)
		case 2: // after those that follow
			held = packet
		case 3:
			v.pause(time.Duration(v.random.IntN(300)) * time.Millisecond)
			fallthrough
		default:
			v.send(conn, packet)
			if held != nil {
				v.send(conn, held)
				held = nil
			}
		}
		v.pause(frameTime)
	}
}

// tornMessages sends parts of samples, of packets and of token files.
func (v *vandal) tornMessages() {
	for _, path := range []string{"/echo", "/encode?format=s16", "/decode", "/decode?live=2"} {
		if conn := v.dial(path); conn != nil {
			v.send(conn, make([]byte, 4*frameSamples))
			v.send(conn, make([]byte, 1+2*v.random.IntN(50)))
			v.drain(conn)
			conn.CloseNow()
		}
	}
}

// slowReader talks and never reads what comes back.
func (v *vandal) slowReader() {
	conn := v.dial("/echo")
	if conn == nil {
		return
	}
	defer conn.CloseNow()
	for v.ctx.Err() == nil && v.send(conn, make([]byte, 4*frameSamples)) {
		v.pause(frameTime)
	}
}

// halfOpen connects, says something or nothing, and is silent.
func (v *vandal) halfOpen() {
	host := strings.TrimPrefix(v.load.url, "ws://")
	if raw, err := net.Dial("tcp", host); err == nil {
		defer raw.Close()
		raw.Write([]byte("GET /echo HTTP/1.1\r\nHost: localhost\r\n"))
	}
	conn := v.dial("/echo")
	if conn == nil {
		return
	}
	defer conn.CloseNow()
	v.send(conn, make([]byte, 4*100))
	<-v.ctx.Done()
}

// suddenLeaves talks for some frames and breaks off in the middle of one.
func (v *vandal) suddenLeaves() {
	for v.ctx.Err() == nil {
		conn := v.dial("/echo?codes=1")
		if conn == nil {
			continue
		}
		for range v.random.IntN(20) {
			v.send(conn, make([]byte, 4*(1+v.random.IntN(frameSamples))))
			v.pause(frameTime / 2)
		}
		conn.CloseNow()
	}
}

// flood sends as fast as it can.
func (v *vandal) flood() {
	conn := v.dial("/echo")
	if conn == nil {
		return
	}
	defer conn.CloseNow()
	go v.drain(conn)
	second := make([]byte, 4*sampleRate)
	for v.ctx.Err() == nil && v.send(conn, second) {
	}
}

// wrongMessages sends text, single bytes, far too much, and nothing but pings.
func (v *vandal) wrongMessages() {
	if conn := v.dial("/echo"); conn != nil {
		v.send(conn, []byte{1})
		v.drain(conn)
		conn.CloseNow()
	}
	if conn := v.dial("/echo"); conn != nil {
		v.sendTooMuch(conn)
		v.drain(conn)
		conn.CloseNow()
	}
	if conn := v.dial("/encode"); conn != nil {
		conn.Write(v.ctx, websocket.MessageText, []byte("hello"))
		v.drain(conn)
		conn.CloseNow()
	}
	if conn := v.dial("/echo"); conn != nil {
		go v.drain(conn)
		for v.ctx.Err() == nil && conn.Ping(v.ctx) == nil {
			v.pause(10 * time.Millisecond)
		}
		conn.CloseNow()
	}
}

// sendTooMuch sends a message of 100 MB, until it is refused.
func (v *vandal) sendTooMuch(conn *websocket.Conn) {
	message, err := conn.Writer(v.ctx, websocket.MessageBinary)
	if err != nil {
		return
	}
	part := make([]byte, 100<<10)
	for range 1 << 10 {
		if _, err := message.Write(part); err != nil {
			return
		}
	}
	message.Close()
}

// joinsAndLeaves connects and goes, again and again.
func (v *vandal) joinsAndLeaves() {
	for v.ctx.Err() == nil {
		if conn := v.dial("/echo"); conn != nil {
			conn.CloseNow()
		}
		v.pause(20 * time.Millisecond)
	}
}
