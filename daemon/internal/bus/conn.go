package bus

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
)

// The limits of one connection.
const (
	dialTime   = 5 * time.Second // to connect, authenticate and get a name
	writeTime  = 2 * time.Second // for one message; a bus that takes longer hangs
	driverTime = 3 * time.Second // for an answer of the bus itself, which waits for nobody
	messageMax = 64 << 10        // bytes of a message that is looked at; any local user may send longer ones
	skipMax    = 128 << 20       // bytes of a message: the protocol's limit
)

// The bus itself.
const (
	driver     = "org.freedesktop.DBus"
	driverPath = dbus.ObjectPath("/org/freedesktop/DBus")
)

var (
	errGone = errors.New("the bus has gone")
	errLies = errors.New("an answer that makes no sense")
)

// conn is one connection to a bus. The messages are godbus's, the connection is not: godbus's own waits
// for as long as a write takes, starts a goroutine for whatever any local user sends, of any size, and
// panics on some signals of a bus that lies.
type conn struct {
	nc      net.Conn
	writing chan struct{} // holds one while somebody writes

	mu      sync.Mutex
	handle  func(*dbus.Message)
	serial  uint32
	waiting map[uint32]chan *dbus.Message // by serial of the call
	err     error                         // why it is over
	over    chan struct{}                 // closed then
}

// dial connects to the first of the Unix sockets of a D-Bus address, and gets a unique name.
func dial(ctx context.Context, address string) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	path, err := socketOf(address)
	if err != nil {
		return nil, err
	}
	nc, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	c := &conn{
		nc: nc, writing: make(chan struct{}, 1), handle: func(*dbus.Message) {},
		waiting: map[uint32]chan *dbus.Message{}, over: make(chan struct{}),
	}
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Now()) })
	defer stop()
	in := bufio.NewReader(nc)
	if err := authenticate(nc, in); err != nil {
		nc.Close()
		return nil, fmt.Errorf("authenticate at %s: %w", path, err)
	}
	go c.read(in)
	body, err := c.driver(ctx, "Hello")
	if err == nil && !uniqueName(first[string](body)) {
		err = errLies
	}
	if err != nil {
		c.close(err)
		return nil, fmt.Errorf("say hello at %s: %w", path, err)
	}
	return c, nil
}

// socketOf finds the first Unix socket in an address such as unix:path=/run/dbus/system_bus_socket. A
// name in the abstract namespace begins with @.
func socketOf(address string) (string, error) {
	for one := range strings.SplitSeq(address, ";") {
		keys, ok := strings.CutPrefix(one, "unix:")
		if !ok {
			continue
		}
		for pair := range strings.SplitSeq(keys, ",") {
			key, value, _ := strings.Cut(pair, "=")
			value, err := dbus.UnescapeBusAddressValue(value)
			if err != nil || value == "" {
				continue
			}
			switch key {
			case "path":
				return value, nil
			case "abstract":
				return "@" + value, nil
			}
		}
	}
	return "", fmt.Errorf("no Unix socket in the address %q", address)
}

// authenticate has the bus take the kernel's word for who connects (EXTERNAL).
func authenticate(out io.Writer, in *bufio.Reader) error {
	uid := hex.EncodeToString([]byte(strconv.Itoa(os.Geteuid())))
	if _, err := io.WriteString(out, "\x00AUTH EXTERNAL "+uid+"\r\n"); err != nil {
		return err
	}
	line, err := in.ReadSlice('\n')
	switch {
	case err != nil:
		return err
	case !bytes.HasPrefix(line, []byte("OK ")):
		return fmt.Errorf("the bus says %.64q", line)
	}
	_, err = io.WriteString(out, "BEGIN\r\n")
	return err
}

// serve has handle called with each call and signal from now on, in the goroutine that reads.
func (c *conn) serve(handle func(*dbus.Message)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handle = handle
}

// close ends the connection, for the reason err. Whoever waits for an answer learns that.
func (c *conn) close(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		close(c.over)
		c.nc.Close()
	}
}

