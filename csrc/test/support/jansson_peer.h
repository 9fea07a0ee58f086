/* jansson, to compare json_scan with. In a file of its own, because its names clash with
 * codec/json_scan.h. */
#ifndef MOONWIRE_TEST_SUPPORT_JANSSON_PEER_H
#define MOONWIRE_TEST_SUPPORT_JANSSON_PEER_H

#include "base/bytes.h"

enum jansson_opinion {
  JANSSON_REFUSES,
  JANSSON_ACCEPTS,
  JANSSON_OVERFLOWS, /* a number is out of its range, which does not make the text invalid */
};

enum jansson_opinion jansson_check(struct bytes text);
/* Returns true if both are accepted and mean the same. */
bool jansson_same(struct bytes a, struct bytes b);

#endif
