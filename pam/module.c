/* pam_totpd: asks for a one-time code. The daemon decides; this only carries the dialogue between it
 * and the person. See pam_totpd(8).
 *
 * This file speaks with PAM and does the waiting, on the host's thread and with the host's signals. What
 * speaks with the daemon never waits: opening.c up to the first question, and from there step.go. What asks
 * nothing is answered without Go. */
#define _GNU_SOURCE
#include "combined.h"
#include "guest.h"
#include "host.h"
#include "id.h"
#include "module.h"
#include "opening.h"
#include "options.h"
#include "password.h"
#include "wait.h"

#include <linux/sockios.h>
#include <poll.h>
#include <security/pam_appl.h>
#include <security/pam_modules.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <syslog.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* No daemon of ours comes near these. They end a dialogue that doesn't end by itself. */
enum { ASKS_MAX = 32, TELLS_MAX = 64, PROOFS_MAX = 4 };

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

struct login {
	struct host host;
	struct options options;
	int asks, tells, proofs;
	long long deadline; /* of the daemon's part of this turn */
	long long absent;   /* deadline for a daemon that isn't there, or doesn't take what it is sent */
	char *typed;        /* the last answer */
	int losses;         /* of the daemon, in this turn */
	bool again;         /* the dialogue was begun again, and nothing has been asked since */
	bool explained;     /* the daemon has said what is wrong, and nothing has been asked since */
	bool pending;       /* typed has been typed, and the daemon has said nothing to it */
	uint64_t question;  /* what typed answers: a fingerprint */
	uint64_t told[TELLS_MAX];
	char id[ID_SIZE + 1];
	struct dialogue d;  /* its frame, large and mostly unused, is the end of it */
};

/* begin_turn gives the daemon its time, from now on. */
static void begin_turn(struct login *l)
{
	l->deadline = now_ms() + l->options.timeout * 1000LL;
	l->absent = now_ms() + ABSENT_MS;
	if (l->absent > l->deadline)
		l->absent = l->deadline;
}

/* wait_for_word waits for the daemon's answer to what it was sent; returns false when it comes too late,
 * or when nobody has taken what was sent. */
static bool wait_for_word(const struct login *l)
{
	int untaken = 0; /* bytes, as unix(7) counts them */
	if (wait_for(l->d.fd, POLLIN, l->absent))
		return true;
	if (ioctl(l->d.fd, SIOCOUTQ, &untaken) == 0 && untaken > 0)
		return false;
	return wait_for(l->d.fd, POLLIN, l->deadline);
}

static int give_up(const struct login *l, int rc, const char *what, int cause)
{
	return deny(&l->host, rc, cant_check, "%s%s%s (socket %s)", what, cause != 0 ? ": " : "",
		    cause != 0 ? strerrordesc_np(cause) : "", l->options.socket);
}

static const char *const faults[FAULTS] = {
	[FAULT_INTERNAL] = "the module is broken",
	[FAULT_SOCKET] = "no socket to be had",
	[FAULT_CONNECT] = "can't reach the daemon",
	[FAULT_OPEN] = "the user name or another item of PAM is too long",
	[FAULT_SEND] = "can't send to the daemon",
	[FAULT_RECEIVE] = "can't receive from the daemon",
	[FAULT_HUNG_UP] = "the daemon hung up before its verdict",
	[FAULT_MALFORMED] = "the daemon broke the dialogue: malformed frame",
	[FAULT_ORDER] = "the daemon broke the dialogue: a frame out of order",
};

/* fingerprint tells the texts of one login from each other (FNV-1a). */
static uint64_t fingerprint(const struct dialogue *d)
{
	uint64_t h = 0xcbf29ce484222325u ^ (uint64_t)d->style;
	for (const char *c = d->text; *c != '\0'; c++)
		h = (h ^ (unsigned char)*c) * 0x100000001b3u;
	return h;
}

