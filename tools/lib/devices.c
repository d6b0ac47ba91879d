// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "devices.h"
#include "num.h"
#include "pcicap.h"
#include "pciname.h"
#include "procutil.h"

#define NSEC_PER_SEC 1000000000ULL

/*
 * How old the facts of a function may be (less than a second, so that somebody
 * who looks every second sees new ones), and the list of a process's functions.
 */
#define FACTS_NS (NSEC_PER_SEC * 9 / 10)
#define FDS_NS	 (5 * NSEC_PER_SEC)

/* A function or process that was not asked for so long is read anew, or forgotten. */
#define STALE_NS (10 * NSEC_PER_SEC)

/* Snoop Control in VT-d's Extended Capability Register: the IOMMU can force snooping. */
#define VTD_ECAP_SC (1ULL << 7)

/* One PCI function. */
struct func {
	char bdf[sizeof(((struct wb_device *)0)->bdf)];
	ino_t ino;	  /* of its sysfs directory: another one is another device */
	uint64_t read_ns; /* when facts were last read */
	struct wb_device d;
	bool is_vf;
	bool settled; /* no_snoop will not change */
	int cap;      /* offset of the PCI Express capability, 0: not known yet */
	const char *why_no_snoop;
	const char *why_iommu;
	struct func *next;
};

/* The functions of one process. */
struct holder {
	pid_t pid;
	uint64_t start;
	ino_t ino;    /* of its fd directory */
	off_t nr_fds; /* 0: this kernel does not tell */
	uint64_t read_ns;
	uint64_t asked_ns;
	struct bdf_list {
		size_t n, max;
		char (*bdf)[sizeof(((struct wb_device *)0)->bdf)];
	} funcs;
	struct holder *next;
};

struct dev_scan {
	int rootfd;
	struct pciname *names;
	void *func_tree;	/* of struct func, by bdf */
	struct func *funcs;	/* the same ones */
	void *holder_tree;	/* of struct holder, by pid and start */
	struct holder *holders; /* the same ones */
	uint64_t swept_ns;
	bool amd_v2; /* AMD's IOMMU uses page tables of version 2 */
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

/* A name in sysfs that is the address of a PCI function, not a mediated device's UUID. */
static bool is_bdf(const char *s)
{
	char canonical[sizeof(((struct wb_device *)0)->bdf)];

	return !num_bdf(s, canonical, sizeof(canonical)) && !strcmp(s, canonical);
}

static int bdf_cmp(const void *a, const void *b)
{
	size_t la = strlen(a), lb = strlen(b);

	/* A domain of five digits comes after all of four. */
	if (la != lb)
		return la < lb ? -1 : 1;
	return strcmp(a, b);
}

static int bdf_list_add(struct bdf_list *l, const char *bdf)
{
	size_t max = l->max ? l->max * 2 : 8;
	void *grown;

	if (l->n == l->max) {
		grown = reallocarray(l->bdf, max, sizeof(*l->bdf));
		if (!grown)
			return -ENOMEM;
		l->bdf = grown;
		l->max = max;
	}
	memset(l->bdf[l->n], 0, sizeof(*l->bdf));
	strncpy(l->bdf[l->n], bdf, sizeof(*l->bdf) - 1);
	l->n++;
	return 0;
}

static bool bdf_list_has(const struct bdf_list *l, size_t n, const char *bdf)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!strcmp(l->bdf[i], bdf))
			return true;
	return false;
}

static void bdf_list_sort(struct bdf_list *l)
{
	size_t i, kept = 0;

	if (!l->n)
		return;
	qsort(l->bdf, l->n, sizeof(*l->bdf), bdf_cmp);
	for (i = 1; i < l->n; i++)
		if (strcmp(l->bdf[kept], l->bdf[i]))
			memcpy(l->bdf[++kept], l->bdf[i], sizeof(*l->bdf));
	l->n = kept + 1;
}

static void bdf_list_free(struct bdf_list *l)
{
	free(l->bdf);
	memset(l, 0, sizeof(*l));
}

/* --- facts of a function -------------------------------------------------- */

