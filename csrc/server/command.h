/* What the app wants with one client: travels over the queue of the client's worker, in one order with the messages. Closing it is a mail of
 * the client's own. */
#ifndef MOONWIRE_SERVER_COMMAND_H
#define MOONWIRE_SERVER_COMMAND_H

#include "app/client.h"
#include "hub/message.h"
#include "server/native.h"

VISIBILITY_PUSH

struct worker;

enum command_type {
  COMMAND_SEND,        /* a message to it alone */
  COMMAND_SUBSCRIBE,   /* to a channel, without asking the app */
  COMMAND_UNSUBSCRIBE, /* from a channel, telling it why */
  COMMAND_RECEIVE      /* what came for it by POST /send */
};

struct command {
  struct mail mail;
  enum command_type type;
  struct mw_client *client; /* a reference */
  struct message *message;  /* a reference, or NULL */
  const struct kind *kind;
  char code[65], reason[124];
  struct blob *text; /* the channel, or what was received; NULL: none */
  struct reply_to reply_to;
  bool is_binary;
};

/* NULL without memory; keeps the client. */
struct command *command_new(enum command_type type, struct mw_client *client);
void command_free(struct command *command);
/* Takes the command. MW_ECLOSED, MW_EUNAVAILABLE, MW_ENOMEM: then it is gone. */
int command_post(struct app *app, struct command *command);

VISIBILITY_POP

#endif
