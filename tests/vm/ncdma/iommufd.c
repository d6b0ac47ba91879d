// SPDX-License-Identifier: GPL-2.0
/* Steps of ncdma: iommufd, and what is mapped in an IOMMU's tables */
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/capability.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "ncdma.h"

#define TABLES "/sys/kernel/debug/iommu/intel/%s/domain_translation_struct"

#define PAGE	4096UL
#define PTE_SNP (1ULL << 11)

static int iommu(void)
{
	return get("iommu")->fd;
}

/* ---- deliberate mistakes ----------------------------------------------------------------------- */

static struct {
	uint32_t flags;
	uint64_t size;
	bool tail, reserved, data;
	const char *id, *op, *value;
} how;

static bool has_prefix(const char *s, const char *prefix, const char **rest)
{
	*rest = s + strlen(prefix);
	return !strncmp(s, prefix, strlen(prefix));
}

static void parse_words(char **words, uint32_t enforce, uint32_t noncoherent)
{
	const char *rest;

	memset(&how, 0, sizeof(how));
	for (; *words; words++) {
		if (!strcmp(*words, "enforce"))
			how.flags |= enforce;
		else if (!strcmp(*words, "noncoherent"))
			how.flags |= noncoherent;
		else if (!strcmp(*words, "nest-parent"))
			how.flags |= WB_IOMMU_HWPT_ALLOC_NEST_PARENT;
		else if (!strcmp(*words, "tail"))
			how.tail = true;
		else if (!strcmp(*words, "reserved"))
			how.reserved = true;
		else if (!strcmp(*words, "data"))
			how.data = true;
		else if (has_prefix(*words, "flags=", &rest))
			how.flags |= number(rest);
		else if (has_prefix(*words, "size=", &rest))
			how.size = number(rest);
		else if (has_prefix(*words, "id=", &rest))
			how.id = rest;
		else if (has_prefix(*words, "op=", &rest))
			how.op = rest;
		else if (has_prefix(*words, "value=", &rest))
			how.value = rest;
		else
			errx(2, "there is no word %s", *words);
	}
}

/* Of the struct in the first bytes of cmd, which starts with its size */
static int command(unsigned long nr, void *cmd, size_t size)
{
	union {
		uint32_t size;
		uint8_t bytes[256];
	} buf = { 0 };
	int rc;

	memcpy(&buf, cmd, size);
	buf.size = how.size ? how.size : size + (how.tail ? 8 : 0);
	buf.bytes[size] = how.tail;
	if (buf.size > sizeof(buf))
		errx(2, "a size of %u is too much for this program", buf.size);
	rc = result(ioctl(iommu(), nr, &buf));
	memcpy(cmd, &buf, size);
	return rc;
}

/* ---- address spaces ---------------------------------------------------------------------------- */
static int do_hw_info(char **arg)
{
	struct wb_iommu_hw_info info = { .size = sizeof(info), .dev_id = get(arg[0])->id };

	if (ioctl(iommu(), WB_IOMMU_GET_HW_INFO, &info))
		return -errno;
	answer = info.out_capabilities & WB_IOMMU_HW_CAP_ENFORCE_DMA_COHERENCY ? "enforces" :
										 "cannot";
	return 0;
}

static int do_compat_set(char **arg)
{
	struct wb_iommu_vfio_ioas cmd = { .size = sizeof(cmd),
					  .ioas_id = get(arg[0])->id,
					  .op = WB_IOMMU_VFIO_IOAS_SET };

	return result(ioctl(iommu(), WB_IOMMU_VFIO_IOAS, &cmd));
}

static int do_compat_get(char **arg)
{
	struct wb_iommu_vfio_ioas cmd = { .size = sizeof(cmd), .op = WB_IOMMU_VFIO_IOAS_GET };

	if (ioctl(iommu(), WB_IOMMU_VFIO_IOAS, &cmd))
		return -errno;
	name_it(arg[0], -1, cmd.ioas_id);
	return 0;
}