/*
 * Whether the IOMMU in front of the function can force its accesses to be
 * snooped.  It tells what the IOMMU can do, not what a domain does: VFIO and
 * iommufd use it wherever it is there.
 */
static void read_iommu(const struct dev_scan *s, struct func *f, int dirfd)
{
	static const char why_none[] =
		"the kernel knows no IOMMU in front of it, so what becomes of no-snoop is not known";
	static const char why_driver[] =
		"the driver of the IOMMU in front of it does not tell whether it can block no-snoop";
	static const char why_amd_v2[] =
		"the command line asks for AMD's version 2 page tables, which cannot block no-snoop";
	char name[64];
	uint64_t ecap;

	f->d.snoop_control = -1;
	f->why_iommu = why_none;
	if (proc_read_link_name(dirfd, "iommu", name, sizeof(name)) < 0)
		return;
	f->why_iommu = why_driver;
	if (!proc_read_number(dirfd, "iommu/intel-iommu/ecap", 16, &ecap))
		f->d.snoop_control = !!(ecap & VTD_ECAP_SC);
	else if (!strncmp(name, "ivhd", 4) && s->amd_v2)
		f->why_iommu = why_amd_v2;
	else if (!strncmp(name, "ivhd", 4))
		/*
		 * The kernel sets the force-coherent bit in all of AMD's page
		 * tables of version 1 (amd_iommu_enforce_cache_coherency(),
		 * drivers/iommu/amd/iommu.c).
		 */
		f->d.snoop_control = 1;
	if (f->d.snoop_control >= 0)
		f->why_iommu = NULL;
}

static int read_identity(struct dev_scan *s, struct func *f, int dirfd)
{
	uint64_t vendor = 0, device = 0, group;
	char name[16], *end;
	struct stat st;

	f->d.group = -1;
	if (proc_read_link_name(dirfd, "iommu_group", name, sizeof(name)) > 0) {
		group = strtoul(name, &end, 10);
		if (!*end && group <= INT_MAX)
			f->d.group = group;
	}
	read_iommu(s, f, dirfd);

	f->is_vf = !fstatat(dirfd, "physfn", &st, AT_SYMLINK_NOFOLLOW);
	f->settled = f->is_vf;
	f->cap = 0;
	f->d.no_snoop = DEV_NO_SNOOP_UNKNOWN;
	f->why_no_snoop = f->is_vf ? why_vf : NULL;

	proc_read_number(dirfd, "vendor", 0, &vendor);
	proc_read_number(dirfd, "device", 0, &device);
	free(f->d.name);
	f->d.name = pciname_get(s->names, vendor, device);
	return f->d.name ? 0 : -ENOMEM;
}

/* Reading config space resumes a suspended function; nobody asked for that. */
static bool is_suspended(int dirfd)
{
	char status[32];

	return proc_read_attr(dirfd, "power/runtime_status", status, sizeof(status)) > 0 &&
	       !strncmp(status, "suspend", 7);
}

