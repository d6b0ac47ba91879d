// SPDX-License-Identifier: GPL-2.0
/*
 * exercise [OPTION]... [DEVICE]...
 *
 * Makes random calls, most of them nearly right, to iommufd, VFIO and KVM, on
 * these PCI functions (on vfio-pci) and mediated devices, by several threads at
 * once, while another process removes the functions and brings them back.  Knows
 * nothing of what the kernel should do, but: each error has to be one that the
 * call may give, what is wrong in any case has to be refused, what was set has to
 * be read, and when all is closed nothing is left.
 *
 *   --seed N      of the numbers (default: from the clock; printed)
 *   --seconds N   how long (default: 5)
 *   --threads N   that make calls (default: 4)
 *   --keep        keep a page mapped, which has to be found at the end
 *   --spin        guests never halt, which must not keep a round from ending
 *   --forbid E    this errno counts as one that no call may give
 *   --table       print how often each call gave which error
 *
 * The seconds are made of rounds.  The calls of a round are a process that starts
 * with nothing open, and every third is killed while it runs.
 *
 * Prints "seed", "rounds", "calls", "refused", "unplugged", each with its number,
 * and a line for each thing that is wrong.  Exit status: 0 nothing is, 1
 * something is, 2 this program cannot.
 */
#include <argp.h>
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "../chance.h"
#include "../leaks.h"
#include "exercise.h"

/* Of that many seconds at least, as long as there are not too many of them */
#define ROUND	     3
#define MAX_ROUNDS   60
/* Longer than a round and all that it has to close, under emulation */
#define HANG_SECONDS 300

struct shared *shared;
struct options opt = { .seconds = 5, .threads = 4 };
uint8_t *arena;

static __thread unsigned int self;

/* ---- what is said -------------------------------------------------------------------------------- */

static const char *const names[FROM_TABLE] = {
	"open",
	"close",
	"config read",
	"config write",
	"VFIO_DEVICE_GET_INFO",
	"VFIO_DEVICE_FEATURE",
	"VFIO_GROUP_SET_CONTAINER",
	"VFIO_GROUP_GET_DEVICE_FD",
	"KVM_SET_DEVICE_ATTR",
	"KVM_GET_DEVICE_ATTR",
	"KVM_HAS_DEVICE_ATTR",
	"KVM_ENABLE_CAP",
	"KVM_RUN",
	"invariants",
	"race of option and HWPT",
	"attach",
	"open by group",
};

const char *name_of(unsigned int name)
{
	return name < FROM_TABLE ? names[name] : call_name(name - FROM_TABLE);
}

