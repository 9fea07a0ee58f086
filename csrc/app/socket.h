/* A raw WebSocket, as the app and its connection share it. */
#ifndef MOONWIRE_APP_SOCKET_H
#define MOONWIRE_APP_SOCKET_H

#include "app/client.h"
#include "app/config.h"
#include "base/blob.h"
#include "codec/ws_frame.h"

VISIBILITY_PUSH

struct app;

/* Shared by the app, the connection, and what is under way between them. */
struct mw_socket {
  atomic_uint refs;
  struct app *app;
  struct mw_config *config; /* a reference */
  struct mw_client *client; /* its identity, and where it is connected; a reference */
  const struct websocket *websocket;
  int route;
  struct bytes protocol;   /* a text of the config, or empty */
  atomic_size_t under_way; /* bytes that were sent and have not come to the worker */
  atomic_size_t unwritten; /* bytes in its outbox, when that was last looked at */
  /* The script's. */
  void *context;
  bool closing; /* the app has closed it */
  /* The worker's; how it ended is the script's once it has. */
  size_t pending_count, pending_size; /* messages that are with the script */
  bool is_due;                        /* it is to be closed as the next lines say as soon as nothing is pending */
  bool is_answer;                     /* the peer has closed it */
  unsigned code;                      /* with which it was closed first; WS_CLOSE_ABNORMAL while it was not */
  char reason[WS_CONTROL_MAX];        /* terminated; the peer's may have NULs in it */
  size_t reason_len;
  struct mail left; /* to the script: it is over */
};

struct mw_socket *socket_ref(struct mw_socket *socket);

VISIBILITY_POP

#endif
