#define _XOPEN_SOURCE 700

#include "fuzz/world/server_members.h"

#include <string.h>

#include "fuzz/fuzz.h"

/* ---- The part of JSON that is needed --------------------------------------------------------- */

/* Returns the end of the string at `at`, or NULL. */
static const char *skip_string(const char *at) {
  for (at++; *at && *at != '"'; at++) {
    if (*at == '\\' && at[1]) at++;
  }
  return *at ? at + 1 : NULL;
}

/* Returns the end of the value at `at`, or NULL. */
static const char *skip_value(const char *at) {
  size_t depth = 0;
  while (*at) {
    if (*at == '"') {
      at = skip_string(at);
      if (!at || depth == 0) return at;
      continue;
    }
    bool is_end = *at == '}' || *at == ']';
    if (depth == 0 && (is_end || *at == ',')) return at;
    if (*at == '{' || *at == '[') depth++;
    if (is_end) depth--;
    at++;
    if (is_end && depth == 0) return at;
  }
  return NULL;
}

const char *members_object_end(const char *text) { return *text == '{' ? skip_value(text) : NULL; }

void members_each(const char *text, void (*on_member)(void *context, const char *name, const char *value), void *context) {
  for (const char *at = text + 1; *at == '"';) {
    const char *value = skip_string(at), *end = value && *value == ':' ? skip_value(value + 1) : NULL;
    must(end);
    on_member(context, at + 1, value + 1);
    at = *end == ',' ? end + 1 : end;
  }
}

struct search {
  const char *name, *value;
};

static void compare(void *context, const char *name, const char *value) {
  struct search *search = context;
  size_t len = strlen(search->name);
  if (strncmp(name, search->name, len) == 0 && name[len] == '"') search->value = value;
}

const char *members_value(const char *text, const char *name) {
  struct search search = {.name = name};
  members_each(text, compare, &search);
  return search.value;
}

/* ---- Members --------------------------------------------------------------------------------- */

static size_t find(const struct members *members, const char *name, size_t len) {
  size_t i = 0;
  while (i < members->name_count && (strlen(members->names[i]) != len || memcmp(members->names[i], name, len) != 0)) i++;
  return i;
}

static void add(void *context, const char *name, const char *value) {
  struct members *members = context;
  size_t len = strcspn(name, "\"");
  (void)value;
  must(len < MEMBER_NAME_MAX);
  must(find(members, name, len) == members->name_count);
  if (members->name_count == MEMBERS_MAX) {
    members->has_names = false; /* more than are stored here */
    return;
  }
  snprintf(members->names[members->name_count++], MEMBER_NAME_MAX, "%.*s", (int)len, name);
}

static void take_left(struct members *members, const char *list) {
  for (const char *at = list + 1; *at == '"';) {
    size_t len = strcspn(at + 1, "\"");
    size_t i = find(members, at + 1, len);
    must(i < members->name_count);
    memmove(members->names[i], members->names[--members->name_count], MEMBER_NAME_MAX);
    at += len + 2;
    if (*at == ',') at++;
  }
}

void members_take(struct members *members, const char *object) {
  const char *count = members_value(object, "count"), *names = members_value(object, "members");
  const char *joined = members_value(object, "joined"), *left = members_value(object, "left");
  must(count);
  if (names) {
    *members = (struct members){.is_known = true, .has_names = true};
    members_each(names, add, members);
  } else if (!joined && !left && !members->has_names) {
    members->is_known = !members_value(object, "more"); /* only counts */
  }
  if (!members->is_known) return;
  if (members->has_names && left) take_left(members, left);
  if (members->has_names && joined) members_each(joined, add, members);
  members->count = (size_t)strtoul(count, NULL, 10);
  must(!members->has_names || members->name_count == members->count);
}

/* ---- Agreement ------------------------------------------------------------------------------- */

struct comparison {
  const struct members *members;
  bool agrees;
};

static void look_up(void *context, const struct mw_member *member) {
  struct comparison *comparison = context;
  size_t at = find(comparison->members, member->user_id.ptr, member->user_id.len);
  if (at == comparison->members->name_count) comparison->agrees = false;
}

bool members_agree(const struct members *members, struct mw_server *server, const char *channel) {
  struct comparison comparison = {members, true};
  if (!members->is_known) return true;
  size_t count =
      mw_channel_presence(server, channel, strlen(channel), NULL, members->has_names ? look_up : NULL, &comparison, NULL);
  return comparison.agrees && count == members->count;
}
