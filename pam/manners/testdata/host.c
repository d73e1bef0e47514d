/* A PAM host for the tests of the module's manners: host SCENARIO CONFDIR [COUNT]
 *
 * Each scenario is a function below; it exits 0 when the module behaved. The service "totp" has the
 * module alone, "idle" has it in all four stacks beside pam_permit. The daemon is the test's. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <pthread.h>
#include <security/pam_appl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SEATS = 4 }; /* as in guest.c */

static const char *confdir;
static int count;
extern char **environ;

static void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
static void fail(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	_exit(1);
}

#define CHECK(cond) do { if (!(cond)) fail("line %d: not true: %s (errno %d)", __LINE__, #cond, errno); } while (0)

/* ---- the person ---- */

struct person {
	const char *code;
	void (*meanwhile)(void); /* runs while the prompt is shown */
	int gives_up; /* after so many answers; 0: never */
	int asked;
	char told[8192];
};

static int conversation(int n, const struct pam_message **m, struct pam_response **out, void *data)
{
	struct person *p = data;
	struct pam_response *r = calloc((size_t)n, sizeof *r);
	for (int i = 0; i < n; i++) {
		if (m[i]->msg_style == PAM_TEXT_INFO || m[i]->msg_style == PAM_ERROR_MSG) {
			strncat(p->told, m[i]->msg, sizeof p->told - strlen(p->told) - 1);
			continue;
		}
		p->asked++;
		if (p->meanwhile != NULL)
			p->meanwhile();
		if (p->code == NULL || (p->gives_up > 0 && p->asked > p->gives_up)) { /* as a careless host: it points to what is freed already */
			*out = r;
			free(r);
			return PAM_CONV_ERR;
		}
		r[i].resp = strdup(p->code);
	}
	*out = r;
	return PAM_SUCCESS;
}

static int login_flags;

static int login_by(const char *service, const char *user, struct person *p)
{
	struct pam_conv conv = {conversation, p};
	pam_handle_t *h = NULL;
	if (pam_start_confdir(service, user, &conv, confdir, &h) != PAM_SUCCESS)
		return PAM_SYSTEM_ERR;
	int rc = pam_authenticate(h, login_flags);
	pam_end(h, rc);
	return rc;
}

static int login_as(const char *user, struct person *p) { return login_by("totp", user, p); }

/* A handle that stays open, for hosts with threads: libpam's own start (files, dlopen, syslog) takes
 * locks of the C library that a fork in another thread would leave locked in the child. */
static pam_handle_t *open_handle(void)
{
	static struct person p = {.code = "123456"};
	struct pam_conv conv = {conversation, &p};
	pam_handle_t *h = NULL;
	CHECK(pam_start_confdir("totp", "alice", &conv, confdir, &h) == PAM_SUCCESS);
	return h;
}

static int login(const char *code)
{
	struct person p = {.code = code};
	return login_as("alice", &p);
}

/* ---- what must stay as it was ---- */

struct state {
	int threads, fds;
	long size_kb;
	sigset_t mask;
	struct sigaction actions[65];
	char **env;
	pid_t children;
};

static long status_field(const char *name)
{
	char line[256];
	long value = -1;
	FILE *f = fopen("/proc/self/status", "r");
	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		if (strncmp(line, name, strlen(name)) == 0)
			value = atol(line + strlen(name) + 1);
	if (f != NULL)
		fclose(f);
	return value;
}

static int open_fds(void)
{
	int n = 0;
	DIR *d = opendir("/proc/self/fd");
	while (d != NULL && readdir(d) != NULL)
		n++;
	if (d != NULL)
		closedir(d);
	return n - 3; /* . and .. and d's own */
}

static struct state look(void)
{
	struct state s = {.threads = (int)status_field("Threads:"), .fds = open_fds(), .size_kb = status_field("VmSize:"), .env = environ};
	sigprocmask(SIG_SETMASK, NULL, &s.mask);
	for (int i = 1; i < 65; i++)
		if (sigaction(i, NULL, &s.actions[i]) != 0)
			memset(&s.actions[i], 0, sizeof s.actions[i]);
	s.children = waitpid(-1, NULL, WNOHANG);
	return s;
}

