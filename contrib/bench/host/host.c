/*
 * host: a program that logs people in through libpam and says how long each login took.
 *
 *   host [-preload MODULE]... [-block FILE] CONFDIR CODES alternate same|fork|unasked|dormant WARM ROUNDS SERVICE...
 *   host [-preload MODULE]... CONFDIR CODES concurrent WORKERS SERVICE
 *
 * CONFDIR holds the PAM services, CODES the users and their codes: a line "PERIOD FIRST STEPS", then
 * for each user a line with the name and the codes of the STEPS steps from FIRST on. The program knows
 * no secret and no cryptography: it types what it is given.
 *
 * Every login that it reports was accepted. Each takes a code that this service has not seen: of the
 * three that are good now (the step before, this one, the next) the lowest above the user's last,
 * and then it is another user's turn. The first login that is refused ends the program with status 1.
 *
 * alternate: WARM rounds that are not reported, then ROUNDS. A round has one login through each
 * SERVICE, in an order shuffled anew for each round. same: in this process, the modules loaded before
 * (-preload). fork: a child is forked, does one login and exits; the time runs until it is reaped.
 * unasked: the same for root, who has no second factor and is asked nothing.
 * dormant: the same with pam_setcred in place of the login. The service ":fdatasync" is one fdatasync
 * after a block of FILE was overwritten. Output: a line "SERVICE NANOSECONDS" for each.
 *
 * concurrent: WORKERS processes, each with users of its own, log in as fast as they can, all started
 * at one moment. Counted is what finished until the first of them ran out of codes, so that all WORKERS
 * were busy all the time. Output: one line "SERVICE LOGINS NANOSECONDS".
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <security/pam_appl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CODE_MAX = 8, SERVICES_MAX = 8, BLOCK = 4096, BLOCKS = 256 };

/* The last second of a step is too short for a code of the step before. */
static const int64_t MARGIN_NS = 1000000000;
/* A concurrent round starts when at least this is left of the step. */
static const int64_t ROUND_NS = 4000000000;

struct user {
    const char *name;
    const char (*codes)[CODE_MAX + 1];
};

static struct {
    int64_t period, first, steps;
    struct user *users;
    size_t count;
} book;

/* A service, and what was used up of its users' codes. */
struct service {
    const char *name;
    int64_t *last; /* per user: the last step used, 0: none */
    size_t turn;
};

