package wire

import (
	"bytes"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

var alice = Open{
	User: "alice", Service: "sshd", RHost: "192.0.2.7", TTY: "ssh", RUser: "bob",
	AuthInfo: "publickey ssh-ed25519 AAAA\n", ID: "00112233445566778899aabbccddeeff",
}

// frames is one of each kind, as the Append functions make them.
func frames(t testing.TB) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	keep := func(name string, frame []byte, err error) {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[name] = frame
	}
	frame, err := AppendOpen(nil, &alice)
	keep("open", frame, err)
	frame, err = AppendOpen(nil, &Open{})
	keep("empty open", frame, err)
	frame, err = AppendAnswer(nil, []byte("123 456"))
	keep("answer", frame, err)
	frame, err = AppendAnswer(nil, nil)
	keep("empty answer", frame, err)
	frame, err = AppendAsk(nil, Hidden, "One-time code: ")
	keep("ask", frame, err)
	frame, err = AppendTell(nil, Error, "not accepted")
	keep("tell", frame, err)
	for o := Accepted; o <= Unavailable; o++ {
		keep(fmt.Sprint("verdict ", o), AppendVerdict(nil, o), nil)
	}
	return all
}

// again encodes what was decoded.
func again(f Frame) ([]byte, error) {
	switch f.Kind {
	case KindOpen:
		o, err := DecodeOpen(f)
		if err != nil {
			return nil, err
		}
		return AppendOpen(nil, &o)
	case KindAnswer:
		return AppendAnswer(nil, f.Text)
	case KindAsk:
		return AppendAsk(nil, f.Style, string(f.Text))
	case KindTell:
		return AppendTell(nil, f.Style, string(f.Text))
	case KindVerdict:
		return AppendVerdict(nil, f.Outcome), nil
	}
	return nil, ErrKind
}

