package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	mimi "github.com/libmimi/libmimi/bindings/go"
)

const (
	demo    = "../../../../../../tool/demo/model.safetensors"
	speech  = "../../../../../../tests/data/golden/speech.wav"
	samples = 1920
)

// voice is a server on a port of its own, and what it must give.
type voice struct {
	*Server
	url   string
	model *mimi.Model
	pcm   []float32
	codes []uint32
	audio []float32
	web   *http.Server
}

func start(t *testing.T, config Config) *voice {
	t.Helper()
	model, err := mimi.Load(demo)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { model.Close() })
	if config.Batcher.Capacity == 0 {
		config.Batcher.Capacity = 32
	}
	s, err := New(model, config)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	v := &voice{Server: s, url: "ws://" + listener.Addr().String(), model: model, web: s.HTTP()}
	go v.web.Serve(listener)
	t.Cleanup(func() { v.stop(t) })
	wav, err := os.ReadFile(speech)
	if err != nil {
		t.Fatal(err)
	}
	for at := 44; at < 44+2*10*samples; at += 2 {
		v.pcm = append(v.pcm, float32(int16(binary.LittleEndian.Uint16(wav[at:])))/32768)
	}
	v.pcm = v.pcm[:9*samples+500]
	if v.codes, err = model.Encode(v.pcm); err != nil {
		t.Fatal(err)
	}
	if v.audio, err = model.Decode(v.codes); err != nil {
		t.Fatal(err)
	}
	return v
}

func (v *voice) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := errors.Join(v.web.Shutdown(ctx), v.Shutdown(ctx)); err != nil {
		t.Error(err)
	}
}

func (v *voice) dial(path string) (*websocket.Conn, *http.Response, error) {
	conn, response, err := websocket.Dial(context.Background(), v.url+path, nil)
	if err == nil {
		conn.SetReadLimit(1 << 20)
	}
	return conn, response, err
}

func (v *voice) mustDial(t *testing.T, path string) *websocket.Conn {
	t.Helper()
	conn, _, err := v.dial(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	return conn
}

// send is messages of so many bytes, and an empty one.
func send(conn *websocket.Conn, data []byte, step int) error {
	for message := range slices.Chunk(data, step) {
		if err := conn.Write(context.Background(), websocket.MessageBinary, message); err != nil {
			return err
		}
	}
	return conn.Write(context.Background(), websocket.MessageBinary, nil)
}

// receive is all messages until the server closes the connection, and how.
func receive(conn *websocket.Conn) (messages [][]byte, closed error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		_, message, err := conn.Read(ctx)
		if err != nil {
			return messages, err
		}
		messages = append(messages, message)
	}
}

// closedWith is an error unless a connection was closed in this way.
func closedWith(t *testing.T, err error, status websocket.StatusCode, reason string) {
	t.Helper()
	var closed websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != status || !strings.Contains(closed.Reason, reason) {
		t.Errorf("%v\ninstead of %v, %q", err, status, reason)
	}
}

func TestEncodeAndDecode(t *testing.T) {
	v := start(t, Config{})
	for _, step := range []int{400, 4 * samples, 20000} {
		conn := v.mustDial(t, "/encode")
		if err := send(conn, f32.encode(nil, v.pcm), step); err != nil {
			t.Fatal(err)
		}
		messages, closed := receive(conn)
		closedWith(t, closed, websocket.StatusNormalClosure, "")
		file := slices.Concat(messages...)
		header, length, err := mimi.ParseHeader(file)
		if err != nil || header.Codebooks != 8 || len(messages) != 11 {
			t.Fatalf("%d messages, %+v, %v", len(messages), header, err)
		}
		codes, err := mimi.AppendUnpacked(nil, file[length:], 8, header.CodeBits)
		if err != nil || !slices.Equal(codes, v.codes) {
			t.Errorf("%d codes, %v", len(codes), err)
		}
		conn = v.mustDial(t, "/decode?format=s16")
		if err := send(conn, file, 1+step/100); err != nil {
			t.Fatal(err)
		}
		messages, closed = receive(conn)
		closedWith(t, closed, websocket.StatusNormalClosure, "")
		if !slices.Equal(slices.Concat(messages...), formats["s16"].encode(nil, v.audio)) {
			t.Errorf("%d messages of other audio", len(messages))
		}
	}
}

