/* pam_totpd: asks for a one-time code. The daemon decides; this only carries the dialogue between it
 * and the person. See pam_totpd(8).
 *
 * This half speaks with PAM and does the waiting, on the host's thread and with the host's signals.
 * The Go half (step.go) speaks with the daemon and never waits. Everything but an authenticate is
 * answered here, without Go. */
#define _GNU_SOURCE
#include "guest.h"
#include "module.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <security/pam_appl.h>
#include <security/pam_modules.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define DEFAULT_SOCKET "/run/totpd/login.sock"
#define SOCKET_MAX 107 /* sun_path of unix(7) without its NUL */

/* No daemon of ours comes near these. They end a dialogue that doesn't end by itself. */
enum { ASKS_MAX = 32, TELLS_MAX = 64 };

/* A daemon that is gone is looked for so often in one turn, after pauses of 10 ms that double to 320 ms.
 * All pauses together are 2.2 s: a daemon that is gone for good denies within 3 s. */
enum { AGAIN_MAX = 11, PAUSE_MIN = 10, PAUSE_MAX = 320 };

/* A daemon that lives takes what it is sent at once, however long it thinks about it; one that is being
 * restarted does so within this time. Where systemd holds the socket of one that can't be started, or
 * where it hangs, nobody takes it. */
enum { TAKEN_MS = 2800 };

struct options {
	const char *socket;
	int timeout; /* seconds for the daemon's part of each turn */
	bool debug;
	bool with_key; /* no opinion unless sshd has verified a key; what is missing then is the code alone */
};

/* parse_timeout reads 1 to 30, digits only; anything else is 0. */
static int parse_timeout(const char *s)
{
	int n = 0;
	for (size_t i = 0; s[i] != '\0'; i++) {
		if (s[i] < '0' || s[i] > '9' || i == 2)
			return 0;
		n = n * 10 + (s[i] - '0');
	}
	return n <= 30 ? n : 0;
}

/* parse_options returns the argument that it can't take, or NULL. */
static const char *parse_options(struct options *o, int argc, const char **argv)
{
	*o = (struct options){.socket = DEFAULT_SOCKET, .timeout = 10};
	for (int i = 0; i < argc; i++) {
		const char *arg = argv[i];
		if (strncmp(arg, "socket=", 7) == 0) {
			o->socket = arg + 7;
			if (o->socket[0] != '/' || strlen(o->socket) > SOCKET_MAX)
				return arg;
		} else if (strncmp(arg, "timeout=", 8) == 0) {
			o->timeout = parse_timeout(arg + 8);
			if (o->timeout == 0)
				return arg;
		} else if (strcmp(arg, "debug") == 0) {
			o->debug = true;
		} else if (strcmp(arg, "with_key") == 0) {
			o->with_key = true;
		} else {
			return arg;
		}
	}
	return NULL;
}

static struct text text_of(const char *s)
{
	return (struct text){.p = s, .n = s == NULL ? 0 : strlen(s)};
}

static struct text item(pam_handle_t *pamh, int type)
{
	const void *s = NULL;
	if (pam_get_item(pamh, type, &s) != PAM_SUCCESS)
		s = NULL;
	return text_of(s);
}

static long long now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* wait_for waits until the descriptor is ready or the deadline has passed; returns false then. The
 * host's signals interrupt it and it goes on. */
static bool wait_for(int fd, short events, long long deadline)
{
	struct pollfd p = {.fd = fd, .events = events};
	for (;;) {
		long long left = deadline - now_ms();
		if (left <= 0)
			return false;
		int n = poll(&p, 1, (int)left);
		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return false;
	}
}

/* wait_for_word waits for the daemon's answer to what it was sent; returns false when it comes too late,
 * or when nobody has taken what was sent. */
static bool wait_for_word(int fd, long long deadline)
{
	long long soon = now_ms() + TAKEN_MS;
	int waiting = 0; /* bytes, as unix(7) counts them */
	if (soon < deadline && !wait_for(fd, POLLIN, soon) && ioctl(fd, SIOCOUTQ, &waiting) == 0 && waiting > 0)
		return false;
	return wait_for(fd, POLLIN, deadline);
}

/* pause_for returns false, at once, when the deadline comes before the end of the pause. */
static bool pause_for(int ms, long long deadline)
{
	struct timespec left = {.tv_nsec = ms * 1000 * 1000};
	if (now_ms() + ms >= deadline)
		return false;
	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
	return true;
}

/* converse shows one message through the host's conversation. With an answer wanted it hands over what
 * was typed, to be wiped and freed. */
