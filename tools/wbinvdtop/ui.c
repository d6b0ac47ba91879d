// SPDX-License-Identifier: GPL-2.0
#include <curses.h>
#include <term.h>
#include <errno.h>
#include <langinfo.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#include "../lib/log.h"
#include "../lib/num.h"
#include "../lib/opts.h"
#include "ui_int.h"

#define KEY_ESC	     27
#define ESC_DELAY_MS 50

static bool terminal_can(const char **why)
{
	static char reason[160];
	const char *name = getenv("TERM");
	char *cup;
	int found;

	if (!name || !*name) {
		*why = "TERM is not set";
		return false;
	}
	*why = reason;
	if (setupterm(NULL, STDOUT_FILENO, &found) != OK) {
		snprintf(reason, sizeof(reason), "the terminal type '%.64s' is not known", name);
		return false;
	}
	cup = tigetstr("cup");
	del_curterm(cur_term);
	if (cup && cup != (char *)-1)
		return true;
	snprintf(reason, sizeof(reason), "the terminal type '%.64s' cannot place the cursor", name);
	return false;
}

static void leave_alone(int signo)
{
	(void)signo;
}

/*
 * By default, ncurses would ignore SIGTSTP while it draws, and so discard one
 * that is pending.  As it is blocked, the handler is never called.
 */
static void hold_stop(bool hold)
{
	struct sigaction action = { .sa_handler = hold ? leave_alone : SIG_DFL };

	sigaction(SIGTSTP, &action, NULL);
}

/* ncurses would handle these itself; here they go through the loop, or act by default. */
static void unhook_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGWINCH };
	struct sigaction dfl = { .sa_handler = SIG_DFL };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &dfl, NULL);
}

static int find_vcpu_columns(struct ui_columns *c)
{
	c->of_vcpu = calloc(c->n, sizeof(*c->of_vcpu));
	if (!c->of_vcpu)
		return -ENOMEM;
	for (size_t i = 0; i < c->n; i++) {
		const char *path = c->sel[i]->path;

		c->of_vcpu[i] = !strcmp(path, "name") ||
				(strcmp(path, "id") && out_field_find(vcpu_fields, path));
	}
	return 0;
}

static int open_columns(struct ui *ui)
{
	static const struct out_field *const lists[UI_VIEWS] = {
		[BATCH_VMS] = vm_fields,
		[BATCH_VICTIMS] = victim_fields,
		[BATCH_DEVICES] = device_fields,
		[BATCH_LOG] = event_fields,
	};
	int err;

	for (int i = 0; i < UI_VIEWS; i++) {
		err = out_select(lists[i], i == BATCH_VMS ? ui->cfg->fields : NULL,
				 &ui->cols[i].sel, &ui->cols[i].n);
		if (err)
			return err;
	}
	return find_vcpu_columns(&ui->cols[BATCH_VMS]);
}

/* A screen held by Ctrl-S would hold SIGTERM as well, in the middle of a write. */
static void no_flow_control(void)
{
	struct termios modes;

	if (tcgetattr(STDOUT_FILENO, &modes))
		return;
	modes.c_iflag &= ~IXON;
	if (!tcsetattr(STDOUT_FILENO, TCSADRAIN, &modes))
		def_prog_mode();
}

static int take_terminal(struct ui *ui)
{
	set_escdelay(ESC_DELAY_MS);
	/* ncurses looks at it once, when it starts. */
	hold_stop(true);
	ui->screen = newterm(NULL, stdout, stdin);
	if (!ui->screen)
		return -ENOTTY;
	unhook_signals();
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	intrflush(stdscr, FALSE);
	no_flow_control();
	curs_set(0);
	ui_draw_init(ui);
	return 0;
}

int ui_open(struct ui **out, const struct ui_config *cfg, struct model *m, const struct source *src,
	    struct ui_pace *pace, const char **why)
{
	struct ui *ui;
	int err;

	if (!terminal_can(why))
		return -ENOTTY;
	ui = calloc(1, sizeof(*ui));
	if (!ui)
		return -ENOMEM;
	ui->cfg = cfg;
	ui->model = m;
	ui->src = src;
	ui->pace = pace;
	ui->view = cfg->view;
	ui->sort = cfg->sort;
	ui->all_open = cfg->vcpus;
	ui->utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	err = open_columns(ui);
	if (!err)
		err = take_terminal(ui);
	if (err) {
		*why = "the terminal could not be set up";
		ui_close(ui);
		return err;
	}
	log_hold();
	ui_draw(ui);
	*out = ui;
	return 0;
}

