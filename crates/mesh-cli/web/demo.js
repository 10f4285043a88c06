import { MeshClient, Status } from "/mesh.min.js";

const room = "room:demo";
const chat = "chat:lobby";
const historyLimit = 50;
const cursorsPerSecond = 30;
const dropMs = 3_000;
const idleMs = 8_000;
const latencyMs = 3_000;
const messagesMax = 300;
// What a cursor's name takes to its right and below it; see `.cursor span`.
const labelPx = { width: 180, height: 44 };

const $ = (id) => document.getElementById(id);
const stage = $("stage");

// --- The connection ---------------------------------------------------------------------------------------------------

let cut = () => {};
/** Until when the network is as if it were off. */
let backAt = 0;

/** As the client's own, with a way to lose the connection without a word to the client, as a network would. */
function openSocket(url, protocol, events) {
  let socket;
  let done = false;
  const closed = (code, reason) => {
    if (done) return;
    done = true;
    events.closed(code, reason);
  };
  const open = () => {
    socket = new WebSocket(url, protocol);
    socket.onopen = () => done || events.opened();
    socket.onmessage = ({ data }) => done || events.frame(data);
    socket.onclose = ({ code, reason }) => closed(code, reason);
  };
  const wait = backAt - performance.now();
  const opening = wait > 0 ? setTimeout(open, wait) : open();
  cut = () => {
    backAt = performance.now() + dropMs;
    closed(1006, "dropped on purpose");
    socket.close();
  };
  return {
    send: (text) => socket?.readyState === WebSocket.OPEN && socket.send(text),
    get bufferedAmount() {
      return socket?.bufferedAmount ?? 0;
    },
    hangup: (code) => {
      done = true;
      clearTimeout(opening);
      if (!socket || socket.readyState === WebSocket.CLOSED) return Promise.resolve();
      const gone = new Promise((resolve) => socket.addEventListener("close", () => resolve()));
      socket.close(code);
      return gone;
    },
  };
}

const url = new URL("/", location.href.replace(/^http/, "ws"));
/** A connection is new after each reconnect. Who one was is the credential, so one is that again from the start. */
const auth = () => JSON.parse(sessionStorage.getItem("profile") ?? "null") ?? undefined;
const mesh = new MeshClient(url.href, { reconnectInterval: 1_500, auth, environment: { openSocket } });

// --- Who is here ------------------------------------------------------------------------------------------------------

/** Everybody that was ever here, by id. */
const profiles = new Map();
const here = new Set();
const cursors = new Map();
/** Who joined and left while the list was on its way. */
let meanwhile = new Map();

const safe = (color) => (/^#[0-9a-f]{6}$/.test(color) ? color : "#4263eb");

function setPerson({ id, name, color }) {
  profiles.set(id, { name: String(name), color: safe(color) });
  const cursor = cursors.get(id);
  if (cursor) dress(cursor, id);
}

function isMe(id) {
  return id === mesh.connectionId;
}

function showPeople() {
  const mine = (id) => (isMe(id) ? 0 : 1);
  const items = [...here]
    .sort((a, b) => mine(a) - mine(b))
    .map((id) => {
      const { name, color } = profiles.get(id);
      const item = document.createElement("li");
      const label = document.createElement("span");
      label.textContent = isMe(id) ? `${name} (you)` : name;
      item.className = isMe(id) ? "me" : "";
      item.style.setProperty("--color", color);
      item.append(label);
      return item;
    });
  $("people").replaceChildren(...items);
  $("count").textContent = String(here.size);
  $("hint").hidden = here.size > 1;
  $("hint").style.display = here.size > 1 ? "none" : "";
}

function remove(id) {
  here.delete(id);
  cursors.get(id)?.remove();
  cursors.delete(id);
}

async function arrive() {
  const id = mesh.connectionId;
  meanwhile = new Map();
  await mesh.joinRoom(room);
  const people = await mesh.command("who");
  if (id !== mesh.connectionId) return;
  const present = new Set(people.map((person) => person.id));
  for (const other of [...here]) if (!present.has(other)) remove(other);
  for (const person of people) {
    if (meanwhile.get(person.id) === "left") continue;
    setPerson(person);
    here.add(person.id);
  }
  for (const [other, what] of meanwhile) if (what === "joined") here.add(other);
  keep();
  showPeople();
}

function keep() {
  const mine = profiles.get(mesh.connectionId);
  if (!mine) return;
  sessionStorage.setItem("profile", JSON.stringify(mine));
  if (document.activeElement !== $("name")) $("name").value = mine.name;
}

mesh.onPush("joined", (person) => {
  const fresh = !here.has(person.id);
  meanwhile.set(person.id, "joined");
  setPerson(person);
  here.add(person.id);
  if (fresh && !isMe(person.id)) note(`${person.name} joined`);
  showPeople();
});

mesh.onPush("left", ({ id }) => {
  meanwhile.set(id, "left");
  if (here.has(id)) note(`${profiles.get(id).name} left`);
  remove(id);
  showPeople();
});

mesh.onPush("renamed", (person) => {
  setPerson(person);
  if (isMe(person.id)) keep();
  showPeople();
});

$("rename").addEventListener("submit", (event) => {
  event.preventDefault();
  $("name").blur();
});
$("name").addEventListener("change", async () => {
  const name = $("name").value.trim();
  if (name) await mesh.command("rename", { name }).catch((error) => note(error.message));
  keep();
});

// --- Cursors ----------------------------------------------------------------------------------------------------------

function dress(cursor, id) {
  const { name, color } = profiles.get(id) ?? { name: "", color: "#4263eb" };
  cursor.style.setProperty("--color", color);
  cursor.lastChild.textContent = name;
}

function makeCursor(id) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  const attributes = {
    d: "M1 1l6 16 2.6-6.6L16 7.6z",
    fill: "currentColor",
    stroke: "#fff",
    "stroke-width": "1.5",
  };
  for (const [name, value] of Object.entries(attributes)) path.setAttribute(name, value);
  svg.setAttribute("width", "20");
  svg.setAttribute("height", "20");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("stroke-linejoin", "round");
  svg.append(path);
  const cursor = document.createElement("div");
  cursor.className = "cursor";
  cursor.append(svg, document.createElement("span"));
  dress(cursor, id);
  return cursor;
}

