#include "reference.h"

#include <stdint.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* None looks like another when it is read aloud or copied by hand; as in daemon/internal/audit. */
static const char letters[] = "23456789ABCDEFGHJKMNPQRSTVWXYZ";

void make_reference(char reference[REFERENCE_SIZE + 1])
{
	enum { HYPHEN = 4 };
	uint64_t random;

	if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random) { /* early in the boot */
		struct timespec t;
		clock_gettime(CLOCK_MONOTONIC, &t);
		random = ((uint64_t)t.tv_nsec << 32 ^ (uint64_t)t.tv_sec << 20 ^ (uint64_t)getpid()) * 0x9e3779b97f4a7c15u;
	}
	for (int i = 0; i < REFERENCE_SIZE; i++) {
		if (i == HYPHEN) {
			reference[i] = '-';
			continue;
		}
		reference[i] = letters[random % (sizeof letters - 1)];
		random /= sizeof letters - 1;
	}
	reference[REFERENCE_SIZE] = '\0';
}
