// Somebody who has the page open, in a browser of their own.

import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { chromium } from "playwright-core";
import { expect } from "vitest";

const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export const wide = { viewport: { width: 1280, height: 800 } };
export const phone = {
  viewport: { width: 390, height: 844 },
  deviceScaleFactor: 2,
  isMobile: true,
  hasTouch: true,
};

/** Starts the Chromium that the PATH has; none is ever downloaded. */
export function launch() {
  const paths = process.env.PATH.split(delimiter).map((folder) => join(folder, "chromium"));
  const executablePath = paths.find((path) => existsSync(path));
  if (!executablePath) throw new Error("there is no chromium on the PATH");
  return chromium.launch({ executablePath, args: flags });
}

/** Waits for what `ask` returns to be what is then expected of it. */
export const soon = (ask) => expect.poll(ask, { timeout: 15_000 });

/** What went wrong in any page, and what all of them asked for; their own server is called `mesh`. */
export const seen = { complaints: new Set(), addresses: new Set() };

/** A browser of one's own, with nothing open yet. */
export async function visitor(browser, url, options) {
  const context = await browser.newContext(options);
  return new Visitor(context, await context.newPage(), url);
}

class Visitor {
  constructor(context, page, url) {
    this.context = context;
    this.page = page;
    this.url = url;
    /** Whether the server is away on purpose, so that nothing is wrong if it isn't found. */
    this.isAway = false;
    const host = new URL(url).host;
    const brief = (address) => {
      const { protocol, host: asked, pathname } = new URL(address);
      return `${protocol}//${asked === host ? "mesh" : asked}${pathname}`;
    };
    const complain = (what) => this.isAway || seen.complaints.add(what);
    const ask = (address) => seen.addresses.add(brief(address));
    context.on("console", (message) => message.type() === "error" && complain(`console: ${message.text()}`));
    context.on("weberror", (error) => complain(`uncaught: ${error.error()}`));
    context.on("request", (request) => ask(request.url()));
    context.on("requestfailed", (it) => complain(`${brief(it.url())}: ${it.failure()?.errorText}`));
    context.on("response", (it) => it.ok() || complain(`${brief(it.url())}: ${it.status()}`));
    page.on("websocket", (socket) => {
      ask(socket.url());
      socket.on("socketerror", (error) => complain(`${brief(socket.url())}: ${error}`));
    });
  }

  /** Opens the page and waits until it is online and has got its name. */
  async arrive() {
    await this.page.goto(this.url);
    await soon(() => this.status()).toBe("online");
    await soon(() => this.name()).not.toBe("");
  }

  status() {
    return this.page.locator("#status").textContent();
  }

  name() {
    return this.page.locator("#name").inputValue();
  }

  people() {
    return this.page.locator("#people li").allTextContents();
  }

  /** The lines of the chat, each with its author. */
  chat() {
    return this.page
      .locator("#messages li:not(.note)")
      .evaluateAll((items) =>
        items.map((item) => [item.children[0].textContent, item.children[1].textContent]),
      );
  }

  notes() {
    return this.page.locator("#messages li.note").allTextContents();
  }

  async say(text) {
    await this.page.getByLabel("Message").fill(text);
    await this.page.getByRole("button", { name: "Send" }).click();
  }

  /** Moves to a point of the stage, from 0 to 1 both ways. */
  async move(x, y) {
    const box = await this.page.locator("#stage").boundingBox();
    await this.page.mouse.move(box.x + x * box.width, box.y + y * box.height);
  }

  /** The names of the cursors on the stage, and where they point, in hundredths of it. */
  cursors() {
    return this.page.locator("#stage").evaluate((stage) => {
      const { x, y, width, height } = stage.getBoundingClientRect();
      return [...stage.querySelectorAll(".cursor")].map((cursor) => {
        const tip = cursor.getBoundingClientRect();
        const hundredths = (value) => Math.round(value * 100);
        return [cursor.textContent, hundredths((tip.x - x) / width), hundredths((tip.y - y) / height)];
      });
    });
  }

  /** Each different text that an element has from now on, as a function to ask for them. */
  async follow(selector) {
    const texts = await this.page.locator(selector).evaluateHandle((element) => {
      const texts = [];
      const note = () => texts.at(-1) === element.textContent || texts.push(element.textContent);
      new MutationObserver(note).observe(element, { childList: true, characterData: true, subtree: true });
      return texts;
    });
    return () => texts.jsonValue();
  }
}
