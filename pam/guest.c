/* The Go runtime, made to behave as a guest.
 *
 * A c-shared Go library starts its runtime when it is loaded: threads, signal handlers, sometimes an
 * open file. libpam loads its modules into processes that never ask anything of them, and the hosts
 * fork, count their signals and close every descriptor as they like. So here:
 *
 *   - The runtime starts at the first guest_call, not at load (guest.ld), and only after everything it
 *     can't do without has been tried: address space, memory, threads. What fails is an error to the
 *     caller; inside the runtime it would have been the end of the process.
 *   - Its argv and environment are ours. A setuid host's caller can't steer it.
 *   - It installs no signal handler: its calls of sigaction(2) end in __wrap_sigaction. It doesn't need
 *     one; nothing it runs here preempts, profiles or takes a fault.
 *   - Its threads block every signal, so that the host's signals reach the host (calm_signals).
 *   - Between calls nothing of it runs or holds a lock: a call leaves with its processor, and the next
 *     one, on any thread and in any child, takes it up again. That is what makes fork(2) safe. Two
 *     things see to it: the thread that would take the processor away (sysmon) is never started
 *     (__wrap_pthread_create), and the runtime gets no thread-specific key, so that each call returns
 *     its machine to the pool (__wrap_pthread_key_create).
 *
 * What this file assumes of the runtime was read in Go 1.26 (runtime/proc.go, runtime/cgo) and is held
 * by the tests in this folder; where an assumption can be checked at run time, it is, and the start is
 * refused.
 */
#define _GNU_SOURCE
#include "guest.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HIDDEN __attribute__((visibility("hidden")))

/* Made by the linker as module.mk tells it. Weak, so that "go build ./..." links; what is built without
 * them is refused in start. */
#define LINKER __attribute__((visibility("hidden"), weak))

typedef void go_init(int argc, char **argv, char **envp);
extern go_init *const totpd_go_init[] LINKER;
extern go_init *const totpd_go_init_end[] LINKER;
extern char __ehdr_start[] HIDDEN;
extern char _edata[] HIDDEN;
extern char _end[] HIDDEN;

int __real_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) __attribute__((weak));

/* ---- threads ---------------------------------------------------------------------------------- */

/* The runtime gets threads that were made beforehand, so that their making can fail with an error. It
 * takes its main thread, its template thread, and one or two to run what its main thread leaves when it
 * waits, twice, in gcenable. One that it doesn't take stays where it is, asleep like the others. */
enum { SEATS = 4, SEAT_STACK = 256 * 1024 };

static struct seat {
	pthread_t id;
	sem_t called;
	void *(*fn)(void *); /* NULL: to end */
	void *arg;
} seats[SEATS];
static int made;           /* so many of seats have a thread */
static atomic_int taken;   /* so many of these have been asked for */
static atomic_int threads; /* pthread_create calls of the runtime */

static void *sit(void *own)
{
	struct seat *s = own;
	while (sem_wait(&s->called) != 0)
		; /* EINTR */
	return s->fn == NULL ? NULL : s->fn(s->arg);
}

/* dismiss_seats ends the threads, which have no work yet, and waits for their end. */
static void dismiss_seats(void)
{
	for (; made > 0; made--) {
		struct seat *s = &seats[made - 1];
		s->fn = NULL;
		sem_post(&s->called);
		pthread_join(s->id, NULL);
	}
}

static bool make_seats(void)
{
	pthread_attr_t attr;
	if (pthread_attr_init(&attr) != 0)
		return false;
	bool ok = pthread_attr_setstacksize(&attr, SEAT_STACK) == 0;
	for (made = 0; ok && made < SEATS; made += ok) {
		struct seat *s = &seats[made];
		ok = sem_init(&s->called, 0, 0) == 0 && __real_pthread_create(&s->id, &attr, sit, s) == 0;
	}
	pthread_attr_destroy(&attr);
	if (!ok)
		dismiss_seats();
	return ok;
}

/* The second thread that the runtime asks for is sysmon (runtime.main starts it before anything else).
 * It takes processors from calls that last, polls a network that we don't use, and forces garbage
 * collections that we switch off; it would run and take locks between calls. It is never started. */
enum { THREAD_OF_SYSMON = 2 };

int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*fn)(void *), void *arg) HIDDEN;
int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	if (atomic_fetch_add(&threads, 1) + 1 == THREAD_OF_SYSMON) {
		free(arg); /* as fn would have done */
		*id = pthread_self(); /* the runtime doesn't look at it */
		return 0;
	}
	int n = atomic_load(&taken);
	while (n < made && !atomic_compare_exchange_weak(&taken, &n, n + 1))
		;
	if (n >= made)
		return __real_pthread_create(id, attr, fn, arg);
	seats[n].fn = fn;
	seats[n].arg = arg;
	sem_post(&seats[n].called);
	*id = seats[n].id;
	return 0;
}

