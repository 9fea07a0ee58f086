#define _POSIX_C_SOURCE 200809L

#include "lua/signals.h"

#include <signal.h>
#include <string.h>

static volatile sig_atomic_t interrupt_count;
/* What the loop installed: it wakes the loop. */
static struct sigaction loop_action;

/* Stands before the loop's own action, because a loop that is stuck in a handler would never look. */
static void on_interrupt(int signum) {
  if (interrupt_count++ == 0) {
    loop_action.sa_handler(signum);
    return;
  }
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = SIG_DFL;
  sigaction(signum, &action, NULL);
  raise(signum); /* delivered when this function returns */
}

static void on_signal(void *context, int signum) {
  static const char interrupt[] = "stopping (SIGINT); a second one ends the process at once", terminate[] = "stopping (SIGTERM)";
  if (signum == SIGINT) {
    mw_log(MW_LOG_INFO, interrupt, sizeof interrupt - 1);
  } else {
    mw_log(MW_LOG_INFO, terminate, sizeof terminate - 1);
  }
  /* Whoever sends SIGTERM starts anew: clients may return at once. */
  mw_server_close_code(context, signum == SIGTERM ? 1012 : 1001);
  mw_server_stop(context, NULL, NULL);
}

int signals_watch(struct mw_server *server) {
  int status = mw_server_on_signal(server, SIGTERM, on_signal, server);
  if (status == 0) status = mw_server_on_signal(server, SIGINT, on_signal, server);
  if (status != 0) return status;
  sigaction(SIGINT, NULL, &loop_action);
  if ((loop_action.sa_flags & SA_SIGINFO) || loop_action.sa_handler == SIG_DFL || loop_action.sa_handler == SIG_IGN) return 0;
  struct sigaction action = loop_action;
  action.sa_handler = on_interrupt;
  interrupt_count = 0;
  sigaction(SIGINT, &action, NULL);
  return 0;
}
