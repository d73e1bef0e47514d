package password

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestQuestionReturns(t *testing.T) {
	for _, q := range []Question{
		{User: "alice", Password: []byte("secret")},
		{User: strings.Repeat("ü", UserMax/2), Password: bytes.Repeat([]byte{0xff}, PasswordMax)},
	} {
		frame, err := AppendQuestion(nil, q)
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, QuestionMax)
		got, err := ReadQuestion(iotest.OneByteReader(bytes.NewReader(frame)), buf)
		if err != nil || got.User != q.User || !bytes.Equal(got.Password, q.Password) {
			t.Errorf("read %q %x, %v", got.User, got.Password, err)
		}
		clear(buf)
		if got.Password[0] != 0 {
			t.Error("the password isn't cleared with the buffer")
		}
	}
}

func TestQuestionsThatAreNotAsked(t *testing.T) {
	for name, q := range map[string]Question{
		"no user":          {Password: []byte("x")},
		"empty password":   {User: "alice"},
		"long user":        {User: strings.Repeat("a", UserMax+1), Password: []byte("x")},
		"long password":    {User: "alice", Password: make([]byte, PasswordMax+1)},
		"NUL in user":      {User: "root\x00alice", Password: []byte("x")},
		"NUL in password":  {User: "alice", Password: []byte("right\x00rest")},
		"only NUL":         {User: "alice", Password: []byte{0}},
		"NUL user at last": {User: "alice\x00", Password: []byte("x")},
	} {
		if frame, err := AppendQuestion(nil, q); err == nil || frame != nil {
			t.Errorf("%s: %x, %v", name, frame, err)
		}
	}
}

func TestHostileQuestions(t *testing.T) {
	for name, frame := range map[string]string{
		"version":             "\x03\x00\x04\x00\x01ab",
		"asker alone":         "\x02\x03a\nb",
		"asker, cut":          "\x02\x09a\nb",
		"two askers":          "\x02\x01\n\x02\x01\n\x01\x00\x04\x00\x01ab",
		"shorter than a name": "\x01\x00\x01\x00",
		"name beyond the end": "\x01\x00\x04\x00\x09ab",
		"longer than allowed": "\x01\xff\xff\x00\x01ab",
		"no password":         "\x01\x00\x03\x00\x01a",
		"NUL":                 "\x01\x00\x05\x00\x01ab\x00",
		"cut":                 "\x01\x00\x09\x00\x01ab",
	} {
		q, err := ReadQuestion(strings.NewReader(frame), make([]byte, QuestionMax))
		if err == nil || q.User != "" || q.Password != nil {
			t.Errorf("%s: read as a question", name)
		}
	}
}

func TestAskers(t *testing.T) {
	long := strings.Repeat("x", 500)
	for _, c := range []struct {
		asker Asker
		key   string
	}{
		{Asker{}, "local"},
		{Asker{RUser: "mallory"}, "local mallory"},
		{Asker{RHost: "2001:db8:1:2:3::4"}, "2001:db8:1:2::/64"},
		{Asker{RHost: "192.0.2.7", RUser: "x\ny"}, "192.0.2.7"},
		{Asker{RHost: long, RUser: long}, "host " + long[:askerItem]},
	} {
		begin := AppendAsker(nil, c.asker)
		question, _ := AppendQuestion(bytes.Clone(begin), Question{User: "alice", Password: []byte("secret")})
		for n, want := 0, 2; n < len(begin); n++ {
			if n == 2 {
				want = len(begin)
			}
			if _, need := parseAsker(question[:n]); need != want {
				t.Fatalf("after %d bytes, %d are needed", n, need)
			}
		}
		if got, need := parseAsker(question); got.key() != c.key || need != len(begin) {
			t.Errorf("%+v: read as %+v, %q", c.asker, got, got.key())
		}
		if q, err := ReadQuestion(bytes.NewReader(question), make([]byte, QuestionMax)); err != nil || q.User != "alice" {
			t.Errorf("%+v: %v, %v", c.asker, q.User, err)
		}
	}
	if _, need := parseAsker([]byte{version}); need != 0 {
		t.Error("a question alone has an asker")
	}
}

func TestAnswers(t *testing.T) {
	long := Answer{Verdict: Wrong, Reason: strings.Repeat("r", 2*ReasonMax)}
	got, err := ReadAnswer(bytes.NewReader(AppendAnswer(nil, long)))
	if err != nil || got.Verdict != Wrong || len(got.Reason) != ReasonMax {
		t.Errorf("%d bytes of reason, %v", len(got.Reason), err)
	}
	for name, frame := range map[string]string{
		"nothing":         "",
		"half":            "\x01",
		"no verdict":      "\x00\x00",
		"unknown verdict": "\x05\x00",
		"cut":             "\x01\x05ab",
		"trailing":        "\x01\x00\x00",
		"two answers":     "\x02\x00\x01\x00",
		"endless":         "\x01\x05" + strings.Repeat("a", 10_000),
	} {
		if a, err := ReadAnswer(io.MultiReader(strings.NewReader(frame))); err == nil || a != (Answer{}) {
			t.Errorf("%s: %v", name, a)
		}
	}
}

func TestQuestionPrintsRedacted(t *testing.T) {
	q := Question{User: "alice", Password: []byte("hunter2")}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{q, &q, []Question{q}, struct{ Q Question }{q}} {
			text := fmt.Sprintf(verb, v)
			for _, leak := range []string{"hunter2", "68756e74657232", "104 117"} {
				if strings.Contains(text, leak) {
					t.Errorf("%s of %T: %s", verb, v, text)
				}
			}
		}
	}
}

func FuzzReadQuestion(f *testing.F) {
	frame, _ := AppendQuestion(nil, Question{User: "alice", Password: []byte("secret")})
	f.Add(frame)
	f.Add(append(AppendAsker(nil, Asker{RUser: "mallory"}), frame...))
	f.Fuzz(func(t *testing.T, frame []byte) {
		q, err := ReadQuestion(bytes.NewReader(frame), make([]byte, QuestionMax))
		if err != nil {
			return
		}
		again, err := AppendQuestion(nil, q)
		_, begins := parseAsker(frame)
		if err != nil || !bytes.HasPrefix(frame[begins:], again) {
			t.Errorf("%x reads, and is written as %x, %v", frame, again, err)
		}
	})
}
