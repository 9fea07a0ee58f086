#include "test/support/redis/fake_redis.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/status.h"
#include "test/support.h"

/* ---- Sockets --------------------------------------------------------------------------------- */

static void make_nonblocking(int fd) { assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0); }

static void listen_on_path(struct fake_redis *fake, const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  snprintf(fake->path, sizeof fake->path, "%s", path);
  unlink(path);
  fake->listener = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_int_equal(bind(fake->listener, (struct sockaddr *)&address, sizeof address), 0);
}

static void listen_on_loopback(struct fake_redis *fake) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof address;
  fake->listener = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(bind(fake->listener, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(getsockname(fake->listener, (struct sockaddr *)&address, &len), 0);
  fake->port = ntohs(address.sin_port);
}

void fake_redis_begin(struct fake_redis *fake, const char *path) {
  *fake = (struct fake_redis){.run_id = "run1", .role = "master"};
  for (size_t i = 0; i < FAKE_REDIS_PEERS_MAX; i++) fake->peers[i].fd = -1;
  buffer_init(&fake->trace);
  if (path)
    listen_on_path(fake, path);
  else
    listen_on_loopback(fake);
  make_nonblocking(fake->listener);
  assert_int_equal(listen(fake->listener, 16), 0);
}

static void drop_peer(struct fake_redis_peer *peer) {
  if (peer->fd < 0) return;
  close(peer->fd);
  peer->fd = -1;
  resp_reader_deinit(&peer->reader);
  buffer_deinit(&peer->out);
}

void fake_redis_drop_peers(struct fake_redis *fake) {
  for (size_t i = 0; i < FAKE_REDIS_PEERS_MAX; i++) drop_peer(&fake->peers[i]);
}

void fake_redis_end(struct fake_redis *fake) {
  fake_redis_drop_peers(fake);
  close(fake->listener);
  if (fake->path[0]) unlink(fake->path);
  buffer_deinit(&fake->trace);
}

/* ---- Answers --------------------------------------------------------------------------------- */

void fake_redis_say(struct fake_redis_peer *peer, const char *text) { buffer_append_string(&peer->out, text); }

static void say_bulk(struct fake_redis_peer *peer, struct bytes text) {
  buffer_append_format(&peer->out, "$%zu\r\n", text.len);
  buffer_append(&peer->out, text);
  buffer_append_string(&peer->out, "\r\n");
}

static bool is_word(const struct resp_value *command, size_t index, const char *word) {
  return bytes_equal_nocase(resp_text(resp_item(command, index)), bytes_string(word));
}

static void answer_subscribe(struct fake_redis_peer *peer, const struct resp_value *command, const char *kind) {
  for (size_t i = 1; i < command->count; i++) {
    buffer_append_string(&peer->out, "*3\r\n");
    say_bulk(peer, bytes_string(kind));
    say_bulk(peer, resp_text(resp_item(command, i)));
    buffer_append_format(&peer->out, ":%zu\r\n", i);
  }
}

static void answer_master(struct fake_redis *fake, struct fake_redis_peer *peer) {
  if (!fake->master) {
    fake_redis_say(peer, "*-1\r\n");
    return;
  }
  struct bytes address = bytes_string(fake->master);
  size_t colon = bytes_find(address, ':');
  fake_redis_say(peer, "*2\r\n");
  say_bulk(peer, bytes_of(address.ptr, colon));
  say_bulk(peer, bytes_of(address.ptr + colon + 1, address.len - colon - 1));
}

static void answer(struct fake_redis *fake, struct fake_redis_peer *peer, const struct resp_value *command) {
  if (fake->is_silent || (fake->on_command && fake->on_command(fake, peer, command))) return;
  if (is_word(command, 0, "AUTH")) {
    bool ok = fake->password && is_word(command, command->count - 1, fake->password);
    fake_redis_say(peer, ok ? "+OK\r\n" : "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
  } else if (is_word(command, 0, "INFO")) {
    char info[256];
    snprintf(info, sizeof info, "# Server\r\nredis_version:7.0.15\r\nrun_id:%s\r\ntcp_port:0\r\n", fake->run_id);
    say_bulk(peer, bytes_string(info));
  } else if (is_word(command, 0, "ROLE")) {
    fake_redis_say(peer, "*3\r\n");
    say_bulk(peer, bytes_string(fake->role));
    fake_redis_say(peer, ":0\r\n*0\r\n");
  } else if (is_word(command, 0, "SCRIPT")) {
    char sha[64];
    snprintf(sha, sizeof sha, "%040zx", ++fake->script_count);
    say_bulk(peer, bytes_string(sha));
  } else if (is_word(command, 0, "SENTINEL")) {
    answer_master(fake, peer);
  } else if (is_word(command, 0, "SUBSCRIBE")) {
    answer_subscribe(peer, command, "subscribe");
  } else if (is_word(command, 0, "UNSUBSCRIBE")) {
    answer_subscribe(peer, command, "unsubscribe");
  } else if (is_word(command, 0, "ECHO")) {
    say_bulk(peer, resp_text(resp_item(command, 1)));
  } else {
    fake_redis_say(peer, is_word(command, 0, "PING") ? "+PONG\r\n" : "+OK\r\n");
  }
}

static void note(struct fake_redis *fake, const struct resp_value *command) {
  if (fake->trace.len > 4096) return;
  for (size_t i = 0; i < command->count; i++) {
    struct bytes word = resp_text(resp_item(command, i));
    if (i > 0) buffer_append_char(&fake->trace, ' ');
    buffer_append(&fake->trace, bytes_of(word.ptr, word.len < 40 ? word.len : 40));
  }
  buffer_append_string(&fake->trace, "; ");
}

void fake_redis_publish(struct fake_redis *fake, const char *channel, const char *payload) {
  for (size_t i = 0; i < FAKE_REDIS_PEERS_MAX; i++) {
    struct fake_redis_peer *peer = &fake->peers[i];
    if (peer->fd < 0) continue;
    fake_redis_say(peer, "*3\r\n$7\r\nmessage\r\n");
    say_bulk(peer, bytes_string(channel));
    say_bulk(peer, bytes_string(payload));
  }
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static bool accept_peer(struct fake_redis *fake) {
  struct fake_redis_peer *peer = fake->peers;
  while (peer < fake->peers + FAKE_REDIS_PEERS_MAX && peer->fd >= 0) peer++;
  int fd = peer < fake->peers + FAKE_REDIS_PEERS_MAX ? accept(fake->listener, NULL, NULL) : -1;
  if (fd < 0) return false;
  make_nonblocking(fd);
  *peer = (struct fake_redis_peer){.fd = fd};
  resp_reader_init(&peer->reader);
  buffer_init(&peer->out);
  fake->accepted++;
  return true;
}

static bool read_peer(struct fake_redis *fake, struct fake_redis_peer *peer) {
  static char block[65536];
  ssize_t len = read(peer->fd, block, sizeof block);
  if (len < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
  if (len <= 0) {
    drop_peer(peer);
    return true;
  }
  struct resp_value *command;
  assert_int_equal(resp_feed(&peer->reader, bytes_of(block, (size_t)len)), 0);
  int status;
  while ((status = resp_next(&peer->reader, &command)) == 0) {
    note(fake, command);
    answer(fake, peer, command);
    resp_value_free(command);
  }
  assert_int_equal(status, MW_PENDING);
  return true;
}

static bool write_peer(struct fake_redis *fake, struct fake_redis_peer *peer) {
  bool did = false;
  size_t most = fake->bytes_a_step > 0 && fake->bytes_a_step < peer->out.len ? fake->bytes_a_step : peer->out.len;
  if (most > 0) {
    ssize_t len = send(peer->fd, peer->out.data, most, MSG_NOSIGNAL);
    did = len > 0;
    if (did) buffer_consume(&peer->out, (size_t)len);
    if (len < 0 && errno != EAGAIN && errno != EWOULDBLOCK) peer->is_closing = true, buffer_clear(&peer->out);
  }
  if (peer->out.len > 0 || !peer->is_closing) return did;
  drop_peer(peer);
  return true;
}

bool fake_redis_step(struct fake_redis *fake) {
  bool did = accept_peer(fake);
  for (size_t i = 0; i < FAKE_REDIS_PEERS_MAX; i++) {
    struct fake_redis_peer *peer = &fake->peers[i];
    if (peer->fd >= 0 && read_peer(fake, peer)) did = true;
    if (peer->fd >= 0 && write_peer(fake, peer)) did = true;
  }
  return did;
}
