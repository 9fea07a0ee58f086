/* Messages for tests. */
#ifndef MOONWIRE_TEST_SUPPORT_MESSAGE_H
#define MOONWIRE_TEST_SUPPORT_MESSAGE_H

#include "hub/message.h"

static inline struct message *message_of(uint32_t kind, struct bytes channel, struct bytes event, struct bytes data) {
  struct message_parts parts = {.channel = channel, .event = event, .data = data};
  return message_new(kind, &parts);
}

#endif