static int converse(pam_handle_t *pamh, int style, const char *text, char **answer)
{
	const void *item = NULL;
	int rc = pam_get_item(pamh, PAM_CONV, &item);
	const struct pam_conv *conv = item;
	if (rc != PAM_SUCCESS || conv == NULL || conv->conv == NULL)
		return PAM_CONV_ERR;
	const struct pam_message message = {.msg_style = style, .msg = text};
	const struct pam_message *messages = &message;
	struct pam_response *responses = NULL;
	rc = conv->conv(1, &messages, &responses, conv->appdata_ptr);
	char *typed = NULL;
	if (rc == PAM_SUCCESS && responses != NULL) { /* after an error they are the host's, whatever they point to */
		typed = responses[0].resp;
		free(responses);
	}
	if (answer == NULL) {
		free(typed);
		return PAM_SUCCESS; /* a client that shows no texts may still be asked */
	}
	*answer = typed;
	if (rc != PAM_SUCCESS)
		return rc;
	return typed == NULL ? PAM_CONV_ERR : PAM_SUCCESS;
}

/* verified_key tells whether sshd has verified a public key of the person's before it came to PAM: it then
 * has a line "publickey ..." in this variable, which it sets anew for each login. Other services that let
 * a variable of this name come from elsewhere don't have the argument with_key. */
static bool verified_key(pam_handle_t *pamh)
{
	const char *line = pam_getenv(pamh, "SSH_AUTH_INFO_0");
	while (line != NULL && strncmp(line, "publickey ", strlen("publickey ")) != 0) {
		line = strchr(line, '\n');
		if (line != NULL)
			line++;
	}
	return line != NULL;
}

static void wipe(char *typed)
{
	if (typed != NULL) {
		explicit_bzero(typed, strlen(typed));
		free(typed);
	}
}

struct login {
	pam_handle_t *pamh;
	struct options options;
	const char *service;
	bool silent;
	int asks, tells;
	long long deadline; /* of the daemon's part of this turn */
	char *typed;        /* the last answer */
	int losses;         /* of the daemon, in this turn */
	bool again;         /* the dialogue was begun again, and nothing has been asked since */
	bool pending;       /* typed has been typed, and the daemon has said nothing to it */
	uint64_t question;  /* what typed answers: a fingerprint */
	uint64_t told[TELLS_MAX];
	char id[2 * 16 + 1]; /* see wire.LoginID */
	struct dialogue d;  /* its frame, large and mostly unused, is the end of it */
};

/* out_of_service is the one text of our own: it is shown when the daemon, whose all the others are,
 * can't be heard. */
static int out_of_service(const struct login *l, int rc)
{
	if (!l->silent)
		(void)converse(l->pamh, PAM_ERROR_MSG, "codes can't be checked right now: try again later, or tell your administrator", NULL);
	return rc;
}

static int give_up(const struct login *l, int rc, const char *what)
{
	host_log(LOG_ERR, l->service, "denied: %s (socket %s)", what, l->options.socket);
	return out_of_service(l, rc);
}

/* fingerprint tells the texts of one login from each other (FNV-1a). */
static uint64_t fingerprint(const struct dialogue *d)
{
	uint64_t h = 0xcbf29ce484222325u ^ (uint64_t)d->style;
	for (const char *c = d->text; *c != '\0'; c++)
		h = (h ^ (unsigned char)*c) * 0x100000001b3u;
	return h;
}

/* ask returns PAM_SUCCESS when there is an answer to go on with. A daemon that came back and asks the
 * same again gets the answer that the one before it took away; the person is asked once. */
static int ask(struct login *l)
{
	if (++l->asks > ASKS_MAX)
		return give_up(l, PAM_AUTHINFO_UNAVAIL, "the daemon asked without end");
	uint64_t question = fingerprint(&l->d);
	bool same = l->again && l->pending && question == l->question;
	l->again = false;
	if (same)
		return PAM_SUCCESS;
	wipe(l->typed);
	l->typed = NULL;
	l->d.answer = text_of(NULL);
	int rc = converse(l->pamh, l->d.style, l->d.text, &l->typed);
	if (rc != PAM_SUCCESS && !l->d.optional) {
		if (l->options.debug)
			host_log(LOG_DEBUG, l->service, "no answer from the conversation: %s", pam_strerror(l->pamh, rc));
		return PAM_CONV_ERR;
	}
	l->d.answer = text_of(l->typed);
	l->pending = true;
	l->question = question;
	l->losses = 0;
	l->deadline = now_ms() + l->options.timeout * 1000LL;
	return PAM_SUCCESS;
}

/* told_already says whether a daemon that came back repeats what the person has read. */
static bool told_already(const struct login *l, uint64_t text)
{
	for (int i = 0; l->again && i < l->tells - 1; i++)
		if (l->told[i] == text)
			return true;
	return false;
}

