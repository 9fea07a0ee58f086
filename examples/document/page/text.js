// A text that several authors change at the same time: one copy of it. No server, no page, no time: it only merges.
//
// A character has an author and a number: the first that "a1" types is 1, the next 2. For each author, a copy knows up to which
// number it has `seen` characters, and which of these are alive. The others were deleted, so that a deleted character leaves
// nothing behind. An edit (see ../document.lua) states for spans of numbers which characters are alive. Merging edits gives the
// same text in any order, and also if one arrives twice: copies that have merged the same edits are equal.
//
// The order of the characters: they come in runs, which are typed from left to right. A run hangs before (<) or after (>) one
// character of another run, at a path such as "a1.0:4>b2.0": the run b2.0, after the character 4 of the run a1.0. Characters of
// one run are ordered by index, and runs at the same place by name. So what two authors type at the same place stays together,
// and a place remains valid when the characters around it are gone.

const PATH_MAX = 900; // characters; beyond it, the text is written again
const EDIT_SIZE = 16000; // roughly the bytes of JSON in one edit for the server,
const EDIT_NUMBERS = 8000; // and how many numbers it may be about
const AUTHORS_MAX = 300; // of whom a copy remembers what they have deleted

const SIDE = { "<": -1, ">": 1 };

// "a1.0:4>b2.0", 7 becomes ["a1.0", 4, ">", "b2.0", 7].
function makeKey(path, index) {
  const key = [];
  let rest = path;
  for (let step; (step = /^([^:]*):(-?\d+)([<>])/.exec(rest)); rest = rest.slice(step[0].length)) {
    key.push(step[1], Number(step[2]), step[3]);
  }
  key.push(rest, index);
  return key;
}

function compareKeys(a, b) {
  for (let i = 0; i < a.length || i < b.length; i++) {
    if (a[i] === b[i]) continue;
    if (i % 3 === 2) return (SIDE[a[i]] ?? 0) - (SIDE[b[i]] ?? 0);
    return a[i] < b[i] ? -1 : 1;
  }
  return 0;
}

function compare(a, b) {
  return compareKeys(a.key, b.key) || (a.author === b.author ? a.number - b.number : a.author < b.author ? -1 : 1);
}

const idOf = (author, number) => `${author} ${number}`;

export class Text {
  seen = new Map(); // by author: the newest number
  #author;
  #elements = []; // in order: { author, number, path, index, key, char }
  #byId = new Map();
  #own = new Map(); // by path: the run that this copy has begun, { first, last }
  #runs = 0;
  #known = new Map(); // what the server has seen, as far as this copy knows
  #gone = new Map(); // by id: characters that were deleted here, and perhaps live at the server

  // `author`: 1 to 16 letters and digits that no other copy has. Without it, the copy only merges.
  constructor(author) {
    this.#author = author;
  }

  get length() {
    return this.#elements.length;
  }

  toString() {
    return this.#elements.map(({ char }) => char).join("");
  }

  // ---- What the author does ----

