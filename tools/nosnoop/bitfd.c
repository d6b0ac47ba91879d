// SPDX-License-Identifier: GPL-2.0
#include "bitfd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../lib/pcicap.h"

static int open_attr(int rootfd, const char *bdf, const char *attr)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/%s", bdf, attr);
	fd = openat(rootfd, path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int bitfd_open(struct bitfd *b, int rootfd, const char *bdf)
{
	uint8_t cfg[PCI_CFG_SPACE_SIZE];
	const char *why;
	ssize_t n;
	int fd;

	*b = BITFD_INIT;
	fd = open_attr(rootfd, bdf, "config");
	if (fd < 0)
		return fd;
	b->config = fd;
	n = pread(fd, cfg, sizeof(cfg), 0);
	b->cap = pcie_cap_find(cfg, n > 0 ? n : 0, &why);
	/* What is unreadable may be read another time. */
	if (b->cap < 0 && b->cap != -ENXIO) {
		bitfd_close(b);
		return -EAGAIN;
	}
	if (b->cap < 0)
		b->cap = 0;
	fd = open_attr(rootfd, bdf, "power/runtime_status");
	if (fd < 0 && fd != -ENOENT) {
		bitfd_close(b);
		return fd;
	}
	b->status = fd < 0 ? -1 : fd;
	return 0;
}

void bitfd_close(struct bitfd *b)
{
	if (b->status >= 0)
		close(b->status);
	if (b->config >= 0)
		close(b->config);
	*b = BITFD_INIT;
}

int bitfd_read(const struct bitfd *b, bool *suspended, enum dev_no_snoop *bit)
{
	uint8_t cap[PCIE_CAP_LEN];
	const char *why;
	char status[16];
	bool settled;
	ssize_t n;

	if (b->config < 0)
		return -EAGAIN;
	*suspended = false;
	*bit = DEV_NO_SNOOP_UNKNOWN;
	if (b->status >= 0) {
		n = pread(b->status, status, sizeof(status), 0);
		if (n < 7)
			return n < 0 && errno == ENODEV ? -ENODEV : -EAGAIN;
		*suspended = !memcmp(status, "suspend", 7);
	}
	if (*suspended || !b->cap)
		return 0;
	n = pread(b->config, cap, sizeof(cap), b->cap);
	if (n != sizeof(cap))
		return n < 0 && errno == ENODEV ? -ENODEV : -EAGAIN;
	/* All ones, or another capability: let the long way find out. */
	if (cap[PCI_CAP_LIST_ID] != PCI_CAP_ID_EXP)
		return -EAGAIN;
	*bit = pcie_cap_no_snoop(cap, &why, &settled);
	return 0;
}
