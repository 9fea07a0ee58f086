/* A command of the app for one client. It travels through the queue of the client's worker, in
 * order with the messages. */
#ifndef MOONWIRE_APP_COMMAND_H
#define MOONWIRE_APP_COMMAND_H

#include "app/client.h"
#include "hub/id.h"
#include "hub/message.h"

VISIBILITY_PUSH

struct app;
struct kind;

struct reply_class;

/* The receiver of the answer to a verb: the client itself, or a request that waits for it. */
struct reply {
  const struct reply_class *class; /* session/reply.h; not NULL */
  struct address waiting;          /* the request; all zero: none */
};

enum command_type {
  COMMAND_SEND,        /* a message for this client only */
  COMMAND_SUBSCRIBE,   /* to a channel, without asking the app */
  COMMAND_UNSUBSCRIBE, /* from a channel, with a reason */
  COMMAND_CLOSE,       /* the client, with a code and a reason. Posted even if the queue is full */
  COMMAND_RECEIVE      /* a verb that arrived by POST /send */
};

struct command {
  struct mail mail;
  enum command_type type;
  struct mw_client *client; /* one reference */
  struct message *message;  /* one reference, or NULL */
  struct mw_config *config; /* a reference; NULL: it is about no channel */
  const struct kind *kind;  /* of config */
  char code[65], reason[CLOSE_REASON_MAX + 1];
  uint16_t close_code; /* COMMAND_CLOSE */
  struct blob *text;   /* the channel, or the text of the verb; NULL: none */
  struct reply reply;  /* COMMAND_RECEIVE */
  /* COMMAND_SUBSCRIBE, COMMAND_UNSUBSCRIBE, where joining may have to wait (session/command.c) */
  bool has_waited;    /* for the channel to be received, and its history to be known */
  bool is_followed;   /* it has an interest in its channel */
  struct since after; /* where the worker was when the command came */
  bool is_binary;
};

/* Returns a command that keeps the client, or NULL if out of memory. */
struct command *command_new(enum command_type type, struct mw_client *client);
void command_free(struct command *command);
/* Posts the command, and takes it. MW_ECLOSED, MW_EUNAVAILABLE: it was freed. */
int command_post(struct app *app, struct command *command);

VISIBILITY_POP

#endif