static int do_ioas(char **arg)
{
	struct wb_iommu_ioas_alloc cmd = { 0 };
	int rc;

	parse_words(arg + 1, WB_IOMMU_IOAS_ALLOC_ENFORCE_COHERENCY,
		    WB_IOMMU_IOAS_ALLOC_NONCOHERENT);
	cmd.flags = how.flags;
	rc = command(WB_IOMMU_IOAS_ALLOC, &cmd, sizeof(cmd));
	if (!rc)
		name_it(arg[0], -1, cmd.out_ioas_id);
	return rc;
}

static int do_hwpt(char **arg)
{
	struct wb_iommu_hwpt_vtd_s1 s1 = { .addr_width = 48 };
	struct wb_iommu_hwpt_alloc cmd = { .dev_id = get(arg[1])->id, .pt_id = get(arg[2])->id };
	int rc;

	parse_words(arg + 3, WB_IOMMU_HWPT_ALLOC_ENFORCE_COHERENCY,
		    WB_IOMMU_HWPT_ALLOC_NONCOHERENT);
	cmd.flags = how.flags;
	cmd.__reserved = how.reserved;
	if (how.id)
		cmd.pt_id = number(how.id);
	if (how.data) {
		cmd.data_type = WB_IOMMU_HWPT_DATA_VTD_S1;
		cmd.data_len = sizeof(s1);
		cmd.data_uptr = (uintptr_t)&s1;
	}
	rc = command(WB_IOMMU_HWPT_ALLOC, &cmd, sizeof(cmd));
	if (!rc)
		name_it(arg[0], -1, cmd.out_hwpt_id);
	return rc;
}

static const char *const coherencies[] = {
	[WB_IOMMU_DMA_COHERENCY_AUTO] = "automatic",
	[WB_IOMMU_DMA_COHERENCY_ENFORCED] = "enforced",
	[WB_IOMMU_DMA_COHERENCY_NONCOHERENT] = "noncoherent",
};

#define NR_COHERENCIES (sizeof(coherencies) / sizeof(coherencies[0]))

static int option(struct wb_iommu_option *cmd, const char *name, char **words)
{
	cmd->option_id = WB_IOMMU_OPTION_DMA_COHERENCY;
	cmd->object_id = get(name)->id;
	parse_words(words, 0, 0);
	cmd->__reserved = how.reserved;
	if (how.id)
		cmd->object_id = number(how.id);
	if (how.op)
		cmd->op = number(how.op);
	if (how.value)
		cmd->val64 = number(how.value);
	return command(WB_IOMMU_OPTION, cmd, sizeof(*cmd));
}

static int do_get(char **arg)
{
	struct wb_iommu_option cmd = { .op = WB_IOMMU_OPTION_OP_GET, .val64 = UINT64_MAX };
	static char text[24];
	int rc;

	rc = option(&cmd, arg[0], arg + 1);
	if (rc)
		return rc;
	snprintf(text, sizeof(text), "%" PRIu64, (uint64_t)cmd.val64);
	answer = cmd.val64 < NR_COHERENCIES ? coherencies[cmd.val64] : text;
	return 0;
}

static int do_set(char **arg)
{
	struct wb_iommu_option cmd = { .op = WB_IOMMU_OPTION_OP_SET };

	while (cmd.val64 < NR_COHERENCIES && strcmp(coherencies[cmd.val64], arg[1]))
		cmd.val64++;
	if (cmd.val64 == NR_COHERENCIES)
		cmd.val64 = number(arg[1]);
	return option(&cmd, arg[0], arg + 2);
}

static int do_destroy(char **arg)
{
	struct wb_iommu_destroy cmd = { .size = sizeof(cmd), .id = get(arg[0])->id };

	return result(ioctl(iommu(), WB_IOMMU_DESTROY, &cmd));
}

static char page[PAGE] __attribute__((aligned(PAGE)));

