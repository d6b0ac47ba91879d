/* SPDX-License-Identifier: GPL-2.0 */
/* wbinvdtop's command line, checked as far as it can be without a source. */
#ifndef CONFIG_H
#define CONFIG_H

#include "../lib/opts.h"
#include "batch.h"

struct config {
	struct opts o;
	struct source_config src;
	enum batch_view view;
	bool vcpus;		      /* --vcpus */
	bool log;		      /* --log */
	const struct out_field *sort; /* NULL: the most expensive first */
};

/*
 * 0; 1 when the command line asked for nothing but text on stdout, which has
 * been written; -EINVAL after one sentence on stderr; -ENOMEM.  config_free()
 * is due in every case.
 */
int config_parse(struct config *cfg, int argc, char **argv);
void config_free(struct config *cfg);

#endif /* CONFIG_H */
