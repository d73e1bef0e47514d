/* What the C half and the Go half of the module say to each other. */
#ifndef TOTPD_MODULE_H
#define TOTPD_MODULE_H

#include <stddef.h>

/* The limits and numbers of package daemon/wire; a test holds them together. */
#define WIRE_MAX_FRAME (3 + (16 << 10))
#define TAILS_MAX 8
#define TAIL_MAX 32
#define PROVEN "proven"
enum { WIRE_OLDEST = 1, WIRE_VERSION = 2 };

/* A string of the host's. p may be NULL when n is 0. */
struct text {
	const char *p;
	size_t n;
};

/* wire.Open. An item that isn't set is empty. */
struct open {
	int version;
	struct text user, service, rhost, tty, ruser, authinfo, id;
	int columns, combined; /* in Version 2 */
};

/* What a step of the dialogue needs next from module.c. */
enum want {
	WANT_NOTHING = 0, /* before the first step */
	WANT_CONNECT,     /* try again a little later */
	WANT_OUTPUT,      /* wait until fd takes more */
	WANT_INPUT,       /* wait until fd has more */
	WANT_ASK,         /* show text as prompt (style), return the answer */
	WANT_PROOF,       /* return PROVEN if whoever logs in is known to be the user, else nothing */
	WANT_TELL,        /* show text (style) */
	WANT_END,         /* outcome holds the daemon's verdict */
	WANT_AGAIN,       /* the daemon is gone: begin again; fault, cause */
	WANT_FAULT        /* the dialogue broke: fault says how, and cause is an errno or 0 */
};

/* How a dialogue breaks; module.c has a text for each. */
enum fault {
	FAULT_INTERNAL,
	FAULT_SOCKET,
	FAULT_CONNECT,
	FAULT_OPEN,
	FAULT_SEND,
	FAULT_RECEIVE,
	FAULT_HUNG_UP,
	FAULT_MALFORMED,
	FAULT_ORDER,
	FAULTS
};

/* One login. Zeroed (all but frame) and filled by module.c, then carried forward by the steps: opening_step up to
 * the first question, dialogue_step from there. No pointer into Go. */
struct dialogue {
	/* before the first step */
	struct text socket;
	struct open open;

	/* before the step that follows WANT_ASK or WANT_PROOF */
	struct text answer;

	/* from the steps */
	int want;
	int style;    /* a style of PAM: PAM_PROMPT_ECHO_OFF and so on */
	int optional; /* of WANT_ASK: whether no answer is an empty one */
	unsigned char tails[TAILS_MAX]; /* of WANT_ASK in a combined login */
	int tails_n;
	int outcome; /* what to return to PAM */
	int fault, cause;
	const char *text; /* with a NUL at its end; in frame */

	/* the steps' own, of this connection */
	int fd;       /* closed by module.c, -1 when there is none */
	int opened;   /* whether the whole Open was sent */
	int heard;    /* whether anything has come */
	int asked;    /* whether a question has come: Go goes on */
	int answered; /* whole answers that were sent */
	size_t begin, end; /* what of frame is to be sent, or has come */
	size_t dirty;      /* how much of frame has been used: C wipes it */
	unsigned char frame[WIRE_MAX_FRAME];
};

/* dialogue_step (step.go) goes on with the dialogue from a question as far as it can without waiting, and sets
 * want. It takes a struct dialogue and runs by guest_call only. */
extern void dialogue_step(void *);

/* host_log writes one line to the system log as "pam_totpd(SERVICE:auth): TEXT". It leaves the host's
 * own connection to the log, and errno, as they are. */
void host_log(int priority, const char *service, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
