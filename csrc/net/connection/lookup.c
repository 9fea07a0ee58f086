#include "net/connection/lookup.h"

#include <netdb.h>
#include <sys/socket.h>

#include "base/memory.h"
#include "base/status.h"

struct lookup_name {
  struct list link;
  struct lookups *lookups;
  uv_getaddrinfo_t uv;
  bool is_running;
  uint64_t until_ms;
  struct list waiting;
  struct host_addresses addresses;
  char text[LOOKUP_NAME_MAX + 1];
};

void lookups_init(struct lookups *lookups, struct loop *loop) {
  *lookups = (struct lookups){.loop = loop};
  list_init(&lookups->names);
}

static void lookup_forget(struct lookup_name *name) {
  list_remove(&name->link);
  name->lookups->count--;
  memory_free(name);
}

static void lookup_answer(struct lookup_name *name, int status) {
  /* A callback may ask for the same name again: those are not in this list. */
  struct list waiting;
  list_init(&waiting);
  while (!list_empty(&name->waiting)) {
    struct list *link = name->waiting.next;
    list_remove(link);
    list_append(&waiting, link);
  }
  struct host_addresses addresses = name->addresses; /* a callback may cause it to be forgotten */
  while (!list_empty(&waiting)) {
    struct lookup *lookup = container_of(waiting.next, struct lookup, link);
    list_remove(&lookup->link);
    lookup->on_found(lookup, status, status == 0 ? &addresses : NULL);
  }
}

static void lookup_keep(struct lookup_name *name, const struct addrinfo *found) {
  struct host_addresses *addresses = &name->addresses;
  addresses->count = 0;
  for (; found && addresses->count < sizeof addresses->items / sizeof *addresses->items; found = found->ai_next) {
    if (found->ai_addrlen > sizeof *addresses->items) continue;
    memcpy(&addresses->items[addresses->count++], found->ai_addr, found->ai_addrlen);
  }
}

static void lookup_on_found(uv_getaddrinfo_t *uv, int status, struct addrinfo *found);

static int lookup_begin(struct lookup_name *name) {
  struct lookups *lookups = name->lookups;
  struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
  int status = uv_getaddrinfo(lookups->loop->uv, &name->uv, lookup_on_found, name->text, NULL, &hints);
  if (status < 0) return status;
  loop_opened(lookups->loop);
  lookups->begun_count++;
  name->is_running = true;
  return 0;
}

static void lookup_on_found(uv_getaddrinfo_t *uv, int status, struct addrinfo *found) {
  struct lookup_name *name = container_of(uv, struct lookup_name, uv);
  struct lookups *lookups = name->lookups;
  struct loop *loop = lookups->loop;
  clock_update(&loop->clock);
  const struct loop *before = loop_enter(loop);
  name->is_running = false;
  if (status == 0) lookup_keep(name, found);
  uv_freeaddrinfo(found);
  if (status == 0 && name->addresses.count == 0) status = UV_EAI_NODATA;
  if (lookups->closed) status = MW_ECLOSED;
  name->until_ms = status == 0 ? loop->clock.now_ms + LOOKUP_KEPT_MS : 0;
  name->is_running = true; /* so that a callback does not evict it, or begin another lookup */
  lookup_answer(name, status);
  name->is_running = false;
  bool is_wanted = !list_empty(&name->waiting); /* a callback has asked again */
  if (is_wanted && lookup_begin(name) < 0) lookup_answer(name, UV_ENOMEM);
  if (!name->is_running && name->until_ms == 0) lookup_forget(name);
  loop_leave(before);
  loop_handle_closed(loop); /* may free `lookups` */
}

void lookups_close(struct lookups *lookups) {
  lookups->closed = true;
  for (struct list *link = lookups->names.next, *next; link != &lookups->names; link = next) {
    struct lookup_name *name = container_of(link, struct lookup_name, link);
    next = link->next;
    if (name->is_running) {
      uv_cancel((uv_req_t *)&name->uv);
    } else {
      lookup_forget(name);
    }
  }
}

static bool read_address(const char *text, struct host_addresses *addresses) {
  struct sockaddr_storage *address = &addresses->items[0];
  memset(address, 0, sizeof *address);
  addresses->count = 1;
  return uv_ip4_addr(text, 0, (struct sockaddr_in *)address) == 0 || uv_ip6_addr(text, 0, (struct sockaddr_in6 *)address) == 0;
}

static struct lookup_name *find_name(struct lookups *lookups, const char *text) {
  for (struct list *link = lookups->names.next; link != &lookups->names; link = link->next) {
    struct lookup_name *name = container_of(link, struct lookup_name, link);
    if (strcmp(name->text, text) != 0) continue;
    list_remove(&name->link);
    list_append(&lookups->names, &name->link);
    return name;
  }
  return NULL;
}

/* Makes room for a name by forgetting the least recently used one that is not being looked up. */
static bool make_room(struct lookups *lookups) {
  if (lookups->count < LOOKUP_NAMES_MAX) return true;
  for (struct list *link = lookups->names.next; link != &lookups->names; link = link->next) {
    struct lookup_name *name = container_of(link, struct lookup_name, link);
    if (name->is_running) continue;
    lookup_forget(name);
    return true;
  }
  return false;
}

static int add_name(struct lookup_name **out, struct lookups *lookups, const char *text, size_t len) {
  if (!make_room(lookups)) return MW_EUNAVAILABLE;
  struct lookup_name *name = memory_calloc(1, sizeof *name);
  if (!name) return MW_ENOMEM;
  name->lookups = lookups;
  list_init(&name->waiting);
  memcpy(name->text, text, len + 1);
  list_append(&lookups->names, &name->link);
  lookups->count++;
  *out = name;
  return 0;
}

int lookup_start(struct lookup *lookup, struct lookups *lookups, struct bytes text, struct host_addresses *addresses) {
  if (lookups->closed) return MW_ECLOSED;
  if (text.len == 0 || text.len > LOOKUP_NAME_MAX || memchr(text.ptr, '\0', text.len)) return MW_EINVAL;
  char terminated[LOOKUP_NAME_MAX + 1];
  memcpy(terminated, text.ptr, text.len);
  terminated[text.len] = '\0';
  if (read_address(terminated, addresses)) return 0;
  struct lookup_name *name = find_name(lookups, terminated);
  if (name && !name->is_running && name->until_ms > lookups->loop->clock.now_ms) {
    *addresses = name->addresses;
    return 0;
  }
  int status = name ? 0 : add_name(&name, lookups, terminated, text.len);
  if (status == 0 && !name->is_running) {
    status = lookup_begin(name);
    if (status < 0) lookup_forget(name);
  }
  if (status < 0) return status;
  list_append(&name->waiting, &lookup->link);
  return MW_PENDING;
}

void lookup_cancel(struct lookup *lookup) {
  if (lookup->link.next) list_remove(&lookup->link);
}