// Conversations at two rates beside each other, each with the bits that its streams give alone.
func TestEcho(t *testing.T) {
	v := start(t, Config{})
	var wait sync.WaitGroup
	for i := range 8 {
		path, options := "/echo?codes=1", []mimi.Option(nil)
		if i%2 == 1 {
			path, options = "/echo?codes=1&rate=16000&codebooks=4", []mimi.Option{mimi.SampleRate(16000), mimi.Codebooks(4)}
		}
		conn := v.mustDial(t, path)
		codes, err := v.model.Encode(v.pcm, options...)
		if err != nil {
			t.Fatal(err)
		}
		audio, err := v.model.Decode(codes, options...)
		if err != nil {
			t.Fatal(err)
		}
		header, err := v.model.Header(options...)
		if err != nil {
			t.Fatal(err)
		}
		wait.Add(1)
		go func() {
			defer wait.Done()
			if err := send(conn, f32.encode(nil, v.pcm), 4*480); err != nil {
				t.Error(err)
			}
			messages, closed := receive(conn)
			closedWith(t, closed, websocket.StatusNormalClosure, "")
			packed, err := mimi.AppendPacked(nil, codes, header.Codebooks, header.CodeBits)
			if err != nil {
				t.Error(err)
			}
			var gotPacked, gotAudio []byte
			for _, message := range messages {
				if len(message) < 200 && len(gotPacked) < len(packed) && len(message) == len(packed)/(len(codes)/header.Codebooks) {
					gotPacked = append(gotPacked, message...)
				} else {
					gotAudio = append(gotAudio, message...)
				}
			}
			if !slices.Equal(gotPacked, packed) || !slices.Equal(gotAudio, f32.encode(nil, audio)) {
				t.Errorf("conversation %d: %d of %d bytes of codes, %d of %d of audio", i, len(gotPacked), len(packed), len(gotAudio), 4*len(audio))
			}
		}()
	}
	wait.Wait()
}

// Clients that do what they should not are told so, and the others notice nothing.
func TestFaultyClients(t *testing.T) {
	v := start(t, Config{Idle: 2 * time.Second, Stalled: time.Second})
	header, err := v.model.Header()
	if err != nil {
		t.Fatal(err)
	}
	file, err := mimi.AppendHeader(nil, header)
	if err != nil {
		t.Fatal(err)
	}
	damaged := slices.Clone(file)
	damaged[20]++
	for _, c := range []struct {
		path   string
		kind   websocket.MessageType
		data   []byte
		status websocket.StatusCode
		reason string
	}{
		{"/echo", websocket.MessageBinary, make([]byte, 1), websocket.StatusInvalidFramePayloadData, "a message of 1 bytes: a sample has 4"},
		{"/encode?format=s16", websocket.MessageBinary, make([]byte, 1921), websocket.StatusInvalidFramePayloadData, "a message of 1921 bytes: a sample has 2"},
		{"/echo", websocket.MessageText, []byte("hello"), websocket.StatusUnsupportedData, "a text message"},
		{"/echo", websocket.MessageBinary, make([]byte, 100<<20), websocket.StatusMessageTooBig, ""},
		{"/echo", websocket.MessageBinary, nil, websocket.StatusNormalClosure, ""},
		{"/decode", websocket.MessageBinary, make([]byte, 100), websocket.StatusInvalidFramePayloadData, "no Mimi token file"},
		{"/decode", websocket.MessageBinary, damaged, websocket.StatusInvalidFramePayloadData, ""},
		{"/decode?codebooks=3", websocket.MessageBinary, file, websocket.StatusInvalidFramePayloadData, "ask for codebooks=8"},
		{"/decode", websocket.MessageBinary, nil, websocket.StatusInvalidFramePayloadData, "ends with 0 bytes"},
		{"/decode?live=0", websocket.MessageBinary, file, websocket.StatusPolicyViolation, "live="},
		{"/decode?live=2", websocket.MessageBinary, file, websocket.StatusInvalidFramePayloadData, "a packet of 40 bytes instead of"},
		{"/echo?format=mp3", websocket.MessageBinary, file, websocket.StatusPolicyViolation, "format="},
	} {
		conn := v.mustDial(t, c.path)
		conn.Write(context.Background(), c.kind, c.data) // may find the connection closed already
		_, closed := receive(conn)
		if c.status == websocket.StatusMessageTooBig && !errors.As(closed, &websocket.CloseError{}) {
			continue // what was sent and not read resets the connection, closing frame and all
		}
		closedWith(t, closed, c.status, c.reason)
	}
	for path, status := range map[string]int{
		"/echo?rate=22055": 400, "/echo?rate=x": 400, "/echo?rate=768000": 400, "/echo?codebooks=0": 400,
		"/encode?codebooks=33": 400, "/nothing": 404,
	} {
		_, response, err := v.dial(path)
		if err == nil || response == nil || response.StatusCode != status {
			t.Errorf("%s: %v", path, err)
		}
	}
	silent := v.mustDial(t, "/echo")
	pinging := v.mustDial(t, "/decode")
	go func() {
		for silent.Ping(context.Background()) == nil {
			time.Sleep(100 * time.Millisecond)
		}
	}()
	_, closed := receive(silent)
	closedWith(t, closed, websocket.StatusPolicyViolation, "no message in 2s")
	_, closed = receive(pinging)
	closedWith(t, closed, websocket.StatusPolicyViolation, "no message in 2s")
	v.leaves(t)
}

