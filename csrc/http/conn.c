#include "http/conn.h"

#include <assert.h>
#include <unistd.h>

#include "base/log_limit.h"
#include "base/memory.h"
#include "http/admission/remote.h"
#include "net/mailbox.h"
#include "net/stream_peer.h"

static const struct mw_limits *conn_limits(struct conn *conn) { return &conn_http(conn)->app->config->options.limits; }

static const struct protocol *protocol_of(const struct conn *conn) { return conn_class_of(conn)->protocol; }

static struct conn *conn_of_stream(struct stream *stream) { return container_of(stream, struct conn, stream); }

void conn_class_init(struct conn_class *class, struct http *http, const struct protocol *protocol) {
  *class = (struct conn_class){.streams = {.loop = http->loop,
                                           .read_buffer = http->read_buffer,
                                           .read_buffer_size = HTTP_READ_BUFFER,
                                           .may_read = conn_may_read,
                                           .on_read = conn_on_read,
                                           .on_end = conn_on_end,
                                           .on_written = conn_on_written,
                                           .on_closed = conn_on_closed},
                               .http = http,
                               .protocol = protocol};
}

const struct sink *conn_class_sink(struct conn_class *class, const struct dialect *dialect, const struct form_class *form,
                                   bool chunked) {
  enum framing framing = form_framing(form, chunked);
  for (size_t i = 0; i < class->sink_count; i++) {
    const struct http_sink *sink = &class->sinks[i].sink;
    if (sink->dialect == dialect && sink->sink.form == form && sink->sink.framing == framing) return &sink->sink;
  }
  assert(class->sink_count < EXCHANGE_SINKS_MAX);
  struct exchange_sink *made = &class->sinks[class->sink_count++];
  made->sink = (struct http_sink){.http = class->http, .session = class->http->session, .dialect = dialect};
  sink_init(&made->sink.sink, class->protocol->sink, class->http->delivery, form, framing);
  made->class = class;
  return &made->sink.sink;
}

/* ---- Beginning ------------------------------------------------------------------------------- */

struct conn *conn_new(struct conn_class *class, enum stream_kind kind) {
  struct http *http = class->http;
  size_t conn_at = class->protocol->conn_at;
  char *memory = memory_calloc(1, conn_at + offsetof(struct conn, stream) + stream_size(kind));
  struct conn *conn = memory ? (struct conn *)(void *)(memory + conn_at) : NULL;
  if (!conn || stream_init(&conn->stream, &class->streams, kind) < 0) {
    memory_free(memory);
    log_limited(MW_LOG_ERROR, "refused a connection: out of memory");
    return NULL;
  }
  object_count(OBJECT_CONN, 1);
  list_append(&http->conns, &conn->link);
  http->conn_count++;
  atomic_fetch_add(&http->app->conn_count, 1);
  timer_init(&conn->timer);
  class->protocol->init(conn);
  return conn;
}

/* Called when the stream is connected: begins the protocol. */
static void conn_begin(struct conn *conn, const char *address, bool is_private, bool has_header) {
  struct http *http = conn_http(conn);
  http->stats->accepted++;
  if (log_enabled(MW_LOG_DEBUG)) {
    char remote[REMOTE_MAX];
    stream_remote(&conn->stream, remote, sizeof remote);
    log_limited(MW_LOG_DEBUG, "connect from %s to %s (connections=%zu)", remote, address, atomic_load(&http->app->conn_count));
  }
  if (atomic_load(&http->app->conn_count) > conn_limits(conn)->connections) {
    limit_count(&http->app->limits, MW_LIMIT_CONNECTIONS);
    log_limited(MW_LOG_WARNING, "refused a connection: limits.connections (%zu) reached", conn_limits(conn)->connections);
    conn_close(conn); /* not by a reset, which many clients take for an error of their connect */
    return;
  }
  if (remote_begin(conn, has_header) < 0) {
    conn_close(conn);
    return;
  }
  stream_set_options(&conn->stream, conn_limits(conn)->progress_ms);
  if (protocol_of(conn)->open(conn, is_private) < 0) conn_abort(conn);
}

