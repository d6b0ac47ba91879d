/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The full screen.  Draws only when it is called, does no I/O besides the
 * terminal's, and never reads a source: what a key asks of others comes back
 * from ui_input().
 */
#ifndef UI_H
#define UI_H

#include "batch.h"

/* Shared between main() and the screen; the screen changes it on keys. */
struct ui_pace {
	uint64_t interval_ns;
	bool fixed; /* a replay goes by interval_ns instead of the recorded times */
	bool paused;
	bool at_end; /* the recording is over; set by main() */
};

struct ui_config {
	const char *fields; /* as batch_config has them */
	const struct out_field *sort;
	enum batch_view view;
	bool vcpus;		    /* start with every VM expanded */
	bool replay;		    /* the source is a recording */
	struct model_filter filter; /* -p and -g; text is the screen's own */
};

struct ui;

/*
 * Takes the terminal, messages on stderr are held back from here on.  0;
 * -ENOTTY when this terminal cannot show a screen, with the reason in *why;
 * else a negative errno.  cfg and pace stay the caller's and are kept.
 */
int ui_open(struct ui **out, const struct ui_config *cfg, struct model *m, const struct source *src,
	    struct ui_pace *pace, const char **why);

/* Gives the terminal back as it was; ui may be NULL. */
void ui_close(struct ui *ui);

/* A new frame of the model; drawn at once.  0 or -ENOMEM. */
int ui_frame(struct ui *ui, const struct frame *f);

/* What is left to the caller after keys. */
#define UI_QUIT	   (1 << 0)
#define UI_REFRESH (1 << 1) /* take a reading now */
#define UI_PACE	   (1 << 2) /* struct ui_pace has changed */

/* Reads the keys that have come and draws.  A mask of the above, or a negative errno. */
int ui_input(struct ui *ui);

/* The terminal has another size. */
int ui_resize(struct ui *ui);

/* Around a stop by Ctrl-Z: gives the terminal back, and takes it again. */
void ui_suspend(struct ui *ui);
int ui_resume(struct ui *ui);

/* Shows a sentence until the next key. */
void ui_message(struct ui *ui, const char *sentence);

#endif /* UI_H */
