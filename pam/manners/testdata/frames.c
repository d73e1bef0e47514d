/* The C half's frames, for a test to compare with package daemon/wire. Reads requests from standard input and
 * answers each on standard output; all numbers are of four bytes, little endian.
 *
 *	'O' version columns combined, then seven texts   -> a text: the frame, or an empty one
 *	'F' a text: what has come                        -> kind size code, and a text
 *
 * A text is its length and its bytes. What has come lies in memory of just its size, so that a sanitizer sees
 * what is read beside it. */
#include "../../frame.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t number(void)
{
	uint32_t n;
	if (fread(&n, sizeof n, 1, stdin) != 1)
		exit(2);
	return n;
}

static void put(uint32_t n) { fwrite(&n, sizeof n, 1, stdout); }

static char *text(size_t *n)
{
	*n = number();
	char *p = malloc(*n);
	if (*n > 0 && (p == NULL || fread(p, *n, 1, stdin) != 1))
		exit(2);
	return p;
}

static void put_text(const void *p, size_t n)
{
	put((uint32_t)n);
	if (n > 0)
		fwrite(p, n, 1, stdout);
}

static void write_open(void)
{
	static unsigned char out[WIRE_MAX_FRAME];
	struct open o = {.version = (int)number(), .columns = (int)number(), .combined = (int)number()};
	struct text *texts[] = {&o.user, &o.service, &o.rhost, &o.tty, &o.ruser, &o.authinfo, &o.id};
	char *held[7];
	for (int i = 0; i < 7; i++) {
		texts[i]->p = held[i] = text(&texts[i]->n);
		if (texts[i]->n == 0)
			texts[i]->p = NULL;
	}
	put_text(out, put_open(out, &o));
	for (int i = 0; i < 7; i++)
		free(held[i]);
}

static void read_frame(void)
{
	struct frame f = {0};
	size_t n;
	char *p = text(&n);
	put((uint32_t)get_frame((const unsigned char *)p, n, &f));
	put((uint32_t)f.size);
	put((uint32_t)f.code);
	put_text(f.text.p, f.text.n);
	free(p);
}

int main(void)
{
	for (int c; (c = getchar()) != EOF; fflush(stdout)) {
		if (c == 'O')
			write_open();
		else if (c == 'F')
			read_frame();
		else
			return 2;
	}
	return 0;
}
