// SPDX-License-Identifier: GPL-2.0
/*
 * nosnoop_uapi CASE BDF [ARG]: what vfio-pci reports of a function's no-snoop,
 * and whether BLOCK keeps what it promises. BDF is on vfio-pci; most cases want
 * a rule of the no_snoop_inject module for it. The first case prints what it
 * sees, all others "ok - NAME" or "not ok - NAME: what was seen" for each check.
 *
 * Exit status: 0 when everything was tried, 1 when something could not be.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>

#include "../../tools/wbinvdbench/uapi.h"

#define CONTROL	 "/sys/kernel/debug/pci_no_snoop_inject/control"
#define PM_STATE PCI_PM_CTRL_STATE_MASK

/* From include/uapi/linux/vfio.h of the series */
#define INFO_CAP_NO_SNOOP 6
#define FEATURE_NO_SNOOP  13
enum { CAPABLE = 1, ENABLED = 2, BLOCKED = 4, UNTRUSTED = 8, IOMMU_CC = 16 };
enum { ALLOW, BLOCK };
enum { FORCE = 1 };

struct no_snoop {
	uint32_t op;
	uint32_t flags;
};

static const char *bdf;
static int device, iommu, host;
static uint64_t config;
static int exp_cap, pm_cap;

static void check(bool good, const char *name, const char *seen, ...)
{
	va_list ap;

	printf("%s - %s", good ? "ok" : "not ok", name);
	if (!good) {
		va_start(ap, seen);
		printf(": ");
		vprintf(seen, ap);
		va_end(ap);
	}
	printf("\n");
	fflush(stdout);
}

/* ---- the function as its user sees it ----------------------------------------------------------- */

static void open_device(void)
{
	struct vfio_region_info region = { .argsz = sizeof(region),
					   .index = VFIO_PCI_CONFIG_REGION_INDEX };
	struct wb_vfio_bind_iommufd bind = { .argsz = sizeof(bind) };
	char path[512];
	glob_t found;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev/vfio*", bdf);
	if (glob(path, 0, NULL, &found))
		errx(1, "%s is not on vfio-pci", bdf);
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", strrchr(found.gl_pathv[0], '/') + 1);
	globfree(&found);
	device = open(path, O_RDWR | O_CLOEXEC);
	if (device < 0)
		err(1, "%s", path);
	bind.iommufd = iommu;
	if (ioctl(device, WB_VFIO_DEVICE_BIND_IOMMUFD, &bind))
		err(1, "bind");
	if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &region))
		err(1, "config region");
	config = region.offset;
}

static uint32_t user_read(int pos, int size)
{
	uint32_t val = 0;

	if (pread(device, &val, size, config + pos) != size)
		err(1, "config read of %d at %#x", size, pos);
	return val;
}

static int user_write(int pos, uint32_t val, int size)
{
	return pwrite(device, &val, size, config + pos) == size ? 0 : errno;
}

static int find_cap(int id)
{
	int pos = user_read(PCI_CAPABILITY_LIST, 1) & ~3;

	while (pos && (int)user_read(pos, 1) != id)
		pos = user_read(pos + 1, 1) & ~3;
	return pos;
}

static bool user_bit(void)
{
	return user_read(exp_cap + PCI_EXP_DEVCTL, 2) & PCI_EXP_DEVCTL_NOSNOOP_EN;
}

/* -1: the capability is not there */
static int info(void)
{
	struct {
		struct vfio_device_info info;
		uint8_t room[1024];
	} buf = { .info.argsz = sizeof(buf) };
	uint32_t at;

	if (ioctl(device, VFIO_DEVICE_GET_INFO, &buf))
		err(1, "VFIO_DEVICE_GET_INFO");
	if (!(buf.info.flags & VFIO_DEVICE_FLAGS_CAPS))
		return -1;
	for (at = buf.info.cap_offset; at;) {
		struct vfio_info_cap_header *cap = (void *)((char *)&buf + at);

		if (cap->id == INFO_CAP_NO_SNOOP && cap->version == 1)
			return *(uint32_t *)(cap + 1);
		at = cap->next;
	}
	return -1;
}

