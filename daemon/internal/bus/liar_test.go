package bus

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"log"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// encoded is a message as it is sent.
func encoded(t testing.TB, m *dbus.Message, serial uint32) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := m.EncodeTo(&b, binary.LittleEndian); err != nil {
		t.Fatal(err)
	}
	binary.LittleEndian.PutUint32(b.Bytes()[8:], serial)
	return b.Bytes()
}

// fromDriver is a signal that a bus sends.
func fromDriver(member string, body ...any) *dbus.Message {
	return message(dbus.TypeSignal, map[dbus.HeaderField]dbus.Variant{
		dbus.FieldSender: dbus.MakeVariant(driver), dbus.FieldPath: dbus.MakeVariant(driverPath),
		dbus.FieldInterface: dbus.MakeVariant(driver), dbus.FieldMember: dbus.MakeVariant(member),
	}, body)
}

// lies are what buses say that don't keep to the protocol.
func lies(t testing.TB) map[string][]byte {
	answer := func(body ...any) []byte {
		return encoded(t, message(dbus.TypeMethodReply, map[dbus.HeaderField]dbus.Variant{
			dbus.FieldReplySerial: dbus.MakeVariant(uint32(1)), dbus.FieldSender: dbus.MakeVariant(driver),
		}, body), 1)
	}
	hello := answer(":1.1")
	huge := bytes.Clone(hello)
	binary.LittleEndian.PutUint32(huge[4:], 0xffffffff)
	wrapping := bytes.Clone(hello)
	binary.LittleEndian.PutUint32(wrapping[12:], 0xfffffff0)
	return map[string][]byte{
		"nothing":                    nil,
		"garbage":                    bytes.Repeat([]byte("garbage\r\n"), 1000),
		"half a message":             hello[:20],
		"no name":                    answer(),
		"a name that isn't unique":   answer("org.example"),
		"a number for a name":        answer(uint32(7)),
		"a huge message":             append(huge, bytes.Repeat([]byte{0}, 1000)...),
		"a header that wraps":        append(wrapping, bytes.Repeat([]byte{0}, 1000)...),
		"a lost name without a name": append(hello, encoded(t, fromDriver("NameLost"), 2)...),
		"an owner without names":     append(hello, encoded(t, fromDriver("NameOwnerChanged"), 2)...),
		"owners that are numbers":    append(hello, encoded(t, fromDriver("NameOwnerChanged", uint32(1), uint32(2), uint32(3)), 2)...),
		"an answer to nobody":        append(hello, answer("x")...),
		"a long message":             append(hello, encoded(t, fromDriver("X", strings.Repeat("x", 1<<20)), 2)...),
		"an unknown version":         append(hello, append([]byte{'l', 9, 0xff, 9}, bytes.Repeat([]byte{1}, 100)...)...),
	}
}

// serveLies is a bus that takes everybody in and then says that, whatever it is asked.
func serveLies(t *testing.T, lie []byte) (address string, joined *atomic.Int32) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bus")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	joined = &atomic.Int32{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			joined.Add(1)
			go func() {
				defer c.Close()
				in := bufio.NewReader(c)
				in.ReadString('\n')
				io.WriteString(c, "OK 0123456789abcdef\r\n")
				in.ReadString('\n')
				c.Write(lie)
				io.Copy(io.Discard, in) // and never says more
			}()
		}
	}()
	return "unix:path=" + path, joined
}

// A bus that lies harms nobody: questions are denied within their time, the daemon goes on, Close too.
func TestLies(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	for name, lie := range lies(t) {
		address, joined := serveLies(t, lie)
		all.Go(func() {
			b := Open(address, nameOf, log.New(io.Discard, "", 0))
			for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
				if answer, err := b.Authorize(soon(t), ask(":1.1")); answer != Denied || err == nil {
					t.Errorf("%s: %v, %v", name, answer, err)
				}
				b.Record(refusedLogin("nobody"))
			}
			if joined.Load() == 0 {
				t.Errorf("%s: never joined", name)
			}
			begun := time.Now()
			b.Close()
			if took := time.Since(begun); took > time.Second {
				t.Errorf("%s: Close took %v", name, took)
			}
		})
	}
	all.Wait()
}

// A bus that answers the first lines with anything else is none.
func TestNoBusAtAll(t *testing.T) {
	for _, says := range []string{"", "\n", "REJECTED EXTERNAL\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", strings.Repeat("OK", 1<<20)} {
		here, there := net.Pipe()
		go func() {
			go io.Copy(io.Discard, there)
			io.WriteString(there, says)
			there.Close()
		}()
		if err := authenticate(here, bufio.NewReader(here)); err == nil {
			t.Errorf("%.20q is a bus", says)
		}
		here.Close()
	}
}

func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"unix:path=/run/dbus/system_bus_socket":  "/run/dbus/system_bus_socket",
		"unix:path=/tmp/a%2cb,guid=0123":         "/tmp/a,b",
		"unix:guid=0123,abstract=/tmp/x":         "@/tmp/x",
		"tcp:host=localhost,port=1;unix:path=/b": "/b",
		"unix:tmpdir=/tmp":                       "",
		"unix:path=":                             "",
		"unix:path=%zz":                          "",
		"/run/dbus/system_bus_socket":            "",
		"":                                       "",
		"unixexec:path=/bin/sh":                  "",
		"tcp:host=localhost,port=1;nonce-tcp:host=x;launchd:": "",
	} {
		got, err := socketOf(address)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", address, got, err)
		}
	}
}

// FuzzReceive: whatever comes is a message, is skipped, or ends the connection.
func FuzzReceive(f *testing.F) {
	for _, lie := range lies(f) {
		f.Add(lie)
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		in := bufio.NewReader(bytes.NewReader(stream))
		l := &link{conn: &conn{waiting: map[uint32]chan *dbus.Message{}, over: make(chan struct{})}, bus: &Bus{}}
		close(l.over) // nothing is sent
		for {
			m, err := receive(in)
			if err != nil {
				return
			}
			if m == nil {
				continue
			}
			l.waiter(m)
			if m.Type == dbus.TypeSignal {
				l.receive(m)
			}
			reply(m, "x").IsValid()
		}
	})
}
