/* A listening socket: TCP on an address, or a unix socket. */
#ifndef MOONWIRE_NET_LISTENER_H
#define MOONWIRE_NET_LISTENER_H

#include "base/list.h"
#include "base/status.h"
#include "net/stream.h"

VISIBILITY_PUSH

enum { LISTENER_ADDRESS_MAX = 160 };

struct listener {
  struct list link; /* the owner's */
  struct loop *loop;
  enum stream_kind kind;
  bool is_private; /* the owner's */
  union {
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } uv;
  /* A peer is waiting: accept it with listener_accept. A negative status: it could not be taken. */
  void (*on_connection)(struct listener *listener, int status);
  void *owner;
  char address[LISTENER_ADDRESS_MAX]; /* as it is listened on, with the port that was picked */
  union {
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } refused;             /* a peer that is closed at once */
  int reserve;           /* a descriptor for listener_shed; -1: none */
  unsigned handles_open; /* the memory goes with the last one */
  bool refuses_next;     /* another is to be refused once this one is closed */
};

/* Listens at "HOST:PORT", "[IPV6]:PORT" or "unix:PATH" (a stale socket is removed; unix_mode are its permissions). On failure the error
 * says what was wrong and there is nothing to close. */
int listener_new(struct listener **listener, struct loop *loop, const char *address, unsigned unix_mode,
                 void (*on_connection)(struct listener *listener, int status), void *owner, struct mw_error *error);
/* Accepts into a stream that was initialised with listener->kind. A status of libuv. */
int listener_accept(struct listener *listener, struct stream *stream);
/* Takes the waiting peer and closes it, without memory of its own. A peer that was neither accepted nor refused keeps all others
 * waiting. */
void listener_refuse(struct listener *listener);
/* When the process has no descriptor left: takes all that wait and closes them, by way of one that was held back for this. Otherwise they
 * would be announced again and again. */
void listener_shed(struct listener *listener);
/* Stops listening, removes a unix socket's file and frees the listener soon. */
void listener_close(struct listener *listener);

VISIBILITY_POP

#endif
