#include "dialect/native_members.h"

/* The maximum bytes of a page, and of {"count":,"members":{}} with the digits of any count. */
enum { PAGE_BYTES = 256 * 1024, SNAPSHOT_FRAME = 44 };

static const char member_frame[] = ",:{\"info\":,\"connections\":}";

static void write_member(struct buffer *out, const struct roster_member *member) {
  buffer_append(out, member->key);
  buffer_append_string(out, ":{\"info\":");
  buffer_append(out, member->info);
  buffer_append_string(out, ",\"connections\":");
  buffer_append_u64(out, member->connections);
  buffer_append_char(out, '}');
}

static void write_count(struct buffer *out, const struct roster *roster) {
  buffer_append_string(out, "{\"count\":");
  buffer_append_u64(out, roster ? roster->count : 0);
}

/* Writes the members after `after` that fit into the query. *last is the last one; its key is empty
 * if there are none. Returns true if others follow. */
static bool write_members(struct buffer *out, const struct roster *roster, const struct roster_query *query,
                          struct roster_member *last) {
  struct roster_member member;
  const struct bytes *after = query->after.len > 0 ? &query->after : NULL;
  bool more;
  size_t start = out->len, count = 0;
  *last = (struct roster_member){.connections = 0};
  buffer_append_string(out, ",\"members\":{");
  while ((more = roster_next(roster, after, &member)) && !out->failed) {
    size_t before = out->len;
    if (query->limit > 0 && count >= query->limit) break;
    if (count > 0) buffer_append_char(out, ',');
    write_member(out, &member);
    if (count > 0 && !out->failed && out->len - start > query->bytes) {
      out->len = before;
      break;
    }
    count++;
    *last = member;
    after = &last->id;
  }
  buffer_append_char(out, '}');
  return more;
}

static struct blob *take(struct buffer *out) {
  struct blob *blob = out->failed ? NULL : blob_new(buffer_bytes(out));
  buffer_deinit(out);
  return blob;
}

size_t native_members_len(const struct roster *roster) {
  return roster->texts_len + roster->members.count * strlen(member_frame);
}

struct blob *native_members_snapshot(const struct hub *hub, struct bytes channel, bool counts_only, size_t most) {
  static const struct roster_query all = {.bytes = SIZE_MAX};
  struct roster *roster;
  struct roster_member last;
  struct buffer out;
  if (!hub_roster(hub, channel, &roster)) return NULL;
  struct blob *kept = roster_text(roster, member_frame);
  if (kept && kept->len <= most) return blob_ref(kept);
  buffer_init(&out);
  write_count(&out, roster);
  if (!counts_only && roster && native_members_len(roster) + SNAPSHOT_FRAME > most) {
    buffer_append_string(&out, ",\"more\":true}");
    return take(&out);
  }
  if (!counts_only) write_members(&out, roster, &all, &last);
  buffer_append_char(&out, '}');
  struct blob *blob = take(&out);
  if (blob && !kept) roster_keep_text(roster, member_frame, blob);
  return blob;
}

bool native_members_page(const struct hub *hub, struct bytes channel, const struct roster_query *query, struct buffer *out) {
  struct roster *roster;
  struct roster_member last;
  if (!hub_roster(hub, channel, &roster)) return false;
  write_count(out, roster);
  bool more = write_members(out, roster, query, &last);
  buffer_append_string(out, more ? ",\"more\":true" : ",\"more\":false");
  if (more && last.key.len > 0) {
    buffer_append_string(out, ",\"after\":");
    buffer_append(out, last.key);
  }
  buffer_append_char(out, '}');
  return true;
}

void native_members_share(struct rope *out, const struct told *told) {
  const struct job_channel *channel = told->channel;
  bool counts_only = channel->kind->presence == MW_PRESENCE_COUNTS;
  struct blob *snapshot = native_members_snapshot(told->hub, channel->name, counts_only, *told->room);
  rope_share(out, snapshot);
  if (snapshot) *told->room -= snapshot->len < *told->room ? snapshot->len : *told->room;
  blob_unref(snapshot);
}

void native_members_write_page(struct rope *out, const struct told *told, const struct roster_query *query) {
  struct roster_query part = *query;
  part.bytes = *told->room < PAGE_BYTES ? *told->room : PAGE_BYTES;
  if (told->channel->kind->presence == MW_PRESENCE_COUNTS) {
    native_members_share(out, told);
  } else if (!native_members_page(told->hub, told->channel->name, &part, &out->text)) {
    out->text.failed = true;
  }
}
