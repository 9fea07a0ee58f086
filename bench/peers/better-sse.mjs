// Fan-out with the npm package better-sse: event streams on /sse, published by POST /publish.

import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { createChannel, createSession } from "better-sse";

const channel = createChannel();

const server = createServer(async (request, response) => {
  if (request.url === "/sse") {
    channel.register(await createSession(request, response));
    return;
  }
  channel.broadcast(await text(request), "m");
  response.end();
});

server.listen({ host: "127.0.0.1", port: 0, backlog: 4096 }, () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
