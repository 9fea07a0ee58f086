/* What the app wants with one client: travels over the queue of the client's worker, in one order with the messages. */
#ifndef MOONWIRE_SERVER_COMMAND_H
#define MOONWIRE_SERVER_COMMAND_H

#include "app/client.h"
#include "hub/message.h"
#include "server/native.h"

VISIBILITY_PUSH

struct worker;

enum command_type {
  COMMAND_SEND,        /* a message to it alone */
  COMMAND_CLOSE,       /* its connection */
  COMMAND_SUBSCRIBE,   /* to a channel, without asking the app */
  COMMAND_UNSUBSCRIBE, /* from a channel, telling it why */
  COMMAND_RECEIVE      /* what came for it by POST /send */
};

struct command {
  struct list link; /* among those that are held */
  enum command_type type;
  struct mw_client *client; /* a reference */
  struct message *message;  /* a reference, or NULL */
  const struct kind *kind;
  unsigned close_code;
  char code[65], reason[124];
  struct blob *text; /* the channel, or what was received; NULL: none */
  struct reply_to reply_to;
  bool is_binary;
};

/* NULL without memory; keeps the client. */
struct command *command_new(enum command_type type, struct mw_client *client);
void command_free(struct command *command);
/* Takes the command. MW_ECLOSED, MW_EUNAVAILABLE, MW_ENOMEM: then it is gone. */
int command_post(struct mw_server *server, struct command *command);
/* On the client's worker; takes the command. */
void command_carry_out(struct worker *worker, struct command *command);
/* The errand was answered: carries out what had to wait for that. */
void command_release_held(struct worker *worker, struct errand *errand);
/* The script has counted in whom the app subscribed. */
void command_granted(struct worker *worker, struct errand *errand);
/* Drops it, if the answer never came. */
void command_free_held(struct errand *errand);

VISIBILITY_POP

#endif
