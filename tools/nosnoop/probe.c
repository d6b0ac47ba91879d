// SPDX-License-Identifier: GPL-2.0
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "../lib/log.h"
#include "../lib/pcicap.h"
#include "../lib/procutil.h"

/* Each goes on from "it". */
static const char why_gone[] = "does not answer: its config space reads all ones";
static const char why_master[] =
	"has bus mastering on, so something may be using it; bind it to vfio-pci first";
static const char why_unwritten[] = "did not let the bit be written";
static const char why_unrestored[] =
	"could not be set back to 0; a reset of the function or of the host does that";

static int set_and_restore(const struct probe_io *io, unsigned int pos, uint16_t before,
			   enum probe_result *res, const char **why)
{
	uint16_t after = before, restored = 0;
	int err, back;

	err = io->write16(io->ctx, pos, before | PCI_EXP_DEVCTL_NOSNOOP_EN);
	if (err) {
		*why = why_unwritten;
		return err;
	}
	err = io->read16(io->ctx, pos, &after);
	back = io->write16(io->ctx, pos, before);
	if (!back)
		back = io->read16(io->ctx, pos, &restored);
	if (back || (restored & PCI_EXP_DEVCTL_NOSNOOP_EN)) {
		*why = restored == 0xffff ? why_gone : why_unrestored;
		return -EIO;
	}
	if (err || after == 0xffff) {
		*why = why_gone;
		return -EIO;
	}
	*res = after & PCI_EXP_DEVCTL_NOSNOOP_EN ? PROBE_WRITABLE : PROBE_HARDWIRED;
	return 0;
}

int probe_bit(const struct probe_io *io, unsigned int cap, enum probe_result *res, const char **why)
{
	unsigned int pos = cap + PCI_EXP_DEVCTL;
	uint16_t command, devctl;
	sigset_t all, old;
	int err;

	*why = why_gone;
	err = io->read16(io->ctx, PCI_COMMAND, &command);
	if (!err)
		err = io->read16(io->ctx, pos, &devctl);
	if (err)
		return err;
	if (command == 0xffff || devctl == 0xffff)
		return -EIO;
	if (devctl & PCI_EXP_DEVCTL_NOSNOOP_EN) {
		*why = NULL;
		*res = PROBE_SET;
		return 0;
	}
	if (command & PCI_COMMAND_MASTER) {
		*why = why_master;
		return -EBUSY;
	}
	*why = NULL;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	err = set_and_restore(io, pos, devctl, res, why);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return err;
}

static int sysfs_read16(void *ctx, unsigned int pos, uint16_t *v)
{
	uint8_t b[2];
	ssize_t n = pread(*(int *)ctx, b, sizeof(b), pos);

	if (n != sizeof(b))
		return n < 0 ? -errno : -EIO;
	*v = b[0] | b[1] << 8;
	return 0;
}

static int sysfs_write16(void *ctx, unsigned int pos, uint16_t v)
{
	uint8_t b[2] = { v & 0xff, v >> 8 };
	ssize_t n = pwrite(*(int *)ctx, b, sizeof(b), pos);

	if (n != sizeof(b))
		return n < 0 ? -errno : -EIO;
	return 0;
}

/* What makes the function ours while we write: -1 where nobody has it. */
struct hold {
	int group;
	int cdev;
	int iommufd;
};

static void let_go(struct hold *h)
{
	if (h->cdev >= 0)
		close(h->cdev);
	if (h->iommufd >= 0)
		close(h->iommufd);
	if (h->group >= 0)
		close(h->group);
}

/*
 * The group's file can be open once only, and while it is nobody can bind the
 * function's own file.
 */
static int hold_group(const struct func_row *r, struct hold *h)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/vfio/%d", r->d.group);
	h->group = open(path, O_RDWR | O_CLOEXEC);
	if (h->group < 0 && errno == ENOENT) {
		snprintf(path, sizeof(path), "/dev/vfio/noiommu-%d", r->d.group);
		h->group = open(path, O_RDWR | O_CLOEXEC);
	}
	return h->group < 0 ? -errno : 0;
}

#ifndef VFIO_DEVICE_BIND_IOMMUFD
/* Of Linux 6.6, which the headers of Debian 12 do not know. */
struct vfio_device_bind_iommufd {
	__u32 argsz;
	__u32 flags;
	__s32 iommufd;
	__u32 out_devid;
};
#define VFIO_DEVICE_BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)
#endif

