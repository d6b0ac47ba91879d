// SPDX-License-Identifier: GPL-2.0
#include <curses.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "ui_int.h"

#define NAME_MIN 12
#define NAME_MAX 32
#define CELL	 512 /* bytes; names may be long, columns cut them */

enum { PAIR_WARM = 1, PAIR_HOT, PAIR_ENDED };

/* Shares of one CPU from which a VM's row is coloured. */
#define WARM_PERCENT 1
#define HOT_PERCENT  10

void ui_draw_init(struct ui *ui)
{
	const char *no_color = getenv("NO_COLOR");

	ui->colour = !(no_color && *no_color) && has_colors() && start_color() == OK;
	if (!ui->colour)
		return;
	use_default_colors();
	init_pair(PAIR_WARM, COLOR_YELLOW, -1);
	init_pair(PAIR_HOT, COLOR_RED, -1);
	init_pair(PAIR_ENDED, COLOR_CYAN, -1);
}

/* Bytes of the first character and the columns it takes; -1: it cannot be shown. */
static size_t char_width(const char *s, int *columns)
{
	mbstate_t state = { 0 };
	size_t len;
	wchar_t wc;

	len = mbrtowc(&wc, s, strlen(s), &state);
	if (len == (size_t)-1 || len == (size_t)-2) {
		*columns = -1;
		return 1;
	}
	*columns = wcwidth(wc);
	return len ? len : 1;
}

/*
 * Writes s at most width columns wide and returns how many bytes of it there
 * was room for.  A character that the terminal cannot show becomes one '?'.
 */
static size_t put_text(const struct ui *ui, int y, int x, int width, const char *s)
{
	const char *start = s;
	int used = 0;

	move(y, x);
	while (*s) {
		int columns;
		size_t len = char_width(s, &columns);
		/* Without a UTF-8 locale, what follows the first byte of a sequence. */
		bool rest = !ui->utf8 && ((unsigned char)*s & 0xc0) == 0x80;

		if (used + (columns < 0 ? !rest : columns) > width)
			break;
		if (columns >= 0)
			addnstr(s, len);
		else if (!rest)
			addch('?');
		used += columns < 0 ? !rest : columns;
		s += len;
	}
	return s - start;
}

/* A whole line in one attribute. */
static void put_line(const struct ui *ui, int y, attr_t attr, const char *s)
{
	attrset(attr);
	mvhline(y, 0, ' ', COLS);
	put_text(ui, y, 0, COLS, s);
	attrset(A_NORMAL);
}

#define FIT_MAX 64

/* The columns that fit; index of each in the view's selection and its width. */
struct fit {
	size_t n;
	size_t index[FIT_MAX];
	int width[FIT_MAX];
};

static size_t name_column(const struct ui_columns *c)
{
	for (size_t i = 0; i < c->n; i++) {
		if (!strcmp(c->sel[i]->path, "name"))
			return i;
	}
	return c->n;
}

static void add_column(struct fit *fit, size_t index, int width, int *left)
{
	*left -= width + (fit->n ? 1 : 0);
	fit->index[fit->n] = index;
	fit->width[fit->n++] = width;
}

/* Text columns may use what is left over: the name up to a limit, the last one all of it. */
static void widen(const struct ui_columns *c, struct fit *fit, size_t name, int left)
{
	for (size_t i = 0; i < fit->n && left > 0; i++) {
		int more = NAME_MAX - NAME_MIN;

		if (fit->index[i] != name)
			continue;
		if (more > left)
			more = left;
		fit->width[i] += more;
		left -= more;
	}
	if (fit->n && left > 0 && (c->sel[fit->index[fit->n - 1]]->flags & OUT_LEFT))
		fit->width[fit->n - 1] += left;
}

/*
 * From the left while there is room.  The name and what stands before it
 * always have their place; ui->shift columns behind it are skipped.
 */