void wrong(const char *format, ...)
{
	unsigned int hash = 5381, expected;
	char text[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	atomic_fetch_add(&shared->wrong, 1);
	/* More of the same would drown the rest. */
	for (const char *c = text; *c; c++)
		hash = hash * 33 + *c;
	hash |= 1;
	for (unsigned int i = 0; i < MAX_TOLD; i++) {
		expected = 0;
		if (atomic_compare_exchange_strong(&shared->told[i], &expected, hash)) {
			dprintf(STDOUT_FILENO, "wrong: %s\n", text);
			return;
		}
		if (expected == hash)
			return;
	}
}

/* Errors that a call may give because the file is of another kind, by now or by choice */
bool of_another_file(int error)
{
	return error == EBADF || error == ENOTTY || error == EINVAL || error == ESPIPE;
}

void count(unsigned int name, int error)
{
	if (error >= MAX_ERRNO)
		wrong("%s: error %d", name_of(name), error);
	else
		atomic_fetch_add(&shared->counts[name][error], 1);
	if (error && error == opt.forbidden)
		wrong("%s: %s is forbidden", name_of(name), strerrorname_np(error));
}

/* An error is one of these, which end with 0, or of another file */
void judge(unsigned int name, int error, const short *allowed)
{
	count(name, error);
	if (!error || of_another_file(error))
		return;
	while (*allowed && *allowed != error)
		allowed++;
	if (!*allowed)
		wrong("%s: %s", name_of(name),
		      strerrorname_np(error) ?: "no error that has a name");
}

/* ---- numbers ------------------------------------------------------------------------------------- */

uint64_t odd_number(void)
{
	static const uint64_t odd[] = { 0,	    1,		2,	    3,
					4,	    0x7fffffff, 0x80000000, 0xffffffff,
					1ULL << 32, 1ULL << 63, UINT64_MAX, UINT64_MAX - 4095 };

	return one_in(3) ? any() : odd[below(sizeof(odd) / sizeof(odd[0]))];
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* ---- a round ------------------------------------------------------------------------------------- */

static const struct {
	void (*run)(void);
	unsigned int weight;
	enum name name;
} others[] = {
	{ do_reopen, 12, OPEN },
	{ do_close, 3, CLOSE },
	{ do_config, 14, CONFIG_READ },
	{ do_info, 6, GET_INFO },
	{ do_feature, 16, FEATURE },
	{ do_attr, 30, SET_ATTR },
	{ do_set_container, 6, SET_CONTAINER },
	{ do_get_device, 8, GET_DEVICE_FD },
	{ do_enable_cap, 12, ENABLE_CAP },
	{ do_run, 12, RUN },
	{ do_rules, 3, RULES },
	{ do_race, 2, RACE },
	{ do_attach, 6, ATTACH },
	{ do_open_by_group, 3, BY_GROUP },
};

/* Of all that can be called */
static unsigned int all_weights;

static void add_weights(void)
{
	for (unsigned int i = 0; i < nr_calls(); i++)
		all_weights += call_weight(i);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		all_weights += others[i].weight;
}

/* Returns under what name that is counted */
static unsigned int call_one(unsigned int n)
{
	for (unsigned int i = 0; i < nr_calls(); n -= call_weight(i++))
		if (n < call_weight(i)) {
			atomic_store(&shared->doing[self], FROM_TABLE + i);
			make_call(i);
			return FROM_TABLE + i;
		}
	for (size_t i = 0; i < ARRAY_SIZE(others); n -= others[i++].weight)
		if (n < others[i].weight) {
			atomic_store(&shared->doing[self], others[i].name);
			others[i].run();
			return others[i].name;
		}
	return OPEN;
}

static uint64_t round_seed;

static void *caller(void *arg)
{
	self = (uintptr_t)arg;
	seed_with(opt.seed + round_seed + self + 1);
	while (!atomic_load(&shared->stop)) {
		double start = now();
		unsigned int name = call_one(below(all_weights));

		atomic_fetch_add(&shared->ns[name], (now() - start) * 1e9);
	}
	return NULL;
}

static void nothing(int sig)
{
	(void)sig;
}

/*
 * Once all are to stop.  A guest whose code was written over, as any memory that is
 * mapped may be, need not halt: a signal ends the call.  Another call would meet
 * one only if it began in the moment in which all were told to stop.
 */
static void join(pthread_t *threads)
{
	for (unsigned int i = 0; i < opt.threads; i++) {
		for (;;) {
			struct timespec until;

			clock_gettime(CLOCK_REALTIME, &until);
			until.tv_sec++;
			if (!pthread_timedjoin_np(threads[i], NULL, &until))
				break;
			for (unsigned int j = i; atomic_load(&shared->stop) && j < opt.threads; j++)
				if (atomic_load(&shared->doing[j]) == RUN)
					pthread_kill(threads[j], SIGUSR1);
		}
	}
}

/* In a process of its own */
static void round_of_calls(unsigned int nr)
{
	pthread_t threads[MAX_THREADS];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = nothing }, NULL);
	round_seed = (uint64_t)nr * 1000;
	seed_with(opt.seed + round_seed);
	/* Nothing is behind it, where the kernel could write what it is told to */
	arena = mmap(NULL, 4 * ARENA, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (arena == MAP_FAILED || mprotect(arena, ARENA, PROT_READ | PROT_WRITE))
		err(2, "memory");
	no_files();
	for (int slot = 0; slot < SLOTS; slot++) {
		reopen(IOMMUFD, slot);
		reopen(CDEV, slot);
		reopen(VM, slot);
		reopen(OTHER, slot);
	}
	for (uintptr_t i = 0; i < opt.threads; i++)
		if (pthread_create(&threads[i], NULL, caller, (void *)i))
			errx(2, "threads");
	join(threads);
	for (int kind = NR_FILE_KINDS - 1; kind >= 0; kind--)
		for (int slot = 0; slot < SLOTS; slot++)
			put_file(kind, slot, -1);
	for (int i = 0; i < 100 && (file_value("/proc/self/status", "VmPin") ||
				    file_value("/proc/self/status", "VmLck"));
	     i++)
		usleep(50000);
	if (file_value("/proc/self/status", "VmPin") || file_value("/proc/self/status", "VmLck"))
		wrong("all is closed, and VmPin is %lld kB, VmLck %lld kB",
		      file_value("/proc/self/status", "VmPin"),
		      file_value("/proc/self/status", "VmLck"));
	_exit(0);
}

/* Where the threads of a process are, in the kernel */
static void show_stacks(pid_t pid)
{
	char path[64], text[4096];
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		ssize_t n;
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/stack", pid, d->d_name);
		fd = open(path, O_RDONLY);
		n = fd < 0 ? 0 : read(fd, text, sizeof(text));
		if (n > 0)
			printf("# thread %s:\n%.*s", d->d_name, (int)n, text);
		close(fd);
	}
	if (dir)
		closedir(dir);
}

