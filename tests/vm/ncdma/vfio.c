// SPDX-License-Identifier: GPL-2.0
/* Steps of ncdma: files of VFIO, and what is done with devices and groups */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>

#include "ncdma.h"

/* ---- files ------------------------------------------------------------------------------------- */

static int do_iommu(char **arg)
{
	(void)arg;
	return open_file("iommu", "/dev/iommu");
}

static int do_null(char **arg)
{
	(void)arg;
	return open_file("null", "/dev/null");
}

static int do_container(char **arg)
{
	return open_file(arg[0], "/dev/vfio/vfio");
}

/* In sysfs, of a PCI function or a mediated device */
static void sysfs(char *path, const char *device, const char *what)
{
	snprintf(path, PATH_MAX, "/sys/bus/%s/devices/%s/%s", strlen(device) == 36 ? "mdev" : "pci",
		 device, what);
}

static int do_cdev(char **arg)
{
	char path[PATH_MAX];
	glob_t found;

	sysfs(path, arg[1], "vfio-dev/vfio*");
	if (glob(path, 0, NULL, &found))
		errx(1, "%s is not on VFIO", arg[1]);
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", strrchr(found.gl_pathv[0], '/') + 1);
	globfree(&found);
	return open_file(arg[0], path);
}

static int do_group(char **arg)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t len;

	sysfs(path, arg[1], "iommu_group");
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		err(1, "%s", path);
	target[len] = '\0';
	/* The made-up group of a device without an IOMMU has another name. */
	snprintf(path, sizeof(path), "/dev/vfio/noiommu-%s", strrchr(target, '/') + 1);
	if (access(path, F_OK))
		snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(target, '/') + 1);
	return open_file(arg[0], path);
}

static int do_device(char **arg)
{
	int fd = ioctl(get(arg[1])->fd, VFIO_GROUP_GET_DEVICE_FD, arg[2]);

	if (fd < 0)
		return -errno;
	name_it(arg[0], fd, 0);
	return 0;
}

static int do_close(char **arg)
{
	return result(close(get(arg[0])->fd));
}

/* ---- devices ----------------------------------------------------------------------------------- */

static int do_bind(char **arg)
{
	struct wb_vfio_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = get("iommu")->fd };
	struct object *o = get(arg[0]);

	if (ioctl(o->fd, WB_VFIO_DEVICE_BIND_IOMMUFD, &bind))
		return -errno;
	o->id = bind.out_devid;
	return 0;
}

static int do_attach(char **arg)
{
	struct wb_vfio_attach_iommufd_pt attach = { .argsz = sizeof(attach),
						    .pt_id = get(arg[1])->id };
	char name[16];

	if (ioctl(get(arg[0])->fd, WB_VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach))
		return -errno;
	snprintf(name, sizeof(name), "%.12s.pt", arg[0]);
	name_it(name, -1, attach.pt_id);
	return 0;
}

static int do_detach(char **arg)
{
	struct wb_vfio_detach_iommufd_pt detach = { .argsz = sizeof(detach) };

	return result(ioctl(get(arg[0])->fd, WB_VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
}

static int do_no_snoop(char **arg)
{
	union {
		struct vfio_device_info info;
		uint8_t bytes[1024];
	} u = { .info.argsz = sizeof(u) };
	uint32_t pos = 0;

	if (ioctl(get(arg[0])->fd, VFIO_DEVICE_GET_INFO, &u))
		return -errno;
	if (u.info.flags & VFIO_DEVICE_FLAGS_CAPS)
		pos = u.info.cap_offset;
	answer = "unknown";
	while (pos && pos + sizeof(struct vfio_info_cap_header) + 4 <= sizeof(u)) {
		struct vfio_info_cap_header *header = (void *)(u.bytes + pos);

		if (header->id == WB_VFIO_DEVICE_INFO_CAP_PCI_NO_SNOOP) {
			uint32_t flags = *(uint32_t *)(header + 1);

			answer = flags & WB_VFIO_PCI_NO_SNOOP_CAPABLE ? "may" : "never";
			break;
		}
		pos = header->next;
	}
	return 0;
}

static int do_box(char **arg)
{
	static char box[16];
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", get(arg[0])->fd);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	answer = "unknown";
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "vfio-dma-box: %15s", box) == 1)
			answer = box;
	fclose(f);
	return 0;
}

