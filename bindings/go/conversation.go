//go:build cgo

package mimi

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// Conversation is an encoder, a decoder, or both, whose frames a Batcher runs together with those of others. Its two
// halves may be used at the same time. Calls of one half take turns, and run in the order in which they come.
type Conversation struct {
	batcher *Batcher
	sides   [halves]*side // nil where it has none
	header  Header
	cleanup runtime.Cleanup
	closing sync.Mutex
	closed  bool          // guarded by the batcher's lock
	gone    chan struct{} // closed by Close
}

// side is a half of a conversation: a stream, and its frame at hand.
type side struct {
	task
	conversation *Conversation
	encoder      *Encoder // one of them is nil
	decoder      *Decoder
	turn         chan struct{}     // holds a token while a call uses the side
	done         chan struct{}     // receives when a worker is done with the frame
	alone        func(*side) error // runs it alone; nil if it may run with others
	samples      int               // in a frame
	codebooks    int
	pcm          []float32 // in or out; room for the two frames that a flush may give
	codes        []uint32
	pending      int           // samples of an encoder's next frame
	resampled    bool          // at another rate than the model's: then its first frame runs alone
	fresh        bool          // the stream is new
	came         time.Duration // when the frame came
	last         time.Duration // the release of the frame before
	err          error
}

// Join opens a conversation: of an encoder, a decoder, or both. options come after those of the batcher. It does not
// wait: if results would be late with one more, it is an OverloadError at once. Close it: it takes room until then, or
// until the garbage collector finds that nobody has it.
func (b *Batcher) Join(parts Parts, options ...Option) (*Conversation, error) {
	var wanted [halves]int
	switch parts {
	case BothParts:
		wanted = [halves]int{1, 1}
	case EncoderPart:
		wanted[encoding] = 1
	case DecoderPart:
		wanted[decoding] = 1
	default:
		return nil, &Error{Code: ErrInvalidArgument, Message: fmt.Sprintf("parts %d of a conversation", parts)}
	}
	if err := b.admit(wanted); err != nil {
		return nil, err
	}
	c := &Conversation{batcher: b, gone: make(chan struct{})}
	all := append(append([]Option(nil), b.options...), options...)
	var err error
	for h := range halves {
		if wanted[h] > 0 && err == nil {
			c.sides[h], err = newSide(c, h, all)
		}
	}
	if err != nil {
		c.free()
		b.leave(wanted)
		return nil, err
	}
	c.cleanup = runtime.AddCleanup(c, b.leave, wanted)
	return c, nil
}

// admit makes room for a conversation, or says why there is none.
func (b *Batcher) admit(wanted [halves]int) error {
	b.lock.Lock()
	defer b.lock.Unlock()
	if b.closed {
		return ErrClosed
	}
	with := b.sides
	for h := range halves {
		with[h] += wanted[h]
	}
	load, late := b.load(with), b.measured && b.schedule.isLate(b.now())
	if late || load > b.limit+rounding {
		b.stats.Refused++
		return &OverloadError{Late: late, Conversations: b.stats.Conversations, Load: b.load(b.sides), With: load, Limit: b.limit}
	}
	b.sides = with
	b.schedule.populate(b.frame, b.sides)
	b.stats.Conversations++
	b.stats.Joined++
	return nil
}

func (b *Batcher) leave(wanted [halves]int) {
	b.lock.Lock()
	defer b.lock.Unlock()
	for h := range halves {
		b.sides[h] -= wanted[h]
	}
	b.schedule.populate(b.frame, b.sides)
	b.stats.Conversations--
}

func newSide(c *Conversation, h half, options []Option) (*side, error) {
	s := &side{conversation: c, turn: make(chan struct{}, 1), done: make(chan struct{}, 1)}
	s.task = task{half: h, side: s, index: -1}
	s.last = c.batcher.now() - c.batcher.frame
	var err error
	if h == encoding {
		if s.encoder, err = c.batcher.model.NewEncoder(options...); err == nil {
			c.header = s.encoder.header
		}
	} else if s.decoder, err = c.batcher.model.NewDecoder(options...); err == nil {
		c.header = s.decoder.header
	}
	if err != nil {
		return nil, err
	}
	header := c.header
	s.samples, s.codebooks = header.FrameSamples, header.Codebooks
	s.pcm, s.codes = make([]float32, 2*s.samples), make([]uint32, 2*s.codebooks)
	s.resampled, s.fresh = int64(header.SampleRate) != c.batcher.rate, true
	return s, nil
}

// Encode takes a block of up to a frame of samples, and appends the codes of the frame that it completes, if it does,
// to dst. It allocates only where dst has too little room. On an error nothing was taken, and dst is returned as it
// was. When ctx ends while the frame waits, that is such an error; a frame that runs is finished.
func (c *Conversation) Encode(ctx context.Context, dst []uint32, pcm []float32) ([]uint32, error) {
	s, err := c.begin(ctx, encoding)
	if err != nil {
		return dst, err
	}
	defer s.end()
	if len(pcm) > s.samples {
		return dst, &Error{Code: ErrInvalidArgument, Message: fmt.Sprintf("a block of %d samples, but a frame has %d", len(pcm), s.samples)}
	}
	taken := copy(s.pcm[s.pending:s.samples], pcm)
	if s.pending+taken < s.samples {
		s.pending += taken
		return dst, nil
	}
	if err := s.run(ctx, s.runsAlone(encodeAlone)); err != nil {
		return dst, err
	}
	s.pending = copy(s.pcm, pcm[taken:])
	return append(dst, s.codes...), nil
}