void conn_accept(struct conn_class *class, struct listener *listener) {
  struct conn *conn = conn_new(class, listener->kind);
  if (!conn) {
    listener_refuse(listener);
    return;
  }
  if (listener_accept(listener, &conn->stream) < 0) {
    conn_close(conn);
  } else {
    conn_begin(conn, listener->address, listener->is_private, listener->has_header);
  }
}

void conn_accept_descriptor(struct conn_class *class, enum stream_kind kind, int fd, const char *address, bool is_private,
                            bool has_header) {
  struct conn *conn = conn_new(class, kind);
  if (!conn || stream_adopt(&conn->stream, kind, fd) < 0) {
    close(fd);
    if (conn) conn_close(conn);
    return;
  }
  conn_begin(conn, address, is_private, has_header);
}

int conn_accept_memory(struct conn_class *class, struct stream_peer *peer) {
  struct conn *conn = conn_new(class, STREAM_MEMORY);
  if (!conn) return MW_ENOMEM;
  stream_peer_join(peer, &conn->stream);
  conn_begin(conn, "memory", false, false);
  return 0;
}

/* ---- Ending ---------------------------------------------------------------------------------- */

void conn_close(struct conn *conn) {
  if (stream_is_closing(&conn->stream)) return;
  protocol_of(conn)->close(conn);
  timer_stop(&conn->timer);
  stream_close(&conn->stream);
}

void conn_abort(struct conn *conn) {
  if (stream_is_closing(&conn->stream)) return;
  protocol_of(conn)->close(conn);
  timer_stop(&conn->timer);
  stream_abort(&conn->stream);
}

void conn_on_closed(struct stream *stream) {
  struct conn *conn = conn_of_stream(stream);
  struct http *http = conn_http(conn);
  size_t conn_at = protocol_of(conn)->conn_at;
  protocol_of(conn)->deinit(conn);
  remote_end(conn);
  list_remove(&conn->link);
  http->conn_count--;
  size_t conn_count = atomic_fetch_sub(&http->app->conn_count, 1) - 1;
  /* Stopping waits for the last connection, and the turn that sees it may be far away. */
  if (http->conn_count == 0 && http->app->state == APP_STOPPING) loop_wake(http->loop);
  log_limited(MW_LOG_DEBUG, "disconnect (connections=%zu)", conn_count);
  object_count(OBJECT_CONN, -1);
  memory_free((char *)conn - conn_at);
}

/* ---- Events ---------------------------------------------------------------------------------- */

bool conn_may_read(struct stream *stream) {
  struct conn *conn = conn_of_stream(stream);
  return protocol_of(conn)->may_read(conn);
}

/* Returns false if there is nothing more to read. */
static bool conn_read_header(struct conn *conn, struct bytes *bytes) {
  const char *fault;
  int status = remote_read_header(conn, bytes, &fault);
  if (status == 0) return bytes->len > 0;
  if (fault) {
    char remote[REMOTE_MAX];
    stream_remote(&conn->stream, remote, sizeof remote);
    log_limited(MW_LOG_WARNING, "closed a connection of a trusted proxy: %s (proxy=%s)", fault, remote);
  }
  conn_abort(conn);
  return false;
}

void conn_on_read(struct stream *stream, struct bytes bytes) {
  struct conn *conn = conn_of_stream(stream);
  if (remote_awaits_header(conn) && !conn_read_header(conn, &bytes)) return;
  /* what the bytes publish reaches each worker together */
  mailbox_hold_wakes();
  protocol_of(conn)->on_read(conn, bytes);
  mailbox_release_wakes();
}

void conn_on_end(struct stream *stream, int status) {
  struct conn *conn = conn_of_stream(stream);
  protocol_of(conn)->on_end(conn, status);
}

void conn_on_written(struct stream *stream, int status) {
  struct conn *conn = conn_of_stream(stream);
  protocol_of(conn)->on_written(conn, status);
}

void conn_on_due(struct timers *timers, struct timer *timer) {
  (void)timers;
  struct conn *conn = container_of(timer, struct conn, timer);
  protocol_of(conn)->on_due(conn);
}

void conn_stop(struct conn *conn, bool is_due) { protocol_of(conn)->stop(conn, is_due); }

/* ---- The end of a turn ----------------------------------------------------------------------- */

void conn_flush_later(struct conn_flush *flush) {
  if (list_empty(&flush->link)) list_append(&conn_http(flush->conn)->unflushed, &flush->link);
}
