package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mimi "github.com/libmimi/libmimi/bindings/go"
	"github.com/libmimi/libmimi/bindings/go/examples/voice/internal/server"
)

func newLoad(t *testing.T, config server.Config, p plan) *load {
	t.Helper()
	const root = "../../../../../../"
	model, err := mimi.Load(root + "tool/demo/model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	speech, err := readSpeech(root + "tests/data/golden/speech.wav")
	if err != nil {
		t.Fatal(err)
	}
	l := &load{plan: p, model: model, speech: speech}
	stop, err := l.serve(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		model.Close()
	})
	return l
}

// Beside a faulty client of each kind, every frame of every healthy one comes back with the bits of streams alone.
func TestEveryFrameBesideFaultyClients(t *testing.T) {
	config := server.Config{Batcher: mimi.BatcherOptions{Capacity: 24}, Idle: 5 * time.Second, Stalled: 2 * time.Second}
	l := newLoad(t, config, plan{precision: "f32", conversations: len(ways), seconds: 7, faulty: 100, jitter: 40, seed: 3})
	report, err := l.talk()
	if err != nil {
		t.Errorf("%v\n%v", err, report)
	}
	if r, ok := report.(*talkReport); !ok || r.Frames < 8*80 || r.Faulty != len(ways) {
		t.Errorf("%v", report)
	}
}

// Answers that are wrong are seen: the comparison can fail.
func TestWrongAnswersAreSeen(t *testing.T) {
	l := newLoad(t, server.Config{Batcher: mimi.BatcherOptions{Capacity: 4}}, plan{precision: "f32", jitter: 5})
	clients := l.begin(2, 0, 12, 0)
	for _, c := range clients {
		<-c.ended
	}
	clients[1].variant = clients[0].variant // as if it had the other's audio
	var r talkReport
	if err := r.count(l, clients); err != nil {
		t.Fatal(err)
	}
	if r.Frames != 24 || r.Missing != 0 || r.Different != 12 || r.verdict() == nil {
		t.Errorf("%+v", r)
	}
}

func TestCurveIsDrawn(t *testing.T) {
	folder := t.TempDir()
	file, picture := filepath.Join(folder, "curve.json"), filepath.Join(folder, "curve.svg")
	curve := `{"precision": "int8", "cpu": "a processor", "carried": 20, "steps": [
		{"conversations": 10, "codes": {"p50": 10, "p99": 20, "max": 30, "late": 0}},
		{"conversations": 17, "codes": {"p50": 20, "p99": 40, "max": 60, "late": 0}},
		{"conversations": 19, "codes": {"p50": 50, "p99": 90, "max": 200, "late": 9}}]}`
	if err := os.WriteFile(file, []byte(curve), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := draw(picture, []string{file}); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(picture)
	if err != nil || !strings.Contains(string(svg), "int8 on a processor: 17 conversations without a late frame, 85 % of 20.0") {
		t.Errorf("%v: %s", err, svg)
	}
	if err := draw(picture, []string{picture}); err == nil {
		t.Error("a picture is no report")
	}
}