/* With a key, the runtime would bind a machine to each thread of the host until that thread ends, and
 * a processor with it. Without one it gives both back after each call. The refusal is one it expects. */
int __wrap_pthread_key_create(pthread_key_t *, void (*)(void *)) HIDDEN;
int __wrap_pthread_key_create(pthread_key_t *key, void (*destructor)(void *))
{
	(void)key;
	(void)destructor;
	return EAGAIN;
}

/* For the main thread glibc reads /proc/self/maps to answer this, at every call into Go. The runtime
 * only wants to know how far its stack may reach, so it gets a cautious answer. */
int __wrap_pthread_getattr_np(pthread_t, pthread_attr_t *) HIDDEN;
int __wrap_pthread_getattr_np(pthread_t id, pthread_attr_t *attr)
{
	enum { BELOW = 64 * 1024, ABOVE = 8 * 1024 };
	(void)id;
	uintptr_t here = (uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)15;
	return pthread_attr_setstack(attr, (void *)(here - BELOW), BELOW + ABOVE);
}

/* The host's dispositions stay the host's. */
int __wrap_sigaction(int, const struct sigaction *, struct sigaction *) HIDDEN;
int __wrap_sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	(void)sig;
	(void)act;
	if (old != NULL)
		memset(old, 0, sizeof *old); /* SIG_DFL */
	return 0;
}

/* ---- signals ---------------------------------------------------------------------------------- */

/* ours says whether n bytes at p lie within this module. */
static bool ours(const void *p, size_t n)
{
	uintptr_t at = (uintptr_t)p, end = (uintptr_t)_end;
	return at >= (uintptr_t)__ehdr_start && at < end && n <= end - at;
}

/* calm_signals makes the runtime leave signal masks alone. Its table of signals marks some (SIGCHLD
 * among them) as never to be blocked, and its threads and every thread that calls into Go unblock
 * these; a host that blocks SIGCHLD and reads it from a signalfd(2) would lose it. The marks are taken
 * off before the runtime starts. The table is a private symbol of the Go object, so it is looked for
 * in our own .data; returns false when it isn't there as expected. */
static bool calm_signals(void)
{
	struct entry { /* runtime.sigTabT */
		int32_t flags;
		const char *name;
		uintptr_t name_len;
	};
	enum { ENTRIES = 65, UNBLOCK = 1 << 7 /* runtime._SigUnblock */ };
	static const char chld[] = "SIGCHLD: child status has changed";
	static const char segv[] = "SIGSEGV: segmentation violation";

	uintptr_t p = (uintptr_t)totpd_go_init_end;
	uintptr_t end = (uintptr_t)_edata - ENTRIES * sizeof(struct entry);
	for (; p <= end; p += sizeof(void *)) {
		struct entry *t = (struct entry *)p;
		if (t[SIGCHLD].name_len != sizeof chld - 1 || t[SIGSEGV].name_len != sizeof segv - 1)
			continue;
		if (!ours(t[SIGCHLD].name, sizeof chld) || !ours(t[SIGSEGV].name, sizeof segv))
			continue;
		if (memcmp(t[SIGCHLD].name, chld, sizeof chld - 1) != 0 ||
		    memcmp(t[SIGSEGV].name, segv, sizeof segv - 1) != 0 ||
		    (t[SIGCHLD].flags & UNBLOCK) == 0 || (t[SIGSEGV].flags & UNBLOCK) == 0 ||
		    (t[SIGINT].flags & UNBLOCK) != 0)
			continue;
		for (int i = 0; i < ENTRIES; i++)
			t[i].flags &= ~UNBLOCK;
		return true;
	}
	return false;
}

/* The signal mask of this thread, as the kernel has it. The C library's calls would leave out the two
 * signals that it keeps to itself (32 and 33, nptl(7)). Their handlers must not run on a Go stack, so
 * every signal is blocked around Go code; but a thread that blocks them for good would make a setuid(2)
 * of the host wait for it for good, so the runtime's threads block all but these. */
enum { SIGNALS_OF_LIBC = 32 };
static const uint64_t every_signal = ~(uint64_t)0;
static const uint64_t every_signal_but_libc = ~((uint64_t)3 << (SIGNALS_OF_LIBC - 1));