static void same(const struct state *a, const struct state *b)
{
	if (a->fds != b->fds)
		fail("open descriptors: %d, then %d", a->fds, b->fds);
	if (memcmp(&a->mask, &b->mask, sizeof a->mask) != 0)
		fail("the signal mask has changed");
	for (int i = 1; i < 65; i++)
		if (a->actions[i].sa_handler != b->actions[i].sa_handler || a->actions[i].sa_flags != b->actions[i].sa_flags)
			fail("the disposition of signal %d has changed", i);
	if (a->env != b->env)
		fail("environ has moved");
	CHECK(b->children == -1);
}

/* ---- scenarios ---- */

static void dormant(void)
{
	struct person p = {0};
	struct pam_conv conv = {conversation, &p};
	pam_handle_t *h;
	/* libpam itself and pam_permit, loaded before */
	CHECK(pam_start_confdir("permit", "alice", &conv, confdir, &h) == PAM_SUCCESS && pam_setcred(h, PAM_ESTABLISH_CRED) == PAM_SUCCESS);
	struct state before = look();
	pam_handle_t *g;
	CHECK(pam_start_confdir("idle", "alice", &conv, confdir, &g) == PAM_SUCCESS);
	CHECK(pam_setcred(g, PAM_ESTABLISH_CRED) == PAM_SUCCESS);
	CHECK(pam_acct_mgmt(g, 0) == PAM_SUCCESS);
	CHECK(pam_open_session(g, 0) == PAM_SUCCESS);
	CHECK(pam_close_session(g, 0) == PAM_SUCCESS);
	struct state after = look();
	same(&before, &after);
	CHECK(after.threads == 1);
	if (after.size_kb - before.size_kb > 4096)
		fail("address space has grown by %ld kB", after.size_kb - before.size_kb);
	printf("address space +%ld kB\n", after.size_kb - before.size_kb);
	pam_end(g, 0);
	pam_end(h, 0);
}

static void limit_to(int resource, rlim_t n)
{
	struct rlimit r = {n, n};
	CHECK(setrlimit(resource, &r) == 0);
}

static void dormant_in_64_mb(void)
{
	limit_to(RLIMIT_AS, 64 << 20);
	dormant();
}

/* unasked: COUNT logins of users who are asked nothing. Nothing of the Go runtime is there afterwards. */
static void unasked(void)
{
	struct person first = {0};
	CHECK(login_by("permit", "alice", &first) == PAM_SUCCESS); /* what libpam itself takes */
	struct state before = look();
	for (int i = 0; i < count; i++) {
		struct person p = {0};
		CHECK(login_by("idle", "alice", &p) == PAM_SUCCESS);
		CHECK(p.asked == 0 && strcmp(p.told, "hello\n") == 0);
	}
	struct state after = look();
	same(&before, &after);
	CHECK(after.threads == 1);
	if (after.size_kb - before.size_kb > 4096)
		fail("address space has grown by %ld kB", after.size_kb - before.size_kb);
	printf("address space +%ld kB\n", after.size_kb - before.size_kb);
}

/* The same in a program with little address space. Who is asked for a code there is denied, and told so. */
static void unasked_in_64_mb(void)
{
	limit_to(RLIMIT_AS, 64 << 20);
	unasked();
	struct person p = {.code = "123456"};
	CHECK(login_by("asks", "alice", &p) == PAM_SYSTEM_ERR);
	CHECK(p.asked == 0 && strstr(p.told, "can't be checked right now: try again later, or tell your administrator (reference ") != NULL);
	unasked();
}

/* unasked-then-capabilities: a server that keeps one capability in its own thread and then changes its uid, as
 * proftpd does. The C library ends a process whose other threads can't follow. */
static void unasked_then_capabilities(void)
{
	unasked();
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{.effective = 1 << CAP_SETUID, .permitted = 1 << CAP_SETUID}};
	CHECK(prctl(PR_SET_KEEPCAPS, 1) == 0);
	CHECK(setreuid(1001, 1001) == 0);
	CHECK(syscall(SYS_capset, &header, data) == 0);
	CHECK(setresuid((uid_t)-1, 0, (uid_t)-1) == 0);
	CHECK(getuid() == 1001 && geteuid() == 0);
}

static void many(void)
{
	CHECK(login("123456") == PAM_SUCCESS);
	struct state before = look();
	long rss = 0;
	for (int i = 0; i < count; i++) {
		CHECK(login("123456") == PAM_SUCCESS);
		CHECK(login("654321") == PAM_AUTH_ERR);
		if (i == count / 10)
			rss = status_field("VmRSS:");
	}
	struct state after = look();
	same(&before, &after);
	CHECK(after.threads == before.threads);
	if (status_field("VmRSS:") - rss > 256 || after.size_kb != before.size_kb)
		fail("memory grows: VmRSS by %ld kB, VmSize by %ld kB", status_field("VmRSS:") - rss, after.size_kb - before.size_kb);
}

