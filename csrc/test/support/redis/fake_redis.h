/* A Redis, or a sentinel, of the same thread: it answers what a link asks, or misbehaves as the test
 * defines. It keeps nothing. */
#ifndef MOONWIRE_TEST_SUPPORT_FAKE_REDIS_H
#define MOONWIRE_TEST_SUPPORT_FAKE_REDIS_H

#include "broker/resp.h"

enum { FAKE_REDIS_PEERS_MAX = 8 };

struct fake_redis;

struct fake_redis_peer {
  int fd; /* -1: none */
  struct resp_reader reader;
  struct buffer out; /* what is not written yet */
  bool is_closing;   /* when that is written */
};

struct fake_redis {
  int listener;
  char path[108]; /* of a unix socket; empty: TCP on the loopback */
  unsigned port;
  struct fake_redis_peer peers[FAKE_REDIS_PEERS_MAX];
  unsigned accepted;    /* connections in all */
  struct buffer trace;  /* the commands: "INFO server; " */
  const char *run_id;   /* NULL: "run1" */
  const char *role;     /* NULL: "master" */
  const char *password; /* NULL: none */
  const char *master;   /* the reply of a sentinel; NULL: nil */
  size_t bytes_a_step;  /* written to a peer at a time; 0: all */
  size_t script_count;  /* SCRIPT LOAD in all */
  bool is_silent;       /* reads, and does not answer */
  /* Answers a command in place of the fake. Returns false for what the fake is to answer. */
  bool (*on_command)(struct fake_redis *fake, struct fake_redis_peer *peer, const struct resp_value *command);
};

/* Listens. `path` NULL: on a port of the loopback. */
void fake_redis_begin(struct fake_redis *fake, const char *path);
void fake_redis_end(struct fake_redis *fake);
/* Accepts, reads, answers, and writes, as far as that is possible now. Returns true if it did
 * something. */
bool fake_redis_step(struct fake_redis *fake);
void fake_redis_say(struct fake_redis_peer *peer, const char *text);
/* Closes all connections. */
void fake_redis_drop_peers(struct fake_redis *fake);
/* Sends to each peer that has subscribed to something. */
void fake_redis_publish(struct fake_redis *fake, const char *channel, const char *payload);

#endif
