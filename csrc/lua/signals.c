#define _POSIX_C_SOURCE 200809L

#include "lua/signals.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { STOPPING_COUNT = 2 };

static const int stopping[STOPPING_COUNT] = {SIGINT, SIGTERM};

/* How many have arrived. */
static volatile sig_atomic_t stop_count;
/* The loop's own handler, which wakes it; the same for all signals. */
static void (*volatile wake_loop)(int signum);
/* The earlier handlers, while a server watches. */
static struct sigaction before[STOPPING_COUNT], before_hangup;
static unsigned watching;

/* Runs before the loop's own handler, because a loop that is blocked by a handler would not see the
 * signal. */
static void on_stop(int signum) {
  if (stop_count++ == 0) {
    wake_loop(signum);
    return;
  }
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = SIG_DFL;
  sigaction(signum, &action, NULL);
  raise(signum); /* delivered when this function returns */
}

static void log_signal(const char *text, const char *name) {
  char line[80];
  int len = snprintf(line, sizeof line, text, name);
  mw_log(MW_LOG_INFO, line, (size_t)len);
}

static void on_signal(void *context, int signum) {
  log_signal("stopping (%s); a second signal ends the process immediately", signum == SIGINT ? "SIGINT" : "SIGTERM");
  /* SIGTERM is mostly sent to restart: clients may reconnect immediately. */
  mw_server_close_code(context, signum == SIGTERM ? 1012 : 1001);
  mw_server_stop(context, NULL, NULL);
}

static void on_hangup(void *context, int signum) {
  (void)context;
  (void)signum;
  log_signal("%s is ignored", "SIGHUP");
}

/* Installs on_stop before the loop's own handler. */
static void precede_loop(int signum) {
  struct sigaction action;
  sigaction(signum, NULL, &action);
  bool has_handler = !(action.sa_flags & SA_SIGINFO) && action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN;
  if (!has_handler || action.sa_handler == on_stop) return;
  wake_loop = action.sa_handler;
  action.sa_handler = on_stop;
  sigaction(signum, &action, NULL);
}

int signals_watch(struct mw_server *server) {
  if (watching++ == 0) {
    stop_count = 0;
    for (size_t i = 0; i < STOPPING_COUNT; i++) sigaction(stopping[i], NULL, &before[i]);
    sigaction(SIGHUP, NULL, &before_hangup);
  }
  int status = mw_server_on_signal(server, SIGHUP, on_hangup, server);
  for (size_t i = 0; i < STOPPING_COUNT && status == 0; i++) status = mw_server_on_signal(server, stopping[i], on_signal, server);
  if (status != 0) return status;
  for (size_t i = 0; i < STOPPING_COUNT; i++) precede_loop(stopping[i]);
  return 0;
}

void signals_restore(void) {
  if (--watching > 0) return;
  for (size_t i = 0; i < STOPPING_COUNT; i++) sigaction(stopping[i], &before[i], NULL);
  sigaction(SIGHUP, &before_hangup, NULL);
}
