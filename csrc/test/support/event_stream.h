/* Reads an event stream as the HTML standard says a browser does (section 9.2.6), written for tests from that text alone. */
#ifndef MOONWIRE_TEST_SUPPORT_EVENT_STREAM_H
#define MOONWIRE_TEST_SUPPORT_EVENT_STREAM_H

#include "base/buffer.h"

struct event_stream {
  /* An event is dispatched; the slices hold for the call. May be NULL. */
  void (*on_event)(void *context, struct bytes type, struct bytes data, struct bytes last_id);
  void *context;
  bool is_hasty;    /* takes an id as its line comes, as some libraries do, not with its block */
  int64_t retry_ms; /* the last one that was set, or -1 */
  size_t comments;  /* lines that begin with a colon */
  struct buffer line, type, data, id, last_id;
  size_t taken; /* bytes so far, to find the byte order mark */
  bool after_cr;
};

void event_stream_init(struct event_stream *stream);
void event_stream_deinit(struct event_stream *stream);
void event_stream_feed(struct event_stream *stream, struct bytes input);

#endif
