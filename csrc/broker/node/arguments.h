/* The keys and arguments of one call of a script, in one buffer. */
#ifndef MOONWIRE_BROKER_NODE_ARGUMENTS_H
#define MOONWIRE_BROKER_NODE_ARGUMENTS_H

#include "base/buffer.h"
#include "broker/link.h"
#include "broker/scripts.h"

VISIBILITY_PUSH

struct broker;

enum { ARGUMENTS_MAX = 1024 };

struct arguments {
  struct buffer texts;
  size_t ends[ARGUMENTS_MAX];
  size_t count, key_count;
};

void arguments_init(struct arguments *arguments);
/* Adds the name of a key or a pub/sub channel: the prefix, the kind, and `name`. */
void arguments_add_key(struct arguments *arguments, const struct broker *broker, const char *kind, struct bytes name);
/* What was added so far are keys. */
void arguments_end_keys(struct arguments *arguments);
void arguments_add(struct arguments *arguments, struct bytes text);
void arguments_add_u64(struct arguments *arguments, uint64_t value);
/* What the caller has appended to `texts` since the last argument is one argument. */
void arguments_end_one(struct arguments *arguments);
/* Each returns as the function of the link does (broker/link.h), and releases the arguments. */
int arguments_run(struct arguments *arguments, struct broker *broker, enum broker_script script, struct link_command *command);
int arguments_send(struct arguments *arguments, struct broker *broker, struct link_command *command);

VISIBILITY_POP

#endif
