/* jansson as a second opinion on JSON. A file of its own, because its names and those of codec/json_scan.h clash. */
#ifndef MOONWIRE_TEST_SUPPORT_JANSSON_PEER_H
#define MOONWIRE_TEST_SUPPORT_JANSSON_PEER_H

#include "base/bytes.h"

enum jansson_opinion {
  JANSSON_REFUSES,
  JANSSON_ACCEPTS,
  JANSSON_OVERFLOWS, /* a number is more than it can hold, which says nothing of the grammar up to there */
};

enum jansson_opinion jansson_judge(struct bytes text);
/* True if both are accepted and mean the same. */
bool jansson_same(struct bytes a, struct bytes b);

#endif
