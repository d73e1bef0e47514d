// The runtime must not hold files of the cgroup open in the host's process.

//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Command pam is the PAM module pam_totpd.so, built with -buildmode=c-shared. module.c is its face
// towards PAM, guest.c keeps the Go runtime from disturbing the host; this file is one end of the login
// dialogue with the daemon.
//
// It owns nothing: all state is in the C struct dialogue. It decides nothing: the daemon's verdict is
// passed on, and anything that is not a well-formed dialogue is a fault, which denies. It allocates
// nothing (the garbage collector is off), never waits and starts no goroutine, since it runs on a thread
// of the host's with all signals blocked.
package main

// #cgo CFLAGS: -Wall -Wextra -Wconversion -fvisibility=hidden
// #cgo LDFLAGS: -lpam
// #include <security/pam_appl.h>
// #include <security/_pam_types.h>
// #include "module.h"
import "C"

import (
	"syscall"
	"unsafe"

	"github.com/totpd/totpd/daemon/wire"
)

func main() {}

// The faults, as C strings for the log.
var (
	faultSocket   = cString("no socket to be had\x00")
	faultConnect  = cString("can't reach the daemon\x00")
	faultOpen     = cString("the user name or another item of PAM is too long\x00")
	faultSend     = cString("can't send to the daemon\x00")
	faultReceive  = cString("can't receive from the daemon\x00")
	faultHangUp   = cString("the daemon hung up before its verdict\x00")
	faultFrame    = cString("the daemon broke the dialogue: malformed frame\x00")
	faultOrder    = cString("the daemon broke the dialogue: a frame out of order\x00")
	faultInternal = cString("the module is broken\x00")
)

func cString(s string) *C.char { return (*C.char)(unsafe.Pointer(unsafe.StringData(s))) }

//export dialogue_step
func dialogue_step(p unsafe.Pointer) {
	d := (*C.struct_dialogue)(p)
	// A panic would end the host.
	defer func() {
		if recover() != nil {
			fail(d, faultInternal, 0)
		}
	}()
	switch d.want {
	case C.WANT_NOTHING:
		begin(d)
	case C.WANT_CONNECT:
		connect(d)
	case C.WANT_ASK, C.WANT_PROOF:
		answer(d)
	case C.WANT_OUTPUT:
		send(d)
	case C.WANT_INPUT, C.WANT_TELL:
		receive(d)
	default:
		fail(d, faultInternal, 0)
	}
}

func fail(d *C.struct_dialogue, fault *C.char, cause syscall.Errno) {
	d.want, d.fault, d.cause = C.WANT_FAULT, fault, C.int(cause)
}

// lose is for a daemon that is gone, or not there yet. It may be back soon.
func lose(d *C.struct_dialogue, fault *C.char, cause syscall.Errno) {
	d.want, d.fault, d.cause = C.WANT_AGAIN, fault, C.int(cause)
}

func frame(d *C.struct_dialogue) []byte {
	return unsafe.Slice((*byte)(&d.frame[0]), len(d.frame))
}

func str(t C.struct_text) string {
	return unsafe.String((*byte)(unsafe.Pointer(t.p)), int(t.n))
}

func begin(d *C.struct_dialogue) {
	fd, _, errno := syscall.RawSyscall(syscall.SYS_SOCKET, syscall.AF_UNIX,
		syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if errno != 0 {
		fail(d, faultSocket, errno)
		return
	}
	d.fd = C.int(fd)
	d.sent, d.heard = 0, 0
	if d.version == 0 {
		d.version = wire.Version
	}
	open := wire.Open{Version: byte(d.version), User: str(d.user), Service: str(d.service), RHost: str(d.rhost),
		TTY: str(d.tty), RUser: str(d.ruser), AuthInfo: str(d.authinfo), ID: wire.LoginID(str(d.id))}
	if d.version > wire.Oldest {
		open.Columns, open.Combined = uint16(d.columns), d.combined != 0
	}
	out, err := wire.AppendOpen(frame(d)[:0], &open)
	if err != nil {
		fail(d, faultOpen, 0)
		return
	}
	queue(d, out)
	connect(d)
}

// queue makes a frame the next to be sent.
func queue(d *C.struct_dialogue, out []byte) {
	d.begin, d.end = 0, C.size_t(len(out))
	d.dirty = max(d.dirty, d.end)
}

// connect never waits: unix(7) answers EAGAIN when the daemon's queue is full.
func connect(d *C.struct_dialogue) {
	var addr syscall.RawSockaddrUnix
	addr.Family = syscall.AF_UNIX
	path := str(d.socket)
	if len(path) >= len(addr.Path) {
		fail(d, faultConnect, syscall.ENAMETOOLONG)
		return
	}
	for i := range len(path) {
		addr.Path[i] = int8(path[i])
	}
	_, _, errno := syscall.RawSyscall(syscall.SYS_CONNECT, uintptr(d.fd), uintptr(unsafe.Pointer(&addr)), unsafe.Sizeof(addr))
	switch errno {
	case 0, syscall.EISCONN:
		send(d)
	case syscall.EAGAIN, syscall.EINTR:
		d.want = C.WANT_CONNECT
	case syscall.ENOENT, syscall.ECONNREFUSED:
		lose(d, faultConnect, errno)
	default:
		fail(d, faultConnect, errno)
	}
}

// send sends what is left of the frame; what comes back takes its time.
func send(d *C.struct_dialogue) {
	for d.begin < d.end {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(d.fd), uintptr(unsafe.Pointer(&d.frame[d.begin])),
			uintptr(d.end-d.begin), syscall.MSG_NOSIGNAL|syscall.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			d.begin += C.size_t(n)
		case syscall.EINTR:
		case syscall.EAGAIN:
			d.want = C.WANT_OUTPUT
			return
		case syscall.EPIPE, syscall.ECONNRESET:
			// Its last word may be here: it turns logins away without hearing them.
			d.begin, d.end = 0, 0
			receive(d)
			return
		default:
			fail(d, faultSend, errno)
			return
		}
	}
	d.sent++
	d.begin, d.end = 0, 0
	d.want = C.WANT_INPUT
}

