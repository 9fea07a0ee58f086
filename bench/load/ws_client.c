#include "load/ws_client.h"

#include "codec/ws/ws_handshake.h"
#include "load/frame.h"
#include "load/template.h"

static const struct bytes handshake_key = {"dGhlIHNhbXBsZSBub25jZQ==", 24};

static void client_fail(struct ws_client *client, const char *reason) {
  conn_close(&client->conn);
  client->on_closed(client->owner, reason, true);
}

static void client_send(struct ws_client *client, enum ws_opcode opcode, struct bytes payload) {
  struct buffer out;
  buffer_init(&out);
  frame_write(&out, opcode, payload);
  conn_write(&client->conn, buffer_bytes(&out));
  buffer_deinit(&out);
}

/* Sends greetings up to the next one that is answered. */
static void client_greet(struct ws_client *client) {
  const struct greetings *greetings = client->greetings;
  while (client->greeted < greetings->count) {
    struct buffer text;
    struct template_values values = {.channel = client->channel};
    buffer_init(&text);
    template_write(&text, greetings->send[client->greeted], &values);
    client_send(client, WS_OPCODE_TEXT, buffer_bytes(&text));
    buffer_deinit(&text);
    if (greetings->expect[client->greeted]) return;
    client->greeted++;
  }
  client->is_open = true;
  client->on_open(client->owner);
}

static void client_take_message(struct ws_client *client, struct bytes text) {
  if (client->is_open) {
    client->on_message(client->owner, text);
    return;
  }
  const char *expected = client->greetings->expect[client->greeted];
  if (!memmem(text.ptr, text.len, expected, strlen(expected))) return;
  client->greeted++;
  client_greet(client);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static void client_take_frame(struct ws_client *client, const struct frame *frame) {
  switch (frame->opcode) {
    case WS_OPCODE_PING: client_send(client, WS_OPCODE_PONG, frame->payload); return;
    case WS_OPCODE_PONG: return;
    case WS_OPCODE_CLOSE:
      conn_close(&client->conn);
      client->on_closed(client->owner, "the server sent a close frame", false);
      return;
    default: break;
  }
  if (frame->is_final && client->message.len == 0) {
    client_take_message(client, frame->payload);
    return;
  }
  buffer_append(&client->message, frame->payload);
  if (client->message.failed) die("out of memory");
  if (!frame->is_final) return;
  client_take_message(client, buffer_bytes(&client->message));
  buffer_clear(&client->message);
}

static size_t client_read_frames(struct ws_client *client, char *data, size_t len) {
  size_t used = 0;
  while (client->conn.fd >= 0) {
    struct frame frame;
    size_t frame_len = 0;
    const char *fault = NULL;
    enum frame_found found = frame_next(bytes_of(data + used, len - used), &frame, &frame_len, &fault);
    if (found == FRAME_MORE) break;
    if (found == FRAME_INVALID) {
      client_fail(client, fault);
      break;
    }
    used += frame_len;
    client_take_frame(client, &frame);
  }
  return used;
}

static const char *upgrade_fault(const struct ws_client *client) {
  char expected[WS_ACCEPT_LEN + 1];
  if (client->answer.status != 101) return "the server did not answer the handshake with 101";
  if (!ws_handshake_accept(expected, handshake_key)) return "the hash function failed";
  struct bytes accept = http_answer_field(&client->answer, BYTES("Sec-WebSocket-Accept:"));
  return bytes_equal(accept, bytes_string(expected)) ? NULL : "Sec-WebSocket-Accept does not fit the key";
}

static void client_on_answered(void *owner, int status) {
  struct ws_client *client = owner;
  (void)status;
  client->is_upgraded = true;
}

static size_t client_on_input(struct conn *conn, char *data, size_t len) {
  struct ws_client *client = conn->owner;
  if (client->on_read) client->on_read(client->owner);
  if (client->is_upgraded) return client_read_frames(client, data, len);
  const char *fault;
  size_t used = http_answer_feed(&client->answer, data, len, &fault);
  if (!fault && client->is_upgraded) fault = upgrade_fault(client);
  if (fault) {
    client_fail(client, fault);
    return len;
  }
  if (!client->is_upgraded) return used;
  client_greet(client);
  return client->conn.fd < 0 ? len : used + client_read_frames(client, data + used, len - used);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static void client_on_connected(struct conn *conn) {
  struct ws_client *client = conn->owner;
  struct buffer request;
  struct template_values values = {.channel = client->channel};
  buffer_init(&request);
  buffer_append_string(&request, "GET ");
  template_write(&request, client->target->path, &values);
  buffer_append_string(&request, " HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ");
  buffer_append(&request, handshake_key);
  buffer_append_string(&request, "\r\n");
  buffer_append(&request, buffer_bytes(&client->target->fields));
  buffer_append_string(&request, "\r\n");
  conn_write(conn, buffer_bytes(&request));
  buffer_deinit(&request);
}

static void client_on_closed(struct conn *conn, const char *reason) {
  struct ws_client *client = conn->owner;
  client->on_closed(client->owner, reason, false);
}

static const struct conn_ops client_ops = {
    .on_connected = client_on_connected,
    .on_input = client_on_input,
    .on_closed = client_on_closed,
};

void ws_client_open(struct ws_client *client, struct poller *poller) {
  client->conn.ops = &client_ops;
  client->conn.owner = client;
  client->answer.owner = client;
  client->answer.on_done = client_on_answered;
  http_answer_init(&client->answer);
  buffer_init(&client->message);
  conn_connect(&client->conn, poller, client->target->address, client->target->port);
}