/* set_authtok leaves the first n bytes of what was typed to the modules that follow. */
static int set_authtok(struct login *l, size_t n)
{
	char *password = strndup(l->typed, n);
	if (password == NULL)
		return PAM_BUF_ERR;
	int rc = pam_set_item(l->host.pamh, PAM_AUTHTOK, password);
	wipe(password);
	return rc;
}

/* nothing_to_judge ends a combined login before the daemon hears of a code. Nothing is counted: whoever
 * doesn't know the password uses up nobody's attempts. */
static int nothing_to_judge(const struct login *l, const char *why)
{
	host_log(LOG_NOTICE, l->host.service, "denied: %s: no code was judged", why);
	return PAM_AUTH_ERR;
}

/* password_fault says why nobody could tell whether a password is right. */
static const char *password_fault(const struct login *l, const struct password_fault *f, char text[512])
{
	snprintf(text, 512, "%s%s%s (socket %s)", f->fault, f->cause != 0 || f->reason[0] != '\0' ? ": " : "",
		 f->cause != 0 ? strerrordesc_np(f->cause) : f->reason, l->options.password_socket);
	return text;
}

/* right_way returns the way that leaves the user's password, or NULL, with what to return. */
static const struct cut *right_way(struct login *l, const struct cut *ways, int n, int *rc)
{
	for (int i = 0; i < n; i++) {
		struct text password = {.p = l->typed, .n = ways[i].head};
		struct password_fault f;
		char why[512];
		switch (check_password(l->options.password_socket, &l->d.open, password, l->deadline, &f)) {
		case PASSWORD_RIGHT:
			return &ways[i];
		case PASSWORD_WRONG:
			break;
		default:
			*rc = deny(&l->host, PAM_AUTHINFO_UNAVAIL, cant_check, "%s", password_fault(l, &f, why));
			return NULL;
		}
	}
	*rc = nothing_to_judge(l, "the password is wrong");
	return NULL;
}

/* take_apart splits what was typed in a combined login, leaves the password to the modules that follow, and
 * makes the code the answer, once the password is known to be right. Who isn't root can't ask whether it is,
 * and logs in as nobody but themselves. */
static int take_apart(struct login *l)
{
	struct dialogue *d = &l->d;
	struct cut ways[CUTS_MAX];
	bool root = geteuid() == 0;
	int n = cuts(ways, l->typed, d->tails, d->tails_n, !root);
	int rc = set_authtok(l, n > 0 && ways[0].digits ? ways[0].head : strlen(l->typed));
	if (rc != PAM_SUCCESS)
		return give_up(l, rc, "no memory for the password", 0);
	if (n == 0)
		return nothing_to_judge(l, "there is no code behind the password");
	const struct cut *way = root ? right_way(l, ways, n, &rc) : &ways[0];
	if (way == NULL)
		return rc;
	d->answer = (struct text){.p = l->typed + way->tail, .n = way->n};
	begin_turn(l); /* what came before was others' time */
	return set_authtok(l, way->head);
}

/* proven says whether whoever logs in is known to be the user. That this module is reached is no proof: a
 * stack may go on after a wrong password, or ask for it later. */
static bool proven(const struct login *l)
{
	struct text password = item(l->host.pamh, PAM_AUTHTOK);
	struct password_fault f;
	char why[512];
	if (verified_key(l->host.pamh))
		return true;
	if (password.p == NULL) {
		host_log(LOG_NOTICE, l->host.service, "no enrolment: no module before this one has asked for the password");
		return false;
	}
	switch (check_password(l->options.password_socket, &l->d.open, password, l->deadline, &f)) {
	case PASSWORD_RIGHT:
		return true;
	case PASSWORD_WRONG:
		host_log(LOG_NOTICE, l->host.service, "no enrolment: the password is wrong");
		return false;
	default:
		host_log(LOG_ERR, l->host.service, "no enrolment: %s", password_fault(l, &f, why));
		return false;
	}
}

/* prove answers the daemon in the person's place. */
static int prove(struct login *l)
{
	if (++l->proofs > PROOFS_MAX)
		return give_up(l, PAM_AUTHINFO_UNAVAIL, "the daemon asked without end", 0);
	l->d.answer = text_of(proven(l) ? PROVEN : NULL);
	begin_turn(l); /* what came before was others' time */
	return PAM_SUCCESS;
}