/* 0 or the errno; data is optional */
static int feature(uint32_t flags, size_t size, struct no_snoop *data)
{
	/* With room for a size that is too long */
	uint32_t buf[8] = { sizeof(struct vfio_device_feature) + size, flags | FEATURE_NO_SNOOP };
	struct vfio_device_feature *head = (void *)buf;

	if (data)
		memcpy(head->data, data, sizeof(*data));
	if (ioctl(device, VFIO_DEVICE_FEATURE, buf))
		return errno;
	if (data)
		memcpy(data, head->data, sizeof(*data));
	return 0;
}

static int set(uint32_t op, uint32_t flags)
{
	return feature(VFIO_DEVICE_FEATURE_SET, sizeof(struct no_snoop),
		       &(struct no_snoop){ op, flags });
}

static bool is_state(uint32_t op, uint32_t flags)
{
	struct no_snoop now = { 99, 99 };

	return !feature(VFIO_DEVICE_FEATURE_GET, sizeof(now), &now) && now.op == op &&
	       now.flags == flags;
}

/* ---- the function as the host sees it ------------------------------------------------------------ */

static uint32_t host_read(int fd, int pos, int size)
{
	uint32_t val = 0;

	if (pread(fd, &val, size, pos) != size)
		err(1, "sysfs config");
	return val;
}

static bool host_bit(void)
{
	return host_read(host, exp_cap + PCI_EXP_DEVCTL, 2) & PCI_EXP_DEVCTL_NOSNOOP_EN;
}

static bool host_master(void)
{
	return host_read(host, PCI_COMMAND, 2) & PCI_COMMAND_MASTER;
}

static void host_set_bit(bool to)
{
	uint16_t val = host_read(host, exp_cap + PCI_EXP_DEVCTL, 2) & ~PCI_EXP_DEVCTL_NOSNOOP_EN;

	val |= to ? PCI_EXP_DEVCTL_NOSNOOP_EN : 0;
	if (pwrite(host, &val, 2, exp_cap + PCI_EXP_DEVCTL) != 2)
		err(1, "sysfs config");
}

struct seen {
	unsigned int bit, resets, sets, exposed;
};

static struct seen injector(void)
{
	struct seen s = { 0 };
	char line[256];
	bool found = false;
	FILE *f;

	f = fopen(CONTROL, "r");
	if (!f)
		err(1, CONTROL);
	while (fgets(line, sizeof(line), f)) {
		const char *bit = strstr(line, " bit=");

		if (strncmp(line, bdf, strlen(bdf)) || !bit)
			continue;
		found = sscanf(bit, " bit=%u resets=%u sets=%u exposed=%u", &s.bit, &s.resets,
			       &s.sets, &s.exposed) == 4;
	}
	fclose(f);
	if (!found)
		errx(1, "the injector has no rule for %s", bdf);
	return s;
}

static void inject(const char *mode)
{
	int fd = open(CONTROL, O_WRONLY);

	if (fd < 0 || dprintf(fd, "add %s %s\n", bdf, mode) < 0)
		err(1, CONTROL);
	close(fd);
}

/* What error recovery does: resets the bus, restores nothing, asks nobody */
static void reset_behind_the_back(void)
{
	char path[512];
	uint16_t ctl;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/../config", bdf);
	fd = open(path, O_RDWR);
	if (fd < 0)
		err(1, "%s", path);
	ctl = host_read(fd, PCI_BRIDGE_CONTROL, 2) | PCI_BRIDGE_CTL_BUS_RESET;
	if (pwrite(fd, &ctl, 2, PCI_BRIDGE_CONTROL) != 2)
		err(1, "bridge control");
	usleep(2000);
	ctl &= ~PCI_BRIDGE_CTL_BUS_RESET;
	if (pwrite(fd, &ctl, 2, PCI_BRIDGE_CONTROL) != 2)
		err(1, "bridge control");
	usleep(100000);
	close(fd);
}

/* ---- cases --------------------------------------------------------------------------------------- */

static int set_master(bool on)
{
	uint16_t cmd = user_read(PCI_COMMAND, 2) & ~PCI_COMMAND_MASTER;

	return user_write(PCI_COMMAND, cmd | (on ? PCI_COMMAND_MASTER : 0), 2);
}

static int set_power(int state)
{
	uint16_t ctl = user_read(pm_cap + PCI_PM_CTRL, 2) & ~PM_STATE;

	return user_write(pm_cap + PCI_PM_CTRL, ctl | state, 2);
}

