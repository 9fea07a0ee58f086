/* Pages of older messages, for channels that are LIVE: the ring of this node lacks them. */
#include "broker/node/node.h"

struct older {
  struct list link; /* in older_waiting, or in older_sent until its page has come */
  struct link_command command;
  struct broker *broker; /* NULL: it has ended, and is freed when the reply comes */
  struct wait *wait;
  uint64_t number; /* of the page; 0: it is not on the way */
  uint64_t until;
  bool is_unanswered; /* the command was sent, and the reply has not come */
  struct bytes name;
  char text[];
};

static struct older *older_of(struct list *link) { return container_of(link, struct older, link); }

static void older_end(struct broker *broker, struct older *older, int status) {
  wait_end(broker, older->wait, status);
  list_remove(&older->link);
  broker->older_count--;
  older->broker = NULL;
  if (!older->is_unanswered) memory_free(older);
}

/* Its turn comes again: it is older than all that wait. */
static void ask_again(struct broker *broker, struct older *older) {
  older->number = 0;
  list_remove(&older->link);
  list_append(broker->older_waiting.next, &older->link); /* first */
}

static void take_answer(struct broker *broker, struct older *older, const struct resp_value *reply) {
  enum answer answer = node_answer_heard(broker, reply);
  if (answer == ANSWER_FAILED) {
    older_end(broker, older, MW_EUNAVAILABLE);
  } else if (answer != ANSWER_OK && older->number > 0) {
    ask_again(broker, older);
  }
}

static void on_answer(struct link_command *command, const struct resp_value *reply) {
  struct older *older = container_of(command, struct older, command);
  struct broker *broker = older->broker;
  older->is_unanswered = false;
  if (!broker) {
    memory_free(older);
    return;
  }
  take_answer(broker, older, reply);
  broker->on_event_end(broker);
}

static bool is_live(const struct channel_link *channel) {
  return channel->state == CHANNEL_LIVE || channel->state == CHANNEL_LEAVING;
}

/* Returns false if nothing more can be sent now. */
static bool older_send(struct broker *broker, struct older *older, const struct channel_link *channel) {
  struct page_ask ask = {
      .channel = older->name, .number = broker->request + 1, .position = older->until, .size = channel->history.size};
  if (page_run(broker, &ask, 1, &older->command) < 0) return false;
  older->number = ++broker->request;
  older->is_unanswered = true;
  list_remove(&older->link);
  list_append(&broker->older_sent, &older->link);
  return true;
}

void older_step(struct broker *broker) {
  if (!node_is_up(broker) || !broker->own_is_subscribed) return;
  size_t count = 0;
  for (const struct list *link = broker->older_sent.next; link != &broker->older_sent; link = link->next) count++;
  for (struct list *link = broker->older_waiting.next, *next; link != &broker->older_waiting && count < OLDER_PAGES_MAX;
       link = next) {
    struct older *older = older_of(link);
    const struct channel_link *channel = channels_find(broker, older->name);
    next = link->next;
    if (!channel) {
      older_end(broker, older, MW_EBROKER_LOST);
    } else if (is_live(channel) && !older->is_unanswered) {
      if (!older_send(broker, older, channel)) return;
      count++;
    }
  }
}

/* Messages up to `until` that are not in the page, and after its `gone`, do not exist. Returns false if
 * it is not what was asked for. */
static bool restore(struct broker *broker, struct older *older, struct push_page *page) {
  struct broker_message messages[PAGE_MESSAGES_MAX];
  struct broker_page restored = {.channel = older->name, .until = older->until, .gone = page->gone, .ended = page->ended};
  restored.count = page_read(page, messages, 0);
  restored.messages = messages + PAGE_MESSAGES_MAX - restored.count;
  restored.after = restored.count > 0 ? restored.messages[0].before : page->gone;
  if (restored.count > 0 && messages[PAGE_MESSAGES_MAX - 1].position > older->until) return false;
  if (restored.after > restored.until) restored.after = restored.until;
  if (restored.gone > restored.after) restored.gone = restored.after;
  broker->sink->restore(broker->context, &restored);
  return true;
}

bool older_on_page(struct broker *broker, struct push_page *page) {
  struct list *link = broker->older_sent.next;
  while (link != &broker->older_sent && older_of(link)->number != page->number) link = link->next;
  if (link == &broker->older_sent) return false;
  struct older *older = older_of(link);
  const struct channel_link *channel = channels_find(broker, older->name);
  bool is_restored = channel && is_live(channel) && restore(broker, older, page);
  older_end(broker, older, is_restored ? 0 : MW_EBROKER_LOST);
  return true;
}

void older_on_deaf(struct broker *broker) {
  while (!list_empty(&broker->older_sent)) ask_again(broker, older_of(broker->older_sent.prev));
}

void older_expire(struct broker *broker, bool all, int status) {
  struct list *lists[] = {&broker->older_sent, &broker->older_waiting};
  for (size_t i = 0; i < 2; i++) {
    for (struct list *link = lists[i]->next, *next; link != lists[i]; link = next) {
      next = link->next;
      struct older *older = older_of(link);
      if (all || older->wait->due_ms <= broker->now_ms) older_end(broker, older, status);
    }
  }
}

int broker_page(struct broker *broker, struct bytes channel, uint64_t until, void (*on_done)(void *context, int status),
                void *context) {
  if (broker->is_stopped) return MW_ECLOSED;
  if (broker->older_count == OLDER_WAITING_MAX) return MW_EWAITING;
  struct older *older = memory_calloc(1, sizeof *older + channel.len + 1);
  struct wait *wait = older ? wait_new(broker, 0, on_done, context) : NULL;
  if (!wait) {
    memory_free(older);
    return MW_ENOMEM;
  }
  memcpy(older->text, channel.ptr, channel.len);
  older->name = bytes_of(older->text, channel.len);
  older->broker = broker;
  older->wait = wait;
  older->until = until;
  older->command.on_reply = on_answer;
  list_append(&broker->older_waiting, &older->link);
  broker->older_count++;
  older_step(broker);
  return MW_PENDING;
}