static void takes(void)
{
	struct state before = look();
	CHECK(login("123456") == PAM_SUCCESS);
	struct state after = look();
	same(&before, &after);
	long more = after.size_kb - before.size_kb;
	printf("threads %d, address space +%ld kB, resident %ld kB\n", after.threads, more, status_field("VmRSS:"));
	if (more > 1600 << 10)
		fail("a start takes more address space than guest.c tries");
	CHECK(after.threads == 1 + SEATS);
}

/* await fails when the child doesn't end well within 20 s. */
static void await(pid_t child)
{
	for (int i = 0; i < 200000; i++) {
		int status;
		pid_t got = waitpid(child, &status, WNOHANG);
		CHECK(got == 0 || got == child);
		if (got == child) {
			if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
				fail("child %d: status %x", (int)child, status);
			return;
		}
		usleep(100);
	}
	kill(child, SIGKILL);
	fail("child %d hangs", (int)child);
}

static void fork_and(void (*what)(void))
{
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		what();
		_exit(0);
	}
	await(child);
}

static void one(void) { CHECK(login("123456") == PAM_SUCCESS); }

static void forks(void)
{
	for (int i = 0; i < count; i++) {
		one();
		fork_and(one);
	}
}

static int depth;
static void nest(void)
{
	one();
	if (++depth < count)
		fork_and(nest);
	one();
}

static void in_the_prompt(void)
{
	struct person p = {.code = "123456"};
	CHECK(login_as("bob", &p) == PAM_SUCCESS);
	fork_and(one);
}

static void two_handles(void)
{
	for (int i = 0; i < count; i++) {
		struct person p = {.code = "123456", .meanwhile = in_the_prompt};
		CHECK(login_as("alice", &p) == PAM_SUCCESS && p.asked == 1);
	}
}

static void *logins(void *unused)
{
	(void)unused;
	for (int i = 0; i < count; i++)
		one();
	return NULL;
}

static void threads(void)
{
	pthread_t t[8];
	for (int i = 0; i < 8; i++)
		CHECK(pthread_create(&t[i], NULL, logins, NULL) == 0);
	for (int i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
}

static atomic_bool stop;
static void *logins_until_stop(void *handle)
{
	while (!stop)
		CHECK(pam_authenticate(handle, 0) == PAM_SUCCESS);
	return NULL;
}

static pam_handle_t *own;
static void own_login(void) { CHECK(pam_authenticate(own, 0) == PAM_SUCCESS); }

static void threads_and_forks(void)
{
	pthread_t t[4];
	own = open_handle();
	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&t[i], NULL, logins_until_stop, open_handle()) == 0);
	for (int i = 0; i < count; i++)
		fork_and(own_login);
	stop = true;
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}

/* The same while the runtime starts. */
static void forks_at_start(void)
{
	int times = count;
	count = 5;
	for (int i = 0; i < times; i++)
		fork_and(threads_and_forks);
}

static void threads_in_child(void)
{
	one();
	fork_and(threads);
}

static void closed(void)
{
	for (int i = 0; i < count; i++) {
		one();
		CHECK(close_range(3, ~0U, 0) == 0);
	}
}

/* Address-space limits from hopeless to ample: an error or a login, and the host lives. */
static void short_of_space(void)
{
	int refused = 0, let = 0;
	for (long mb = 4; mb <= 2048; mb += mb < 64 ? 4 : 32) {
		pid_t child = fork();
		CHECK(child >= 0);
		if (child == 0) {
			limit_to(RLIMIT_AS, (rlim_t)(status_field("VmSize:") + mb * 1024) * 1024);
			int rc = login("123456");
			_exit(rc == PAM_SUCCESS ? 0 : rc == PAM_SYSTEM_ERR || rc == PAM_BUF_ERR || rc == PAM_ABORT || rc == PAM_MODULE_UNKNOWN ? 1 : 2);
		}
		int status;
		CHECK(waitpid(child, &status, 0) == child);
		if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
			fail("with %ld MB to spare: status %x", mb, status);
		refused += WEXITSTATUS(status);
		let += !WEXITSTATUS(status);
	}
	printf("refused %d, let in %d\n", refused, let);
	CHECK(refused > 0 && let > 0);
}