static int flr(void)
{
	uint16_t ctl = user_read(exp_cap + PCI_EXP_DEVCTL, 2);

	return user_write(exp_cap + PCI_EXP_DEVCTL, ctl | PCI_EXP_DEVCTL_BCR_FLR, 2);
}

/*
 * After a reset of its bus the root port of QEMU 7.2 does not report the link as active, and the
 * kernel gives up waiting for it; the device is reset and restored all the same.
 */
static int hot_reset(void)
{
	struct vfio_pci_hot_reset reset = { .argsz = sizeof(reset) };

	return ioctl(device, VFIO_DEVICE_PCI_HOT_RESET, &reset) && errno != ENOTTY ? errno : 0;
}

static int device_reset(void)
{
	return ioctl(device, VFIO_DEVICE_RESET) ? errno : 0;
}

static void case_info(void)
{
	int flags = info();

	if (flags < 0) {
		printf("none\n");
		return;
	}
	printf("flags:%s%s%s%s%s\n", flags & CAPABLE ? " capable" : "",
	       flags & ENABLED ? " enabled" : "", flags & BLOCKED ? " blocked" : "",
	       flags & UNTRUSTED ? " untrusted" : "", flags & IOMMU_CC ? " iommu-cc" : "");
}

static void is_error(const char *name, int got, int wanted)
{
	check(got == wanted, name, "%s, wanted %s", strerrorname_np(got) ?: "0",
	      strerrorname_np(wanted) ?: "0");
}

static void case_errors(bool trusted)
{
	const uint32_t get = VFIO_DEVICE_FEATURE_GET, put = VFIO_DEVICE_FEATURE_SET;
	const uint32_t probe = VFIO_DEVICE_FEATURE_PROBE;
	struct no_snoop block = { BLOCK, FORCE };

	is_error("PROBE", feature(probe, 0, NULL), 0);
	is_error("PROBE of GET and SET", feature(probe | get | put, 0, NULL), 0);
	is_error("neither GET nor SET nor PROBE", feature(0, 8, &block), EINVAL);
	is_error("GET and SET", feature(get | put, 8, &block), EINVAL);
	is_error("SET, too short", feature(put, 7, &block), EINVAL);
	is_error("SET, no data", feature(put, 0, &block), EINVAL);
	is_error("GET, too short", feature(get, 4, NULL), EINVAL);
	is_error("GET, longer", feature(get, 24, NULL), 0);
	is_error("unknown operation", set(2, 0), EINVAL);
	is_error("unknown operation, all ones", set(~0U, 0), EINVAL);
	is_error("BLOCK, unknown flag", set(BLOCK, 2), EINVAL);
	is_error("BLOCK, unknown flag and FORCE", set(BLOCK, 0x80000001), EINVAL);
	is_error("ALLOW, FORCE", set(ALLOW, FORCE), EINVAL);
	check(is_state(ALLOW, 0), "refused operations change nothing", "the state is another");
	is_error("ALLOW of what is allowed", set(ALLOW, 0), 0);
	is_error("BLOCK without FORCE", set(BLOCK, 0), trusted ? 0 : EOPNOTSUPP);
	check(is_state(trusted ? BLOCK : ALLOW, 0), "GET after it", "the state is another");
	is_error("BLOCK with FORCE, longer", feature(put, 24, &block), 0);
	check(is_state(BLOCK, trusted ? 0 : FORCE), "GET after it", "the state is another");
	check((info() & (BLOCKED | UNTRUSTED)) == (trusted ? BLOCKED : BLOCKED | UNTRUSTED),
	      "info: blocked", "flags %#x", info());
	check((info() & ENABLED) == 0, "info: not enabled", "flags %#x", info());
	is_error("ALLOW", set(ALLOW, 0), 0);
	check(is_state(ALLOW, 0) && !(info() & BLOCKED), "ALLOW: GET and info", "flags %#x",
	      info());
}