static void fit_columns(const struct ui *ui, const struct ui_columns *c, struct fit *fit)
{
	size_t name = name_column(c), first = name < c->n ? name + 1 : 0;
	size_t skip = ui->shift;
	int left = COLS;

	fit->n = 0;
	for (size_t i = 0; i < first && fit->n < FIT_MAX; i++) {
		int width = i == name ? NAME_MIN : c->sel[i]->width;

		if (i == name || width + 1 + NAME_MIN <= left)
			add_column(fit, i, width, &left);
	}
	for (size_t i = first; i < c->n && fit->n < FIT_MAX; i++) {
		if (ui_is_hidden(ui, c->sel[i]))
			continue;
		if (skip) {
			skip--;
			continue;
		}
		if (c->sel[i]->width + (fit->n ? 1 : 0) > left)
			break;
		add_column(fit, i, c->sel[i]->width, &left);
	}
	widen(c, fit, name, left);
}

static void put_cell(const struct ui *ui, int y, int x, int width, bool left, const char *s)
{
	int need;

	if (width > COLS - x)
		width = COLS - x;
	if (width <= 0)
		return;
	need = left ? 0 : out_width(s);
	put_text(ui, y, need < width && !left ? x + width - need : x, width, s);
}

static void put_titles(const struct ui *ui, int y, const struct ui_columns *c,
		       const struct fit *fit)
{
	int x = 0;

	attrset(A_REVERSE);
	mvhline(y, 0, ' ', COLS);
	for (size_t i = 0; i < fit->n; i++) {
		const struct out_field *f = c->sel[fit->index[i]];

		attrset(ui->view == BATCH_VMS && f == ui->sort ? A_BOLD | A_UNDERLINE : A_REVERSE);
		put_cell(ui, y, x, fit->width[i], f->flags & OUT_LEFT, f->title);
		x += fit->width[i] + 1;
	}
	attrset(A_NORMAL);
}

/* only: which columns are filled, NULL: all. */
static void put_row(const struct ui *ui, int y, const struct ui_columns *c, const struct fit *fit,
		    const bool *only, const void *row, attr_t attr)
{
	char cell[CELL];
	int x = 0;

	attrset(attr);
	mvhline(y, 0, ' ', COLS);
	for (size_t i = 0; i < fit->n; i++) {
		const struct out_field *f = c->sel[fit->index[i]];

		if (!only || only[fit->index[i]]) {
			out_cell(f, row, cell, sizeof(cell));
			put_cell(ui, y, x, fit->width[i], f->flags & OUT_LEFT, cell);
		}
		x += fit->width[i] + 1;
	}
	attrset(A_NORMAL);
}

/*
 * Only flushes cost others anything: the WBINVDs of a coherent VM are no-ops
 * and no reason for colour, however many there are.
 */
static attr_t stat_attr(const struct ui *ui, const struct wb_vm *vm, const struct wb_stat *s)
{
	uint64_t cost = s->c.stall_ns + s->c.emulation_ns;

	if (vm->ended)
		return ui->colour ? A_DIM | COLOR_PAIR(PAIR_ENDED) : A_DIM;
	if (!s->c.flushes || !ui->f->interval_ns)
		return A_NORMAL;
	cost = cost * 100 / ui->f->interval_ns;
	if (cost >= HOT_PERCENT)
		return ui->colour ? COLOR_PAIR(PAIR_HOT) | A_BOLD : A_BOLD;
	if (cost >= WARM_PERCENT && ui->colour)
		return COLOR_PAIR(PAIR_WARM);
	return A_NORMAL;
}

struct painter {
	const struct ui *ui;
	const struct ui_columns *c;
	const struct fit *fit;
	int y, end; /* line of the next row, line behind the last one */
	size_t row; /* number of the next row */
};

static attr_t selected(const struct painter *p, attr_t attr)
{
	return p->row == p->ui->at ? attr | A_REVERSE : attr;
}

static void paint(struct painter *p, const bool *only, const void *row, attr_t attr)
{
	put_row(p->ui, p->y, p->c, p->fit, only, row, selected(p, attr));
	p->y++;
	p->row++;
}

static void paint_vcpus(struct painter *p, const struct frame_vm *vm, size_t from)
{
	const struct ui *ui = p->ui;
	struct frame_vcpu *v;
	size_t n;

	if (model_vcpus(ui->model, ui->f, vm, &v, &n))
		return;
	for (size_t i = from; i < n && p->y < p->end; i++) {
		struct frame_vm as_vm = {
			.cur = vm->cur,
			.total = v[i].total,
			.delta = v[i].delta,
		};
		char label[32];
		struct vm_row row = { .frame = ui->f, .vm = &as_vm, .label = label };

		snprintf(label, sizeof(label), "    vcpu %" PRIu32, v[i].cur->id);
		paint(p, p->c->of_vcpu, &row, stat_attr(ui, vm->cur, &v[i].delta));
	}
}

