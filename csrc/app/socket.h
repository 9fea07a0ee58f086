/* A raw WebSocket, shared by the app and its connection. */
#ifndef MOONWIRE_APP_SOCKET_H
#define MOONWIRE_APP_SOCKET_H

#include "app/client.h"
#include "app/config.h"
#include "base/blob.h"
#include "codec/ws/ws_frame.h"

VISIBILITY_PUSH

struct app;

/* Shared by the app, the connection, and mail between them. */
struct mw_socket {
  atomic_uint refs;
  struct app *app;
  struct mw_config *config; /* one reference */
  struct mw_client *client; /* its identity, and where it is connected; one reference */
  const struct websocket *websocket;
  int route;
  struct bytes protocol;   /* text of the config, or empty */
  atomic_size_t under_way; /* bytes that were sent and have not reached the worker */
  atomic_size_t unwritten; /* bytes in its outbox, when it was last checked */
  /* For the script. */
  void *context;
  bool closing; /* the app has closed it */
  /* For the worker; after the end, the script reads how it ended. */
  size_t pending_count, pending_size; /* messages that are with the script */
  uint64_t paused_until_ms;           /* its next message is not read before this time */
  /* it must be closed, as below, as soon as no message is pending */
  bool is_due;
  bool is_answer; /* the peer has closed it */
  /* the code of the first close frame; WS_CLOSE_ABNORMAL before that */
  unsigned code;
  char reason[WS_CONTROL_MAX]; /* terminated; that of the peer may have NULs in it */
  size_t reason_len;
  struct mail left; /* tells the script that it has ended */
};

struct mw_socket *socket_ref(struct mw_socket *socket);

VISIBILITY_POP

#endif
