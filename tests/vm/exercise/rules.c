// SPDX-License-Identifier: GPL-2.0
/*
 * What has to come out, on an iommufd that nobody else uses, with devices of the
 * mock driver.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "../chance.h"
#include "../uapi-coherency.h"
#include "exercise.h"

#define TEST_OP_REPLACE	      10
#define TEST_OP_PASID_ATTACH  18
#define TEST_OP_PASID_REPLACE 19
#define TEST_OP_PASID_DETACH  20
/* IOMMU_HWPT_ALLOC_PASID */
#define HWPT_PASID	      (1 << 3)

enum { AUTO, ENFORCED, NONCOHERENT };

/* What a thread is at, for the reports */
static __thread unsigned int rule;

static bool expect(int got, int wanted, const char *what)
{
	count(rule, got);
	if (got != wanted)
		wrong("%s: %s, not %s", what, got ? strerrorname_np(got) : "0",
		      wanted ? strerrorname_np(wanted) : "0");
	return got == wanted;
}

static int ioas_alloc(int fd, uint32_t flags, uint32_t *ioas)
{
	struct wb_iommu_ioas_alloc cmd = { .size = sizeof(cmd), .flags = flags };
	int error = ioctl(fd, WB_IOMMU_IOAS_ALLOC, &cmd) ? errno : 0;

	*ioas = cmd.out_ioas_id;
	return error;
}

static int get_coherency(int fd, uint32_t object, uint64_t *value)
{
	struct wb_iommu_option cmd = { .size = sizeof(cmd),
				       .option_id = WB_IOMMU_OPTION_DMA_COHERENCY,
				       .op = WB_IOMMU_OPTION_OP_GET,
				       .object_id = object,
				       .val64 = any() };
	int error = ioctl(fd, WB_IOMMU_OPTION, &cmd) ? errno : 0;

	*value = cmd.val64;
	return error;
}

static int set_coherency(int fd, uint32_t object, uint64_t value)
{
	struct wb_iommu_option cmd = { .size = sizeof(cmd),
				       .option_id = WB_IOMMU_OPTION_DMA_COHERENCY,
				       .op = WB_IOMMU_OPTION_OP_SET,
				       .object_id = object,
				       .val64 = value };

	return ioctl(fd, WB_IOMMU_OPTION, &cmd) ? errno : 0;
}

static int hwpt_alloc(int fd, uint32_t device, uint32_t pt, uint32_t flags, uint64_t nested,
		      uint32_t *hwpt)
{
	struct wb_iommu_hwpt_alloc cmd = { .size = sizeof(cmd),
					   .flags = flags,
					   .dev_id = device,
					   .pt_id = pt,
					   .data_type = nested ? 0xdead : 0,
					   .data_len = nested ? sizeof(nested) : 0,
					   .data_uptr = (uintptr_t)&nested };
	int error = ioctl(fd, WB_IOMMU_HWPT_ALLOC, &cmd) ? errno : 0;

	*hwpt = cmd.out_hwpt_id;
	return error;
}

/* ids: of the device of the mock driver, what it is attached to, and of iommufd's device */
static int mock_device(int fd, uint32_t flags, uint32_t pt, uint32_t made[3])
{
	uint32_t cmd[18] = { sizeof(cmd), TEST_OP_DEVICE_FLAGS, pt, [7] = flags };
	int error = ioctl(fd, TEST_CMD, cmd) ? errno : 0;

	memcpy(made, cmd + 4, 12);
	return error;
}

static int destroy(int fd, uint32_t object)
{
	struct wb_iommu_destroy cmd = { .size = sizeof(cmd), .id = object };

	return ioctl(fd, WB_IOMMU_DESTROY, &cmd) ? errno : 0;
}

static bool is_value(int fd, uint32_t object, uint64_t wanted, const char *what)
{
	uint64_t got;

	if (!expect(get_coherency(fd, object, &got), 0, what))
		return false;
	if (got != wanted)
		wrong("%s: %llu, not %llu", what, (unsigned long long)got,
		      (unsigned long long)wanted);
	return got == wanted;
}

/* What becomes of a HWPT for a device that may differ: an error, or 0 and what it is */
static int outcome(unsigned int policy, uint32_t device, uint64_t *fact)
{
	bool enforces = device & MOCK_ENFORCES;

	*fact = enforces && policy != NONCOHERENT ? ENFORCED : NONCOHERENT;
	if (policy == ENFORCED && !enforces)
		return EINVAL;
	if (policy == NONCOHERENT && device & MOCK_ALWAYS)
		return EOPNOTSUPP;
	return 0;
}