static void paint_vm(struct painter *p, size_t group)
{
	const struct ui *ui = p->ui;
	const struct frame_vm *vm = &ui->f->vms[group];
	const struct wb_vm *cur = vm->cur;
	bool open = ui_is_open(ui, cur->key), parts = cur->nr_vcpus && !cur->vcpus_unknown;
	size_t sub = p->row - ui->rows.first[group];
	char label[CELL];
	struct vm_row row = { .frame = ui->f, .vm = vm, .label = label };

	if (!sub) {
		snprintf(label, sizeof(label), "%c %s%s",
			 !parts ? ' ' :
			 open	? '-' :
				  '+',
			 cur->ended ? "(ended) " : "", cur->name);
		paint(p, NULL, &row, stat_attr(ui, cur, &vm->delta));
		sub++;
	}
	if (open && parts)
		paint_vcpus(p, vm, sub - 1);
}

static void paint_devices(struct painter *p, size_t group)
{
	const struct frame_vm *vm = &p->ui->f->vms[group];
	size_t sub = p->row - p->ui->rows.first[group];

	for (; sub < vm->cur->nr_devices && p->y < p->end; sub++) {
		struct device_row row = { .vm = vm, .dev = &vm->cur->devices[sub] };

		paint(p, NULL, &row,
		      vm->cur->ended ? stat_attr(p->ui, vm->cur, &vm->delta) : A_NORMAL);
	}
}

static const char *nothing(const struct ui *ui)
{
	static char line[256];

	/* Attaching, or waiting for KVM: the headline or the notice says which. */
	if (!ui->f || !ui->f->cur->known)
		return "Waiting for the first reading";
	if (ui->filter[0])
		return "Nothing matches the filter; Esc clears it";
	switch (ui->view) {
	case BATCH_VICTIMS:
		if (!(ui->f->cur->known & WB_KNOWN_STALL))
			return "This source cannot see who is stalled";
		return "Nobody was stalled in this interval";
	case BATCH_DEVICES:
		return "No VM has an assigned PCI function";
	case BATCH_LOG:
		if (events_unknown(ui->f->cur, line, sizeof(line)))
			return line;
		return "Nothing was attached, mapped or changed so far";
	default:
		return "No VM is running";
	}
}

static void draw_body(struct ui *ui, int y, int end)
{
	const struct ui_columns *c = &ui->cols[ui->view];
	struct fit fit;
	struct painter p = { .ui = ui, .c = c, .fit = &fit, .y = y + 1, .end = end };

	fit_columns(ui, c, &fit);
	put_titles(ui, y, c, &fit);
	ui_scroll(ui, end > p.y ? end - p.y : 0);
	p.row = ui->top;
	if (!ui->f || !ui->rows.nr) {
		if (p.y < end)
			put_line(ui, p.y, A_NORMAL, nothing(ui));
		return;
	}
	for (size_t g = ui_group(ui, p.row); g < ui->rows.nr_groups && p.y < end; g++) {
		if (ui->view == BATCH_VICTIMS) {
			struct victim_row row = {
				.frame = ui->f,
				.victim = &ui->f->victims[g],
			};

			paint(&p, NULL, &row, A_NORMAL);
		} else if (ui->view == BATCH_LOG) {
			struct event_row row;

			/* The newest first. */
			event_row_init(&row, ui->f->events[ui->f->nr_events - 1 - g]);
			paint(&p, NULL, &row, A_NORMAL);
		} else if (ui->view == BATCH_DEVICES) {
			paint_devices(&p, g);
		} else {
			paint_vm(&p, g);
		}
	}
}

