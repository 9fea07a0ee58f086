/* The whole: configuration, bus, workers, script. */
#ifndef MOONWIRE_SERVER_SERVER_H
#define MOONWIRE_SERVER_SERVER_H

#include "app/idempotency.h"
#include "app/party.h"
#include "app/registry.h"
#include "net/alarm.h"
#include "net/listener.h"
#include "net/signals.h"
#include "server/bus.h"
#include "server/script.h"
#include "server/upkeep.h"
#include "server/worker.h"

VISIBILITY_PUSH

enum { WORKERS_MAX = 1 }; /* more come later; nothing but this knows */

enum server_state { SERVER_RUNNING, SERVER_STOPPING, SERVER_STOPPED, SERVER_FREED };

struct mw_server {
  struct mw_config *config;
  struct loop loop;
  struct bus bus;
  struct store store;
  struct upkeep upkeep;
  struct worker workers[WORKERS_MAX];
  size_t worker_count;
  struct script script;
  struct registry registry;
  struct parties parties;
  struct idempotency idempotency;
  unsigned close_code; /* of WebSockets, when the server stops */
  struct list listeners, alarms, signals;
  bool has_private;                /* there is a private listener, so /publish is only there */
  _Atomic enum server_state state; /* seen by threads that publish */
  struct alarm *drain;             /* stopping waits no longer than this */
  void (*on_stopped)(void *context);
  void *on_stopped_context;
};

/* Returns the subscriber of any worker, or NULL if it has gone. Until there are several workers. */
static inline struct subscriber *server_find(const struct mw_server *server, struct address address) {
  return address.worker < server->worker_count ? slots_find(&server->workers[address.worker].slots, address) : NULL;
}
/* As mw_publish, for names and data that have been checked. */
int server_publish(struct mw_server *server, const struct kind *kind, const struct message_parts *parts, bool is_volatile,
                   char id[MW_ID_MAX]);
/* Why that failed. */
const char *server_publish_fault(int status);
/* Checks what an app wants to publish or send, but not the channel; `parts` borrows from it. */
int server_read_parts(struct mw_server *server, const struct mw_publish *publish, struct message_parts *parts,
                      struct mw_error *error);
/* Returns how far time must be moved until something falls due: an alarm, or a tick of the coarse timers. 0: something is due. */
uint64_t server_next_ms(const struct mw_server *server);
/* How many bytes of snapshots an answer may have, which waits behind nothing. */
static inline size_t server_answer_room(const struct mw_server *server) { return server->config->options.limits.outbox / 2; }
static inline bool server_stopping(const struct mw_server *server) { return server->state != SERVER_RUNNING; }

VISIBILITY_POP

#endif
