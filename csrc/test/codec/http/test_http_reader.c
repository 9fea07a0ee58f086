#include <stdlib.h>

#include "base/memory.h"
#include "codec/http/http_reader.h"
#include "test/support.h"
#include "test/support/http_trace.h"

/* Small ones, so that a table can show what happens at each. */
static const struct http_limits limits = {.target = 48, .head = 320, .fields = 5, .body = 20};

struct http_case {
  const char *name;
  struct bytes input;
  const char *trace;
};

#define H "Host: a\r\n"
#define T16 "0123456789abcdef"
#define T64 T16 T16 T16 T16
#define T256 T64 T64 T64 T64
#define RAW_BYTE "invalid byte in the request target; percent-encode bytes outside printable ASCII (a-umlaut is %C3%A4)"
#define CHUNKED "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
#define CHUNKED_HEAD "HEAD 1.1 POST / keep-alive length [Host: a] [Transfer-Encoding: chunked] @56\n"
#define REFUSED(input, status, reason)                                                                                           \
  { input " -> " reason, {input, sizeof(input) - 1}, "ERROR " #status " " reason "\n" }
#define REFUSED_BODY(body, status, reason)                                                                                       \
  { body " -> " reason, {CHUNKED body, sizeof(CHUNKED body) - 1}, CHUNKED_HEAD "ERROR " #status " " reason "\n" }
#define READ(name, input, trace)                                                                                                 \
  { name, {input, sizeof(input) - 1}, trace }

static const struct http_case accepted[] = {
    READ("get", "GET /a/b?c=d&e HTTP/1.1\r\n" H "\r\n", "HEAD 1.1 GET /a/b?c=d&e keep-alive [Host: a] @36\nDONE  @36\n"),
    READ("nothing", "", ""),
    READ("half a head", "GET / HTTP/1.1\r\n" H, ""),
    READ("an empty query", "GET /a? HTTP/1.1\r\n" H "\r\n", "HEAD 1.1 GET /a keep-alive [Host: a] @29\nDONE  @29\n"),
    READ("a second question mark", "GET /a?b?c HTTP/1.1\r\n" H "\r\n",
         "HEAD 1.1 GET /a?b?c keep-alive [Host: a] @32\nDONE  @32\n"),
    READ("white space around values", "GET / HTTP/1.1\r\nHost:a\r\nX: \t b c\t \r\nY:\r\nZ: \r\n\r\n",
         "HEAD 1.1 GET / keep-alive [Host: a] [X: b c] [Y: ] [Z: ] @47\nDONE  @47\n"),
    READ("bytes above ASCII in a value", "GET / HTTP/1.1\r\n" H "X: \xc3\xa9\xff\r\n\r\n",
         "HEAD 1.1 GET / keep-alive [Host: a] [X: \xc3\xa9\xff] @35\nDONE  @35\n"),
    READ("as many fields as allowed", "GET / HTTP/1.1\r\n" H "1: \r\n2: \r\n3: \r\n4: \r\n\r\n",
         "HEAD 1.1 GET / keep-alive [Host: a] [1: ] [2: ] [3: ] [4: ] @47\nDONE  @47\n"),
    READ("the longest target", "GET /" T16 T16 "0123456789abcde HTTP/1.1\r\n" H "\r\n",
         "HEAD 1.1 GET /" T16 T16 "0123456789abcde keep-alive [Host: a] @74\nDONE  @74\n"),
    READ("an empty line first", "\r\nGET / HTTP/1.1\r\n" H "\r\n", "HEAD 1.1 GET / keep-alive [Host: a] @29\nDONE  @29\n"),
    READ("an empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "HEAD 1.1 GET / keep-alive [Host: ] @25\nDONE  @25\n"),
    READ("an IPv6 host", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
         "HEAD 1.1 GET / keep-alive [Host: [::1]:80] @34\nDONE  @34\n"),

    READ("1.0", "GET / HTTP/1.0\r\n\r\n", "HEAD 1.0 GET / @18\nDONE  @18\n"),
    READ("1.0 kept alive", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n",
         "HEAD 1.0 GET / keep-alive [Connection: keep-alive] @42\nDONE  @42\nHEAD 1.0 GET /b @61\nDONE  @61\n"),
    READ("1.0 does not upgrade", "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
         "HEAD 1.0 GET / [Connection: upgrade] [Upgrade: websocket] @59\nDONE  @59\n"),
    READ("1.0 passes over 100-continue", "PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
         "HEAD 1.0 PUT / length [Expect: 100-continue] [Content-Length: 1] @59\nDONE x @60\n"),
    READ("close", "GET / HTTP/1.1\r\n" H "Connection: foo, Close\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n",
         "HEAD 1.1 GET / [Host: a] [Connection: foo, Close] @51\nDONE  @51\n"),
    READ("close in a second field", "GET / HTTP/1.1\r\n" H "Connection: keep-alive\r\nConnection: close\r\n\r\n\x16\x03",
         "HEAD 1.1 GET / [Host: a] [Connection: keep-alive] [Connection: close] @70\nDONE  @70\n"),
    READ("pipelined", "GET /1 HTTP/1.1\r\n" H "\r\nHEAD /2 HTTP/1.1\r\n" H "\r\nGET /3",
         "HEAD 1.1 GET /1 keep-alive [Host: a] @28\nDONE  @28\nHEAD 1.1 HEAD /2 keep-alive [Host: a] @57\nDONE  @57\n"),

    READ("absolute", "GET http://A/b?c HTTP/1.1\r\n" H "\r\n", "HEAD 1.1 GET /b?c keep-alive [Host: A] @38\nDONE  @38\n"),
    READ("absolute without a path", "GET HTTPS://a HTTP/1.1\r\n" H "\r\n",
         "HEAD 1.1 GET / keep-alive [Host: a] @35\nDONE  @35\n"),
    READ("absolute with a query only", "GET http://a?b/c HTTP/1.1\r\n" H "\r\n",
         "HEAD 1.1 GET /?b/c keep-alive [Host: a] @38\nDONE  @38\n"),
    READ("absolute with another Host", "GET http://b.example:80/c HTTP/1.1\r\n" H "X: a\r\n\r\n",
         "HEAD 1.1 GET /c keep-alive [Host: b.example:80] [X: a] @53\nDONE  @53\n"),
    READ("absolute with another Host and no path", "OPTIONS http://b?c HTTP/1.1\r\n" H "\r\n",
         "HEAD 1.1 OPTIONS /?c keep-alive [Host: b] @40\nDONE  @40\n"),
    READ("absolute with the longest host", "GET http://0123456789abcdef0123456789abcdef012345678 HTTP/1.1\r\n" H "\r\n",
         "HEAD 1.1 GET / keep-alive [Host: 0123456789abcdef0123456789abcdef012345678] @74\nDONE  @74\n"),
    READ("absolute with an address", "GET http://[::1]:8080 HTTP/1.1\r\n" H "\r\n",
         "HEAD 1.1 GET / keep-alive [Host: [::1]:8080] @43\nDONE  @43\n"),
    READ("absolute on 1.0", "GET http://a/ HTTP/1.0\r\n\r\n", "HEAD 1.0 GET / @26\nDONE  @26\n"),
    READ("options of the server", "OPTIONS * HTTP/1.1\r\n" H "\r\n", "HEAD 1.1 OPTIONS * keep-alive [Host: a] @31\nDONE  @31\n"),

    READ("a body", "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n" H "\r\n",
         "HEAD 1.1 POST / keep-alive length [Host: a] [Content-Length: 5] @47\nDONE hello @52\n"
         "HEAD 1.1 GET / keep-alive [Host: a] @79\nDONE  @79\n"),
    READ("a body and a line end too many", "POST / HTTP/1.1\r\n" H "content-length: 02\r\n\r\nhi\r\nGET / HTTP/1.0\r\n\r\n",
         "HEAD 1.1 POST / keep-alive length [Host: a] [content-length: 02] @48\nDONE hi @50\nHEAD 1.0 GET / @70\nDONE  @70\n"),
    READ("a body of no bytes", "POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n",
         "HEAD 1.1 POST / keep-alive length [Host: a] [Content-Length: 0] @47\nDONE  @47\n"),
    READ("the longest body", "PUT / HTTP/1.1\r\n" H "Content-Length: 20\r\n\r\n" T16 "ghij",
         "HEAD 1.1 PUT / keep-alive length [Host: a] [Content-Length: 20] @47\nDONE " T16 "ghij @67\n"),
    READ("100-continue", "PUT / HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\nx",
         "HEAD 1.1 PUT / keep-alive length continue [Host: a] [Expect: 100-Continue] [Content-Length: 1] @68\nDONE x @69\n"),
    READ("100-continue with nothing to continue", "GET / HTTP/1.1\r\n" H "Expect: 100-continue\r\n\r\n",
         "HEAD 1.1 GET / keep-alive [Host: a] [Expect: 100-continue] @49\nDONE  @49\n"),

    READ("chunks", CHUNKED "5\r\nhello\r\n00A;a=b;c=\"d\"\r\n0123456789\r\n0\r\n\r\n", CHUNKED_HEAD "DONE hello0123456789 @98\n"),
    READ("no chunks", "POST / HTTP/1.1\r\n" H "Transfer-Encoding:  ChunKed \r\n\r\n0\r\n\r\nGET / HTTP/1.0\r\n\r\n",
         "HEAD 1.1 POST / keep-alive length [Host: a] [Transfer-Encoding: ChunKed] @58\nDONE  @63\nHEAD 1.0 GET / @81\nDONE  "
         "@81\n"),
    READ("the longest body in chunks", CHUNKED "10\r\n" T16 "\r\n4\r\nghij\r\n0\r\n\r\n", CHUNKED_HEAD "DONE " T16 "ghij @92\n"),
    READ("a trailer", CHUNKED "1\r\nx\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\nGET / HTTP/1.0\r\n\r\n",
         CHUNKED_HEAD "DONE x @83\nHEAD 1.0 GET / @101\nDONE  @101\n"),
    READ("as many trailer fields as there may be", CHUNKED "0\r\n1:\r\n2:\r\n3:\r\n4:\r\n5:\r\n\r\n", CHUNKED_HEAD "DONE  @81\n"),
    READ("chunks do not end", CHUNKED "1\r\nx\r\n", CHUNKED_HEAD),

    READ("an upgrade", "GET /ws HTTP/1.1\r\n" H "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x00GET /",
         "HEAD 1.1 GET /ws upgrade [Host: a] [Connection: keep-alive, Upgrade] [Upgrade: websocket] @82\nDONE  @82\n"),
    READ("an upgrade to another protocol, and a pipelined request",
         "GET /a HTTP/1.1\r\n" H "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\nGET /b HTTP/1.1\r\n" H "\r\n",
         "HEAD 1.1 GET /a keep-alive [Host: a] [Connection: Upgrade] [Upgrade: h2c] @63\nDONE  @63\n"
         "HEAD 1.1 GET /b keep-alive [Host: a] @91\nDONE  @91\n"),
    READ("the offer of the JDK's client",
         "GET / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\n" H
         "HTTP2-Settings: AAEAAEAAAAIAAAAB\r\nUpgrade: h2c\r\n\r\nGET",
         "HEAD 1.1 GET / keep-alive [Connection: Upgrade, HTTP2-Settings] [Host: a] [HTTP2-Settings: AAEAAEAAAAIAAAAB] [Upgrade: "
         "h2c] @112\nDONE  @112\n"),
    READ("an upgrade to another protocol by GET with a body",
         "GET / HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.0\r\n\r\n",
         "HEAD 1.1 GET / keep-alive length [Host: a] [Connection: upgrade] [Upgrade: h2c] [Content-Length: 3] @81\nDONE abc "
         "@84\nHEAD 1.0 GET / @102\nDONE  @102\n"),
    READ("an upgrade to another protocol by GET with chunks",
         "GET / HTTP/1.1\r\n" H
         "Connection: upgrade\r\nUpgrade: TLS/1.2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\nGET",
         "HEAD 1.1 GET / keep-alive length [Host: a] [Connection: upgrade] [Upgrade: TLS/1.2] [Transfer-Encoding: chunked] "
         "@94\nDONE ab @106\n"),
    READ("another protocol that is not kept alive",
         "GET / HTTP/1.1\r\n" H "Connection: upgrade, close\r\nUpgrade: h2c\r\n\r\nGET / HTTP/1.0\r\n\r\n",
         "HEAD 1.1 GET / [Host: a] [Connection: upgrade, close] [Upgrade: h2c] @69\nDONE  @69\n"),
    READ("two protocols, one of which is WebSocket",
         "GET / HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: h2c, WebSocket\r\n\r\nGET / HTTP/1.0\r\n\r\n",
         "HEAD 1.1 GET / upgrade [Host: a] [Connection: upgrade] [Upgrade: h2c, WebSocket] @73\nDONE  @73\n"),
    READ("WebSocket offered by another method", "HEAD / HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: websocket\r\n\r\nGET",
         "HEAD 1.1 HEAD / keep-alive [Host: a] [Connection: upgrade] [Upgrade: websocket] @69\nDONE  @69\n"),
    READ("a minor version above 1", "GET /a HTTP/1.2\r\n" H "\r\nGET /b HTTP/1.9\r\n" H "Connection: close\r\n\r\n",
         "HEAD 1.1 GET /a keep-alive [Host: a] @28\nDONE  @28\nHEAD 1.1 GET /b [Host: a] [Connection: close] @75\nDONE  @75\n"),
    READ("a body and chunks of HTTP/1.2", "PUT / HTTP/1.2\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
         "HEAD 1.1 PUT / keep-alive length [Host: a] [Transfer-Encoding: chunked] @55\nDONE x @66\n"),
    READ("Upgrade without Connection", "GET / HTTP/1.1\r\n" H "Upgrade: websocket\r\n\r\n",
         "HEAD 1.1 GET / keep-alive [Host: a] [Upgrade: websocket] @47\nDONE  @47\n"),
    READ("an upgrade offered with a body",
         "POST / HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\nxGET / HTTP/1.0\r\n\r\n",
         "HEAD 1.1 POST / keep-alive length [Host: a] [Connection: upgrade] [Upgrade: h2c] [Content-Length: 1] @82\nDONE x @83\n"
         "HEAD 1.0 GET / @101\nDONE  @101\n"),
    READ("an upgrade offered with chunks",
         "POST / HTTP/1.1\r\n" H
         "Connection: upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nGET / HTTP/1.0\r\n\r\n",
         "HEAD 1.1 POST / keep-alive length [Host: a] [Connection: upgrade] [Upgrade: h2c] [Transfer-Encoding: chunked] @91\n"
         "DONE x @102\nHEAD 1.0 GET / @120\nDONE  @120\n"),
};

static const struct http_case refused[] = {
    REFUSED("\x16\x03\x01", 400, "the request line must begin with a method, such as GET"),
    REFUSED(" GET / HTTP/1.1\r\n", 400, "the request line must begin with a method, such as GET"),
    REFUSED("\nGET / HTTP/1.1\r\n", 400, "the request line must begin with a method, such as GET"),
    REFUSED("\r\n\r\nGET / HTTP/1.1\r\n", 400, "more than one empty line before the request"),
    REFUSED("G{T / HTTP/1.1\r\n", 400, "the request line must begin with a method, such as GET"),
    REFUSED("GET\r\n", 400, "empty request target"),
    REFUSED("GET  / HTTP/1.1\r\n", 400, "empty request target"),
    REFUSED("GET /\t HTTP/1.1\r\n", 400, RAW_BYTE),
    REFUSED("GET /\xc3\xa9 HTTP/1.1\r\n", 400, RAW_BYTE),
    REFUSED("GET /a?b=\xc3\xa9 HTTP/1.1\r\n", 400, RAW_BYTE),
    REFUSED("GET /a?b=\xff HTTP/1.1\r\n", 400, RAW_BYTE),
    REFUSED("GET http://a/\xc3\xa9 HTTP/1.1\r\n", 400, RAW_BYTE),
    REFUSED("GET /a?b=\x7f HTTP/1.1\r\n", 400, RAW_BYTE),
    REFUSED("GET /\0 HTTP/1.1\r\n", 400, RAW_BYTE),
    REFUSED("GET /\r HTTP/1.1\r\n", 400, RAW_BYTE),
    REFUSED("GET / http/1.1\r\n", 400, "the request line must end in a version, such as HTTP/1.1"),
    REFUSED("GET / HTTP/1.1 \r\n", 400, "the request line must end in a version, such as HTTP/1.1"),
    REFUSED("GET / HTTP/1.10\r\n", 400, "the request line must end in a version, such as HTTP/1.1"),
    REFUSED("GET /  HTTP/1.1\r\n", 400, "the request line must end in a version, such as HTTP/1.1"),
    REFUSED("GET / HTTP/11\r\n", 400, "the request line must end in a version, such as HTTP/1.1"),
    REFUSED("GET /\r\n", 505, "HTTP/0.9 is not supported"),
    REFUSED("GET / HTTP/0.9\r\n", 505, "only HTTP/1.0 and HTTP/1.1 are supported"),
    REFUSED("GET / HTTP/2.0\r\n", 505, "only HTTP/1.0 and HTTP/1.1 are supported"),
    REFUSED("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "only HTTP/1.0 and HTTP/1.1 are supported"),
    REFUSED("GET /x\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 400, "a line of the request head must end in CRLF"),
    REFUSED("GET / HTTP/1.1\nHost: a\n\n", 400, "a line of the request head must end in CRLF"),
    REFUSED("GET / HTTP/1.1\r\nHost: a\n\r\n", 400, "a line of the request head must end in CRLF"),
    REFUSED("GET / HTTP/1.1\r\n" H "\n", 400, "a line of the request head must end in CRLF"),
    REFUSED("GET /" T16 T16 T16 " HTTP/1.1\r\n", 414, "the request target is longer than limits.target"),
    REFUSED("GET /" T256 T64, 414, "the request line is longer than limits.head"),

    REFUSED("FOO / HTTP/1.1\r\n" H "\r\n", 501, "unknown method"),
    REFUSED("FOO / HTTP/1.1\r\n\r\n", 501, "unknown method"),
    REFUSED("get / HTTP/1.1\r\n" H "\r\n", 501, "unknown method"),
    REFUSED("GETS / HTTP/1.1\r\n" H "\r\n", 501, "unknown method"),
    REFUSED("PRI * HTTP/1.1\r\n" H "\r\n", 501, "unknown method"),
    REFUSED("PLAY / HTTP/1.1\r\n" H "\r\n", 501, "unknown method"),
    REFUSED("CONNECT a:80 HTTP/1.1\r\n", 501, "CONNECT is not supported: this server is not a proxy"),

    REFUSED("GET a HTTP/1.1\r\n" H "\r\n", 400, "malformed request target"),
    REFUSED("GET ftp://a/ HTTP/1.1\r\n" H "\r\n", 400, "the request target must be a path or a URL"),
    REFUSED("GET http:///b HTTP/1.1\r\n" H "\r\n", 400, "no host in the request target"),
    REFUSED("GET http://b HTTP/1.1\r\n\r\n", 400, "missing Host header"),
    REFUSED("GET http://b HTTP/1.1\r\n" H H "\r\n", 400, "more than one Host header"),
    REFUSED("GET http://b HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "malformed Host header"),
    REFUSED("GET http://?a HTTP/1.1\r\n" H "\r\n", 400, "no host in the request target"),
    REFUSED("GET http://a#b HTTP/1.1\r\n" H "\r\n", 400, "malformed request target"),
    REFUSED("GET http://u@a/ HTTP/1.1\r\n" H "\r\n", 400, "no host in the request target"),
    REFUSED("GET * HTTP/1.1\r\n" H "\r\n", 400, "the request target * is allowed only with OPTIONS"),
    REFUSED("GET /#a HTTP/1.1\r\n" H "\r\n", 400, "the request target must not have a fragment"),

    REFUSED("GET / HTTP/1.1\r\n\r\n", 400, "missing Host header"),
    REFUSED("GET / HTTP/1.1\r\n" H H "\r\n", 400, "more than one Host header"),
    REFUSED("GET / HTTP/1.0\r\n" H H "\r\n", 400, "more than one Host header"),
    REFUSED("GET / HTTP/1.1\r\nHost: a, b/c\r\n\r\n", 400, "malformed Host header"),
    REFUSED("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, "malformed header name"),
    REFUSED("GET / HTTP/1.1\r\nHost\r\n\r\n", 400, "malformed header name"),
    REFUSED("GET / HTTP/1.1\r\n: a\r\n\r\n", 400, "malformed header name"),
    REFUSED("GET / HTTP/1.1\r\nH\xc3\xb6st: a\r\n\r\n", 400, "malformed header name"),
    REFUSED("GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n", 400, "control character in a header value"),
    REFUSED("GET / HTTP/1.1\r\n" H "X: a\rb\r\n\r\n", 400, "control character in a header value"),
    REFUSED("GET / HTTP/1.1\r\n" H "X: a\x7f\r\n\r\n", 400, "control character in a header value"),
    REFUSED("GET / HTTP/1.1\r\n" H "X: a\r\r\n\r\n", 400, "control character in a header value"),
    REFUSED("GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n", 400, "a header must not continue on the next line"),
    REFUSED("GET / HTTP/1.1\r\n\tX: a\r\n\r\n", 400, "a header must not continue on the next line"),
    REFUSED("GET / HTTP/1.1\r\n1:\r\n2:\r\n3:\r\n4:\r\n5:\r\n6:\r\n", 431, "more headers than limits.fields"),
    REFUSED("GET / HTTP/1.1\r\nX: " T256 T64, 431, "the request head is larger than limits.head"),
    REFUSED("GET / HTTP/1.1\r\nX: " T64 "\r\nX: " T64 "\r\nX: " T64 "\r\nX: " T64 "\r\nX: " T64 "\r\n\r\n", 431,
            "the request head is larger than limits.head"),

    REFUSED("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
            "Content-Length and Transfer-Encoding cannot be combined"),
    REFUSED("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400,
            "Content-Length and Transfer-Encoding cannot be combined"),
    REFUSED("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400, "more than one Content-Length header"),
    REFUSED("POST / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\n", 400, "Content-Length is not a number"),
    REFUSED("POST / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\n", 400, "Content-Length is not a number"),
    REFUSED("POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n", 400, "Content-Length is not a number"),
    REFUSED("POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", 400, "Content-Length is not a number"),
    REFUSED("POST / HTTP/1.1\r\n" H "Content-Length: 0x5\r\n\r\n", 400, "Content-Length is not a number"),
    REFUSED("POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551616\r\n\r\n", 400, "Content-Length is not a number"),
    REFUSED("POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551615\r\n\r\n", 413,
            "the request body is larger than limits.body"),
    REFUSED("POST / HTTP/1.1\r\n" H "Content-Length: 21\r\n\r\n", 413, "the request body is larger than limits.body"),
    REFUSED("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "Transfer-Encoding is not allowed with HTTP/1.0"),
    REFUSED("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
            "more than one Transfer-Encoding header"),
    REFUSED("POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", 501, "unsupported transfer coding; use chunked"),
    REFUSED("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, gzip\r\n\r\n", 501, "unsupported transfer coding; use chunked"),
    REFUSED("POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n", 501, "unsupported transfer coding; use chunked"),
    REFUSED("POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n", 501, "unsupported transfer coding; use chunked"),
    REFUSED("POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n", 501, "unsupported transfer coding; use chunked"),
    REFUSED("GET / HTTP/1.1\r\n" H "Origin: http://a\r\norigin: http://a\r\n\r\n", 400, "more than one Origin header"),
    REFUSED("GET / HTTP/1.1\r\n" H "Origin: http://a\r\nX: y\r\nOrigin: null\r\n\r\n", 400, "more than one Origin header"),
    REFUSED("GET / HTTP/1.0\r\nOrigin:\r\nOrigin:\r\n\r\n", 400, "more than one Origin header"),
    REFUSED("POST / HTTP/1.1\r\n" H "Content-Type: text/plain\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n",
            400, "more than one Content-Type header"),
    REFUSED("GET / HTTP/1.1\r\n" H "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n", 400,
            "more than one Authorization header"),
    REFUSED("PUT / HTTP/1.1\r\n" H "Expect: 200-ok\r\n\r\n", 417, "unsupported Expect header; use 100-continue"),
    REFUSED("GET / HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\n", 400,
            "a request with Upgrade must not have a body"),

    REFUSED_BODY("\r\n", 400, "malformed chunk size"),
    REFUSED_BODY("x\r\n", 400, "malformed chunk size"),
    REFUSED_BODY("0x1\r\n", 400, "malformed chunk size"),
    REFUSED_BODY("-1\r\n", 400, "malformed chunk size"),
    REFUSED_BODY(" 1\r\n", 400, "malformed chunk size"),
    REFUSED_BODY("1 \r\n", 400, "malformed chunk size"),
    REFUSED_BODY("10000000000000000\r\n", 400, "malformed chunk size"),
    REFUSED_BODY("1;a\x01\r\n", 400, "malformed chunk extension"),
    REFUSED_BODY("1;a\rb\r\n", 400, "malformed chunk extension"),
    REFUSED_BODY(";a\r\n", 400, "malformed chunk size"),
    REFUSED_BODY("1\nx", 400, "a line of a chunked body must end in CRLF"),
    REFUSED_BODY("1\r\nx\n", 400, "a line of a chunked body must end in CRLF"),
    REFUSED_BODY("1\r\nxyz", 400, "a chunk is longer than its size"),
    REFUSED_BODY("1;" T256, 400, "the size line of a chunk is too long"),
    REFUSED_BODY("15\r\n", 413, "the request body is larger than limits.body"),
    REFUSED_BODY("10\r\n" T16 "\r\n5\r\n", 413, "the request body is larger than limits.body"),
    REFUSED_BODY("ffffffffffffffff\r\n", 413, "the request body is larger than limits.body"),
    REFUSED_BODY("0\r\n1:\r\n2:\r\n3:\r\n4:\r\n5:\r\n6:\r\n", 431, "more trailer fields than limits.fields"),
    REFUSED_BODY("0\r\nX: " T256 T64, 431, "the trailer is larger than limits.head"),
    REFUSED_BODY("0\r\nX: " T64 T64 T16 "\r\nX: " T64 T64 T16 "0123456789abcdefghijkl\r\n\r\n", 431,
                 "the trailer is larger than limits.head"),
    REFUSED_BODY("0\r\nX : a\r\n", 400, "malformed trailer"),
    REFUSED_BODY("0\r\nX: a\0\r\n", 400, "malformed trailer"),
    REFUSED_BODY("0\r\nX: a\r\n b\r\n", 400, "a header must not continue on the next line"),
};

/* Whole, byte by byte, and cut in two at every byte. */
static void check_case(const struct http_case *test, struct bytes input) {
  for (size_t first = 0; first <= input.len + 1; first++) {
    struct buffer trace = {0};
    bool bytewise = first == input.len + 1;
    assert_true(http_trace(&trace, &limits, input, bytewise ? 1 : first, bytewise ? 1 : input.len));
    if (!bytes_equal(buffer_bytes(&trace), bytes_string(test->trace))) print_error("%s, cut at %zu\n", test->name, first);
    assert_bytes_string(buffer_bytes(&trace), test->trace);
    buffer_deinit(&trace);
  }
}

static void reads_what_is_right(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(accepted); i++) check_case(&accepted[i], accepted[i].input);
}

static void refuses_what_is_wrong(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(refused); i++) check_case(&refused[i], refused[i].input);
}

/* If out of memory the answer is 503, and never a request that lacks something. */
static bool trace_whole(void *context) {
  const struct http_case *test = context;
  struct buffer trace = {0};
  bool ok = http_trace(&trace, &limits, test->input, test->input.len, 1);
  struct bytes out = buffer_bytes(&trace), error = BYTES("ERROR 503 out of memory\n");
  if (ok && !bytes_equal(out, bytes_string(test->trace))) {
    ok = false;
    assert_true(out.len >= error.len);
    assert_bytes(bytes_of(out.ptr + out.len - error.len, error.len), error);
  }
  buffer_deinit(&trace);
  return ok;
}

static void stands_failing_memory(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(accepted); i++) {
    struct http_case test = accepted[i];
    support_fail_each(trace_whole, &test);
  }
}

static void without_memory_it_answers_503(void **state) {
  (void)state;
  size_t used;
  struct http_reader *reader = http_reader_new(&limits);
  memory_fail_after(1);
  assert_int_equal(http_reader_next(reader, BYTES("GET"), &used), HTTP_ERROR);
  assert_int_equal(http_reader_error(reader).status, 503);
  http_reader_free(reader);
}

/* A megabyte of fields, or of a body in chunks, is refused before it is held. */
static size_t allocated;
static void *count_resize(void *context, void *ptr, size_t size) {
  (void)context;
  if (size > allocated) allocated = size;
  if (size > 0) return realloc(ptr, size);
  free(ptr);
  return NULL;
}

static int feed_for_ever(struct bytes head, struct bytes piece) {
  size_t used, fed = 0;
  struct http_reader *reader = http_reader_new(&limits);
  enum http_event event = http_reader_next(reader, head, &used);
  if (event == HTTP_HEAD) event = http_reader_next(reader, bytes_of(head.ptr + used, head.len - used), &used);
  while (event != HTTP_ERROR && fed < 1 << 20) {
    event = http_reader_next(reader, piece, &used);
    fed += used;
  }
  int status = http_reader_error(reader).status;
  http_reader_free(reader);
  return status;
}

static void memory_stays_within_limits(void **state) {
  (void)state;
  allocated = 0;
  memory_set_allocator(count_resize, NULL);
  assert_int_equal(feed_for_ever(BYTES("GET / HTTP/1.1\r\n"), BYTES("X-Y: z\r\n")), 431);
  assert_int_equal(feed_for_ever(BYTES("GET / HTTP/1.1\r\n"), BYTES("x")), 431);
  assert_int_equal(feed_for_ever(BYTES("GET /"), BYTES("x")), 414);
  assert_int_equal(feed_for_ever(BYTES(CHUNKED), BYTES("8\r\n01234567\r\n")), 413);
  assert_int_equal(feed_for_ever(BYTES(CHUNKED), BYTES("1")), 400);
  assert_int_equal(feed_for_ever(BYTES(CHUNKED "0\r\n"), BYTES("x: \r\n")), 431);
  memory_set_allocator(NULL, NULL);
  assert_in_range(allocated, 1, 1024);
}

static void an_idle_reader_holds_little(void **state) {
  (void)state;
  static const struct http_limits wide = {.target = 9000, .head = 9000, .fields = 1000, .body = 1 << 20};
  struct http_reader *reader = http_reader_new(&wide);
  int64_t empty = memory_live();
  struct buffer request = {0};
  buffer_append_string(&request, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n");
  for (int i = 0; i < 900; i++) buffer_append_string(&request, "X: y\r\n");
  buffer_append_string(&request, "\r\n");
  for (int i = 0; i < 1000; i++) buffer_append_char(&request, 'z');

  size_t used;
  struct bytes input = buffer_bytes(&request);
  assert_int_equal(http_reader_next(reader, input, &used), HTTP_HEAD);
  assert_false(http_reader_idle(reader));
  assert_int_equal(http_reader_head(reader)->field_count, 902);
  input = bytes_of(input.ptr + used, input.len - used);
  assert_int_equal(http_reader_next(reader, input, &used), HTTP_DONE);
  assert_int_equal(http_reader_body(reader).len, 1000);
  assert_true(http_reader_idle(reader));
  assert_int_equal(http_reader_next(reader, BYTES(""), &used), HTTP_MORE);
  assert_true(http_reader_idle(reader));
  buffer_deinit(&request);
  assert_int_equal(memory_live(), empty);
  http_reader_free(reader);
}

static void fields_are_found_by_name(void **state) {
  (void)state;
  size_t used;
  struct http_reader *reader = http_reader_new(&limits);
  http_reader_next(reader, BYTES("GET / HTTP/1.1\r\nHost: a\r\nCookie: b\r\ncookie: c\r\nX:\r\n\r\n"), &used);
  const struct http_head *head = http_reader_head(reader);
  assert_bytes_string(http_head_field(head, BYTES("COOKIE")), "c");
  assert_non_null(http_head_field(head, BYTES("x")).ptr);
  assert_null(http_head_field(head, BYTES("cook")).ptr);
  http_reader_free(reader);
}

static void the_host_is_told(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "a"},
      {"GET http://b HTTP/1.1\r\nHost: a\r\n\r\n", "b"},
      {"GET https://b:1?c HTTP/1.1\r\nHost: a\r\n\r\n", "b:1"},
      {"GET http://b/ HTTP/1.0\r\n\r\n", "b"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    size_t used;
    struct http_reader *reader = http_reader_new(&limits);
    assert_int_equal(http_reader_next(reader, bytes_string(cases[i][0]), &used), HTTP_HEAD);
    const struct http_head *head = http_reader_head(reader);
    assert_bytes_string(head->host, cases[i][1]);
    if (head->field_count > 0) assert_bytes_string(http_head_field(head, BYTES("host")), cases[i][1]);
    http_reader_free(reader);
  }
}

/* For the answer to what was refused, or is late. */
static void the_rest_of_a_head_is_salvaged(void **state) {
  (void)state;
  static const struct {
    const char *input, *path, *origin, *last;
    size_t count;
  } cases[] = {
      {"", "", "", "", 0},
      {"GET /a HTT", "", "", "", 0},
      {"GET /a HTTP/3.0\r\n", "", "", "", 0},
      {"GET /a?b HTTP/1.1\r\nHost: a\r\nOrigin: o\r\nLast: x", "/a", "o", "", 2},
      {"GET http://a/b HTTP/1.1\r\nOrigin: o\r\n", "", "o", "", 1},
      {"GET /a HTTP/1.1\r\nOrigin: o\r\nb c: d\r\nLast: x\r\n\r\n", "/a", "o", "x", 2},
      {"GET /a HTTP/1.1\r\nOrigin: o\r\n folded\r\n", "/a", "o", "", 1},
      {"GET /a HTTP/1.1\r\nOrigin: o\r\n2: \r\n3: \r\n4: \r\n5: \r\n6: \r\n", "/a", "o", "", 5},
      {"GET /a HTTP/1.1\r\n" H "Origin: o\r\nContent-Length: 21\r\nLast: x\r\n\r\n", "/a", "o", "x", 4},
      {"POST /a?b HTTP/1.1\r\n" H "Origin: o\r\nTransfer-Encoding: chunked\r\n\r\n?\r\n", "/a", "o", "", 3},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct http_reader *reader = http_reader_new(&limits);
    struct bytes rest = bytes_string(cases[i].input);
    for (enum http_event event = HTTP_HEAD; event == HTTP_HEAD;) {
      size_t used;
      event = http_reader_next(reader, rest, &used);
      rest = bytes_of(rest.ptr + used, rest.len - used);
    }
    http_reader_salvage(reader);
    http_reader_salvage(reader);
    const struct http_head *head = http_reader_head(reader);
    assert_bytes_string(head->path, cases[i].path);
    assert_int_equal(head->field_count, cases[i].count);
    assert_bytes_string(http_head_field(head, BYTES("origin")), cases[i].origin);
    assert_bytes_string(http_head_field(head, BYTES("last")), cases[i].last);
    http_reader_free(reader);
  }
}

/* What a request that waits for its answer keeps; then the connection goes on. */
static bool shed(void *context) {
  (void)context;
  static const char text[] = "PUT http://b/c?d HTTP/1.1\r\nHost: a\r\nX: 1\r\nOrigin: o\r\nContent-Length: 5\r\n\r\nhelloGET /e "
                             "HTTP/1.1\r\nHost: f\r\n\r\n";
  static const struct bytes names[] = {{"origin", 6}, {"host", 4}, {"cookie", 6}};
  struct bytes rest = bytes_string(text);
  size_t used;
  struct http_reader *reader = http_reader_new(&limits);
  if (!reader) return false;
  const struct http_head *head = http_reader_head(reader);
  for (int event = HTTP_MORE; event != HTTP_DONE; rest = bytes_of(rest.ptr + used, rest.len - used)) {
    event = http_reader_next(reader, rest, &used);
    if (event == HTTP_ERROR) {
      http_reader_free(reader);
      return false;
    }
  }
  http_reader_shed(reader, names, COUNT_OF(names));
  bool is_done = head->field_count == 2;
  for (int i = 0; i < 2; i++) { /* a second time does no harm */
    assert_bytes_string(head->method, "PUT");
    assert_bytes_string(head->host, "b");
    assert_bytes_string(http_head_field(head, BYTES("origin")), "o");
    assert_bytes_string(http_head_field(head, BYTES("host")), "b");
    if (is_done) assert_int_equal(head->target.len + head->path.len + head->query.len, 0);
    assert_int_equal(http_reader_body(reader).len, 0);
    http_reader_shed(reader, names, COUNT_OF(names));
  }
  enum http_event event = http_reader_next(reader, rest, &used);
  if (event == HTTP_HEAD) assert_bytes_string(head->path, "/e");
  http_reader_free(reader);
  return is_done && event == HTTP_HEAD;
}

static void what_is_not_needed_is_given_back(void **state) {
  (void)state;
  assert_true(shed(NULL));
  support_fail_each(shed, NULL);
}

static void bearers_are_found(void **state) {
  (void)state;
  static const char *const cases[][2] = {{"Bearer abc", "abc"}, {"bEARER  a=b ", "a=b"}, {"Bearer ", ""}, {"Bearer", ""},
                                         {"Basic abc", ""},     {"Bearerabc", ""},       {"", ""}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct http_field field = {BYTES("authorization"), bytes_trim(bytes_string(cases[i][0]))};
    struct http_head head = {.fields = &field, .field_count = 1};
    assert_bytes_string(http_head_bearer(&head), cases[i][1]);
  }
  assert_int_equal(http_head_bearer(&(struct http_head){.minor = 1}).len, 0);
}

static void entity_tags_are_found(void **state) {
  (void)state;
  static const struct {
    const char *list;
    bool has;
  } cases[] = {{"\"a\"", true}, {"W/\"a\"", true}, {"\"b\", W/\"a\"", true},
               {"*", true},     {"\"b\"", false},  {"\"b\", \"ab\"", false},
               {"a", false},    {"", false},       {",", false}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct http_field field = {BYTES("if-none-match"), bytes_string(cases[i].list)};
    struct http_head head = {.fields = &field, .field_count = 1};
    assert_int_equal(http_head_has_tag(&head, BYTES("\"a\"")), cases[i].has);
  }
  assert_false(http_head_has_tag(&(struct http_head){.minor = 1}, BYTES("\"a\"")));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(reads_what_is_right),
      TEST(refuses_what_is_wrong),
      TEST(stands_failing_memory),
      TEST(without_memory_it_answers_503),
      TEST(memory_stays_within_limits),
      TEST(an_idle_reader_holds_little),
      TEST(fields_are_found_by_name),
      TEST(the_host_is_told),
      TEST(what_is_not_needed_is_given_back),
      TEST(bearers_are_found),
      TEST(entity_tags_are_found),
      TEST(the_rest_of_a_head_is_salvaged),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
