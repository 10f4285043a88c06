// Two people with the demo open. Each test has a server of its own; pictures of how it ended are in `target/page`.

import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { build, start } from "./mesh.js";
import { launch, phone, seen, soon, visitor, wide } from "./visitor.js";

const pictures = fileURLToPath(new URL("../../../../target/page/", import.meta.url));

let binary;
let browser;
let mesh;
let visitors = [];

beforeAll(async () => {
  binary = await build();
  browser = await launch();
});

afterAll(() => browser?.close());

beforeEach(async () => {
  mesh = await start(binary);
});

afterEach(async ({ task }) => {
  try {
    for (const [at, { page }] of visitors.entries()) {
      const name = `${task.name.replaceAll(/\W+/g, "-")}-${at + 1}.png`;
      if (!page.isClosed()) await page.screenshot({ path: `${pictures}${name}` });
    }
    for (const { context } of visitors) await context.close();
  } finally {
    visitors = [];
    const { errors, ...end } = await mesh.stop();
    // Only told, not failed on: on a busy machine it complains of handlers that had to wait for a core.
    if (errors) console.warn(errors);
    expect(end).toEqual({ code: 0, signal: null });
  }
});

/** One visitor after the other, until they see each other. */
async function visitTogether(...options) {
  for (const each of options) {
    const next = await visitor(browser, mesh.url, each);
    visitors.push(next);
    await next.arrive();
  }
  for (const each of visitors) await soon(() => each.people()).toHaveLength(options.length);
  return visitors;
}

test("both pages see each other", async () => {
  const [one, other] = await visitTogether(wide, wide);
  const [name, otherName] = [await one.name(), await other.name()];
  expect(await one.people()).toEqual([`${name} (you)`, otherName]);
  expect(await other.people()).toEqual([`${otherName} (you)`, name]);
  for (const { page } of [one, other]) {
    expect(await page.locator("#count").textContent()).toBe("2");
    expect(await page.getByText("Nobody else is here yet").isVisible()).toBe(false);
  }
});

test("a new name is seen by the other", async () => {
  const [one, other] = await visitTogether(wide, wide);
  await one.page.getByLabel("Your name").fill("Ada");
  await one.page.getByLabel("Your name").press("Enter");
  await soon(() => other.people()).toContain("Ada");
  await soon(() => one.people()).toContain("Ada (you)");
});

test("the mouse of one page moves its cursor in the other", async () => {
  const [one, other] = await visitTogether(wide, wide);
  const name = await one.name();
  await one.move(0.25, 0.75);
  await soon(() => other.cursors()).toEqual([[name, 25, 75]]);
  await one.move(0.6, 0.3);
  await soon(() => other.cursors()).toEqual([[name, 60, 30]]);
  await other.move(0.5, 0.5);
  await soon(() => one.cursors()).toEqual([[await other.name(), 50, 50]]);
  expect(await other.cursors()).toHaveLength(1);
});

test("a chat message arrives in the other page, and once in its own", async () => {
  const [one, other] = await visitTogether(wide, wide);
  await one.say("Hello there");
  await soon(() => other.chat()).toEqual([[await one.name(), "Hello there"]]);
  await other.say("Hello to you");
  for (const each of [one, other]) {
    await soon(() => each.chat()).toEqual([
      [await one.name(), "Hello there"],
      [await other.name(), "Hello to you"],
    ]);
  }
  expect(await one.page.getByLabel("Message").inputValue()).toBe("");
});

test("a message with markup is text and runs nothing", async () => {
  const [one, other] = await visitTogether(wide, wide);
  const name = await one.name();
  const markup = `<img src=x onerror="window.ran = true"><script>window.ran = true</script>`;
  await one.say(markup);
  await one.page.getByLabel("Your name").fill("<b>Ada</b>");
  await one.page.getByLabel("Your name").press("Enter");
  await soon(() => other.people()).toContain("<b>Ada</b>");
  await one.say("afterwards");
  for (const each of [one, other]) {
    await soon(() => each.chat()).toEqual([
      [name, markup],
      ["<b>Ada</b>", "afterwards"],
    ]);
    expect(await each.page.locator("main :is(img, script)").count()).toBe(0);
    // The two authors.
    expect(await each.page.locator("main b").count()).toBe(2);
    expect(await each.page.evaluate(() => window.ran)).toBeUndefined();
  }
});

