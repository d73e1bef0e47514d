/* The frames of the login dialogue that C reads and writes; package daemon/wire says what they are, and a test
 * holds this to it. Questions and answers are read and written in Go. */
#ifndef TOTPD_FRAME_H
#define TOTPD_FRAME_H

#include "module.h"

/* wire.Style of a Tell, wire.Outcome */
enum { WIRE_INFO = 2, WIRE_ERROR = 3 };
enum { WIRE_ACCEPTED = 1, WIRE_NOT_DUE = 2, WIRE_REFUSED = 3, WIRE_UNAVAILABLE = 4 };

/* put_open writes an Open and returns its size, or 0 when the items of PAM are too long for a frame. */
size_t put_open(unsigned char out[WIRE_MAX_FRAME], const struct open *o);

enum frame_kind {
	FRAME_PART = 0, /* the rest is yet to come */
	FRAME_ASK,      /* whole; its content isn't looked at */
	FRAME_TELL,
	FRAME_VERDICT,
	FRAME_NOT_DUE,  /* nothing that a daemon sends */
	FRAME_MALFORMED,
};

struct frame {
	size_t size;      /* of the frame with its header, unless it is in part, not due or malformed */
	int code;         /* style of a Tell, outcome of a Verdict */
	struct text text; /* of a Tell: not empty, no NUL inside, and none behind it */
};

/* get_frame reads the frame at the beginning of the n bytes at p. */
enum frame_kind get_frame(const unsigned char *p, size_t n, struct frame *f);

#endif
