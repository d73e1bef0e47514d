/* What was typed in a combined login (wire.Open): a password with a code behind it. */
#ifndef TOTPD_COMBINED_H
#define TOTPD_COMBINED_H

#include "module.h"

#include <stdbool.h>

/* A way to take the two apart: the first head bytes, and n bytes from tail on. */
struct cut {
	size_t head, tail, n;
	bool digits; /* as many as one of tails says: a device's code, as good as sure */
};

enum { CUTS_MAX = TAILS_MAX + 1 };

/* cuts fills in all ways, the likeliest first, and returns how many there are. A code is as many digits as
 * one of tails says, at the end; a blank before it doesn't belong to the password. Unless digits is set, it
 * can also be another long word behind a blank: a recovery code. A password isn't empty. */
int cuts(struct cut out[CUTS_MAX], const char *typed, const unsigned char *tails, int tails_n, bool digits);

#endif