mesh.onPush("cursor", ({ from, x, y }) => {
  if (!here.has(from)) return;
  let cursor = cursors.get(from);
  if (!cursor) {
    cursor = makeCursor(from);
    cursors.set(from, cursor);
    stage.append(cursor);
  }
  cursor.style.setProperty("--x", x);
  cursor.style.setProperty("--y", y);
  cursor.classList.toggle("right", (1 - x) * stage.clientWidth < labelPx.width);
  cursor.classList.toggle("low", (1 - y) * stage.clientHeight < labelPx.height);
  cursor.classList.remove("idle");
  clearTimeout(cursor.idle);
  cursor.idle = setTimeout(() => cursor.classList.add("idle"), idleMs);
});

function move(event) {
  const box = stage.getBoundingClientRect();
  const within = (value) => Math.min(1, Math.max(0, Number(value.toFixed(4))));
  const x = within((event.clientX - box.left) / box.width);
  const y = within((event.clientY - box.top) / box.height);
  // The last point is always sent, so nobody is left standing where they no longer are.
  mesh.command("cursor", { x, y }, { maxRate: cursorsPerSecond, volatile: true }).catch(() => {});
}
stage.addEventListener("pointermove", move);
stage.addEventListener("pointerdown", move);

// --- Chat -------------------------------------------------------------------------------------------------------------

function show(item) {
  const list = $("messages");
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  list.append(item);
  while (list.children.length > messagesMax) list.firstChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}

function note(text, kind = "") {
  const item = document.createElement("li");
  item.className = `note ${kind}`;
  item.textContent = text;
  show(item);
}

function showChat({ name, color, text, at }) {
  const item = document.createElement("li");
  const [who, what, when] = ["b", "span", "time"].map((tag) => document.createElement(tag));
  who.textContent = name;
  who.style.setProperty("--color", safe(color));
  what.textContent = text;
  when.textContent = new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  item.append(who, what, when);
  show(item);
}

function showGap({ reason, missed }) {
  // This channel has a history: nothing is there because nothing was said.
  if (reason === "no_history") return;
  const messages = missed === 1 ? "1 message is" : missed ? `${missed} messages are` : "Messages may be";
  note(`${messages} missing here`, "gap");
}

async function listen() {
  const { error } = await mesh.subscribeChannel(chat, showChat, { historyLimit, onGap: showGap });
  if (error) note(`No chat: ${error.message}`);
}

$("say").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  $("text").value = "";
  // Said while the connection is away, it goes out when that is back.
  await mesh.command("say", { text }).catch((error) => note(`Not sent: ${error.message}`));
});

// --- Status -----------------------------------------------------------------------------------------------------------

const words = {
  [Status.ONLINE]: "online",
  [Status.CONNECTING]: "connecting",
  [Status.RECONNECTING]: "reconnecting",
  [Status.OFFLINE]: "offline",
};

function showStatus() {
  const word = words[mesh.status];
  const online = mesh.status === Status.ONLINE;
  $("status").textContent = word;
  $("status").dataset.status = word;
  $("drop").disabled = !online;
  stage.classList.toggle("away", !online);
  if (!online) $("latency").textContent = "–";
}

async function measure() {
  if (mesh.status !== Status.ONLINE || document.hidden) return;
  const before = performance.now();
  await mesh.command("mesh/noop", null, { offline: "fail" });
  const ms = performance.now() - before;
  $("latency").textContent = ms < 10 ? ms.toFixed(1) : ms.toFixed(0);
}

const quietly = (promise) => promise.catch((error) => console.warn(error));

mesh.on("status", showStatus);
for (const event of ["connect", "reconnect"]) {
  mesh.on(event, () => {
    quietly(arrive());
    quietly(measure());
  });
}
mesh.on("reconnect", () => note("You are back"));
mesh.on("reconnectfailed", (error) => note(`Gave up: ${error.message}`));
$("drop").addEventListener("click", () => {
  note("You dropped your connection");
  cut();
});
setInterval(() => quietly(measure()), latencyMs);
showStatus();
quietly(mesh.connect());
// Once: from here on it is subscribed again by the client, and given what was said meanwhile.
quietly(listen());
