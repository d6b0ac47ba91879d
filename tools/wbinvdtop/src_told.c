// SPDX-License-Identifier: GPL-2.0
/* The only file that knows the skeleton of told.bpf.c. */
#include "src_told.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../lib/bpfutil.h"
#include "../lib/log.h"
#include "../lib/procutil.h"
#include "../lib/vmname.h"
#include "src_bpf_int.h"
#include "told.skel.h"

#define NR_PLACES (WB_TOLD_SETS * WB_TOLD_WAYS)

/* Looking through all files may take this share of the time: 1 in ... */
#define LIST_SHARE	 100
#define LIST_AT_LEAST_NS (10 * 1000000000ULL)

static const char notice[] =
	"This kernel carries no BTF: the VMs of a process are one, stalls are not seen";

/* A process that has, or had, VMs. */
struct told_vm {
	uint64_t gen;
	pid_t pid;
	uint64_t start;
	off_t nr_files;	     /* that it had open when last listed, as far as /proc tells */
	unsigned int nr_fds; /* of these, those that are a VM */
	int fd;		     /* one of them, -1: none was seen yet */
	bool several;	     /* it had more than one, or another one */
	bool gone;	     /* nobody is left to count, from before this reading's counts on */
	enum wb_tri noncoherent;
	enum wb_policy policy;
};

struct told_source {
	struct source src;
	struct told_bpf *skel;
	struct vm_table *table; /* names and devices, by gen */
	struct told_vm *vms;
	size_t nr_vms;
	uint64_t next_gen;
	uint64_t next_list_ns;
	struct wb_counters ended;
	struct src_log log;
	struct utsname uts;
};

static struct told_vm *find_vm(struct told_source *t, pid_t pid)
{
	for (size_t i = 0; i < t->nr_vms; i++) {
		if (t->vms[i].pid == pid)
			return &t->vms[i];
	}
	return NULL;
}

static struct told_vm *add_vm(struct told_source *t, pid_t pid, const char *comm)
{
	struct told_vm *vms = reallocarray(t->vms, t->nr_vms + 1, sizeof(*vms)), *vm;
	struct wb_vm_val val = { .tgid = pid, .policy = WB_NO_POLICY };
	struct vm_state *state;
	char path[32], name[64];

	if (!vms)
		return NULL;
	t->vms = vms;
	vm = &vms[t->nr_vms];
	*vm = (struct told_vm){
		.gen = t->next_gen++,
		.pid = pid,
		.start = proc_start_time("/proc", pid),
		.fd = -1,
		.noncoherent = WB_UNKNOWN,
	};
	/* What the program was told is the name of a thread. */
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	if (proc_read_attr(AT_FDCWD, path, name, sizeof(name)) > 0)
		comm = name;
	snprintf(val.comm, sizeof(val.comm), "%.*s", WB_COMM_LEN - 1, comm);
	state = vm_table_add(t->table, vm->gen, &val);
	if (!state)
		return NULL;
	state->start = vm->start;
	t->nr_vms++;
	return vm;
}

static off_t count_files(pid_t pid)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	return stat(path, &st) ? 0 : st.st_size;
}

/* The files of one process that are VMs; -1: it cannot be looked at. */
static int count_fds(const char *pid, int *one)
{
	char path[300], target[64];
	struct dirent *de;
	int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	if (!dir)
		return -1;
	while ((de = readdir(dir))) {
		ssize_t len = readlinkat(dirfd(dir), de->d_name, target, sizeof(target) - 1);

		target[len > 0 ? len : 0] = '\0';
		if (strcmp(target, "anon_inode:kvm-vm"))
			continue;
		*one = atoi(de->d_name);
		n++;
	}
	closedir(dir);
	return n;
}

static int list_process(struct told_source *t, const char *name)
{
	struct told_vm *vm = find_vm(t, atoi(name));
	off_t nr_files = vm ? count_files(vm->pid) : 0;
	int fd = -1, n = count_fds(name, &fd);

	if (n > 0 && !vm) {
		vm = add_vm(t, atoi(name), "");
		if (!vm)
			return -ENOMEM;
	}
	if (!vm || n < 0)
		return 0;
	if (!n)
		vm->gone = vm->nr_fds;
	vm->several |= n > 1 || (n && vm->fd >= 0 && vm->fd != fd);
	vm->nr_files = nr_files;
	vm->nr_fds = n;
	if (n)
		vm->fd = fd;
	return 0;
}

/* Between two lists: processes that have opened or closed something since. */
static int list_changed(struct told_source *t)
{
	char name[16];
	int err = 0;

	for (size_t i = 0; i < t->nr_vms && !err; i++) {
		if (count_files(t->vms[i].pid) == t->vms[i].nr_files)
			continue;
		snprintf(name, sizeof(name), "%d", t->vms[i].pid);
		err = list_process(t, name);
	}
	return err;
}

