// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls that are made up from a table: what each field of their structs
 * means, and the errors that they may give.
 */
#include <stdio.h>
#include <string.h>

#include "../chance.h"
#include "exercise.h"

enum field_kind {
	NONE,
	FLAGS,	  /* arg: those that exist */
	CHOICE,	  /* arg: a list that ends with LAST, or something odd */
	ONE_OF,	  /* arg: such a list, and nothing else */
	ID,	  /* arg: enum id_kind */
	FD,	  /* arg: enum file_kind */
	RESERVED, /* 0 */
	ADDRESS,  /* of memory to map */
	BUFFER,	  /* an address to write to */
	IOVA,
	LENGTH,
	NUMBER, /* arg: below that */
};

struct field {
	uint8_t offset, len;
	enum field_kind kind;
	const void *arg;
};

#define MAX_FIELDS 9
#define LAST	   UINT32_MAX

struct call {
	const char *name;
	unsigned long nr;
	enum file_kind on;
	/* of the struct: what has to be there, and all of it; 0: the argument is a number */
	uint8_t min, size;
	bool strict;	     /* what is behind the struct has to be 0 */
	uint8_t weight;	     /* how often, next to others */
	enum id_kind out;    /* what is made; its id is at out_at */
	uint8_t out_at;	     /* 0: nothing is made */
	uint8_t fd_at;	     /* a new file descriptor, 0: none */
	enum file_kind file; /* what that is */
	const short *errors;
	struct field fields[MAX_FIELDS];
};

#define N(x)	  ((const void *)(uintptr_t)(x))
#define LIST(...) ((const uint32_t[]){ __VA_ARGS__, LAST })
#define IO(nr)	  VFIO_IOCTL(nr)

#define TEST_OP_RESERVED	 1
#define TEST_OP_DEVICE		 2
#define TEST_OP_CREATE_ACCESS	 5
#define TEST_OP_DESTROY_ACCESS	 6
#define TEST_OP_ACCESS_PAGES	 7
#define TEST_OP_ACCESS_RW	 8
#define TEST_OP_REPLACE		 10
#define TEST_OP_ACCESS_REPLACE	 11
#define TEST_OP_DEVICE_COHERENCY 24
#define TEST_OP_CACHE_FLUSHED	 25

/* All of iommufd's, which are alike; an errno is added where a call can give it */
#define IOMMU_ERRORS EINVAL, ENOENT, EOPNOTSUPP, E2BIG, EFAULT

/* Of the mock driver those of a reservation as well, which is operation 1: choices are odd now and then */
#define MOCK_ERRORS IOMMU_ERRORS, EADDRINUSE, EEXIST, EOVERFLOW

/* One operation of the mock driver */
#define MOCK_CALL(text, op, often, what, ...)                                       \
	{                                                                           \
		.name = text, .nr = TEST_CMD, .on = IOMMUFD, .min = 68, .size = 72, \
		.strict = true, .weight = often, .errors = what, .fields = {        \
			{ 4, 4, CHOICE, LIST(op) },                                 \
			{ 12, 4, RESERVED, N(0) },                                  \
			__VA_ARGS__                                                 \
		}                                                                   \
	}

