// Opens a report in a real browser and does what a reader does. Prints one JSON object: what was seen.
// node html_report.mjs MODULES PAGE SCREENSHOTS
import { createRequire } from "node:module";

const [, , modules, page, screenshots] = process.argv;
const { chromium } = createRequire(`${modules}/`)("playwright-core");
const seen = { errors: [], requests: [] };
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

const open = async (colorScheme) => {
  const tab = await browser.newPage({ viewport: { width: 1280, height: 900 }, colorScheme, offline: true });
  tab.on("pageerror", (error) => seen.errors.push(error.message));
  tab.on("console", (message) => message.type() === "error" && seen.errors.push(message.text()));
  tab.on("dialog", (dialog) => { seen.errors.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  tab.on("request", (request) => seen.requests.push(request.url()));
  await tab.goto(`file://${page}`);
  return tab;
};
const ground = (tab) => tab.evaluate(() => getComputedStyle(document.body).backgroundColor);
const rows = (tab, id) => tab.locator(`#${id} tbody tr`).allInnerTexts();
const column = (tab, id, place) => tab.locator(`#${id} tbody tr td:nth-child(${place})`).allInnerTexts();

const tab = await open("light");
seen.light = await ground(tab);
seen.tiles = await tab.locator(".tile").allInnerTexts();
seen.layers = await tab.locator("#layers .row").allInnerTexts();
seen.crumbs = await tab.locator("#crumbs").innerText();
seen.largest = await tab.locator("#largest li").allInnerTexts();
seen.collisions = await rows(tab, "collisions");
seen.findings = await rows(tab, "findings");
seen.packages = await rows(tab, "packages");
await tab.screenshot({ path: `${screenshots}/light.png`, fullPage: true });

// The colours that were really drawn, but for the edges between them.
seen.colours = await tab.evaluate(() => {
  const canvas = document.getElementById("map");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const counts = new Map();
  for (let at = 0; at < data.length; at += 4) {
    const colour = `${data[at]},${data[at + 1]},${data[at + 2]}`;
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  return [...counts].filter(([, count]) => count > (canvas.width * canvas.height) / 50).length;
});

// A click in the middle looks into the directory there; the first crumb leads back.
await tab.locator("#map").click();
seen.crumbs_after_click = await tab.locator("#crumbs").innerText();
await tab.locator("#crumbs button").first().click();
seen.crumbs_back = await tab.locator("#crumbs").innerText();

if (seen.collisions.length) {
  const head = tab.locator("#collisions th", { hasText: "Size" });
  await head.locator("button").click();
  seen.sorted = [await head.getAttribute("aria-sort"), await column(tab, "collisions", 5)];
  await head.locator("button").click();
  seen.sorted_again = [await head.getAttribute("aria-sort"), await column(tab, "collisions", 5)];
  await tab.locator("#collisions input").fill("ALPHA");
  seen.filtered = await rows(tab, "collisions");
  await tab.locator("#collisions input").fill("");
  await tab.locator("#collisions select").selectOption(await tab.locator("#collisions option").last().getAttribute("value"));
  seen.chosen = await column(tab, "collisions", 1);
}

const night = await open("dark");
seen.dark = await ground(night);
await night.screenshot({ path: `${screenshots}/dark.png`, fullPage: true });
await browser.close();
process.stdout.write(JSON.stringify(seen));