static unsigned int some_mock(void)
{
	static const uint32_t flags[] = { 0, MOCK_ENFORCES, MOCK_ENFORCES | MOCK_ALWAYS };

	return flags[below(3)] | (one_in(2) ? MOCK_PASID : 0) | (one_in(2) ? MOCK_DIRTY : 0);
}

static void check_hwpts(int fd, uint32_t ioas, unsigned int policy, uint32_t device, uint32_t kind)
{
	static const uint32_t flags[] = { 0, WB_IOMMU_HWPT_ALLOC_ENFORCE_COHERENCY,
					  WB_IOMMU_HWPT_ALLOC_NONCOHERENT };
	unsigned int own = below(3), of = own ? own : policy;
	uint32_t both = flags[1] | flags[2], parent = below(2), hwpt, nested;
	uint64_t fact;
	int error = outcome(of, kind, &fact);

	if (policy && own && own != policy)
		error = EINVAL;
	expect(hwpt_alloc(fd, device, ioas, both | parent, 0, &hwpt), EINVAL,
	       "HWPT with both flags");
	if (!expect(hwpt_alloc(fd, device, ioas, flags[own] | parent, 0, &hwpt), error, "HWPT") ||
	    error)
		return;
	is_value(fd, hwpt, fact, "coherency of a HWPT");
	expect(set_coherency(fd, hwpt, below(3)), EOPNOTSUPP, "set the coherency of a HWPT");
	expect(set_coherency(fd, ioas, below(3)), EBUSY, "set the policy of an IOAS with a HWPT");
	if (parent) {
		expect(hwpt_alloc(fd, device, hwpt, flags[1 + below(2)], 0xbadbeef, &nested),
		       EOPNOTSUPP, "nested HWPT with a coherency");
		if (expect(hwpt_alloc(fd, device, hwpt, 0, 0xbadbeef, &nested), 0, "nested HWPT")) {
			is_value(fd, nested, fact, "coherency of a nested HWPT");
			expect(destroy(fd, nested), 0, "destroy a nested HWPT");
		}
	}
	expect(destroy(fd, hwpt), 0, "destroy a HWPT");
}

/* One operation on a PASID of a device of the mock driver */
static int mock_pasid(int fd, uint32_t op, uint32_t mock, uint32_t pasid, uint32_t pt)
{
	uint32_t cmd[18] = { sizeof(cmd), op, mock, [4] = pasid, [5] = pt };

	return ioctl(fd, TEST_CMD, cmd) ? errno : 0;
}

static int mock_replace(int fd, uint32_t mock, uint32_t pt)
{
	uint32_t cmd[18] = { sizeof(cmd), TEST_OP_REPLACE, mock, [4] = pt };

	return ioctl(fd, TEST_CMD, cmd) ? errno : 0;
}

/* A PASID of it is attached, moved, and detached; all of it takes HWPTs that allow PASIDs */
static void check_pasids(int fd, uint32_t ioas, uint32_t kind, const uint32_t made[3],
			 uint32_t home)
{
	uint32_t pasid = 1 + below(3), hwpts[2];
	uint64_t fact;

	for (int i = 0; i < 2; i++)
		if (!expect(hwpt_alloc(fd, made[2], ioas, HWPT_PASID, 0, &hwpts[i]), 0,
			    "HWPT for PASIDs"))
			return;
	outcome(AUTO, kind, &fact);
	is_value(fd, hwpts[0], fact, "coherency of a HWPT for PASIDs");
	expect(mock_replace(fd, made[0], hwpts[0]), 0, "replace by a HWPT for PASIDs");
	expect(mock_pasid(fd, TEST_OP_PASID_ATTACH, made[0], pasid, hwpts[below(2)]), 0,
	       "attach a PASID");
	expect(mock_pasid(fd, TEST_OP_PASID_REPLACE, made[0], pasid, hwpts[below(2)]), 0,
	       "replace of a PASID");
	expect(mock_pasid(fd, TEST_OP_PASID_DETACH, made[0], pasid, 0), 0, "detach a PASID");
	expect(mock_replace(fd, made[0], home), 0, "replace by what it was attached to");
	for (int i = 0; i < 2; i++)
		expect(destroy(fd, hwpts[i]), 0, "destroy a HWPT for PASIDs");
}