/* clang-format off */
static const struct call calls[] = {
	{ "IOMMU_DESTROY", IO(0x80), IOMMUFD, 8, 8, true, 14, 0, 0, 0, 0,
	  ERRORS(IOMMU_ERRORS, EBUSY),
	  { { 4, 4, ID, N(NR_ID_KINDS) } } },
	{ "IOMMU_IOAS_ALLOC", IO(0x81), IOMMUFD, 12, 12, true, 10, IOAS, 8, 0, 0,
	  ERRORS(IOMMU_ERRORS),
	  { { 4, 4, FLAGS, N(3) } } },
	{ "IOMMU_IOAS_ALLOW_IOVAS", IO(0x82), IOMMUFD, 24, 24, true, 1, 0, 0, 0, 0,
	  ERRORS(IOMMU_ERRORS, EADDRINUSE),
	  { { 4, 4, ID, N(IOAS) }, { 8, 4, NUMBER, N(3) }, { 12, 4, RESERVED, N(0) },
	  { 16, 8, BUFFER, N(0) } } },
	{ "IOMMU_IOAS_COPY", IO(0x83), IOMMUFD, 40, 40, true, 6, 0, 0, 0, 0,
	  ERRORS(IOMMU_ERRORS, EEXIST, ENOSPC, EOVERFLOW, EADDRINUSE, EPERM, ENOMEM),
	  { { 4, 4, CHOICE, LIST(7, 7, 7, 7, 3, 5, 6) }, { 8, 4, ID, N(IOAS) },
	  { 12, 4, ID, N(IOAS) }, { 16, 8, LENGTH, N(0) }, { 24, 8, IOVA, N(0) }, { 32, 8, IOVA, N(0) } } },
	{ "IOMMU_IOAS_IOVA_RANGES", IO(0x84), IOMMUFD, 32, 32, true, 2, 0, 0, 0, 0,
	  ERRORS(IOMMU_ERRORS, EMSGSIZE),
	  { { 4, 4, ID, N(IOAS) }, { 8, 4, NUMBER, N(9) }, { 12, 4, RESERVED, N(0) },
	  { 16, 8, BUFFER, N(0) } } },
	{ "IOMMU_IOAS_MAP", IO(0x85), IOMMUFD, 40, 40, true, 18, 0, 0, 0, 0,
	  ERRORS(IOMMU_ERRORS, EEXIST, ENOSPC, EOVERFLOW, EADDRINUSE, EPERM, ENOMEM),
	  { { 4, 4, CHOICE, LIST(7, 7, 7, 7, 3, 5, 6) }, { 8, 4, ID, N(IOAS) }, { 12, 4, RESERVED, N(0) },
	  { 16, 8, ADDRESS, N(0) }, { 24, 8, LENGTH, N(0) }, { 32, 8, IOVA, N(0) } } },
	{ "IOMMU_IOAS_MAP_FILE", IO(0x8f), IOMMUFD, 40, 40, true, 6, 0, 0, 0, 0,
	  ERRORS(IOMMU_ERRORS, EEXIST, ENOSPC, EOVERFLOW, EADDRINUSE, EPERM, ENOMEM),
	  { { 4, 4, CHOICE, LIST(7, 7, 7, 7, 3, 5, 6) }, { 8, 4, ID, N(IOAS) }, { 12, 4, FD, N(OTHER) },
	  { 16, 8, NUMBER, N(1 << 16) }, { 24, 8, LENGTH, N(0) }, { 32, 8, IOVA, N(0) } } },
	{ "IOMMU_IOAS_UNMAP", IO(0x86), IOMMUFD, 24, 24, true, 10, 0, 0, 0, 0,
	  ERRORS(IOMMU_ERRORS, EOVERFLOW, EBUSY, EDEADLOCK),
	  { { 4, 4, ID, N(IOAS) }, { 8, 8, IOVA, N(0) }, { 16, 8, LENGTH, N(0) } } },
	{ "IOMMU_OPTION", IO(0x87), IOMMUFD, 24, 24, true, 14, 0, 0, 0, 0,
	  ERRORS(IOMMU_ERRORS, EBUSY, EPERM, EADDRINUSE),
	  { { 4, 4, CHOICE, LIST(2, 2, 2, 1, 0) }, { 8, 2, CHOICE, LIST(0, 1) },
	  { 10, 2, RESERVED, N(0) }, { 12, 4, ID, N(PT) }, { 16, 8, CHOICE, LIST(0, 1, 2) } } },
	{ "IOMMU_VFIO_IOAS", IO(0x88), IOMMUFD, 12, 12, true, 3, 0, 0, 0, 0,
	  ERRORS(IOMMU_ERRORS, ENODEV),
	  { { 4, 4, ID, N(IOAS) }, { 8, 2, CHOICE, LIST(0, 1, 2) }, { 10, 2, RESERVED, N(0) } } },
	{ "IOMMU_HWPT_ALLOC", IO(0x89), IOMMUFD, 24, 48, true, 16, HWPT, 16, 0, 0,
	  ERRORS(IOMMU_ERRORS, EPERM, EADDRINUSE),
	  { { 4, 4, CHOICE, LIST(0, 0, 1, 2, 8, 16, 16, 17, 32, 32, 33, 48) },
	  { 8, 4, ID, N(DEVICE) }, { 12, 4, ID, N(PT) },
	  { 20, 4, RESERVED, N(0) }, { 24, 4, CHOICE, LIST(0, 0, 0, 0, 0, 1, 0xdead) },
	  { 28, 4, CHOICE, LIST(0, 0, 0, 0, 0, 8, 24) }, { 32, 8, BUFFER, N(0) },
	  { 44, 4, RESERVED, N(0) } } },
	{ "IOMMU_GET_HW_INFO", IO(0x8a), IOMMUFD, 32, 40, true, 4, 0, 0, 0, 0,
	  ERRORS(IOMMU_ERRORS, ENODEV),
	  { { 4, 4, FLAGS, N(1) }, { 8, 4, ID, N(DEVICE) }, { 12, 4, NUMBER, N(64) },
	  { 16, 8, BUFFER, N(0) }, { 24, 4, RESERVED, N(0) } } },
	{ "IOMMU_HWPT_SET_DIRTY_TRACKING", IO(0x8b), IOMMUFD, 16, 16, true, 2, 0, 0, 0, 0,
	  ERRORS(IOMMU_ERRORS, ENODEV),
	  { { 4, 4, FLAGS, N(1) }, { 8, 4, ID, N(HWPT) }, { 12, 4, RESERVED, N(0) } } },
	{ "IOMMU_HWPT_INVALIDATE", IO(0x8d), IOMMUFD, 32, 32, true, 2, 0, 0, 0, 0,
	  ERRORS(IOMMU_ERRORS, ENODEV),
	  { { 4, 4, ID, N(HWPT) }, { 8, 8, BUFFER, N(0) }, { 16, 4, CHOICE, LIST(0, 0xdeadbeef) },
	  { 20, 4, CHOICE, LIST(8, 16) }, { 24, 4, NUMBER, N(4) }, { 28, 4, RESERVED, N(0) } } },
	{ "IOMMU_FAULT_QUEUE_ALLOC", IO(0x8e), IOMMUFD, 16, 16, true, 1, FAULT, 8, 12, QUEUE,
	  ERRORS(IOMMU_ERRORS),
	  { { 4, 4, RESERVED, N(0) } } },
	{ "IOMMU_VIOMMU_ALLOC", IO(0x90), IOMMUFD, 24, 40, true, 3, VIOMMU, 20, 0, 0,
	  ERRORS(IOMMU_ERRORS),
	  { { 4, 4, RESERVED, N(0) }, { 8, 4, CHOICE, LIST(0xdeadbeef, 0) },
	  { 12, 4, ID, N(DEVICE) }, { 16, 4, ID, N(HWPT) }, { 24, 4, CHOICE, LIST(0, 24) },
	  { 28, 4, RESERVED, N(0) }, { 32, 8, BUFFER, N(0) } } },
	{ "IOMMU_VDEVICE_ALLOC", IO(0x91), IOMMUFD, 24, 24, true, 2, 0, 0, 0, 0,
	  ERRORS(IOMMU_ERRORS, EEXIST, EBUSY),
	  { { 4, 4, ID, N(VIOMMU) }, { 8, 4, ID, N(DEVICE) }, { 16, 8, NUMBER, N(99) } } },
	{ "IOMMU_IOAS_CHANGE_PROCESS", IO(0x92), IOMMUFD, 8, 8, true, 1, 0, 0, 0, 0,
	  ERRORS(IOMMU_ERRORS, EBUSY),
	  { { 4, 4, RESERVED, N(0) } } },
	/* The mock driver */
	{ "mock: device", TEST_CMD, IOMMUFD, 68, 72, true, 8, MOCK, 16, 0, 0,
	  ERRORS(MOCK_ERRORS, EPERM),
	  { { 4, 4, CHOICE, LIST(TEST_OP_DEVICE_FLAGS, TEST_OP_DEVICE) }, { 8, 4, ID, N(PT) },
	  { 12, 4, RESERVED, N(0) }, { 28, 4, FLAGS, N(0x39) } } },
	MOCK_CALL("mock: replace", TEST_OP_REPLACE, 12, ERRORS(MOCK_ERRORS, EPERM),
	  { 8, 4, ID, N(MOCK) }, { 16, 4, ID, N(PT) }),
	MOCK_CALL("mock: coherency", TEST_OP_DEVICE_COHERENCY, 4, ERRORS(MOCK_ERRORS),
	  { 8, 4, ID, N(MOCK) }),
	MOCK_CALL("mock: bytes flushed", TEST_OP_CACHE_FLUSHED, 1, ERRORS(MOCK_ERRORS)),
	MOCK_CALL("mock: reserve", TEST_OP_RESERVED, 1, ERRORS(MOCK_ERRORS),
	  { 8, 4, ID, N(IOAS) }, { 16, 8, IOVA, N(0) }, { 24, 8, LENGTH, N(0) }),
	{ "mock: access", TEST_CMD, IOMMUFD, 68, 72, true, 2, 0, 0, 16, ACCESS,
	  ERRORS(MOCK_ERRORS),
	  { { 4, 4, CHOICE, LIST(TEST_OP_CREATE_ACCESS) }, { 8, 4, ID, N(IOAS) },
	  { 12, 4, RESERVED, N(0) }, { 20, 4, FLAGS, N(1) } } },
	MOCK_CALL("mock: access pages", TEST_OP_ACCESS_PAGES, 5, ERRORS(MOCK_ERRORS, EPERM,
	  EBADFD, EBADE, ENOMEM), { 8, 4, FD, N(ACCESS) }, { 16, 4, FLAGS, N(1) },
	  { 24, 8, IOVA, N(0) }, { 32, 8, LENGTH, N(0) }, { 40, 8, ADDRESS, N(0) }),
	MOCK_CALL("mock: access read, write", TEST_OP_ACCESS_RW, 3, ERRORS(MOCK_ERRORS, EPERM,
	  EBADFD, EBADE, ENOMEM), { 8, 4, FD, N(ACCESS) }, { 16, 8, IOVA, N(0) },
	  { 24, 8, LENGTH, N(0) }, { 32, 8, ADDRESS, N(0) }, { 40, 4, FLAGS, N(5) }),
	MOCK_CALL("mock: access replace", TEST_OP_ACCESS_REPLACE, 2, ERRORS(MOCK_ERRORS, EBADFD),
	  { 8, 4, FD, N(ACCESS) }, { 16, 4, ID, N(IOAS) }),
	/* Devices of VFIO */
	{ "VFIO_DEVICE_BIND_IOMMUFD", IO(118), CDEV, 16, 24, true, 3, DEVICE, 12, 0, 0,
	  ERRORS(EINVAL, E2BIG, EFAULT, EBADF, EBADFD, EBUSY, EPERM, ENODEV, EAGAIN),
	  { { 4, 4, FLAGS, N(0) }, { 8, 4, FD, N(IOMMUFD) }, { 16, 8, BUFFER, N(0) } } },
	{ "VFIO_DEVICE_ATTACH_IOMMUFD_PT", IO(119), CDEV, 12, 16, false, 24, 0, 0, 0, 0,
	  ERRORS(EINVAL, EFAULT, ENOENT, EOPNOTSUPP, EPERM, EADDRINUSE, EBUSY, ENODEV, ENOSPC),
	  { { 4, 4, FLAGS, N(1) }, { 8, 4, ID, N(PT) }, { 12, 4, NUMBER, N(4) } } },
	{ "VFIO_DEVICE_DETACH_IOMMUFD_PT", IO(120), CDEV, 8, 12, false, 10, 0, 0, 0, 0,
	  ERRORS(EINVAL, EFAULT, EOPNOTSUPP),
	  { { 4, 4, FLAGS, N(1) }, { 8, 4, NUMBER, N(4) } } },
	{ "VFIO_DEVICE_GET_REGION_INFO", IO(108), CDEV, 32, 32, false, 2, 0, 0, 0, 0,
	  ERRORS(EINVAL, EFAULT, EIO),
	  { { 4, 4, RESERVED, N(0) }, { 8, 4, NUMBER, N(10) } } },
	{ "VFIO_DEVICE_RESET", IO(111), CDEV, 0, 0, false, 3, 0, 0, 0, 0,
	  ERRORS(EINVAL, EAGAIN, EBUSY, EIO, ENOTTY, ENODEV),
	  {} },
	{ "VFIO_DEVICE_RESET (group)", IO(111), GROUP_DEVICE, 0, 0, false, 1, 0, 0, 0, 0,
	  ERRORS(EINVAL, EAGAIN, EBUSY, EIO, ENOTTY, ENODEV),
	  {} },
	{ "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO", IO(112), CDEV, 12, 76, false, 3, 0, 0, 0, 0,
	  ERRORS(EINVAL, EFAULT, ENODEV, ENOSPC, ERANGE, EPERM, EAGAIN, ENOTTY),
	  { { 4, 4, RESERVED, N(0) } } },
	{ "VFIO_DEVICE_PCI_HOT_RESET", IO(113), CDEV, 12, 20, false, 3, 0, 0, 0, 0,
	  ERRORS(EINVAL, EFAULT, EBADF, EBUSY, ENODEV, ENOTTY, EIO, EAGAIN),
	  { { 4, 4, RESERVED, N(0) }, { 8, 4, NUMBER, N(3) }, { 12, 4, FD, N(GROUP) },
	  { 16, 4, FD, N(GROUP) } } },
	/* Groups and containers */
	{ "VFIO_GROUP_GET_STATUS", IO(103), GROUP, 8, 8, false, 1, 0, 0, 0, 0,
	  ERRORS(EINVAL, EFAULT, ENODEV),
	  { { 4, 4, RESERVED, N(0) } } },
	{ "VFIO_GROUP_UNSET_CONTAINER", IO(105), GROUP, 0, 0, false, 2, 0, 0, 0, 0,
	  ERRORS(EINVAL, EBUSY),
	  {} },
	{ "VFIO_SET_IOMMU", IO(102), CONTAINER, 0, 0, false, 4, 0, 0, 0, 0,
	  ERRORS(EINVAL, ENODEV, EPERM, EBUSY, EEXIST),
	  { { 0, 8, CHOICE, LIST(1, 3, 8) } } },
	{ "VFIO_SET_IOMMU (iommufd)", IO(102), IOMMUFD, 0, 0, false, 2, 0, 0, 0, 0,
	  ERRORS(EINVAL, ENODEV, EPERM, EADDRINUSE),
	  { { 0, 8, CHOICE, LIST(1, 3, 8) } } },
	{ "VFIO_CHECK_EXTENSION", IO(101), CONTAINER, 0, 0, false, 2, 0, 0, 0, 0,
	  ERRORS(EINVAL),
	  { { 0, 8, NUMBER, N(14) } } },
	{ "VFIO_CHECK_EXTENSION (iommufd)", IO(101), IOMMUFD, 0, 0, false, 2, 0, 0, 0, 0,
	  ERRORS(EINVAL, ENODEV),
	  { { 0, 8, NUMBER, N(14) } } },
	{ "VFIO_IOMMU_MAP_DMA", IO(113), CONTAINER, 32, 32, false, 6, 0, 0, 0, 0,
	  ERRORS(EINVAL, EFAULT, EEXIST, ENOMEM, ENOSPC, EPERM, EOVERFLOW, ENOENT),
	  { { 4, 4, FLAGS, N(3) }, { 8, 8, ADDRESS, N(0) }, { 16, 8, IOVA, N(0) },
	  { 24, 8, LENGTH, N(0) } } },
	/* Never without flags: 7.2 would warn when it attaches the first device */
	{ "VFIO_IOMMU_MAP_DMA (iommufd)", IO(113), IOMMUFD, 32, 32, false, 4, 0, 0, 0, 0,
	  ERRORS(EINVAL, EFAULT, EEXIST, ENOMEM, EADDRINUSE, ENODEV, EOVERFLOW, EPERM),
	  { { 4, 4, ONE_OF, LIST(1, 2, 3, 3) }, { 8, 8, ADDRESS, N(0) }, { 16, 8, IOVA, N(0) },
	  { 24, 8, LENGTH, N(0) } } },
	{ "VFIO_IOMMU_UNMAP_DMA", IO(114), CONTAINER, 24, 24, false, 3, 0, 0, 0, 0,
	  ERRORS(EINVAL, EFAULT, EOVERFLOW),
	  { { 4, 4, FLAGS, N(2) }, { 8, 8, IOVA, N(0) }, { 16, 8, LENGTH, N(0) } } },
	{ "VFIO_IOMMU_UNMAP_DMA (iommufd)", IO(114), IOMMUFD, 24, 24, false, 3, 0, 0, 0, 0,
	  ERRORS(EINVAL, EFAULT, ENODEV, ENOENT, EBUSY, EOVERFLOW),
	  { { 4, 4, FLAGS, N(2) }, { 8, 8, IOVA, N(0) }, { 16, 8, LENGTH, N(0) } } },
};
/* clang-format on */

