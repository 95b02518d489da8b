// Package server is a voice server over WebSocket: /encode, /decode and /echo, a page, and pages for machines.
package server

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	mimi "github.com/libmimi/libmimi/bindings/go"
)

// Config is what the server may be told. Of each number, 0 is the default.
type Config struct {
	Codebooks int // codes in a frame; by default 8
	Batcher   mimi.BatcherOptions
	Idle      time.Duration // without a message, after which a conversation is ended; by default 15 s
	Stalled   time.Duration // that a client may take to read a message; by default 5 s
}

// Server is the handler of its pages.
type Server struct {
	config  Config
	batcher *mimi.Batcher
	mux     *http.ServeMux
	ending  context.Context // ends when Shutdown begins
	end     context.CancelFunc
	killing context.Context // ends when Shutdown gives up waiting
	kill    context.CancelFunc

	lock     sync.Mutex // guards draining, so that nobody joins a group that is waited for
	draining bool
	sessions sync.WaitGroup
	counters counters
}

// counters are what only the server knows.
type counters struct {
	open, served, faulty, lost, late, doubled atomic.Int64
}

//go:embed page
var page embed.FS

// errDraining is why nobody is let in any more.
var errDraining = errors.New("the server is ending")

// New measures what the machine can do, unless the config says it, and is then ready.
func New(model *mimi.Model, config Config) (*Server, error) {
	if config.Idle == 0 {
		config.Idle = 15 * time.Second
	}
	if config.Stalled == 0 {
		config.Stalled = 5 * time.Second
	}
	batcher, err := mimi.NewBatcher(model, config.Batcher, mimi.Codebooks(config.Codebooks))
	if err != nil {
		return nil, err
	}
	files, err := fs.Sub(page, "page")
	if err != nil {
		return nil, errors.Join(err, batcher.Close())
	}
	s := &Server{config: config, batcher: batcher, mux: http.NewServeMux()}
	s.ending, s.end = context.WithCancel(context.Background())
	s.killing, s.kill = context.WithCancel(context.Background())
	s.mux.Handle("GET /", secured(http.FileServerFS(files)))
	s.mux.HandleFunc("GET /health", s.health)
	s.mux.HandleFunc("GET /metrics", s.metrics)
	s.mux.HandleFunc("GET /encode", s.converse(mimi.EncoderPart, (*session).encode))
	s.mux.HandleFunc("GET /decode", s.converse(mimi.DecoderPart, (*session).decode))
	s.mux.HandleFunc("GET /echo", s.converse(mimi.BothParts, (*session).echo))
	return s, nil
}

// secured says to browsers that the page needs nothing of other hosts.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// HTTP is an http.Server of the pages that does not wait for clients who never say what they want.
func (s *Server) HTTP() *http.Server {
	return &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

func (s *Server) String() string {
	stats := s.batcher.Stats()
	return fmt.Sprintf("room for %d conversations, %d frames a call", stats.Capacity, stats.MaxBatch)
}

// Stats are those of the batcher.
func (s *Server) Stats() mimi.BatcherStats { return s.batcher.Stats() }

// Shutdown lets nobody in, asks the conversations inside to end, and waits for them as long as ctx allows.
func (s *Server) Shutdown(ctx context.Context) error {
	s.lock.Lock()
	s.draining = true
	s.lock.Unlock()
	s.end()
	defer s.kill()
	defer context.AfterFunc(ctx, s.kill)()
	s.sessions.Wait()
	return s.batcher.Close()
}

// enter counts a session in, unless the server is ending.
func (s *Server) enter() bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.draining {
		return false
	}
	s.sessions.Add(1)
	s.counters.open.Add(1)
	s.counters.served.Add(1)
	return true
}

func (s *Server) leave() {
	s.counters.open.Add(-1)
	s.sessions.Done()
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	s.lock.Lock()
	draining := s.draining
	s.lock.Unlock()
	stats := s.batcher.Stats()
	status, code := "ok", http.StatusOK
	if draining {
		status, code = "ending", http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(map[string]any{
		"status": status, "conversations": stats.Conversations, "load": stats.Load, "limit": stats.Limit,
	})
}

func (s *Server) metrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	if s.batcher.WritePrometheus(w) != nil {
		return
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	c := &s.counters
	for _, metric := range []struct {
		name, kind, help string
		value            int64
	}{
		{"voice_open_sessions", "gauge", "Connections that talk.", c.open.Load()},
		{"voice_sessions_total", "counter", "Connections that were let in.", c.served.Load()},
		{"voice_faulty_sessions_total", "counter", "Connections that were ended for what they did.", c.faulty.Load()},
		{"voice_lost_packets_total", "counter", "Packets that were not there in time.", c.lost.Load()},
		{"voice_late_packets_total", "counter", "Packets that came after their time.", c.late.Load()},
		{"voice_doubled_packets_total", "counter", "Packets that came more than once.", c.doubled.Load()},
		{"voice_goroutines", "gauge", "Goroutines.", int64(runtime.NumGoroutine())},
		{"voice_heap_bytes", "gauge", "Memory that Go's heap holds.", int64(memory.HeapAlloc)},
	} {
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n%s %d\n", metric.name, metric.help, metric.name, metric.kind, metric.name, metric.value)
	}
}