void do_rules(void)
{
	unsigned int policy = below(3);
	uint32_t kind = some_mock(), ioas, other, made[3];
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC), error;
	uint64_t fact;

	rule = RULES;
	expect(ioas_alloc(fd, 3, &ioas), EINVAL, "IOAS with both flags");
	expect(ioas_alloc(fd, 4 << below(30), &ioas), EOPNOTSUPP, "IOAS with an unknown flag");
	if (!expect(ioas_alloc(fd, policy, &ioas), 0, "IOAS") ||
	    !is_value(fd, ioas, policy, "policy of a new IOAS"))
		goto out;
	policy = below(3);
	expect(set_coherency(fd, ioas, policy), 0, "set the policy");
	expect(set_coherency(fd, ioas, 3 + (odd_number() >> 1)), EINVAL, "set an unknown policy");
	is_value(fd, ioas, policy, "policy that was set");
	error = outcome(policy, kind, &fact);
	if (mock_device(fd, kind, UINT32_MAX, made) == ENOTTY)
		goto out;
	if (!expect(mock_device(fd, kind, ioas, made), error, "attach to an IOAS"))
		goto out;
	if (error) {
		/* Nothing is left of it. */
		expect(set_coherency(fd, ioas, AUTO), 0, "set the policy after a failed attach");
		goto out;
	}
	is_value(fd, made[1], fact, "coherency of what is attached");
	expect(set_coherency(fd, ioas, below(3)), EBUSY, "set the policy of what is attached");
	is_value(fd, ioas, policy, "policy of what is attached");
	expect(set_coherency(fd, made[2], below(3)), EINVAL, "set the coherency of a device");
	expect(get_coherency(fd, made[2], &fact), EINVAL, "coherency of a device");
	if (expect(ioas_alloc(fd, policy, &other), 0, "another IOAS"))
		check_hwpts(fd, other, policy, made[2], kind);
	if (kind & MOCK_PASID && expect(ioas_alloc(fd, AUTO, &other), 0, "IOAS for PASIDs"))
		check_pasids(fd, other, kind, made, ioas);
	expect(destroy(fd, made[2]), EBUSY, "destroy a device that is attached");
	expect(destroy(fd, made[0]), 0, "destroy a device of the mock driver");
	expect(set_coherency(fd, ioas, AUTO), 0, "set the policy of what was attached");
	expect(destroy(fd, ioas), 0, "destroy an IOAS");
out:
	close(fd);
}

/* ---- one sets the option, one allocates ---------------------------------------------------------- */

struct race {
	int fd;
	uint32_t ioas;
	uint64_t seed;
	atomic_bool stop;
};

static void *set_options(void *arg)
{
	struct race *race = arg;

	seed_with(race->seed);
	rule = RACE;
	while (!atomic_load(&race->stop)) {
		int error = set_coherency(race->fd, race->ioas, below(3));

		count(rule, error);
		if (error && error != EBUSY)
			wrong("race: set: %s", strerrorname_np(error));
		sched_yield();
	}
	return NULL;
}

/* While it has a HWPT the policy stays what it was when that was allocated */
static void check_race(const struct race *race, uint32_t device, uint32_t kind)
{
	uint64_t first, fact, second, wanted;
	uint32_t hwpt;
	int error = hwpt_alloc(race->fd, device, race->ioas, 0, 0, &hwpt);

	count(rule, error);
	if (error == EINVAL && !(kind & MOCK_ENFORCES))
		return;
	if (error == EOPNOTSUPP && kind & MOCK_ALWAYS)
		return;
	if (error) {
		wrong("race: HWPT: %s", strerrorname_np(error));
		return;
	}
	if (!expect(get_coherency(race->fd, race->ioas, &first), 0, "race: policy") ||
	    !expect(get_coherency(race->fd, hwpt, &fact), 0, "race: fact"))
		return;
	sched_yield();
	expect(get_coherency(race->fd, race->ioas, &second), 0, "race: policy");
	if (outcome(first, kind, &wanted) || first != second || fact != wanted)
		wrong("race: policy %llu, then %llu, HWPT %llu", (unsigned long long)first,
		      (unsigned long long)second, (unsigned long long)fact);
	expect(destroy(race->fd, hwpt), 0, "race: destroy a HWPT");
}

void do_race(void)
{
	struct race race = { .fd = open("/dev/iommu", O_RDWR | O_CLOEXEC), .seed = any() };
	uint32_t kind = some_mock(), home, made[3];
	pthread_t setter;

	rule = RACE;
	if (expect(ioas_alloc(race.fd, AUTO, &home), 0, "IOAS") &&
	    expect(ioas_alloc(race.fd, AUTO, &race.ioas), 0, "IOAS") &&
	    !mock_device(race.fd, kind, home, made) &&
	    !pthread_create(&setter, NULL, set_options, &race)) {
		for (int i = 0; i < 10; i++)
			check_race(&race, made[2], kind);
		atomic_store(&race.stop, true);
		pthread_join(setter, NULL);
	}
	close(race.fd);
}
