#include "server/accept.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log_limit.h"
#include "base/memory.h"
#include "server/server.h"
#include "server/worker_thread.h"

/* A connection on its way to its worker. */
struct handover {
  struct mail mail;
  enum stream_kind kind;
  int fd;
  bool is_private, has_header;
  char address[LISTENER_ADDRESS_MAX];
};

static void drop_handover(struct mail *mail) {
  struct handover *handover = container_of(mail, struct handover, mail);
  close(handover->fd);
  memory_free(handover);
}

static void take_handover(struct mail *mail, void *room, struct subscriber *none) {
  struct handover *handover = container_of(mail, struct handover, mail);
  struct worker *worker = worker_of_room(room);
  (void)none;
  if (app_stopping(worker->http.app)) {
    drop_handover(mail);
  } else {
    http_accept_descriptor(&worker->http, handover->kind, handover->fd, handover->address, handover->is_private,
                           handover->has_header);
    memory_free(handover);
  }
  /* After the connection was counted: between, the worker would seem to have one fewer. */
  atomic_fetch_sub(&worker->handed, 1);
}

static const struct mail_class handover_class = {.take = take_handover, .drop = drop_handover};

static struct worker *least_loaded(struct mw_server *server) {
  struct worker *best = NULL;
  size_t least = SIZE_MAX;
  for (size_t i = 0; i < server->worker_count; i++) {
    struct worker *worker = &server->workers[i];
    size_t load = atomic_load(&worker->http.conn_count) + atomic_load(&worker->handed);
    if (load < least) best = worker;
    if (load < least) least = load;
  }
  return best;
}

static void hand_over(struct worker *worker, struct listener *listener) {
  struct handover *handover = memory_alloc(sizeof *handover);
  if (!handover) {
    log_limited(MW_LOG_ERROR, "refused a connection: out of memory");
    return; /* the listener closes what was not taken */
  }
  /* limits.connections bounds them, so limits.queue need not: the size is 0. */
  *handover = (struct handover){.mail = {.class = &handover_class, .to = {.worker = worker->index}},
                                .kind = listener->kind,
                                .fd = listener_take(listener),
                                .is_private = listener->is_private,
                                .has_header = listener->has_header};
  memcpy(handover->address, listener->address, sizeof handover->address);
  atomic_fetch_add(&worker->handed, 1);
  int status = mailbox_post(&worker->mailbox, &handover->mail);
  assert(status == 0);
  (void)status;
}

/* Connections on their way count, too: many that are handed over at the same time, and only then
 * refused, would use up the descriptors. */
static bool may_hand_over(struct mw_server *server) {
  size_t max = server->app.config->options.limits.connections, count = atomic_load(&server->app.conn_count);
  for (size_t i = 0; i < server->worker_count; i++) count += atomic_load(&server->workers[i].handed);
  if (count < max) return true;
  limit_count(&server->app.limits, MW_LIMIT_CONNECTIONS);
  log_limited(MW_LOG_WARNING, "refused a connection: limits.connections (%zu) reached", max);
  return false;
}

void accept_connection(struct listener *listener, int status) {
  struct mw_server *server = listener->owner;
  if (status < 0) {
    bool is_full = status == UV_EMFILE || status == UV_ENFILE;
    log_limited(MW_LOG_ERROR, "%s: connections cannot be accepted: %s%s (connections=%zu)", listener->address,
                mw_status_text(status), is_full ? "; raise ulimit -n, or lower limits.connections" : "",
                atomic_load(&server->app.conn_count));
    if (is_full) listener_shed(listener);
    return;
  }
  struct worker *worker = least_loaded(server);
  if (worker->index == 0) {
    http_accept(&worker->http, listener);
  } else if (may_hand_over(server)) {
    hand_over(worker, listener);
  } else {
    listener_refuse(listener);
  }
}

/* ---- Listening ------------------------------------------------------------------------------- */

static void close_listeners(struct worker *worker, void *context) {
  struct mw_server *server = context;
  (void)worker;
  while (!list_empty(&server->listeners)) listener_close(container_of(server->listeners.next, struct listener, link));
}

struct watching {
  struct listener *listener;
  int status;
};

static void watch_listener(struct worker *worker, void *context) {
  struct watching *watching = context;
  watching->status = listener_watch(watching->listener, worker->loop);
}

void accept_stop(struct mw_server *server) { worker_call(&server->workers[0], close_listeners, server); }

static bool trusts_any(struct mw_server *server) {
  struct mw_config *config = app_hold_config(&server->app);
  bool trusts = config_trusts_any(config);
  mw_config_unref(config);
  return trusts;
}

int mw_server_listen(struct mw_server *server, const char *address, const struct mw_listen_options *options,
                     struct mw_error *error) {
  struct listener *listener;
  if (app_stopping(&server->app)) return server_fail(error, MW_ECLOSED);
  if (options && options->proxy_protocol && !trusts_any(server)) {
    return error_set(error, MW_EINVAL, "%.120s: proxy_protocol needs trusted_proxies", address);
  }
  unsigned mode = options ? options->unix_mode : 0;
  int status = listener_bind(&listener, &server->loop, address, mode, accept_connection, server, error);
  if (status < 0) return status;
  listener->is_private = options && options->is_private;
  listener->has_header = options && options->proxy_protocol;
  if (listener->is_private) server->app.has_private = true;
  struct watching watching = {.listener = listener};
  worker_call(&server->workers[0], watch_listener, &watching);
  if (watching.status < 0) {
    listener_discard(listener);
    return server_fail(error, watching.status);
  }
  list_append(&server->listeners, &listener->link);
  loop_changed(&server->loop);
  return 0;
}

const char *mw_server_address(const struct mw_server *server, size_t i) {
  for (struct list *link = server->listeners.next; link != &server->listeners; link = link->next) {
    if (i-- == 0) return container_of(link, struct listener, link)->address;
  }
  return NULL;
}
