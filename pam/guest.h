/* A Go runtime as a guest in somebody else's process. guest.c says how. */
#ifndef TOTPD_GUEST_H
#define TOTPD_GUEST_H

/* guest_call runs fn(arg), a Go function, on the caller's thread, and starts the Go runtime before the
 * first one. No signal reaches the thread meanwhile, so fn must neither wait nor sleep. Only one call
 * runs at a time in a process; a fork waits for it.
 *
 * Returns NULL after fn has run. Otherwise fn has not run, and what is returned says why: a constant
 * text for a log line. The next call tries again. */
const char *guest_call(void (*fn)(void *), void *arg);

#endif
