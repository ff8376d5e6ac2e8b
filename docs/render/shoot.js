// Opens the page in headless Chromium once for each dashboard and takes its picture.
//
// node shoot.js --prometheus URL --out DIR [--from now-3h] [--to TIME] [--scrape 15s]
//               [--width 1600] [--panels] [--vision deuteranopia] [--chromium FILE]
//               [--var [DASHBOARD.]NAME=VALUE]… DASHBOARD.json…
//
// Without --from a dashboard's own range. --panels takes a picture of each panel too, --vision shows
// what a colour-blind eye sees. What is empty, wrong or not a number is told on standard output.

import { createServer } from 'node:http';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import puppeteer from 'puppeteer-core';

const { values: options, positionals: files } = parseArgs({
  allowPositionals: true,
  options: {
    prometheus: { type: 'string' },
    out: { type: 'string' },
    from: { type: 'string' },
    to: { type: 'string', default: new Date().toISOString() },
    scrape: { type: 'string', default: '15s' },
    width: { type: 'string', default: '1600' },
    var: { type: 'string', multiple: true, default: [] },
    panels: { type: 'boolean', default: false },
    vision: { type: 'string', default: 'none' },
    chromium: { type: 'string', default: 'chromium' },
  },
});
const here = import.meta.dirname;
const ICONS = join(here, 'node_modules/@grafana/ui/dist/public/img/icons');
// Where Debian's fonts-inter puts them; Chromium goes by content, not by name.
const FONTS = '/usr/share/fonts/opentype/inter';
const HTML = `<!doctype html><meta charset="utf-8"><title>dashboards</title>
<link rel="stylesheet" href="/page.css"><link rel="icon" href="data:,">
<style>
@font-face { font-family: Inter; font-weight: 400; src: url(/fonts/inter/Inter-Regular.woff2); }
@font-face { font-family: Inter; font-weight: 500; src: url(/fonts/inter/Inter-Medium.woff2); }
</style>
<script>window.__grafana_public_path__ = '/';</script>
<body style="margin:0"><div id="root"></div><script type="module" src="/page.js"></script>`;

async function bundle() {
  const { outputFiles } = await build({
    entryPoints: [join(here, 'page/index.jsx')],
    bundle: true,
    write: false,
    outdir: here,
    format: 'esm',
    logLevel: 'error',
    define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
    loader: { '.svg': 'dataurl', '.ttf': 'dataurl' },
  });
  const built = (ending) => outputFiles.find(({ path }) => path.endsWith(ending)).contents;
  return { script: built('.js'), style: built('.css') };
}

// Serves the page and Grafana's icons on a free port of loopback.
async function serve({ script, style }) {
  const server = createServer(async (req, res) => {
    const font = /^\/fonts\/inter\/([\w-]+)\.woff2$/.exec(req.url);
    const icon = /^\/build\/img\/icons\/([\w/-]+\.svg)$/.exec(req.url);
    if (req.url === '/page.js') res.setHeader('content-type', 'text/javascript').end(script);
    else if (req.url === '/page.css') res.setHeader('content-type', 'text/css').end(style);
    else if (req.url === '/') res.setHeader('content-type', 'text/html').end(HTML);
    else if (icon) await send(res, 'image/svg+xml', join(ICONS, icon[1]));
    else if (font) await send(res, 'font/otf', join(FONTS, `${font[1]}.otf`));
    else res.writeHead(404).end();
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return server;
}

async function send(res, type, path) {
  const bytes = await readFile(path).catch(() => null);
  if (bytes === null) res.writeHead(404).end();
  else res.setHeader('content-type', type).end(bytes);
}

// `brownout-target.model=claude-opus-4-7` sets a variable of one dashboard, `model=…` of all.
function variablesFor(uid) {
  const chosen = {};
  for (const text of options.var) {
    const [, owner, name, value] = /^(?:([\w-]+)\.)?(\w+)=(.*)$/.exec(text) ?? [];
    if (!name) throw new Error(`--var ${text}: expected NAME=VALUE`);
    if (owner === undefined || owner === uid) (chosen[name] ??= []).push(value);
  }
  return chosen;
}

// What says "5 minutes ago" means the picture's moment.
function moveClock(now) {
  const skew = now - Date.now();
  const Real = Date;
  globalThis.Date = class extends Real {
    constructor(...args) {
      if (args.length === 0) super(Real.now() + skew);
      else super(...args);
    }
    static now() {
      return Real.now() + skew;
    }
  };
}

async function shoot(browser, address, file) {
  const dashboard = JSON.parse(await readFile(file, 'utf8'));
  const width = Number(options.width);
  const page = await browser.newPage();
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    // A missing font of code is told below, with its name, or not at all.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) {
      complaints.push(message.text());
    }
  });
  page.on('response', (res) => {
    if (!res.ok() && !res.url().includes('/fonts/roboto/'))
      complaints.push(`${res.status()} ${res.url()}`);
  });
  await page.setViewport({ width, height: 1000 });
  await page.emulateVisionDeficiency(options.vision);
  await page.evaluateOnNewDocument(moveClock, Date.parse(options.to));
  await page.goto(address, { waitUntil: 'load' });
  // What is drawn on a canvas does not wait for its font.
  await page.evaluate(() =>
    Promise.all(['12px Inter', '500 12px Inter'].map((font) => document.fonts.load(font))),
  );
  const found = await page.evaluate((input) => window.draw(input), {
    dashboard,
    url: options.prometheus,
    from: options.from ?? dashboard.time.from,
    to: Date.parse(options.to),
    width,
    scrape: options.scrape,
    variables: variablesFor(dashboard.uid),
  });
  await page.waitForNetworkIdle({ idleTime: 300 });
  const height = await page.evaluate(() => document.getElementById('root').scrollHeight);
  await page.setViewport({ width, height });
  await page.waitForNetworkIdle({ idleTime: 300 });
  const name = basename(file, '.json');
  await page.screenshot({ path: join(options.out, `${name}.png`) });
  if (options.panels) {
    for (const { id, type } of dashboard.panels) {
      const panel = type === 'row' ? null : await page.$(`#panel-${id}`);
      await panel?.screenshot({ path: join(options.out, `${name}-${id}.png`) });
    }
  }
  await page.close();
  for (const text of [...found, ...new Set(complaints)]) console.log(`${name}: ${text}`);
}

await mkdir(options.out, { recursive: true });
const server = await serve(await bundle());
const profile = join(options.out, 'chromium');
const browser = await puppeteer.launch({
  executablePath: options.chromium,
  userDataDir: profile,
  // Its sandbox refuses to run as root, as containers do; the page is our own.
  args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
});
try {
  const address = `http://127.0.0.1:${server.address().port}/`;
  for (const file of files) await shoot(browser, address, file);
} finally {
  await browser.close();
  server.close();
  await rm(profile, { recursive: true, force: true });
}
