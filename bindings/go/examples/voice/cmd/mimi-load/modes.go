package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// warmUp is how long conversations talk before they count: their attention looks back ten seconds, and a frame costs
// more when that much is there.
const warmUp = 11 * time.Second

// settle is how long the server has to forget its clients.
const settle = 8 * time.Second

// patience is how long clients ask again for room that there is, but for the moment.
const patience = 10 * time.Second

// apart is the time between clients that come together: a server makes room for one at a time.
const apart = 50 * time.Millisecond

// begin starts clients that have room for so many frames.
func (l *load) begin(count, from, frames int, patience time.Duration) []*client {
	clients := make([]*client, count)
	for i := range clients {
		clients[i] = newClient((from+i)%variants, frames, l.plan.jitter)
		clients[i].comes, clients[i].patience = time.Duration(i)*apart, patience
		go l.talkAs(clients[i], rand.New(rand.NewPCG(uint64(l.plan.seed), uint64(from+i))))
	}
	return clients
}

func framesIn(d time.Duration) int { return int(d / frameTime) }

// talk is conversations for a time, some of them faulty besides.
func (l *load) talk() (fmt.Stringer, error) {
	r := &talkReport{Precision: l.plan.precision, Conversations: l.plan.conversations, Seconds: l.plan.seconds}
	r.Faulty = int((float64(l.plan.conversations)*l.plan.faulty + 99) / 100)
	// a conversation comes and goes before anything is counted, so that what is made once is made
	if err := oneFrame(l.url); err != nil {
		return nil, err
	}
	time.Sleep(time.Second)
	debug.FreeOSMemory()
	r.Before = l.process()
	seconds := time.Duration(l.plan.seconds * float64(time.Second))
	clients := l.begin(l.plan.conversations, 0, framesIn(seconds), patience)
	ctx, cancel := context.WithCancel(context.Background())
	var faulty sync.WaitGroup
	for i := range r.Faulty {
		faulty.Add(1)
		go func() {
			defer faulty.Done()
			l.misbehave(ctx, i, rand.New(rand.NewPCG(uint64(l.plan.seed), uint64(1000+i))))
		}()
	}
	early := time.AfterFunc(seconds/10, func() { r.Early = l.process() })
	late := time.AfterFunc(seconds*99/100, func() { r.Late = l.process() })
	for _, c := range clients {
		<-c.ended
	}
	early.Stop()
	late.Stop()
	cancel()
	faulty.Wait()
	r.After = l.settled(r.Before)
	return r, errors.Join(r.count(l, clients), r.verdict())
}

// settled is the process when its clients are gone.
func (l *load) settled(before process) process {
	var now process
	http.DefaultClient.CloseIdleConnections() // of those that were refused
	for end := time.Now().Add(settle); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if now = l.process(); now.Goroutines <= before.Goroutines {
			break
		}
	}
	debug.FreeOSMemory()
	now.HeapMB, now.ResidentMB = l.process().HeapMB, l.process().ResidentMB
	return now
}

// curve adds conversations, and looks at each load when the attention of all is full.
func (l *load) curve() (fmt.Stringer, error) {
	r := &curveReport{Precision: l.plan.precision, CPU: cpuName()}
	carried, err := readBench(l.plan.bench, l.plan.precision)
	if err != nil {
		return nil, err
	}
	r.Carried = carried
	seconds := time.Duration(l.plan.seconds * float64(time.Second))
	var shares []float64
	for text := range strings.SplitSeq(l.plan.shares, ",") {
		share, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, err
		}
		shares = append(shares, share)
	}
	var all []*client
	most := framesIn(time.Duration(len(shares)+1) * (warmUp + seconds))
	for _, share := range shares {
		count := int(math.Ceil(share * carried))
		if count <= len(all) {
			continue
		}
		all = append(all, l.begin(count-len(all), len(all), most, patience)...)
		time.Sleep(warmUp)
		from := time.Now()
		time.Sleep(seconds)
		step := stepOf(all, from, time.Now())
		step.Load = l.busy()
		r.Steps = append(r.Steps, step)
		if step.Codes.P50 > 200 {
			break // it grows without end
		}
	}
	for _, c := range all {
		c.stop()
	}
	for _, c := range all {
		<-c.ended
	}
	return r, nil
}

// overload fills a server, has as many come again, and sees what becomes of those inside and of those outside.
func (l *load) overload() (fmt.Stringer, error) {
	r := &overloadReport{Precision: l.plan.precision}
	seconds := time.Duration(l.plan.seconds * float64(time.Second))
	frames := framesIn(warmUp + seconds + 10*time.Second)
	var inside []*client
	for refused := 0; refused < 5 && len(inside) < 10000; { // a slow moment is no full house
		c := l.begin(1, len(inside), frames, 0)[0]
		select {
		case <-c.ended:
			refused++
			r.Reason = c.failure.Error()
		case <-time.After(200 * time.Millisecond):
			refused = 0
			inside = append(inside, c)
		}
	}
	r.Inside = len(inside)
	if r.Inside == 0 {
		return nil, fmt.Errorf("there is no room for one: %s", r.Reason)
	}
	time.Sleep(warmUp)
	from := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), seconds)
	defer cancel()
	var outside sync.WaitGroup
	var lock sync.Mutex
	for i := range r.Inside {
		outside.Add(1)
		go func() {
			defer outside.Done()
			for ctx.Err() == nil {
				reason, isIn, after := l.knock(ctx)
				lock.Lock()
				switch {
				case ctx.Err() != nil:
				case isIn:
					r.LetIn++
				default:
					r.Refused++
					r.Reason = reason
				}
				lock.Unlock()
				// a few milliseconds more or less, or all would knock together
				select {
				case <-ctx.Done():
				case <-time.After(after + time.Duration(i)*time.Millisecond):
				}
			}
		}()
	}
	outside.Wait()
	r.Step = stepOf(inside, from, time.Now())
	// one leaves, and a new one finds room
	inside[0].stop()
	<-inside[0].ended
	began := time.Now()
	for time.Since(began) < 10*time.Second {
		if _, isIn, _ := l.knock(context.Background()); isIn {
			r.RoomAfter = float64(time.Since(began).Microseconds()) / 1000
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	normal := time.Now()
	time.Sleep(3 * time.Second)
	r.Afterwards = stepOf(inside[1:], normal, time.Now())
	for _, c := range inside {
		c.stop()
	}
	for _, c := range inside {
		<-c.ended
	}
	var t talkReport
	err := t.count(l, inside)
	r.Frames, r.Missing, r.Different, r.Failures = t.Frames, t.Missing, t.Different, t.Failures
	return r, err
}

// knock tries to join. If it may not, it says what the server said, and after what time to ask again.
func (l *load) knock(ctx context.Context) (reason string, isIn bool, after time.Duration) {
	conn, response, err := websocket.Dial(ctx, l.url+"/echo", nil)
	if err == nil {
		conn.CloseNow()
		return "", true, time.Second
	}
	if response == nil {
		return err.Error(), false, time.Second
	}
	defer response.Body.Close()
	said, _ := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusServiceUnavailable {
		return response.Status, false, time.Second
	}
	return strings.TrimSpace(string(said)), false, retryAfter(response)
}

// busy is the share of the workers' time that the server counts for its conversations.
func (l *load) busy() float64 {
	if l.server == nil {
		return 0
	}
	return l.server.Stats().Load
}
