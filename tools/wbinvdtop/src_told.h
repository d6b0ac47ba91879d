/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tracepoint source on kernels without type information (BTF), where
 * nothing tells which vCPU a task runs: a process is one VM, by the files that
 * it has open.  One with several VMs has no id, and nothing is said of a single
 * one of them.
 */
#ifndef SRC_TOLD_H
#define SRC_TOLD_H

#include "../lib/source.h"

/* Whether it is the only one that can work here, and what cfg asks for. */
bool source_told_fits(const struct source_config *cfg);

/* As source_open_bpf(). */
int source_open_told(struct source **out, const struct source_config *cfg);

#endif /* SRC_TOLD_H */
