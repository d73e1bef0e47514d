#define _GNU_SOURCE
#include "wait.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

long long now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

bool wait_for(int fd, short events, long long deadline)
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

bool pause_for(int ms, long long deadline)
{
	struct timespec left = {.tv_nsec = ms * 1000 * 1000};
	if (now_ms() + ms >= deadline)
		return false;
	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
	return true;
}

bool pause_again(int looks, long long deadline)
{
	enum { PAUSE_MIN = 10, PAUSE_MAX = 320 };
	int pause = PAUSE_MIN;
	for (int i = 0; i < looks && pause < PAUSE_MAX; i++)
		pause *= 2;
	return pause_for(pause, deadline);
}
