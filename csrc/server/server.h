/* The whole: configuration, bus, workers, script. */
#ifndef MOONWIRE_SERVER_SERVER_H
#define MOONWIRE_SERVER_SERVER_H

#include "app/app.h"
#include "net/alarm.h"
#include "net/listener.h"
#include "net/signals.h"
#include "net/work.h"
#include "script/script.h"
#include "server/bus.h"
#include "server/upkeep.h"
#include "server/worker.h"

VISIBILITY_PUSH

enum { WORKERS_MAX = 1 }; /* more come later; nothing but this knows */

struct mw_server {
  struct app app;
  struct orderer orderer; /* bus */
  struct loop loop;
  struct bus bus;
  struct store store;
  struct upkeep upkeep;
  struct worker workers[WORKERS_MAX];
  size_t worker_count;
  struct script script;
  struct list listeners, alarms, signals;
  struct works works;  /* of the app */
  struct alarm *drain; /* the bound of stopping */
  void (*on_stopped)(void *context);
  void *on_stopped_context;
};

/* Returns the subscriber of any worker, or NULL if it has ended. Until there are several
 * workers. */
static inline struct subscriber *server_find(const struct mw_server *server, struct address address) {
  return address.worker < server->worker_count ? slots_find(&server->workers[address.worker].slots, address) : NULL;
}
/* Puts a configuration in place. Returns the earlier one, as app_set_config does. */
struct mw_config *server_use_config(struct mw_server *server, struct mw_config *config);
/* Returns how far time must be moved until something is due: an alarm, or a tick of the coarse
 * timers. 0: something is due. */
uint64_t server_next_ms(const struct mw_server *server);

VISIBILITY_POP

#endif
