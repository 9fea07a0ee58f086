#include "fuzz/world/server_stray.h"

#include <string.h>

static void settle(struct mw_server *server) {
  for (int i = 0; i < 6; i++) mw_server_step(server);
}

void stray(struct mw_server *server, unsigned which, unsigned at, unsigned byte) {
  static const char *const texts[] = {
      "POST /send HTTP/1.1\r\nHost: t\r\nContent-Length: 60\r\n\r\n{\"send\":\"a\",\"event\":\"say\"}",
      "POST /send HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{\"ping\"\r\n6\r\n:true}\r\n0\r\n\r\n",
      "GET /sse?channel=b&channel=d&since=0 HTTP/1.1\r\nHost: t\r\n\r\nGET /health HTTP/1.1\r\nHost: t\r\n\r\n",
      "GET /poll?channel=a&since=0 HTTP/1.1\r\nHost: t\r\n\r\nGET /poll?channel=b&client= HTTP/1.1\r\nHost: t\r\n\r\n",
      "HEAD /sse?channel=c HTTP/1.1\r\nHost: t\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n",
      "GET /ws HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: "
      "13\r\nSec-WebSocket-Key: "
      "dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x80\1\1\1\1\x01\x81\1\1\1\1{\x80\x81\1\1\1\1|\x88\x82\1\1\1\1\2\xe9",
      "GET http://t/sse?channel=a HTTP/1.1\r\nHost: u\r\nContent-Length: 4\r\n\r\nbody",
      "POST /publish HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer no\r\nContent-Length: 2\r\n\r\n{}"};
  const char *text = texts[which % (sizeof texts / sizeof *texts)];
  char bytes[512];
  size_t len = strlen(text);
  struct mw_memory *memory;
  memcpy(bytes, text, len);
  if (at & 1) {
    len = at * 2 % len;
  } else {
    bytes[at * 2 % len] = (char)byte;
  }
  if (mw_connect_memory(server, &memory) < 0) return;
  mw_memory_write(memory, bytes, len);
  settle(server);
  if (which & 8) mw_memory_finish(memory);
  settle(server);
  mw_memory_close(memory);
}
