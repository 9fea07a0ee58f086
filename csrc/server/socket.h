/* What the app sends over a raw WebSocket travels to the worker like everything else. */
#ifndef MOONWIRE_SERVER_SOCKET_H
#define MOONWIRE_SERVER_SOCKET_H

#include "app/socket.h"

VISIBILITY_PUSH

/* A frame that the app sends. It comes to the exchange of the socket by role->on_mail. */
struct socket_frame {
  struct mail mail;
  struct mw_socket *socket; /* a reference */
  struct blob *frame;       /* NULL: it was taken */
  size_t size;
};
extern const struct mail_class socket_frame_class;

VISIBILITY_POP

#endif
