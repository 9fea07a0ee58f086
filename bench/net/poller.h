/* Non-blocking TCP connections on epoll, for one thread. What the load generator and the bare
 * server share. Linux only. */
#ifndef MOONWIRE_BENCH_NET_POLLER_H
#define MOONWIRE_BENCH_NET_POLLER_H

#include "base/buffer.h"

struct conn;

struct conn_ops {
  /* The connection to the peer stands. NULL for accepted connections. */
  void (*on_connected)(struct conn *conn);
  /* Returns how many of the `len` bytes were used. The rest comes again, with what follows. */
  size_t (*on_input)(struct conn *conn, char *data, size_t len);
  /* The peer has closed, or the connection failed. It is already closed. */
  void (*on_closed)(struct conn *conn, const char *reason);
  /* A listener's: a connection was accepted. The callee owns the descriptor. */
  void (*on_accepted)(struct conn *conn, int fd);
};

struct conn {
  int fd; /* -1: closed */
  bool is_connecting, is_listener, wants_write;
  const struct conn_ops *ops;
  struct poller *poller;
  void *owner;
  struct buffer in;  /* input that on_input has not used */
  struct buffer out; /* output that the socket has not accepted */
};

enum { POLLER_READ_MAX = 256 << 10 }; /* bytes of one read */

struct poller {
  int fd;
  uint64_t reads; /* calls of read(2) that returned bytes */
  char *scratch;
};

void poller_init(struct poller *poller);
void poller_deinit(struct poller *poller);
/* Handles what is ready. Waits at most `timeout_ms`, and not at all if it is 0. */
void poller_turn(struct poller *poller, int timeout_ms);

/* Begins to connect to an IPv4 address in network byte order. `conn` is initialized here, and must
 * live until it is closed and the turn has ended. */
void conn_connect(struct conn *conn, struct poller *poller, uint32_t address, uint16_t port);
/* Takes over an accepted descriptor. */
void conn_adopt(struct conn *conn, struct poller *poller, int fd);
/* Listens on 127.0.0.1. Returns the port, which the system chooses if `port` is 0. */
uint16_t conn_listen(struct conn *conn, struct poller *poller, uint16_t port);
/* Writes now what the socket accepts, and the rest later. */
void conn_write(struct conn *conn, struct bytes bytes);
void conn_close(struct conn *conn);

/* Returns CLOCK_MONOTONIC in nanoseconds. */
uint64_t now_ns(void);
/* Raises the limit of descriptors as far as the system allows, and returns it. */
uint64_t raise_descriptor_limit(void);
/* Prints "PROGRAM: MESSAGE" and exits with status 2: the measurement cannot be made. */
void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