void ui_close(struct ui *ui)
{
	if (!ui)
		return;
	if (ui->screen) {
		endwin();
		delscreen(ui->screen);
	}
	hold_stop(false);
	log_release();
	for (int i = 0; i < UI_VIEWS; i++) {
		free(ui->cols[i].sel);
		free(ui->cols[i].of_vcpu);
	}
	free(ui->rows.first);
	free(ui->toggled);
	free(ui);
}

static int redraw(struct ui *ui)
{
	int err = ui_layout(ui);

	if (!err)
		ui_draw(ui);
	return err;
}

int ui_frame(struct ui *ui, const struct frame *f)
{
	ui->f = f;
	/* The newest stands first: what is being read moves on with the others. */
	if (ui->view == BATCH_LOG && ui->at && f->interval_ns)
		ui->at += f->nr_new_events;
	/* Others may have written to the terminal, as wall(1) does: nothing of it is taken as drawn. */
	redrawwin(stdscr);
	return redraw(ui);
}

void ui_message(struct ui *ui, const char *sentence)
{
	snprintf(ui->message, sizeof(ui->message), "%s", sentence);
	/* The model may have a newer frame than was last drawn. */
	redraw(ui);
}

int ui_resize(struct ui *ui)
{
	struct winsize ws;

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) && ws.ws_row && ws.ws_col)
		resizeterm(ws.ws_row, ws.ws_col);
	clearok(curscr, TRUE);
	return redraw(ui);
}

void ui_suspend(struct ui *ui)
{
	(void)ui;
	endwin();
	hold_stop(false);
}

int ui_resume(struct ui *ui)
{
	hold_stop(true);
	/* After SIGSTOP there was no endwin(), but a shell that set its own modes. */
	reset_prog_mode();
	return ui_resize(ui);
}

static void set_view(struct ui *ui, int step)
{
	ui->view = (ui->view + UI_VIEWS + step) % UI_VIEWS;
	ui->at = 0;
	ui->top = 0;
	ui->shift = 0;
	ui->follow = false;
}

static int set_interval(struct ui *ui, uint64_t ns)
{
	ui->pace->interval_ns = ns;
	ui->pace->fixed = true;
	return UI_PACE;
}

static int rebase(struct ui *ui)
{
	int err = model_rebase(ui->model);

	if (err)
		return err;
	/* A frame of the same reading, with totals from here on. */
	return ui_apply_filter(ui);
}

static void start_typing(struct ui *ui, enum ui_mode mode, const char *text)
{
	ui->mode = mode;
	snprintf(ui->typed, sizeof(ui->typed), "%s", text);
}

static void erase_last(char *s)
{
	size_t len = strlen(s);

	/* A whole UTF-8 character. */
	while (len && ((unsigned char)s[--len] & 0xc0) == 0x80)
		;
	s[len] = '\0';
}

/* The typed line after one more key; false: the key is not for it. */
static bool edit(struct ui *ui, bool is_code, wint_t key)
{
	size_t len = strlen(ui->typed);
	char bytes[MB_LEN_MAX + 1];
	mbstate_t state = { 0 };
	size_t n;

	if ((is_code && key == KEY_BACKSPACE) || (!is_code && (key == 127 || key == CTRL('H')))) {
		erase_last(ui->typed);
		return true;
	}
	if (!is_code && key == CTRL('U')) {
		ui->typed[0] = '\0';
		return true;
	}
	if (is_code || key < ' ')
		return false;
	n = wcrtomb(bytes, key, &state);
	if (n != (size_t)-1 && len + n < sizeof(ui->typed)) {
		memcpy(ui->typed + len, bytes, n);
		ui->typed[len + n] = '\0';
	}
	return true;
}

static bool is_enter(bool is_code, wint_t key)
{
	return is_code ? key == KEY_ENTER : key == '\r' || key == '\n';
}

static int key_filter(struct ui *ui, bool is_code, wint_t key)
{
	if (is_enter(is_code, key)) {
		ui->mode = UI_LIST;
		return 0;
	}
	if (!is_code && key == KEY_ESC) {
		ui->mode = UI_LIST;
		ui->typed[0] = '\0';
	} else if (!edit(ui, is_code, key)) {
		return 0;
	}
	snprintf(ui->filter, sizeof(ui->filter), "%s", ui->typed);
	return ui_apply_filter(ui);
}

static int key_interval(struct ui *ui, bool is_code, wint_t key)
{
	uint64_t ns;

	if (!is_code && key == KEY_ESC) {
		ui->mode = UI_LIST;
		return 0;
	}
	if (!is_enter(is_code, key)) {
		edit(ui, is_code, key);
		return 0;
	}
	ui->mode = UI_LIST;
	if (!ui->typed[0])
		return 0;
	if (num_seconds(ui->typed, OPTS_INTERVAL_MIN, OPTS_INTERVAL_MAX, &ns)) {
		snprintf(ui->message, sizeof(ui->message),
			 "'%s' is not a number of seconds from 0.1 to 86400", ui->typed);
		return 0;
	}
	return set_interval(ui, ns);
}

