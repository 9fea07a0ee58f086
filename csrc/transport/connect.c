#include "transport/connect.h"

#include "base/memory.h"
#include "http/cors.h"
#include "http/request.h"

/* Copies the request without the user's cookies, with which a page that only "*" allows is not
 * trusted. */
static struct http_copy *copy_without_cookies(struct request *request, const struct http_source *source) {
  struct http_head head = *request->head;
  struct http_field *fields = memory_alloc((head.field_count + 1) * sizeof *fields);
  size_t count = 0;
  if (!fields) return NULL;
  for (size_t i = 0; i < head.field_count; i++) {
    if (!bytes_equal_nocase(head.fields[i].name, BYTES("cookie"))) fields[count++] = head.fields[i];
  }
  head.fields = fields;
  head.field_count = count;
  struct http_copy *copy = http_copy_new(&head, buffer_bytes(&request->path), request->body, source);
  memory_free(fields);
  return copy;
}

void connect_source(struct exchange *exchange, char remote[REMOTE_MAX], struct http_source *source) {
  exchange_remote(exchange, remote, REMOTE_MAX);
  *source = (struct http_source){
      .remote = remote, .scheme = exchange_scheme_text(exchange), .is_by_proxy = exchange_is_trusted(exchange)};
}

struct http_copy *connect_copy_http(struct exchange *exchange, struct request *request) {
  struct http_source source;
  char remote[REMOTE_MAX];
  connect_source(exchange, remote, &source);
  if (http_head_field(request->head, BYTES("cookie")).ptr && !cors_trusts(exchange)) {
    return copy_without_cookies(request, &source);
  }
  return http_copy_new(request->head, buffer_bytes(&request->path), request->body, &source);
}

struct script_job *connect_job(struct exchange *exchange, struct request *request, const char *transport,
                               const struct job_channel *channels, size_t channel_count) {
  struct mw_config *config = request->config;
  bool authenticates = config->options.authenticate;
  char remote[REMOTE_MAX];
  exchange_remote(exchange, remote, sizeof remote);
  struct mw_client *client = client_new(transport, remote);
  struct http_copy *copy = client && authenticates ? connect_copy_http(exchange, request) : NULL;
  struct script_job *job = NULL;
  if (client && (copy || !authenticates)) job = job_new(JOB_JOIN, config, client, copy, channels, channel_count);
  if (!job) memory_free(copy);
  if (job && !job_connect(job)) {
    job_unref(job);
    job = NULL;
  }
  mw_client_unref(client);
  return job;
}

struct script_job *connect_permit_job(struct exchange *exchange, struct request *request, const char *transport,
                                      const struct job_channel *channels, size_t channel_count) {
  struct script_job *job = connect_job(exchange, request, transport, channels, channel_count);
  if (!job) return NULL;
  /* Authorized as the sender of one message, which is a client for just that; but there is no
   * message. */
  atomic_store(&job->client->gone, true);
  job->type = JOB_MESSAGE;
  job->connects = false;
  job->transient = true;
  job->relayed = true;
  job->permits = true;
  return job;
}
