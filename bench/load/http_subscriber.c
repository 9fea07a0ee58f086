#include "codec/json_scan.h"
#include "load/subscriber.h"
#include "load/template.h"

enum { STATUS_OK = 200 };

static void http_fail(struct subscriber *subscriber, const char *reason) {
  if (subscriber->ws.conn.fd < 0) return;
  conn_close(&subscriber->ws.conn);
  subscriber_ended(subscriber, reason, true);
}

static void http_request(struct subscriber *subscriber) {
  const struct target *target = &subscriber->crowd->target;
  struct template_values values = {.channel = subscriber->channel, .cursor = buffer_bytes(&subscriber->cursor)};
  struct buffer request;
  buffer_init(&request);
  buffer_append_string(&request, "GET ");
  template_write(&request, target->path, &values);
  buffer_append_string(&request, " HTTP/1.1\r\nHost: bench\r\n");
  buffer_append(&request, buffer_bytes(&target->fields));
  buffer_append_string(&request, "\r\n");
  conn_write(&subscriber->ws.conn, buffer_bytes(&request));
  buffer_deinit(&request);
}

/* ---- Event streams (WHATWG HTML section 9.2) ------------------------------------------------- */

/* Payloads have no newline, so each is within one line. */
static void sse_take_line(struct subscriber *subscriber, struct bytes line) {
  if (bytes_starts_with(line, BYTES("data:"))) subscriber_take(subscriber, line);
}

static void sse_on_body(void *owner, struct bytes part) {
  struct subscriber *subscriber = owner;
  while (part.len > 0) {
    size_t len = bytes_find(part, '\n');
    bool is_whole = len < part.len;
    if (subscriber->text.len > 0 || !is_whole) {
      buffer_append(&subscriber->text, bytes_of(part.ptr, len));
      if (subscriber->text.failed) die("out of memory");
    }
    if (is_whole) {
      sse_take_line(subscriber, subscriber->text.len > 0 ? buffer_bytes(&subscriber->text) : bytes_of(part.ptr, len));
      buffer_clear(&subscriber->text);
      len++;
    }
    part = bytes_of(part.ptr + len, part.len - len);
  }
}

static void sse_on_head(void *owner, int status) {
  struct subscriber *subscriber = owner;
  struct bytes type = http_answer_field(&subscriber->ws.answer, BYTES("Content-Type:"));
  if (status != STATUS_OK) return; /* on_done says so */
  if (!bytes_starts_with(type, BYTES("text/event-stream"))) return;
  subscriber_opened(subscriber);
}

static void sse_on_done(void *owner, int status) {
  http_fail(owner, status == STATUS_OK ? "the server ended the event stream"
                                       : "the server answered the event stream's request without 200");
}

/* ---- Polls ----------------------------------------------------------------------------------- */

static void poll_on_body(void *owner, struct bytes part) {
  struct subscriber *subscriber = owner;
  buffer_append(&subscriber->text, part);
  if (subscriber->text.failed) die("out of memory");
}

static bool poll_read_cursor(struct subscriber *subscriber) {
  struct json_value answer, name, value;
  if (!json_scan(buffer_bytes(&subscriber->text), &answer, NULL) || answer.type != JSON_OBJECT) return false;
  struct bytes rest = answer.raw;
  while (json_next_member(&rest, &name, &value)) {
    if (value.type != JSON_STRING || !json_string_equal(name, bytes_string(subscriber->crowd->cursor))) continue;
    buffer_clear(&subscriber->cursor);
    json_string_decode(value, &subscriber->cursor);
    return true;
  }
  return false;
}

static void poll_on_done(void *owner, int status) {
  struct subscriber *subscriber = owner;
  if (status != STATUS_OK) {
    http_fail(subscriber, "the server answered a poll without 200");
    return;
  }
  if (!poll_read_cursor(subscriber)) {
    http_fail(subscriber, "the answer to a poll has no cursor");
    return;
  }
  subscriber_take(subscriber, buffer_bytes(&subscriber->text));
  buffer_clear(&subscriber->text);
  subscriber_opened(subscriber);
  http_request(subscriber);
}

/* ---- Connections ----------------------------------------------------------------------------- */

static void http_on_connected(struct conn *conn) { http_request(conn->owner); }

static size_t http_on_input(struct conn *conn, char *data, size_t len) {
  struct subscriber *subscriber = conn->owner;
  const char *fault;
  subscriber->crowd->deliveries->now_ns = now_ns();
  http_answer_feed(&subscriber->ws.answer, data, len, &fault);
  if (fault) http_fail(subscriber, fault);
  return len;
}

static void http_on_closed(struct conn *conn, const char *reason) { subscriber_ended(conn->owner, reason, false); }

static const struct conn_ops http_ops = {
    .on_connected = http_on_connected,
    .on_input = http_on_input,
    .on_closed = http_on_closed,
};

void http_subscriber_open(struct subscriber *subscriber) {
  struct crowd *crowd = subscriber->crowd;
  struct http_answer *answer = &subscriber->ws.answer;
  bool is_poll = crowd->transport == TRANSPORT_POLL;
  answer->owner = subscriber;
  answer->on_head = is_poll ? NULL : sse_on_head;
  answer->on_body = is_poll ? poll_on_body : sse_on_body;
  answer->on_done = is_poll ? poll_on_done : sse_on_done;
  http_answer_init(answer);
  subscriber->ws.conn.ops = &http_ops;
  subscriber->ws.conn.owner = subscriber;
  conn_connect(&subscriber->ws.conn, crowd->poller, crowd->target.address, crowd->target.port);
}
