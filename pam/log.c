/* Lines for the system log. syslog(3) belongs to the host: it has opened it under its own name or not,
 * and a first use by us would leave a descriptor behind. So each line takes a socket of its own. */
#define _GNU_SOURCE
#include "module.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

void host_log(int priority, const char *service, const char *format, ...)
{
	static const struct sockaddr_un log = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
	char line[1024];
	int saved = errno;
	/* No time stamp: to build one, the C library would read the host's time zone. Every syslogd adds it. */
	int n = snprintf(line, sizeof line, "<%d>%s[%d]: pam_totpd(%s:auth): ", LOG_AUTHPRIV | priority,
			 program_invocation_short_name, (int)getpid(), service);
	if (n > 0 && (size_t)n < sizeof line) {
		va_list args;
		va_start(args, format);
		int more = vsnprintf(line + n, sizeof line - (size_t)n, format, args);
		va_end(args);
		n = more < 0 ? n : n + more;
		size_t len = (size_t)n < sizeof line ? (size_t)n : sizeof line - 1;
		for (size_t i = 0; i < len; i++) /* a name in the line must not begin a second one */
			if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
				line[i] = '?';
		int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fd >= 0) {
			(void)sendto(fd, line, len, MSG_NOSIGNAL, (const struct sockaddr *)&log, sizeof log);
			close(fd);
		}
	}
	errno = saved;
}
