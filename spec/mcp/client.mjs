// The official client against spec/mcp/everything.lua. Prints what it saw as one line of JSON.
//   node client.mjs URL            everything, in a session of its own
//   node client.mjs URL SESSION    a few requests in a session that was begun before
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import * as types from "@modelcontextprotocol/sdk/types.js";

const [url, session] = process.argv.slice(2);
const endpoint = new URL(`${url}/mcp`);
const seen = {};
setTimeout(() => {
  console.log(`too late; so far: ${JSON.stringify(seen)}`);
  process.exit(1);
}, 100000).unref();

const client = new Client(
  { name: "spec", version: "1.0.0" },
  { capabilities: { sampling: {}, elicitation: { form: {} }, roots: {} } },
);
client.setRequestHandler(types.CreateMessageRequestSchema, async (request) => ({
  role: "assistant",
  model: "none",
  content: { type: "text", text: `you said ${request.params.messages[0].content.text}` },
}));
client.setRequestHandler(types.ElicitRequestSchema, async () => ({
  action: "accept",
  content: { response: "yes" },
}));
client.setRequestHandler(types.ListRootsRequestSchema, async () => ({ roots: [{ uri: "file:///home" }] }));

// Notifications, and the promises that wait for them.
const came = [];
let wake = () => {};
for (const schema of [
  types.LoggingMessageNotificationSchema,
  types.ToolListChangedNotificationSchema,
  types.PromptListChangedNotificationSchema,
  types.ResourceUpdatedNotificationSchema,
]) {
  client.setNotificationHandler(schema, (notification) => {
    came.push(notification);
    wake();
  });
}
async function notified(method) {
  for (;;) {
    const found = came.find((one) => one.method === method);
    if (found) return found.params ?? {};
    await new Promise((resolve) => (wake = resolve));
  }
}

const call = async (name, args, options) => {
  const result = await client.callTool({ name, arguments: args ?? {} }, undefined, { timeout: 60000, ...options });
  return result.content[0].text ?? result.content[0].type;
};

async function everything() {
  seen.server = client.getServerVersion();
  seen.instructions = client.getInstructions();
  seen.tools = (await client.listTools()).tools.length > 30;
  seen.text = await call("test_simple_text");
  seen.image = await call("test_image_content");
  const progress = [];
  seen.progressed = await call("test_tool_with_progress", {}, { onprogress: (one) => progress.push(one.progress) });
  seen.progress = progress;
  seen.sampling = await call("test_sampling", { prompt: "hello" });
  seen.elicitation = await call("test_elicitation", { message: "ok?" });
  seen.roots = await call("roots");
  seen.whoami = await call("whoami");
  // a resumption: the server ends the stream before it answers
  const again = [];
  seen.reconnection = await call("test_reconnection", {}, { onprogress: (one) => again.push(one.progress) });
  seen.reconnected = again;

  await client.setLoggingLevel("info");
  seen.logged = await call("test_tool_with_logging");
  seen.log = came.filter((one) => one.method === "notifications/message").map((one) => one.params.data);
  await client.setLoggingLevel("error");
  came.length = 0;
  await call("test_tool_with_logging");
  seen.quiet = came.length;

  seen.resources = (await client.listResources()).resources.map((one) => one.uri);
  seen.templates = (await client.listResourceTemplates()).resourceTemplates.map((one) => one.uriTemplate);
  seen.read = (await client.readResource({ uri: "test://template/a%20b/data" })).contents[0].text;
  seen.missing = await client.readResource({ uri: "test://missing" }).catch((error) => error.code);
  seen.prompt = (await client.getPrompt({ name: "test_prompt_with_arguments", arguments: { arg1: "a", arg2: "b" } }))
    .messages[0].content.text;
  const ref = { type: "ref/prompt", name: "test_prompt_with_arguments" };
  seen.completion = (await client.complete({ ref, argument: { name: "arg1", value: "par" } })).completion.values;

  // over the stream of the GET
  await client.subscribeResource({ uri: "test://watched-resource" });
  await call("test_update_resource");
  seen.updated = (await notified("notifications/resources/updated")).uri;
  await call("test_trigger_tool_change");
  await notified("notifications/tools/list_changed");
  await call("test_trigger_prompt_change");
  await notified("notifications/prompts/list_changed");

  seen.error = await call("test_error_handling");
  seen.bug = await call("bug");
  seen.invalid = await call("test_sampling", { prompt: 1 });

  // a cancellation ends the handler
  const controller = new AbortController();
  const waiting = call("wait", {}, { signal: controller.signal, onprogress: () => controller.abort("enough") });
  await waiting.catch((error) => (seen.cancelled = String(error)));
  do {
    seen.counters = JSON.parse(await call("counters"));
  } while (seen.counters.cancelled === 0);
}

const transport = new StreamableHTTPClientTransport(endpoint, session ? { sessionId: session } : {});
await client.connect(transport);
if (session) {
  seen.text = await call("test_simple_text");
  seen.sampling = await call("test_sampling", { prompt: "again" });
  seen.whoami = await call("whoami");
  await transport.terminateSession();
  seen.ended = await call("test_simple_text").catch((error) => error.code);
} else {
  await everything();
  seen.session = transport.sessionId;
}
await client.close();
console.log(JSON.stringify(seen));
process.exit(0);