static int list_vms(struct told_source *t, uint64_t now)
{
	struct dirent *de;
	uint64_t cost;
	int err = 0;
	DIR *dir;

	if (now < t->next_list_ns)
		return list_changed(t);
	dir = opendir("/proc");
	if (!dir)
		return -errno;
	while (!err && (de = readdir(dir))) {
		if (isdigit((unsigned char)de->d_name[0]))
			err = list_process(t, de->d_name);
	}
	closedir(dir);
	cost = (clock_ns(CLOCK_MONOTONIC) - now) * LIST_SHARE;
	if (cost > LIST_AT_LEAST_NS)
		cost = LIST_AT_LEAST_NS;
	t->next_list_ns = cost < 1000000000ULL ? 0 : now + cost;
	return err;
}

static int on_event(void *ctx, const struct dmalog_event *e)
{
	struct told_source *t = ctx;
	struct told_vm *vm;

	if (e->kind == DMALOG_BOX)
		vm_table_look_again(t->table);
	if (e->kind != DMALOG_MAP)
		t->next_list_ns = 0;
	if (e->kind != DMALOG_KVM)
		return 0;
	vm = find_vm(t, e->vm_pid);
	/* A thread that has made a VM and ended: of which process is not known. */
	if (!vm && !proc_tgid("/proc", e->vm_pid))
		return 0;
	if (!vm)
		vm = add_vm(t, e->vm_pid, e->comm);
	if (!vm)
		return -ENOMEM;
	vm->noncoherent = e->count ? WB_YES : WB_NO;
	vm->policy = vm_policy_of(e->policy);
	return 0;
}

static int take_place(struct told_source *t, struct wb_snapshot *s, const struct wb_told *p,
		      uint32_t epoch)
{
	pid_t pid = p->key >> 32;
	struct told_vm *vm = find_vm(t, pid);
	struct wb_vm *to;
	struct wb_vcpu *v;

	to = vm ? snapshot_vm(s, vm->gen) : NULL;
	if (!to)
		return -ENOMEM;
	v = snapshot_add_vcpu(to);
	if (!v)
		return -ENOMEM;
	v->id = p->key & 0xffffffff;
	v->total.flushes = p->flushes;
	v->total.skips = p->skips;
	v->total.exits = p->flushes + p->skips;
	v->total.skips_policy = p->skips_policy;
	v->total.emulation_ns = p->emulation_ns;
	v->total.cpus_flushed = p->cpus_flushed;
	v->max_ns = p->max_ns;
	v->interval_max_ns = epoch_max(p->max, epoch);
	for (unsigned int i = 0; i < WB_HIST_SLOTS; i++)
		v->hist[i] = p->hist[i];
	/* A single VM's last exit tells, unless an event is newer; see on_event(). */
	if (vm->noncoherent == WB_UNKNOWN && !vm->several)
		vm->noncoherent = p->last_reason != 1 ? WB_YES : WB_NO;
	return 0;
}

static const struct wb_told *place_at(const struct told_source *t, unsigned int i)
{
	const struct wb_told *p = &t->skel->bss->places[i];

	return __atomic_load_n(&p->key, __ATOMIC_ACQUIRE) > WB_TOLD_CLEARED ? p : NULL;
}

/* Processes that were not there when files were last listed. */
static int add_unlisted(struct told_source *t)
{
	for (unsigned int i = 0; i < NR_PLACES; i++) {
		const struct wb_told *p = place_at(t, i);
		char comm[WB_COMM_LEN + 1];

		if (!p || find_vm(t, p->key >> 32))
			continue;
		snprintf(comm, sizeof(comm), "%.*s", WB_COMM_LEN, p->comm);
		if (!add_vm(t, p->key >> 32, comm))
			return -ENOMEM;
	}
	return 0;
}

