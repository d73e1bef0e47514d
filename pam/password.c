/* One question to totpd-password on one connection: package daemon/internal/password says how it is written. */
#define _GNU_SOURCE
#include "password.h"
#include "wait.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { QUESTION_VERSION = 1, ASKER_VERSION = 2, USER_MAX = 256, PASSWORD_MAX = 1024 };

/* How much is told of each of the two items that say who asks. */
enum { ASKER_ITEM = 120, ASKER_MAX = 2 + ASKER_ITEM + 1 + ASKER_ITEM };

/* The verdicts. A password that is right although the account may not be used is right here. */
enum { RIGHT = 1, WRONG = 2, BROKEN = 3, BARRED = 4 };

/* What is asked, and how long. */
struct question {
	unsigned char bytes[ASKER_MAX + 5 + USER_MAX + PASSWORD_MAX];
	size_t asker, size;  /* of bytes: who asks, and all */
	long long deadline;  /* of the answer */
	long long absent;    /* deadline for a totpd-password that isn't there, or doesn't take what it is sent */
};

static enum password unknown(struct password_fault *f, const char *fault, int cause)
{
	f->fault = fault;
	f->cause = cause;
	return PASSWORD_UNKNOWN;
}

/* trusted says whether root listens at the other end. */
static bool trusted(int fd)
{
	struct ucred peer;
	socklen_t n = sizeof peer;
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 && peer.uid == 0;
}

static bool send_all(int fd, const unsigned char *p, size_t n, long long deadline)
{
	while (n > 0) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent >= 0) {
			p += sent;
			n -= (size_t)sent;
		} else if (errno != EINTR && (errno != EAGAIN || !wait_for(fd, POLLOUT, deadline))) {
			return false;
		}
	}
	return true;
}

/* receive_all reads up to the end of the stream; returns how much came, or -1 when it comes too late or is
 * more than fits. */
static ssize_t receive_all(int fd, unsigned char *p, size_t max, long long deadline)
{
	size_t n = 0;
	while (n < max) {
		ssize_t got = recv(fd, p + n, max - n, MSG_DONTWAIT);
		if (got == 0 || (got < 0 && errno == ECONNRESET))
			return (ssize_t)n;
		if (got > 0)
			n += (size_t)got;
		else if (errno != EINTR && (errno != EAGAIN || !wait_for(fd, POLLIN, deadline)))
			return -1;
	}
	return -1;
}

/* taken waits until the other end has read all that was sent, or has hung up. totpd-password reads at once who asks,
 * however long the question itself waits for its turn. */
static bool taken(int fd, long long deadline)
{
	int untaken = 0; /* bytes, as unix(7) counts them */
	while (ioctl(fd, SIOCOUTQ, &untaken) == 0 && untaken > 0)
		if (!pause_for(1, deadline))
			return false;
	return true;
}

/* ask puts the question through a connection. again is set when nothing came of it, and it may be asked
 * anew: totpd-password hangs up like that where too many are being asked. No password goes to one that hangs or
 * can't be started. */
static enum password ask(int fd, const struct question *q, struct password_fault *f, bool *again)
{
	unsigned char answer[2 + 255 + 1];
	long long deadline = q->deadline;

	if (!trusted(fd))
		return unknown(f, "whoever listens for passwords isn't root", 0);
	bool sent = send_all(fd, q->bytes, q->asker, deadline);
	if (sent && !taken(fd, q->absent))
		return unknown(f, "totpd-password does not take questions", 0);
	if (sent)
		sent = send_all(fd, q->bytes + q->asker, q->size - q->asker, deadline);
	if (!sent && errno != EPIPE && errno != ECONNRESET)
		return unknown(f, "can't ask totpd-password", errno);
	ssize_t n = receive_all(fd, answer, sizeof answer, deadline);
	if (n == 0) {
		*again = true;
		return unknown(f, "totpd-password hung up without an answer", 0);
	}
	if (n < 0)
		return unknown(f, now_ms() < deadline ? "can't hear totpd-password" : "totpd-password did not answer in time", 0);
	if (n < 2 || n != 2 + answer[1])
		return unknown(f, "totpd-password gave a malformed answer", 0);
	switch (answer[0]) {
	case RIGHT:
	case BARRED:
		return PASSWORD_RIGHT;
	case WRONG:
		return PASSWORD_WRONG;
	case BROKEN:
		memcpy(f->reason, answer + 2, answer[1]);
		f->reason[answer[1]] = '\0';
		return unknown(f, "totpd-password can't tell", 0);
	}
	return unknown(f, "totpd-password gave a malformed answer", 0);
}

