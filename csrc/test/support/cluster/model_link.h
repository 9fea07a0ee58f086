/* Links of several nodes to one model of Redis. Nothing happens by itself: each step of a test lets
 * one command be carried out, or one reply or push arrive. */
#ifndef MOONWIRE_TEST_SUPPORT_CLUSTER_MODEL_LINK_H
#define MOONWIRE_TEST_SUPPORT_CLUSTER_MODEL_LINK_H

#include "broker/link.h"
#include "test/support/cluster/redis_model.h"

enum { MODEL_NODES = 3, MODEL_SUBSCRIPTIONS = 64 };

/* What is on the way, in one direction. */
struct model_item {
  struct list link;
  enum model_item_type { ITEM_COMMAND, ITEM_REPLY, ITEM_SUBSCRIBE, ITEM_UNSUBSCRIBE, ITEM_SUBSCRIBED, ITEM_PUSH, ITEM_LOST } type;
  struct link_command *command; /* of a reply; NULL: nobody waits */
  struct resp_value *reply;
  size_t script, key_count; /* script SIZE_MAX: a command */
  size_t count;
  struct bytes *texts; /* channel and payload, or arguments */
};

struct model_end {
  bool is_open; /* as Redis sees it */
  bool is_seen; /* as the node sees it: it has had on_open, and not on_lost */
  bool must_reset;
  uint64_t open_ms;           /* when it is opened again */
  struct list to_redis, back; /* model_item */
  char *subscriptions[MODEL_SUBSCRIPTIONS];
};

struct model_link {
  struct link link;
  struct model_cluster *cluster;
  struct model_end ends[2];
  struct list commands; /* struct link_command: without a reply */
};

struct model_cluster {
  struct redis_model *redis;
  struct model_link links[MODEL_NODES];
  uint64_t now_ms;
  int64_t skew_ms; /* of the clock of Redis */
  unsigned run;    /* the process that serves; changes with a restart */
  bool is_up;
  uint64_t (*random)(void *context, uint64_t below);
  /* a message or a page is published */
  void (*on_publish)(void *context, struct bytes channel, struct bytes payload);
  void *context;
};

void model_cluster_init(struct model_cluster *cluster, uint64_t now_ms);
void model_cluster_deinit(struct model_cluster *cluster);
/* Begins a link, without a node, or after its node has gone. */
void model_link_reset(struct model_cluster *cluster, size_t node);
/* Redis takes one item of that connection, or one arrives at the node, or the connection is opened, if it
 * is time. Returns false if there is nothing to do. */
bool model_link_serve(struct model_link *link, enum link_end end);
bool model_link_arrive(struct model_link *link, enum link_end end);
bool model_link_open(struct model_link *link, enum link_end end);
/* The connection is lost: of what is on the way, a random part still arrives in each direction. */
void model_link_cut(struct model_link *link, enum link_end end);
/* Cuts every connection; a new process serves from then on, with what it knows. */
void model_cluster_restart(struct model_cluster *cluster);

#endif
