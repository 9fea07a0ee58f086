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
  struct list link; /* the owner's */
  struct loop *loop;
  enum stream_kind kind;
  bool is_private; /* the owner's */
  uv_poll_t poll;  /* tells that peers wait; libuv's own accept says nothing when descriptors run out */
  uv_timer_t pause;
  /* A peer is waiting: accept it with listener_accept, or refuse it. A negative status: it could not be taken, and for
   * LISTENER_PAUSE_MS no other is. */
  void (*on_connection)(struct listener *listener, int status);
  void *owner;
  char address[LISTENER_ADDRESS_MAX]; /* as it is listened on, with the port that was picked */
  dev_t device;                       /* of a unix socket's file, with its inode */
  ino_t inode;
  int fd;
  int accepted;          /* the waiting peer; -1: none */
  int reserve;           /* a descriptor for listener_shed; -1: none */
  unsigned handles_open; /* the memory goes with the last one */
};

/* Listens at "HOST:PORT", "[IPV6]:PORT" or "unix:PATH" (a stale socket is removed; unix_mode are its permissions). On failure the error
 * says what was wrong and there is nothing to close. */
int listener_new(struct listener **listener, struct loop *loop, const char *address, unsigned unix_mode,
                 void (*on_connection)(struct listener *listener, int status), void *owner, struct mw_error *error);
/* Accepts into a stream that was initialised with listener->kind. A status of libuv. */
int listener_accept(struct listener *listener, struct stream *stream);
/* Closes the waiting peer, without memory of its own. One that was not accepted when on_connection returns is closed as well. */
void listener_refuse(struct listener *listener);
/* When the process has no descriptor left: takes those that wait and closes them, by way of one that was held back for this. Otherwise
 * they would wait for an answer that does not come. */
void listener_shed(struct listener *listener);
/* Stops listening, removes a unix socket's file if it is still the one that this listener made, and frees the listener soon. */
void listener_close(struct listener *listener);

VISIBILITY_POP

#endif
