/* A request to the broker: a publish, interests, their end, or histories. The calling thread posts it
 * to the server's thread, which posts the outcome back. */
#ifndef MOONWIRE_SERVER_BROKER_BROKER_OP_H
#define MOONWIRE_SERVER_BROKER_BROKER_OP_H

#include "app/order.h"
#include "broker/broker.h"

VISIBILITY_PUSH

struct broker_orderer;

enum broker_op_type { BROKER_OP_PUBLISH, BROKER_OP_INTEREST, BROKER_OP_END_INTEREST, BROKER_OP_FETCH, BROKER_OP_PAGE };

struct broker_op {
  struct mail mail; /* to the server's thread, and then to the worker that asks */
  struct list link; /* in broker_orderer.done */
  enum broker_op_type type;
  struct broker_orderer *owner;
  struct completion *completion; /* kept; NULL: no caller waits */
  int status;
  /* BROKER_OP_PUBLISH. The text is the channel, and then the record. */
  struct bytes channel, record, once;
  struct broker_history history;
  bool is_final, is_volatile;
  /* The others. The text has the names of the channels. */
  struct since since; /* BROKER_OP_FETCH */
  bool reads_page;    /* BROKER_OP_FETCH: this, before, and limit are as in struct job_channel */
  struct since before;
  size_t limit;
  size_t at;        /* BROKER_OP_FETCH: the channel whose older messages are fetched */
  uint64_t until;   /* BROKER_OP_PAGE, or of the latest page that was asked for; 0: of none */
  unsigned tries;   /* pages that did not bring more */
  bool has_reached; /* the cursor was judged */
  unsigned rounds;  /* how often the channels were waited for */
  size_t count;
  struct broker_interest interests[];
};

/* Returns NULL if out of memory. */
struct broker_op *broker_op_publish(const struct kind *kind, const struct message_parts *parts, struct bytes once,
                                    bool is_volatile);
struct broker_op *broker_op_channels(enum broker_op_type type, const struct job_channel *channels, size_t count);

/* Carries it out, or, if the server stops, completes it with MW_ECLOSED. On the server's thread. */
void broker_op_run(struct broker_op *op);
/* Reports the outcome to the caller, and frees the op. On the thread of completion->http. */
void broker_op_tell(struct broker_op *op);

VISIBILITY_POP

#endif