// EncodeFlush ends the recording and appends the codes of its last partial frame to dst, as Encoder.AppendFlush does.
// The stream is then as new. Errors are as those of Encode.
func (c *Conversation) EncodeFlush(ctx context.Context, dst []uint32) ([]uint32, error) {
	s, err := c.begin(ctx, encoding)
	if err != nil {
		return dst, err
	}
	defer s.end()
	if err := s.run(ctx, encodeRest); err != nil {
		return dst, err
	}
	s.pending, s.fresh = 0, true
	return append(dst, s.codes...), nil
}

// Decode takes one frame of codes and appends its audio to dst. NoCode stands for a code that did not arrive, as for
// Decoder.Append. It allocates only where dst has too little room. Errors are as those of Encode, and ErrCorrupt for a
// code that is none.
func (c *Conversation) Decode(ctx context.Context, dst []float32, codes []uint32) ([]float32, error) {
	s, err := c.begin(ctx, decoding)
	if err != nil {
		return dst, err
	}
	defer s.end()
	if len(codes) != s.codebooks {
		return dst, &Error{Code: ErrInvalidArgument, Message: fmt.Sprintf("%d codes, but a frame has %d", len(codes), s.codebooks)}
	}
	for i, code := range codes {
		if code >= c.batcher.codeSize && code != NoCode {
			return dst, &Error{Code: ErrCorrupt, Message: fmt.Sprintf("code %d is %d, but codes are below %d", i, code, c.batcher.codeSize)}
		}
	}
	s.codes = append(s.codes[:0], codes...)
	if err := s.run(ctx, s.runsAlone(decodeAlone)); err != nil {
		return dst, err
	}
	return append(dst, s.pcm...), nil
}

// DecodeFlush ends the recording and appends what audio is still due to dst, as Decoder.AppendFlush does. The stream is
// then as new. Errors are as those of Encode.
func (c *Conversation) DecodeFlush(ctx context.Context, dst []float32) ([]float32, error) {
	s, err := c.begin(ctx, decoding)
	if err != nil {
		return dst, err
	}
	defer s.end()
	if err := s.run(ctx, decodeRest); err != nil {
		return dst, err
	}
	s.fresh = true
	return append(dst, s.pcm...), nil
}

// Header is that of a token file of the conversation's codes; of a decoder alone, at its rate.
func (c *Conversation) Header() Header { return c.header }

// Close leaves the batcher and frees the streams, once the frames that run are done. Calls that wait return ErrClosed,
// and so do later ones. Later calls of Close do nothing.
func (c *Conversation) Close() error {
	c.closing.Lock()
	defer c.closing.Unlock()
	b := c.batcher
	b.lock.Lock()
	if c.closed {
		b.lock.Unlock()
		return nil
	}
	c.closed = true
	c.cleanup.Stop()
	close(c.gone)
	var has [halves]int
	for h, s := range c.sides {
		if s == nil {
			continue
		}
		has[h] = 1
		if b.schedule.remove(&s.task) {
			s.finish(ErrClosed)
		}
	}
	b.lock.Unlock()
	for _, s := range c.sides {
		if s != nil {
			s.turn <- struct{}{} // the last call has returned; the token stays
		}
	}
	c.free()
	b.leave(has)
	return nil
}

func (c *Conversation) free() {
	for _, s := range c.sides {
		switch {
		case s == nil:
		case s.encoder != nil:
			s.encoder.Close()
		default:
			s.decoder.Close()
		}
	}
}

// begin waits for the turn of a call, which ends it.
func (c *Conversation) begin(ctx context.Context, h half) (*side, error) {
	if ctx == nil {
		return nil, &Error{Code: ErrNullPointer, Message: "the context is nil"}
	}
	s := c.sides[h]
	if s == nil {
		return nil, &Error{Code: ErrUnsupported, Message: [halves]string{"the conversation has no encoder", "the conversation has no decoder"}[h]}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-c.gone:
		return nil, ErrClosed
	case <-c.batcher.done:
		return nil, ErrClosed
	default:
	}
	select {
	case s.turn <- struct{}{}:
		return s, nil
	case <-c.gone:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *side) end() { <-s.turn }

// runsAlone is f if the next frame cannot run with others.
func (s *side) runsAlone(f func(*side) error) func(*side) error {
	if s.resampled && s.fresh {
		return f
	}
	return nil
}

// run has the frame at hand run by a worker, with others or by alone, and waits for it.
func (s *side) run(ctx context.Context, alone func(*side) error) error {
	b := s.conversation.batcher
	b.lock.Lock()
	if s.conversation.closed || b.closed {
		b.lock.Unlock()
		return ErrClosed
	}
	s.alone, s.came = alone, b.now()
	b.schedule.add(&s.task, s.came, s.last)
	b.lock.Unlock()
	b.rouse()
	select {
	case <-s.done:
		return s.err
	case <-ctx.Done():
	}
	b.lock.Lock()
	removed := b.schedule.remove(&s.task)
	if removed {
		b.stats.half(s.half).Cancelled++
	}
	b.lock.Unlock()
	if removed {
		return ctx.Err()
	}
	<-s.done // a worker has it
	return s.err
}

// finish lets the call that waits for the frame return.
func (s *side) finish(err error) {
	s.err = err
	s.done <- struct{}{}
}

func encodeAlone(s *side) (err error) {
	s.codes, err = s.encoder.Append(s.codes[:0], s.pcm[:s.samples])
	return err
}

func encodeRest(s *side) (err error) {
	if s.codes, err = s.encoder.Append(s.codes[:0], s.pcm[:s.pending]); err == nil {
		s.codes, err = s.encoder.AppendFlush(s.codes)
	}
	return err
}

func decodeAlone(s *side) (err error) {
	s.pcm, err = s.decoder.Append(s.pcm[:0], s.codes)
	return err
}

func decodeRest(s *side) (err error) {
	s.pcm, err = s.decoder.AppendFlush(s.pcm[:0])
	return err
}