static void short_of_data(void)
{
	int refused = 0;
	for (long mb = 1; mb <= 128; mb++) {
		pid_t child = fork();
		CHECK(child >= 0);
		if (child == 0) {
			limit_to(RLIMIT_DATA, (rlim_t)(status_field("VmData:") + mb * 1024) * 1024);
			int rc = login("123456");
			_exit(rc == PAM_SUCCESS ? 0 : rc == PAM_SYSTEM_ERR ? 1 : 2);
		}
		int status;
		CHECK(waitpid(child, &status, 0) == child);
		if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
			fail("with %ld MB of data to spare: status %x", mb, status);
		refused += WEXITSTATUS(status);
	}
	CHECK(refused > 0 && refused < 128);
}

static void *sleeper(void *unused)
{
	(void)unused;
	pause();
	return NULL;
}

/* No thread to be had, as for a screen locker of a user at the limit: an error, then well again. */
static void short_of_threads(void)
{
	CHECK(setgroups(0, NULL) == 0 && setgid(64999) == 0 && setuid(64999) == 0);
	for (int more = 0; more <= SEATS; more++) {
		pid_t child = fork();
		CHECK(child >= 0);
		if (child == 0) {
			pthread_t t;
			struct rlimit r = {(rlim_t)(2 + more), 64}; /* this process, its parent and so many more */
			CHECK(setrlimit(RLIMIT_NPROC, &r) == 0);
			int rc = login("123456");
			CHECK(rc == (more < SEATS ? PAM_SYSTEM_ERR : PAM_SUCCESS));
			r.rlim_cur = 64;
			CHECK(setrlimit(RLIMIT_NPROC, &r) == 0);
			CHECK(login("123456") == PAM_SUCCESS);
			CHECK(pthread_create(&t, NULL, sleeper, NULL) == 0);
			_exit(0);
		}
		await(child);
	}
}

static volatile sig_atomic_t got[65];
static pid_t handled_by;
static void note(int sig)
{
	got[sig]++;
	handled_by = (pid_t)syscall(SYS_gettid);
}

static void signals(void)
{
	static const int all[] = {SIGALRM, SIGCHLD, SIGTERM, SIGINT, SIGPIPE, SIGHUP, SIGUSR1, SIGURG, SIGPROF, SIGWINCH};
	struct sigaction a = {.sa_handler = note};
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		CHECK(sigaction(all[i], &a, NULL) == 0);
	one();
	for (int round = 0; round < count; round++)
		for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
			int before = got[all[i]];
			CHECK(kill(getpid(), all[i]) == 0);
			for (int ms = 0; got[all[i]] == before && ms < 2000; ms++)
				usleep(1000);
			if (got[all[i]] != before + 1)
				fail("signal %d came %d times", all[i], got[all[i]] - before);
			CHECK(handled_by == getpid());
		}
	/* and while the daemon keeps the module waiting or the person types */
	struct person p = {.code = "123456"};
	alarm(1);
	CHECK(login_as("slow", &p) == PAM_SUCCESS);
	CHECK(got[SIGALRM] == count + 1 && handled_by == getpid());
}

/* A host that blocks SIGCHLD and reads it: children die all the time while it logs people in. */
static void child_signals(int how)
{
	sigset_t chld, none;
	sigemptyset(&none);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	struct sigaction a = {.sa_handler = how == 2 ? note : SIG_DFL};
	CHECK(sigaction(SIGCHLD, &a, NULL) == 0);
	CHECK(sigprocmask(SIG_BLOCK, &chld, NULL) == 0);
	int fd = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
	unsigned seed = 1;
	for (int i = 0; i < count; i++) {
		pid_t child = fork();
		CHECK(child >= 0);
		if (child == 0) {
			usleep((unsigned)rand_r(&seed) % 1200);
			_exit(0);
		}
		(void)rand_r(&seed);
		one();
		if (how == 0) {
			struct pollfd p = {.fd = fd, .events = POLLIN};
			struct signalfd_siginfo info;
			if (poll(&p, 1, 3000) != 1)
				fail("round %d: no SIGCHLD on the signalfd", i);
			CHECK(read(fd, &info, sizeof info) == sizeof info && info.ssi_pid == (unsigned)child);
		} else if (how == 1) {
			struct timespec t = {.tv_sec = 3};
			if (sigtimedwait(&chld, NULL, &t) != SIGCHLD)
				fail("round %d: no SIGCHLD for sigtimedwait", i);
		} else {
			struct timespec t = {.tv_sec = 3};
			got[SIGCHLD] = 0;
			if (ppoll(NULL, 0, &t, &none) != -1 || got[SIGCHLD] != 1)
				fail("round %d: ppoll saw no SIGCHLD", i);
		}
		await(child);
	}
}

