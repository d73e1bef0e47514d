/* One question to totpd-password on one connection: package daemon/internal/password says how it is written. */
#define _GNU_SOURCE
#include "password.h"
#include "wait.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { QUESTION_VERSION = 1, USER_MAX = 256, PASSWORD_MAX = 1024 };

/* The verdicts. A password that is right although the account may not be used is right here. */
enum { RIGHT = 1, WRONG = 2, BROKEN = 3, BARRED = 4 };

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

/* ask puts the question through a connection. again is set when nothing came of it, and it may be asked
 * anew: systemd hangs up like that where too many are being asked. */
static enum password ask(int fd, const unsigned char *question, size_t size, long long deadline,
			 struct password_fault *f, bool *again)
{
	unsigned char answer[2 + 255 + 1];

	if (!trusted(fd))
		return unknown(f, "whoever listens for passwords isn't root", 0);
	if (!send_all(fd, question, size, deadline) && errno != EPIPE && errno != ECONNRESET)
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
static enum password once(const struct sockaddr_un *to, const unsigned char *question, size_t size,
			  long long deadline, struct password_fault *f, bool *again)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return unknown(f, "no socket to be had", errno);
	enum password p;
	if (connect(fd, (const struct sockaddr *)to, sizeof *to) == 0) {
		p = ask(fd, question, size, deadline, f, again);
	} else {
		*again = errno == EAGAIN || errno == EINTR || errno == ENOENT || errno == ECONNREFUSED;
		p = unknown(f, "can't reach totpd-password", errno);
	}
	close(fd);
	return p;
}

enum password check_password(const char *path, struct text user, struct text password, long long deadline,
			     struct password_fault *f)
{
	unsigned char question[5 + USER_MAX + PASSWORD_MAX];
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	*f = (struct password_fault){0};
	/* One that is too long to be asked about is nobody's. */
	if (user.n == 0 || user.n > USER_MAX || password.n == 0 || password.n > PASSWORD_MAX)
		return PASSWORD_WRONG;
	if (path[0] == '\0' || strlen(path) >= sizeof to.sun_path)
		return unknown(f, "can't reach totpd-password", ENAMETOOLONG);
	strcpy(to.sun_path, path);
	size_t body = 2 + user.n + password.n, size = 3 + body;
	question[0] = QUESTION_VERSION;
	question[1] = (unsigned char)(body >> 8);
	question[2] = (unsigned char)body;
	question[3] = (unsigned char)(user.n >> 8);
	question[4] = (unsigned char)user.n;
	memcpy(question + 5, user.p, user.n);
	memcpy(question + 5 + user.n, password.p, password.n);

	long long absent = now_ms() + ABSENT_MS;
	enum password p;
	for (int looks = 0;; looks++) {
		bool again = false;
		p = once(&to, question, size, deadline, f, &again);
		if (!again || !pause_again(looks, absent < deadline ? absent : deadline))
			break;
	}
	explicit_bzero(question, sizeof question);
	return p;
}
