// Copies of a text converge: random edits, in random orders, twice, offline, and merged later.
//
//   node examples/document_text.mjs SEED [BASE]
//
// Without BASE, the copies exchange edits directly. With BASE, they are clients of examples/document at that address, and lose their
// connections. Prints {"texts":…,"length":…,"wanted":…,"isWhole":…} as JSON: how many different texts there are at the end, and whether the
// characters are those that were typed and not deleted.

process.removeAllListeners("warning"); // the files of a page have no package.json that says that they are modules
const { Text } = await import("../../examples/document/page/text.js");
const { Copy } = await import("../../examples/document/page/copy.js");
const { connect } = await import("../../client/moonwire.js");

const [seed, base] = process.argv.slice(2);
let state = Number(seed) + 1;
function random(limit) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * limit);
}
const pick = (list) => list[random(list.length)];

// Each character is typed once, so that the result can be compared with what was typed and not deleted.
let newest = 0xf0000;
const wanted = new Set();

function editRandomly(text) {
  const at = random(text.length + 1);
  const count = random(3) === 0 ? Math.min(random(6), text.length - at) : 0;
  const added = Array.from({ length: random(4) === 0 ? random(12) : random(3) }, () => String.fromCodePoint(++newest));
  for (const char of [...String(text)].slice(at, at + count)) wanted.delete(char);
  for (const char of added) wanted.add(char);
  text.replace(at, count, added.join(""));
}

const clone = (value) => JSON.parse(JSON.stringify(value));

// ---- Directly: each edit reaches each other copy some time, in any order, sometimes twice ----

function exchangeDirectly() {
  const names = ["a", "b", "c", "d", "e"];
  const copies = names.map((name) => ({ text: new Text(name), inbox: [], isAway: false }));
  const publish = (copy) => {
    for (const edit of copy.text.pending()) {
      copy.text.know(edit);
      for (const other of copies) if (other !== copy) other.inbox.push(clone(edit), ...(random(5) === 0 ? [clone(edit)] : []));
    }
  };
  const receive = (copy) => {
    const i = random(copy.inbox.length);
    const [edit] = copy.inbox.splice(i, 1);
    if (edit && !copy.text.merge(edit)) copy.inbox.push(edit);
    else if (edit) copy.text.know(edit);
  };
  for (let round = 0; round < 400; round++) {
    const copy = pick(copies);
    if (random(40) === 0) copy.isAway = !copy.isAway;
    editRandomly(copy.text);
    if (!copy.isAway) publish(copy);
    for (const other of copies) for (let n = random(5); n > 0 && !other.isAway; n--) receive(other);
    // Two copies meet, and tell each other everything.
    if (random(25) === 0) {
      const [one, two] = [pick(copies), pick(copies)];
      const whole = clone(one.text.whole());
      one.text.merge(clone(two.text.whole()));
      two.text.merge(whole);
    }
  }
  for (let quiet = 0; quiet < 3; ) {
    copies.forEach(publish);
    const waiting = copies.reduce((sum, { inbox }) => sum + inbox.length, 0);
    if (waiting === 0) quiet++;
    for (const copy of copies) for (let n = copy.inbox.length; n > 0; n--) receive(copy);
  }
  return copies.map(({ text }) => text);
}

// ---- Through the server ----

async function exchangeByServer() {
  const channel = `document:property-${seed}`;
  const load = async () => (await fetch(`${base}/text/property-${seed}`)).json();
  const copies = ["a", "b", "c", "d"].map((name) => ({ text: new Text(name), copy: null, connection: null }));
  const open = (entry) => {
    entry.connection = connect(base, { transports: ["sse"], offline: "refuse", backoff: { min: 10, max: 50 } });
    entry.copy = new Copy(entry.text, entry.connection, channel, load, () => {});
  };
  copies.forEach(open);
  for (let round = 0; round < 120; round++) {
    const entry = pick(copies);
    for (let n = random(4); n >= 0; n--) editRandomly(entry.text);
    entry.copy.work();
    if (random(12) === 0 && entry.connection.state !== "closed") entry.connection.close();
    else if (random(4) === 0 && entry.connection.state === "closed") open(entry);
    if (random(3) === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  copies.filter(({ connection }) => connection.state === "closed").forEach(open);
  const isDone = async () => {
    const server = new Text();
    server.merge((await load()).edit);
    const texts = new Set([server, ...copies.map(({ text }) => text)].map(String));
    return texts.size === 1 && copies.every(({ copy }) => copy.isSaved);
  };
  for (let n = 0; n < 2000 && !(await isDone()); n++) await new Promise((resolve) => setTimeout(resolve, 20));
  const server = new Text();
  server.merge((await load()).edit);
  copies.forEach(({ connection }) => connection.close());
  return [server, ...copies.map(({ text }) => text)];
}

const texts = base ? await exchangeByServer() : exchangeDirectly();
const different = [...new Set(texts.map(String))];
const characters = [...different[0]];
const isWhole = characters.every((char) => wanted.has(char)) && new Set(characters).size === wanted.size;
console.log(JSON.stringify({ texts: different.length, length: characters.length, wanted: wanted.size, isWhole }));
process.exit(0);