static void set_mask(const uint64_t *mask, uint64_t *before)
{
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, mask, before, sizeof *mask);
}

/* ---- start ------------------------------------------------------------------------------------ */

/* What a start of the runtime takes, with a margin: the scenarios "takes" and "short-of-..." of the
 * tests measure it. Nearly all of it is reserved and never touched. */
enum { RESERVE = 1600 << 20, COMMIT = 64 << 20 };

/* room says whether the runtime's memory can be had now. RLIMIT_AS counts reservations, RLIMIT_DATA and
 * strict overcommit count writable memory; trying is the one way to know of all. */
static bool room(size_t size, int protection)
{
	void *p = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | (protection == PROT_NONE ? MAP_NORESERVE : 0), -1, 0);
	if (p == MAP_FAILED)
		return false;
	munmap(p, size);
	return true;
}

/* The runtime finds its environment behind argv and the auxiliary vector behind that (getauxval(3)),
 * and keeps pointers to them. */
static struct {
	char *argv[2];
	char *envp[5];
	unsigned long auxv[16];
} vectors;

static bool fill_vectors(void)
{
	static unsigned char seed[16];
	static char name[] = "pam_totpd", one[] = "GOMAXPROCS=1", off[] = "GOGC=off", quiet[] = "GOTRACEBACK=none",
		    debug[] = "GODEBUG=asyncpreemptoff=1,memprofilerate=0,decoratemappings=0";
	static const unsigned long passed[] = {AT_PAGESZ, AT_HWCAP, AT_HWCAP2, AT_SYSINFO_EHDR, AT_SECURE};

	const void *random = (const void *)getauxval(AT_RANDOM); /* the runtime wipes what it gets: a copy */
	if (random == NULL)
		return false;
	memcpy(seed, random, sizeof seed);
	vectors.argv[0] = name;
	vectors.envp[0] = one;
	vectors.envp[1] = off;
	vectors.envp[2] = quiet;
	vectors.envp[3] = debug;
	size_t n = 0;
	for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++) {
		vectors.auxv[n++] = passed[i];
		vectors.auxv[n++] = getauxval(passed[i]);
	}
	vectors.auxv[n++] = AT_RANDOM;
	vectors.auxv[n++] = (unsigned long)seed;
	vectors.auxv[n] = AT_NULL;
	return true;
}

static pthread_mutex_t entry = PTHREAD_MUTEX_INITIALIZER; /* one call into Go at a time */
static bool started;                                      /* under entry */

static void before_fork(void) { pthread_mutex_lock(&entry); }
static void after_fork(void) { pthread_mutex_unlock(&entry); }
static void after_fork_in_child(void)
{
	made = taken; /* nobody sits on the others here */
	pthread_mutex_unlock(&entry);
}

/* A fork must know of entry before anybody can hold it: a child would inherit it locked for good. So
 * this is the one thing that is done at load. */
static bool forks_wait;
__attribute__((constructor)) static void watch_forks(void)
{
	forks_wait = pthread_atfork(before_fork, after_fork, after_fork_in_child) == 0;
}

/* start starts the runtime. It has begun to run when this returns NULL; the first call waits until it
 * is ready. Every check stands before the first irrevocable step. */
static const char *start(void)
{
	static bool calm;
	if (&totpd_go_init[0] == &totpd_go_init_end[0] || __real_pthread_create == NULL)
		return "built without the options of pam/module.mk";
	if (!forks_wait)
		return "there was no memory when the module was loaded";
	if (!room(RESERVE, PROT_NONE))
		return "too little address space (ulimit -v) to judge a code";
	if (!room(COMMIT, PROT_READ | PROT_WRITE))
		return "too little memory (ulimit -d) to judge a code";
	if (!calm && !(calm = calm_signals()))
		return "built with an unknown Go runtime";
	if (!fill_vectors())
		return "no random bytes to be had";
	if (!make_seats())
		return "no thread to be had (ulimit -u)";
	for (go_init *const *init = totpd_go_init; init < totpd_go_init_end; init++)
		(*init)(1, vectors.argv, vectors.envp);
	return NULL;
}

const char *guest_call(void (*fn)(void *), void *arg)
{
	const char *fault = NULL;
	uint64_t host;

	set_mask(&every_signal_but_libc, &host);
	pthread_mutex_lock(&entry);
	if (!started) {
		fault = start();
		started = fault == NULL;
	}
	if (fault == NULL) {
		set_mask(&every_signal, NULL);
		fn(arg);
	}
	pthread_mutex_unlock(&entry);
	set_mask(&host, NULL);
	return fault;
}
