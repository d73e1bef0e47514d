/* Waiting on the host's thread, with the host's signals, which interrupt it and are the host's. Times are in
 * milliseconds of the monotonic clock. */
#ifndef TOTPD_WAIT_H
#define TOTPD_WAIT_H

#include <stdbool.h>

long long now_ms(void);

/* wait_for waits until the descriptor is ready (poll(2)) or the deadline has passed; returns false then. */
bool wait_for(int fd, short events, long long deadline);

/* pause_for returns false, at once, when the deadline comes before the end of the pause. */
bool pause_for(int ms, long long deadline);

/* A peer that is gone is looked for so often in one turn, after pauses of 10 ms that double to 320 ms. All
 * pauses together are 2.2 s: one that is gone for good denies within 3 s. */
enum { AGAIN_MAX = 11 };

/* pause_again makes the pause before the next look, after so many; returns false when it was looked often
 * enough, or the deadline comes before. */
bool pause_again(int looks, long long deadline);

#endif
