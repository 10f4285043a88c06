import { spawn } from "node:child_process";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test, vi } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { MeshClient, Status } from "../src/index.js";
import { outcome } from "./world.js";

const opened: WebSocketServer[] = [];

afterEach(() => {
  vi.unstubAllGlobals();
  for (const server of opened.splice(0)) {
    for (const socket of server.clients) socket.terminate();
    server.close();
  }
});

/** A small server of the protocol, on the first free port from 7,400 on. */
async function serve(onSocket: (socket: WebSocket) => void = () => {}): Promise<string> {
  for (let port = 7_400; port < 7_600; port += 1) {
    const server = new WebSocketServer({ port, host: "127.0.0.1" });
    const listening = await new Promise<boolean>((resolve) => {
      server.once("listening", () => resolve(true));
      server.once("error", () => resolve(false));
    });
    if (!listening) continue;
    opened.push(server);
    server.on("connection", (socket) => {
      onSocket(socket);
      socket.on("message", (data) => {
        const { id, command, payload } = JSON.parse(String(data));
        if (command === "drop") return socket.terminate();
        if (command === "bye") return socket.close(4201, "disconnected");
        const answer = command === "mesh/hello" ? { protocol: 1, connectionId: "conn-1" } : payload;
        socket.send(JSON.stringify({ id, command, payload: answer }));
      });
    });
    return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }
  throw new Error("no free port");
}

test("a real socket offers the subprotocol and carries commands and pushes", async () => {
  const protocols: string[] = [];
  const url = await serve((socket) => protocols.push(socket.protocol));
  const client = new MeshClient(url);
  await client.connect();
  expect(protocols).toEqual(["mesh.v1"]);
  expect(await client.command("echo", { text: "é" })).toEqual({ text: "é" });
  const [socket] = opened[0]?.clients ?? [];
  const closed = new Promise((resolve) => socket?.once("close", resolve));
  await client.close();
  expect(await closed).toBe(1000);
});

test("a real connection that breaks is made again", async () => {
  const client = new MeshClient(await serve(), { reconnectInterval: 100 });
  await client.connect();
  const again = new Promise<void>((resolve) => client.onReconnect(resolve));
  await expect(client.command("drop")).rejects.toMatchObject({ code: "disconnected" });
  await again;
  expect(await client.command("echo", 1)).toBe(1);
  client.close();
});

test("a real close code reaches the application", async () => {
  const client = new MeshClient(await serve());
  const failed = new Promise((resolve) => client.onReconnectFailed(resolve));
  await client.connect();
  client.command("bye").catch(() => {});
  expect(await failed).toMatchObject({
    code: "disconnected",
    details: { code: 4201, reason: "disconnected" },
  });
});

test("nobody listening is a connection error", async () => {
  const client = new MeshClient("ws://127.0.0.1:1", { shouldReconnect: false });
  await expect(client.connect()).rejects.toMatchObject({ code: "ECONNECTION" });
  const odd = new MeshClient("no address");
  await expect(odd.connect()).rejects.toMatchObject({ code: "ECONNECTION", retryable: false });
  expect(odd.status).toBe(Status.OFFLINE);
});

test("close during the dial of a real socket opens none", async () => {
  let sockets = 0;
  const url = await serve(() => {
    sockets += 1;
  });
  const client = new MeshClient(url);
  const connected = client.connect();
  client.close();
  expect(await outcome(connected)).toMatchObject({ code: "closed" });
  const other = new MeshClient(url);
  await other.connect();
  other.close();
  expect(sockets).toBe(1);
});

test("close leaves no open handle: the process ends by itself", async () => {
  const url = await serve();
  const module = new URL("../dist/index.js", import.meta.url).href;
  const program = `
    const { MeshClient } = await import(${JSON.stringify(module)});
    const client = new MeshClient(${JSON.stringify(url)});
    await client.connect();
    client.command("echo", 1).catch(() => {});
    client.close();`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], { timeout: 4_000 });
  const ended = await new Promise((resolve) =>
    child.once("exit", (code, signal) => resolve({ code, signal })),
  );
  expect(ended).toEqual({ code: 0, signal: null });
});

test("the platform's own WebSocket is used where there is one", async () => {
  let made = 0;
  class Platform extends WebSocket {
    constructor(url: string, protocol: string) {
      super(url, protocol);
      made += 1;
    }
  }
  vi.stubGlobal("WebSocket", Platform);
  const client = new MeshClient(await serve());
  await client.connect();
  client.close();
  expect(made).toBe(1);
});
