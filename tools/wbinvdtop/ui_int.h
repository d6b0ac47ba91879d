/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of the screen share: state (ui_rows.c), drawing (ui_draw.c), keys (ui.c). */
#ifndef UI_INT_H
#define UI_INT_H

#include "ui.h"

#define UI_VIEWS 4
#define UI_TEXT	 128 /* bytes of typed text, the end included */

enum ui_mode { UI_LIST, UI_HELP, UI_FILTER, UI_INTERVAL };

struct ui_columns {
	const struct out_field **sel;
	size_t n;
	bool *of_vcpu; /* of VMs: the column says something of a single vCPU, too */
};

/*
 * The rows of a view in groups: a VM and its vCPUs, a VM's devices, one
 * victim, or one event.  Only the visible ones are ever worked out.
 */
struct ui_rows {
	size_t *first; /* row number of each group's first row, and of the end */
	size_t nr_groups;
	size_t room;
	size_t nr; /* rows */
};

struct ui {
	const struct ui_config *cfg;
	struct model *model;
	const struct source *src;
	struct ui_pace *pace;
	const struct frame *f; /* NULL: none yet */
	void *screen;	       /* SCREEN, NULL: the terminal is not ours */
	bool utf8;	       /* the terminal shows UTF-8 */
	bool colour;

	enum ui_mode mode;
	enum batch_view view;
	struct ui_columns cols[UI_VIEWS];
	const struct out_field *sort; /* NULL: the most expensive first */
	bool reverse;

	size_t shift; /* columns behind the name that are skipped */
	struct ui_rows rows;
	size_t at;	  /* selected row */
	size_t top;	  /* first row on the screen */
	size_t page;	  /* rows on the screen when last drawn */
	bool follow;	  /* the selection was moved: it stays with its VM */
	uint64_t at_key;  /* the selected VM */
	uint32_t at_vcpu; /* the selected vCPU's id */
	bool at_is_vcpu;

	bool all_open;
	uint64_t *toggled; /* sorted keys of VMs that are not as all_open says */
	size_t nr_toggled;

	char filter[UI_TEXT];
	char typed[UI_TEXT]; /* line being edited */
	char message[512];
};

/* ui_rows.c: no terminal, no I/O. */

/* Sorts the frame and finds the rows and the selection again.  0 or -ENOMEM. */
int ui_layout(struct ui *ui);

/* Moves the selection to a row, or as near as there is one. */
void ui_select(struct ui *ui, size_t row);

/* Scrolls so that the selection is among page rows. */
void ui_scroll(struct ui *ui, size_t page);

/* The group that a row belongs to. */
size_t ui_group(const struct ui *ui, size_t row);

bool ui_is_open(const struct ui *ui, uint64_t key);

/* Opens or closes the selected VM.  0 or -ENOMEM. */
int ui_toggle(struct ui *ui);
void ui_toggle_all(struct ui *ui);

/* A column that would be empty: of policies, on a kernel that has none; unless asked for by -o. */
bool ui_is_hidden(const struct ui *ui, const struct out_field *field);

/* The next sort field among the shown columns, or with -1 the one before. */
void ui_sort_step(struct ui *ui, int step);

/* Hands the typed filter to the model and takes its frame.  0 or -ENOMEM. */
int ui_apply_filter(struct ui *ui);

/* The nearest round interval above, or with -1 below. */
uint64_t ui_interval_step(uint64_t ns, int step);

/* ui_draw.c */

void ui_draw(struct ui *ui);
void ui_draw_init(struct ui *ui);

#endif /* UI_INT_H */