// receive reads until a whole frame is there, and acts on it.
func receive(d *C.struct_dialogue) {
	buf := frame(d)
	for {
		f, n, err := wire.Decode(buf[d.begin:d.end])
		if err != nil {
			fail(d, faultFrame, 0)
			return
		}
		if n > 0 {
			d.begin += C.size_t(n)
			act(d, f)
			return
		}
		if d.begin > 0 {
			copy(buf, buf[d.begin:d.end])
			d.begin, d.end = 0, d.end-d.begin
		}
		got, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(d.fd), uintptr(unsafe.Pointer(&buf[d.end])),
			uintptr(len(buf))-uintptr(d.end), syscall.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == syscall.EINTR:
		case errno == syscall.EAGAIN:
			d.want = C.WANT_INPUT
			return
		case errno == syscall.ECONNRESET, errno == 0 && got == 0:
			hungUp(d)
			return
		case errno != 0:
			fail(d, faultReceive, errno)
			return
		default:
			d.heard = 1
			d.end += C.size_t(got)
			d.dirty = max(d.dirty, d.end)
		}
	}
}

// hungUp is for a daemon that has gone. One that took the Open and said nothing may be an earlier one, which
// doesn't know its Version, or have been stopped just then: the next Open is of the other Version. Version 1
// has no combined logins.
func hungUp(d *C.struct_dialogue) {
	if d.sent == 1 && d.heard == 0 && d.combined == 0 {
		d.version = wire.Oldest + wire.Version - d.version
	}
	lose(d, faultHangUp, 0)
}

// act is the one place where the daemon's word becomes an outcome. Only an accepting verdict after an
// answer becomes PAM_SUCCESS.
func act(d *C.struct_dialogue, f wire.Frame) {
	last := d.begin == d.end // a question or a verdict is followed by nothing
	switch {
	case f.Kind == wire.KindAsk && last && mayAsk(d, f.Style):
		d.tails_n = C.int(copy(unsafe.Slice((*byte)(&d.tails[0]), len(d.tails)), f.Tails))
		show(d, f.Text)
		d.want = C.WANT_ASK
		d.style = C.PAM_PROMPT_ECHO_OFF
		d.optional = 0
		switch f.Style {
		case wire.Proof:
			d.want = C.WANT_PROOF
		case wire.Visible:
			d.style = C.PAM_PROMPT_ECHO_ON
		case wire.Optional:
			d.style = C.PAM_PROMPT_ECHO_ON
			d.optional = 1
		}
	case f.Kind == wire.KindTell:
		show(d, f.Text)
		d.want = C.WANT_TELL
		d.style = C.PAM_TEXT_INFO
		if f.Style == wire.Error {
			d.style = C.PAM_ERROR_MSG
		}
	case f.Kind == wire.KindVerdict && last:
		end(d, f.Outcome)
	default:
		fail(d, faultOrder, 0)
	}
}

// mayAsk says whether the dialogue has questions of this style. In a combined login every answer holds the
// password, and only a Combined question has it taken out.
func mayAsk(d *C.struct_dialogue, style wire.Style) bool {
	if d.combined != 0 || style == wire.Combined {
		return d.combined != 0 && style == wire.Combined
	}
	switch style {
	case wire.Hidden, wire.Visible:
		return true
	case wire.Optional, wire.Proof:
		return d.version > wire.Oldest
	}
	return false
}

func end(d *C.struct_dialogue, o wire.Outcome) {
	d.want = C.WANT_END
	switch {
	case o == wire.Accepted && d.sent > 1: // an Open and an Answer
		d.outcome = C.PAM_SUCCESS
	case o == wire.NotDue && d.sent == 1:
		d.outcome = C.PAM_IGNORE
	case o == wire.Refused:
		d.outcome = C.PAM_AUTH_ERR
	case o == wire.Unavailable:
		d.outcome = C.PAM_AUTHINFO_UNAVAIL
	default:
		fail(d, faultOrder, 0)
	}
}

// show makes text, which lies in the frame, a string for C. The decoder has seen to it that no NUL is
// inside. The header before it has been read, so there is room to move it down for a NUL at its end.
func show(d *C.struct_dialogue, text []byte) {
	begin := d.begin - C.size_t(len(text)) - 1
	out := frame(d)[begin:d.begin]
	copy(out, text)
	out[len(text)] = 0
	d.text = (*C.char)(unsafe.Pointer(&out[0]))
}

func answer(d *C.struct_dialogue) {
	text := unsafe.Slice((*byte)(unsafe.Pointer(d.answer.p)), int(d.answer.n))
	if len(text) > wire.MaxAnswer {
		text = nil // no code either, and the daemon has words for it
	}
	out, err := wire.AppendAnswer(frame(d)[:0], text)
	if err != nil {
		fail(d, faultInternal, 0)
		return
	}
	queue(d, out)
	send(d)
}
