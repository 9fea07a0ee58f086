#include "script/tickets.h"

#include "auth/secret.h"
#include "base/memory.h"

struct item {
  struct list link;
  struct ticket ticket; /* with the reference to its user */
  uint64_t due_ms;
  char text[TICKET_LEN];
  size_t user_id_len;
  char user_id[];
};

void tickets_init(struct tickets *tickets) {
  table_init(&tickets->by_text);
  list_init(&tickets->all);
}

static void drop_ticket(struct tickets *tickets, struct item *item) {
  table_remove(&tickets->by_text, bytes_of(item->text, TICKET_LEN));
  list_remove(&item->link);
  blob_unref(item->ticket.user);
  memory_free(item);
}

void tickets_deinit(struct tickets *tickets) {
  while (!list_empty(&tickets->all)) drop_ticket(tickets, container_of(tickets->all.next, struct item, link));
  table_deinit(&tickets->by_text);
}

int tickets_make(struct tickets *tickets, const struct ticket *ticket, uint64_t due_ms, char *text) {
  struct bytes user = blob_bytes(ticket->user);
  if (tickets->by_text.count >= TICKETS_MAX) return MW_EUNAVAILABLE;
  char none[1];
  size_t len = mw_user_id(user.ptr, user.len, none, 0);
  struct item *item = memory_calloc(1, sizeof *item + len);
  if (!item) return MW_ENOMEM;
  item->user_id_len = mw_user_id(user.ptr, user.len, item->user_id, len);
  secret_name(item->text, TICKET_LEN);
  if (table_set(&tickets->by_text, bytes_of(item->text, TICKET_LEN), item) < 0) {
    memory_free(item);
    return MW_ENOMEM;
  }
  item->ticket = *ticket;
  blob_ref(ticket->user);
  item->due_ms = due_ms;
  list_append(&tickets->all, &item->link);
  memcpy(text, item->text, TICKET_LEN);
  return 0;
}

bool tickets_redeem(struct tickets *tickets, struct bytes text, uint64_t now_ms, struct ticket *ticket) {
  struct item *item = text.len == TICKET_LEN ? table_get(&tickets->by_text, text) : NULL;
  if (!item) return false;
  bool is_due = item->due_ms <= now_ms;
  *ticket = item->ticket;
  if (!is_due) blob_ref(ticket->user);
  drop_ticket(tickets, item);
  return !is_due;
}

void tickets_drop_user(struct tickets *tickets, struct bytes user_id) {
  for (struct list *link = tickets->all.next, *next; link != &tickets->all; link = next) {
    struct item *item = container_of(link, struct item, link);
    next = link->next;
    if (bytes_equal(bytes_of(item->user_id, item->user_id_len), user_id)) drop_ticket(tickets, item);
  }
}

void tickets_expire(struct tickets *tickets, uint64_t now_ms) {
  for (struct list *link = tickets->all.next, *next; link != &tickets->all; link = next) {
    struct item *item = container_of(link, struct item, link);
    next = link->next;
    if (item->due_ms <= now_ms) drop_ticket(tickets, item);
  }
}