unsigned int nr_calls(void)
{
	return ARRAY_SIZE(calls);
}

const char *call_name(unsigned int nr)
{
	return calls[nr].name;
}

unsigned int call_weight(unsigned int nr)
{
	return calls[nr].weight;
}

static void *somewhere(void)
{
	/* Nowhere now and then */
	return one_in(40) ? (void *)(PAGE + below(8)) : arena + below(ARENA - 2 * PAGE);
}

static uint64_t value_of(const struct field *f, unsigned int slot)
{
	const uint32_t *list = f->arg;
	unsigned int n = 0;

	switch (f->kind) {
	case FLAGS:
		if (one_in(40))
			return odd_number();
		return one_in(3) ? 0 : any() & (uintptr_t)f->arg;
	case CHOICE:
		if (one_in(30))
			return odd_number();
		/* fall through */
	case ONE_OF:
		while (list[n] != LAST)
			n++;
		return list[below(n)];
	case ID:
		return some_id(slot, (uintptr_t)f->arg);
	case FD:
		/* What is mapped of a file keeps it: of none that keeps the iommufd, or it stays for good */
		if ((uintptr_t)f->arg == OTHER)
			return one_in(30) ? -1 : file_at(OTHER, slot_of(OTHER));
		if ((uintptr_t)f->arg != IOMMUFD)
			return some_file((uintptr_t)f->arg);
		return one_in(30) ? some_file(QUEUE) : file_at(IOMMUFD, slot);
	case ADDRESS:
	case BUFFER:
		return (uintptr_t)somewhere() &
		       (f->kind == BUFFER || one_in(20) ? ~7UL : ~(PAGE - 1));
	case IOVA:
		return one_in(30) ? odd_number() : FIRST_IOVA + below(64) * PAGE;
	case LENGTH:
		if (one_in(30))
			return odd_number();
		return one_in(20) ? ARENA : (below(16) + 1) * PAGE;
	case NUMBER:
		return one_in(30) ? odd_number() : below((uintptr_t)f->arg);
	default:
		return one_in(50) ? odd_number() : 0;
	}
}

