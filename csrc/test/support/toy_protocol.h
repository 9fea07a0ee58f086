/* A protocol of the tests that carries many exchanges over one connection, with windows: what
 * HTTP/2 will be, without its details.
 *
 * Frames both ways: a type, the number of the exchange, the length of the payload (2 bytes, big
 * endian), the payload. */
#ifndef MOONWIRE_TEST_SUPPORT_TOY_PROTOCOL_H
#define MOONWIRE_TEST_SUPPORT_TOY_PROTOCOL_H

#include "http/conn.h"

enum toy_type {
  TOY_REQUEST, /* up: the window (4 bytes) and a request as in HTTP/1 */
  TOY_HEAD,    /* down: the status in digits */
  TOY_DATA,    /* both: of the body, or of an upgraded exchange. Down, windows bound it */
  TOY_WINDOW,  /* up: so many more bytes (4 bytes) may come; exchange 0: of all together */
  TOY_END,     /* down: the answer is complete */
  TOY_RESET    /* both: the exchange is given up */
};
enum { TOY_FRAME_HEAD = 4, TOY_BUFFER = 2048 };

/* What the protocol was made to do. */
struct toy_stats {
  size_t short_takes; /* `write` took less than it was offered */
  size_t held;        /* `hold` said that it is not to be asked before subscriber_ready */
  size_t ready;       /* which was called */
  size_t partly_read; /* a role took less than it was offered */
  size_t writes;      /* of the connection's buffer */
  size_t exchanges;   /* that are there now */
};
extern struct toy_stats toy_stats;
extern const struct protocol toy_protocol;

#endif
