/* Is this the user's password? totpd-password knows. */
#ifndef TOTPD_PASSWORD_H
#define TOTPD_PASSWORD_H

#include "module.h"

enum password {
	PASSWORD_UNKNOWN = 0, /* nobody could tell: fault and cause say why */
	PASSWORD_RIGHT,       /* also of an account that is expired: that is for others to see */
	PASSWORD_WRONG,
};

/* What went wrong: a text for the log, and an errno or 0. reason is totpd-password's own, or empty. */
struct password_fault {
	const char *fault;
	int cause;
	char reason[256];
};

/* check_password asks on the Unix socket at path, until the deadline (wait.h) at the most, about the user of the
 * login. Only root may. The password goes to a process of root's, and nowhere else; no copy of it stays. */
enum password check_password(const char *path, const struct open *login, struct text password, long long deadline,
			     struct password_fault *fault);

#endif