static void case_block(void)
{
	const int devctl = exp_cap + PCI_EXP_DEVCTL;
	uint32_t word;

	check(host_bit(), "set after a reset", "clear");
	is_error("BLOCK", set(BLOCK, 0), 0);
	check(!host_bit(), "BLOCK clears the bit in the device", "set");

	/* So that a read which is not masked would show it */
	host_set_bit(true);
	check(!(user_read(devctl, 4) & PCI_EXP_DEVCTL_NOSNOOP_EN), "reads as 0: 4 bytes", "1");
	check(!(user_read(devctl, 2) & PCI_EXP_DEVCTL_NOSNOOP_EN), "reads as 0: 2 bytes", "1");
	check(!(user_read(devctl + 1, 1) & 8), "reads as 0: 1 byte", "1");
	check(info() & ENABLED, "info tells what the device has", "flags %#x", info());
	host_set_bit(false);

	word = user_read(devctl, 2);
	user_write(devctl, word | PCI_EXP_DEVCTL_NOSNOOP_EN, 4);
	check(!host_bit(), "writes are ignored: 4 bytes", "set");
	user_write(devctl, word | PCI_EXP_DEVCTL_NOSNOOP_EN, 2);
	check(!host_bit(), "writes are ignored: 2 bytes", "set");
	user_write(devctl + 1, word >> 8 | 8, 1);
	check(!host_bit(), "writes are ignored: 1 byte", "set");
	user_write(devctl, (word ^ 0x1000) | PCI_EXP_DEVCTL_NOSNOOP_EN, 2);
	check(user_read(devctl, 2) == (word ^ 0x1000), "the rest of the register works",
	      "%#x, was %#x", user_read(devctl, 2), word);
	user_write(devctl, word, 2);

	is_error("BLOCK again", set(BLOCK, 0), 0);
	is_error("ALLOW", set(ALLOW, 0), 0);
	check(host_bit() && user_bit(), "ALLOW gives the bit back", "clear");
	user_write(devctl, word, 2);
	check(!host_bit() && !user_bit(), "then the user clears it", "set");
	is_error("BLOCK of a clear bit", set(BLOCK, 0), 0);
	is_error("ALLOW", set(ALLOW, 0), 0);
	check(!host_bit(), "ALLOW leaves it clear", "set");
	user_write(devctl, word | PCI_EXP_DEVCTL_NOSNOOP_EN, 2);
	check(host_bit() && user_bit(), "then the user sets it", "clear");
}

static void case_stuck(void)
{
	check(host_bit(), "stuck at 1", "clear");
	is_error("BLOCK", set(BLOCK, 0), EIO);
	check(is_state(ALLOW, 0) && !(info() & BLOCKED), "the state is unchanged", "flags %#x",
	      info());
	check(user_bit(), "the user sees the bit", "clear");
}

/* The bit does not come back, as in a function whose firmware went wrong */
static void case_deaf(void)
{
	is_error("BLOCK", set(BLOCK, 0), 0);
	inject("hardwired0");
	is_error("ALLOW of a bit that stays clear", set(ALLOW, 0), EIO);
	check(is_state(BLOCK, 0) && info() & BLOCKED, "the state is unchanged", "flags %#x",
	      info());
	inject("writable");
	is_error("ALLOW of one that does not", set(ALLOW, 0), 0);
	check(is_state(ALLOW, 0) && host_bit(), "allowed, and set", "bit %d", host_bit());
}

/* Under BLOCK: what has happened must have reset the function, and nothing may have been exposed */
static void survived(const char *name, struct seen before)
{
	struct seen now = injector();
	char text[128];

	snprintf(text, sizeof(text), "%s: it was a reset", name);
	check(now.resets > before.resets, text, "%u resets", now.resets - before.resets);
	snprintf(text, sizeof(text), "%s: clear, and never set in between", name);
	check(!now.bit && !host_bit() && !user_bit() && now.sets == before.sets &&
		      now.exposed == before.exposed,
	      text, "bit %u, set by a write %u times, exposed %u times", now.bit,
	      now.sets - before.sets, now.exposed - before.exposed);
	snprintf(text, sizeof(text), "%s: bus mastering works again", name);
	check(!set_master(true) && host_master(), text, "it does not");
}