/* get_answer gets what the person types. In a combined login another module may have got it before. */
static int get_answer(struct login *l)
{
	struct text typed = {0};
	if (l->options.combined)
		typed = item(l->host.pamh, PAM_AUTHTOK);
	if (typed.p == NULL)
		return converse(l->host.pamh, l->d.style, l->d.text, &l->typed);
	l->typed = strdup(typed.p);
	return l->typed != NULL ? PAM_SUCCESS : PAM_BUF_ERR;
}

/* ask returns PAM_SUCCESS when there is an answer to go on with. A daemon that came back and asks the
 * same again gets the answer that the one before it took away; the person is asked once. */
static int ask(struct login *l)
{
	if (++l->asks > ASKS_MAX)
		return give_up(l, PAM_AUTHINFO_UNAVAIL, "the daemon asked without end", 0);
	uint64_t question = fingerprint(&l->d);
	bool same = l->again && l->pending && question == l->question;
	l->again = false;
	if (same) {
		if (!l->options.combined) /* there it is a part of what was typed, and still set */
			l->d.answer = text_of(l->typed); /* a proof may have come in between */
		return PAM_SUCCESS;
	}
	if (l->options.combined && l->typed != NULL)
		return give_up(l, PAM_AUTHINFO_UNAVAIL, "the daemon asked for the password twice", 0);
	wipe(l->typed);
	l->typed = NULL;
	l->d.answer = text_of(NULL);
	int rc = get_answer(l);
	if (rc != PAM_SUCCESS && !l->d.optional) {
		if (l->options.debug)
			host_log(LOG_DEBUG, l->host.service, "no answer from the conversation: %s", pam_strerror(l->host.pamh, rc));
		return PAM_CONV_ERR;
	}
	l->d.answer = text_of(l->typed);
	l->pending = true;
	l->question = question;
	l->losses = 0;
	l->explained = false;
	begin_turn(l);
	return l->options.combined ? take_apart(l) : PAM_SUCCESS;
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
		return give_up(l, PAM_AUTHINFO_UNAVAIL, "the daemon talked without end", 0);
	uint64_t text = l->told[l->tells - 1] = fingerprint(&l->d);
	l->explained |= l->d.style == PAM_ERROR_MSG;
	if (told_already(l, text))
		return PAM_SUCCESS;
	l->pending = false; /* what is new may be about the answer, or make it one to another question */
	if (l->host.silent)
		return PAM_SUCCESS;
	long long before = now_ms();
	(void)converse(l->host.pamh, l->d.style, l->d.text, NULL);
	long long read = now_ms() - before; /* which is the person's time */
	l->deadline += read;
	l->absent += read;
	return PAM_SUCCESS;
}

/* begin_again prepares for another connection, after a pause; returns false when the daemon has been
 * looked for often enough. */
static bool begin_again(struct login *l)
{
	if (!pause_again(l->losses++, l->absent))
		return false;
	if (l->options.debug)
		host_log(LOG_DEBUG, l->host.service, "beginning again: %s", faults[l->d.fault]);
	if (l->d.fd >= 0)
		close(l->d.fd);
	l->d.fd = -1;
	l->d.want = WANT_NOTHING;
	l->d.asked = 0;
	l->again = true;
	return true;
}

/* step carries the dialogue on, in C up to a question; returns why Go can't, or NULL. */
static const char *step(struct dialogue *d)
{
	if (!d->asked)
		opening_step(d);
	return d->asked ? guest_call(dialogue_step, d) : NULL;
}

