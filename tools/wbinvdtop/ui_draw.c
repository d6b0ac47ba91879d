// SPDX-License-Identifier: GPL-2.0
#include <curses.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "ui_int.h"

#define NAME_MIN	12
#define NAME_MAX	32
#define CELL		512	/* bytes; names may be long, columns cut them */

enum { PAIR_WARM = 1, PAIR_HOT, PAIR_ENDED };

/* Shares of one CPU from which a VM's row is coloured. */
#define WARM_PERCENT	1
#define HOT_PERCENT	10

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

/* Bytes of the first character and the columns it takes; what cannot be shown takes none. */
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
 * Writes s at most width columns wide and returns the columns used.  Bytes
 * that the terminal cannot show become one '?' per character.
 */
static int put_text(const struct ui *ui, int y, int x, int width, const char *s)
{
	int used = 0;

	move(y, x);
	while (*s && used < width) {
		int columns;
		size_t len = char_width(s, &columns);

		if (columns < 0) {
			/* In a UTF-8 sequence only the first byte is shown. */
			if (ui->utf8 || ((unsigned char)*s & 0xc0) != 0x80) {
				addch('?');
				used++;
			}
			s++;
			continue;
		}
		if (used + columns > width)
			break;
		addnstr(s, len);
		used += columns;
		s += len;
	}
	return used;
}

/* A whole line in one attribute. */
static void put_line(const struct ui *ui, int y, attr_t attr, const char *s)
{
	attrset(attr);
	mvhline(y, 0, ' ', COLS);
	put_text(ui, y, 0, COLS, s);
	attrset(A_NORMAL);
}

/* The columns that fit; index of each in the view's selection and its width. */
struct fit {
	size_t n;
	size_t index[64];
	int width[64];
};

static size_t name_column(const struct ui_columns *c)
{
	for (size_t i = 0; i < c->n; i++) {
		if (!strcmp(c->sel[i]->path, "name"))
			return i;
	}
	return c->n;
}

static int column_min(const struct out_field *f, bool is_name)
{
	if (is_name)
		return NAME_MIN;
	return f->width;
}

/* From the left while there is room; the name column always has its place. */
static void fit_columns(const struct ui_columns *c, struct fit *fit)
{
	size_t name = name_column(c);
	int left = COLS, reserved = name < c->n ? NAME_MIN + 1 : 0;

	fit->n = 0;
	for (size_t i = 0; i < c->n && fit->n < 64; i++) {
		int width = column_min(c->sel[i], i == name);
		int sep = fit->n ? 1 : 0;

		if (i == name)
			reserved = 0;
		if (width + sep + reserved > left && !(i == name && !fit->n))
			break;
		fit->index[fit->n] = i;
		fit->width[fit->n++] = width;
		left -= width + sep;
	}
	if (name < c->n && (!fit->n || fit->index[fit->n - 1] < name) && fit->n < 64) {
		fit->index[fit->n] = name;
		fit->width[fit->n++] = NAME_MIN;
		left -= NAME_MIN + 1;
	}
	for (size_t i = 0; i < fit->n && left > 0; i++) {
		int more = left;

		if (fit->index[i] != name)
			continue;
		if (more > NAME_MAX - fit->width[i])
			more = NAME_MAX - fit->width[i];
		fit->width[i] += more;
		left -= more;
	}
	/* Text at the right end may as well use what is left over. */
	if (fit->n && left > 0 && (c->sel[fit->index[fit->n - 1]]->flags & OUT_LEFT))
		fit->width[fit->n - 1] += left;
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

static void put_row(const struct ui *ui, int y, const struct ui_columns *c,
		    const struct fit *fit, const void *row, attr_t attr)
{
	char cell[CELL];
	int x = 0;

	attrset(attr);
	mvhline(y, 0, ' ', COLS);
	for (size_t i = 0; i < fit->n; i++) {
		const struct out_field *f = c->sel[fit->index[i]];

		out_cell(f, row, cell, sizeof(cell));
		put_cell(ui, y, x, fit->width[i], f->flags & OUT_LEFT, cell);
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
	int y, end;	/* line of the next row, line behind the last one */
	size_t row;	/* number of the next row */
};

static attr_t selected(const struct painter *p, attr_t attr)
{
	return p->row == p->ui->at ? attr | A_REVERSE : attr;
}

static void paint(struct painter *p, const void *row, attr_t attr)
{
	put_row(p->ui, p->y, p->c, p->fit, row, selected(p, attr));
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
			.cur = vm->cur, .total = v[i].total, .delta = v[i].delta,
		};
		char label[32];
		struct vm_row row = { .frame = ui->f, .vm = &as_vm, .label = label };

		snprintf(label, sizeof(label), "    vcpu %" PRIu32, v[i].cur->id);
		paint(p, &row, stat_attr(ui, vm->cur, &v[i].delta));
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
		snprintf(label, sizeof(label), "%c %s", !parts ? ' ' : open ? '-' : '+', cur->name);
		paint(p, &row, stat_attr(ui, cur, &vm->delta));
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

		paint(p, &row, vm->cur->ended ? stat_attr(p->ui, vm->cur, &vm->delta) : A_NORMAL);
	}
}