/* Its exit status; a process that does not end in time ends all */
static int wait_for(pid_t pid, const char *what, unsigned int seconds)
{
	double end = now() + seconds;
	int status;

	while (!waitpid(pid, &status, WNOHANG)) {
		if (now() < end) {
			usleep(20000);
			continue;
		}
		wrong("%s does not end", what);
		for (unsigned int i = 0; i < opt.threads; i++) {
			unsigned int call = atomic_load(&shared->doing[i]);

			printf("# thread %u: %s\n", i, name_of(call));
		}
		show_stacks(pid);
		exit(1);
	}
	return status;
}

static void one_round(unsigned int nr, double seconds)
{
	bool killed = nr % 3 == 2;
	pid_t pid;
	int status;

	atomic_store(&shared->stop, false);
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		err(2, "fork");
	if (!pid)
		round_of_calls(nr);
	usleep(seconds * 1e6);
	if (killed)
		kill(pid, SIGKILL);
	atomic_store(&shared->stop, true);
	status = wait_for(pid, "a round of calls", HANG_SECONDS);
	if (WIFSIGNALED(status) ? !killed || WTERMSIG(status) != SIGKILL : WEXITSTATUS(status))
		wrong("round %u ended with status 0x%x", nr, status);
}

/* ---- unplugging ---------------------------------------------------------------------------------- */

/*
 * Each bind resets the function, which takes a second and more of emulation: of
 * the first one only.
 */
static void less_resets(const char *device)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/reset_method", device);
	if (device != opt.devices[0])
		write_to(path, "\n");
}

static void unplug_one(const char *device)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", device,
		 one_in(4) ? "reset" : "remove");
	switch (below(3)) {
	case 0:
		write_to("/sys/bus/pci/drivers/vfio-pci/unbind", device);
		break;
	case 1:
		write_to(path, "1");
		break;
	}
	if (one_in(3))
		usleep(below(200000));
	write_to("/sys/bus/pci/rescan", "1");
	less_resets(device);
	write_to("/sys/bus/pci/drivers_probe", device);
	atomic_fetch_add(&shared->unplugged, 1);
}

/* In a process of its own that has none of the files: it waits for who has them */
static pid_t start_unplugging(void)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	seed_with(0);
	while (!atomic_load(&shared->stop_unplug)) {
		const char *device = some_device();

		usleep(below(500000));
		if (strlen(device) < 36)
			unplug_one(device);
	}
	_exit(0);
}

/* ---- all of it ----------------------------------------------------------------------------------- */