static int set_no_snoop(const char *name, uint32_t op, uint32_t flags)
{
	union {
		struct vfio_device_feature feature;
		uint32_t words[4];
	} u = { .words = { sizeof(u), VFIO_DEVICE_FEATURE_SET | WB_VFIO_DEVICE_FEATURE_PCI_NO_SNOOP,
			   op, flags } };

	return result(ioctl(get(name)->fd, VFIO_DEVICE_FEATURE, &u));
}

static int do_block(char **arg)
{
	if (arg[1] && strcmp(arg[1], "force"))
		errx(2, "block has no word %s", arg[1]);
	return set_no_snoop(arg[0], WB_VFIO_PCI_NO_SNOOP_BLOCK,
			    arg[1] ? WB_VFIO_PCI_NO_SNOOP_FORCE : 0);
}

static int do_allow(char **arg)
{
	return set_no_snoop(arg[0], WB_VFIO_PCI_NO_SNOOP_ALLOW, 0);
}

static int do_join(char **arg)
{
	int fd = get(arg[1])->fd;

	return result(ioctl(get(arg[0])->fd, VFIO_GROUP_SET_CONTAINER, &fd));
}

static int do_leave(char **arg)
{
	return result(ioctl(get(arg[0])->fd, VFIO_GROUP_UNSET_CONTAINER));
}

static int do_set_iommu(char **arg)
{
	unsigned long type = arg[1] ? strtoul(arg[1], NULL, 0) : VFIO_TYPE1v2_IOMMU;

	return result(ioctl(get(arg[0])->fd, VFIO_SET_IOMMU, type));
}

static int do_cc(char **arg)
{
	int rc = ioctl(get(arg[0])->fd, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU);

	if (rc < 0)
		return -errno;
	answer = rc ? "yes" : "no";
	return 0;
}

/* Bytes behind the eighth are 0 */
static int do_config(char **arg)
{
	struct vfio_region_info region = { .argsz = sizeof(region),
					   .index = VFIO_PCI_CONFIG_REGION_INDEX };
	uint64_t pos = number(arg[1]), value = number(arg[3]), times = arg[4] ? number(arg[4]) : 1;
	char bytes[8192] = { 0 };
	size_t n = number(arg[2]);
	int fd = get(arg[0])->fd;

	if (n < 1 || n > sizeof(bytes))
		errx(2, "config writes 1 to %zu bytes", sizeof(bytes));
	memcpy(bytes, &value, sizeof(value));
	if (ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &region))
		return -errno;
	while (times--)
		if (pwrite(fd, bytes, n, region.offset + pos) != (ssize_t)n)
			return -errno;
	return 0;
}

/* ---- steps ------------------------------------------------------------------------------------- */

const struct step vfio_steps[] = {
	{ "iommu", 0, 0, do_iommu },	     { "container", 1, 1, do_container },
	{ "cdev", 2, 2, do_cdev },	     { "group", 2, 2, do_group },
	{ "device", 3, 3, do_device },	     { "null", 0, 0, do_null },
	{ "close", 1, 1, do_close },	     { "bind", 1, 1, do_bind },
	{ "attach", 2, 2, do_attach },	     { "detach", 1, 1, do_detach },
	{ "no-snoop", 1, 1, do_no_snoop },   { "box", 1, 1, do_box },
	{ "block", 1, 2, do_block },	     { "allow", 1, 1, do_allow },
	{ "join", 2, 2, do_join },	     { "leave", 1, 1, do_leave },
	{ "set-iommu", 1, 2, do_set_iommu }, { "cc", 1, 1, do_cc },
	{ "config", 4, 5, do_config },	     { 0 },
};
