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
	Version: 2, Columns: 300, Combined: true,
	User: "alice", Service: "sshd", RHost: "192.0.2.7", TTY: "ssh", RUser: "bob",
	AuthInfo: "publickey ssh-ed25519 AAAA\n", ID: "00112233445566778899aabbccddeeff",
}

// old is what alice is to a module of Version 1.
var old = func() Open {
	o := alice
	o.Version, o.Columns, o.Combined = 1, 0, false
	return o
}()

// tried is alice's login as totpctl tries it. Only the kind of the frame differs.
var tried = func() Open {
	o := alice
	o.Trial = true
	return o
}()

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
	frame, err = AppendOpen(nil, &old)
	keep("old open", frame, err)
	frame, err = AppendOpen(nil, &Open{})
	keep("empty open", frame, err)
	frame, err = AppendOpen(nil, &tried)
	keep("trial", frame, err)
	frame, err = AppendAnswer(nil, []byte("123 456"))
	keep("answer", frame, err)
	frame, err = AppendAnswer(nil, nil)
	keep("empty answer", frame, err)
	frame, err = AppendAsk(nil, Hidden, "One-time code: ")
	keep("ask", frame, err)
	frame, err = AppendAsk(nil, Optional, "Remember this computer? ")
	keep("optional ask", frame, err)
	frame, err = AppendAsk(nil, Proof, "proof")
	keep("ask for a proof", frame, err)
	frame, err = AppendCombined(nil, []byte{6, 8}, "Password and one-time code: ")
	keep("combined ask", frame, err)
	frame, err = AppendCombined(nil, nil, "Password and one-time code: ")
	keep("combined ask without lengths", frame, err)
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
	case KindOpen, KindTrial:
		o, err := DecodeOpen(f)
		if err != nil {
			return nil, err
		}
		return AppendOpen(nil, &o)
	case KindAnswer:
		return AppendAnswer(nil, f.Text)
	case KindAsk:
		if f.Style == Combined {
			return AppendCombined(nil, f.Tails, string(f.Text))
		}
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
	for name, want := range map[string]Open{"open": alice, "old open": old, "empty open": {Version: Version}, "trial": tried} {
		f, _, _ := Decode(frames(t)[name])
		if o, err := DecodeOpen(f); err != nil || o != want {
			t.Errorf("%+v, %v", o, err)
		}
	}
	f, _, _ := Decode(frames(t)["combined ask"])
	if !bytes.Equal(f.Tails, []byte{6, 8}) || string(f.Text) != "Password and one-time code: " {
		t.Errorf("lengths %v, text %q", f.Tails, f.Text)
	}
}

