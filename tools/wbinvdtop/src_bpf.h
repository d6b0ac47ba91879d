/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SRC_BPF_H
#define SRC_BPF_H

#include "../lib/source.h"

/*
 * The live source.  It attaches with its first reading, which may take a
 * second and fails with the same errors.  0 or a negative errno after one
 * sentence on stderr: -EPERM/-EACCES no privilege, -EOPNOTSUPP this kernel
 * cannot.
 */
int source_open_bpf(struct source **out, const struct source_config *cfg);

#endif /* SRC_BPF_H */