static int tell(struct login *l)
{
	if (++l->tells > TELLS_MAX)
		return give_up(l, PAM_AUTHINFO_UNAVAIL, "the daemon talked without end");
	uint64_t text = l->told[l->tells - 1] = fingerprint(&l->d);
	if (told_already(l, text))
		return PAM_SUCCESS;
	l->pending = false; /* what is new may be about the answer, or make it one to another question */
	if (l->silent)
		return PAM_SUCCESS;
	long long before = now_ms();
	(void)converse(l->pamh, l->d.style, l->d.text, NULL);
	l->deadline += now_ms() - before; /* reading is the person's time */
	return PAM_SUCCESS;
}

/* begin_again prepares for another connection, after a pause; returns false when the daemon has been
 * looked for often enough. */
static bool begin_again(struct login *l)
{
	int pause = PAUSE_MIN;
	for (int i = 0; i < l->losses && pause < PAUSE_MAX; i++)
		pause *= 2;
	if (++l->losses > AGAIN_MAX || !pause_for(pause, l->deadline))
		return false;
	if (l->options.debug)
		host_log(LOG_DEBUG, l->service, "beginning again: %s", l->d.fault);
	if (l->d.fd >= 0)
		close(l->d.fd);
	l->d.fd = -1;
	l->d.want = WANT_NOTHING;
	l->again = true;
	return true;
}

/* run carries the dialogue to its end. Only the arm of WANT_END can return PAM_SUCCESS to the host. */
static int run(struct login *l)
{
	struct dialogue *d = &l->d;
	l->deadline = now_ms() + l->options.timeout * 1000LL;
	for (;;) {
		const char *fault = guest_call(dialogue_step, d);
		if (fault != NULL)
			return give_up(l, PAM_SYSTEM_ERR, fault);
		int rc = PAM_SUCCESS;
		bool in_time = true;
		switch (d->want) {
		case WANT_CONNECT:
			in_time = pause_for(5, l->deadline);
			break;
		case WANT_OUTPUT:
			in_time = wait_for(d->fd, POLLOUT, l->deadline);
			break;
		case WANT_INPUT:
			in_time = wait_for_word(d->fd, l->deadline);
			break;
		case WANT_ASK:
			rc = ask(l);
			break;
		case WANT_TELL:
			rc = tell(l);
			in_time = now_ms() < l->deadline;
			break;
		case WANT_END:
			return d->outcome;
		case WANT_AGAIN:
			if (begin_again(l))
				break;
			/* fall through */
		case WANT_FAULT:
			host_log(LOG_ERR, l->service, "denied: %s%s%s (socket %s)", d->fault, d->cause != 0 ? ": " : "",
				 d->cause != 0 ? strerrordesc_np(d->cause) : "", l->options.socket);
			return out_of_service(l, PAM_AUTHINFO_UNAVAIL);
		default:
			return give_up(l, PAM_SYSTEM_ERR, "the module is broken");
		}
		if (!in_time)
			return give_up(l, PAM_AUTHINFO_UNAVAIL, "the daemon did not answer in time");
		if (rc != PAM_SUCCESS)
			return rc;
	}
}

/* outcome_name is for the debug line. */
static const char *outcome_name(int rc)
{
	switch (rc) {
	case PAM_SUCCESS:
		return "accepted";
	case PAM_IGNORE:
		return "no code due";
	case PAM_AUTH_ERR:
		return "refused";
	case PAM_CONV_ERR:
		return "no answer";
	default:
		return "failed";
	}
}

/* kept is what a call that failed leaves on the PAM handle for the next one there: see wire.LoginID. A
 * child has a copy of the handle, and is no part of the login. */
struct kept {
	pid_t process;
	char id[2 * 16 + 1];
};

#define KEPT "pam_totpd_login"

static void forget(pam_handle_t *pamh, void *data, int status)
{
	(void)pamh, (void)status;
	if (data != NULL) {
		explicit_bzero(data, sizeof(struct kept));
		free(data);
	}
}

static bool same_login(struct login *l)
{
	const void *data = NULL;
	if (pam_get_data(l->pamh, KEPT, &data) != PAM_SUCCESS || data == NULL)
		return false;
	const struct kept *kept = data;
	if (kept->process != getpid())
		return false;
	memcpy(l->id, kept->id, sizeof l->id);
	l->d.id = text_of(l->id);
	return true;
}