test("a dropped connection comes back by itself, without a ghost", async () => {
  const [one, other] = await visitTogether(wide, wide);
  const name = await one.name();
  await one.move(0.25, 0.25);
  await soon(() => other.cursors()).toHaveLength(1);

  const statuses = await one.follow("#status");
  await one.page.getByRole("button", { name: "Drop my connection" }).click();
  await soon(statuses).toEqual(["reconnecting", "online"]);
  await soon(() => one.notes()).toEqual(
    expect.arrayContaining(["You dropped your connection", "You are back"]),
  );
  await soon(() => other.notes()).toEqual(expect.arrayContaining([`${name} left`, `${name} joined`]));
  await soon(() => other.people()).toEqual([`${await other.name()} (you)`, name]);
  await soon(() => one.people()).toEqual([`${name} (you)`, await other.name()]);
  expect(await other.cursors()).toEqual([]);
  expect(await one.page.locator(".gap").count()).toBe(0);

  await one.move(0.5, 0.5);
  await soon(() => other.cursors()).toEqual([[name, 50, 50]]);
  await one.say("I am back");
  await other.say("I see");
  for (const each of [one, other]) {
    await soon(() => each.chat()).toHaveLength(2);
    expect(await each.chat()).toEqual(
      expect.arrayContaining([
        [name, "I am back"],
        [await other.name(), "I see"],
      ]),
    );
  }
});

test("what is said while the connection is away arrives once", async () => {
  const [one, other] = await visitTogether(wide, wide);
  await one.page.getByLabel("Message").fill("from afar");
  // Both at once, so that it is not back before.
  await one.page.evaluate(() => {
    document.querySelector("#drop").click();
    document.querySelector("#say").requestSubmit();
  });
  await soon(() => other.chat()).toEqual([[await one.name(), "from afar"]]);
  await one.say("and again");
  for (const each of [one, other]) {
    await soon(() => each.chat()).toEqual([
      [await one.name(), "from afar"],
      [await one.name(), "and again"],
    ]);
  }
});

test("what others say while the connection is away is there when it is back, once and in order", async () => {
  const [one, other] = await visitTogether(wide, wide);
  const name = await other.name();
  // The first time nothing was said before.
  const said = [];
  for (const text of ["first", "second"]) {
    const statuses = await one.follow("#status");
    await one.page.getByRole("button", { name: "Drop my connection" }).click();
    await other.say(text);
    await soon(statuses).toEqual(["reconnecting", "online"]);
    await other.say(`after the ${text}`);
    said.push([name, text], [name, `after the ${text}`]);
    for (const each of [one, other]) await soon(() => each.chat()).toEqual(said);
    await soon(() => other.people()).toHaveLength(2);
  }
  expect(await one.page.locator(".gap").count()).toBe(0);
});

test("a page that is opened later shows what was said, in the colors of then", async () => {
  const [one] = await visitTogether(wide);
  const name = await one.name();
  for (const text of ["Is anybody here?", "I'll wait"]) await one.say(text);
  await soon(() => one.chat()).toHaveLength(2);
  const color = (visitor) =>
    visitor.page
      .locator("#messages b")
      .first()
      .evaluate((author) => author.style.getPropertyValue("--color"));
  const before = await color(one);
  await visitors.pop().context.close();
  const [late] = await visitTogether(phone);
  await soon(() => late.chat()).toEqual([
    [name, "Is anybody here?"],
    [name, "I'll wait"],
  ]);
  expect(await color(late)).toBe(before);
});

test("where a server comes back without what was said, the chat goes on after a gap", async () => {
  const [one, other] = await visitTogether(wide, phone);
  const [name, otherName] = [await one.name(), await other.name()];
  await one.say("before");
  for (const each of [one, other]) await soon(() => each.chat()).toHaveLength(1);
  for (const each of [one, other]) each.isAway = true;
  await mesh.stop();
  for (const each of [one, other]) await soon(() => each.status()).toBe("reconnecting");
  mesh = await mesh.again();
  for (const each of [one, other]) await soon(() => each.status()).toBe("online");
  for (const each of [one, other]) each.isAway = false;
  await other.say("after");
  for (const each of [one, other]) {
    await soon(() => each.chat()).toEqual([
      [name, "before"],
      [otherName, "after"],
    ]);
    expect(await each.page.locator(".gap").allTextContents()).toEqual(["Messages may be missing here"]);
    const lines = await each.page.locator("#messages li").allTextContents();
    const at = (text) => lines.findIndex((line) => line.includes(text));
    expect([at("before") < at("missing"), at("missing") < at("after")]).toEqual([true, true]);
  }
});

