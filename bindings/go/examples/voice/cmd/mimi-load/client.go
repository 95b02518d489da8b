package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	mimi "github.com/libmimi/libmimi/bindings/go"
	"github.com/libmimi/libmimi/bindings/go/examples/voice/internal/server"
)

const (
	sampleRate   = 24000
	frameSamples = 1920
	blocks       = 4 // of a frame, 20 ms each, as microphones give them
	frameTime    = 80 * time.Millisecond
	variants     = 2 // different recordings: the audio of another conversation is noticed
)

// load is clients, and the server that they talk to.
type load struct {
	plan   plan
	model  *mimi.Model
	speech []float32
	url    string
	server *server.Server // nil if it runs in another process
}

func within(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}

// readSpeech reads a WAV file with the shortest header that there is.
func readSpeech(path string) ([]float32, error) {
	const header = 44
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(data) < header || string(data[:4]) != "RIFF" || binary.LittleEndian.Uint32(data[24:]) != sampleRate ||
		binary.LittleEndian.Uint32(data[20:]) != 1<<16|1 || binary.LittleEndian.Uint16(data[34:]) != 16 || string(data[36:40]) != "data" {
		return nil, fmt.Errorf("%s: not WAV of %d Hz, mono, 16 bits", path, sampleRate)
	}
	pcm := make([]float32, (len(data)-header)/2)
	for i := range pcm {
		pcm[i] = float32(int16(binary.LittleEndian.Uint16(data[header+2*i:]))) / 32768
	}
	return pcm, nil
}

// said is a frame of a variant: the recording over and over, begun at another place.
func (l *load) said(dst []float32, variant, frame int) []float32 {
	at := (variant*len(l.speech)/variants + frame*frameSamples) % len(l.speech)
	for len(dst) < frameSamples {
		n := min(frameSamples-len(dst), len(l.speech)-at)
		dst = append(dst, l.speech[at:at+n]...)
		at = (at + n) % len(l.speech)
	}
	return dst
}

func appendPCM(dst []byte, pcm []float32) []byte {
	for _, sample := range pcm {
		dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(sample))
	}
	return dst
}

var hashSeed = maphash.MakeSeed()

// answer is what came back for a frame.
type answer struct {
	sent         time.Time // its last sample
	codes, audio time.Time // when they came
	codesHash    uint64
	audioHash    uint64
}

// client is a conversation that does what it should. Its answers are there when it has ended.
type client struct {
	variant  int
	comes    time.Duration // so long after it was begun, and up to a frame's time more
	patience time.Duration // for which it asks again where there is no room
	jitter   time.Duration
	answers  []answer
	sent     atomic.Int64 // frames
	answered atomic.Int64
	failure  error
	ended    chan struct{}
	leave    chan struct{}
	stop     func() // lets it finish its frame and end
}

// newClient has room for the answers of so many frames: nothing grows while it talks.
func newClient(variant, frames int, jitter float64) *client {
	c := &client{variant: variant, ended: make(chan struct{}), leave: make(chan struct{})}
	c.jitter = time.Duration(jitter * float64(time.Millisecond))
	c.answers = make([]answer, frames)
	c.stop = sync.OnceFunc(func() { close(c.leave) })
	return c
}