static void case_d3(void)
{
	struct seen before;

	is_error("bus mastering", set_master(true), 0);
	is_error("BLOCK", set(BLOCK, 0), 0);
	before = injector();
	is_error("D3hot", set_power(3), 0);
	is_error("D0", set_power(0), 0);
	survived("BLOCK, D3hot, D0", before);

	is_error("ALLOW", set(ALLOW, 0), 0);
	check(host_bit(), "allowed", "clear");
	is_error("D3hot", set_power(3), 0);
	before = injector();
	is_error("BLOCK in D3hot", set(BLOCK, 0), 0);
	is_error("D0", set_power(0), 0);
	survived("D3hot, BLOCK, D0", before);

	is_error("D3hot", set_power(3), 0);
	is_error("ALLOW in D3hot", set(ALLOW, 0), 0);
	is_error("D0", set_power(0), 0);
	check(host_bit() && user_bit(), "D3hot, ALLOW, D0: set again", "clear");
}

static void case_resets(const char *which)
{
	const struct {
		const char *name;
		int (*reset)(void);
	} all[] = { { "flr", flr }, { "device", device_reset }, { "hot", hot_reset } };
	struct seen before;
	size_t i;

	is_error("bus mastering", set_master(true), 0);
	is_error("BLOCK", set(BLOCK, 0), 0);
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (!strstr(which, all[i].name))
			continue;
		before = injector();
		is_error(all[i].name, all[i].reset(), 0);
		survived(all[i].name, before);
		check(is_state(BLOCK, 0), "still blocked", "it is not");
	}
}

/* Error recovery: the next who enables bus mastering has to clear the bit first */
static void case_recovery(void)
{
	struct seen before, now;

	is_error("bus mastering", set_master(true), 0);
	is_error("BLOCK", set(BLOCK, 0), 0);
	before = injector();
	reset_behind_the_back();
	check(host_bit() && !host_master(), "reset behind the back of vfio", "bit %d, master %d",
	      host_bit(), host_master());
	check(!user_bit(), "the user does not see the bit", "1");
	check(!set_master(true) && host_master(), "bus mastering on", "it is not");
	now = injector();
	check(!host_bit(), "the bit is clear", "set");
	check(now.exposed == before.exposed, "and was before bus mastering", "exposed");

	reset_behind_the_back();
	inject("stuck1");
	is_error("stuck since the reset: bus mastering", set_master(true), EIO);
	check(!host_master(), "stuck since the reset: it is off", "on");
	inject("writable");
	is_error("works again: bus mastering", set_master(true), 0);
	check(!host_bit() && host_master(), "works again: clear, and on", "bit %d, master %d",
	      host_bit(), host_master());
}

/*
 * Found hardwired to 0 when it was opened. Then the function is another, with the bit set as after a
 * reset; what was said of it has to stay true.
 */
static void case_acquired(void)
{
	const int devctl = exp_cap + PCI_EXP_DEVCTL;
	struct seen before, now;
	uint32_t word;

	check(!(info() & CAPABLE) && !host_bit(), "opened as not capable", "flags %#x", info());
	inject("writable");
	check(host_bit(), "the function gets the bit, set", "clear");
	check(!(user_read(devctl, 4) & PCI_EXP_DEVCTL_NOSNOOP_EN), "reads as 0: 4 bytes", "1");
	check(!(user_read(devctl + 1, 1) & 8), "reads as 0: 1 byte", "1");
	check(!(info() & CAPABLE), "it stays not capable", "flags %#x", info());
	before = injector();
	is_error("bus mastering", set_master(true), 0);
	now = injector();
	check(!host_bit() && host_master(), "bus mastering on, the bit clear", "bit %d, master %d",
	      host_bit(), host_master());
	check(now.exposed == before.exposed, "and was before bus mastering", "exposed");

	word = user_read(devctl, 2);
	user_write(devctl, word | PCI_EXP_DEVCTL_NOSNOOP_EN, 4);
	user_write(devctl, word | PCI_EXP_DEVCTL_NOSNOOP_EN, 2);
	user_write(devctl + 1, word >> 8 | 8, 1);
	user_write(devctl, (word ^ 0x1000) | PCI_EXP_DEVCTL_NOSNOOP_EN, 2);
	check(user_read(devctl, 2) == (word ^ 0x1000), "the rest of the register works",
	      "%#x, was %#x", user_read(devctl, 2), word);
	user_write(devctl, word, 2);
	now = injector();
	check(!host_bit() && now.sets == before.sets && now.exposed == before.exposed,
	      "writes are ignored", "bit %d, set %u times, exposed %u times", host_bit(),
	      now.sets - before.sets, now.exposed - before.exposed);

	before = injector();
	is_error("reset", device_reset(), 0);
	survived("reset", before);
	before = injector();
	is_error("D3hot", set_power(3), 0);
	is_error("D0", set_power(0), 0);
	survived("D3hot, D0", before);

	is_error("bus mastering off", set_master(false), 0);
	host_set_bit(true);
	is_error("BLOCK", set(BLOCK, 0), 0);
	check(is_state(BLOCK, 0) && !host_bit(), "BLOCK clears the bit", "set");
	is_error("ALLOW", set(ALLOW, 0), 0);
	check(is_state(ALLOW, 0) && !host_bit(), "ALLOW does not give it back", "set");

	inject("stuck1");
	is_error("stuck at 1: bus mastering", set_master(true), EIO);
	check(!host_master(), "stuck at 1: it is off", "on");
	inject("hardwired0");
	is_error("hardwired again: bus mastering", set_master(true), 0);
	check(host_master(), "hardwired again: it is on", "off");
}

