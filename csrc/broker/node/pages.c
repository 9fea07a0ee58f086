/* Pages: what is kept of channels, by the script `page`, in order with the messages. */
#include "base/log_limit.h"
#include "broker/node/node.h"

/* ---- Asking ----------------------------------------------------------------------------------- */

static void request_free(struct page_request *request) {
  list_remove(&request->link);
  memory_free(request);
}

void pages_drop_requests(struct broker *broker) {
  while (!list_empty(&broker->requests)) {
    struct page_request *request = container_of(broker->requests.next, struct page_request, link);
    list_remove(&request->link);
    request->broker = NULL;
    if (request->is_answered) memory_free(request);
  }
}

/* The pages of the request that have not come will not come. */
static void ask_again(struct page_request *request) {
  struct broker *broker = request->broker;
  for (uint32_t i = 0; i < request->count; i++) {
    struct channel_link *channel = request->channels[i];
    if (channel && channel->request == request->first + i) channel_fetch(broker, channel);
  }
}

static void take_answer(struct page_request *request, const struct resp_value *reply) {
  struct broker *broker = request->broker;
  enum answer answer = node_answer_heard(broker, reply);
  /* Without memory, say, it is not better a moment later; a new connection has a delay. */
  if (answer == ANSWER_FAILED) broker->link->class->reset(broker->link, LINK_COMMANDS, "redis did not read a history");
  if (answer == ANSWER_OK && request->left > 0) return;
  if (answer != ANSWER_OK) ask_again(request);
  request_free(request);
}

static void on_answer(struct link_command *command, const struct resp_value *reply) {
  struct page_request *request = container_of(command, struct page_request, command);
  struct broker *broker = request->broker;
  request->is_answered = true;
  if (!broker) {
    memory_free(request);
    return;
  }
  take_answer(request, reply);
  broker->on_event_end(broker);
}

static int send_request(struct broker *broker, struct page_request *request) {
  struct page_ask asks[PAGE_CHANNELS_MAX];
  for (uint32_t i = 0; i < request->count; i++) {
    const struct channel_link *channel = request->channels[i];
    asks[i] = (struct page_ask){.channel = channel->name,
                                .number = channel->request,
                                .is_after = channel->is_rejoining,
                                .position = channel->is_rejoining ? channel->fetched : 0,
                                .size = channel->history.size};
  }
  return page_run(broker, asks, request->count, &request->command);
}

static bool ask_some(struct broker *broker) {
  struct page_request *request = memory_calloc(1, sizeof *request);
  if (!request) return false;
  *request = (struct page_request){.command.on_reply = on_answer, .broker = broker, .first = broker->request + 1};
  for (struct list *link = broker->to_fetch.next; link != &broker->to_fetch && request->count < PAGE_CHANNELS_MAX;
       link = link->next) {
    struct channel_link *channel = container_of(link, struct channel_link, link);
    channel->request = request->first + request->count;
    request->channels[request->count++] = channel;
  }
  request->left = request->count;
  if (send_request(broker, request) < 0) {
    memory_free(request);
    return false;
  }
  broker->request += request->count;
  list_append(&broker->requests, &request->link);
  for (uint32_t i = 0; i < request->count; i++) {
    list_remove(&request->channels[i]->link);
    list_append(&broker->fetching, &request->channels[i]->link);
  }
  return true;
}

void pages_step(struct broker *broker) {
  size_t count = 0;
  for (const struct list *link = broker->requests.next; link != &broker->requests; link = link->next) count++;
  while (count < PAGE_REQUESTS_MAX && !list_empty(&broker->to_fetch) && ask_some(broker)) count++;
}

/* ---- Pages ------------------------------------------------------------------------------------ */

/* Returns the channel that the page is for, once, or NULL. */
static struct channel_link *take_channel(struct broker *broker, uint64_t number) {
  for (struct list *link = broker->requests.next; link != &broker->requests; link = link->next) {
    struct page_request *request = container_of(link, struct page_request, link);
    if (number < request->first || number - request->first >= request->count) continue;
    struct channel_link *channel = request->channels[number - request->first];
    if (!channel || channel->request != number) return NULL;
    request->channels[number - request->first] = NULL;
    channel->request = 0;
    if (--request->left == 0 && request->is_answered) request_free(request);
    return channel;
  }
  return NULL;
}

/* A page of what is kept after channel->fetched. */
static void take_rejoining(struct broker *broker, struct channel_link *channel, struct push_page *page) {
  struct push_message message;
  bool has_messages = false;
  int status;
  while ((status = push_next_message(page, &message)) > 0) {
    if (message.position <= channel->fetched) continue;
    has_messages = true;
    channel->fetched = message.position;
    held_message(broker, channel, &message);
    if (!channel->is_rejoining) return; /* it was too much */
  }
  if (page->has_more && has_messages && status == 0) {
    channel_fetch(broker, channel);
  } else {
    held_page(broker, channel, page, has_messages);
  }
}

/* The newest messages of a channel without subscribers. */
static void take_new(struct broker *broker, struct channel_link *channel, struct push_page *page) {
  struct broker_message messages[PAGE_MESSAGES_MAX];
  struct broker_page restored = {.channel = channel->name, .until = UINT64_MAX, .gone = page->gone, .ended = page->ended};
  restored.count = page_read(page, messages, page->last);
  restored.messages = messages + PAGE_MESSAGES_MAX - restored.count;
  restored.after = restored.count > 0 ? restored.messages[0].before : page->last > page->gone ? page->last : page->gone;
  if (restored.gone > restored.after) restored.gone = restored.after;
  node_see(broker, page->last);
  node_reach(broker, page->position);
  broker->sink->restore(broker->context, &restored);
  channel_go_live(broker, channel, page->position);
}

/* On this node's own channel: a page, a bell, or the members of a channel. */
void pages_on_page(struct broker *broker, struct bytes payload) {
  struct push_page page;
  struct epoch epoch;
  uint64_t position, number;
  if (bytes_starts_with(payload, BYTES("members "))) {
    rosters_on_members(broker, payload);
    return;
  }
  bool is_page = push_read_page(payload, &page);
  bool is_bell = !is_page && push_read_bell(payload, &number, &epoch, &position);
  if (is_page) epoch = page.epoch;
  if (!is_page && !is_bell) {
    log_limited(MW_LOG_WARNING, "ignored a push from redis that is neither a page nor a bell (%zu bytes)", payload.len);
    node_doubt(broker); /* perhaps another program has replaced the epoch */
    return;
  }
  if (is_bell) broker->push_due_ms = 0;
  if (memcmp(&epoch, &broker->epoch, sizeof epoch) != 0) {
    node_doubt(broker);
    return;
  }
  if (is_bell && !broker->is_holding) {
    broker->bell_heard = number;
    node_reach(broker, position);
  }
  if (is_page && older_on_page(broker, &page)) return;
  struct channel_link *channel = is_page ? take_channel(broker, page.number) : NULL;
  if (!channel) return;
  if (channel->is_rejoining) {
    take_rejoining(broker, channel, &page);
  } else {
    take_new(broker, channel, &page);
  }
}