test("a closed page leaves the list and takes its cursor along", async () => {
  const [one, other] = await visitTogether(wide, wide);
  const gone = await other.name();
  await other.move(0.5, 0.5);
  await soon(() => one.cursors()).toHaveLength(1);
  await other.page.close();
  await soon(() => one.people()).toEqual([`${await one.name()} (you)`]);
  expect(await one.cursors()).toEqual([]);
  expect(await one.notes()).toContain(`${gone} left`);
  expect(await one.page.getByText("Nobody else is here yet").isVisible()).toBe(true);
});

test("the latency is a number of milliseconds", async () => {
  const [one] = await visitTogether(wide);
  await soon(() => one.page.locator(".latency").textContent()).toMatch(/^\d+(\.\d)? ms$/);
});

test("a phone shows everything within its width, and can chat and point", async () => {
  const [one, other] = await visitTogether(phone, wide);
  await other.page.getByLabel("Your name").fill("W".repeat(24));
  await other.page.getByLabel("Your name").press("Enter");
  await other.say("W".repeat(500));
  await one.page.getByLabel("Message").tap();
  await one.page.keyboard.type("Hello from a phone");
  await one.page.getByRole("button", { name: "Send" }).tap();
  const lines = [
    ["W".repeat(24), "W".repeat(500)],
    [await one.name(), "Hello from a phone"],
  ];
  for (const each of [one, other]) await soon(() => each.chat()).toEqual(lines);

  await one.page.locator("#stage").tap();
  await soon(() => other.cursors()).toEqual([[await one.name(), 50, 50]]);
  // Wherever it is, its name is beside it.
  const beyond = () =>
    one.page.locator("#stage").evaluate((stage) => {
      const [all, name] = [stage, stage.querySelector(".cursor span")].map((it) =>
        it.getBoundingClientRect(),
      );
      return name.left < all.left || name.right > all.right || name.top < all.top || name.bottom > all.bottom;
    });
  for (const x of [2, 45, 70, 98]) {
    const y = x === 70 ? 86 : x;
    await other.move(x / 100, y / 100);
    await soon(() => one.cursors()).toEqual([["W".repeat(24), x, y]]);
    expect(await beyond(), `at ${x}, ${y}`).toBe(false);
  }

  const { width, height } = phone.viewport;
  const fits = { innerWidth: width, scrollWidth: width, scrollHeight: height, sideways: 0, outside: [] };
  const online = await one.page.evaluate(layout);
  expect(online).toEqual({ ...fits, status: "online", header: expect.any(Number) });
  // At once, so that it is not back before.
  const away = await one.page.evaluate(`document.querySelector("#drop").click(); (${layout})()`);
  expect(away).toEqual({ ...online, status: "reconnecting" });
});

/** Runs in the page: how large it is, and what is not wholly on the screen. */
function layout() {
  const { scrollWidth, scrollHeight } = document.documentElement;
  const chat = document.querySelector("#messages");
  // The list of people may be scrolled sideways, the chat upwards, and the stage hides what leaves it.
  const all = document.querySelectorAll("body *:not(#people *, #messages *, #stage *)");
  const outside = [...all].filter((element) => {
    const { left, right, bottom } = element.getBoundingClientRect();
    return left < 0 || right > innerWidth || bottom > innerHeight;
  });
  return {
    status: document.querySelector("#status").textContent,
    header: document.querySelector("header").offsetHeight,
    outside: outside.map((element) => element.outerHTML),
    sideways: chat.scrollWidth - chat.clientWidth,
    innerWidth,
    scrollWidth,
    scrollHeight,
  };
}

// Last, as it is about all of them.
test("no page had an error, a failed request or a question to another host", () => {
  expect([...seen.complaints]).toEqual([]);
  const files = ["", "demo.js", "icon.svg", "mesh.min.js", "style.css"].map((file) => `http://mesh/${file}`);
  expect([...seen.addresses].sort()).toEqual([...files, "ws://mesh/"]);
});
