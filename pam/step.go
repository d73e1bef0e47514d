// The runtime must not hold files of the cgroup open in the host's process.

//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Command pam is the PAM module pam_totpd.so, built with -buildmode=c-shared. module.c is its face
// towards PAM, opening.c carries the login dialogue with the daemon to its first question, guest.c keeps
// the Go runtime from disturbing the host; this file is the dialogue from the first question on. A login in
// which nothing is asked never comes here.
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

//export dialogue_step
func dialogue_step(p unsafe.Pointer) {
	d := (*C.struct_dialogue)(p)
	// A panic would end the host.
	defer func() {
		if recover() != nil {
			fail(d, C.FAULT_INTERNAL, 0)
		}
	}()
	switch d.want {
	case C.WANT_ASK, C.WANT_PROOF:
		answer(d)
	case C.WANT_OUTPUT:
		send(d)
	case C.WANT_INPUT, C.WANT_TELL:
		receive(d)
	default:
		fail(d, C.FAULT_INTERNAL, 0)
	}
}

func fail(d *C.struct_dialogue, fault C.int, cause syscall.Errno) {
	d.want, d.fault, d.cause = C.WANT_FAULT, fault, C.int(cause)
}

func frame(d *C.struct_dialogue) []byte {
	return unsafe.Slice((*byte)(&d.frame[0]), len(d.frame))
}

// send sends what is left of the answer; what comes back takes its time.
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
			// Its last word may be here.
			d.begin, d.end = 0, 0
			receive(d)
			return
		default:
			fail(d, C.FAULT_SEND, errno)
			return
		}
	}
	d.answered++
	d.begin, d.end = 0, 0
	d.want = C.WANT_INPUT
}

// receive reads until a whole frame is there, and acts on it.
func receive(d *C.struct_dialogue) {
	buf := frame(d)
	for {
		f, n, err := wire.Decode(buf[d.begin:d.end])
		if err != nil {
			fail(d, C.FAULT_MALFORMED, 0)
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
			d.want, d.fault, d.cause = C.WANT_AGAIN, C.FAULT_HUNG_UP, 0 // it may be back soon
			return
		case errno != 0:
			fail(d, C.FAULT_RECEIVE, errno)
			return
		default:
			d.end += C.size_t(got)
			d.dirty = max(d.dirty, d.end)
		}
	}
}

// act is the one place where the daemon's word after a question becomes an outcome. Only an accepting verdict
// after an answer becomes PAM_SUCCESS.
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
		fail(d, C.FAULT_ORDER, 0)
	}
}

// mayAsk says whether the dialogue has questions of this style. In a combined login every answer holds the
// password, and only a Combined question has it taken out.
func mayAsk(d *C.struct_dialogue, style wire.Style) bool {
	if d.open.combined != 0 || style == wire.Combined {
		return d.open.combined != 0 && style == wire.Combined
	}
	switch style {
	case wire.Hidden, wire.Visible:
		return true
	case wire.Optional, wire.Proof:
		return d.open.version > wire.Oldest
	}
	return false
}

func end(d *C.struct_dialogue, o wire.Outcome) {
	d.want = C.WANT_END
	switch {
	case o == wire.Accepted && d.answered > 0:
		d.outcome = C.PAM_SUCCESS
	case o == wire.Refused:
		d.outcome = C.PAM_AUTH_ERR
	case o == wire.Unavailable:
		d.outcome = C.PAM_AUTHINFO_UNAVAIL
	default:
		fail(d, C.FAULT_ORDER, 0)
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
		fail(d, C.FAULT_INTERNAL, 0)
		return
	}
	d.begin, d.end = 0, C.size_t(len(out))
	d.dirty = max(d.dirty, d.end)
	send(d)
}
