#include "frame.h"

#include "id.h"

#include <string.h>

enum { HEADER_SIZE = 3, PAYLOAD_MAX = WIRE_MAX_FRAME - HEADER_SIZE };

/* The first byte of a frame. */
enum { KIND_OPEN = 1, KIND_ANSWER, KIND_ASK, KIND_TELL, KIND_VERDICT, KIND_TRIAL };

static unsigned char *put_size(unsigned char *to, size_t n)
{
	to[0] = (unsigned char)(n >> 8);
	to[1] = (unsigned char)n;
	return to + 2;
}

size_t put_open(unsigned char out[WIRE_MAX_FRAME], const struct open *o)
{
	const struct text *const texts[] = {&o->user, &o->service, &o->rhost, &o->tty, &o->ruser, &o->authinfo, &o->id};
	enum { TEXTS = sizeof texts / sizeof texts[0] };
	size_t size = 1 + (o->version > WIRE_OLDEST ? 3 : 0);

	if (o->id.n != 0 && o->id.n != ID_SIZE)
		return 0;
	for (size_t i = 0; i < TEXTS; i++) {
		if (texts[i]->n > PAYLOAD_MAX)
			return 0;
		size += 2 + texts[i]->n;
	}
	if (size > PAYLOAD_MAX)
		return 0;

	unsigned char *to = out;
	*to++ = KIND_OPEN;
	to = put_size(to, size);
	*to++ = (unsigned char)o->version;
	for (size_t i = 0; i < TEXTS; i++) {
		to = put_size(to, texts[i]->n);
		if (texts[i]->n > 0)
			memcpy(to, texts[i]->p, texts[i]->n);
		to += texts[i]->n;
	}
	if (o->version > WIRE_OLDEST) {
		to = put_size(to, (size_t)o->columns);
		*to++ = o->combined ? 1 : 0;
	}
	return (size_t)(to - out);
}

static enum frame_kind get_tell(struct frame *f)
{
	if (f->code != WIRE_INFO && f->code != WIRE_ERROR)
		return FRAME_MALFORMED;
	if (f->text.n == 0 || memchr(f->text.p, 0, f->text.n) != NULL)
		return FRAME_MALFORMED;
	return FRAME_TELL;
}

static enum frame_kind get_verdict(const struct frame *f)
{
	if (f->code < WIRE_ACCEPTED || f->code > WIRE_UNAVAILABLE || f->text.n != 0)
		return FRAME_MALFORMED;
	return FRAME_VERDICT;
}

enum frame_kind get_frame(const unsigned char *p, size_t n, struct frame *f)
{
	if (n == 0)
		return FRAME_PART;
	if (p[0] == KIND_OPEN || p[0] == KIND_ANSWER || p[0] == KIND_TRIAL)
		return FRAME_NOT_DUE;
	if (p[0] < KIND_OPEN || p[0] > KIND_TRIAL)
		return FRAME_MALFORMED;
	if (n < HEADER_SIZE)
		return FRAME_PART;
	size_t size = (size_t)p[1] << 8 | p[2];
	if (size == 0 || size > PAYLOAD_MAX)
		return FRAME_MALFORMED;
	if (n < HEADER_SIZE + size)
		return FRAME_PART;

	*f = (struct frame){
		.size = HEADER_SIZE + size,
		.code = p[HEADER_SIZE],
		.text = {.p = (const char *)p + HEADER_SIZE + 1, .n = size - 1},
	};
	switch (p[0]) {
	case KIND_ASK:
		return FRAME_ASK;
	case KIND_TELL:
		return get_tell(f);
	case KIND_VERDICT:
		return get_verdict(f);
	}
	return FRAME_MALFORMED;
}