// talk connects and talks for as many frames as there is room for answers, or until it is stopped.
func (l *load) talkAs(c *client, random *rand.Rand) {
	defer close(c.ended)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	time.Sleep(c.comes + time.Duration(random.Int64N(int64(frameTime))))
	conn, err := l.join(ctx, c.patience)
	if err != nil {
		c.failure = err
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(1 << 20)
	heard := make(chan error, 1)
	go func() { heard <- c.hear(ctx, conn) }()
	err = l.speakAs(ctx, c, conn, random)
	select {
	case failure := <-heard:
		err = errors.Join(err, failure)
	case <-time.After(10 * time.Second):
		err = errors.Join(err, errors.New("no end of the answers in 10 s"))
		cancel()
		<-heard
	}
	c.failure = err
}

// join connects. A server refuses clients in a moment in which it is slow, and says when to ask again.
func (l *load) join(ctx context.Context, patience time.Duration) (*websocket.Conn, error) {
	for began := time.Now(); ; {
		conn, response, err := websocket.Dial(ctx, l.url+"/echo?codes=1", nil)
		if err == nil || response == nil || response.StatusCode != http.StatusServiceUnavailable {
			return conn, err
		}
		after := retryAfter(response)
		if time.Since(began)+after > patience {
			return nil, err
		}
		time.Sleep(after)
	}
}

// retryAfter is when a server that has no room says to ask again.
func retryAfter(response *http.Response) time.Duration {
	seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
	return time.Duration(max(seconds, 1)) * time.Second
}

// speakAs sends a block of samples every 20 ms, each late by some jitter, and an empty message at the end.
func (l *load) speakAs(ctx context.Context, c *client, conn *websocket.Conn, random *rand.Rand) error {
	const block = frameSamples / blocks
	pcm, message := make([]float32, 0, frameSamples), make([]byte, 0, 4*block)
	began := time.Now()
	for frame := range c.answers {
		pcm = l.said(pcm[:0], c.variant, frame)
		for i := range blocks {
			// a block can be sent when its last sample is there
			due := began.Add(time.Duration(frame*blocks+i+1) * frameTime / blocks)
			if c.jitter > 0 {
				due = due.Add(time.Duration(random.Int64N(int64(c.jitter))))
			}
			select {
			case <-c.leave:
				if i == 0 {
					return conn.Write(ctx, websocket.MessageBinary, nil)
				}
			default:
			}
			time.Sleep(time.Until(due))
			message = appendPCM(message[:0], pcm[i*block:(i+1)*block])
			if i == blocks-1 {
				c.answers[frame].sent = time.Now()
				c.sent.Add(1)
			}
			if err := conn.Write(ctx, websocket.MessageBinary, message); err != nil {
				return fmt.Errorf("frame %d: %w", frame, err)
			}
		}
	}
	return conn.Write(ctx, websocket.MessageBinary, nil)
}

// hear takes the answers: codes and audio in turn, until the server closes the connection.
func (c *client) hear(ctx context.Context, conn *websocket.Conn) error {
	message := make([]byte, 4*frameSamples+1)
	for frame := 0; ; frame++ {
		for _, isAudio := range []bool{false, true} {
			n, err := readInto(ctx, conn, message)
			if websocket.CloseStatus(err) == websocket.StatusNormalClosure && !isAudio {
				return nil
			}
			if err != nil {
				return fmt.Errorf("answer %d: %w", frame, err)
			}
			if frame >= len(c.answers) {
				return fmt.Errorf("more than %d answers", len(c.answers))
			}
			a, now, hash := &c.answers[frame], time.Now(), maphash.Bytes(hashSeed, message[:n])
			if isAudio {
				a.audio, a.audioHash = now, hash
				c.answered.Add(1)
			} else {
				a.codes, a.codesHash = now, hash
			}
		}
	}
}

// readInto reads a message into a buffer.
func readInto(ctx context.Context, conn *websocket.Conn, buffer []byte) (int, error) {
	_, reader, err := conn.Reader(ctx)
	if err != nil {
		return 0, err
	}
	at := 0
	for {
		n, err := reader.Read(buffer[at:])
		at += n
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return at, err
		}
		if at == len(buffer) {
			return at, errors.New("a message longer than any")
		}
	}
}

// report is what waitForFirst found.
type firstCodes struct {
	Milliseconds float64 `json:"milliseconds"`
}

func (f firstCodes) String() string {
	return fmt.Sprintf("the first codes came after %.0f ms\n", f.Milliseconds)
}

// waitForFirst asks for a conversation until a server gives one, and for the codes of a frame.
func waitForFirst(url string) (fmt.Stringer, error) {
	began := time.Now()
	for time.Since(began) < time.Minute {
		if err := oneFrame(url); err == nil {
			return firstCodes{float64(time.Since(began).Microseconds()) / 1000}, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, fmt.Errorf("%s gives no codes in a minute", url)
}

func oneFrame(url string) error {
	ctx, cancel := within(10 * time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url+"/echo?codes=1", nil)
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	if err := conn.Write(ctx, websocket.MessageBinary, make([]byte, 4*frameSamples)); err != nil {
		return err
	}
	_, _, err = conn.Read(ctx)
	return err
}
