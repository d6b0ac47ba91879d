// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "bench.h"
#include "dma.h"
#include "log.h"
#include "num.h"
#include "uapi.h"
#include "vfio.h"

#define NSEC_PER_SEC  1000000000ULL
#define NSEC_PER_MSEC 1000000ULL

static const char *const names[] = {
	"automatic", "enforced", "noncoherent", "block", "allow", "pause", "force", "resume",
};

const char *dma_name(enum dma_what what)
{
	return names[what];
}

static bool is_policy_of_ioas(enum dma_what what)
{
	return what <= DMA_NONCOHERENT;
}

static int parse_step(char *text, struct dma_step *s, const char **why)
{
	char *at = strchr(text, '@');

	if (at)
		*at++ = '\0';
	s->what = 0;
	while (s->what <= DMA_RESUME && strcmp(text, names[s->what]))
		s->what++;
	if (s->what > DMA_RESUME) {
		*why = "automatic, enforced, noncoherent, block, allow, pause, force or resume, each with @SECONDS or without";
		return -EINVAL;
	}
	s->later = at;
	if (at && num_seconds(at, 0, BENCH_MAX_WAIT_NS, &s->at_ns)) {
		*why = "after @ a number of seconds from 0 to 86400";
		return -EINVAL;
	}
	return 0;
}

/* Time must not go back, and an address space is chosen once before the start. */
static int check_order(const struct dma_plan *plan, const char **why)
{
	bool chosen = false;

	for (size_t i = 0; i < plan->n; i++) {
		const struct dma_step *s = &plan->steps[i], *before = s - 1;

		if (i && (before->later > s->later || before->at_ns > s->at_ns)) {
			*why = "steps in the order of their time, those without @ first";
			return -EINVAL;
		}
		if (s->later || !is_policy_of_ioas(s->what))
			continue;
		if (chosen) {
			*why = "only one of automatic, enforced and noncoherent without @";
			return -EINVAL;
		}
		chosen = true;
	}
	return 0;
}

int dma_parse(const char *text, struct dma_plan *plan, const char **why)
{
	char *copy = strdup(text), *rest = copy, *word;
	struct dma_step *steps;
	int err = 0;

	memset(plan, 0, sizeof(*plan));
	if (!copy)
		return -ENOMEM;
	while (!err && (word = strsep(&rest, ","))) {
		steps = reallocarray(plan->steps, plan->n + 1, sizeof(*steps));
		if (!steps) {
			err = -ENOMEM;
			break;
		}
		plan->steps = steps;
		memset(&steps[plan->n], 0, sizeof(*steps));
		err = parse_step(word, &steps[plan->n], why);
		plan->n++;
	}
	free(copy);
	return err ? err : check_order(plan, why);
}

void dma_plan_free(struct dma_plan *plan)
{
	free(plan->steps);
	memset(plan, 0, sizeof(*plan));
}

static uint32_t flags_of(enum dma_what what)
{
	static const uint32_t flags[] = {
		[DMA_ENFORCED] = WB_IOMMU_IOAS_ALLOC_ENFORCE_COHERENCY,
		[DMA_NONCOHERENT] = WB_IOMMU_IOAS_ALLOC_NONCOHERENT,
	};

	return flags[what];
}

uint32_t dma_first_flags(const struct dma_plan *plan)
{
	for (size_t i = 0; i < plan->n && !plan->steps[i].later; i++)
		if (is_policy_of_ioas(plan->steps[i].what))
			return flags_of(plan->steps[i].what);
	return 0;
}

static int set_vm_policy(int vm_fd, uint64_t policy)
{
	struct kvm_enable_cap cap = { .cap = WB_KVM_CAP_X86_NONCOHERENT_DMA, .args = { policy } };
	int err;

	if (ioctl(vm_fd, KVM_CHECK_EXTENSION, WB_KVM_CAP_X86_NONCOHERENT_DMA) <= 0) {
		log_err("--dma: this kernel's KVM has no policy for non-coherent DMA (KVM_CAP_X86_NONCOHERENT_DMA); the series in patches/ adds it");
		return -EOPNOTSUPP;
	}
	if (!ioctl(vm_fd, KVM_ENABLE_CAP, &cap))
		return 0;
	err = -errno;
	log_err("--dma: KVM refuses KVM_CAP_X86_NONCOHERENT_DMA: %s", strerror(-err));
	return err;
}

static int act(enum dma_what what, struct vfio_dev *vfio, int vm_fd)
{
	switch (what) {
	case DMA_BLOCK:
	case DMA_ALLOW:
		return vfio_set_no_snoop(vfio, what == DMA_BLOCK);
	case DMA_PAUSE:
		return set_vm_policy(vm_fd, WB_KVM_X86_NCDMA_PAUSE_WBINVD);
	case DMA_FORCE:
		return set_vm_policy(vm_fd, WB_KVM_X86_NCDMA_FORCE_COHERENT);
	case DMA_RESUME:
		return set_vm_policy(vm_fd, 0);
	default:
		return vfio_move(vfio, flags_of(what));
	}
}

int dma_begin(struct dma_plan *plan, struct vfio_dev *vfio, int vm_fd)
{
	int err = 0;

	for (; !err && plan->next < plan->n && !plan->steps[plan->next].later; plan->next++)
		if (!is_policy_of_ioas(plan->steps[plan->next].what))
			err = act(plan->steps[plan->next].what, vfio, vm_fd);
	return err;
}

int dma_wait_ms(const struct dma_plan *plan, uint64_t start_ns, uint64_t now_ns)
{
	uint64_t due, ms;

	if (plan->next == plan->n)
		return -1;
	due = start_ns + plan->steps[plan->next].at_ns;
	if (due <= now_ns)
		return 0;
	ms = (due - now_ns + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC;
	return ms < INT_MAX ? ms : INT_MAX;
}

int dma_go_on(struct dma_plan *plan, struct vfio_dev *vfio, int vm_fd, uint64_t start_ns)
{
	int err = 0;

	while (!err && dma_wait_ms(plan, start_ns, bench_now()) == 0) {
		struct dma_step *s = &plan->steps[plan->next++];

		err = act(s->what, vfio, vm_fd);
		if (err)
			break;
		s->did_ns = bench_now() - start_ns;
		log_warn("%.3f s: %s", s->did_ns / (double)NSEC_PER_SEC, names[s->what]);
	}
	return err;
}
