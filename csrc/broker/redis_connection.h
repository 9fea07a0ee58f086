/* One connection to a Redis or to a sentinel: pipelined commands, and what it sends unasked, which
 * is pub/sub. It is not opened again. */
#ifndef MOONWIRE_BROKER_REDIS_CONNECTION_H
#define MOONWIRE_BROKER_REDIS_CONNECTION_H

#include "broker/link.h"
#include "codec/redis_url.h"
#include "net/connection/connection.h"

VISIBILITY_PUSH

enum {
  REDIS_PIPELINE_MAX = 16384,  /* commands without a reply */
  REDIS_UNSENT_MAX = 32 << 20, /* bytes */
  REDIS_PROBLEM_SIZE = 256,
  REDIS_SILENCE_MS = 10000, /* without a reply for so long, the connection is lost */
};

/* Embedded in what uses it. Zeroed before the first redis_connection_open. */
struct redis_connection {
  struct connection *connection; /* NULL: closed */
  struct loop *loop;
  struct resp_reader reader;
  struct list sent; /* commands without a reply, oldest first */
  size_t sent_count;
  struct buffer out; /* commands that redis_connection_flush sends */
  bool is_tls, is_ready;
  struct tls_options tls;
  uint64_t heard_ms; /* when something was received, or when it began to wait for a reply */
  char problem[REDIS_PROBLEM_SIZE];
  /* Connected, and encrypted. */
  void (*on_ready)(struct redis_connection *connection);
  /* A reply for which nothing was sent: pub/sub. Borrowed. */
  void (*on_push)(struct redis_connection *connection, const struct resp_value *push);
  /* It cannot be used any more; `problem` states why. Every command has had its on_reply. Never
   * called within a function of this header. It may be opened again, or freed. */
  void (*on_end)(struct redis_connection *connection);
};

/* Opens it. Commands may be sent after on_ready. on_end follows, unless it is closed before. Returns
 * 0, or a status with a problem; then nothing follows. */
int redis_connection_open(struct redis_connection *connection, struct connections *connections, const struct redis_url *url,
                          const struct tls_options *tls);
/* As link_class.send; with a command of NULL, what Redis replies is a push. redis_connection_flush
 * sends it. */
int redis_connection_send(struct redis_connection *connection, const struct bytes *arguments, size_t count,
                          struct link_command *command);
/* Sends what was written since. Called once a turn. */
void redis_connection_flush(struct redis_connection *connection);
/* Returns true if no reply has come for REDIS_SILENCE_MS. */
bool redis_connection_is_silent(const struct redis_connection *connection);
/* Closes it with that problem, as if it were lost: on_end follows. Not within a call of the owner. */
void redis_connection_fail(struct redis_connection *connection, const char *problem);
/* Closes it. Each command has its on_reply (NULL). on_end does not follow. */
void redis_connection_close(struct redis_connection *connection);

VISIBILITY_POP

#endif