  // Replaces `count` characters (code points) at `at` by `text`.
  replace(at, count, text) {
    for (const element of this.#elements.splice(at, count)) this.#forget(element);
    const chars = [...text];
    if (chars.length === 0) return;
    let number = this.seen.get(this.#author) ?? 0;
    const place = this.#place(at, chars.length);
    if (place.path.length > PATH_MAX) {
      const whole = this.toString();
      const all = [...whole];
      this.replace(0, all.length, all.slice(0, at).join("") + text + all.slice(at).join(""));
      return;
    }
    const added = chars.map((char, i) => this.#make(this.#author, ++number, place.path, place.index + i, char));
    this.#elements.splice(at, 0, ...added);
    this.seen.set(this.#author, number);
  }

  // Where characters between two others hang.
  #place(at, count) {
    const left = this.#elements[at - 1];
    const right = this.#elements[at];
    const isFree = (path, index) => {
      const key = makeKey(path, index);
      return (!left || compareKeys(left.key, key) < 0) && (!right || compareKeys(key, right.key) < 0);
    };
    const ofLeft = left && this.#own.get(left.path);
    if (ofLeft?.last === left?.index && ofLeft && isFree(left.path, ofLeft.last + 1)) {
      ofLeft.last += count;
      return { path: left.path, index: ofLeft.last - count + 1 };
    }
    const ofRight = right && this.#own.get(right.path);
    if (ofRight?.first === right?.index && ofRight && isFree(right.path, ofRight.first - 1)) {
      ofRight.first -= count;
      return { path: right.path, index: ofRight.first };
    }
    const name = `${this.#author}.${(this.#runs++).toString(36)}`;
    const hangsOnRight = right && (!left || right.path.startsWith(`${left.path}:${left.index}>`));
    let path = name;
    if (hangsOnRight) path = `${right.path}:${right.index}<${name}`;
    else if (left) path = `${left.path}:${left.index}>${name}`;
    this.#own.set(path, { first: 0, last: count - 1 });
    return { path, index: 0 };
  }

  #make(author, number, path, index, char) {
    const element = { author, number, path, index, key: makeKey(path, index), char };
    this.#byId.set(idOf(author, number), element);
    return element;
  }

  #forget({ author, number }) {
    this.#byId.delete(idOf(author, number));
    this.#gone.set(idOf(author, number), { author, number });
  }

  // ---- What others do ----

  // Merges an edit. Returns false, and changes nothing, if earlier edits are missing.
  merge(edit) {
    if (this.#isBehind(edit)) return false;
    const listed = new Set();
    const added = [];
    for (const [author, number, path, index, text] of edit.inserts) {
      let i = 0;
      for (const char of text) {
        const id = idOf(author, number + i);
        listed.add(id);
        if (number + i > (this.seen.get(author) ?? 0)) added.push(this.#make(author, number + i, path, index + i, char));
        // It lives there, and was deleted here.
        else if (!this.#byId.has(id)) this.#gone.set(id, { author, number: number + i });
        i++;
      }
    }
    const dead = new Set();
    const kill = (element, id) => element && !listed.has(id) && dead.add(element);
    const { spans } = edit;
    for (const element of this.#elements) {
      const span = Object.hasOwn(spans, element.author) ? spans[element.author] : [0, 0];
      if (element.number > span[0] && element.number <= span[1]) kill(element, idOf(element.author, element.number));
    }
    for (const [author, number, count] of edit.deletes) {
      for (let n = number; n < number + count; n++) kill(this.#byId.get(idOf(author, n)), idOf(author, n));
    }
    for (const { author, number } of dead) this.#byId.delete(idOf(author, number));
    if (dead.size > 0) this.#elements = this.#elements.filter((element) => !dead.has(element));
    this.#add(added);
    for (const [author, [, upto]] of Object.entries(spans)) this.seen.set(author, Math.max(this.seen.get(author) ?? 0, upto));
    return true;
  }

  #isBehind({ spans, deletes }) {
    const reach = (author) => Math.max(this.seen.get(author) ?? 0, Object.hasOwn(spans, author) ? spans[author][1] : 0);
    return (
      Object.entries(spans).some(([author, [after]]) => (this.seen.get(author) ?? 0) < after) ||
      deletes.some(([author, number, count]) => reach(author) < number + count - 1)
    );
  }

  #add(added) {
    if (added.length > 20) {
      this.#elements = this.#elements.concat(added).sort(compare);
      return;
    }
    for (const element of added) this.#elements.splice(this.#find(element), 0, element);
  }

  #find(element) {
    let low = 0;
    let high = this.#elements.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compare(this.#elements[middle], element) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // ---- Places that last ----

  // The place after the first `at` characters, for others: they find it again, whatever has changed. null is the beginning.
  anchor(at) {
    const element = this.#elements[at - 1];
    return element ? [element.path, element.index] : null;
  }

  // The number of characters before a place.
  find(anchor) {
    return anchor === null ? 0 : this.#find({ key: makeKey(anchor[0], anchor[1]), author: "\uffff", number: 0 });
  }

  // ---- Between this copy and the server ----

  // The whole text as an edit.
  whole() {
    const spans = Object.fromEntries([...this.seen].map(([author, upto]) => [author, [0, upto]]));
    return { spans, inserts: this.#inserts(new Map()), deletes: [] };
  }

  // The server has merged what is in this edit. `isWhole`: it is all that the server has.
  know({ spans, inserts, deletes }, isWhole = false) {
    if (isWhole) this.#known.clear();
    for (const [author, [, upto]] of Object.entries(spans)) this.#known.set(author, Math.max(this.#known.get(author) ?? 0, upto));
    // What was deleted here and does not live there need not be sent.
    const alive = new Set();
    for (const [author, number, , , text] of inserts) [...text].forEach((_, i) => alive.add(idOf(author, number + i)));
    const dead = new Set(deletes.flatMap(([author, number, count]) => Array.from({ length: count }, (_, i) => idOf(author, number + i))));
    for (const [id, { author, number }] of this.#gone) {
      const [after, upto] = Object.hasOwn(spans, author) ? spans[author] : [0, 0];
      const isInSpan = isWhole || (number > after && number <= upto);
      if (dead.has(id) || (isInSpan && !alive.has(id))) this.#gone.delete(id);
    }
    if (isWhole && this.seen.size > AUTHORS_MAX) this.#forgetAuthors();
  }

  // What the server does not have yet: edits, to be sent one after the other.
  pending() {
    const edits = [];
    let edit, size, numbers;
    const next = () => {
      edits.push((edit = { spans: {}, inserts: [], deletes: [] }));
      size = numbers = 0;
    };
    const span = (author, after, upto) => {
      while (upto - after > EDIT_NUMBERS - numbers) {
        const part = after + EDIT_NUMBERS - numbers;
        if (part > after) edit.spans[author] = [edit.spans[author]?.[0] ?? after, part];
        after = part;
        next();
      }
      if (upto === after) return;
      edit.spans[author] = [edit.spans[author]?.[0] ?? after, upto];
      numbers += upto - after;
    };
    next();
    const inserts = this.#inserts(this.#known);
    for (const [author, upto] of this.seen) {
      let after = this.#known.get(author) ?? 0;
      for (const insert of inserts.filter(([name]) => name === author)) {
        const last = insert[1] + [...insert[4]].length - 1;
        if (size > EDIT_SIZE || numbers + last - after > EDIT_NUMBERS) next();
        span(author, after, insert[1] - 1);
        if (last - insert[1] + 1 > EDIT_NUMBERS - numbers) next();
        span(author, insert[1] - 1, last);
        edit.inserts.push(insert);
        size += insert[2].length + insert[4].length * 2 + 60;
        after = last;
      }
      span(author, after, upto);
    }
    this.#addDeletes(() => ((size += 30) > EDIT_SIZE && next(), edit.deletes));
    return edits.filter(({ spans, deletes }) => Object.keys(spans).length > 0 || deletes.length > 0);
  }

  // Deletions of characters that the server knows; the others are not sent at all.
  #addDeletes(list) {
    const gone = [...this.#gone.values()].filter(({ author, number }) => number <= (this.#known.get(author) ?? 0));
    gone.sort((a, b) => (a.author === b.author ? a.number - b.number : a.author < b.author ? -1 : 1));
    let run = null;
    for (const { author, number } of gone) {
      if (run && run[0] === author && run[1] + run[2] === number && run[2] < EDIT_NUMBERS / 8) run[2]++;
      else list().push((run = [author, number, 1]));
    }
  }

  // Runs of characters that are not in `known`.
  #inserts(known) {
    const elements = this.#elements.filter(({ author, number }) => number > (known.get(author) ?? 0));
    elements.sort((a, b) => (a.author === b.author ? a.number - b.number : a.author < b.author ? -1 : 1));
    const inserts = [];
    let last = null;
    let length = 0;
    for (const { author, number, path, index, char } of elements) {
      const continues = last && last[0] === author && last[1] + length === number && last[2] === path;
      if (continues && last[3] + length === index && length < 2000) last[4] += char;
      else {
        inserts.push((last = [author, number, path, index, char]));
        length = 0;
      }
      length++;
    }
    return inserts;
  }

  // Authors of whom nothing is left, and whom the server has forgotten.
  #forgetAuthors() {
    const alive = new Set(this.#elements.map(({ author }) => author));
    for (const author of this.seen.keys()) {
      if (author !== this.#author && !alive.has(author) && !this.#known.has(author)) this.seen.delete(author);
    }
  }
}
