#define _GNU_SOURCE
#include "id.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* kept lies on the PAM handle. A child has a copy of it, and is no part of the login. */
struct kept {
	pid_t process;
	char id[ID_SIZE + 1];
};

#define KEPT "pam_totpd_id"

static void forget(pam_handle_t *pamh, void *data, int status)
{
	(void)pamh, (void)status;
	if (data != NULL) {
		explicit_bzero(data, sizeof(struct kept));
		free(data);
	}
}

static void make_id(char id[ID_SIZE + 1])
{
	unsigned char random[ID_SIZE / 2];
	id[0] = '\0';
	if (getrandom(random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random)
		return;
	for (size_t i = 0; i < sizeof random; i++) {
		id[2 * i] = "0123456789abcdef"[random[i] >> 4];
		id[2 * i + 1] = "0123456789abcdef"[random[i] & 15];
	}
	id[ID_SIZE] = '\0';
	explicit_bzero(random, sizeof random);
}

void take_id(pam_handle_t *pamh, char id[ID_SIZE + 1])
{
	const void *data = NULL;
	if (pam_get_data(pamh, KEPT, &data) == PAM_SUCCESS && data != NULL) {
		const struct kept *kept = data;
		if (kept->process == getpid()) {
			memcpy(id, kept->id, sizeof kept->id);
			return;
		}
	}
	make_id(id);
}

void keep_id(pam_handle_t *pamh, const char id[ID_SIZE + 1], int rc)
{
	struct kept *kept = NULL;
	/* Without memory for it the next call is another login. */
	if (rc != PAM_SUCCESS && rc != PAM_IGNORE && (kept = malloc(sizeof *kept)) != NULL) {
		kept->process = getpid();
		memcpy(kept->id, id, sizeof kept->id);
	}
	if (pam_set_data(pamh, KEPT, kept, forget) != PAM_SUCCESS)
		forget(pamh, kept, 0);
}