// The Opens of Version 1 are read as they were written by the modules of then.
func TestVersion1(t *testing.T) {
	frame := []byte("\x01\x00\x3a\x01\x00\x05alice\x00\x02su\x00\x00\x00\x04tty1\x00\x00\x00\x00\x00\x20" + string(alice.ID))
	f, _, err := Decode(frame)
	if err != nil {
		t.Fatal(err)
	}
	want := Open{Version: 1, User: "alice", Service: "su", TTY: "tty1", ID: alice.ID}
	if o, err := DecodeOpen(f); err != nil || o != want {
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
		"kind 7":              {[]byte{7, 0, 0}, ErrKind},
		"kind 255":            {[]byte("\xff\xff\xff\xff"), ErrKind},
		"payload too long":    {[]byte{4, 0x40, 1}, ErrSize},
		"answer too long":     {answer(MaxAnswer + 1), ErrSize},
		"answer with a NUL":   {[]byte{2, 0, 1, 0}, ErrText},
		"ask without style":   {[]byte{3, 0, 0}, ErrMissing},
		"ask styled as tell":  {[]byte{3, 0, 2, 2, 'x'}, ErrStyle},
		"tell styled as ask":  {[]byte{4, 0, 2, 1, 'x'}, ErrStyle},
		"tell of style 4":     {[]byte{4, 0, 3, 4, 0, 'x'}, ErrStyle},
		"tell of style 5":     {[]byte{4, 0, 2, 5, 'x'}, ErrStyle},
		"tell of style 6":     {[]byte{4, 0, 2, 6, 'x'}, ErrStyle},
		"ask of style 7":      {[]byte{3, 0, 2, 7, 'x'}, ErrStyle},
		"combined, no count":  {[]byte{3, 0, 1, 4}, ErrMissing},
		"combined, cut":       {[]byte{3, 0, 3, 4, 2, 6}, ErrMissing},
		"combined, huge":      {append([]byte{3, 1, 2, 4, 255}, bytes.Repeat([]byte{6}, 256)...), ErrTails},
		"combined, nine":      {append(append([]byte{3, 0, 12, 4, 9}, bytes.Repeat([]byte{6}, 9)...), 'x'), ErrTails},
		"combined, length 0":  {[]byte{3, 0, 4, 4, 1, 0, 'x'}, ErrTails},
		"combined, length 33": {[]byte{3, 0, 4, 4, 1, 33, 'x'}, ErrTails},
		"combined, no text":   {[]byte{3, 0, 3, 4, 1, 6}, ErrText},
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
	nobody := empty[HeaderSize : len(empty)-3]
	before, _ := AppendOpen(nil, &old)
	for name, c := range map[string]struct {
		f    Frame
		want error
	}{
		"another kind":       {Frame{Kind: KindAnswer, Text: payload}, ErrKind},
		"empty":              {Frame{Kind: KindOpen}, ErrMissing},
		"version 0":          {Frame{Kind: KindOpen, Text: append([]byte{0}, payload[1:]...)}, ErrVersion},
		"version 3":          {Frame{Kind: KindOpen, Text: append([]byte{3}, payload[1:]...)}, ErrVersion},
		"version 1 with 2's": {Frame{Kind: KindOpen, Text: append([]byte{1}, payload[1:]...)}, ErrTrailing},
		"version 2 with 1's": {Frame{Kind: KindOpen, Text: append([]byte{2}, before[HeaderSize+1:]...)}, ErrMissing},
		"flag 2":             {Frame{Kind: KindOpen, Text: append(bytes.Clone(payload[:len(payload)-1]), 2)}, ErrFlag},
		"cut":                {Frame{Kind: KindOpen, Text: payload[:len(payload)-1]}, ErrMissing},
		"cut in a length":    {Frame{Kind: KindOpen, Text: payload[:2]}, ErrMissing},
		"a field too many":   {Frame{Kind: KindOpen, Text: append(bytes.Clone(payload), 0, 0)}, ErrTrailing},
		"length beyond end":  {Frame{Kind: KindOpen, Text: []byte{1, 0xff, 0xff, 'a'}}, ErrMissing},
		"short id":           {Frame{Kind: KindOpen, Text: append(bytes.Clone(nobody[:len(nobody)-1]), 1, 'x', 0, 0, 0)}, ErrID},
		"name with a NUL":    {Frame{Kind: KindOpen, Text: bytes.Replace(payload, []byte("alice"), []byte("ali\x00e"), 1)}, ErrText},
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
	dst, err = AppendOpen(before, &Open{Version: 3})
	check("a later version", dst, err, ErrVersion)
	dst, err = AppendOpen(before, &Open{Version: 1, Columns: 80})
	check("columns in version 1", dst, err, ErrVersion)
	dst, err = AppendOpen(before, &Open{Version: 1, Combined: true})
	check("a combined login in version 1", dst, err, ErrVersion)
	dst, err = AppendAnswer(before, []byte(long[:MaxAnswer+1]))
	check("answer too long", dst, err, ErrSize)
	dst, err = AppendAnswer(before, []byte{0})
	check("answer with a NUL", dst, err, ErrText)
	dst, err = AppendAsk(before, Hidden, long)
	check("prompt too long", dst, err, ErrSize)
	dst, err = AppendAsk(before, Info, "x")
	check("ask styled as tell", dst, err, ErrStyle)
	dst, err = AppendAsk(before, Combined, "x")
	check("a combined ask without its lengths", dst, err, ErrStyle)
	dst, err = AppendCombined(before, []byte{0}, "x")
	check("a code of no length", dst, err, ErrTails)
	dst, err = AppendCombined(before, make([]byte, 9), "x")
	check("too many lengths", dst, err, ErrTails)
	dst, err = AppendCombined(before, []byte{6}, long[2:])
	check("combined prompt too long", dst, err, ErrSize)
	dst, err = AppendTell(before, Combined, "x")
	check("tell styled as combined", dst, err, ErrStyle)
	dst, err = AppendTell(before, Optional, "x")
	check("tell styled as optional", dst, err, ErrStyle)
	dst, err = AppendTell(before, Proof, "x")
	check("tell styled as proof", dst, err, ErrStyle)
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
		"open":     func() { _, _ = AppendOpen(room, &open) },
		"answer":   func() { _, _ = AppendAnswer(room, answer) },
		"combined": func() { _, _ = AppendCombined(room, []byte{6, 8}, "Password and one-time code: ") },
		"ask":      func() { _, _ = AppendAsk(room, Hidden, "One-time code: ") },
		"tell":     func() { _, _ = AppendTell(room, Info, "try again in 40 s") },
		"verdict":  func() { _ = AppendVerdict(room, Refused) },
		"decode":   func() { _, _, _ = Decode(full) },
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
			if n != 0 || frame.Kind != 0 || frame.Style != 0 || frame.Outcome != 0 || frame.Text != nil || frame.Tails != nil {
				t.Fatalf("%d bytes and %v, but not nothing else", n, err)
			}
			return
		}
		got, err := again(frame)
		if (frame.Kind == KindOpen || frame.Kind == KindTrial) && err != nil {
			return // its content is wrong
		}
		if err != nil || !bytes.Equal(got, buf[:n]) {
			t.Fatalf("%q encodes again as %q, %v", buf[:n], got, err)
		}
	})
}

func FuzzOpen(f *testing.F) {
	good, _ := AppendOpen(nil, &alice)
	before, _ := AppendOpen(nil, &old)
	empty, _ := AppendOpen(nil, &Open{})
	f.Add(good[HeaderSize:])
	f.Add(before[HeaderSize:])
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
