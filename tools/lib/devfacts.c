// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devfacts.h"
#include "num.h"
#include "pcicap.h"
#include "procutil.h"

/*
 * PERFCTRLSTS_0 of a root port of Skylake-SP and Cascade Lake-SP; bit 3,
 * NoSnoopOpWrEn: 0 treats no-snoop writes as any other.  Of no other
 * generation has a description been published under which one could read it.
 */
#define SKX_PERFCTRLSTS_0     0x180
#define SKX_NO_SNOOP_OP_WR_EN (1u << 3)
#define SKX_ROOT_PORT_FIRST   0x2030
#define SKX_ROOT_PORT_LAST    0x2033
#define VENDOR_INTEL	      0x8086

static const char why_port_undocumented[] =
	"for this root port no public description says where it is set whether no-snoop is honoured";
static const char why_port_unread[] =
	"the root port's extended config space could not be read: needs root, and a port that is awake";
static const char why_asleep[] =
	"runtime-suspended: its config space was not read, as that would wake it";
static const char why_reserved[] = "its config space tells a kind of port that does not exist";
static const char why_no_port[] = "there is no root port above the function";

static void read_text(int dirfd, const char *path, char *buf, size_t size)
{
	if (proc_read_attr(dirfd, path, buf, size) < 0)
		*buf = '\0';
}

static int read_int(int dirfd, const char *path, int otherwise)
{
	char buf[32], *end;
	long v;

	if (proc_read_attr(dirfd, path, buf, sizeof(buf)) <= 0)
		return otherwise;
	errno = 0;
	v = strtol(buf, &end, 10);
	return errno || *end || v < -1 || v > 1 << 20 ? otherwise : (int)v;
}

static int count_group(int dirfd)
{
	struct dirent *de;
	int fd, n = 0;
	DIR *dir;

	fd = openat(dirfd, "iommu_group/devices", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -1;
	}
	while ((de = readdir(dir)))
		n += de->d_name[0] != '.';
	closedir(dir);
	return n;
}

static bool is_suspended(int dirfd)
{
	char status[32];

	read_text(dirfd, "power/runtime_status", status, sizeof(status));
	return !strncmp(status, "suspend", 7);
}

static size_t read_config(int dirfd, uint8_t *cfg, size_t len, off_t pos)
{
	int fd = openat(dirfd, "config", O_RDONLY | O_CLOEXEC);
	size_t got = 0;
	ssize_t n;

	if (fd < 0)
		return 0;
	while (got < len && (n = pread(fd, cfg + got, len - got, pos + got)) > 0)
		got += n;
	close(fd);
	return got;
}

void dev_facts_port_of(struct dev_facts *f, const uint8_t *cfg, size_t len)
{
	const char *why;
	int pos;

	f->port_type = -1;
	f->cfg_len = len;
	pos = pcie_cap_find(cfg, len, &why);
	if (pos > 0) {
		f->port_type = (cfg[pos + PCI_EXP_FLAGS] & PCI_EXP_FLAGS_TYPE) >> 4;
		why = NULL;
		if (f->port_type > PCI_EXP_TYPE_RC_EC) {
			f->port_type = -1;
			why = why_reserved;
			pos = -EIO;
		}
	}
	f->port_err = pos < 0 && pos != -ENXIO ? pos : 0;
	f->port_why = f->port_err ? why : NULL;
}

static void read_port_type(struct dev_facts *f, int dirfd)
{
	uint8_t cfg[PCI_CFG_SPACE_SIZE];

	dev_facts_port_of(f, cfg, read_config(dirfd, cfg, sizeof(cfg), 0));
}

