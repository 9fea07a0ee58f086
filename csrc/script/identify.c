#include "script/identify.h"

#include "auth/token.h"
#include "base/log_limit.h"
#include "codec/http/cookie.h"
#include "codec/json_scan.h"
#include "script/script.h"

int identify_as(struct script_job *job, struct blob *user) {
  int status = client_set_user(job->client, user);
  if (status == MW_ENOMEM) job_refuse(job, 503, "unavailable", "out of memory");
  if (status == MW_EINVAL) job_refuse(job, 403, "forbidden", "the token belongs to another user");
  return status;
}

static void refuse_identity(struct script_job *job, const char *code, const char *reason) {
  log_limited(MW_LOG_DEBUG, "refused a client of %s: %s", job->client->remote, reason);
  job_refuse(job, 401, code, reason);
}

/* ---- Tokens ---------------------------------------------------------------------------------- */

static struct bytes find_cookie(const struct mw_http *http, const char *wanted) {
  struct bytes name, value;
  for (size_t i = 0; wanted && i < http->field_count; i++) {
    struct bytes field = bytes_of(http->fields[i].name.ptr, http->fields[i].name.len);
    struct bytes rest = bytes_of(http->fields[i].value.ptr, http->fields[i].value.len);
    if (!bytes_equal_nocase(field, BYTES("cookie"))) continue;
    while (cookie_next(&rest, &name, &value)) {
      if (bytes_equal(name, bytes_string(wanted))) return value;
    }
  }
  return bytes_of(NULL, 0);
}

static void identify_by_claims(struct script_job *job, const struct token_facts *facts) {
  struct json_value value;
  /* What others embed in JSON must be what json_scan accepts, which limits the depth. */
  if (!json_scan(buffer_bytes(&facts->claims), &value, NULL)) {
    refuse_identity(job, "unauthorized", "the claims of the token are nested too deeply");
    return;
  }
  struct blob *user = blob_new(value.raw);
  if (!user) {
    job_refuse(job, 503, "unavailable", "out of memory");
  } else if (identify_as(job, user) == 0) {
    job->is_identified = true;
    job->expires_ms = facts->expires_ms;
  }
}

static void identify_by_token(struct script *script, struct script_job *job, struct mw_token *token) {
  const struct mw_http *http = &job->http->http;
  struct bytes text = bytes_of(http->token.ptr, http->token.len);
  struct token_facts facts;
  const char *fault;
  if (text.len == 0) text = find_cookie(http, token_cookie(token));
  int status = token_check(token, text, script->loop->clock.wall_ms, &facts, &fault);
  if (status == MW_ENOMEM) {
    job_refuse(job, 503, "unavailable", fault);
  } else if (status < 0) {
    refuse_identity(job, status == MW_EEXPIRED ? "token_expired" : "unauthorized", fault);
  } else {
    identify_by_claims(job, &facts);
    buffer_deinit(&facts.claims);
  }
}

/* ---- Tickets --------------------------------------------------------------------------------- */

static void identify_by_ticket(struct script *script, struct script_job *job, struct bytes text) {
  struct ticket ticket;
  if (!tickets_redeem(&script->tickets, text, script->loop->clock.now_ms, &ticket)) {
    refuse_identity(job, "unauthorized", "the ticket is unknown, was used, or has expired");
  } else if (ticket.expires_ms > 0 && ticket.expires_ms <= script->loop->clock.wall_ms) {
    blob_unref(ticket.user);
    refuse_identity(job, "token_expired", "the token of the ticket's user has expired");
  } else if (identify_as(job, ticket.user) == 0) {
    job->is_identified = true;
    job->expires_ms = ticket.expires_ms;
  }
}

bool identify_client(struct script *script, struct script_job *job) {
  struct mw_token *token = job->config->options.token;
  struct bytes ticket = bytes_of(job->http->http.ticket.ptr, job->http->http.ticket.len);
  if (ticket.len > 0) {
    identify_by_ticket(script, job, ticket);
  } else if (token) {
    identify_by_token(script, job, token);
  } else {
    return false;
  }
  return true;
}