/* Kernels without groups: binding the function's own file is what excludes others. */
static int hold_cdev(int dirfd, struct hold *h)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	char path[64];
	int i;

	for (i = 0; i < 4096; i++) {
		snprintf(path, sizeof(path), "vfio-dev/vfio%d", i);
		if (!faccessat(dirfd, path, F_OK, 0))
			break;
	}
	if (i == 4096)
		return -ENOENT;
	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%d", i);
	h->cdev = open(path, O_RDWR | O_CLOEXEC);
	if (h->cdev < 0)
		return -errno;
	h->iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (h->iommufd < 0)
		return -errno;
	bind.iommufd = h->iommufd;
	return ioctl(h->cdev, VFIO_DEVICE_BIND_IOMMUFD, &bind) ? -errno : 0;
}

static int take_hold(const struct func_row *r, int dirfd, struct hold *h)
{
	int err;

	if (!*r->f.driver)
		return 0;
	err = hold_group(r, h);
	if (err == -ENOENT)
		err = hold_cdev(dirfd, h);
	if (err == -EBUSY)
		log_err("%s is in use: somebody has it open through VFIO; stop that VM first",
			r->d.bdf);
	else if (err)
		log_err("%s cannot be opened through VFIO: %s", r->d.bdf, strerror(-err));
	return err;
}

/* In a sentence what keeps the function from being probed; NULL: nothing. */
static const char *objection(const struct func_row *r, int *err)
{
	*err = -EOPNOTSUPP;
	if (r->f.is_vf)
		return "is a virtual function, where the bit is reserved; probe its physical function";
	if (r->integrated)
		return "is a root-complex integrated endpoint: a bit that cannot be set would prove nothing";
	if (r->display || r->listed)
		return "is known to make accesses that the bit need not govern: a probe would prove nothing";
	if (r->f.port_err == -EACCES) {
		*err = -EACCES;
		return "shows only the first 64 bytes of its config space: a probe needs root (CAP_SYS_ADMIN)";
	}
	/* What sleeps has not been looked at yet: it is once more when it is ours. */
	if (!r->f.suspended && r->f.port_type != PCI_EXP_TYPE_ENDPOINT &&
	    r->f.port_type != PCI_EXP_TYPE_LEG_END)
		return "is no PCI Express endpoint, or its config space is not readable";
	*err = -EBUSY;
	if (r->f.num_vfs > 0)
		return "has virtual functions enabled; write 0 to its sriov_numvfs first";
	if (r->owner.pid)
		return "is held by a process through VFIO; stop that VM first";
	if (*r->f.driver && strcmp(r->f.driver, "vfio-pci"))
		return "is bound to a driver; unbind it, or bind it to vfio-pci, first";
	return NULL;
}

