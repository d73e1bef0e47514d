#define _GNU_SOURCE
#include "host.h"
#include "reference.h"

#include <security/pam_appl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

struct text text_of(const char *s)
{
	return (struct text){.p = s, .n = s == NULL ? 0 : strlen(s)};
}

struct text item(pam_handle_t *pamh, int type)
{
	const void *s = NULL;
	if (pam_get_item(pamh, type, &s) != PAM_SUCCESS)
		s = NULL;
	return text_of(s);
}

void wipe(char *typed)
{
	if (typed != NULL) {
		explicit_bzero(typed, strlen(typed));
		free(typed);
	}
}

int converse(pam_handle_t *pamh, int style, const char *text, char **answer)
{
	const void *item = NULL;
	int rc = pam_get_item(pamh, PAM_CONV, &item);
	const struct pam_conv *conv = item;
	if (rc != PAM_SUCCESS || conv == NULL || conv->conv == NULL)
		return PAM_CONV_ERR;
	const struct pam_message message = {.msg_style = style, .msg = text};
	const struct pam_message *messages = &message;
	struct pam_response *responses = NULL;
	rc = conv->conv(1, &messages, &responses, conv->appdata_ptr);
	char *typed = NULL;
	if (rc == PAM_SUCCESS && responses != NULL) { /* after an error they are the host's, whatever they point to */
		typed = responses[0].resp;
		free(responses);
	}
	if (answer == NULL) {
		wipe(typed); /* of a host that answers everything with the password */
		return PAM_SUCCESS; /* a client that shows no texts may still be asked */
	}
	*answer = typed;
	if (rc != PAM_SUCCESS)
		return rc;
	return typed == NULL ? PAM_CONV_ERR : PAM_SUCCESS;
}

const char cant_check[] = "codes can't be checked right now: try again later, or tell your administrator";
const char set_up_wrongly[] = "this login is set up wrongly: tell your administrator";
const char no_user_name[] = "there is no user name: log in again";

int deny(const struct host *h, int rc, const char *text, const char *format, ...)
{
	char reference[REFERENCE_SIZE + 1], why[512], shown[128];
	va_list args;

	make_reference(reference);
	va_start(args, format);
	if (vsnprintf(why, sizeof why, format, args) < 0)
		why[0] = '\0';
	va_end(args);
	host_log(LOG_ERR, h->service, "denied: %s, reference=%s", why, reference);
	if (!h->silent && snprintf(shown, sizeof shown, "%s (reference %s)", text, reference) > 0)
		(void)converse(h->pamh, PAM_ERROR_MSG, shown, NULL);
	return rc;
}
