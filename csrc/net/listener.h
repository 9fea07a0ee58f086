/* A listening socket: TCP on an address, or a unix socket. */
#ifndef MOONWIRE_NET_LISTENER_H
#define MOONWIRE_NET_LISTENER_H

#include <sys/types.h>

#include "base/list.h"
#include "base/status.h"
#include "net/stream.h"

VISIBILITY_PUSH

enum { LISTENER_ADDRESS_MAX = 160, LISTENER_PAUSE_MS = 100 };

struct listener {
  struct list link; /* for the owner */
  struct loop *loop;
  enum stream_kind kind;
  bool is_private; /* for the owner */
  bool has_header; /* for the owner: trusted proxies send a PROXY header */
  /* notifies of waiting peers; libuv's own accept does not report that descriptors have run out */
  uv_poll_t poll;
  uv_timer_t pause;
  /* Called when a peer waits: accept it with listener_accept, or refuse it. A negative status means
   * that it cannot be accepted; no other peer is then accepted for LISTENER_PAUSE_MS. */
  void (*on_connection)(struct listener *listener, int status);
  void *owner;
  char address[LISTENER_ADDRESS_MAX]; /* the actual address, with the port that the system chose */
  dev_t device;                       /* of the file of a unix socket, with its inode */
  ino_t inode;
  int fd;
  int accepted;          /* the waiting peer; -1: none */
  int reserve;           /* a descriptor for listener_shed; -1: none */
  unsigned handles_open; /* the last one frees the listener */
};

/* Listens at "HOST:PORT", "[IPV6]:PORT", or "unix:PATH", whose permissions are unix_mode; a stale
 * socket is removed. On failure, returns a negative status and states the reason in `error`; there
 * is nothing to close. */
int listener_new(struct listener **listener, struct loop *loop, const char *address, unsigned unix_mode,
                 void (*on_connection)(struct listener *listener, int status), void *owner, struct mw_error *error);
/* The two steps of listener_new, for a listener whose loop belongs to another thread:
 * listener_bind looks the address up with `loop`, and listener_watch, on that thread, begins to
 * accept with the other one. Until then, listener_discard frees it. */
int listener_bind(struct listener **listener, struct loop *loop, const char *address, unsigned unix_mode,
                  void (*on_connection)(struct listener *listener, int status), void *owner, struct mw_error *error);
int listener_watch(struct listener *listener, struct loop *loop);
void listener_discard(struct listener *listener);
/* Accepts the peer into a stream that was initialized with listener->kind. Returns a status of
 * libuv. */
int listener_accept(struct listener *listener, struct stream *stream);
/* Returns the descriptor of the peer, which the caller takes. */
int listener_take(struct listener *listener);
/* Closes the waiting peer, without allocating. A peer that was not accepted when on_connection
 * returns is closed as well. */
void listener_refuse(struct listener *listener);
/* Accepts and closes the waiting peers when the process has no descriptor left, with one that is
 * reserved for this. Otherwise they would wait for an answer that never comes. */
void listener_shed(struct listener *listener);
/* Stops listening, removes the file of a unix socket if it is still the listener's own, and frees
 * the listener soon. */
void listener_close(struct listener *listener);

VISIBILITY_POP

#endif
