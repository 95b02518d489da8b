package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"
	mimi "github.com/libmimi/libmimi/bindings/go"
)

// mostMessage is the longest message in bytes: more than a second of audio at 48 kHz.
const mostMessage = 256 << 10

// session is a conversation with a client. Its methods encode, decode and echo are what the endpoints do.
type session struct {
	server       *Server
	asked        url.Values
	conversation *mimi.Conversation
	header       mimi.Header
	conn         *websocket.Conn
	ctx          context.Context
	fail         context.CancelCauseFunc
	watchdog     *time.Timer // ends a session that is silent
	closed       sync.Once
	message      []byte
	out          []byte
}

// fault is what a client did wrong, and the status that ends its connection.
type fault struct {
	status websocket.StatusCode
	reason string
}

func (f *fault) Error() string { return f.reason }

func faulty(status websocket.StatusCode, format string, values ...any) error {
	return &fault{status, fmt.Sprintf(format, values...)}
}

// errEnd is the end of a recording: an empty message.
var errEnd = errors.New("end of recording")

// converse is a handler that lets a client in, or says why not.
func (s *Server) converse(parts mimi.Parts, talk func(*session) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.enter() {
			http.Error(w, errDraining.Error(), http.StatusServiceUnavailable)
			return
		}
		defer s.leave()
		asked := r.URL.Query()
		options, err := optionsOf(asked)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		conversation, err := s.batcher.Join(parts, options...)
		var overload *mimi.OverloadError
		switch {
		case errors.As(err, &overload):
			w.Header().Set("Retry-After", "1")
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		case errors.Is(err, mimi.ErrInvalidArgument):
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer conversation.Close()
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return // Accept has answered
		}
		defer conn.CloseNow()
		conn.SetReadLimit(mostMessage)
		session := &session{server: s, asked: asked, conversation: conversation, header: conversation.Header(), conn: conn}
		session.run(talk)
	}
}

// optionsOf are the options of a conversation that a client asked for.
func optionsOf(asked url.Values) ([]mimi.Option, error) {
	var options []mimi.Option
	for _, o := range []struct {
		name        string
		least, most int
		option      func(int) mimi.Option
	}{{"rate", 8000, 48000, mimi.SampleRate}, {"codebooks", 1, 64, mimi.Codebooks}} {
		if text := asked.Get(o.name); text != "" {
			value, err := strconv.Atoi(text)
			if err != nil || value < o.least || value > o.most {
				return nil, fmt.Errorf("%s=%.20q is not a number from %d to %d", o.name, text, o.least, o.most)
			}
			options = append(options, o.option(value))
		}
	}
	return options, nil
}

// grace is how long a client that says nothing is waited for when the server ends.
const grace = time.Second / 2

// run talks until the recording ends or something fails, and closes the connection with what it was.
func (s *session) run(talk func(*session) error) {
	s.ctx, s.fail = context.WithCancelCause(s.server.killing)
	defer s.fail(nil)
	idle := s.server.config.Idle
	s.watchdog = time.AfterFunc(time.Hour, func() {
		s.end(faulty(websocket.StatusPolicyViolation, "no message in %v", idle))
	})
	s.watchdog.Stop() // until something is waited for
	defer s.watchdog.Stop()
	defer context.AfterFunc(s.server.ending, func() {
		s.watchdog.Reset(grace)
	})()
	s.end(talk(s))
}

// end closes the connection and says why, the first time that it is called, and then ends the session's calls. Its room
// is free before, since the client may take its time.
func (s *session) end(err error) {
	s.closed.Do(func() {
		s.conversation.Close()
		status, reason := s.status(err)
		if status != 0 {
			const most = 120 // bytes that a closing frame holds
			s.conn.Close(status, reason[:min(len(reason), most)])
		}
	})
	s.fail(err)
}

// status is what a closing frame says of an error; 0 if there is nobody to read it.
func (s *session) status(err error) (websocket.StatusCode, string) {
	var wrong *fault
	code := mimi.Code(0)
	switch {
	case s.server.ending.Err() != nil:
		return websocket.StatusGoingAway, errDraining.Error()
	case err == nil || errors.Is(err, errEnd):
		return websocket.StatusNormalClosure, ""
	case errors.As(err, &wrong):
		s.server.counters.faulty.Add(1)
		return wrong.status, wrong.reason
	case errors.Is(err, websocket.ErrMessageTooBig):
		s.server.counters.faulty.Add(1) // the closing frame is sent
	case errors.As(err, &code):
		log.Print("voice: ", err)
		return websocket.StatusInternalError, "the codec failed"
	}
	return 0, "" // the client left
}

// read is the next message, valid until the next call. An empty one is errEnd, and so is the end of the server.
func (s *session) read() ([]byte, error) {
	if s.server.ending.Err() != nil {
		return nil, errEnd // what came before is answered
	}
	s.watchdog.Reset(s.server.config.Idle)
	if s.server.ending.Err() != nil {
		s.watchdog.Reset(grace) // it began just now
	}
	kind, reader, err := s.conn.Reader(s.ctx)
	if err != nil {
		return nil, err
	}
	if kind != websocket.MessageBinary {
		return nil, faulty(websocket.StatusUnsupportedData, "a text message; all are binary")
	}
	s.message = s.message[:0]
	for {
		if len(s.message) == cap(s.message) {
			s.message = slices.Grow(s.message, max(4096, len(s.message)))
		}
		n, err := reader.Read(s.message[len(s.message):cap(s.message)])
		s.message = s.message[:len(s.message)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	s.watchdog.Stop() // what the server does with a message is not the client's silence
	if len(s.message) == 0 {
		return nil, errEnd
	}
	return s.message, nil
}

// write sends a message, to a client that reads.
func (s *session) write(message []byte) error {
	stalled := s.server.config.Stalled
	ctx, cancel := context.WithTimeout(s.ctx, stalled)
	defer cancel()
	err := s.conn.Write(ctx, websocket.MessageBinary, message)
	if err != nil && ctx.Err() != nil && s.ctx.Err() == nil {
		return faulty(websocket.StatusPolicyViolation, "nothing read in %v", stalled)
	}
	return err
}
