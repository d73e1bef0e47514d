package manners

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/totpd/totpd/daemon/wire"
)

// codec is testdata/frames.c at work: the frames of the C half, under sanitizers.
type codec struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Reader
}

func newCodec(t *testing.T) *codec {
	t.Helper()
	program := filepath.Join(t.TempDir(), "frames")
	gcc := exec.Command("gcc", "-Wall", "-Wextra", "-Werror", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
		"-o", program, "testdata/frames.c", "../frame.c")
	if out, err := gcc.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(program)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v\n%s", err, errs.String())
		}
	})
	return &codec{t, in, bufio.NewReader(out)}
}

func number(n int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }

func (c *codec) ask(request []byte) {
	if _, err := c.in.Write(request); err != nil {
		c.t.Fatal(err)
	}
}

func (c *codec) number() int {
	var n uint32
	if err := binary.Read(c.out, binary.LittleEndian, &n); err != nil {
		c.t.Fatal(err)
	}
	return int(n)
}

func (c *codec) text() []byte {
	p := make([]byte, c.number())
	if _, err := io.ReadFull(c.out, p); err != nil {
		c.t.Fatal(err)
	}
	return p
}

// open returns the Open that C writes; empty: it doesn't fit a frame.
func (c *codec) open(o wire.Open) []byte {
	request := append([]byte{'O'}, number(int(o.Version))...)
	request = append(append(request, number(int(o.Columns))...), number(map[bool]int{true: 1}[o.Combined])...)
	for _, text := range []string{o.User, o.Service, o.RHost, o.TTY, o.RUser, o.AuthInfo, string(o.ID)} {
		request = append(append(request, number(len(text))...), text...)
	}
	c.ask(request)
	return c.text()
}

// The C half writes the Opens that package wire would write.
func TestOpensOfC(t *testing.T) {
	c := newCodec(t)
	id := wire.LoginID(strings.Repeat("0f", wire.IDSize/2))
	check := func(o wire.Open) {
		t.Helper()
		want, err := wire.AppendOpen(nil, &o)
		if got := c.open(o); !bytes.Equal(got, want) {
			t.Errorf("%d bytes of user, Version %d: C writes %d bytes, wire %d (%v)", len(o.User), o.Version, len(got), len(want), err)
		}
	}
	check(wire.Open{Version: 1})
	check(wire.Open{Version: 2})
	check(wire.Open{Version: 2, User: "alice", ID: "short"})
	check(wire.Open{Version: 2, User: "alice", Columns: 65535, Combined: true, ID: id})
	const texts = 7
	for version, more := range map[byte]int{1: 0, 2: 3} {
		most := wire.MaxPayload - 1 - 2*texts - more
		for _, size := range []int{0, 1, 255, 256, 257, most - 1, most, most + 1, wire.MaxPayload, wire.MaxPayload + 1, 65535, 65536, 1 << 20} {
			check(wire.Open{Version: version, User: strings.Repeat("x", size)})
			check(wire.Open{Version: version, AuthInfo: strings.Repeat("x", size)})
			if size > wire.IDSize {
				check(wire.Open{Version: version, User: strings.Repeat("x", size-wire.IDSize), ID: id})
			}
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		p := make([]byte, random.IntN(1+1<<random.IntN(13)))
		for i := range p {
			p[i] = byte(1 + random.IntN(255)) // no string of C holds a NUL
		}
		return string(p)
	}
	for range 2000 {
		o := wire.Open{Version: byte(1 + random.IntN(2)), User: text(), Service: text(), RHost: text(), TTY: text(), RUser: text(), AuthInfo: text(), ID: id}
		if o.Version == 2 {
			o.Columns, o.Combined = uint16(random.UintN(65536)), random.IntN(2) == 1
		}
		check(o)
	}
}

// Kinds of enum frame_kind.
const (
	partFrame = iota
	askFrame
	tellFrame
	verdictFrame
	notDueFrame
	malformedFrame
)

// same compares what C makes of what has come with what package wire does. C doesn't look into a question,
// which goes to Go, and denies what a module sends without reading it.
func (c *codec) same(buf []byte) {
	c.t.Helper()
	c.ask(append(append([]byte{'F'}, number(len(buf))...), buf...))
	kind, size, code, text := c.number(), c.number(), c.number(), c.text()
	f, n, err := wire.Decode(buf)
	ok := false
	switch {
	case len(buf) > 0 && slices.Contains([]wire.Kind{wire.KindOpen, wire.KindAnswer, wire.KindTrial}, wire.Kind(buf[0])):
		ok = kind == notDueFrame
	case len(buf) > 0 && buf[0] == byte(wire.KindAsk) && kind == askFrame: // whole, as Go will find it
		ok = size <= len(buf) && (n == size || err != nil)
	case errors.Is(err, nil) && n == 0:
		ok = kind == partFrame
	case err != nil:
		ok = kind == malformedFrame
	case f.Kind == wire.KindTell:
		ok = kind == tellFrame && size == n && code == int(f.Style) && bytes.Equal(text, f.Text)
	case f.Kind == wire.KindVerdict:
		ok = kind == verdictFrame && size == n && code == int(f.Outcome) && len(text) == 0
	}
	if !ok {
		c.t.Errorf("%.60q (%d bytes): C says kind %d, size %d, code %d; wire %d bytes, %v", buf, len(buf), kind, size, code, n, err)
	}
}

// The C half is as strict as package wire: with what a daemon sends, cut anywhere, each byte changed, and with
// what none sends.
func TestFramesOfC(t *testing.T) {
	c := newCodec(t)
	frames := [][]byte{
		tell(), must(wire.AppendTell(nil, wire.Error, "no")), ask(), proof(), must(wire.AppendCombined(nil, []byte{6, 8}, "Code: ")),
		must(wire.AppendAnswer(nil, []byte("123456"))), must(wire.AppendOpen(nil, &wire.Open{User: "alice"})),
	}
	for o := wire.Accepted; o <= wire.Unavailable; o++ {
		frames = append(frames, wire.AppendVerdict(nil, o))
	}
	for _, frame := range frames {
		for cut := range len(frame) + 1 {
			c.same(frame[:cut])
		}
		c.same(append(bytes.Clone(frame), frame...))
		for i := range min(len(frame), 8) {
			for b := range 256 {
				changed := bytes.Clone(frame)
				changed[i] = byte(b)
				c.same(changed)
			}
		}
	}
	longest := must(wire.AppendTell(nil, wire.Info, strings.Repeat("x", wire.MaxPayload-1)))
	for _, buf := range [][]byte{longest, longest[:len(longest)-1], append(longest[:2:2], 1), {4, 0x40, 1, 2, 'x'}, {4, 0, 0}, {5, 0, 0}, {3, 0, 0}} {
		c.same(buf)
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range 20000 {
		buf := make([]byte, random.IntN(24))
		for i := range buf {
			buf[i] = byte(random.IntN(1 << (1 + random.IntN(8))))
		}
		c.same(buf)
	}
}