/* Always the same page, but new memory where a length is given */
static char *memory_of(uint64_t length, bool given)
{
	char *memory = page;

	if (given)
		memory = mmap(NULL, length, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (memory == MAP_FAILED)
		err(1, "memory");
	memory[0] = 1;
	return memory;
}

static uint64_t length_of(const char *arg)
{
	return arg ? number(arg) : PAGE;
}

static int do_map(char **arg)
{
	struct object *o = get(arg[0]);
	uint64_t length = length_of(arg[2]);
	char *memory = memory_of(length, arg[2]);
	struct wb_iommu_ioas_map ioas = { .size = sizeof(ioas),
					  .flags = WB_IOMMU_IOAS_MAP_FIXED_IOVA |
						   WB_IOMMU_IOAS_MAP_WRITEABLE |
						   WB_IOMMU_IOAS_MAP_READABLE,
					  .ioas_id = o->id,
					  .user_va = (uintptr_t)memory,
					  .length = length,
					  .iova = number(arg[1]) };
	struct vfio_iommu_type1_dma_map type1 = { .argsz = sizeof(type1),
						  .flags = VFIO_DMA_MAP_FLAG_READ |
							   VFIO_DMA_MAP_FLAG_WRITE,
						  .vaddr = (uintptr_t)memory,
						  .iova = number(arg[1]),
						  .size = length };

	if (o->fd >= 0)
		return result(ioctl(o->fd, VFIO_IOMMU_MAP_DMA, &type1));
	return result(ioctl(iommu(), WB_IOMMU_IOAS_MAP, &ioas));
}

static int do_unmap(char **arg)
{
	struct object *o = get(arg[0]);
	struct wb_iommu_ioas_unmap ioas = { .size = sizeof(ioas),
					    .ioas_id = o->id,
					    .iova = number(arg[1]),
					    .length = length_of(arg[2]) };
	struct vfio_iommu_type1_dma_unmap type1 = { .argsz = sizeof(type1),
						    .iova = number(arg[1]),
						    .size = length_of(arg[2]) };

	if (o->fd >= 0)
		return result(ioctl(o->fd, VFIO_IOMMU_UNMAP_DMA, &type1));
	return result(ioctl(iommu(), WB_IOMMU_IOAS_UNMAP, &ioas));
}

/* The last column is the entry that maps the page */
static int do_snp(char **arg)
{
	uint64_t pfn = number(arg[1]) / PAGE, pte;
	char path[PATH_MAX], line[256];
	FILE *f;

	snprintf(path, sizeof(path), TABLES, arg[0]);
	f = fopen(path, "re");
	if (!f)
		err(1, "%s", path);
	answer = "not mapped";
	while (fgets(line, sizeof(line), f)) {
		char *last = strrchr(line, '\t'), *end;

		if (!last || strtoull(line, &end, 16) != pfn || strncmp(end, " |", 2))
			continue;
		pte = strtoull(last, NULL, 16);
		answer = pte & PTE_SNP ? "snp" : "no snp";
	}
	fclose(f);
	return 0;
}

/* ---- privilege --------------------------------------------------------------------------------- */

static int set_rawio(bool on)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	if (on)
		data[0].effective |= 1U << CAP_SYS_RAWIO;
	else
		data[0].effective &= ~(1U << CAP_SYS_RAWIO);
	return result(syscall(SYS_capset, &header, data));
}

static int do_unprivileged(char **arg)
{
	(void)arg;
	return set_rawio(false);
}

static int do_privileged(char **arg)
{
	(void)arg;
	return set_rawio(true);
}

/* ---- steps ------------------------------------------------------------------------------------- */

const struct step iommufd_steps[] = {
	{ "hw-info", 1, 1, do_hw_info },
	{ "compat-set", 1, 1, do_compat_set },
	{ "compat-get", 1, 1, do_compat_get },
	{ "ioas", 1, MAX_WORDS, do_ioas },
	{ "hwpt", 3, MAX_WORDS, do_hwpt },
	{ "get", 1, MAX_WORDS, do_get },
	{ "set", 2, MAX_WORDS, do_set },
	{ "destroy", 1, 1, do_destroy },
	{ "map", 2, 3, do_map },
	{ "unmap", 2, 3, do_unmap },
	{ "snp", 2, 2, do_snp },
	{ "unprivileged", 0, 0, do_unprivileged },
	{ "privileged", 0, 0, do_privileged },
	{ 0 },
};