func TestWhatIsEncodedDecodes(t *testing.T) {
	for name, frame := range frames(t) {
		behind := append(bytes.Clone(frame), byte(KindVerdict), 0)
		f, n, err := Decode(behind)
		if err != nil || n != len(frame) {
			t.Fatalf("%s: %d bytes, %v", name, n, err)
		}
		if got, err := again(f); err != nil || !bytes.Equal(got, frame) {
			t.Errorf("%s: %q, %v, want %q", name, got, err, frame)
		}
		for cut := range len(frame) {
			if f, n, err := Decode(frame[:cut]); n != 0 || err != nil || f.Kind != 0 {
				t.Errorf("%s: its first %d bytes: %d, %v", name, cut, n, err)
			}
		}
	}
	f, _, _ := Decode(frames(t)["open"])
	if o, err := DecodeOpen(f); err != nil || o != alice {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestBadFrames(t *testing.T) {
	answer := func(n int) []byte { return append([]byte{2, byte(n >> 8), byte(n)}, bytes.Repeat([]byte("1"), n)...) }
	for name, c := range map[string]struct {
		frame []byte
		want  error
	}{
		"kind 0":              {[]byte{0}, ErrKind},
		"kind 6":              {[]byte{6, 0, 0}, ErrKind},
		"kind 255":            {[]byte("\xff\xff\xff\xff"), ErrKind},
		"payload too long":    {[]byte{4, 0x40, 1}, ErrSize},
		"answer too long":     {answer(MaxAnswer + 1), ErrSize},
		"answer with a NUL":   {[]byte{2, 0, 1, 0}, ErrText},
		"ask without style":   {[]byte{3, 0, 0}, ErrMissing},
		"ask styled as tell":  {[]byte{3, 0, 2, 2, 'x'}, ErrStyle},
		"tell styled as ask":  {[]byte{4, 0, 2, 1, 'x'}, ErrStyle},
		"tell of style 4":     {[]byte{4, 0, 2, 4, 'x'}, ErrStyle},
		"ask without text":    {[]byte{3, 0, 1, 0}, ErrText},
		"tell with a NUL":     {[]byte{4, 0, 2, 2, 0}, ErrText},
		"verdict of nothing":  {[]byte{5, 0, 0}, ErrMissing},
		"verdict 0":           {[]byte{5, 0, 1, 0}, ErrOutcome},
		"verdict 5":           {[]byte{5, 0, 1, 5}, ErrOutcome},
		"verdict with a tail": {[]byte{5, 0, 2, 1, 1}, ErrTrailing},
	} {
		f, n, err := Decode(c.frame)
		if !errors.Is(err, c.want) || n != 0 || f.Kind != 0 || f.Text != nil || f.Outcome != 0 {
			t.Errorf("%s: %d bytes, %v, want %v and nothing else", name, n, err, c.want)
		}
	}
}

func TestBadOpens(t *testing.T) {
	good, _ := AppendOpen(nil, &alice)
	payload := good[HeaderSize:]
	empty, _ := AppendOpen(nil, &Open{})
	nobody := empty[HeaderSize:]
	for name, c := range map[string]struct {
		f    Frame
		want error
	}{
		"another kind":      {Frame{Kind: KindAnswer, Text: payload}, ErrKind},
		"empty":             {Frame{Kind: KindOpen}, ErrMissing},
		"version 2":         {Frame{Kind: KindOpen, Text: append([]byte{2}, payload[1:]...)}, ErrVersion},
		"cut":               {Frame{Kind: KindOpen, Text: payload[:len(payload)-1]}, ErrMissing},
		"cut in a length":   {Frame{Kind: KindOpen, Text: payload[:2]}, ErrMissing},
		"a field too many":  {Frame{Kind: KindOpen, Text: append(bytes.Clone(payload), 0, 0)}, ErrTrailing},
		"length beyond end": {Frame{Kind: KindOpen, Text: []byte{1, 0xff, 0xff, 'a'}}, ErrMissing},
		"short id":          {Frame{Kind: KindOpen, Text: append(bytes.Clone(nobody[:len(nobody)-1]), 1, 'x')}, ErrID},
		"name with a NUL":   {Frame{Kind: KindOpen, Text: bytes.Replace(payload, []byte("alice"), []byte("ali\x00e"), 1)}, ErrText},
	} {
		if o, err := DecodeOpen(c.f); !errors.Is(err, c.want) || o != (Open{}) {
			t.Errorf("%s: %v, want %v and nothing else", name, err, c.want)
		}
	}
}

func TestWhatCannotBeEncoded(t *testing.T) {
	before := []byte("before")
	long := strings.Repeat("x", MaxPayload)
	check := func(name string, dst []byte, err, want error) {
		t.Helper()
		if !errors.Is(err, want) || string(dst) != "before" {
			t.Errorf("%s: %d bytes, %v, want %v", name, len(dst), err, want)
		}
	}
	dst, err := AppendOpen(before, &Open{User: long + long})
	check("a field too long", dst, err, ErrSize)
	dst, err = AppendOpen(before, &Open{User: long[:9000], RHost: long[:9000]})
	check("fields too long", dst, err, ErrSize)
	dst, err = AppendOpen(before, &Open{ID: "short"})
	check("an id too short", dst, err, ErrID)
	dst, err = AppendAnswer(before, []byte(long[:MaxAnswer+1]))
	check("answer too long", dst, err, ErrSize)
	dst, err = AppendAnswer(before, []byte{0})
	check("answer with a NUL", dst, err, ErrText)
	dst, err = AppendAsk(before, Hidden, long)
	check("prompt too long", dst, err, ErrSize)
	dst, err = AppendAsk(before, Info, "x")
	check("ask styled as tell", dst, err, ErrStyle)
	dst, err = AppendTell(before, Hidden, "x")
	check("tell styled as ask", dst, err, ErrStyle)
	dst, err = AppendTell(before, Info, "")
	check("empty text", dst, err, ErrText)
	if _, err := AppendTell(nil, Info, long[1:]); err != nil {
		t.Errorf("the longest text: %v", err)
	}
}

func TestAppendsDoNotAllocateWhenThereIsRoom(t *testing.T) {
	room := make([]byte, 0, MaxFrame)
	answer := []byte("123456")
	open := alice
	full, _ := AppendOpen(nil, &open)
	for name, append := range map[string]func(){
		"open":    func() { _, _ = AppendOpen(room, &open) },
		"answer":  func() { _, _ = AppendAnswer(room, answer) },
		"ask":     func() { _, _ = AppendAsk(room, Hidden, "One-time code: ") },
		"tell":    func() { _, _ = AppendTell(room, Info, "try again in 40 s") },
		"verdict": func() { _ = AppendVerdict(room, Refused) },
		"decode":  func() { _, _, _ = Decode(full) },
	} {
		if n := testing.AllocsPerRun(100, append); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func TestPackageImportsNothing(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imp := range f.Imports {
			t.Errorf("%s imports %s", name, imp.Path.Value)
		}
	}
}

func TestFramesPrintRedacted(t *testing.T) {
	answer := Frame{Kind: KindAnswer, Text: []byte("271828")}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		for _, secret := range []any{answer, &answer, alice, &alice, alice.ID, &alice.ID} {
			printed := fmt.Sprintf(verb, secret)
			for _, shown := range []string{
				"271828", "50 55 49", "323731383238", string(alice.ID), "30303131323233", "48 48 49 49",
			} {
				if strings.Contains(printed, shown) {
					t.Errorf("%s of %T prints the code or the id: %s", verb, secret, printed)
				}
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, frame := range frames(f) {
		f.Add(frame)
	}
	f.Add([]byte{2, 2, 0})
	f.Add([]byte{4, 0xff, 0xff, 0, 0})
	f.Fuzz(func(t *testing.T, buf []byte) {
		frame, n, err := Decode(buf)
		if err != nil || n == 0 {
			if n != 0 || frame.Kind != 0 || frame.Style != 0 || frame.Outcome != 0 || frame.Text != nil {
				t.Fatalf("%d bytes and %v, but not nothing else", n, err)
			}
			return
		}
		got, err := again(frame)
		if frame.Kind == KindOpen && err != nil {
			return // its content is wrong
		}
		if err != nil || !bytes.Equal(got, buf[:n]) {
			t.Fatalf("%q encodes again as %q, %v", buf[:n], got, err)
		}
	})
}

func FuzzOpen(f *testing.F) {
	good, _ := AppendOpen(nil, &alice)
	empty, _ := AppendOpen(nil, &Open{})
	f.Add(good[HeaderSize:])
	f.Add(empty[HeaderSize:])
	f.Fuzz(func(t *testing.T, payload []byte) {
		if len(payload) > MaxPayload {
			return // Decode doesn't return such a frame
		}
		o, err := DecodeOpen(Frame{Kind: KindOpen, Text: payload})
		if err != nil {
			if o != (Open{}) {
				t.Fatalf("%v, but not nothing else", err)
			}
			return
		}
		got, err := AppendOpen(nil, &o)
		if err != nil || !bytes.Equal(got[HeaderSize:], payload) {
			t.Fatalf("%q encodes again as %q, %v", payload, got, err)
		}
	})
}