// why returns the reason for which the connection is over.
func (c *conn) why() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// read takes what comes until the connection is over.
func (c *conn) read(in *bufio.Reader) {
	for {
		m, err := receive(in)
		switch {
		case err != nil:
			c.close(err)
			return
		case m == nil:
		case m.Type == dbus.TypeMethodReply, m.Type == dbus.TypeError:
			if answer := c.waiter(m); answer != nil {
				answer <- m
			}
		default:
			c.mu.Lock()
			handle := c.handle
			c.mu.Unlock()
			handle(m)
		}
	}
}

// waiter returns where the answer m goes, nil when nobody waits for it. A bus delivers the answer only of
// whom it has delivered the call to.
func (c *conn) waiter(m *dbus.Message) chan *dbus.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	to, _ := m.Headers[dbus.FieldReplySerial].Value().(uint32)
	answer := c.waiting[to]
	delete(c.waiting, to)
	return answer
}

// receive reads one message. It returns nil for one that is skipped: longer than messageMax, or not
// understood, which must not end the connection: anybody can have one delivered here. After an error
// nothing more can be read.
func receive(in *bufio.Reader) (*dbus.Message, error) {
	fixed, err := in.Peek(16)
	if err != nil {
		return nil, err
	}
	var order binary.ByteOrder = binary.LittleEndian
	if fixed[0] == 'B' {
		order = binary.BigEndian
	}
	// The fixed part, the fields padded to 8 bytes, the body. Summed in 64 bits, so that it can't wrap.
	size := 16 + (int64(order.Uint32(fixed[12:]))+7)/8*8 + int64(order.Uint32(fixed[4:]))
	switch {
	case size > skipMax:
		return nil, fmt.Errorf("a message of %d bytes", size)
	case size > messageMax:
		_, err := io.CopyN(io.Discard, in, size)
		return nil, err
	}
	whole := make([]byte, size)
	if _, err := io.ReadFull(in, whole); err != nil {
		return nil, err
	}
	m, err := dbus.DecodeMessage(bytes.NewReader(whole))
	if err != nil {
		return nil, nil
	}
	return m, nil
}

// send writes one message and returns its serial. What can't be written within ctx or writeTime ends
// the connection: its other end doesn't read, or has read half of a message. With answer, the reply
// goes there; it has room for one.
func (c *conn) send(ctx context.Context, m *dbus.Message, answer chan *dbus.Message) (uint32, error) {
	var text bytes.Buffer
	if err := m.EncodeTo(&text, binary.LittleEndian); err != nil {
		return 0, err
	}
	select {
	case c.writing <- struct{}{}:
		defer func() { <-c.writing }()
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-c.over:
		return 0, errGone
	}
	c.mu.Lock()
	c.serial = max(1, c.serial+1) // 0 is none
	serial := c.serial
	if answer != nil {
		c.waiting[serial] = answer
	}
	c.mu.Unlock()
	// godbus numbers only what its own connection sends; the number's place in a message is fixed.
	binary.LittleEndian.PutUint32(text.Bytes()[8:], serial)
	c.nc.SetWriteDeadline(time.Now().Add(writeTime))
	if _, err := text.WriteTo(c.nc); err != nil {
		c.close(fmt.Errorf("write: %w", err))
		return serial, errGone
	}
	return serial, nil
}

// call asks and waits for the answer, within ctx. The errors that the other side answers with are a
// dbus.Error.
func (c *conn) call(ctx context.Context, m *dbus.Message) ([]any, error) {
	answer := make(chan *dbus.Message, 1)
	serial, err := c.send(ctx, m, answer)
	if err == nil {
		select {
		case a := <-answer:
			if a.Type == dbus.TypeError {
				return nil, dbus.Error{Name: text(a, dbus.FieldErrorName), Body: a.Body}
			}
			return a.Body, nil
		case <-ctx.Done():
			err = ctx.Err()
		case <-c.over:
			err = errGone
		}
	}
	c.mu.Lock()
	delete(c.waiting, serial)
	c.mu.Unlock()
	return nil, err
}

// driver asks the bus itself. One that doesn't answer in driverTime hangs, and is given up.
func (c *conn) driver(ctx context.Context, method string, args ...any) ([]any, error) {
	within, cancel := context.WithTimeout(ctx, driverTime)
	defer cancel()
	body, err := c.call(within, methodCall(driver, driverPath, driver, method, args...))
	if err != nil && ctx.Err() == nil && within.Err() != nil {
		c.close(fmt.Errorf("%s: no answer within %v", method, driverTime))
	}
	return body, err
}