static const char *confdir;
static int block_fd = -1;

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("host: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static void *allocate(size_t count, size_t size)
{
    void *p = calloc(count, size);
    if (p == NULL)
        die("out of memory");
    return p;
}

static int64_t nanoseconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void read_codes(const char *path)
{
    FILE *f = fopen(path, "re");
    if (f == NULL)
        die("open %s: %s", path, strerror(errno));
    if (fscanf(f, "%ld %ld %ld", &book.period, &book.first, &book.steps) != 3 || book.period < 1 ||
        book.steps < 1)
        die("%s: no line with period, first step and number of steps", path);
    char name[64];
    while (fscanf(f, "%63s", name) == 1) {
        char(*codes)[CODE_MAX + 1] = allocate((size_t)book.steps, sizeof *codes);
        for (int64_t i = 0; i < book.steps; i++)
            if (fscanf(f, "%8s", codes[i]) != 1)
                die("%s: codes of %s are missing", path, name);
        book.users = realloc(book.users, (book.count + 1) * sizeof *book.users);
        if (book.users == NULL)
            die("out of memory");
        book.users[book.count].name = strdup(name);
        book.users[book.count++].codes = (const char(*)[CODE_MAX + 1]) codes;
    }
    fclose(f);
    if (book.count == 0)
        die("%s: no users", path);
}

/* left_of_step says how many nanoseconds remain of the current step, and which step it is. */
static int64_t left_of_step(int64_t *step)
{
    int64_t now = nanoseconds(CLOCK_REALTIME), period = book.period * 1000000000;
    *step = now / period;
    return period - now % period;
}

/* take hands out an unused code of one of the users from..to-1, or NULL when all are used up. */
static const char *take(struct service *s, size_t from, size_t to, const char **user)
{
    int64_t now, left = left_of_step(&now);
    int64_t lowest = left < MARGIN_NS ? now : now - 1;
    for (size_t tried = from; tried < to; tried++) {
        size_t u = from + s->turn++ % (to - from);
        int64_t step = s->last[u] + 1 > lowest ? s->last[u] + 1 : lowest;
        if (step > now + 1)
            continue;
        if (step < book.first || step >= book.first + book.steps)
            die("no codes for this time: the run took too long");
        s->last[u] = step;
        *user = book.users[u].name;
        return book.users[u].codes[step - book.first];
    }
    return NULL;
}

/* take_or_wait waits for the next step when all codes are used up. */
static const char *take_or_wait(struct service *s, const char **user)
{
    const char *code;
    while ((code = take(s, 0, book.count, user)) == NULL) {
        int64_t step, left = left_of_step(&step);
        struct timespec t = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
        nanosleep(&t, NULL);
    }
    return code;
}

/* type_code is the person: the code is the answer to the one question. */
static int type_code(int count, const struct pam_message **messages, struct pam_response **out,
                     void *data)
{
    struct pam_response *answers = calloc((size_t)count, sizeof *answers);
    if (answers == NULL)
        return PAM_BUF_ERR;
    for (int i = 0; i < count; i++)
        if (messages[i]->msg_style == PAM_PROMPT_ECHO_OFF || messages[i]->msg_style == PAM_PROMPT_ECHO_ON)
            answers[i].resp = strdup(data);
    *out = answers;
    return PAM_SUCCESS;
}

static void transaction(const char *service, const char *user, const char *code)
{
    struct pam_conv conversation = {.conv = type_code, .appdata_ptr = (void *)(uintptr_t)code};
    pam_handle_t *pam = NULL;
    int r = pam_start_confdir(service, user, &conversation, confdir, &pam);
    if (r != PAM_SUCCESS)
        die("%s: pam_start: %s", service, pam_strerror(NULL, r));
    r = code != NULL ? pam_authenticate(pam, 0) : pam_setcred(pam, PAM_ESTABLISH_CRED);
    if (r != PAM_SUCCESS)
        die("%s: %s: %s: %s", service, user, code != NULL ? "login refused" : "pam_setcred",
            pam_strerror(pam, r));
    pam_end(pam, r);
}

static int64_t timed_same(const char *service, const char *user, const char *code)
{
    int64_t start = nanoseconds(CLOCK_MONOTONIC);
    transaction(service, user, code);
    return nanoseconds(CLOCK_MONOTONIC) - start;
}

static int64_t timed_fork(const char *service, const char *user, const char *code)
{
    int status;
    int64_t start = nanoseconds(CLOCK_MONOTONIC);
    pid_t child = fork();
    if (child < 0)
        die("fork: %s", strerror(errno));
    if (child == 0) {
        transaction(service, user, code);
        _exit(0);
    }
    if (waitpid(child, &status, 0) != child || status != 0)
        die("%s: the child failed", service);
    return nanoseconds(CLOCK_MONOTONIC) - start;
}

static int64_t timed_fdatasync(void)
{
    static char block[BLOCK];
    static int64_t turn;
    memset(block, (int)(turn & 0xff), sizeof block);
    if (pwrite(block_fd, block, sizeof block, turn++ % BLOCKS * BLOCK) != BLOCK)
        die("write a block: %s", strerror(errno));
    int64_t start = nanoseconds(CLOCK_MONOTONIC);
    if (fdatasync(block_fd) != 0)
        die("fdatasync: %s", strerror(errno));
    return nanoseconds(CLOCK_MONOTONIC) - start;
}

static void open_blocks(const char *path)
{
    static char zeros[BLOCK];
    block_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (block_fd < 0)
        die("open %s: %s", path, strerror(errno));
    for (int i = 0; i < BLOCKS; i++)
        if (pwrite(block_fd, zeros, sizeof zeros, (off_t)i * BLOCK) != BLOCK)
            die("write %s: %s", path, strerror(errno));
    if (fsync(block_fd) != 0)
        die("fsync %s: %s", path, strerror(errno));
}

static struct service new_service(const char *name)
{
    return (struct service){.name = name, .last = allocate(book.count, sizeof(int64_t))};
}

enum how { SAME, FORK, UNASKED, DORMANT };

static int64_t once(struct service *s, enum how how)
{
    const char *user = book.users[0].name, *code = NULL;
    if (strcmp(s->name, ":fdatasync") == 0)
        return timed_fdatasync();
    if (how == UNASKED)
        user = "root", code = "nobody types this";
    else if (how != DORMANT)
        code = take_or_wait(s, &user);
    return how == SAME ? timed_same(s->name, user, code) : timed_fork(s->name, user, code);
}

static void shuffle(size_t *order, size_t count)
{
    for (size_t i = count - 1; i > 0; i--) {
        size_t j = (size_t)random() % (i + 1), swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}

static void alternate(enum how how, long warm, long rounds, char **names, size_t count)
{
    struct service services[SERVICES_MAX];
    size_t order[SERVICES_MAX];
    if (count < 1 || count > SERVICES_MAX)
        die("1 to %d services", SERVICES_MAX);
    for (size_t i = 0; i < count; i++) {
        services[i] = new_service(names[i]);
        order[i] = i;
    }
    int64_t(*times)[SERVICES_MAX] = allocate((size_t)rounds, sizeof *times);
    for (long round = -warm; round < rounds; round++) {
        shuffle(order, count);
        for (size_t i = 0; i < count; i++) {
            int64_t t = once(&services[order[i]], how);
            if (round >= 0)
                times[round][order[i]] = t;
        }
    }
    for (long round = 0; round < rounds; round++)
        for (size_t i = 0; i < count; i++)
            printf("%s %ld\n", names[i], times[round][i]);
}

/* What the workers tell the parent, in shared memory: when each login was done. There is room for the
 * three codes of each user, and for those that become good meanwhile. */
enum { WHEN_PER_USER = 8 };
struct worker {
    size_t done;
    int64_t when[];
};

static void work(struct service *s, size_t from, size_t to, struct worker *w, int ready, int go)
{
    const char *user, *code = take(s, from, to, &user);
    char c = 0;
    if (code == NULL)
        die("a worker has no codes");
    transaction(s->name, user, code);
    if (write(ready, &c, 1) != 1 || read(go, &c, 1) != 0) /* the parent closes its end: all start */
        die("start of the round: %s", strerror(errno));
    while (w->done < WHEN_PER_USER * (to - from) && (code = take(s, from, to, &user)) != NULL) {
        transaction(s->name, user, code);
        w->when[w->done++] = nanoseconds(CLOCK_MONOTONIC);
    }
}

static void concurrent(size_t workers, const char *name)
{
    struct service s = new_service(name);
    size_t share = book.count / workers;
    if (share < 1)
        die("%zu workers need as many users", workers);
    size_t size = (sizeof(struct worker) + WHEN_PER_USER * share * sizeof(int64_t) + 4095) & ~(size_t)4095;
    char *shared = mmap(NULL, workers * size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int ready[2], go[2];
    if (shared == MAP_FAILED || pipe(ready) != 0 || pipe(go) != 0)
        die("prepare the workers: %s", strerror(errno));

    int64_t step, left = left_of_step(&step);
    if (left < ROUND_NS)
        usleep((useconds_t)(left / 1000));
    for (size_t i = 0; i < workers; i++) {
        pid_t child = fork();
        if (child < 0)
            die("fork: %s", strerror(errno));
        if (child == 0) {
            close(go[1]);
            work(&s, i * share, (i + 1) * share, (struct worker *)(void *)(shared + i * size), ready[1],
                 go[0]);
            _exit(0);
        }
    }
    close(ready[1]);
    for (size_t i = 0; i < workers; i++) {
        char c;
        if (read(ready[0], &c, 1) != 1)
            die("a worker failed");
    }
    int64_t start = nanoseconds(CLOCK_MONOTONIC), end = INT64_MAX;
    close(go[1]);
    for (size_t i = 0; i < workers; i++) {
        int status;
        if (wait(&status) < 0 || status != 0)
            die("a worker failed");
    }
    size_t logins = 0;
    for (size_t i = 0; i < workers; i++) {
        struct worker *w = (struct worker *)(void *)(shared + i * size);
        if (w->done == 0)
            die("a worker had no login");
        if (w->when[w->done - 1] < end)
            end = w->when[w->done - 1];
    }
    for (size_t i = 0; i < workers; i++) {
        struct worker *w = (struct worker *)(void *)(shared + i * size);
        for (size_t k = 0; k < w->done && w->when[k] <= end; k++)
            logins++;
    }
    printf("%s %zu %ld\n", name, logins, end - start);
}

static long number(const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (*end != 0 || end == text || n < 0)
        die("%s: not a number", text);
    return n;
}

int main(int argc, char **argv)
{
    int i = 1;
    for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
        if (strcmp(argv[i], "-preload") == 0) {
            if (dlopen(argv[i + 1], RTLD_NOW) == NULL)
                die("%s", dlerror());
        } else if (strcmp(argv[i], "-block") == 0) {
            open_blocks(argv[i + 1]);
        } else {
            die("unknown option %s", argv[i]);
        }
    }
    argv += i;
    argc -= i;
    if (argc < 5)
        die("see the head of host.c for the arguments");
    confdir = argv[0];
    read_codes(argv[1]);
    if (strcmp(argv[2], "concurrent") == 0) {
        concurrent((size_t)number(argv[3]), argv[4]);
        return 0;
    }
    if (strcmp(argv[2], "alternate") != 0 || argc < 7)
        die("see the head of host.c for the arguments");
    enum how how = strcmp(argv[3], "same") == 0      ? SAME
                   : strcmp(argv[3], "fork") == 0    ? FORK
                   : strcmp(argv[3], "unasked") == 0 ? UNASKED
                                                     : DORMANT;
    alternate(how, number(argv[4]), number(argv[5]), argv + 6, (size_t)(argc - 6));
    return 0;
}
