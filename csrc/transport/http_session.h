/* How http reaches sessions (http/http_session.h). */
#ifndef MOONWIRE_TRANSPORT_HTTP_SESSION_H
#define MOONWIRE_TRANSPORT_HTTP_SESSION_H

#include "http/http_session.h"

VISIBILITY_PUSH

extern const struct http_session server_http_session;

VISIBILITY_POP

#endif
