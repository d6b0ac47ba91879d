// SPDX-License-Identifier: GPL-2.0
/* Whether a function can be opened through VFIO, from sysfs alone. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "procutil.h"
#include "vfio.h"

/* The vfioN below vfio-dev/, true: it has a character device. */
static bool has_cdev(const char *dir)
{
	char path[PATH_MAX], dev[NAME_MAX + 8];
	struct dirent *entry;
	bool found = false;
	DIR *d;

	snprintf(path, sizeof(path), "%s/vfio-dev", dir);
	d = opendir(path);
	if (!d)
		return false;
	while (!found && (entry = readdir(d))) {
		if (strncmp(entry->d_name, "vfio", 4))
			continue;
		snprintf(dev, sizeof(dev), "%s/dev", entry->d_name);
		found = !faccessat(dirfd(d), dev, F_OK, 0);
	}
	closedir(d);
	return found;
}

static void print_commands(const char *bdf, const char *driver)
{
	fprintf(stderr, "  modprobe vfio-pci\n");
	fprintf(stderr, "  echo vfio-pci > /sys/bus/pci/devices/%s/driver_override\n", bdf);
	if (*driver)
		fprintf(stderr, "  echo %s > /sys/bus/pci/devices/%s/driver/unbind\n", bdf, bdf);
	fprintf(stderr, "  echo %s > /sys/bus/pci/drivers_probe\n", bdf);
}

int vfio_check(const char *root, const char *bdf, bool *cdev)
{
	char dir[PATH_MAX - 64], path[PATH_MAX], driver[NAME_MAX + 1], group[NAME_MAX + 1];

	snprintf(dir, sizeof(dir), "%s/sys/bus/pci/devices/%s", root, bdf);
	if (access(dir, F_OK)) {
		log_err("there is no PCI function %s; lspci -D lists those there are", bdf);
		return -ENODEV;
	}
	snprintf(path, sizeof(path), "%s/driver", dir);
	if (proc_read_link_name(AT_FDCWD, path, driver, sizeof(driver)) < 0)
		driver[0] = '\0';
	snprintf(path, sizeof(path), "%s/vfio-dev", dir);
	/* Vendors' own VFIO drivers have this directory as well. */
	if (access(path, F_OK) && strcmp(driver, "vfio-pci")) {
		if (*driver)
			log_err("%s is on driver %s, not on vfio-pci; these commands take it away from %s:",
				bdf, driver, driver);
		else
			log_err("%s has no driver; these commands put it on vfio-pci:", bdf);
		print_commands(bdf, driver);
		return -EBUSY;
	}
	snprintf(path, sizeof(path), "%s/iommu_group", dir);
	if (proc_read_link_name(AT_FDCWD, path, group, sizeof(group)) < 0) {
		log_err("%s has no IOMMU group: the IOMMU is off; boot with intel_iommu=on, or enable it in the firmware",
			bdf);
		return -EOPNOTSUPP;
	}
	snprintf(path, sizeof(path), "%s/dev/iommu", root);
	*cdev = has_cdev(dir) && !access(path, F_OK);
	return 0;
}
