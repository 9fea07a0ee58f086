#define _POSIX_C_SOURCE 200809L /* gmtime_r */

#include "codec/http/http_writer.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

#include "codec/http/http_head.h"

const struct bytes http_last_chunk = {"0\r\n\r\n", 5};

const char *http_reason(int status) {
  switch (status) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 203: return "Non-Authoritative Information";
    case 204: return "No Content";
    case 205: return "Reset Content";
    case 206: return "Partial Content";
    case 300: return "Multiple Choices";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 402: return "Payment Required";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 426: return "Upgrade Required";
    case 428: return "Precondition Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 451: return "Unavailable For Legal Reasons";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default: return "Unknown";
  }
}

/* Does not use strftime, whose names depend on the locale of the host. */
void http_date(char out[30], uint64_t wall_ms) {
  static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  /* the end of the year 9999, the last with four digits */
  const uint64_t last_ms = UINT64_C(253402300799999);
  time_t seconds = (time_t)((wall_ms < last_ms ? wall_ms : last_ms) / 1000);
  struct tm tm = {0};
  gmtime_r(&seconds, &tm);
  char text[80]; /* the compiler does not know that the numbers are small */
  (void)snprintf(text, sizeof(text), "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
                 tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
  memcpy(out, text, 29);
  out[29] = '\0';
}

void http_write_status(struct buffer *out, int status, uint64_t wall_ms) {
  char date[30];
  assert(status >= 100 && status <= 999);
  http_date(date, wall_ms);
  buffer_append_format(out, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status, http_reason(status), date);
}

bool http_write_field(struct buffer *out, struct bytes name, struct bytes value) {
  if (!http_token_valid(name) || !http_value_valid(value)) return false;
  buffer_append(out, name);
  buffer_append(out, BYTES(": "));
  buffer_append(out, value);
  buffer_append(out, BYTES("\r\n"));
  return true;
}

void http_write_end(struct buffer *out) { buffer_append(out, BYTES("\r\n")); }

size_t http_chunk_head(char out[CHUNK_HEAD_MAX], size_t len) {
  assert(len > 0); /* an empty chunk would end the body */
  size_t digits = 1;
  for (size_t left = len >> 4; left > 0; left >>= 4) digits++;
  for (size_t i = digits; i > 0; i--, len >>= 4) out[i - 1] = "0123456789abcdef"[len & 15];
  out[digits] = '\r';
  out[digits + 1] = '\n';
  return digits + 2;
}