static void note_result(struct func_row *r, enum probe_result res)
{
	struct timespec ts;
	struct tm tm;

	r->why_no_snoop = NULL;
	if (res == PROBE_SET) {
		r->d.no_snoop = DEV_NO_SNOOP_ENABLED;
		return;
	}
	if (res == PROBE_WRITABLE) {
		/* Still 0, but what can be set is an ability. */
		r->d.no_snoop = DEV_NO_SNOOP_DISABLED;
		r->can_be_set = true;
		return;
	}
	r->d.no_snoop = DEV_NO_SNOOP_HARDWIRED0;
	strcpy(r->proof_by, "nosnoop --probe");
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(r->proof_time, sizeof(r->proof_time), "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* With its config space at hand, which a sleeping function's was not before. */
static int look_again(int dirfd, struct func_row *r, const uint8_t *cfg, size_t len,
		      const char **why)
{
	uint64_t vfs;
	int err;

	/* Enabled since it was looked at, perhaps: while it is ours nobody can. */
	if (!proc_read_number(dirfd, "sriov_numvfs", 10, &vfs) && vfs <= UINT16_MAX)
		r->f.num_vfs = vfs;
	r->f.suspended = false;
	dev_facts_port_of(&r->f, cfg, len);
	err = func_judge(r);
	if (err)
		return err;
	*why = objection(r, &err);
	return *why ? err : 0;
}

static int probe_open(int dirfd, struct func_row *r)
{
	uint8_t cfg[PCI_CFG_SPACE_SIZE];
	enum probe_result res;
	char driver[64];
	const char *why;
	int fd, cap, err;
	ssize_t n;

	fd = openat(dirfd, "config", O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		err = -errno;
		log_err("the config space of %s cannot be opened for writing: %s", r->d.bdf,
			strerror(-err));
		return err;
	}
	n = pread(fd, cfg, sizeof(cfg), 0);
	cap = pcie_cap_find(cfg, n > 0 ? n : 0, &why);
	if (cap < 0)
		why = "shows no PCI Express capability";
	err = cap < 0 ? cap : look_again(dirfd, r, cfg, n, &why);
	if (!err) {
		struct probe_io io = { sysfs_read16, sysfs_write16, &fd };

		/* Somebody may have bound it since it was looked at. */
		if (proc_read_link_name(dirfd, "driver", driver, sizeof(driver)) < 0)
			*driver = '\0';
		why = "has just got another driver";
		err = strcmp(driver, r->f.driver) ? -EBUSY : probe_bit(&io, cap, &res, &why);
	}
	close(fd);
	if (err == -EPERM)
		log_err("%s: this kernel refuses writes to config space (lockdown)", r->d.bdf);
	else if (err)
		log_err("%s cannot be probed: it %s", r->d.bdf, why);
	if (err)
		return err;
	note_result(r, res);
	return func_judge(r);
}

static int write_attr(int dirfd, const char *path, const char *text)
{
	int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static bool in_d0(int dirfd)
{
	char state[16];

	return proc_read_attr(dirfd, "power_state", state, sizeof(state)) > 0 &&
	       !strcmp(state, "D0");
}

/*
 * A function that sleeps may ignore writes, and would pass for one that is
 * hardwired.  *woken: its power/control was auto and has to be again.
 */
static int wake(const struct func_row *r, int dirfd, bool *woken)
{
	char control[16];

	*woken = false;
	if (in_d0(dirfd))
		return 0;
	if (proc_read_attr(dirfd, "power/control", control, sizeof(control)) > 0 &&
	    !strcmp(control, "auto"))
		*woken = !write_attr(dirfd, "power/control", "on");
	if (in_d0(dirfd))
		return 0;
	log_err("%s is not in power state D0 and does not wake, so that a write may be ignored",
		r->d.bdf);
	return -EBUSY;
}

static int probe_held(int dirfd, struct func_row *r)
{
	struct hold h = { -1, -1, -1 };
	bool woken = false;
	int err = take_hold(r, dirfd, &h);

	if (!err)
		err = wake(r, dirfd, &woken);
	if (!err)
		err = probe_open(dirfd, r);
	if (woken && write_attr(dirfd, "power/control", "auto"))
		log_warn("power/control of %s could not be set back to auto", r->d.bdf);
	let_go(&h);
	return err;
}

int probe_function(struct dev_scan *s, struct func_row *r)
{
	sigset_t all, old;
	const char *why;
	char path[64];
	int dirfd, err;

	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/config", r->d.bdf);
	/* Of one that sleeps nothing else would tell before it is to be woken. */
	if (faccessat(dev_scan_rootfd(s), path, W_OK, AT_EACCESS) && errno == EACCES) {
		log_err("%s can be probed by root alone: its config space is not ours to write",
			r->d.bdf);
		return -EACCES;
	}
	why = objection(r, &err);
	if (why) {
		log_err("%s %s", r->d.bdf, why);
		return err;
	}
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", r->d.bdf);
	dirfd = openat(dev_scan_rootfd(s), path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0) {
		log_err("%s has vanished", r->d.bdf);
		return -ENODEV;
	}
	/* What is woken is let sleep again, whatever comes. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	err = probe_held(dirfd, r);
	sigprocmask(SIG_SETMASK, &old, NULL);
	close(dirfd);
	return err;
}

int probe_functions(struct dev_scan *s, const struct filter *f, const struct func_list *l,
		    size_t *probed)
{
	int err = 0;

	*probed = 0;
	for (size_t i = 0; i < f->nr_bdfs; i++) {
		struct func_row *r = func_find(l, f->bdfs[i]);
		int one;

		if (!r || !filter_passes(f, r)) {
			log_warn("%s is left out by the other options: it was not probed",
				 f->bdfs[i]);
			continue;
		}
		one = probe_function(s, r);
		*probed += !one;
		if (!err)
			err = one;
	}
	return err;
}
