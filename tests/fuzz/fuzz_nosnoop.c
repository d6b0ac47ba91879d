// SPDX-License-Identifier: GPL-2.0
/*
 * What nosnoop reads: lines of its recordings, files of policy-ab, format files
 * of PMUs, /proc/cpuinfo, sysfs attributes of a function, VFIO's answers.  The first byte chooses.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../tools/nosnoop/advise.h"
#include "../../tools/nosnoop/func.h"
#include "../../tools/nosnoop/pmu.h"
#include "../../tools/lib/vfioinfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void watch_lines(const char *text, size_t len)
{
	struct adv_side s = { .name = "baseline", .from_ns = INT64_MIN, .to_ns = INT64_MAX };
	struct advice_config cfg = { 0 };
	struct advice_list l = { 0 };
	char *error = NULL;
	const char *nl;
	int err = 0;

	while (!err && len) {
		nl = memchr(text, '\n', len);
		err = side_watch_line(&s, text, nl ? (size_t)(nl - text) : len, &error);
		if ((err == -EBADMSG) != !!error)
			abort();
		len -= nl ? (size_t)(nl - text) + 1 : len;
		text = nl ? nl + 1 : text;
	}
	free(error);
	/* Whatever was read, the rule has a verdict, and no device is safe without a candidate. */
	if (!err && s.nr_devs && !advice_make(&l, &s, NULL, NULL, 0, &cfg))
		for (size_t i = 0; i < l.n; i++) {
			if (!l.a[i].r.verdict || !strcmp(l.a[i].r.verdict, "3-to-4-safe"))
				abort();
			if (l.a[i].dev->can != TRI_NO && !strcmp(l.a[i].r.row, "R1"))
				abort();
		}
	advice_free(&l);
	side_free(&s);
}

static void ab(const char *text, size_t len)
{
	struct adv_ab a = { 0 };
	char *error = NULL;
	int err = ab_parse(&a, text, len, &error);

	if ((err == -EBADMSG) != !!error)
		abort();
	if (!err && a.has_interval && !(a.lo <= a.mean && a.mean <= a.hi) && isfinite(a.hi))
		abort();
	free(error);
	ab_free(&a);
}

static void formats(const char *text)
{
	uint64_t config[3] = { 0 };
	struct pmu_field f;
	const char *why = NULL;

	if (!pmu_field_parse(text, &f)) {
		if (!f.nr_bits || f.nr_bits > 64 || f.config > 2)
			abort();
		pmu_field_set(&f, 0x1e4, config);
	}
	if (!pmu_generation_of(text, &why) && !why)
		abort();
}

static void put(int dirfd, const char *name, const uint8_t *data, size_t len)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, data, len) != (ssize_t)len)
		abort();
	close(fd);
}

/* Files of one function, each a slice of the input. */
static void tree(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "vendor",	     "device",	  "class",
					     "sriov_numvfs", "numa_node", "power/runtime_status",
					     "config" };
	static char root[64];
	static int dirfd = -1;
	struct func_list l;
	struct dev_scan *s;
	char path[128];
	size_t n = sizeof(names) / sizeof(names[0]);

	if (dirfd < 0) {
		snprintf(root, sizeof(root), "/tmp/fuzz_nosnoop.%d", getpid());
		mkdir(root, 0755);
		for (const char *const *p =
			     (const char *const[]){
				     "sys", "sys/bus", "sys/bus/pci", "sys/bus/pci/devices",
				     "sys/bus/pci/devices/0000:01:00.0",
				     "sys/bus/pci/devices/0000:01:00.0/power", "proc", NULL };
		     *p; p++) {
			snprintf(path, sizeof(path), "%s/%s", root, *p);
			mkdir(path, 0755);
		}
		snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/0000:01:00.0", root);
		dirfd = open(path, O_PATH | O_DIRECTORY);
		if (dirfd < 0)
			abort();
	}
	for (size_t i = 0; i < n; i++) {
		size_t len = i + 1 < n ? (size < 8 ? size : 8) : size;

		put(dirfd, names[i], data, len);
		data += len;
		size -= len;
	}
	s = dev_scan_new(root);
	snprintf(path, sizeof(path), "%s/proc", root);
	if (s && !func_list_read(s, path, false, &l)) {
		for (size_t i = 0; i < l.n; i++)
			if (l.rows[i].ability == ABILITY_CANNOT || l.rows[i].d.box == 4 ||
			    l.rows[i].d.box == 2)
				abort();
		func_list_free(&l);
	}
	dev_scan_free(s);
}

static void vfio(const uint8_t *data, size_t len)
{
	uint8_t *exact = malloc(len ? len : 1);
	uint32_t flags = 0;
	int err;

	if (!exact)
		return;
	memcpy(exact, data, len);
	err = vfioinfo_parse(exact, len, &flags);
	if (err && err != -ENOENT && err != -EBADMSG)
		abort();
	free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (!size)
		return 0;
	text = malloc(size);
	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	switch (data[0] % 5) {
	case 0:
		watch_lines(text, size - 1);
		break;
	case 1:
		ab(text, size - 1);
		break;
	case 2:
		formats(text);
		break;
	case 3:
		tree(data + 1, size - 1);
		break;
	case 4:
		vfio(data + 1, size - 1);
		break;
	}
	free(text);
	return 0;
}