static void draw_help(struct ui *ui, int y, int end)
{
	static const char *const lines[] = {
		"q             quit                    h ?  this help",
		"v Tab         next view: VMs, victims, devices, log (V: back)",
		"s > / S <     sort by the next / previous column       R  reverse",
		"/             show only VMs whose name, id or device contains a text",
		"Esc           clear the filter",
		"Enter e       open or close the VM's vCPUs             E  of all VMs",
		"+ - d         longer, shorter, or typed interval       p  pause",
		"Space         take a reading now      r  count totals from here",
		"Up Down PgUp PgDn Home End, j k  move                  ^L redraw",
		"Left Right    columns that do not fit",
		"",
		"A non-coherent VM's WBINVD flushes every CPU that its vCPU has run on:",
		"%emul is its own time, %stolen that of other, busy CPUs, in shares of",
		"one CPU.  A coherent VM's WBINVD is skipped and costs nobody anything.",
		"- means that this source cannot know, or that there was nothing.",
	};

	put_line(ui, y++, A_REVERSE, "Keys");
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]) && y < end; i++)
		put_line(ui, y++, A_NORMAL, lines[i]);
	/* The header cuts it, here is room for all of it. */
	for (const char *s = ui->src->notice; s && *s && y < end; y++)
		s += put_text(ui, y, 0, COLS, s);
}

/* As many of the words as fit, further apart where there is room. */
static void put_words(const struct ui *ui, int y, const char *const *words)
{
	int width = 0, n = 0, gap, x = 0;

	for (; words[n]; n++)
		width += strlen(words[n]) + 2;
	gap = width - 2 <= COLS ? 2 : 1;
	put_line(ui, y, A_REVERSE, "");
	attrset(A_REVERSE);
	for (int i = 0; i < n && x + (int)strlen(words[i]) <= COLS; i++) {
		put_text(ui, y, x, COLS - x, words[i]);
		x += strlen(words[i]) + gap;
	}
	attrset(A_NORMAL);
}

static void draw_footer(struct ui *ui, int y)
{
	static const char *const words[UI_VIEWS][16] = {
		[BATCH_VMS] = { "q quit", "h help", "s sort", "R rev", "/ filter", "e expand",
				"v view", "d interval", "p pause", "r reset", "E expand all",
				"space now", NULL },
		[BATCH_VICTIMS] = { "q quit", "h help", "/ filter", "v view", "d interval",
				    "p pause", "r reset", "space now", NULL },
		[BATCH_DEVICES] = { "q quit", "h help", "/ filter", "v view", "d interval",
				    "p pause", "space now", NULL },
		[BATCH_LOG] = { "q quit", "h help", "/ filter", "v view", "d interval", "p pause",
				"space now", NULL },
	};
	char line[UI_TEXT + 64];

	switch (ui->mode) {
	case UI_HELP:
		put_line(ui, y, A_REVERSE, "any key: back");
		return;
	case UI_FILTER:
		snprintf(line, sizeof(line), "Filter (Enter keeps, Esc clears): %s", ui->typed);
		break;
	case UI_INTERVAL:
		snprintf(line, sizeof(line), "Seconds, 0.1 to 86400 (Enter, Esc): %s", ui->typed);
		break;
	default:
		put_words(ui, y, words[ui->view]);
		return;
	}
	put_line(ui, y, A_BOLD, line);
	move(y, out_width(line) < COLS ? out_width(line) : COLS - 1);
}

