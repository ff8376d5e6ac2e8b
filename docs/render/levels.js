// Writes rules as files of recording rules, each of which reads only what those before it recorded:
// promtool computes a file's rules from what Prometheus holds, not from each other.
//
// node levels.js --step 60 --out DIR RULES.yml…
//
// promtool leaves alerts out; the last file records them as Prometheus would, by their own
// expression and wait. How long they go on firing afterwards is left out.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { parse } from 'yaml';

const { values: options, positionals: files } = parseArgs({
  allowPositionals: true,
  options: { step: { type: 'string' }, out: { type: 'string' } },
});
const step = Number(options.step);

const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')));
const rules = texts.flatMap((text) => parse(text).groups.flatMap((group) => group.rules));
const levels = [];
let left = rules.filter((rule) => rule.record !== undefined);
while (left.length > 0) {
  const waits = ({ expr }) => left.some(({ record }) => names(expr, record));
  const now = left.filter((rule) => !waits(rule));
  if (now.length === 0) throw new Error(`rules read each other in a circle: ${left[0].record}`);
  levels.push(now);
  left = left.filter((rule) => !now.includes(rule));
}
levels.push(rules.filter((rule) => rule.alert !== undefined).map(recorded));

for (const [nth, level] of levels.entries()) {
  const file = { groups: [{ name: 'level', rules: level }] };
  await writeFile(join(options.out, `level-${nth}.yml`), JSON.stringify(file));
}

// An alert as the series that Prometheus writes while it fires.
function recorded({ alert, expr, labels, for: wait = '0s' }) {
  const times = Math.ceil(seconds(wait) / step);
  const held =
    times > 0 ? `count_over_time((${expr})[${times * step}s:${step}s]) >= ${times}` : expr;
  return {
    record: 'ALERTS',
    expr: `(${held}) * 0 + 1`,
    labels: { ...labels, alertname: alert, alertstate: 'firing' },
  };
}

function seconds(text) {
  const units = { s: 1, m: 60, h: 3600, d: 86400 };
  return [...text.matchAll(/(\d+)([smhd])/g)].reduce((sum, [, n, u]) => sum + n * units[u], 0);
}

// Whether an expression names a metric; a longer name that holds it does not count.
function names(expr, metric) {
  return new RegExp(`(?<![\\w:])${metric}(?![\\w:])`).test(expr);
}
