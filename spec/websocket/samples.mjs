// Data to compress, of different kinds, and the same in every run.

let seed = 1;
function random(below) {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor((seed / 2 ** 32) * below);
}

const words = "channel message history presence client server frame ping close text binary window takeover limit fragment und der über schön".split(" ");
const word = () => words[random(words.length)];

const makers = {
  json: () => `${JSON.stringify({ id: random(1e9), name: word(), tags: [word(), word()], text: `${word()} ${word()}`, on: random(2) === 1 })},\n`,
  html: () => `<div class="${word()}"><a href="/${word()}/${random(1000)}">${word()} ${word()} &amp; ${word()}</a></div>\n`,
  prose: () => `${word()} ${word()} ${word()}, ${word()} ${word()}.\n`,
  image: () => Buffer.from(Array.from({ length: 64 }, (_, i) => 100 + i + random(8))),
  noise: () => Buffer.from(Array.from({ length: 64 }, () => random(256))),
};
const isText = { json: true, html: true };

const LENGTH = 262144;
const made = {};
function all(kind) {
  if (made[kind]) return made[kind];
  const parts = [];
  for (let length = 0; length < LENGTH + 131072; length += parts.at(-1).length) parts.push(Buffer.from(makers[kind]()));
  const whole = Buffer.concat(parts);
  // texts are cut anywhere
  return (made[kind] = isText[kind] ? Buffer.from(whole.toString("latin1").replace(/[^\x00-\x7f]/g, "?"), "latin1") : whole);
}

// The n-th run of `size` bytes.
export function sample(kind, n, size) {
  const start = (n * (size + 7)) % LENGTH;
  return all(kind).subarray(start, start + size);
}
