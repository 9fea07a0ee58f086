/* What all workers and the script's thread have in common of one app. */
#ifndef MOONWIRE_APP_APP_H
#define MOONWIRE_APP_APP_H

#include <stdatomic.h>

#include "app/config.h"
#include "app/idempotency.h"
#include "app/order.h"
#include "app/party.h"
#include "app/registry.h"

VISIBILITY_PUSH

struct app;
struct membership;
struct mw_socket;
struct script_job;

/* How workers reach the script. Each takes what it is given, or a reference to it; any thread of a worker. */
struct script_posts {
  void (*ask)(struct app *app, struct script_job *job);            /* the app is to be asked */
  void (*cancel)(struct app *app, struct script_job *job);         /* the asker has gone, or has answered by itself */
  void (*leave)(struct app *app, struct membership *membership);   /* it is to be undone */
  void (*leave_socket)(struct app *app, struct mw_socket *socket); /* a raw WebSocket is over */
  void (*end_stream)(struct app *app, struct script_job *job);     /* the raw stream that it has begun is over */
  void (*tell)(struct app *app, struct script_job *job); /* nobody waits for the answer: it is dropped if too much waits */
};

/* How the script reaches workers. */
struct worker_posts {
  /* Posts to the worker of mail->to. MW_EUNAVAILABLE: the mail is still the caller's. Any thread. */
  int (*post)(struct app *app, struct mail *mail);
  const struct mail_class *command, *close, *raw; /* of a struct command, of mw_client.mail, of a struct raw_data */
};

enum app_state { APP_RUNNING, APP_STOPPING, APP_STOPPED, APP_FREED };

struct app {
  struct mw_config *config; /* a reference */
  struct registry registry;
  struct parties parties;
  struct idempotency idempotency;
  struct orderer *orderer;
  const struct script_posts *script;
  const struct worker_posts *workers;
  atomic_size_t job_count;      /* jobs under way, or with the script: bounded by limits.waiting */
  atomic_size_t job_bytes;      /* what they carry: bounded by limits.queue */
  atomic_uint close_code;       /* of WebSockets, when the server stops */
  atomic_bool has_private;      /* there is a private listener, so /publish is only there */
  _Atomic enum app_state state; /* seen by threads that publish */
};

/* Takes a reference to the configuration. */
int app_init(struct app *app, struct mw_config *config);
void app_deinit(struct app *app);
/* Returns how many bytes of snapshots an answer may have to which nothing else is added. */
static inline size_t app_answer_room(const struct app *app) { return app->config->options.limits.outbox / 2; }

static inline bool app_stopping(const struct app *app) { return app->state != APP_RUNNING; }

VISIBILITY_POP

#endif
