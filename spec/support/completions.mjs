// A server of a language model that speaks the stream of chat completions, and fails as the question says:
//
//   node support/completions.mjs [PORT]
//
// Prints its address. GET /asked answers with how often each question was asked, and how many requests are open. A question is
// "NAME COUNT": after COUNT tokens, numbered from 1 with a space before each, the answer ends in the way of that name.

import { createServer } from "node:http";

const PAUSE = 5; // milliseconds between two tokens
const counts = {};
let open = 0;

const chunk = (delta, reason = null) => ({
  id: "chatcmpl-1",
  object: "chat.completion.chunk",
  created: 1,
  model: "m",
  choices: [{ index: 0, delta, logprobs: null, finish_reason: reason }],
});
const event = (value) => `data: ${typeof value === "string" ? value : JSON.stringify(value)}\n\n`;
const finish = (response, ...events) => response.end(events.map(event).join(""));
const refuse = (response, status, message) => {
  response.writeHead(status, { "Content-Type": "application/json" });
  response.end(JSON.stringify({ error: { message, type: "server_error" } }));
};

// What happens after the tokens, by the first word of a question.
const ways = {
  complete: (response) => finish(response, chunk({}, "stop"), "[DONE]"),
  usage: (response) => finish(response, chunk({}, "stop"), { ...chunk({}), choices: [], usage: { total_tokens: 7 } }, "[DONE]"),
  filter: (response) => finish(response, chunk({}, "content_filter"), "[DONE]"),
  bare: (response) => finish(response, "[DONE]"), // without a finish_reason
  undone: (response) => finish(response, chunk({}, "stop")), // without [DONE]
  early: (response) => response.end(),
  cut: (response) => response.write(":\n\n", () => response.destroy()),
  half: (response) => response.end('data: {"choices":[{"delta":{"content":"ha'),
  hang: () => {},
  error: (response) => finish(response, { error: { message: "overloaded", type: "server_error" } }),
  text: (response) => finish(response, "this is not JSON"),
  number: (response) => finish(response, "7"),
  list: (response) => finish(response, []),
  null: (response) => finish(response, "null"),
  choices: (response) => finish(response, { choices: 7 }),
  delta: (response) => finish(response, { choices: [{ delta: "x" }] }, "[DONE]"),
  strange: (response) => finish(response, { choices: [{ delta: { content: { a: 1 } }, finish_reason: 7 }] }, "[DONE]"),
  bytes: (response) => response.end(Buffer.from([0x64, 0x61, 0x74, 0x61, 0x3a, 0x22, 0xff, 0xfe, 0x22, 10, 10])),
  surrogate: (response) => response.end('data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\ndata: [DONE]\n\n'),
  large: (response) => response.end(`data: {"choices":[{"delta":{"content":"${"x".repeat(2 * 1024 * 1024)}"}}]}\n\n`),
};
// What happens instead of an answer.
const refusals = {
  500: (response) => refuse(response, 500, "broken"),
  429: (response) => refuse(response, 429, "slow down"),
  401: (response) => refuse(response, 401, "the key is secret-key"),
  page: (response) => response.end("<h1>hello</h1>"),
  reset: (response) => response.destroy(),
  silent: () => {},
};

async function answer(response, question) {
  const [name, count = "0"] = question.split(" ");
  if (refusals[name]) return refusals[name](response);
  response.writeHead(200, { "Content-Type": "text/event-stream; charset=utf-8" });
  response.write(event(chunk({ role: "assistant", content: "" })));
  for (let i = 1; i <= Number(count) && !response.destroyed; i++) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
    response.write(event(chunk({ content: ` ${i}` })));
  }
  (ways[name] ?? ways.complete)(response);
}

const server = createServer((request, response) => {
  if (request.url === "/asked") return response.end(JSON.stringify({ counts, open }));
  let body = "";
  open++;
  response.on("close", () => open--);
  request.on("data", (bytes) => (body += bytes));
  request.on("end", () => {
    const { stream, messages, model } = JSON.parse(body);
    const question = messages.at(-1).content;
    counts[question] = (counts[question] ?? 0) + 1;
    if (request.url !== "/v1/chat/completions" || stream !== true || !model) return refuse(response, 400, "wrong request");
    answer(response, question);
  });
});
server.listen(Number(process.argv[2] ?? 0), "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