static void case_close(bool initial)
{
	host_set_bit(initial);
	open_device();
	check(host_bit() == initial, "opening leaves the bit", "%d", host_bit());
	check(info() == ((initial ? CAPABLE | ENABLED : CAPABLE) | (info() & IOMMU_CC)),
	      initial ? "set: capable, enabled" : "can be set: capable, not enabled", "flags %#x",
	      info());
	is_error("the user sets it",
		 user_write(exp_cap + PCI_EXP_DEVCTL,
			    user_read(exp_cap + PCI_EXP_DEVCTL, 2) | PCI_EXP_DEVCTL_NOSNOOP_EN, 2),
		 0);
	is_error("BLOCK", set(BLOCK, 0), 0);
	check(!host_bit(), "blocked", "set");
	close(device);
	check(host_bit() == initial, "closing restores the bit", "%d", host_bit());
	open_device();
	check(is_state(ALLOW, 0), "allowed when opened again", "blocked");
	close(device);
}

/* ---- races --------------------------------------------------------------------------------------- */

static volatile bool stop;
static unsigned long writes[4], seen_set;

static void *race_bit(void *unused)
{
	while (!stop) {
		uint16_t ctl = user_read(exp_cap + PCI_EXP_DEVCTL, 2);

		seen_set += !!(ctl & PCI_EXP_DEVCTL_NOSNOOP_EN);
		user_write(exp_cap + PCI_EXP_DEVCTL, ctl | PCI_EXP_DEVCTL_NOSNOOP_EN, 2);
		user_write(exp_cap + PCI_EXP_DEVCTL + 1, ctl >> 8 | 8, 1);
		writes[0]++;
	}
	return unused;
}

/* The size of read requests goes to the register by another way */
static void *race_readrq(void *unused)
{
	uint16_t ctl = user_read(exp_cap + PCI_EXP_DEVCTL, 2);

	while (!stop) {
		ctl ^= 0x1000;
		user_write(exp_cap + PCI_EXP_DEVCTL, ctl | PCI_EXP_DEVCTL_NOSNOOP_EN, 2);
		writes[1]++;
	}
	return unused;
}

static void *race_master(void *unused)
{
	while (!stop) {
		set_master(false);
		set_master(true);
		writes[2]++;
	}
	return unused;
}

static void *race_block(void *unused)
{
	while (!stop) {
		set(BLOCK, 0);
		writes[3]++;
	}
	return unused;
}

