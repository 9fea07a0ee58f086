/* Reads an event stream as the HTML standard defines it for browsers (section 9.2.6). Written for
 * tests, from that text alone. */
#ifndef MOONWIRE_TEST_SUPPORT_EVENT_STREAM_H
#define MOONWIRE_TEST_SUPPORT_EVENT_STREAM_H

#include "base/buffer.h"

struct event_stream {
  /* Called with each event; the slices are valid during the call. May be NULL. */
  void (*on_event)(void *context, struct bytes type, struct bytes data, struct bytes last_id);
  void *context;
  /* takes an id when its line arrives, not with its event, as some libraries do */
  bool is_hasty;
  int64_t retry_ms; /* the last retry, or -1 */
  size_t comments;  /* number of lines that begin with a colon */
  struct buffer line, type, data, id, last_id;
  size_t taken; /* bytes so far, to find the byte order mark */
  bool after_cr;
};

void event_stream_init(struct event_stream *stream);
void event_stream_deinit(struct event_stream *stream);
void event_stream_feed(struct event_stream *stream, struct bytes input);

#endif