/* run carries the dialogue to its end. Only the arm of WANT_END can return PAM_SUCCESS to the host. */
static int run(struct login *l)
{
	struct dialogue *d = &l->d;
	begin_turn(l);
	for (;;) {
		const char *fault = step(d);
		if (fault != NULL)
			return give_up(l, PAM_SYSTEM_ERR, fault, 0);
		int rc = PAM_SUCCESS;
		bool in_time = true;
		switch (d->want) {
		case WANT_CONNECT:
			in_time = pause_for(5, l->absent);
			break;
		case WANT_OUTPUT:
			in_time = wait_for(d->fd, POLLOUT, l->absent);
			break;
		case WANT_INPUT:
			in_time = wait_for_word(l);
			break;
		case WANT_ASK:
			rc = ask(l);
			break;
		case WANT_PROOF:
			rc = prove(l);
			break;
		case WANT_TELL:
			rc = tell(l);
			in_time = now_ms() < l->deadline;
			break;
		case WANT_END:
			if (d->outcome == PAM_AUTHINFO_UNAVAIL && !l->explained)
				return give_up(l, d->outcome, "the daemon turned the login away", 0);
			return d->outcome;
		case WANT_AGAIN:
			if (begin_again(l))
				break;
			/* fall through */
		case WANT_FAULT:
			return give_up(l, PAM_AUTHINFO_UNAVAIL, faults[d->fault], d->cause);
		default:
			return give_up(l, PAM_SYSTEM_ERR, "the module is broken", 0);
		}
		if (!in_time)
			return give_up(l, PAM_AUTHINFO_UNAVAIL, "the daemon did not answer in time", 0);
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

/* log_in logs somebody in, once the arguments are known. */
static int log_in(struct login *l)
{
	pam_handle_t *pamh = l->host.pamh;
	const char *user = NULL;
	int rc = pam_get_user(pamh, &user, NULL);
	if (rc != PAM_SUCCESS || user == NULL || user[0] == '\0')
		return deny(&l->host, rc == PAM_SUCCESS ? PAM_USER_UNKNOWN : rc, no_user_name, "no user name");
	take_id(pamh, l->id);
	l->d.socket = text_of(l->options.socket);
	l->d.open = (struct open){
		.version = WIRE_VERSION,
		.user = text_of(user),
		.service = item(pamh, PAM_SERVICE),
		.rhost = item(pamh, PAM_RHOST),
		.tty = item(pamh, PAM_TTY),
		.ruser = item(pamh, PAM_RUSER),
		.authinfo = text_of(pam_getenv(pamh, "SSH_AUTH_INFO_0")),
		.id = text_of(l->id),
		.columns = columns(item(pamh, PAM_TTY)),
		.combined = l->options.combined,
	};
	rc = run(l);
	keep_id(pamh, l->id, rc);
	if (rc == PAM_IGNORE && l->options.with_key)
		rc = PAM_SUCCESS; /* no code is due, so the key was all */
	if (l->options.debug)
		host_log(LOG_DEBUG, l->host.service, "%s after %d questions", outcome_name(rc), l->asks);
	return rc;
}

/* end_login leaves nothing of it behind. */
static void end_login(struct login *l)
{
	if (l->d.fd >= 0)
		close(l->d.fd);
	wipe(l->typed);
	explicit_bzero(l, offsetof(struct login, d.frame) + l->d.dirty);
	free(l);
}

EXPORT int pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	struct host host = {.pamh = pamh, .service = item(pamh, PAM_SERVICE).p, .silent = ((unsigned)flags & PAM_SILENT) != 0};
	if (host.service == NULL)
		host.service = "?";
	struct login *l = malloc(sizeof *l);
	if (l == NULL)
		return deny(&host, PAM_BUF_ERR, cant_check, "no memory");
	memset(l, 0, offsetof(struct login, d.frame));
	l->host = host;
	l->d.fd = -1;

	int rc;
	const char *unknown = parse_options(&l->options, argc, argv);
	if (unknown != NULL)
		rc = deny(&host, PAM_SERVICE_ERR, set_up_wrongly,
			  "unknown or malformed argument \"%.200s\" in the PAM configuration; see pam_totpd(8)", unknown);
	else if (l->options.with_key && !verified_key(pamh))
		rc = PAM_IGNORE;
	else
		rc = log_in(l);
	end_login(l);
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
