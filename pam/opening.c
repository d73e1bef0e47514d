/* The dialogue up to its first question, in C: most logins of most users end here, without a Go runtime and
 * whatever it leaves behind. step.go goes on from the question. */
#define _GNU_SOURCE
#include "opening.h"
#include "frame.h"

#include <errno.h>
#include <security/pam_appl.h>
#include <security/_pam_types.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static void fail(struct dialogue *d, enum fault fault, int cause)
{
	d->want = WANT_FAULT;
	d->fault = fault;
	d->cause = cause;
}

/* lose is for a daemon that is gone, or not there yet. It may be back soon. */
static void lose(struct dialogue *d, enum fault fault, int cause)
{
	fail(d, fault, cause);
	d->want = WANT_AGAIN;
}

/* hung_up is for a daemon that has gone. One that took the Open and said nothing may be an earlier one, which
 * doesn't know its Version, or have been stopped just then: the next Open is of the other Version. Version 1
 * has no combined logins. */
static void hung_up(struct dialogue *d)
{
	if (d->opened && !d->heard && !d->open.combined)
		d->open.version = WIRE_OLDEST + WIRE_VERSION - d->open.version;
	lose(d, FAULT_HUNG_UP, 0);
}

/* end is where the daemon's word becomes an outcome. No outcome of a login that was asked nothing is
 * PAM_SUCCESS. */
static void end(struct dialogue *d, int verdict)
{
	d->want = WANT_END;
	switch (verdict) {
	case WIRE_NOT_DUE:
		d->outcome = PAM_IGNORE;
		if (!d->opened) /* a word about no login at all */
			fail(d, FAULT_ORDER, 0);
		return;
	case WIRE_REFUSED:
		d->outcome = PAM_AUTH_ERR;
		return;
	case WIRE_UNAVAILABLE:
		d->outcome = PAM_AUTHINFO_UNAVAIL;
		return;
	}
	fail(d, FAULT_ORDER, 0);
}

/* show makes a text, which lies in the frame behind its style, a string. */
static void show(struct dialogue *d, const struct frame *f)
{
	char *to = (char *)d->frame + d->begin - f->text.n - 1;
	memmove(to, f->text.p, f->text.n);
	to[f->text.n] = '\0';
	d->text = to;
	d->style = f->code == WIRE_ERROR ? PAM_ERROR_MSG : PAM_TEXT_INFO;
	d->want = WANT_TELL;
}

/* act does what the first of the frames that have come says; returns false when more of it must come. */
static bool act(struct dialogue *d)
{
	struct frame f;
	enum frame_kind kind = get_frame(d->frame + d->begin, d->end - d->begin, &f);
	switch (kind) {
	case FRAME_PART:
		return false;
	case FRAME_ASK:
		d->asked = 1;
		d->want = WANT_INPUT;
		return true;
	case FRAME_TELL:
		d->begin += f.size;
		show(d, &f);
		return true;
	case FRAME_VERDICT:
		d->begin += f.size;
		if (d->begin == d->end)
			end(d, f.code);
		else /* a verdict is followed by nothing */
			fail(d, FAULT_ORDER, 0);
		return true;
	case FRAME_NOT_DUE:
		fail(d, FAULT_ORDER, 0);
		return true;
	case FRAME_MALFORMED:
		break;
	}
	fail(d, FAULT_MALFORMED, 0);
	return true;
}

/* receive reads until a whole frame is there, and acts on it. */
static void receive(struct dialogue *d)
{
	while (!act(d)) {
		if (d->begin > 0) {
			memmove(d->frame, d->frame + d->begin, d->end - d->begin);
			d->end -= d->begin;
			d->begin = 0;
		}
		ssize_t got = recv(d->fd, d->frame + d->end, sizeof d->frame - d->end, MSG_DONTWAIT);
		if (got > 0) {
			d->heard = 1;
			d->end += (size_t)got;
			if (d->dirty < d->end)
				d->dirty = d->end;
		} else if (got == 0 || errno == ECONNRESET) {
			hung_up(d);
			return;
		} else if (errno == EAGAIN) {
			d->want = WANT_INPUT;
			return;
		} else if (errno != EINTR) {
			fail(d, FAULT_RECEIVE, errno);
			return;
		}
	}
}

/* send_open sends what is left of the Open; what comes back takes its time. */
static void send_open(struct dialogue *d)
{
	while (d->begin < d->end) {
		ssize_t n = send(d->fd, d->frame + d->begin, d->end - d->begin, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0) {
			d->begin += (size_t)n;
		} else if (errno == EAGAIN) {
			d->want = WANT_OUTPUT;
			return;
		} else if (errno == EPIPE || errno == ECONNRESET) {
			/* Its last word may be here: it turns logins away without hearing them. */
			d->begin = d->end = 0;
			receive(d);
			return;
		} else if (errno != EINTR) {
			fail(d, FAULT_SEND, errno);
			return;
		}
	}
	d->opened = 1;
	d->begin = d->end = 0;
	d->want = WANT_INPUT;
}

/* connect_daemon never waits: unix(7) answers EAGAIN when the daemon's queue is full. */
static void connect_daemon(struct dialogue *d)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	if (d->socket.n >= sizeof to.sun_path) {
		fail(d, FAULT_CONNECT, ENAMETOOLONG);
		return;
	}
	memcpy(to.sun_path, d->socket.p, d->socket.n);
	if (connect(d->fd, (const struct sockaddr *)&to, sizeof to) == 0 || errno == EISCONN)
		send_open(d);
	else if (errno == EAGAIN || errno == EINTR)
		d->want = WANT_CONNECT;
	else if (errno == ENOENT || errno == ECONNREFUSED)
		lose(d, FAULT_CONNECT, errno);
	else
		fail(d, FAULT_CONNECT, errno);
}

static void begin(struct dialogue *d)
{
	d->opened = d->heard = d->answered = 0;
	d->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->fd < 0) {
		fail(d, FAULT_SOCKET, errno);
		return;
	}
	d->begin = 0;
	d->end = put_open(d->frame, &d->open);
	if (d->end == 0) {
		fail(d, FAULT_OPEN, 0);
		return;
	}
	if (d->dirty < d->end)
		d->dirty = d->end;
	connect_daemon(d);
}

void opening_step(struct dialogue *d)
{
	switch (d->want) {
	case WANT_NOTHING:
		begin(d);
		return;
	case WANT_CONNECT:
		connect_daemon(d);
		return;
	case WANT_OUTPUT:
		send_open(d);
		return;
	case WANT_INPUT:
	case WANT_TELL:
		receive(d);
		return;
	}
	fail(d, FAULT_INTERNAL, 0);
}
