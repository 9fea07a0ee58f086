/* What the app wants with one client: travels over the queue of the client's worker, in one order with the messages. Closing it is a mail of
 * the client's own. */
#ifndef MOONWIRE_APP_COMMAND_H
#define MOONWIRE_APP_COMMAND_H

#include "app/client.h"
#include "hub/message.h"

VISIBILITY_PUSH

struct app;
struct kind;

/* Whom to answer: the session itself, or an exchange that waits for it (POST /send). */
struct reply_to {
  bool is_exchange;
  bool is_poll; /* it is a poll of the session: what it subscribes to is of its query */
  int status;   /* of a refusal; 0: the one that goes with its code */
  struct address exchange;
};

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

/* Keeps the client. NULL if out of memory. */
struct command *command_new(enum command_type type, struct mw_client *client);
void command_free(struct command *command);
/* Takes the command. MW_ECLOSED, MW_EUNAVAILABLE: it was freed. */
int command_post(struct app *app, struct command *command);

VISIBILITY_POP

#endif
