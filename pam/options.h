/* The arguments of the module's line in a PAM configuration: pam_totpd(8). */
#ifndef TOTPD_OPTIONS_H
#define TOTPD_OPTIONS_H

#include <stdbool.h>

#define SOCKET_MAX 107 /* sun_path of unix(7) without its NUL */

struct options {
	const char *socket;
	char password_socket[SOCKET_MAX + 1]; /* empty where there is no room for a path beside the other one */
	int timeout; /* seconds for the daemon's part of each turn */
	bool debug;
	bool with_key; /* no opinion unless sshd has verified a key; what is missing then is the code alone */
	bool combined; /* password and code are typed together */
};

/* parse_options returns the argument that it can't take, or NULL. socket points into argv. */
const char *parse_options(struct options *o, int argc, const char **argv);

#endif