static int begin_vms(struct told_source *t, struct wb_snapshot *s)
{
	for (size_t i = 0; i < t->nr_vms; i++) {
		struct told_vm *vm = &t->vms[i];
		struct wb_vm *to = snapshot_add_vm(s);

		if (!to)
			return -ENOMEM;
		/* Before its counts are read: those are then the last. */
		vm->gone |= vm_table_process_gone(t->table, vm->pid, vm->start);
		to->key = vm->gen;
		to->pid = vm->pid;
		to->start = vm->start;
		if (!vm->several && vm->fd >= 0 && asprintf(&to->id, "%d-%d", vm->pid, vm->fd) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int finish_vms(struct told_source *t, struct wb_snapshot *s)
{
	for (size_t i = 0; i < t->nr_vms; i++) {
		struct told_vm *vm = &t->vms[i];
		struct wb_vm *to = snapshot_vm(s, vm->gen);
		struct vm_state *state = vm_table_find(t->table, vm->gen);
		int err;

		to->ended = vm->gone;
		to->noncoherent = vm->several ? WB_UNKNOWN : vm->noncoherent;
		to->policy = vm->several ? WB_POLICY_UNKNOWN : vm->policy;
		state->noncoherent = to->noncoherent;
		err = vm_table_identify(t->table, state, to, s->time_ns);
		if (err)
			return err;
	}
	return 0;
}

/* Nobody of the process is left to write to its places. */
static void free_places(struct told_source *t, pid_t pid)
{
	for (unsigned int i = 0; i < NR_PLACES; i++) {
		struct wb_told *p = &t->skel->bss->places[i];

		if (p->key >> 32 != (uint32_t)pid)
			continue;
		__atomic_store_n(&p->key, WB_TOLD_CLEARED, __ATOMIC_SEQ_CST);
		memset((char *)p + sizeof(p->key), 0, sizeof(*p) - sizeof(p->key));
		__atomic_store_n(&p->key, 0, __ATOMIC_SEQ_CST);
	}
}

static void forget_ended(struct told_source *t, const struct wb_snapshot *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->nr_vms; i++) {
		struct told_vm *vm = &t->vms[i];
		const struct wb_vm *last = snapshot_find_vm(s, vm->gen);
		struct wb_counters c;

		if (!vm->gone) {
			t->vms[kept++] = *vm;
			continue;
		}
		c = vm_total(last);
		counters_add(&t->ended, &c);
		free_places(t, vm->pid);
		vm_table_remove(t->table, vm->gen);
	}
	t->nr_vms = kept;
}

static int read_all(struct told_source *t, struct wb_snapshot *s)
{
	uint32_t epoch = __atomic_fetch_add(&t->skel->data->epoch, 1ULL << WB_MAX_NS_BITS,
					    __ATOMIC_RELAXED) >>
			 WB_MAX_NS_BITS;
	int err;

	s->lost = bpfutil_misses(t->skel->progs.told_end) + t->skel->bss->full;
	vm_table_begin(t->table);
	err = src_log_read(&t->log, s, on_event, t);
	/* First those that have counted, so that their files are looked at. */
	if (!err)
		err = add_unlisted(t);
	if (!err)
		err = list_vms(t, s->time_ns);
	if (!err)
		err = begin_vms(t, s);
	for (unsigned int i = 0; i < NR_PLACES && !err; i++) {
		const struct wb_told *p = place_at(t, i);
		struct wb_told copy;

		/* A process that is younger than the rows is for the next reading. */
		if (!p || !find_vm(t, p->key >> 32))
			continue;
		memcpy(&copy, p, sizeof(copy));
		err = take_place(t, s, &copy, epoch);
	}
	return err ? err : finish_vms(t, s);
}

static int told_read(struct source *src, struct wb_snapshot *s)
{
	struct told_source *t = (struct told_source *)src;
	int err;

	s->time_ns = clock_ns(CLOCK_MONOTONIC);
	s->wall_ns = clock_ns(CLOCK_REALTIME);
	err = read_all(t, s);
	if (err) {
		log_err("cannot read what was counted: %s", strerror(-err));
		return err;
	}
	s->known = WB_KNOWN_OUTCOME | WB_KNOWN_TIME | WB_KNOWN_CPUS | WB_KNOWN_NONCOHERENT |
		   WB_KNOWN_REASON | src_log_known(&t->log);
	s->ended = t->ended;
	snapshot_sort(s);
	forget_ended(t, s);
	return 0;
}

static void told_close(struct source *src)
{
	struct told_source *t = (struct told_source *)src;

	src_log_close(&t->log);
	told_bpf__destroy(t->skel);
	vm_table_free(t->table);
	free(t->vms);
	free(t);
}

static const struct source_ops told_ops = {
	.kind = "bpf",
	.read = told_read,
	.close = told_close,
};

bool source_told_fits(const struct source_config *cfg)
{
	if (cfg->wanted && strcmp(cfg->wanted, "tracepoint"))
		return false;
	return access("/sys/kernel/btf/vmlinux", R_OK) && dmalog_has_tracepoint("kvm_wbinvd_end");
}

static int attach(struct told_source *t)
{
	int err;

	libbpf_set_print(bpfutil_print);
	bpfutil_begin();
	t->skel = told_bpf__open();
	if (!t->skel)
		return -errno;
	err = told_bpf__load(t->skel);
	return err ? err : told_bpf__attach(t->skel);
}

int source_open_told(struct source **out, const struct source_config *cfg)
{
	struct told_source *t;
	int err;

	if (cfg->threshold_ns) {
		log_err("--threshold needs a kernel with BTF (CONFIG_DEBUG_INFO_BTF)");
		return -EOPNOTSUPP;
	}
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->src.ops = &told_ops;
	t->src.name = "tracepoint";
	t->src.time_scope = "function";
	t->src.notice = notice;
	uname(&t->uts);
	t->src.kernel = t->uts.release;
	t->next_gen = WB_GEN_FIRST;
	t->table = vm_table_new("/proc");
	err = t->table ? attach(t) : -ENOMEM;
	if (err) {
		log_err("KVM's tracepoints cannot be read: %s",
			err == -ENOMEM ? strerror(-err) : bpfutil_why(err));
		told_close(&t->src);
		return err == -EPERM || err == -ENOMEM ? err : -EOPNOTSUPP;
	}
	*out = &t->src;
	return 0;
}
