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

/* A peer that lives takes what it is sent at once, however long it thinks about it, and one that is restarted is
 * back within this time. One that is gone, hangs or can't be started isn't waited for any longer. */
enum { ABSENT_MS = 2500 };

/* pause_again makes the pause before the next look for a peer that is gone, after so many: 10 ms, which double to
 * 320 ms. Returns false, at once, when the deadline comes before the end of the pause. */
bool pause_again(int looks, long long deadline);

#endif
