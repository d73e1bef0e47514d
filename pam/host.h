/* The program that the module is in: its PAM handle, its conversation with whoever logs in, its log. */
#ifndef TOTPD_HOST_H
#define TOTPD_HOST_H

#include "module.h"

#include <security/pam_modules.h>
#include <stdbool.h>

struct host {
	pam_handle_t *pamh;
	const char *service;
	bool silent; /* PAM_SILENT: nothing is shown that isn't a question */
};

struct text text_of(const char *s);

/* item returns a text of PAM's: PAM_USER and so on. */
struct text item(pam_handle_t *pamh, int type);

/* converse shows one message through the host's conversation. With an answer wanted it hands over what was typed,
 * to be wiped. */
int converse(pam_handle_t *pamh, int style, const char *text, char **answer);

/* wipe overwrites and frees what was typed; NULL is nothing. */
void wipe(char *typed);

/* The texts of the module's own, for when the daemon, whose all the others are, can't be heard. */
extern const char cant_check[], set_up_wrongly[], no_user_name[];

/* deny is for what the module itself denies. Whoever logs in reads the text with a reference, and the log has
 * under the same reference what is wrong. Returns rc. */
int deny(const struct host *h, int rc, const char *text, const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