static ssize_t pread_full(int fd, void *buf, size_t len, off_t pos)
{
	ssize_t n;
	size_t got = 0;

	while (got < len) {
		n = pread(fd, (char *)buf + got, len - got, pos + got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		got += n;
	}
	return got;
}

/*
 * Once the capability is found only its head is read, three accesses to the
 * device instead of 64.
 */
static void read_no_snoop(struct func *f, int dirfd)
{
	static const char why_suspended[] =
		"runtime-suspended: reading its config space would wake it";
	uint8_t cfg[PCI_CFG_SPACE_SIZE];
	ssize_t n = 0;
	int fd, cap;

	if (f->settled)
		return;
	f->d.no_snoop = DEV_NO_SNOOP_UNKNOWN;
	f->why_no_snoop = why_suspended;
	if (is_suspended(dirfd))
		return;
	fd = openat(dirfd, "config", O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && f->cap)
		n = pread_full(fd, cfg, PCIE_CAP_LEN, f->cap);
	if (n == PCIE_CAP_LEN && cfg[PCI_CAP_LIST_ID] == PCI_CAP_ID_EXP) {
		f->d.no_snoop = pcie_cap_no_snoop(cfg, &f->why_no_snoop, &f->settled);
		goto out;
	}
	f->cap = 0;
	n = fd >= 0 ? pread_full(fd, cfg, sizeof(cfg), 0) : 0;
	cap = pcie_cap_find(cfg, n, &f->why_no_snoop);
	if (cap > 0) {
		f->cap = cap;
		f->d.no_snoop = pcie_cap_no_snoop(cfg + cap, &f->why_no_snoop, &f->settled);
	} else {
		f->settled = cap == -ENXIO;
	}
out:
	if (fd >= 0)
		close(fd);
}

static int func_tree_cmp(const void *a, const void *b)
{
	return strcmp(((const struct func *)a)->bdf, ((const struct func *)b)->bdf);
}

static void func_free(struct func *f)
{
	device_clear(&f->d);
	free(f);
}

static struct func *func_find(struct dev_scan *s, const char *bdf)
{
	struct func key = { 0 }, **node;

	strncpy(key.bdf, bdf, sizeof(key.bdf) - 1);
	node = tfind(&key, &s->func_tree, func_tree_cmp);
	return node ? *node : NULL;
}

static struct func *func_new(struct dev_scan *s, const char *bdf)
{
	struct func *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	strncpy(f->bdf, bdf, sizeof(f->bdf) - 1);
	strcpy(f->d.bdf, f->bdf);
	if (!tsearch(f, &s->func_tree, func_tree_cmp)) {
		free(f);
		return NULL;
	}
	f->next = s->funcs;
	s->funcs = f;
	return f;
}

static void func_forget(struct dev_scan *s, struct func **link)
{
	struct func *f = *link;

	*link = f->next;
	tdelete(f, &s->func_tree, func_tree_cmp);
	func_free(f);
}

/* The function's current facts, valid until the next call with the same scan. */
static int func_get(struct dev_scan *s, const char *bdf, uint64_t now, struct func **out)
{
	struct func *f = func_find(s, bdf);
	char path[64];
	struct stat st;
	int dirfd, err = 0;

	if (f && f->read_ns && now - f->read_ns < FACTS_NS) {
		*out = f;
		return 0;
	}
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", bdf);
	dirfd = openat(s->rootfd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return -ENODEV;
	if (fstat(dirfd, &st)) {
		err = -ENODEV;
		goto out;
	}
	if (!f)
		f = func_new(s, bdf);
	if (!f) {
		err = -ENOMEM;
		goto out;
	}
	if (!f->read_ns || f->ino != st.st_ino || now - f->read_ns >= STALE_NS)
		err = read_identity(s, f, dirfd);
	if (!err) {
		read_no_snoop(f, dirfd);
		err = device_box_why(&f->d, f->why_no_snoop, f->why_iommu);
	}
	f->ino = st.st_ino;
	f->read_ns = err ? 0 : now;
	*out = f;
out:
	close(dirfd);
	return err;
}

int dev_scan_bdf_why(struct dev_scan *s, const char *bdf, struct wb_device *d,
		     const char **why_no_snoop, const char **why_iommu)
{
	char canonical[sizeof(d->bdf)];
	struct func *f;
	int err = num_bdf(bdf, canonical, sizeof(canonical));

	*why_no_snoop = NULL;
	*why_iommu = NULL;
	if (!err)
		err = func_get(s, canonical, now_ns(), &f);
	if (err)
		return err;
	*why_no_snoop = f->why_no_snoop;
	*why_iommu = f->why_iommu;
	return device_copy(d, &f->d);
}

int dev_scan_bdf(struct dev_scan *s, const char *bdf, struct wb_device *d)
{
	const char *why_no_snoop, *why_iommu;

	return dev_scan_bdf_why(s, bdf, d, &why_no_snoop, &why_iommu);
}

int dev_scan_list(struct dev_scan *s, char (**bdfs)[16], size_t *n)
{
	struct bdf_list list = { 0 };
	struct dirent *de;
	int fd, err = 0;
	DIR *dir;

	*bdfs = NULL;
	*n = 0;
	fd = openat(s->rootfd, "sys/bus/pci/devices", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	while (!err && (de = readdir(dir)))
		if (is_bdf(de->d_name))
			err = bdf_list_add(&list, de->d_name);
	closedir(dir);
	if (err) {
		bdf_list_free(&list);
		return err;
	}
	bdf_list_sort(&list);
	*bdfs = list.bdf;
	*n = list.n;
	return 0;
}

int dev_scan_rootfd(const struct dev_scan *s)
{
	return s->rootfd;
}

/* --- functions of a process ----------------------------------------------- */

/* Whether a VFIO driver has the function, and not the host or nobody. */
static bool bound_to_vfio(struct dev_scan *s, const char *bdf)
{
	char path[NAME_MAX + 64], driver[NAME_MAX + 1];
	struct stat st;

	/* Linux 6.1 and later, whatever the driver is called. */
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/vfio-dev", bdf);
	if (!fstatat(s->rootfd, path, &st, 0))
		return true;
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/driver", bdf);
	return proc_read_link_name(s->rootfd, path, driver, sizeof(driver)) > 0 &&
	       strstr(driver, "vfio");
}

/*
 * A group's functions, unless some are known already from their own files:
 * then those are the ones that the process has.  n_known: how many of the list
 * come from such files.
 */
static int add_group(struct dev_scan *s, unsigned int group, size_t n_known, struct bdf_list *l)
{
	size_t before = l->n;
	struct dirent *de;
	char path[64];
	int fd, err = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%u/devices", group);
	fd = openat(s->rootfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	while (!err && (de = readdir(dir))) {
		if (!is_bdf(de->d_name))
			continue;
		if (bdf_list_has(l, n_known, de->d_name)) {
			l->n = before;
			break;
		}
		if (bound_to_vfio(s, de->d_name))
			err = bdf_list_add(l, de->d_name);
	}
	closedir(dir);
	return err;
}

/* The function that a VFIO device's file names in its fdinfo. */
static int add_from_fdinfo(int pidfd, const char *fd, struct bdf_list *l)
{
	static const char key[] = "vfio-device-syspath:";
	char path[NAME_MAX + 16], *buf, *line, *slash;
	size_t len;
	int err = 0;

	snprintf(path, sizeof(path), "fdinfo/%s", fd);
	if (proc_read_file(pidfd, path, 16384, &buf, &len))
		return 0;
	line = strstr(buf, key);
	if (line) {
		line[strcspn(line, "\n")] = '\0';
		slash = strrchr(line, '/');
		if (slash && is_bdf(slash + 1))
			err = bdf_list_add(l, slash + 1);
	}
	free(buf);
	return err;
}

/* The function behind /dev/vfio/devices/NAME. */
static int add_cdev(struct dev_scan *s, const char *name, struct bdf_list *l)
{
	char path[128], bdf[64];

	if (strchr(name, '/') ||
	    snprintf(path, sizeof(path), "sys/class/vfio-dev/%s/device", name) >=
		    (int)sizeof(path) ||
	    proc_read_link_name(s->rootfd, path, bdf, sizeof(bdf)) < 0 || !is_bdf(bdf))
		return 0;
	return bdf_list_add(l, bdf);
}

struct group_list {
	size_t n, max;
	unsigned int *group;
};

static int group_list_add(struct group_list *l, unsigned int group)
{
	size_t i, max = l->max ? l->max * 2 : 8;
	void *grown;

	for (i = 0; i < l->n; i++)
		if (l->group[i] == group)
			return 0;
	if (l->n == l->max) {
		grown = reallocarray(l->group, max, sizeof(*l->group));
		if (!grown)
			return -ENOMEM;
		l->group = grown;
		l->max = max;
	}
	l->group[l->n++] = group;
	return 0;
}

/*
 * One descriptor.  The path may be of another mount namespace or below a
 * jail's root, so only its end counts.
 */
static int add_fd(struct dev_scan *s, int pidfd, const char *fd, char *target, struct bdf_list *l,
		  struct group_list *groups)
{
	static const char cdevs[] = "/vfio/devices/", group_dir[] = "/vfio/";
	char *name, *end;
	unsigned long group;

	if (!strcmp(target, "anon_inode:[vfio-device]"))
		return add_from_fdinfo(pidfd, fd, l);
	if (target[0] != '/')
		return 0;
	end = strstr(target, " (deleted)");
	if (end)
		*end = '\0';
	name = strstr(target, cdevs);
	if (name)
		return add_cdev(s, name + strlen(cdevs), l);
	name = strstr(target, group_dir);
	if (!name)
		return 0;
	name += strlen(group_dir);
	if (!strncmp(name, "noiommu-", 8))
		name += 8;
	if (*name < '0' || *name > '9')
		return 0;
	errno = 0;
	group = strtoul(name, &end, 10);
	if (errno || *end || group > INT_MAX)
		return 0;
	return group_list_add(groups, group);
}

/*
 * Descriptors that go away while we read are gone, that is all.  None at all
 * is a process that is exiting: its file table goes before its VM does, and
 * whoever asks then would take the VM for one without devices.
 */
static int read_fds(struct dev_scan *s, int pidfd, struct bdf_list *l)
{
	struct group_list groups = { 0 };
	char target[PATH_MAX];
	struct dirent *de;
	size_t i, n_known, nr_fds = 0;
	ssize_t n;
	int fd, err = 0;
	DIR *dir;

	fd = openat(pidfd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == EACCES || errno == EPERM ? -EACCES : -ESRCH;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	while (!err && (de = readdir(dir))) {
		if (de->d_name[0] == '.')
			continue;
		nr_fds++;
		n = readlinkat(fd, de->d_name, target, sizeof(target) - 1);
		if (n < 0 && errno == EACCES)
			err = -EACCES;
		if (n <= 0)
			continue;
		target[n] = '\0';
		err = add_fd(s, pidfd, de->d_name, target, l, &groups);
	}
	closedir(dir);
	if (!err && !nr_fds)
		err = -ESRCH;
	n_known = l->n;
	for (i = 0; !err && i < groups.n; i++)
		err = add_group(s, groups.group[i], n_known, l);
	free(groups.group);
	bdf_list_sort(l);
	return err;
}

static int holder_cmp(const void *pa, const void *pb)
{
	const struct holder *a = pa, *b = pb;

	if (a->pid != b->pid)
		return a->pid < b->pid ? -1 : 1;
	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return 0;
}

static void holder_forget(struct dev_scan *s, struct holder **link)
{
	struct holder *h = *link;

	*link = h->next;
	tdelete(h, &s->holder_tree, holder_cmp);
	bdf_list_free(&h->funcs);
	free(h);
}

static struct holder *holder_get(struct dev_scan *s, pid_t pid, uint64_t start)
{
	struct holder key = { .pid = pid, .start = start }, **node, *h;

	node = tfind(&key, &s->holder_tree, holder_cmp);
	if (node)
		return *node;
	h = calloc(1, sizeof(*h));
	if (!h)
		return NULL;
	h->pid = pid;
	h->start = start;
	if (!tsearch(h, &s->holder_tree, holder_cmp)) {
		free(h);
		return NULL;
	}
	h->next = s->holders;
	s->holders = h;
	return h;
}

/* Brings h->funcs up to date. */
static int holder_read(struct dev_scan *s, struct holder *h, uint64_t now)
{
	struct bdf_list list = { 0 };
	struct stat st;
	char path[32];
	int pidfd, err;

	snprintf(path, sizeof(path), "proc/%d/fd", (int)h->pid);
	if (fstatat(s->rootfd, path, &st, 0)) {
		h->read_ns = 0;
		return errno == EACCES || errno == EPERM ? -EACCES : -ESRCH;
	}
	if (h->read_ns && st.st_ino == h->ino && st.st_size && st.st_size == h->nr_fds &&
	    now - h->read_ns < FDS_NS)
		return 0;

	*strrchr(path, '/') = '\0';
	pidfd = openat(s->rootfd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (pidfd < 0 || (h->start && proc_start_time_at(pidfd) != h->start))
		err = -ESRCH;
	else
		err = read_fds(s, pidfd, &list);
	if (pidfd >= 0)
		close(pidfd);
	if (err) {
		bdf_list_free(&list);
		h->read_ns = 0;
		return err;
	}
	bdf_list_free(&h->funcs);
	h->funcs = list;
	h->ino = st.st_ino;
	h->nr_fds = st.st_size;
	h->read_ns = now;
	return 0;
}

/* Processes that ended, functions that went back to the host. */
static void sweep(struct dev_scan *s, uint64_t now)
{
	struct holder **h = &s->holders;
	struct func **f = &s->funcs;

	if (now - s->swept_ns < STALE_NS)
		return;
	s->swept_ns = now;
	while (*h) {
		if (now - (*h)->asked_ns >= STALE_NS)
			holder_forget(s, h);
		else
			h = &(*h)->next;
	}
	while (*f) {
		if (now - (*f)->read_ns >= STALE_NS)
			func_forget(s, f);
		else
			f = &(*f)->next;
	}
	pciname_idle(s->names);
}

int dev_scan_process(struct dev_scan *s, pid_t pid, uint64_t start, struct wb_device **devs,
		     size_t *n)
{
	uint64_t now = now_ns();
	struct wb_device *out;
	struct holder *h;
	size_t i, used = 0;
	struct func *f;
	int err;

	*devs = NULL;
	*n = 0;
	sweep(s, now);
	h = holder_get(s, pid, start);
	if (!h)
		return -ENOMEM;
	h->asked_ns = now;
	err = holder_read(s, h, now);
	if (err || !h->funcs.n)
		return err;
	out = calloc(h->funcs.n, sizeof(*out));
	if (!out)
		return -ENOMEM;
	for (i = 0; i < h->funcs.n; i++) {
		err = func_get(s, h->funcs.bdf[i], now, &f);
		if (err == -ENODEV)
			continue;
		if (!err)
			err = device_copy(&out[used], &f->d);
		if (err) {
			devices_free(out, used);
			return err;
		}
		used++;
	}
	if (!used) {
		free(out);
		out = NULL;
	}
	*devs = out;
	*n = used;
	return 0;
}

int dev_scan_pid(struct dev_scan *s, pid_t pid, struct wb_device **devs, size_t *n)
{
	return dev_scan_process(s, pid, 0, devs, n);
}

/*
 * "amd_iommu=pgtbl_v2": those page tables have no force-coherent bit, though
 * the kernel reports that coherency is enforced (comment at amdv2_ops,
 * drivers/iommu/amd/iommu.c).  The last one on the command line counts.
 */
static bool amd_page_tables_v2(int rootfd)
{
	static const char option[] = "amd_iommu=";
	char *buf, *p, *word, *save = NULL;
	bool v2 = false;
	size_t len;

	if (proc_read_file(rootfd, "proc/cmdline", 65536, &buf, &len))
		return false;
	for (p = buf; (word = strtok_r(p, " \n", &save)); p = NULL) {
		if (strncmp(word, option, strlen(option)))
			continue;
		if (strstr(word, "pgtbl_v1"))
			v2 = false;
		if (strstr(word, "pgtbl_v2"))
			v2 = true;
	}
	free(buf);
	return v2;
}

struct dev_scan *dev_scan_new(const char *root)
{
	struct dev_scan *s = calloc(1, sizeof(*s));
	char *ids = NULL;

	if (!s)
		return NULL;
	s->rootfd = open(root ? root : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root && asprintf(&ids, "%s/usr/share/misc/pci.ids", root) < 0)
		ids = NULL;
	if (!root || ids)
		s->names = pciname_new(ids);
	free(ids);
	if (!s->names) {
		dev_scan_free(s);
		return NULL;
	}
	s->amd_v2 = amd_page_tables_v2(s->rootfd);
	s->swept_ns = now_ns();
	return s;
}

void dev_scan_outdated(struct dev_scan *s, const char *bdf)
{
	struct func *f = func_find(s, bdf);

	if (f)
		f->read_ns = f->read_ns > FACTS_NS ? f->read_ns - FACTS_NS : 0;
}

void dev_scan_forget(struct dev_scan *s)
{
	while (s->holders)
		holder_forget(s, &s->holders);
	while (s->funcs)
		func_forget(s, &s->funcs);
}

void dev_scan_free(struct dev_scan *s)
{
	if (!s)
		return;
	dev_scan_forget(s);
	pciname_free(s->names);
	if (s->rootfd >= 0)
		close(s->rootfd);
	free(s);
}