static const char *nothing(const struct ui *ui)
{
	if (!ui->f)
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
	default:
		return "No VM is running";
	}
}

static void draw_body(struct ui *ui, int y, int end)
{
	const struct ui_columns *c = &ui->cols[ui->view];
	struct fit fit;
	struct painter p = { .ui = ui, .c = c, .fit = &fit, .y = y + 1, .end = end };

	fit_columns(c, &fit);
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
				.frame = ui->f, .victim = &ui->f->victims[g],
			};

			paint(&p, &row, A_NORMAL);
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
		"v Tab         next view: VMs, victims, devices (V: the one before)",
		"s > / S <     sort by the next / previous column       R  reverse",
		"/             show only VMs whose name, id or device contains a text",
		"Esc           clear the filter",
		"Enter e       open or close the VM's vCPUs             E  of all VMs",
		"+ - d         longer, shorter, or typed interval       p  pause",
		"Space         take a reading now      r  count totals from here",
		"Up Down PgUp PgDn Home End  or j k    move             ^L redraw",
		"",
		"A non-coherent VM's WBINVD flushes every CPU that its vCPU has run on:",
		"%emul is its own time, %stolen that of other, busy CPUs, in shares of",
		"one CPU.  A coherent VM's WBINVD is skipped and costs nobody anything.",
		"- means that this source cannot know, or that there was nothing.",
	};

	put_line(ui, y++, A_REVERSE, "Keys (any key goes back)");
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]) && y < end; i++)
		put_line(ui, y++, A_NORMAL, lines[i]);
}

static void draw_footer(struct ui *ui, int y)
{
	static const char *const lists[UI_VIEWS] = {
		[BATCH_VMS] = "q quit  h help  s sort  R reverse  / filter  e expand  v view  "
			      "+-d interval  p pause  r reset  space now",
		[BATCH_VICTIMS] = "q quit  h help  / filter  v view  +-d interval  p pause  "
				  "r reset  space now",
		[BATCH_DEVICES] = "q quit  h help  / filter  v view  +-d interval  p pause  "
				  "space now",
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
		put_line(ui, y, A_REVERSE, lists[ui->view]);
		return;
	}
	put_line(ui, y, A_BOLD, line);
	move(y, out_width(line) < COLS ? out_width(line) : COLS - 1);
}

static void draw_status(struct ui *ui, int y)
{
	static const char *const views[UI_VIEWS] = { "VMs", "victims", "devices" };
	char line[1024], interval[32];
	int len;

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
		snprintf(interval, sizeof(interval), "every %g s", (double)ui->pace->interval_ns / 1e9);
	len = snprintf(line, sizeof(line), "%s, %s", views[ui->view], interval);
	if (ui->view == BATCH_VMS)
		len += snprintf(line + len, sizeof(line) - len, ", by %s%s",
				ui->sort ? ui->sort->path : "cost", ui->reverse ? " reversed" : "");
	if (ui->filter[0])
		len += snprintf(line + len, sizeof(line) - len, ", filter \"%s\"", ui->filter);
	if (ui->f && ui->f->rebased)
		len += snprintf(line + len, sizeof(line) - len, ", totals since reset");
	if (ui->src->notice)
		snprintf(line + len, sizeof(line) - len, "; %s", ui->src->notice);
	put_line(ui, y, A_NORMAL, line);
}

/* From the top: host, status, body with its titles; at the bottom the keys. */
void ui_draw(struct ui *ui)
{
	int y = 0, end = LINES;
	char line[1024];

	if (!ui->screen)
		return;
	erase();
	if (ui->f)
		put_line(ui, y++, A_BOLD, batch_headline(ui->f, ui->src, line, sizeof(line)));
	else
		put_line(ui, y++, A_BOLD, "wbinvdtop");
	/* Lines are given up in this order as the terminal gets lower. */
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