/* keep_login keeps the id until a call ends well. Where it can't be kept, the next call is another login. */
static void keep_login(struct login *l, int rc)
{
	struct kept *kept = NULL;
	if (rc != PAM_SUCCESS && rc != PAM_IGNORE && l->id[0] != '\0' && (kept = malloc(sizeof *kept)) != NULL) {
		kept->process = getpid();
		memcpy(kept->id, l->id, sizeof kept->id);
	}
	if (pam_set_data(l->pamh, KEPT, kept, forget) != PAM_SUCCESS)
		forget(l->pamh, kept, 0);
}

/* columns is the width of the terminal that the login program runs on; 0 where it has none. sshd's, if
 * any, isn't the person's. */
static int columns(struct text tty)
{
	struct winsize size;
	if (tty.n == 3 && memcmp(tty.p, "ssh", 3) == 0)
		return 0;
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
			return size.ws_col;
	return 0;
}

/* make_id fills the id in, or leaves it empty where no random bytes are to be had. */
static void make_id(struct login *l)
{
	unsigned char random[16];
	if (getrandom(random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random)
		return;
	for (size_t i = 0; i < sizeof random; i++) {
		l->id[2 * i] = "0123456789abcdef"[random[i] >> 4];
		l->id[2 * i + 1] = "0123456789abcdef"[random[i] & 15];
	}
	explicit_bzero(random, sizeof random);
	l->d.id = text_of(l->id);
}

EXPORT int pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	struct login *l = malloc(sizeof *l);
	if (l == NULL)
		return PAM_BUF_ERR;
	memset(l, 0, offsetof(struct login, d.frame));
	l->pamh = pamh;
	l->silent = ((unsigned)flags & PAM_SILENT) != 0;
	l->d.fd = -1;
	l->d.service = item(pamh, PAM_SERVICE);
	l->service = l->d.service.p != NULL ? l->d.service.p : "?";

	int rc = PAM_SERVICE_ERR;
	const char *unknown = parse_options(&l->options, argc, argv);
	if (unknown != NULL) {
		host_log(LOG_ERR, l->service, "denied: unknown or malformed argument \"%s\" in the PAM configuration; see pam_totpd(8)", unknown);
		goto out;
	}
	if (l->options.with_key && !verified_key(pamh)) {
		rc = PAM_IGNORE;
		goto out;
	}
	const char *user = NULL;
	rc = pam_get_user(pamh, &user, NULL);
	if (rc != PAM_SUCCESS || user == NULL || user[0] == '\0') {
		host_log(LOG_NOTICE, l->service, "denied: no user name");
		rc = rc == PAM_SUCCESS ? PAM_USER_UNKNOWN : rc;
		goto out;
	}
	l->d.socket = text_of(l->options.socket);
	l->d.user = text_of(user);
	l->d.rhost = item(pamh, PAM_RHOST);
	l->d.tty = item(pamh, PAM_TTY);
	l->d.ruser = item(pamh, PAM_RUSER);
	l->d.authinfo = text_of(pam_getenv(pamh, "SSH_AUTH_INFO_0"));
	l->d.columns = columns(l->d.tty);
	if (!same_login(l))
		make_id(l);
	rc = run(l);
	keep_login(l, rc);
	if (rc == PAM_IGNORE && l->options.with_key)
		rc = PAM_SUCCESS; /* no code is due, so the key was all */
	if (l->options.debug)
		host_log(LOG_DEBUG, l->service, "%s after %d questions", outcome_name(rc), l->asks);
out:
	if (l->d.fd >= 0)
		close(l->d.fd);
	wipe(l->typed);
	explicit_bzero(l, offsetof(struct login, d.frame) + l->d.dirty);
	free(l);
	return rc;
}

/* Nothing to set up or take down: the code was the whole of it. A line with with_key ends the stack with its
 * success; here it has no opinion, so that the host's other modules have their turn. */
EXPORT int pam_sm_setcred(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)pamh, (void)flags;
	for (int i = 0; i < argc; i++)
		if (strcmp(argv[i], "with_key") == 0)
			return PAM_IGNORE;
	return PAM_SUCCESS;
}

/* On these a second factor has no opinion; a stack of nothing else is refused by libpam. */
static int no_opinion(void) { return PAM_IGNORE; }

EXPORT int pam_sm_acct_mgmt(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)pamh, (void)flags, (void)argc, (void)argv;
	return no_opinion();
}

EXPORT int pam_sm_open_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)pamh, (void)flags, (void)argc, (void)argv;
	return no_opinion();
}

EXPORT int pam_sm_close_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)pamh, (void)flags, (void)argc, (void)argv;
	return no_opinion();
}

EXPORT int pam_sm_chauthtok(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)pamh, (void)flags, (void)argc, (void)argv;
	return no_opinion();
}