static void chld_signalfd(void) { child_signals(0); }
static void chld_sigwait(void) { child_signals(1); }
static void chld_ppoll(void) { child_signals(2); }

/* The same at the very first login of a process, when the runtime starts. */
static void chld_first(void)
{
	int times = count;
	count = 1;
	for (int i = 0; i < times; i++)
		fork_and(chld_signalfd);
}

static void identity(void)
{
	one();
	gid_t groups[] = {1, 2};
	CHECK(setgroups(2, groups) == 0);
	CHECK(setresgid(64999, 64999, 64999) == 0);
	CHECK(setuid(64999) == 0);
	CHECK(getuid() == 64999 && geteuid() == 64999);
	one();
}

static void cancelled(void)
{
	struct state before = look();
	struct person p = {.code = NULL};
	CHECK(login_as("alice", &p) == PAM_CONV_ERR && p.asked == 1);
	struct state after = look();
	same(&before, &after);
	one();
}

static void long_answer(void)
{
	static char code[100000];
	memset(code, '1', sizeof code - 1);
	CHECK(login(code) == PAM_AUTH_ERR);
	CHECK(login("") == PAM_AUTH_ERR);
}

static void environment(void)
{
	setenv("GOMAXPROCS", "64", 1);
	setenv("GODEBUG", "inittrace=1,schedtrace=1,gctrace=1", 1);
	setenv("GOGC", "1", 1);
	setenv("GOTRACEBACK", "crash", 1);
	one();
	CHECK(status_field("Threads:") == 1 + SEATS);
	CHECK(strcmp(getenv("GOGC"), "1") == 0);
}

/* denied DEADLINE_MS: one login that must fail within that time. For the hostile daemons. Prints what was told. */
static void denied(void)
{
	struct state before = look();
	struct timespec a, b;
	struct person p = {.code = "123456"};
	clock_gettime(CLOCK_MONOTONIC, &a);
	int rc = login_as("alice", &p);
	clock_gettime(CLOCK_MONOTONIC, &b);
	long ms = (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
	struct state after = look();
	same(&before, &after);
	if (rc == PAM_SUCCESS || rc == PAM_IGNORE)
		fail("let in: %d", rc);
	if (ms > count)
		fail("took %ld ms", ms);
	printf("%s after %ld ms, %d questions, %d threads, told %s\n", pam_strerror(NULL, rc), ms, p.asked, after.threads, p.told);
}

/* denied-silently: the same for a host that wants no texts. */
static void denied_silently(void)
{
	login_flags = PAM_SILENT;
	denied();
}

/* name: the user name is read from standard input, up to its end. Prints the result. */
static void named(void)
{
	static char name[1 << 16];
	size_t n = fread(name, 1, sizeof name - 1, stdin);
	name[n] = '\0';
	struct person p = {.code = "123456"};
	printf("%d\n", login_as(name, &p));
}

static void think(void) { usleep((unsigned)count * 1000); }

/* typed: one login. "USER ANSWER" is read from standard input, and the person takes COUNT ms to type. Prints
 * the result, how many questions the person was asked, and what was told. */
static void typed(void)
{
	static char user[64], code[2048];
	CHECK(scanf("%63s%*1[ ]%2047[^\n]", user, code) >= 1);
	struct person p = {.code = code, .meanwhile = think};
	struct state before = look();
	int rc = login_as(user, &p);
	struct state after = look();
	same(&before, &after);
	printf("%d, asked %d, told %s\n", rc, p.asked, p.told);
}

/* typed-by-user: as typed, in a host that isn't root. */
static void typed_by_user(void)
{
	CHECK(setgroups(0, NULL) == 0 && setresgid(64999, 64999, 64999) == 0 && setuid(64999) == 0);
	typed();
}

/* keyed: one login of alice's at sshd, which has verified a key of hers when COUNT is 1, and else a password.
 * Prints the result. */
static void keyed(void)
{
	struct person p = {.code = "123456"};
	struct pam_conv conv = {conversation, &p};
	pam_handle_t *h = NULL;
	CHECK(pam_start_confdir("totp", "alice", &conv, confdir, &h) == PAM_SUCCESS);
	CHECK(pam_putenv(h, count == 1 ? "SSH_AUTH_INFO_0=password\npublickey ssh-ed25519 AAAA\n" : "SSH_AUTH_INFO_0=password\nx publickey \n") == PAM_SUCCESS);
	int rc = pam_authenticate(h, 0);
	pam_end(h, rc);
	printf("%d\n", rc);
}

/* gives-up: one login of somebody who answers the first COUNT questions. Prints as typed does. */
static void gives_up(void)
{
	struct person p = {.code = "123456", .gives_up = count};
	struct state before = look();
	int rc = login_as("alice", &p);
	struct state after = look();
	same(&before, &after);
	printf("%d, asked %d, told %s\n", rc, p.asked, p.told);
}

/* retries: COUNT calls with one handle, then one in a child, then one more. Prints the results. */
static void retries(void)
{
	struct person p = {.code = "123456"};
	struct pam_conv conv = {conversation, &p};
	pam_handle_t *h = NULL;
	CHECK(pam_start_confdir("totp", "alice", &conv, confdir, &h) == PAM_SUCCESS);
	for (int i = 0; i < count; i++)
		printf("%d ", pam_authenticate(h, 0));
	fflush(stdout);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		int rc = pam_authenticate(h, 0);
		pam_end(h, rc | PAM_DATA_SILENT);
		_exit(rc);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child);
	printf("%d ", WEXITSTATUS(status));
	int rc = pam_authenticate(h, 0);
	printf("%d\n", rc);
	pam_end(h, rc);
}

