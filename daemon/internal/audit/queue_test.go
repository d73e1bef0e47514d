package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
)

// soon is how long something may take that waits for nobody.
const soon = 2 * time.Second

var wrong = Event{Kind: Login, User: "alice", Caller: "0", Result: Retry, Reason: "wrong_code", Reference: "7F3K-Q2ND"}

func TestJournal(t *testing.T) {
	var w bytes.Buffer
	var mu sync.Mutex
	var got []string
	fail := false
	q := newQueue(&w, func(line string, _ journal.Priority, fields map[string]string) error {
		mu.Lock()
		defer mu.Unlock()
		if fail {
			return errors.New("gone")
		}
		got = append(got, line+" "+fields["TOTPD_REFERENCE"])
		return nil
	})
	l := Queued(q)
	l.Record(wrong)
	l.Flush()
	if len(got) != 1 || !strings.Contains(got[0], "user=alice") || !strings.HasSuffix(got[0], " 7F3K-Q2ND") || w.Len() != 0 {
		t.Errorf("the journal has %q, and the writer %q", got, &w)
	}
	// What the journal doesn't take goes to the writer.
	mu.Lock()
	fail = true
	mu.Unlock()
	l.Record(wrong)
	l.Flush()
	if !strings.Contains(w.String(), "user=alice") {
		t.Errorf("the line is lost: %q", &w)
	}
}

// A reader that stands still keeps nothing waiting. What is lost is counted, and lines of judged answers are the last
// that are.
func TestNobodyReads(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	q := newQueue(w, nil)
	own := log.New(q, "totpd: ", 0)
	begin := time.Now()
	for i := range int(lightMax) + 2000 { // a pipe holds some, too
		own.Printf("line %d %s", i, strings.Repeat("x", 100))
	}
	l := &Log{queue: q}
	for range 500 {
		l.Record(wrong)
	}
	q.Flush(10 * time.Millisecond)
	if took := time.Since(begin); took > soon {
		t.Fatalf("waited %v for nobody", took)
	}
	lost := q.Lost()
	if lost == 0 || lost > 2000 {
		t.Fatalf("%d lines were lost", lost)
	}
	read := make(chan string)
	go func() {
		text, _ := io.ReadAll(r)
		read <- string(text)
	}()
	q.Flush(5 * time.Second)
	w.Close()
	text := <-read
	if n := strings.Count(text, "reason=wrong_code"); n != 500 {
		t.Errorf("%d of 500 judged answers have a line", n)
	}
	if n := strings.Count(text, "totpd: line "); n != int(lightMax)+2000-lost {
		t.Errorf("%d lines, %d lost", n, lost)
	}
	if want := fmt.Sprintf("%d lines of this log were lost: nobody read them in time\n", lost); !strings.HasSuffix(text, want) {
		t.Errorf("the end is %q", text[len(text)-100:])
	}
	if q.Lost() != 0 {
		t.Error("lost lines were told of, and aren't forgotten")
	}
}

// A journal socket at which nobody reads is the same.
func TestJournalStandsStill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	deaf, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	c, err := net.Dial("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l := Queued(newQueue(io.Discard, func(line string, _ journal.Priority, _ map[string]string) error {
		_, err := c.Write([]byte(line))
		return err
	}))
	begin := time.Now()
	for range int(heavyMax) + 5000 {
		l.Record(wrong)
	}
	if took := time.Since(begin); took > soon {
		t.Errorf("waited %v", took)
	}
	if l.queue.Lost() == 0 {
		t.Error("nothing was lost, so somebody reads")
	}
}
