// Runs Chromium for a test. Each line on stdin is a call, [method, ...arguments], of Playwright's page, its keyboard or clock;
// each line on stdout is its answer. `open` makes a fresh page, `trouble` tells what a page should not have done.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(process.argv[2]);
const { default: pack } = require("@sparticuz/chromium");
const { chromium } = require("playwright-core");

const browser = await chromium.launch({
  executablePath: await pack.executablePath(),
  args: ["--no-sandbox", "--no-zygote", "--disable-gpu", "--headless=shell"],
});
let page;
let trouble;

async function open(options) {
  await page?.context().close();
  const context = await browser.newContext(options);
  page = await context.newPage();
  page.setDefaultTimeout(5_000);
  await page.clock.install(); // runs as ever until a test lets it run ahead
  trouble = [];
  page.on("console", (message) => message.type() === "error" && trouble.push(message.text()));
  page.on("pageerror", (error) => trouble.push(String(error)));
}

async function call(method, ...values) {
  if (method === "open") return open(...values);
  if (method === "trouble") return trouble;
  const [name, part] = method.split(".").reverse();
  const answer = await (part ? page[part] : page)[name](...values);
  return ["evaluate", "textContent"].includes(method) ? answer : null;
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await call(...JSON.parse(line)).then(
    (value) => ({ value: value ?? null }),
    (error) => ({ error: String(error) }),
  );
  console.log(JSON.stringify(answer));
}
await browser.close();