static int key_code(struct ui *ui, wint_t key)
{
	size_t page = ui->page ? ui->page : 1;

	switch (key) {
	case KEY_UP:
		ui_select(ui, ui->at ? ui->at - 1 : 0);
		break;
	case KEY_DOWN:
		ui_select(ui, ui->at + 1);
		break;
	case KEY_PPAGE:
		ui_select(ui, ui->at > page ? ui->at - page : 0);
		break;
	case KEY_NPAGE:
		ui_select(ui, ui->at + page);
		break;
	case KEY_HOME:
		ui_select(ui, 0);
		break;
	case KEY_END:
		ui_select(ui, SIZE_MAX);
		break;
	case KEY_LEFT:
		ui->shift -= ui->shift > 0;
		break;
	case KEY_RIGHT:
		ui->shift += ui->shift + 1 < ui->cols[ui->view].n;
		break;
	case KEY_ENTER:
		return ui_toggle(ui);
	case KEY_BTAB:
		set_view(ui, -1);
		break;
	case KEY_F(1):
		ui->mode = UI_HELP;
		break;
	}
	return 0;
}

/* Keys that only the list of VMs has; -1: not one of them. */
static int key_vms(struct ui *ui, wint_t key)
{
	if (ui->view != BATCH_VMS)
		return -1;
	switch (key) {
	case 's':
	case '>':
		ui_sort_step(ui, 1);
		return 0;
	case 'S':
	case '<':
		ui_sort_step(ui, -1);
		return 0;
	case 'R':
		ui->reverse = !ui->reverse;
		return 0;
	case 'e':
	case '\r':
	case '\n':
		return ui_toggle(ui);
	case 'E':
		ui_toggle_all(ui);
		return 0;
	default:
		return -1;
	}
}

static int key_list(struct ui *ui, wint_t key)
{
	int ret = key_vms(ui, key);

	if (ret != -1)
		return ret;
	switch (key) {
	case 'q':
	case 'Q':
		return UI_QUIT;
	case 'h':
	case '?':
		ui->mode = UI_HELP;
		return 0;
	case 'v':
	case '\t':
		set_view(ui, 1);
		return 0;
	case 'V':
		set_view(ui, -1);
		return 0;
	case '/':
		start_typing(ui, UI_FILTER, ui->filter);
		return 0;
	case KEY_ESC:
		ui->filter[0] = '\0';
		return ui_apply_filter(ui);
	case '+':
		return set_interval(ui, ui_interval_step(ui->pace->interval_ns, 1));
	case '-':
		return set_interval(ui, ui_interval_step(ui->pace->interval_ns, -1));
	case 'd':
		start_typing(ui, UI_INTERVAL, "");
		return 0;
	case 'p':
		ui->pace->paused = !ui->pace->paused;
		return UI_PACE;
	case 'r':
		return rebase(ui);
	case ' ':
		return UI_REFRESH;
	case 'j':
		return key_code(ui, KEY_DOWN);
	case 'k':
		return key_code(ui, KEY_UP);
	default:
		return 0;
	}
}

static int handle_key(struct ui *ui, bool is_code, wint_t key)
{
	/* Resizes come as a signal, and repainting never changes a mode. */
	if (is_code && key == KEY_RESIZE)
		return 0;
	if (!is_code && key == CTRL('L')) {
		clearok(curscr, TRUE);
		return 0;
	}
	ui->message[0] = '\0';
	switch (ui->mode) {
	case UI_HELP:
		ui->mode = UI_LIST;
		return 0;
	case UI_FILTER:
		return key_filter(ui, is_code, key);
	case UI_INTERVAL:
		return key_interval(ui, is_code, key);
	default:
		return is_code ? key_code(ui, key) : key_list(ui, key);
	}
}

int ui_input(struct ui *ui)
{
	int waiting, got, ret, keys = 0, err;
	wint_t key;

	/* get_wch() cannot tell the end of the input from having none yet. */
	if (ioctl(STDIN_FILENO, FIONREAD, &waiting) || !waiting)
		return UI_QUIT;
	while ((got = get_wch(&key)) != ERR) {
		ret = handle_key(ui, got == KEY_CODE_YES, key);
		if (ret < 0)
			return ret;
		keys |= ret;
		/* Rows move with some keys, and the next key may mean one of them. */
		err = ui_layout(ui);
		if (err)
			return err;
	}
	ui_draw(ui);
	return keys;
}