/* Of the struct, as the caller tells: the whole one, an old one, a new one, too short */
static uint32_t some_size(const struct call *c)
{
	switch (below(24)) {
	case 0:
		return below(c->min);
	case 1:
		return c->min + below(c->size - c->min + 1);
	case 2:
		return c->size + below(100);
	case 3:
		return one_in(8) ? odd_number() : c->size;
	default:
		return c->size;
	}
}

/* What has to be so whatever else is wrong; errors of another file have been told */
static void check_size(const struct call *c, uint32_t size, bool tail, int error)
{
	if (size < c->min && !error)
		wrong("%s: a size of %u is enough", c->name, size);
	if (c->strict && size >= c->min && size <= PAGE && tail && error != E2BIG &&
	    !of_another_file(error))
		wrong("%s: a tail that is not 0: %s", c->name, strerrorname_np(error) ?: "0");
}

void make_call(unsigned int nr)
{
	const struct call *c = &calls[nr];
	unsigned int slot =
		c->nr == TEST_CMD || c->on == CDEV ? iommufd_slot(c->nr == TEST_CMD) : below(SLOTS);
	unsigned int of = slot_of(CDEV);
	int fd = some_file(c->on == IOMMUFD ? QUEUE : c->on);
	static __thread uint8_t buf[2 * PAGE] __attribute__((aligned(16)));
	uint32_t size, out, behind;
	uint64_t value = 0;
	bool tail = false;
	int error;

	if (c->on == IOMMUFD && !one_in(60)) {
		fd = file_at(IOMMUFD, slot);
	} else if (c->on == CDEV && !one_in(60)) {
		fd = file_at(CDEV, of);
		if (!c->out_at)
			slot = atomic_load(&bound_to[of]);
	}
	memset(buf, 0, c->size);
	memset(buf + c->size, 0, 128);
	for (const struct field *f = c->fields; f->kind; f++) {
		value = value_of(f, slot);
		memcpy(buf + f->offset, &value, f->len);
	}
	if (!c->size) {
		judge(FROM_TABLE + nr, ioctl(fd, c->nr, value) < 0 ? errno : 0, c->errors);
		return;
	}
	size = some_size(c);
	memcpy(buf, &size, 4);
	if (size > c->size && size < c->size + 100U && one_in(2)) {
		tail = true;
		buf[size - 1] = CANARY;
	}
	behind = size > c->size && size < PAGE ? size : c->size;
	memset(buf + behind, CANARY, 128);
	if (one_in(80)) {
		error = ioctl(fd, c->nr, (void *)(PAGE + below(8))) < 0 ? errno : 0;
		count(FROM_TABLE + nr, error);
		if (error != EFAULT && !of_another_file(error))
			wrong("%s: with a bad address: %d", c->name, error);
		return;
	}
	error = ioctl(fd, c->nr, buf) < 0 ? errno : 0;
	judge(FROM_TABLE + nr, error, c->errors);
	check_size(c, size, tail, error);
	for (unsigned int i = 0; i < 128 && size <= PAGE; i++)
		if (buf[behind + i] != CANARY && c->size != 76)
			wrong("%s: wrote behind %u bytes", c->name, size);
	if (error)
		return;
	memcpy(&out, buf + c->out_at, 4);
	if (c->out_at)
		put_id(slot, c->out, out);
	if (c->out_at && c->on == CDEV)
		atomic_store(&bound_to[of], slot);
	if (!strcmp(c->name, "mock: device")) {
		memcpy(&out, buf + 20, 4);
		put_id(slot, HWPT, out);
		memcpy(&out, buf + 24, 4);
		put_id(slot, DEVICE, out);
	}
	memcpy(&out, buf + c->fd_at, 4);
	if (c->fd_at)
		put_file(c->file, below(SLOTS), out);
}
