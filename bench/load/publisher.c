#include "load/publisher.h"

#include "load/frame.h"
#include "load/template.h"

static void state_refusal(struct publisher *publisher, struct bytes text) {
  int len = (int)(text.len < 120 ? text.len : 120);
  faults_state(&publisher->deliveries->faults, "a publish was refused: %.*s", len, text.ptr);
}

/* ---- POST ------------------------------------------------------------------------------------ */

static void post_on_body(void *owner, struct bytes part) {
  struct publisher *publisher = owner;
  if (publisher->ws.answer.status >= 300) state_refusal(publisher, part);
}

static void post_on_done(void *owner, int status) {
  struct publisher *publisher = owner;
  publisher->unanswered--;
  if (status < 300) return;
  state_refusal(publisher, BYTES("a status of 300 or above"));
  publisher->deliveries->faults.refused++;
}

static void post_on_connected(struct conn *conn) {
  struct publisher *publisher = conn->owner;
  publisher->is_open = true;
}

static size_t post_on_input(struct conn *conn, char *data, size_t len) {
  struct publisher *publisher = conn->owner;
  const char *fault;
  http_answer_feed(&publisher->ws.answer, data, len, &fault);
  if (fault) die("the answer to a publish is malformed: %s", fault);
  return len;
}

static void post_on_closed(struct conn *conn, const char *reason) {
  (void)conn;
  die("the publisher lost its connection: %s", reason);
}

static const struct conn_ops post_ops = {
    .on_connected = post_on_connected,
    .on_input = post_on_input,
    .on_closed = post_on_closed,
};

static void post_open(struct publisher *publisher, struct poller *poller) {
  struct ws_client *ws = &publisher->ws;
  ws->conn.ops = &post_ops;
  ws->conn.owner = publisher;
  ws->answer.owner = publisher;
  ws->answer.on_body = post_on_body;
  ws->answer.on_done = post_on_done;
  http_answer_init(&ws->answer);
  conn_connect(&ws->conn, poller, publisher->target.address, publisher->target.port);
}

static void post_write(struct publisher *publisher, struct bytes body, uint32_t channel) {
  struct template_values values = {.channel = channel};
  struct buffer *out = &publisher->out;
  buffer_append_string(out, "POST ");
  template_write(out, publisher->target.path, &values);
  buffer_append_string(out, " HTTP/1.1\r\nHost: bench\r\n");
  buffer_append(out, buffer_bytes(&publisher->target.fields));
  buffer_append_format(out, "Content-Length: %zu\r\n\r\n", body.len);
  buffer_append(out, body);
  publisher->unanswered++;
}

/* ---- WebSocket ------------------------------------------------------------------------------- */

static void ws_on_open(void *owner) {
  struct publisher *publisher = owner;
  publisher->is_open = true;
}

static void ws_on_message(void *owner, struct bytes text) {
  struct publisher *publisher = owner;
  if (!memmem(text.ptr, text.len, "\"error\"", strlen("\"error\""))) return;
  state_refusal(publisher, text);
  publisher->deliveries->faults.refused++;
}

static void ws_on_closed(void *owner, const char *reason, bool is_invalid) {
  (void)owner;
  (void)is_invalid;
  die("the publisher lost its connection: %s", reason);
}

void publisher_open(struct publisher *publisher, struct poller *poller) {
  struct ws_client *ws = &publisher->ws;
  ws->target = &publisher->target;
  if (publisher->is_post) {
    post_open(publisher, poller);
    return;
  }
  ws->greetings = &publisher->greetings;
  ws->owner = publisher;
  ws->on_open = ws_on_open;
  ws->on_message = ws_on_message;
  ws->on_closed = ws_on_closed;
  ws_client_open(ws, poller);
}

void publisher_close(struct publisher *publisher) {
  conn_close(&publisher->ws.conn);
  buffer_deinit(&publisher->ws.message);
  http_answer_deinit(&publisher->ws.answer);
  buffer_deinit(&publisher->out);
  buffer_deinit(&publisher->text);
  buffer_deinit(&publisher->payload);
}

/* ---- Publishing ------------------------------------------------------------------------------ */

static void write_message(struct publisher *publisher, const struct mark *mark) {
  buffer_clear(&publisher->payload);
  mark_write(&publisher->payload, mark);
  struct template_values values = {.channel = mark->channel, .payload = buffer_bytes(&publisher->payload)};
  template_write(&publisher->text, publisher->message, &values);
}

void publisher_publish(struct publisher *publisher, const struct mark *marks, size_t count) {
  struct buffer *text = &publisher->text;
  buffer_clear(text);
  bool is_array = publisher->is_post && count > 1;
  if (is_array) buffer_append_char(text, '[');
  for (size_t i = 0; i < count; i++) {
    if (is_array && i > 0) buffer_append_char(text, ',');
    write_message(publisher, &marks[i]);
    if (!publisher->is_post) {
      frame_write(&publisher->out, WS_OPCODE_TEXT, buffer_bytes(text));
      buffer_clear(text);
    }
  }
  if (is_array) buffer_append_char(text, ']');
  if (publisher->is_post) post_write(publisher, buffer_bytes(text), marks[0].channel);
  if (publisher->out.failed || text->failed) die("out of memory");
}

void publisher_flush(struct publisher *publisher) {
  if (publisher->out.len == 0) return;
  conn_write(&publisher->ws.conn, buffer_bytes(&publisher->out));
  buffer_clear(&publisher->out);
}
