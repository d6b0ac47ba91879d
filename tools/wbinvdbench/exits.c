// SPDX-License-Identifier: GPL-2.0
/* What KVM said when it would not go on, in its own names. */
#include <inttypes.h>
#include <stdlib.h>

#include <linux/kvm.h>

#include "bench.h"

#define NAME(n) [KVM_EXIT_##n] = "KVM_EXIT_" #n

static const char *const exit_names[] = {
	NAME(UNKNOWN),
	NAME(EXCEPTION),
	NAME(IO),
	NAME(HYPERCALL),
	NAME(DEBUG),
	NAME(HLT),
	NAME(MMIO),
	NAME(IRQ_WINDOW_OPEN),
	NAME(SHUTDOWN),
	NAME(FAIL_ENTRY),
	NAME(INTR),
	NAME(SET_TPR),
	NAME(TPR_ACCESS),
	NAME(NMI),
	NAME(INTERNAL_ERROR),
	NAME(WATCHDOG),
	NAME(SYSTEM_EVENT),
	NAME(IOAPIC_EOI),
	NAME(HYPERV),
	NAME(X86_RDMSR),
	NAME(X86_WRMSR),
	NAME(DIRTY_RING_FULL),
	NAME(AP_RESET_HOLD),
	NAME(X86_BUS_LOCK),
	NAME(XEN),
	NAME(NOTIFY),
};

static const char *const suberror_names[] = {
	[KVM_INTERNAL_ERROR_EMULATION] = "KVM_INTERNAL_ERROR_EMULATION",
	[KVM_INTERNAL_ERROR_SIMUL_EX] = "KVM_INTERNAL_ERROR_SIMUL_EX",
	[KVM_INTERNAL_ERROR_DELIVERY_EV] = "KVM_INTERNAL_ERROR_DELIVERY_EV",
	[KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON] = "KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON",
};

static const char *name_of(const char *const *names, size_t n, uint32_t value)
{
	return value < n && names[value] ? names[value] : "unnamed";
}

#define NAME_OF(names, value) name_of(names, sizeof(names) / sizeof(names[0]), value)

static void print_internal_error(FILE *f, const struct kvm_run *run)
{
	uint32_t n = run->internal.ndata;

	fprintf(f, ", suberror %" PRIu32 " (%s)", run->internal.suberror,
		NAME_OF(suberror_names, run->internal.suberror));
	if (n > sizeof(run->internal.data) / sizeof(run->internal.data[0]))
		n = sizeof(run->internal.data) / sizeof(run->internal.data[0]);
	for (uint32_t i = 0; i < n; i++)
		fprintf(f, "%s 0x%llx", i ? "," : ", data",
			(unsigned long long)run->internal.data[i]);
}

char *bench_exit_text(const struct kvm_run *run)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	fprintf(f, "exit reason %" PRIu32 " (%s)", run->exit_reason,
		NAME_OF(exit_names, run->exit_reason));
	switch (run->exit_reason) {
	case KVM_EXIT_UNKNOWN:
		fprintf(f, ", hardware reason 0x%llx",
			(unsigned long long)run->hw.hardware_exit_reason);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		fprintf(f, ", hardware entry failure reason 0x%llx on CPU %u",
			(unsigned long long)run->fail_entry.hardware_entry_failure_reason,
			run->fail_entry.cpu);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		print_internal_error(f, run);
		break;
	case KVM_EXIT_SHUTDOWN:
		fprintf(f, ", a triple fault of the guest");
		break;
	case KVM_EXIT_IO:
		fprintf(f, ", port 0x%x, which the guest never uses", run->io.port);
		break;
	case KVM_EXIT_MMIO:
		fprintf(f, ", guest-physical address 0x%llx, which is not mapped",
			(unsigned long long)run->mmio.phys_addr);
		break;
	}
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}