static void report(unsigned int rounds)
{
	unsigned long all = 0, refused = 0;

	for (unsigned int i = 0; i < FROM_TABLE + nr_calls(); i++) {
		if (opt.table)
			printf("# %6llu ms %s:",
			       (unsigned long long)atomic_load(&shared->ns[i]) / 1000000,
			       name_of(i));
		for (int e = 0; e < MAX_ERRNO; e++) {
			unsigned int n = atomic_load(&shared->counts[i][e]);

			all += n;
			refused += e ? n : 0;
			if (opt.table && n)
				printf(" %s %u", e ? strerrorname_np(e) : "0", n);
		}
		if (opt.table)
			putchar('\n');
	}
	printf("rounds: %u\ncalls: %lu\nrefused: %lu\nunplugged: %u\nwrong: %u\n", rounds, all,
	       refused, atomic_load(&shared->unplugged), atomic_load(&shared->wrong));
}

static error_t parse(int key, char *arg, struct argp_state *s)
{
	switch (key) {
	case 's':
		opt.seed = strtoull(arg, NULL, 0);
		opt.seeded = true;
		return 0;
	case 'd':
		opt.seconds = strtoul(arg, NULL, 0);
		return 0;
	case 't':
		opt.threads = strtoul(arg, NULL, 0);
		if (!opt.threads || opt.threads > MAX_THREADS)
			argp_error(s, "--threads takes 1 to %d", MAX_THREADS);
		return 0;
	case 'k':
		opt.keep = true;
		return 0;
	case 'p':
		opt.spin = true;
		return 0;
	case 'T':
		opt.table = true;
		return 0;
	case 'f':
		for (int e = 1; e < MAX_ERRNO; e++)
			if (strerrorname_np(e) && !strcmp(strerrorname_np(e), arg))
				opt.forbidden = e;
		if (!opt.forbidden)
			argp_error(s, "there is no error %s", arg);
		return 0;
	case ARGP_KEY_ARG:
		if (opt.nr_devices == MAX_DEVICES)
			argp_error(s, "at most %d devices", MAX_DEVICES);
		opt.devices[opt.nr_devices++] = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options =
		(const struct argp_option[]){
			{ "seed", 's', "N", 0, "of the numbers", 0 },
			{ "seconds", 'd', "N", 0, "how long", 0 },
			{ "threads", 't', "N", 0, "that make calls", 0 },
			{ "keep", 'k', NULL, 0, "keep a page mapped", 0 },
			{ "spin", 'p', NULL, 0, "guests never halt", 0 },
			{ "forbid", 'f', "ERRNO", 0, "an errno that is wrong", 0 },
			{ "table", 'T', NULL, 0, "errors of each call", 0 },
			{ 0 } },
	.parser = parse,
	.args_doc = "[DEVICE]...",
};

int main(int argc, char **argv)
{
	unsigned int rounds = 0;
	pid_t unplug;
	double end, round = ROUND;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	if (!opt.seeded)
		opt.seed = (uint64_t)time(NULL);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		err(2, "memory");
	add_weights();
	printf("seed: %llu\n", (unsigned long long)opt.seed);
	for (unsigned int i = 0; i < opt.nr_devices; i++)
		less_resets(opt.devices[i]);
	take_stock(true);
	unplug = start_unplugging();
	if (round < opt.seconds / MAX_ROUNDS)
		round = opt.seconds / MAX_ROUNDS;
	for (end = now() + opt.seconds; now() < end; rounds++)
		one_round(rounds, end - now() < round ? end - now() : round);
	atomic_store(&shared->stop_unplug, true);
	wait_for(unplug, "unplugging", HANG_SECONDS);
	write_to("/sys/bus/pci/rescan", "1");
	for (unsigned int i = 0; i < opt.nr_devices; i++)
		write_to("/sys/bus/pci/drivers_probe", opt.devices[i]);
	if (opt.keep)
		keep_page();
	take_stock(false);
	report(rounds);
	return atomic_load(&shared->wrong) ? 1 : 0;
}