// leaves waits until nobody is inside.
func (v *voice) leaves(t *testing.T) {
	t.Helper()
	for range 1000 {
		if v.Stats().Conversations == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d conversations are left", v.Stats().Conversations)
}

func TestRefusesWhenFull(t *testing.T) {
	v := start(t, Config{Batcher: mimi.BatcherOptions{Capacity: 2}})
	first := v.mustDial(t, "/echo")
	v.mustDial(t, "/echo")
	_, response, err := v.dial("/echo")
	if err == nil || response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
		t.Fatal(err)
	}
	said, _ := io.ReadAll(response.Body)
	if !strings.Contains(string(said), "2 conversations take 100 %") {
		t.Errorf("%s", said)
	}
	first.CloseNow()
	for {
		if conn, _, err := v.dial("/echo"); err == nil {
			conn.CloseNow()
			break
		}
		time.Sleep(time.Millisecond)
	}
}

// Clients that vanish, in any state, leave no goroutine and no room taken.
func TestClientsThatVanish(t *testing.T) {
	v := start(t, Config{Batcher: mimi.BatcherOptions{Capacity: 8}})
	v.mustDial(t, "/echo").CloseNow()
	v.leaves(t)
	goroutines := runtime.NumGoroutine()
	for i := range 60 {
		conn, _, err := v.dial([]string{"/echo", "/encode", "/decode?live=2"}[i%3])
		if err != nil {
			v.leaves(t)
			continue
		}
		if i%3 < 2 {
			conn.Write(context.Background(), websocket.MessageBinary, f32.encode(nil, v.pcm[:300*i]))
		}
		conn.CloseNow()
	}
	v.leaves(t)
	http.DefaultClient.CloseIdleConnections() // of those that were refused
	for range 500 {
		if runtime.NumGoroutine() <= goroutines+2 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if now := runtime.NumGoroutine(); now > goroutines+2 {
		t.Errorf("%d goroutines instead of %d", now, goroutines)
	}
}

// When the server ends, what was said is answered, and clients are told.
func TestShutdown(t *testing.T) {
	v := start(t, Config{})
	talking := v.mustDial(t, "/echo")
	silent := v.mustDial(t, "/echo")
	data := f32.encode(nil, v.pcm)
	if err := talking.Write(context.Background(), websocket.MessageBinary, data[:2*4*samples]); err != nil {
		t.Fatal(err)
	}
	for v.Stats().Decode.Frames < 2 {
		time.Sleep(time.Millisecond)
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		v.stop(t)
	}()
	messages, closed := receive(talking)
	closedWith(t, closed, websocket.StatusGoingAway, "ending")
	if !slices.Equal(slices.Concat(messages...), f32.encode(nil, v.audio[:2*samples])) {
		t.Errorf("%d messages", len(messages))
	}
	_, closed = receive(silent)
	closedWith(t, closed, websocket.StatusGoingAway, "ending")
	<-stopped
	recorder := httptest.NewRecorder()
	v.ServeHTTP(recorder, httptest.NewRequest("GET", "/health", nil))
	if recorder.Code != http.StatusServiceUnavailable || !strings.Contains(recorder.Body.String(), `"ending"`) {
		t.Errorf("%d %s", recorder.Code, recorder.Body)
	}
	recorder = httptest.NewRecorder()
	v.ServeHTTP(recorder, httptest.NewRequest("GET", "/echo", nil))
	if recorder.Code != http.StatusServiceUnavailable {
		t.Errorf("%d %s", recorder.Code, recorder.Body)
	}
}

func TestPages(t *testing.T) {
	v := start(t, Config{})
	for path, says := range map[string]string{
		"/": "<title>Mimi</title>", "/voice.js": "AudioContext", "/worklet.js": "registerProcessor", "/style.css": "main",
		"/health": `"status":"ok"`, "/metrics": "mimi_conversations 0\n",
	} {
		recorder := httptest.NewRecorder()
		v.ServeHTTP(recorder, httptest.NewRequest("GET", path, nil))
		body := recorder.Body.String()
		if recorder.Code != http.StatusOK || !strings.Contains(body, says) || strings.Contains(body, "://") {
			t.Errorf("%s: %d %.200s", path, recorder.Code, body)
		}
	}
}

// Threads that are there, and those that they make, take turns: the kernel's number for it is 3.
func TestThreadsTakeTurns(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a policy of Linux")
	}
	runtime.GOMAXPROCS(Prepare())
	var there sync.WaitGroup
	end := make(chan struct{})
	defer close(end)
	for range 8 {
		there.Add(1)
		go func() {
			runtime.LockOSThread() // another thread is made for the goroutines that are left
			there.Done()
			<-end
		}()
	}
	there.Wait()
	stats, err := filepath.Glob("/proc/self/task/*/stat")
	if err != nil || len(stats) < 8 {
		t.Fatal(stats, err)
	}
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // the thread has ended
		}
		// after the name in brackets, policy is the 39th
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if err != nil || fields[38] != "3" {
			t.Errorf("%s: %q, %v", path, fields, err)
		}
	}
}
