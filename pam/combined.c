#include "combined.h"

#include <string.h>

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

static bool all_digits(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!is_digit(p[i]))
			return false;
	return true;
}

/* is_word says whether the text can be a code that no device makes. None has fewer letters and digits. */
static bool is_word(const char *p, size_t n)
{
	enum { SHORTEST = 8 };
	size_t hyphens = 0;
	for (size_t i = 0; i < n; i++) {
		hyphens += p[i] == '-';
		if (!is_digit(p[i]) && !is_letter(p[i]) && p[i] != '-')
			return false;
	}
	return n - hyphens >= SHORTEST && n <= TAIL_MAX;
}

int cuts(struct cut out[CUTS_MAX], const char *typed, const unsigned char *tails, int tails_n, bool digits)
{
	size_t len = strlen(typed);
	const char *blank = strrchr(typed, ' ');
	size_t word = blank == NULL || blank == typed ? len : (size_t)(blank - typed) + 1; /* where the last one begins */
	struct cut behind_blank = {.head = word - 1, .tail = word, .n = len - word};
	bool one_of_tails = false;
	int n = 0;

	for (int i = 0; i < tails_n; i++)
		one_of_tails |= behind_blank.n == tails[i] && all_digits(typed + word, tails[i]);
	behind_blank.digits = one_of_tails;
	if (one_of_tails)
		out[n++] = behind_blank;
	for (int i = 0; i < tails_n; i++)
		if (len > tails[i] && all_digits(typed + len - tails[i], tails[i]))
			out[n++] = (struct cut){.head = len - tails[i], .tail = len - tails[i], .n = tails[i], .digits = true};
	if (!one_of_tails && !digits && is_word(typed + word, behind_blank.n))
		out[n++] = behind_blank;
	return n;
}