/* terminal: logins of a host on a terminal of COUNT columns, the second one as sshd's. */
static void terminal(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
	int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)count};
	CHECK(slave >= 0 && ioctl(slave, TIOCSWINSZ, &size) == 0 && dup2(slave, STDERR_FILENO) == STDERR_FILENO);
	for (int ssh = 0; ssh < 2; ssh++) {
		struct person p = {.code = "123456"};
		struct pam_conv conv = {conversation, &p};
		pam_handle_t *h = NULL;
		CHECK(pam_start_confdir("totp", "alice", &conv, confdir, &h) == PAM_SUCCESS);
		CHECK(!ssh || pam_set_item(h, PAM_TTY, "ssh") == PAM_SUCCESS);
		int rc = pam_authenticate(h, 0);
		CHECK(rc == PAM_SUCCESS);
		pam_end(h, rc);
	}
}

static const struct scenario {
	const char *name;
	void (*run)(void);
} scenarios[] = {
	{"dormant", dormant}, {"dormant-in-64-mb", dormant_in_64_mb}, {"takes", takes}, {"unasked", unasked},
	{"unasked-in-64-mb", unasked_in_64_mb}, {"unasked-then-capabilities", unasked_then_capabilities}, {"many", many},
	{"forks", forks}, {"nest", nest}, {"two-handles", two_handles}, {"threads", threads},
	{"threads-and-forks", threads_and_forks}, {"forks-at-start", forks_at_start}, {"threads-in-child", threads_in_child}, {"closed", closed},
	{"short-of-space", short_of_space}, {"short-of-data", short_of_data}, {"short-of-threads", short_of_threads},
	{"signals", signals}, {"chld-signalfd", chld_signalfd}, {"chld-sigwait", chld_sigwait}, {"chld-ppoll", chld_ppoll},
	{"chld-first", chld_first}, {"identity", identity}, {"cancelled", cancelled}, {"environment", environment}, {"long-answer", long_answer},
	{"denied", denied}, {"denied-silently", denied_silently}, {"named", named}, {"typed", typed}, {"typed-by-user", typed_by_user}, {"gives-up", gives_up}, {"retries", retries},
	{"terminal", terminal}, {"keyed", keyed},
};

int main(int argc, char **argv)
{
	CHECK(argc >= 3);
	confdir = argv[2];
	count = argc > 3 ? atoi(argv[3]) : 1;
	for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
		if (strcmp(argv[1], scenarios[i].name) == 0) {
			scenarios[i].run();
			return 0;
		}
	fail("no scenario %s", argv[1]);
}