static void case_race(int seconds)
{
	void *(*const racers[])(void *) = { race_bit, race_readrq, race_master, race_block };
	const int n = sizeof(racers) / sizeof(racers[0]);
	unsigned int resets = 0, i;
	struct seen before, now;
	pthread_t threads[4];
	time_t end;

	host_set_bit(true);
	is_error("BLOCK", set(BLOCK, 0), 0);
	before = injector();
	for (i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, racers[i], NULL))
			errx(1, "thread");
	for (end = time(NULL) + seconds; time(NULL) < end; resets++) {
		if (pm_cap) {
			set_power(3);
			set_power(0);
		}
		device_reset();
		if (!(resets & 7))
			hot_reset();
		if (!(resets & 15))
			reset_behind_the_back();
	}
	stop = true;
	for (i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	now = injector();
	printf("# %u rounds with %u resets; %lu, %lu, %lu and %lu writes\n", resets,
	       now.resets - before.resets, writes[0], writes[1], writes[2], writes[3]);
	check(now.resets - before.resets > resets && writes[0] && writes[1] && writes[2] &&
		      writes[3],
	      "the race took place", "not all ran");
	check(!seen_set, "the user never sees the bit", "%lu times", seen_set);
	check(now.exposed == before.exposed, "never set with bus mastering on", "%u times",
	      now.exposed - before.exposed);
	check(now.sets == before.sets, "never set by a write", "%u times", now.sets - before.sets);
	is_error("bus mastering", set_master(true), 0);
	check(!host_bit(), "clear at the end", "set");
	is_error("ALLOW", set(ALLOW, 0), 0);
	check(host_bit(), "ALLOW gives it back", "clear");
}

static void host_reset(void)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/reset", bdf);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, "1", 1) != 1)
		err(1, "%s", path);
	close(fd);
}

/*
 * The kernel's read-modify-writes of the register are slow: none may begin in a reset and end, with
 * what it has read, after it.
 */
static void straddle(int seconds, const char *rule)
{
	unsigned int resets = 0;
	struct seen before, now;
	pthread_t thread;
	time_t end;

	inject(rule);
	is_error("bus mastering", set_master(true), 0);
	is_error("BLOCK", set(BLOCK, 0), 0);
	before = injector();
	stop = false;
	if (pthread_create(&thread, NULL, race_readrq, NULL))
		errx(1, "thread");
	for (end = time(NULL) + seconds; time(NULL) < end; resets++) {
		/* At any time of what the other thread does */
		usleep(random() % 40000);
		if (pm_cap && resets & 1) {
			set_power(3);
			usleep(random() % 40000);
			set_power(0);
		} else {
			host_reset();
		}
	}
	stop = true;
	pthread_join(thread, NULL);
	now = injector();
	printf("# %u rounds with %u resets; %lu writes\n", resets, now.resets - before.resets,
	       writes[1]);
	check(now.resets - before.resets >= resets && writes[1], "both took place", "not so");
	check(now.sets == before.sets && now.exposed == before.exposed, "never set by a write",
	      "%u times, exposed %u times", now.sets - before.sets, now.exposed - before.exposed);
	is_error("ALLOW", set(ALLOW, 0), 0);
	inject("writable");
}

/* Longer and shorter than the 10 ms that a function gets to come back from D3hot */
static void case_straddle(int seconds)
{
	straddle(seconds, "writable slow=15");
	straddle(seconds, "writable slow=6");
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "", *arg = argc > 3 ? argv[3] : "";
	char path[512];

	if (argc < 3)
		errx(1, "usage: nosnoop_uapi CASE BDF [ARG]");
	bdf = argv[2];
	iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (iommu < 0)
		err(1, "/dev/iommu");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", bdf);
	host = open(path, O_RDWR | O_CLOEXEC);
	if (host < 0)
		err(1, "%s", path);
	open_device();
	exp_cap = find_cap(PCI_CAP_ID_EXP);
	pm_cap = find_cap(PCI_CAP_ID_PM);

	if (!strcmp(what, "info")) {
		case_info();
	} else if (!strcmp(what, "errors")) {
		case_errors(!strcmp(arg, "trusted"));
	} else if (!strcmp(what, "block")) {
		case_block();
	} else if (!strcmp(what, "stuck")) {
		case_stuck();
	} else if (!strcmp(what, "deaf")) {
		case_deaf();
	} else if (!strcmp(what, "d3")) {
		case_d3();
	} else if (!strcmp(what, "resets")) {
		case_resets(arg);
	} else if (!strcmp(what, "recovery")) {
		case_recovery();
	} else if (!strcmp(what, "acquired")) {
		case_acquired();
	} else if (!strcmp(what, "race")) {
		case_race(atoi(arg));
	} else if (!strcmp(what, "straddle")) {
		case_straddle(atoi(arg));
	} else if (!strcmp(what, "close")) {
		close(device);
		case_close(!strcmp(arg, "set"));
	} else {
		errx(1, "no case '%s'", what);
	}
	return 0;
}
