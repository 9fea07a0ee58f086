/* The state of an app that all workers and the script's thread share. */
#ifndef MOONWIRE_APP_APP_H
#define MOONWIRE_APP_APP_H

#include <stdatomic.h>

#include "app/config.h"
#include "app/keys/idempotency.h"
#include "app/limits/limits.h"
#include "app/limits/rates.h"
#include "app/limits/tally.h"
#include "app/order.h"
#include "app/party.h"
#include "app/registry.h"

VISIBILITY_PUSH

struct app;
struct membership;
struct mw_socket;
struct script_job;

/* How workers reach the script. Each function takes its argument, or a reference to it. Any thread
 * of a worker. */
struct script_posts {
  void (*ask)(struct app *app, struct script_job *job); /* asks the app */
  /* the client has disconnected, or was answered already */
  void (*cancel)(struct app *app, struct script_job *job);
  /* the membership must be undone */
  void (*leave)(struct app *app, struct membership *membership);
  void (*leave_socket)(struct app *app, struct mw_socket *socket); /* a raw WebSocket has ended */
  /* the raw stream that the job began has ended */
  void (*end_stream)(struct app *app, struct script_job *job);
  void (*end_follow)(struct app *app, struct mw_follow *follow); /* a raw stream follows no longer */
  /* no client waits for the answer: it is dropped if the queue is full */
  void (*tell)(struct app *app, struct script_job *job);
};

/* How the script reaches workers. */
struct worker_posts {
  /* Posts to the worker of mail->to. MW_EUNAVAILABLE: the mail stays the caller's. Any thread. */
  int (*post)(struct app *app, struct mail *mail);
  const struct mail_class *command, *raw, *follow, *cancel_follow; /* for the structs of these names */
};

enum app_state { APP_RUNNING, APP_STOPPING, APP_STOPPED, APP_FREED };

struct app {
  /* a reference. Threads of workers may read it as it is, and use what they have read until they
   * take mail: an earlier one lives until every worker has taken the mail that retires it
   * (bus_set_config). Any other thread takes a reference (app_hold_config) */
  _Atomic(struct mw_config *) config;
  struct lock config_lock;
  struct registry registry;
  struct parties parties;
  struct rates rates;
  struct tally tally; /* connections, by address */
  struct limit_counts limits;
  struct idempotency idempotency;
  struct orderer *orderer;
  const struct script_posts *script;
  const struct worker_posts *workers;
  /* jobs in progress or with the script; limits.waiting bounds them */
  atomic_size_t job_count;
  atomic_size_t job_bytes;  /* the bytes that they carry; limits.queue bounds them */
  atomic_size_t conn_count; /* of all workers; limits.connections bounds it */
  atomic_size_t poll_count; /* clients that poll, likewise */
  atomic_uint close_code;   /* of WebSockets, when the server stops */
  /* why messages cannot be published now: a constant without what JSON escapes; NULL: it can. Written by
   * the server's thread, read by any */
  _Atomic(const char *) unready;
  atomic_bool has_private;      /* there is a private listener, so /publish is only served there */
  _Atomic enum app_state state; /* read by threads that publish */
};

/* Takes a reference to the configuration. */
int app_init(struct app *app, struct mw_config *config);
void app_deinit(struct app *app);
/* Returns the configuration, with a reference for the caller. Any thread. */
struct mw_config *app_hold_config(struct app *app);
/* Replaces the configuration: keeps a reference. Returns the earlier one with its reference, which
 * the caller releases when no worker uses it any more. */
struct mw_config *app_set_config(struct app *app, struct mw_config *config);
/* Returns how many bytes of snapshots an answer may have, if nothing else is added to it. */
static inline size_t app_answer_room(const struct app *app) { return app->config->options.limits.outbox / 2; }

static inline bool app_stopping(const struct app *app) { return app->state != APP_RUNNING; }

VISIBILITY_POP

#endif
