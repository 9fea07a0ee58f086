/* A message as it is in Redis. Other programs may publish, too, so everything is checked.
 *
 *   1 <flags> <event> <from> <except> <key>\n
 *
 * and then event, from, except, key, and data, without separators. The four numbers are lengths in
 * bytes, decimal, without leading zeros. Data is the rest. Flags are "-", or these letters in this
 * order: "b", data is any bytes, otherwise JSON; "f", the message ends its channel. */
#ifndef MOONWIRE_BROKER_RECORD_H
#define MOONWIRE_BROKER_RECORD_H

#include "base/buffer.h"
#include "broker/broker.h"
#include "hub/message.h"

VISIBILITY_PUSH

/* Appends the record of a MESSAGE_EVENT whose parts were checked. The channel is not part of it. */
void record_write(struct buffer *out, const struct message_parts *parts);

/* Reads a message of a channel, with at most data_max bytes of data. Returns NULL and sets *parts,
 * which borrow from both; or returns a constant that states what is wrong. */
const char *record_read(struct bytes channel, const struct broker_message *message, size_t data_max, struct message_parts *parts);

VISIBILITY_POP

#endif
