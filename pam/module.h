/* What the C half and the Go half of the module say to each other. */
#ifndef TOTPD_MODULE_H
#define TOTPD_MODULE_H

#include <stddef.h>

/* wire.MaxFrame, wire.TailsMax, wire.TailMax and wire.Proven; a test holds them together */
#define WIRE_MAX_FRAME (3 + (16 << 10))
#define TAILS_MAX 8
#define TAIL_MAX 32
#define PROVEN "proven"

/* A string of the host's. p may be NULL when n is 0. */
struct text {
	const char *p;
	size_t n;
};

/* What the Go half needs next from the C half. */
enum want {
	WANT_NOTHING = 0, /* before the first step */
	WANT_CONNECT,     /* try again a little later */
	WANT_OUTPUT,      /* wait until fd takes more */
	WANT_INPUT,       /* wait until fd has more */
	WANT_ASK,         /* show text as prompt (style), return the answer */
	WANT_PROOF,       /* return PROVEN if whoever logs in is known to be the user, else nothing */
	WANT_TELL,        /* show text (style) */
	WANT_END,         /* outcome holds the daemon's verdict */
	WANT_AGAIN,       /* the daemon is gone: close fd, set it to -1 and want to WANT_NOTHING; fault, cause */
	WANT_FAULT        /* the dialogue broke: fault says how, and cause is an errno or 0 */
};

/* One login. Zeroed (all but frame) and filled by C, then carried forward by dialogue_step; no pointer
 * into Go. */
struct dialogue {
	/* from C, before the first step */
	struct text socket, user, service, rhost, tty, ruser, authinfo, id;
	int columns, combined; /* see wire.Open */

	/* from C, before the step that follows WANT_ASK or WANT_PROOF */
	struct text answer;

	/* from Go */
	int want;
	int style;   /* a style of PAM: PAM_PROMPT_ECHO_OFF and so on */
	int optional; /* of WANT_ASK: whether no answer is an empty one */
	unsigned char tails[TAILS_MAX]; /* of WANT_ASK in a combined login */
	int tails_n;
	int outcome; /* what to return to PAM */
	int cause;
	const char *fault;
	const char *text; /* with a NUL at its end; in frame */

	/* Go's own */
	int fd; /* closed by C, -1 when there is none */
	int version; /* of the dialogue; 0 before the first */
	int sent;  /* whole frames, through this fd */
	int heard; /* whether anything has come through it */
	size_t begin, end; /* what of frame is to be sent, or has come */
	size_t dirty;      /* how much of frame has been used: C wipes it */
	unsigned char frame[WIRE_MAX_FRAME];
};

/* dialogue_step (step.go) goes on with the dialogue as far as it can without waiting, and sets want.
 * It takes a struct dialogue and runs by guest_call only. */
extern void dialogue_step(void *);

/* host_log writes one line to the system log as "pam_totpd(SERVICE:auth): TEXT". It leaves the host's
 * own connection to the log, and errno, as they are. */
void host_log(int priority, const char *service, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