/* once connects and asks. */
static enum password once(const struct sockaddr_un *to, const struct question *q, struct password_fault *f, bool *again)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return unknown(f, "no socket to be had", errno);
	enum password p;
	if (connect(fd, (const struct sockaddr *)to, sizeof *to) == 0) {
		p = ask(fd, q, f, again);
	} else {
		*again = errno == EAGAIN || errno == EINTR || errno == ENOENT || errno == ECONNREFUSED;
		p = unknown(f, "can't reach totpd-password", errno);
	}
	close(fd);
	return p;
}

static size_t append(unsigned char *to, struct text from, size_t max)
{
	size_t n = from.n < max ? from.n : max;
	if (n > 0)
		memcpy(to, from.p, n);
	return n;
}

/* append_asker writes on whose behalf this process asks: totpd-password answers everybody in turn. Where the host
 * doesn't name who started it, that is the user whom the kernel names, unless it is root. */
static size_t append_asker(unsigned char *to, const struct open *login)
{
	char uid[32];
	struct text ruser = login->ruser;
	if (ruser.n == 0 && getuid() != 0)
		ruser = (struct text){.p = uid, .n = (size_t)snprintf(uid, sizeof uid, "uid %lu", (unsigned long)getuid())};
	size_t n = 2;
	n += append(to + n, login->rhost, ASKER_ITEM);
	to[n++] = '\n';
	n += append(to + n, ruser, ASKER_ITEM);
	to[0] = ASKER_VERSION;
	to[1] = (unsigned char)(n - 2);
	return n;
}

/* append_question writes the question itself. */
static size_t append_question(unsigned char *to, struct text user, struct text password)
{
	size_t body = 2 + user.n + password.n;
	to[0] = QUESTION_VERSION;
	to[1] = (unsigned char)(body >> 8);
	to[2] = (unsigned char)body;
	to[3] = (unsigned char)(user.n >> 8);
	to[4] = (unsigned char)user.n;
	memcpy(to + 5, user.p, user.n);
	memcpy(to + 5 + user.n, password.p, password.n);
	return 3 + body;
}

enum password check_password(const char *path, const struct open *login, struct text password, long long deadline,
			     struct password_fault *f)
{
	struct question q;
	struct text user = login->user;
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	*f = (struct password_fault){0};
	/* One that is too long to be asked about is nobody's. */
	if (user.n == 0 || user.n > USER_MAX || password.n == 0 || password.n > PASSWORD_MAX)
		return PASSWORD_WRONG;
	if (path[0] == '\0' || strlen(path) >= sizeof to.sun_path)
		return unknown(f, "can't reach totpd-password", ENAMETOOLONG);
	strcpy(to.sun_path, path);
	q.asker = append_asker(q.bytes, login);
	q.size = q.asker + append_question(q.bytes + q.asker, user, password);
	q.deadline = deadline;
	q.absent = now_ms() + ABSENT_MS;
	if (q.absent > deadline)
		q.absent = deadline;

	enum password p;
	for (int looks = 0;; looks++) {
		bool again = false;
		p = once(&to, &q, f, &again);
		if (!again || !pause_again(looks, q.absent))
			break;
	}
	explicit_bzero(&q, sizeof q);
	return p;
}
