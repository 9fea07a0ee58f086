/* What all connections of a worker that use one protocol share: where their events go, and the
 * sinks of their exchanges. */
#ifndef MOONWIRE_HTTP_CONN_CLASS_H
#define MOONWIRE_HTTP_CONN_CLASS_H

#include "http/protocol.h"
#include "net/stream.h"

VISIBILITY_PUSH

struct conn_class;
struct dialect;
struct http;
struct session_ops;

/* The sink of a subscriber of an app, and the functions of its session (session/session.h). */
struct http_sink {
  struct sink sink;
  struct http *http;
  const struct session_ops *session;
  const struct dialect *dialect; /* how its client speaks; NULL: there is nothing to say */
};

static inline struct http *http_of(const struct subscriber *subscriber) {
  return container_of(subscriber->sink, const struct http_sink, sink)->http;
}

/* How an exchange receives. */
struct exchange_sink {
  struct http_sink sink;
  struct conn_class *class;
};

/* More than there are dialects, forms and framings. */
enum { EXCHANGE_SINKS_MAX = 48 };

struct conn_class {
  struct stream_owner streams;
  struct http *http;
  const struct protocol *protocol;
  /* those in use so far, by dialect, form and framing */
  struct exchange_sink sinks[EXCHANGE_SINKS_MAX];
  size_t sink_count;
};

void conn_class_init(struct conn_class *class, struct http *http, const struct protocol *protocol);
/* Returns the sink of exchanges with that dialect and form, without chunks or with. It lives as
 * long as the class. */
const struct sink *conn_class_sink(struct conn_class *class, const struct dialect *dialect, const struct form_class *form,
                                   bool chunked);

VISIBILITY_POP

#endif
