#include "options.h"

#include <string.h>

#define DEFAULT_SOCKET "/run/totpd/login.sock"
#define PASSWORD_SOCKET "password.sock" /* beside the other */

/* parse_timeout reads 1 to 30, digits only; anything else is 0. */
static int parse_timeout(const char *s)
{
	int n = 0;
	for (size_t i = 0; s[i] != '\0'; i++) {
		if (s[i] < '0' || s[i] > '9' || i == 2)
			return 0;
		n = n * 10 + (s[i] - '0');
	}
	return n <= 30 ? n : 0;
}

static bool is_socket(const char *path) { return path[0] == '/' && strlen(path) <= SOCKET_MAX; }

/* beside fills in the path of another file in the directory of a socket; returns false when it is too long. */
static bool beside(char path[SOCKET_MAX + 1], const char *socket, const char *file)
{
	size_t dir = (size_t)(strrchr(socket, '/') - socket) + 1;
	if (dir + strlen(file) > SOCKET_MAX)
		return false;
	memcpy(path, socket, dir);
	strcpy(path + dir, file);
	return true;
}

const char *parse_options(struct options *o, int argc, const char **argv)
{
	*o = (struct options){.socket = DEFAULT_SOCKET, .timeout = 10};
	for (int i = 0; i < argc; i++) {
		const char *arg = argv[i];
		if (strncmp(arg, "socket=", 7) == 0) {
			o->socket = arg + 7;
			if (!is_socket(o->socket))
				return arg;
		} else if (strncmp(arg, "password_socket=", 16) == 0) {
			if (!is_socket(arg + 16))
				return arg;
			strcpy(o->password_socket, arg + 16);
		} else if (strncmp(arg, "timeout=", 8) == 0) {
			o->timeout = parse_timeout(arg + 8);
			if (o->timeout == 0)
				return arg;
		} else if (strcmp(arg, "debug") == 0) {
			o->debug = true;
		} else if (strcmp(arg, "with_key") == 0) {
			o->with_key = true;
		} else if (strcmp(arg, "prompt=combined") == 0) {
			o->combined = true;
		} else {
			return arg;
		}
	}
	if (o->combined && o->with_key) /* after a key there is no password to be typed with the code */
		return "prompt=combined with with_key";
	if (o->password_socket[0] == '\0' && !beside(o->password_socket, o->socket, PASSWORD_SOCKET) && o->combined)
		return "password_socket="; /* needed, as the other's path is so long */
	return NULL;
}