void dev_facts_port(int rootfd, const char *bdf, struct dev_facts *f)
{
	char path[64];
	int dirfd;

	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", bdf);
	dirfd = openat(rootfd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return;
	read_port_type(f, dirfd);
	close(dirfd);
}

/* .../pci0000:00/0000:00:1c.0/0000:01:00.0: the first function on the way, unless it is the last. */
static void find_root_port(struct dev_facts *f, int rootfd, const char *bdf)
{
	char path[64], target[1024], name[DEVFACTS_BDF], *part, *save = NULL;
	ssize_t n;

	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", bdf);
	n = readlinkat(rootfd, path, target, sizeof(target) - 1);
	if (n <= 0)
		return;
	target[n] = '\0';
	for (part = strtok_r(target, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
		if (num_bdf(part, name, sizeof(name)) || strcmp(part, name))
			continue;
		if (strcmp(name, bdf))
			strcpy(f->root_port, name);
		return;
	}
}

static void read_honour(struct dev_facts *f, int rootfd)
{
	uint64_t vendor = 0, device = 0;
	uint8_t reg[4];
	char path[64];
	int dirfd;

	f->writes = DEV_HONOUR_UNKNOWN;
	f->writes_why = why_no_port;
	if (!*f->root_port)
		return;
	f->writes_why = why_port_undocumented;
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", f->root_port);
	dirfd = openat(rootfd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return;
	proc_read_number(dirfd, "vendor", 0, &vendor);
	proc_read_number(dirfd, "device", 0, &device);
	if (vendor != VENDOR_INTEL || device < SKX_ROOT_PORT_FIRST || device > SKX_ROOT_PORT_LAST)
		goto out;
	f->writes_why = why_port_unread;
	if (is_suspended(dirfd) ||
	    read_config(dirfd, reg, sizeof(reg), SKX_PERFCTRLSTS_0) != sizeof(reg) ||
	    (reg[0] & reg[1] & reg[2] & reg[3]) == 0xff)
		goto out;
	f->writes = reg[0] & SKX_NO_SNOOP_OP_WR_EN ? DEV_HONOUR_HONOURED : DEV_HONOUR_IGNORED;
	f->writes_why = NULL;
out:
	close(dirfd);
}

int dev_facts_suspended(int rootfd, const char *bdf)
{
	char path[96], status[32];

	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", bdf);
	if (faccessat(rootfd, path, F_OK, 0))
		return -ENODEV;
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/power/runtime_status", bdf);
	read_text(rootfd, path, status, sizeof(status));
	return !strncmp(status, "suspend", 7);
}

int dev_facts_read(int rootfd, const char *bdf, struct dev_facts *f)
{
	uint64_t vendor = 0, device = 0, class = UINT32_MAX;
	char canonical[DEVFACTS_BDF], path[64];
	struct stat st;
	int dirfd;

	memset(f, 0, sizeof(*f));
	if (num_bdf(bdf, canonical, sizeof(canonical)))
		return -EINVAL;
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", canonical);
	dirfd = openat(rootfd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return -ENODEV;
	f->nameless = proc_read_number(dirfd, "vendor", 0, &vendor) |
		      proc_read_number(dirfd, "device", 0, &device);
	proc_read_number(dirfd, "class", 0, &class);
	f->vendor = vendor;
	f->device = device;
	f->class = class;
	if (proc_read_link_name(dirfd, "driver", f->driver, sizeof(f->driver)) < 0)
		*f->driver = '\0';
	f->is_vf = !fstatat(dirfd, "physfn", &st, AT_SYMLINK_NOFOLLOW);
	if (f->is_vf && proc_read_link_name(dirfd, "physfn", f->physfn, sizeof(f->physfn)) < 0)
		*f->physfn = '\0';
	f->num_vfs = read_int(dirfd, "sriov_numvfs", -1);
	f->numa_node = read_int(dirfd, "numa_node", -1);
	if (proc_read_link_name(dirfd, "iommu", f->iommu, sizeof(f->iommu)) < 0)
		*f->iommu = '\0';
	read_text(dirfd, "iommu_group/type", f->domain, sizeof(f->domain));
	f->group_size = count_group(dirfd);
	f->suspended = is_suspended(dirfd);
	if (f->suspended) {
		f->port_type = -1;
		f->port_err = -EAGAIN;
		f->port_why = why_asleep;
	} else {
		read_port_type(f, dirfd);
	}
	find_root_port(f, rootfd, canonical);
	read_honour(f, rootfd);
	/* What vanished half-way is gone. */
	if (fstatat(dirfd, "vendor", &st, 0)) {
		close(dirfd);
		return -ENODEV;
	}
	close(dirfd);
	return 0;
}
