// The variables of a dashboard: their values as Prometheus knows them, and their place in queries.

import { rangeUtil } from '@grafana/data';

const ALL = '$__all';

// Asks Prometheus for the values of each variable, in order, since later ones build on earlier.
export async function resolveVariables(dashboard, prometheus, scope, given) {
  for (const variable of dashboard.templating?.list ?? []) {
    const values = await valuesOf(variable, prometheus, scope);
    const current = given[variable.name] ?? [variable.current?.value ?? []].flat();
    scope[variable.name] = { variable, values, chosen: choose(variable, values, current) };
  }
}

async function valuesOf(variable, prometheus, scope) {
  if (variable.type === 'datasource') return ['prometheus'];
  if (variable.type !== 'query') return (variable.options ?? []).map((option) => option.value);
  const text = typeof variable.query === 'string' ? variable.query : variable.query.query;
  const query = interpolate(text, scope);
  const call = /^label_values\((?:([^]*),)?\s*(\w+)\s*\)$/.exec(query);
  if (!call) throw new Error(`variable ${variable.name}: cannot resolve ${query}`);
  return prometheus.labelValues(call[1]?.trim(), call[2]);
}

function choose(variable, values, current) {
  const known = current.filter((value) => value === ALL || values.includes(value));
  if (known.length > 0) return known;
  return variable.includeAll ? [ALL] : values.slice(0, 1);
}

// What the bar over a dashboard shows.
export const shown = ({ chosen }) => (chosen[0] === ALL ? 'All' : chosen.join(' + '));

// Puts values in the place of $name, ${name} and ${name:format}, as Grafana's Prometheus source
// does: several values become a regular expression.
export function interpolate(text, scope) {
  return text.replace(/\$\{(\w+)(?::\w+)?\}|\$(\w+)/g, (whole, braced, bare) => {
    const known = scope[braced ?? bare];
    if (known === undefined) return whole;
    return typeof known === 'string' ? known : expression(known);
  });
}

function expression({ variable, values, chosen }) {
  if (chosen[0] === ALL && variable.allValue) return variable.allValue;
  const meant = chosen[0] === ALL ? values : chosen;
  if (!variable.multi && !variable.includeAll) return meant[0] ?? '';
  const escaped = meant.map((value) => value.replace(/[\\^$*+?.()|[\]{}]/g, '\\\\$&'));
  return escaped.length === 1 ? escaped[0] : `(${escaped.join('|')})`;
}

// $__interval and its relatives for a query: a point per pixel, but no finer than the minimum.
export function withIntervals(scope, range, points, minimum, scrape) {
  const { interval, intervalMs } = rangeUtil.calculateInterval(range, points, minimum);
  const scrapeMs = rangeUtil.intervalToMs(scrape);
  const rateMs = Math.max(intervalMs + scrapeMs, 4 * scrapeMs);
  const rangeMs = range.to.valueOf() - range.from.valueOf();
  const seconds = String(Math.round(rangeMs / 1000));
  const intervals = {
    __interval: interval,
    __interval_ms: String(intervalMs),
    __rate_interval: `${rateMs}ms`,
    __range: `${seconds}s`,
    __range_s: seconds,
    __range_ms: String(rangeMs),
    __from: String(range.from.valueOf()),
    __to: String(range.to.valueOf()),
  };
  return { scope: { ...scope, ...intervals }, stepMs: intervalMs };
}
