// One client that polls by Node's fetch, which keeps its connections, behind a proxy that cuts all of them again and again.
//
//   node support/poll_fetch.mjs BASE CHANNEL LAST CUTS
//
// The data of the channel's events are {"n":1}, {"n":2} … After each cut POST /more lets the server publish further ones.
// Prints what it took to see all up to LAST.

import { CuttingProxy } from "./proxy.mjs";

const [base, channel, last, cuts] = process.argv.slice(2);
const proxy = new CuttingProxy();
const through = await proxy.listen(base);
const result = { polls: 0, failed: 0, cuts: 0 };
let seen = 0;
let since = "0";
let client = "";

function fail(text) {
  console.error(text);
  process.exit(1);
}

const timer = setInterval(() => {
  if (result.cuts === Number(cuts) || seen >= Number(last)) return;
  // Only what had begun can be cut.
  if (proxy.cut() > 0) {
    result.cuts++;
    fetch(`${base}/more`, { method: "POST" }).catch((error) => fail(error.message));
  }
}, 60);

while (seen < Number(last)) {
  let answer;
  try {
    const response = await fetch(`${through}/poll?channel=${channel}&since=${since}&client=${client}`);
    if (response.status !== 200) fail(`status ${response.status}: ${await response.text()}`);
    if (response.headers.get("etag")) fail("an ETag");
    answer = await response.json();
  } catch {
    result.failed++;
    continue;
  }
  result.polls++;
  if (answer.gaps.length > 0 || !answer.recovered) fail(`a gap behind ${since}`);
  for (const { data } of answer.messages) {
    if (data.n !== seen + 1) fail(`${data.n} behind ${seen}`);
    seen++;
  }
  ({ id: since, client } = answer);
}
clearInterval(timer);
proxy.close();
console.log(JSON.stringify({ ...result, seen }));
process.exit(0);