/* Appends to line, and cuts it where there is no more room: a recording's words may be long. */
static void add(char *line, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void add(char *line, size_t size, const char *fmt, ...)
{
	size_t used = strlen(line);
	va_list args;

	va_start(args, fmt);
	vsnprintf(line + used, size - used, fmt, args);
	va_end(args);
}

/* Whether nothing() says why there is no log; where some of it is told, the status line says what is not. */
static bool says_why(const struct ui *ui)
{
	return !ui->rows.nr && !ui->filter[0] && !(ui->f->cur->known & WB_KNOWN_EVENTS);
}

static void draw_status(struct ui *ui, int y)
{
	static const char *const views[UI_VIEWS] = { "VMs", "victims", "devices", "log" };
	char line[1024], interval[32];

	if (ui->message[0]) {
		put_line(ui, y, A_BOLD, ui->message);
		return;
	}
	if (ui->pace->at_end)
		snprintf(interval, sizeof(interval), "end of recording");
	else if (ui->pace->paused)
		snprintf(interval, sizeof(interval), "PAUSED");
	else if (ui->cfg->replay && !ui->pace->fixed)
		snprintf(interval, sizeof(interval), "as recorded");
	else
		snprintf(interval, sizeof(interval), "every %g s",
			 (double)ui->pace->interval_ns / 1e9);
	snprintf(line, sizeof(line), "%s, %s", views[ui->view], interval);
	if (ui->view == BATCH_VMS)
		add(line, sizeof(line), ", by %s%s", ui->sort ? ui->sort->path : "cost",
		    ui->reverse ? " reversed" : "");
	if (ui->view == BATCH_LOG && ui->f && ui->f->cur->events_lost)
		add(line, sizeof(line), ", %" PRIu64 " lost", ui->f->cur->events_lost);
	if (ui->view == BATCH_LOG && ui->f && ui->f->cur->events_why && !says_why(ui))
		add(line, sizeof(line), ", %s", ui->f->cur->events_why);
	if (ui->filter[0])
		add(line, sizeof(line), ", filter \"%s\"", ui->filter);
	if (ui->f && ui->f->rebased)
		add(line, sizeof(line), ", totals since reset");
	if (ui->shift)
		add(line, sizeof(line), ", %zu column%s skipped", ui->shift,
		    ui->shift == 1 ? "" : "s");
	put_line(ui, y, A_NORMAL, line);
}

static void rate_of(const struct frame *f, uint64_t n, bool known, double unit, char *buf,
		    size_t size)
{
	if (known && f->interval_ns)
		out_count((double)n * unit / (double)f->interval_ns, buf, size);
	else
		snprintf(buf, size, "-");
}

/* What batch_headline() says, in 80 columns. */
static void short_headline(const struct frame *f, const struct source *src, char *buf, size_t size)
{
	const struct wb_counters *c = &f->sum_delta.c;
	unsigned int known = f->cur->known;
	char exits[16], flushes[16], stolen[16], nc[32] = "-", lost[32];

	rate_of(f, c->exits, true, 1e9, exits, sizeof(exits));
	rate_of(f, c->flushes, known & WB_KNOWN_OUTCOME, 1e9, flushes, sizeof(flushes));
	rate_of(f, c->stall_ns, known & WB_KNOWN_STALL, 100, stolen, sizeof(stolen));
	if (known & WB_KNOWN_NONCOHERENT)
		snprintf(nc, sizeof(nc), "%u/%u", f->nr_noncoherent, f->nr_living);
	if (f->lost_total < 100000)
		snprintf(lost, sizeof(lost), "%" PRIu64, f->lost_total);
	else
		out_count((double)f->lost_total, lost, sizeof(lost));
	snprintf(buf, size, "WBINVD/s %s  flushes/s %s  stolen %s%s  NC VMs %s  lost %s  %s", exits,
		 flushes, stolen, *stolen == '-' ? "" : "%", nc, lost, src->name);
}

static void draw_headline(const struct ui *ui, int y)
{
	char line[1024];

	if (!ui->f) {
		put_line(ui, y, A_BOLD, "wbinvdtop");
		return;
	}
	batch_headline(ui->f, ui->src, line, sizeof(line));
	if (out_width(line) > COLS)
		short_headline(ui->f, ui->src, line, sizeof(line));
	put_line(ui, y, A_BOLD, line);
}

/* From the top: host, status, body with its titles; at the bottom the keys. */
void ui_draw(struct ui *ui)
{
	int y = 0, end = LINES;

	if (!ui->screen)
		return;
	erase();
	draw_headline(ui, y++);
	/* Lines are given up in this order as the terminal gets lower. */
	if (LINES >= 8 && ui->src->notice)
		put_line(ui, y++, A_NORMAL, ui->src->notice);
	if (LINES >= 5)
		draw_status(ui, y++);
	if (LINES >= 4 || ui->mode == UI_FILTER || ui->mode == UI_INTERVAL)
		end--;
	if (y < end) {
		if (ui->mode == UI_HELP)
			draw_help(ui, y, end);
		else
			draw_body(ui, y, end);
	}
	move(LINES - 1, 0);
	if (end < LINES)
		draw_footer(ui, LINES - 1);
	curs_set(ui->mode == UI_FILTER || ui->mode == UI_INTERVAL);
	refresh();
}
